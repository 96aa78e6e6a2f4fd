//! How much one viewer's network takes, estimated by whoever sends.
//!
//! Each packet of pictures has a number, and the receiver reports when each has come
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01). What packets take longer than the fastest of late they spend in
//! queues, and the bitrate follows that delay: it grows while there is none, and is held where a short one stands, the
//! shorter the higher the bitrate, so that all who share a queue get the same. That is NADA (RFC 8698) with another rule for
//! how long the queue may be, without its penalty for losses, and with three additions: after an overuse the bitrate goes
//! below what arrives at once; a queue that does not get shorter though less is sent is somebody else's, and then we keep up
//! with them as TCP does; losses without a queue are the path's, unless sending less helps.
//!
//! Reports cost more than the estimate: receivers send up to twenty a second, but only of packets that have a number. While
//! all is well and less is sent than the network takes, some pictures a second are numbered and no others: two or three in
//! the same house, half of them elsewhere.

mod arrivals;
mod competitor;
mod delay;
mod gauge;
mod loss;
mod micros;
mod sent;
mod throughput;
mod train;

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use visavis_types::Bitrate;

pub(crate) use self::arrivals::ArrivalReport;
use self::competitor::{Competitor, Found};
use self::delay::BaseDelay;
pub use self::gauge::{NetworkGauge, NetworkStatus};
use self::loss::Losses;
use self::micros::{Micros, micros, seconds};
use self::sent::{News, SentPackets};
use self::throughput::Throughput;
use self::train::Train;

/// At this bitrate a queue of this length is held, in bits a second and in seconds; its length goes with one by the square
/// root of the other. At 0.3 Mbit/s it is 49 ms, at 2.5 17 ms.
const REFERENCE_RATE: f64 = 5e6;
const REFERENCE_QUEUE: f64 = 0.012;
/// The gains, by the length of the queue and by its change. RFC 8698 §4.3 has 0.5 and 2, with which new flows take longer to
/// get their share.
const KAPPA: f64 = 1.0;
const ETA: f64 = 1.0;
/// In seconds.
const TAU: f64 = 0.5;
/// The most by which one report changes the bitrate, down and up.
const STEP: RangeInclusive<f64> = -0.3..=0.1;
/// A time this long without a queue means that there is more bandwidth.
const FREE_FOR: Micros = 500_000;
/// Below this there is no queue, in seconds; or below a quarter of the one that is held, or below what is jitter.
const NO_QUEUE: f64 = 0.004;
/// Of a new difference in the average of jitter.
const NOISE_WEIGHT: f64 = 0.05;
/// RFC 8698 §4.3: how long the queue may become by a step up, and by what such a step takes to show, in seconds.
const STEP_QUEUE: f64 = 0.05;
const STEP_DELAY: f64 = 0.22;
/// An overuse: a queue of so many times the one that is held, and at least so many seconds, that does not get shorter.
const OVERUSE: f64 = 2.5;
const OVERUSE_QUEUE: f64 = 0.05;
/// Or so many losses, with a queue of so many seconds.
const OVERUSE_LOSS: f64 = 0.1;
const SOME_QUEUE: f64 = 0.03;
/// No longer one is believed in, in seconds.
const LONGEST_QUEUE: f64 = 10.0;
/// A queue that has not been empty for so long is emptied, by sending so much of the bitrate for at most so long: who came
/// when there was a queue takes it for none, and gets more than the others until it has seen the path without.
const EMPTY_EACH: Micros = 15_000_000;
const EMPTYING: f64 = 0.65;
const EMPTY_FOR: Micros = 600_000;
/// A queue that was there so long tells how fast it drains.
const QUEUED_FOR: Micros = 40_000;
/// What is sent after it, of what arrives.
const BACK_OFF: f64 = 0.85;
/// The bitrate grows up to so many times what arrives: more was not tried.
const UNTRIED: f64 = 1.5;
/// What is sent after losses while somebody else fills the queue, and by how many bits more in each round trip until then.
const BACK_OFF_BESIDE: f64 = 0.7;
const PACKET_BITS: f64 = 8.0 * 1_200.0;
/// While all is well, pictures are numbered this often, for a network that suddenly takes a third fills its queue within
/// tenths of a second; where the way is so short, in seconds, that it is the same house's network, less often. All is well
/// while less than this part of the estimate is sent over so long a time, and the estimate has not grown by so much for so long: it grows no more where more was not tried. A queue
/// of so many times the one that is held ends it.
const SAMPLE_EACH: Micros = 60_000;
const SAMPLE_EACH_NEARBY: Micros = 400_000;
const NEARBY: f64 = 0.008;
const CALM: f64 = 0.9;
const CALM_OVER: Micros = 2_000_000;
const CALM_AFTER: Micros = 1_000_000;
const GROWN: f64 = 1.25;
const ALARMING: f64 = 2.0;
/// It has become less where it is this part of what it was since it had before. What tells that the network is full tells it
/// for so long.
const FALLEN: f64 = 0.9;
const FULL_FOR: Micros = 1_000_000;
/// Without reports for so long, the bitrate is halved, and again each time.
const SILENCE: Micros = 500_000;
/// What is left after any silence, of what was before.
const AFTER_SILENCE: f64 = 0.5;
/// By how much the shortest one grows with each report, for ways become longer.
const ROUND_TRIP_GROWTH: f64 = 1.002;
/// What is sent is averaged over so many seconds.
const SENDS_OVER: f64 = 0.15;
/// Of a new round trip in the average.
const ROUND_TRIP_WEIGHT: f64 = 0.2;
/// Arrivals come around after this time: 24 bits of 64 ms.
const ARRIVALS: Micros = (1 << 24) * 64_000;

