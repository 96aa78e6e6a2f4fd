use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use visavis_types::{SessionId, UnixMillis, VideoCodec, VideoFrame, VideoFrameError};

use crate::audio::{AudioSink, MicChunk, MicEnds, Microphone};
use crate::data::{DataChannel, InboxReader};
use crate::encoded::EncodedVideoSink;
use crate::shared::SessionShared;
use crate::video::VideoSink;
use crate::{EngineHandle, IdleLoop, RtpInputStatus, SessionStatus, Utterance, UtteranceError};

/// How long `stop` waits for the media loops to say the goodbyes.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);

/// One face: its sources and its viewers. Dropping it stops it.
#[derive(Debug)]
pub struct Session {
    engine: EngineHandle,
    shared: Arc<SessionShared>,
    ends: Ends,
    /// Taken by the first stop.
    running: Mutex<Option<Running>>,
}

/// Where an application's media goes in and out.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) audio: AudioSink,
    pub(crate) encoded_video: EncodedVideoSink,
    pub(crate) microphone: MicEnds,
    pub(crate) inbox: InboxReader,
}

/// What a session runs.
#[derive(Debug)]
pub(crate) struct Running {
    /// None where pictures come encoded.
    pub(crate) encode_thread: Option<JoinHandle<()>>,
}

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushOutcome {
    /// It is on its way.
    Accepted,
    /// The session is not started yet: counted, otherwise ignored.
    NotStarted,
    /// The session was stopped: counted, otherwise ignored. Nothing will be taken any more.
    Stopped,
    /// The engine does not keep up, or what it belongs to was interrupted. Encoded pictures are dropped
    /// from here to the next keyframe, which is asked for.
    Dropped,
    /// It is on its way, and so much of the oldest sound that waits has to go for it: more waits than
    /// [`SessionConfig::audio_queue`](crate::SessionConfig::audio_queue). Sound that is made faster than it plays belongs
    /// in an utterance ([`Session::begin_utterance`]), which says [`Full`](Self::Full) instead and loses nothing.
    DroppedOldest(Duration),
    /// So much of an utterance waits already that this was not taken: push it again when some of it has
    /// been played, or let [`Utterance::push_audio_within`] and its like wait for that.
    Full,
}

impl Session {
    pub(crate) fn new(
        engine: EngineHandle,
        shared: Arc<SessionShared>,
        ends: Ends,
        running: Running,
    ) -> Self {
        Self { engine, shared, ends, running: Mutex::new(Some(running)) }
    }

    /// Its name.
    pub fn id(&self) -> &SessionId {
        &self.shared.config.id
    }

    /// From now on pushed media is sent. Has no effect on a session that was stopped.
    pub fn start(&self) {
        if !self.shared.is_stopped() {
            self.shared.start();
        }
    }

    pub(crate) fn shared(&self) -> &Arc<SessionShared> {
        &self.shared
    }

    pub(crate) fn rtp_status(&self) -> Arc<ArcSwap<RtpInputStatus>> {
        self.shared.rtp_status()
    }

    pub(crate) fn encoded_codec(&self) -> Option<VideoCodec> {
        self.shared.config.encoded
    }

    /// Where frames go in. Clone it to push from another thread.
    pub fn video(&self) -> VideoSink {
        VideoSink::new(Arc::clone(&self.shared))
    }

    /// Where frames go in that are encoded already, in a session that was made for them
    /// ([`SessionConfig::encoded`](crate::SessionConfig::encoded)).
    pub fn encoded_video(&self) -> EncodedVideoSink {
        self.ends.encoded_video.clone()
    }

    /// Where sound goes in. Clone it to push from another thread.
    pub fn audio(&self) -> AudioSink {
        self.ends.audio.clone()
    }

    /// Begins an utterance: sound and pictures that are pushed ahead of their time, with stamps inside it.
    /// What is stamped `zero` is its beginning; where stamps count from nothing that is `UnixMillis(0)`.
    ///
    /// # Errors
    ///
    /// A session whose sound is given as Opus packets; an engine that does not keep up.
    pub fn begin_utterance(&self, zero: UnixMillis) -> Result<Utterance, UtteranceError> {
        Utterance::begin(&self.ends.audio, zero)
    }

    /// Drops at once all that waits to be said and shown, utterances and what was pushed live, and returns
    /// how much of what is being said was sent: exact to a packet. Sound fades out within 5 ms, and the
    /// idle picture is shown, if there is one.
    pub fn interrupt(&self) -> Duration {
        self.shared.interrupt()
    }

    /// Changes what is shown from the start, after an interruption, and when no picture has come for
    /// [`SessionConfig::idle_grace`](crate::SessionConfig::idle_grace). With `None` the last picture stays.
    pub fn set_idle(&self, idle: Option<IdleLoop>) {
        self.shared.set_idle(idle);
    }

    /// [`set_idle`](Self::set_idle) with a still picture. Its timestamp is of no interest.
    ///
    /// # Errors
    ///
    /// As [`VideoSink::push`].
    pub fn set_idle_picture(&self, picture: &VideoFrame<'_>) -> Result<(), VideoFrameError> {
        self.set_idle(Some(IdleLoop::still(picture)?));
        Ok(())
    }

    /// Where the viewers' microphones come out. Nothing is decoded before the first call of this or of
    /// [`on_microphone`](Self::on_microphone).
    pub fn microphone(&self) -> Microphone {
        let microphone = self.ends.microphone.open();
        self.shared.listen();
        microphone
    }

    /// Has `heard` called with each chunk of the viewers' microphones, each viewer's in order; beside
    /// [`microphone`](Self::microphone), which gives the same chunks. A callback given later takes the
    /// place of the one before.
    ///
    /// It is called on the engine's audio thread, which keeps the time of all sound of all sessions: it
    /// must be done within a millisecond or so and wait for nothing. It may push to any sink; what takes
    /// longer belongs to a thread of the application, with `microphone` or a queue in between. A panic in
    /// it is caught and logged, and it is not called again. It is dropped on the audio thread too, soon
    /// after the session has stopped; until then it may still be called.
    pub fn on_microphone(&self, heard: impl FnMut(&MicChunk) + Send + 'static) {
        self.ends.microphone.call(heard);
        self.shared.listen();
        self.shared.audio_thread.wake();
    }

    /// Messages to the viewers, and from them. Before the first call what viewers send is dropped, and
    /// counted.
    pub fn data(&self) -> DataChannel {
        self.shared.read_messages();
        let (engine, shared) = (self.engine.clone(), Arc::clone(&self.shared));
        DataChannel::new(engine, shared, self.ends.inbox.clone())
    }

    /// Counters, averages and stage histograms. The histograms are up to half a second old.
    pub fn status(&self) -> SessionStatus {
        self.shared.status()
    }

    /// Disconnects every viewer cleanly, ends the session and returns. Pushing is a counted no-op from
    /// then on ([`PushOutcome::Stopped`]). A second call does nothing.
    pub fn stop(&self) {
        self.shared.stop();
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(running) = running else { return };
        if let Some(thread) = running.encode_thread {
            let _ = thread.join();
        }
        let inner = &self.engine.inner;
        inner
            .voices
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|voice| !Arc::ptr_eq(voice.session(), &self.shared));
        inner.remove_session(&self.shared, GOODBYE_TIMEOUT);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop();
    }
}
