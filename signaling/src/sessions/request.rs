//! The body of a request to create a session.

use visavis::video::FrameSize;

/// A request for a session, as a client made it with `POST /webrtc/sessions/create`. What it leaves open is as
/// [`SessionApi::template`](crate::SessionApi::template) has it.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CreateRequest {
    /// Its id; default: one that cannot be guessed.
    pub id: Option<String>,
    /// Which of [`SessionApi::idle_loops`](crate::SessionApi::idle_loops) it shows.
    pub idle: Option<String>,
    /// Video codecs in order of preference, by name.
    pub video_codec: Option<Vec<String>>,
    /// Audio codecs in order of preference, by name.
    pub audio_codec: Option<Vec<String>>,
    /// What all pictures are scaled to.
    pub size: Option<FrameSize>,
    /// Frames per second, 1 to 120.
    pub fps: Option<u32>,
    /// Target rate of the video in bit/s.
    pub video_bitrate: Option<u64>,
    /// The least rate that the video of a viewer with a slow network gets, in bit/s.
    pub min_video_bitrate: Option<u64>,
    /// The smaller pictures that it gets, as [`RungConfig`](visavis::video::RungConfig) is written.
    pub rungs: Option<Vec<String>>,
    /// Target rate of the audio in bit/s.
    pub audio_bitrate: Option<u64>,
    /// Milliseconds of sound in one packet, 10 or 20.
    pub packet_ms: Option<u64>,
    /// How long, in milliseconds, the last picture stays before the idle loop is shown.
    pub idle_grace_ms: Option<u64>,
    /// Viewers at once.
    pub max_viewers: Option<usize>,
    /// For one viewer alone.
    pub private: Option<bool>,
    /// How long it lives, watched or not.
    pub lifetime_seconds: Option<u64>,
    /// How long it lives without viewers.
    pub idle_timeout_seconds: Option<u64>,
    /// Nobody has asked: a visitor came who named no session
    /// ([`SessionApi::per_visitor`](crate::SessionApi::per_visitor)).
    pub for_visitor: bool,
    /// For the application: a JSON object, as text. It is passed to its hook, and not shown to other clients.
    pub metadata: Option<String>,
}