const START: Bitrate = Bitrate::from_kbps(300);
const RANGE: RangeInclusive<Bitrate> = Bitrate::from_kbps(50)..=Bitrate::from_kbps(50_000);

/// How much one viewer's network takes.
#[derive(Debug)]
pub struct BandwidthEstimator {
    /// Time is counted from here.
    zero: Option<Instant>,
    range: RangeInclusive<f64>,
    sent: SentPackets,
    base: BaseDelay,
    throughput: Throughput,
    competitor: Competitor,
    losses: Losses,
    rate: f64,
    /// By the last reports, in seconds.
    queues: [f64; 3],
    /// By how much one differs from the next on average.
    noise: f64,
    round_trip: f64,
    /// The shortest of late.
    shortest_round_trip: f64,
    /// There is no loss and no queue to speak of, and less is sent than may be.
    is_calm: bool,
    /// The bitrate when it had grown for the last time, and when that was.
    grown: (f64, Micros),
    /// How many bytes had been sent at some time of late, and bits a second until then.
    tried: (Micros, u64, f64),
    /// The highest bitrate since it had become less, for whether it does again.
    highest: f64,
    /// When the network had all that it takes for the last time.
    full: Option<Micros>,
    /// How fast the last large picture came through, unless the bitrate has fallen since.
    came_through: f64,
    /// How many bytes had been sent at the last report, and bits a second on average of late.
    sent_before: u64,
    sends: f64,
    /// When packets were numbered for the last time.
    sampled: Micros,
    last_report: Option<Micros>,
    /// When the last packet was sent that is known to have arrived.
    reported: Micros,
    last_arrival: Option<Micros>,
    backed_off: Option<Micros>,
    /// When there was a queue for the last time.
    busy: Micros,
    /// The last arrival, on the receiver's clock, when there was none for the last time.
    drained: Micros,
    /// When there was none for the last time, and until when less is sent so that there is none.
    empty: Micros,
    emptying: Option<Micros>,
}

impl Default for BandwidthEstimator {
    fn default() -> Self {
        Self::new(START, RANGE)
    }
}

/// What one report says that was not known.
#[derive(Debug, Default)]
struct Report {
    lost: u32,
    received: u32,
    bytes: u64,
    /// The least one-way delay, by two clocks.
    delay: Option<Micros>,
    last_arrival: Micros,
    /// How long ago the last packet was sent that has arrived.
    round_trip: Micros,
    /// Packets that were sent at once.
    train: Train,
}

impl BandwidthEstimator {
    /// Begins with an estimate, and keeps it in a range.
    pub fn new(start: Bitrate, range: RangeInclusive<Bitrate>) -> Self {
        let bps = |bitrate: &Bitrate| bitrate.bps() as f64;
        Self {
            zero: None,
            range: bps(range.start())..=bps(range.end()).max(bps(range.start())),
            sent: SentPackets::default(),
            base: BaseDelay::default(),
            throughput: Throughput::default(),
            competitor: Competitor::default(),
            losses: Losses::default(),
            rate: bps(&start),
            queues: [0.0; 3],
            noise: 0.0,
            round_trip: 0.0,
            shortest_round_trip: f64::INFINITY,
            is_calm: false,
            grown: (0.0, 0),
            tried: (0, 0, f64::INFINITY),
            sent_before: 0,
            sends: 0.0,
            highest: 0.0,
            full: None,
            came_through: 0.0,
            sampled: Micros::MIN / 2,
            last_report: None,
            reported: 0,
            last_arrival: None,
            backed_off: None,
            busy: 0,
            drained: 0,
            empty: 0,
            emptying: None,
        }
    }

