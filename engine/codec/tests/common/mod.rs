//! Moving pictures, and a decoder that is not ours: the `ffmpeg` program.
#![allow(dead_code, reason = "each test program uses a part")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use visavis_codec::Encoders;
use visavis_types::encoder::{Encoded, FrameControl, VideoEncoder, VideoEncoderConfig};
use visavis_types::{Bitrate, FrameSize, I420Buffer, Layering, VideoCodec};

pub(crate) const FPS: u32 = 30;

pub(crate) fn size(width: u32, height: u32) -> FrameSize {
    FrameSize::new(width, height).unwrap()
}

/// Like a talking head: a textured background that stands still, a shaded head that sways, a mouth
/// that opens and closes, and camera noise over all.
pub(crate) fn head(size: FrameSize, n: u32, picture: &mut I420Buffer) {
    picture.resize(size);
    let (width, height) = (size.width() as f32, size.height() as f32);
    let time = n as f32 / FPS as f32;
    let (center_x, center_y) =
        (width * (0.5 + 0.06 * (time * 2.1).sin()), height * (0.45 + 0.03 * (time * 3.3).sin()));
    let (radius_x, radius_y) = (width * 0.24, height * 0.32);
    let mouth = 0.06 + 0.05 * (time * 11.0).sin();
    let (stride, chroma_stride) = (picture.y_stride(), picture.uv_stride());
    let [y, u, v] = picture.planes_mut();
    let mut seed = n.wrapping_mul(2_654_435_761).wrapping_add(1);
    for (row, line) in y.chunks_exact_mut(stride).enumerate() {
        for (column, pixel) in line.iter_mut().enumerate() {
            let (px, py) = (column as f32, row as f32);
            let (dx, dy) = ((px - center_x) / radius_x, (py - center_y) / radius_y);
            let distance = dx * dx + dy * dy;
            let (mx, my) = (dx / 0.35, (dy - 0.45) / mouth.max(0.01));
            let level = if mx * mx + my * my < 1.0 {
                50.0
            } else if distance < 1.0 {
                190.0 - 70.0 * distance + 6.0 * (dx * 25.0).sin() * (dy * 31.0).sin()
            } else {
                90.0 + 40.0 * (px / width * 3.0).sin()
                    + 14.0 * (px * 0.21).sin() * (py * 0.17).sin()
            };
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *pixel = (level + (seed >> 30) as f32).clamp(16.0, 235.0) as u8;
        }
    }
    for (row, (u, v)) in
        u.chunks_exact_mut(chroma_stride).zip(v.chunks_exact_mut(chroma_stride)).enumerate()
    {
        for (column, (u, v)) in u.iter_mut().zip(v).enumerate() {
            let (dx, dy) = (
                (2.0 * column as f32 - center_x) / radius_x,
                (2.0 * row as f32 - center_y) / radius_y,
            );
            let skin = dx * dx + dy * dy < 1.0;
            (*u, *v) = if skin { (108, 152) } else { (135, 120) };
        }
    }
}

/// A [`head`] behind a fine, moving pattern: far more detail than the bitrate can pay for.
pub(crate) fn busy_head(size: FrameSize, n: u32, picture: &mut I420Buffer) {
    head(size, n, picture);
    let stride = picture.y_stride();
    let [y, ..] = picture.planes_mut();
    for (row, line) in y.chunks_exact_mut(stride).enumerate() {
        for (column, pixel) in line.iter_mut().enumerate() {
            let (column, row) = (column as u32 + n, row as u32);
            let hash = (column.wrapping_mul(2_654_435_761) ^ row.wrapping_mul(40_503))
                .wrapping_mul(2_246_822_519);
            let grain = (hash >> 27) as i32 - 16;
            let check = if (column / 8 + row / 8).is_multiple_of(2) { 12 } else { -12 };
            *pixel = (i32::from(*pixel) + grain + check).clamp(16, 235) as u8;
        }
    }
}

/// What an encoder made of `frames` pictures.
pub(crate) struct Stream {
    pub size: FrameSize,
    pub units: Vec<Vec<u8>>,
    pub keyframes: Vec<usize>,
    /// The temporal layer of each unit.
    pub layers: Vec<u8>,
    /// Their places among temporal layers, where there are several.
    pub layering: Vec<Option<Layering>>,
    /// The pictures that went in, one after another.
    pub source: Vec<u8>,
}

impl Stream {
    /// What is left of it without the pictures of higher layers.
    pub(crate) fn up_to_layer(&self, most: u8) -> Self {
        let picture = self.source.len() / self.units.len();
        let kept: Vec<usize> = (0..self.units.len()).filter(|&n| self.layers[n] <= most).collect();
        let at = |n: &usize| self.source[n * picture..(n + 1) * picture].to_vec();
        Self {
            size: self.size,
            units: kept.iter().map(|&n| self.units[n].clone()).collect(),
            keyframes: vec![],
            layers: kept.iter().map(|&n| self.layers[n]).collect(),
            layering: kept.iter().map(|&n| self.layering[n]).collect(),
            source: kept.iter().flat_map(at).collect(),
        }
    }

    pub(crate) fn kbps(&self, range: std::ops::Range<usize>) -> f64 {
        let frames = range.len() as f64;
        let bytes: usize = self.units[range].iter().map(Vec::len).sum();
        bytes as f64 * 8.0 * f64::from(FPS) / frames / 1_000.0
    }
}

pub(crate) fn encoder(codec: VideoCodec, size: FrameSize, kbps: u64) -> Box<dyn VideoEncoder> {
    layered_encoder(codec, size, kbps, 1)
}

