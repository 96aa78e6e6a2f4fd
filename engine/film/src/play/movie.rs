//! The metadata of an MP4 file: tracks, positions of their samples, presentation times.
//!
//! Fragmented files (`moof`), several edits of one track, pictures to be rotated, encrypted tracks
//! and codecs other than H264, AAC and Opus are named as [`Unsupported`], so that another reader can
//! be tried.

use visavis_bitstream::h264::AvcConfig;
use visavis_codec::StreamColors;

use super::boxes::{Fields, Mp4Box, boxes, child, descendant};
use super::clip::Wanted;

/// A movie: at most one track of pictures and one of sound, the first of each.
#[derive(Debug)]
pub(super) struct Movie {
    pub video: VideoTrack,
    pub audio: Option<AudioTrack>,
}

/// The track of pictures.
#[derive(Debug)]
pub(super) struct VideoTrack {
    pub track: Track,
    pub avc: AvcConfig,
    /// From the file; the stream may have its own.
    pub colors: StreamColors,
}

/// The track of sound.
#[derive(Debug)]
pub(super) struct AudioTrack {
    pub track: Track,
    pub codec: AudioConfig,
}

/// What a decoder of sound needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AudioConfig {
    /// The AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1).
    Aac(Vec<u8>),
    /// Channels, and samples to drop from the start if there is no edit list, in 1/48000 s.
    Opus { channels: u16, pre_skip: u16 },
}

/// Samples and their times. A tick is `1 / timescale` seconds.
#[derive(Debug)]
pub(super) struct Track {
    pub timescale: u32,
    pub samples: Vec<Sample>,
    pub edit: Edit,
}

/// One coded picture or packet of sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    pub offset: u64,
    pub bytes: u32,
    /// When it is shown, in ticks of the media, before the edit.
    pub pts: i64,
    /// In ticks.
    pub duration: u32,
    /// Whether decoding can start here.
    pub sync: bool,
}

/// Which part of a track is shown, and when (ISO/IEC 14496-12 §8.6.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Edit {
    /// Nothing is shown for so long first, in nanoseconds.
    pub delay_ns: u64,
    /// The tick of the media that is shown then; `None` without an edit list.
    pub start: Option<i64>,
    /// For how long, in nanoseconds; `None`: to the end.
    pub length_ns: Option<u64>,
}

/// Why a movie cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unusable {
    /// Another reader may be able to: what it has, as the end of a sentence.
    Unsupported(String),
    /// The file contradicts itself or ends early.
    Broken(String),
}

use Unusable::{Broken, Unsupported};

fn broken(what: &str) -> Unusable {
    Broken(format!("its {what} is missing or broken"))
}

/// More samples than this (a day at 60 fps) is a broken table rather than a movie.
const MAX_SAMPLES: u64 = 6_000_000;

impl Movie {
    /// Reads the inside of a `moov` box.
    ///
    /// # Errors
    ///
    /// See [`Unusable`]. Sound that is not `wanted` is skipped.
    pub(super) fn parse(moov: &[u8], wanted: Wanted) -> Result<Self, Unusable> {
        if child(moov, b"mvex").is_some() {
            return Err(Unsupported("is a fragmented MP4".to_owned()));
        }
        let movie_scale = movie_timescale(moov).ok_or_else(|| broken("movie header"))?;
        let (mut video, mut audio) = (None, None);
        for trak in boxes(moov).filter(|b| &b.kind == b"trak").map(|b| b.body) {
            let handler = descendant(trak, &[b"mdia", b"hdlr"]).and_then(|h| h.get(8..12));
            match handler {
                Some(b"vide") if video.is_none() => video = Some(video_track(trak, movie_scale)?),
                Some(b"soun") if audio.is_none() && wanted == Wanted::All => {
                    audio = Some(audio_track(trak, movie_scale)?)
                }
                _ => {}
            }
        }
        let video = video.ok_or_else(|| Broken("it has no pictures".to_owned()))?;
        Ok(Self { video, audio })
    }
}

fn movie_timescale(moov: &[u8]) -> Option<u32> {
    let mut fields = Fields(child(moov, b"mvhd")?);
    let version = fields.version()?;
    fields.skip(if version == 1 { 16 } else { 8 })?;
    fields.u32().filter(|&scale| scale > 0)
}

