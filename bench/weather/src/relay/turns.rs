use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::state::{Source, State, lock};

/// How many datagrams are read from a socket before it is another's turn.
const MAX_READS: usize = 64;
/// The kernel may wake a thread this much late, and does so by 50 µs unless it is asked for less.
const TIMER_SLACK_NANOS: Option<NonZeroU64> = NonZeroU64::new(1_000);

/// The thread of a relay.
pub(super) fn run(state: &Mutex<State>, wake: &OwnedFd) {
    let _ = rustix::thread::set_current_timer_slack(TIMER_SLACK_NANOS);
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        let (sources, pause) = {
            let mut state = lock(state);
            if state.is_closed() {
                return;
            }
            let pause = state.deliver();
            (state.sources(), pause)
        };
        let Ok(ready) = wait(&sources, wake, pause) else { return };
        let mut state = lock(state);
        for source in ready {
            read(&mut state, source, &mut buffer);
        }
    }
}

/// Waits until there is something to read, until it is woken, or for as long as it may pause.
fn wait<'a>(
    sources: &'a [Source],
    wake: &OwnedFd,
    pause: Option<Duration>,
) -> Result<Vec<&'a Source>, Errno> {
    let mut fds = vec![PollFd::new(wake, PollFlags::IN)];
    fds.extend(sources.iter().map(|source| PollFd::new(&source.socket, PollFlags::IN)));
    // In nanoseconds, unlike the timeouts of epoll. What does not fit is for ever.
    let timeout = pause.and_then(|pause| Timespec::try_from(pause).ok());
    match poll(&mut fds, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(fault) => return Err(fault),
    }
    let (woken, fds) = fds
        .split_first()
        .map_or((false, &[][..]), |(first, rest)| (!first.revents().is_empty(), rest));
    if woken {
        // Nothing to read would be as good.
        let _ = rustix::io::read(wake, &mut [0; 8]);
    }
    let ready = sources.iter().zip(fds).filter(|(_, fd)| !fd.revents().is_empty());
    Ok(ready.map(|(source, _)| source).collect())
}

/// An error is of one datagram that was sent before (ECONNREFUSED), or that there is no more.
fn read(state: &mut State, source: &Source, buffer: &mut [u8]) {
    for _ in 0..MAX_READS {
        let Ok((length, from)) = source.socket.recv_from(buffer) else { return };
        let payload = &buffer[..length];
        match source.client {
            Some(client) => state.send_down(client, payload),
            // A client for whom the system has no socket is not heard.
            None => _ = state.send_up(from, payload),
        }
    }
}
