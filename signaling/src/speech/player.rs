//! Plays an upload, on its own thread, so that decoding and waiting block nothing else.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use serde::Serialize;
use visavis::EngineHandle;
use visavis::audio::AudioChunk;
use visavis::session::{PushOutcome, SessionId};
use visavis::units::UnixMillis;
use visavis::utterance::{Utterance, UtteranceError, UtteranceProgress};

use super::decode::Decoder;
use super::format::SpeechFormat;
use super::samples::{DecodeError, Sound};
use super::turns::Turn;

/// How far an upload is read ahead of playout: the time that a renderer has for each picture.
const LEAD: Duration = Duration::from_secs(5);

/// How long to leave the engine alone before asking again how far it has come.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
const MIN_POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A piece of uploaded speech, on its way to the viewers: what a renderer moves the lips by.
#[derive(Debug, Clone, Copy)]
pub struct SpeechChunk<'a> {
    /// The session that it is played into.
    pub session: &'a SessionId,
    /// What it is part of. Pictures pushed into it, with stamps that count from `UnixMillis(0)`, are shown
    /// in time with the sound. Keep a clone while there are pictures to come: the utterance is over when
    /// the upload is and every clone is dropped.
    pub utterance: &'a Arc<Utterance>,
    /// The time of the first sample inside the utterance.
    pub at: Duration,
    /// Samples a second, of each channel.
    pub sample_rate: u32,
    /// 1 or 2.
    pub channels: u16,
    /// Channels interleaved: some 40 ms.
    pub samples: &'a [i16],
}

/// What a listener is told of an upload.
pub(crate) enum Told<'a> {
    /// Of each piece, before it is pushed.
    Piece(&'a SpeechChunk<'a>),
    /// That there are no more pieces of this.
    End(&'a Arc<Utterance>),
}

pub(crate) type Listener<'a> = &'a mut dyn FnMut(&Told<'_>);

/// What an upload has come to; the answer to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Played {
    /// The utterance, as events have it.
    pub(crate) utterance: u64,
    /// How much of it was sent.
    pub(crate) played_ms: u64,
    /// Whether it was cut off.
    pub(crate) interrupted: bool,
}

/// Why an upload was not played, or not to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlayError {
    /// Not the sound it should be.
    #[error("{0}")]
    Unusable(String),
    /// There is nothing in it.
    #[error("the upload has no audio")]
    Empty,
    /// The session takes none.
    #[error(transparent)]
    Refused(#[from] UtteranceError),
    /// The session was not started.
    #[error("the session is not started")]
    NotStarted,
    /// The session has ended meanwhile.
    #[error("the session has ended")]
    SessionGone,
    /// The client went away; what had come of it is played.
    #[error("the upload was cut off: {0}")]
    Broken(io::Error),
    /// The server ends.
    #[error("the server is stopping")]
    Stopping,
}

impl From<DecodeError> for PlayError {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Unusable(why) => Self::Unusable(why),
            DecodeError::Io(error) => Self::Broken(error),
        }
    }
}

/// Where an upload goes.
pub(crate) struct Player<'a> {
    /// Its place among those into the same session.
    pub(crate) turn: &'a mut Turn,
    pub(crate) engine: &'a EngineHandle,
    pub(crate) session: &'a SessionId,
    /// Whether to return when all of it has been played, and not when all of it has been taken.
    pub(crate) wait: bool,
    /// Set when the server ends.
    pub(crate) stop: &'a AtomicBool,
}

