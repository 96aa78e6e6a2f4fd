//! What a session's threads and its callers share: atomics, a mailbox, a snapshot. Nothing in here is
//! ever waited for.

use std::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU16, AtomicU64, AtomicUsize, Ordering::Relaxed,
};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use crossbeam_queue::{ArrayQueue, SegQueue};
use visavis_codec::I420Buffer;
use visavis_types::{
    AudioRenditionSet, Bitrate, ClockAnchor, FrameSize, RenditionId, RenditionSet, SessionNumber,
    UnixMillis, VideoCodec,
};

use crate::audio::max_samples;
use crate::budget::{Room, Waiting};
use crate::counters::Counters;
use crate::faults::Faults;
use crate::idle::{IdleEncoder, IdleFormat, IdleLoop, IdleRendition};
use crate::liveness::Liveness;
use crate::media::SessionWaker;
use crate::source_clock::{DatedBy, SourceClock, Stamped};
use crate::utterance::{UtteranceState, Utterances};
use crate::video::{Mailbox, PreparedPicture};
use crate::{PushOutcome, RtpInputStatus, SessionConfig, SessionStatus, StageSummary};

/// What idle loops are encoded with: in steps, so that sessions of nearly the same rate share them.
const IDLE_KBPS: [u64; 6] = [50, 100, 200, 400, 700, 1_000];

/// Memory of shown pictures that is kept for those to come.
const SPARE_PICTURES: usize = 8;

/// One session, seen from all sides.
#[derive(Debug)]
pub(crate) struct SessionShared {
    pub(crate) config: SessionConfig,
    pub(crate) number: SessionNumber,
    /// Only callers take the lock, never a thread of the engine.
    source_clock: Mutex<SourceClock>,
    absurd_stamps_told: AtomicBool,
    pub(crate) mailbox: Mailbox,
    /// Pictures of utterances.
    pub(crate) prepared: SegQueue<PreparedPicture>,
    spare_pictures: ArrayQueue<I420Buffer>,
    pub(crate) idle: ArcSwapOption<IdleLoop>,
    /// The idle loop as most viewers will want it, made before they come and kept while the session lives.
    /// Only callers take the lock.
    prepared_idle: Mutex<Option<Arc<IdleRendition>>>,
    /// Set where there are media loops: where idle loops are encoded, and how the loops are woken.
    media: OnceLock<(IdleEncoder, Vec<SessionWaker>)>,
    pub(crate) liveness: Liveness,
    /// Sound and pictures of utterances that wait for their time, and callers that wait for room for more.
    pub(crate) sound_room: Room,
    pub(crate) picture_room: Room,
    pub(crate) pushers: Arc<Waiting>,
    /// Only callers take the lock.
    utterances: Mutex<Utterances>,
    interruptions: AtomicU64,
    /// How much of what is said live was sent, in µs.
    played: AtomicU64,
    /// Live sound on its way to the audio loop, and waiting there, in samples at 48 kHz.
    pub(crate) live_coming: AtomicU64,
    pub(crate) live_waiting: AtomicU64,
    pub(crate) counters: Counters,
    started: AtomicBool,
    stopped: AtomicBool,
    peer_count: AtomicUsize,
    loops: Vec<LoopState>,
    wanted_keyframes: AtomicU16,
    /// 0, or an [`AudioKind`].
    audio_kind: AtomicU8,
    pub(crate) encode_thread: Sleeper,
    pub(crate) audio_thread: Sleeper,
    /// Somebody wants to hear what viewers say.
    listening: AtomicBool,
    /// Somebody wants to read what viewers send.
    reading: AtomicBool,
    /// Those of the engine.
    pub(crate) faults: Arc<Faults>,
    /// Of the [`RtpInput`](crate::RtpInput) that feeds it, if one does.
    rtp_status: OnceLock<Arc<ArcSwap<RtpInputStatus>>>,
}

/// A thread that parks while it has nothing to do, once there is one.
#[derive(Debug, Default)]
pub(crate) struct Sleeper(OnceLock<Thread>);

impl Sleeper {
    /// Says which thread it is; the first time counts.
    pub(crate) fn is(&self, thread: &Thread) {
        let _ = self.0.set(thread.clone());
    }

    /// The thread, once there is one.
    pub(crate) fn get(&self) -> Option<&Thread> {
        self.0.get()
    }

    pub(crate) fn wake(&self) {
        if let Some(thread) = self.0.get() {
            thread.unpark();
        }
    }
}

/// What one media loop says of a session.
#[derive(Debug, Default)]
struct LoopState {
    active_video: AtomicU16,
    active_audio: AtomicU8,
    stages: ArcSwap<Vec<StageSummary>>,
}

