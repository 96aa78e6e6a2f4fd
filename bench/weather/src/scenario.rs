//! The networks of RFC 8867 (test cases for congestion control of interactive media), as tables, and those of RFC 8869 (the
//! same over wireless networks) whose bottleneck is a wire.
//!
//! The others of RFC 8869 are not here: §3 is cellular, and in §4.2 stations contend for the air of one access point, so
//! that a simulated cell with users who share it is part of each. A measured bandwidth of one can be played back with a
//! [`Trace`](crate::Trace).

use std::ops::Range;
use std::time::Duration;

use fastrand::Rng;

use crate::bandwidth::Bandwidth;
use crate::conditions::{Conditions, QueueLimit};
use crate::endpoint::{ConstantBitrate, Endpoint, Sink};
use crate::network::{Direction, FlowId, Network};
use crate::schedule::Schedule;
use crate::tcp::{TcpReceiver, TcpSender, Transfer};

/// Of packets at a constant bitrate.
const CONSTANT_BYTES: usize = 1_200;

/// A network and who uses it.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Where it is described.
    pub section: &'static str,
    /// What it is about.
    pub title: &'static str,
    /// How long it takes.
    pub seconds: u64,
    /// The bandwidth of the forward path from these seconds on, in Mbit/s.
    pub forward: &'static [(u64, f64)],
    /// That of the backward path, where it has a limit.
    pub backward: &'static [(u64, f64)],
    /// The queue of each path.
    pub queue_ms: u64,
    /// The most by which packets are late on each path, three times the [standard deviation](Conditions::jitter).
    pub max_jitter_ms: u64,
    /// What shares the paths.
    pub flows: &'static [Flow],
}

/// Who uses a [`Scenario`]'s network.
#[derive(Debug, Clone, Copy)]
pub struct Flow {
    /// What it sends.
    pub traffic: Traffic,
    /// The way its media, or its data, takes. Feedback takes the other one.
    pub direction: Direction,
    /// One-way propagation delay, the same both ways.
    pub delay_ms: u64,
    /// When it begins.
    pub from: u64,
    /// From when to when it pauses, in seconds.
    pub pause: Option<(u64, u64)>,
}

/// What a [`Flow`] sends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Traffic {
    /// Media, by what is being tested.
    Media,
    /// Packets of 1,200 bytes over UDP, at a constant bitrate whatever becomes of them.
    Constant {
        /// 1,000 bits a second, headers included.
        kbps: u64,
    },
    /// TCP that never ends.
    LongTcp,
    /// TCP transfers of a size that is equally distributed between two limits, and pauses between them that are
    /// exponentially distributed.
    ShortTcp {
        /// The smallest transfer and the largest one.
        kilobytes: (u64, u64),
        /// Seconds from the end of a transfer to the begin of the next one, on average.
        idle: f64,
        /// Whether it begins with a transfer, rather than with a pause.
        begins_busy: bool,
    },
}

/// RFC 8867 §5.1 to §5.8.
pub const RFC_8867: [Scenario; 8] = [
    VARIABLE_CAPACITY_ONE_FLOW,
    VARIABLE_CAPACITY_TWO_FLOWS,
    CONGESTED_FEEDBACK,
    COMPETING_MEDIA,
    ROUND_TRIP_FAIRNESS,
    LONG_TCP,
    SHORT_TCP,
    PAUSE_AND_RESUME,
];

/// RFC 8867 §5.1.
pub const VARIABLE_CAPACITY_ONE_FLOW: Scenario = Scenario {
    section: "RFC 8867 §5.1",
    title: "variable available capacity with a single flow",
    seconds: 100,
    forward: &[(0, 1.0), (40, 2.5), (60, 0.6), (80, 1.0)],
    flows: &[MEDIA],
    ..COMMON
};

/// RFC 8867 §5.2.
pub const VARIABLE_CAPACITY_TWO_FLOWS: Scenario = Scenario {
    section: "RFC 8867 §5.2",
    title: "variable available capacity with multiple flows",
    seconds: 125,
    forward: &[(0, 4.0), (25, 2.0), (50, 3.5), (75, 1.0), (100, 2.0)],
    flows: &[MEDIA, MEDIA],
    ..COMMON
};

/// RFC 8867 §5.3.
pub const CONGESTED_FEEDBACK: Scenario = Scenario {
    section: "RFC 8867 §5.3",
    title: "congested feedback link with bidirectional media flows",
    seconds: 100,
    forward: &[(0, 2.0), (20, 1.0), (40, 0.5), (60, 2.0)],
    backward: &[(0, 2.0), (35, 0.8), (70, 2.0)],
    flows: &[MEDIA, MEDIA_BACK],
    ..COMMON
};

/// RFC 8867 §5.4.
pub const COMPETING_MEDIA: Scenario = Scenario {
    section: "RFC 8867 §5.4",
    title: "competing media flows with the same congestion control algorithm",
    seconds: 120,
    forward: &[(0, 3.5)],
    flows: &[MEDIA, Flow { from: 20, ..MEDIA }, Flow { from: 40, ..MEDIA }],
    ..COMMON
};

