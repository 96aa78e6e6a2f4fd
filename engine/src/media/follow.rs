//! Follows this machine's addresses while the engine runs.
//!
//! The kernel tells that something has changed; what there is then is asked for, and, in case the kernel cannot
//! tell, every few seconds anyway. New viewers are told the new addresses, and those that are here are sent checks
//! from them, by which they find them.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mio::{Events, Interest, Poll, Token, Waker};
use visavis_net::AddressChanges;

use super::addresses::{Addresses, AnnouncedAddress};
use super::command::Control;
use crate::faults::FaultDomain;
use crate::handle::Inner;

const CHANGES: Token = Token(0);
const WAKER: Token = Token(1);

/// How often to look though nobody has told.
const LOOK: Duration = Duration::from_secs(5);

/// Changes come in bursts: an interface that comes up tells of itself, of its address, of its route.
const SETTLE: Duration = Duration::from_millis(100);

/// The thread that follows the addresses; ended when dropped, once the engine has stopped.
#[derive(Debug)]
pub(crate) struct Follower {
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

struct Watch {
    poll: Poll,
    changes: Option<AddressChanges>,
    inner: Arc<Inner>,
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
    pub(crate) fn start(
        inner: Arc<Inner>,
        sockets: Vec<(SocketAddr, Addresses)>,
        announce: Vec<AnnouncedAddress>,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let mut changes = AddressChanges::open()
            .inspect_err(|error| {
                tracing::info!(%error, "the system does not tell of new addresses; they are looked for");
            })
            .ok();
        if let Some(changes) = &mut changes {
            poll.registry().register(changes, CHANGES, Interest::READABLE)?;
        }
        let mut watch = Watch { poll, changes, inner, sockets, announce };
        watch.say_what_is_wrong();
        let thread =
            thread::Builder::new().name("visavis-addr".to_owned()).spawn(move || watch.run())?;
        Ok(Self { waker, thread: Some(thread) })
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Watch {
    fn run(mut self) {
        let mut events = Events::with_capacity(4);
        let mut pause = LOOK;
        while !self.inner.stopped.load(Relaxed) {
            if let Err(error) = self.poll.poll(&mut events, Some(pause))
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::warn!(%error, "this machine's addresses are followed no longer");
                return;
            }
            if self.changes.as_ref().is_some_and(AddressChanges::take) {
                pause = SETTLE;
                continue;
            }
            pause = LOOK;
            let faults = Arc::clone(&self.inner.faults);
            faults.guard(FaultDomain::Addresses, &"this machine's addresses", || self.look());
        }
    }

    fn look(&mut self) {
        let own = match own_addresses() {
            Ok(own) => own,
            Err(error) => {
                tracing::debug!(%error, "this machine does not tell its addresses");
                return;
            }
        };
        let mut changed = false;
        for (index, (bound, known)) in self.sockets.iter_mut().enumerate() {
            let now = Addresses::new((index, *bound), &self.announce, &own);
            if now == *known {
                continue;
            }
            changed |= now.candidates() != known.candidates();
            *known = now.clone();
            if let Some(media_loop) = self.inner.loops.get(index) {
                media_loop.candidates.store(Arc::new(now.candidates().to_vec()));
            }
            self.inner.control(index, Control::SetAddresses(now));
        }
        if changed {
            self.say_what_is_wrong();
        }
    }

    fn say_what_is_wrong(&mut self) {
        let Some((bound, addresses)) = self.sockets.first() else { return };
        let wrong = addresses.wrong();
        tracing::info!(candidates = ?addresses.candidates(), "told to viewers");
        if self.inner.faults.set_wrong("addresses", wrong.map(str::to_owned))
            && let Some(wrong) = wrong
        {
            tracing::warn!("{wrong}");
        }
        let found = bound.ip().is_unspecified() && self.announce.is_empty();
        if found && addresses.is_loopback() {
            tracing::info!(
                "this machine's network is down: only visitors on it can connect so far"
            );
        }
    }
}
