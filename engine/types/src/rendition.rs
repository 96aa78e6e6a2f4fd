use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::{CodecSet, VideoCodec};

/// Names a session among all that this process has made, the same on all of its media loops. Small, where a
/// [`SessionId`](crate::SessionId) is a text that another session may have later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionNumber(u32);

impl SessionNumber {
    /// A number that no other session of this process has.
    pub fn unique() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Self(NEXT.fetch_add(1, Relaxed))
    }
}

/// Which of the renditions that a session has in one codec: the higher, the better, and the more it takes to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rung(u8);

impl Rung {
    /// The one that is always there.
    pub const LOWEST: Self = Self(0);
    /// As high as it goes.
    pub const HIGHEST: Self = Self(3);
    /// How many there may be.
    pub const COUNT: usize = Self::HIGHEST.0 as usize + 1;

    /// Counted from the lowest, which is 0. `None` above [`HIGHEST`](Self::HIGHEST).
    pub const fn new(index: u8) -> Option<Self> {
        if index <= Self::HIGHEST.0 { Some(Self(index)) } else { None }
    }

    /// Counted from the lowest, which is 0.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is encoded once, packetized once and sent to many: the pictures of one session in one codec, of one size and
/// rate. The key of everything that is sent of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RenditionId {
    /// Whose pictures they are.
    pub session: SessionNumber,
    /// What they are encoded with.
    pub codec: VideoCodec,
    /// Which of the session's renditions in this codec.
    pub rung: Rung,
}

impl RenditionId {
    /// How many renditions a session may have.
    pub const PER_SESSION: usize = VideoCodec::ALL.len() * Rung::COUNT;

    /// The rendition that a session always has in a codec.
    pub const fn lowest(session: SessionNumber, codec: VideoCodec) -> Self {
        Self { session, codec, rung: Rung::LOWEST }
    }

    /// A dense index among the renditions of its session, below [`PER_SESSION`](Self::PER_SESSION).
    pub const fn index(self) -> usize {
        self.codec.index() * Rung::COUNT + self.rung.index()
    }
}

impl fmt::Display for RenditionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.codec, self.rung)
    }
}

/// A set of renditions of one session, small enough to live in one atomic number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RenditionSet(u16);

const _: () = assert!(RenditionId::PER_SESSION <= u16::BITS as usize);

impl RenditionSet {
    /// Nothing.
    pub const EMPTY: Self = Self(0);
    /// All that a session may have.
    pub const ALL: Self = Self(u16::MAX);

    /// A set out of its bits, as [`bits`](Self::bits) gave them.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// One bit for each.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// The set with one more.
    #[must_use]
    pub const fn with(self, one: RenditionId) -> Self {
        Self(self.0 | 1 << one.index())
    }

    /// The set without one.
    #[must_use]
    pub const fn without(self, one: RenditionId) -> Self {
        Self(self.0 & !(1 << one.index()))
    }

    /// Whether it is in the set.
    pub const fn contains(self, one: RenditionId) -> bool {
        self.0 & (1 << one.index()) != 0
    }

    /// What is in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// How many there are in the set.
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What is in the set, whose renditions are those of this session.
    pub fn iter(self, session: SessionNumber) -> impl Iterator<Item = RenditionId> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let index = left.trailing_zeros() as usize;
            let codec = *VideoCodec::ALL.get(index / Rung::COUNT)?;
            left &= left - 1;
            Some(RenditionId { session, codec, rung: Rung((index % Rung::COUNT) as u8) })
        })
    }

    /// The codecs that they are encoded with.
    pub fn codecs(self) -> CodecSet {
        let rungs = |codec: VideoCodec| self.0 >> (codec.index() * Rung::COUNT) & 0xf;
        let used = VideoCodec::ALL.into_iter().filter(|&codec| rungs(codec) != 0);
        used.fold(CodecSet::EMPTY, CodecSet::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rendition_is_named_by_few_bytes_and_has_a_place_of_its_own() {
        assert!(size_of::<RenditionId>() <= 8);
        let session = SessionNumber::unique();
        let all: Vec<usize> = RenditionSet::ALL.iter(session).map(RenditionId::index).collect();
        assert_eq!(all, (0..RenditionId::PER_SESSION).collect::<Vec<_>>());
        assert_ne!(SessionNumber::unique(), session);
    }

    #[test]
    fn sets_hold_what_was_put_in() {
        let session = SessionNumber::unique();
        let low = RenditionId::lowest(session, VideoCodec::Vp9);
        let high = RenditionId { rung: Rung::HIGHEST, ..low };
        let set = RenditionSet::EMPTY.with(low).with(high);
        assert!(set.contains(high) && set.iter(session).eq([low, high]));
        assert_eq!(set.codecs(), CodecSet::EMPTY.with(VideoCodec::Vp9));
        assert_eq!(
            RenditionSet::from_bits(set.without(low).bits()).iter(session).last(),
            Some(high)
        );
        assert!(set.without(low).without(high).is_empty());
        assert_eq!(set.len(), 2);
        assert_eq!(set.without(low).union(set.without(high)), set);
        assert_eq!(Rung::new(4), None);
    }
}