    /// Whether packets that are sent now get numbers: all of a picture do, or none.
    pub fn is_numbered(&mut self, now: Instant) -> bool {
        let zero = *self.zero.get_or_insert(now);
        let now = micros(now.saturating_duration_since(zero));
        let is_nearby = self.shortest_round_trip < NEARBY;
        let each = if is_nearby { SAMPLE_EACH_NEARBY } else { SAMPLE_EACH };
        if !self.is_calm || now - self.sampled >= each {
            self.sampled = now;
        }
        self.sampled == now
    }

    /// Notes packets that are sent without a number, and their length on the network.
    pub fn send_unnumbered(&mut self, bytes: usize) {
        self.sent.push_unnumbered(bytes);
    }

    /// Notes a packet that is sent now, and its length on the network. Gives its transport-wide sequence number.
    pub fn send(&mut self, now: Instant, bytes: usize) -> u16 {
        let zero = *self.zero.get_or_insert(now);
        self.sent.push(micros(now.saturating_duration_since(zero)), bytes)
    }

    /// Something is missing, as is known otherwise: packets are numbered again, all of them.
    pub fn look_closer(&mut self) {
        self.is_calm = false;
    }

    /// Takes a report: packets by their numbers, and when each has arrived on the receiver's clock, from any moment on.
    /// What is said of packets that were not sent, or are known, counts for nothing.
    pub fn receive(
        &mut self,
        now: Instant,
        arrivals: impl IntoIterator<Item = (u16, Option<Duration>)>,
    ) {
        let Some(now) = self.micros(now) else { return };
        let after_silence = self.silence(now).map(|_| self.rate_at(now));
        let mut report = Report::default();
        for (number, arrival) in arrivals {
            match self.sent.report(now, number, arrival.is_some()) {
                Some(News::Received { sent, bytes }) => {
                    let arrival = self.unwrap(micros(arrival.unwrap_or_default()));
                    let delay = arrival.saturating_sub(sent);
                    report.received += 1;
                    report.bytes += bytes;
                    report.train.note(sent, arrival, bytes);
                    report.delay = Some(report.delay.map_or(delay, |least| least.min(delay)));
                    report.last_arrival = report.last_arrival.max(arrival);
                    report.round_trip = now - sent;
                }
                Some(News::Lost) => report.lost += 1,
                Some(News::Late) | None => {}
            }
        }
        report.bytes += self.sent.forget_reported();
        if let Some(delay) = report.delay {
            if let Some(rate) = after_silence {
                self.rate = rate.max(self.rate * AFTER_SILENCE);
                // Of what was lost then, nothing tells of the bandwidth.
                report.lost = 0;
            }
            self.reported = now - report.round_trip;
            self.rate = self.next_rate(now, delay, &report);
            self.note_fall(now);
        }
    }

    /// Whether the network had all that it takes of late: a queue stood in it, or the estimate has become less. Where it had
    /// not, a low estimate says only that more was not tried.
    pub fn is_full(&self, now: Instant) -> bool {
        let now = self.micros(now).unwrap_or_default();
        self.full.is_some_and(|at| now - at < FULL_FOR)
    }

    /// The estimate, once there was a report.
    pub fn estimate(&self, now: Instant) -> Option<Bitrate> {
        self.last_report?;
        Some(Bitrate::from_bps(self.rate_at(self.micros(now)?) as u64))
    }

    /// How fast a picture is to leave that is larger than what a queue of the network takes: as fast as the last such one came
    /// through, or by the estimate, which says only what was tried. None where that is not known, or where the way is so
    /// short that there is hardly a queue to fill.
    pub(crate) fn pace(&self, now: Instant) -> Option<Bitrate> {
        let estimate = self.estimate(now).filter(|_| self.shortest_round_trip >= NEARBY)?;
        let came_through = Bitrate::from_bps(self.came_through as u64);
        Some(if self.is_full(now) { estimate } else { estimate.max(came_through) })
    }

    /// How long packets and their reports take, by the last ones; what the receiver waits with a report included.
    pub fn round_trip(&self) -> Option<Duration> {
        self.last_report?;
        Some(Duration::from_secs_f64(self.round_trip))
    }

