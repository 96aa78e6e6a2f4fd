//! What is not there yet is installed, where the system lets us.

use std::env;
use std::process::{Command, Stdio};

use super::progress::note;
use crate::Error;

/// Runs an installing command.
///
/// # Errors
///
/// When it is missing or fails; with the end of its output.
pub(super) fn run(command: &mut Command) -> Result<(), Error> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| Error::Server(format!("{name}: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last: Vec<_> = said.lines().rev().take(5).collect();
    let last: Vec<_> = last.into_iter().rev().collect();
    Err(Error::Server(format!("{name} failed: {}", last.join(" · "))))
}

/// Installs a Debian package, unless its program is there.
///
/// # Errors
///
/// When the package cannot be installed; the message has the command to run.
pub(super) fn debian(program: &str, package: &str) -> Result<(), Error> {
    if is_on_path(program) {
        return Ok(());
    }
    let by_hand = format!("{program} is not here: `apt-get install {package}` would bring it");
    if !is_on_path("apt-get") || !rustix::process::geteuid().is_root() {
        return Err(Error::Server(by_hand));
    }
    note(&format!("installing Debian's {package}"));
    let apt = |args: &[&str]| {
        run(Command::new("apt-get").args(args).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt(&["update", "-qq"])
        .and_then(|()| apt(&["install", "-y", "-qq", "--no-install-recommends", package]))
        .map_err(|error| Error::Server(format!("{by_hand}; {error}")))
}

fn is_on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
