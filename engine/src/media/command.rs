use std::sync::Arc;

use crossbeam_channel::Sender;
use rtrb::{Consumer, Producer};
use visavis_core::{Offer, OutgoingMessage, PacketizedFrame, Peer};
use visavis_types::{AudioPacket, PeerId, SessionId};

use super::SessionWaker;
use crate::OfferError;
use crate::audio::MicEvent;
use crate::data::Inbox;
use crate::event::Subscriber;
use crate::shared::SessionShared;

/// What the media loop can be asked.
pub(crate) enum Command {
    AddSession(SessionMedia),
    /// Says goodbye to the session's peers; `done` is dropped when that has happened.
    RemoveSession {
        id: SessionId,
        done: Sender<()>,
    },
    Adopt(Box<Peer>),
    Renegotiate {
        peer: PeerId,
        offer: Box<Offer>,
        reply: Reply,
    },
    AddCandidate {
        peer: PeerId,
        candidate: String,
    },
    Disconnect(PeerId),
    Subscribe(Subscriber),
    Stop,
}

/// Called once with the answer to an offer.
pub(crate) type Reply = Box<dyn FnOnce(Result<String, OfferError>) + Send>;

/// A session as the media loop sees it.
pub(crate) struct SessionMedia {
    pub(crate) shared: Arc<SessionShared>,
    pub(crate) video: Consumer<PacketizedFrame>,
    pub(crate) audio: Consumer<AudioPacket>,
    pub(crate) microphones: Producer<MicEvent>,
    pub(crate) inbox: Inbox,
    /// Rung for this session on this loop.
    pub(crate) waker: SessionWaker,
}

/// A message for some viewers of a media loop, for which each has room reserved.
#[derive(Debug)]
pub(crate) struct DataSend {
    pub(crate) session: Arc<SessionShared>,
    pub(crate) peers: Vec<PeerId>,
    pub(crate) message: OutgoingMessage,
}
