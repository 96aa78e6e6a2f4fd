//! The networks that viewers are put behind.

use std::ops::Range;
use std::time::Duration;

use visavis_weather::{Bandwidth, Conditions, Schedule};

/// A network that a viewer is behind, one way like the other but for what is said here of the way to the viewer.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// As on the command line.
    pub name: &'static str,
    /// In a few words.
    pub about: &'static str,
    /// One way.
    delay_ms: u64,
    /// Mbit/s to the viewer, from the beginning of each third of the run on.
    mbps: [f64; 3],
    /// Of the packets to the viewer.
    loss: f64,
    /// Nothing gets through at these times, again and again.
    outage: Option<Outage>,
}

/// When nothing gets through.
#[derive(Debug, Clone, Copy)]
struct Outage {
    length: Duration,
    /// Every so long; once, in the middle, where there is none.
    each: Option<Duration>,
}

const CLEAR: Scenario = Scenario {
    name: "clear",
    about: "10 Mbit/s, 40 ms round trip",
    delay_ms: 20,
    mbps: [10.0; 3],
    loss: 0.0,
    outage: None,
};

/// All of them.
pub const SCENARIOS: [Scenario; 9] = [
    CLEAR,
    Scenario { name: "loss-2", about: "2 % of packets lost", loss: 0.02, ..CLEAR },
    Scenario {
        name: "far-2",
        about: "2 % of packets lost, 300 ms round trip",
        delay_ms: 150,
        loss: 0.02,
        ..CLEAR
    },
    Scenario { name: "loss-10", about: "10 % of packets lost", loss: 0.1, ..CLEAR },
    Scenario {
        name: "bursts",
        about: "nothing for 200 ms every 5 s",
        outage: Some(Outage {
            length: Duration::from_millis(200),
            each: Some(Duration::from_secs(5)),
        }),
        ..CLEAR
    },
    Scenario { name: "steps", about: "5, 0.5 and 5 Mbit/s", mbps: [5.0, 0.5, 5.0], ..CLEAR },
    Scenario {
        name: "blackout",
        about: "nothing for 5 s in the middle",
        mbps: [5.0; 3],
        outage: Some(Outage { length: Duration::from_secs(5), each: None }),
        ..CLEAR
    },
    Scenario { name: "slow-1", about: "1 Mbit/s", mbps: [1.0; 3], ..CLEAR },
    Scenario { name: "slow-0.3", about: "0.3 Mbit/s", mbps: [0.3; 3], ..CLEAR },
];

impl Scenario {
    /// The way from the viewer.
    pub fn up(&self) -> Conditions {
        let delay = Duration::from_millis(self.delay_ms);
        Conditions { bandwidth: Bandwidth::from_mbps(10.0), delay, ..Conditions::default() }
    }

    /// The way to the viewer, over a run of this length.
    pub fn down(&self, length: Duration) -> Schedule {
        let bandwidths = self.bandwidths(length).map(|(at, mbps)| (at, Bandwidth::from_mbps(mbps)));
        let [(_, first), steps @ ..] = bandwidths;
        let begin = Conditions { bandwidth: first, loss: self.loss, ..self.up() };
        let schedule = Schedule::from(begin).bandwidth(steps);
        self.outages(length).into_iter().fold(schedule, Schedule::blackout)
    }

    /// Mbit/s to the viewer over a run of this length, and when each begins.
    pub fn bandwidths(&self, length: Duration) -> [(Duration, f64); 3] {
        let [first, second, third] = self.mbps;
        [(Duration::ZERO, first), (length / 3, second), (length * 2 / 3, third)]
    }

    /// When nothing gets through in a run of this length.
    pub fn outages(&self, length: Duration) -> Vec<Range<Duration>> {
        let Some(Outage { length: outage, each }) = self.outage else { return Vec::new() };
        let begins: Vec<Duration> = match each {
            Some(each) => {
                (1..).map(|turn| each * turn).take_while(|at| *at + outage < length).collect()
            }
            None => vec![length / 2],
        };
        begins.into_iter().map(|begin| begin..begin + outage).collect()
    }

    /// When there is less bandwidth in a run of this length.
    pub fn shortage(&self, length: Duration) -> Option<Range<Duration>> {
        let [first, second, _] = self.mbps;
        (second < first).then(|| length / 3..length * 2 / 3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outages_and_shortages_are_where_the_run_has_them() {
        let named = |name| SCENARIOS.iter().find(|scenario| scenario.name == name).unwrap();
        let secs = Duration::from_secs;
        assert_eq!(named("steps").shortage(secs(60)), Some(secs(20)..secs(40)));
        assert_eq!(named("clear").shortage(secs(60)), None);
        assert_eq!(named("blackout").outages(secs(60)), [secs(30)..secs(35)]);
        let bursts = named("bursts").outages(secs(60));
        assert_eq!((bursts.len(), bursts[0].start), (11, secs(5)));
    }
}
