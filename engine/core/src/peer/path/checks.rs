//! The connectivity checks of one peer, before its ICE sees them: are they its own, are they too many, and
//! does it still want to be sent anything (RFC 7675)?

use std::time::{Duration, Instant};

use str0m::crypto::Sha1HmacProvider;
use str0m::ice::{IceCreds, StunMessage};
use visavis_types::Refusal;

use crate::rate::RateLimit;
use crate::transport::TransportAddress;

/// Addresses one peer may be seen at. A browser shows a handful, one per interface and NAT on the way.
const MAX_SOURCES: usize = 16;

/// Addresses one peer may have been seen at since its ICE began. str0m keeps each of them until then.
const MAX_SOURCES_EVER: usize = 64;

/// Addresses of ours that one peer may claim to see: its ICE keeps each of them. There are as many as we
/// have candidates, and behind a NAT one for each.
const MAX_MAPPED: usize = 16;

/// Checks of one peer. Browsers that look for a path send one each 20 to 50 ms.
const CHECKS: RateLimit = RateLimit::per_second(100, 200);

/// RFC 7675 §5.1: how long consent lasts.
const CONSENT: Duration = Duration::from_secs(30);

/// What one peer's checks have shown.
#[derive(Debug)]
pub(crate) struct Checks {
    hmac: &'static dyn Sha1HmacProvider,
    local: IceCreds,
    remote: IceCreds,
    limit: RateLimit,
    sources: Vec<Source>,
    /// How many sources there have been since ICE began.
    ever: usize,
    mapped: Vec<std::net::SocketAddr>,
}

/// An address the peer was seen at.
#[derive(Debug)]
struct Source {
    address: TransportAddress,
    /// When it was last proved to be the peer's.
    last_verified: Instant,
    /// Until when the peer consents to be sent media there: it has answered a check of ours.
    consent: Option<Instant>,
}

/// What is taken in; an address that makes room is the peer's no more.
pub(crate) type Admission = Result<Option<TransportAddress>, Refusal>;

impl Checks {
    pub(crate) fn new(
        hmac: &'static dyn Sha1HmacProvider,
        local: IceCreds,
        remote: IceCreds,
    ) -> Self {
        Self {
            hmac,
            local,
            remote,
            limit: CHECKS,
            sources: Vec::new(),
            ever: 0,
            mapped: Vec::new(),
        }
    }

    /// ICE begins anew. Paths that were found before are good until their consent ends.
    pub(crate) fn restart(&mut self, local: IceCreds, remote: IceCreds) {
        (self.local, self.remote) = (local, remote);
        self.ever = self.sources.len();
        self.mapped.clear();
    }

    pub(crate) fn local(&self) -> &IceCreds {
        &self.local
    }

    pub(crate) fn remote(&self) -> &IceCreds {
        &self.remote
    }

