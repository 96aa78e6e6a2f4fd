//! Long-term references as openh264 keeps them (ITU-T H.264 §8.2.5): a keyframe, which all receivers have, or the
//! last picture that was kept and received; and a newer one of which that is not known yet.
//!
//! The library does not say what it did, so its slice headers are read.

use visavis_bitstream::BitReader;
use visavis_bitstream::h264::{IDR_SLICE, nal_type, unescape};
use visavis_types::encoder::ReferenceId;

/// `log2_max_frame_num`, which the library never changes.
const FRAME_NUM_BITS: u32 = 15;
/// More than a slice header has.
const MAX_HEADER_BYTES: usize = 40;
/// How many the library keeps.
pub(super) const REFERENCES: u8 = 2;

/// What a slice header tells of references.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SliceHeader {
    is_idr: bool,
    frame_num: u32,
    /// `long_term_pic_num` of the first picture that it refers to, where that is a long-term one.
    refers_to: Option<u32>,
    /// `frame_num` and `long_term_frame_idx` of the picture that is kept from now on.
    keeps: Option<(u32, u32)>,
}

impl SliceHeader {
    /// Reads a slice that openh264 wrote: baseline profile, order of pictures by type 2, no fields.
    pub(super) fn parse(nal: &[u8]) -> Option<Self> {
        let header = unescape(nal.get(1..nal.len().min(MAX_HEADER_BYTES))?);
        let mut r = BitReader::new(&header);
        let (_first_mb, _slice_type, _pps) = (r.ue().ok()?, r.ue().ok()?, r.ue().ok()?);
        let frame_num = r.bits(FRAME_NUM_BITS).ok()?;
        let is_idr = nal_type(nal) == IDR_SLICE;
        let mut slice = Self { is_idr, frame_num, refers_to: None, keeps: None };
        if is_idr {
            let (_idr_pic_id, _no_output) = (r.ue().ok()?, r.flag().ok()?);
            slice.keeps = r.flag().ok()?.then_some((frame_num, 0));
            return Some(slice);
        }
        if r.flag().ok()? {
            let _num_ref_idx_active_minus1 = r.ue().ok()?;
        }
        slice.read_list_modification(&mut r)?;
        let is_reference = nal.first()? & 0x60 != 0;
        if is_reference && r.flag().ok()? {
            slice.read_marking(&mut r)?;
        }
        Some(slice)
    }

    /// §7.3.3.1.
    fn read_list_modification(&mut self, r: &mut BitReader<'_>) -> Option<()> {
        if !r.flag().ok()? {
            return Some(());
        }
        for n in 0.. {
            let (kind, first) = (r.ue().ok()?, n == 0);
            match kind {
                0 | 1 => _ = r.ue().ok()?,
                2 => {
                    let number = r.ue().ok()?;
                    self.refers_to = if first { Some(number) } else { self.refers_to };
                }
                3 => break,
                _ => return None,
            }
        }
        Some(())
    }

    /// §7.3.3.3.
    fn read_marking(&mut self, r: &mut BitReader<'_>) -> Option<()> {
        loop {
            match r.ue().ok()? {
                0 => return Some(()),
                1 | 2 | 4 => _ = r.ue().ok()?,
                3 => {
                    let back = r.ue().ok()?.checked_add(1)?;
                    let frame_num = self.frame_num.wrapping_sub(back) & ((1 << FRAME_NUM_BITS) - 1);
                    self.keeps = Some((frame_num, r.ue().ok()?));
                }
                6 => self.keeps = Some((self.frame_num, r.ue().ok()?)),
                _ => return None,
            }
        }
    }
}

/// Which references there are.
#[derive(Debug, Default)]
pub(super) struct LongTerm {
    next: u32,
    /// By `long_term_frame_idx`, as a receiver has them that has got everything.
    by_index: [Option<Reference>; REFERENCES as usize],
    received: Option<Reference>,
    /// Kept, and nothing is known of it yet.
    pending: Option<Reference>,
    /// The picture before was a keyframe.
    follows_keyframe: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reference {
    id: ReferenceId,
    frame_num: u32,
}

/// What is to be said to the library of a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Feedback {
    pub(super) frame_num: u32,
    pub(super) received: bool,
}

impl LongTerm {
    /// Whether there is a reference that all receivers have.
    pub(super) fn is_received(&self) -> bool {
        self.received.is_some()
    }

    /// Whether the next picture refers to the last keyframe anyway.
    pub(super) fn follows_keyframe(&self) -> bool {
        self.follows_keyframe
    }

    /// Takes note of a picture: the reference that a receiver of it has, and the one that it refers to.
    pub(super) fn learn(
        &mut self,
        slice: SliceHeader,
    ) -> (Option<ReferenceId>, Option<ReferenceId>) {
        let place = |index: u32| usize::try_from(index).ok();
        let refers_to = slice.refers_to.and_then(place);
        let refers_to = refers_to.and_then(|index| *self.by_index.get(index)?);
        if slice.is_idr {
            (self.by_index, self.received, self.pending) = Default::default();
        }
        self.follows_keyframe = slice.is_idr;
        let kept = slice.keeps.and_then(|(frame_num, index)| {
            let place = self.by_index.get_mut(place(index)?)?;
            let reference = Reference { id: ReferenceId(self.next), frame_num };
            self.next = self.next.wrapping_add(1);
            *place = Some(reference);
            let known = if slice.is_idr { &mut self.received } else { &mut self.pending };
            *known = Some(reference);
            Some(reference.id)
        });
        (kept, refers_to.map(|reference| reference.id))
    }

    /// All receivers have a reference.
    pub(super) fn received(&mut self, id: ReferenceId) -> Option<Feedback> {
        let reference = self.pending.take_if(|reference| reference.id == id)?;
        self.received = Some(reference);
        Some(Feedback { frame_num: reference.frame_num, received: true })
    }

    /// A receiver does not have a reference.
    pub(super) fn lost(&mut self, id: ReferenceId) -> Option<Feedback> {
        let is_it = |reference: &mut Reference| reference.id == id;
        let reference = self.pending.take_if(is_it).or_else(|| self.received.take_if(is_it))?;
        Some(Feedback { frame_num: reference.frame_num, received: false })
    }
}
