//! Measures the effect of attacks on viewers, one attack after the other.
//!
//! The server is a separate process; viewers and attackers are threads of this one. Viewers come from 127.0.1.0/24,
//! attackers from other addresses of 127.0.0.0/8, so that limits per address distinguish them. Attackers run with a nice
//! value of 10 and send at a paced rate, so that they take little processor time from the viewers; how much is reported.

pub mod args;
mod attack_run;
mod attacks;
mod metrics;
mod peer;
mod report;
mod server_mode;
mod sources;
mod stun;
mod testbed;
mod wire;

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

pub use report::{Memory, Report, Row};
pub use server_mode::ServerMode;

use crate::viewers::{Seen, Window};
use crate::{Error, Machine};
use attack_run::{AttackCounts, AttackRun};
use attacks::{ALL, Attack};
use testbed::{Reading, Testbed};

/// From the end of an attack to the look at what it left.
const AFTERWARDS: Duration = Duration::from_secs(2);

/// A viewer without a picture for longer than this counts as dropped, with or without an error.
const FROZEN: Duration = Duration::from_secs(1);

/// Lines of the log that could not be written are no fault of what is attacked.
const LOG: &str = "log";

/// When newcomers come, in parts of the attack.
const NEWCOMERS: [f64; 3] = [0.2, 0.5, 0.75];

/// With less time than this there is one newcomer.
const ROOM_FOR_ALL: Duration = Duration::from_secs(8);

/// What is done, and for how long.
#[derive(Debug, Clone)]
pub struct Options {
    /// Those who watch.
    pub viewers: usize,
    /// Length of each attack.
    pub duration: Duration,
    /// From a server's last attack to the measurement of its memory.
    pub settle: Duration,
    /// Names of attacks; all of them where there are none.
    pub only: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            viewers: 50,
            duration: Duration::from_secs(20),
            settle: Duration::from_secs(60),
            only: Vec::new(),
        }
    }
}

/// The attacks there are: their names, and what they do.
pub fn list() -> impl Iterator<Item = (&'static str, &'static str)> {
    ALL.iter().map(|attack| (attack.name(), attack.about()))
}

/// Runs the attacks. `progress` gets a line as each begins and ends.
///
/// # Errors
///
/// When a server does not start or its viewers get no picture. What an attack does to them is in the report.
pub fn run(options: &Options, progress: &mut dyn FnMut(&str)) -> Result<Report, Error> {
    let wanted = |attack: &&&dyn Attack| {
        options.only.is_empty() || options.only.iter().any(|name| name == attack.name())
    };
    let attacks: Vec<_> = ALL.iter().filter(wanted).copied().collect();
    let mut report = Report {
        machine: Machine::here(),
        viewers: options.viewers,
        seconds: options.duration.as_secs_f64(),
        rows: Vec::new(),
        memory: Vec::new(),
    };
    let mut testbed: Option<Testbed> = None;
    for attack in attacks {
        if let Some(done) = testbed.take_if(|testbed| testbed.mode != attack.mode()) {
            progress("memory …");
            report.memory.push(settle(done, options.settle));
        }
        let on = match &mut testbed {
            Some(testbed) => testbed,
            None => testbed.insert(Testbed::start(attack.mode(), options.viewers)?),
        };
        progress(&format!("{}: {} …", attack.name(), attack.about()));
        let row = under(on, attack, options)?;
        let missed = row.missed();
        // Whoever lost viewers, or ended, is no server for the next attack.
        let spoilt = row.dropped > 0 || on.ended().is_some();
        progress(&match missed.is_empty() {
            true => "  held".to_owned(),
            false => format!("  {}", missed.join("; ")),
        });
        report.rows.push(row);
        if spoilt {
            testbed = None;
        }
    }
    if let Some(done) = testbed {
        progress("memory …");
        report.memory.push(settle(done, options.settle));
    }
    Ok(report)
}

/// Waits, looks at a server's memory, and ends it.
fn settle(testbed: Testbed, time: Duration) -> Memory {
    thread::sleep(time);
    let memory = Memory {
        source: testbed.mode.name().to_owned(),
        before_mib: mib(testbed.memory),
        after_mib: testbed.resident().map_or(f64::NAN, mib),
        settled_seconds: time.as_secs_f64(),
    };
    // How it ends is other tests' business.
    let _ = testbed.finish();
    memory
}

