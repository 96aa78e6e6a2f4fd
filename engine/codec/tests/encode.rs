//! The encoders against the `ffmpeg` program.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is the failure report")]

mod common;

use common::{
    FPS, busy_head, encode, encode_at, encoder, ffmpeg_decode, head, layered_encoder, luma_psnr_db,
    size,
};
use std::process::Command;
use std::time::Duration;

use visavis_codec::Encoders;
use visavis_types::encoder::{
    DevicePicture, EncodeError, Encoded, EncoderMaker, EncoderOffer, FrameControl, I420Planes,
    MemoryKind, Nv12Planes, Picture, ReferenceId, SizeLimits, Unavailable, VideoEncoder,
    VideoEncoderConfig,
};
use visavis_types::{Bitrate, CodecSet, FrameSize, I420Buffer, Layering, VideoCodec};

#[test]
fn pictures_survive_and_keyframes_come_exactly_when_asked_for() {
    let size = size(512, 512);
    for codec in Encoders::software().codecs().iter() {
        let mut encoder = encoder(codec, size, 1_000);
        let stream = encode(&mut *encoder, size, 60, &[20, 41], |_, _| {});
        assert_eq!(stream.keyframes, [0, 20, 41], "{codec}");
        let decoded = ffmpeg_decode(codec, &stream);
        let psnr = luma_psnr_db(size, &stream.source, &decoded);
        let kbps = stream.kbps(0..60);
        println!("{codec}: {psnr:.1} dB at {kbps:.0} kbit/s");
        assert!(psnr >= 33.0, "{codec}: {psnr:.1} dB");
        assert!((500.0..1_300.0).contains(&kbps), "{codec}: {kbps:.0} kbit/s");
    }
}

#[test]
fn keyframes_are_small_and_still_pictures() {
    let size = size(512, 512);
    for codec in Encoders::software().codecs().iter() {
        let frames_worth = if codec == VideoCodec::H264 { 2.9 } else { 4.0 };
        let mut encoder = encoder(codec, size, 1_000);
        let stream = encode(&mut *encoder, size, 61, &[30, 60], |_, _| {});
        let decoded = ffmpeg_decode(codec, &stream);
        let frame = decoded.len() / 61;
        for n in stream.keyframes.iter().copied() {
            let share = stream.units[n].len() as f64 / (1_000_000.0 / 8.0 / f64::from(FPS));
            let picture = n * frame..(n + 1) * frame;
            let psnr = luma_psnr_db(size, &stream.source[picture.clone()], &decoded[picture]);
            println!("{codec}: keyframe {n} takes {share:.1} frames' bits, {psnr:.1} dB");
            assert!(share <= frames_worth, "{codec}: keyframe {n} takes {share:.1} frames' bits");
            assert!(psnr >= 30.0, "{codec}: keyframe {n} has {psnr:.1} dB");
        }
    }
}

#[test]
fn keyframes_of_busy_pictures_stay_small_too() {
    let (size, kbps) = (size(512, 512), 1_000);
    for codec in Encoders::software().codecs().iter() {
        let mut encoder = encoder(codec, size, kbps);
        let (mut picture, mut out) = (I420Buffer::new(size), Vec::new());
        for n in 0..45 {
            busy_head(size, n, &mut picture);
            out.clear();
            let pts = Duration::from_secs(1) * n / FPS;
            encode_at(&mut *encoder, &picture, n % 15 == 0, pts, &mut out);
            if n % 15 == 0 {
                let share = out.len() as f64 * 8.0 * f64::from(FPS) / kbps as f64 / 1_000.0;
                println!("{codec}: keyframe {n} takes {share:.1} frames' bits");
                assert!(share <= 3.5, "{codec}: keyframe {n} takes {share:.1} frames' bits");
            }
        }
    }
}

