use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use visavis_codec::{ColorMatrix, EncoderMade, Encoders, Scaler, convert, recolour};
use visavis_core::{PacketizedFrame, Packetizer};
use visavis_types::encoder::{EncodeError, FrameControl, VideoEncoder, VideoEncoderConfig};
use visavis_types::{
    AccessUnit, Bitrate, CodecSet, FrameSize, I420Buffer, RenditionId, RenditionSet, Stage, Stamps,
    VideoCodec,
};

use super::encode_permits::{self, LastPermit};
use super::ladder::Step;
use super::mailbox::{Mailbox, Slot};
use super::picture_queue::PictureQueue;
use super::prepared::{Next, Prepared};
use crate::config::SessionConfig;
use crate::faults::{FaultDomain, Faults};
use crate::idle::source::IdleSource;
use crate::media::loop_rings::{Full, LoopRings};
use crate::scheduling::give_way;
use crate::state::counters::Counters;
use crate::state::demand::Demand;
use crate::state::encoders_in_use::EncodersInUse;
use crate::state::lifecycle::Lifecycle;
use crate::state::liveness::{CutFollower, LiveSource};
use crate::state::threads::Threads;
use crate::status::VideoEncoderStatus;

/// A session whose encoder has failed rests for so long: what has failed may fail again.
const FAULT_PAUSE: Duration = Duration::from_millis(10);

/// Encoders that a picture is given to, one after the other, where they fail: the one there is, its successor, which may
/// be of the same device, and one that is not.
const ENCODERS_PER_PICTURE: usize = 3;

/// The thread that turns one session's frames into packetized access units: converted once, scaled once per
/// rung in use, encoded once per rung and codec in use, packetized once for all viewers. Where codecs in use differ
/// in their colour matrix, the picture is taken from one to the other once.
pub(crate) struct EncodeLoop {
    lifecycle: Arc<Lifecycle>,
    faults: Arc<Faults>,
    mailbox: Arc<Mailbox>,
    live: Arc<LiveSource>,
    cuts: CutFollower,
    idle: Arc<IdleSource>,
    /// Live frames are converted into this.
    picture: I420Buffer,
    prepared: Prepared,
    last_permit: LastPermit,
    renditions: Renditions,
}

/// What a session's encode loop works with.
pub(crate) struct EncodeParts {
    pub(crate) encoders: Encoders,
    pub(crate) in_use: Arc<EncodersInUse>,
    pub(crate) config: Arc<SessionConfig>,
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) demand: Arc<Demand>,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) pictures: Arc<PictureQueue>,
    pub(crate) live: Arc<LiveSource>,
    pub(crate) idle: Arc<IdleSource>,
    pub(crate) threads: Arc<Threads>,
}

/// From a picture to what is sent.
struct Renditions {
    encoders: Encoders,
    in_use: Arc<EncodersInUse>,
    config: Arc<SessionConfig>,
    demand: Arc<Demand>,
    counters: Arc<Counters>,
    output: LoopRings<PacketizedFrame>,
    scaler: Scaler,
    /// The picture in the session's size.
    scaled: I420Buffer,
    /// The best first: its viewers wait for nobody's.
    rungs: Vec<EncodedRung>,
    /// The encoders' clock starts here.
    epoch: Instant,
}

/// What is encoded of one size, for those whose networks take it.
struct EncodedRung {
    step: Step,
    /// When the next picture is due, where it has fewer than are pushed.
    due: Option<Instant>,
    /// The picture in the rung's size.
    scaled: I420Buffer,
    scaler: Scaler,
    /// The picture as large as the one codec takes it that takes less than the others.
    fitted: I420Buffer,
    /// The picture in the matrix of the codecs that have another.
    recoloured: I420Buffer,
    /// All that there may be.
    renditions: [Rendition; VideoCodec::ALL.len()],
}

