//! One viewer's data channels (RFC 8831): messages both ways, beside the media.
//!
//! The viewer opens the channels. What it is sent waits in one queue, in the order it was given, until
//! SCTP has room; [`DataGauge`] counts how much waits, so that a sender can be refused on its own
//! thread instead of the queue growing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use arc_swap::ArcSwap;
use str0m::Rtc;
use str0m::channel::{ChannelData, ChannelId};

use crate::sdp::Offer;

/// The largest message, either way. Answers say so (RFC 8841 §6), and a browser refuses to send
/// more.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// Bytes that may wait for one viewer, each message counted with [`MESSAGE_OVERHEAD_BYTES`] more.
pub const MAX_WAITING_BYTES: usize = 1024 * 1024;

/// What a message costs beside its bytes: without it, short ones would be without bound.
pub const MESSAGE_OVERHEAD_BYTES: usize = 128;

/// Channels that one viewer may have open. More of them are closed again.
pub const MAX_CHANNELS: usize = 8;

/// The longest label. It is kept with every message.
const MAX_LABEL_BYTES: usize = 256;

/// A message on a data channel (RFC 8831 §6.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataMessage {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
}

impl DataMessage {
    /// Its bytes; those of a text are UTF-8.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

impl From<&str> for DataMessage {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for DataMessage {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&[u8]> for DataMessage {
    fn from(bytes: &[u8]) -> Self {
        Self::Binary(bytes.to_owned())
    }
}

impl From<Vec<u8>> for DataMessage {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes)
    }
}

/// A message on its way to viewers; all who get it share its bytes.
#[derive(Debug, Clone)]
pub struct OutgoingMessage {
    label: Option<Arc<str>>,
    binary: bool,
    payload: Arc<[u8]>,
}

impl OutgoingMessage {
    /// For the first open channel of this label, or the first of all.
    pub fn new(message: &DataMessage, label: Option<Arc<str>>) -> Self {
        let binary = matches!(message, DataMessage::Binary(_));
        Self { label, binary, payload: Arc::from(message.as_bytes()) }
    }

    /// Bytes of the message.
    #[allow(clippy::len_without_is_empty, reason = "there are no empty ones")]
    pub fn len(&self) -> usize {
        self.payload.len()
    }
}

/// Why a message for a viewer is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataRefusal {
    /// Nothing in it: the SCTP stack sends no empty messages, and would count them all the same.
    Empty,
    /// It has no open channel, or none of that label.
    NoChannel,
    /// It takes messages of this many bytes at most.
    TooLarge(usize),
    /// As much as may wait for it waits already.
    Full,
}

/// What threads other than the hub's may know of a viewer's data channels. Only atomics: nobody waits.
#[derive(Debug)]
pub struct DataGauge {
    /// Reserved and not yet handed to SCTP.
    waiting: AtomicUsize,
    max_message: AtomicUsize,
    labels: ArcSwap<Vec<Arc<str>>>,
}

impl Default for DataGauge {
    fn default() -> Self {
        Self {
            waiting: AtomicUsize::new(0),
            max_message: AtomicUsize::new(MAX_MESSAGE_BYTES),
            labels: ArcSwap::default(),
        }
    }
}

impl DataGauge {
    /// Reserves room for a message of `len` bytes, before it is given to
    /// [`Hub::send_data`](crate::Hub::send_data). Any thread may do so; none waits.
    ///
    /// # Errors
    ///
    /// See [`DataRefusal`]; nothing is reserved then.
    pub fn reserve(&self, label: Option<&str>, len: usize) -> Result<(), DataRefusal> {
        let labels = self.labels.load();
        if !labels.iter().any(|open| label.is_none_or(|label| label == &**open)) {
            return Err(DataRefusal::NoChannel);
        }
        if len == 0 {
            return Err(DataRefusal::Empty);
        }
        let most = self.max_message.load(Relaxed);
        if len > most {
            return Err(DataRefusal::TooLarge(most));
        }
        let cost = len + MESSAGE_OVERHEAD_BYTES;
        let add = |waiting: usize| Some(waiting + cost).filter(|all| *all <= MAX_WAITING_BYTES);
        match self.waiting.fetch_update(Relaxed, Relaxed, add) {
            Ok(_) => Ok(()),
            Err(_) => Err(DataRefusal::Full),
        }
    }

