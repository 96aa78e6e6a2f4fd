use super::*;
use crate::conditions::{GilbertElliott, QueueLimit, Reordering};
use crate::schedule::Trace;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const fn us(us: u64) -> Duration {
    Duration::from_micros(us)
}

/// 1,000 bytes take 10 ms.
const SLOW: Conditions = Conditions {
    bandwidth: Bandwidth::from_kbps(800),
    delay: Duration::ZERO,
    jitter: Duration::ZERO,
    reordering: None,
    loss: 0.0,
    bursts: None,
    duplicates: 0.0,
    queue: QueueLimit { time: ms(300), bytes: 1_000_000 },
};

/// Polls a link when it wants to be, up to a time.
fn run<T: Clone>(link: &mut Link<T>, until: Duration) -> Vec<(Duration, T)> {
    let mut arrived = Vec::new();
    while let Some(now) = link.next_deadline().filter(|at| *at <= until) {
        while let Some(packet) = link.poll(now) {
            arrived.push((now, packet));
        }
    }
    arrived
}

/// When each of these packets of 1,000 bytes arrives.
fn arrivals(link: &mut Link<u64>, sent: impl IntoIterator<Item = u64>) -> Vec<(Duration, u64)> {
    let mut arrived = Vec::new();
    for at in sent {
        arrived.extend(run(link, ms(at)));
        link.send(ms(at), at, 1_000);
    }
    arrived.extend(run(link, Duration::from_secs(1_000_000)));
    arrived
}

fn adds_up<T: Clone>(link: &Link<T>) {
    let Counters { sent, delivered, lost, dropped, duplicates, .. } = link.counters();
    assert_eq!(sent + duplicates, delivered + lost + dropped + link.under_way() as u64);
}

#[test]
fn a_link_by_default_changes_nothing() {
    let mut link = Link::new(Conditions::default(), 1);
    for at in [0, 0, 5] {
        assert_eq!(link.send(ms(at), at, 60_000), SendOutcome::Queued);
        assert_eq!(link.next_deadline(), Some(ms(at)));
        assert_eq!(link.poll(ms(at)), Some(at));
        assert_eq!(link.poll(ms(at)), None);
        assert_eq!(link.next_deadline(), None);
    }
    adds_up(&link);
}

#[test]
fn packets_are_sent_one_after_the_other() {
    let mut link = Link::new(Conditions { delay: ms(50), ..SLOW }, 1);
    let arrived = arrivals(&mut link, [0, 0, 15, 100]);
    assert_eq!(arrived, [(ms(60), 0), (ms(70), 0), (ms(80), 15), (ms(160), 100)]);
    let Counters { delivered_bytes, queue_delay, .. } = link.counters();
    assert_eq!((delivered_bytes, queue_delay.max), (4_000, ms(20)));
}

#[test]
fn packets_arrive_while_others_are_sent() {
    let mut link = Link::new(Conditions { delay: ms(5), ..SLOW }, 1);
    assert_eq!(arrivals(&mut link, [0, 0, 0]), [15, 25, 35].map(|at| (ms(at), 0)));
}

#[test]
fn no_rounding_adds_up() {
    let bandwidth = Bandwidth::from_bps(1_234_567);
    let queue = QueueLimit { time: Duration::from_secs(100), bytes: 10_000_000 };
    let mut link = Link::new(Conditions { bandwidth, queue, ..SLOW }, 1);
    (0..9_999).for_each(|packet| assert_eq!(link.send(ms(0), packet, 701), SendOutcome::Queued));
    let arrived = run(&mut link, Duration::from_secs(100));
    for (at, packet) in arrived {
        let bits = u128::from(packet + 1_u64) * 701 * 8;
        assert_eq!(at.as_nanos(), (bits * 1_000_000_000).div_ceil(1_234_567));
    }
    assert_eq!(link.counters().delivered, 9_999);
}

#[test]
fn a_packet_that_straddles_a_step_is_sent_at_both_bandwidths() {
    let steps = [(ms(4), Bandwidth::from_kbps(400)), (ms(8), Bandwidth::from_kbps(8_000))];
    let mut link = Link::new(Schedule::from(SLOW).bandwidth(steps), 1);
    // 3,200 bits at 800, 1,600 at 400, 3,200 at 8,000 kbit/s.
    assert_eq!(arrivals(&mut link, [0, 0]), [(us(8_400), 0), (us(9_400), 0)]);
}

