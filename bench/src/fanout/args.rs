//! The arguments on the command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use super::options::{Options, Source};
use super::{against, churn, join, run};
use crate::Error;
use crate::cli::{number, print, progress, viewers};

const AFTER_HELP: &str = "\
The stream of --source rtp is synthetic: H264 in structure (parameter sets, an IDR picture of 67 KB \
every two seconds, P pictures that fill the rest, RFC 6184 packets of at most 1,200 bytes), noise inside \
the slices, with 50 Opus packets of 120 bytes a second beside it. No decoder could show it.

One viewer in sixteen, and the first two, decrypt media; the others do everything else that they do (ICE, \
DTLS, RTCP with transport-wide feedback, receiver reports and NACKs), and count and drop media. The output \
says how many were which. A packet's arrival is the kernel's time stamp.

With --against two servers run at once, each with its own feeder and viewers: the `visavis` beside this program (or \
VISAVIS_BIN) and the one named. Each round prints the CPU time of both per viewer-second and the ratio this / other; \
the last line is the median of the ratios. Try a build against a copy of itself first: that is the noise of the \
machine.

With --source rtp a frame is pushed just before its first packet is sent to the server; with --source \
live at its capture time, which the server announces in milliseconds.";

/// Viewers of each server with --against, where no number is given.
const AGAINST_VIEWERS: usize = 100;

/// Cost, memory and latency of one server against its number of viewers.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Numbers of viewers, each measured with a fresh server [default: 1,10,100,200,500,1000; 100 with --against]
    #[arg(long, value_delimiter = ',', value_parser = viewers)]
    viewers: Vec<usize>,
    /// Seconds to measure, after all have joined and a warm-up.
    #[arg(long, default_value_t = 20.0, value_parser = positive)]
    seconds: f64,
    /// Seconds of warm-up.
    #[arg(long, default_value_t = 3.0, value_parser = positive)]
    warm_up: f64,
    /// Where the server's media comes from: an encoded stream over its RTP input, or its own encoder.
    #[arg(long, value_enum, default_value_t = SourceArg::Rtp)]
    source: SourceArg,
    /// Bitrate of the video in kbit/s.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(64..=50_000))]
    bitrate: u32,
    /// One viewer in this many decrypts media, and the first two.
    #[arg(long, default_value_t = 16, value_parser = viewers)]
    decrypt_one_in: usize,
    /// One more argument for the server; repeat for several.
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    server_arg: Vec<OsString>,
    /// Instead: compare with this other build of the server, both running at the same time under equal load.
    #[arg(long, value_name = "VISAVIS", conflicts_with_all = ["join_while_watching", "churn", "plot"])]
    against: Option<PathBuf>,
    /// Rounds of --against; which server starts first changes from round to round.
    #[arg(long, default_value_t = 6, requires = "against", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    rounds: u16,
    /// Instead: 100 viewers watch, 100 more join within a second; measures the frame gaps of those who watch.
    #[arg(long, conflicts_with_all = ["viewers", "seconds", "churn", "plot"])]
    join_while_watching: bool,
    /// Instead: this many viewers come and leave per second around 100 who stay; measures the server's memory.
    #[arg(long, value_name = "RATE", conflicts_with_all = ["viewers", "seconds", "plot"], value_parser = positive)]
    churn: Option<f64>,
    /// Minutes of --churn.
    #[arg(long, default_value_t = 10.0, requires = "churn", value_parser = positive)]
    minutes: f64,
    /// Draw cost against the number of viewers into this file.
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SourceArg {
    Rtp,
    Live,
}

impl Args {
    /// Runs the requested measurements and prints the results.
    ///
    /// # Errors
    ///
    /// When the server does not start, its viewers do not all get a picture, or a file cannot be
    /// written.
    pub fn run(self) -> Result<(), Error> {
        let options = self.options();
        if self.join_while_watching {
            let report = join::run(&options)?;
            return print(self.json, &report, || report.table());
        }
        if let Some(rate) = self.churn {
            let report = churn::run(&options, rate, self.minutes)?;
            return print(self.json, &report, || report.table());
        }
        if let Some(other) = &self.against {
            let report = against::run(&options, other, self.rounds.into(), &mut progress)?;
            return print(self.json, &report, || report.table());
        }
        let report = run(&options, &mut progress)?;
        if let Some(file) = &self.plot {
            report.plot(file)?;
        }
        print(self.json, &report, || report.table())
    }

    fn options(&self) -> Options {
        Options {
            viewers: match (&self.viewers[..], &self.against) {
                ([], None) => Options::default().viewers,
                ([], Some(_)) => vec![AGAINST_VIEWERS],
                (viewers, _) => viewers.to_vec(),
            },
            duration: Duration::from_secs_f64(self.seconds),
            warm_up: Duration::from_secs_f64(self.warm_up),
            source: match self.source {
                SourceArg::Rtp => Source::Rtp,
                SourceArg::Live => Source::Live,
            },
            bitrate_kbps: self.bitrate,
            decrypt_one_in: self.decrypt_one_in,
            server_args: self.server_arg.clone(),
            binary: None,
        }
    }
}

fn positive(text: &str) -> Result<f64, String> {
    number(text, 0.1, 10_000.0)
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
        let words = std::iter::once("fanout").chain(line.split_ascii_whitespace());
        Cli::try_parse_from(words).map(|cli| cli.args.options())
    }

    #[test]
    fn what_is_not_said_is_as_documented() {
        let options = parse("").unwrap();
        let default = Options::default();
        assert_eq!(options.viewers, default.viewers);
        assert_eq!(options.duration, default.duration);
        assert_eq!(options.warm_up, default.warm_up);
        assert_eq!((options.source, options.bitrate_kbps), (default.source, default.bitrate_kbps));
        assert_eq!(options.decrypt_one_in, default.decrypt_one_in);
    }

    #[test]
    fn lists_and_sources_are_read_and_nonsense_is_refused() {
        let options =
            parse("--viewers 5,50 --source live --server-arg --loops --server-arg 2").unwrap();
        assert_eq!(options.viewers, [5, 50]);
        assert_eq!(options.source, Source::Live);
        assert_eq!(options.server_args, ["--loops", "2"]);
        assert_eq!(parse("--against visavis --rounds 3").unwrap().viewers, [100]);
        assert_eq!(parse("--against visavis --viewers 5").unwrap().viewers, [5]);
        for line in [
            "--viewers 0",
            "--viewers ten",
            "--seconds 0",
            "--bitrate 1",
            "--source tape",
            "--minutes 5",
            "--churn -1",
            "--join-while-watching --churn 20",
            "--rounds 3",
            "--against visavis --churn 20",
            "--against visavis --rounds 0",
        ] {
            assert!(parse(line).is_err(), "{line} was taken");
        }
    }
}
