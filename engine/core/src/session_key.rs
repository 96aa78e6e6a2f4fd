/// Names a session of a [`Hub`](crate::Hub) without a look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionKey(usize);

impl SessionKey {
    pub(crate) const NONE: Self = Self(usize::MAX);

    pub(crate) const fn new(index: usize) -> Self {
        Self(index)
    }

    /// A small number, dense over living sessions: usable as an index.
    pub const fn index(self) -> usize {
        self.0
    }
}
