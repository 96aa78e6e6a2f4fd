use std::sync::atomic::{Ordering::SeqCst, fence};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use visavis_codec::Mp3Decoder;
use visavis_types::{
    AudioChunk, AudioChunkError, EncodedAudio, UnixMillis, VideoFrame, VideoFrameError,
};

use super::id::UtteranceId;
use super::playback::Playback;
use super::state::UtteranceState;
use crate::audio::sink::AudioSink;
use crate::error::EncodedAudioError;
use crate::push_outcome::PushOutcome;
use crate::state::lifecycle::Lifecycle;
use crate::video::sink::VideoSink;

/// Why an utterance was not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UtteranceError {
    /// The engine does not keep up with what was pushed before.
    #[error("the engine is busy; try again")]
    Busy,
    /// No session of this name.
    #[error("there is no such session")]
    NoSession,
    /// The session's sound is given as Opus packets, which are sent as they come.
    #[error("this session's sound is given as Opus packets; there are no utterances in it")]
    EncodedSession,
}

/// Who waits for room looks for it this often even if nobody says that there is some.
const LOOK: Duration = Duration::from_millis(100);

/// Something that is said, pushed as fast as it is made and played at its own pace.
///
/// Sound and pictures carry their times inside it: a stamp of the `zero` given to
/// [`Session::begin_utterance`](crate::Session::begin_utterance) is its beginning. It begins as soon as
/// there is something of both, or some 60 ms after the first push of one. Where sound is not there in
/// time, all of it waits; pictures that are not there in time are shown when they come, or not at all if a
/// later one is due. While an utterance with pictures plays, pictures pushed live are not shown.
///
/// Each tells its end exactly once: [`Event::UtteranceEnded`](crate::Event::UtteranceEnded), or
/// [`Event::Interrupted`](crate::Event::Interrupted) where it was cut off, also by the end of its session. Sound
/// pushed live that waits when an utterance begins to sound is dropped, as is what comes meanwhile.
///
/// Utterances are played one after the other, in the order in which they were begun. The first of them has
/// room of its own, all that wait behind it share as much again. Callable from any
/// thread, and several at a time. Dropping it ends it: what was pushed is still played.
#[derive(Debug)]
#[must_use = "an utterance ends when it is dropped, and nothing more can be pushed into it"]
pub struct Utterance {
    state: Arc<UtteranceState>,
    parts: UtteranceParts,
    /// Only callers take the lock.
    mp3: Mutex<Mp3Decoder>,
}

/// What utterances of a session are begun and filled with.
#[derive(Debug, Clone)]
pub(crate) struct UtteranceParts {
    pub(crate) audio: AudioSink,
    pub(crate) video: VideoSink,
    pub(crate) playback: Arc<Playback>,
    pub(crate) lifecycle: Arc<Lifecycle>,
}

impl Utterance {
    pub(crate) fn begin(parts: UtteranceParts, zero: UnixMillis) -> Result<Self, UtteranceError> {
        if !parts.audio.takes_pcm() {
            return Err(UtteranceError::EncodedSession);
        }
        let state = parts.playback.begin(zero);
        if !parts.audio.begin(Arc::clone(&state)) {
            state.finish();
            return Err(UtteranceError::Busy);
        }
        // The audio loop looks once more at what is on its way after it has seen that the session was stopped: it
        // has found this one, or we see it too.
        fence(SeqCst);
        if parts.lifecycle.is_stopped() && state.finish() {
            return Err(UtteranceError::NoSession);
        }
        Ok(Self { state, parts, mp3: Mutex::default() })
    }

    /// Its name, as events have it.
    pub fn id(&self) -> UtteranceId {
        self.state.id
    }

    /// What becomes of it, also after it has been ended.
    pub fn progress(&self) -> UtteranceProgress {
        let (state, playback) = (Arc::clone(&self.state), Arc::clone(&self.parts.playback));
        UtteranceProgress { state, playback }
    }

    /// Converts a picture and keeps it until its time: some 0.3 ms for 512×512 RGBA.
    /// [`PushOutcome::Full`] where [`SessionConfig::utterance_bytes`](crate::SessionConfig::utterance_bytes)
    /// are waiting already; push it again when some have been shown, or let
    /// [`push_video_within`](Self::push_video_within) wait for that. A stamp before that of the frame before is
    /// counted as corrected; the frame is shown after that one.
    ///
    /// # Errors
    ///
    /// A frame whose size, length or content is unusable, or a session whose pictures come encoded.
    pub fn push_video(&self, frame: &VideoFrame<'_>) -> Result<PushOutcome, VideoFrameError> {
        self.parts.video.push_into(frame, &self.state)
    }

