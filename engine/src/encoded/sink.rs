use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use visavis_bitstream::h264::ParameterSets;
use visavis_bitstream::{Inspection, inspect};
use visavis_core::{PacketizedFrame, Packetizer};
use visavis_types::{
    AccessUnit, Bitrate, EncodedFrame, RenditionId, Stage, Stamps, UnixMillis, VideoCodec,
};

use crate::config::SessionConfig;
use crate::error::EncodedFrameError;
use crate::media::loop_rings::{Full, LoopRings};
use crate::push_outcome::PushOutcome;
use crate::source_clock::Stamped;
use crate::state::capture_clock::CaptureClock;
use crate::state::counters::Counters;
use crate::state::demand::Demand;
use crate::state::lifecycle::Lifecycle;
use crate::state::liveness::{CutFollower, LiveSource};

/// Takes pictures that the caller has encoded. Never blocks on the network; every picture is sent, in
/// order. Clone it to push from several threads; they then take turns.
///
/// No reordered pictures (B frames): WebRTC has no way to send them.
#[derive(Debug, Clone)]
pub struct EncodedVideoSink {
    parts: Arc<EncodedParts>,
    /// None in a session of raw pictures. Only callers take the lock, never a thread of the engine.
    stream: Option<Arc<Mutex<Stream>>>,
}

/// What encoded pictures go through on their way to the media loops.
#[derive(Debug)]
pub(crate) struct EncodedParts {
    pub(crate) config: Arc<SessionConfig>,
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) capture_clock: Arc<CaptureClock>,
    pub(crate) demand: Arc<Demand>,
    pub(crate) live: Arc<LiveSource>,
}

/// The stream to the media loops.
#[derive(Debug)]
struct Stream {
    output: LoopRings<PacketizedFrame>,
    packetizer: Packetizer,
    parameter_sets: ParameterSets,
    /// A frame was dropped: those after it do not decode.
    awaiting_keyframe: bool,
    /// For that the caller was not asked for a keyframe yet.
    must_ask: bool,
    cuts: CutFollower,
    /// When a keyframe was pushed last.
    last_keyframe: Option<Instant>,
    /// Its memory is reused.
    unit: AccessUnit,
}

impl EncodedVideoSink {
    pub(crate) fn new(
        parts: EncodedParts,
        codec: VideoCodec,
        output: LoopRings<PacketizedFrame>,
    ) -> Self {
        let now = Instant::now();
        let stream = Stream {
            output,
            packetizer: Packetizer::new(codec),
            parameter_sets: ParameterSets::default(),
            awaiting_keyframe: false,
            must_ask: false,
            cuts: CutFollower::default(),
            last_keyframe: None,
            unit: AccessUnit {
                rendition: RenditionId::lowest(parts.demand.session(), codec),
                keyframe: false,
                layers: None,
                data: Vec::new(),
                captured: now,
                stamps: Stamps::pushed(now),
            },
        };
        Self { parts: Arc::new(parts), stream: Some(Arc::new(Mutex::new(stream))) }
    }

    pub(crate) fn of_raw_session(parts: EncodedParts) -> Self {
        Self { parts: Arc::new(parts), stream: None }
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
        let stream = self.stream.as_ref().ok_or(EncodedFrameError::RawSession)?;
        if let Some(session) = self.parts.config.encoded.filter(|&codec| codec != frame.codec) {
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
            let interval_ms = 1_000 / u64::from(self.parts.config.fps.max(1));
            if UnixMillis::now().0.saturating_sub(frame.timestamp.0) > interval_ms * 3 / 2 {
                self.parts.counters.late_frames.fetch_add(1, Relaxed);
            }
        }
        let captured =
            self.parts.capture_clock.capture_time(Stamped::Picture, frame.timestamp, pushed);
        Ok(self.take(stream, frame.data, inspection, captured, pushed))
    }

    /// A picture that was looked at already, with a finer capture time than a caller can give.
    pub(crate) fn push_inspected(
        &self,
        data: &[u8],
        inspection: Inspection,
        captured: Instant,
        pushed: Instant,
    ) -> Result<PushOutcome, EncodedFrameError> {
        let stream = self.stream.as_ref().ok_or(EncodedFrameError::RawSession)?;
        Ok(self.take(stream, data, inspection, captured, pushed))
    }

