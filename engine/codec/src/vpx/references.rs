//! Long-term references of VP8: the golden and the alternate picture (RFC 6386 §9.7). One is what receivers have, the
//! other the place of a newer one until that is known of it too.

use visavis_types::encoder::{FrameControl, ReferenceId};
use vpx_sys::{
    VP8_EFLAG_NO_REF_ARF, VP8_EFLAG_NO_REF_GF, VP8_EFLAG_NO_REF_LAST, VP8_EFLAG_NO_UPD_ARF,
    VP8_EFLAG_NO_UPD_ENTROPY, VP8_EFLAG_NO_UPD_GF, VPX_EFLAG_FORCE_KF,
};

const PLACES: usize = 2;
/// How many there are.
pub(super) const REFERENCES: u8 = PLACES as u8;
/// The flags of the golden and the alternate picture.
const NO_REF: [u32; PLACES] = [VP8_EFLAG_NO_REF_GF, VP8_EFLAG_NO_REF_ARF];
const NO_UPDATE: [u32; PLACES] = [VP8_EFLAG_NO_UPD_GF, VP8_EFLAG_NO_UPD_ARF];

/// Which references there are.
#[derive(Debug, Default)]
pub(super) struct References {
    next: u32,
    places: [ReferenceId; PLACES],
    /// The place of what all receivers have.
    received: Option<usize>,
    /// The place of what is kept, and of which nothing is known yet.
    pending: Option<usize>,
}

/// How a picture is encoded: from one of the places or from the picture before, and whether it is kept in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Plan {
    pub(super) flags: i64,
    keyframe: bool,
    refers_to: Option<usize>,
    keeps: Option<usize>,
}

impl References {
    pub(super) fn plan(&self, control: &FrameControl, keyframe: bool) -> Plan {
        if keyframe || (control.recover && self.received.is_none()) {
            let flags = VPX_EFLAG_FORCE_KF.into();
            return Plan { flags, keyframe: true, ..Plan::default() };
        }
        let refers_to = self.received.filter(|_| control.recover);
        let keeps = control.keep_reference && self.pending.is_none() && !control.recover;
        let keeps = keeps.then(|| self.received.map_or(0, |received| 1 - received));
        // What pictures teach of probabilities is not to be missed where they are lost.
        let mut flags = VP8_EFLAG_NO_UPD_ENTROPY;
        if refers_to.is_some() {
            flags |= VP8_EFLAG_NO_REF_LAST;
        }
        for (place, (no_ref, no_update)) in NO_REF.into_iter().zip(NO_UPDATE).enumerate() {
            flags |= if refers_to == Some(place) { 0 } else { no_ref };
            flags |= if keeps == Some(place) { 0 } else { no_update };
        }
        Plan { flags: flags.into(), keyframe: false, refers_to, keeps }
    }

    /// Takes note of a picture that was encoded so: the reference that a receiver of it has, and the one that it
    /// refers to.
    pub(super) fn learn(&mut self, plan: Plan) -> (Option<ReferenceId>, Option<ReferenceId>) {
        let refers_to = plan.refers_to.and_then(|place| self.places.get(place).copied());
        if plan.keyframe {
            let id = self.fresh();
            self.places = [id; PLACES];
            (self.received, self.pending) = (Some(0), None);
            return (Some(id), None);
        }
        let Some(place) = plan.keeps else { return (None, refers_to) };
        let id = self.fresh();
        if let Some(kept) = self.places.get_mut(place) {
            *kept = id;
        }
        self.pending = Some(place);
        (Some(id), refers_to)
    }

    /// All receivers have a reference.
    pub(super) fn received(&mut self, id: ReferenceId) {
        if let Some(place) = self.pending.take_if(|place| self.places.get(*place) == Some(&id)) {
            self.received = Some(place);
        }
    }

    /// A receiver does not have a reference.
    pub(super) fn lost(&mut self, id: ReferenceId) {
        let places = self.places;
        let is_it = |place: &mut usize| places.get(*place) == Some(&id);
        if self.pending.take_if(is_it).is_none() {
            self.received.take_if(is_it);
        }
    }

    fn fresh(&mut self) -> ReferenceId {
        let id = ReferenceId(self.next);
        self.next = self.next.wrapping_add(1);
        id
    }
}
