//! What one client may have and do at a time, over all its connections.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use visavis::{PeerId, Shrink};

use crate::Limits;
use crate::access::Source;
use crate::window::Window;

/// Entries at which a tally is looked through for those that no longer matter.
const TIDY_AT: usize = 1_024;

/// The other end of a connection.
#[derive(Debug)]
pub(crate) struct Client {
    /// Of the TCP connection: perhaps a proxy's.
    pub(crate) remote: IpAddr,
    /// Whom the connection counts for.
    pub(crate) source: Option<Source>,
    /// It has a place beyond those of visitors, and is served as little as that is for.
    pub(crate) reserved: bool,
}

/// How many connections each source has. Those of trusted proxies that do not say for whom they speak are not
/// counted.
#[derive(Debug, Default)]
pub(crate) struct Places(HashMap<Source, usize>);

impl Places {
    /// Takes one; false where the source has as many as it may.
    pub(crate) fn take(&mut self, source: Option<Source>, limits: &Limits) -> bool {
        let Some(source) = source else { return true };
        let most = limits.connections_per_address;
        if self.0.get(&source).is_some_and(|&taken| taken >= most) || most == 0 {
            return false;
        }
        *self.0.entry(source).or_default() += 1;
        true
    }

    pub(crate) fn give_back(&mut self, source: Option<Source>) {
        let Some(source) = source else { return };
        if let Some(taken) = self.0.get_mut(&source) {
            *taken -= 1;
            if *taken == 0 {
                self.0.remove(&source);
                self.0.shrink_if_mostly_empty();
            }
        }
    }
}

/// How often peers and sources may do what costs something, whatever route they take.
#[derive(Debug)]
pub(crate) struct Budgets {
    offers: Tally<PeerId>,
    candidates: Tally<PeerId>,
    joins: Tally<Source>,
    sessions: Tally<Source>,
}

impl Budgets {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            offers: Tally::new(limits, limits.offers),
            candidates: Tally::new(limits, limits.candidates),
            joins: Tally::new(limits, limits.joins_per_address),
            sessions: Tally::new(limits, limits.sessions_per_address),
        }
    }

    /// Whether a peer may offer again.
    pub(crate) fn may_offer(&mut self, peer: PeerId, now: Instant) -> bool {
        self.offers.count(peer, 1, now)
    }

    /// Whether so many more candidates of a peer may be passed on.
    pub(crate) fn may_add(&mut self, peer: PeerId, candidates: usize, now: Instant) -> bool {
        self.candidates.count(peer, u32::try_from(candidates).unwrap_or(u32::MAX), now)
    }

    /// Whether one more viewer may come from there.
    pub(crate) fn may_join(&mut self, source: Option<Source>, now: Instant) -> bool {
        source.is_none_or(|source| self.joins.count(source, 1, now))
    }

    /// Whether one more session may be asked for from there.
    pub(crate) fn may_make(&mut self, source: Option<Source>, now: Instant) -> bool {
        source.is_none_or(|source| self.sessions.count(source, 1, now))
    }
}

/// A window of time for each of many.
#[derive(Debug)]
struct Tally<K> {
    length: Duration,
    limit: u32,
    windows: HashMap<K, Window>,
    tidy_at: usize,
}

impl<K: Eq + Hash> Tally<K> {
    fn new(limits: &Limits, limit: u32) -> Self {
        let length = limits.abuse_window;
        Self { length, limit, windows: HashMap::new(), tidy_at: TIDY_AT }
    }

    fn count(&mut self, key: K, events: u32, now: Instant) -> bool {
        if self.windows.len() >= self.tidy_at {
            // A window that is over counts like none.
            self.windows.retain(|_, window| !window.is_over(now));
            self.tidy_at = TIDY_AT.max(self.windows.len().saturating_mul(2));
        }
        let fresh = || Window::new(self.length, self.limit, now);
        self.windows.entry(key).or_insert_with(fresh).count(events, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Option<Source> {
        Some(Source::of(text.parse().unwrap()))
    }

    #[test]
    fn a_source_has_as_many_connections_as_it_may_and_others_are_not_its_business() {
        let limits = Limits { connections_per_address: 2, ..Limits::default() };
        let mut places = Places::default();
        let (one, other) = (source("192.0.2.1"), source("192.0.2.2"));
        assert!(places.take(one, &limits) && places.take(one, &limits));
        assert!(!places.take(one, &limits));
        assert!(places.take(other, &limits));
        assert!((0..100).all(|_| places.take(None, &limits)), "a proxy speaks for many");
        places.give_back(one);
        assert!(places.take(one, &limits));
        for _ in 0..9 {
            places.give_back(one);
        }
        places.give_back(other);
        assert!(places.0.is_empty());
    }

    #[test]
    fn what_is_over_takes_no_memory() {
        let limits = Limits { offers: 2, ..Limits::default() };
        let start = Instant::now();
        let mut budgets = Budgets::new(&limits);
        let peer = PeerId::from_raw;
        assert!(budgets.may_offer(peer(1), start) && budgets.may_offer(peer(1), start));
        assert!(!budgets.may_offer(peer(1), start));
        assert!(budgets.may_offer(peer(2), start));
        let later = start + limits.abuse_window;
        assert!(budgets.may_offer(peer(1), later));
        for number in 0..100_000 {
            let at = later + Duration::from_millis(number);
            assert!(budgets.may_offer(peer(number), at), "{number}");
        }
        // Ten seconds are 10,000 of them, and twice that is when they are looked through.
        assert!(budgets.offers.windows.len() <= 20_001, "{}", budgets.offers.windows.len());
    }
}
