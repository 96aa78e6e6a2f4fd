use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use visavis_bitstream::{Inspection, inspect};
use visavis_core::{PacketizedFrame, Packetizer};
use visavis_types::{AccessUnit, EncodedFrame, RenditionId, Stage, Stamps, UnixMillis, VideoCodec};

use crate::media::{Full, LoopRings};
use crate::shared::SessionShared;
use crate::source_clock::Stamped;
use crate::{EncodedFrameError, PushOutcome};
use visavis_bitstream::h264::ParameterSets;

/// Takes pictures that the caller has encoded. Never blocks on the network; every picture is sent, in
/// order. Clone it to push from several threads; they then take turns.
///
/// No reordered pictures (B frames): WebRTC has no way to send them.
#[derive(Debug, Clone)]
pub struct EncodedVideoSink {
    shared: Arc<SessionShared>,
    /// None in a session of raw pictures. Only callers take the lock, never a thread of the engine.
    ring: Option<Arc<Mutex<LoopRing>>>,
}

/// The way to the media loops.
#[derive(Debug)]
struct LoopRing {
    output: LoopRings<PacketizedFrame>,
    packetizer: Packetizer,
    parameter_sets: ParameterSets,
    /// A frame was dropped: those after it do not decode.
    awaiting_keyframe: bool,
    /// When a keyframe was pushed last.
    last_keyframe: Option<Instant>,
    /// Its memory is reused.
    unit: AccessUnit,
}

impl EncodedVideoSink {
    pub(crate) fn new(
        shared: Arc<SessionShared>,
        codec: VideoCodec,
        output: LoopRings<PacketizedFrame>,
    ) -> Self {
        let now = Instant::now();
        let ring = LoopRing {
            output,
            packetizer: Packetizer::new(codec),
            parameter_sets: ParameterSets::default(),
            awaiting_keyframe: false,
            last_keyframe: None,
            unit: AccessUnit {
                rendition: RenditionId::lowest(shared.number, codec),
                keyframe: false,
                data: Vec::new(),
                captured: now,
                stamps: Stamps::pushed(now),
            },
        };
        Self { shared, ring: Some(Arc::new(Mutex::new(ring))) }
    }

    pub(crate) fn of_raw_session(shared: Arc<SessionShared>) -> Self {
        Self { shared, ring: None }
    }

    /// Packetizes a picture and hands it over: some microseconds.
    ///
    /// A viewer gets nothing before a keyframe, so make one when it is asked for
    /// ([`take_keyframe_request`](Self::take_keyframe_request)), or every one or two seconds. H264
    /// parameter sets that come once are put before every later keyframe that lacks them; they may be
    /// pushed alone.
    ///
    /// # Errors
    ///
    /// A picture that is empty, too large, of another codec than the session's or no bitstream at all
    /// is refused; what was pushed before is unaffected.
    pub fn push(&self, frame: &EncodedFrame<'_>) -> Result<PushOutcome, EncodedFrameError> {
        let ring = self.ring.as_ref().ok_or(EncodedFrameError::RawSession)?;
        if let Some(session) = self.shared.config.encoded.filter(|&codec| codec != frame.codec) {
            return Err(EncodedFrameError::Codec { given: frame.codec, session });
        }
        if frame.data.is_empty() {
            return Err(EncodedFrameError::Empty);
        }
        if frame.data.len() > EncodedFrame::MAX_BYTES {
            return Err(EncodedFrameError::TooLarge(frame.data.len()));
        }
        let mut inspection = inspect(frame.codec, frame.data)?;
        inspection.keyframe = frame.keyframe.unwrap_or(inspection.keyframe);
        let pushed = Instant::now();
        if inspection.picture {
            let interval_ms = 1_000 / u64::from(self.shared.config.fps.max(1));
            if UnixMillis::now().0.saturating_sub(frame.timestamp.0) > interval_ms * 3 / 2 {
                self.shared.counters.late_frames.fetch_add(1, Relaxed);
            }
        }
        let captured = self.shared.capture_time(Stamped::Picture, frame.timestamp, pushed);
        Ok(self.take(ring, frame.data, inspection, captured, pushed))
    }

