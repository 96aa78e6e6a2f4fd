//! Instructions that the hub executes for one frame interval of fifty viewers, counted by valgrind's
//! callgrind and compared with the figure kept in `instructions.json`.
//!
//! A count is the same on a quiet machine and on a busy one, so that it shows a regression of a few
//! per cent where a clock cannot. It is no time: a cache miss counts like nothing, a system call is not
//! in here at all. Cryptography is counted but left out of the figure that is compared: its code is
//! chosen by the processor.
//!
//! `make instructions` runs it, `make instructions BLESS=1` keeps a new figure. The figure depends on
//! the compiler, the C library and the profile; where one differs from the record, the result is
//! reported and not judged.
#![allow(clippy::unwrap_used, reason = "a bench that cannot run says so by a panic")]

mod callgrind;
mod record;
#[path = "../room/mod.rs"]
mod room;
mod scene;

use std::env;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use callgrind::Profile;
use record::{Environment, Record, Verdict};

/// The child, which runs under valgrind, is told so.
const SCENE: &str = "--scene";

/// Relative distance from the kept figure that passes, either way.
const BAND: f64 = 0.03;

/// Functions listed.
const LISTED: usize = 12;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let has = |name| arguments.iter().any(|argument| argument == name);
    let outcome = if has(SCENE) {
        scene::play();
        Ok(true)
    } else if has("--bench") {
        measure(has("--bless"))
    } else {
        // `cargo test --all-targets` comes by here too.
        writeln!(stdout(), "run it with `make instructions`").map(|()| true).map_err(Into::into)
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Counts, prints, and compares or keeps. False where the count is outside the band.
fn measure(bless: bool) -> Outcome<bool> {
    let profile = count()?;
    let now = Record {
        instructions_per_viewer_interval: profile.without_crypto() as f64 / scene::turns() as f64,
        environment: Environment::here()?,
    };
    let mut out = stdout();
    writeln!(out, "instructions  share  function")?;
    for (name, count) in profile.largest().take(LISTED) {
        let share = count as f64 * 100.0 / profile.total() as f64;
        let per_turn = count as f64 / scene::turns() as f64;
        writeln!(out, "{per_turn:>12.0}  {share:>4.1}%  {name}")?;
    }
    let crypto = profile.total() - profile.without_crypto();
    writeln!(
        out,
        "\nper viewer and frame interval: {:.0} instructions, and {:.0} of cryptography",
        now.instructions_per_viewer_interval,
        crypto as f64 / scene::turns() as f64
    )?;
    let path = record_path();
    if bless {
        now.write(&path)?;
        writeln!(out, "kept in {}", path.display())?;
        return Ok(true);
    }
    let kept = Record::read(&path)?;
    let verdict = kept.judge(&now, BAND);
    writeln!(out, "{verdict}")?;
    Ok(!matches!(verdict, Verdict::Outside { .. }))
}

fn record_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions/instructions.json")
}

/// Runs the scene under callgrind, which counts only inside [`scene::counted`].
fn count() -> Outcome<Profile> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("callgrind.out");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--toggle-collect=*scene::counted*"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(env::current_exe()?)
        .arg(SCENE)
        // `rep movsb`, which the C library uses for long copies where the processor is said to be good
        // at it, would count as one instruction a byte.
        .env("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-ERMS,-FSRM")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("valgrind: {error}; `make instructions` installs it"))?;
    if !output.status.success() {
        let log = String::from_utf8_lossy(&output.stderr);
        return Err(format!("valgrind ended with {}:\n{log}", output.status).into());
    }
    let profile = Profile::parse(&std::fs::read_to_string(file)?)?;
    if profile.total() == 0 {
        return Err("nothing was counted: valgrind found no function scene::counted".into());
    }
    Ok(profile)
}
