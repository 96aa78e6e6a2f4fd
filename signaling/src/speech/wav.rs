//! WAV (RIFF WAVE), read as it arrives. Libraries for files need the length in the header, which a program that writes
//! to a pipe does not have.
//!
//! Speech that is made sentence by sentence often comes as one file behind the other: all of them are
//! played.

use std::io::{self, Read};

use super::samples::{DecodeError, Layout, PIECES_A_SECOND, Sound, check, fill, skip};

/// Tags of a `fmt ` chunk.
const PCM: u16 = 1;
const FLOAT: u16 = 3;
const EXTENSIBLE: u16 = 0xfffe;

/// A `fmt ` chunk is 16, 18 or 40 bytes long.
const MAX_FORMAT_BYTES: u32 = 1_024;

/// Programs that write to a pipe put 0, the largest number, or one just below 2 GiB there (sox, espeak-ng).
const OPEN_BYTES: u32 = 0x7fff_0000;

/// `RIFF`, a length, and `WAVE`.
const RIFF_BYTES: usize = 12;

/// Reads one file behind the other.
pub(crate) struct WavReader<R> {
    bytes: Again<R>,
    /// `None` between two files.
    data: Option<Data>,
    /// Nothing was read yet.
    first: bool,
}

/// The samples of a file.
struct Data {
    sound: Sound,
    layout: Layout,
    /// Bytes that are still to come; `None`: up to the end, or to the next file.
    left: Option<u64>,
    /// Whether the length was odd, so that a padding byte follows.
    padded: bool,
}

/// Bytes that were read too far, and those behind them.
struct Again<R> {
    ahead: Vec<u8>,
    bytes: R,
}

impl<R: Read> Read for Again<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.ahead.is_empty() {
            return self.bytes.read(room);
        }
        let count = self.ahead.len().min(room.len());
        for (place, byte) in room.iter_mut().zip(self.ahead.drain(..count)) {
            *place = byte;
        }
        Ok(count)
    }
}

impl<R> Again<R> {
    /// Has bytes read once more.
    fn put_back(&mut self, bytes: &[u8]) {
        self.ahead.splice(..0, bytes.iter().copied());
    }
}

impl<R: Read> WavReader<R> {
    pub(crate) fn new(bytes: R) -> Self {
        Self { bytes: Again { ahead: Vec::new(), bytes }, data: None, first: true }
    }

    pub(crate) fn next(&mut self, samples: &mut Vec<i16>) -> Result<Option<Sound>, DecodeError> {
        loop {
            let Some(data) = &mut self.data else {
                if !std::mem::take(&mut self.first) && !self.find_next()? {
                    return Ok(None);
                }
                self.data = Some(open(&mut self.bytes)?);
                continue;
            };
            let (sound, layout) = (data.sound, data.layout);
            let (piece, ended) = data.read(&mut self.bytes)?;
            if ended {
                self.data = None;
            }
            // What is no whole frame is the torn end of a file.
            let frame = layout.bytes() * usize::from(sound.channels);
            let whole = piece.get(..piece.len() - piece.len() % frame).unwrap_or_default();
            samples.extend(whole.chunks_exact(layout.bytes()).map(|bytes| layout.sample(bytes)));
            if !samples.is_empty() {
                return Ok(Some(sound));
            }
        }
    }

    /// Reads past what may follow the samples of a file; whether there is another file.
    fn find_next(&mut self) -> io::Result<bool> {
        loop {
            let mut head = [0; 8];
            let length = fill(&mut self.bytes, &mut head)?;
            let [a, b, c, d, size @ ..] = head;
            if length < head.len() {
                return Ok(false);
            }
            if &[a, b, c, d] == b"RIFF" {
                self.bytes.put_back(&head);
                return Ok(true);
            }
            skip(&mut self.bytes, padded(u32::from_le_bytes(size)))?;
        }
    }
}

