use std::time::Instant;

/// The moments of a frame's life that are stamped, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The caller pushed it.
    Pushed,
    /// The encode loop took it out of the mailbox.
    Taken,
    /// It is planar YUV now.
    Converted,
    /// It is an access unit now.
    Encoded,
    /// It is a row of RTP payloads now.
    Packetized,
    /// Its last packet to the first viewer was handed to the kernel.
    FirstSent,
    /// Its last packet to the last viewer was handed to the kernel.
    LastSent,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Self; 7] = [
        Self::Pushed,
        Self::Taken,
        Self::Converted,
        Self::Encoded,
        Self::Packetized,
        Self::FirstSent,
        Self::LastSent,
    ];

    /// The name under which the stage appears in `/status`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pushed => "pushed",
            Self::Taken => "taken",
            Self::Converted => "converted",
            Self::Encoded => "encoded",
            Self::Packetized => "packetized",
            Self::FirstSent => "firstSent",
            Self::LastSent => "lastSent",
        }
    }
}

/// When a frame passed each [`Stage`].
#[derive(Debug, Clone, Copy)]
pub struct Stamps([Option<Instant>; Stage::ALL.len()]);

impl Stamps {
    /// Starts a frame's life.
    pub const fn pushed(at: Instant) -> Self {
        let mut stamps = [None; Stage::ALL.len()];
        stamps[0] = Some(at);
        Self(stamps)
    }

    /// Notes that the frame passed a stage.
    pub const fn set(&mut self, stage: Stage, at: Instant) {
        self.0[stage as usize] = Some(at);
    }

    /// When the frame passed a stage, if it has.
    pub const fn get(&self, stage: Stage) -> Option<Instant> {
        self.0[stage as usize]
    }
}
