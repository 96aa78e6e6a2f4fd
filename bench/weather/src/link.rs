use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use crate::bandwidth::{Bandwidth, Work, work_of};
use crate::conditions::Conditions;
use crate::counters::{Counters, Delays};
use crate::draws::Draws;
use crate::schedule::Schedule;

/// No more packets than these are on a link, in the queue or behind it. More are dropped.
const MAX_UNDER_WAY: usize = 1 << 16;
/// Nor more bytes.
const MAX_BYTES_UNDER_WAY: usize = 1 << 28;

/// What a link did with a packet when it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SendOutcome {
    /// It will arrive.
    Queued,
    /// It is lost by chance, or in a blackout.
    Lost,
    /// There was no room for it.
    Dropped,
}

/// One direction of a network path, for packets of any type: a queue, a bottleneck behind it, and a delay. It has no
/// clock and no thread. Times count from when it was made, and do not go backwards; what happens depends on the seed,
/// on what is sent, and on when, but not on how often it is polled.
#[derive(Debug)]
pub struct Link<T> {
    schedule: Schedule,
    /// When the schedule began.
    schedule_begin: Duration,
    conditions: Conditions,
    /// When other conditions hold.
    next_change: Option<Duration>,
    /// The bandwidth, or the last one that was not 0: what the queue is measured with.
    measure: Bandwidth,
    draws: Draws,

    /// Until when the queue has been served.
    served_until: Duration,
    /// The first packet is being sent.
    queue: VecDeque<Queued<T>>,
    /// What there is left to do for the first packet of the queue.
    left: Work,
    queued_bytes: usize,

    in_flight: BinaryHeap<Reverse<InFlight<T>>>,
    bytes_in_flight: usize,
    /// When the last packet arrives that nothing may overtake.
    last_arrival: Duration,
    arrivals: u64,

    counters: Counters,
    queue_delays: Delays,
}

#[derive(Debug)]
struct Queued<T> {
    /// `None` is a packet that is lost behind the queue.
    packet: Option<T>,
    bytes: usize,
    sent: Duration,
    delay: Duration,
    held_back: Option<Duration>,
    is_duplicated: bool,
}

#[derive(Debug)]
struct InFlight<T> {
    arrival: Duration,
    /// What arrives at one time stays in order.
    number: u64,
    bytes: usize,
    packet: T,
}

impl<T> InFlight<T> {
    const fn key(&self) -> (Duration, u64) {
        (self.arrival, self.number)
    }
}

impl<T> PartialEq for InFlight<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for InFlight<T> {}

impl<T> PartialOrd for InFlight<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for InFlight<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl<T: Clone> Link<T> {
    /// A link in these conditions, whose time begins at 0.
    pub fn new(schedule: impl Into<Schedule>, seed: u64) -> Self {
        let schedule = schedule.into();
        let mut link = Self {
            conditions: schedule.conditions(Duration::ZERO),
            schedule,
            schedule_begin: Duration::ZERO,
            next_change: None,
            measure: Bandwidth::UNLIMITED,
            draws: Draws::new(seed),
            served_until: Duration::ZERO,
            queue: VecDeque::new(),
            left: 0,
            queued_bytes: 0,
            in_flight: BinaryHeap::new(),
            bytes_in_flight: 0,
            last_arrival: Duration::ZERO,
            arrivals: 0,
            counters: Counters::default(),
            queue_delays: Delays::new(),
        };
        link.enter_conditions();
        link
    }

    /// Gives a link other conditions from now on. What is queued and under way stays. Times of the schedule count from
    /// now.
    pub fn set(&mut self, now: Duration, schedule: impl Into<Schedule>) {
        self.advance(now);
        self.schedule = schedule.into();
        self.schedule_begin = self.served_until;
        self.enter_conditions();
    }

    /// Adds a blackout, which begins now: see [`Schedule::blackout`].
    pub fn black_out(&mut self, now: Duration, length: Duration) {
        let begin = now.saturating_sub(self.schedule_begin);
        self.schedule.black_out(begin..begin.saturating_add(length));
    }

    /// Sends a packet that has this length on the link.
    pub fn send(&mut self, now: Duration, packet: T, bytes: usize) -> SendOutcome {
        self.advance(now);
        self.counters.sent += 1;
        self.counters.sent_bytes += bytes as u64;

        let conditions = self.conditions;
        let is_lost = self.draws.is_lost(&conditions);
        let held_back = self.draws.hold_back(conditions.reordering);
        let is_duplicated = self.draws.is_duplicated(conditions.duplicates) && !is_lost;
        let delay = conditions.delay.saturating_add(self.draws.jitter(conditions.jitter));

        if self.schedule.is_blacked_out(self.served_until.saturating_sub(self.schedule_begin)) {
            self.counters.lost += 1;
            return SendOutcome::Lost;
        }
        if !self.has_room(bytes) {
            self.counters.dropped += 1;
            return SendOutcome::Dropped;
        }
        if self.queue.is_empty() {
            self.left = work_of(bytes);
        }
        let packet = (!is_lost).then_some(packet);
        let sent = self.served_until;
        self.queue.push_back(Queued { packet, bytes, sent, delay, held_back, is_duplicated });
        self.queued_bytes += bytes;
        if is_lost {
            self.counters.lost += 1;
            return SendOutcome::Lost;
        }
        self.counters.duplicates += u64::from(is_duplicated);
        SendOutcome::Queued
    }

