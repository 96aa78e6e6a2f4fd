//! `visavis-bench`: figures that anyone can repeat.

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use visavis_bench::{
    avatar, encode, faces, fanout, floor, glass, idle, peers, profile, siege, sync, viewers,
    weather,
};

const EXAMPLES: &str = "\
Examples:
  visavis-bench glass                          latency from the push of a frame to the display
  visavis-bench glass --codec VP8 --runs 3     the same for VP8, with three fresh browsers
  visavis-bench viewers --count 100            starts a server, connects 100 viewers, reports their cost
  visavis-bench viewers --url http://host:8081/ --count 50 --json
                                               loads a server that is already running
  visavis-bench fanout --viewers 1,100,500     cost per viewer as the number of viewers grows
  visavis-bench floor                          the least that any server on this machine could cost
  visavis-bench encode                         milliseconds per picture, for each codec and size
  visavis-bench sync --check                   lip sync, live and in utterances
  visavis-bench idle --sessions 200            cost of idle sessions
  visavis-bench faces --count 45               what viewers receive of many live faces on one machine
  visavis-bench profile                        where the time goes in the server's media loop
  visavis-bench siege --check                  what viewers notice of each attack, against the limits
  visavis-bench peers --only visavis,naive     visavis beside the str0m loop that most people write
  visavis-bench avatar                         an avatar server in Python, on this package and on aiortc
  visavis-bench weather --only steps,loss-10   what a viewer sees behind slow and lossy networks

All but encode and floor start the `visavis` program in the directory of this one (VISAVIS_BIN names another). Build
both with optimisation: cargo build --release -p visavis-cli -p visavis-bench";

/// Measures a visavis server from outside: with a real browser, or with any number of viewers.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Glass(glass::args::Args),
    Viewers(viewers::args::Args),
    Fanout(fanout::args::Args),
    Floor(floor::args::Args),
    Encode(encode::args::Args),
    Sync(sync::args::Args),
    Idle(idle::args::Args),
    Faces(faces::args::Args),
    Profile(profile::args::Args),
    Siege(siege::args::Args),
    Peers(peers::args::Args),
    Avatar(avatar::args::Args),
    Weather(weather::args::Args),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Glass(args) => args.run(),
        Command::Viewers(args) => args.run(),
        Command::Fanout(args) => args.run(),
        Command::Floor(args) => args.run(),
        Command::Encode(args) => args.run(),
        Command::Sync(args) => args.run(),
        Command::Idle(args) => args.run(),
        Command::Faces(args) => args.run(),
        Command::Profile(args) => args.run(),
        Command::Siege(args) => args.run(),
        Command::Peers(args) => args.run(),
        Command::Avatar(args) => args.run(),
        Command::Weather(args) => args.run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "visavis-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
