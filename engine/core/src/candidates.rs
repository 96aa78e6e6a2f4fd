//! The candidates that a peer tells of.

use std::net::SocketAddr;

use str0m::Candidate;

use crate::negotiate;

/// Candidates of one peer since its ICE began. Its ICE keeps each of them for as long, and checks it; a
/// browser has a handful, and is found by the checks that it sends itself.
pub(crate) const MAX_CANDIDATES: usize = 16;

/// What a peer has told of.
#[derive(Debug, Clone, Default)]
pub(crate) struct RemoteCandidates {
    /// Where they are; a second one at an address is of no use.
    told: Vec<SocketAddr>,
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
        self.told.clear();
    }

    pub(crate) fn admit(&mut self, candidate: &Candidate) -> Verdict {
        let told = candidate.addr();
        if self.told.contains(&told) {
            return Verdict::Ignore;
        }
        if self.told.len() == MAX_CANDIDATES {
            return Verdict::Refuse;
        }
        self.told.push(told);
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
                // Whoever tells of what cannot be used (TCP, a name, no address) is found by its own checks.
                let Ok(Some(candidate)) = negotiate::parse_candidate(text) else { continue };
                let told = candidate.addr();
                match self.admit(&candidate) {
                    Verdict::Take => taken.push(told),
                    Verdict::Ignore if taken.contains(&told) => {}
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

#[cfg(test)]
mod tests {
    use super::*;

    fn line(port: u16) -> String {
        format!("candidate:{port} 1 udp 2130706175 192.0.2.9 {port} typ host")
    }

    fn candidate(port: u16) -> Candidate {
        negotiate::parse_candidate(&line(port)).unwrap().unwrap()
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
        assert_eq!(known.told.len(), MAX_CANDIDATES);
    }
}