impl Player<'_> {
    /// Plays an upload to its end. Takes as long as that.
    pub(crate) fn play(
        &mut self,
        bytes: impl io::Read,
        format: SpeechFormat,
        listener: Listener<'_>,
    ) -> Result<Played, PlayError> {
        let mut decoder = Decoder::new(bytes, format);
        let mut samples = Vec::new();
        // What cannot be decoded is found out before anything begins.
        let first = decoder.next(&mut samples)?.ok_or(PlayError::Empty)?;
        // It is played when those before it are: until then an interruption drops it like all that waits.
        let (engine, session) = (self.engine, self.session);
        let begun = self.turn.join(|| engine.begin_utterance(session, UnixMillis(0)));
        let utterance = Arc::new(begun?);
        let (id, progress) = (utterance.id(), utterance.progress());
        let mut playback =
            Playback { utterance, progress: progress.clone(), pushed: Duration::ZERO };
        while !self.turn.wait(POLL_INTERVAL) && !progress.is_interrupted() {
            self.check_session()?;
        }
        let outcome = self.push_all(&mut playback, first, (decoder, samples), listener);
        listener(&Told::End(&playback.utterance));
        outcome?;
        let pushed = playback.pushed;
        // No more of it: what was pushed is played.
        drop(playback);
        self.turn.pass();
        while self.wait && !progress.is_over() {
            self.pause(pushed.saturating_sub(progress.sent()) / 2)?;
        }
        Ok(Played {
            utterance: id.as_raw(),
            played_ms: u64::try_from(progress.sent().as_millis()).unwrap_or(u64::MAX),
            interrupted: progress.is_interrupted(),
        })
    }

    /// Pushes all pieces there are, or until no more is wanted.
    fn push_all<R: io::Read>(
        &self,
        playback: &mut Playback,
        first: Sound,
        (mut decoder, mut samples): (Decoder<R>, Vec<i16>),
        listener: Listener<'_>,
    ) -> Result<(), PlayError> {
        let mut sound = Some(first);
        while let Some(this) = sound {
            if !self.push_piece(playback, this, &samples, listener)? {
                break;
            }
            sound = decoder.next(&mut samples)?;
        }
        Ok(())
    }

    /// Pushes a piece when its time has come near; false when no more is wanted.
    fn push_piece(
        &self,
        playback: &mut Playback,
        sound: Sound,
        samples: &[i16],
        listener: Listener<'_>,
    ) -> Result<bool, PlayError> {
        let Playback { utterance, progress, pushed } = playback;
        let Sound { sample_rate, channels } = sound;
        while pushed.saturating_sub(progress.sent()) > LEAD {
            if progress.is_interrupted() {
                return Ok(false);
            }
            self.pause(POLL_INTERVAL)?;
        }
        let at = *pushed;
        let session = self.session;
        let chunk = SpeechChunk { session, utterance, at, sample_rate, channels, samples };
        listener(&Told::Piece(&chunk));
        let data: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let timestamp = UnixMillis(u64::try_from(at.as_millis()).unwrap_or(u64::MAX));
        let chunk = AudioChunk::new(&data, sample_rate, channels).timestamp(timestamp);
        loop {
            let outcome = utterance.push_audio(&chunk);
            match outcome.map_err(|error| PlayError::Unusable(error.to_string()))? {
                PushOutcome::Accepted | PushOutcome::DroppedOldest(_) => break,
                // What was started once is stopped now, and gone a moment later.
                PushOutcome::Stopped => return Err(PlayError::SessionGone),
                PushOutcome::NotStarted if !pushed.is_zero() => return Err(PlayError::SessionGone),
                PushOutcome::NotStarted => return Err(PlayError::NotStarted),
                PushOutcome::Full => self.pause(POLL_INTERVAL)?,
                // It was interrupted.
                _ => return Ok(false),
            }
        }
        let frames = samples.len() as u64 / u64::from(channels.max(1));
        *pushed += Duration::from_nanos(frames * 1_000_000_000 / u64::from(sample_rate.max(1)));
        Ok(true)
    }

    fn pause(&self, time: Duration) -> Result<(), PlayError> {
        thread::sleep(time.clamp(MIN_POLL_INTERVAL, POLL_INTERVAL));
        self.check_session()
    }

    /// Whether it still makes sense to wait.
    fn check_session(&self) -> Result<(), PlayError> {
        if self.stop.load(Relaxed) {
            return Err(PlayError::Stopping);
        }
        if self.is_session_gone() {
            return Err(PlayError::SessionGone);
        }
        Ok(())
    }

    fn is_session_gone(&self) -> bool {
        !self.engine.has_session(self.session)
    }
}

/// An utterance that is being pushed.
struct Playback {
    utterance: Arc<Utterance>,
    progress: UtteranceProgress,
    /// How much of it was.
    pushed: Duration,
}
