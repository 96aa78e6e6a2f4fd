//! Two ends of a flow: pictures at the estimated bitrate, and reports of when they arrive.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use fastrand::Rng;
use visavis_core::BandwidthEstimator;
use visavis_types::Bitrate;
use visavis_weather::{Content, Endpoint, Packet};

/// Of pictures and of sound.
const PICTURES: Duration = Duration::from_nanos(33_333_333);
const SOUND: Duration = Duration::from_millis(20);
/// 48 kbit/s, with all headers.
const SOUND_BYTES: usize = 120;
const MAX_PAYLOAD: usize = 1_150;
const HEADERS: usize = 60;
/// What an encoder's pictures differ in size.
const SPREAD: f64 = 0.3;
/// Reports come each 50 ms, as those of browsers do, in 250 µs.
const REPORTS: Duration = Duration::from_millis(50);
const TICK: Duration = Duration::from_micros(250);
const MISSING: u32 = u32::MAX;

/// Sends pictures at the estimated bitrate, each within a third of its time, and sound.
pub(crate) struct Sender {
    pub(crate) estimator: BandwidthEstimator,
    zero: Instant,
    active: Vec<Range<Duration>>,
    next_picture: Duration,
    next_sound: Duration,
    /// Packets of pictures, when each is sent and its bytes.
    paced: VecDeque<(Duration, usize)>,
    random: Rng,
    /// Packets that had a number.
    pub(crate) numbered: u64,
    /// What is sent at most, in bits a second.
    pub(crate) most: f64,
}

impl Sender {
    pub(crate) fn new(active: Vec<Range<Duration>>, range: Range<u64>, seed: u64) -> Self {
        let begin = active.first().map_or(Duration::ZERO, |first| first.start);
        let [least, most] = [range.start, range.end].map(Bitrate::from_kbps);
        Self {
            estimator: BandwidthEstimator::new(Bitrate::from_kbps(300), least..=most),
            zero: Instant::now(),
            active,
            next_picture: begin,
            next_sound: begin,
            paced: VecDeque::new(),
            random: Rng::with_seed(seed),
            numbered: 0,
            most: f64::INFINITY,
        }
    }

    /// Bits a second.
    pub(crate) fn estimate(&self, now: Duration) -> f64 {
        let estimate = self.estimator.estimate(self.zero + now);
        estimate.unwrap_or(Bitrate::from_kbps(300)).bps() as f64
    }

    fn encode(&mut self, now: Duration) {
        let share = self.estimate(now).min(self.most) * PICTURES.as_secs_f64() / 8.0;
        let sound = SOUND_BYTES as f64 * PICTURES.as_secs_f64() / SOUND.as_secs_f64();
        let size = 1.0 - SPREAD / 2.0 + SPREAD * self.random.f64();
        let bytes = ((share - sound).max(100.0) * size) as usize;
        let packets = bytes.div_ceil(MAX_PAYLOAD).max(1);
        let mut at = self.next_picture.max(self.paced.back().map_or(now, |last| last.0));
        for _ in 0..packets {
            self.paced.push_back((at, bytes / packets));
            at += PICTURES / 3 / packets as u32;
        }
        self.next_picture += PICTURES;
    }

    fn packet(&mut self, now: Duration, bytes: usize) -> Packet {
        let now = self.zero + now;
        if !self.estimator.is_numbered(now) {
            self.estimator.send_unnumbered(bytes);
            return Packet { bytes, content: Content::Padding };
        }
        self.numbered += 1;
        let number = self.estimator.send(now, bytes);
        Packet { bytes, content: Content::Datagram(number.to_be_bytes().into()) }
    }
}

impl Endpoint for Sender {
    fn receive(&mut self, now: Duration, packet: Packet) {
        let Content::Datagram(report) = packet.content else { return };
        let mut words =
            report.chunks_exact(4).map(|word| u32::from_be_bytes(word.try_into().unwrap()));
        let first = words.next().unwrap() as u16;
        let arrivals = words.enumerate().map(|(after, ticks)| {
            (first.wrapping_add(after as u16), (ticks != MISSING).then(|| TICK * ticks))
        });
        self.estimator.receive(self.zero + now, arrivals);
    }

    fn poll_send(&mut self, now: Duration) -> Option<Packet> {
        if !self.active.iter().any(|time| time.contains(&now)) {
            let next = self.active.iter().map(|time| time.start).find(|start| *start > now);
            self.paced.clear();
            self.next_picture = next.unwrap_or(Duration::MAX);
            self.next_sound = self.next_picture;
            return None;
        }
        if self.next_sound <= now {
            self.next_sound += SOUND;
            return Some(self.packet(now, SOUND_BYTES));
        }
        if self.next_picture <= now {
            self.encode(now);
        }
        let &(_, bytes) = self.paced.front().filter(|(at, _)| *at <= now)?;
        self.paced.pop_front();
        Some(self.packet(now, bytes + HEADERS))
    }

    fn deadline(&self) -> Option<Duration> {
        let paced = self.paced.front().map(|(at, _)| *at);
        Some(self.next_picture.min(self.next_sound).min(paced.unwrap_or(Duration::MAX)))
    }
}

/// Reports when packets arrive.
#[derive(Default)]
pub(crate) struct Receiver {
    /// The number after the last one reported.
    next: Option<u16>,
    /// Numbers, and when they came.
    arrived: Vec<(u16, u32)>,
    report_at: Option<Duration>,
}

impl Endpoint for Receiver {
    fn receive(&mut self, now: Duration, packet: Packet) {
        let Content::Datagram(number) = packet.content else { return };
        let number = u16::from_be_bytes((*number).try_into().unwrap());
        self.next.get_or_insert(number);
        self.arrived.push((number, (now.as_micros() / TICK.as_micros()) as u32));
        self.report_at.get_or_insert(now + REPORTS);
    }

    fn poll_send(&mut self, now: Duration) -> Option<Packet> {
        self.report_at.take_if(|at| *at <= now)?;
        let first = self.next?;
        let after = |number: u16| number.wrapping_sub(first) as i16;
        let count = self.arrived.iter().map(|(number, _)| after(*number)).max()?.max(-1) + 1;
        let mut words = vec![MISSING; 1 + count as usize];
        words[0] = first.into();
        for (number, ticks) in self.arrived.drain(..) {
            if let Some(place) =
                words.get_mut(after(number).max(-1) as usize + 1).filter(|_| after(number) >= 0)
            {
                *place = ticks;
            }
        }
        self.next = Some(first.wrapping_add(count as u16));
        let bytes = HEADERS + count as usize * 5 / 4;
        let report = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        Some(Packet { bytes, content: Content::Datagram(report) })
    }

    fn deadline(&self) -> Option<Duration> {
        self.report_at
    }
}