/// How the sound of a session is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum AudioKind {
    Pcm = 1,
    Opus = 2,
}

impl SessionShared {
    pub(crate) fn new(config: SessionConfig, clock: ClockAnchor, media_loops: usize) -> Self {
        let pushers = Arc::default();
        Self {
            source_clock: Mutex::new(SourceClock::new(clock)),
            absurd_stamps_told: AtomicBool::new(false),
            mailbox: Mailbox::default(),
            prepared: SegQueue::new(),
            spare_pictures: ArrayQueue::new(SPARE_PICTURES),
            idle: ArcSwapOption::new(config.idle.clone().map(Arc::new)),
            prepared_idle: Mutex::default(),
            media: OnceLock::new(),
            liveness: Liveness::new(config.idle_grace, Instant::now()),
            sound_room: Room::new(max_samples(config.audio_queue), &pushers),
            picture_room: Room::new(config.utterance_bytes, &pushers),
            pushers,
            utterances: Mutex::default(),
            interruptions: AtomicU64::new(0),
            played: AtomicU64::new(0),
            live_coming: AtomicU64::new(0),
            live_waiting: AtomicU64::new(0),
            counters: Counters::default(),
            started: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            peer_count: AtomicUsize::new(0),
            loops: (0..media_loops).map(|_| LoopState::default()).collect(),
            wanted_keyframes: AtomicU16::new(0),
            audio_kind: AtomicU8::new(0),
            encode_thread: Sleeper::default(),
            audio_thread: Sleeper::default(),
            listening: AtomicBool::new(false),
            reading: AtomicBool::new(false),
            faults: Arc::default(),
            rtp_status: OnceLock::new(),
            number: SessionNumber::unique(),
            config,
        }
    }

    /// Counts its faults there.
    pub(crate) fn with_faults(self, faults: Arc<Faults>) -> Self {
        Self { faults, ..self }
    }

    // --- Life ---

    pub(crate) fn start(&self) {
        self.started.store(true, Relaxed);
        // There may be an idle loop to show.
        self.wake_media_loops();
    }

    pub(crate) fn stop(&self) {
        self.started.store(false, Relaxed);
        self.stopped.store(true, Relaxed);
        // Nobody will see it: it need not be encoded to its end.
        *self.prepared_idle.lock().unwrap_or_else(PoisonError::into_inner) = None;
        // Both let go of what is the session's.
        self.wake_all();
    }

    pub(crate) fn is_started(&self) -> bool {
        self.started.load(Relaxed)
    }

    /// What becomes of a push where nothing is taken.
    pub(crate) fn refusal(&self) -> Option<PushOutcome> {
        match (self.is_started(), self.is_stopped()) {
            (true, _) => None,
            (false, true) => Some(PushOutcome::Stopped),
            (false, false) => Some(PushOutcome::NotStarted),
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Relaxed)
    }

    /// When something was captured that a caller has stamped and pushed.
    pub(crate) fn capture_time(
        &self,
        what: Stamped,
        stamp: UnixMillis,
        pushed: Instant,
    ) -> Instant {
        let dated = {
            let mut clock = self.source_clock.lock().unwrap_or_else(PoisonError::into_inner);
            clock.capture_time(what, stamp, pushed)
        };
        self.note_stamp(dated.by == DatedBy::Stamp);
        if dated.by == DatedBy::PushAsStampIsAbsurd && !self.absurd_stamps_told.swap(true, Relaxed)
        {
            tracing::warn!(
                session = %self.config.id, stamp = stamp.0, now = UnixMillis::now().0,
                "stamps are no Unix time in milliseconds, or of a clock that is far off: what carries them is dated by \
                 when it is pushed"
            );
        }
        dated.at
    }

    /// Counts a stamp that was not taken as it is.
    pub(crate) fn note_stamp(&self, is_believed: bool) {
        if !is_believed {
            self.counters.corrected_stamps.fetch_add(1, Relaxed);
        }
    }

    // --- Utterances ---

    pub(crate) fn begin_utterance(&self, zero: UnixMillis) -> Arc<UtteranceState> {
        let mut utterances = self.utterances.lock().unwrap_or_else(PoisonError::into_inner);
        utterances.begin(zero, Instant::now())
    }

    /// Drops all that waits to be said; returns how much of what is being said was sent.
    pub(crate) fn interrupt(&self) -> Duration {
        // First this: an audio loop that looks in between is to find the utterance still there, and not
        // to take its sound for live.
        self.interruptions.fetch_add(1, Relaxed);
        let of_utterance =
            self.utterances.lock().unwrap_or_else(PoisonError::into_inner).interrupt();
        let sent = of_utterance.unwrap_or(Duration::from_micros(self.played.load(Relaxed)));
        self.pictures_interrupted();
        self.wake_all();
        sent
    }

