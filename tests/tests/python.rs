//! The Python package in front of a real Chromium.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::fs;
use std::thread;
use std::time::Duration;

use visavis_bench::Microphone;
use visavis_tests::{Outcome, Script, Turn, Watcher, root};

/// What a newcomer is promised: a face in so many lines.
const MOST_LINES: usize = 12;

#[test]
fn twelve_lines_serve_a_moving_picture_and_a_sound() -> Outcome {
    let _turn = Turn::take_without_programs()?;
    let lines = fs::read_to_string(root().join("tests/python/serve.py"))?.lines().count();
    assert!(lines <= MOST_LINES, "{lines} lines");
    let mut script = Script::start("serve.py")?;
    let url = script.line()?;
    let watcher = Watcher::open(&format!("{url}?autostart=1"), Microphone::Absent)?;
    thread::sleep(Duration::from_secs(2));

    let before = watcher.stats()?;
    let first = watcher.picture()?;
    let (hz, level) = watcher.hear_tone()?;
    let (second, after) = (watcher.picture()?, watcher.stats()?);
    let fps = after.fps_since(&before);
    let moved =
        bar(&first.luma([0.0, 1.0], [0.5, 0.52])) != bar(&second.luma([0.0, 1.0], [0.5, 0.52]));
    println!("{}x{} at {fps:.1} fps, {hz:.1} Hz at {level:.3}", first.width, first.height);
    assert_eq!((first.width, first.height), (256, 256));
    assert!(bar(&first.luma([0.0, 1.0], [0.5, 0.52])).is_some(), "no bar in the picture");
    assert!(moved, "the bar does not move");
    assert!((20.0..30.0).contains(&fps), "{fps:.1} fps");
    assert!((hz - 440.0).abs() < 4.0, "{hz:.1} Hz");
    assert!((level - 8_000.0 / 32_768.0).abs() < 0.05, "{level:.3}");
    Ok(())
}

/// Where a row of pixels becomes bright.
fn bar(row: &[f64]) -> Option<usize> {
    row.iter().position(|&luma| luma > 128.0)
}
