//! The naive str0m loop of `visavis-bench peers`, fed with the talking face.

use std::process::Command;
use std::time::Duration;

use crate::process::Process;
use crate::{Error, find_binary, peers};

/// Painting the portrait is quick; a busy machine is what takes time.
const READY_DEADLINE: Duration = Duration::from_secs(30);

/// The loop, and who encodes for it. Both end when this is dropped.
#[derive(Debug)]
pub(super) struct Naive {
    _face: Process,
    server: peers::Running,
}

impl Naive {
    /// Starts both.
    pub(super) fn start() -> Result<Self, Error> {
        let server = peers::ServerKind::Naive.start(1)?;
        let Some(inputs) = server.inputs else {
            return Err(server.process.failed("does not say where it takes RTP"));
        };
        let package = "visavis-cli --example encoded_face";
        let mut face =
            Command::new(find_binary("examples/encoded_face", package, "VISAVIS_FACE_BIN")?);
        face.arg(inputs.video.to_string()).arg(inputs.audio.to_string());
        let (face, _) = Process::start_until_ready(&mut face, READY_DEADLINE)?;
        Ok(Self { _face: face, server })
    }

    /// Address of the page.
    pub(super) fn url(&self) -> &str {
        &self.server.url
    }
}