/// One rendition's encoder, while somebody watches it, and what outlives it.
struct Rendition {
    id: RenditionId,
    /// What it makes as a rule.
    bitrate: Bitrate,
    encoder: Option<RunningEncoder>,
    packetizer: Packetizer,
    unit: AccessUnit,
    /// A frame was dropped: those after it do not decode before a keyframe.
    is_broken: bool,
}

struct RunningEncoder {
    size: FrameSize,
    bitrate: Bitrate,
    encoder: Box<dyn VideoEncoder>,
    /// Who made it.
    maker: &'static str,
}

/// What is known of a picture that is to be encoded.
#[derive(Debug, Clone, Copy)]
struct CaptureTiming {
    captured: Instant,
    stamps: Stamps,
}

impl EncodeLoop {
    pub(crate) fn new(
        parts: EncodeParts,
        output: LoopRings<PacketizedFrame>,
        smallest: FrameSize,
    ) -> Self {
        let (epoch, session) = (Instant::now(), parts.demand.session());
        let EncodeParts { config, lifecycle, faults, counters, demand, mailbox, .. } = parts;
        let EncodeParts { encoders, in_use, pictures, live, idle, threads, .. } = parts;
        let ladder = config.ladder();
        let rung = |step: &Step| EncodedRung {
            step: *step,
            due: None,
            scaled: I420Buffer::new(smallest),
            scaler: Scaler::default(),
            fitted: I420Buffer::new(smallest),
            recoloured: I420Buffer::new(smallest),
            renditions: VideoCodec::ALL.map(|codec| {
                let id = RenditionId { session, codec, rung: step.rung };
                Rendition::new(id, step.bitrate, epoch)
            }),
        };
        let rungs = ladder.steps().iter().rev().map(rung).collect();
        Self {
            picture: I420Buffer::new(smallest),
            prepared: Prepared::new(pictures, Arc::clone(&counters), Arc::clone(&live), threads),
            last_permit: LastPermit::default(),
            lifecycle,
            faults,
            mailbox,
            live,
            cuts: CutFollower::default(),
            idle,
            renditions: Renditions {
                encoders,
                in_use,
                config,
                demand,
                counters,
                output,
                scaler: Scaler::default(),
                scaled: I420Buffer::new(smallest),
                rungs,
                epoch,
            },
        }
    }

    /// Runs until the session stops.
    pub(crate) fn run(mut self) {
        give_way();
        let (faults, config) = (Arc::clone(&self.faults), Arc::clone(&self.renditions.config));
        while !self.lifecycle.is_stopped() {
            // A push between the look and the park leaves a token: the park returns at once.
            let turn = faults.guard(FaultDomain::Encoder, &config.id, || self.turn(Instant::now()));
            match turn {
                Some(Some(again)) => {
                    thread::park_timeout(again.saturating_duration_since(Instant::now()));
                }
                Some(None) => thread::park(),
                None => {
                    // Fresh encoders begin with a keyframe.
                    self.renditions.adapt(RenditionSet::EMPTY);
                    thread::park_timeout(FAULT_PAUSE);
                }
            }
        }
        // Nobody will encode it: a buffer that was lent goes back.
        drop(self.mailbox.take());
    }

    /// Encodes what is due; returns when to look again though nobody wakes the thread.
    fn turn(&mut self, now: Instant) -> Option<Instant> {
        let next = match self.prepared.poll(now) {
            Next::Picture(picture, due) => {
                let permit = encode_permits::acquire(&mut self.last_permit);
                self.encode_prepared(&picture, due);
                drop(permit);
                self.prepared.give_back(picture);
                return Some(now);
            }
            Next::At(at) => Some(at),
            Next::Nothing => None,
        };
        if self.mailbox.is_waiting() {
            // Taken from the mailbox only then: a newer one may come while this thread waits for its permit.
            let permit = encode_permits::acquire(&mut self.last_permit);
            let mailbox = Arc::clone(&self.mailbox);
            if let Some(slot) = mailbox.take() {
                if self.prepared.is_showing() {
                    self.renditions.counters.replaced_frames.fetch_add(1, Relaxed);
                } else {
                    self.encode_live(&slot);
                }
            }
            drop(permit);
            return Some(now);
        }
        let rest = self.rest(now);
        [next, rest].into_iter().flatten().min()
    }

