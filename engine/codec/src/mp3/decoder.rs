use nanomp3_core::{DecodeError, Decoder, MAX_SAMPLES_PER_FRAME};

use super::sound::{Mp3Error, Mp3Sound};

/// Decodes a stream of MP3 frames, chunk by chunk, each of whole frames. A frame may draw on those before
/// it (the bit reservoir), so that one decoder sees all of a stream, and the first frame of a cut-off
/// stream may give nothing.
///
/// Moves between threads, is used by one at a time.
#[derive(Clone)]
pub struct Mp3Decoder {
    /// 22 KiB.
    inner: Box<Decoder>,
}

impl Default for Mp3Decoder {
    fn default() -> Self {
        Self { inner: Box::new(Decoder::new()) }
    }
}

impl std::fmt::Debug for Mp3Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mp3Decoder").finish_non_exhaustive()
    }
}

impl Mp3Decoder {
    /// Decodes a chunk of one or more whole frames and appends its samples, channels interleaved. Tags
    /// and padding around the frames are skipped.
    ///
    /// # Errors
    ///
    /// A chunk without sound. `out` is unchanged then, and decoding can go on with the next chunk.
    pub fn decode(&mut self, data: &[u8], out: &mut Vec<i16>) -> Result<Mp3Sound, Mp3Error> {
        let (before, mut rest) = (out.len(), data);
        let (mut sound, mut damaged) = (None, false);
        let mut samples = [0_i16; MAX_SAMPLES_PER_FRAME];
        while !rest.is_empty() {
            let (consumed, frame) = self.inner.decode(rest, &mut samples);
            let info = match frame {
                Ok(info) | Err(DecodeError::ReservoirUnavailable(info)) => info,
                Err(DecodeError::NoFrame) => break,
                Err(_) => {
                    damaged = true;
                    // One byte at least, whatever the library says: the loop must end.
                    rest = rest.get(consumed.max(1)..).unwrap_or_default();
                    continue;
                }
            };
            let channels = u16::from(info.channels.num());
            let here = Mp3Sound { sample_rate: info.sample_rate, channels };
            let first = *sound.get_or_insert(here);
            if first != here {
                out.truncate(before);
                return Err(Mp3Error::Mixed(first.sample_rate, here.sample_rate));
            }
            let produced = info.samples_produced * usize::from(channels);
            out.extend_from_slice(samples.get(..produced).unwrap_or_default());
            rest = rest.get(consumed.max(1)..).unwrap_or_default();
        }
        match sound {
            Some(sound) => Ok(sound),
            None if damaged => Err(Mp3Error::Corrupt),
            None => Err(Mp3Error::NoFrame(data.len())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// Seconds of a tone of 440 Hz, encoded by ffmpeg (libmp3lame).
    fn tone(seconds: u32, rate: u32, channels: u32) -> Vec<u8> {
        let source = format!("sine=frequency=440:sample_rate={rate}:duration={seconds}");
        let output = Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin", "-f", "lavfi", "-i", &source, "-ac"])
            .args([&channels.to_string(), "-b:a", "64k", "-write_xing", "0", "-id3v2_version", "0"])
            .args(["-f", "mp3", "-"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Where each frame begins: the decoder tells how long the first one is.
    fn frames(data: &[u8]) -> Vec<&[u8]> {
        let (mut frames, mut rest, mut decoder) = (Vec::new(), data, Decoder::new());
        while !rest.is_empty() {
            let (consumed, _) = decoder.decode(rest, &mut [0_i16; MAX_SAMPLES_PER_FRAME]);
            let (frame, tail) = rest.split_at(consumed);
            frames.push(frame);
            rest = tail;
        }
        frames
    }

    #[test]
    fn a_tone_comes_out_at_its_rate_frame_by_frame_or_in_one_go() {
        for (rate, channels) in [(48_000, 1), (44_100, 2), (24_000, 1), (22_050, 2), (16_000, 1)] {
            let data = tone(1, rate, channels);
            let sound = Mp3Sound { sample_rate: rate, channels: channels as u16 };
            let mut whole = Vec::new();
            assert_eq!(Mp3Decoder::default().decode(&data, &mut whole), Ok(sound));
            let (mut pieces, mut decoder) = (Vec::new(), Mp3Decoder::default());
            for frame in frames(&data) {
                assert_eq!(decoder.decode(frame, &mut pieces), Ok(sound));
            }
            assert_eq!(pieces, whole, "{rate} Hz");
            let left: Vec<i16> = whole.into_iter().step_by(channels as usize).collect();
            let middle = &left[rate as usize / 4..rate as usize * 3 / 4];
            let crossings = middle.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
            assert!((218..=222).contains(&crossings), "{crossings} periods in half a second");
        }
    }

    #[test]
    fn what_is_no_mp3_is_refused_and_harms_nothing() {
        let (mut decoder, mut out) = (Mp3Decoder::default(), vec![7]);
        let data = tone(1, 48_000, 1);
        let frame = frames(&data)[3];
        for bad in [&[][..], b"hello", &[0xff; 4_000], &[0; 4_000], &frame[..frame.len() / 2]] {
            assert!(decoder.decode(bad, &mut out).is_err(), "{} bytes", bad.len());
            assert_eq!(out, [7]);
        }
        assert!(decoder.decode(&data, &mut out).is_ok());
        assert!(out.len() > 40_000);
    }
}
