use std::collections::VecDeque;
use std::time::Duration;

use crate::counters::Counters;
use crate::endpoint::Endpoint;
use crate::link::Link;
use crate::packet::Packet;
use crate::schedule::Schedule;

/// A way through a [`Network`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the near ends to the far ones.
    Forward,
    /// From the far ends to the near ones.
    Backward,
}

/// A flow of a [`Network`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FlowId(usize);

/// What one direction of a flow has carried. Packets beyond those that were sent are copies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FlowCounters {
    /// Packets that its end has sent.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Packets that have arrived at its other end.
    pub delivered: u64,
    /// Their bytes.
    pub delivered_bytes: u64,
}

/// Flows in virtual time, which share a link in each direction.
///
/// ```
/// use std::time::Duration;
/// use visavis_weather::{Bandwidth, Conditions, ConstantBitrate, Direction, Network, Sink};
///
/// let narrow = Conditions { bandwidth: Bandwidth::from_mbps(1.0), ..Conditions::default() };
/// let mut network = Network::new(narrow, Conditions::default(), 1);
/// let minute = Duration::from_secs(60);
/// let media = ConstantBitrate::new(Bandwidth::from_mbps(2.0), 1_200, [Duration::ZERO..minute]);
/// let flow = network.add_flow(media, Sink, Duration::ZERO);
/// network.run_until(minute);
///
/// // Half of it passes.
/// let passed = network.flow(flow, Direction::Forward);
/// assert_eq!(passed.sent_bytes * 8, 120_000_000);
/// assert_eq!(passed.delivered_bytes * 8, 60_000_000);
/// ```
pub struct Network {
    now: Duration,
    forward: Link<Passing>,
    backward: Link<Passing>,
    flows: Vec<Flow>,
}

#[derive(Debug, Clone)]
struct Passing {
    flow: FlowId,
    packet: Packet,
}

struct Flow {
    /// Beyond the link's, to each side.
    extra_delay: Duration,
    near: End,
    far: End,
}

/// One end of a flow, and what is on its way there.
struct End {
    endpoint: Box<dyn Endpoint>,
    deadline: Option<Duration>,
    arriving: VecDeque<(Duration, Packet)>,
    sent: u64,
    sent_bytes: u64,
    received: u64,
    received_bytes: u64,
}

impl Network {
    /// A network without flows, at 0.
    pub fn new(forward: impl Into<Schedule>, backward: impl Into<Schedule>, seed: u64) -> Self {
        let (forward, backward) = (Link::new(forward, seed), Link::new(backward, !seed));
        Self { now: Duration::ZERO, forward, backward, flows: Vec::new() }
    }

    /// Adds a flow between two ends, which takes this much longer than the link in each direction.
    pub fn add_flow(
        &mut self,
        near: impl Endpoint + 'static,
        far: impl Endpoint + 'static,
        extra_delay: Duration,
    ) -> FlowId {
        let (near, far) = (End::new(Box::new(near)), End::new(Box::new(far)));
        self.flows.push(Flow { extra_delay, near, far });
        FlowId(self.flows.len() - 1)
    }

    /// Lets time pass. Ends may have been changed since the last time.
    pub fn run_until(&mut self, end: Duration) {
        for flow in &mut self.flows {
            flow.near.ask_deadline(self.now);
            flow.far.ask_deadline(self.now);
        }
        while let Some(next) = self.next_event().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.turn();
        }
        self.now = self.now.max(end);
    }

    /// The time.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Gives the link of a direction other conditions from now on.
    pub fn set(&mut self, direction: Direction, schedule: impl Into<Schedule>) {
        match direction {
            Direction::Forward => self.forward.set(self.now, schedule),
            Direction::Backward => self.backward.set(self.now, schedule),
        }
    }

    /// What the link of a direction has done.
    pub fn counters(&self, direction: Direction) -> Counters {
        self.link(direction).counters()
    }

    /// How long a packet would have to wait at a link, as it was at the last event: [`Link::queue_time`].
    pub fn queue_time(&self, direction: Direction) -> Option<Duration> {
        self.link(direction).queue_time()
    }

    /// What a flow has carried in one direction; nothing where it is one of another network.
    pub fn flow(&self, flow: FlowId, direction: Direction) -> FlowCounters {
        let Some(flow) = self.flows.get(flow.0) else { return FlowCounters::default() };
        let (from, to) = match direction {
            Direction::Forward => (&flow.near, &flow.far),
            Direction::Backward => (&flow.far, &flow.near),
        };
        FlowCounters {
            sent: from.sent,
            sent_bytes: from.sent_bytes,
            delivered: to.received,
            delivered_bytes: to.received_bytes,
        }
    }

    fn link(&self, direction: Direction) -> &Link<Passing> {
        match direction {
            Direction::Forward => &self.forward,
            Direction::Backward => &self.backward,
        }
    }

    fn next_event(&self) -> Option<Duration> {
        let links = [self.forward.next_deadline(), self.backward.next_deadline()];
        let ends =
            self.flows.iter().flat_map(|flow| [flow.near.next_event(), flow.far.next_event()]);
        links.into_iter().chain(ends).flatten().min()
    }

    /// Does what is due now.
    fn turn(&mut self) {
        while let Some(Passing { flow, packet }) = self.forward.poll(self.now) {
            let flow = &mut self.flows[flow.0];
            flow.far.arriving.push_back((self.now + flow.extra_delay, packet));
        }
        while let Some(Passing { flow, packet }) = self.backward.poll(self.now) {
            let flow = &mut self.flows[flow.0];
            flow.near.arriving.push_back((self.now + flow.extra_delay, packet));
        }
        for (index, flow) in self.flows.iter_mut().enumerate() {
            flow.near.turn(self.now, FlowId(index), &mut self.forward);
            flow.far.turn(self.now, FlowId(index), &mut self.backward);
        }
    }
}

impl End {
    fn new(endpoint: Box<dyn Endpoint>) -> Self {
        Self {
            endpoint,
            deadline: None,
            arriving: VecDeque::new(),
            sent: 0,
            sent_bytes: 0,
            received: 0,
            received_bytes: 0,
        }
    }

    fn next_event(&self) -> Option<Duration> {
        let arrival = self.arriving.front().map(|(at, _)| *at);
        [arrival, self.deadline].into_iter().flatten().min()
    }

    fn ask_deadline(&mut self, earliest: Duration) {
        self.deadline = self.endpoint.deadline().map(|deadline| deadline.max(earliest));
    }

    fn turn(&mut self, now: Duration, flow: FlowId, link: &mut Link<Passing>) {
        if self.next_event().is_none_or(|next| next > now) {
            return;
        }
        while self.arriving.front().is_some_and(|(at, _)| *at <= now) {
            let Some((_, packet)) = self.arriving.pop_front() else { break };
            self.received += 1;
            self.received_bytes += packet.bytes as u64;
            self.endpoint.receive(now, packet);
        }
        while let Some(packet) = self.endpoint.poll_send(now) {
            self.sent += 1;
            self.sent_bytes += packet.bytes as u64;
            let bytes = packet.bytes;
            link.send(now, Passing { flow, packet }, bytes);
        }
        // An end that has nothing to send at its deadline does not stop the time.
        self.ask_deadline(now + Duration::from_nanos(1));
    }
}