impl Data {
    /// The next piece, and whether it is the last.
    fn read<R: Read>(&mut self, bytes: &mut Again<R>) -> io::Result<(Vec<u8>, bool)> {
        let Sound { sample_rate, channels } = self.sound;
        let frame = self.layout.bytes() * usize::from(channels);
        let whole = (sample_rate / PIECES_A_SECOND).max(1) as usize * frame;
        let Some(left) = &mut self.left else { return read_open(bytes, whole, frame) };
        let wanted = whole.min(usize::try_from(*left).unwrap_or(usize::MAX));
        let mut piece = vec![0; wanted];
        let length = fill(bytes, &mut piece)?;
        piece.truncate(length);
        *left -= length as u64;
        let ended = *left == 0 || length < wanted;
        if ended && self.padded {
            // Not every program fills up.
            let mut one = [0];
            if fill(bytes, &mut one)? == 1 && one == *b"R" {
                bytes.put_back(&one);
            }
        }
        Ok((piece, ended))
    }
}

/// Samples up to the end, or to where the next file begins.
fn read_open<R: Read>(
    bytes: &mut Again<R>,
    whole: usize,
    frame: usize,
) -> io::Result<(Vec<u8>, bool)> {
    let mut piece = vec![0; whole + RIFF_BYTES];
    let length = fill(bytes, &mut piece)?;
    let ended = length < piece.len();
    piece.truncate(length);
    let is_riff = |window: &[u8]| window.starts_with(b"RIFF") && window.ends_with(b"WAVE");
    if let Some(at) = piece.windows(RIFF_BYTES).position(is_riff) {
        bytes.put_back(piece.get(at..).unwrap_or_default());
        piece.truncate(at);
        return Ok((piece, true));
    }
    if !ended {
        // What is left may be the beginning of the next file's.
        let keep = whole - whole % frame;
        bytes.put_back(piece.get(keep..).unwrap_or_default());
        piece.truncate(keep);
    }
    Ok((piece, ended))
}

/// Reads up to where the samples begin.
fn open(bytes: &mut impl Read) -> Result<Data, DecodeError> {
    let mut riff = [0; RIFF_BYTES];
    exact(bytes, &mut riff)?;
    if &riff[..4] != b"RIFF" || &riff[8..] != b"WAVE" {
        return Err(DecodeError::unusable("invalid WAV: it does not begin with RIFF … WAVE"));
    }
    let mut format = None;
    loop {
        let mut head = [0; 8];
        exact(bytes, &mut head)?;
        let [a, b, c, d, size @ ..] = head;
        let size = u32::from_le_bytes(size);
        match &[a, b, c, d] {
            b"fmt " => format = Some(read_format(bytes, size)?),
            b"data" => {
                let (sound, layout) =
                    format.ok_or_else(|| DecodeError::unusable("invalid WAV: it has no format"))?;
                // What is written to a pipe has no length yet.
                let left = (size != 0 && size < OPEN_BYTES).then_some(u64::from(size));
                return Ok(Data { sound, layout, left, padded: size % 2 == 1 });
            }
            _ => skip(bytes, padded(size))?,
        }
    }
}

fn read_format(bytes: &mut impl Read, size: u32) -> Result<(Sound, Layout), DecodeError> {
    if !(16..=MAX_FORMAT_BYTES).contains(&size) {
        return Err(DecodeError::unusable(format!("invalid WAV: its format takes {size} bytes")));
    }
    let mut format = vec![0; padded(size) as usize];
    exact(bytes, &mut format)?;
    let field = |at: usize| match format.get(at..at + 2) {
        Some(&[low, high]) => u16::from_le_bytes([low, high]),
        _ => 0,
    };
    let (channels, align, bits) = (field(2), field(12), field(14));
    let sample_rate = u32::from(field(4)) | u32::from(field(6)) << 16;
    // The extended one has its tag at the beginning of a longer name.
    let tag = if field(0) == EXTENSIBLE { field(24) } else { field(0) };
    let layout = match (tag, bits) {
        (PCM, 8) => Layout::U8,
        (PCM, 16) => Layout::S16Le,
        (PCM, 24) => Layout::S24Le,
        (PCM, 32) => Layout::S32Le,
        (FLOAT, 32) => Layout::F32Le,
        _ => {
            let why = format!("a WAV of {bits}-bit samples of kind {tag}; PCM and float are read");
            return Err(DecodeError::unusable(why));
        }
    };
    let sound = check(Sound { sample_rate, channels })?;
    if usize::from(align) != layout.bytes() * usize::from(channels) {
        return Err(DecodeError::unusable("invalid WAV: its block size does not fit its samples"));
    }
    Ok((sound, layout))
}

