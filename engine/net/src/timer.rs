use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use crate::source::registered_as;

/// Wakes a poll at a moment given to the nanosecond. `epoll_wait` itself counts whole milliseconds,
/// rounded up: ten milliseconds of latency at the median under bandwidth estimation.
#[derive(Debug)]
pub struct Timer {
    fd: OwnedFd,
    armed: Option<Instant>,
}

impl Timer {
    /// A timer that is not armed.
    ///
    /// # Errors
    ///
    /// The process, or the system, has no file descriptor left.
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        Ok(Self { fd: timerfd_create(TimerfdClockId::Monotonic, flags)?, armed: None })
    }

    /// Arms the timer for `at`, or disarms it. A moment that has passed fires at once.
    ///
    /// # Errors
    ///
    /// The system refuses the time. The timer stays as it was.
    pub fn arm(&mut self, at: Option<Instant>, now: Instant) -> io::Result<()> {
        if self.armed == at {
            return Ok(());
        }
        // An all-zero time would disarm.
        let left = at.map(|at| at.saturating_duration_since(now).max(Duration::from_nanos(1)));
        let left = left.unwrap_or_default();
        let value = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        let once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let spec = Itimerspec { it_interval: once, it_value: value };
        timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &spec)?;
        self.armed = at;
        Ok(())
    }

    /// Takes note that the timer fired.
    pub fn acknowledge(&mut self) {
        let mut expirations = [0; 8];
        // Nothing to read means it was re-armed in the meantime: as good.
        let _ = rustix::io::read(&self.fd, &mut expirations);
        self.armed = None;
    }
}

registered_as!(Timer, |own| SourceFd(&own.fd.as_raw_fd()));

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Poll};
    use mio::{Interest, Token};

    #[test]
    fn fires_once_armed_and_not_before() {
        let (mut poll, mut timer) = (Poll::new().unwrap(), Timer::new().unwrap());
        poll.registry().register(&mut timer, Token(0), Interest::READABLE).unwrap();
        let mut events = Events::with_capacity(4);
        poll.poll(&mut events, Some(Duration::from_millis(5))).unwrap();
        assert!(events.is_empty());

        let start = Instant::now();
        timer.arm(Some(start + Duration::from_micros(2_300)), start).unwrap();
        poll.poll(&mut events, Some(Duration::from_secs(5))).unwrap();
        assert!(!events.is_empty());
        assert!(start.elapsed() >= Duration::from_micros(2_300));
        timer.acknowledge();

        let now = Instant::now();
        timer.arm(Some(start), now).unwrap();
        poll.poll(&mut events, Some(Duration::from_secs(5))).unwrap();
        assert!(!events.is_empty(), "a moment that has passed fires at once");
    }
}
