/// Whose pictures are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerKind {
    /// This project's, with its talking face.
    Visavis,
    /// The avatar server of `visavis-bench avatar` on aiortc, with the bitrate control that aiortc has.
    Aiortc,
}

impl ServerKind {
    /// All, in the order in which they are measured.
    pub const ALL: [Self; 2] = [Self::Visavis, Self::Aiortc];

    /// Its name on the command line and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Visavis => "visavis",
            Self::Aiortc => "aiortc",
        }
    }
}
