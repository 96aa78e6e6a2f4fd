/// Why data gave no sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mp3Error {
    /// No whole frame in it.
    #[error("{0} bytes without a whole MP3 frame")]
    NoFrame(usize),
    /// There are frames, none of which can be decoded.
    #[error("MP3 frames that are damaged")]
    Corrupt,
    /// Frames of different rates or numbers of channels in one chunk.
    #[error("an MP3 chunk that changes from {0} to {1} Hz, or between mono and stereo")]
    Mixed(u32, u32),
    /// A build without the cargo feature `mp3`.
    #[error("no MP3: this build lacks the cargo feature `mp3`")]
    NotBuilt,
}

/// What a chunk was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mp3Sound {
    /// In Hz.
    pub sample_rate: u32,
    /// 1 or 2.
    pub channels: u16,
}
