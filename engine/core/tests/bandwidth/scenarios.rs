//! Networks that RFCs describe, and what is held in each of them.

use std::time::Duration;

use visavis_weather::Direction::{self, Backward, Forward};
use visavis_weather::scenario::{Flow, Scenario, Traffic};

use crate::media::{Receiver, Sender};
use crate::run::{Record, record};

/// Estimates, in kbit/s.
const RANGE: std::ops::Range<u64> = 100..10_000;
/// A change has been followed by then, in seconds.
const SETTLED: u64 = 10;
const SEEDS: std::ops::RangeInclusive<u64> = 1..=3;
/// In ms.
const LONGEST_QUEUE: f64 = 100.0;

fn run(scenario: &Scenario, seed: u64) -> Record {
    let mut seeds = seed * 100..;
    let (mut network, flows) = scenario.network(seed, |flow| {
        let active = flow.active(scenario.duration());
        (Sender::new(active, RANGE, seeds.next().unwrap()), Receiver::default())
    });
    let flows: Vec<_> =
        flows.into_iter().zip(scenario.flows).map(|(flow, spec)| (flow, spec.direction)).collect();
    record(&mut network, &flows, scenario.seconds)
}

fn is_tcp(flow: &Flow) -> bool {
    !matches!(flow.traffic, Traffic::Media | Traffic::Constant { .. })
}

/// Whether somebody fills the queue whatever we do.
pub(crate) fn has_tcp(scenario: &Scenario) -> bool {
    scenario.flows.iter().any(is_tcp)
}

/// From when to when nothing changes.
fn phases(scenario: &Scenario) -> Vec<(u64, u64)> {
    let steps = scenario.forward.iter().chain(scenario.backward).map(|(from, _)| *from);
    let flows = scenario.flows.iter().filter(|flow| !is_tcp(flow));
    let flows =
        flows.flat_map(|flow| [Some(flow.from), flow.pause.map(|p| p.0), flow.pause.map(|p| p.1)]);
    let mut times: Vec<u64> = steps.chain(flows.flatten()).chain([scenario.seconds]).collect();
    times.sort_unstable();
    times.dedup();
    times.windows(2).map(|pair| (pair[0], pair[1])).collect()
}

/// The bandwidth that there is for media, in Mbit/s.
fn available(scenario: &Scenario, direction: Direction, second: u64) -> f64 {
    let steps = if direction == Forward { scenario.forward } else { scenario.backward };
    let all =
        steps.iter().rev().find(|(from, _)| *from <= second).map_or(f64::INFINITY, |step| step.1);
    let flows = scenario.flows.iter().filter(|flow| flow.direction == direction);
    let constant = flows.map(|flow| match flow.traffic {
        Traffic::Constant { kbps } if is_active(scenario, flow, second) => kbps as f64 / 1e3,
        _ => 0.0,
    });
    all - constant.sum::<f64>()
}

fn is_active(scenario: &Scenario, flow: &Flow, second: u64) -> bool {
    let second = Duration::from_secs(second);
    flow.active(scenario.duration()).iter().any(|time| time.contains(&second))
}

/// In each phase, once the change has been followed: the bandwidth is used, the queue is short, and all get the same.
pub(crate) fn assert_used_and_shared_with_short_queues(scenario: &Scenario) {
    for seed in SEEDS {
        let record = run(scenario, seed);
        for (from, until) in
            phases(scenario).into_iter().filter(|(from, until)| until - from > SETTLED)
        {
            let settled = from + SETTLED / 2;
            for direction in [Forward, Backward] {
                let flows = scenario.flows.iter().enumerate().filter(|(_, flow)| {
                    flow.traffic == Traffic::Media
                        && flow.direction == direction
                        && is_active(scenario, flow, from)
                });
                let rates: Vec<f64> =
                    flows.map(|(flow, _)| record.rate(flow, settled, until)).collect();
                if rates.is_empty() {
                    continue;
                }
                let available = available(scenario, direction, from);
                let used = rates.iter().sum::<f64>() / available;
                let (least, most) =
                    rates.iter().fold((f64::MAX, 0.0), |(least, most): (f64, f64), rate| {
                        (least.min(*rate), most.max(*rate))
                    });
                let queue = record.queue_p95_of(direction, settled, until);
                println!(
                    "{} seed {seed}, {direction:?} {from}-{until} s: {:.0} % of {available:.1} Mbit/s, {rates:.2?}, queue p95 {queue:.0} ms",
                    scenario.section,
                    used * 100.0,
                );
                assert!(used >= 0.8, "too little is used");
                assert!(most <= 3.0 * least, "not fair");
                assert!(queue <= LONGEST_QUEUE, "too long a queue");
            }
        }
        let queue = record.queue_p95(0, scenario.seconds);
        println!("{} seed {seed}, whole: queue p95 {queue:.0} ms", scenario.section);
        assert!(queue <= LONGEST_QUEUE, "too long a queue, changes included");
    }
}

/// Beside TCP: a third of an equal share at least, and no more than three times that.
pub(crate) fn assert_nobody_starves(scenario: &Scenario) {
    for seed in SEEDS {
        let record = run(scenario, seed);
        let rates: Vec<f64> = (0..scenario.flows.len())
            .map(|flow| record.rate(flow, SETTLED, scenario.seconds))
            .collect();
        println!("{} seed {seed}: {rates:.2?}", scenario.section);
        let all: f64 = rates.iter().sum();
        let share = all / rates.len() as f64;
        assert!(all >= 0.8 * available(scenario, Forward, 0), "too little is used");
        let (tcp, media): (Vec<_>, Vec<_>) =
            rates.iter().zip(scenario.flows).partition(|(_, flow)| is_tcp(flow));
        assert!(media.iter().all(|(rate, _)| **rate >= share / 3.0), "starved");
        let tcp: f64 = tcp.iter().map(|(rate, _)| **rate).sum();
        assert!(tcp >= 0.25 * all, "TCP is starved");
    }
}
