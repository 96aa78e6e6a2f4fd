//! RFC 8867 §5.1 to §5.8.

use std::time::Duration;

use visavis_weather::Direction::{Backward, Forward};
use visavis_weather::scenario::{RFC_8867, Scenario, Traffic};

use crate::media::{Receiver, Sender};
use crate::run::{Record, record};

/// Estimates, in kbit/s.
const RANGE: std::ops::Range<u64> = 100..10_000;
/// A change has been followed by then, in seconds.
const SETTLED: u64 = 10;

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

/// From when to when nothing changes.
fn phases(scenario: &Scenario) -> Vec<(u64, u64)> {
    let steps = scenario.forward.iter().chain(scenario.backward).map(|(from, _)| *from);
    let flows = scenario.flows.iter().filter(|flow| flow.traffic == Traffic::Media);
    let flows =
        flows.flat_map(|flow| [Some(flow.from), flow.pause.map(|p| p.0), flow.pause.map(|p| p.1)]);
    let mut times: Vec<u64> = steps.chain(flows.flatten()).chain([scenario.seconds]).collect();
    times.sort_unstable();
    times.dedup();
    times.windows(2).map(|pair| (pair[0], pair[1])).collect()
}

fn at(steps: &[(u64, f64)], second: u64) -> f64 {
    steps.iter().rev().find(|(from, _)| *from <= second).map_or(f64::INFINITY, |step| step.1)
}

/// In each phase, once the change has been followed: the bandwidth is used, the queue is short, and all get the same.
#[test]
fn bandwidth_is_used_and_shared_and_queues_are_short() {
    for scenario in &RFC_8867 {
        if scenario.flows.iter().any(|flow| flow.traffic != Traffic::Media) {
            continue;
        }
        for seed in 1..=3 {
            let record = run(scenario, seed);
            for (from, until) in
                phases(scenario).into_iter().filter(|(from, until)| until - from > SETTLED)
            {
                let settled = from + SETTLED / 2;
                let is_active = |flow: &visavis_weather::scenario::Flow| {
                    let second = Duration::from_secs(from);
                    flow.active(scenario.duration()).iter().any(|time| time.contains(&second))
                };
                let flows = scenario.flows.iter().enumerate().filter(|(_, flow)| is_active(flow));
                for (direction, steps) in
                    [(Forward, scenario.forward), (Backward, scenario.backward)]
                {
                    let rates: Vec<f64> = flows
                        .clone()
                        .filter(|(_, flow)| flow.direction == direction)
                        .map(|(flow, _)| record.rate(flow, settled, until))
                        .collect();
                    if rates.is_empty() {
                        continue;
                    }
                    let used = rates.iter().sum::<f64>() / at(steps, from);
                    let (least, most) =
                        rates.iter().fold((f64::MAX, 0.0), |(least, most): (f64, f64), rate| {
                            (least.min(*rate), most.max(*rate))
                        });
                    let queue = record.queue_p95(settled, until);
                    println!(
                        "{} seed {seed}, {direction:?} {from}-{until} s: {:.0} % of {:.1} Mbit/s, {rates:.2?}, queue p95 {queue:.0} ms",
                        scenario.section,
                        used * 100.0,
                        at(steps, from)
                    );
                    assert!(used >= 0.8, "too little is used");
                    assert!(most <= 3.0 * least, "not fair");
                    assert!(direction == Backward || queue <= 100.0, "too long a queue");
                }
            }
            let queue = record.queue_p95(0, scenario.seconds);
            println!("{} seed {seed}, whole: queue p95 {queue:.0} ms", scenario.section);
            assert!(queue <= 100.0, "too long a queue, changes included");
        }
    }
}

/// Beside TCP: a third of an equal share at least, and no more than three times that.
#[test]
fn tcp_starves_nobody_and_is_not_starved() {
    for scenario in &RFC_8867 {
        let is_media = |flow: usize| scenario.flows[flow].traffic == Traffic::Media;
        if (0..scenario.flows.len()).all(is_media) {
            continue;
        }
        for seed in 1..=3 {
            let record = run(scenario, seed);
            let rates: Vec<f64> = (0..scenario.flows.len())
                .map(|flow| record.rate(flow, SETTLED, scenario.seconds))
                .collect();
            println!("{} seed {seed}: {rates:.2?}", scenario.section);
            let all: f64 = rates.iter().sum();
            let share = all / rates.len() as f64;
            assert!(all >= 0.8 * at(scenario.forward, 0), "too little is used");
            for flow in (0..rates.len()).filter(|flow| is_media(*flow)) {
                assert!(rates[flow] >= share / 3.0, "starved");
            }
            let tcp: f64 =
                (0..rates.len()).filter(|flow| !is_media(*flow)).map(|flow| rates[flow]).sum();
            assert!(tcp >= 0.25 * all, "TCP is starved");
        }
    }
}
