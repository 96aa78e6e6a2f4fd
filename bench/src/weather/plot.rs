//! What a viewer got over time, as pictures.

use std::fmt::Display;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::{Figures, Look, Report, SCENARIOS, Scenario};
use crate::Error;

const SIZE: (u32, u32) = (960, 720);
const GOT: RGBColor = RGBColor(0x1f, 0x6f, 0xb4);
const NETWORK: RGBColor = RGBColor(0x77, 0x77, 0x77);
const OUTAGE: RGBColor = RGBColor(0xd9, 0x5f, 0x02);

/// Bitrates are of so many looks, which are ten a second.
const LOOKS: usize = 5;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// One of the things that are shown over time.
struct Panel<'a> {
    name: &'a str,
    got: Vec<(f64, f64)>,
    /// As dots: of some there may be none for a while.
    is_of_pictures: bool,
    /// What the network takes of it.
    network: Vec<(f64, f64)>,
    outages: &'a [Range<Duration>],
}

impl Report {
    /// Draws bitrate, latency and width of the picture over time into `SCENARIO-SERVER.svg` in a folder, which is made where it is
    /// not there.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn plot(&self, folder: &Path) -> Result<(), Error> {
        std::fs::create_dir_all(folder)?;
        for figures in &self.scenarios {
            let scenario = SCENARIOS.iter().find(|scenario| scenario.name == figures.name);
            let Some(scenario) = scenario else { continue };
            let file = folder.join(format!("{}-{}.svg", figures.name, figures.server));
            let root = SVGBackend::new(&file, SIZE).into_drawing_area();
            self.draw(figures, scenario, &root)?;
            root.present().map_err(failed)?;
        }
        Ok(())
    }

    fn draw(&self, figures: &Figures, scenario: &Scenario, root: &Area<'_>) -> Result<(), Error> {
        root.fill(&WHITE).map_err(failed)?;
        let Figures { name, server, .. } = figures;
        let title = format!("{server}, {name}: {} — {}", scenario.about, self.machine.line());
        let root = root.titled(&title, ("sans-serif", 14)).map_err(failed)?;
        let length = Duration::from_secs_f64(self.seconds);
        let outages = scenario.outages(length);
        let panel = |name, got| Panel {
            name,
            got,
            is_of_pictures: false,
            network: Vec::new(),
            outages: &outages,
        };
        let panels = [
            Panel {
                network: steps(scenario, length),
                ..panel("Mbit/s (grey: the network)", mbps(&figures.looks))
            },
            Panel {
                is_of_pictures: true,
                ..panel("ms from push to display", figures.pictures.clone())
            },
            panel("width of the picture", widths(&figures.looks)),
        ];
        for (panel, area) in panels.iter().zip(root.split_evenly((panels.len(), 1))) {
            panel.draw(&area, self.seconds)?;
        }
        Ok(())
    }
}

impl Panel<'_> {
    fn draw(&self, area: &Area<'_>, seconds: f64) -> Result<(), Error> {
        let highest = self.got.iter().map(|(_, got)| *got).fold(0.1, f64::max) * 1.25;
        let mut chart = ChartBuilder::on(area)
            .margin(10)
            .x_label_area_size(28)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..seconds, 0.0..highest)
            .map_err(failed)?;
        let mut mesh = chart.configure_mesh();
        mesh.max_light_lines(0).x_desc("seconds").y_desc(self.name).draw().map_err(failed)?;
        let outages = self.outages.iter().map(|outage| {
            let [begin, end] = [outage.start, outage.end].map(|time| time.as_secs_f64());
            Rectangle::new([(begin, 0.0), (end, highest)], OUTAGE.mix(0.25).filled())
        });
        chart.draw_series(outages).map_err(failed)?;
        // What is far above what was sent says nothing.
        let network = self.network.iter().map(|&(at, mbps)| (at, mbps.min(highest)));
        chart.draw_series(LineSeries::new(network, NETWORK.stroke_width(1))).map_err(failed)?;
        let got = self.got.iter().copied();
        if self.is_of_pictures {
            let dots = got.map(|picture| Circle::new(picture, 1, GOT.filled()));
            chart.draw_series(dots).map_err(failed)?;
        } else {
            chart.draw_series(LineSeries::new(got, GOT.stroke_width(2))).map_err(failed)?;
        }
        Ok(())
    }
}