/// RFC 8867 §5.5.
pub const ROUND_TRIP_FAIRNESS: Scenario = Scenario {
    section: "RFC 8867 §5.5",
    title: "round trip time fairness",
    seconds: 300,
    forward: &[(0, 4.0)],
    flows: &[
        Flow { delay_ms: 10, from: 0, ..MEDIA },
        Flow { delay_ms: 25, from: 10, ..MEDIA },
        Flow { delay_ms: 50, from: 20, ..MEDIA },
        Flow { delay_ms: 100, from: 30, ..MEDIA },
        Flow { delay_ms: 150, from: 40, ..MEDIA },
    ],
    ..COMMON
};

/// RFC 8867 §5.6.
pub const LONG_TCP: Scenario = Scenario {
    section: "RFC 8867 §5.6",
    title: "media flow competing with a long TCP flow",
    seconds: 120,
    forward: &[(0, 2.0)],
    flows: &[Flow { from: 5, ..MEDIA }, Flow { traffic: Traffic::LongTcp, ..MEDIA }],
    ..COMMON
};

/// RFC 8867 §5.7.
pub const SHORT_TCP: Scenario = Scenario {
    section: "RFC 8867 §5.7",
    title: "media flow competing with short TCP flows",
    seconds: 300,
    forward: &[(0, 2.0)],
    flows: &[
        Flow { from: 5, ..MEDIA },
        Flow { from: 5, ..MEDIA },
        BUSY,
        BUSY,
        IDLE,
        IDLE,
        IDLE,
        IDLE,
        IDLE,
        IDLE,
        IDLE,
        IDLE,
    ],
    ..COMMON
};

/// RFC 8867 §5.8.
pub const PAUSE_AND_RESUME: Scenario = Scenario {
    section: "RFC 8867 §5.8",
    title: "media pause and resume",
    seconds: 120,
    forward: &[(0, 3.5)],
    flows: &[MEDIA, Flow { pause: Some((40, 60)), ..MEDIA }, MEDIA],
    ..COMMON
};

/// RFC 8869 §4.1: calls from a Wi-Fi network at home, whose bottleneck is the wire behind it. Forward is the uplink.
///
/// Nobody contends for the air, so that all the radio does to packets is to make them late, by the 30 ms at most that the
/// RFC has for the whole path. Its 52 Mbit/s are left out: a packet takes 0.2 ms there, less than reports can tell.
pub const RFC_8869_WIRED: [Scenario; 5] = [
    WIFI_ONE_FLOW,
    WIFI_BOTH_WAYS,
    WIFI_CONSTANT_BITRATE_LEAVES,
    WIFI_CONSTANT_BITRATE_COMES,
    WIFI_LONG_TCP,
];

/// RFC 8869 §4.1.3, the first.
pub const WIFI_ONE_FLOW: Scenario = Scenario {
    section: "RFC 8869 §4.1 (a)",
    title: "single uplink media flow",
    flows: &[MEDIA],
    ..WIFI
};

/// RFC 8869 §4.1.3, the second.
pub const WIFI_BOTH_WAYS: Scenario = Scenario {
    section: "RFC 8869 §4.1 (b)",
    title: "one pair of bidirectional media flows",
    flows: &[MEDIA, MEDIA_BACK],
    ..WIFI
};

/// RFC 8869 §4.1.3, the third.
pub const WIFI_CONSTANT_BITRATE_LEAVES: Scenario = Scenario {
    section: "RFC 8869 §4.1 (c)",
    title: "one pair of bidirectional media flows, one uplink on-off CBR flow over UDP",
    flows: &[MEDIA, MEDIA_BACK, Flow { pause: Some((60, WIFI.seconds)), ..CONSTANT }],
    ..WIFI
};

/// RFC 8869 §4.1.3, the fourth.
pub const WIFI_CONSTANT_BITRATE_COMES: Scenario = Scenario {
    section: "RFC 8869 §4.1 (d)",
    title: "one pair of bidirectional media flows, one uplink off-on CBR flow over UDP",
    flows: &[MEDIA, MEDIA_BACK, Flow { from: 60, ..CONSTANT }],
    ..WIFI
};

/// RFC 8869 §4.1.3, the fifth.
pub const WIFI_LONG_TCP: Scenario = Scenario {
    section: "RFC 8869 §4.1 (e)",
    title: "one media flow competing against one long-lived TCP flow in the uplink direction",
    flows: &[MEDIA, Flow { traffic: Traffic::LongTcp, ..MEDIA }],
    ..WIFI
};

/// What those of RFC 8867 have in common, by its §4.
const COMMON: Scenario = Scenario {
    section: "",
    title: "",
    seconds: 0,
    forward: &[],
    backward: &[],
    queue_ms: 300,
    max_jitter_ms: 0,
    flows: &[],
};

