//! The arguments on the command line.

use std::io::Write;
use std::time::Duration;

use super::{Options, list, run};
use crate::Error;
use crate::cli::{check, number, print, progress};

const AFTER_HELP: &str = "\
Each server is a process of its own: one passes on an H264 stream with Opus that comes as RTP, and the attacks that \
need a microphone or an encoder are on one with --echo. Viewers and attackers are threads of this process. Viewers \
come from 127.0.1.0/24, attackers from other addresses of 127.0.0.0/8; nothing leaves the machine. Attackers run at \
nice 10, so that those who measure get a processor first; what they used is in the table. As root they can make up \
source addresses, which makes some attacks worse.

A gap is the time between two complete frames by the kernel's time stamps; what is open at the end counts. A newcomer \
comes at 20, 50 and 75 % of each attack, and its time runs from opening the WebSocket to the first complete \
picture; there is a keyframe every half second. Memory is looked at two seconds after each attack, and --settle \
seconds after the last on each server.

--check fails where, in any attack, a gap's p99 is over 50 ms or its maximum over 100 ms, a viewer is dropped, sound \
comes at less than 45 packets a second, a newcomer waits longer than 2 s, the server panics, ends or is not ready, or \
where its memory is not back within 10 %. The limits are those of a quiet machine with two cores and a release build.

Examples:
  visavis-bench siege --list                           the attacks, a line each
  visavis-bench siege --only garbage,tcp-idle          two of them
  visavis-bench siege --seconds 5 --settle 5           all attacks, quickly
  visavis-bench siege --check | tee siege.md           everything, in some 13 minutes";

/// Effect of attacks on viewers, one attack after the other.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Number of viewers, who are not part of any attack.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=500))]
    viewers: u16,
    /// Seconds of each attack.
    #[arg(long, default_value_t = 20.0, value_parser = seconds)]
    seconds: f64,
    /// Seconds from a server's last attack to the measurement of its memory.
    #[arg(long, default_value_t = 60.0, value_parser = seconds)]
    settle: f64,
    /// Only these attacks, separated by commas; --list names them.
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = name)]
    only: Vec<String>,
    /// List the attacks and exit.
    #[arg(long)]
    list: bool,
    /// Fail when a limit is exceeded that this project promises on a quiet machine.
    #[arg(long)]
    check: bool,
    /// Print JSON instead of a markdown table.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Runs the requested attacks and prints the results.
    ///
    /// # Errors
    ///
    /// As [`run`]; and with `--check` when a limit was not held.
    pub fn run(self) -> Result<(), Error> {
        if self.list {
            let mut out = std::io::stdout();
            for (name, about) in list() {
                writeln!(out, "{name:<20}  {about}")?;
            }
            return Ok(());
        }
        let report = run(&self.options(), &mut progress)?;
        print(self.json, &report, || report.table())?;
        check(self.check, report.missed())
    }

    fn options(&self) -> Options {
        Options {
            viewers: self.viewers.into(),
            duration: Duration::from_secs_f64(self.seconds),
            settle: Duration::from_secs_f64(self.settle),
            only: self.only.clone(),
        }
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    number(text, 0.0, 3_600.0)
}

fn name(text: &str) -> Result<String, String> {
    match list().any(|(name, _)| name == text) {
        true => Ok(text.to_owned()),
        false => {
            let names: Vec<_> = list().map(|(name, _)| name).collect();
            Err(format!("expected one of {}", names.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn parse(line: &str) -> Result<Options, clap::Error> {
        let words = std::iter::once("siege").chain(line.split_ascii_whitespace());
        Cli::try_parse_from(words).map(|cli| cli.args.options())
    }

    #[test]
    fn what_is_not_said_is_as_documented() {
        let (options, default) = (parse("").unwrap(), Options::default());
        assert_eq!((options.viewers, options.duration), (default.viewers, default.duration));
        assert_eq!((options.settle, options.only), (default.settle, default.only));
    }

    #[test]
    fn attacks_are_known_by_name() {
        let options = parse("--only garbage,tcp-idle --seconds 2 --settle 0").unwrap();
        assert_eq!(options.only, ["garbage", "tcp-idle"]);
        for line in ["--only garbage,earthquake", "--seconds -1", "--viewers 0"] {
            assert!(parse(line).is_err(), "{line} was taken");
        }
    }
}