    /// Memory for a picture that will wait.
    pub(crate) fn spare_picture(&self, size: FrameSize) -> I420Buffer {
        let mut picture = self.spare_pictures.pop().unwrap_or_else(|| I420Buffer::new(size));
        picture.resize(size);
        picture
    }

    pub(crate) fn give_back_picture(&self, picture: I420Buffer) {
        let _ = self.spare_pictures.push(picture);
    }

    /// How often sound that is pushed live was interrupted.
    pub(crate) fn interruptions(&self) -> u64 {
        self.interruptions.load(Relaxed)
    }

    /// The idle loop is to be shown at once, and what is pushed next begins anew.
    pub(crate) fn pictures_interrupted(&self) {
        self.active_renditions()
            .iter(self.number)
            .for_each(|rendition| self.want_keyframe(rendition));
        self.liveness.cut(Instant::now());
        self.wake_media_loops();
    }

    /// A picture is on its way.
    pub(crate) fn picture_shown(&self, at: Instant) {
        if self.liveness.note(at) {
            self.wake_media_loops();
        }
    }

    /// The last picture of an utterance was shown.
    pub(crate) fn pause_expected(&self) {
        self.liveness.expect_pause();
        self.wake_media_loops();
    }

    // --- What is seen in between ---

    pub(crate) fn set_media(&self, idle_encoder: IdleEncoder, loops: Vec<SessionWaker>) {
        let _ = self.media.set((idle_encoder, loops));
        self.prepare_idle();
    }

    pub(crate) fn set_idle(&self, idle: Option<IdleLoop>) {
        self.idle.store(idle.map(Arc::new));
        self.prepare_idle();
        self.wake_media_loops();
    }

    /// Has the idle loop encoded with what most viewers will want, before they come.
    fn prepare_idle(&self) {
        let preferred = self.config.video_codecs.first().copied();
        let codec = self.config.encoded.or(preferred).unwrap_or(VideoCodec::H264);
        let idle = self.idle.load();
        let idle = idle.as_ref().filter(|_| visavis_codec::ENCODERS.contains(codec));
        let rendition = idle.and_then(|idle| self.rendition(idle, codec));
        let mut prepared = self.prepared_idle.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_stopped() {
            *prepared = rendition;
        }
    }

    /// An idle loop as this session sends it.
    pub(crate) fn rendition(
        &self,
        idle: &IdleLoop,
        codec: VideoCodec,
    ) -> Option<Arc<IdleRendition>> {
        let (idle_encoder, _) = self.media.get()?;
        let size = self.config.size;
        Some(idle_encoder.rendition(idle, IdleFormat { codec, bitrate: self.idle_bitrate(), size }))
    }

    /// A face at rest moves little: it never needs more than the last step.
    fn idle_bitrate(&self) -> Bitrate {
        let steps = IDLE_KBPS.map(Bitrate::from_kbps);
        let [lowest, ..] = steps;
        let below = steps.into_iter().filter(|step| *step <= self.config.video_bitrate);
        below.max().unwrap_or(lowest)
    }

    fn wake_media_loops(&self) {
        if let Some((_, loops)) = self.media.get() {
            loops.iter().for_each(SessionWaker::wake);
        }
    }

    pub(crate) fn note_played(&self, played: Duration) {
        self.played.store(played.as_micros() as u64, Relaxed);
    }

    /// Everybody who may have something to do now, or need not wait any longer.
    pub(crate) fn wake_all(&self) {
        self.audio_thread.wake();
        self.encode_thread.wake();
        self.pushers.wake();
    }

    // --- Media loops → audio loop: microphones ---

    pub(crate) fn listen(&self) {
        self.listening.store(true, Relaxed);
    }

    pub(crate) fn is_listening(&self) -> bool {
        self.listening.load(Relaxed)
    }

    // --- Media loops → the application: messages ---

    pub(crate) fn read_messages(&self) {
        self.reading.store(true, Relaxed);
    }

    pub(crate) fn is_reading(&self) -> bool {
        self.reading.load(Relaxed)
    }

    /// Says how the session's sound is given. False where it was given otherwise before.
    pub(crate) fn claim_audio(&self, kind: AudioKind) -> bool {
        let kind = kind as u8;
        match self.audio_kind.compare_exchange(0, kind, Relaxed, Relaxed) {
            Ok(_) => true,
            Err(before) => before == kind,
        }
    }

    // --- Media loops → encode loop, audio loop, or the caller's encoder ---

