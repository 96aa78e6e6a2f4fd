//! Messages between the application and its viewers, over their data channels: captions, visemes, chat, an interruption.
//!
//! Viewers open the channels; the player page opens one that is called `visavis`. Messages are texts or bytes of at
//! most 64 KiB. Sending never waits: a viewer that does not keep up is left out, and named. All of it can be called
//! from any thread.
//!
//! ```no_run
//! use visavis::{Engine, EngineConfig, SessionConfig};
//!
//! let engine = Engine::start(EngineConfig::default())?;
//! let session = engine.create_session(SessionConfig::default())?;
//! session.start();
//! let data = session.data();
//! for incoming in data.incoming().iter() {
//!     println!("{} on {}: {:?}", incoming.peer, incoming.label, incoming.message);
//!     data.broadcast(&"so they say".into())?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

pub use visavis_core::DataMessage;
use visavis_core::{DataGauge, DataRefusal, OutgoingMessage};
use visavis_types::{PeerId, SessionId};

use crate::handle::{EngineHandle, SendError};
pub use crate::inbox::PeerMessage;
use crate::media::command::DataSend;
use crate::receiver::Receiver;
use crate::state::counters::Counters;

/// What became of a message for a viewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendOutcome {
    /// It is on its way. It arrives, and after those before it, unless its channel or the connection ends
    /// first: [`Event::DataChannelClosed`](crate::Event::DataChannelClosed) and
    /// [`Event::PeerLeft`](crate::Event::PeerLeft) report that, and it is counted.
    Accepted,
    /// This viewer does not keep up: 1 MiB waits for it already. The message was not taken; try again
    /// when [`DataChannel::waiting_bytes`] has gone down.
    Full,
}

/// What became of a message for all viewers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Broadcast {
    /// Viewers it is on its way to.
    pub accepted: usize,
    /// Viewers that do not keep up, and do not get it; it may be sent to them again.
    pub full: Vec<PeerId>,
}

/// Why a message was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// Nothing in it.
    #[error("an empty message")]
    Empty,
    /// Larger than 64 KiB, or than the viewer's offer says it takes.
    #[error("invalid length of a message {len} bytes; expected at most {most}")]
    TooLarge {
        /// Bytes of the message.
        len: usize,
        /// Bytes that can be sent.
        most: usize,
    },
    /// The session has no such viewer.
    #[error("the session has no viewer {0}")]
    NoPeer(PeerId),
    /// The viewer has no open channel, or none of the label asked for.
    #[error("viewer {0} has no open data channel of this name")]
    NoChannel(PeerId),
    /// The engine has stopped.
    #[error("the engine has stopped")]
    Stopped,
}

/// The data channels of a session's viewers: messages to them, and from them.
///
/// Viewers open the channels (up to eight each); the player page opens one that is called `visavis`.
/// Callable from any thread; sending never waits.
#[derive(Debug, Clone)]
pub struct DataChannel {
    engine: EngineHandle,
    session: SessionId,
    counters: Arc<Counters>,
    label: Option<Arc<str>>,
    messages: Receiver<PeerMessage>,
}

impl DataChannel {
    pub(crate) fn new(
        engine: EngineHandle,
        (session, counters): (SessionId, Arc<Counters>),
        messages: Receiver<PeerMessage>,
    ) -> Self {
        Self { engine, session, counters, label: None, messages }
    }

    /// As this, but sends to the channels of this label; without it, to the first that each viewer has
    /// opened. What comes in is not kept apart: messages carry their label.
    pub fn labelled(&self, label: &str) -> Self {
        Self { label: Some(label.into()), ..self.clone() }
    }

    /// Sends one viewer a message. Messages to one viewer arrive in the order in which they were accepted,
    /// those of one channel that is ordered, as channels are unless asked otherwise.
    ///
    /// # Errors
    ///
    /// See [`DataError`]. A viewer has no channel for a moment after it joined:
    /// [`Event::DataChannelOpened`](crate::Event::DataChannelOpened) is emitted when it has.
    pub fn send(&self, peer: PeerId, message: &DataMessage) -> Result<SendOutcome, DataError> {
        let Some((media_loop, gauge)) = self.engine.inner.viewer(&self.session, peer) else {
            return Err(DataError::NoPeer(peer));
        };
        let len = message.as_bytes().len();
        match gauge.reserve(self.label.as_deref(), len) {
            Ok(()) => {}
            Err(DataRefusal::Full) => return Ok(SendOutcome::Full),
            Err(DataRefusal::Empty) => return Err(DataError::Empty),
            Err(DataRefusal::TooLarge(most)) => return Err(DataError::TooLarge { len, most }),
            Err(DataRefusal::NoChannel) => return Err(DataError::NoChannel(peer)),
        }
        let taken = self.hand_over(media_loop, vec![(peer, gauge)], message);
        taken.map(|taken| if taken.is_empty() { SendOutcome::Accepted } else { SendOutcome::Full })
    }