    /// The addresses it was seen at.
    pub(crate) fn sources(&self) -> impl Iterator<Item = TransportAddress> + '_ {
        self.sources.iter().map(|source| source.address)
    }

    /// Until when the peer consents to be sent media at an address.
    pub(crate) fn consent(&self, address: TransportAddress) -> Option<Instant> {
        self.sources.iter().find(|source| source.address == address)?.consent
    }

    pub(crate) fn consents(&self, address: TransportAddress, now: Instant) -> bool {
        self.consent(address).is_some_and(|until| now < until)
    }

    /// Whether ICE is to see a check that came from `source`. What strangers send takes nothing from the
    /// peer's own checks.
    pub(crate) fn admit_check(
        &mut self,
        check: &StunMessage<'_>,
        source: TransportAddress,
        now: Instant,
    ) -> Admission {
        if !self.limit.allows(now) {
            return Err(Refusal::IceCheck);
        }
        let ours = (self.local.ufrag.as_str(), self.remote.ufrag.as_str());
        if check.split_username() != Some(ours) || !self.verifies(check, &self.local.pass) {
            return Err(Refusal::IceIntegrity);
        }
        self.limit.take(now);
        self.seen_at(source, None, now)
    }

    /// Whether ICE is to see the answer to a check of ours, which came from where that was sent to.
    pub(crate) fn admit_response(
        &mut self,
        answer: &StunMessage<'_>,
        source: TransportAddress,
        now: Instant,
    ) -> Admission {
        if !self.verifies(answer, &self.remote.pass) {
            return Err(Refusal::IceIntegrity);
        }
        if !answer.is_successful_binding_response() {
            return Ok(None);
        }
        if let Some(mapped) = answer.mapped_address()
            && !self.mapped.contains(&mapped)
        {
            if self.mapped.len() == MAX_MAPPED {
                return Err(Refusal::IceSource);
            }
            self.mapped.push(mapped);
        }
        self.seen_at(source, Some(now + CONSENT), now)
    }

    fn verifies(&self, message: &StunMessage<'_>, password: &str) -> bool {
        message.verify(password.as_bytes(), |key, parts| self.hmac.sha1_hmac(key, parts))
    }

    fn seen_at(
        &mut self,
        address: TransportAddress,
        consent: Option<Instant>,
        now: Instant,
    ) -> Admission {
        if let Some(known) = self.sources.iter_mut().find(|source| source.address == address) {
            known.last_verified = now;
            known.consent = consent.or(known.consent);
            return Ok(None);
        }
        // An answer comes from a candidate that ICE knows already.
        let new = consent.is_none();
        if new && self.ever >= MAX_SOURCES_EVER {
            return Err(Refusal::IceSource);
        }
        let mut left = None;
        if self.sources.len() == MAX_SOURCES {
            // An address without a check for as long as consent lasts is not the peer's any more; and one that
            // answers counts for more than one that only sends.
            let silent = |source: &Source| source.last_verified + CONSENT <= now;
            let claims = |source: &Source| {
                consent.is_some() && source.consent.is_none_or(|until| until <= now)
            };
            let place = self.sources.iter().position(|source| silent(source) || claims(source));
            let Some(place) = place else {
                return Err(Refusal::IceSource);
            };
            left = Some(self.sources.swap_remove(place).address);
        }
        self.ever += usize::from(new);
        self.sources.push(Source { address, last_verified: now, consent });
        Ok(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    use str0m::ice::TransId;

    fn creds(name: &str) -> IceCreds {
        IceCreds { ufrag: name.to_owned(), pass: format!("password of {name}") }
    }

    fn hmac() -> &'static dyn Sha1HmacProvider {
        str0m::crypto::from_feature_flags().sha1_hmac_provider
    }

    fn checks() -> Checks {
        Checks::new(hmac(), creds("we"), creds("they"))
    }

    fn source(port: u16) -> TransportAddress {
        TransportAddress::udp(SocketAddr::from(([192, 0, 2, 1], port)))
    }

    fn bytes(message: StunMessage<'_>, password: &str) -> Vec<u8> {
        let mut bytes = vec![0; 300];
        let hmac = |key: &[u8], parts: &[&[u8]]| hmac().sha1_hmac(key, parts);
        let length = message.to_bytes(Some(password.as_bytes()), &mut bytes, hmac).unwrap();
        bytes.truncate(length);
        bytes
    }

    fn check(user: &str, password: &str) -> Vec<u8> {
        bytes(StunMessage::binding_request(user, TransId::new(), true, 1, 1, false), password)
    }

    fn answer(mapped: u16) -> Vec<u8> {
        let reply = StunMessage::binding_reply(TransId::new(), source(mapped).address);
        bytes(reply, &creds("they").pass)
    }

    fn own_check() -> Vec<u8> {
        check("we:they", &creds("we").pass)
    }

    #[test]
    fn strangers_take_nothing_from_a_peers_own_checks() {
        let (mut checks, now) = (checks(), Instant::now());
        let forged =
            [check("we:they", "guessed"), check("we:them", &creds("we").pass), own_check()];
        for _ in 0..1_000 {
            for forged in &forged[..2] {
                let parsed = StunMessage::parse(forged).unwrap();
                let admission = checks.admit_check(&parsed, source(9), now);
                assert_eq!(admission, Err(Refusal::IceIntegrity));
            }
        }
        let parsed = StunMessage::parse(&forged[2]).unwrap();
        assert_eq!(checks.admit_check(&parsed, source(5), now), Ok(None));
        assert_eq!(checks.sources().collect::<Vec<_>>(), [source(5)]);
        assert_eq!(checks.consent(source(5)), None, "a check is no consent");
    }

    #[test]
    fn a_peer_has_sixteen_addresses_and_its_own_stays() {
        let (mut checks, start) = (checks(), Instant::now());
        let (request, reply) = (own_check(), answer(1));
        let request = StunMessage::parse(&request).unwrap();
        let reply = StunMessage::parse(&reply).unwrap();
        let at = |ms: u64| start + Duration::from_millis(ms);
        assert_eq!(checks.admit_response(&reply, source(1), start), Ok(None));
        let admitted = |checks: &mut Checks, ports: std::ops::Range<u16>, ms: u64| {
            let ports = ports.filter(|port| {
                let now = at(ms + u64::from(*port) * 20);
                checks.admit_check(&request, source(*port), now).is_ok()
            });
            ports.count()
        };
        assert_eq!(admitted(&mut checks, 100..400, 0), MAX_SOURCES - 1);
        assert!(checks.consents(source(1), at(29_999)));
        // Whoever answers at a new address has moved there.
        let moved = checks.admit_response(&reply, source(2), at(10_000));
        assert!(matches!(moved, Ok(Some(left)) if left != source(1)), "{moved:?}");
        // Later, those that are silent make room for a while.
        assert_eq!(checks.admit_response(&reply, source(1), at(40_000)), Ok(None));
        let more: usize = (1..10)
            .map(|n| admitted(&mut checks, n * 1_000..n * 1_000 + 100, u64::from(n) * 50_000))
            .sum();
        assert_eq!(more, MAX_SOURCES_EVER - (MAX_SOURCES - 1), "ICE keeps them all");
        checks.restart(creds("we"), creds("they"));
        assert!(admitted(&mut checks, 600..700, 2_000_000) > 0, "it begins anew");
    }

    #[test]
    fn checks_are_limited_however_valid_they_are() {
        let (mut checks, start) = (checks(), Instant::now());
        let request = own_check();
        let request = StunMessage::parse(&request).unwrap();
        let admitted = (0..100_000_u32).filter(|n| {
            let now = start + *n * Duration::from_micros(50);
            checks.admit_check(&request, source(1), now).is_ok()
        });
        let admitted = admitted.count();
        assert!((690..=710).contains(&admitted), "{admitted} in five seconds");
    }

    #[test]
    fn addresses_of_ours_that_a_peer_invents_are_bounded() {
        let (mut checks, now) = (checks(), Instant::now());
        let taken = (1..1_000).filter(|mapped| {
            let reply = answer(*mapped);
            checks.admit_response(&StunMessage::parse(&reply).unwrap(), source(5), now).is_ok()
        });
        assert_eq!(taken.count(), MAX_MAPPED);
    }
}
