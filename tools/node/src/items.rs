//! What has come, as JavaScript gets it.

use std::time::Duration;

use napi::bindgen_prelude::Buffer;
use napi_derive::napi;
use visavis::data::{DataMessage, PeerMessage};
use visavis::event::Event;
use visavis::microphone::MicChunk;
use visavis::peer::PeerId;
use visavis::session::SessionId;
use visavis::units::{Bitrate, UnixMillis};

/// Something that has come.
#[napi(object, object_from_js = false)]
#[derive(Default)]
pub struct Item {
    /// What it is.
    pub kind: &'static str,
    /// The session it is of.
    pub session: String,
    /// The viewer it is from, or about.
    pub peer: Option<String>,
    /// A codec, a reason, SDP, a text.
    pub detail: Option<String>,
    /// Sound, or a message of bytes.
    pub data: Option<Buffer>,
    /// Its rate in Hz.
    pub sample_rate: Option<u32>,
    /// When it was captured, in Unix milliseconds.
    pub timestamp: Option<f64>,
    /// What a viewer calls a data channel.
    pub label: Option<String>,
    /// Which utterance it is about.
    pub utterance: Option<String>,
    /// How much of it was sent, in milliseconds.
    pub sent: Option<f64>,
    /// Whether pictures stopped coming without a reason.
    pub stalled: Option<bool>,
    /// How loud it is, in dB: 0 is full scale.
    pub level: Option<i32>,
    /// What it gets of the pictures.
    pub picture: Option<Picture>,
    /// What pictures should take, in kbit/s.
    pub bitrate: Option<u32>,
}

/// What a viewer gets of the pictures.
#[napi(object, object_from_js = false)]
pub struct Picture {
    /// Which size, from the smallest.
    pub rung: u32,
    /// How many of them, from the fewest.
    pub layer: u32,
    /// kbit/s at most; none where there is one size that is always the same.
    pub bitrate: Option<u32>,
    /// Whether its network is why it gets no more.
    pub limited: bool,
}

/// Which events are asked for.
pub(crate) fn is_wanted(event: &Event) -> bool {
    !matches!(event, Event::MicrophoneLevel { .. })
}

pub(crate) fn event(event: Event) -> Option<Item> {
    Some(match event {
        Event::PeerJoined { session, peer, codec, .. } => {
            let detail = codec.map(|codec| codec.to_string());
            Item { detail, ..of_peer("peer-connected", &session, peer) }
        }
        Event::PeerLeft { session, peer, reason, .. } => {
            let detail = Some(reason.as_str().to_owned());
            Item { detail, ..of_peer("peer-disconnected", &session, peer) }
        }
        Event::PictureChanged { session, peer, rung, layer, bitrate, limited, .. } => {
            let bitrate = bitrate.map(in_kbps);
            let (rung, layer) = (rung.index() as u32, layer.index().into());
            let picture = Some(Picture { rung, layer, bitrate, limited });
            Item { picture, ..of_peer("picture-changed", &session, peer) }
        }
        Event::LiveStarted { session, .. } => of_session("live-started", &session),
        Event::LiveEnded { session, stalled, .. } => {
            Item { stalled: Some(stalled), ..of_session("live-ended", &session) }
        }
        Event::KeyframeRequested { session, codec, .. } => {
            let detail = Some(codec.to_string());
            Item { detail, ..of_session("keyframe-requested", &session) }
        }
        Event::BitrateWanted { session, codec, bitrate, .. } => {
            let (detail, bitrate) = (Some(codec.to_string()), Some(in_kbps(bitrate)));
            Item { detail, bitrate, ..of_session("bitrate-wanted", &session) }
        }
        Event::MicrophoneLevel { session, peer, dbfs, .. } => {
            Item { level: Some(dbfs.into()), ..of_peer("microphone-level", &session, peer) }
        }
        Event::UtteranceStarted { session, utterance, .. } => {
            let utterance = Some(utterance.as_raw().to_string());
            Item { utterance, ..of_session("utterance-started", &session) }
        }
        Event::UtteranceEnded { session, utterance, sent, .. } => {
            let utterance = Some(utterance.as_raw().to_string());
            Item { utterance, sent: ms(sent), ..of_session("utterance-ended", &session) }
        }
        Event::Interrupted { session, utterance, sent, .. } => {
            let utterance = utterance.map(|utterance| utterance.as_raw().to_string());
            Item { utterance, sent: ms(sent), ..of_session("interrupted", &session) }
        }
        Event::SpeechStarted { session, peer, at, .. } => {
            Item { timestamp: unix(at), ..of_peer("speech-started", &session, peer) }
        }
        Event::SpeechEnded { session, peer, at, .. } => {
            Item { timestamp: unix(at), ..of_peer("speech-ended", &session, peer) }
        }
        Event::DataChannelOpened { session, peer, label, .. } => {
            let label = Some(label.to_string());
            Item { label, ..of_peer("data-channel-opened", &session, peer) }
        }
        Event::DataChannelClosed { session, peer, label, .. } => {
            let label = Some(label.to_string());
            Item { label, ..of_peer("data-channel-closed", &session, peer) }
        }
        _ => return None,
    })
}

pub(crate) fn microphone(session: &str, chunk: &MicChunk) -> Item {
    let pcm: Vec<u8> = chunk.samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    Item {
        kind: "incoming-audio",
        session: session.to_owned(),
        peer: Some(chunk.peer.to_string()),
        data: Some(pcm.into()),
        sample_rate: Some(chunk.sample_rate),
        timestamp: unix(chunk.captured),
        ..Item::default()
    }
}

pub(crate) fn message(session: &str, message: PeerMessage) -> Item {
    let PeerMessage { peer, label, message, .. } = message;
    let (detail, data) = match message {
        DataMessage::Text(text) => (Some(text), None),
        DataMessage::Binary(bytes) => (None, Some(bytes.into())),
    };
    Item {
        kind: "message",
        session: session.to_owned(),
        peer: Some(peer.to_string()),
        label: Some(label.to_string()),
        detail,
        data,
        ..Item::default()
    }
}

fn of_session(kind: &'static str, session: &SessionId) -> Item {
    Item { kind, session: session.to_string(), ..Item::default() }
}

fn of_peer(kind: &'static str, session: &SessionId, peer: PeerId) -> Item {
    Item { peer: Some(peer.to_string()), ..of_session(kind, session) }
}

pub(crate) fn in_kbps(bitrate: Bitrate) -> u32 {
    u32::try_from(bitrate.bps() / 1_000).unwrap_or(u32::MAX)
}

fn ms(time: Duration) -> Option<f64> {
    Some(time.as_secs_f64() * 1_000.0)
}

fn unix(time: UnixMillis) -> Option<f64> {
    Some(time.0 as f64)
}