    fn encode_live(&mut self, slot: &Slot) {
        let Some(frame) = slot.frame else { return };
        let active = self.renditions.adapt(self.renditions.demand.active_video());
        if active.is_empty() {
            return;
        }
        let mut timing = CaptureTiming { captured: frame.captured, stamps: frame.stamps };
        timing.stamps.set(Stage::Taken, Instant::now());
        let (format, size) = (frame.format, frame.size);
        let matrix = matrix_in_use(active.codecs(), self.renditions.config.size.unwrap_or(size));
        if let Err(error) = convert(slot.data(), format, size, matrix, &mut self.picture) {
            tracing::error!(session = %self.renditions.config.id, %error, "frame not converted");
            return;
        }
        timing.stamps.set(Stage::Converted, Instant::now());
        let begins_anew = self.begins_anew(&timing);
        self.renditions.encode((&self.picture, matrix), timing, (active, begins_anew));
    }

    /// A picture of an utterance was captured, and pushed, when it is due.
    fn encode_prepared(&mut self, picture: &I420Buffer, due: Instant) {
        self.live.picture_pushed(Instant::now());
        let active = self.renditions.adapt(self.renditions.demand.active_video());
        let mut timing = CaptureTiming { captured: due, stamps: Stamps::pushed(due) };
        for stage in [Stage::Taken, Stage::Converted] {
            timing.stamps.set(stage, Instant::now());
        }
        let matrix = ColorMatrix::for_size(picture.size());
        let begins_anew = self.begins_anew(&timing);
        self.renditions.encode((picture, matrix), timing, (active, begins_anew));
    }

    /// Whether what was shown before a picture was cut off.
    fn begins_anew(&mut self, timing: &CaptureTiming) -> bool {
        self.cuts.is_first(self.live.liveness(), timing.stamps.get(Stage::Pushed))
    }

    /// Lets go of the encoders when viewers see the idle loop, whose pictures are encoded already; returns
    /// when that may be.
    fn rest(&mut self, now: Instant) -> Option<Instant> {
        if self.renditions.are_none() || self.idle.current().is_none() {
            return None;
        }
        let liveness = self.live.liveness();
        if liveness.is_live(now) {
            return liveness.until();
        }
        self.renditions.adapt(RenditionSet::EMPTY);
        None
    }
}

impl Renditions {
    /// Lets go of encoders that nobody needs.
    fn adapt(&mut self, active: RenditionSet) -> RenditionSet {
        let mut changed = false;
        for rendition in self.rungs.iter_mut().flat_map(|rung| &mut rung.renditions) {
            if !active.contains(rendition.id) {
                changed |= rendition.encoder.take().is_some();
            }
        }
        if changed {
            self.tell_encoders();
        }
        active
    }

    /// Tells the status which encoders there are.
    fn tell_encoders(&self) {
        let renditions = self.rungs.iter().rev().flat_map(|rung| &rung.renditions);
        let running = renditions.filter_map(|rendition| {
            let RenditionId { codec, rung, .. } = rendition.id;
            let encoder = rendition.encoder.as_ref()?.maker;
            Some(VideoEncoderStatus { codec, rung, encoder })
        });
        self.in_use.set(running.collect());
    }

    fn are_none(&self) -> bool {
        let mut renditions = self.rungs.iter().flat_map(|rung| &rung.renditions);
        renditions.all(|rendition| rendition.encoder.is_none())
    }

