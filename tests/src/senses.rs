//! When a page saw and heard what.

use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use visavis_bench::Page;

const SCRIPT: &str = include_str!("senses.js");

/// What came out of a page's decoders since [`attend`](Self::attend).
#[derive(Debug, Deserialize)]
pub struct Senses {
    /// Stretches of sound, some 10 ms each.
    pub sound: Vec<Sound>,
    /// Pictures.
    pub pictures: Vec<Seen>,
}

/// A stretch of sound.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Sound {
    /// When it came, as [`wall_clock_ms`] counts.
    pub at: f64,
    /// The loudest of its samples, 0 to 1.
    pub peak: f64,
    /// The largest difference between two samples that follow each other.
    pub step: f64,
}

/// A picture.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Seen {
    /// When it came, as [`wall_clock_ms`] counts.
    pub at: f64,
    /// How bright its middle is, 0 to 255.
    pub brightness: f64,
}

impl Senses {
    /// Has a page that plays note what it sees and hears.
    ///
    /// # Errors
    ///
    /// When it has no video with sound.
    pub fn attend(page: &Page) -> Result<(), Box<dyn Error>> {
        Ok(page.eval(SCRIPT)?)
    }

    /// What it noted until now; it goes on, from nothing.
    ///
    /// # Errors
    ///
    /// When the page does not answer.
    pub fn take(page: &Page) -> Result<Self, Box<dyn Error>> {
        const TAKE: &str = "const { sound, pictures } = sensed;
            [sensed.sound, sensed.pictures] = [[], []];
            return { sound, pictures };";
        Ok(page.eval(TAKE)?)
    }
}

/// Milliseconds since 1970 with their fraction, as a page's `performance.timeOrigin + performance.now()`.
pub fn wall_clock_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1_000.0
}
