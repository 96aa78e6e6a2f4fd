//! MP3, cut into frames as it arrives and decoded one by one.

use std::io::Read;

use visavis::audio::{Mp3Decoder, Mp3Sound};

use super::samples::{DecodeError, Sound, check, skip};

/// Bytes read at a time.
const READ_BYTES: usize = 4 << 10;

/// So many bytes without a frame are no MP3.
const MAX_GARBAGE_BYTES: usize = 64 << 10;

/// So many frames without sound are no MP3 either: only the first one or two may lack those before them.
const MAX_SILENT_FRAMES: usize = 50;

const HEADER_BYTES: usize = 4;
const TAG_HEADER_BYTES: usize = 10;

/// Reads frames.
pub(crate) struct Mp3Reader<R> {
    bytes: R,
    decoder: Mp3Decoder,
    buffer: Vec<u8>,
    /// How much of the buffer is behind.
    at: usize,
    ended: bool,
    /// Before the first frame.
    beginning: bool,
    garbage: usize,
    silent: usize,
}

/// Where a frame ends, and what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Frame {
    bytes: usize,
    /// Where the main data begins: behind header and side information.
    data: usize,
}

impl<R: Read> Mp3Reader<R> {
    pub(crate) fn new(bytes: R) -> Self {
        Self {
            bytes,
            decoder: Mp3Decoder::default(),
            buffer: Vec::new(),
            at: 0,
            ended: false,
            beginning: true,
            garbage: 0,
            silent: 0,
        }
    }

    pub(crate) fn next(&mut self, samples: &mut Vec<i16>) -> Result<Option<Sound>, DecodeError> {
        if self.beginning {
            self.skip_tag()?;
        }
        while let Some(frame) = self.find_frame()? {
            let bytes = self.buffer.get(self.at..self.at + frame.bytes).unwrap_or_default();
            let first = std::mem::take(&mut self.beginning);
            let sound = match first && is_index(bytes, frame.data) {
                true => None,
                false => self.decoder.decode(bytes, samples).ok(),
            };
            self.at += frame.bytes;
            match sound.filter(|_| !samples.is_empty()) {
                Some(Mp3Sound { sample_rate, channels }) => {
                    self.silent = 0;
                    return check(Sound { sample_rate, channels }).map(Some);
                }
                None if self.silent == MAX_SILENT_FRAMES => {
                    return Err(DecodeError::unusable("invalid MP3: its frames cannot be decoded"));
                }
                None => self.silent += 1,
            }
        }
        match self.beginning {
            true => Err(DecodeError::unusable("invalid MP3: it has no frame")),
            false => Ok(None),
        }
    }

    /// Finds the next frame that is there as a whole; `None` at the end.
    fn find_frame(&mut self) -> Result<Option<Frame>, DecodeError> {
        loop {
            self.want(HEADER_BYTES)?;
            let Some(&[a, b, c, d]) = self.buffer.get(self.at..self.at + HEADER_BYTES) else {
                return Ok(None);
            };
            let found = frame([a, b, c, d]);
            if let Some(frame) = found {
                self.want(frame.bytes + HEADER_BYTES)?;
                let end = self.at + frame.bytes;
                let next = self.buffer.get(end..end + HEADER_BYTES);
                let next = next.and_then(|bytes| bytes.first_chunk());
                // Eleven bits are soon found in anything: where there is more, it has to go on.
                let goes_on = next.is_none_or(|next| frame_follows(*next));
                if end <= self.buffer.len() && goes_on {
                    self.garbage = 0;
                    return Ok(Some(frame));
                }
                if end > self.buffer.len() {
                    return Ok(None); // Torn.
                }
            }
            self.at += 1;
            self.garbage += 1;
            if self.garbage > MAX_GARBAGE_BYTES {
                return Err(DecodeError::unusable(format!(
                    "no MP3 frame in {MAX_GARBAGE_BYTES} bytes"
                )));
            }
        }
    }

