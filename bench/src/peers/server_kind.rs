use std::process::Command;
use std::time::Duration;

use super::running::Running;
use super::{aiortc, install, janus, network};
use crate::process::Process;
use crate::{Error, find_binary};

const READY_DEADLINE: Duration = Duration::from_secs(30);

/// A server under the same load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerKind {
    /// This project's.
    Visavis,
    /// The str0m loop of `bench/examples/naive.rs`.
    Naive,
    /// Janus' streaming plugin with `event_loops = 1`.
    JanusTuned,
    /// Janus' streaming plugin with a thread for each viewer, as shipped.
    JanusShipped,
    /// aiortc relaying what is encoded already.
    Aiortc,
    /// aiortc encoding for every viewer.
    AiortcEncoding,
}

impl ServerKind {
    /// All, in the order in which they are measured; the first is what the others are compared with.
    pub const ALL: [Self; 6] = [
        Self::Visavis,
        Self::Naive,
        Self::JanusTuned,
        Self::JanusShipped,
        Self::Aiortc,
        Self::AiortcEncoding,
    ];

    /// Its name on the command line and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Visavis => "visavis",
            Self::Naive => "naive",
            Self::JanusTuned => "janus",
            Self::JanusShipped => "janus-shipped",
            Self::Aiortc => "aiortc",
            Self::AiortcEncoding => "aiortc-encoding",
        }
    }

    /// Its name for people.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Visavis => "visavis",
            Self::Naive => "naive str0m loop",
            Self::JanusTuned => "Janus, event_loops = 1",
            Self::JanusShipped => "Janus as shipped",
            Self::Aiortc => "aiortc, pre-encoded",
            Self::AiortcEncoding => "aiortc, encoding per viewer",
        }
    }

    /// Installs it, unless it is there.
    pub(super) fn install(self) -> Result<(), Error> {
        match self {
            Self::Visavis | Self::Naive => Ok(()),
            Self::JanusTuned | Self::JanusShipped => install::debian("janus", "janus"),
            Self::Aiortc | Self::AiortcEncoding => aiortc::install(),
        }
    }

    /// Starts it, for that many viewers at most.
    ///
    /// # Errors
    ///
    /// When it is not built or not installed, or not ready in time.
    pub(crate) fn start(self, viewers: usize) -> Result<Running, Error> {
        if self.needs_own_network() && !network::is_inside() {
            return Err(Error::Server(
                "it announces no loopback address, and there is no network of the bench's own"
                    .to_owned(),
            ));
        }
        match self {
            Self::Visavis => {
                let mut command =
                    Command::new(find_binary("visavis", "visavis-cli", "VISAVIS_BIN")?);
                command.args(["serve", "--json", "--listen", "127.0.0.1:0"]);
                command.args(["--rtp-video", "127.0.0.1:0", "--rtp-video-codec", "h264"]);
                command.args(["--rtp-audio", "127.0.0.1:0"]);
                command.arg("--max-clients").arg(viewers.to_string());
                ready(&mut command)
            }
            Self::Naive => {
                let package = "visavis-bench --example naive";
                ready(&mut Command::new(find_binary(
                    "examples/naive",
                    package,
                    "VISAVIS_NAIVE_BIN",
                )?))
            }
            Self::JanusTuned => janus::start(janus::EventLoops::One),
            Self::JanusShipped => janus::start(janus::EventLoops::PerViewer),
            Self::Aiortc => aiortc::start(aiortc::Mode::Preencoded),
            Self::AiortcEncoding => aiortc::start(aiortc::Mode::Encoding),
        }
    }

    const fn needs_own_network(self) -> bool {
        !matches!(self, Self::Visavis | Self::Naive)
    }
}

fn ready(command: &mut Command) -> Result<Running, Error> {
    let (process, ready) = Process::start_until_ready(command, READY_DEADLINE)?;
    Running::from_ready(process, &ready, None)
}