    /// Keeps a chunk of sound until its time. A gap in the stamps is silence; chunks that follow each other
    /// closely are joined. [`PushOutcome::Full`] where
    /// [`SessionConfig::audio_queue`](crate::SessionConfig::audio_queue) of sound is waiting already;
    /// [`push_audio_within`](Self::push_audio_within) waits for room. A stamp that lies before the utterance or in
    /// what was pushed of it already is counted in [`Metrics::corrected_stamps`](crate::status::Metrics::corrected_stamps);
    /// the sound then follows what was pushed before it.
    ///
    /// # Errors
    ///
    /// As [`AudioSink::push`](crate::audio::AudioSink::push).
    pub fn push_audio(&self, chunk: &AudioChunk<'_>) -> Result<PushOutcome, AudioChunkError> {
        self.parts.audio.push_into(chunk, &self.state)
    }

    /// As [`push_audio`](Self::push_audio), of one or more whole MP3 frames.
    ///
    /// # Errors
    ///
    /// As [`AudioSink::push_mp3`](crate::audio::AudioSink::push_mp3).
    pub fn push_mp3(&self, frames: &EncodedAudio<'_>) -> Result<PushOutcome, EncodedAudioError> {
        let mut decoder = self.mp3.lock().unwrap_or_else(PoisonError::into_inner);
        self.parts.audio.push_mp3_into(frames, &mut decoder, &self.state)
    }

    /// As [`push_video`](Self::push_video), but waits up to `patience` where there is no room:
    /// [`PushOutcome::Full`] means that there was none for so long. Also returns where there is nothing to wait for
    /// any more, as after an interruption.
    ///
    /// # Errors
    ///
    /// As [`push_video`](Self::push_video).
    pub fn push_video_within(
        &self,
        frame: &VideoFrame<'_>,
        patience: Duration,
    ) -> Result<PushOutcome, VideoFrameError> {
        self.within(patience, || self.push_video(frame))
    }

    /// As [`push_audio`](Self::push_audio), but waits up to `patience` where there is no room.
    ///
    /// # Errors
    ///
    /// As [`push_audio`](Self::push_audio).
    pub fn push_audio_within(
        &self,
        chunk: &AudioChunk<'_>,
        patience: Duration,
    ) -> Result<PushOutcome, AudioChunkError> {
        self.within(patience, || self.push_audio(chunk))
    }

    /// Pushes again and again, whenever there is room somewhere.
    fn within<E>(
        &self,
        patience: Duration,
        push: impl Fn() -> Result<PushOutcome, E>,
    ) -> Result<PushOutcome, E> {
        let mut outcome = push()?;
        let began = Instant::now();
        while outcome == PushOutcome::Full {
            let Some(left) = patience.checked_sub(began.elapsed()).filter(|left| !left.is_zero())
            else {
                break;
            };
            self.parts.playback.threads().pushers.register();
            // There may have been room in between.
            outcome = push()?;
            if outcome == PushOutcome::Full {
                thread::park_timeout(left.min(LOOK));
            }
        }
        Ok(outcome)
    }

    /// Nothing more will be pushed: when all of it is played it is over, and the next one begins.
    pub fn end(self) {
        // By dropping it.
    }

    /// Drops what has not been sent yet, and returns how much was: exact to a packet. Sound fades out
    /// within 5 ms, and the idle picture is shown, if the session has one.
    pub fn interrupt(&self) -> Duration {
        self.progress().interrupt()
    }
}

/// What becomes of an utterance.
#[derive(Debug, Clone)]
pub struct UtteranceProgress {
    state: Arc<UtteranceState>,
    playback: Arc<Playback>,
}

impl UtteranceProgress {
    /// How much of it was sent: exact to a packet.
    pub fn sent(&self) -> Duration {
        self.state.sent()
    }

    /// Whether it was cut off.
    pub fn is_interrupted(&self) -> bool {
        self.state.is_interrupted()
    }

    /// Whether nothing more of it will be sent: it was played to its end, or cut off by an interruption or by the end
    /// of its session.
    pub fn is_over(&self) -> bool {
        self.state.is_over()
    }

    /// As [`Utterance::interrupt`], also of one that was ended and plays on. Returns how much was sent, and does nothing
    /// else, where it is over.
    pub fn interrupt(&self) -> Duration {
        if self.state.is_over() {
            return self.state.sent();
        }
        let sent = self.state.interrupt();
        // One that only waits is not what viewers see.
        if self.state.has_begun() {
            self.playback.cut_pictures();
        }
        self.playback.threads().wake_all();
        sent
    }
}

impl Drop for Utterance {
    fn drop(&mut self) {
        self.state.end();
        self.parts.playback.threads().wake_all();
    }
}
