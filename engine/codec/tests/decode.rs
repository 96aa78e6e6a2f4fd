//! The H264 decoder against files that x264 made and pictures that ffmpeg decoded.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is the failure report")]

mod common;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::{access_units, encode, encoder, ffmpeg, ffmpeg_decode, luma_psnr_db, size};
use visavis_codec::{DecodeError, Decoded, H264Decoder};
use visavis_types::{FrameSize, I420Buffer, VideoCodec};

/// openh264 is not bit-exact in B pictures; the next picture in order is below 30 dB.
const B_PICTURE_PSNR_DB: f64 = 45.0;

/// A film in decoding order, with its times, and its pictures in the order they are shown.
struct Film {
    units: Vec<(Vec<u8>, Duration)>,
    pictures: Vec<Vec<u8>>,
}

/// Lets x264 make a film of ffmpeg's moving test pattern.
fn film(dimensions: &str, seconds: u32, options: &[&str]) -> Film {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (mp4, annex_b) = (path("film.mp4"), path("film.h264"));
    let pattern = format!("testsrc2=size={dimensions}:rate=30:duration={seconds}");
    let mut arguments = vec!["-f", "lavfi", "-i", &pattern, "-c:v", "libx264"];
    arguments.extend(["-pix_fmt", "yuv420p"]);
    arguments.extend(options);
    arguments.push(&mp4);
    ffmpeg(&arguments);
    ffmpeg(&["-i", &mp4, "-c", "copy", "-bsf:v", "h264_mp4toannexb", &annex_b]);
    let raw = ffmpeg(&["-i", &mp4, "-f", "rawvideo", "-fps_mode", "passthrough", "-"]);
    let units = access_units(Path::new(&annex_b));
    let times = packet_times(&mp4);
    assert_eq!(units.len(), times.len(), "one packet per access unit");
    let pictures = raw.chunks(raw.len() / units.len()).map(<[u8]>::to_vec).collect();
    Film { units: units.into_iter().zip(times).collect(), pictures }
}

/// Presentation times in decoding order.
fn packet_times(path: &str) -> Vec<Duration> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "packet=pts", "-of", "csv=p=0", path])
        .output()
        .expect("the ffprobe program");
    let text = String::from_utf8(output.stdout).unwrap();
    let number = |line: &str| line.trim_matches(',').parse().unwrap();
    text.lines().map(|line| Duration::from_micros(number(line))).collect()
}

/// Plays a film from beginning to end.
fn play(decoder: &mut H264Decoder, film: &Film) -> Vec<(Decoded, Vec<u8>)> {
    let mut shown = Vec::new();
    let mut picture = I420Buffer::new(size(16, 16));
    for (unit, pts) in &film.units {
        if let Some(decoded) = decoder.decode(unit, *pts, &mut picture).unwrap() {
            shown.push((decoded, picture.data().to_vec()));
        }
    }
    while let Some(decoded) = decoder.flush(&mut picture).unwrap() {
        shown.push((decoded, picture.data().to_vec()));
    }
    shown
}

fn check(film: &Film, shown: &[(Decoded, Vec<u8>)], expected_size: FrameSize, least_psnr_db: f64) {
    let mut times: Vec<Duration> = film.units.iter().map(|(_, pts)| *pts).collect();
    times.sort();
    let shown_times: Vec<Duration> = shown.iter().map(|(decoded, _)| decoded.pts).collect();
    assert_eq!(shown_times, times);
    for (n, ((decoded, data), expected)) in shown.iter().zip(&film.pictures).enumerate() {
        assert_eq!(decoded.size, expected_size);
        let psnr_db = luma_psnr_db(decoded.size, expected, data);
        assert!(psnr_db >= least_psnr_db, "picture {n}: {psnr_db:.1} dB to what ffmpeg decodes");
    }
}

#[test]
fn high_profile_with_b_pictures_comes_out_in_display_order() {
    let options = ["-profile:v", "high", "-bf", "3", "-x264-params", "b-pyramid=normal:ref=4"];
    let film = film("320x180", 8, &options);
    let times: Vec<Duration> = film.units.iter().map(|(_, pts)| *pts).collect();
    assert!(!times.is_sorted(), "the film has no B pictures to reorder");
    let mut decoder = H264Decoder::new().unwrap();
    check(&film, &play(&mut decoder, &film), size(320, 180), B_PICTURE_PSNR_DB);
    // Again and again from the start, as an idle loop is played.
    for _ in 0..3 {
        check(&film, &play(&mut decoder, &film), size(320, 180), B_PICTURE_PSNR_DB);
    }
}

