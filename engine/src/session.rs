//! One face: its sources, its idle picture, its viewers.
//!
//! A session is made with a [`SessionConfig`], takes media once it is [started](Session::start), and ends when it is
//! stopped or dropped. Media of one session never reaches another. What is pushed before the start or after the end is
//! counted and otherwise ignored ([`PushOutcome`]). A session can be shared between threads; what media goes into
//! ([`VideoSink`], [`AudioSink`]) is cheap to clone.
//!
//! ```no_run
//! use visavis::session::SessionId;
//! use visavis::units::Bitrate;
//! use visavis::video::VideoCodec;
//! use visavis::{Engine, EngineConfig, SessionConfig};
//!
//! let engine = Engine::start(EngineConfig::default())?;
//! let config = SessionConfig::default()
//!     .id(SessionId::new("anna")?)
//!     .video_codecs([VideoCodec::H264, VideoCodec::Vp8])
//!     .video_bitrate(Bitrate::from_kbps(2_500))
//!     .fps(30)
//!     .max_peers(1);
//! let session = engine.create_session(config)?;
//! session.start();
//! // …
//! println!("{} viewers", session.status().peer_count);
//! session.stop();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use visavis_types::{UnixMillis, VideoCodec, VideoFrame, VideoFrameError};

use crate::audio::microphone::MicChunk;
use crate::audio::microphone::reader::MicReader;
use crate::audio::sink::AudioSink;
use crate::data::{DataChannel, PeerMessage};
use crate::encoded::EncodedVideoSink;
use crate::faults::Faults;
use crate::handle::EngineHandle;
use crate::idle::idle_loop::IdleLoop;
use crate::receiver::Receiver;
use crate::rtp_input::status::RtpInputStatus;
use crate::session_entry::SessionEntry;
use crate::state::counters::Counters;
use crate::state::interest::Interest;
use crate::status::{SessionStatus, ViewerStatus};
use crate::utterance::{Utterance, UtteranceError};
use crate::video::sink::VideoSink;

pub use visavis_types::{InvalidSessionId, SessionId};

pub use crate::config::SessionConfig;
pub use crate::error::SessionError;
pub use crate::push_outcome::PushOutcome;

/// How long `stop` waits for the media loops to close the peers, and for the audio loop to tell what it cuts off.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// One face: its sources and its viewers. Dropping it stops it.
#[derive(Debug)]
#[must_use = "a session stops when it is dropped"]
pub struct Session {
    engine: EngineHandle,
    entry: Arc<SessionEntry>,
    outputs: Outputs,
    /// Taken by the first stop.
    running: Mutex<Option<Running>>,
}

/// What goes through the session's owner alone.
#[derive(Debug)]
pub(crate) struct Outputs {
    pub(crate) encoded_video: EncodedVideoSink,
    pub(crate) interest: Arc<Interest>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) microphone: MicReader,
    pub(crate) messages: Receiver<PeerMessage>,
}

/// What a session runs.
#[derive(Debug)]
pub(crate) struct Running {
    /// None where pictures come encoded.
    pub(crate) encode_thread: Option<JoinHandle<()>>,
    /// Disconnected once the audio thread has let go of it.
    pub(crate) sound_done: crossbeam_channel::Receiver<Infallible>,
}

impl Session {
    pub(crate) fn new(
        engine: EngineHandle,
        entry: Arc<SessionEntry>,
        outputs: Outputs,
        running: Running,
    ) -> Self {
        Self { engine, entry, outputs, running: Mutex::new(Some(running)) }
    }

    /// Its name.
    pub fn id(&self) -> &SessionId {
        &self.entry.config().id
    }

    /// From now on pushed media is sent. Has no effect on a session that was stopped.
    pub fn start(&self) {
        self.entry.start();
    }

    /// Whether it was [stopped](Self::stop), here or by somebody else. The engine does not list it any more, and its name
    /// may be another session's.
    pub fn is_stopped(&self) -> bool {
        self.entry.lifecycle().is_stopped()
    }

    pub(crate) fn faults(&self) -> &Arc<Faults> {
        &self.engine.inner.faults
    }

    pub(crate) fn rtp_status(&self) -> Arc<ArcSwap<RtpInputStatus>> {
        self.entry.rtp_input_status()
    }

    pub(crate) fn encoded_codec(&self) -> Option<VideoCodec> {
        self.entry.config().encoded
    }

