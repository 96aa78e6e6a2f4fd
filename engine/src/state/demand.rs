use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering::Relaxed};

use visavis_types::{AudioRenditionSet, Bitrate, RenditionId, RenditionSet, SessionNumber};

/// What a session's viewers need to be encoded. Media loops write what their own viewers need, each through its
/// [`LoopDemand`], and nobody else does; whoever encodes reads it, and takes the requests for keyframes: the encode loop,
/// the audio loop, or the caller's encoder.
///
/// Requests for keyframes are decided by the hub of a media loop. If several loops ask before the next picture, that is
/// one request.
#[derive(Debug)]
pub(crate) struct Demand {
    session: SessionNumber,
    loops: Vec<Active>,
    keyframes: AtomicU16,
    /// Bits a second that encoders should make; 0 where it is what they make as a rule.
    bitrates: [AtomicU32; RenditionId::PER_SESSION],
}

/// What is in use on one media loop.
#[derive(Debug, Default)]
struct Active {
    video: AtomicU16,
    /// The renditions of sound, and in the upper byte those of whose listeners some lose packets.
    audio: AtomicU16,
}

/// Who hears a session's sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Listeners {
    /// What is in use; nothing while nobody is connected.
    pub(crate) renditions: AudioRenditionSet,
    /// Of that, what some lose packets of.
    pub(crate) lossy: AudioRenditionSet,
}

/// The writing half of one media loop.
#[derive(Debug)]
pub(crate) struct LoopDemand {
    demand: Arc<Demand>,
    media_loop: usize,
}

impl LoopDemand {
    pub(crate) fn new(demand: Arc<Demand>, media_loop: usize) -> Self {
        Self { demand, media_loop }
    }

    /// Takes the place of what was in use there before.
    pub(crate) fn set_active(&self, video: RenditionSet, audio: Listeners) {
        if let Some(active) = self.demand.loops.get(self.media_loop) {
            active.video.store(video.bits(), Relaxed);
            let audio = [audio.renditions, audio.lossy].map(AudioRenditionSet::bits);
            active.audio.store(u16::from_le_bytes(audio), Relaxed);
        }
    }

    /// The next picture of a rendition is to be a keyframe.
    pub(crate) fn request_keyframe(&self, rendition: RenditionId) {
        let bit = RenditionSet::EMPTY.with(rendition).bits();
        self.demand.keyframes.fetch_or(bit, Relaxed);
    }

    /// The encoder of a rendition is to make so much from its next picture on.
    pub(crate) fn set_bitrate(&self, rendition: RenditionId, bitrate: Bitrate) {
        if let Some(place) = self.demand.bitrates.get(rendition.index()) {
            place.store(u32::try_from(bitrate.bps()).unwrap_or(u32::MAX), Relaxed);
        }
    }

    /// All encoders are to make what they make as a rule: there is another viewer. Whether one was told otherwise.
    pub(crate) fn reset_bitrates(&self) -> bool {
        self.demand
            .bitrates
            .iter()
            .fold(false, |told, bitrate| told | (bitrate.swap(0, Relaxed) > 0))
    }

    /// Whose renditions they are.
    pub(crate) fn session(&self) -> SessionNumber {
        self.demand.session
    }
}

impl Demand {
    pub(crate) fn new(session: SessionNumber, media_loops: usize) -> Self {
        let loops = (0..media_loops).map(|_| Active::default()).collect();
        Self { session, loops, keyframes: AtomicU16::new(0), bitrates: Default::default() }
    }

    /// Whose renditions they are.
    pub(crate) fn session(&self) -> SessionNumber {
        self.session
    }

    /// The renditions of pictures in use; none while nobody is connected.
    pub(crate) fn active_video(&self) -> RenditionSet {
        let of_loops = self.loops.iter().map(|active| active.video.load(Relaxed));
        RenditionSet::from_bits(of_loops.fold(0, |all, bits| all | bits))
    }

    /// Who hears it.
    pub(crate) fn listeners(&self) -> Listeners {
        let of_loops = self.loops.iter().map(|active| active.audio.load(Relaxed));
        let all = of_loops.fold(0, |all, bits| all | bits).to_le_bytes();
        let [renditions, lossy] = all.map(AudioRenditionSet::from_bits);
        Listeners { renditions, lossy }
    }

