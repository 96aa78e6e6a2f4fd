//! What a viewer gets of its session's pictures, for other threads.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use visavis_types::{Bitrate, Rung, TemporalLayer, VideoCodec};

/// What a viewer gets of its session's pictures, as other threads may know it. Written by the media loop of the viewer;
/// figures of two moments may be mixed.
#[derive(Debug, Default)]
pub struct PictureGauge {
    /// The codec's index, the rung and the layer, a byte each, and one more than nothing above them.
    gets: AtomicU64,
    /// 0 where it is not known.
    bps: AtomicU64,
    resent: AtomicU64,
    keyframe_requests: AtomicU64,
}

/// What a viewer gets of its session's pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PictureStatus {
    /// What they are encoded with.
    pub codec: VideoCodec,
    /// The size that it gets, counted from the smallest; where that changes, from the next keyframe on.
    pub rung: Rung,
    /// How many of the pictures it gets; all with [`TemporalLayer::HIGHEST`].
    pub layer: TemporalLayer,
    /// What they should take at most, headers not included. `None` where there is one size that is always the same.
    pub bitrate: Option<Bitrate>,
    /// Packets that it missed and was sent once more.
    pub packets_resent: u64,
    /// How often it needed a keyframe: it asked for one, or missed more than can be sent once more.
    pub keyframe_requests: u64,
}

impl PictureStatus {
    /// All pictures of a codec and size, without a bitrate, and nothing missed yet.
    pub const fn new(codec: VideoCodec, rung: Rung) -> Self {
        Self {
            codec,
            rung,
            layer: TemporalLayer::HIGHEST,
            bitrate: None,
            packets_resent: 0,
            keyframe_requests: 0,
        }
    }

    /// With a bitrate.
    #[must_use]
    pub const fn bitrate(self, bitrate: Bitrate) -> Self {
        Self { bitrate: Some(bitrate), ..self }
    }
}

impl PictureGauge {
    /// What it gets from now on. True where it got something else before.
    pub(crate) fn note(&self, (codec, rung, layer): (VideoCodec, Rung, TemporalLayer)) -> bool {
        let gets = [codec.index(), rung.index(), usize::from(layer.index())];
        let gets = gets.iter().fold(1, |packed, part| packed << 8 | *part as u64);
        let before = self.gets.swap(gets, Relaxed);
        before != 0 && before != gets
    }

    /// It gets none, until something is noted.
    pub(crate) fn note_none(&self) {
        self.gets.store(0, Relaxed);
    }

    /// What that should take, where that is known.
    pub(crate) fn note_bitrate(&self, bitrate: Option<Bitrate>) {
        self.bps.store(bitrate.map_or(0, |bitrate| bitrate.bps()), Relaxed);
    }

    /// So many packets go once more.
    pub(crate) fn note_resent(&self, packets: usize) {
        self.resent.fetch_add(packets as u64, Relaxed);
    }

    /// It needs a keyframe.
    pub(crate) fn note_keyframe_request(&self) {
        self.keyframe_requests.fetch_add(1, Relaxed);
    }

    /// `None` for a viewer without pictures, and before it is in its session.
    pub fn status(&self) -> Option<PictureStatus> {
        let gets = self.gets.load(Relaxed);
        let part = |shift: u32| (gets >> shift) as u8;
        if gets == 0 {
            return None;
        }
        let bps = self.bps.load(Relaxed);
        Some(PictureStatus {
            codec: *VideoCodec::ALL.get(usize::from(part(16)))?,
            rung: Rung::new(part(8))?,
            layer: TemporalLayer::new(part(0))?,
            bitrate: (bps > 0).then(|| Bitrate::from_bps(bps)),
            packets_resent: self.resent.load(Relaxed),
            keyframe_requests: self.keyframe_requests.load(Relaxed),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_all_that_was_noted_and_whether_that_is_new() {
        let gauge = PictureGauge::default();
        assert_eq!(gauge.status(), None);
        for codec in VideoCodec::ALL {
            for (rung, layer) in [(0, 0), (3, 3), (1, 2)] {
                let (rung, layer) = (Rung::new(rung).unwrap(), TemporalLayer::new(layer).unwrap());
                let is_first = gauge.status().is_none();
                assert_eq!(gauge.note((codec, rung, layer)), !is_first);
                assert!(!gauge.note((codec, rung, layer)));
                let expected = PictureStatus { layer, ..PictureStatus::new(codec, rung) };
                assert_eq!(gauge.status(), Some(expected));
            }
        }
        gauge.note_bitrate(Some(Bitrate::from_kbps(300)));
        gauge.note_resent(7);
        gauge.note_keyframe_request();
        let status = gauge.status().unwrap();
        assert_eq!(status.bitrate, Some(Bitrate::from_kbps(300)));
        assert_eq!((status.packets_resent, status.keyframe_requests), (7, 1));
    }
}