#[test]
fn bandwidth_zero_stops_it_until_it_changes() {
    let steps = [(ms(5), Bandwidth::ZERO), (ms(1_005), Bandwidth::from_kbps(800))];
    let mut link = Link::new(Schedule::from(SLOW).bandwidth(steps), 1);
    assert_eq!(arrivals(&mut link, [0, 20]), [(ms(1_010), 0), (ms(1_020), 20)]);

    let mut stopped = Link::new(Conditions { bandwidth: Bandwidth::ZERO, ..SLOW }, 1);
    assert_eq!(stopped.send(ms(0), 0, 1), SendOutcome::Queued);
    assert_eq!((stopped.next_deadline(), stopped.queue_time()), (None, None));
    stopped.set(ms(100), SLOW);
    assert_eq!(run(&mut stopped, ms(200)), [(ms(100) + us(10), 0)]);
}

#[test]
fn a_trace_is_followed_by_the_nanosecond() {
    let trace = Trace::new([(ms(0), Bandwidth::from_kbps(800)), (ms(1), Bandwidth::ZERO)]);
    let mut link = Link::new(Schedule::from(SLOW).trace(trace.repeated(ms(4))), 1);
    // 1 ms of work every 4 ms.
    assert_eq!(arrivals(&mut link, [0, 0]), [(ms(37), 0), (ms(77), 0)]);
}

#[test]
fn the_queue_is_limited_in_time_at_the_present_bandwidth() {
    let schedule = Schedule::from(SLOW).at(ms(1_000), |conditions| {
        conditions.bandwidth = Bandwidth::from_kbps(80);
    });
    let mut link = Link::new(schedule, 1);
    let outcomes: Vec<_> = (0..40).map(|_| link.send(ms(0), 0, 1_000)).collect();
    assert_eq!(outcomes[..30], [SendOutcome::Queued; 30]);
    assert_eq!(outcomes[30..], [SendOutcome::Dropped; 10]);
    assert_eq!(link.queue_time(), Some(ms(300)));
    // There is room for 1,000 bytes after 10 ms, and not before.
    assert_eq!(link.send(us(9_999), 0, 1_000), SendOutcome::Dropped);
    assert_eq!(link.send(ms(10), 0, 1_000), SendOutcome::Queued);
    // A tenth of the bandwidth: a tenth of the queue.
    let sent = (0..40).filter(|_| link.send(ms(2_000), 0, 1_000) == SendOutcome::Queued);
    assert_eq!(sent.count(), 3);
    run(&mut link, ms(10_000));
    assert_eq!(link.counters().queue_delay.max, ms(300));
    assert_eq!(link.counters().dropped, 11 + 37);
    adds_up(&link);
}

#[test]
fn the_queue_is_limited_in_bytes_also_where_the_bandwidth_is_zero() {
    let queue = QueueLimit { time: ms(300), bytes: 2_500 };
    let mut link = Link::new(Conditions { queue, ..SLOW }, 1);
    let sent = |link: &mut Link<u64>, at| link.send(ms(at), 0, 1_000) == SendOutcome::Queued;
    assert_eq!((0..9).filter(|_| sent(&mut link, 0)).count(), 2);
    let stopped = Conditions { bandwidth: Bandwidth::ZERO, queue, ..SLOW };
    let mut link = Link::new(stopped, 1);
    assert_eq!((0..9).filter(|_| sent(&mut link, 0)).count(), 2);
    // In time, by the last bandwidth.
    let mut link = Link::new(SLOW, 1);
    link.set(ms(0), Conditions { bandwidth: Bandwidth::ZERO, ..SLOW });
    assert_eq!((0..90).filter(|_| sent(&mut link, 0)).count(), 30);
}

#[test]
fn an_idle_link_takes_a_packet_that_is_longer_than_its_queue() {
    let mut link = Link::new(Conditions { bandwidth: Bandwidth::from_kbps(8), ..SLOW }, 1);
    assert_eq!(arrivals(&mut link, [0, 0]), [(ms(1_000), 0)]);
    assert_eq!(link.counters().dropped, 1);
}

#[test]
fn what_is_under_way_is_bounded() {
    let mut link = Link::new(Conditions { delay: Duration::MAX, ..Conditions::default() }, 1);
    let queued = (0..100_000).filter(|_| link.send(ms(0), (), 1) == SendOutcome::Queued);
    assert_eq!(queued.count(), MAX_UNDER_WAY);
    let mut link = Link::new(Conditions { delay: Duration::MAX, ..Conditions::default() }, 1);
    let queued = (0..100).filter(|_| link.send(ms(0), (), 1 << 24) == SendOutcome::Queued);
    assert!(queued.count() * (1 << 24) <= MAX_BYTES_UNDER_WAY);
    adds_up(&link);
}

