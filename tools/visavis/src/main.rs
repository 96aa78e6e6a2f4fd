use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use visavis_cli::cli::{Cli, Command};
use visavis_cli::{log, serve, settings};

fn main() -> ExitCode {
    visavis::memory::keep_little();
    // Clap answers --help with 0 and a usage error with 2 by itself.
    let Command::Serve(flags) = Cli::parse().command;
    let settings = match settings::load(&flags) {
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

/// The last word goes to the person at the terminal, if there is one.
fn fail(error: &dyn std::error::Error, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "visavis: {error}");
    ExitCode::from(code)
}
