use std::process::ExitCode;

use clap::Parser;
use visavis_cli::cli::{Cli, Command};
use visavis_cli::{serve, settings};

fn main() -> ExitCode {
    // Clap answers --help with 0 and a usage error with 2 by itself.
    let Command::Serve(flags) = Cli::parse().command;
    let settings = match settings::load(&flags) {
        Ok(settings) => settings,
        Err(error) => return fail(&error),
    };
    match serve::run(&settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

#[expect(clippy::print_stderr, reason = "the last word goes to the person at the terminal")]
fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("visavis: {error}");
    ExitCode::FAILURE
}
