/// Which way media flows, seen from the side that wrote the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Direction {
    pub(crate) sends: bool,
    pub(crate) receives: bool,
}

impl Direction {
    /// What it means to say nothing (RFC 3264 §5.1).
    pub(super) const DEFAULT: Self = Self { sends: true, receives: true };

    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "sendrecv" => Self::DEFAULT,
            "sendonly" => Self { sends: true, receives: false },
            "recvonly" => Self { sends: false, receives: true },
            "inactive" => Self { sends: false, receives: false },
            _ => return None,
        })
    }

    pub(super) const fn name(self) -> &'static str {
        match (self.sends, self.receives) {
            (true, true) => "sendrecv",
            (true, false) => "sendonly",
            (false, true) => "recvonly",
            (false, false) => "inactive",
        }
    }
}