    /// The shortest of late.
    pub(crate) fn shortest_round_trip(&self) -> Option<Duration> {
        self.last_report?;
        Some(Duration::from_secs_f64(self.shortest_round_trip.min(10.0)))
    }

    /// How long the answer to what is sent now takes, about: there and back, and what it waits in queues.
    pub(crate) fn answers_in(&self) -> Option<Duration> {
        Some(self.shortest_round_trip()? + self.queue())
    }

    /// How long what is sent now will wait there: what was sent since has been added, and some of it has gone.
    pub(crate) fn queue_now(&self, now: Instant) -> Duration {
        let Some(now) = self.micros(now) else { return Duration::ZERO };
        let added = self.sent.pending() as f64 * 8.0 / self.rate;
        let queue = self.queues[2] + added - seconds(now - self.reported);
        Duration::from_secs_f64(queue.clamp(0.0, LONGEST_QUEUE))
    }

    /// How long packets wait in queues of the network, by the last report.
    pub fn queue(&self) -> Duration {
        Duration::from_secs_f64(self.queues[2])
    }

    /// The part of packets that is lost, by the last hundreds.
    pub fn loss(&self) -> f64 {
        self.losses.recent()
    }

    /// The part of packets that is lost where there is no queue, which is not for having sent too much.
    pub fn path_loss(&self) -> f64 {
        self.losses.average()
    }

    fn micros(&self, now: Instant) -> Option<Micros> {
        Some(micros(now.saturating_duration_since(self.zero?)))
    }

    /// An arrival by a clock that does not come around.
    fn unwrap(&mut self, arrival: Micros) -> Micros {
        let last = *self.last_arrival.get_or_insert(arrival);
        let turns = last.saturating_sub(arrival).saturating_add(ARRIVALS / 2).div_euclid(ARRIVALS);
        let arrival = arrival.saturating_add(turns.saturating_mul(ARRIVALS));
        self.last_arrival = Some(last.max(arrival));
        arrival
    }

    /// The bitrate, less where there are no reports of what was sent.
    fn rate_at(&self, now: Micros) -> f64 {
        let part = match self.silence(now) {
            Some(silence) => 0.5_f64.powf(silence as f64 / SILENCE as f64 - 1.0),
            None if self.emptying.is_some() => EMPTYING,
            None => 1.0,
        };
        (self.rate * part).max(*self.range.start())
    }

    /// For how long there has been no report though one is due, where that is long. That one is due does not mean that it
    /// is late: a way may take longer than this.
    fn silence(&self, now: Micros) -> Option<Micros> {
        let silence = now - self.sent.waits_since(now)?.max(self.last_report?);
        (silence > SILENCE).then_some(silence)
    }

