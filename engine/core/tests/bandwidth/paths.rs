//! Single paths: losses, jitter, changes, silence. Limits that libwebrtc's own tests have are among them.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use visavis_weather::{
    Bandwidth, Conditions, Direction, GilbertElliott, Network, QueueLimit, Schedule,
};

use crate::media::{Receiver, Sender};
use crate::run::{Record, record};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn path(mbps: f64, delay: u64) -> Conditions {
    Conditions { bandwidth: Bandwidth::from_mbps(mbps), delay: ms(delay), ..Conditions::default() }
}

/// Media by itself for so many seconds.
fn run(forward: impl Into<Schedule>, backward: impl Into<Schedule>, seconds: u64) -> Record {
    let active = vec![Duration::ZERO..secs(seconds)];
    let mut network = Network::new(forward, backward, 7);
    let flow =
        network.add_flow(Sender::new(active, 100..10_000, 1), Receiver::default(), Duration::ZERO);
    record(&mut network, &[(flow, Direction::Forward)], seconds)
}

/// Pictures of at most 1 Mbit/s on a path of 5, of `after` Mbit/s from 20 s on. Gives how many packets were numbered before
/// that, and what happened.
fn run_below(after: f64) -> (u64, Record) {
    let mut sender = Sender::new(vec![Duration::ZERO..secs(40)], 100..10_000, 1);
    sender.most = 1e6;
    let sender = Rc::new(RefCell::new(sender));
    let forward =
        Schedule::from(path(5.0, 20)).bandwidth([(secs(20), Bandwidth::from_mbps(after))]);
    let mut network = Network::new(forward, path(100.0, 20), 7);
    let flow = network.add_flow(Rc::clone(&sender), Receiver::default(), Duration::ZERO);
    network.run_until(secs(10));
    let before = sender.borrow().numbered;
    let first = record(&mut network, &[(flow, Direction::Forward)], 10);
    assert_between(first.rate(0, 0, 10), 0.95, 1.1);
    let numbered = sender.borrow().numbered - before;
    (numbered, record(&mut network, &[(flow, Direction::Forward)], 20))
}

/// A path whose way back has all bandwidth.
fn run_on(conditions: Conditions, seconds: u64) -> Record {
    let back = Conditions { delay: conditions.delay, ..Conditions::default() };
    run(conditions, back, seconds)
}

fn assert_between(rate: f64, least: f64, most: f64) {
    println!("{rate:.2} Mbit/s");
    assert!((least..=most).contains(&rate), "{rate} Mbit/s are not from {least} to {most}");
}

#[test]
fn losses_that_nothing_can_be_done_about_cost_their_part_alone() {
    for (loss, delay, least) in [(0.02, 20, 4.5), (0.1, 20, 4.0), (0.2, 20, 3.0), (0.1, 200, 2.5)] {
        let record = run_on(Conditions { loss, ..path(5.0, delay) }, 120);
        assert_between(record.rate(0, 60, 120), least, 5.01);
    }
    // libwebrtc's own limit is 0.1 Mbit/s here.
    let record = run_on(Conditions { loss: 0.1, ..path(2.0, 200) }, 120);
    assert_between(record.rate(0, 110, 120), 1.0, 2.01);
    let bursts = Some(GilbertElliott::bursts(0.03, 10.0));
    let record = run_on(Conditions { bursts, ..path(3.0, 20) }, 60);
    assert_between(record.rate(0, 30, 60), 2.0, 3.01);
}

#[test]
fn jitter_is_no_queue() {
    for (jitter, least) in [(2, 2.7), (5, 2.7), (15, 2.4), (30, 1.3)] {
        let record = run_on(Conditions { jitter: ms(jitter), ..path(3.0, 20) }, 60);
        assert_between(record.rate(0, 30, 60), least, 3.01);
    }
}

#[test]
fn a_queue_of_any_length_is_lived_with() {
    for (queue, least) in [(15, 0.5), (40, 0.8), (100, 0.9), (1_000, 0.9), (5_000, 0.9)] {
        let queue = QueueLimit { time: ms(queue), ..QueueLimit::default() };
        let record = run_on(Conditions { queue, ..path(1.0, 20) }, 60);
        assert_between(record.rate(0, 30, 60), least, 1.01);
        assert!(record.queue_p95(10, 60) < 100.0);
    }
}

