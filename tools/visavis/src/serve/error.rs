//! Why the program ends other than by a signal, and with what exit code.

use std::error::Error;
use std::io;
use std::net::SocketAddr;

use visavis::encoder::NvencError;
use visavis::engine::StartError;
use visavis::faults::FatalFault;
use visavis::rtp_input::RtpInputError;
use visavis::session::SessionError;
use visavis_film::idle::IdleFileError;
use visavis_signaling::SignalingError;

use crate::echo::EchoError;
use crate::log::LogError;
use crate::source::SourceError;
use crate::timecode;

/// `EX_SOFTWARE` of sysexits.h.
const EXIT_FAULT: u8 = 70;

/// Why the program ended other than by a signal.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The log was not started.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The source of the media was not opened, or has failed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// An idle loop was not opened.
    #[error("--idle: {0}")]
    Idle(#[from] IdleFileError),
    /// The echo was not started.
    #[error("cannot start the echo: {0}")]
    Echo(#[from] EchoError),
    /// The picture is too small for the timecode.
    #[error("--timecode: {0}")]
    Timecode(#[from] timecode::TooSmall),
    /// The UDP port is taken.
    #[error(
        "UDP {0} is in use by another program; stop it, or choose another with --udp (port 0: any)"
    )]
    UdpInUse(SocketAddr),
    /// There is no NVENC.
    #[error("--encoder nvenc: {0}")]
    Nvenc(NvencError),
    /// The engine did not start.
    #[error(transparent)]
    Engine(StartError),
    /// The RTP input did not start.
    #[error("{0}; choose another port with --rtp-video and --rtp-audio (port 0: any)")]
    Rtp(#[from] RtpInputError),
    /// The session was not created.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The TCP port is taken.
    #[error(
        "TCP {0} is in use by another program, perhaps another visavis; stop it, or choose another \
         with --listen (port 0: any)"
    )]
    TcpInUse(SocketAddr),
    /// The signaling server did not start.
    #[error(transparent)]
    Signaling(SignalingError),
    /// The system refused something small: a thread, a signal handler.
    #[error("cannot {0}: {1}")]
    System(&'static str, io::Error),
    /// A part that everything depends on has ended by a bug of the program.
    #[error(transparent)]
    Fault(#[from] FatalFault),
    /// The source has ended without a reason: by a bug of the program.
    #[error("the media source has ended by a fault")]
    SourceFault,
}

impl ServeError {
    /// The exit code of the process: 70 (`EX_SOFTWARE` of sysexits.h) where the program itself is at fault, so that
    /// its supervisor starts it again; 1 otherwise.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Fault(_) | Self::SourceFault => EXIT_FAULT,
            _ => 1,
        }
    }

    /// The engine did not start.
    pub(super) fn of_engine(error: StartError) -> Self {
        match error {
            StartError::Bind { addr, source } if is_in_use(&source) => Self::UdpInUse(addr),
            StartError::Nvenc(reason) => Self::Nvenc(reason),
            other => Self::Engine(other),
        }
    }

    /// The signaling server did not start on `listen`.
    pub(super) fn of_signaling(error: SignalingError, listen: SocketAddr) -> Self {
        if caused_by_taken_port(&error) { Self::TcpInUse(listen) } else { Self::Signaling(error) }
    }
}

/// Whether an error, or one of its causes, is a port that is taken.
fn caused_by_taken_port(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<io::Error>().is_some_and(is_in_use) {
            return true;
        }
        next = error.source();
    }
    false
}

fn is_in_use(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_recognised_behind_other_errors() {
        let taken = io::Error::from(io::ErrorKind::AddrInUse);
        let addr = "0.0.0.0:1".parse().unwrap();
        assert!(caused_by_taken_port(&StartError::Bind { addr, source: taken }));
        assert!(!caused_by_taken_port(&StartError::Certificate));
    }
}