pub(crate) fn layered_encoder(
    codec: VideoCodec,
    size: FrameSize,
    kbps: u64,
    layers: u8,
) -> Box<dyn VideoEncoder> {
    let config = VideoEncoderConfig::new(size, FPS, Bitrate::from_kbps(kbps));
    Encoders::software().make(codec, &config.temporal_layers(layers)).unwrap()
}

/// Encodes a picture, which comes at this time.
pub(crate) fn encode_at(
    encoder: &mut dyn VideoEncoder,
    picture: &I420Buffer,
    keyframe: bool,
    pts: Duration,
    out: &mut Vec<u8>,
) -> Encoded {
    let control = FrameControl::at(pts).keyframe(keyframe);
    encoder.encode(&picture.into(), &control, out).unwrap()
}

/// Encodes pictures, asking for keyframes at `forced`, with `before` called before each picture.
pub(crate) fn encode(
    encoder: &mut dyn VideoEncoder,
    size: FrameSize,
    frames: u32,
    forced: &[usize],
    mut before: impl FnMut(&mut dyn VideoEncoder, u32),
) -> Stream {
    let mut picture = I420Buffer::new(size);
    let (units, keyframes, layers, layering, source) = Default::default();
    let mut stream = Stream { size, units, keyframes, layers, layering, source };
    for n in 0..frames {
        before(encoder, n);
        head(size, n, &mut picture);
        stream.source.extend_from_slice(picture.data());
        let (mut unit, pts) = (Vec::new(), Duration::from_secs(1) * n / FPS);
        let force = forced.contains(&(n as usize));
        let encoded = encode_at(encoder, &picture, force, pts, &mut unit);
        assert!(!encoded.skipped && !unit.is_empty(), "picture {n}");
        if encoded.keyframe {
            stream.keyframes.push(n as usize);
        }
        stream.layers.push(encoded.layers.map_or(0, |layers| layers.layer.index()));
        stream.layering.push(encoded.layers);
        stream.units.push(unit);
    }
    stream
}

/// An IVF file, for VP8, VP9 and AV1.
fn ivf(stream: &Stream, code: &[u8; 4]) -> Vec<u8> {
    let mut file = [b"DKIF\0\0\x20\0".as_slice(), code].concat();
    file.extend((stream.size.width() as u16).to_le_bytes());
    file.extend((stream.size.height() as u16).to_le_bytes());
    file.extend(FPS.to_le_bytes());
    file.extend(1_u32.to_le_bytes());
    file.extend((stream.units.len() as u32).to_le_bytes());
    file.extend([0; 4]);
    for (n, unit) in stream.units.iter().enumerate() {
        file.extend((unit.len() as u32).to_le_bytes());
        file.extend((n as u64).to_le_bytes());
        file.extend(unit);
    }
    file
}

/// What ffmpeg makes of a stream: I420 pictures one after another.
pub(crate) fn ffmpeg_decode(codec: VideoCodec, stream: &Stream) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (name, data) = match codec {
        VideoCodec::H264 => ("in.h264", stream.units.concat()),
        VideoCodec::Vp8 => ("in.ivf", ivf(stream, b"VP80")),
        VideoCodec::Vp9 => ("in.ivf", ivf(stream, b"VP90")),
        VideoCodec::Av1 => ("in.ivf", ivf(stream, b"AV01")),
    };
    let path = folder.path().join(name);
    fs::write(&path, data).unwrap();
    ffmpeg(&["-i", path.to_str().unwrap(), "-f", "rawvideo", "-pix_fmt", "yuv420p", "-"])
}

/// Runs ffmpeg and returns its standard output; any complaint of its is a failure.
pub(crate) fn ffmpeg(arguments: &[&str]) -> Vec<u8> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "warning", "-nostdin"]).args(arguments).stdin(Stdio::null());
    let output = command.output().expect("the ffmpeg program");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !complaints.contains("error"), "{complaints}");
    output.stdout
}

/// Splits an Annex B file into access units: one per slice that begins a picture.
pub(crate) fn access_units(path: &Path) -> Vec<Vec<u8>> {
    let data = fs::read(path).unwrap();
    let starts: Vec<usize> = data
        .windows(3)
        .enumerate()
        .filter(|(_, window)| *window == [0, 0, 1])
        .map(|(at, _)| if at > 0 && data[at - 1] == 0 { at - 1 } else { at })
        .collect();
    let mut units = vec![Vec::new()];
    let mut has_slice = false;
    for (n, &start) in starts.iter().enumerate() {
        let end = starts.get(n + 1).copied().unwrap_or(data.len());
        let nal = &data[start..end];
        let code = nal.iter().position(|&byte| byte == 1).unwrap() + 1;
        let slice = matches!(nal[code] & 0x1f, 1 | 5);
        // first_mb_in_slice = 0 is the single bit 1.
        let first = slice && nal[code + 1] & 0x80 != 0;
        if has_slice && (first || !slice) {
            units.push(Vec::new());
            has_slice = false;
        }
        units.last_mut().unwrap().extend_from_slice(nal);
        has_slice |= slice;
    }
    units
}

/// Peak signal-to-noise ratio of the luma of I420 pictures, over all of them.
pub(crate) fn luma_psnr_db(size: FrameSize, original: &[u8], copy: &[u8]) -> f64 {
    let luma = (size.width() * size.height()) as usize;
    let frame = luma + luma / 2;
    assert_eq!(original.len(), copy.len(), "another number of pictures");
    let (mut sum, mut count) = (0.0, 0.0);
    for (a, b) in original.chunks_exact(frame).zip(copy.chunks_exact(frame)) {
        for (&a, &b) in a[..luma].iter().zip(&b[..luma]) {
            sum += (f64::from(a) - f64::from(b)).powi(2);
            count += 1.0;
        }
    }
    if sum == 0.0 { f64::INFINITY } else { 10.0 * (255.0 * 255.0 * count / sum).log10() }
}
