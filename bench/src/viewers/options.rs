use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use crate::mark::PushLog;
use crate::signaling::Protocol;

/// The video codec a viewer is able to decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VideoCodec {
    /// H264 only.
    H264,
    /// VP8 only.
    Vp8,
}

/// What the viewers do.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address of the page, as the server prints it: `http://host:port/`, with `?session=ID` where a
    /// session other than the default one is watched.
    pub url: String,
    /// If set, each viewer watches a different session: this name with a number appended, counted from 0. The URL then has
    /// no session.
    pub session_prefix: Option<String>,
    /// How many.
    pub count: usize,
    /// How long, from the first connection. A [`Swarm`](super::Swarm) can be ended before.
    pub duration: Duration,
    /// Time between one viewer's start and the next one's.
    pub spacing: Duration,
    /// Decode only this codec; any otherwise.
    pub codec: Option<VideoCodec>,
    /// Leave without closing: sockets are dropped without DTLS close_notify, RTCP BYE or WebSocket close.
    pub vanish: bool,
    /// The signaling protocol of the server.
    pub protocol: Protocol,
    /// Which viewers decrypt media; the others count and time its packets, and drop them.
    pub decrypt: Decrypt,
    /// Local addresses that their signaling comes from, in turn; where there are none, the system chooses.
    pub sources: Vec<Ipv4Addr>,
    /// Where pushes of marked frames are noted; without it frames are timed from their capture time.
    pub(crate) marks: Option<Arc<PushLog>>,
}

/// Which viewers decrypt media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decrypt {
    /// All of them.
    All,
    /// The first two, and one in this many.
    Sample(usize),
}

impl Options {
    /// `count` viewers that start at once, take what they are given and stay until they are ended.
    pub fn new(url: impl Into<String>, count: usize) -> Self {
        Self {
            url: url.into(),
            session_prefix: None,
            count,
            duration: Duration::from_secs(24 * 3_600),
            spacing: Duration::ZERO,
            codec: None,
            vanish: false,
            protocol: Protocol::Visavis,
            decrypt: Decrypt::All,
            sources: Vec::new(),
            marks: None,
        }
    }
}
