//! ICE candidates of viewers, whichever way they come.

use std::net::IpAddr;

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use visavis::peer::{CandidateError, PeerId};

use crate::context::Context;
use crate::error::RequestError;
use crate::negotiation;

/// Candidates in one request; a browser has a dozen.
pub(crate) const MAX_CANDIDATES: usize = 100;

/// A candidate as it stands in a body: `RTCIceCandidateInit`, or its text alone. `null` and an empty text are the end
/// of candidates.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) struct Candidate(String);

impl Candidate {
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

impl TryFrom<Value> for Candidate {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        let text = match value {
            Value::Object(mut init) => init.remove("candidate").unwrap_or_default(),
            other => other,
        };
        match text {
            Value::Null => Ok(Self(String::new())),
            Value::String(text) => Ok(Self(text)),
            _ => Err("expected a candidate as a text or as RTCIceCandidateInit"),
        }
    }
}

/// Tells a member that is `null` from one that is not there.
pub(crate) fn given<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// Passes a candidate to the engine. A valid one that is useless here is ignored: a link-local address, or an mDNS name.
/// Such a viewer is found by the connectivity checks that it sends.
///
/// # Errors
///
/// What is no candidate, and an engine that takes none.
pub(crate) fn add(peer: PeerId, text: &str, context: &Context) -> Result<(), CandidateError> {
    let text = text.trim();
    match context.engine.add_candidate(peer, text) {
        Err(CandidateError::Syntax) if is_sound(text) => {
            tracing::debug!(%peer, "a candidate that is of no use here");
        }
        done => done?,
    }
    negotiation::candidate(peer, text, context);
    Ok(())
}

/// Tells the engine of candidates. What is no candidate is ignored beside some that are.
pub(crate) fn add_all<'a>(
    peer: PeerId,
    texts: impl IntoIterator<Item = &'a str>,
    context: &Context,
) -> Result<(), RequestError> {
    let (mut taken, mut refused) = (0, None);
    for text in texts {
        match add(peer, text, context) {
            Ok(()) => taken += 1,
            Err(CandidateError::Syntax) => refused = Some(CandidateError::Syntax),
            Err(error) => return Err(error.into()),
        }
    }
    match refused.filter(|_| taken == 0) {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

/// Whether a text has the syntax of a candidate (RFC 8839 §5.1); addresses are not checked.
fn is_sound(text: &str) -> bool {
    let text = text.strip_prefix("a=").unwrap_or(text);
    let Some(text) = text.strip_prefix("candidate:") else { return false };
    let words: Vec<_> = text.split_ascii_whitespace().take(8).collect();
    let &[_, component, _, priority, address, port, "typ", kind] = &words[..] else { return false };
    let numbers = component.parse::<u16>().is_ok()
        && priority.parse::<u32>().is_ok()
        && port.parse::<u16>().is_ok();
    numbers
        && is_address_or_name(address)
        && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// An address, with a zone or in brackets, or a name.
fn is_address_or_name(text: &str) -> bool {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let bare = bare.split_once('%').map_or(bare, |(address, _)| address);
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    bare.parse::<IpAddr>().is_ok() || (!bare.is_empty() && bare.bytes().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_of_a_candidate_is_known_whatever_its_addresses_are() {
        for address in
            ["192.0.2.1", "fe80::1%eth0", "[2001:db8::1]", "face.example.org", "a-b-c.local"]
        {
            let text = format!("candidate:1 1 udp 2122260223 {address} 54321 typ host");
            assert!(is_sound(&text), "{text}");
            assert!(is_sound(&format!("a={text} raddr nowhere rport 0")), "{text}");
        }
        for nonsense in [
            "nonsense",
            "candidate:1 1 udp 2122260223 192.0.2.1 54321",
            "candidate:1 1 udp x 192.0.2.1 54321 typ host",
            "candidate:1 1 udp 1 192.0.2.1 70000 typ host",
            "candidate:1 1 udp 1 <script> 1 typ host",
        ] {
            assert!(!is_sound(nonsense), "{nonsense}");
        }
    }

    #[test]
    fn a_candidate_has_many_spellings() {
        let text = |json: &str| serde_json::from_str::<Candidate>(json).unwrap().text().to_owned();
        assert_eq!(text("\"candidate:1\""), "candidate:1");
        assert_eq!(text("{\"candidate\":\"candidate:1\",\"sdpMid\":\"0\"}"), "candidate:1");
        for end in ["null", "\"\"", "{\"candidate\":null}", "{\"candidate\":\"\"}", "{}"] {
            assert_eq!(text(end), "", "{end}");
        }
        for bad in ["1", "[]", "{\"candidate\":1}"] {
            assert!(serde_json::from_str::<Candidate>(bad).is_err(), "{bad}");
        }
    }
}