    /// The bitrate after a report.
    fn next_rate(&mut self, now: Micros, delay: Micros, report: &Report) -> f64 {
        let since = self.last_report.replace(now).map_or(0.1, |last| seconds(now - last));
        let sent = self.sent.total();
        let sends = (sent - std::mem::replace(&mut self.sent_before, sent)) as f64 * 8.0;
        self.sends += (since / SENDS_OVER).min(1.0) * (sends / since.max(1e-3) - self.sends);
        let since = since.min(0.25);
        let round_trip = seconds(report.round_trip);
        self.shortest_round_trip = round_trip.min(self.shortest_round_trip * ROUND_TRIP_GROWTH);
        self.round_trip = match self.round_trip {
            0.0 => round_trip,
            before => before + ROUND_TRIP_WEIGHT * (round_trip - before),
        };
        let waited = self.base.queue(now, delay);
        let queue = waited.as_secs_f64();
        let [_, second, before] = self.queues;
        self.queues = [second, before, queue];
        let standing = queue.min(before).min(second);
        let held = REFERENCE_QUEUE * (REFERENCE_RATE / self.rate).sqrt();
        self.noise += NOISE_WEIGHT * ((queue - before).abs() - self.noise);
        if queue > NO_QUEUE.max(held / 4.0).max(self.noise) {
            self.busy = now;
        } else {
            self.drained = report.last_arrival;
        }
        let is_beside = self.competitor.is_there(now);
        self.empty_queue(now, queue < NO_QUEUE || is_beside);
        let Some(arrives) = self.throughput.note(report.last_arrival, report.bytes) else {
            return self.rate;
        };
        let is_less_than_may_be = self.is_less_than_may_be(now);
        // What makes a look closer worth its reports is more than what jitter comes to.
        let calm_queue = if self.is_calm { ALARMING * held } else { held };
        self.is_calm = queue < calm_queue && report.lost == 0 && is_less_than_may_be;

        let losses = (report.lost, report.lost + report.received);
        let longer = queue.max(before);
        if let Some(rate) = self.losses.note(now, losses, longer < SOME_QUEUE, (self.rate, arrives))
        {
            return self.bounded(now, rate);
        }
        self.came_through = report.train.large().unwrap_or(self.came_through);
        let train = report.train.rate().filter(|_| queue > OVERUSE_QUEUE);
        let least = *self.range.start();
        let rate = match self.competitor.look(now, waited, (self.rate, self.sends), least) {
            Some(Found::Competitor(before)) => before,
            Some(Found::LongerPath(before)) => {
                self.base.forget();
                before
            }
            None => self.rate,
        };
        let lossy = f64::from(report.lost) > OVERUSE_LOSS * f64::from(losses.1);
        let overuse = queue > OVERUSE_QUEUE.max(OVERUSE * held) && queue > before - 0.005
            || lossy && longer > SOME_QUEUE;
        if overuse || standing > held {
            self.full = Some(now);
        }
        let may_back_off = self
            .backed_off
            .is_none_or(|last| seconds(now - last) > self.round_trip + OVERUSE_QUEUE);
        let tried = self.rate.max(UNTRIED * arrives);
        let next = if is_beside {
            if report.lost > 0 && longer > OVERUSE_QUEUE && may_back_off {
                self.backed_off = Some(now);
                rate * BACK_OFF_BESIDE
            } else {
                (rate + since * PACKET_BITS / self.round_trip.max(0.01).powi(2)).min(tried)
            }
        } else if overuse && may_back_off {
            self.backed_off = Some(now);
            // How fast the queue drains: how fast packets have arrived since it is there.
            let drains = self.throughput.since(self.drained, QUEUED_FOR);
            let drains = train.into_iter().chain(drains).reduce(f64::min).unwrap_or(arrives);
            rate.min(BACK_OFF * drains)
        } else if let Some(train) = train.filter(|train| *train < rate) {
            train
        } else if self.emptying.is_some() {
            rate
        } else if now - self.busy > FREE_FOR && !self.losses.is_on_trial() {
            let step = 1.0 + (STEP_QUEUE / (self.round_trip + STEP_DELAY)).min(0.5);
            let passes = arrives / (1.0 - self.losses.average()).max(0.5);
            rate.max(step * passes).min(step * rate)
        } else {
            let by_length = since / TAU * (standing - held) / TAU;
            let by_change = ETA * (queue - before) / TAU;
            let step = (-KAPPA * (by_length + by_change)).clamp(*STEP.start(), *STEP.end());
            // What was sent before it went down says less of what is sent now than how fast it arrives.
            let is_old = self.backed_off.is_some_and(|at| self.reported < at);
            let least = if is_old { rate.min(EMPTYING * arrives) } else { 0.0 };
            (rate * (1.0 + step)).min(tried).max(least)
        };
        self.bounded(now, next)
    }

    /// Begins and ends times in which less is sent so that the queue is empty for once.
    fn empty_queue(&mut self, now: Micros, is_empty: bool) {
        if is_empty || self.emptying.is_some_and(|until| until <= now) {
            (self.empty, self.emptying) = (now, None);
        } else if now - self.empty > EMPTY_EACH {
            self.emptying.get_or_insert(now + EMPTY_FOR);
        }
    }

    /// Whether less is sent than may be, and not just because the bitrate grows.
    fn is_less_than_may_be(&mut self, now: Micros) -> bool {
        self.grown.0 = self.grown.0.min(self.rate);
        if self.rate > GROWN * self.grown.0 {
            self.grown = (self.rate, now);
        }
        let (from, before, _) = self.tried;
        if now - from > CALM_OVER {
            let sent = self.sent.total();
            self.tried = (now, sent, (sent - before) as f64 * 8.0 / seconds(now - from));
        }
        now - self.grown.1 > CALM_AFTER && self.tried.2 < CALM * self.rate
    }

    /// A step back after many forward is none.
    fn note_fall(&mut self, now: Micros) {
        if self.rate < FALLEN * self.highest {
            (self.highest, self.full, self.came_through) = (self.rate, Some(now), 0.0);
        } else {
            self.highest = self.highest.max(self.rate);
        }
    }

    fn bounded(&self, now: Micros, rate: f64) -> f64 {
        rate.min(self.losses.limit(now)).clamp(*self.range.start(), *self.range.end())
    }
}
