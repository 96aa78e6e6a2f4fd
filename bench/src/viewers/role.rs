/// What distinguishes one viewer from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Role {
    /// Whether it decrypts media; one that does not counts and times packets only.
    pub(super) decrypts: bool,
    /// Whether what it sees is part of the figures; a guest is load and nothing else.
    pub(super) watcher: bool,
}