    /// Where frames go in. Clone it to push from another thread.
    pub fn video(&self) -> VideoSink {
        self.entry.video().clone()
    }

    /// Where frames go in that are encoded already, in a session that was made for them
    /// ([`SessionConfig::encoded`](crate::SessionConfig::encoded)).
    pub fn encoded_video(&self) -> EncodedVideoSink {
        self.outputs.encoded_video.clone()
    }

    /// Where sound goes in. Clone it to push from another thread.
    pub fn audio(&self) -> AudioSink {
        self.entry.audio().clone()
    }

    /// Begins an utterance: sound and pictures that are pushed ahead of their time, with stamps inside it.
    /// What is stamped `zero` is its beginning; where stamps count from nothing that is `UnixMillis(0)`.
    ///
    /// # Errors
    ///
    /// A session whose sound is given as Opus packets; an engine that does not keep up.
    pub fn begin_utterance(&self, zero: UnixMillis) -> Result<Utterance, UtteranceError> {
        self.entry.begin_utterance(zero)
    }

    /// Drops at once all that waits to be played, utterances and what was pushed live, and returns
    /// how much of what is playing was sent: exact to a packet. Sound fades out within 5 ms, and the
    /// idle picture is shown, if there is one.
    pub fn interrupt(&self) -> Duration {
        self.entry.interrupt()
    }

    /// Changes what is shown from the start, after an interruption, and when no picture has come for
    /// [`SessionConfig::idle_grace`](crate::SessionConfig::idle_grace). With `None` the last picture stays.
    pub fn set_idle(&self, idle: Option<IdleLoop>) {
        self.entry.set_idle(idle);
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

    /// Where the viewers' microphones come out, those of all viewers, each in order. Nothing is decoded before the first
    /// call of this or of [`on_microphone`](Self::on_microphone).
    ///
    /// 500 chunks wait to be read (ten seconds of one viewer); past that the oldest is dropped, and counted
    /// ([`Metrics::unread_mic_chunks`](crate::status::Metrics::unread_mic_chunks)).
    pub fn microphone(&self) -> Receiver<MicChunk> {
        self.outputs.microphone.open()
    }

    /// Has `callback` called with each chunk of the viewers' microphones, each viewer's in order; beside
    /// [`microphone`](Self::microphone), which gives the same chunks. A callback given later takes the
    /// place of the one before.
    ///
    /// It is called on the engine's audio thread, which keeps the time of all sound of all sessions: it
    /// must be done within a millisecond or so and wait for nothing. It may push to any sink; what takes
    /// longer belongs to a thread of the application, with `microphone` or a queue in between. A panic in
    /// it is caught and logged, and it is not called again. It is dropped on the audio thread too, soon
    /// after the session has stopped; until then it may still be called.
    pub fn on_microphone(&self, callback: impl FnMut(&MicChunk) + Send + 'static) {
        self.outputs.microphone.call(callback);
        self.engine.inner.audio.thread.wake();
    }

    /// Messages to the viewers, and from them. Before the first call what viewers send is dropped, and
    /// counted.
    pub fn data(&self) -> DataChannel {
        self.outputs.interest.want_messages();
        let session = (self.id().clone(), Arc::clone(&self.outputs.counters));
        DataChannel::new(self.engine.clone(), session, self.outputs.messages.clone())
    }

    /// Counters, averages and stage histograms. The histograms are up to half a second old.
    pub fn status(&self) -> SessionStatus {
        self.engine.inner.status(&self.entry)
    }

    /// Its viewers, by their ids, and what is known of their networks; those that are still connecting among them.
    pub fn viewers(&self) -> Vec<ViewerStatus> {
        self.engine.inner.viewer_statuses(self.id())
    }

    /// Disconnects every viewer cleanly, ends the session and returns. Its last events were emitted by then, among them
    /// [`Event::Interrupted`](crate::event::Event::Interrupted) of each utterance that played or waited. Pushing is a
    /// counted no-op from then on ([`PushOutcome::Stopped`]). A second call does nothing.
    pub fn stop(&self) {
        self.entry.stop();
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(running) = running else { return };
        if let Some(thread) = running.encode_thread {
            let _ = thread.join();
        }
        self.engine.inner.remove_session(&self.entry, CLOSE_TIMEOUT);
        // A callback of a microphone may be where this is called.
        if !self.entry.is_audio_thread() {
            let _ = running.sound_done.recv_timeout(CLOSE_TIMEOUT);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop();
    }
}
