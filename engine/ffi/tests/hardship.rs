//! Calls at random, and the library loaded and unloaded again and again.

mod support;

use support::{Link, Options, Outcome, Program, compile, library};

/// Three seconds, or as many as `FFI_FUZZ_SECONDS` says, with `FFI_FUZZ_SEED`.
#[test]
fn calls_at_random_are_survived() -> Outcome {
    let number = |name, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let (seconds, seed) = (number("FFI_FUZZ_SECONDS", "3"), number("FFI_FUZZ_SEED", "1"));
    let program =
        Program::start(compile("tests/fuzz.c", &Options::default())?, &[&seconds, &seed])?;
    let said = program.finish()?;
    let calls = said.split(' ').next().and_then(|count| count.parse::<u64>().ok());
    assert!(calls.is_some_and(|calls| calls > 1_000), "{said}");
    Ok(())
}

#[test]
fn two_libraries_live_side_by_side_and_a_hundred_lives_leave_nothing_behind() -> Outcome {
    let library = library()?;
    let library = library.to_str().ok_or("a path that is no text")?;
    let options = Options { link: Link::Not, arguments: &[] };
    let program = compile("tests/reload.c", &options)?;
    let copy = program.with_extension("so");
    std::fs::copy(library, &copy)?;
    let copied = copy.to_str().ok_or("a path that is no text")?;
    let two = std::process::Command::new(&program).args([library, "0", copied]).status()?;
    std::fs::remove_file(&copy)?;
    assert!(two.success(), "two libraries side by side: {two}");
    Program::start(program, &[library, "100"])?.finish()?;
    Ok(())
}
