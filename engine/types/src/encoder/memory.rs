use std::fmt;

/// Where pictures lie, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MemoryKind {
    /// I420 in host memory.
    I420,
    /// NV12 in host memory.
    Nv12,
    /// In memory of a device of this name.
    Device(&'static str),
}

impl fmt::Display for MemoryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::I420 => f.write_str("host memory (I420)"),
            Self::Nv12 => f.write_str("host memory (NV12)"),
            Self::Device(name) => write!(f, "device memory ({name})"),
        }
    }
}
