//! Sound in pieces of 20 ms.

use super::{Sound, units};

/// Cuts an endless run of samples into 20 ms pieces. The clock counts samples, so it never drifts,
/// and pieces reach over the seam between two rounds of a loop.
#[derive(Debug)]
pub struct Chunks {
    rate_hz: u32,
    channels: u16,
    /// Interleaved samples not yet cut.
    pending: Vec<i16>,
    /// Sample frames cut so far.
    cut: u64,
}

impl Chunks {
    /// `rate_hz` is one of [`visavis::audio::AudioChunk::SAMPLE_RATES_HZ`], `channels` 1 or 2.
    pub fn new(rate_hz: u32, channels: u16) -> Self {
        Self { rate_hz, channels: channels.max(1), pending: Vec::new(), cut: 0 }
    }

    /// Samples a second.
    pub fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// The run so far, in sample frames.
    pub fn frames(&self) -> u64 {
        self.cut + (self.pending.len() / usize::from(self.channels)) as u64
    }

    /// The end of the run: interleaved samples go here.
    pub fn tail(&mut self) -> &mut Vec<i16> {
        &mut self.pending
    }

    /// Fills up with silence to a length in sample frames; does nothing where it is longer already.
    pub fn silence_to(&mut self, frames: u64) {
        let missing = frames.saturating_sub(self.frames()) as usize * usize::from(self.channels);
        self.pending.resize(self.pending.len() + missing, 0);
    }

    /// When the next piece is due.
    pub fn next_pts(&self) -> std::time::Duration {
        units(self.cut, u64::from(self.rate_hz))
    }

    /// Sample frames of one piece.
    pub fn piece_frames(&self) -> u64 {
        u64::from(self.rate_hz) / 50
    }

    /// The next piece, once all of it is there.
    pub fn pop(&mut self) -> Option<Sound> {
        let frames = self.piece_frames();
        let length = frames as usize * usize::from(self.channels);
        if length == 0 || self.pending.len() < length {
            return None;
        }
        let pts = self.next_pts();
        let samples = self.pending.drain(..length).collect();
        self.cut += frames;
        Some(Sound { pts, rate_hz: self.rate_hz, channels: self.channels, samples })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn pieces_are_20_ms_and_the_clock_is_exact_at_44100_hz() {
        let mut chunks = Chunks::new(44_100, 2);
        chunks.silence_to(44_100 * 60);
        let last = std::iter::from_fn(|| chunks.pop()).last().unwrap();
        assert_eq!(last.samples.len(), 882 * 2);
        assert_eq!(last.pts, Duration::from_millis(59_980));
    }

    #[test]
    fn nothing_comes_before_a_piece_is_whole() {
        let mut chunks = Chunks::new(8_000, 1);
        chunks.tail().extend([1; 159]);
        assert_eq!(chunks.pop(), None);
        chunks.tail().push(1);
        assert_eq!(chunks.pop().unwrap().samples, [1; 160]);
        assert_eq!(chunks.next_pts(), Duration::from_millis(20));
    }
}
