//! Speech that is uploaded into a server's sessions, on its way to whoever reads it.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use visavis::session::SessionId;
use visavis::utterance::{Utterance, UtteranceProgress};
use visavis_signaling::SpeechChunk;

use crate::queue::Queue;
use crate::status::Result;
use crate::utterance::UtteranceObject;

/// Pieces that wait to be read: some 40 s. The oldest is dropped for a newer one.
const CAPACITY: usize = 1_024;

/// How long an upload of which pieces are not read is kept open after its end. It is read ahead by 5 s at most: after
/// that its pictures would come too late.
const PATIENCE: Duration = Duration::from_secs(6);

/// A piece of an upload, or its end.
pub(crate) struct Piece {
    pub(crate) session: SessionId,
    pub(crate) id: u64,
    progress: UtteranceProgress,
    /// The upload keeps it open until its end is read.
    utterance: Weak<Utterance>,
    pub(crate) at: Duration,
    pub(crate) sample_rate: u32,
    pub(crate) channels: u16,
    pub(crate) samples: Vec<i16>,
    /// Of the end: dropped once it is read.
    pub(crate) end: Option<Sender<()>>,
}

impl Piece {
    fn new(session: &SessionId, utterance: &Arc<Utterance>) -> Self {
        Self {
            session: session.clone(),
            id: utterance.id().as_raw(),
            progress: utterance.progress(),
            utterance: Arc::downgrade(utterance),
            at: Duration::ZERO,
            sample_rate: 0,
            channels: 0,
            samples: Vec::new(),
            end: None,
        }
    }

    /// Its utterance, held open from now on if it is not over.
    pub(crate) fn utterance(&self) -> UtteranceObject {
        UtteranceObject::new(self.id, self.progress.clone(), self.utterance.upgrade())
    }
}

/// The uploads of a server, on their way to the application.
pub(crate) struct Uploads {
    pub(crate) queue: Arc<Queue<Piece>>,
    readers: Mutex<usize>,
}

impl Uploads {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { queue: Queue::new(CAPACITY)?, readers: Mutex::default() })
    }

    /// On the upload's own thread.
    pub(crate) fn add(&self, chunk: &SpeechChunk<'_>) {
        self.push(|| Piece {
            at: chunk.at,
            sample_rate: chunk.sample_rate,
            channels: chunk.channels,
            samples: chunk.samples.to_vec(),
            ..Piece::new(chunk.session, chunk.utterance)
        });
    }

    /// On the upload's own thread, which has the utterance open: until the end is read, and whoever reads has it open
    /// himself.
    pub(crate) fn end(&self, session: &SessionId, utterance: &Arc<Utterance>) {
        let (end, is_read): (_, Receiver<()>) = channel();
        self.push(|| Piece { end: Some(end), ..Piece::new(session, utterance) });
        let _ = is_read.recv_timeout(PATIENCE);
    }

    /// What nobody reads is not kept.
    fn push(&self, piece: impl FnOnce() -> Piece) {
        let readers = self.readers();
        if *readers > 0 {
            self.queue.push(piece());
        }
    }

    /// No more will come.
    pub(crate) fn close(&self) {
        self.queue.close();
    }

    fn readers(&self) -> MutexGuard<'_, usize> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// That somebody reads. With the last one what waits is dropped.
pub(crate) struct Listening(Arc<Uploads>);

impl Listening {
    pub(crate) fn new(uploads: Arc<Uploads>) -> Self {
        *uploads.readers() += 1;
        Self(uploads)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut readers = self.0.readers();
        *readers -= 1;
        if *readers == 0 {
            self.0.queue.retain(|_| false);
        }
    }
}
