//! What each viewer gets, and when.

use std::time::{Duration, Instant};

use crate::Error;

/// The largest RTP payload, in bytes: what the server's packetizer makes.
const MAX_PAYLOAD_BYTES: usize = 1_142;

/// Opus is sent in packets of this much sound.
const AUDIO_INTERVAL: Duration = Duration::from_millis(20);

/// One stream of video and sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// Bits per second of video, keyframes included, headers not.
    pub bitrate: u64,
    /// Frames per second.
    pub fps: u32,
    /// Length of a keyframe, in bytes.
    pub keyframe_bytes: usize,
    /// From one keyframe to the next.
    pub keyframe_interval: Duration,
    /// Length of an Opus packet, in bytes; there are 50 a second.
    pub audio_bytes: usize,
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            bitrate: 2_000_000,
            fps: 30,
            keyframe_bytes: 67_000,
            keyframe_interval: Duration::from_secs(2),
            audio_bytes: 120,
        }
    }
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Keyframe,
    Frame,
    Audio,
}

impl Stream {
    /// Refuses what is no stream.
    pub(super) fn check(&self) -> Result<(), Error> {
        let wrong = |text: &str| Err(Error::Floor(text.to_owned()));
        if !(1..=1_000).contains(&self.fps) {
            return wrong("frames per second must be between 1 and 1000");
        }
        if self.frames_per_keyframe() < 2 {
            return wrong("a keyframe interval must hold at least two frames");
        }
        if !(1..=4_000_000).contains(&self.keyframe_bytes) {
            return wrong("a keyframe must have between 1 and 4000000 bytes");
        }
        if !(1..=MAX_PAYLOAD_BYTES).contains(&self.audio_bytes) {
            return wrong("an audio packet must have between 1 and 1142 bytes");
        }
        if !(1..=4_000_000).contains(&self.frame_bytes()) {
            return wrong(
                "the bit rate leaves nothing, or too much, for the frames between keyframes",
            );
        }
        Ok(())
    }

    /// Frames from one keyframe to the next, both not counted twice.
    fn frames_per_keyframe(&self) -> u64 {
        (self.keyframe_interval.as_secs_f64() * f64::from(self.fps)).round() as u64
    }

    /// Length of a frame that is none of the keyframes: they share what the keyframe leaves.
    pub(super) fn frame_bytes(&self) -> usize {
        let bytes = self.bitrate as f64 / 8.0 * self.keyframe_interval.as_secs_f64();
        let others = self.frames_per_keyframe().saturating_sub(1).max(1);
        ((bytes - self.keyframe_bytes as f64).max(0.0) / others as f64) as usize
    }

    /// Lengths of the RTP payloads of what is due: as few as can be, equal but for the last.
    pub(super) fn payloads(&self, due: Due) -> Vec<usize> {
        let bytes = match due {
            Due::Keyframe => self.keyframe_bytes,
            Due::Frame => self.frame_bytes(),
            Due::Audio => self.audio_bytes,
        };
        let pieces = bytes.div_ceil(MAX_PAYLOAD_BYTES).max(1);
        let piece = bytes.div_ceil(pieces);
        (0..pieces).map(|index| piece.min(bytes - index * piece)).collect()
    }

    pub(super) fn schedule(&self, start: Instant) -> Schedule {
        Schedule {
            start,
            fps: f64::from(self.fps),
            frames_per_keyframe: self.frames_per_keyframe(),
            frames: 0,
            audio: 0,
        }
    }
}

/// The stream in order of time, without end.
#[derive(Debug)]
pub(super) struct Schedule {
    start: Instant,
    fps: f64,
    frames_per_keyframe: u64,
    frames: u64,
    audio: u64,
}

impl Schedule {
    pub(super) fn start(&self) -> Instant {
        self.start
    }

    /// The next thing to send, and when.
    pub(super) fn next(&mut self) -> (Instant, Due) {
        let frame = self.frames as f64 / self.fps;
        let audio = AUDIO_INTERVAL.as_secs_f64() * self.audio as f64;
        let (at, due) = if audio < frame {
            self.audio += 1;
            (audio, Due::Audio)
        } else {
            // In the middle of the interval: any whole number of intervals then holds as many
            // keyframes, wherever the measurement begins within the first half.
            let keyframe = self.frames % self.frames_per_keyframe == self.frames_per_keyframe / 2;
            self.frames += 1;
            (frame, if keyframe { Due::Keyframe } else { Due::Frame })
        };
        (self.start + Duration::from_secs_f64(at), due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_the_default_stream_is_two_megabits_and_fifty_opus_packets() {
        let stream = Stream::default();
        stream.check().unwrap();
        let start = Instant::now();
        let mut schedule = stream.schedule(start);
        let (mut video, mut audio, mut keyframes, mut last) = (0, 0, 0, start);
        loop {
            let (at, due) = schedule.next();
            if at >= start + Duration::from_secs(4) {
                break;
            }
            assert!(at >= last);
            last = at;
            let bytes: usize = stream.payloads(due).iter().sum();
            match due {
                Due::Audio => audio += 1,
                Due::Frame => video += bytes,
                Due::Keyframe => {
                    video += bytes;
                    keyframes += 1;
                }
            }
        }
        assert_eq!((audio, keyframes), (200, 2));
        assert!((995_000..=1_000_000).contains(&video), "{video} bytes in four seconds");
    }

    #[test]
    fn payloads_are_equal_but_for_the_last() {
        let stream = Stream::default();
        for due in [Due::Keyframe, Due::Frame, Due::Audio] {
            let payloads = stream.payloads(due);
            let (last, rest) = payloads.split_last().unwrap();
            assert!(rest.iter().all(|len| len == &payloads[0] && len >= last), "{payloads:?}");
            assert!(payloads[0] <= MAX_PAYLOAD_BYTES && *last > 0, "{payloads:?}");
        }
        assert_eq!(stream.payloads(Due::Keyframe).len(), 59);
    }

    #[test]
    fn what_is_no_stream_is_refused() {
        let default = Stream::default;
        for stream in [
            Stream { fps: 0, ..default() },
            Stream { bitrate: 100_000, ..default() },
            Stream { bitrate: u64::MAX, ..default() },
            Stream { keyframe_interval: Duration::ZERO, ..default() },
            Stream { keyframe_bytes: 0, ..default() },
            Stream { audio_bytes: 9_000, ..default() },
        ] {
            assert!(stream.check().is_err(), "{stream:?}");
        }
    }
}