#[test]
fn several_idr_pictures_and_every_profile_below_high_work() {
    let closed_gop = "keyint=20:min-keyint=20:scenecut=0:bframes=2";
    let main = ["-profile:v", "main", "-x264-params", closed_gop];
    let mut decoder = H264Decoder::new().unwrap();
    let main = film("322x178", 3, &main);
    check(&main, &play(&mut decoder, &main), size(322, 178), B_PICTURE_PSNR_DB);
    // The same decoder, another film of another size.
    let baseline = film("176x144", 2, &["-profile:v", "baseline"]);
    check(&baseline, &play(&mut decoder, &baseline), size(176, 144), f64::INFINITY);
}

#[test]
fn a_loop_without_flushing_keeps_its_order() {
    const ROUNDS: usize = 20;
    let film = film("160x120", 1, &["-profile:v", "high", "-bf", "2"]);
    let mut decoder = H264Decoder::new().unwrap();
    let mut picture = I420Buffer::new(size(16, 16));
    let mut shown = Vec::new();
    for (unit, pts) in std::iter::repeat_n(&film.units, ROUNDS).flatten() {
        shown.extend(decoder.decode(unit, *pts, &mut picture).unwrap().map(|decoded| decoded.pts));
    }
    while let Some(decoded) = decoder.flush(&mut picture).unwrap() {
        shown.push(decoded.pts);
    }
    let rounds: Vec<&[Duration]> = shown.chunks(film.units.len()).collect();
    assert_eq!(rounds.len(), ROUNDS);
    assert!(rounds[0].is_sorted() && rounds.iter().all(|round| *round == rounds[0]));
}

#[test]
fn what_our_encoder_makes_comes_out_at_once() {
    let size = size(256, 144);
    let mut encoder = encoder(VideoCodec::H264, size, 400);
    let stream = encode(&mut *encoder, size, 20, &[10], |_, _| {});
    let expected = ffmpeg_decode(VideoCodec::H264, &stream);
    let frame = expected.len() / 20;
    let mut decoder = H264Decoder::new().unwrap();
    let mut picture = I420Buffer::new(size);
    for (n, unit) in stream.units.iter().enumerate() {
        let pts = Duration::from_millis(n as u64);
        let decoded = decoder.decode(unit, pts, &mut picture).unwrap();
        assert_eq!(decoded, Some(Decoded { size, pts }), "picture {n}");
        assert!(picture.data() == &expected[n * frame..(n + 1) * frame], "picture {n}");
    }
    assert_eq!(decoder.flush(&mut picture), Ok(None));
}

#[test]
fn damaged_input_is_a_typed_error_and_the_next_keyframe_heals() {
    let size = size(256, 144);
    let mut encoder = encoder(VideoCodec::H264, size, 400);
    let stream = encode(&mut *encoder, size, 12, &[8], |_, _| {});
    let mut decoder = H264Decoder::new().unwrap();
    let mut picture = I420Buffer::new(size);
    let mut decode = |data: &[u8]| decoder.decode(data, Duration::ZERO, &mut picture);
    assert_eq!(decode(&[]), Err(DecodeError::NoNalUnit(0)));
    assert_eq!(decode(&[7; 100]), Err(DecodeError::NoNalUnit(100)));
    let slice_first = decode(&stream.units[1]);
    assert!(matches!(slice_first, Err(DecodeError::Corrupt(_))), "{slice_first:?}");
    assert!(decode(&stream.units[0]).unwrap().is_some());
    let mut damaged = stream.units[1].clone();
    let length = damaged.len();
    damaged[length / 4..].iter_mut().for_each(|byte| *byte ^= 0x5a);
    let result = decode(&damaged);
    assert!(matches!(result, Err(DecodeError::Corrupt(_))), "{result:?}");
    for unit in &stream.units[2..8] {
        // Pictures that refer to the damaged one may or may not be refused.
        let _ = decode(unit);
    }
    for unit in &stream.units[8..] {
        assert!(decode(unit).unwrap().is_some());
    }
}