    fn encode(
        &mut self,
        (picture, matrix): (&I420Buffer, ColorMatrix),
        timing: CaptureTiming,
        (active, begins_anew): (RenditionSet, bool),
    ) {
        let Self { encoders, config, demand, counters, output, .. } = self;
        let size = config.size.unwrap_or(picture.size());
        let Some(picture) = scaled(picture, size, (&mut self.scaler, &mut self.scaled), config)
        else {
            return;
        };
        let mut changed = false;
        for rung in self.rungs.iter_mut().filter(|rung| rung.is_in(active)) {
            if !rung.takes(timing.captured) && !begins_anew {
                continue;
            }
            let EncodedRung { step, scaled: small, scaler, fitted, recoloured, renditions, .. } =
                rung;
            let fps = step.fps.map_or(config.fps, |fps| fps.min(config.fps));
            let size = step.scale.of(picture.size());
            let Some(picture) = scaled(picture, size, (scaler, small), config) else { continue };
            // There are two matrices, so that one other picture is all there can be.
            let mut is_recoloured = false;
            for rendition in renditions.iter_mut().filter(|one| active.contains(one.id)) {
                let codec = rendition.id.codec;
                let size = encoders.encodable_size(codec, picture.size());
                let whole = size == picture.size();
                let Some(picture) = scaled(picture, size, (scaler, fitted), config) else {
                    continue;
                };
                let wanted = ColorMatrix::for_stream(codec, size);
                if wanted != matrix && !(whole && is_recoloured) {
                    recolour(picture, matrix, wanted, recoloured);
                    is_recoloured = whole;
                }
                let picture = if wanted == matrix { picture } else { &*recoloured };
                let requested = demand.take_keyframe_request(rendition.id);
                let keyframe = requested | begins_anew | rendition.is_broken;
                let bitrate = demand.bitrate(rendition.id).unwrap_or(rendition.bitrate);
                let timing = (timing, self.epoch);
                let before = rendition.maker();
                let encoded = rendition.encode_with_successors(
                    (encoders, config),
                    fps,
                    picture,
                    timing,
                    (keyframe, bitrate),
                );
                changed |= rendition.maker() != before;
                if let Some(packetized) = encoded {
                    rendition.is_broken = hand_over(output, counters, packetized).is_err();
                }
            }
        }
        if changed {
            self.tell_encoders();
        }
    }
}

impl EncodedRung {
    fn is_in(&self, active: RenditionSet) -> bool {
        self.renditions.iter().any(|rendition| active.contains(rendition.id))
    }

    /// Whether a picture is one of those that it has: all, or so many a second.
    fn takes(&mut self, captured: Instant) -> bool {
        let Some(fps) = self.step.fps else { return true };
        let interval = Duration::from_secs(1) / fps.max(1);
        // Pictures do not come to the millisecond.
        let slack = interval / 4;
        let due = *self.due.get_or_insert(captured);
        if captured + slack < due && due < captured + 2 * interval {
            return false;
        }
        // On average as many as are wanted, and not more at once after a pause.
        self.due = Some((due + interval).max(captured + interval - slack));
        true
    }
}

/// A picture in a size: itself, or what `out` has of it then. None where it cannot be scaled.
fn scaled<'a>(
    picture: &'a I420Buffer,
    size: FrameSize,
    (scaler, out): (&mut Scaler, &'a mut I420Buffer),
    config: &SessionConfig,
) -> Option<&'a I420Buffer> {
    if size == picture.size() {
        return Some(picture);
    }
    out.resize(size);
    if let Err(error) = scaler.cover(picture, out) {
        tracing::error!(session = %config.id, %error, "frame not scaled");
        return None;
    }
    Some(out)
}

/// Gives a frame to the media loops. What was encoded after one that they had no room for does not decode.
fn hand_over(
    output: &mut LoopRings<PacketizedFrame>,
    counters: &Counters,
    packetized: PacketizedFrame,
) -> Result<(), Full> {
    let keyframe = packetized.keyframe;
    let outcome = output.push(packetized);
    match outcome {
        Ok(()) => {
            counters.encoded_frames.fetch_add(1, Relaxed);
            counters.keyframes.fetch_add(keyframe.into(), Relaxed);
        }
        Err(Full) => {
            counters.dropped_units.fetch_add(1, Relaxed);
        }
    }
    output.wake();
    outcome
}

