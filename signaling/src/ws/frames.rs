//! Frames are counted before they are understood: of what is in fragments, or empty, no message comes that could be
//! counted.

use std::io::{self, ErrorKind, Read, Write};
use std::time::Instant;

use crate::io::TurnIo;
use crate::rate_window::RateWindow;

/// The longest header of a frame: two bytes, a length of eight, a mask of four (RFC 6455 §5.2).
const MAX_HEADER_BYTES: usize = 14;

/// Where in the stream of frames the reader is.
#[derive(Debug, Default)]
pub(super) struct Frames {
    header: [u8; MAX_HEADER_BYTES],
    /// Bytes of the header that have come.
    seen: usize,
    /// Bytes of the payload that are to come.
    payload: u64,
}

impl Frames {
    /// How many frames begin in these bytes.
    pub(super) fn count(&mut self, mut bytes: &[u8]) -> u32 {
        let mut frames = 0;
        while let Some((&byte, rest)) = bytes.split_first() {
            if self.payload > 0 {
                let left = usize::try_from(self.payload).unwrap_or(usize::MAX);
                let step = left.min(bytes.len());
                self.payload -= step as u64;
                bytes = bytes.get(step..).unwrap_or_default();
                continue;
            }
            frames += u32::from(self.seen == 0);
            if let Some(slot) = self.header.get_mut(self.seen) {
                *slot = byte;
            }
            self.seen += 1;
            bytes = rest;
            if self.seen >= self.header_bytes() {
                self.payload = self.payload_bytes();
                self.seen = 0;
            }
        }
        frames
    }

    fn header_bytes(&self) -> usize {
        if self.seen < 2 {
            return 2;
        }
        let mask = if self.header[1] & 0x80 == 0 { 0 } else { 4 };
        mask + match self.header[1] & 0x7f {
            126 => 4,
            127 => 10,
            _ => 2,
        }
    }

    fn payload_bytes(&self) -> u64 {
        let [_, short, a, b, c, d, e, f, g, h, ..] = self.header;
        match short & 0x7f {
            126 => u64::from(u16::from_be_bytes([a, b])),
            127 => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            short => u64::from(short),
        }
    }
}

/// A connection's stream whose frames are counted as they are read. Past the limit it looks empty.
pub(super) struct Counted<'a, 'b> {
    pub(super) io: &'a mut TurnIo<'b>,
    pub(super) frames: &'a mut Frames,
    pub(super) window: &'a mut RateWindow,
    pub(super) now: Instant,
    /// There were too many.
    pub(super) over: bool,
}

impl Read for Counted<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.over {
            return Err(ErrorKind::WouldBlock.into());
        }
        let length = self.io.read(into)?;
        let frames = self.frames.count(into.get(..length).unwrap_or_default());
        self.over = !self.window.count(frames, self.now);
        Ok(length)
    }
}

impl Write for Counted<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.io.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.io.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_however_they_are_cut() {
        let mut stream = Vec::new();
        // Empty, unmasked and masked; short; with a length of two bytes and of eight.
        stream.extend_from_slice(&[0x81, 0x00]);
        stream.extend_from_slice(&[0x00, 0x80, 1, 2, 3, 4]);
        stream.extend_from_slice(&[0x81, 0x83, 1, 2, 3, 4, b'a', b'b', b'c']);
        stream.extend_from_slice(&[0x82, 0xfe, 0x01, 0x00, 1, 2, 3, 4]);
        stream.resize(stream.len() + 256, 0x81);
        stream.extend_from_slice(&[0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4]);
        stream.resize(stream.len() + 65_536, 0x81);
        stream.extend_from_slice(&[0x89, 0x80, 1, 2, 3, 4]);
        for step in [1, 2, 3, 5, 7, 100, stream.len()] {
            let mut frames = Frames::default();
            let count: u32 = stream.chunks(step).map(|piece| frames.count(piece)).sum();
            assert_eq!(count, 6, "{step}");
        }
    }
}
