/// What the server under attack does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerMode {
    /// It passes on an encoded stream that it receives as RTP.
    RtpInput,
    /// It encodes the demo face, which repeats the visitors' speech.
    Echo,
}

impl ServerMode {
    /// Its name in reports.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::RtpInput => "RTP input",
            Self::Echo => "an encoder and --echo",
        }
    }
}
