//! RTP that comes from an encoder (ffmpeg, GStreamer) instead of going to a viewer: put in order, put
//! together into access units, and placed on the clock. And the microphones of viewers, put in order.
//!
//! Like all of this crate it is sans-IO: datagrams and time come in, access units and packets go out.
//! A sender is trusted to be one at a time and to send what it says, but nothing it sends can do more
//! than cost its own stream some frames.

mod audio;
mod clock;
mod depacketize;
mod fault;
mod feedback;
mod microphone;
mod packet;
mod red;
mod reorder;
mod sequencer;
mod unexpected_media;
mod video;

pub use audio::{AudioReceiver, ReceivedPacket};
pub use clock::{Kind, MediaClock};
pub use fault::{ExpectedMedia, RtpFault};
pub use feedback::Wanted;
pub use microphone::{MicPacket, MicReceiver, MicTurn};
pub use packet::{SenderReport, is_rtcp, sender_reports};
pub(crate) use red::primary;
pub use sequencer::RtpCounters;
pub use unexpected_media::UnexpectedMedia;
pub use video::{ReceivedUnit, VideoReceiver};
