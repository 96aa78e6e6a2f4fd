use visavis_types::{PeerId, UnixMillis, setters};

/// A piece of what a viewer says: mono, and as long as its packets are, usually 20 ms.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MicChunk {
    /// Whose it is.
    pub peer: PeerId,
    /// Samples, mono.
    pub samples: Vec<i16>,
    /// Their rate: [`SessionConfig::microphone_rate`](crate::SessionConfig::microphone_rate).
    pub sample_rate: u32,
    /// When the first sample was captured, as far as its arrival tells.
    pub captured: UnixMillis,
    /// It was lost on the way, and is made up from what was around it.
    pub concealed: bool,
}

impl MicChunk {
    /// What a viewer says now: for tests of what listens. The engine makes its own.
    pub fn new(peer: PeerId, samples: Vec<i16>, sample_rate: u32) -> Self {
        Self { peer, samples, sample_rate, captured: UnixMillis::now(), concealed: false }
    }

    setters! {
        captured: UnixMillis,
        concealed: bool,
    }
}

/// Called with each chunk.
pub(super) type Callback = Box<dyn FnMut(&MicChunk) + Send>;