    /// More of what was shown comes, though none of it can be shown now: the last picture stays.
    pub(crate) fn stay_live(&self, now: Instant) {
        self.parts.live.extend(now);
    }

    /// When a keyframe was pushed last.
    pub(crate) fn last_keyframe(&self) -> Option<Instant> {
        let stream = self.stream.as_ref()?;
        stream.lock().unwrap_or_else(PoisonError::into_inner).last_keyframe
    }

    /// Whether viewers wait for a keyframe; asking takes the request. The same as
    /// [`Event::KeyframeRequested`](crate::Event::KeyframeRequested), for encoders that would rather
    /// ask before each picture; also set where a picture had to be [dropped](PushOutcome::Dropped).
    pub fn take_keyframe_request(&self) -> bool {
        let Some(stream) = &self.stream else { return false };
        let mut stream = stream.lock().unwrap_or_else(PoisonError::into_inner);
        let requested = self.parts.demand.take_keyframe_request(stream.unit.rendition);
        let begins_anew = stream.cuts.begins_anew(self.parts.live.liveness());
        std::mem::take(&mut stream.must_ask) | requested | begins_anew
    }

    /// What the pictures should take from now on: with
    /// [`adaptive_encoder`](crate::SessionConfig::adaptive_encoder) what the viewer's network takes, down to
    /// [`min_video_bitrate`](crate::SessionConfig::min_video_bitrate); else always
    /// [`video_bitrate`](crate::SessionConfig::video_bitrate). The same as
    /// [`Event::BitrateWanted`](crate::Event::BitrateWanted), for encoders that would rather ask before each picture.
    pub fn wanted_bitrate(&self) -> Bitrate {
        self.adaptive_bitrate().unwrap_or(self.parts.config.video_bitrate)
    }

    /// The same, where the encoder is to be told.
    pub(crate) fn adaptive_bitrate(&self) -> Option<Bitrate> {
        let EncodedParts { config, demand, .. } = &*self.parts;
        let codec = config.encoded.filter(|_| config.adaptive_encoder)?;
        let told = demand.bitrate(RenditionId::lowest(demand.session(), codec));
        Some(told.unwrap_or(config.video_bitrate))
    }

    fn take(
        &self,
        stream: &Mutex<Stream>,
        data: &[u8],
        inspection: Inspection,
        captured: Instant,
        pushed: Instant,
    ) -> PushOutcome {
        let Inspection { keyframe, picture } = inspection;
        let counters = &self.parts.counters;
        if picture {
            counters.count_frame(pushed, UnixMillis::now());
        }
        let refused = self.parts.lifecycle.refusal();
        let mut stream = stream.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the start too: an encoder may hand out its parameter sets once.
        stream.fill(data, keyframe);
        if keyframe {
            stream.last_keyframe = Some(pushed);
            // It is what would be asked for.
            stream.cuts.is_first(self.parts.live.liveness(), Some(pushed));
        }
        if let Some(refused) = refused {
            return refused;
        }
        if picture {
            self.parts.live.picture_pushed(pushed);
        }
        if !picture || self.parts.demand.active_video().is_empty() {
            return PushOutcome::Accepted;
        }
        stream.awaiting_keyframe &= !keyframe;
        if stream.awaiting_keyframe {
            counters.dropped_units.fetch_add(1, Relaxed);
            return PushOutcome::Dropped;
        }
        stream.unit.keyframe = keyframe;
        stream.unit.captured = captured;
        stream.unit.stamps = Stamps::pushed(pushed);
        stream.unit.stamps.set(Stage::Encoded, pushed);
        let Stream { packetizer, unit, .. } = &mut *stream;
        let packetized = packetizer.packetize(unit, Instant::now);
        let outcome = match stream.output.push(packetized) {
            Ok(()) => {
                counters.encoded_frames.fetch_add(1, Relaxed);
                counters.keyframes.fetch_add(keyframe.into(), Relaxed);
                PushOutcome::Accepted
            }
            Err(Full) => {
                counters.dropped_units.fetch_add(1, Relaxed);
                (stream.awaiting_keyframe, stream.must_ask) = (true, true);
                PushOutcome::Dropped
            }
        };
        stream.output.wake();
        outcome
    }
}

impl Stream {
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
