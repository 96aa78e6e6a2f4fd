//! When the viewers of a session see what is pushed, and when its idle loop.
//!
//! Both go out as one stream. The idle loop ends with the first live keyframe, and begins, with a keyframe
//! of its own, when nothing live has come for a while or what was shown was interrupted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use visavis_core::{PacketizedFrame, Packetizer};
use visavis_types::{RenditionId, RenditionSet, SessionNumber, Stage, Stamps};

use crate::idle::idle_loop::IdleLoop;
use crate::idle::rendition::{Content, IdleRendition};
use crate::idle::source::IdleSource;
use crate::state::lifecycle::Lifecycle;
use crate::state::liveness::Liveness;

/// How soon to look again for a loop that is being encoded.
const RETRY: Duration = Duration::from_millis(10);

/// One session's splice on one media loop. No clock of its own: time comes in.
#[derive(Debug)]
pub(super) struct Splice {
    session: SessionNumber,
    idle: Arc<IdleSource>,
    liveness: Arc<Liveness>,
    lifecycle: Arc<Lifecycle>,
    live: bool,
    /// Renditions of which nothing live was sent since the idle loop was shown.
    pending: RenditionSet,
    /// Those among them for which a keyframe was requested since.
    requested: RenditionSet,
    player: Option<Player>,
    next: Option<Instant>,
}

/// What to do with a live frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Send,
    Drop,
    /// Nothing can be sent before a keyframe, which was not requested yet.
    RequestKeyframe,
}

impl Splice {
    pub(super) fn new(
        session: SessionNumber,
        idle: Arc<IdleSource>,
        liveness: Arc<Liveness>,
        lifecycle: Arc<Lifecycle>,
    ) -> Self {
        Self {
            session,
            idle,
            liveness,
            lifecycle,
            live: false,
            pending: RenditionSet::ALL,
            requested: RenditionSet::EMPTY,
            player: None,
            next: None,
        }
    }

    /// Decides about a live frame.
    pub(super) fn judge(&mut self, frame: &PacketizedFrame) -> Verdict {
        if self.idle.current().is_none() {
            self.live = true;
            self.pending = RenditionSet::EMPTY;
            return Verdict::Send;
        }
        let pushed = frame.stamps.get(Stage::Pushed);
        if self.liveness.cut_at().is_some_and(|cut| pushed.is_none_or(|pushed| pushed <= cut)) {
            return Verdict::Drop;
        }
        if self.live && !self.pending.contains(frame.rendition) {
            return Verdict::Send;
        }
        if frame.keyframe {
            self.live = true;
            self.pending = self.pending.without(frame.rendition);
            return Verdict::Send;
        }
        if self.requested.contains(frame.rendition) {
            return Verdict::Drop;
        }
        self.requested = self.requested.with(frame.rendition);
        Verdict::RequestKeyframe
    }

    /// A viewer needs a keyframe. Where nobody else would see it the idle loop goes on at its next one;
    /// otherwise that is waited for.
    pub(super) fn keyframe_wanted(&mut self, viewers: usize, now: Instant) {
        if !self.live
            && let Some(player) = &mut self.player
            && (viewers <= 1 || player.idle.is_still())
        {
            player.cut();
            self.next = Some(now);
        }
    }

    /// Sends what is due of the idle loop. Returns the renditions whose next live picture must be a keyframe: viewers
    /// now see something else.
    pub(super) fn run(
        &mut self,
        active: RenditionSet,
        (now, epoch): (Instant, Instant),
        send: impl FnMut(PacketizedFrame),
    ) -> RenditionSet {
        let current = self.idle.current();
        let Some(current) = &*current else {
            (self.player, self.next) = (None, None);
            return RenditionSet::EMPTY;
        };
        let mut stale = RenditionSet::EMPTY;
        if self.live {
            if self.liveness.is_live(now) {
                self.next = self.liveness.until();
                return stale;
            }
            self.live = false;
            (self.pending, self.requested) = (RenditionSet::ALL, RenditionSet::EMPTY);
            stale = active;
            self.player.iter_mut().for_each(Player::cut);
            self.next = Some(now);
        }
        if !self.lifecycle.is_started() || active.is_empty() {
            self.next = None;
            return stale;
        }
        if self.player.as_ref().is_none_or(|player| player.idle != **current) {
            self.player = Some(Player::new(self.session, IdleLoop::clone(current)));
            self.next = Some(now);
        }
        let Some(player) = &mut self.player else { return stale };
        if self.next.is_some_and(|next| now < next) {
            return stale;
        }
        self.next = match player.step(&self.idle, active, now, send) {
            true => Some(next_tick(now, epoch, current.fps())),
            // What cannot be encoded will not be there in a moment either.
            false if player.is_hopeless(&self.idle, active) => None,
            false => Some(now + RETRY),
        };
        stale
    }

