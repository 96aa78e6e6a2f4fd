//! What is done every few seconds, on a thread of its own: this machine's addresses are followed, and peers that
//! have left are forgotten.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token, Waker};

use crate::faults::FaultDomain;
use crate::handle::Inner;
use crate::media::addresses::{Addresses, AnnouncedAddress};
use crate::media::command::Control;
use crate::media::follow::Follower;

const CHANGES: Token = Token(0);
const WAKER: Token = Token(1);

/// How often addresses are read though the system has announced no change.
const LOOK: Duration = Duration::from_secs(5);

/// Changes come in bursts: an interface that comes up announces itself, its address, its route. Where they never
/// end, as on a host whose containers come and go, there is a look all the same.
const SETTLE: Duration = Duration::from_millis(100);

/// The thread; ended when dropped, once the engine has stopped.
#[derive(Debug)]
pub(crate) struct Upkeep {
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Upkeep {
    pub(crate) fn start(
        inner: Arc<Inner>,
        sockets: Vec<(SocketAddr, Addresses)>,
        announce: Vec<AnnouncedAddress>,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let follower = Follower::new(sockets, announce, (poll.registry(), CHANGES))?;
        follower.report_health(&inner.faults);
        let thread = thread::Builder::new().name("visavis-upkeep".to_owned());
        let thread = thread.spawn(move || run(poll, follower, &inner))?;
        Ok(Self { waker, thread: Some(thread) })
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(mut poll: Poll, mut follower: Follower, inner: &Inner) {
    let mut events = Events::with_capacity(4);
    let (mut pause, mut looked) = (LOOK, Instant::now());
    while !inner.stopped.load(Relaxed) {
        if let Err(error) = poll.poll(&mut events, Some(pause))
            && error.kind() != io::ErrorKind::Interrupted
        {
            tracing::warn!(%error, "this machine's addresses are followed no longer");
            return;
        }
        if is_burst(follower.has_news(), looked, Instant::now()) {
            pause = SETTLE;
            continue;
        }
        (pause, looked) = (LOOK, Instant::now());
        inner.faults.guard(FaultDomain::Addresses, &"this machine's addresses", || {
            look(&mut follower, inner);
        });
        inner.forget_departed();
    }
}

/// Whether to wait for what else the system announces.
fn is_burst(has_news: bool, looked: Instant, now: Instant) -> bool {
    has_news && now.saturating_duration_since(looked) < LOOK
}

fn look(follower: &mut Follower, inner: &Inner) {
    let changed = follower.look(|index, addresses| {
        if let Some(media_loop) = inner.loops.get(index) {
            media_loop.candidates.store(Arc::new(addresses.host_candidates()));
        }
        inner.control(index, Control::SetAddresses(addresses));
    });
    if changed {
        follower.report_health(&inner.faults);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_without_end_do_not_keep_from_looking() {
        let start = Instant::now();
        let mut looked = start;
        let looks = (0..300_u32).map(|n| start + SETTLE * n).filter(|&now| {
            let look = !is_burst(true, looked, now);
            if look {
                looked = now;
            }
            look
        });
        assert_eq!(looks.count(), 5, "in half a minute");
        assert!(!is_burst(false, start, start));
    }
}