/// What the network takes, as a line with corners.
fn steps(scenario: &Scenario, length: Duration) -> Vec<(f64, f64)> {
    let bandwidths = scenario.bandwidths(length);
    let ends = bandwidths.iter().skip(1).map(|(at, _)| *at).chain([length]);
    let lines =
        bandwidths.iter().zip(ends).flat_map(|(&(begin, mbps), end)| [(begin, mbps), (end, mbps)]);
    lines.map(|(at, mbps)| (at.as_secs_f64(), mbps)).collect()
}

/// Seconds since the first look.
fn since(looks: &[Look], look: &Look) -> f64 {
    looks.first().map_or(0.0, |first| (look.at - first.at) / 1e3)
}

fn mbps(looks: &[Look]) -> Vec<(f64, f64)> {
    let rates = looks.iter().zip(looks.iter().skip(LOOKS)).map(|(before, now)| {
        let bits = now.bytes.saturating_sub(before.bytes) as f64 * 8.0;
        (since(looks, now), bits / 1e3 / (now.at - before.at).max(1.0))
    });
    rates.collect()
}

fn widths(looks: &[Look]) -> Vec<(f64, f64)> {
    looks.iter().map(|look| (since(looks, look), f64::from(look.width))).collect()
}

fn failed(error: impl Display) -> Error {
    Error::Plot(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Machine;

    #[test]
    fn a_picture_of_each_scenario_has_what_was_got_and_what_the_network_is() {
        let look = |n: u64| Look {
            at: 1.7e12 + n as f64 * 100.0,
            width: if n < 30 { 512 } else { 256 },
            decoded: n * 3,
            keyframes: 1,
            frozen: 0.0,
            bytes: n * 12_500,
            packets: n * 12,
            again: 0,
            concealed: 0,
            samples: n * 4_800,
        };
        let figures = |name: &str| Figures {
            name: name.to_owned(),
            server: "visavis".to_owned(),
            looks: (0..60).map(look).collect(),
            pictures: (0..100).map(|n| (f64::from(n) / 30.0, 40.0)).collect(),
            ..Figures::default()
        };
        let report = Report {
            machine: Machine::here(),
            codec: "H264".to_owned(),
            seconds: 6.0,
            scenarios: vec![figures("steps"), figures("blackout")],
        };
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("made");
        report.plot(&folder).unwrap();
        let svg = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        let (stepped, cut) = (svg("steps-visavis.svg"), svg("blackout-visavis.svg"));
        for text in
            ["5, 0.5 and 5 Mbit/s", "seconds", "Mbit/s (grey: the network)", "width of the picture"]
        {
            assert!(stepped.contains(text), "{text} is not in the picture");
        }
        assert_eq!(stepped.matches("<circle").count(), 100);
        let shaded = |svg: &str| svg.matches("#D95F02").count();
        assert_eq!((shaded(&stepped), shaded(&cut)), (0, 3), "the outage is in each panel");
    }

    #[test]
    fn bitrates_are_those_of_the_last_half_second() {
        let look =
            |n: u64| Look { at: n as f64 * 100.0, bytes: n.min(10) * 12_500, ..Look::default() };
        let looks: Vec<Look> = (0..20).map(look).collect();
        let mbps = mbps(&looks);
        assert_eq!((mbps[0], mbps[5]), ((0.5, 1.0), (1.0, 1.0)));
        assert_eq!(mbps.last(), Some(&(1.9, 0.0)));
    }
}
