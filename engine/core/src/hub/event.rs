//! The events of a hub.

use std::sync::Arc;

use visavis_types::{AudioRenditionSet, Bitrate, PeerId, RenditionId, RenditionSet, VideoCodec};

use crate::peer::close_reason::CloseReason;
use crate::peer::data::{DataEvent, DataMessage};
use crate::rendition::PictureStatus;
use crate::rtp::receive::MicPacket;
use crate::session_key::SessionKey;

/// What follows from what a hub was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HubEvent {
    /// A peer's media flows.
    Joined {
        /// Its session.
        session: SessionKey,
        /// Its id.
        peer: PeerId,
        /// The video codec it gets; `None` for a listener without picture.
        codec: Option<VideoCodec>,
    },
    /// A peer is gone.
    Left {
        /// Its session.
        session: SessionKey,
        /// Its id.
        peer: PeerId,
        /// Why.
        reason: CloseReason,
        /// Whether it had been [`Joined`](HubEvent::Joined).
        was_connected: bool,
    },
    /// The encoder of a rendition should make its next picture a keyframe.
    KeyframeWanted {
        /// Of which session.
        session: SessionKey,
        /// Of which rendition.
        rendition: RenditionId,
    },
    /// The encoder of a rendition should have this bitrate from its next picture on: its only viewer's network takes less
    /// than before, or more ([`RungBitrate::least`](crate::RungBitrate::least)). Of a rendition that comes into use the
    /// encoder makes the most.
    BitrateWanted {
        /// Of which session.
        session: SessionKey,
        /// Of which rendition.
        rendition: RenditionId,
        /// Of pictures, headers not included.
        bitrate: Bitrate,
    },
    /// A peer gets more of its session's pictures than before, or less: a size from its next keyframe on, fewer of them
    /// at once.
    PictureChanged {
        /// Of which session.
        session: SessionKey,
        /// Whose they are.
        peer: PeerId,
        /// What it gets.
        picture: PictureStatus,
        /// Whether that is less than the best, because its network takes no more.
        is_limited: bool,
    },
    /// What a session's peers use has changed.
    ActiveRenditions {
        /// Of which session.
        session: SessionKey,
        /// All renditions of pictures.
        video: RenditionSet,
        /// All renditions of sound.
        audio: AudioRenditionSet,
        /// Of these, those that a peer gets that loses some of its packets, or is to have all sound with copies.
        lossy_audio: AudioRenditionSet,
    },
    /// A peer's microphone packet arrived.
    MicPacket {
        /// To which session.
        session: SessionKey,
        /// Whose it is.
        peer: PeerId,
        /// The packet.
        packet: MicPacket,
    },
    /// A peer has opened a data channel.
    ChannelOpened {
        /// Of which session.
        session: SessionKey,
        /// Whose it is.
        peer: PeerId,
        /// What the peer calls it.
        label: Arc<str>,
    },
    /// A data channel is closed, while its peer stays.
    ChannelClosed {
        /// Of which session.
        session: SessionKey,
        /// Whose it was.
        peer: PeerId,
        /// What the peer called it.
        label: Arc<str>,
    },
    /// A peer's message arrived.
    Message {
        /// To which session.
        session: SessionKey,
        /// Whose it is.
        peer: PeerId,
        /// Of the channel it came on.
        label: Arc<str>,
        /// The message.
        message: DataMessage,
    },
    /// A peer's message arrived that cannot be used: a text that is no UTF-8, too much, or on a channel
    /// that is not open.
    MessageRefused {
        /// To which session.
        session: SessionKey,
        /// Whose it was.
        peer: PeerId,
    },
    /// A bug in what is done for a peer was caught: it is dropped, and nobody else.
    PeerFault {
        /// Of which session.
        session: SessionKey,
        /// Whose it was.
        peer: PeerId,
        /// The message of the panic.
        why: String,
    },
    /// Messages that were taken will not reach a peer: their channel was closed, or it left.
    Undelivered {
        /// Of which session.
        session: SessionKey,
        /// For whom they were.
        peer: PeerId,
        /// How many.
        messages: usize,
    },
}

pub(super) fn of_data(session: SessionKey, peer: PeerId, event: DataEvent) -> HubEvent {
    match event {
        DataEvent::Opened(label) => HubEvent::ChannelOpened { session, peer, label },
        DataEvent::Closed(label) => HubEvent::ChannelClosed { session, peer, label },
        DataEvent::Message(label, message) => HubEvent::Message { session, peer, label, message },
        DataEvent::Refused => HubEvent::MessageRefused { session, peer },
        DataEvent::Undelivered(messages) => HubEvent::Undelivered { session, peer, messages },
    }
}
