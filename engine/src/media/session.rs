//! A session on one media loop: what was put into it goes out to its viewers there.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use visavis_core::{Hub, KeyframeReason, SessionKey};
use visavis_types::{RenditionId, RenditionSet, Stage};

use super::command::SessionMedia;
use super::egress::Egress;
use super::splice::{Splice, Verdict};
use super::stages::StageHistograms;
use crate::event::Event;
use crate::faults::Faults;

pub(super) struct Session {
    key: SessionKey,
    pub(super) media: SessionMedia,
    stages: StageHistograms,
    splice: Splice,
    /// Renditions of pictures that its viewers get.
    pub(super) active: RenditionSet,
    /// Viewers on this media loop.
    pub(super) viewers: usize,
    /// Whether pictures were pushed, as far as was emitted.
    was_live: bool,
}

/// What a session needs of its media loop.
pub(super) struct Surroundings<'a> {
    /// Which of the engine's media loops it is.
    pub(super) index: usize,
    pub(super) hub: &'a mut Hub,
    pub(super) egress: &'a mut Egress,
    /// By way of them events are emitted.
    pub(super) faults: &'a Faults,
    /// Idle loops change pictures at moments counted from here.
    pub(super) epoch: Instant,
}

impl Session {
    pub(super) fn new(key: SessionKey, media: SessionMedia) -> Self {
        Self {
            key,
            splice: Splice::new(
                media.demand.session(),
                Arc::clone(&media.idle),
                Arc::clone(&media.liveness),
                Arc::clone(&media.lifecycle),
            ),
            media,
            stages: StageHistograms::default(),
            active: RenditionSet::EMPTY,
            viewers: 0,
            was_live: false,
        }
    }

    pub(super) fn key(&self) -> SessionKey {
        self.key
    }

    /// Sends what waits, or what is due of the idle loop.
    pub(super) fn send(&mut self, around: &mut Surroundings<'_>) {
        // Sound first: it is small, and its rhythm is what an ear hears.
        self.send_sound(around.hub, around.egress);
        self.send_frames(around);
        let Surroundings { index, hub, egress, faults, epoch } = around;
        let Self { key, media, splice, active, .. } = self;
        let now = Instant::now();
        let stale = splice.run(*active, (now, *epoch), |frame| {
            hub.send_frame(*key, frame, Instant::now, *egress);
        });
        for rendition in stale.iter(media.demand.session()) {
            // Nobody waits for it yet, so that the caller's encoder is not notified.
            if hub.request_keyframe(*key, rendition, KeyframeReason::Splice, now) {
                media.demand.request_keyframe(rendition);
            }
        }
        // One loop emits for all.
        if *index == 0 {
            self.watch_source(now, faults);
        }
    }

    /// Sends the sound that waits. What is put in from here on has a turn of its own.
    pub(super) fn send_sound(&mut self, hub: &mut Hub, egress: &mut Egress) {
        for _ in 0..self.media.audio.slots() {
            let Ok(packet) = self.media.audio.pop() else { break };
            hub.send_audio(self.key, &packet, egress);
        }
    }

    fn send_frames(&mut self, around: &mut Surroundings<'_>) {
        for _ in 0..self.media.video.slots() {
            let Ok(frame) = self.media.video.pop() else { break };
            match self.splice.judge(&frame) {
                Verdict::Send => {}
                Verdict::Drop => continue,
                Verdict::RequestKeyframe => {
                    let (rendition, now) = (frame.rendition, Instant::now());
                    let reason = KeyframeReason::Splice;
                    if around.hub.request_keyframe(self.key, rendition, reason, now) {
                        self.request_keyframe(rendition, around.faults);
                    }
                    continue;
                }
            }
            let (captured, mut stamps) = (frame.captured, frame.stamps);
            let sent = around.hub.send_frame(self.key, frame, Instant::now, around.egress);
            let Some(first) = sent.first else { continue };
            let last = Instant::now();
            stamps.set(Stage::FirstSent, first);
            stamps.set(Stage::LastSent, last);
            self.stages.record(&stamps);
            let media = &self.media;
            media.counters.record_latency(last.saturating_duration_since(captured));
            if let Some(summary) = self.stages.snapshot(last) {
                media.report.publish_stages(summary);
            }
        }
    }

    /// When to look at it though nothing is put into it.
    pub(super) fn next_look(&self) -> Option<Instant> {
        let ends = self.was_live.then(|| self.media.liveness.until()).flatten();
        [self.splice.deadline(), ends].into_iter().flatten().min()
    }

    /// The hub has decided that viewers get a keyframe now.
    pub(super) fn keyframe_wanted(&mut self, rendition: RenditionId, faults: &Faults) {
        self.request_keyframe(rendition, faults);
        self.splice.keyframe_wanted(self.viewers, Instant::now());
    }

    /// Emits when pictures begin and cease to be pushed.
    fn watch_source(&mut self, now: Instant, faults: &Faults) {
        let media = &self.media;
        let live = media.liveness.is_live(now);
        if live == std::mem::replace(&mut self.was_live, live) {
            return;
        }
        let id = media.config.id.clone();
        if live {
            tracing::info!(session = %id, "live");
            faults.emit(&Event::LiveStarted { session: id });
            return;
        }
        let stalled = !media.liveness.is_pause_expected();
        if stalled {
            media.counters.stalls.fetch_add(1, Relaxed);
        }
        tracing::info!(session = %id, stalled, "idle");
        faults.emit(&Event::LiveEnded { session: id, stalled });
    }

    /// Passes on to whoever encodes, the encode loop or the caller's encoder, that the hub has granted a keyframe.
    fn request_keyframe(&self, rendition: RenditionId, faults: &Faults) {
        let media = &self.media;
        media.demand.request_keyframe(rendition);
        let codec = rendition.codec;
        if media.config.encoded == Some(codec) {
            let session = media.config.id.clone();
            faults.emit(&Event::KeyframeRequested { session, codec });
        }
    }
}