    pub(crate) fn set_active_renditions(
        &self,
        media_loop: usize,
        video: RenditionSet,
        audio: AudioRenditionSet,
    ) {
        if let Some(state) = self.loops.get(media_loop) {
            state.active_video.store(video.bits(), Relaxed);
            state.active_audio.store(audio.bits(), Relaxed);
        }
    }

    pub(crate) fn active_renditions(&self) -> RenditionSet {
        let of_loops = self.loops.iter().map(|state| state.active_video.load(Relaxed));
        RenditionSet::from_bits(of_loops.fold(0, |all, bits| all | bits))
    }

    /// The renditions of sound in use; none while nobody is connected.
    pub(crate) fn active_audio(&self) -> AudioRenditionSet {
        let of_loops = self.loops.iter().map(|state| state.active_audio.load(Relaxed));
        AudioRenditionSet::from_bits(of_loops.fold(0, |all, bits| all | bits))
    }

    pub(crate) fn want_keyframe(&self, rendition: RenditionId) {
        self.wanted_keyframes.fetch_or(RenditionSet::EMPTY.with(rendition).bits(), Relaxed);
    }

    /// Whether a keyframe is wanted; asking takes the request.
    pub(crate) fn take_keyframe_request(&self, rendition: RenditionId) -> bool {
        let bit = RenditionSet::EMPTY.with(rendition).bits();
        self.wanted_keyframes.fetch_and(!bit, Relaxed) & bit != 0
    }

    // --- Status ---

    pub(crate) fn peer_joined(&self) {
        self.peer_count.fetch_add(1, Relaxed);
    }

    pub(crate) fn peer_left(&self) {
        self.peer_count.fetch_sub(1, Relaxed);
    }

    pub(crate) fn publish_stages(&self, media_loop: usize, stages: Vec<StageSummary>) {
        if let Some(state) = self.loops.get(media_loop) {
            state.stages.store(Arc::new(stages));
        }
    }

    /// The stages as the slowest media loop sees them.
    fn stages(&self) -> Vec<StageSummary> {
        let p99 = |stages: &Vec<StageSummary>| stages.last().map_or(0, |last| last.p99_us);
        let of_loops = self.loops.iter().map(|state| state.stages.load_full());
        of_loops
            .max_by_key(|stages| p99(stages))
            .map(|slowest| (*slowest).clone())
            .unwrap_or_default()
    }

    /// Where the thread that takes RTP for this session says what became of it.
    pub(crate) fn rtp_status(&self) -> Arc<ArcSwap<RtpInputStatus>> {
        Arc::clone(self.rtp_status.get_or_init(Arc::default))
    }

    pub(crate) fn status(&self) -> SessionStatus {
        let now = Instant::now();
        let is_live = self.liveness.is_live(now);
        SessionStatus {
            peer_count: self.peer_count.load(Relaxed),
            metrics: self.counters.metrics(now, self.is_started(), is_live),
            stages: self.stages(),
            encoders: self.active_renditions().codecs().iter().collect(),
            rtp_input: self.rtp_status.get().map(|status| **status.load()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use visavis_types::AudioRendition;

    #[test]
    fn a_codec_is_in_use_while_one_media_loop_has_a_viewer_for_it() {
        let shared = SessionShared::new(SessionConfig::default(), ClockAnchor::now(), 2);
        let [h264, vp8] = [VideoCodec::H264, VideoCodec::Vp8]
            .map(|codec| RenditionId::lowest(shared.number, codec))
            .map(|rendition| RenditionSet::EMPTY.with(rendition));
        let opus = AudioRenditionSet::EMPTY.with(AudioRendition::Opus);
        shared.set_active_renditions(0, h264, opus);
        shared.set_active_renditions(1, vp8, AudioRenditionSet::EMPTY);
        assert_eq!(shared.active_renditions().bits(), h264.bits() | vp8.bits());
        assert_eq!(shared.active_audio(), opus);
        shared.set_active_renditions(0, RenditionSet::EMPTY, AudioRenditionSet::EMPTY);
        assert_eq!(
            (shared.active_renditions(), shared.active_audio()),
            (vp8, AudioRenditionSet::EMPTY)
        );
    }

    #[test]
    fn a_keyframe_request_is_taken_once() {
        let shared = SessionShared::new(SessionConfig::default(), ClockAnchor::now(), 1);
        let [h264, vp8] = [VideoCodec::H264, VideoCodec::Vp8]
            .map(|codec| RenditionId::lowest(shared.number, codec));
        shared.want_keyframe(vp8);
        assert!(!shared.take_keyframe_request(h264));
        assert!(shared.take_keyframe_request(vp8));
        assert!(!shared.take_keyframe_request(vp8));
    }
}
