use std::net::SocketAddr;

use serde_json::Value;
use tempfile::TempDir;

use crate::Error;
use crate::process::Process;
use crate::signaling::Protocol;

/// A server that has been started and is ready for viewers.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) process: Process,
    /// Address of the page or the API, as viewers want it.
    pub(crate) url: String,
    pub(super) protocol: Protocol,
    /// Where it wants its RTP; nothing where it makes its own media.
    pub(crate) inputs: Option<Inputs>,
    /// Its files, which live as long as it does.
    pub(super) _files: Option<TempDir>,
}

/// Addresses that take RTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inputs {
    pub(crate) video: SocketAddr,
    pub(crate) audio: SocketAddr,
}

impl Running {
    /// A server with the signaling of visavis, from the line it printed when it was ready: `url`, and
    /// `rtpVideo` and `rtpAudio` where it takes RTP.
    ///
    /// # Errors
    ///
    /// When the line has no `url`, or an address is none.
    pub(super) fn from_ready(
        process: Process,
        ready: &Value,
        files: Option<TempDir>,
    ) -> Result<Self, Error> {
        let Some(url) = ready.get("url").and_then(Value::as_str) else {
            return Err(process.failed("has no url"));
        };
        let inputs = match (address(ready, "rtpVideo")?, address(ready, "rtpAudio")?) {
            (Some(video), Some(audio)) => Some(Inputs { video, audio }),
            _ => None,
        };
        Ok(Self {
            process,
            url: url.to_owned(),
            protocol: Protocol::Visavis,
            inputs,
            _files: files,
        })
    }
}

fn address(ready: &Value, name: &str) -> Result<Option<SocketAddr>, Error> {
    let Some(text) = ready.get(name).and_then(Value::as_str) else { return Ok(None) };
    let address = text.parse();
    Ok(Some(address.map_err(|_| Error::Server(format!("{name} is {text}, not an address")))?))
}
