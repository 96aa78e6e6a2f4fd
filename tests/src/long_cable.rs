//! A cable between two hosts that does to packets of any protocol what networks do.

use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tun_rs::{DeviceBuilder, SyncDevice};
use visavis_weather::{Link, Schedule};

/// How often the threads look whether they should end, or there are other conditions.
const LOOK: Duration = Duration::from_millis(50);

/// Each direction has a thread. Gone when dropped.
#[derive(Debug)]
pub(crate) struct LongCable {
    down: Arc<Direction>,
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Direction {
    begin: Instant,
    link: Mutex<Link<Box<[u8]>>>,
}

impl LongCable {
    /// One end, on the host whose namespace this thread is in.
    pub(crate) fn end() -> io::Result<SyncDevice> {
        let end = DeviceBuilder::new().name("cable").mtu(1_500).build_sync()?;
        end.set_nonblocking(true)?;
        Ok(end)
    }

    /// Between the ends at the viewer and at the server, with what happens on the way up and down.
    pub(crate) fn lay(
        [viewer, server]: [SyncDevice; 2],
        [up, down]: [Schedule; 2],
        seed: u64,
    ) -> io::Result<Self> {
        let [viewer, server] = [Arc::new(viewer), Arc::new(server)];
        let is_over = Arc::<AtomicBool>::default();
        let direction = |schedule, seed| {
            let link = Mutex::new(Link::new(schedule, seed));
            Arc::new(Direction { begin: Instant::now(), link })
        };
        let (up, down) = (direction(up, seed), direction(down, !seed));
        let ways = [
            (Arc::clone(&up), Arc::clone(&viewer), Arc::clone(&server)),
            (Arc::clone(&down), server, viewer),
        ];
        let threads = ways.into_iter().map(|(direction, from, to)| {
            let is_over = Arc::clone(&is_over);
            let thread = thread::Builder::new().name("long-cable".to_owned());
            thread.spawn(
                move || {
                    while !is_over.load(Relaxed) && direction.turn(&from, &to).is_ok() {}
                },
            )
        });
        Ok(Self { threads: threads.collect::<io::Result<_>>()?, down, is_over })
    }

    pub(crate) fn set_down(&self, schedule: Schedule) {
        let now = self.down.begin.elapsed();
        self.down.link.lock().unwrap_or_else(PoisonError::into_inner).set(now, schedule);
    }
}

impl Drop for LongCable {
    fn drop(&mut self) {
        self.is_over.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Direction {
    fn turn(&self, from: &SyncDevice, to: &SyncDevice) -> io::Result<()> {
        let pause = {
            let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
            let now = self.begin.elapsed();
            while let Some(packet) = link.poll(now) {
                // A device that is down takes none.
                let _ = to.send(&packet);
            }
            let next = link.next_deadline().map(|at| at.saturating_sub(self.begin.elapsed()));
            next.map_or(LOOK, |next| next.min(LOOK))
        };
        let timeout = Timespec::try_from(pause).ok();
        let _ = poll(&mut [PollFd::new(from, PollFlags::IN)], timeout.as_ref());
        let mut buffer = [0; 2_048];
        loop {
            match from.recv(&mut buffer) {
                Ok(length) => {
                    let packet = buffer.get(..length).unwrap_or_default();
                    let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
                    link.send(self.begin.elapsed(), packet.into(), length);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}