    /// The next packet that has arrived by now.
    pub fn poll(&mut self, now: Duration) -> Option<T> {
        self.advance(now);
        if self.in_flight.peek().is_none_or(|Reverse(next)| next.arrival > now) {
            return None;
        }
        let Reverse(InFlight { bytes, packet, .. }) = self.in_flight.pop()?;
        self.bytes_in_flight -= bytes;
        self.counters.delivered += 1;
        self.counters.delivered_bytes += bytes as u64;
        Some(packet)
    }

    /// When the link is to be polled next. There may be nothing to deliver then. `None` as long as nothing is sent.
    pub fn next_deadline(&self) -> Option<Duration> {
        let arrival = self.in_flight.peek().map(|Reverse(next)| next.arrival);
        if self.queue.is_empty() {
            return arrival;
        }
        [arrival, self.departure(), self.next_change].into_iter().flatten().min()
    }

    /// How long a packet sent now would wait for its turn, if the bandwidth stayed; `None` while it is 0.
    pub fn queue_time(&self) -> Option<Duration> {
        self.conditions.bandwidth.time_for(self.backlog())
    }

    /// Packets that will arrive.
    pub fn under_way(&self) -> usize {
        let arrivals = |queued: &Queued<T>| {
            usize::from(queued.packet.is_some()) + usize::from(queued.is_duplicated)
        };
        self.in_flight.len() + self.queue.iter().map(arrivals).sum::<usize>()
    }

    /// What has become of all packets so far.
    pub fn counters(&self) -> Counters {
        Counters { queue_delay: self.queue_delays.percentiles(), ..self.counters }
    }

    fn enter_conditions(&mut self) {
        let at = self.served_until.saturating_sub(self.schedule_begin);
        self.conditions = self.schedule.conditions(at);
        let next = self.schedule.next_change(at);
        self.next_change = next.map(|next| next.saturating_add(self.schedule_begin));
        if self.conditions.bandwidth != Bandwidth::ZERO {
            self.measure = self.conditions.bandwidth;
        }
    }

    fn has_room(&self, bytes: usize) -> bool {
        // A lost one counts, and a packet may arrive twice.
        if self.in_flight.len() + 2 * self.queue.len() >= MAX_UNDER_WAY
            || self.bytes_in_flight + 2 * self.queued_bytes + bytes > MAX_BYTES_UNDER_WAY
        {
            return false;
        }
        let limit = self.conditions.queue;
        // Else a packet longer than the queue would never be sent.
        self.queue.is_empty()
            || (self.queued_bytes + bytes <= limit.bytes
                && self.backlog() + work_of(bytes) <= self.measure.work_in(limit.time))
    }

    /// What there is left to do for all of the queue.
    fn backlog(&self) -> Work {
        let first = self.queue.front().map_or(0, |first| first.bytes);
        self.left + work_of(self.queued_bytes - first)
    }

    /// Does all that happens until `now`, each at its time.
    fn advance(&mut self, now: Duration) {
        while let Some(change) = self.next_change.filter(|change| *change <= now) {
            self.serve(change);
            self.enter_conditions();
        }
        self.serve(now);
    }

    /// Serves the queue at the present bandwidth.
    fn serve(&mut self, until: Duration) {
        while let Some(departure) = self.departure().filter(|departure| *departure <= until) {
            self.work(departure);
            let Some(first) = self.queue.pop_front() else { return };
            self.queued_bytes -= first.bytes;
            // What was done in the rest of a nanosecond goes to the next one, so that no rounding adds up.
            self.left = match self.queue.front() {
                Some(next) => self.left + work_of(next.bytes),
                None => 0,
            };
            self.depart(first);
        }
        self.work(until.max(self.served_until));
    }

    /// When the first packet of the queue has been sent, at the present bandwidth.
    fn departure(&self) -> Option<Duration> {
        self.queue.front()?;
        let time = self.conditions.bandwidth.time_for(self.left)?;
        Some(self.served_until.saturating_add(time))
    }

    /// Works on the first packet of the queue, if there is one.
    fn work(&mut self, until: Duration) {
        let time = until.saturating_sub(self.served_until);
        self.served_until = until;
        if self.queue.is_empty() || self.left <= 0 {
            return;
        }
        self.left = match self.conditions.bandwidth {
            Bandwidth::UNLIMITED => 0,
            bandwidth => self.left - bandwidth.work_in(time),
        };
    }

    fn depart(&mut self, queued: Queued<T>) {
        let Queued { packet, bytes, sent, delay, held_back, is_duplicated } = queued;
        self.queue_delays.record(self.served_until.saturating_sub(sent));
        let Some(packet) = packet else { return };
        if is_duplicated {
            self.fly(packet.clone(), bytes, delay, held_back);
        }
        self.fly(packet, bytes, delay, held_back);
    }

    fn fly(&mut self, packet: T, bytes: usize, delay: Duration, held_back: Option<Duration>) {
        let mut arrival = self.served_until.saturating_add(delay).max(self.last_arrival);
        match held_back {
            Some(longer) => arrival = arrival.saturating_add(longer),
            None => self.last_arrival = arrival,
        }
        self.arrivals += 1;
        self.bytes_in_flight += bytes;
        let number = self.arrivals;
        self.in_flight.push(Reverse(InFlight { arrival, number, bytes, packet }));
    }
}

#[cfg(test)]
mod tests;
