//! MP4 files with H264 pictures and AAC or Opus sound.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use visavis::video::{FrameSize, PixelFormat};
use visavis_codec::{Decoded, H264Decoder, to_engine_colors};
use visavis_types::I420Buffer;

use super::audio::Decoder;
use super::boxes::Header;
use super::clip::{AudioInfo, Clip, OpenError, VideoInfo, Wanted, broken, unreadable};
use super::movie::{AudioConfig, AudioTrack, Movie, Sample, Track, Unusable, VideoTrack};
use crate::{Picture, Pool, SourceError};

/// A description of more than this is no description.
const MAX_MOOV_BYTES: u64 = 256 << 20;
/// A single sample of more than this is a broken table.
const MAX_SAMPLE_BYTES: u32 = 64 << 20;
/// Access units given to the decoder before it is concluded that it cannot decode this file.
const PATIENCE: usize = 40;

/// An MP4 file, decoded picture by picture and packet by packet.
pub(super) struct Mp4Clip {
    file: Samples,
    info: VideoInfo,
    pictures: Pictures,
    sound: Option<Sound>,
}

/// The file, and a buffer for one sample of it.
struct Samples {
    file: File,
    path: PathBuf,
    buffer: Vec<u8>,
}

impl Samples {
    fn read(&mut self, sample: &Sample) -> Result<&[u8], SourceError> {
        if sample.bytes > MAX_SAMPLE_BYTES {
            return Err(broken(&self.path, "its sample table is broken"));
        }
        self.buffer.resize(sample.bytes as usize, 0);
        self.file.read_exact_at(&mut self.buffer, sample.offset).map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => broken(&self.path, "the file ends too early"),
            _ => unreadable(&self.path, e),
        })?;
        Ok(&self.buffer)
    }
}

/// Where a track's samples are on the clock of the presentation, in nanoseconds.
struct Timeline {
    timescale: i128,
    start: i64,
    delay_ns: i128,
    end_ns: i128,
}

impl Timeline {
    /// `start`: the tick that is shown first if there is no edit list.
    fn new(track: &Track, start: i64) -> Self {
        let delay_ns = i128::from(track.edit.delay_ns);
        Self {
            timescale: i128::from(track.timescale),
            start: track.edit.start.unwrap_or(start),
            delay_ns,
            end_ns: track.edit.length_ns.map_or(i128::MAX, |length| delay_ns + i128::from(length)),
        }
    }

    fn at(&self, pts: i64) -> i128 {
        let ticks = i128::from(pts) - i128::from(self.start);
        (ticks * 1_000_000_000).div_euclid(self.timescale) + self.delay_ns
    }
}

struct Pictures {
    track: VideoTrack,
    timeline: Timeline,
    /// Added to every time passed to the decoder, which accepts none below zero.
    bias_ns: i128,
    decoder: H264Decoder,
    decoded: I420Buffer,
    annex_b: Vec<u8>,
    next: usize,
    /// A picture decoded while the file was opened.
    first: Option<Picture>,
    end: Duration,
}

struct Sound {
    track: AudioTrack,
    timeline: Timeline,
    info: AudioInfo,
    decoder: Decoder,
    decoded: Vec<i16>,
    next: usize,
    /// Sample frames given out this round.
    given: i128,
}

impl Mp4Clip {
    /// Reads the description and decodes the first picture.
    pub(super) fn open(path: &Path, wanted: Wanted) -> Result<Self, OpenError> {
        let file = File::open(path).map_err(|e| unreadable(path, e))?;
        let moov = read_moov(&file, path)?;
        let movie = Movie::parse(&moov, wanted).map_err(|unusable| match unusable {
            Unusable::Unsupported(reason) => OpenError::Unsupported(reason),
            Unusable::Broken(reason) => broken(path, reason).into(),
        })?;
        let sound = movie.audio.map(Sound::new).transpose().map_err(OpenError::Unsupported)?;
        let mut file = Samples { file, path: path.to_owned(), buffer: Vec::new() };
        let mut pictures = Pictures::new(movie.video, path)?;
        pictures.first = pictures.probe(&mut file)?;
        let Some(first) = &pictures.first else {
            return Err(broken(path, "it has no pictures").into());
        };
        let (width, height) = (first.width, first.height);
        let info = VideoInfo { width, height, fps: average_rate(&pictures.track.track) };
        Ok(Self { file, info, pictures, sound })
    }
}

/// Pictures a second over the whole track.
fn average_rate(track: &Track) -> f64 {
    let ticks: u64 = track.samples.iter().map(|s| u64::from(s.duration)).sum();
    if ticks == 0 {
        return 30.0;
    }
    track.samples.len() as f64 * f64::from(track.timescale) / ticks as f64
}

