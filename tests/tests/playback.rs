//! What is told of utterances, against what RTP shows a listener.
//!
//! The engine hands a packet over when its first sample is due, every 20 ms while it plays. So RTP shows
//!
//! - the begin of an utterance where the packet with its first sample comes;
//! - its end from where the packet with its last sample comes to where that sample is due.
//!
//! What is told is early where it is told before that, late where after; what fades after an interruption is not counted, as
//! `position` does not count it.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::collections::BTreeMap;
use std::env;
use std::time::Duration;

use serde::Deserialize;
use visavis_bench::Durations;
use visavis_codec::G711Law;
use visavis_tests::{HeardPacket, Listener, Outcome, Script, Turn};

/// How many utterances with a barge-in each, unless `BARGE_INS` says so.
const UTTERANCES: usize = 40;

/// Sessions that end in the midst of an utterance.
const ENDS: usize = 6;

/// How far what is told may be from RTP.
const PROMISED: Duration = Duration::from_millis(20);

/// The same where others may use the machine: neither of the programs runs when it should then.
const ON_A_BUSY_MACHINE: Duration = Duration::from_secs(2);

/// A packet, and so the promise for positions, in ms.
const PACKET_MS: f64 = 20.0;

const SAMPLES_PER_MS: f64 = 8.0;

/// What lasts less is no utterance: something fades through its level.
const SHORTEST: u64 = 16;

/// So many samples of what fades away are still near its level: a fifth of 5 ms, and what the filter makes of it.
const NEAR: u64 = 12;

/// What the script writes down of an utterance, times in seconds since the Unix epoch.
#[derive(Debug, Deserialize)]
struct Told {
    session: String,
    level: i16,
    /// How long it is, in ms.
    length: f64,
    /// Events.
    began: Vec<f64>,
    ended: Vec<f64>,
    /// How much was sent, in ms, as its end's event says.
    sent: Vec<f64>,
    /// What waits for its begin and end returns.
    begun_at: Option<f64>,
    finished_at: Option<f64>,
    interrupted: bool,
    position: f64,
}

/// An utterance in RTP.
#[derive(Debug)]
struct Heard {
    level: i16,
    samples: u64,
    /// When the packet with its first sample came.
    first: f64,
    /// Its end where it was played to it, and where it was cut off.
    played: Last,
    cut_off: Last,
}

/// A last sample: when its packet came, and when it was due.
#[derive(Debug, Clone, Copy)]
struct Last {
    came: f64,
    due: f64,
}

/// Samples of one level that follow each other.
#[derive(Debug)]
struct Run {
    level: i16,
    /// Sample numbers.
    start: u64,
    end: u64,
}

/// Distances of one kind.
struct Distances {
    all: Durations,
    earliest: f64,
}

impl Distances {
    fn new() -> Result<Self, visavis_bench::Error> {
        Ok(Self { all: Durations::new()?, earliest: f64::INFINITY })
    }

    /// So many seconds too late; below zero, too early.
    fn record(&mut self, late: f64) {
        self.all.record(Duration::from_secs_f64(late.abs()));
        self.earliest = self.earliest.min(late);
    }

    fn print(&self, what: &str) {
        if let Some(spread) = self.all.spread() {
            let earliest = self.earliest * 1_000.0;
            println!(
                "{what}: {} told, from RTP p50 {:.1}, p99 {:.1}, max {:.1} ms; the earliest {earliest:+.1} ms",
                spread.count, spread.p50, spread.p99, spread.max
            );
        }
    }

    fn max(&self) -> Duration {
        let max = self.all.spread().map_or(0.0, |spread| spread.max);
        Duration::from_secs_f64(max / 1_000.0)
    }
}

