use std::sync::Arc;
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use visavis_types::UnixMillis;

use crate::audio::sink::AudioSink;
use crate::config::SessionConfig;
use crate::idle::idle_loop::IdleLoop;
use crate::idle::source::IdleSource;
use crate::media::waker::SessionWakers;
use crate::rtp_input::status::RtpInputStatus;
use crate::state::lifecycle::Lifecycle;
use crate::state::status_source::StatusSource;
use crate::state::threads::Threads;
use crate::status::SessionStatus;
use crate::utterance::{Utterance, UtteranceError, UtteranceParts};
use crate::video::sink::VideoSink;

/// A session as callers have it, listed in the engine's directory: what it does when it is asked, and where media goes
/// in. No thread of the engine has one.
#[derive(Debug)]
pub(crate) struct SessionEntry {
    config: Arc<SessionConfig>,
    lifecycle: Arc<Lifecycle>,
    status: StatusSource,
    idle: Arc<IdleSource>,
    utterances: UtteranceParts,
    threads: Arc<Threads>,
    media_loops: SessionWakers,
}

/// What a [`SessionEntry`] is made of.
pub(crate) struct EntryParts {
    pub(crate) config: Arc<SessionConfig>,
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) status: StatusSource,
    pub(crate) idle: Arc<IdleSource>,
    pub(crate) utterances: UtteranceParts,
    pub(crate) threads: Arc<Threads>,
    pub(crate) media_loops: SessionWakers,
}

impl SessionEntry {
    pub(crate) fn new(parts: EntryParts) -> Self {
        let EntryParts { config, lifecycle, status, idle, utterances, threads, media_loops } =
            parts;
        Self { config, lifecycle, status, idle, utterances, threads, media_loops }
    }

    pub(crate) fn config(&self) -> &SessionConfig {
        &self.config
    }

    /// Whether it runs; the same for all that know this session.
    pub(crate) fn lifecycle(&self) -> &Arc<Lifecycle> {
        &self.lifecycle
    }

    /// Has no effect on a session that was stopped.
    pub(crate) fn start(&self) {
        if !self.lifecycle.is_stopped() {
            self.lifecycle.start();
            // There may be an idle loop to show.
            self.media_loops.wake();
        }
    }

    pub(crate) fn stop(&self) {
        self.lifecycle.stop();
        self.idle.release();
        // All let go of what is the session's.
        self.threads.wake_all();
    }

    /// Whether the caller is the thread that paces sound, and calls back with what viewers say.
    pub(crate) fn is_audio_thread(&self) -> bool {
        self.threads.audio.get().is_some_and(|thread| thread.id() == thread::current().id())
    }

    pub(crate) fn status(&self) -> SessionStatus {
        self.status.status()
    }

    /// Where an RTP input publishes what became of what it took.
    pub(crate) fn rtp_input_status(&self) -> Arc<ArcSwap<RtpInputStatus>> {
        self.status.rtp_input()
    }

    pub(crate) fn set_idle(&self, idle: Option<IdleLoop>) {
        self.idle.set(idle);
    }

    pub(crate) fn audio(&self) -> &AudioSink {
        &self.utterances.audio
    }

    pub(crate) fn video(&self) -> &VideoSink {
        &self.utterances.video
    }

    pub(crate) fn begin_utterance(&self, zero: UnixMillis) -> Result<Utterance, UtteranceError> {
        Utterance::begin(self.utterances.clone(), zero)
    }

    /// Drops all that waits to be played; returns how much of what plays was sent.
    pub(crate) fn interrupt(&self) -> Duration {
        self.utterances.playback.interrupt()
    }

    /// Its wakers on the media loops, by which they know it.
    pub(crate) fn media_loops(&self) -> &SessionWakers {
        &self.media_loops
    }
}
