//! Tests of the page that run in Node, with a browser of their own.

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::turn::{artifacts, install_in, root, target};

/// Lists the required packages.
const LOCK: &str = "package-lock.json";

/// Runs the tests of a file in `tests/page` against a server. Pictures are left among the artifacts.
///
/// # Errors
///
/// If one of them fails, with what Node says of those that did; or if npm cannot install the packages.
pub fn run_page_tests(file: &str, url: &str) -> Result<String, Box<dyn Error>> {
    let folder = installed()?;
    let shots = artifacts()?.join("page");
    let mut command = Command::new("node");
    command.args(["--test", "--test-reporter=spec", file]).current_dir(folder);
    command.env("VISAVIS_URL", url).env("VISAVIS_SHOTS", shots).stdin(Stdio::null());
    let output = command.output().map_err(|error| format!("node: {error}; tools/setup test"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.success() {
        true => Ok(said),
        false => {
            Err(format!("{}{}", failures(&said), String::from_utf8_lossy(&output.stderr)).into())
        }
    }
}

/// What Node says of the tests that failed, without those that passed; all where it says nothing of failures.
fn failures(said: &str) -> &str {
    said.find("✖ failing tests:").map_or(said, |at| &said[at..])
}

/// The folder with the tests and the packages they need.
fn installed() -> Result<PathBuf, Box<dyn Error>> {
    let (from, folder) = (root().join("tests/page"), target().join("test-page"));
    let _alone = install_in(&folder)?;
    let wanted = fs::read_to_string(from.join(LOCK))?;
    let mark = folder.join("installed");
    let is_there = fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted);
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let (text, copy) = (fs::read(entry.path())?, folder.join(entry.file_name()));
            // Another test may be reading it.
            if !fs::read(&copy).is_ok_and(|there| there == text) {
                fs::write(copy, text)?;
            }
        }
    }
    if is_there {
        return Ok(folder);
    }
    let quiet = ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
    // Playwright's browsers are not wanted: it drives the one that is installed.
    let output = Command::new("npm")
        .args(quiet)
        .current_dir(&folder)
        .env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("npm: {error}; tools/setup test"))?;
    if !output.status.success() {
        return Err(format!("npm ci: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    fs::write(&mark, wanted)?;
    Ok(folder)
}