    /// A picture that was looked at already, with a finer capture time than a caller can give.
    pub(crate) fn push_inspected(
        &self,
        data: &[u8],
        inspection: Inspection,
        captured: Instant,
        pushed: Instant,
    ) -> Result<PushOutcome, EncodedFrameError> {
        let ring = self.ring.as_ref().ok_or(EncodedFrameError::RawSession)?;
        Ok(self.take(ring, data, inspection, captured, pushed))
    }

    /// More of what was shown comes, though none of it can be shown now: the last picture stays.
    pub(crate) fn stay_live(&self, now: Instant) {
        self.shared.liveness.extend(now);
    }

    /// When a keyframe was pushed last.
    pub(crate) fn last_keyframe(&self) -> Option<Instant> {
        let ring = self.ring.as_ref()?;
        ring.lock().unwrap_or_else(PoisonError::into_inner).last_keyframe
    }

    /// Whether viewers wait for a keyframe; asking takes the request. The same as
    /// [`Event::KeyframeRequested`](crate::Event::KeyframeRequested), for encoders that would rather
    /// ask before each picture; also set where a picture had to be [dropped](PushOutcome::Dropped).
    pub fn take_keyframe_request(&self) -> bool {
        let rendition =
            self.shared.config.encoded.map(|codec| RenditionId::lowest(self.shared.number, codec));
        rendition.is_some_and(|rendition| self.shared.take_keyframe_request(rendition))
    }

    fn take(
        &self,
        ring: &Mutex<LoopRing>,
        data: &[u8],
        inspection: Inspection,
        captured: Instant,
        pushed: Instant,
    ) -> PushOutcome {
        let Inspection { keyframe, picture } = inspection;
        let counters = &self.shared.counters;
        if picture {
            counters.note_frame(pushed, UnixMillis::now());
        }
        let refused = self.shared.refusal();
        let mut ring = ring.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the start too: an encoder may hand out its parameter sets once.
        ring.fill(data, keyframe);
        if keyframe {
            ring.last_keyframe = Some(pushed);
        }
        if let Some(refused) = refused {
            return refused;
        }
        if picture {
            self.shared.picture_shown(pushed);
        }
        if !picture || self.shared.active_renditions().is_empty() {
            return PushOutcome::Accepted;
        }
        ring.awaiting_keyframe &= !keyframe;
        if ring.awaiting_keyframe {
            counters.dropped_units.fetch_add(1, Relaxed);
            return PushOutcome::Dropped;
        }
        ring.unit.keyframe = keyframe;
        ring.unit.captured = captured;
        ring.unit.stamps = Stamps::pushed(pushed);
        ring.unit.stamps.set(Stage::Encoded, pushed);
        let LoopRing { packetizer, unit, .. } = &mut *ring;
        let packetized = packetizer.packetize(unit, Instant::now);
        let outcome = match ring.output.push(packetized) {
            Ok(()) => {
                counters.encoded_frames.fetch_add(1, Relaxed);
                counters.keyframes.fetch_add(keyframe.into(), Relaxed);
                PushOutcome::Accepted
            }
            Err(Full) => {
                counters.dropped_units.fetch_add(1, Relaxed);
                ring.awaiting_keyframe = true;
                self.shared.want_keyframe(ring.unit.rendition);
                PushOutcome::Dropped
            }
        };
        ring.output.wake();
        outcome
    }
}

impl LoopRing {
    /// Copies an access unit in, as it is to be sent.
    fn fill(&mut self, data: &[u8], keyframe: bool) {
        self.unit.data.clear();
        match self.unit.rendition.codec {
            VideoCodec::H264 => self.parameter_sets.complete(data, keyframe, &mut self.unit.data),
            VideoCodec::Vp8 | VideoCodec::Vp9 | VideoCodec::Av1 => {
                self.unit.data.extend_from_slice(data);
            }
        }
    }
}