    /// Gives back what was reserved for a message that does not come.
    pub fn release(&self, len: usize) {
        self.waiting.fetch_sub(len + MESSAGE_OVERHEAD_BYTES, Relaxed);
    }

    /// Bytes that wait, with what each message costs beside them.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    /// The labels of the open channels, in the order they were opened.
    pub fn labels(&self) -> Arc<Vec<Arc<str>>> {
        self.labels.load_full()
    }

    /// Notes what the viewer's offer says of the messages that it takes (RFC 8841 §6).
    pub(super) fn read_max_message(&self, offer: &Offer) {
        if let Some(bytes) = offer.max_message_bytes(MAX_MESSAGE_BYTES) {
            self.set_max_message(bytes);
        }
    }

    fn set_max_message(&self, bytes: usize) {
        self.max_message.store(bytes.min(MAX_MESSAGE_BYTES), Relaxed);
    }
}

/// What happened on a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DataEvent {
    Opened(Arc<str>),
    Closed(Arc<str>),
    Message(Arc<str>, DataMessage),
    /// A message came that cannot be used.
    Refused,
    /// So many messages were taken whose channel was closed before they could leave.
    Undelivered(usize),
}

/// The channels of one viewer, and what waits for it.
#[derive(Debug, Default)]
pub(crate) struct DataChannels {
    gauge: Arc<DataGauge>,
    /// In the order they were opened.
    open: Vec<Channel>,
    queue: VecDeque<Queued>,
    /// Opened, and more than there may be.
    surplus: Vec<ChannelId>,
    /// Whether messages of the viewer are taken.
    permitted: bool,
}

#[derive(Debug)]
struct Channel {
    id: ChannelId,
    label: Arc<str>,
}

#[derive(Debug)]
struct Queued {
    channel: ChannelId,
    message: OutgoingMessage,
}

impl DataChannels {
    /// Whether messages of the viewer are taken from now on.
    pub(super) fn permit(&mut self, permitted: bool) {
        self.permitted = permitted;
    }

    pub(super) fn is_permitted(&self) -> bool {
        self.permitted
    }

    pub(crate) fn gauge(&self) -> &Arc<DataGauge> {
        &self.gauge
    }

    /// Messages that wait.
    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn opened(&mut self, id: ChannelId, label: &str) -> Option<DataEvent> {
        if self.open.len() == MAX_CHANNELS || label.len() > MAX_LABEL_BYTES {
            self.surplus.push(id);
            return None;
        }
        let label = Arc::<str>::from(label);
        self.open.push(Channel { id, label: Arc::clone(&label) });
        self.publish();
        Some(DataEvent::Opened(label))
    }

    pub(crate) fn closed(&mut self, id: ChannelId, mut emit: impl FnMut(DataEvent)) {
        let Some(place) = self.open.iter().position(|channel| channel.id == id) else {
            return;
        };
        let channel = self.open.remove(place);
        self.publish();
        let before = self.queue.len();
        self.queue.retain(|queued| {
            let stays = queued.channel != id;
            if !stays {
                self.gauge.release(queued.message.len());
            }
            stays
        });
        let lost = before - self.queue.len();
        if lost > 0 {
            emit(DataEvent::Undelivered(lost));
        }
        emit(DataEvent::Closed(channel.label));
    }

    pub(crate) fn received(&self, data: ChannelData) -> DataEvent {
        let Some(channel) = self.open.iter().find(|channel| channel.id == data.id) else {
            return DataEvent::Refused;
        };
        if data.data.len() > MAX_MESSAGE_BYTES {
            return DataEvent::Refused;
        }
        let message = match data.binary {
            true => DataMessage::Binary(data.data),
            false => match String::from_utf8(data.data) {
                Ok(text) => DataMessage::Text(text),
                Err(_) => return DataEvent::Refused,
            },
        };
        DataEvent::Message(Arc::clone(&channel.label), message)
    }

