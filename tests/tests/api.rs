//! Tests the HTTP API with schemathesis: it reads the OpenAPI document from the running server, sends valid and invalid
//! requests, and checks each answer against the document.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use visavis_bench::{Server, ServerOptions, get_json};
use visavis_tests::{Outcome, Turn, artifacts, fixtures, root};

const SCHEMATHESIS: &str = "schemathesis==4.32.5";

/// A schema cannot express everything that makes a request valid: `/ws` needs a WebSocket, an offer SDP with a codec of
/// the session, a candidate its grammar.
const UNFIT_CHECK: &str = "positive_data_acceptance";

#[test]
fn schemathesis_finds_nothing_outside_the_document() -> Outcome {
    let fuzzer = schemathesis()?;
    let _turn = Turn::take()?;
    // More places than it takes, so that being full is no finding: 503 is for those who ask again later.
    let options = ServerOptions::demo();
    let options = ["--api", "--max-sessions", "5000", "--max-clients", "5000", "--log", "warn"]
        .into_iter()
        .fold(options, |options, arg| options.arg(arg));
    let server = Server::start(options)?;
    let run = Command::new(fuzzer)
        .args(["run", &format!("{}openapi.json", server.url())])
        .args(["--checks", "all", "--exclude-checks", UNFIT_CHECK])
        .args(["--seed", "1", "--max-examples", "20", "--warnings", "off"])
        .args(["--phases", "examples,coverage,fuzzing,stateful", "--request-timeout", "20"])
        .env("PYTHONPATH", root().join("tests/api"))
        .env("SCHEMATHESIS_HOOKS", "visavis_bodies")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // It leaves files where it runs.
        .current_dir(artifacts()?)
        .stdin(Stdio::null())
        .output()?;
    let said = String::from_utf8_lossy(&run.stdout);
    let summary = said.find("= SUMMARY =").and_then(|at| said.get(at..)).unwrap_or(&said);
    println!("{summary}");
    assert!(run.status.success(), "{said}\n{}", String::from_utf8_lossy(&run.stderr));
    // It has tested every operation, and not just read the document.
    assert!(summary.contains(" generated, "), "{said}");
    get_json(&format!("{}status", server.url()))?;
    let log = server.log();
    assert!(!log.contains("panicked"), "{log}");
    server.stop()?;
    Ok(())
}

/// Installs it in a virtual environment, once.
fn schemathesis() -> Result<PathBuf, Box<dyn Error>> {
    let folder = fixtures()?.join("schemathesis");
    let mark = folder.join("installed");
    let program = folder.join("bin/schemathesis");
    if fs::read_to_string(&mark).is_ok_and(|installed| installed == SCHEMATHESIS) {
        return Ok(program);
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    let python: &Path = &folder.join("bin/python");
    run(Command::new(python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .arg(SCHEMATHESIS))?;
    fs::write(mark, SCHEMATHESIS)?;
    Ok(program)
}

fn run(command: &mut Command) -> Outcome {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(())
}
