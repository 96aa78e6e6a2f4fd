//! What is waited for: events, microphones, messages.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::mpsc::{RecvTimeoutError, TryRecvError};
use std::time::Duration;

use pyo3::prelude::*;
use visavis::Event;
use visavis::data::PeerMessage;
use visavis::microphone::MicChunk;
use visavis::receiver::Receiver as Of;

use crate::errors::{Kind, OrRaise};
use crate::events::Item;
use crate::here::Here;
use crate::wait::{patience, wait_for};

/// What is read from.
pub(crate) enum Queue {
    Events(Of<Event>),
    Microphone(Of<MicChunk>),
    Messages(Of<PeerMessage>),
}

impl Queue {
    fn recv_timeout(&self, patience: Duration) -> Result<Item, RecvTimeoutError> {
        match self {
            Self::Events(queue) => queue.recv_timeout(patience).map(Item::Event),
            Self::Microphone(queue) => queue.recv_timeout(patience).map(Item::Chunk),
            Self::Messages(queue) => queue.recv_timeout(patience).map(Item::Message),
        }
    }

    fn try_recv(&self) -> Result<Item, TryRecvError> {
        match self {
            Self::Events(queue) => queue.try_recv().map(Item::Event),
            Self::Microphone(queue) => queue.try_recv().map(Item::Chunk),
            Self::Messages(queue) => queue.try_recv().map(Item::Message),
        }
    }

    /// A descriptor of its own: one event loop watches a descriptor for one reader, and receivers that share what comes
    /// share theirs.
    fn descriptor(&self) -> std::io::Result<OwnedFd> {
        match self {
            Self::Events(queue) => queue.descriptor()?.try_clone_to_owned(),
            Self::Microphone(queue) => queue.descriptor()?.try_clone_to_owned(),
            Self::Messages(queue) => queue.descriptor()?.try_clone_to_owned(),
        }
    }

    fn dropped(&self) -> u64 {
        match self {
            Self::Events(queue) => queue.dropped(),
            Self::Microphone(queue) => queue.dropped(),
            Self::Messages(queue) => queue.dropped(),
        }
    }
}

/// The reading end of a queue.
#[pyclass(frozen, module = "visavis._visavis")]
pub(crate) struct Receiver {
    queue: Here<Queue>,
    descriptor: OnceLock<OwnedFd>,
}

impl Receiver {
    pub(crate) fn new(queue: Queue) -> Self {
        Self { queue: Here::new(queue), descriptor: OnceLock::new() }
    }
}

#[pymethods]
impl Receiver {
    fn get<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        let queue = self.queue.get(py)?;
        let found =
            wait_for(py, patience(py, timeout)?, |piece| match queue.recv_timeout(piece) {
                Ok(item) => Some(Some(item)),
                Err(RecvTimeoutError::Disconnected) => Some(None),
                Err(RecvTimeoutError::Timeout) => None,
            })?;
        match found {
            Some(Some(item)) => item.into_python(py),
            Some(None) => Err(Kind::Closed.because(py, ENDED)),
            None => Err(Kind::Timeout.because(py, "nothing came in time")),
        }
    }

    fn get_nowait<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.queue.get(py)?.try_recv() {
            Ok(item) => item.into_python(py).map(Some),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(Kind::Closed.because(py, ENDED)),
        }
    }

    fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
        let queue = self.queue.get(py)?;
        if let Some(descriptor) = self.descriptor.get() {
            return Ok(descriptor.as_raw_fd());
        }
        let made = queue.descriptor().or_raise(py, Kind::Error)?;
        Ok(self.descriptor.get_or_init(|| made).as_raw_fd())
    }

    #[getter]
    fn dropped(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.queue.get(py)?.dropped())
    }
}

const ENDED: &str = "nothing more will come: the session or the engine has ended";
