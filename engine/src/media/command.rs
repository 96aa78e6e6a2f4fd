use std::net::TcpStream;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};
use rtrb::{Consumer, Producer};
use visavis_core::{Offer, OutgoingMessage, PacketizedFrame, Peer};
use visavis_types::{AudioPacket, PeerId, PeerPermissions, SessionId};

use super::addresses::Addresses;
use super::draining::DrainingReceiver;
use super::waker::SessionWaker;
use crate::audio::microphone::microphones::MicEvent;
use crate::config::SessionConfig;
use crate::error::OfferError;
use crate::faults::{FaultDomain, Faults};
use crate::idle::source::IdleSource;
use crate::inbox::Inbox;
use crate::peer_link::PeerLink;
use crate::state::counters::Counters;
use crate::state::demand::LoopDemand;
use crate::state::interest::Interest;
use crate::state::lifecycle::Lifecycle;
use crate::state::liveness::Liveness;
use crate::state::loop_reports::LoopReport;
use crate::state::threads::Threads;

/// Commands about sessions and peers that exist: additions, and removals above all. They have a channel of their own,
/// which nothing that strangers do can fill: there is at most one of each for a session, a peer.
pub(crate) enum Control {
    AddSession(Box<SessionMedia>),
    /// Closes the session's peers; `done` is dropped when that has happened. The session is named by its waker on
    /// that loop, because another may have its id by then.
    RemoveSession {
        session: SessionWaker,
        done: Sender<()>,
    },
    Disconnect(PeerId),
    /// This machine's have changed.
    SetAddresses(Addresses),
    Stop,
}

/// What offers lead to. A bounded number waits; one that does not fit is refused.
pub(crate) enum Command {
    Adopt {
        peer: Box<Peer>,
        /// That of the session it was made for: another may have its id by now.
        session: Arc<Lifecycle>,
        link: Arc<PeerLink>,
    },
    Renegotiate {
        peer: PeerId,
        offer: Box<Offer>,
        /// Where they are others than before.
        permissions: Option<PeerPermissions>,
        reply: Reply,
    },
    /// A viewer's connection that somebody else has accepted.
    Connection(TcpStream),
}

impl Command {
    /// The peer that comes with it, and what it watches.
    pub(crate) fn newcomer(&self) -> Option<(PeerId, SessionId)> {
        match self {
            Self::Adopt { peer, .. } => Some((peer.id(), peer.session().clone())),
            Self::Renegotiate { .. } | Self::Connection(_) => None,
        }
    }
}

/// A candidate of a viewer. A bounded number waits, of each viewer and of all, and they keep nothing else
/// waiting.
pub(crate) struct RemoteCandidate {
    pub(crate) peer: PeerId,
    pub(crate) candidate: String,
    pub(crate) link: Arc<PeerLink>,
}

/// Where a media loop finds what it is asked.
pub(crate) struct Inputs {
    pub(crate) control: Receiver<Control>,
    pub(crate) commands: DrainingReceiver<Command>,
    pub(crate) candidates: Receiver<RemoteCandidate>,
    pub(crate) messages: Receiver<DataSend>,
}

/// Called exactly once with the answer to a renegotiation: where it is dropped uncalled, with the news that the
/// engine has stopped.
pub(crate) struct Reply {
    reply: Option<Box<ReplyFn>>,
    faults: Arc<Faults>,
}

type ReplyFn = dyn FnOnce(Result<String, OfferError>) + Send;

impl Reply {
    pub(crate) fn new(
        reply: impl FnOnce(Result<String, OfferError>) + Send + 'static,
        faults: Arc<Faults>,
    ) -> Self {
        Self { reply: Some(Box::new(reply)), faults }
    }

    pub(crate) fn send(mut self, answer: Result<String, OfferError>) {
        self.call(answer);
    }

    /// The caller knows by itself that there is no answer.
    pub(crate) fn forget(mut self) {
        self.reply = None;
    }

    fn call(&mut self, answer: Result<String, OfferError>) {
        if let Some(reply) = self.reply.take() {
            let whose = &"the reply to an offer";
            self.faults.guard(FaultDomain::Callback, whose, || reply(answer));
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.call(Err(OfferError::Stopped));
    }
}

/// A session as the media loop sees it.
pub(crate) struct SessionMedia {
    pub(crate) config: Arc<SessionConfig>,
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) liveness: Arc<Liveness>,
    pub(crate) idle: Arc<IdleSource>,
    pub(crate) demand: LoopDemand,
    pub(crate) interest: Arc<Interest>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) report: LoopReport,
    /// The audio loop among them takes what comes from microphones.
    pub(crate) threads: Arc<Threads>,
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
    /// Those of the session.
    pub(crate) counters: Arc<Counters>,
    pub(crate) peers: Vec<PeerId>,
    pub(crate) message: OutgoingMessage,
}
