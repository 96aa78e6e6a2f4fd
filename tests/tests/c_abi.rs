//! A C program of forty lines serves a moving picture and sound to Chromium.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::env;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use visavis_bench::Microphone;
use visavis_tests::{Outcome, Turn, Watcher, root};

/// Ended when dropped.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Compiles an example against the shared library that was built for this test.
fn compile(example: &str) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let folder = root().join("engine/ffi");
    let deps = env::current_exe()?.parent().ok_or("a test without a folder")?.to_path_buf();
    let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(example);
    let output = Command::new("cc")
        .args(["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-I"])
        .arg(folder.join("include"))
        .arg(folder.join("examples").join(example).with_extension("c"))
        .arg(deps.join("libvisavis_ffi.so"))
        .arg(format!("-Wl,-rpath,{}", deps.display()))
        .arg("-o")
        .arg(&program)
        .output()?;
    match output.status.success() {
        true => Ok(program),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned().into()),
    }
}

#[test]
fn forty_lines_of_c_are_seen_and_heard_in_a_browser() -> Outcome {
    let _turn = Turn::take_without_programs()?;
    let settings = r#"{"udp": "127.0.0.1:0", "listen": "127.0.0.1:0", "fps": 25}"#;
    let mut process =
        Command::new(compile("minimal")?).arg(settings).stdout(Stdio::piped()).spawn()?;
    let output = process.stdout.take().ok_or("no output")?;
    let _program = Program(process);
    let mut url = String::new();
    BufReader::new(output).read_line(&mut url)?;

    let watcher = Watcher::open(&format!("{}?autostart=1", url.trim_end()), Microphone::Absent)?;
    watcher.wait_for_frames(50, Duration::from_secs(20))?;
    let before = watcher.stats()?;
    let first = watcher.picture()?;
    thread::sleep(Duration::from_secs(3));
    let (after, second) = (watcher.stats()?, watcher.picture()?);
    let (hz, level) = watcher.hear_tone()?;
    let (fps, loudness) = (after.fps_since(&before), after.loudness_since(&before));
    let everywhere = ([0.0, 1.0], [0.0, 1.0]);
    let (first, second) =
        (first.luma(everywhere.0, everywhere.1), second.luma(everywhere.0, everywhere.1));
    let moved: f64 = first.iter().zip(&second).map(|(a, b)| (a - b).abs()).sum();
    let moved = moved / first.len() as f64;
    println!(
        "{fps:.1} fps, moved by {moved:.1}, {hz:.0} Hz, level {level:.3}, loudness {loudness:.3}"
    );
    assert_eq!((after.width, after.height), (256, 256));
    assert!((20.0..30.0).contains(&fps), "{fps} frames a second");
    assert!(moved > 1.0, "a still picture: {moved}");
    assert!((380.0..420.0).contains(&hz), "a tone of {hz} Hz, not of 400");
    assert!(loudness > 0.05, "the tone is not heard: {loudness}");
    Ok(())
}