#[test]
fn the_bitrate_follows_and_no_keyframe_comes_with_it() {
    let size = size(512, 512);
    for codec in Encoders::software().codecs().iter() {
        let mut encoder = encoder(codec, size, 1_500);
        let stream = encode(&mut *encoder, size, 180, &[], |encoder, n| match n {
            60 => encoder.set_bitrate(Bitrate::from_kbps(500)),
            120 => encoder.set_bitrate(Bitrate::from_kbps(1_200)),
            _ => {}
        });
        assert_eq!(stream.keyframes, [0], "{codec}");
        for (range, target) in [(20..60, 1_500.0), (75..120, 500.0), (135..180, 1_200.0)] {
            let kbps = stream.kbps(range);
            println!("{codec}: {kbps:.0} of {target:.0} kbit/s");
            assert!((0.75..1.2).contains(&(kbps / target)), "{codec}: {kbps:.0} of {target:.0}");
        }
    }
}

#[test]
fn sizes_from_tiny_to_hd_keep_every_row_and_column() {
    for codec in Encoders::software().codecs().iter() {
        for (width, height, kbps, least_db) in
            [(16, 16, 100, 28.0), (18, 34, 100, 28.0), (1280, 720, 2_000, 33.0)]
        {
            let size = size(width, height);
            let mut encoder = encoder(codec, size, kbps);
            let stream = encode(&mut *encoder, size, 12, &[6], |_, _| {});
            assert_eq!(stream.keyframes, [0, 6], "{codec} {width}x{height}");
            let decoded = ffmpeg_decode(codec, &stream);
            let psnr = luma_psnr_db(size, &stream.source, &decoded);
            println!("{codec} {width}x{height}: {psnr:.1} dB");
            assert!(psnr >= least_db, "{codec} {width}x{height}: {psnr:.1} dB");
        }
    }
}

#[test]
fn ffmpeg_reads_the_stream_as_it_is_meant() {
    let size = size(322, 178);
    let stream = encode(&mut *encoder(VideoCodec::H264, size, 400), size, 5, &[], |_, _| {});
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stream.h264");
    std::fs::write(&path, stream.units.concat()).unwrap();
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-show_streams"])
        .arg(&path)
        .output()
        .expect("the ffprobe program");
    let text = String::from_utf8(output.stdout).unwrap();
    for line in [
        "profile=Constrained Baseline",
        "width=322",
        "height=178",
        "has_b_frames=0",
        "refs=1",
        "color_range=tv",
        "color_space=smpte170m",
        "color_transfer=bt709",
        "color_primaries=bt709",
    ] {
        assert!(text.lines().any(|found| found == line), "no {line} in {text}");
    }
}

#[test]
fn more_than_60_frames_a_second_share_the_bitrate() {
    let size = size(256, 256);
    for codec in Encoders::software().codecs().iter() {
        let bitrate = Bitrate::from_kbps(1_200);
        let config = VideoEncoderConfig::new(size, 120, bitrate);
        let mut encoder = Encoders::software().make(codec, &config).unwrap();
        let (mut picture, mut out) = (I420Buffer::new(size), Vec::new());
        for n in 0..240 {
            head(size, n, &mut picture);
            let pts = Duration::from_secs(1) * n / 120;
            encode_at(&mut *encoder, &picture, false, pts, &mut out);
        }
        let kbps = out.len() as f64 * 8.0 / 2.0 / 1_000.0;
        assert!((700.0..1_400.0).contains(&kbps), "{codec}: {kbps:.0} kbit/s");
    }
}