    /// Reads until this many bytes are buffered, or to the end.
    fn want(&mut self, count: usize) -> Result<(), DecodeError> {
        while self.buffer.len() - self.at < count && !self.ended {
            self.buffer.drain(..self.at);
            self.at = 0;
            let before = self.buffer.len();
            self.buffer.resize(before + READ_BYTES, 0);
            let room = self.buffer.get_mut(before..).unwrap_or_default();
            let read = self.bytes.read(room);
            self.buffer.truncate(before + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => self.ended = true,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads past an ID3v2 tag (§3.1 of its specification): title, and often a picture of megabytes.
    fn skip_tag(&mut self) -> Result<(), DecodeError> {
        self.want(TAG_HEADER_BYTES)?;
        let Some(&[b'I', b'D', b'3', _, _, flags, a, b, c, d]) =
            self.buffer.get(self.at..self.at + TAG_HEADER_BYTES)
        else {
            return Ok(());
        };
        // Seven bits a byte; a footer is another header.
        let size =
            [a, b, c, d].into_iter().fold(0, |size, byte| size << 7 | u64::from(byte & 0x7f));
        let footer = if flags & 0x10 == 0 { 0 } else { TAG_HEADER_BYTES as u64 };
        let mut left = TAG_HEADER_BYTES as u64 + size + footer;
        let here = left.min((self.buffer.len() - self.at) as u64);
        self.at += here as usize;
        left -= here;
        skip(&mut self.bytes, left)?;
        Ok(())
    }
}

/// Whether what follows a frame is another, or a tag at the end (`TAG`, `APE`, `LYRICS`, `ID3`).
fn frame_follows(next: [u8; HEADER_BYTES]) -> bool {
    frame(next).is_some()
        || [b"TAG", b"APE", b"LYR", b"ID3"].iter().any(|tag| next.starts_with(*tag))
}

/// Reads a header (ISO 11172-3 §2.4.1.3; MPEG-2 and 2.5 have half the samples).
fn frame(header: [u8; HEADER_BYTES]) -> Option<Frame> {
    const KBPS_1: [usize; 14] = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
    const KBPS_2: [usize; 14] = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
    const HZ: [usize; 3] = [44_100, 48_000, 32_000];
    let [sync, version, rates, mode] = header;
    let layer_3 = version & 0x06 == 0x02;
    if sync != 0xff || version & 0xe0 != 0xe0 || !layer_3 {
        return None;
    }
    let (mpeg_1, divisor) = match version >> 3 & 3 {
        3 => (true, 1),
        2 => (false, 2),
        0 => (false, 4),
        _ => return None,
    };
    let table = if mpeg_1 { &KBPS_1 } else { &KBPS_2 };
    let kbps = table.get(usize::from(rates >> 4).checked_sub(1)?)?;
    let hz = HZ.get(usize::from(rates >> 2 & 3))? / divisor;
    let padding = usize::from(rates >> 1 & 1);
    let bytes = if mpeg_1 { 144 } else { 72 } * kbps * 1_000 / hz + padding;
    let mono = mode >> 6 == 3;
    let side = match (mpeg_1, mono) {
        (true, false) => 32,
        (true, true) | (false, false) => 17,
        (false, true) => 9,
    };
    Some(Frame { bytes, data: HEADER_BYTES + side })
}

/// Whether the first frame is an encoder's table of contents, which would play as silence.
fn is_index(frame: &[u8], data: usize) -> bool {
    let at = |place: usize| frame.get(place..place + 4);
    matches!(at(data), Some(b"Xing" | b"Info")) || at(36) == Some(b"VBRI")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::speech::decode::Decoder;
    use crate::speech::format::SpeechFormat;

    /// Two seconds of a tone of 440 Hz, as people have it: with an ID3 tag and an index.
    fn tone(rate: u32, channels: u32) -> Vec<u8> {
        let source = format!("sine=frequency=440:sample_rate={rate}:duration=2");
        let output = Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin", "-f", "lavfi", "-i", &source, "-ac"])
            .args([&channels.to_string(), "-b:a", "64k", "-metadata", "title=tone"])
            .args(["-id3v2_version", "3", "-write_id3v1", "1", "-f", "mp3", "-"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn read(bytes: &[u8]) -> Result<(Vec<Sound>, Vec<i16>), DecodeError> {
        let mut decoder = Decoder::new(bytes, SpeechFormat::Mp3);
        let (mut sounds, mut piece, mut all) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(sound) = decoder.next(&mut piece)? {
            assert!(piece.len() <= 2 * 1_152);
            sounds.push(sound);
            all.extend_from_slice(&piece);
        }
        sounds.dedup();
        Ok((sounds, all))
    }

    #[test]
    fn a_tone_comes_out_frame_by_frame() {
        for (rate, channels) in [(44_100, 2), (48_000, 1), (24_000, 1), (22_050, 2), (8_000, 1)] {
            let file = tone(rate, channels);
            assert!(file.starts_with(b"ID3"));
            let (sounds, samples) = read(&file).unwrap();
            assert_eq!(sounds, [Sound { sample_rate: rate, channels: channels as u16 }]);
            let seconds = samples.len() as f64 / f64::from(rate * channels);
            assert!((1.95..2.25).contains(&seconds), "{seconds} s at {rate} Hz");
            let left: Vec<i16> = samples.into_iter().step_by(channels as usize).collect();
            let middle = &left[rate as usize / 2..rate as usize * 3 / 2];
            let rises = middle.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
            assert!((438..=442).contains(&rises), "{rises} periods in a second at {rate} Hz");
        }
    }

    #[test]
    fn garbage_between_frames_is_skipped_and_a_torn_end_left_out() {
        let file = tone(24_000, 1);
        let whole = read(&file).unwrap().1.len();
        let mut noisy = file.clone();
        noisy.splice(4_096..4_096, [0xff, 0xfb, 0x90, 0, 1, 2, 3]);
        let (_, samples) = read(&noisy).unwrap();
        assert!(samples.len() + 4 * 576 >= whole, "{} of {whole}", samples.len());
        let (_, samples) = read(&file[..file.len() / 2]).unwrap();
        assert!((whole * 4 / 10..whole * 6 / 10).contains(&samples.len()));
    }

    #[test]
    fn what_is_no_mp3_is_refused() {
        let noise: Vec<u8> =
            (0..200_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for bytes in [&b""[..], b"hello", b"RIFF\0\0\0\0WAVE", &[0xff; 100_000], &noise] {
            assert!(matches!(read(bytes), Err(DecodeError::Unusable(_))), "{:?}", bytes.len());
        }
        // Headers, and nothing behind them that could be decoded.
        let empty: Vec<u8> = [0xff, 0xfb, 0x90, 0x00].into_iter().chain([0xee; 413]).collect();
        assert!(matches!(read(&empty.repeat(200)), Err(DecodeError::Unusable(_))));
        let torn_tag = b"ID3\x04\0\0\x7f\x7f\x7f\x7fabc";
        assert!(matches!(read(torn_tag), Err(DecodeError::Unusable(_))));
    }
}
