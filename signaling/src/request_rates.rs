//! How often one client may do what costs something.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use visavis::peer::PeerId;

use crate::access::Source;
use crate::config::Limits;
use crate::rate_window::RateWindow;

/// Entries at which a tally is looked through for those that no longer matter.
const TIDY_AT: usize = 1_024;

/// Limits how often peers and sources make expensive requests, over all routes together.
#[derive(Debug)]
pub(crate) struct RequestRates {
    offers: Tally<PeerId>,
    candidates: Tally<PeerId>,
    joins: Tally<Source>,
    sessions: Tally<Source>,
}

impl RequestRates {
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

    /// Whether this many more candidates of a peer may be passed on.
    pub(crate) fn may_add(&mut self, peer: PeerId, candidates: usize, now: Instant) -> bool {
        self.candidates.count(peer, u32::try_from(candidates).unwrap_or(u32::MAX), now)
    }

    /// Whether one more viewer may come from there.
    pub(crate) fn may_join(&mut self, source: Option<Source>, now: Instant) -> bool {
        source.is_none_or(|source| self.joins.count(source, 1, now))
    }

    /// Whether this source may request one more session.
    pub(crate) fn may_create(&mut self, source: Option<Source>, now: Instant) -> bool {
        source.is_none_or(|source| self.sessions.count(source, 1, now))
    }
}

/// A window of time for each of many.
#[derive(Debug)]
struct Tally<K> {
    length: Duration,
    limit: u32,
    windows: HashMap<K, RateWindow>,
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
        let fresh = || RateWindow::new(self.length, self.limit, now);
        self.windows.entry(key).or_insert_with(fresh).count(events, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_takes_no_memory() {
        let limits = Limits { offers: 2, ..Limits::default() };
        let start = Instant::now();
        let mut rates = RequestRates::new(&limits);
        let peer = PeerId::from_raw;
        assert!(rates.may_offer(peer(1), start) && rates.may_offer(peer(1), start));
        assert!(!rates.may_offer(peer(1), start));
        assert!(rates.may_offer(peer(2), start));
        let later = start + limits.abuse_window;
        assert!(rates.may_offer(peer(1), later));
        for number in 0..100_000 {
            let at = later + Duration::from_millis(number);
            assert!(rates.may_offer(peer(number), at), "{number}");
        }
        // Ten seconds are 10,000 of them, and twice that is when they are looked through.
        assert!(rates.offers.windows.len() <= 20_001, "{}", rates.offers.windows.len());
    }
}
