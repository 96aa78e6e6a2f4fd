//! The messages, as JSON.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::IceServer;
use crate::error::{ErrorCode, RequestError};
use crate::ice_servers;

/// A message to the client.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub(crate) enum Outgoing<'a> {
    /// The first message on every connection.
    Config {
        peer_id: String,
        #[serde(serialize_with = "ice_servers::serialize")]
        ice_servers: &'a [IceServer],
        video_codec: &'a str,
        audio_codec: &'a str,
        /// With `?resume=` and this token a new WebSocket takes over the peer.
        #[serde(skip_serializing_if = "Option::is_none")]
        resume: Option<&'a str>,
    },
    Ping,
    /// The answer to a client's ping.
    Pong,
    Answer {
        peer_id: String,
        data: Description<'a>,
    },
    /// Whether the session shows what is pushed, or its idle loop.
    Session {
        live: bool,
    },
    /// An utterance of the session has changed its state.
    Utterance {
        utterance: u64,
        state: UtteranceState,
        /// How much of it was sent, once it is over.
        #[serde(skip_serializing_if = "Option::is_none")]
        sent_ms: Option<u64>,
    },
    Error {
        /// A sentence.
        error: Cow<'static, str>,
        /// A stable code.
        code: &'static str,
        /// Seconds after which the same may go well; where there are none it will not.
        #[serde(skip_serializing_if = "Option::is_none", serialize_with = "seconds")]
        retry_after: Option<Duration>,
    },
}

/// Whole seconds as they are, others to the hundredth and never too soon.
fn seconds<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    let Some(time) = time else { return serializer.serialize_none() };
    match time.subsec_nanos() {
        0 => serializer.serialize_u64(time.as_secs()),
        _ => serializer.serialize_f64((100.0 * time.as_secs_f64()).ceil() / 100.0),
    }
}

/// How far an utterance is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum UtteranceState {
    Started,
    Ended,
    Interrupted,
}

/// `RTCSessionDescriptionInit`.
#[derive(Debug, Serialize)]
pub(crate) struct Description<'a> {
    #[serde(rename = "type")]
    pub(crate) kind: &'a str,
    pub(crate) sdp: &'a str,
}

/// A message from the client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// An SDP offer: the first one connects, a later one renegotiates.
    Offer(String),
    /// An ICE candidate; an empty one means that there are no more.
    Candidate(String),
    /// Checks that the server is alive; answered at once.
    Ping,
    /// The answer to a ping.
    Pong,
}

impl From<RequestError> for Outgoing<'static> {
    fn from(error: RequestError) -> Self {
        Self::Error {
            error: error.short_detail(),
            code: error.code.websocket_code(),
            retry_after: error.websocket_retry_after(),
        }
    }
}

