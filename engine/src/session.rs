use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::bounded;
use visavis_types::SessionId;

use crate::audio::AudioSink;
use crate::media::Command;
use crate::shared::SessionShared;
use crate::video::VideoSink;
use crate::{EngineHandle, SessionStatus};

/// How long `stop` waits for the media loop to say the goodbyes.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);

/// One face: its sources and its viewers. Dropping it stops it.
#[derive(Debug)]
pub struct Session {
    engine: EngineHandle,
    shared: Arc<SessionShared>,
    audio: AudioSink,
    encode_thread: Mutex<Option<JoinHandle<()>>>,
}

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushOutcome {
    /// It is on its way.
    Accepted,
    /// The session is not started: counted, otherwise ignored.
    NotStarted,
}

impl Session {
    pub(crate) fn new(
        engine: EngineHandle,
        shared: Arc<SessionShared>,
        audio: AudioSink,
        encode_thread: JoinHandle<()>,
    ) -> Self {
        Self { engine, shared, audio, encode_thread: Mutex::new(Some(encode_thread)) }
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

    /// Where frames go in. Clone it to push from another thread.
    pub fn video(&self) -> VideoSink {
        VideoSink::new(Arc::clone(&self.shared))
    }

    /// Where sound goes in. Clone it to push from another thread.
    pub fn audio(&self) -> AudioSink {
        self.audio.clone()
    }

    /// Counters, averages and stage histograms. The histograms are up to half a second old.
    pub fn status(&self) -> SessionStatus {
        self.shared.status()
    }

    /// Disconnects every viewer cleanly, ends the session and returns. Pushing is a counted no-op from
    /// then on. A second call does nothing.
    pub fn stop(&self) {
        self.shared.stop();
        let thread = self.encode_thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return };
        let _ = thread.join();
        let inner = &self.engine.inner;
        inner
            .sessions
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|session| !Arc::ptr_eq(session, &self.shared));
        let (done, finished) = bounded(1);
        if inner.send(Command::RemoveSession { id: self.id().clone(), done }).is_ok() {
            // The sender is dropped when the goodbyes are said, which ends the wait.
            let _ = finished.recv_timeout(GOODBYE_TIMEOUT);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop();
    }
}
