//! Parameter sets that came once, put before every keyframe.

use super::contents::parameter_set_id;
use super::nal::{PPS, SPS, append_nal, nal_type, nal_units};
use super::sps::write_without_reordering;

/// A parameter set is some tens of bytes; larger ones are sent on, but not remembered.
const MAX_REMEMBERED_BYTES: usize = 1_024;

/// The parameter sets of an H264 stream. Some encoders hand them out once, at the start; a viewer that
/// joins later needs them before its first keyframe.
#[derive(Debug, Default)]
pub struct ParameterSets {
    /// In the order of their types and ids.
    known: Vec<Known>,
    /// Reused.
    sps: Vec<u8>,
}

#[derive(Debug)]
struct Known {
    key: (u8, u32),
    nal: Vec<u8>,
}

impl ParameterSets {
    /// Appends an access unit to `out`: as it is, but for missing parameter sets before a keyframe, and
    /// for an SPS that is silent about reordering. Remembers the sets in it.
    pub fn complete(&mut self, unit: &[u8], keyframe: bool, out: &mut Vec<u8>) {
        let carries = |kind| nal_units(unit).any(|nal| nal_type(nal) == kind);
        if keyframe {
            // All of a kind or none: an encoder that sends sets sends those it uses.
            let (sps, pps) = (carries(SPS), carries(PPS));
            for known in &self.known {
                let missing = if known.key.0 == SPS { !sps } else { !pps };
                if missing {
                    append_nal(&known.nal, out);
                }
            }
        }
        for nal in nal_units(unit) {
            match nal_type(nal) {
                SPS => {
                    let mut sps = std::mem::take(&mut self.sps);
                    sps.clear();
                    // One that cannot be read is the decoder's to judge.
                    let readable = write_without_reordering(nal, &mut sps);
                    let nal = if readable.is_ok() { sps.as_slice() } else { nal };
                    self.remember(nal);
                    append_nal(nal, out);
                    self.sps = sps;
                }
                PPS => {
                    self.remember(nal);
                    append_nal(nal, out);
                }
                _ => append_nal(nal, out),
            }
        }
    }

    fn remember(&mut self, nal: &[u8]) {
        let Some(id) = parameter_set_id(nal).filter(|_| nal.len() <= MAX_REMEMBERED_BYTES) else {
            return;
        };
        let key = (nal_type(nal), id);
        match self.known.binary_search_by_key(&key, |known| known.key) {
            Ok(at) => {
                if let Some(known) = self.known.get_mut(at).filter(|known| known.nal != nal) {
                    known.nal.clear();
                    known.nal.extend_from_slice(nal);
                }
            }
            Err(at) => self.known.insert(at, Known { key, nal: nal.to_vec() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Constrained baseline, level 3.0, 640x480, without VUI.
    const SPS: [u8; 9] = [0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xf6, 0x40];
    const PPS: [u8; 4] = [0x68, 0xce, 0x38, 0x80];
    const IDR: [u8; 3] = [0x65, 1, 2];
    const DELTA: [u8; 3] = [0x41, 1, 2];

    fn unit(nals: &[&[u8]]) -> Vec<u8> {
        let mut unit = Vec::new();
        nals.iter().for_each(|nal| append_nal(nal, &mut unit));
        unit
    }

    fn types(unit: &[u8]) -> Vec<u8> {
        nal_units(unit).map(nal_type).collect()
    }

    fn completed(sets: &mut ParameterSets, nals: &[&[u8]], keyframe: bool) -> Vec<u8> {
        let mut out = Vec::new();
        sets.complete(&unit(nals), keyframe, &mut out);
        out
    }

    #[test]
    fn sets_that_came_once_come_with_every_keyframe() {
        let mut sets = ParameterSets::default();
        assert_eq!(types(&completed(&mut sets, &[&IDR], true)), [5]);
        assert_eq!(types(&completed(&mut sets, &[&SPS, &PPS], false)), [7, 8]);
        assert_eq!(types(&completed(&mut sets, &[&IDR], true)), [7, 8, 5]);
        assert_eq!(types(&completed(&mut sets, &[&DELTA], false)), [1]);
        assert_eq!(types(&completed(&mut sets, &[&PPS, &IDR], true)), [7, 8, 5]);
        assert_eq!(types(&completed(&mut sets, &[&SPS, &PPS, &IDR], true)), [7, 8, 5]);
    }

    #[test]
    fn pictures_are_not_touched_and_a_silent_sps_learns_to_speak() {
        let mut sets = ParameterSets::default();
        let out = completed(&mut sets, &[&SPS, &PPS, &IDR], true);
        let nals: Vec<&[u8]> = nal_units(&out).collect();
        assert!(nals[0].len() > SPS.len());
        assert_eq!(nals[1..], [&PPS[..], &IDR]);
        assert_eq!(completed(&mut sets, &[&DELTA], false), unit(&[&DELTA]));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_newest_counts() {
        let mut sets = ParameterSets::default();
        for bytes in [10, 20, 5_000] {
            let mut pps = PPS.to_vec();
            pps.resize(bytes, 1);
            completed(&mut sets, &[&pps], false);
        }
        assert_eq!(sets.known.len(), 1);
        assert_eq!(sets.known[0].nal.len(), 20);
    }
}
