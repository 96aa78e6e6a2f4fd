//! The loop of all viewers: one poll, two sockets each, one heap of deadlines.

use std::collections::VecDeque;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Registry, Token};
use rustix::time::{ClockId, clock_gettime};
use str0m::crypto::from_feature_flags;

use super::deadlines::Deadlines;
use super::figures::Figures;
use super::frames::Frames;
use super::inbox::{Arrival, Inbox};
use super::options::{Decrypt, Options};
use super::report::{Measured, Report};
use super::role::Role;
use super::shared::{Command, Seen, Shared};
use super::signal::{Signal, Way};
use super::skip_decryption;
use super::viewer::{Viewer, ViewerSetup};
use super::window::Window;
use crate::http::split_url;
use crate::{Error, Machine};

/// How often the owner's wishes are looked for.
const TICK: Duration = Duration::from_millis(20);

struct Swarm<'a> {
    options: &'a Options,
    url: String,
    address: SocketAddr,
    setup: ViewerSetup,
    /// By their tokens; a place is free again when its viewer has left.
    viewers: Vec<Option<Viewer>>,
    free: Vec<usize>,
    /// Started so far, gone ones included.
    started: usize,
    /// Guests, the oldest first.
    guests: VecDeque<usize>,
    /// When watchers and guests that have been ordered start.
    due: VecDeque<(Instant, bool)>,
    deadlines: Deadlines,
    figures: Figures,
    inbox: Inbox,
}

/// The measuring window, and this thread's processor time at both of its ends.
#[derive(Default)]
struct Measuring {
    window: Option<Window>,
    cpu_from: Option<Duration>,
    cpu_until: Option<Duration>,
}

pub(super) fn run(
    options: &Options,
    shared: &Shared,
    commands: &mpsc::Receiver<Command>,
) -> Result<Report, Error> {
    let cpu_before = thread_cpu();
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1_024);
    let mut swarm = Swarm::new(options)?;
    let mut measuring = Measuring::default();
    let started = Instant::now();
    let end = started + options.duration;
    swarm.order(started, options.count, options.spacing, true);
    let mut next_tick = started;
    loop {
        let now = Arrival::now();
        if now.at >= end || shared.stop.load(Ordering::Relaxed) {
            break;
        }
        swarm.join_due(now.at, poll.registry())?;
        swarm.call_due(now);
        measuring.pass(now.at);
        if now.at >= next_tick {
            next_tick = now.at + TICK;
            swarm.publish(shared);
            swarm.handle_commands(commands, &mut measuring, now)?;
            if let Some(frames) = &mut swarm.figures.frames {
                frames.close_old(now.at);
            }
        }
        let next = [swarm.deadlines.first(), swarm.due.front().map(|(due, _)| *due)];
        let wake = next.into_iter().flatten().fold(next_tick, Instant::min);
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
    let now = Arrival::now();
    measuring.pass(now.at);
    // Measuring ends here; what follows is closing.
    let report = swarm.report(started, now.at, &measuring, cpu_before);
    if !options.vanish {
        swarm.leave(now);
    }
    Ok(report)
}

impl<'a> Swarm<'a> {
    fn new(options: &'a Options) -> Result<Self, Error> {
        let (authority, path) = split_url(&options.url)?;
        let address = authority
            .to_socket_addrs()?
            .next()
            .ok_or_else(|| Error::Viewers(format!("{authority} leads nowhere")))?;
        let certificate = from_feature_flags()
            .dtls_provider
            .generate_certificate()
            .ok_or_else(|| Error::Viewers("no DTLS certificate".to_owned()))?;
        let own_times = options.decrypt == Decrypt::All && options.marks.is_some();
        let mut setup = ViewerSetup { certificate, blind: None, codec: options.codec, own_times };
        setup.blind = Some(skip_decryption::provider(setup.config()));
        let frames = Frames::new(options.marks.clone(), options.count)?;
        Ok(Self {
            options,
            url: format!("ws://{authority}{path}"),
            address,
            setup,
            viewers: Vec::with_capacity(options.count),
            free: Vec::new(),
            started: 0,
            guests: VecDeque::new(),
            due: VecDeque::new(),
            deadlines: Deadlines::default(),
            figures: Figures::new(Some(frames))?,
            inbox: Inbox::new(),
        })
    }

