//! Running Linux' `perf`.

use std::io::{BufRead, BufReader, ErrorKind};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::Error;

/// Bytes of stack copied with each sample, for unwinding afterwards: the most that perf takes. A peer's
/// turn moves structures of kilobytes; with 16 KB a third of the stacks had lost their outer end.
const STACK_BYTES: u32 = 65_528;

const MISSING: &str =
    "perf is not installed: `make setup-profile` installs it (Debian: linux-perf)";

/// Fails early, with a clear message, if `perf` is missing.
pub(super) fn check() -> Result<(), Error> {
    succeeded("perf --version", Command::new("perf").arg("--version").output()).map(drop)
}

/// Samples a process and gives the result line by line, as `perf script` prints it: a line with thread
/// name and id, a line for each frame from the innermost out, an empty line.
pub(super) fn sample(
    pid: u32,
    duration: Duration,
    frequency: u32,
    mut line: impl FnMut(&str),
) -> Result<(), Error> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("perf.data");
    let mut record = Command::new("perf");
    record
        .args(["record", "-q", "-F", &frequency.to_string()])
        .args(["--call-graph", &format!("dwarf,{STACK_BYTES}"), "-p", &pid.to_string(), "-o"])
        .arg(&file)
        .args(["--", "sleep", &duration.as_secs_f64().to_string()])
        .stdin(Stdio::null());
    succeeded("perf record", record.output())?;

    // Errors of the second program are rare and short; they are not worth a pipe that could fill.
    let mut script = Command::new("perf")
        .args(["script", "--no-inline", "-F", "comm,tid,ip,sym,dso", "-i"])
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(stdout) = script.stdout.take() {
        let mut reader = BufReader::new(stdout);
        let mut bytes = Vec::new();
        while reader.read_until(b'\n', &mut bytes)? > 0 {
            line(String::from_utf8_lossy(&bytes).trim_end_matches('\n'));
            bytes.clear();
        }
    }
    let status = script.wait()?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::Profile(format!("perf script ended with {status}")))
    }
}

fn succeeded(what: &str, output: std::io::Result<Output>) -> Result<Output, Error> {
    let output = output.map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::Profile(MISSING.to_owned()),
        _ => Error::Profile(format!("{what}: {error}")),
    })?;
    if output.status.success() {
        return Ok(output);
    }
    let log = String::from_utf8_lossy(&output.stderr);
    Err(Error::Profile(format!(
        "{what} ended with {}: {}\nWhere it is not permitted: run as root, or set the sysctl \
         kernel.perf_event_paranoid to 1 or less.",
        output.status,
        log.trim()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_perf_is_told_in_words() {
        let missing = Err(std::io::Error::from(ErrorKind::NotFound));
        let message = succeeded("perf", missing).unwrap_err().to_string();
        assert!(message.contains("make setup-profile"), "{message}");
    }
}
