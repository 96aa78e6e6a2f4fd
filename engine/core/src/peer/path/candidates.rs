//! The candidates that a peer names.

use std::net::SocketAddr;

use str0m::Candidate;
use str0m::error::IceError;
use str0m::net::TcpType;

use crate::transport::{Transport, TransportAddress};

/// Candidates of one peer since its ICE began. Its ICE keeps each of them for as long, and checks it; a
/// browser has a handful, and is found by the checks that it sends itself.
pub(crate) const MAX_CANDIDATES: usize = 16;

/// Those that a peer has named.
#[derive(Debug, Clone, Default)]
pub(crate) struct RemoteCandidates {
    /// Where they are; a second one at an address is of no use.
    addresses: Vec<SocketAddr>,
}

/// What to do with a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is new.
    Take,
    /// It is known, or of no use.
    Ignore,
    /// It is one too many.
    Refuse,
}

impl RemoteCandidates {
    /// ICE begins anew, and knows none.
    pub(crate) fn restart(&mut self) {
        self.addresses.clear();
    }

    pub(crate) fn admit(&mut self, candidate: &Candidate) -> Verdict {
        let address = candidate.addr();
        if self.addresses.contains(&address) {
            return Verdict::Ignore;
        }
        if self.addresses.len() == MAX_CANDIDATES {
            return Verdict::Refuse;
        }
        self.addresses.push(address);
        Verdict::Take
    }

    /// An offer without the candidates that are not to be taken, and how many were refused.
    pub(crate) fn filter(&mut self, offer: &str) -> (String, u64) {
        let mut kept = String::with_capacity(offer.len());
        let mut refused = 0;
        // The sections of an offer repeat them.
        let mut taken = Vec::new();
        for line in offer.split_inclusive('\n') {
            if let Some(text) =
                line.strip_prefix("a=").filter(|text| text.starts_with("candidate:"))
            {
                // Whoever names what cannot be used (TCP, a name, no address) is found by its own checks.
                let Ok(Some(candidate)) = parse_candidate(text) else { continue };
                let address = candidate.addr();
                match self.admit(&candidate) {
                    Verdict::Take => taken.push(address),
                    Verdict::Ignore if taken.contains(&address) => {}
                    Verdict::Ignore => continue,
                    Verdict::Refuse => {
                        refused += 1;
                        continue;
                    }
                }
            }
            kept.push_str(line);
        }
        (kept, refused)
    }
}

/// Reads a remote candidate. `None`: nothing to add, for a good reason — end of candidates, an mDNS
/// name that only the viewer's own network resolves, or a transport we do not have.
pub(crate) fn parse_candidate(text: &str) -> Result<Option<Candidate>, String> {
    let text = text.trim();
    let line = text.strip_prefix("a=").unwrap_or(text);
    if line.is_empty() {
        return Ok(None);
    }
    let mut fields = line.split_ascii_whitespace();
    let component = fields.nth(1).unwrap_or_default();
    let transport = fields.next().unwrap_or_default();
    let address = fields.nth(1).unwrap_or_default();
    let foreign = !transport.eq_ignore_ascii_case("udp") && !transport.is_empty();
    // RTCP's own, which is not used (RFC 8834 §4.5).
    let foreign = foreign || component == "2";
    if line.starts_with("candidate:") && (address.ends_with(".local") || foreign) {
        return Ok(None);
    }
    Candidate::from_sdp_string(line).map(Some).map_err(|error| error.to_string())
}

/// Checks the syntax of an ICE candidate as a browser's `RTCIceCandidate.candidate` has it
/// (RFC 8839 §5.1), without using it.
///
/// # Errors
///
/// What is wrong with it, in the words of the parser.
pub fn check_candidate(text: &str) -> Result<(), String> {
    parse_candidate(text).map(|_| ())
}

/// A candidate of ours: an address at which the media loop is reached. By TCP it is for others to connect to (RFC 6544
/// §4.5).
pub(crate) fn host_candidate(at: TransportAddress) -> Result<Candidate, IceError> {
    match at.transport {
        Transport::Udp => Candidate::host(at.address, "udp"),
        Transport::Tcp => {
            Candidate::builder().tcp().host(at.address).tcptype(TcpType::Passive).build()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(port: u16) -> String {
        format!("candidate:{port} 1 udp 2130706175 192.0.2.9 {port} typ host")
    }

    fn candidate(port: u16) -> Candidate {
        parse_candidate(&line(port)).unwrap().unwrap()
    }

    #[test]
    fn sixteen_candidates_are_taken_and_known_ones_cost_nothing() {
        let mut known = RemoteCandidates::default();
        for _ in 0..3 {
            assert!((1..=16).all(|port| known.admit(&candidate(port)) != Verdict::Refuse));
        }
        assert_eq!(known.admit(&candidate(17)), Verdict::Refuse);
        known.restart();
        assert_eq!(known.admit(&candidate(17)), Verdict::Take);
    }

    #[test]
    fn an_offer_loses_only_what_is_too_much() {
        let section = |ports: std::ops::RangeInclusive<u16>| {
            let lines = ports.map(|port| format!("a={}\r\n", line(port))).collect::<String>();
            format!("m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n{lines}a=mid:0\r\n")
        };
        let mut known = RemoteCandidates::default();
        let offer = format!("v=0\r\n{}{}", section(1..=10), section(1..=10));
        assert_eq!(known.filter(&offer), (offer.clone(), 0));
        let (kept, refused) = known.filter(&format!("v=0\r\n{}", section(5..=40)));
        assert_eq!(refused, 24);
        assert_eq!(kept, format!("v=0\r\n{}", section(11..=16)));
        assert_eq!(known.addresses.len(), MAX_CANDIDATES);
    }

    #[test]
    fn candidates_as_browsers_send_them() {
        let host = "candidate:1 1 udp 2122260223 192.0.2.7 52000 typ host generation 0 ufrag abcd";
        assert!(parse_candidate(host).unwrap().is_some());
        assert!(parse_candidate(&format!("a={host}")).unwrap().is_some());
        for skipped in [
            "",
            "  ",
            "candidate:1 1 udp 2122260223 0d7b4a4e-77c6-4a2c-8d35-6d1e6e0f6f52.local 52000 typ host",
            "candidate:1 1 tcp 1518280447 192.0.2.7 9 typ host tcptype active",
            "candidate:1 2 udp 2122260222 192.0.2.7 52001 typ host",
        ] {
            assert_eq!(parse_candidate(skipped).unwrap(), None, "{skipped:?}");
        }
        for broken in ["nonsense", "candidate:", "candidate:1 1 udp x y z typ host"] {
            assert!(parse_candidate(broken).is_err(), "{broken:?}");
        }
    }
}
