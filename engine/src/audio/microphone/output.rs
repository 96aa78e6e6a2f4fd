//! What an application is given: chunks, and events.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use crossbeam_channel as channel;
use visavis_types::{ClockAnchor, PeerId, SessionId, UnixMillis};

use super::chunk::{Callback, MicChunk};
use super::reader::MicReader;
use super::voice_activity::VoiceEvent;
use crate::event::Event;
use crate::faults::{FaultDomain, Faults};
use crate::receiver::{self, Receiver, Sender};
use crate::state::interest::Interest;

/// Chunks that may wait for the application: ten seconds of one viewer. Past that the oldest is dropped.
pub(super) const CHUNKS: usize = 500;

/// The way from a session's microphones to the application.
pub(crate) struct Output {
    session: SessionId,
    pub(super) sample_rate: u32,
    clock: ClockAnchor,
    interest: Arc<Interest>,
    chunks: Sender<MicChunk>,
    /// To make room where nobody reads.
    oldest: Receiver<MicChunk>,
    callback: Option<Callback>,
    callbacks: channel::Receiver<Callback>,
    /// Packets that were not decoded: more than their sender may send.
    pub(super) refused: u64,
    /// Chunks that were dropped because nobody has read them.
    unread: Arc<AtomicU64>,
    faults: Arc<Faults>,
}

impl Output {
    /// Of sound at `sample_rate`, and where the application reads it.
    pub(crate) fn new(
        session: SessionId,
        sample_rate: u32,
        clock: ClockAnchor,
        interest: Arc<Interest>,
        (faults, unread): (Arc<Faults>, Arc<AtomicU64>),
    ) -> (Self, MicReader) {
        // Memory for chunks is taken as they come: most sessions' microphones are never read.
        let (chunks, chunks_out) = receiver::unbounded();
        let (callbacks_in, callbacks) = channel::unbounded();
        let made = Self {
            session,
            sample_rate,
            clock,
            interest: Arc::clone(&interest),
            chunks,
            oldest: chunks_out.clone(),
            callback: None,
            callbacks,
            refused: 0,
            unread,
            faults,
        };
        (made, MicReader::new(chunks_out, callbacks_in, interest))
    }

    /// Puts the latest callback in the place of the one before.
    pub(super) fn take_callback(&mut self) {
        while let Ok(callback) = self.callbacks.try_recv() {
            self.drop_callback();
            self.callback = Some(callback);
        }
    }

    pub(super) fn emit(&self, peer: PeerId, event: VoiceEvent, emit: &mut dyn FnMut(&Event)) {
        let session = self.session.clone();
        emit(&match event {
            VoiceEvent::SpeechStarted(at) => {
                Event::SpeechStarted { session, peer, at: self.unix(at) }
            }
            VoiceEvent::SpeechEnded(at) => Event::SpeechEnded { session, peer, at: self.unix(at) },
            VoiceEvent::Level(dbfs) => Event::MicrophoneLevel { session, peer, dbfs },
        });
    }

    pub(super) fn send(
        &mut self,
        peer: PeerId,
        samples: Vec<i16>,
        captured: Instant,
        concealed: bool,
    ) {
        let (captured, sample_rate) = (self.unix(captured), self.sample_rate);
        let chunk = MicChunk { peer, samples, sample_rate, captured, concealed };
        if let Some(callback) = &mut self.callback {
            let whose = format_args!("on_microphone of {}", self.session);
            if self.faults.guard(FaultDomain::Callback, &whose, || callback(&chunk)).is_none() {
                tracing::error!(session = %self.session, "a microphone callback is not called again");
                self.drop_callback();
            }
        }
        if self.interest.reads_microphones() {
            self.queue(chunk);
        }
    }

    fn queue(&self, chunk: MicChunk) {
        if self.chunks.len() >= CHUNKS && self.oldest.drop_oldest() {
            self.unread.fetch_add(1, Relaxed);
        }
        // Refused only when the session has ended.
        let _ = self.chunks.send(chunk);
    }

    /// A viewer sent more than a voice needs.
    pub(super) fn refused(&mut self) {
        self.refused += 1;
    }

    /// What it holds is the application's, and may panic as well.
    fn drop_callback(&mut self) {
        if let Some(callback) = self.callback.take() {
            let whose = format_args!("on_microphone of {}", self.session);
            self.faults.drop_guarded(&whose, callback);
        }
    }

    pub(super) fn unix(&self, at: Instant) -> UnixMillis {
        UnixMillis::from_system(self.clock.to_system(at))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.take_callback();
        self.drop_callback();
    }
}