/// Walks over the boxes of the file to the one that describes it.
fn read_moov(file: &File, path: &Path) -> Result<Vec<u8>, SourceError> {
    let length = file.metadata().map_err(|e| unreadable(path, e))?.len();
    let mut at = 0u64;
    while at < length {
        let mut head = [0; 16];
        let there = (length - at).min(16) as usize;
        let head = head.get_mut(..there).unwrap_or_default();
        file.read_exact_at(head, at).map_err(|e| unreadable(path, e))?;
        let damaged = || broken(path, "the MP4 file is cut off or damaged");
        let header = Header::parse(head).ok_or_else(damaged)?;
        let bytes = header.box_bytes.unwrap_or(length - at);
        let end = at.checked_add(bytes).filter(|&end| end <= length).ok_or_else(damaged)?;
        match &header.kind {
            b"moov" if bytes <= MAX_MOOV_BYTES => {
                let mut body = vec![0; (bytes - header.header_bytes) as usize];
                file.read_exact_at(&mut body, at + header.header_bytes)
                    .map_err(|e| unreadable(path, e))?;
                return Ok(body);
            }
            b"moov" => return Err(damaged()),
            _ => at = end,
        }
    }
    Err(broken(path, "the MP4 file has no description (moov); was its recording cut off?"))
}

impl Pictures {
    fn new(track: VideoTrack, path: &Path) -> Result<Self, SourceError> {
        let pts = || track.track.samples.iter().map(|s| s.pts);
        let Some(earliest) = pts().min() else {
            return Err(broken(path, "it has no pictures"));
        };
        let timeline = Timeline::new(&track.track, earliest);
        let bias_ns = (-timeline.at(earliest)).max(0);
        let small = FrameSize::new(FrameSize::MIN_SIDE, FrameSize::MIN_SIDE)
            .map_err(|e| broken(path, e.to_string()))?;
        Ok(Self {
            decoder: H264Decoder::new().map_err(|e| broken(path, e.to_string()))?,
            decoded: I420Buffer::new(small),
            annex_b: Vec::new(),
            next: 0,
            first: None,
            end: Duration::ZERO,
            track,
            timeline,
            bias_ns,
        })
    }

    /// Decodes up to the first picture. If that fails, ffmpeg may be able to decode the file.
    fn probe(&mut self, file: &mut Samples) -> Result<Option<Picture>, OpenError> {
        let pool = Pool::new(1);
        let last = self.track.track.samples.len().min(PATIENCE);
        while self.next < last {
            match self.step(file, &pool)? {
                Step::Picture(picture) => return Ok(Some(picture)),
                Step::Nothing => {}
                Step::Undecodable(reason) => {
                    return Err(OpenError::Unsupported(format!("has H264 video ({reason})")));
                }
            }
        }
        self.drain(file, &pool).map_err(OpenError::Failed)
    }

    /// Gives the decoder the next access unit.
    fn step(&mut self, file: &mut Samples, pool: &Pool) -> Result<Step, SourceError> {
        let Some(sample) = self.track.track.samples.get(self.next).copied() else {
            return Ok(Step::Nothing);
        };
        self.next += 1;
        let data = file.read(&sample)?;
        self.annex_b.clear();
        if sample.sync {
            self.annex_b.extend(self.track.avc.parameter_sets());
        }
        if self.track.avc.append_annex_b(data, &mut self.annex_b).is_err() {
            return Ok(Step::Undecodable("a damaged NAL unit".to_owned()));
        }
        let pts = self.timeline.at(sample.pts) + self.bias_ns;
        let length = self.timeline.at(sample.pts + i64::from(sample.duration)) + self.bias_ns - pts;
        let end = nanos(pts + length - self.bias_ns).min(nanos(self.timeline.end_ns));
        self.end = self.end.max(end);
        match self.decoder.decode(&self.annex_b, nanos(pts), &mut self.decoded) {
            Ok(Some(decoded)) => Ok(self.shown(decoded, pool).map_or(Step::Nothing, Step::Picture)),
            Ok(None) => Ok(Step::Nothing),
            Err(error) => Ok(Step::Undecodable(error.to_string())),
        }
    }

    /// What the decoder still holds at the end of the file.
    fn drain(&mut self, file: &Samples, pool: &Pool) -> Result<Option<Picture>, SourceError> {
        loop {
            match self.decoder.flush(&mut self.decoded) {
                Ok(Some(decoded)) => {
                    if let Some(picture) = self.shown(decoded, pool) {
                        return Ok(Some(picture));
                    }
                }
                Ok(None) => return Ok(None),
                Err(error) => return Err(broken(&file.path, error.to_string())),
            }
        }
    }

    /// A copy of the decoded picture, if the edit list shows it at all.
    fn shown(&mut self, decoded: Decoded, pool: &Pool) -> Option<Picture> {
        let pts = decoded.pts.as_nanos() as i128 - self.bias_ns;
        if pts < self.timeline.delay_ns || pts >= self.timeline.end_ns {
            return None;
        }
        let colors = self.decoder.colors().or(self.track.colors);
        to_engine_colors(&mut self.decoded, colors);
        let mut data = pool.take(self.decoded.data().len());
        data.copy_from_slice(self.decoded.data());
        let (width, height) = (decoded.size.width(), decoded.size.height());
        Some(Picture { pts: nanos(pts), width, height, format: PixelFormat::I420, data })
    }
}