/// What those of RFC 8869 §4.1 have in common, by its §4.1.2. Of the 120 s of a test, everybody is silent in the last one.
const WIFI: Scenario = Scenario {
    seconds: 119,
    forward: &[(0, 1.0)],
    backward: &[(0, 1.0)],
    max_jitter_ms: 30,
    ..COMMON
};

const MEDIA: Flow = Flow {
    traffic: Traffic::Media,
    direction: Direction::Forward,
    delay_ms: 50,
    from: 0,
    pause: None,
};

const MEDIA_BACK: Flow = Flow { direction: Direction::Backward, ..MEDIA };

/// RFC 8869 does not say how much it sends; this is what its authors' own simulation has (cisco/ns3-rmcat).
const CONSTANT: Flow = Flow { traffic: Traffic::Constant { kbps: 300 }, ..MEDIA };

const BUSY: Flow = Flow {
    traffic: Traffic::ShortTcp { kilobytes: (100, 1_000), idle: 10.0, begins_busy: true },
    ..MEDIA
};

const IDLE: Flow = Flow {
    traffic: Traffic::ShortTcp { kilobytes: (100, 1_000), idle: 10.0, begins_busy: false },
    ..MEDIA
};

impl Scenario {
    /// How long it takes.
    pub fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// The conditions of a direction, for one link that all flows share.
    pub fn schedule(&self, direction: Direction) -> Schedule {
        let steps = match direction {
            Direction::Forward => self.forward,
            Direction::Backward => self.backward,
        };
        let queue =
            QueueLimit { time: Duration::from_millis(self.queue_ms), ..QueueLimit::default() };
        let jitter = Duration::from_millis(self.max_jitter_ms) / 3;
        let conditions = Conditions { delay: self.delay(), jitter, queue, ..Conditions::default() };
        let step =
            |(from, mbps): &(u64, f64)| (Duration::from_secs(*from), Bandwidth::from_mbps(*mbps));
        Schedule::from(conditions).bandwidth(steps.iter().map(step))
    }

    /// The network with all its flows, in their order. Media flows are made by `media`: the end that sends media, and
    /// the other one.
    pub fn network<S: Endpoint + 'static, R: Endpoint + 'static>(
        &self,
        seed: u64,
        mut media: impl FnMut(&Flow) -> (S, R),
    ) -> (Network, Vec<FlowId>) {
        let [forward, backward] =
            [Direction::Forward, Direction::Backward].map(|direction| self.schedule(direction));
        let mut network = Network::new(forward, backward, seed);
        let mut seeds = Rng::with_seed(seed);
        let add = |flow: &Flow| {
            let random = seeds.fork();
            match flow.traffic {
                Traffic::Media => {
                    let (sender, receiver) = media(flow);
                    self.add(&mut network, flow, sender, receiver)
                }
                Traffic::Constant { kbps } => {
                    let active = flow.active(self.duration());
                    let bitrate = Bandwidth::from_kbps(kbps);
                    let sender = ConstantBitrate::new(bitrate, CONSTANT_BYTES, active);
                    self.add(&mut network, flow, sender, Sink)
                }
                Traffic::LongTcp => {
                    let sender = TcpSender::endless(Duration::from_secs(flow.from));
                    self.add(&mut network, flow, sender, TcpReceiver::default())
                }
                Traffic::ShortTcp { kilobytes, idle, begins_busy } => {
                    let sender = short_tcp(random, kilobytes, idle, begins_busy);
                    self.add(&mut network, flow, sender, TcpReceiver::default())
                }
            }
        };
        let flows = self.flows.iter().map(add).collect();
        (network, flows)
    }

    fn add(
        &self,
        network: &mut Network,
        flow: &Flow,
        sender: impl Endpoint + 'static,
        receiver: impl Endpoint + 'static,
    ) -> FlowId {
        let extra = Duration::from_millis(flow.delay_ms).saturating_sub(self.delay());
        match flow.direction {
            Direction::Forward => network.add_flow(sender, receiver, extra),
            Direction::Backward => network.add_flow(receiver, sender, extra),
        }
    }

    /// What all flows have of their delays.
    fn delay(&self) -> Duration {
        let least = self.flows.iter().map(|flow| flow.delay_ms).min();
        Duration::from_millis(least.unwrap_or(0))
    }
}

impl Flow {
    /// When it sends, in a scenario of this length.
    pub fn active(&self, duration: Duration) -> Vec<Range<Duration>> {
        let second = Duration::from_secs;
        match self.pause {
            Some((from, to)) => vec![second(self.from)..second(from), second(to)..duration],
            None => vec![second(self.from)..duration],
        }
    }
}

fn short_tcp(
    mut random: Rng,
    (least, most): (u64, u64),
    mean: f64,
    begins_busy: bool,
) -> TcpSender {
    let mut at_once = begins_busy;
    TcpSender::new(std::iter::repeat_with(move || {
        let pause = -(1.0 - random.f64()).ln() * mean;
        let pause = if std::mem::take(&mut at_once) { 0.0 } else { pause };
        let bytes = random.u64(least * 1_000..=most * 1_000);
        Transfer { idle: Duration::from_secs_f64(pause), bytes }
    }))
}
