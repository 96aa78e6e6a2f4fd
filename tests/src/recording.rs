//! Records what a page's decoders output, and when.

use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use visavis_bench::Page;

const SCRIPT: &str = include_str!("recording.js");

/// What came out of a page's decoders since [`start`](Self::start).
#[derive(Debug, Deserialize)]
pub struct Recording {
    /// Stretches of sound, some 10 ms each.
    pub sound: Vec<RecordedSound>,
    /// Pictures.
    pub pictures: Vec<RecordedPicture>,
}

/// A stretch of sound.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct RecordedSound {
    /// When it came, as [`wall_clock_ms`] counts.
    pub at: f64,
    /// The loudest of its samples, 0 to 1.
    pub peak: f64,
    /// The largest difference between two samples that follow each other.
    pub step: f64,
}

/// A picture.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct RecordedPicture {
    /// When it came, as [`wall_clock_ms`] counts.
    pub at: f64,
    /// How bright its middle is, 0 to 255.
    pub brightness: f64,
}

impl Recording {
    /// Starts recording the decoders of a playing page.
    ///
    /// # Errors
    ///
    /// When it has no video with sound.
    pub fn start(page: &Page) -> Result<(), Box<dyn Error>> {
        Ok(page.eval(SCRIPT)?)
    }

    /// Returns the recording so far, and starts a new one.
    ///
    /// # Errors
    ///
    /// When the page does not answer.
    pub fn take(page: &Page) -> Result<Self, Box<dyn Error>> {
        const TAKE: &str = "const { sound, pictures } = recorded;
            [recorded.sound, recorded.pictures] = [[], []];
            return { sound, pictures };";
        Ok(page.eval(TAKE)?)
    }
}

/// Milliseconds since 1970 with their fraction, as a page's `performance.timeOrigin + performance.now()`.
pub fn wall_clock_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1_000.0
}