    fn order(&mut self, from: Instant, count: usize, spacing: Duration, watcher: bool) {
        let times = (0..).map_while(|index| from.checked_add(spacing * index));
        self.due.extend(times.take(count).map(|due| (due, watcher)));
    }

    fn handle_commands(
        &mut self,
        commands: &mpsc::Receiver<Command>,
        measuring: &mut Measuring,
        now: Arrival,
    ) -> Result<(), Error> {
        while let Ok(order) = commands.try_recv() {
            match order {
                Command::Measure(window) => {
                    self.figures.measure(window)?;
                    *measuring = Measuring { window: Some(window), ..Measuring::default() };
                }
                Command::Join { count, spacing } => self.order(now.at, count, spacing, false),
                Command::LeaveOldest => {
                    if let Some(index) = self.guests.pop_front() {
                        self.dismiss(index, now);
                    }
                }
                Command::Report(to) => {
                    let present = self.viewers.iter_mut().flatten();
                    let watchers = present.filter(|viewer| viewer.role().watcher);
                    let watchers = watchers.map(|viewer| viewer.seen(now.at)).collect();
                    let _ = to.send(Seen { gaps: self.figures.gaps.spread(), watchers });
                }
            }
        }
        Ok(())
    }

    /// Starts the viewers whose turn has come.
    fn join_due(&mut self, now: Instant, registry: &Registry) -> Result<(), Error> {
        while let Some(&(_, watcher)) = self.due.front().filter(|(due, _)| *due <= now) {
            self.due.pop_front();
            let index = self.free.pop().unwrap_or(self.viewers.len());
            let decrypts = match self.options.decrypt {
                Decrypt::All => true,
                Decrypt::Sample(one_in) => {
                    self.started < 2 || self.started.is_multiple_of(one_in.max(1))
                }
            };
            let url = match &self.options.session_prefix {
                Some(prefix) => format!("{}?session={prefix}{}", self.url, self.started),
                None => self.url.clone(),
            };
            let sources = &self.options.sources;
            let source = sources.get(self.started % sources.len().max(1)).copied();
            self.started += 1;
            let protocol = self.options.protocol;
            let token = Token(2 * index);
            let way = Way { from: source, to: self.address };
            let signal = Signal::connect(url, way, protocol, registry, token)?;
            let role = Role { decrypts, watcher };
            let viewer = Viewer::new(signal, Token(2 * index + 1), role, &self.setup, now);
            match self.viewers.get_mut(index) {
                Some(place) => *place = Some(viewer),
                None => self.viewers.push(Some(viewer)),
            }
            if !watcher {
                self.guests.push_back(index);
            }
        }
        Ok(())
    }

    /// Lets a viewer close its connections, and removes it.
    fn dismiss(&mut self, index: usize, now: Arrival) {
        if let Some(mut viewer) = self.viewers.get_mut(index).and_then(Option::take) {
            viewer.leave(&mut self.figures, now);
            self.deadlines.clear(index);
            self.free.push(index);
        }
    }

    fn call_due(&mut self, now: Arrival) {
        while let Some(index) = self.deadlines.take_due(now.at) {
            if let Some(Some(viewer)) = self.viewers.get_mut(index) {
                let at = viewer.time(&mut self.figures, now);
                self.schedule(index, at);
            }
        }
    }

    fn ready(&mut self, token: Token, registry: &Registry) {
        let index = token.0 / 2;
        let Some(Some(viewer)) = self.viewers.get_mut(index) else { return };
        let at = if token.0.is_multiple_of(2) {
            if viewer.has_failed() {
                return;
            }
            Some(viewer.signal_ready(registry, &mut self.figures, Arrival::now()))
        } else {
            viewer.media_ready(&mut self.inbox, &mut self.figures)
        };
        if let Some(at) = at {
            self.schedule(index, at);
        }
    }