#[test]
fn what_cannot_be_done_is_a_typed_error() {
    let config = |width, height, fps, kbps| {
        VideoEncoderConfig::new(size(width, height), fps, Bitrate::from_kbps(kbps))
    };
    let encoders = Encoders::software();
    let make = |codec, config| encoders.make(codec, &config).map(|encoder| encoder.codec());
    let error = make(VideoCodec::H264, config(4_096, 4_096, 30, 9_000)).unwrap_err();
    assert!(matches!(error, EncodeError::UnsupportedSize { .. }), "{error}");
    if !encoders.codecs().contains(VideoCodec::Av1) {
        let error = make(VideoCodec::Av1, config(64, 64, 30, 100)).unwrap_err();
        let reason = Unavailable::NotBuilt { feature: "av1" };
        assert_eq!(error, EncodeError::NoEncoder { codec: VideoCodec::Av1, reason });
        assert!(error.to_string().contains("feature `av1`"), "{error}");
    }
    for codec in Encoders::software().codecs().iter() {
        let rate = |fps| Err(EncodeError::FrameRate { fps, least: 1, most: 120 });
        assert_eq!(make(codec, config(64, 64, 0, 100)), rate(0));
        assert_eq!(make(codec, config(64, 64, 121, 100)), rate(121));
        let most = encoders.offer(codec).unwrap().temporal_layers;
        for layers in [0, most + 1] {
            let refused = make(codec, config(64, 64, 30, 100).temporal_layers(layers));
            assert_eq!(refused, Err(EncodeError::TemporalLayers { layers, most }));
        }
        let zero = Bitrate::from_kbps(0);
        assert_eq!(make(codec, config(64, 64, 30, 0)), Err(EncodeError::Bitrate(zero)));

        let mut encoder = encoder(codec, size(64, 64), 100);
        let (small, right) = (I420Buffer::new(size(32, 64)), I420Buffer::new(size(64, 64)));
        let mut out = Vec::new();
        let control = FrameControl::at(Duration::ZERO);
        let error = encoder.encode(&(&small).into(), &control, &mut out).unwrap_err();
        assert!(matches!(error, EncodeError::WrongSize { .. }), "{error}");
        assert!(out.is_empty());
        let encoded = encode_at(&mut *encoder, &right, false, Duration::ZERO, &mut out);
        assert!(encoded.keyframe && !out.is_empty());
        let rate = EncodeError::FrameRate { fps: 0, least: 1, most: 120 };
        assert_eq!(encoder.set_frame_rate(0), Err(rate));
        let layers = EncodeError::TemporalLayers { layers: most + 1, most };
        assert_eq!(encoder.set_temporal_layers(most + 1), Err(layers));
        // None were asked for.
        assert_eq!(encoder.reference_lost(ReferenceId(0)), Err(EncodeError::NoReferences));
        assert_eq!(encoder.reference_received(ReferenceId(0)), Err(EncodeError::NoReferences));
        let recover = FrameControl::at(Duration::from_millis(33)).recover(true);
        let refused = encoder.encode(&(&right).into(), &recover, &mut Vec::new());
        assert_eq!(refused, Err(EncodeError::NoReferences));
        let keep = FrameControl::at(Duration::from_millis(33)).keep_reference(true);
        let encoded = encoder.encode(&(&right).into(), &keep, &mut Vec::new()).unwrap();
        assert_eq!((encoded.reference, encoded.refers_to), (None, None), "{codec}");
        let most = encoders.offer(codec).unwrap().references;
        let refused = make(codec, config(64, 64, 30, 100).references(most + 1));
        assert_eq!(refused, Err(EncodeError::References { references: most + 1, most }));
        if most > 0 {
            let both = config(64, 64, 30, 100).references(1).temporal_layers(2);
            assert_eq!(make(codec, both), Err(EncodeError::ReferencesWithLayers(2)));
        }
    }
}

#[test]
fn encoders_move_between_threads() {
    let size = size(128, 128);
    for codec in Encoders::software().codecs().iter() {
        let mut encoder = encoder(codec, size, 300);
        encode(&mut *encoder, size, 3, &[], |_, _| {});
        let stream = std::thread::spawn(move || encode(&mut *encoder, size, 3, &[], |_, _| {}));
        assert_eq!(stream.join().unwrap().keyframes, [0; 0], "{codec}");
    }
}

