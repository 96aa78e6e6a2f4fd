//! Cost against the number of viewers, as a picture.

use std::path::Path;

use plotters::prelude::*;

use super::Report;
use crate::Error;

const SIZE: (u32, u32) = (860, 480);
const COST: RGBColor = RGBColor(0x1f, 0x6f, 0xb4);
const FLOOR: RGBColor = RGBColor(0x77, 0x77, 0x77);

impl Report {
    /// Draws CPU per viewer-second against the number of viewers into an SVG file.
    ///
    /// # Errors
    ///
    /// When there is nothing to draw, or the file cannot be written.
    pub fn plot(&self, file: &Path) -> Result<(), Error> {
        let failed = |error: &dyn std::fmt::Display| Error::Plot(error.to_string());
        let points: Vec<(f64, f64)> = self
            .rows
            .iter()
            .map(|row| (row.viewers as f64, row.cpu_ms_per_viewer_second))
            .collect();
        let most = points.iter().map(|(viewers, _)| *viewers).fold(0.0, f64::max);
        let fewest = points.iter().map(|(viewers, _)| *viewers).fold(most, f64::min);
        if points.is_empty() || fewest <= 0.0 {
            return Err(Error::Plot("there is nothing to draw".to_owned()));
        }
        let highest = points.iter().map(|(_, cost)| *cost).fold(0.1, f64::max) * 1.15;
        let root = SVGBackend::new(file, SIZE).into_drawing_area();
        root.fill(&WHITE).map_err(|error| failed(&error))?;
        let title =
            format!("Server CPU, {} kbit/s, 30 fps — {}", self.bitrate_kbps, self.machine.line());
        let mut chart = ChartBuilder::on(&root)
            .caption(title, ("sans-serif", 14))
            .margin(14)
            .x_label_area_size(40)
            .y_label_area_size(56)
            .build_cartesian_2d((fewest * 0.8..most * 1.25).log_scale(), 0.0..highest)
            .map_err(|error| failed(&error))?;
        chart
            .configure_mesh()
            .x_desc("viewers")
            .y_desc("ms of CPU per viewer-second")
            .x_label_formatter(&|viewers| format!("{viewers:.0}"))
            .draw()
            .map_err(|error| failed(&error))?;
        chart
            .draw_series(LineSeries::new(points.clone(), COST.stroke_width(2)))
            .map_err(|error| failed(&error))?
            .label("visavis")
            .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], COST.stroke_width(2)));
        let dots = points.iter().map(|&point| Circle::new(point, 4, COST.filled()));
        chart.draw_series(dots).map_err(|error| failed(&error))?;
        let labels = points.iter().map(|&(viewers, cost)| {
            let place = (viewers, cost + highest * 0.05);
            Text::new(format!("{cost:.2}"), place, ("sans-serif", 12))
        });
        chart.draw_series(labels).map_err(|error| failed(&error))?;
        if let Some(floor) = self.floor_cpu_ms_per_viewer_second {
            let line = [(fewest * 0.8, floor), (most * 1.25, floor)];
            chart
                .draw_series(LineSeries::new(line, FLOOR.stroke_width(1)))
                .map_err(|error| failed(&error))?
                .label(format!("floor {floor:.2}"))
                .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], FLOOR.stroke_width(1)));
        }
        chart
            .configure_series_labels()
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .draw()
            .map_err(|error| failed(&error))?;
        root.present().map_err(|error| failed(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::example;

    #[test]
    fn draws_every_point() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cost.svg");
        let mut report = example(&[(1, 9.5), (100, 1.25), (1_000, 0.75)]);
        report.floor_cpu_ms_per_viewer_second = Some(0.43);
        report.plot(&file).unwrap();
        let svg = std::fs::read_to_string(&file).unwrap();
        assert_eq!(svg.matches("<circle").count(), 3);
        for text in ["9.50", "1.25", "0.75", "floor 0.43", "viewers"] {
            assert!(svg.contains(text), "{text} is not in the picture");
        }
    }

    #[test]
    fn nothing_to_draw_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(example(&[]).plot(file.path()).is_err());
    }
}
