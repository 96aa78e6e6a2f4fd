//! The `visavis` command: see `visavis --help`.

use std::io::Write;
use std::process::ExitCode;

use visavis_cli::{cli, log, serve, settings};

fn main() -> ExitCode {
    visavis::memory::keep_little();
    let settings = match settings::load(&cli::parse()) {
        Ok(settings) => settings,
        Err(error) => return fail(&error, 1),
    };
    let outcome = serve::run(&settings);
    log::flush();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, error.exit_code()),
    }
}

/// The reason goes to the person at the terminal, if there is one.
fn fail(error: &dyn std::error::Error, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "visavis: {error}");
    ExitCode::from(code)
}
