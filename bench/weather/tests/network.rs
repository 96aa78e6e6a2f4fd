//! Flows in virtual time: what a link gives to them, and how TCP shares it.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use visavis_weather::{
    Bandwidth, Conditions, ConstantBitrate, Content, Direction, Endpoint, FlowId, GilbertElliott,
    Network, Packet, Schedule, Sink, TcpReceiver, TcpSender, Transfer,
};

use Direction::{Backward, Forward};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn path(mbps: f64) -> Conditions {
    let bandwidth = Bandwidth::from_mbps(mbps);
    Conditions { bandwidth, delay: ms(50), ..Conditions::default() }
}

/// Mbit/s that flows are given from one time to another, each.
fn rates(network: &mut Network, flows: &[FlowId], from: u64, until: u64) -> Vec<f64> {
    let bytes = |network: &Network, flow| network.flow(flow, Forward).delivered_bytes;
    network.run_until(secs(from));
    let before: Vec<_> = flows.iter().map(|flow| bytes(network, *flow)).collect();
    network.run_until(secs(until));
    let seconds = (until - from) as f64;
    let rate =
        |(flow, before): (&FlowId, u64)| (bytes(network, *flow) - before) as f64 * 8e-6 / seconds;
    flows.iter().zip(before).map(rate).collect()
}

/// Notes when something arrives, and answers it.
#[derive(Default)]
struct Echo {
    arrivals: Vec<Duration>,
    answers: Vec<Packet>,
}

impl Endpoint for Echo {
    fn receive(&mut self, now: Duration, packet: Packet) {
        self.arrivals.push(now);
        self.answers.push(packet);
    }

    fn poll_send(&mut self, _: Duration) -> Option<Packet> {
        self.answers.pop()
    }

    fn deadline(&self) -> Option<Duration> {
        None
    }
}

/// Sends what is put into it.
#[derive(Default)]
struct Manual {
    out: Vec<Packet>,
    arrivals: Vec<Duration>,
}

impl Endpoint for Manual {
    fn receive(&mut self, now: Duration, _: Packet) {
        self.arrivals.push(now);
    }

    fn poll_send(&mut self, _: Duration) -> Option<Packet> {
        self.out.pop()
    }

    fn deadline(&self) -> Option<Duration> {
        (!self.out.is_empty()).then_some(Duration::ZERO)
    }
}

#[test]
fn packets_go_there_and_back_in_exact_times() {
    let mut network =
        Network::new(path(0.8), Conditions { delay: ms(30), ..Conditions::default() }, 1);
    let (near, far) =
        (Rc::new(RefCell::new(Manual::default())), Rc::new(RefCell::new(Echo::default())));
    let flow = network.add_flow(Rc::clone(&near), Rc::clone(&far), ms(7));
    network.run_until(secs(1));
    let packet = Packet { bytes: 1_000, content: Content::Datagram([1, 2, 3].into()) };
    near.borrow_mut().out = vec![packet.clone(), packet];
    network.run_until(secs(2));
    // 10 ms to send each, 50 + 7 there, 30 + 7 back.
    assert_eq!(far.borrow().arrivals, [ms(1_067), ms(1_077)]);
    assert_eq!(near.borrow().arrivals, [ms(1_104), ms(1_114)]);
    assert_eq!(network.flow(flow, Backward).delivered_bytes, 2_000);
    assert_eq!((network.now(), network.queue_time(Forward)), (secs(2), Some(ms(0))));
}

/// Wants to be asked at a time that has passed, and then has nothing to say.
struct Idle(Rc<RefCell<u64>>);

impl Endpoint for Idle {
    fn receive(&mut self, _: Duration, _: Packet) {}

    fn poll_send(&mut self, _: Duration) -> Option<Packet> {
        *self.0.borrow_mut() += 1;
        None
    }

    fn deadline(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }
}

#[test]
fn an_end_with_a_deadline_and_nothing_to_send_does_not_stop_the_time() {
    let asked = Rc::new(RefCell::new(0));
    let mut network = Network::new(path(1.0), path(1.0), 1);
    network.add_flow(Idle(Rc::clone(&asked)), Sink, ms(0));
    network.run_until(Duration::from_nanos(1_000));
    assert_eq!((network.now().as_nanos(), *asked.borrow()), (1_000, 1_001));
}

#[test]
fn an_hour_passes_in_seconds() {
    let begin = Instant::now();
    let mut network = Network::new(path(3.0), path(3.0), 1);
    let media = ConstantBitrate::new(Bandwidth::from_mbps(2.5), 1_200, [secs(0)..secs(3_600)]);
    let flow = network.add_flow(media, Sink, ms(0));
    network.run_until(secs(3_601));
    let flow = network.flow(flow, Forward);
    assert_eq!(flow.sent, 937_500);
    assert_eq!(flow.delivered_bytes * 8, 9_000_000_000);
    assert!(begin.elapsed() < secs(20), "{:?}", begin.elapsed());
}

