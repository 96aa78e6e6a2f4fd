//! Long runs, with everything that may happen to an encoder.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

use visavis_nvenc::NvencMaker;
use visavis_types::Bitrate;
use visavis_types::encoder::VideoEncoder;

use crate::driver::Driver;
use crate::{Viewer, config, control, picture, size};

/// Pictures of the run: 600, or as the environment has it.
fn frames() -> usize {
    let wanted = std::env::var("NVENC_FRAMES").ok().and_then(|text| text.parse().ok());
    wanted.unwrap_or(600).max(600)
}

struct Run {
    stream: Vec<u8>,
    bitrates: usize,
    sizes: usize,
    keyframes: usize,
    recoveries: usize,
}

/// Encodes so many pictures, with 50 changes of the bitrate, 20 of the size, 200 keyframes that were asked for and 100
/// losses, and has each picture that was not lost decoded.
fn run(maker: &NvencMaker, frames: usize) -> Run {
    let sizes = [(160, 160), (192, 160), (256, 192), (320, 240)];
    let mut done = Run { stream: Vec::new(), bitrates: 0, sizes: 0, keyframes: 0, recoveries: 0 };
    let (mut viewer, mut encoder) = (Viewer::new(), None::<Box<dyn VideoEncoder>>);
    // How often something happened by now, so that it happens as often as wanted.
    let by = |n: usize, times: usize| n * times / frames;
    let mut size_now = size(160, 160);
    for n in 0..frames {
        let changes = |times| n > 0 && by(n, times) != by(n - 1, times);
        if changes(21) {
            done.sizes += 1;
            let (width, height) = sizes[done.sizes % sizes.len()];
            size_now = size(width, height);
            // As the engine does: the one before goes first.
            drop(encoder.take());
        }
        let encoder = match &mut encoder {
            Some(encoder) => encoder,
            none => none.insert(maker.encoder(&config(size_now).references(2)).unwrap()),
        };
        if changes(51) {
            done.bitrates += 1;
            encoder.set_bitrate(Bitrate::from_kbps(300 + 37 * (done.bitrates as u64 % 20)));
        }
        let (keyframe, recover) = (changes(201), changes(102));
        done.keyframes += usize::from(keyframe);
        done.recoveries += usize::from(recover);
        let source = picture(size_now, n);
        let mut out = Vec::new();
        let control = control(n).keyframe(keyframe).recover(recover).keep_reference(n % 3 == 0);
        let encoded = encoder.encode(&(&source).into(), &control, &mut out).unwrap();
        assert!(encoded.keyframe || !keyframe);
        if let Some(reference) = encoded.reference {
            // Some never come to be known.
            match n % 5 {
                0 => encoder.reference_lost(reference).unwrap(),
                _ => encoder.reference_received(reference).unwrap(),
            }
        }
        viewer.see(&out, n, &source);
        done.stream.extend_from_slice(&out);
    }
    done
}

#[test]
fn a_long_run_with_all_that_may_happen_decodes_throughout() {
    let driver = Driver::new();
    let maker = driver.maker().unwrap();
    let frames = frames();
    let done = run(&maker, frames);
    assert!(done.bitrates >= 50 && done.sizes >= 20, "{} {}", done.bitrates, done.sizes);
    assert!(done.keyframes >= 200 && done.recoveries >= 100);
    assert_eq!(driver.get("pictures"), frames as i64);
    println!(
        "{frames} pictures: {} changes of the bitrate, {} of the size, {} keyframes asked for, {} losses; \
         {} keyframes made, {} losses repaired without, {} invalidations",
        done.bitrates,
        done.sizes,
        done.keyframes,
        done.recoveries,
        driver.get("keyframes"),
        driver.get("recovered"),
        driver.get("invalidated")
    );
    drop(maker);
    driver.assert_clean();
    assert_eq!(decoded_by_ffmpeg(&done.stream), Some(frames));
}

#[test]
fn eight_sessions_in_threads_do_not_disturb_each_other() {
    let driver = Driver::new();
    let maker = driver.maker().unwrap();
    driver.set("delay_us", 500);
    thread::scope(|scope| {
        for session in 0..8 {
            let maker = &maker;
            scope.spawn(move || {
                let size = size(160 + 16 * session, 160);
                let mut encoder = maker.encoder(&config(size)).unwrap();
                let mut viewer = Viewer::new();
                for n in 0..60 {
                    let (source, mut out) = (picture(size, n), Vec::new());
                    encoder.set_bitrate(Bitrate::from_kbps(400 + n as u64 / 10));
                    encoder.encode(&(&source).into(), &control(n), &mut out).unwrap();
                    viewer.see(&out, n, &source);
                    // An encoder may go on on another thread.
                    if n == 30 {
                        encoder = thread::spawn(move || encoder).join().unwrap();
                    }
                }
                // Closed on another thread than it was opened on.
                thread::spawn(move || drop(encoder)).join().unwrap();
            });
        }
    });
    assert_eq!((driver.get("pictures"), driver.get("keyframes")), (480, 8));
    drop(maker);
    driver.assert_clean();
}

#[test]
fn where_sessions_are_limited_the_next_one_is_refused_and_the_others_go_on() {
    let driver = Driver::new();
    driver.set("sessions_max", 3);
    let maker = driver.maker().unwrap();
    let size = size(320, 240);
    let mut encoders: Vec<_> = (0..3).map(|_| maker.encoder(&config(size)).unwrap()).collect();
    let error = maker.encoder(&config(size)).err().unwrap();
    assert!(error.to_string().contains("no free encoding session"), "{error}");
    for encoder in &mut encoders {
        encoder.encode(&(&picture(size, 0)).into(), &control(0), &mut Vec::new()).unwrap();
    }
    drop(encoders.pop());
    encoders.push(maker.encoder(&config(size)).unwrap());
    drop((encoders, maker));
    driver.assert_clean();
}

/// How many pictures ffmpeg finds in a stream, none of them damaged. None where a picture is.
fn decoded_by_ffmpeg(stream: &[u8]) -> Option<usize> {
    let mut ffmpeg = Command::new("ffmpeg")
        .args(["-hide_banner", "-loglevel", "error", "-xerror", "-f", "h264", "-i", "pipe:0"])
        .args(["-vf", "scale=16:16", "-fps_mode", "passthrough", "-f", "rawvideo"])
        .args(["-pix_fmt", "gray", "pipe:1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = ffmpeg.stdin.take().unwrap();
    let stream = stream.to_vec();
    let writer = thread::spawn(move || input.write_all(&stream));
    let output = ffmpeg.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || !errors.trim().is_empty() {
        assert!(errors.is_empty(), "ffmpeg: {errors}");
        return None;
    }
    Some(output.stdout.len() / (16 * 16))
}