#[test]
fn what_is_lost_has_been_sent_all_the_same() {
    let mut link = Link::new(Conditions { loss: 1.0, ..SLOW }, 1);
    assert_eq!(link.send(ms(0), 0, 1_000), SendOutcome::Lost);
    link.set(ms(0), SLOW);
    assert_eq!(link.send(ms(0), 1, 1_000), SendOutcome::Queued);
    assert_eq!(run(&mut link, ms(100)), [(ms(20), 1)]);
    assert_eq!((link.counters().lost, link.counters().delivered), (1, 1));
}

/// A packet every 10 ms, without a bottleneck.
fn steady(conditions: Conditions, seed: u64) -> (Link<u64>, Vec<(Duration, u64)>) {
    let mut link = Link::new(Conditions { bandwidth: Bandwidth::UNLIMITED, ..conditions }, seed);
    let arrived = arrivals(&mut link, (0..100_000).map(|number| number * 10));
    adds_up(&link);
    (link, arrived)
}

#[test]
fn losses_come_to_what_was_asked_for() {
    let bursts = Some(GilbertElliott::bursts(0.02, 4.0));
    let (link, arrived) = steady(Conditions { loss: 0.03, bursts, ..SLOW }, 7);
    let Counters { sent, lost, .. } = link.counters();
    // 0.03 + 0.02 − both.
    assert!((lost as f64 / sent as f64 - 0.0494).abs() < 0.005, "{lost}");
    assert_eq!(arrived.len() as u64, sent - lost);
}

#[test]
fn jitter_alone_reorders_nothing() {
    let (_, arrived) = steady(Conditions { delay: ms(50), jitter: ms(15), ..SLOW }, 1);
    assert!(arrived.is_sorted_by_key(|(_, packet)| *packet));
    let delays = arrived.iter().map(|(at, packet)| *at - ms(*packet));
    let (least, most) = (delays.clone().min().unwrap(), delays.max().unwrap());
    assert!(ms(50) <= least && least < ms(51), "{least:?}");
    assert!(ms(90) < most && most <= ms(95), "{most:?}");
}

#[test]
fn less_delay_reorders_nothing() {
    let schedule = Schedule::from(Conditions { delay: ms(100), ..Conditions::default() })
        .at(ms(10), |conditions| conditions.delay = ms(20));
    let arrived = arrivals(&mut Link::new(schedule, 1), [5, 15, 95]);
    assert_eq!(arrived, [(ms(105), 5), (ms(105), 15), (ms(115), 95)]);
}

#[test]
fn packets_are_held_back_and_overtaken() {
    let reordering = Some(Reordering { probability: 0.01, delay: ms(25) });
    let (_, arrived) = steady(Conditions { delay: ms(50), reordering, ..SLOW }, 2);
    let late: Vec<_> = arrived.iter().filter(|(at, packet)| *at == ms(packet + 75)).collect();
    assert!((900..1_100).contains(&late.len()), "{}", late.len());
    assert!(
        arrived.iter().all(|(at, packet)| [50, 75].contains(&(at.as_millis() as u64 - packet)))
    );
    let overtaken = arrived.windows(2).filter(|pair| pair[0].1 > pair[1].1).count();
    assert!((850..1_100).contains(&overtaken), "{overtaken}");
}

#[test]
fn duplicates_come_right_behind() {
    let (link, arrived) = steady(Conditions { delay: ms(50), duplicates: 0.02, ..SLOW }, 3);
    let twice = arrived.windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert!((1_800..2_200).contains(&twice), "{twice}");
    assert_eq!(link.counters().duplicates, twice as u64);
    assert_eq!(arrived.len(), 100_000 + twice);
}