fn video_track(trak: &[u8], movie_scale: u32) -> Result<VideoTrack, Unusable> {
    if is_rotated(trak).unwrap_or(false) {
        return Err(Unsupported("has rotated pictures".to_owned()));
    }
    let entry = sample_entry(trak)?;
    if !matches!(&entry.kind, b"avc1" | b"avc3") {
        return Err(Unsupported(format!("has {} video", printable(entry.kind))));
    }
    // What precedes the boxes of a visual sample entry; sizes are in the stream as well.
    let inside = entry.body.get(78..).unwrap_or_default();
    if has_oblong_pixels(inside).unwrap_or(false) {
        return Err(Unsupported("has pixels that are not square".to_owned()));
    }
    let avc = child(inside, b"avcC").and_then(|record| AvcConfig::parse(record).ok());
    let avc = avc.ok_or_else(|| broken("H264 description"))?;
    let colors = colors(inside).unwrap_or_default();
    Ok(VideoTrack { track: track(trak, movie_scale)?, avc, colors })
}

fn audio_track(trak: &[u8], movie_scale: u32) -> Result<AudioTrack, Unusable> {
    let entry = sample_entry(trak)?;
    let codec = audio_config(entry).ok_or_else(|| {
        Unsupported(format!("has sound this program does not decode ({})", printable(entry.kind)))
    })?;
    Ok(AudioTrack { track: track(trak, movie_scale)?, codec })
}

/// The first description of the samples; a track with several changes its codec on the way.
fn sample_entry(trak: &[u8]) -> Result<Mp4Box<'_>, Unusable> {
    let stsd = descendant(trak, &[b"mdia", b"minf", b"stbl", b"stsd"]);
    let mut entries = boxes(stsd.and_then(|s| s.get(8..)).unwrap_or_default());
    let entry = entries.next().ok_or_else(|| broken("sample description"))?;
    match entries.next() {
        Some(_) => Err(Unsupported("changes its codec on the way".to_owned())),
        None => Ok(entry),
    }
}

fn printable(kind: [u8; 4]) -> String {
    kind.iter().map(|&b| if b.is_ascii_graphic() { b as char } else { '?' }).collect()
}

/// Whether the track header's matrix is anything but upright (ISO/IEC 14496-12 §8.3.2).
fn is_rotated(trak: &[u8]) -> Option<bool> {
    let mut fields = Fields(child(trak, b"tkhd")?);
    let version = fields.version()?;
    fields.skip(if version == 1 { 32 } else { 20 } + 16)?;
    let (a, b) = (fields.u32()? as i32, fields.u32()?);
    fields.skip(4)?;
    let (c, d) = (fields.u32()?, fields.u32()? as i32);
    Some(b != 0 || c != 0 || a < 0 || d < 0)
}

/// Whether pixels are wider than high, or the other way round (ISO/IEC 14496-12 §12.1.4).
fn has_oblong_pixels(entry: &[u8]) -> Option<bool> {
    let mut fields = Fields(child(entry, b"pasp")?);
    let (wide, high) = (fields.u32()?, fields.u32()?);
    Some(wide != high && wide > 0 && high > 0)
}

/// The colour information (ISO/IEC 14496-12 §12.1.5); QuickTime's form has no range.
fn colors(entry: &[u8]) -> Option<StreamColors> {
    let mut fields = Fields(child(entry, b"colr")?);
    let kind = fields.take(4)?;
    if kind != b"nclx" && kind != b"nclc" {
        return None;
    }
    fields.skip(4)?;
    let matrix = StreamColors::matrix_of(fields.u16()?);
    let full_range = (kind == b"nclx").then(|| fields.u8().map(|flags| flags & 0x80 != 0));
    Some(StreamColors { matrix, full_range: full_range.flatten() })
}