#[test]
fn a_frame_rate_that_changes_keeps_the_bitrate() {
    let size = size(512, 512);
    for codec in Encoders::software().codecs().iter() {
        let mut encoder = encoder(codec, size, 1_000);
        let (mut picture, mut pts) = (I420Buffer::new(size), Duration::ZERO);
        for (fps, seconds) in [(30, 3), (15, 4), (60, 3)] {
            encoder.set_frame_rate(fps).unwrap();
            let mut bytes = 0;
            for n in 0..fps * seconds {
                head(size, n * FPS / fps, &mut picture);
                let mut out = Vec::new();
                let encoded = encode_at(&mut *encoder, &picture, false, pts, &mut out);
                assert_eq!(encoded.keyframe, pts.is_zero(), "{codec} at {fps} fps, picture {n}");
                pts += Duration::from_secs(1) / fps;
                // The first second is there to settle.
                bytes += if n < fps { 0 } else { out.len() };
            }
            let kbps = bytes as f64 * 8.0 / f64::from(seconds - 1) / 1_000.0;
            println!("{codec} at {fps} fps: {kbps:.0} kbit/s");
            assert!((700.0..1_250.0).contains(&kbps), "{codec} at {fps} fps: {kbps:.0} kbit/s");
        }
    }
}

#[test]
fn pictures_of_higher_layers_can_be_left_out() {
    let size = size(512, 512);
    for codec in Encoders::software().codecs().iter() {
        let most = Encoders::software().offer(codec).unwrap().temporal_layers;
        for layers in 2..=most {
            let mut encoder = layered_encoder(codec, size, 1_000, layers);
            let period = 1 << (layers - 1);
            // Keyframes in the midst of a pattern begin it anew.
            let stream = encode(&mut *encoder, size, 90, &[30 + 1], |_, _| {});
            assert_eq!(stream.keyframes, [0, 31], "{codec} {layers}");
            let kbps = stream.kbps(0..90);
            assert!((700.0..1_250.0).contains(&kbps), "{codec} {layers} layers: {kbps:.0} kbit/s");
            for (n, (layering, &layer)) in stream.layering.iter().zip(&stream.layers).enumerate() {
                let Layering { sync, refers_back, .. } = layering.unwrap();
                let named = refers_back.into_iter().filter(|&back| back > 0).map(usize::from);
                let named: Vec<u8> = named.map(|back| stream.layers[n - back]).collect();
                assert_eq!(named.is_empty(), stream.keyframes.contains(&n), "{codec}: {n}");
                assert!(named.iter().all(|&other| other < layer || other == 0), "{codec}: {n}");
                assert_eq!(sync, named.iter().all(|&other| other == 0), "{codec}: {n}");
            }
            for layer in 0..layers {
                let part = stream.up_to_layer(layer);
                let share = (period >> (layers - 1 - layer)) as f64 / f64::from(period);
                let whole = part.units.len() as f64 / 90.0;
                assert!((whole - share).abs() < 0.05, "{codec} {layers}: {whole} in layer {layer}");
                // Nothing in it refers to what was left out.
                let psnr = luma_psnr_db(size, &part.source, &ffmpeg_decode(codec, &part));
                println!("{codec} {layers} layers, up to {layer}: {whole:.2}, {psnr:.1} dB");
                assert!(psnr >= 32.0, "{codec} {layers} layers, up to {layer}: {psnr:.1} dB");
            }
        }
    }
}

#[test]
fn the_number_of_layers_changes_with_a_keyframe() {
    let size = size(256, 256);
    for codec in Encoders::software().codecs().iter() {
        if Encoders::software().offer(codec).unwrap().temporal_layers < 2 {
            continue;
        }
        let mut encoder = encoder(codec, size, 500);
        let stream = encode(&mut *encoder, size, 30, &[], |encoder, n| match n {
            10 => encoder.set_temporal_layers(2).unwrap(),
            20 => encoder.set_temporal_layers(1).unwrap(),
            _ => {}
        });
        assert_eq!(stream.keyframes, [0, 10, 20], "{codec}");
        assert_eq!(stream.layering[..10], [None; 10], "{codec}");
        assert_eq!(stream.layering[20..], [None; 10], "{codec}");
        assert_eq!(stream.layers[10..20], [0, 1, 0, 1, 0, 1, 0, 1, 0, 1], "{codec}");
        assert_eq!(stream.layers[20..], [0; 10], "{codec}");
        let psnr = luma_psnr_db(size, &stream.source, &ffmpeg_decode(codec, &stream));
        assert!(psnr >= 32.0, "{codec}: {psnr:.1} dB");
    }
}