#[test]
fn a_seed_gives_the_same_again() {
    let run = |seed| {
        let bursts = Some(GilbertElliott::bursts(0.01, 3.0));
        let rough = Conditions { jitter: ms(5), bursts, duplicates: 0.01, ..path(3.0) };
        let mut network = Network::new(rough, path(3.0), seed);
        let flow = network.add_flow(TcpSender::endless(ms(0)), TcpReceiver::default(), ms(0));
        network.run_until(secs(60));
        (network.flow(flow, Forward), network.counters(Forward), network.counters(Backward))
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn tcp_fills_a_free_link() {
    for mbps in [0.5, 2.0, 10.0] {
        let mut network = Network::new(path(mbps), path(mbps), 1);
        let flow = network.add_flow(TcpSender::endless(ms(0)), TcpReceiver::default(), ms(0));
        let [rate] = rates(&mut network, &[flow], 5, 65)[..] else { unreachable!() };
        assert!((0.9 * mbps..=1.001 * mbps).contains(&rate), "{rate} of {mbps} Mbit/s");
        let counters = network.counters(Forward);
        assert!(counters.dropped > 0, "it never found the end of the queue: {counters:?}");
        assert!(counters.queue_delay.max <= ms(300), "{counters:?}");
    }
}

#[test]
fn tcp_gives_way_to_losses_as_reno_does() {
    // Mathis et al. 1997: 1.22 segments / (round trip × √loss), far below the bandwidth.
    let lossy = Conditions { loss: 0.0025, ..path(100.0) };
    let mut network = Network::new(lossy, path(100.0), 1);
    let flow = network.add_flow(TcpSender::endless(ms(0)), TcpReceiver::default(), ms(0));
    let [rate] = rates(&mut network, &[flow], 20, 620)[..] else { unreachable!() };
    let predicted = 1.22 * 1_500.0 * 8e-6 / (0.1 * 0.0025_f64.sqrt());
    assert!((0.75 * predicted..1.25 * predicted).contains(&rate), "{rate}, by Mathis {predicted}");
}

#[test]
fn two_tcp_flows_share_a_link() {
    let mut network = Network::new(path(4.0), path(4.0), 1);
    let mut add =
        |from| network.add_flow(TcpSender::endless(secs(from)), TcpReceiver::default(), ms(0));
    let flows = [add(0), add(10)];
    let rates = rates(&mut network, &flows, 60, 660);
    let [first, second] = rates[..] else { unreachable!() };
    assert!(first + second > 3.6, "{rates:?}");
    // Jain's index.
    let fairness = (first + second).powi(2) / (2.0 * (first.powi(2) + second.powi(2)));
    assert!(fairness > 0.95, "{rates:?}: {fairness}");
}

#[test]
fn transfers_arrive_whole_in_any_weather() {
    let bursts = Some(GilbertElliott::bursts(0.05, 4.0));
    let rough = Conditions { bursts, jitter: ms(10), duplicates: 0.02, loss: 0.02, ..path(2.0) };
    for seed in 0..20 {
        let mut network = Network::new(rough, rough, seed);
        let transfer = Transfer { idle: secs(1), bytes: 144_800 };
        let sender = Rc::new(RefCell::new(TcpSender::new([transfer; 5])));
        let receiver = Rc::new(RefCell::new(TcpReceiver::default()));
        network.add_flow(Rc::clone(&sender), Rc::clone(&receiver), ms(0));
        network.run_until(secs(600));
        assert_eq!(sender.borrow().completed(), 5);
        assert_eq!(receiver.borrow().received_bytes(), 5 * 144_800);
    }
}

#[test]
fn a_short_transfer_is_in_slow_start() {
    let mut network = Network::new(path(100.0), path(100.0), 1);
    let sender = TcpSender::new([Transfer { idle: secs(1), bytes: 30 * 1_448 }]);
    let sender = Rc::new(RefCell::new(sender));
    network.add_flow(Rc::clone(&sender), TcpReceiver::default(), ms(0));
    // 10 segments and 20 more: two round trips of 100 ms and the time to send them.
    network.run_until(ms(1_200));
    assert_eq!(sender.borrow().completed(), 0);
    network.run_until(ms(1_206));
    assert_eq!(sender.borrow().completed(), 1);
}

#[test]
fn tcp_survives_a_blackout() {
    let dark = Schedule::from(path(2.0)).blackout(secs(20)..secs(25));
    let mut network = Network::new(dark, path(2.0), 1);
    let flow = network.add_flow(TcpSender::endless(ms(0)), TcpReceiver::default(), ms(0));
    let during = rates(&mut network, &[flow], 21, 25);
    // The timeout has doubled to some seconds by then.
    let after = rates(&mut network, &[flow], 35, 65);
    assert_eq!(during, [0.0]);
    assert!(after[0] > 1.8, "{after:?}");
}
