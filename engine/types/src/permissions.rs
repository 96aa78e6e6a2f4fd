use crate::setters;

/// What of a viewer's is taken. What the viewer is sent does not depend on it.
///
/// For each field there is a method of the same name that sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerPermissions {
    /// Its microphone. Without it answers say that no sound is received, and what comes all the same is dropped.
    /// Default: `true`.
    pub microphone: bool,
    /// Its messages on data channels. Without it they are dropped and counted; those to the viewer go on. Default:
    /// `true`.
    pub data: bool,
}

impl PeerPermissions {
    setters! {
        microphone: bool,
        data: bool,
    }
}

impl Default for PeerPermissions {
    fn default() -> Self {
        Self { microphone: true, data: true }
    }
}