#[test]
fn planes_may_have_strides_of_their_own() {
    let size = size(66, 34);
    for codec in Encoders::software().codecs().iter() {
        let mut picture = I420Buffer::new(size);
        head(size, 0, &mut picture);
        let strides = [80, 48];
        let widths = [66, 33, 33];
        let padded: Vec<Vec<u8>> = picture
            .planes()
            .into_iter()
            .zip([80, 48, 48].into_iter().zip(widths))
            .map(|(plane, (stride, width))| {
                plane
                    .chunks_exact(width)
                    .flat_map(|row| {
                        row.iter().copied().chain(std::iter::repeat_n(9, stride - width))
                    })
                    .collect()
            })
            .collect();
        let planes = I420Planes::new(size, [&padded[0], &padded[1], &padded[2]], strides).unwrap();
        let (mut plain, mut out) = (Vec::new(), Vec::new());
        encode_at(&mut *encoder(codec, size, 300), &picture, false, Duration::ZERO, &mut plain);
        let control = FrameControl::at(Duration::ZERO);
        encoder(codec, size, 300).encode(&Picture::I420(planes), &control, &mut out).unwrap();
        assert!(out == plain, "{codec}");
    }
}

/// A device's memory, and its encoder, as an application might bring them.
#[derive(Debug)]
struct Texture(FrameSize);

impl DevicePicture for Texture {
    fn size(&self) -> FrameSize {
        self.0
    }

    fn device(&self) -> &'static str {
        "test"
    }
}

#[derive(Debug)]
struct Device(Result<(), Unavailable>);

const SMALL: SizeLimits = SizeLimits { least: 16, longer: 640, shorter: 640 };

impl EncoderMaker for Device {
    fn name(&self) -> &'static str {
        "test device"
    }

    fn codecs(&self) -> CodecSet {
        CodecSet::EMPTY.with(VideoCodec::H264).with(VideoCodec::Av1)
    }

    fn offer(&self, _codec: VideoCodec) -> Result<EncoderOffer, Unavailable> {
        self.0?;
        let memory = [MemoryKind::I420, MemoryKind::Device("test")];
        Ok(EncoderOffer::new().sizes(SMALL).references(1).memory(memory))
    }

    fn make(
        &self,
        codec: VideoCodec,
        _config: &VideoEncoderConfig,
    ) -> Result<Box<dyn VideoEncoder>, EncodeError> {
        Ok(Box::new(DeviceEncoder(codec)))
    }
}

struct DeviceEncoder(VideoCodec);

impl VideoEncoder for DeviceEncoder {
    fn codec(&self) -> VideoCodec {
        self.0
    }