    /// When [`run`](Self::run) should be called though nothing has happened.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.next
    }
}

/// All loops of one rate change pictures at the same moments: one wake-up serves all sessions.
fn next_tick(now: Instant, epoch: Instant, fps: u32) -> Instant {
    let interval = Duration::from_secs(1) / fps.max(1);
    // Half an interval on: after a cut the next picture is not to come at once.
    let since = now.saturating_duration_since(epoch) + interval / 2;
    let ticks = since.as_nanos() * u128::from(fps) / 1_000_000_000 + 1;
    let nanos = ticks * 1_000_000_000 / u128::from(fps.max(1));
    epoch + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// An idle loop as it is shown.
#[derive(Debug)]
struct Player {
    session: SessionNumber,
    idle: IdleLoop,
    renditions: Vec<Rendition>,
    /// What comes next: which group, and which unit of it.
    group: usize,
    unit: usize,
}

/// What is sent of it as one rendition of the session. All of them show the same picture.
#[derive(Debug)]
struct Rendition {
    id: RenditionId,
    idle: Arc<IdleRendition>,
    packetizer: Packetizer,
    /// Its viewers have had all of this group so far.
    in_step: bool,
}

impl Player {
    fn new(session: SessionNumber, idle: IdleLoop) -> Self {
        Self { session, idle, renditions: Vec::new(), group: 0, unit: 0 }
    }

    /// Goes on at the next keyframe.
    fn cut(&mut self) {
        if self.unit > 0 {
            self.group += 1;
            self.unit = 0;
        }
        self.renditions.iter_mut().for_each(|rendition| rendition.in_step = false);
    }

    /// Those among the active ones that it is shown as.
    fn shown(&self, active: RenditionSet) -> impl Iterator<Item = &Rendition> {
        self.renditions.iter().filter(move |rendition| active.contains(rendition.id))
    }

    /// Whether there is nothing to show in any of these, now and later.
    fn is_hopeless(&self, source: &IdleSource, active: RenditionSet) -> bool {
        active.iter(self.session).all(|id| {
            match self.renditions.iter().find(|known| known.id == id) {
                Some(Rendition { idle, .. }) => idle.is_complete() && idle.len() == 0,
                None => !source.can_encode(id.codec),
            }
        })
    }

    /// Sends one picture in each rendition; false where none is there yet.
    fn step(
        &mut self,
        source: &IdleSource,
        active: RenditionSet,
        now: Instant,
        mut send: impl FnMut(PacketizedFrame),
    ) -> bool {
        for id in active.iter(self.session) {
            if !self.renditions.iter().any(|known| known.id == id) && source.can_encode(id.codec) {
                let idle = source.rendition(&self.idle, (id.codec, id.rung));
                let packetizer = Packetizer::new(id.codec);
                self.renditions.push(Rendition { id, idle, packetizer, in_step: false });
            }
        }
        let made = self.shown(active).map(|rendition| rendition.idle.len()).max();
        if self.group >= made.unwrap_or(0) {
            let complete = |rendition: &Rendition| rendition.idle.is_complete();
            // One that is new here may have the beginning only.
            let wraps = self.renditions.iter().any(complete) || self.unit == 0;
            (self.group, self.unit) = if wraps { (0, 0) } else { (self.group, self.unit) };
        }
        let Self { renditions, group, unit, .. } = self;
        let mut length = 0;
        for rendition in renditions.iter_mut().filter(|rendition| active.contains(rendition.id)) {
            let Some(units) = rendition.idle.group(*group) else {
                rendition.in_step = false;
                continue;
            };
            length = length.max(units.len());
            rendition.in_step |= *unit == 0;
            let Some(encoded) = units.get(*unit).filter(|_| rendition.in_step) else { continue };
            let stamps = Stamps::pushed(now);
            let payloads = match &encoded.content {
                Content::Nothing => continue,
                Content::Payloads(payloads) => Arc::clone(payloads),
                Content::Unit(data) => {
                    Arc::new(rendition.packetizer.payloads(data, encoded.keyframe, encoded.layers))
                }
            };
            send(PacketizedFrame {
                rendition: rendition.id,
                keyframe: encoded.keyframe,
                layers: encoded.layers,
                payloads,
                captured: now,
                stamps,
            });
        }
        if length == 0 {
            return false;
        }
        *unit += 1;
        if *unit >= length {
            (*group, *unit) = (*group + 1, 0);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SessionConfig;
    use crate::idle::encoder::IdleEncoder;
    use crate::idle::idle_loop::IdlePicture;
    use crate::media::waker::SessionWakers;
    use crate::state::liveness::LiveSource;
    use visavis_codec::Encoders;
    use visavis_core::Payloads;
    use visavis_types::{PixelFormat, Rung, VideoCodec};

    const MS: Duration = Duration::from_millis(1);

    struct Run {
        idle: Arc<IdleSource>,
        live: LiveSource,
        lifecycle: Arc<Lifecycle>,
        splice: Splice,
        /// Renditions whose next live picture is to be a keyframe.
        stale: RenditionSet,
        start: Instant,
        active: RenditionSet,
        viewers: usize,
        /// What nobody has is freed.
        _renditions: Vec<Arc<IdleRendition>>,
    }

    /// What was sent: when, in ms, of which codec, and whether it is a keyframe.
    type Sent = Vec<(u32, VideoCodec, bool)>;

    impl Run {
        /// A film of 45 pictures at 30 fps, encoded already.
        fn new(codecs: &[VideoCodec]) -> Self {
            let pictures = || {
                (0..45u8).map(|n| {
                    IdlePicture::new(vec![n * 5; 32 * 32 * 3], 32, 32).format(PixelFormat::Rgb)
                })
            };
            let idle = IdleLoop::film(30, pictures).unwrap();
            let config = SessionConfig { idle: Some(idle.clone()), ..SessionConfig::default() };
            let (start, lifecycle) = (Instant::now(), Arc::<Lifecycle>::default());
            let (encoder, loops) = (
                IdleEncoder::open(Encoders::software(), Arc::default()).unwrap(),
                SessionWakers::new(Vec::new()),
            );
            let source = IdleSource::new(&config, encoder, Arc::clone(&lifecycle), loops.clone());
            let renditions = codecs.iter().map(|&codec| {
                let rendition = source.rendition(&idle, (codec, Rung::LOWEST));
                while !rendition.is_complete() {
                    std::thread::sleep(MS);
                }
                rendition
            });
            let renditions = renditions.collect();
            lifecycle.start();
            let number = SessionNumber::unique();
            let active = codecs.iter().map(|&codec| RenditionId::lowest(number, codec));
            let active = active.fold(RenditionSet::EMPTY, RenditionSet::with);
            let (source, liveness) =
                (Arc::new(source), Arc::new(Liveness::new(config.idle_grace, start)));
            let live = LiveSource::new(Arc::clone(&liveness), loops);
            let splice = Splice::new(number, Arc::clone(&source), liveness, Arc::clone(&lifecycle));
            Self {
                idle: source,
                live,
                lifecycle,
                splice,
                stale: RenditionSet::EMPTY,
                start: Instant::now(),
                active,
                viewers: 1,
                _renditions: renditions,
            }
        }

        /// Runs from one ms to another, whenever something is due.
        fn sent(&mut self, from: u32, to: u32) -> Sent {
            let mut sent = Vec::new();
            for ms in from..to {
                let now = self.start + MS * ms;
                if self.splice.deadline().is_none_or(|at| at <= now) {
                    let stale = self.splice.run(self.active, (now, self.start), |frame| {
                        sent.push((ms, frame.rendition.codec, frame.keyframe));
                    });
                    self.stale = RenditionSet::from_bits(self.stale.bits() | stale.bits());
                }
            }
            sent
        }

        fn push(&mut self, ms: u32, keyframe: bool) -> Verdict {
            let pushed = self.start + MS * ms;
            self.live.picture_pushed(pushed);
            let frame = PacketizedFrame {
                rendition: self.rendition(VideoCodec::H264),
                keyframe,
                layers: None,
                payloads: Arc::new(Payloads::default()),
                captured: pushed,
                stamps: Stamps::pushed(pushed),
            };
            self.splice.judge(&frame)
        }

        fn rendition(&self, codec: VideoCodec) -> RenditionId {
            RenditionId::lowest(self.splice.session, codec)
        }

        fn keyframe_wanted(&mut self, ms: u32) {
            self.splice.keyframe_wanted(self.viewers, self.start + MS * ms);
        }
    }

    #[test]
    fn the_loop_goes_round_with_a_keyframe_each_half_second() {
        let mut run = Run::new(&[VideoCodec::H264]);
        let sent = run.sent(0, 4_000);
        assert!((119..=121).contains(&sent.len()), "{}", sent.len());
        let keyframes: Vec<u32> = sent.iter().filter(|sent| sent.2).map(|sent| sent.0).collect();
        assert_eq!(keyframes.len(), 8, "{keyframes:?}");
        assert!(keyframes.windows(2).all(|two| (499..=534).contains(&(two[1] - two[0]))));
        let steps = sent.windows(2).map(|two| two[1].0 - two[0].0);
        assert!(steps.skip(1).all(|step| (33..=34).contains(&step)));
    }

    #[test]
    fn a_live_keyframe_ends_it_and_silence_begins_it_anew() {
        let mut run = Run::new(&[VideoCodec::H264]);
        run.sent(0, 110);
        assert_eq!(run.push(110, false), Verdict::RequestKeyframe);
        assert_eq!(run.push(120, false), Verdict::Drop, "it was requested already");
        assert!(!run.sent(120, 160).is_empty(), "the loop goes on meanwhile");
        assert_eq!(run.push(160, true), Verdict::Send);
        assert_eq!(run.sent(160, 190), []);
        assert_eq!(run.push(190, false), Verdict::Send);
        let sent = run.sent(190, 800);
        assert_eq!(sent[0], (690, VideoCodec::H264, true), "half a second after the last");
        assert!(run.stale.contains(run.rendition(VideoCodec::H264)), "for when it is live again");
        assert!((3..=4).contains(&sent.len()));
    }

    #[test]
    fn an_interruption_shows_it_at_once_and_what_was_on_its_way_is_not_shown() {
        let mut run = Run::new(&[VideoCodec::H264]);
        assert_eq!(run.push(0, true), Verdict::Send);
        run.sent(0, 10);
        run.live.cut(run.start + MS * 12);
        // The media loop is woken.
        run.splice.next = None;
        assert_eq!(run.sent(12, 30), [(12, VideoCodec::H264, true)]);
        let late = PacketizedFrame {
            rendition: run.rendition(VideoCodec::H264),
            keyframe: true,
            layers: None,
            payloads: Arc::new(Payloads::default()),
            captured: run.start,
            stamps: Stamps::pushed(run.start + MS * 11),
        };
        assert_eq!(run.splice.judge(&late), Verdict::Drop);
        assert_eq!(run.push(40, true), Verdict::Send);
    }

    #[test]
    fn who_is_alone_is_served_at_once_and_others_wait_for_their_keyframe() {
        let mut run = Run::new(&[VideoCodec::H264]);
        run.sent(0, 220);
        run.keyframe_wanted(220);
        assert_eq!(run.sent(220, 222), [(220, VideoCodec::H264, true)]);
        run.viewers = 2;
        run.sent(222, 400);
        run.keyframe_wanted(400);
        assert_eq!(run.sent(400, 402).iter().filter(|sent| sent.2).count(), 0);
        assert!(run.sent(402, 930).iter().any(|sent| sent.2));
    }

    #[test]
    fn all_codecs_show_the_same_picture() {
        let mut run = Run::new(&[VideoCodec::H264, VideoCodec::Vp8]);
        let sent = run.sent(0, 2_000);
        let of =
            |codec| sent.iter().filter(move |sent| sent.1 == codec).map(|sent| (sent.0, sent.2));
        assert!(of(VideoCodec::H264).eq(of(VideoCodec::Vp8)));
        assert!(of(VideoCodec::Vp8).count() > 55);
    }

    #[test]
    fn a_codec_that_comes_late_begins_with_a_keyframe() {
        let mut run = Run::new(&[VideoCodec::H264]);
        run.sent(0, 320);
        run.active = run.active.with(run.rendition(VideoCodec::Vp8));
        let vp8 = (VideoCodec::Vp8, Rung::LOWEST);
        let rendition = run.idle.rendition(run.idle.current().as_ref().unwrap(), vp8);
        while !rendition.is_complete() {
            std::thread::sleep(MS);
        }
        let sent = run.sent(320, 1_500);
        let vp8: Vec<_> = sent.iter().filter(|sent| sent.1 == VideoCodec::Vp8).collect();
        assert!(vp8[0].2 && vp8.len() > 20, "{vp8:?}");
    }

    #[test]
    fn nothing_is_shown_before_the_start_or_to_nobody_or_where_there_is_no_loop() {
        let mut run = Run::new(&[VideoCodec::H264]);
        let active = std::mem::take(&mut run.active);
        assert_eq!(run.sent(0, 200), []);
        run.active = active;
        run.idle.set(None);
        assert_eq!(run.sent(200, 400), []);
        assert_eq!(run.push(400, false), Verdict::Send);
        run.lifecycle.stop();
        run.idle.set(Some(IdleLoop::built_in()));
        run.live.cut(run.start + MS * 450);
        assert_eq!(run.sent(1_000, 1_200), []);
    }
}