/// One attack.
fn under(testbed: &mut Testbed, attack: &dyn Attack, options: &Options) -> Result<Row, Error> {
    let (before, seen_before) = (testbed.reading(), testbed.seen()?);
    let memory_before = testbed.resident().unwrap_or_default();
    let window = Window::after(Duration::from_millis(50), options.duration);
    testbed.measure(window)?;
    let run = AttackRun::new(testbed.tcp, testbed.udp, seen_before.watchers.clone(), window.end());
    let arrivals = match options.duration < ROOM_FOR_ALL {
        true => NEWCOMERS.get(..1).unwrap_or_default(),
        false => &NEWCOMERS,
    };
    let (peak, seen, cpu, newcomers) = thread::scope(|scope| {
        let attackers = scope.spawn(|| attack.run(&run));
        let comes = |&part: &f64| {
            let at = window.from + options.duration.mul_f64(part);
            let url = testbed.url();
            scope.spawn(move || {
                thread::sleep(at.saturating_duration_since(Instant::now()));
                testbed::newcomer(url)
            })
        };
        let newcomers: Vec<_> = arrivals.iter().map(comes).collect();
        let peak = testbed::watch_memory(testbed, window.end());
        let seen = testbed.seen();
        let cpu = testbed.cpu();
        if attackers.join().is_err() {
            run.note("an attacker panicked");
        }
        let waited = newcomers.into_iter().map(|thread| {
            thread.join().unwrap_or_else(|_| Err("a newcomer's thread panicked".to_owned()))
        });
        (peak, seen, cpu, waited.collect::<Vec<_>>())
    });
    let ended = Instant::now();
    let mut seen = seen?;
    thread::sleep(AFTERWARDS.min(options.duration).saturating_sub(ended.elapsed()));
    let counts = run.counts();
    let mut row = Row {
        attack: attack.name().to_owned(),
        sent: counts.sent,
        turned_away: counts.rejected,
        gap_p99_ms: seen.gaps.map_or(f64::NAN, |gaps| gaps.p99),
        gap_max_ms: longest_gap(&seen),
        dropped: 0,
        sounds: sounds(testbed.mode, &seen_before, &seen, window),
        newcomers_ms: newcomers.iter().filter_map(|came| came.clone().ok()).collect(),
        kept_out: newcomers.into_iter().filter_map(Result::err).collect(),
        server_cores: cpu.saturating_sub(before.cpu).as_secs_f64() / window.length.as_secs_f64(),
        attacker_cores: counts.cpu.as_secs_f64() / window.length.as_secs_f64(),
        memory_before_mib: mib(memory_before),
        memory_peak_mib: mib(peak.max(memory_before)),
        memory_after_mib: testbed.resident().map_or(f64::NAN, mib),
        refused: BTreeMap::new(),
        notes: Vec::new(),
        faults: Vec::new(),
    };
    row.judge(testbed, counts, &before);
    seen = testbed.seen()?;
    let dropped = seen.watchers.iter().filter(|watcher| {
        watcher.error.is_some() || watcher.without_picture.is_none_or(|time| time > FROZEN)
    });
    let reasons: Vec<_> = dropped.map(|watcher| watcher.error.clone()).collect();
    row.dropped = reasons.len();
    if let Some(reason) = reasons.first() {
        let reason = reason.clone().unwrap_or_else(|| "it gets no pictures".to_owned());
        row.notes.push(format!("the first who was dropped: {reason}"));
    }
    Ok(row)
}

impl Row {
    /// Records the server's own counters after an attack.
    fn judge(&mut self, testbed: &mut Testbed, counts: AttackCounts, before: &Reading) {
        (self.notes, self.faults) = (counts.notes, counts.faults);
        if let Some(ended) = testbed.ended() {
            self.faults.push(ended);
        } else if !testbed.is_ready() {
            self.faults.push("the server is not ready afterwards".to_owned());
        }
        let after = testbed.reading();
        if after.panics > before.panics {
            self.faults.push(format!("{} panics in the log", after.panics - before.panics));
            self.faults.extend(testbed.panics().into_iter().skip(before.panics).take(2));
        }
        let caught = more(&before.faults, after.faults);
        let caught = caught.into_iter().filter(|(domain, _)| domain != LOG);
        let say = |(domain, count)| format!("{count} faults were caught in the domain {domain}");
        self.faults.extend(caught.map(say));
        self.refused = more(&before.refused, after.refused);
    }
}

/// What was counted since.
fn more(before: &BTreeMap<String, u64>, after: BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let since = after.into_iter().map(|(name, count)| {
        let more = count.saturating_sub(before.get(&name).copied().unwrap_or(0));
        (name, more)
    });
    since.filter(|(_, more)| *more > 0).collect()
}

/// The longest gap in the window, and what is open at its end.
fn longest_gap(seen: &Seen) -> f64 {
    let open = seen.watchers.iter().filter_map(|watcher| watcher.without_picture);
    let open = open.max().unwrap_or_default().as_secs_f64() * 1_000.0;
    seen.gaps.map_or(f64::NAN, |gaps| gaps.max.max(open))
}

/// Sound packets a second at the viewer who got fewest. An echo is silent while no visitor speaks.
fn sounds(mode: ServerMode, before: &Seen, after: &Seen, window: Window) -> Option<f64> {
    let pairs = before.watchers.iter().zip(&after.watchers);
    let counts = pairs.map(|(before, after)| after.sounds.saturating_sub(before.sounds));
    let fewest = counts.min().filter(|_| mode == ServerMode::RtpInput)?;
    Some(fewest as f64 / window.length.as_secs_f64())
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