    fn schedule(&mut self, index: usize, at: Instant) {
        let failed =
            self.viewers.get(index).and_then(Option::as_ref).is_none_or(Viewer::has_failed);
        if failed {
            self.deadlines.clear(index);
        } else {
            self.deadlines.set(index, at);
        }
    }

    fn publish(&self, shared: &Shared) {
        let present = || self.viewers.iter().flatten();
        let with_picture = present().filter(|viewer| viewer.has_picture()).count();
        let failed = present().filter(|viewer| viewer.has_failed()).count();
        shared.with_picture.store(with_picture, Ordering::Relaxed);
        shared.failed.store(failed, Ordering::Relaxed);
        if let Some(error) = present().find_map(Viewer::error) {
            let _ = shared.first_failure.set(error.to_owned());
        }
    }

    fn leave(&mut self, now: Arrival) {
        for viewer in self.viewers.iter_mut().flatten() {
            if viewer.is_connected() {
                viewer.leave(&mut self.figures, now);
            }
        }
    }

    fn report(
        &self,
        started: Instant,
        now: Instant,
        measuring: &Measuring,
        cpu_before: Duration,
    ) -> Report {
        let present: Vec<&Viewer> = self.viewers.iter().flatten().collect();
        let watchers = || present.iter().filter(|viewer| viewer.role().watcher);
        let pictures: Option<Vec<Instant>> = watchers().map(|viewer| viewer.picture_at()).collect();
        let joined = pictures.and_then(|pictures| pictures.into_iter().max());
        let joined = joined.map(|at| at.duration_since(started).as_secs_f64() * 1_000.0);
        let viewers: Vec<_> = present.iter().map(|viewer| viewer.report(now)).collect();
        Report {
            machine: Machine::here(),
            seconds: now.duration_since(started).as_secs_f64(),
            connected: viewers.iter().filter(|viewer| viewer.connect_ms.is_some()).count(),
            connect_ms: self.figures.connect.spread(),
            first_picture_ms: self.figures.first_picture.spread(),
            frame_gap_ms: self.figures.gaps.spread(),
            latency_ms: self.figures.latencies.spread(),
            own_cpu_seconds: thread_cpu().saturating_sub(cpu_before).as_secs_f64(),
            decrypting: present.iter().filter(|viewer| viewer.role().decrypts).count(),
            all_joined_ms: joined,
            measured: measuring.report(&self.figures),
            viewers,
        }
    }
}

impl Measuring {
    /// Notes the processor time when an end of the window goes by.
    fn pass(&mut self, now: Instant) {
        let Some(window) = &self.window else { return };
        if now >= window.from && self.cpu_from.is_none() {
            self.cpu_from = Some(thread_cpu());
        }
        if now >= window.end() && self.cpu_until.is_none() {
            self.cpu_until = Some(thread_cpu());
        }
    }

    /// What was measured, once the whole window has gone by.
    fn report(&self, figures: &Figures) -> Option<Measured> {
        let (window, from, until) = (self.window?, self.cpu_from?, self.cpu_until?);
        let frames = figures.frames.as_ref()?;
        Some(Measured {
            seconds: window.length.as_secs_f64(),
            packets: figures.counts.packets,
            bytes: figures.counts.bytes,
            lost: figures.counts.lost,
            skipped: skip_decryption::skipped(),
            frames: frames.counts.complete,
            incomplete_frames: frames.counts.incomplete,
            unknown_frames: frames.counts.unknown,
            last_viewer_ms: frames.last_viewer.spread(),
            every_viewer_ms: frames.every_viewer.spread(),
            own_cpu_seconds: until.saturating_sub(from).as_secs_f64(),
        })
    }
}

/// Processor time of this thread.
fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanos)
}
