/// Whose pictures are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerKind {
    /// This project's, with its talking face.
    Visavis,
    /// The avatar server of `visavis-bench avatar` on aiortc, with the bitrate control that aiortc has.
    Aiortc,
    /// The naive str0m loop of `visavis-bench peers`, with the talking face encoded once, as H264 at a constant bitrate.
    Naive,
}

impl ServerKind {
    /// All, in the order in which they are measured.
    pub const ALL: [Self; 3] = [Self::Visavis, Self::Aiortc, Self::Naive];

    /// Its name on the command line and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Visavis => "visavis",
            Self::Aiortc => "aiortc",
            Self::Naive => "naive",
        }
    }
}