enum Step {
    Picture(Picture),
    Nothing,
    Undecodable(String),
}

fn nanos(value: i128) -> Duration {
    Duration::from_nanos(u64::try_from(value.max(0)).unwrap_or(u64::MAX))
}

impl Sound {
    fn new(track: AudioTrack) -> Result<Self, String> {
        let (decoder, info) = Decoder::new(&track.codec)?;
        let start = match track.codec {
            AudioConfig::Opus { pre_skip, .. } => {
                i64::from(pre_skip) * i64::from(track.track.timescale) / 48_000
            }
            AudioConfig::Aac(_) => 0,
        };
        let timeline = Timeline::new(&track.track, start);
        Ok(Self { timeline, decoder, info, decoded: Vec::new(), next: 0, given: 0, track })
    }

    /// A moment of the presentation in sample frames, rounded.
    fn frames(&self, nanos: i128) -> i128 {
        nanos
            .saturating_mul(i128::from(self.info.rate_hz))
            .saturating_add(500_000_000)
            .div_euclid(1_000_000_000)
    }

    /// Decodes one packet and appends the part of it that is played. Each packet has its own position, which covers
    /// priming, delays and gaps.
    fn step(&mut self, file: &mut Samples, out: &mut Vec<i16>) -> Result<bool, SourceError> {
        let Some(sample) = self.track.track.samples.get(self.next).copied() else {
            return Ok(false);
        };
        self.next += 1;
        let end = self.frames(self.timeline.end_ns);
        if self.given >= end {
            return Ok(false);
        }
        if let Err(reason) = self.decoder.decode(file.read(&sample)?, &mut self.decoded) {
            // What is missing is filled with silence when the next packet comes.
            tracing::debug!(reason, "a packet of sound cannot be decoded");
            return Ok(true);
        }
        let channels = usize::from(self.info.channels);
        let mut place = self.frames(self.timeline.at(sample.pts));
        // Coarse time scales round; that is no gap.
        if (place - self.given).abs() <= i128::from(self.info.rate_hz) / 500 && self.given > 0 {
            place = self.given;
        }
        let decoded = (self.decoded.len() / channels) as i128;
        let from = (self.given - place).clamp(0, decoded);
        let to = (end - place).clamp(from, decoded);
        if to > from {
            let silence = (place + from - self.given).clamp(0, self.frames(60_000_000_000));
            out.resize(out.len() + silence as usize * channels, 0);
            let heard = from as usize * channels..to as usize * channels;
            out.extend_from_slice(self.decoded.get(heard).unwrap_or_default());
            self.given += silence + to - from;
        }
        Ok(true)
    }
}

impl Clip for Mp4Clip {
    fn video(&self) -> VideoInfo {
        self.info
    }

    fn audio(&self) -> Option<AudioInfo> {
        self.sound.as_ref().map(|s| s.info)
    }

    fn picture(&mut self, pool: &Pool) -> Result<Option<Picture>, SourceError> {
        let pictures = &mut self.pictures;
        if let Some(first) = pictures.first.take() {
            return Ok(Some(first));
        }
        while pictures.next < pictures.track.track.samples.len() {
            match pictures.step(&mut self.file, pool)? {
                Step::Picture(picture) => return Ok(Some(picture)),
                Step::Nothing => {}
                Step::Undecodable(reason) => {
                    tracing::debug!(reason, "a picture cannot be decoded");
                }
            }
        }
        pictures.drain(&self.file, pool)
    }

    fn sound(&mut self, out: &mut Vec<i16>) -> Result<bool, SourceError> {
        match &mut self.sound {
            Some(sound) => sound.step(&mut self.file, out),
            None => Ok(false),
        }
    }

    fn video_end(&self) -> Duration {
        self.pictures.end
    }

    fn rewind(&mut self) -> Result<(), SourceError> {
        self.pictures.next = 0;
        if let Some(sound) = &mut self.sound {
            let fresh = Decoder::new(&sound.track.codec);
            (sound.decoder, _) = fresh.map_err(|reason| broken(&self.file.path, reason))?;
            (sound.next, sound.given) = (0, 0);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edit_list_moves_and_cuts() {
        use super::super::movie::Edit;
        let edit =
            Edit { delay_ns: 500_000_000, start: Some(1_024), length_ns: Some(1_000_000_000) };
        let track = Track { timescale: 12_800, samples: Vec::new(), edit };
        let timeline = Timeline::new(&track, 0);
        assert_eq!(timeline.at(1_024), 500_000_000);
        assert_eq!(timeline.at(0), 420_000_000);
        assert_eq!(timeline.end_ns, 1_500_000_000);
    }
}
