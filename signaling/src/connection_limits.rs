//! How many connections one client may have.

use std::collections::HashMap;
use std::net::IpAddr;

use visavis_types::Shrink;

use crate::access::Source;
use crate::config::Limits;

/// The other end of a connection.
#[derive(Debug)]
pub(crate) struct RemoteEnd {
    /// Of the TCP connection: perhaps a proxy's.
    pub(crate) remote: IpAddr,
    /// Whom the connection counts for.
    pub(crate) source: Option<Source>,
    /// It is beyond the connections that visitors may have, and gets only what those are kept for.
    pub(crate) reserved: bool,
}

/// How many connections each source has. Those of trusted proxies that do not name the client are not counted.
#[derive(Debug, Default)]
pub(crate) struct ConnectionLimits(HashMap<Source, usize>);

impl ConnectionLimits {
    /// Counts one; false where the source has as many as it may.
    pub(crate) fn add(&mut self, source: Option<Source>, limits: &Limits) -> bool {
        let Some(source) = source else { return true };
        let most = limits.connections_per_address;
        if self.0.get(&source).is_some_and(|&count| count >= most) || most == 0 {
            return false;
        }
        *self.0.entry(source).or_default() += 1;
        true
    }

    pub(crate) fn remove(&mut self, source: Option<Source>) {
        let Some(source) = source else { return };
        if let Some(count) = self.0.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&source);
                self.0.shrink_if_mostly_empty();
            }
        }
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
        let mut connections = ConnectionLimits::default();
        let (one, other) = (source("192.0.2.1"), source("192.0.2.2"));
        assert!(connections.add(one, &limits) && connections.add(one, &limits));
        assert!(!connections.add(one, &limits));
        assert!(connections.add(other, &limits));
        assert!((0..100).all(|_| connections.add(None, &limits)), "a proxy speaks for many");
        connections.remove(one);
        assert!(connections.add(one, &limits));
        for _ in 0..9 {
            connections.remove(one);
        }
        connections.remove(other);
        assert!(connections.0.is_empty());
    }
}