/// The matrix of the codecs in use, if they have the same; else that of the size.
fn matrix_in_use(codecs: CodecSet, size: FrameSize) -> ColorMatrix {
    let mut matrices = codecs.iter().map(|codec| ColorMatrix::for_stream(codec, size));
    match matrices.next() {
        Some(first) if matrices.all(|other| other == first) => first,
        _ => ColorMatrix::for_size(size),
    }
}

impl Rendition {
    fn new(id: RenditionId, bitrate: Bitrate, epoch: Instant) -> Self {
        let unit = AccessUnit {
            rendition: id,
            keyframe: false,
            layers: None,
            data: Vec::new(),
            captured: epoch,
            stamps: Stamps::pushed(epoch),
        };
        let packetizer = Packetizer::new(id.codec);
        Self { id, bitrate, encoder: None, packetizer, unit, is_broken: false }
    }

    /// Who made the encoder that there is.
    fn maker(&self) -> Option<&'static str> {
        self.encoder.as_ref().map(|running| running.maker)
    }

    /// Encodes a picture. Where the encoder fails another takes its place at once, which begins with a keyframe: viewers
    /// miss nothing.
    fn encode_with_successors(
        &mut self,
        (encoders, config): (&Encoders, &SessionConfig),
        fps: u32,
        picture: &I420Buffer,
        timing: (CaptureTiming, Instant),
        wanted: (bool, Bitrate),
    ) -> Option<PacketizedFrame> {
        let (session, codec) = (&config.id, self.id.codec);
        for _ in 0..ENCODERS_PER_PICTURE {
            let error = match self.encode((encoders, config), fps, picture, timing, wanted) {
                Ok(encoded) => return encoded,
                Err(error) => error,
            };
            let Some(failed) = self.encoder.take() else {
                tracing::error!(%session, %codec, %error, "no encoder for a frame");
                return None;
            };
            tracing::warn!(%session, %codec, encoder = failed.maker, %error, "encoder failed; it is replaced");
        }
        tracing::error!(%session, %codec, "frame not encoded");
        None
    }

    fn encode(
        &mut self,
        (encoders, session): (&Encoders, &SessionConfig),
        fps: u32,
        picture: &I420Buffer,
        (timing, epoch): (CaptureTiming, Instant),
        (keyframe, bitrate): (bool, Bitrate),
    ) -> Result<Option<PacketizedFrame>, EncodeError> {
        let size = picture.size();
        if self.encoder.as_ref().is_some_and(|running| running.size != size) {
            // Before there is another: a device may have no room for both.
            self.encoder = None;
        }
        let running = match &mut self.encoder {
            Some(running) => running,
            none => {
                let codec = self.id.codec;
                let config = VideoEncoderConfig::new(size, fps, self.bitrate);
                let EncoderMade { encoder, maker, refused, .. } =
                    encoders.make_by(codec, &config)?;
                match refused {
                    Some(EncodeError::UnsupportedSize { .. }) | None => {}
                    Some(reason) => {
                        let session = &session.id;
                        tracing::warn!(%session, %codec, encoder = maker, %reason, "another encoder is used");
                    }
                }
                none.insert(RunningEncoder { size, bitrate: self.bitrate, encoder, maker })
            }
        };
        if running.bitrate != bitrate {
            running.encoder.set_bitrate(bitrate);
            running.bitrate = bitrate;
        }
        self.unit.data.clear();
        let pts = timing.captured.saturating_duration_since(epoch);
        let control = FrameControl::at(pts).keyframe(keyframe);
        let encoded = running.encoder.encode(&picture.into(), &control, &mut self.unit.data)?;
        if encoded.skipped {
            return Ok(None);
        }
        self.unit.keyframe = encoded.keyframe;
        self.unit.layers = encoded.layers;
        self.unit.captured = timing.captured;
        self.unit.stamps = timing.stamps;
        self.unit.stamps.set(Stage::Encoded, Instant::now());
        Ok(Some(self.packetizer.packetize(&self.unit, Instant::now)))
    }
}

#[cfg(test)]
mod tests;
