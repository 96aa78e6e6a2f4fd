//! From what the browser counted to figures.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::scenarios::Scenario;
use super::server_kind::ServerKind;
use crate::glass::{self, Run};
use crate::{Error, Spread};

/// Pictures a second that are pushed.
const FPS: f64 = 30.0;

/// What the browser had counted at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Look {
    /// Unix time in ms.
    pub at: f64,
    /// Of the last picture.
    pub width: u32,
    /// Pictures.
    pub decoded: u64,
    /// Keyframes among them.
    pub keyframes: u64,
    /// Seconds.
    pub frozen: f64,
    /// Of pictures.
    pub bytes: u64,
    /// Of pictures.
    pub packets: u64,
    /// Packets of pictures that were sent again.
    pub again: u64,
    /// Samples of sound that the browser made up.
    pub concealed: u64,
    /// All samples of sound.
    pub samples: u64,
}

/// What one scenario came to.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Figures {
    /// Of the scenario.
    pub name: String,
    /// Whose pictures: `visavis`, `aiortc` or `naive`.
    pub server: String,
    /// Pictures decoded a second.
    pub fps: f64,
    /// The time that the picture stood still, by the browser.
    pub frozen_percent: f64,
    /// The longest time between two pictures shown, outages left out.
    pub longest_gap_ms: f64,
    /// From push to display.
    pub to_display_ms: Option<Spread>,
    /// The mean width, in percent of the whole.
    pub size_percent: f64,
    /// From less bandwidth to the first smaller picture.
    pub down_s: Option<f64>,
    /// From more bandwidth to the first whole picture.
    pub up_s: Option<f64>,
    /// From the end of each outage to the next picture shown.
    pub back_ms: Vec<f64>,
    /// Decoded.
    pub keyframes: u64,
    /// Packets that were sent again.
    pub again_percent: f64,
    /// Sound that the browser made up.
    pub concealed_percent: f64,
    /// Of pictures.
    pub megabytes: f64,
    /// Ten times a second.
    pub looks: Vec<Look>,
    /// Of each picture shown: seconds since the beginning, and milliseconds from push to display.
    pub pictures: Vec<(f64, f64)>,
}

impl Figures {
    pub(super) fn new(
        (server, scenario): (ServerKind, &Scenario),
        (length, begun): (Duration, Duration),
        looks: Vec<Look>,
        shown: &Run,
    ) -> Result<Self, Error> {
        let begun_ms = begun.as_secs_f64() * 1e3;
        let looks: Vec<Look> = looks.into_iter().filter(|look| look.at >= begun_ms).collect();
        let [first, .., last] = looks[..] else {
            return Err(Error::Browser("nothing was counted".to_owned()));
        };
        let seconds = (last.at - first.at) / 1e3;
        let whole = looks.iter().map(|look| look.width).max().unwrap_or_default().max(1);
        let mean = looks.iter().map(|look| f64::from(look.width)).sum::<f64>() / looks.len() as f64;
        // The first look after a moment, in seconds from the beginning, that is as is wanted.
        let after = |moment: Duration, wanted: fn(u32, u32) -> bool| {
            let from = begun_ms + moment.as_secs_f64() * 1e3;
            let look = looks.iter().find(|look| look.at >= from && wanted(look.width, whole))?;
            Some((look.at - from) / 1e3)
        };
        let shortage = scenario.shortage(length);
        let (down, up) = (shortage.as_ref().map(|time| time.start), shortage.map(|time| time.end));
        let down_s = down.and_then(|at| after(at, |width, whole| width < whole));
        let outages = scenario.outages(length);
        let pictures: Vec<f64> =
            shown.frames.iter().map(|frame| shown.time_origin + frame.3 - begun_ms).collect();
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let back = |end: f64| pictures.iter().find(|at| **at >= end).map(|at| at - end);
        let is_outage = |from: f64, until: f64| {
            outages.iter().any(|outage| from < ms(outage.end) + 1_000.0 && until > ms(outage.start))
        };
        let gaps =
            pictures.windows(2).filter(|two| two[0] >= 1_000.0 && !is_outage(two[0], two[1]));
        let mut latency = glass::Figures::new(FPS)?;
        latency.add_run(&shown.frames, shown.time_origin);
        let percent = |part: u64, all: u64| 100.0 * part as f64 / all.max(1) as f64;
        Ok(Self {
            name: scenario.name.to_owned(),
            server: server.name().to_owned(),
            fps: (last.decoded - first.decoded) as f64 / seconds,
            frozen_percent: 100.0 * (last.frozen - first.frozen) / seconds,
            longest_gap_ms: gaps.map(|two| two[1] - two[0]).fold(0.0, f64::max),
            to_display_ms: latency.to_display(),
            size_percent: 100.0 * mean / f64::from(whole),
            down_s,
            // What was never smaller does not come back.
            up_s: up
                .filter(|_| down_s.is_some())
                .and_then(|at| after(at, |width, whole| width == whole)),
            back_ms: outages.iter().filter_map(|outage| back(ms(outage.end))).collect(),
            keyframes: last.keyframes - first.keyframes,
            again_percent: percent(last.again - first.again, last.packets - first.packets),
            concealed_percent: percent(
                last.concealed - first.concealed,
                last.samples - first.samples,
            ),
            megabytes: (last.bytes - first.bytes) as f64 / 1e6,
            looks,
            pictures: shown
                .frames
                .iter()
                .filter_map(|frame| {
                    let at = (shown.time_origin + frame.3 - begun_ms) / 1e3;
                    Some((at, frame.to_display_ms(shown.time_origin)?))
                })
                .filter(|(at, _)| *at >= 0.0)
                .collect(),
        })
    }
}
