//! What there is of one encoding session.

use std::collections::BTreeMap;

use visavis_types::FrameSize;

use crate::encode::{Picture, SoftwareEncoder};

/// What a handle of ours is: an address that nobody reads.
pub(crate) type Handle = usize;

/// A session, from when it is opened until it is destroyed.
pub(crate) struct Session {
    pub(crate) context: usize,
    pub(crate) encoder: Option<SoftwareEncoder>,
    pub(crate) inputs: BTreeMap<Handle, Input>,
    pub(crate) bitstreams: BTreeMap<Handle, Bitstream>,
    pub(crate) registered: BTreeMap<Handle, Registered>,
    /// Mappings, and what they are of.
    pub(crate) mapped: BTreeMap<Handle, Handle>,
    /// What its last failure was, ending with a zero.
    pub(crate) last_error: Vec<u8>,
}

/// An input buffer.
pub(crate) struct Input {
    pub(crate) size: FrameSize,
    pub(crate) format: u32,
    pub(crate) pitch: usize,
    pub(crate) data: Box<[u8]>,
    pub(crate) is_locked: bool,
    pub(crate) is_written: bool,
}

/// An output buffer.
#[derive(Default)]
pub(crate) struct Bitstream {
    /// What was encoded into it and not read yet.
    pub(crate) picture: Option<Picture>,
    pub(crate) is_locked: bool,
}

/// Memory of the GPU that the session knows.
pub(crate) struct Registered {
    pub(crate) address: u64,
    pub(crate) size: FrameSize,
    pub(crate) format: u32,
    pub(crate) pitch: usize,
}

impl Session {
    pub(crate) fn new(context: usize) -> Self {
        Self {
            context,
            encoder: None,
            inputs: BTreeMap::new(),
            bitstreams: BTreeMap::new(),
            registered: BTreeMap::new(),
            mapped: BTreeMap::new(),
            last_error: vec![0],
        }
    }
}
