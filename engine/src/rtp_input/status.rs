use visavis_core::rtp::receive::{RtpCounters, RtpFault};

/// What became of the packets so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RtpInputStatus {
    /// Of the video stream.
    pub video: RtpStreamStatus,
    /// Of the audio stream.
    pub audio: RtpStreamStatus,
}

/// One of the two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RtpStreamStatus {
    /// What became of its packets.
    pub counters: RtpCounters,
    /// Why nothing of it can be shown or heard, or not by all viewers: as of the last packets. Its text
    /// names the option of the sender that helps, and is in the log as well.
    pub fault: Option<RtpFault>,
}
