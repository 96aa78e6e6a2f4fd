//! Follows this machine's addresses while the engine runs.
//!
//! The kernel tells that something has changed; what there is then is asked for, and, in case the kernel cannot
//! tell, every few seconds anyway. New viewers get the new addresses, and those that are here are sent checks
//! from them, by which they find them.

use std::io;
use std::net::{IpAddr, SocketAddr};

use mio::{Interest, Registry, Token};
use visavis_net::AddressChanges;

use super::addresses::{Addresses, AnnouncedAddress};
use crate::faults::Faults;

/// What is known of this machine's addresses.
#[derive(Debug)]
pub(crate) struct Follower {
    changes: Option<AddressChanges>,
    /// Of each media loop: where it is bound, and what is known.
    sockets: Vec<(SocketAddr, Addresses)>,
    announce: Vec<AnnouncedAddress>,
}

/// The addresses of this machine's interfaces.
pub(crate) fn own_addresses() -> io::Result<Vec<IpAddr>> {
    let interfaces = if_addrs::get_if_addrs()?;
    let mut addresses: Vec<IpAddr> = interfaces.iter().map(if_addrs::Interface::ip).collect();
    // In one order, whatever the system's is.
    addresses.sort_unstable_by_key(|ip| (ip.is_ipv6(), *ip));
    addresses.dedup();
    Ok(addresses)
}

impl Follower {
    /// Where the system tells of changes, `registry` has its news under `token`.
    pub(crate) fn new(
        sockets: Vec<(SocketAddr, Addresses)>,
        announce: Vec<AnnouncedAddress>,
        (registry, token): (&Registry, Token),
    ) -> io::Result<Self> {
        let mut changes = AddressChanges::open()
            .inspect_err(|error| {
                tracing::info!(%error, "the system does not tell of new addresses; they are looked for");
            })
            .ok();
        if let Some(changes) = &mut changes {
            registry.register(changes, token, Interest::READABLE)?;
        }
        Ok(Self { changes, sockets, announce })
    }

    /// Whether the system has told of changes since the last call.
    pub(crate) fn has_news(&self) -> bool {
        self.changes.as_ref().is_some_and(AddressChanges::take)
    }

    /// Looks what there is now, and calls `changed_on` for each media loop whose addresses have changed. True where
    /// other addresses are announced than before.
    pub(crate) fn look(&mut self, mut changed_on: impl FnMut(usize, Addresses)) -> bool {
        let own = match own_addresses() {
            Ok(own) => own,
            Err(error) => {
                tracing::debug!(%error, "this machine's addresses cannot be read");
                return false;
            }
        };
        let mut changed = false;
        for (index, (bound, known)) in self.sockets.iter_mut().enumerate() {
            let now = Addresses::new((index, *bound), &self.announce, &own).by_tcp_as(known);
            if now == *known {
                continue;
            }
            changed |= now.candidates() != known.candidates();
            *known = now.clone();
            changed_on(index, now);
        }
        changed
    }

    /// Logs and reports why viewers may not get through, if so.
    pub(crate) fn report_health(&self, faults: &Faults) {
        let Some((bound, addresses)) = self.sockets.first() else { return };
        let problem = addresses.problem();
        tracing::info!(candidates = ?addresses.candidates(), "announced to viewers");
        if faults.set_wrong("addresses", problem.map(str::to_owned))
            && let Some(problem) = problem
        {
            tracing::warn!("{problem}");
        }
        let found = bound.ip().is_unspecified() && self.announce.is_empty();
        if found && addresses.is_loopback() {
            tracing::info!(
                "this machine's network is down: only visitors on it can connect so far"
            );
        }
    }
}
