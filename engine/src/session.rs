use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use visavis_types::{SessionId, VideoCodec};

use crate::audio::{AudioSink, Microphone};
use crate::encoded::EncodedVideoSink;
use crate::shared::SessionShared;
use crate::video::VideoSink;
use crate::{EngineHandle, SessionStatus};

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
    pub(crate) microphone: Microphone,
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
    /// The session is not started: counted, otherwise ignored.
    NotStarted,
    /// The engine does not keep up. Encoded pictures only: they are dropped from here to the next
    /// keyframe, which is asked for.
    Dropped,
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

    /// Where the viewers' microphones come out. Before the first call nothing is decoded.
    pub fn microphone(&self) -> Microphone {
        self.shared.listen();
        self.ends.microphone.clone()
    }

    /// Counters, averages and stage histograms. The histograms are up to half a second old.
    pub fn status(&self) -> SessionStatus {
        self.shared.status()
    }

    /// Disconnects every viewer cleanly, ends the session and returns. Pushing is a counted no-op from
    /// then on. A second call does nothing.
    pub fn stop(&self) {
        self.shared.stop();
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(running) = running else { return };
        if let Some(thread) = running.encode_thread {
            let _ = thread.join();
        }
        let inner = &self.engine.inner;
        inner
            .sessions
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|session| !Arc::ptr_eq(session, &self.shared));
        inner.remove_session(self.id(), GOODBYE_TIMEOUT);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop();
    }
}