/// Takes sound apart into utterances, by their levels.
fn heard(packets: &[HeardPacket], levels: &[i16]) -> Vec<Heard> {
    let level_of = |sample: i16| {
        let is_near = |level: &&i16| (f64::from(sample) / f64::from(**level) - 1.0).abs() < 0.2;
        levels.iter().find(is_near).copied()
    };
    let mut starts = BTreeMap::new();
    let (mut runs, mut samples) = (Vec::<Run>::new(), Vec::new());
    let (mut at, mut time) = (0, packets.first().map_or(0, |packet| packet.time));
    for packet in packets {
        at += u64::from(packet.time.wrapping_sub(time));
        time = packet.time;
        starts.insert(at, packet.at.as_secs_f64());
        samples.clear();
        G711Law::Mu.decode(&packet.payload, &mut samples);
        for (number, level) in (at..).zip(samples.iter().map(|&sample| level_of(sample))) {
            match (runs.last_mut(), level) {
                (Some(run), Some(level)) if (run.level, run.end) == (level, number) => run.end += 1,
                (_, Some(level)) => runs.push(Run { level, start: number, end: number + 1 }),
                (_, None) => {}
            }
        }
    }
    runs.retain(|run| run.end - run.start >= SHORTEST);
    // The packet of a sample, and how far into it.
    let place = |number: u64| {
        let packet = starts.range(..=number).next_back();
        packet.map_or((0, 0.0), |(start, at)| (number - start, *at))
    };
    // What was sent of a packet lies so much later in it, in the filter to 8 kHz. The first sample of an utterance may
    // lie later still, under what fades of another.
    let delay = runs.iter().map(|run| place(run.start).0).min().unwrap_or_default();
    let last = |end: u64| {
        let (into, came) = place((end - 1).saturating_sub(delay));
        Last { came, due: came + (into + 1) as f64 / SAMPLES_PER_MS / 1_000.0 }
    };
    let utterances = runs.iter().map(|run| Heard {
        level: run.level,
        samples: run.end - run.start,
        first: place(run.start).1,
        played: last(run.end),
        cut_off: last(run.end - NEAR),
    });
    utterances.collect()
}

/// Compares the utterances of a session; they were said in this order.
fn compare(
    told: &[&Told],
    heard: &[Heard],
    begins: &mut Distances,
    ends: &mut Distances,
) -> Outcome {
    let mut heard = heard.iter().peekable();
    for told in told {
        assert!(told.finished_at.is_some() && told.ended.len() == 1, "one end: {told:?}");
        assert!(told.began.len() <= 1, "one begin: {told:?}");
        assert_eq!(told.sent, [told.position], "{told:?}");
        let whole = told.position == told.length;
        assert!(told.interrupted || whole, "played to its end, all of it: {told:?}");
        let Some(heard) = heard.next_if(|heard| heard.level == told.level) else {
            assert!(told.position <= PACKET_MS, "it is lost: {told:?}");
            continue;
        };
        let heard_ms = heard.samples as f64 / SAMPLES_PER_MS;
        let differs = (told.position - heard_ms).abs();
        assert!(differs <= PACKET_MS, "{heard_ms} ms were received: {told:?}, {heard:?}");
        assert!(told.began.len() == 1 && told.begun_at.is_some(), "no begin: {told:?}");
        for at in told.began.iter().chain(&told.begun_at) {
            begins.record(at - heard.first);
        }
        let last = if told.interrupted { heard.cut_off } else { heard.played };
        for at in told.ended.iter().chain(&told.finished_at) {
            ends.record((at - last.came).min(0.0) + (at - last.due).max(0.0));
        }
    }
    assert!(heard.next().is_none(), "nobody was told of {heard:?}");
    Ok(())
}

#[test]
fn barge_ins_are_told_once_and_as_rtp_shows_them() -> Outcome {
    let asked = env::var("BARGE_INS").ok().and_then(|count| count.parse().ok());
    let (utterances, limit) = match asked {
        Some(count) => (count, PROMISED),
        None => (UTTERANCES, ON_A_BUSY_MACHINE),
    };
    let _turn = Turn::take_without_programs()?;
    let mut script = Script::start("barge_ins.py")?;
    script.tell(&format!(r#"{{"utterances": {utterances}, "ends": {ENDS}}}"#))?;
    let mut listeners = BTreeMap::new();
    for number in 0..=ENDS {
        let listener = Listener::join(|offer| {
            script.tell(&serde_json::to_string(offer)?)?;
            Ok(serde_json::from_str(&script.line()?)?)
        })?;
        listeners.insert(format!("face-{number}"), listener);
    }
    script.tell("")?;
    let mut told = Vec::<Told>::new();
    loop {
        let line = script.line()?;
        if line.is_empty() {
            break;
        }
        told.push(serde_json::from_str(&line)?);
    }
    assert!(told.len() >= utterances + ENDS, "{} were said", told.len());

    let mut levels: Vec<i16> = told.iter().map(|told| told.level).collect();
    levels.sort_unstable();
    levels.dedup();
    let (mut begins, mut ends) = (Distances::new()?, Distances::new()?);
    for (session, listener) in listeners {
        let of_session: Vec<_> = told.iter().filter(|told| told.session == session).collect();
        let heard = heard(&listener.leave()?, &levels);
        println!("{session}: {} utterances, of which {} were heard", of_session.len(), heard.len());
        compare(&of_session, &heard, &mut begins, &mut ends)?;
    }
    begins.print("begins");
    ends.print("ends");
    assert!(begins.max() <= limit, "a begin was told {:?} from where RTP has it", begins.max());
    assert!(ends.max() <= limit, "an end was told {:?} from where RTP has it", ends.max());
    Ok(())
}