#[test]
fn bandwidth_that_becomes_less_and_more_is_followed_in_seconds() {
    let mbps = |mbps| Bandwidth::from_mbps(mbps);
    let steps = [(secs(20), mbps(0.5)), (secs(40), mbps(5.0))];
    let record = run(Schedule::from(path(5.0, 20)).bandwidth(steps), path(100.0, 20), 60);
    assert_between(record.rate(0, 10, 20), 4.5, 5.01);
    println!("queue p95 in the second after it became less: {}", record.queue_p95(21, 22));
    assert_between(record.rate(0, 22, 40), 0.4, 0.51);
    assert!(record.queue_p95(22, 40) < 100.0);
    assert_between(record.rate(0, 45, 46), 3.5, 5.01);
    // From 200 to 800 kbit/s: libwebrtc's own test wants 500 after a second.
    let steps = [(secs(20), Bandwidth::from_kbps(800))];
    let record = run(Schedule::from(path(0.2, 20)).bandwidth(steps), path(100.0, 20), 40);
    assert_between(record.rate(0, 21, 22), 0.5, 0.81);
}

#[test]
fn few_packets_are_numbered_while_all_is_well_and_a_change_is_seen_all_the_same() {
    let (numbered, record) = run_below(5.0);
    println!("{numbered} numbered in 10 s");
    assert!(numbered <= 10 * 17, "{numbered}: some 130 packets a second are sent");
    assert_between(record.rate(0, 0, 20), 0.95, 1.1);
    let (_, record) = run_below(0.5);
    println!("queue p95 in the second after it became less: {}", record.queue_p95(1, 2));
    assert_between(record.rate(0, 2, 20), 0.45, 0.51);
    assert!(record.queue_p95(3, 20) < 100.0);
}

#[test]
fn a_longer_way_is_no_queue_and_a_shorter_one_is_found() {
    for (before, after) in [(20, 120), (20, 300), (120, 20), (300, 20)] {
        let forward = Schedule::from(path(2.0, before)).at(secs(20), |c| c.delay = ms(after));
        let record = run(forward, path(100.0, 20), 120);
        assert_between(record.rate(0, 30, 120), 1.7, 2.01);
        assert!(record.queue_p95(40, 120) < 150.0, "{}", record.queue_p95(40, 120));
    }
}

#[test]
fn a_way_may_be_as_long_as_to_a_satellite() {
    for delay in [300, 500, 1_000] {
        let record = run_on(path(2.0, delay), 120);
        assert_between(record.rate(0, 60, 120), 1.4, 2.01);
    }
}

#[test]
fn after_a_silence_it_goes_on_where_it_was() {
    let dark = secs(20)..secs(25);
    let [forward, backward] =
        [path(3.0, 20), path(100.0, 20)].map(|path| Schedule::from(path).blackout(dark.clone()));
    let record = run(forward, backward, 40);
    assert_between(record.rate(0, 10, 20), 2.7, 3.01);
    assert_between(record.rate(0, 22, 25), 0.0, 0.0);
    assert_between(record.rate(0, 26, 27), 1.0, 3.01);
    assert_between(record.rate(0, 30, 40), 2.7, 3.01);
}

#[test]
fn reports_may_be_lost_and_late() {
    for (loss, jitter) in [(0.3, 0), (0.1, 40)] {
        let backward = Conditions { loss, jitter: ms(jitter), ..path(10.0, 20) };
        let record = run(path(2.0, 20), backward, 60);
        assert_between(record.rate(0, 30, 60), 1.7, 2.01);
    }
}

#[test]
fn the_least_and_the_most_are_used_too() {
    assert_between(run_on(path(0.15, 20), 60).rate(0, 30, 60), 0.14, 0.151);
    let wide = run_on(path(100.0, 5), 60);
    assert_between(wide.rate(0, 30, 60), 9.5, 11.0);
}