    fn encode(
        &mut self,
        picture: &Picture<'_>,
        control: &FrameControl,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, EncodeError> {
        if let Picture::Device(picture) = *picture {
            let picture: &dyn std::any::Any = picture;
            assert!(picture.is::<Texture>());
        }
        out.push(7);
        let mut encoded = Encoded::picture(control.keyframe);
        encoded.reference = control.keep_reference.then_some(ReferenceId(3));
        Ok(encoded)
    }

    fn set_bitrate(&mut self, _bitrate: Bitrate) {}

    fn set_frame_rate(&mut self, _fps: u32) -> Result<(), EncodeError> {
        Ok(())
    }

    fn set_temporal_layers(&mut self, _layers: u8) -> Result<(), EncodeError> {
        Ok(())
    }

    fn reference_received(&mut self, _reference: ReferenceId) -> Result<(), EncodeError> {
        Ok(())
    }

    fn reference_lost(&mut self, _reference: ReferenceId) -> Result<(), EncodeError> {
        Ok(())
    }
}

#[test]
fn another_maker_is_preferred_where_it_can() {
    let encoders = Encoders::software().with(std::sync::Arc::new(Device(Ok(()))));
    let config = VideoEncoderConfig::new(size(64, 64), 30, Bitrate::from_kbps(100));
    let texture = Texture(size(64, 64));
    let control = FrameControl::at(Duration::ZERO).keyframe(true).keep_reference(true);
    for codec in [VideoCodec::H264, VideoCodec::Av1] {
        let mut out = Vec::new();
        let config = config.memory(MemoryKind::Device("test"));
        let mut encoder = encoders.make(codec, &config).unwrap();
        let encoded = encoder.encode(&Picture::Device(&texture), &control, &mut out).unwrap();
        assert_eq!((encoded.reference, out), (Some(ReferenceId(3)), vec![7]), "{codec}");
        assert_eq!(encoder.reference_received(ReferenceId(3)), Ok(()));
        assert_eq!(encoder.reference_lost(ReferenceId(3)), Ok(()));
    }
    // What it does not take, the next one does.
    let large = VideoEncoderConfig::new(size(1_280, 720), 30, Bitrate::from_kbps(100));
    assert_eq!(encoders.encodable_size(VideoCodec::H264, large.size), large.size);
    let mut encoder = encoders.make(VideoCodec::H264, &large).unwrap();
    let mut out = Vec::new();
    encode_at(&mut *encoder, &I420Buffer::new(large.size), true, Duration::ZERO, &mut out);
    assert!(out.len() > 1);
    // What it cannot do here is left to the others too, and told where there are none.
    let reason = Unavailable::NoDevice { device: "test device" };
    let without = Encoders::software().with(std::sync::Arc::new(Device(Err(reason))));
    assert_eq!(without.codecs(), Encoders::software().codecs());
    let refused = Encoders::none().with(std::sync::Arc::new(Device(Err(reason))));
    assert_eq!(refused.offer(VideoCodec::H264), Err(reason));
    assert_eq!(refused.offer(VideoCodec::Vp8), Err(Unavailable::Unknown));
    assert!(refused.codecs().is_empty());
}

#[test]
fn software_takes_planes_in_host_memory_alone() {
    let side = size(64, 64);
    let (texture, data) = (Texture(side), vec![128; 64 * 64]);
    let nv12 = Nv12Planes::new(side, [&data, &data[..64 * 32]], [64, 64]).unwrap();
    for codec in Encoders::software().codecs().iter() {
        let mut encoder = encoder(codec, side, 100);
        for picture in [Picture::Nv12(nv12), Picture::Device(&texture)] {
            let (control, mut out) = (FrameControl::at(Duration::ZERO), Vec::new());
            let refused = encoder.encode(&picture, &control, &mut out);
            assert_eq!(refused, Err(EncodeError::Memory(picture.memory())), "{codec}");
            let config = VideoEncoderConfig::new(side, 30, Bitrate::from_kbps(100));
            let made = Encoders::software().make(codec, &config.memory(picture.memory()));
            assert_eq!(made.err(), Some(EncodeError::Memory(picture.memory())), "{codec}");
            assert!(out.is_empty());
        }
    }
}

/// Nothing is harder to encode: what a renderer pushes may be just that.
#[test]
fn noise_is_encoded_at_every_size_and_bitrate() {
    for codec in Encoders::software().codecs().iter() {
        for (width, height) in [(16, 16), (64, 64), (160, 120), (320, 320), (640, 360)] {
            for kbps in [50, 1_500, 50_000] {
                let size = size(width, height);
                let mut encoder = encoder(codec, size, kbps);
                let mut random = 1_u32;
                let mut picture = I420Buffer::new(size);
                let mut units = Vec::new();
                for n in 0..24 {
                    for plane in picture.planes_mut() {
                        plane.fill_with(|| {
                            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                            (random >> 24) as u8
                        });
                    }
                    let mut unit = Vec::new();
                    let control = FrameControl::at(Duration::from_secs(1) * n / FPS);
                    let control = control.keyframe(n % 12 == 0);
                    let encoded = encoder.encode(&(&picture).into(), &control, &mut unit);
                    let at = format!("{codec} {width}x{height} at {kbps} kbit/s, picture {n}");
                    let encoded = encoded.unwrap_or_else(|error| panic!("{at}: {error}"));
                    assert!(!unit.is_empty() && (encoded.keyframe || n % 12 != 0), "{at}");
                    units.push(unit.len());
                }
                println!("{codec} {width}x{height} {kbps}: {units:?}");
            }
        }
    }
}
