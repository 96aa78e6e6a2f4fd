//! The networks of RFC 8867 and RFC 8869 do what their tables say: media at a constant bitrate measures them.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::time::Duration;

use visavis_weather::scenario::{
    CONGESTED_FEEDBACK, Flow, LONG_TCP, PAUSE_AND_RESUME, RFC_8867, RFC_8869_WIRED,
    ROUND_TRIP_FAIRNESS, SHORT_TCP, Scenario, Traffic, WIFI_CONSTANT_BITRATE_COMES,
    WIFI_CONSTANT_BITRATE_LEAVES, WIFI_ONE_FLOW,
};
use visavis_weather::{Bandwidth, ConstantBitrate, Direction, FlowId, Link, Network, Sink};

use Direction::{Backward, Forward};

const PACKET_BYTES: usize = 1_200;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn all() -> impl Iterator<Item = Scenario> {
    RFC_8867.into_iter().chain(RFC_8869_WIRED)
}

/// A scenario whose media flows send at this rate, in Mbit/s, whatever happens.
fn with_media(scenario: &Scenario, mbps: f64) -> (Network, Vec<FlowId>) {
    scenario.network(1, |flow: &Flow| {
        let active = flow.active(scenario.duration());
        (ConstantBitrate::new(Bandwidth::from_mbps(mbps), PACKET_BYTES, active), Sink)
    })
}

/// The bandwidth of a direction from when to when, in seconds and Mbit/s.
fn phases(scenario: &Scenario, direction: Direction) -> Vec<(u64, u64, f64)> {
    let steps = if direction == Forward { scenario.forward } else { scenario.backward };
    let ends = steps.iter().skip(1).map(|(from, _)| *from).chain([scenario.seconds]);
    steps.iter().zip(ends).map(|((from, mbps), end)| (*from, end, *mbps)).collect()
}

/// Lets a scenario run to its end; gives Mbit/s that its link delivered in each second.
fn delivered(network: &mut Network, direction: Direction, scenario: &Scenario) -> Vec<f64> {
    let mut before = 0;
    let second = |second| {
        network.run_until(secs(second + 1));
        let bytes = network.counters(direction).delivered_bytes;
        (bytes - std::mem::replace(&mut before, bytes)) as f64 * 8e-6
    };
    (0..scenario.seconds).map(second).collect()
}

fn mean(rates: &[f64]) -> f64 {
    rates.iter().sum::<f64>() / rates.len() as f64
}

#[test]
fn a_full_link_delivers_its_bandwidth() {
    for scenario in all() {
        for direction in [Forward, Backward] {
            if scenario.flows.iter().all(|flow| flow.direction != direction) {
                continue;
            }
            // Each media flow alone is too much.
            let (mut network, _) = with_media(&scenario, 4.5);
            let rates = delivered(&mut network, direction, &scenario);
            for (from, end, mbps) in phases(&scenario, direction) {
                // The first packets are under way, and what was sent at the last bandwidth arrives, for 50 ms; in some,
                // media begins after 5 s, and TCP is alone until then.
                let rate = mean(&rates[from as usize + 6..end as usize]);
                let off = rate / mbps - 1.0;
                assert!(
                    off.abs() < 0.01,
                    "{}: {rate} Mbit/s from {from} to {end} s",
                    scenario.section
                );
            }
        }
    }
}

#[test]
fn the_queue_has_its_limit() {
    for scenario in all() {
        let (mut network, _) = with_media(&scenario, 4.5);
        let phases = phases(&scenario, Forward);
        for (from, end, _) in &phases {
            // What has been queued at the bandwidth before has gone by then.
            for second in from + 2..*end {
                network.run_until(secs(second));
                let queue = network.queue_time(Forward).unwrap_or(Duration::MAX);
                assert!(
                    queue <= secs(1).mul_f64(0.3),
                    "{}: {queue:?} at {second} s",
                    scenario.section
                );
            }
        }
        let steps = phases.windows(2).map(|pair| pair[0].2 / pair[1].2);
        let longest = Duration::from_millis(scenario.queue_ms).mul_f64(steps.fold(1.0, f64::max));
        let delay = network.counters(Forward).queue_delay;
        assert!(delay.max <= longest, "{}: {delay:?}, {longest:?}", scenario.section);
        assert!(delay.p50 >= Duration::from_millis(280), "{}: {delay:?}", scenario.section);
    }
}

#[test]
fn a_free_link_delivers_everything_at_once() {
    for scenario in all() {
        if scenario.flows.iter().any(|flow| flow.traffic != Traffic::Media) {
            continue;
        }
        let (mut network, flows) = with_media(&scenario, 0.3);
        network.run_until(scenario.duration() + secs(1));
        for (flow, spec) in flows.iter().zip(scenario.flows) {
            let active: Duration =
                spec.active(scenario.duration()).iter().map(|time| time.end - time.start).sum();
            let counters = network.flow(*flow, spec.direction);
            let packets = (active.as_secs() * 300_000).div_ceil(PACKET_BYTES as u64 * 8);
            assert_eq!(counters.sent, packets, "{}", scenario.section);
            assert_eq!(counters.delivered, counters.sent, "{}", scenario.section);
        }
        // As long as one packet of each flow at the least bandwidth.
        let least = scenario.forward.iter().map(|(_, mbps)| *mbps).fold(f64::MAX, f64::min);
        let together = (scenario.flows.len() * PACKET_BYTES * 8) as f64 / (least * 1e6);
        let delay = network.counters(Forward).queue_delay.max.as_secs_f64();
        assert!(delay <= together + 1e-6, "{}: {delay} s", scenario.section);
    }
}

