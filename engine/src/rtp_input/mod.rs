//! RTP from an encoder as the source of a session: what ffmpeg's and GStreamer's RTP outputs send.
//!
//! Each [`RtpInput`] has a thread of its own, which ends when it is dropped.
//!
//! ```no_run
//! use visavis::rtp_input::{RtpInput, RtpInputConfig};
//! use visavis::video::VideoCodec;
//! use visavis::{Engine, EngineConfig, SessionConfig};
//!
//! let engine = Engine::start(EngineConfig::default())?;
//! let session = engine.create_session(SessionConfig::default().encoded(VideoCodec::H264))?;
//! session.start();
//! let local = |port: u16| std::net::SocketAddr::from(([127, 0, 0, 1], port));
//! let config = RtpInputConfig::default().video(local(5_004)).audio(local(5_006));
//! let input = RtpInput::start(&session, config)?;
//! if let Some(fault) = input.status().video.fault {
//!     eprintln!("nothing can be shown: {fault}");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod fault_log;
mod feedback;
mod receive_loop;
pub(crate) mod status;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
pub use visavis_core::rtp::receive::{ExpectedMedia, RtpCounters, RtpFault, UnexpectedMedia};

use arc_swap::ArcSwap;
use visavis_core::rtp::receive::{AudioReceiver, VideoReceiver};
use visavis_net::RtpSockets;
use visavis_types::setters;

use self::receive_loop::{AudioLane, ReceiveLoop, VideoLane};
pub use self::status::{RtpInputStatus, RtpStreamStatus};
use crate::session::Session;

/// Where RTP is taken, and which.
///
/// Whoever can send to these addresses can put pictures into the session: listen on loopback or on a
/// network that is trusted.
///
/// For each field there is a method of the same name that sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RtpInputConfig {
    /// For video of the session's [`encoded`](crate::SessionConfig::encoded) codec. Port 0 lets the
    /// system choose. RTCP is taken at the port above, if that is free, and at this one.
    /// Default: `None`, no video.
    pub video: Option<SocketAddr>,
    /// The video's payload type; `None`: that of the first packet. Default: `None`.
    pub video_payload_type: Option<u8>,
    /// Where the video's sender takes RTCP: how its packets arrive, once a second; requests for keyframes (PLI, RFC 4585);
    /// and with [`adaptive_encoder`](crate::SessionConfig::adaptive_encoder) the bitrate that is wanted (REMB). `None`: where
    /// its own reports come from (RFC 4961), and nowhere if it sends none. Default: `None`.
    pub video_feedback: Option<SocketAddr>,
    /// For Opus. Default: `None`, no audio.
    pub audio: Option<SocketAddr>,
    /// The audio's payload type; `None`: that of the first packet. Default: `None`.
    pub audio_payload_type: Option<u8>,
}

impl RtpInputConfig {
    setters! {
        into video: Option<SocketAddr>,
        into video_payload_type: Option<u8>,
        into video_feedback: Option<SocketAddr>,
        into audio: Option<SocketAddr>,
        into audio_payload_type: Option<u8>,
    }
}

/// Why RTP cannot be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RtpInputError {
    /// The session was not made for encoded pictures.
    #[error("RTP video goes into a session of encoded pictures only")]
    RawSession,
    /// A socket could not be opened.
    #[error("cannot listen for RTP on udp {addr}: {source}")]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A poller or thread could not be made.
    #[error("cannot start to receive RTP: {0}")]
    Io(#[from] io::Error),
}

/// Receives RTP and pushes what is in it into a session, on a thread of its own. Dropping it ends
/// that.
///
/// Packets are put in order; an access unit goes on at its marker bit. What does not decode because
/// something before it was lost is left out up to the next keyframe; the last picture stays meanwhile. The
/// sender is asked for one over RTCP when viewers need it. Many take no RTCP, such as ffmpeg: these should make a keyframe
/// every second or two, as viewers that join wait for the next.
///
/// What viewers cannot show (B frames, keyframes without parameter sets, another codec) is not sent to
/// them, and named within a second in the log and in [`status`](Self::status), with the option of ffmpeg
/// or GStreamer that helps. A sender that is started again may do so at once.
#[derive(Debug)]
#[must_use = "RTP is taken no longer when this is dropped"]
pub struct RtpInput {
    video: Option<SocketAddr>,
    audio: Option<SocketAddr>,
    status: Arc<ArcSwap<RtpInputStatus>>,
    stopping: Arc<AtomicBool>,
    waker: mio::Waker,
    thread: Option<JoinHandle<()>>,
}

impl RtpInput {
    /// Opens the sockets and starts the thread.
    ///
    /// # Errors
    ///
    /// [`RtpInputError::RawSession`] where video goes into a session without
    /// [`encoded`](crate::SessionConfig::encoded); the others are failures of the system.
    pub fn start(session: &Session, config: RtpInputConfig) -> Result<Self, RtpInputError> {
        let codec = session.encoded_codec();
        if config.video.is_some() && codec.is_none() {
            return Err(RtpInputError::RawSession);
        }
        let bind = |addr: SocketAddr| {
            RtpSockets::bind(addr).map_err(|source| RtpInputError::Bind { addr, source })
        };
        let video_sockets = config.video.map(bind).transpose()?;
        let audio_sockets = config.audio.map(bind).transpose()?;
        let local = |sockets: &RtpSockets| sockets.rtp.local_addr();
        let video = video_sockets.as_ref().map(local);
        let audio = audio_sockets.as_ref().map(local);
        let video_lane = codec.map(|codec| {
            let receiver = VideoReceiver::new(codec, config.video_payload_type);
            VideoLane::new(receiver, session.encoded_video(), config.video_feedback)
        });
        let audio_lane =
            AudioLane::new(AudioReceiver::new(config.audio_payload_type), session.audio());
        let status = session.rtp_status();
        let stopping = Arc::new(AtomicBool::new(false));
        let (receive_loop, waker) = ReceiveLoop::new(
            [video_sockets, audio_sockets],
            video_lane,
            audio_lane,
            Arc::clone(&status),
            Arc::clone(&stopping),
            (session.id().clone(), Arc::clone(session.faults())),
        )?;
        let thread =
            thread::Builder::new().name("visavis-rtp".to_owned()).spawn(|| receive_loop.run())?;
        tracing::info!(?video, ?audio, "taking RTP");
        Ok(Self { video, audio, status, stopping, waker, thread: Some(thread) })
    }

    /// Where video is taken, with the port the system chose.
    pub fn video_addr(&self) -> Option<SocketAddr> {
        self.video
    }

    /// Where audio is taken, with the port the system chose.
    pub fn audio_addr(&self) -> Option<SocketAddr> {
        self.audio
    }

    /// What became of the packets so far, and what is wrong with them; up to a quarter of a second old. The
    /// same as [`SessionStatus::rtp_input`](crate::status::SessionStatus::rtp_input).
    pub fn status(&self) -> RtpInputStatus {
        **self.status.load()
    }
}

impl Drop for RtpInput {
    fn drop(&mut self) {
        self.stopping.store(true, Relaxed);
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