#[test]
fn a_blackout_loses_what_is_sent_in_it() {
    let schedule = Schedule::from(Conditions { delay: ms(50), ..SLOW }).blackout(ms(20)..ms(40));
    let mut link = Link::new(schedule, 1);
    let arrived = arrivals(&mut link, [10, 20, 30, 40]);
    assert_eq!(arrived, [(ms(70), 10), (ms(100), 40)]);

    link.set(ms(1_000), SLOW);
    link.black_out(ms(1_010), ms(5));
    let outcomes = [1_009, 1_010, 1_014, 1_015].map(|at| link.send(ms(at), at, 1));
    use SendOutcome::{Lost, Queued};
    assert_eq!(outcomes, [Queued, Lost, Lost, Queued]);
    adds_up(&link);

    // One more takes nothing from those to come.
    link.set(ms(2_000), Schedule::from(SLOW).blackout(ms(20)..ms(30)));
    link.black_out(ms(2_000), ms(10));
    let outcomes = [2_009, 2_010, 2_020, 2_030].map(|at| link.send(ms(at), at, 1));
    assert_eq!(outcomes, [Lost, Queued, Lost, Queued]);
}

#[test]
fn a_schedule_counts_from_when_it_was_given() {
    let mut link = Link::new(Conditions::default(), 1);
    let later =
        Schedule::from(Conditions::default()).at(ms(30), |conditions| conditions.loss = 1.0);
    link.set(ms(1_000), later);
    assert_eq!(link.send(ms(1_029), 1, 1), SendOutcome::Queued);
    assert_eq!(link.send(ms(1_030), 2, 1), SendOutcome::Lost);
}

/// Everything at once.
fn storm(seed: u64) -> Link<u64> {
    let conditions = Conditions {
        bandwidth: Bandwidth::from_mbps(1.0),
        delay: ms(40),
        jitter: ms(10),
        reordering: Some(Reordering { probability: 0.02, delay: ms(30) }),
        loss: 0.01,
        bursts: Some(GilbertElliott::bursts(0.02, 3.0)),
        duplicates: 0.01,
        queue: QueueLimit { time: ms(100), bytes: 20_000 },
    };
    let schedule = Schedule::from(conditions)
        .bandwidth([(ms(5_000), Bandwidth::from_mbps(0.3)), (ms(9_000), Bandwidth::ZERO)])
        .bandwidth([(ms(9_500), Bandwidth::from_mbps(2.0))])
        .blackout(ms(12_000)..ms(13_000));
    Link::new(schedule, seed)
}

/// What arrives of a packet of 1 to 1,500 bytes every 8 ms, polled at the link's deadlines, and every so often.
fn survive(seed: u64, poll_every: Option<usize>) -> (Vec<SendOutcome>, Vec<u64>, Counters) {
    let (mut link, mut lengths) = (storm(seed), fastrand::Rng::with_seed(seed));
    let (mut outcomes, mut arrived) = (Vec::new(), Vec::new());
    for packet in 0..2_500 {
        let now = ms(packet * 8);
        match poll_every {
            None => arrived.extend(run(&mut link, now).into_iter().map(|(_, packet)| packet)),
            Some(every) if (packet as usize).is_multiple_of(every) => {
                arrived.extend(std::iter::from_fn(|| link.poll(now)));
            }
            Some(_) => {}
        }
        outcomes.push(link.send(now, packet, lengths.usize(1..=1_500)));
        adds_up(&link);
    }
    arrived.extend(run(&mut link, ms(1_000_000)).into_iter().map(|(_, packet)| packet));
    adds_up(&link);
    assert_eq!(link.under_way(), 0);
    (outcomes, arrived, link.counters())
}

#[test]
fn a_seed_gives_the_same_however_often_the_link_is_polled() {
    let often = survive(1, None);
    assert_eq!(often, survive(1, None));
    assert_eq!(often, survive(1, Some(7)));
    assert_eq!(often, survive(1, Some(1_000)));
    assert_ne!(often.1, survive(2, None).1);
}

#[test]
fn nothing_arrives_that_was_not_sent() {
    for seed in 0..50 {
        let (outcomes, arrived, counters) = survive(seed, None);
        let mut copies = vec![0; outcomes.len()];
        arrived.iter().for_each(|packet| copies[*packet as usize] += 1);
        for (outcome, copies) in outcomes.iter().zip(copies) {
            let allowed = if *outcome == SendOutcome::Queued { 1..=2 } else { 0..=0 };
            assert!(allowed.contains(&copies), "{outcome:?}, {copies} arrived");
        }
        let count = |which| outcomes.iter().filter(|outcome| **outcome == which).count() as u64;
        assert_eq!(counters.lost, count(SendOutcome::Lost));
        assert_eq!(counters.dropped, count(SendOutcome::Dropped));
        assert_eq!(counters.delivered, count(SendOutcome::Queued) + counters.duplicates);
        assert!(
            counters.lost > 0 && counters.dropped > 0 && counters.duplicates > 0,
            "{counters:?}"
        );
    }
}
