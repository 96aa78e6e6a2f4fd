//! What encoding costs: each codec at each size, on one core, with nothing around it; and the conversion
//! that every raw frame pays first.
//!
//! This is the only bench that links a part of the engine: through the network an encoder's time cannot be distinguished
//! from waiting.

pub mod args;
mod scene;

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use visavis_codec::{ColorMatrix, Encoders, convert};
use visavis_types::encoder::{FrameControl, VideoEncoderConfig};
use visavis_types::{Bitrate, CodecSet, FrameSize, I420Buffer, PixelFormat, VideoCodec};

use crate::{Durations, Error, Machine, Spread, Table};

/// Frames per second that rate control reckons with.
const FPS: u32 = 30;

/// A keyframe is requested every this many pictures, as if viewers joined.
const KEYFRAME_EVERY: u32 = 60;

/// Pictures before the measurement: the encoder's first keyframe and the frames after it are dearer.
const WARM_UP: u32 = 15;

/// A size and the bitrate that goes with it, in kbit/s.
const SIZES: [(u32, u32, u64); 3] = [(512, 512, 1_500), (1280, 720, 2_500), (1920, 1080, 4_500)];

/// What is measured.
#[derive(Debug, Clone)]
pub struct Options {
    /// Pictures of each codec and size.
    pub frames: u32,
    /// Only this codec; all that pictures can be encoded with otherwise.
    pub codec: Option<VideoCodec>,
}

/// What one codec, or the conversion, took at one size.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// Name of the codec, or of the conversion.
    pub what: String,
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Time for one picture.
    pub ms: Spread,
    /// Pictures that one core does in a second.
    pub fps_per_core: f64,
    /// What came out, in kbit/s at 30 frames per second; nothing for conversions.
    pub kbps: Option<f64>,
}

/// All of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Where it was measured.
    pub machine: Machine,
    /// Codecs and conversions at each size.
    pub rows: Vec<Row>,
}

/// Measures on this thread.
///
/// # Errors
///
/// Where an encoder cannot be made or fails.
pub fn run(options: &Options) -> Result<Report, Error> {
    // A requested codec that is not available is an error with its name.
    let codecs =
        options.codec.map_or(Encoders::software().codecs(), |codec| CodecSet::EMPTY.with(codec));
    let mut rows = Vec::new();
    for (width, height, kbps) in SIZES {
        let size = FrameSize::new(width, height).map_err(failed)?;
        rows.push(conversion(size, options.frames)?);
        for codec in codecs.iter() {
            rows.push(encoding(codec, size, Bitrate::from_kbps(kbps), options.frames)?);
        }
    }
    Ok(Report { machine: Machine::here(), rows })
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Encode(error.to_string())
}

fn conversion(size: FrameSize, frames: u32) -> Result<Row, Error> {
    let (mut pixels, mut picture) = (Vec::new(), I420Buffer::new(size));
    let matrix = ColorMatrix::for_size(size);
    let mut meter = Meter::new()?;
    for n in 0..frames + WARM_UP {
        // A few different pictures; painting all of them would take longer than what is measured.
        if n < 4 {
            scene::paint(size, n, &mut pixels);
        }
        let start = Instant::now();
        convert(&pixels, PixelFormat::Rgba, size, matrix, &mut picture).map_err(failed)?;
        meter.note(n, start.elapsed(), 0);
    }
    meter.row("RGBA → I420".to_owned(), size)
}

fn encoding(codec: VideoCodec, size: FrameSize, rate: Bitrate, frames: u32) -> Result<Row, Error> {
    let config = VideoEncoderConfig::new(size, FPS, rate);
    let mut encoder = Encoders::software().make(codec, &config).map_err(failed)?;
    let (mut pixels, mut picture, mut unit) = (Vec::new(), I420Buffer::new(size), Vec::new());
    let matrix = ColorMatrix::for_stream(codec, size);
    let mut meter = Meter::new()?;
    for n in 0..frames + WARM_UP {
        scene::paint(size, n, &mut pixels);
        convert(&pixels, PixelFormat::Rgba, size, matrix, &mut picture).map_err(failed)?;
        unit.clear();
        let keyframe = n >= WARM_UP && (n - WARM_UP).is_multiple_of(KEYFRAME_EVERY);
        let start = Instant::now();
        let pts = Duration::from_secs(1) * n / FPS;
        let control = FrameControl::at(pts).keyframe(keyframe);
        encoder.encode(&(&picture).into(), &control, &mut unit).map_err(failed)?;
        meter.note(n, start.elapsed(), unit.len());
    }
    meter.row(codec.name().to_owned(), size)
}

/// Times and sizes of pictures, the first ones left out.
struct Meter {
    durations: Durations,
    total: Duration,
    frames: u32,
    bytes: usize,
}

impl Meter {
    fn new() -> Result<Self, Error> {
        Ok(Self { durations: Durations::new()?, total: Duration::ZERO, frames: 0, bytes: 0 })
    }

    fn note(&mut self, n: u32, took: Duration, bytes: usize) {
        if n < WARM_UP {
            return;
        }
        self.durations.record(took);
        self.total += took;
        self.frames += 1;
        self.bytes += bytes;
    }

    fn row(self, what: String, size: FrameSize) -> Result<Row, Error> {
        let ms = self.durations.spread().ok_or_else(|| failed("no picture was measured"))?;
        let seconds = f64::from(self.frames) / f64::from(FPS);
        let kbps = self.bytes as f64 * 8.0 / 1_000.0 / seconds;
        Ok(Row {
            what,
            width: size.width(),
            height: size.height(),
            ms,
            fps_per_core: f64::from(self.frames) / self.total.as_secs_f64().max(1e-9),
            kbps: (self.bytes > 0).then_some(kbps),
        })
    }
}

impl Report {
    /// The report as text.
    pub fn table(&self) -> String {
        let mut table = Table::new(["", "size", "ms p50", "p99", "max", "fps per core", "kbit/s"]);
        for row in &self.rows {
            table.row([
                row.what.clone(),
                format!("{}x{}", row.width, row.height),
                format!("{:.2}", row.ms.p50),
                format!("{:.2}", row.ms.p99),
                format!("{:.2}", row.ms.max),
                format!("{:.0}", row.fps_per_core),
                row.kbps.map_or_else(|| "–".to_owned(), |kbps| format!("{kbps:.0}")),
            ]);
        }
        format!(
            "{}\na talking head with camera noise, a keyframe every {KEYFRAME_EVERY} pictures; one \
             thread\n\n{table}",
            self.machine.line()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_codec_and_the_conversion_are_measured_at_one_size() {
        let size = FrameSize::new(64, 48).unwrap();
        let row = conversion(size, 5).unwrap();
        assert_eq!((row.ms.count, row.kbps), (5, None));
        for codec in Encoders::software().codecs().iter() {
            let row = encoding(codec, size, Bitrate::from_kbps(200), 5).unwrap();
            assert_eq!((row.ms.count, row.what.as_str()), (5, codec.name()));
            assert!(row.kbps.unwrap() > 1.0 && row.fps_per_core > 1.0);
            let report = Report { machine: Machine::here(), rows: vec![row] };
            assert!(report.table().contains("64x48"));
        }
    }
}
