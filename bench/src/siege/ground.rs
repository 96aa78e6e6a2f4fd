/// What a server is started with for an attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// It passes on an encoded stream that comes as RTP.
    Encoded,
    /// It encodes a face that says what visitors say.
    Echo,
}

impl Ground {
    /// What its viewers see, in words.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Encoded => "RTP input",
            Self::Echo => "an encoder and --echo",
        }
    }
}
