//! The encoders against the `ffmpeg` program.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is the failure report")]

mod common;

use common::{FPS, busy_head, encode, encoder, ffmpeg_decode, head, luma_psnr_db, size};
use std::process::Command;
use std::time::Duration;

use visavis_codec::{ENCODERS, EncodeError, I420Buffer, VideoEncoderConfig, video_encoder};
use visavis_types::{Bitrate, VideoCodec};

#[test]
fn pictures_survive_and_keyframes_come_exactly_when_asked_for() {
    let size = size(512, 512);
    for codec in ENCODERS.iter() {
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
    for codec in ENCODERS.iter() {
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
    for codec in ENCODERS.iter() {
        let mut encoder = encoder(codec, size, kbps);
        let (mut picture, mut out) = (I420Buffer::new(size), Vec::new());
        for n in 0..45 {
            busy_head(size, n, &mut picture);
            out.clear();
            let pts = Duration::from_secs(1) * n / FPS;
            encoder.encode(&picture, n % 15 == 0, pts, &mut out).unwrap();
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
    for codec in ENCODERS.iter() {
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
    for codec in ENCODERS.iter() {
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
    for codec in ENCODERS.iter() {
        let bitrate = Bitrate::from_kbps(1_200);
        let config = VideoEncoderConfig { size, fps: 120, bitrate };
        let mut encoder = video_encoder(codec, &config).unwrap();
        let (mut picture, mut out) = (I420Buffer::new(size), Vec::new());
        for n in 0..240 {
            head(size, n, &mut picture);
            let pts = Duration::from_secs(1) * n / 120;
            encoder.encode(&picture, false, pts, &mut out).unwrap();
        }
        let kbps = out.len() as f64 * 8.0 / 2.0 / 1_000.0;
        assert!((700.0..1_400.0).contains(&kbps), "{codec}: {kbps:.0} kbit/s");
    }
}

#[test]
fn what_cannot_be_done_is_a_typed_error() {
    let config = |width, height, fps, kbps| VideoEncoderConfig {
        size: size(width, height),
        fps,
        bitrate: Bitrate::from_kbps(kbps),
    };
    let make = |codec, config| video_encoder(codec, &config).map(|encoder| encoder.codec());
    let error = make(VideoCodec::H264, config(4_096, 4_096, 30, 9_000)).unwrap_err();
    assert!(matches!(error, EncodeError::UnsupportedSize { .. }), "{error}");
    if !ENCODERS.contains(VideoCodec::Av1) {
        let error = make(VideoCodec::Av1, config(64, 64, 30, 100)).unwrap_err();
        assert_eq!(error, EncodeError::NoEncoder(VideoCodec::Av1));
        assert!(error.to_string().contains("feature `av1`"), "{error}");
    }
    for codec in ENCODERS.iter() {
        assert_eq!(make(codec, config(64, 64, 0, 100)), Err(EncodeError::FrameRate(0)));
        assert_eq!(make(codec, config(64, 64, 121, 100)), Err(EncodeError::FrameRate(121)));
        let zero = Bitrate::from_kbps(0);
        assert_eq!(make(codec, config(64, 64, 30, 0)), Err(EncodeError::Bitrate(zero)));

        let mut encoder = encoder(codec, size(64, 64), 100);
        let (small, right) = (I420Buffer::new(size(32, 64)), I420Buffer::new(size(64, 64)));
        let mut out = Vec::new();
        let error = encoder.encode(&small, false, Duration::ZERO, &mut out).unwrap_err();
        assert!(matches!(error, EncodeError::WrongSize { .. }), "{error}");
        assert!(out.is_empty());
        let encoded = encoder.encode(&right, false, Duration::ZERO, &mut out).unwrap();
        assert!(encoded.keyframe && !out.is_empty());
    }
}

#[test]
fn encoders_move_between_threads() {
    let size = size(128, 128);
    for codec in ENCODERS.iter() {
        let mut encoder = encoder(codec, size, 300);
        encode(&mut *encoder, size, 3, &[], |_, _| {});
        let stream = std::thread::spawn(move || encode(&mut *encoder, size, 3, &[], |_, _| {}));
        assert_eq!(stream.join().unwrap().keyframes, [0; 0], "{codec}");
    }
}
