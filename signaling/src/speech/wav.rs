//! WAV (RIFF WAVE), read as it arrives. Of the libraries, those for files want to know the length first,
//! which a program that writes to a pipe cannot tell.

use std::io::Read;

use super::decode::{DecodeError, Layout, SampleReader, Sound, check, fill, skip};

/// Tags of a `fmt ` chunk.
const PCM: u16 = 1;
const FLOAT: u16 = 3;
const EXTENSIBLE: u16 = 0xfffe;

/// A `fmt ` chunk is 16, 18 or 40 bytes long.
const MAX_FORMAT_BYTES: u32 = 1_024;

/// Reads up to where the samples begin.
pub(crate) fn open<R: Read>(mut bytes: R) -> Result<SampleReader<R>, DecodeError> {
    let mut riff = [0; 12];
    exact(&mut bytes, &mut riff)?;
    if &riff[..4] != b"RIFF" || &riff[8..] != b"WAVE" {
        return Err(DecodeError::unusable("this is no WAV: it does not begin with RIFF … WAVE"));
    }
    let mut format = None;
    loop {
        let mut head = [0; 8];
        exact(&mut bytes, &mut head)?;
        let [a, b, c, d, size @ ..] = head;
        let size = u32::from_le_bytes(size);
        match &[a, b, c, d] {
            b"fmt " => format = Some(read_format(&mut bytes, size)?),
            b"data" => {
                let (sound, layout) =
                    format.ok_or_else(|| DecodeError::unusable("a WAV without a format"))?;
                // What is written to a pipe has no length yet.
                let length = (size != 0 && size != u32::MAX).then_some(u64::from(size));
                return Ok(SampleReader::new(bytes, sound, layout, length));
            }
            _ => skip(&mut bytes, padded(size))?,
        }
    }
}

fn read_format(bytes: &mut impl Read, size: u32) -> Result<(Sound, Layout), DecodeError> {
    if !(16..=MAX_FORMAT_BYTES).contains(&size) {
        return Err(DecodeError::unusable(format!("a WAV whose format takes {size} bytes")));
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
        return Err(DecodeError::unusable("a WAV whose block size does not fit its samples"));
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
    Err(DecodeError::unusable("a WAV that ends before its sound begins"))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::speech::decode::Decoder;
    use crate::speech::format::SpeechFormat;

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
    fn what_is_no_wav_is_refused() {
        let good = wav(spec(16, 1), &[1]);
        let with = |at: usize, bytes: &[u8]| {
            let mut broken = good.clone();
            broken[at..at + bytes.len()].copy_from_slice(bytes);
            broken
        };
        for (bytes, why) in [
            (Vec::new(), "ends before"),
            (b"ID3\x04\0\0\0\0\0\0\0\0\0\0".to_vec(), "no WAV"),
            (good[..20].to_vec(), "ends before"),
            (with(16, &[4, 0, 0, 0]), "takes 4 bytes"),
            (with(16, &[255, 255, 255, 255]), "bytes"),
            (with(20, &[85, 0]), "kind 85"),
            (with(22, &[7, 0]), "not 7"),
            (with(22, &[0, 0]), "not 0"),
            (with(24, &[1, 0, 0, 0]), "1 Hz"),
            (with(32, &[0, 0]), "block size"),
            (with(34, &[12, 0]), "12-bit"),
            (with(12, b"LIST"), "without a format"),
        ] {
            let error = read(&bytes).unwrap_err().to_string();
            assert!(error.contains(why), "{why}: {error}");
        }
    }
}
