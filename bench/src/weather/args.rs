//! The arguments on the command line.

use std::path::PathBuf;
use std::time::Duration;

use super::scenarios::SCENARIOS;
use super::{Options, ServerKind, run};
use crate::Error;
use crate::cli::{Codec, check, print, seconds};

/// What a viewer sees behind networks of all kinds, in a real Chromium.
///
/// Starts the server with its talking face, and puts a relay with a seeded link between it and headless Chromium: losses,
/// outages, less bandwidth and more. Server, relay and browser share this machine. Others may be watched beside it:
/// aiortc, the avatar server of `visavis-bench avatar` with the bitrate control that aiortc has; and naive, the str0m loop
/// of `visavis-bench peers`, which passes on the same face at a constant bitrate, with a keyframe where the browser asks
/// for one. Both show H264 whatever --codec says.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Seconds of each scenario, from the first picture on.
    #[arg(long, default_value_t = 60.0, value_parser = seconds)]
    seconds: f64,
    /// Video codec.
    #[arg(long, value_enum, default_value_t = Codec::H264)]
    codec: Codec,
    /// Scenarios to run, such as steps,loss-10; all by default.
    #[arg(long, value_delimiter = ',', value_parser = SCENARIOS.map(|scenario| scenario.name))]
    only: Vec<String>,
    /// Whose pictures to watch, such as visavis,aiortc,naive; aiortc is installed from PyPI beside the builds, naive needs
    /// `cargo build --release --workspace --examples`.
    #[arg(long, value_delimiter = ',', default_value = "visavis", value_parser = ServerKind::ALL.map(ServerKind::name))]
    servers: Vec<String>,
    /// Give the viewer a session of its own, whose encoder follows its network.
    #[arg(long)]
    private: bool,
    /// Draws losses: the same ones in each run with the same number.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Fail when the figures are outside the limits this project promises on a quiet machine.
    #[arg(long)]
    check: bool,
    /// Draw bitrate, latency and width of the picture over time: an SVG file of each scenario in this folder.
    #[arg(long, value_name = "FOLDER")]
    plot: Option<PathBuf>,
    /// Print JSON, with what was counted ten times a second, instead of a table.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Measures and prints the report.
    ///
    /// # Errors
    ///
    /// When the server or the browser fails; with `--check` also when a limit is exceeded.
    pub fn run(self) -> Result<(), Error> {
        let wanted = |name: &str| self.only.is_empty() || self.only.iter().any(|only| only == name);
        let served = |name: &str| self.servers.iter().any(|server| server == name);
        let report = run(&Options {
            length: Duration::from_secs_f64(self.seconds),
            codec: self.codec.name().to_owned(),
            scenarios: SCENARIOS.into_iter().filter(|scenario| wanted(scenario.name)).collect(),
            servers: ServerKind::ALL.into_iter().filter(|kind| served(kind.name())).collect(),
            private: self.private,
            seed: self.seed,
        })?;
        if let Some(folder) = &self.plot {
            report.plot(folder)?;
        }
        print(self.json, &report, || report.table())?;
        check(self.check, report.missed())
    }
}
