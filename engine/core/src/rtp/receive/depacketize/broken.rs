/// A payload that breaks the rules of its format; its access unit cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BrokenPayload;