    /// Sends a message to every viewer that has a channel for it. One that does not keep up is left out
    /// and named; it holds up nobody else.
    ///
    /// # Errors
    ///
    /// An empty message, one of more than 64 KiB, an engine that has stopped.
    pub fn broadcast(&self, message: &DataMessage) -> Result<Broadcast, DataError> {
        let (len, most) = (message.as_bytes().len(), visavis_core::MAX_MESSAGE_BYTES);
        if len == 0 {
            return Err(DataError::Empty);
        }
        if len > most {
            return Err(DataError::TooLarge { len, most });
        }
        let inner = &self.engine.inner;
        let mut outcome = Broadcast::default();
        let mut of_loops = vec![Vec::new(); inner.loops.len()];
        for (peer, media_loop, gauge) in inner.viewers(&self.session) {
            match gauge.reserve(self.label.as_deref(), len) {
                Ok(()) => {
                    if let Some(peers) = of_loops.get_mut(media_loop) {
                        peers.push((peer, gauge));
                    }
                }
                Err(DataRefusal::Full) => outcome.full.push(peer),
                // A viewer without a channel has not asked for messages.
                Err(_) => {}
            }
        }
        for (media_loop, peers) in of_loops.into_iter().enumerate() {
            if !peers.is_empty() {
                outcome.accepted += peers.len();
                let refused = self.hand_over(media_loop, peers, message)?;
                outcome.accepted -= refused.len();
                outcome.full.extend(refused);
            }
        }
        Ok(outcome)
    }

    /// Bytes that wait for a viewer, 128 for each message among them; `None` where there is no such
    /// viewer. What its network is busy with (128 KiB at most) has left and is not counted.
    pub fn waiting_bytes(&self, peer: PeerId) -> Option<usize> {
        let (_, gauge) = self.engine.inner.viewer(&self.session, peer)?;
        Some(gauge.waiting_bytes())
    }

    /// The labels of a viewer's open channels, in the order they were opened.
    pub fn labels(&self, peer: PeerId) -> Vec<Arc<str>> {
        let viewer = self.engine.inner.viewer(&self.session, peer);
        viewer.map(|(_, gauge)| gauge.labels().to_vec()).unwrap_or_default()
    }

    /// Messages from viewers, of all channels, those of each viewer in order. Clones of this share them.
    ///
    /// Of messages that the application does not read, the first 1 MiB of each viewer is kept, and the
    /// first 16 MiB of all; those after that are dropped and counted
    /// ([`Metrics::data_dropped`](crate::status::Metrics::data_dropped)).
    pub fn incoming(&self) -> &Receiver<PeerMessage> {
        &self.messages
    }

    /// Gives a media loop a message that was reserved for. Returns the viewers it has no room for.
    fn hand_over(
        &self,
        media_loop: usize,
        viewers: Vec<(PeerId, Arc<DataGauge>)>,
        message: &DataMessage,
    ) -> Result<Vec<PeerId>, DataError> {
        let message = OutgoingMessage::new(message, self.label.clone());
        let peers: Vec<PeerId> = viewers.iter().map(|(peer, _)| *peer).collect();
        let (count, len) = (peers.len() as u64, message.len());
        let send = DataSend { counters: Arc::clone(&self.counters), peers, message };
        match self.engine.inner.send_data(media_loop, send) {
            Ok(()) => {
                self.counters.data_sent.fetch_add(count, Relaxed);
                Ok(Vec::new())
            }
            Err(error) => {
                viewers.iter().for_each(|(_, gauge)| gauge.release(len));
                match error {
                    SendError::Busy => Ok(viewers.into_iter().map(|(peer, _)| peer).collect()),
                    SendError::Stopped => Err(DataError::Stopped),
                }
            }
        }
    }
}
