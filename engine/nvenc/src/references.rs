//! What later pictures may refer to: long-term references, and temporal layers.

use visavis_types::encoder::ReferenceId;
use visavis_types::{Layering, TemporalLayer};

/// Long-term references that are kept at most: one that viewers have, and one that they may have.
pub(crate) const REFERENCES: u8 = 2;

/// What an encoder has in its long-term slots.
#[derive(Debug, Default)]
pub(crate) struct LongTerm {
    slots: [Option<Kept>; REFERENCES as usize],
    /// The last one that viewers have.
    received: Option<ReferenceId>,
    last: u32,
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    id: ReferenceId,
    timestamp: u64,
}

/// A slot of the encoder.
pub(crate) type Slot = u32;

impl LongTerm {
    /// Where the next picture can be kept: not over what viewers have, nor while one is on its way to them.
    pub(crate) fn free(&self) -> Option<Slot> {
        let pending = |kept: &&Kept| Some(kept.id) != self.received;
        if self.slots.iter().flatten().any(|kept| pending(&kept)) {
            return None;
        }
        self.slots.iter().position(Option::is_none).and_then(|slot| Slot::try_from(slot).ok())
    }

    /// The slot with what viewers have.
    pub(crate) fn usable(&self) -> Option<(Slot, ReferenceId)> {
        let received = self.received?;
        let slot = self.slots.iter().position(|kept| kept.is_some_and(|kept| kept.id == received));
        Some((Slot::try_from(slot?).ok()?, received))
    }

    /// When the picture was that viewers have.
    pub(crate) fn usable_timestamp(&self) -> Option<u64> {
        let (slot, _) = self.usable()?;
        self.slots.get(slot as usize)?.map(|kept| kept.timestamp)
    }

    /// Gives up what is on its way to viewers. Returns when that picture was.
    pub(crate) fn take_pending(&mut self) -> Option<u64> {
        let received = self.received;
        let pending =
            self.slots.iter_mut().find(|kept| kept.is_some_and(|kept| Some(kept.id) != received));
        pending?.take().map(|kept| kept.timestamp)
    }

    /// A picture was kept.
    pub(crate) fn keep(&mut self, slot: Slot, timestamp: u64) -> ReferenceId {
        self.last = self.last.wrapping_add(1);
        let id = ReferenceId(self.last);
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(Kept { id, timestamp });
        }
        id
    }

    /// A keyframe ends all that was before it.
    pub(crate) fn clear(&mut self) {
        self.slots = [None; REFERENCES as usize];
        self.received = None;
    }

    /// Viewers have it: older ones are not needed any more.
    pub(crate) fn received(&mut self, id: ReferenceId) {
        if self.slots.iter().flatten().any(|kept| kept.id == id) {
            self.received = Some(id);
            self.slots.iter_mut().for_each(|place| *place = place.filter(|kept| kept.id == id));
        }
    }

    /// A viewer does not have it. Returns the time of the picture, which must not be referred to any more.
    pub(crate) fn lost(&mut self, id: ReferenceId) -> Option<u64> {
        let place = self.slots.iter_mut().find(|kept| kept.is_some_and(|kept| kept.id == id))?;
        let kept = place.take()?;
        self.received = self.received.filter(|&received| received != id);
        Some(kept.timestamp)
    }
}

/// Which picture of two temporal layers refers to which. With more it would not be known: NVENC does not tell.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    /// How many pictures ago the last one of the base layer was.
    since_base: u8,
}

/// Temporal layers that can be made.
pub(crate) const LAYERS: u8 = 2;

impl Layers {
    /// The place of the next picture: it refers to the last one of the base layer.
    pub(crate) fn next(&mut self, layer: u32, keyframe: bool) -> Option<Layering> {
        let layer = TemporalLayer::new(u8::try_from(layer).ok()?)?;
        self.since_base = self.since_base.saturating_add(1);
        let back = if keyframe { 0 } else { self.since_base };
        if layer == TemporalLayer::BASE {
            self.since_base = 0;
        }
        Some(Layering { layer, sync: true, refers_back: [back, 0, 0] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_viewers_have_is_kept_until_they_have_another() {
        let mut long_term = LongTerm::default();
        assert_eq!((long_term.free(), long_term.usable()), (Some(0), None));
        let first = long_term.keep(0, 10);
        assert_eq!(long_term.free(), None);
        long_term.received(first);
        assert_eq!((long_term.free(), long_term.usable()), (Some(1), Some((0, first))));
        let second = long_term.keep(1, 20);
        // On its way.
        assert_eq!((long_term.free(), long_term.usable()), (None, Some((0, first))));
        assert_eq!(long_term.lost(second), Some(20));
        assert_eq!((long_term.free(), long_term.usable()), (Some(1), Some((0, first))));
        let third = long_term.keep(1, 30);
        long_term.received(third);
        assert_eq!((long_term.free(), long_term.usable()), (Some(0), Some((1, third))));
        // Not kept any more, or never known.
        long_term.received(first);
        assert_eq!((long_term.lost(second), long_term.usable()), (None, Some((1, third))));
        long_term.clear();
        assert_eq!((long_term.free(), long_term.usable()), (Some(0), None));
    }

    #[test]
    fn pictures_of_both_layers_refer_to_the_last_one_of_the_base() {
        let mut layers = Layers::default();
        let mut next = |layer, keyframe| layers.next(layer, keyframe).unwrap().refers_back[0];
        assert_eq!(next(0, true), 0);
        assert_eq!([next(1, false), next(0, false), next(1, false)], [1, 2, 1]);
        assert_eq!([next(0, false), next(0, false)], [2, 1]);
        assert!(Layers::default().next(9, false).is_none());
    }
}