fn audio_config(entry: Mp4Box<'_>) -> Option<AudioConfig> {
    let mut fields = Fields(entry.body);
    fields.skip(8)?;
    let version = fields.u16()?;
    fields.skip(6)?;
    let channels = fields.u16()?;
    fields.skip(10)?;
    // QuickTime's longer descriptions.
    fields.skip(match version {
        1 => 16,
        2 => 36,
        _ => 0,
    })?;
    match &entry.kind {
        b"mp4a" => {
            let esds =
                child(fields.0, b"esds").or_else(|| descendant(fields.0, &[b"wave", b"esds"]))?;
            aac_config(esds.get(4..)?).map(AudioConfig::Aac)
        }
        b"Opus" => {
            let mut specific = Fields(child(fields.0, b"dOps")?);
            specific.skip(2)?;
            let pre_skip = specific.u16()?;
            // Mapping family 0: mono or stereo, one stream (RFC 7845 §5.1.1.1).
            let family = *specific.0.get(6)?;
            (family == 0 && (1..=2).contains(&channels))
                .then_some(AudioConfig::Opus { channels, pre_skip })
        }
        _ => None,
    }
}

/// Finds the decoder's configuration in the descriptors of an `esds` box (ISO/IEC 14496-1 §7.2.6),
/// if the codec is AAC.
fn aac_config(descriptors: &[u8]) -> Option<Vec<u8>> {
    const ES: u8 = 3;
    const DECODER: u8 = 4;
    const SPECIFIC: u8 = 5;
    const AAC: [u8; 2] = [0x40, 0x67];
    let mut fields = Fields(descriptors);
    while !fields.0.is_empty() {
        let tag = fields.u8()?;
        let mut length = 0usize;
        for _ in 0..4 {
            let byte = fields.u8()?;
            length = length << 7 | usize::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                break;
            }
        }
        match tag {
            ES => {
                fields.skip(2)?;
                let flags = fields.u8()?;
                if flags & 0x80 != 0 {
                    fields.skip(2)?;
                }
                if flags & 0x40 != 0 {
                    let url = fields.u8()?;
                    fields.skip(url.into())?;
                }
                if flags & 0x20 != 0 {
                    fields.skip(2)?;
                }
            }
            DECODER => {
                if !AAC.contains(&fields.u8()?) {
                    return None;
                }
                fields.skip(12)?;
            }
            SPECIFIC => return fields.take(length).map(<[u8]>::to_vec),
            _ => fields.skip(length)?,
        }
    }
    None
}

fn track(trak: &[u8], movie_scale: u32) -> Result<Track, Unusable> {
    let timescale = media_timescale(trak).ok_or_else(|| broken("media header"))?;
    let stbl = descendant(trak, &[b"mdia", b"minf", b"stbl"]);
    let samples = stbl.and_then(samples).ok_or_else(|| broken("sample table"))?;
    Ok(Track { timescale, samples, edit: edit(trak, movie_scale)? })
}

fn media_timescale(trak: &[u8]) -> Option<u32> {
    let mut fields = Fields(descendant(trak, &[b"mdia", b"mdhd"])?);
    let version = fields.version()?;
    fields.skip(if version == 1 { 16 } else { 8 })?;
    fields.u32().filter(|&scale| scale > 0)
}

/// One empty edit (a delay) and one edit of media are what files have in practice.
fn edit(trak: &[u8], movie_scale: u32) -> Result<Edit, Unusable> {
    let Some(body) = descendant(trak, &[b"edts", b"elst"]) else { return Ok(Edit::default()) };
    let mut fields = Fields(body);
    let mut head = || Some((fields.version()?, fields.u32()?));
    let (version, count) = head().ok_or_else(|| broken("edit list"))?;
    let mut edit = Edit::default();
    for _ in 0..count {
        let mut entry = || {
            let length = fields.sized(version)?;
            let start = match version {
                1 => fields.u64()? as i64,
                _ => i64::from(fields.u32()? as i32),
            };
            fields.skip(4)?;
            Some((length, start))
        };
        let (length, start) = entry().ok_or_else(|| broken("edit list"))?;
        let nanos = u128::from(length) * 1_000_000_000 / u128::from(movie_scale);
        let nanos = u64::try_from(nanos).map_err(|_| broken("edit list"))?;
        match (start, edit.start) {
            (-1, None) => edit.delay_ns = edit.delay_ns.saturating_add(nanos),
            (0.., None) => {
                edit.start = Some(start);
                edit.length_ns = (nanos > 0).then_some(nanos);
            }
            _ => return Err(Unsupported("is cut together by its edit list".to_owned())),
        }
    }
    Ok(edit)
}