    /// Takes a message that was reserved for. False where its channel has been closed since.
    pub(crate) fn push(&mut self, message: OutgoingMessage) -> bool {
        let wanted = message.label.as_deref();
        let fits = |channel: &&Channel| wanted.is_none_or(|label| label == &*channel.label);
        match self.open.iter().find(fits) {
            Some(&Channel { id: channel, .. }) => {
                self.queue.push_back(Queued { channel, message });
                true
            }
            None => {
                self.gauge.release(message.len());
                false
            }
        }
    }

    /// Hands SCTP as much as it has room for. True where it was touched, and must be drained.
    pub(crate) fn write(&mut self, rtc: &mut Rtc, mut emit: impl FnMut(DataEvent)) -> bool {
        let mut touched = false;
        for id in self.surplus.drain(..) {
            rtc.direct_api().close_data_channel(id);
            touched = true;
        }
        while let Some(Queued { channel, message }) = self.queue.front() {
            let written = match rtc.channel(*channel) {
                Some(mut channel) => channel.write(message.binary, &message.payload),
                None => Ok(false),
            };
            match written {
                Ok(true) => touched = true,
                // No room, or a channel that is about to be reported closed.
                Ok(false) => break,
                // It refuses this one message, or is closing.
                Err(error) => {
                    tracing::debug!(%error, "a message could not be written");
                    emit(DataEvent::Undelivered(1));
                }
            }
            self.gauge.release(message.len());
            self.queue.pop_front();
        }
        touched
    }

    fn publish(&self) {
        let labels = self.open.iter().map(|channel| Arc::clone(&channel.label));
        self.gauge.labels.store(Arc::new(labels.collect()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_reserved_and_given_back() {
        let gauge = DataGauge::default();
        assert_eq!(gauge.reserve(None, 1), Err(DataRefusal::NoChannel));
        gauge.labels.store(Arc::new(vec!["a".into()]));
        assert_eq!(gauge.reserve(Some("b"), 1), Err(DataRefusal::NoChannel));
        let too_large = MAX_MESSAGE_BYTES + 1;
        assert_eq!(gauge.reserve(None, too_large), Err(DataRefusal::TooLarge(MAX_MESSAGE_BYTES)));
        let mut taken = 0;
        while gauge.reserve(Some("a"), MAX_MESSAGE_BYTES) == Ok(()) {
            taken += 1;
        }
        assert_eq!(taken, MAX_WAITING_BYTES / (MAX_MESSAGE_BYTES + MESSAGE_OVERHEAD_BYTES));
        assert!(gauge.waiting_bytes() <= MAX_WAITING_BYTES);
        assert_eq!(gauge.reserve(None, MAX_MESSAGE_BYTES), Err(DataRefusal::Full));
        (0..taken).for_each(|_| gauge.release(MAX_MESSAGE_BYTES));
        assert_eq!(gauge.waiting_bytes(), 0);
    }

    #[test]
    fn short_messages_are_bounded_too_and_empty_ones_refused() {
        let gauge = DataGauge::default();
        gauge.labels.store(Arc::new(vec!["a".into()]));
        let taken = std::iter::repeat_with(|| gauge.reserve(None, 1)).take_while(Result::is_ok);
        assert_eq!(taken.count(), MAX_WAITING_BYTES / (1 + MESSAGE_OVERHEAD_BYTES));
        assert_eq!(gauge.reserve(None, 0), Err(DataRefusal::Empty));
    }

    #[test]
    fn a_viewer_that_takes_less_is_sent_less() {
        let gauge = DataGauge::default();
        gauge.labels.store(Arc::new(vec!["a".into()]));
        gauge.set_max_message(1_000);
        assert_eq!(gauge.reserve(None, 1_001), Err(DataRefusal::TooLarge(1_000)));
        gauge.set_max_message(usize::MAX);
        assert_eq!(gauge.reserve(None, MAX_MESSAGE_BYTES), Ok(()));
    }
}
