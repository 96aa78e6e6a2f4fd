//! The arguments on the command line.

use visavis_types::VideoCodec;

use super::{Options, run};
use crate::Error;
use crate::cli::print;

/// Cost of encoding: each codec at 512x512, 720p and 1080p, on one core, and the conversion before it.
///
/// Times one picture after another on this thread, in software.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Number of pictures, for each codec and size.
    #[arg(long, default_value_t = 240, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    frames: u32,
    /// Only this codec: H264, VP8, VP9, or AV1 in a build with the feature `av1` [default: all].
    #[arg(long)]
    codec: Option<VideoCodec>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Measures and prints the report.
    ///
    /// # Errors
    ///
    /// When an encoder cannot be opened or fails.
    pub fn run(self) -> Result<(), Error> {
        let report = run(&Options { frames: self.frames, codec: self.codec })?;
        print(self.json, &report, || report.table())
    }
}
