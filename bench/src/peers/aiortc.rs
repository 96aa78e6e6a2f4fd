//! aiortc: WebRTC in Python, in a virtual environment of the bench's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::install;
use super::progress::note;
use super::running::Running;
use crate::Error;
use crate::process::Process;

/// What was current when the figures in the README were taken.
const PACKAGES: [&str; 4] = ["aiortc==1.16.0", "aiohttp==3.14.5", "websockets==17.4", "numpy"];

const SERVER: &str = include_str!("../../peers/aiortc_server.py");

/// Python reads a lot before its first line.
const READY_DEADLINE: Duration = Duration::from_secs(60);

/// Where the media comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Encoded already, and relayed.
    Preencoded,
    /// Raw: every viewer's connection encodes for itself.
    Encoding,
}

/// Makes the virtual environment, unless it is there.
///
/// # Errors
///
/// When there is no Python with `venv`, or PyPI does not give the packages.
pub(super) fn install() -> Result<(), Error> {
    let folder = folder()?;
    let mark = folder.join("installed");
    let wanted = PACKAGES.join("\n");
    if fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    note(&format!("installing {} into {}", PACKAGES.join(", "), folder.display()));
    fs::create_dir_all(&folder)?;
    install::run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    let mut pip = Command::new(folder.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    install::run(pip.args(PACKAGES))?;
    Ok(fs::write(mark, wanted)?)
}

/// The Python of that environment, installed where it is not there: for tests that have aiortc watch.
///
/// # Errors
///
/// Where it cannot be installed: no Python with `venv`, or a package that cannot be had.
pub fn aiortc_python() -> Result<PathBuf, Error> {
    install()?;
    Ok(folder()?.join("bin/python"))
}

/// Starts the server.
///
/// # Errors
///
/// When it is not installed, or not ready in time.
pub(super) fn start(mode: Mode) -> Result<Running, Error> {
    let files = tempfile::tempdir()?;
    let script = files.path().join("aiortc_server.py");
    fs::write(&script, SERVER)?;
    let mode = match mode {
        Mode::Preencoded => "preencoded",
        Mode::Encoding => "encoding",
    };
    let mut command = Command::new(folder()?.join("bin/python"));
    let (process, ready) =
        Process::start_until_ready(command.arg(&script).arg(mode), READY_DEADLINE)?;
    Running::from_ready(process, &ready, Some(files))
}

/// Beside the builds: `target/peers/aiortc`.
fn folder() -> Result<PathBuf, Error> {
    let executable = std::env::current_exe()?;
    let target = executable.ancestors().find(|folder| folder.ends_with("target"));
    let target = target.or_else(|| executable.parent()).unwrap_or(Path::new("."));
    Ok(target.join("peers/aiortc"))
}