/// Chunks begin at even places.
fn padded(size: u32) -> u64 {
    u64::from(size) + u64::from(size % 2)
}

fn exact(bytes: &mut impl Read, room: &mut [u8]) -> Result<(), DecodeError> {
    if fill(bytes, room)? == room.len() {
        return Ok(());
    }
    Err(DecodeError::unusable("invalid WAV: it ends before its samples begin"))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::speech::decode::Decoder;
    use crate::speech::format::SpeechFormat;
    use crate::speech::samples::tests::Dripping;

    fn wav(spec: hound::WavSpec, samples: &[i16]) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
        for &sample in samples {
            match (spec.sample_format, spec.bits_per_sample) {
                (hound::SampleFormat::Float, _) => {
                    writer.write_sample(f32::from(sample) / 32_767.0).unwrap();
                }
                (_, 8) => writer.write_sample((sample >> 8) as i8).unwrap(),
                (_, bits) => writer.write_sample(i32::from(sample) << (bits - 16)).unwrap(),
            }
        }
        writer.finalize().unwrap();
        file.into_inner()
    }

    fn spec(bits_per_sample: u16, channels: u16) -> hound::WavSpec {
        let sample_format = hound::SampleFormat::Int;
        hound::WavSpec { channels, sample_rate: 24_000, bits_per_sample, sample_format }
    }

    fn read(bytes: &[u8]) -> Result<(Option<Sound>, Vec<i16>), DecodeError> {
        let mut decoder = Decoder::new(bytes, SpeechFormat::Wav);
        let (mut first, mut piece, mut all) = (None, Vec::new(), Vec::new());
        while let Some(sound) = decoder.next(&mut piece)? {
            first.get_or_insert(sound);
            all.extend_from_slice(&piece);
        }
        Ok((first, all))
    }

    #[test]
    fn what_hound_writes_is_read() {
        let samples: Vec<i16> = (0..3_000).map(|i| (i * 11 % 30_000 - 15_000) as i16).collect();
        let float = hound::WavSpec { sample_format: hound::SampleFormat::Float, ..spec(32, 1) };
        for spec in [spec(8, 1), spec(16, 1), spec(16, 2), spec(24, 2), spec(32, 1), float] {
            let (sound, read) = read(&wav(spec, &samples)).unwrap();
            assert_eq!(sound, Some(Sound { sample_rate: 24_000, channels: spec.channels }));
            let tolerance = if spec.bits_per_sample == 8 { 256 } else { 1 };
            assert_eq!(read.len(), samples.len(), "{spec:?}");
            let off = read.iter().zip(&samples).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(off.unwrap() <= tolerance, "{spec:?}: off by {off:?}");
        }
    }

    #[test]
    fn a_length_that_is_not_known_and_chunks_that_do_not_matter_are_no_hindrance() {
        let plain = wav(spec(16, 1), &[1, 2, 3]);
        assert_eq!(&plain[36..40], b"data");
        for length in [0_u32, u32::MAX] {
            let mut piped = plain.clone();
            piped[40..44].copy_from_slice(&length.to_le_bytes());
            assert_eq!(read(&piped).unwrap().1, [1, 2, 3]);
        }
        let mut tagged = plain[..12].to_vec();
        tagged.extend_from_slice(b"LIST\x03\0\0\0abc\0");
        tagged.extend_from_slice(&plain[12..]);
        tagged.extend_from_slice(b"id3 \x02\0\0\0zz");
        assert_eq!(read(&tagged).unwrap().1, [1, 2, 3]);
        assert_eq!(read(&plain[..plain.len() - 1]).unwrap().1, [1, 2], "torn");
    }

    #[test]
    fn files_one_behind_the_other_are_all_read() {
        let ramp = |from: i16| (from..from + 1_500).collect::<Vec<i16>>();
        let (one, two, three) = (ramp(0), ramp(5_000), ramp(9_000));
        let expected = [&one[..], &two, &three].concat();
        let files = [&one, &two, &three].map(|samples| wav(spec(16, 1), samples));
        for length in [None, Some(0_u32), Some(u32::MAX), Some(0x7fff_f000)] {
            let mut body = Vec::new();
            for file in &files {
                let mut file = file.clone();
                if let Some(length) = length {
                    file[40..44].copy_from_slice(&length.to_le_bytes());
                } else {
                    file.extend_from_slice(b"LIST\x04\0\0\0abcd");
                }
                body.extend(file);
            }
            assert_eq!(read(&body).unwrap().1, expected, "{length:?}");
            let mut dripped = Vec::new();
            let mut reader = WavReader::new(Dripping(&body));
            let mut piece = Vec::new();
            while reader.next(&mut piece).unwrap().is_some() {
                dripped.append(&mut piece);
            }
            assert_eq!(dripped, expected, "{length:?} byte by byte");
        }
        // Of other kinds, with an odd number of bytes, filled up and not, and one without samples.
        let stereo = wav(spec(16, 2), &[7, 8]);
        let mut eight = wav(spec(8, 1), &[256, 512, 768]);
        eight.truncate(47);
        let mut filled = eight.clone();
        filled.push(0);
        let empty = wav(spec(16, 1), &[]);
        for odd in [eight, filled] {
            let body = [&odd[..], &stereo, &empty, &stereo].concat();
            let (mut reader, mut piece, mut sounds) =
                (WavReader::new(&body[..]), Vec::new(), Vec::new());
            while let Some(sound) = reader.next(&mut piece).unwrap() {
                sounds.push((sound.channels, piece.clone()));
                piece.clear();
            }
            let both = (2, vec![7, 8]);
            assert_eq!(sounds, [(1, vec![256, 512, 768]), both.clone(), both]);
        }
        // What follows is no sound, and is left out.
        let tail = [&files[0][..], b"some text behind it"].concat();
        assert_eq!(read(&tail).unwrap().1, one);
    }

    #[test]
    fn what_is_no_wav_is_refused() {
        let good = wav(spec(16, 1), &[1]);
        let with = |at: usize, bytes: &[u8]| {
            let mut broken = good.clone();
            broken[at..at + bytes.len()].copy_from_slice(bytes);
            broken
        };
        for (bytes, why) in [
            (Vec::new(), "ends before"),
            (b"ID3\x04\0\0\0\0\0\0\0\0\0\0".to_vec(), "RIFF … WAVE"),
            (good[..20].to_vec(), "ends before"),
            (with(16, &[4, 0, 0, 0]), "takes 4 bytes"),
            (with(16, &[255, 255, 255, 255]), "bytes"),
            (with(20, &[85, 0]), "kind 85"),
            (with(22, &[7, 0]), "channels 7"),
            (with(22, &[0, 0]), "channels 0"),
            (with(24, &[1, 0, 0, 0]), "1 Hz"),
            (with(32, &[0, 0]), "block size"),
            (with(34, &[12, 0]), "12-bit"),
            (with(12, b"LIST"), "no format"),
        ] {
            let error = read(&bytes).unwrap_err().to_string();
            assert!(error.contains(why), "{why}: {error}");
        }
    }
}
