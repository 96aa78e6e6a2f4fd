//! `visavis-bench`: figures that anyone can repeat.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;
use visavis_bench::{Error, Server, ServerOptions, fanout, glass, viewers};

const EXAMPLES: &str = "\
Examples:
  visavis-bench glass                          latency from the push of a frame to the glass
  visavis-bench glass --codec VP8 --runs 3     the same for VP8, over three fresh browsers
  visavis-bench viewers --count 100            starts a server, connects 100 viewers, counts its cost
  visavis-bench viewers --url http://host:8081/ --count 50 --json
                                               loads a server that is running already
  visavis-bench fanout --viewers 1,100,500     cost per viewer as the number of viewers grows

All start the `visavis` program that lies beside this one (VISAVIS_BIN names another); build both with
optimisation, or the figures mean little: cargo build --release -p visavis-cli -p visavis-bench";

/// Measures a visavis server from outside: with a real browser, or with any number of viewers.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Latency from the push of a frame to the glass, in a real Chromium.
    ///
    /// Starts the server with its talking face and a strip that carries the push time, opens the page
    /// in headless Chromium, and reads the strip back from every presented frame. Server and browser
    /// share this machine, so that the figure holds everything but the network.
    Glass(GlassArgs),
    /// Load: receiving viewers with real signaling, ICE, DTLS and SRTP, all on one thread.
    ///
    /// Counts losses, gaps between frames and times to connect. Without --url it starts a server and
    /// tells what each viewer costs it.
    Viewers(ViewersArgs),
    /// Cost, memory and latency of one server against its number of viewers.
    ///
    /// For each number of viewers: a fresh server process, real ICE, DTLS and SRTP over loopback, the
    /// feedback of a browser.
    Fanout(fanout::Args),
}

#[derive(Args)]
struct GlassArgs {
    /// Seconds to measure, from the first picture.
    #[arg(long, default_value_t = 20.0, value_parser = seconds)]
    seconds: f64,
    /// Video codec.
    #[arg(long, value_enum, default_value_t = Codec::H264)]
    codec: Codec,
    /// Runs, each with a fresh server and browser.
    #[arg(long, default_value_t = 1)]
    runs: usize,
    /// Fail when the figures are outside the limits this project promises on a quiet machine.
    #[arg(long)]
    check: bool,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct ViewersArgs {
    /// Page of a running server; without it, one is started.
    #[arg(long)]
    url: Option<String>,
    /// Viewers.
    #[arg(long, default_value_t = 100)]
    count: usize,
    /// Seconds to watch, from the first connection.
    #[arg(long, default_value_t = 30.0, value_parser = seconds)]
    seconds: f64,
    /// Milliseconds between one viewer's start and the next one's.
    #[arg(long, default_value_t = 0)]
    spacing_ms: u64,
    /// Decode only this codec; any otherwise.
    #[arg(long, value_enum)]
    codec: Option<Codec>,
    /// Fail when the figures are outside the limits this project promises on a quiet machine.
    #[arg(long)]
    check: bool,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Codec {
    #[value(name = "H264", alias = "h264")]
    H264,
    #[value(name = "VP8", alias = "vp8")]
    Vp8,
}

/// The viewers' report, and what they cost a server that was started for them.
#[derive(Serialize)]
struct ViewersReport {
    #[serde(flatten)]
    viewers: viewers::Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<ServerCost>,
}

#[derive(Serialize)]
struct ServerCost {
    /// Processor time while the viewers watched, all threads, encoding included.
    cpu_seconds: f64,
    /// The same per viewer and second.
    cpu_ms_per_viewer_second: f64,
    /// Resident memory with all viewers connected.
    resident_mib: f64,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Glass(args) => run_glass(&args),
        Command::Viewers(args) => run_viewers(args),
        Command::Fanout(args) => args.run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "visavis-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run_glass(args: &GlassArgs) -> Result<(), Error> {
    let report = glass::run(&glass::Options {
        duration: Duration::from_secs_f64(args.seconds),
        codec: args.codec.name().to_owned(),
        runs: args.runs,
    })?;
    print(args.json, &report, || report.table())?;
    verdict(args.check, report.missed())
}

fn run_viewers(args: ViewersArgs) -> Result<(), Error> {
    let server = match &args.url {
        Some(_) => None,
        None => {
            let most = args.count.to_string();
            Some(Server::start(ServerOptions::demo().arg("--max-clients").arg(most))?)
        }
    };
    let url = args.url.or_else(|| server.as_ref().map(|server| server.url().to_owned()));
    let mut options = viewers::Options::new(url.unwrap_or_default(), args.count);
    options.duration = Duration::from_secs_f64(args.seconds);
    options.spacing = Duration::from_millis(args.spacing_ms);
    options.codec = args.codec.map(Into::into);
    let before = server.as_ref().map(Server::cpu_time).transpose()?;
    let viewers = viewers::run(&options)?;
    let mut report = ViewersReport { viewers, server: None };
    if let (Some(server), Some(before)) = (server, before) {
        let cpu_seconds = server.cpu_time()?.0.saturating_sub(before.0).as_secs_f64();
        let viewer_seconds = report.viewers.seconds * args.count.max(1) as f64;
        report.server = Some(ServerCost {
            cpu_seconds,
            cpu_ms_per_viewer_second: cpu_seconds * 1_000.0 / viewer_seconds,
            resident_mib: server.resident_bytes()? as f64 / f64::from(1 << 20),
        });
        server.stop()?;
    }
    print(args.json, &report, || report.table())?;
    verdict(args.check, report.viewers.missed())
}

fn verdict(check: bool, missed: Vec<String>) -> Result<(), Error> {
    if check && !missed.is_empty() { Err(Error::Missed(missed.join("; "))) } else { Ok(()) }
}

fn print<T: Serialize>(json: bool, report: &T, table: impl Fn() -> String) -> Result<(), Error> {
    let text = if json { serde_json::to_string(report)? } else { table() };
    Ok(writeln!(std::io::stdout(), "{}", text.trim_end())?)
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text} is not a number"))?;
    if (0.1..=86_400.0).contains(&seconds) {
        Ok(seconds)
    } else {
        Err("between 0.1 and 86400 seconds".to_owned())
    }
}

impl ViewersReport {
    fn table(&self) -> String {
        let mut text = self.viewers.table();
        if let Some(server) = &self.server {
            text.push_str(&format!(
                "\nserver: {:.2} s of CPU, {:.2} ms per viewer-second, {:.0} MiB resident",
                server.cpu_seconds, server.cpu_ms_per_viewer_second, server.resident_mib
            ));
        }
        text
    }
}

impl Codec {
    const fn name(self) -> &'static str {
        match self {
            Self::H264 => "H264",
            Self::Vp8 => "VP8",
        }
    }
}

impl From<Codec> for viewers::VideoCodec {
    fn from(codec: Codec) -> Self {
        match codec {
            Codec::H264 => Self::H264,
            Codec::Vp8 => Self::Vp8,
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

    #[test]
    fn refuses_senseless_times() {
        assert!(seconds("0").is_err());
        assert!(seconds("NaN").is_err());
        assert!(seconds("ten").is_err());
        assert_eq!(seconds("2.5"), Ok(2.5));
    }
}