/// A table of runs, each a count and a value: `stts`, `ctts`. Hands out one value per sample.
struct Runs<'a> {
    fields: Fields<'a>,
    left: u32,
    value: u32,
}

impl<'a> Runs<'a> {
    fn new(body: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(body);
        fields.skip(8)?;
        Some(Self { fields, left: 0, value: 0 })
    }

    fn next(&mut self) -> Option<u32> {
        while self.left == 0 {
            self.left = self.fields.u32()?;
            self.value = self.fields.u32()?;
        }
        self.left -= 1;
        Some(self.value)
    }
}

/// Puts the sample tables (ISO/IEC 14496-12 §8.6, §8.7) together.
fn samples(stbl: &[u8]) -> Option<Vec<Sample>> {
    let mut sizes = Fields(child(stbl, b"stsz")?);
    sizes.skip(4)?;
    let (fixed_size, count) = (sizes.u32()?, sizes.u32()?);
    if u64::from(count) > MAX_SAMPLES || (fixed_size == 0 && sizes.0.len() / 4 < count as usize) {
        return None;
    }
    let mut durations = Runs::new(child(stbl, b"stts")?)?;
    let mut shifts = child(stbl, b"ctts").map(Runs::new);
    let mut syncs = child(stbl, b"stss").map(|body| (Fields(body.get(8..).unwrap_or_default()), 0));
    let mut chunks = ChunkOffsets::new(stbl)?;

    let mut samples = Vec::with_capacity(count as usize);
    let mut dts = 0i64;
    for number in 1..=count {
        let bytes = if fixed_size == 0 { sizes.u32()? } else { fixed_size };
        let duration = durations.next()?;
        let shift = match &mut shifts {
            // Signed in version 1, and in practice in version 0 as well.
            Some(runs) => runs.as_mut()?.next()? as i32,
            None => 0,
        };
        let sync = match &mut syncs {
            None => true,
            Some((table, next)) => {
                while *next < number {
                    *next = table.u32().unwrap_or(u32::MAX);
                }
                *next == number
            }
        };
        let offset = chunks.next(bytes)?;
        samples.push(Sample { offset, bytes, pts: dts + i64::from(shift), duration, sync });
        dts += i64::from(duration);
    }
    Some(samples)
}

/// Walks through the chunks of a track (`stsc` with `stco` or `co64`).
struct ChunkOffsets<'a> {
    offsets: Fields<'a>,
    wide: bool,
    runs: Fields<'a>,
    /// Number of the current chunk, from 1.
    chunk: u32,
    /// The chunk at which the next run of `stsc` begins, and its samples per chunk.
    next_run: Option<(u32, u32)>,
    per_chunk: u32,
    left_in_chunk: u32,
    at: u64,
}

impl<'a> ChunkOffsets<'a> {
    fn new(stbl: &'a [u8]) -> Option<Self> {
        let (body, wide) = match child(stbl, b"stco") {
            Some(body) => (body, false),
            None => (child(stbl, b"co64")?, true),
        };
        let mut runs = Fields(child(stbl, b"stsc")?.get(8..)?);
        let next_run = read_run(&mut runs);
        Some(Self {
            offsets: Fields(body.get(8..)?),
            wide,
            runs,
            chunk: 0,
            next_run,
            per_chunk: 0,
            left_in_chunk: 0,
            at: 0,
        })
    }

    /// Where the next sample lies, which has this many bytes.
    fn next(&mut self, bytes: u32) -> Option<u64> {
        while self.left_in_chunk == 0 {
            self.chunk += 1;
            self.at = if self.wide { self.offsets.u64()? } else { self.offsets.u32()?.into() };
            if let Some((first, per_chunk)) = self.next_run
                && first <= self.chunk
            {
                self.per_chunk = per_chunk;
                self.next_run = read_run(&mut self.runs);
            }
            self.left_in_chunk = self.per_chunk;
        }
        self.left_in_chunk -= 1;
        let offset = self.at;
        self.at = offset.checked_add(bytes.into())?;
        Some(offset)
    }
}

fn read_run(runs: &mut Fields<'_>) -> Option<(u32, u32)> {
    let (first, per_chunk) = (runs.u32()?, runs.u32()?);
    runs.skip(4)?;
    Some((first, per_chunk))
}