    /// Whether a keyframe is wanted; asking takes the request.
    pub(crate) fn take_keyframe_request(&self, rendition: RenditionId) -> bool {
        let bit = RenditionSet::EMPTY.with(rendition).bits();
        self.keyframes.fetch_and(!bit, Relaxed) & bit != 0
    }

    /// What the encoder of a rendition is to make, where that is not what it makes as a rule.
    pub(crate) fn bitrate(&self, rendition: RenditionId) -> Option<Bitrate> {
        let bps = self.bitrates.get(rendition.index())?.load(Relaxed);
        (bps > 0).then(|| Bitrate::from_bps(bps.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use visavis_types::{AudioRendition, VideoCodec};

    #[test]
    fn a_codec_is_in_use_while_one_media_loop_has_a_viewer_for_it() {
        let demand = Arc::new(Demand::new(SessionNumber::unique(), 2));
        let [first, second] = [0, 1].map(|index| LoopDemand::new(Arc::clone(&demand), index));
        let [h264, vp8] = [VideoCodec::H264, VideoCodec::Vp8]
            .map(|codec| RenditionId::lowest(demand.session(), codec))
            .map(|rendition| RenditionSet::EMPTY.with(rendition));
        let opus = AudioRenditionSet::EMPTY.with(AudioRendition::Opus);
        let nobody = Listeners::default();
        first.set_active(h264, Listeners { renditions: opus, ..nobody });
        second.set_active(vp8, nobody);
        assert_eq!(demand.active_video().bits(), h264.bits() | vp8.bits());
        assert_eq!(demand.listeners(), Listeners { renditions: opus, ..nobody });
        first.set_active(RenditionSet::EMPTY, nobody);
        assert_eq!((demand.active_video(), demand.listeners()), (vp8, nobody));
    }

    #[test]
    fn who_loses_packets_is_known_whichever_media_loop_it_is_on() {
        let demand = Arc::new(Demand::new(SessionNumber::unique(), 2));
        let [first, second] = [0, 1].map(|index| LoopDemand::new(Arc::clone(&demand), index));
        let only = |rendition| AudioRenditionSet::EMPTY.with(rendition);
        let (opus, pcmu) = (only(AudioRendition::Opus), only(AudioRendition::Pcmu));
        first.set_active(RenditionSet::EMPTY, Listeners { renditions: pcmu, lossy: pcmu });
        let lossless = AudioRenditionSet::EMPTY;
        second.set_active(RenditionSet::EMPTY, Listeners { renditions: opus, lossy: lossless });
        let all = opus.with(AudioRendition::Pcmu);
        assert_eq!(demand.listeners(), Listeners { renditions: all, lossy: pcmu });
    }

    #[test]
    fn encoders_make_what_they_are_told_until_there_is_another_viewer() {
        let demand = Arc::new(Demand::new(SessionNumber::unique(), 1));
        let [h264, vp8] = [VideoCodec::H264, VideoCodec::Vp8]
            .map(|codec| RenditionId::lowest(demand.session(), codec));
        let media_loop = LoopDemand::new(Arc::clone(&demand), 0);
        media_loop.set_bitrate(vp8, Bitrate::from_kbps(700));
        assert_eq!(demand.bitrate(h264), None);
        assert_eq!(demand.bitrate(vp8), Some(Bitrate::from_kbps(700)));
        assert!(media_loop.reset_bitrates());
        assert_eq!(demand.bitrate(vp8), None);
        assert!(!media_loop.reset_bitrates());
    }

    #[test]
    fn a_keyframe_request_is_taken_once() {
        let demand = Arc::new(Demand::new(SessionNumber::unique(), 1));
        let [h264, vp8] = [VideoCodec::H264, VideoCodec::Vp8]
            .map(|codec| RenditionId::lowest(demand.session(), codec));
        LoopDemand::new(Arc::clone(&demand), 0).request_keyframe(vp8);
        assert!(!demand.take_keyframe_request(h264));
        assert!(demand.take_keyframe_request(vp8));
        assert!(!demand.take_keyframe_request(vp8));
    }
}