#[test]
fn each_flow_has_its_delay() {
    let (mut network, flows) = with_media(&ROUND_TRIP_FAIRNESS, 0.3);
    // A packet of the first flow takes 2.4 ms to send and 10 to arrive; that of the others begins later.
    for (flow, spec) in flows.iter().zip(ROUND_TRIP_FAIRNESS.flows) {
        let arrival = secs(spec.from) + Duration::from_millis(spec.delay_ms);
        network.run_until(arrival);
        assert_eq!(network.flow(*flow, Forward).delivered, 0);
        network.run_until(arrival + Duration::from_millis(13));
        assert_eq!(network.flow(*flow, Forward).delivered, 1);
    }
}

#[test]
fn a_paused_flow_sends_nothing() {
    let (mut network, flows) = with_media(&PAUSE_AND_RESUME, 0.3);
    let mut sent_by = |second| {
        network.run_until(secs(second));
        flows.iter().map(|flow| network.flow(*flow, Forward).sent_bytes).collect::<Vec<_>>()
    };
    let (before, after, end) = (sent_by(40), sent_by(59), sent_by(120));
    let paused: Vec<_> = before.iter().zip(&after).map(|(before, after)| before == after).collect();
    assert_eq!(paused, [false, true, false]);
    assert!(end[1] > after[1]);
}

#[test]
fn feedback_has_a_path_of_its_own() {
    let (mut network, flows) = with_media(&CONGESTED_FEEDBACK, 4.5);
    network.run_until(CONGESTED_FEEDBACK.duration());
    let sent = |flow, direction| network.flow(flow, direction).sent > 0;
    assert_eq!([sent(flows[0], Forward), sent(flows[0], Backward)], [true, false]);
    assert_eq!([sent(flows[1], Forward), sent(flows[1], Backward)], [false, true]);
}

#[test]
fn a_long_tcp_flow_takes_what_media_leaves() {
    let (mut network, flows) = with_media(&LONG_TCP, 0.8);
    network.run_until(secs(20));
    let before = network.flow(flows[1], Forward).delivered_bytes;
    network.run_until(secs(120));
    let tcp = (network.flow(flows[1], Forward).delivered_bytes - before) as f64 * 8e-8;
    assert!((1.2 * 0.85..1.2 * 1.05).contains(&tcp), "{tcp} Mbit/s");
}

#[test]
fn short_tcp_flows_come_and_go() {
    let (mut network, flows) = with_media(&SHORT_TCP, 0.3);
    network.run_until(Duration::from_millis(200));
    let started = |network: &Network| {
        flows[2..].iter().filter(|flow| network.flow(**flow, Forward).sent > 0).count()
    };
    assert!((2..4).contains(&started(&network)));
    network.run_until(secs(300));
    assert_eq!(started(&network), 10);
    // Ten sources of 550 KB each 10 s and the time to send them would like more than the 1.7 Mbit/s that are left.
    let tcp = flows[2..].iter().map(|flow| network.flow(*flow, Forward).delivered_bytes);
    let tcp = tcp.sum::<u64>() as f64 * 8e-6 / 300.0;
    assert!((1.2..1.7).contains(&tcp), "{tcp} Mbit/s");
}

#[test]
fn wifi_makes_packets_late_by_30_ms_at_most() {
    for direction in [Forward, Backward] {
        let mut link = Link::new(WIFI_ONE_FLOW.schedule(direction), 1);
        // A packet takes 10 ms to send and 50 to arrive, and it has arrived before the next one is sent.
        let late = (0..10_000).map(secs).map(|second| {
            link.send(second, (), 1_250);
            let mut now = second;
            while link.poll(now).is_none() {
                now = link.next_deadline().unwrap();
            }
            now - second - Duration::from_millis(60)
        });
        let most = late.max().unwrap();
        assert!((20..=30).contains(&most.as_millis()), "{most:?}");
    }
}

#[test]
fn a_constant_bitrate_comes_and_goes() {
    for (scenario, first, second) in
        [(WIFI_CONSTANT_BITRATE_LEAVES, 0.3, 0.0), (WIFI_CONSTANT_BITRATE_COMES, 0.0, 0.3)]
    {
        let (mut network, flows) = with_media(&scenario, 0.3);
        let mut sent_by = |second| {
            network.run_until(secs(second));
            network.flow(flows[2], Forward).sent_bytes as f64 * 8e-6
        };
        let (half, all) = (sent_by(60), sent_by(119));
        let [first_half, second_half] = [half / 60.0, (all - half) / 59.0];
        assert!((first_half - first).abs() < 0.001, "{first_half} Mbit/s");
        assert!((second_half - second).abs() < 0.001, "{second_half} Mbit/s");
    }
}
