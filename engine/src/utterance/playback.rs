use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use visavis_types::UnixMillis;

use super::id::UtteranceId;
use super::state::UtteranceState;
use crate::audio::queue::AudioQueue;
use crate::state::liveness::LiveSource;
use crate::state::threads::Threads;

/// What is played in a session, as its callers begin and interrupt it. No thread of the engine takes the lock.
#[derive(Debug)]
pub(crate) struct Playback {
    utterances: Mutex<Utterances>,
    audio: Arc<AudioQueue>,
    live: Arc<LiveSource>,
    threads: Arc<Threads>,
}

impl Playback {
    pub(crate) fn new(
        audio: Arc<AudioQueue>,
        live: Arc<LiveSource>,
        threads: Arc<Threads>,
    ) -> Self {
        Self { utterances: Mutex::default(), audio, live, threads }
    }

    /// An utterance, after those begun before it.
    pub(super) fn begin(&self, zero: UnixMillis) -> Arc<UtteranceState> {
        let mut utterances = self.utterances.lock().unwrap_or_else(PoisonError::into_inner);
        utterances.begin(zero, Instant::now())
    }

    /// Drops all that waits to be played; returns how much of what plays was sent.
    pub(crate) fn interrupt(&self) -> Duration {
        // First this: an audio loop that looks in between is to find the utterance still there, and not
        // to take its sound for live.
        self.audio.interrupt();
        let of_utterance =
            self.utterances.lock().unwrap_or_else(PoisonError::into_inner).interrupt();
        let sent = of_utterance.unwrap_or_else(|| self.audio.played());
        self.cut_pictures();
        self.threads.wake_all();
        sent
    }

    /// The idle loop is to be shown at once, and what is pushed next begins anew.
    pub(super) fn cut_pictures(&self) {
        self.live.cut(Instant::now());
    }

    /// The threads that play it.
    pub(super) fn threads(&self) -> &Threads {
        &self.threads
    }
}

/// The utterances of a session that are not over, in order.
#[derive(Debug, Default)]
struct Utterances {
    begun: u64,
    unfinished: Vec<Arc<UtteranceState>>,
}

impl Utterances {
    fn begin(&mut self, zero: UnixMillis, now: Instant) -> Arc<UtteranceState> {
        self.begun += 1;
        let state = Arc::new(UtteranceState::new(UtteranceId(self.begun), zero, now));
        self.unfinished.retain(|utterance| !utterance.is_over());
        if self.unfinished.is_empty() {
            state.becomes_first();
        }
        self.unfinished.push(Arc::clone(&state));
        state
    }

    /// Interrupts all of them; returns how much of the one that was playing had been sent.
    fn interrupt(&mut self) -> Option<Duration> {
        let mut sent = None;
        for utterance in self.unfinished.drain(..).filter(|utterance| !utterance.is_over()) {
            let of_this = utterance.interrupt();
            if sent.is_none() && utterance.has_begun() {
                sent = Some(of_this);
            }
        }
        sent
    }
}