/// Both forms of every message: the fields inside `data`, or beside `type`. Unknown fields are ignored, so that newer
/// clients can send more.
#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, deserialize_with = "given")]
    data: Option<Option<Data>>,
    sdp: Option<String>,
    #[serde(default, deserialize_with = "given")]
    candidate: Option<Option<Candidate>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Data {
    Fields {
        #[serde(rename = "type")]
        kind: Option<String>,
        sdp: Option<String>,
        candidate: Option<String>,
    },
    /// The candidate's text alone.
    Text(String),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Candidate {
    Text(String),
    Init { candidate: String },
}

/// Tells `null` (end of candidates) from a field that is not there.
fn given<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

impl Incoming {
    /// Reads one text message.
    pub(crate) fn parse(text: &str) -> Result<Self, RequestError> {
        // Serde would take an array for the fields in their order.
        if text.trim_start().starts_with('[') {
            return Err(RequestError::new(
                ErrorCode::BadMessage,
                "a message must be a JSON object",
            ));
        }
        let envelope: Envelope = serde_json::from_str(text).map_err(|e| match e.classify() {
            serde_json::error::Category::Data => {
                RequestError::new(ErrorCode::BadMessage, format!("invalid message: {e}"))
            }
            _ => RequestError::new(ErrorCode::BadJson, format!("invalid JSON: {e}")),
        })?;
        let missing = |what| {
            RequestError::new(ErrorCode::BadMessage, format!("`{}` without {what}", envelope.kind))
        };
        match envelope.kind.as_str() {
            "ping" => Ok(Self::Ping),
            "pong" => Ok(Self::Pong),
            "offer" => {
                let sdp = match envelope.data {
                    Some(Some(Data::Fields { kind: Some(kind), .. })) if kind != "offer" => {
                        let error = format!("an `offer` with a description of type {kind}");
                        return Err(RequestError::new(ErrorCode::BadMessage, error));
                    }
                    Some(Some(Data::Fields { sdp: Some(sdp), .. })) => Some(sdp),
                    _ => envelope.sdp,
                };
                sdp.map(Self::Offer).ok_or_else(|| missing("an sdp"))
            }
            "ice-candidate" => {
                let candidate = match (envelope.data, envelope.candidate) {
                    (Some(Some(Data::Fields { candidate, .. })), None) => {
                        candidate.unwrap_or_default()
                    }
                    (Some(Some(Data::Text(text))), None) => text,
                    (_, Some(Some(Candidate::Text(candidate) | Candidate::Init { candidate }))) => {
                        candidate
                    }
                    (_, Some(None)) | (Some(None), None) => String::new(),
                    (None, None) => return Err(missing("a candidate")),
                };
                Ok(Self::Candidate(candidate))
            }
            other => Err(RequestError::new(
                ErrorCode::BadMessage,
                format!("unknown message type {other:?}"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use visavis::peer::OfferError;

    use super::*;

    fn code(text: &str) -> &'static str {
        Incoming::parse(text).unwrap_err().code.websocket_code()
    }

    #[test]
    fn both_forms_are_understood() {
        let offer = Ok(Incoming::Offer("v=0".to_owned()));
        assert_eq!(
            Incoming::parse(r#"{"type":"offer","data":{"type":"offer","sdp":"v=0"}}"#),
            offer
        );
        assert_eq!(Incoming::parse(r#"{"type":"offer","sdp":"v=0","x":1}"#), offer);

        let candidate = Ok(Incoming::Candidate("candidate:1".to_owned()));
        for text in [
            r#"{"type":"ice-candidate","data":{"candidate":"candidate:1","sdpMid":"0","sdpMLineIndex":0}}"#,
            r#"{"type":"ice-candidate","candidate":"candidate:1"}"#,
            r#"{"type":"ice-candidate","candidate":{"candidate":"candidate:1","sdpMid":"0"}}"#,
        ] {
            assert_eq!(Incoming::parse(text), candidate, "{text}");
        }
        assert_eq!(Incoming::parse(r#"{"type":"ping"}"#), Ok(Incoming::Ping));
        assert_eq!(Incoming::parse(r#"{"type":"pong"}"#), Ok(Incoming::Pong));
    }

    #[test]
    fn the_end_of_candidates_has_many_spellings() {
        for text in [
            r#"{"type":"ice-candidate","data":{"candidate":""}}"#,
            r#"{"type":"ice-candidate","data":{"candidate":null}}"#,
            r#"{"type":"ice-candidate","candidate":""}"#,
            r#"{"type":"ice-candidate","candidate":null}"#,
            r#"{"type":"ice-candidate","data":null}"#,
        ] {
            assert_eq!(Incoming::parse(text), Ok(Incoming::Candidate(String::new())), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_a_sentence_however_long_the_message_was() {
        let long = "ß".repeat(50_000);
        for text in [
            json!({"type": long}),
            json!({"type": "offer", "data": {"type": long}}),
            json!({"type": "offer", "sdp": [long]}),
            json!({"type": "ice-candidate", "data": 1, "candidate": {"candidate": {"x": long}}}),
            json!(long),
        ] {
            let message = Outgoing::from(Incoming::parse(&text.to_string()).unwrap_err());
            let Outgoing::Error { error, code, .. } = message else { panic!("{message:?}") };
            assert_eq!(code, "bad-message");
            assert!(error.chars().count() <= 301, "{}", error.len());
        }
    }

    #[test]
    fn errors_have_stable_codes() {
        for text in ["", "{", "{]", "nonsense", &r#"{"type":"pong","x":["#.repeat(50_000)] {
            assert_eq!(code(text), "bad-json", "{text:.20}");
        }
        for text in [
            r#"["pong"]"#,
            "1",
            "{}",
            r#"{"type":7}"#,
            r#"{"type":"dance"}"#,
            r#"{"type":"offer"}"#,
            r#"{"type":"offer","data":{"type":"answer","sdp":"v=0"}}"#,
            r#"{"type":"offer","data":{"sdp":5}}"#,
            r#"{"type":"ice-candidate"}"#,
        ] {
            assert_eq!(code(text), "bad-message", "{text}");
        }
    }

    #[test]
    fn messages_are_spelled_as_the_protocol_has_them() {
        let ice_servers = [
            IceServer::new(["stun:stun.example.org"]),
            IceServer::new(["turn:turn.example.org"]).username("u".to_owned()),
        ];
        let config = Outgoing::Config {
            peer_id: "00".to_owned(),
            ice_servers: &ice_servers,
            video_codec: "VP8",
            audio_codec: "opus",
            resume: Some("5eC"),
        };
        assert_eq!(
            serde_json::to_value(config).unwrap(),
            json!({
                "type": "config", "peerId": "00", "videoCodec": "VP8", "audioCodec": "opus",
                "iceServers": [
                    {"urls": ["stun:stun.example.org"]},
                    {"urls": ["turn:turn.example.org"], "username": "u"},
                ],
                "resume": "5eC",
            })
        );
        assert_eq!(
            serde_json::to_value(Outgoing::Session { live: true }).unwrap(),
            json!({"type": "session", "live": true})
        );
        let said = |state, sent_ms| Outgoing::Utterance { utterance: 7, state, sent_ms };
        assert_eq!(
            serde_json::to_value(said(UtteranceState::Started, None)).unwrap(),
            json!({"type": "utterance", "utterance": 7, "state": "started"})
        );
        assert_eq!(
            serde_json::to_value(said(UtteranceState::Interrupted, Some(340))).unwrap(),
            json!({"type": "utterance", "utterance": 7, "state": "interrupted", "sentMs": 340})
        );
        let data = Description { kind: "answer", sdp: "v=0" };
        assert_eq!(
            serde_json::to_value(Outgoing::Answer { peer_id: "00".to_owned(), data }).unwrap(),
            json!({"type": "answer", "peerId": "00", "data": {"type": "answer", "sdp": "v=0"}})
        );
        assert_eq!(serde_json::to_value(Outgoing::Ping).unwrap(), json!({"type": "ping"}));
        assert_eq!(
            serde_json::to_value(Outgoing::from(RequestError::from(OfferError::Full(3)))).unwrap(),
            json!({"type": "error", "code": "full", "error": "all 3 places are taken", "retryAfter": 5})
        );
        let free_in = Duration::from_micros(3_214_001);
        let full = RequestError::from(OfferError::SessionFull { viewers: 1, free_in });
        assert_eq!(serde_json::to_value(Outgoing::from(full)).unwrap()["retryAfter"], json!(3.22));
    }
}
