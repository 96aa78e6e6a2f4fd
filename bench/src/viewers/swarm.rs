//! The loop of all viewers: one poll, two sockets each, one set of deadlines.

use std::collections::BTreeSet;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Registry, Token};
use rustix::time::{ClockId, clock_gettime};
use str0m::config::DtlsCert;
use str0m::crypto::from_feature_flags;

use super::report::Report;
use super::signal::Signal;
use super::viewer::Viewer;
use super::{Figures, Options, Shared};
use crate::http::split_url;
use crate::{Error, Machine};

/// How often the owner's wish to stop is looked for, and losses are counted.
const TICK: Duration = Duration::from_millis(50);

struct Swarm<'a> {
    options: &'a Options,
    url: String,
    address: SocketAddr,
    certificate: DtlsCert,
    viewers: Vec<Viewer>,
    deadlines: Deadlines,
    figures: Figures,
}

/// When each viewer wants to be called; one entry each.
#[derive(Default)]
struct Deadlines {
    order: BTreeSet<(Instant, usize)>,
    of: Vec<Option<Instant>>,
}

pub(super) fn run(options: &Options, shared: &Shared) -> Result<Report, Error> {
    let cpu_before = thread_cpu();
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1_024);
    let mut swarm = Swarm::new(options)?;
    let started = Instant::now();
    let end = started + options.duration;
    let mut next_tick = started;
    loop {
        let now = Instant::now();
        if now >= end || shared.stop.load(Ordering::Relaxed) {
            break;
        }
        swarm.join_due(started, now, poll.registry())?;
        swarm.call_due(now);
        if now >= next_tick {
            next_tick = now + TICK;
            swarm.publish(shared);
        }
        let wake = swarm.deadlines.first().map_or(next_tick, |first| first.min(next_tick));
        let timeout = wake.saturating_duration_since(Instant::now());
        match poll.poll(&mut events, Some(timeout)) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            swarm.ready(event.token(), poll.registry());
        }
    }
    let now = Instant::now();
    // The figures end here: what follows is the goodbye.
    let viewers: Vec<_> = swarm.viewers.iter().map(|viewer| viewer.report(now)).collect();
    if !options.vanish {
        swarm.leave(now);
    }
    Ok(Report {
        machine: Machine::here(),
        seconds: now.duration_since(started).as_secs_f64(),
        connected: viewers.iter().filter(|viewer| viewer.connect_ms.is_some()).count(),
        connect_ms: swarm.figures.connect.spread(),
        first_picture_ms: swarm.figures.first_picture.spread(),
        frame_gap_ms: swarm.figures.gap.spread(),
        latency_ms: swarm.figures.latency.spread(),
        own_cpu_seconds: thread_cpu().saturating_sub(cpu_before).as_secs_f64(),
        viewers,
    })
}

impl<'a> Swarm<'a> {
    fn new(options: &'a Options) -> Result<Self, Error> {
        let (authority, path) = split_url(&options.url)?;
        let address = authority
            .to_socket_addrs()?
            .next()
            .ok_or_else(|| Error::Viewers(format!("{authority} leads nowhere")))?;
        let crypto = from_feature_flags();
        // One for all of them: making one takes milliseconds.
        let certificate = crypto
            .dtls_provider
            .generate_certificate()
            .ok_or_else(|| Error::Viewers("no DTLS certificate".to_owned()))?;
        Ok(Self {
            options,
            url: format!("ws://{authority}{path}"),
            address,
            certificate,
            viewers: Vec::with_capacity(options.count),
            deadlines: Deadlines::default(),
            figures: Figures::new()?,
        })
    }

    /// Starts the viewers whose turn has come.
    fn join_due(
        &mut self,
        started: Instant,
        now: Instant,
        registry: &Registry,
    ) -> Result<(), Error> {
        while self.viewers.len() < self.options.count {
            let index = self.viewers.len();
            let due = started + self.options.spacing * u32::try_from(index).unwrap_or(u32::MAX);
            if due > now {
                self.deadlines.wake(due);
                return Ok(());
            }
            let signal =
                Signal::connect(self.url.clone(), self.address, registry, Token(2 * index))?;
            let certificate = self.certificate.clone();
            let token = Token(2 * index + 1);
            self.viewers.push(Viewer::new(signal, token, self.options.codec, certificate, now));
            self.deadlines.of.push(None);
        }
        Ok(())
    }

    fn call_due(&mut self, now: Instant) {
        while let Some(index) = self.deadlines.take_due(now) {
            if let Some(viewer) = self.viewers.get_mut(index) {
                let at = viewer.time(&mut self.figures, now);
                self.schedule(index, at, now);
            }
        }
    }

    fn ready(&mut self, token: Token, registry: &Registry) {
        let index = token.0 / 2;
        let now = Instant::now();
        let Some(viewer) = self.viewers.get_mut(index) else { return };
        let at = if token.0.is_multiple_of(2) {
            if viewer.has_failed() {
                return;
            }
            viewer.signal_ready(registry, &mut self.figures, now)
        } else {
            viewer.media_ready(&mut self.figures, now)
        };
        self.schedule(index, at, now);
    }

    fn schedule(&mut self, index: usize, at: Instant, now: Instant) {
        // The meters want to be called now and then, whatever the peer wants.
        let failed = self.viewers.get(index).is_some_and(Viewer::has_failed);
        let at = if failed { now + Duration::from_secs(3_600) } else { at.min(now + TICK) };
        self.deadlines.set(index, at);
    }

    fn publish(&self, shared: &Shared) {
        let with_picture = self.viewers.iter().filter(|viewer| viewer.has_picture()).count();
        let failed = self.viewers.iter().filter(|viewer| viewer.has_failed()).count();
        shared.with_picture.store(with_picture, Ordering::Relaxed);
        shared.failed.store(failed, Ordering::Relaxed);
    }

    fn leave(&mut self, now: Instant) {
        for viewer in &mut self.viewers {
            if viewer.is_connected() {
                viewer.leave(&mut self.figures, now);
            }
        }
    }
}

impl Deadlines {
    fn set(&mut self, index: usize, at: Instant) {
        if let Some(slot) = self.of.get_mut(index) {
            if let Some(old) = slot.replace(at) {
                self.order.remove(&(old, index));
            }
            self.order.insert((at, index));
        }
    }

    /// Wakes the loop at a time that belongs to no viewer.
    fn wake(&mut self, at: Instant) {
        self.order.insert((at, usize::MAX));
    }

    fn first(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    fn take_due(&mut self, now: Instant) -> Option<usize> {
        let (at, index) = *self.order.first()?;
        if at > now {
            return None;
        }
        self.order.pop_first();
        if let Some(slot) = self.of.get_mut(index) {
            *slot = None;
        }
        Some(index)
    }
}

/// Processor time of this thread.
fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_come_in_order_and_once() {
        let mut deadlines = Deadlines { of: vec![None; 2], ..Deadlines::default() };
        let now = Instant::now();
        deadlines.set(0, now + Duration::from_secs(2));
        deadlines.set(1, now + Duration::from_secs(1));
        deadlines.set(0, now);
        assert_eq!(deadlines.first(), Some(now));
        assert_eq!(deadlines.take_due(now), Some(0));
        assert_eq!(deadlines.take_due(now), None);
        assert_eq!(deadlines.take_due(now + Duration::from_secs(3)), Some(1));
        assert_eq!(deadlines.take_due(now + Duration::from_secs(3)), None);
    }
}
