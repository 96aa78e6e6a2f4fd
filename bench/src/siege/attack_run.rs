//! What attackers share: where the server is, until when they go on, and what they have done.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::setpriority_process;
use rustix::time::{ClockId, clock_gettime};

use crate::viewers::Watcher;

/// Attackers give way to those who measure, who share their processors.
const NICE: i32 = 10;

/// How often to check for what is due.
const TICK: Duration = Duration::from_millis(1);

/// An attacker that had to wait for a processor makes up for no more than this.
const LONGEST_ARREARS: Duration = Duration::from_millis(20);

/// One attack: the server, the viewers, the time left, and counters.
#[derive(Debug)]
pub(super) struct AttackRun {
    /// Page, API and WebSocket.
    pub(super) tcp: SocketAddr,
    /// Media.
    pub(super) udp: SocketAddr,
    /// Who watches: what a stranger could learn of them at worst.
    pub(super) watchers: Vec<Watcher>,
    /// When the attack is over.
    pub(super) end: Instant,
    counters: Counters,
}

/// What the attackers of one attack have done.
#[derive(Debug, Default)]
struct Counters {
    sent: AtomicU64,
    rejected: AtomicU64,
    cpu_nanos: AtomicU64,
    notes: Mutex<Vec<String>>,
    faults: Mutex<Vec<String>>,
}

/// The same, once it is over.
#[derive(Debug, Clone, Default)]
pub(super) struct AttackCounts {
    /// Datagrams, requests, messages or connections, by what the attack is about.
    pub(super) sent: u64,
    /// Requests and connections that the server refused.
    pub(super) rejected: u64,
    /// Processor time of the attackers.
    pub(super) cpu: Duration,
    /// What is worth knowing.
    pub(super) notes: Vec<String>,
    /// What the server should not have done.
    pub(super) faults: Vec<String>,
}

impl AttackRun {
    pub(super) fn new(
        tcp: SocketAddr,
        udp: SocketAddr,
        watchers: Vec<Watcher>,
        end: Instant,
    ) -> Self {
        Self { tcp, udp, watchers, end, counters: Counters::default() }
    }

    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }

    pub(super) fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// Waits, but not past the end.
    pub(super) fn sleep(&self, time: Duration) {
        thread::sleep(time.min(self.left()));
    }

    pub(super) fn sent(&self, count: u64) {
        self.counters.sent.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn rejected(&self, count: u64) {
        self.counters.rejected.fetch_add(count, Ordering::Relaxed);
    }

    /// Notes something for the report, once.
    pub(super) fn note(&self, text: impl Into<String>) {
        keep(&self.counters.notes, text.into());
    }

    /// Notes something that the server should not have done.
    pub(super) fn fault(&self, text: impl Into<String>) {
        keep(&self.counters.faults, text.into());
    }

    /// Runs one attacker, or several with their numbers, each on a thread that gives way to others.
    /// Returns when all are done.
    pub(super) fn on_threads(
        &self,
        count: usize,
        work: impl Fn(usize) -> Result<(), String> + Sync,
    ) {
        thread::scope(|scope| {
            for index in 0..count {
                let work = &work;
                scope.spawn(move || {
                    // Lowering the priority needs no permission; if it fails, the run is still valid.
                    let _ = setpriority_process(None, NICE);
                    if let Err(error) = work(index) {
                        self.note(error);
                    }
                    let nanos = u64::try_from(thread_cpu().as_nanos()).unwrap_or(u64::MAX);
                    self.counters.cpu_nanos.fetch_add(nanos, Ordering::Relaxed);
                });
            }
        });
    }

    /// Does something `rate` times a second until the end; `act` gets how often it is due now.
    pub(super) fn paced(
        &self,
        rate: u32,
        mut act: impl FnMut(u64) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut from = Instant::now();
        let mut done = 0_u64;
        while !self.is_over() {
            let now = Instant::now();
            let due = (now.duration_since(from).as_secs_f64() * f64::from(rate)) as u64;
            let most = (LONGEST_ARREARS.as_secs_f64() * f64::from(rate)).ceil() as u64;
            let count = due.saturating_sub(done);
            if count > most {
                // What it had no processor for is not made up for in one burst.
                (from, done) = (now, 0);
            } else {
                done = due;
            }
            if count > 0 {
                act(count.min(most))?;
            }
            self.sleep(TICK);
        }
        Ok(())
    }

    /// What was done.
    pub(super) fn counts(&self) -> AttackCounts {
        let copy = |list: &Mutex<Vec<String>>| match list.lock() {
            Ok(list) => list.clone(),
            Err(poisoned) => poisoned.into_inner().clone(),
        };
        AttackCounts {
            sent: self.counters.sent.load(Ordering::Relaxed),
            rejected: self.counters.rejected.load(Ordering::Relaxed),
            cpu: Duration::from_nanos(self.counters.cpu_nanos.load(Ordering::Relaxed)),
            notes: copy(&self.counters.notes),
            faults: copy(&self.counters.faults),
        }
    }
}

/// An address of this machine that is not the viewers' own (127.0.0.1): `host` counts from 0.
pub(super) fn attacker_ip(host: usize) -> Ipv4Addr {
    let host = host as u32 % 60_000 + 1;
    let [_, _, high, low] = host.to_be_bytes();
    Ipv4Addr::new(127, 66, high, low)
}

fn keep(list: &Mutex<Vec<String>>, text: String) {
    let mut list = match list.lock() {
        Ok(list) => list,
        Err(poisoned) => poisoned.into_inner(),
    };
    if list.len() < 8 && !list.contains(&text) {
        list.push(text);
    }
}

/// Processor time of this thread.
fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Numbers without a pattern, the same in every run.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: usize) -> Self {
        Self(0x9e37_79b9_7f4a_7c15 ^ (seed as u64 + 1).wrapping_mul(0xd134_2543_de82_ef95))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// From 0 up to and without `limit`.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 16) as usize % limit.max(1)
    }

    pub(super) fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let from = self.next().to_le_bytes();
            for (place, byte) in chunk.iter_mut().zip(from) {
                *place = byte;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(lasting: Duration) -> AttackRun {
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        AttackRun::new(nowhere, nowhere, Vec::new(), Instant::now() + lasting)
    }

    #[test]
    fn what_is_due_is_done_and_no_more() {
        let run = run(Duration::from_millis(300));
        let mut count = 0;
        run.paced(1_000, |due| {
            count += due;
            Ok(())
        })
        .unwrap();
        assert!((1..=300).contains(&count), "{count} in 0.3 s at 1,000 a second");
    }

    #[test]
    fn threads_report_their_processor_time_and_their_errors_once() {
        let run = run(Duration::ZERO);
        run.on_threads(3, |index| {
            run.sent(index as u64);
            Err("refused".to_owned())
        });
        let counts = run.counts();
        assert_eq!((counts.sent, counts.notes), (3, vec!["refused".to_owned()]));
        assert!(counts.cpu > Duration::ZERO);
    }

    #[test]
    fn strangers_are_on_this_machine_and_nobody_else() {
        for host in [0, 1, 255, 256, 59_999, 60_000] {
            let address = attacker_ip(host);
            assert!(address.is_loopback() && address != Ipv4Addr::LOCALHOST, "{address}");
        }
    }
}
