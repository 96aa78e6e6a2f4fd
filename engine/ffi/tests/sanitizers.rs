//! Slow ways of running C programs: `make test-sanitizers`.

mod support;

use std::fs;
use std::process::Command;

use support::{ADDRESS_SANITIZER, Link, Options, Outcome, compile};

/// What one thread reads or writes in memory of the program while another writes it. The library is not instrumented:
/// how its threads agree with each other is not seen, and so not looked at.
#[test]
#[ignore = "slow: make test-sanitizers"]
fn callbacks_under_thread_sanitizer() -> Outcome {
    let program = compile(
        "tests/readers.c",
        &Options { arguments: &["-fsanitize=thread"], link: Link::Shared },
    )?;
    let suppressions = program.with_extension("tsan");
    fs::write(&suppressions, "called_from_lib:libvisavis_ffi.so\n")?;
    let options = format!("suppressions={}", suppressions.display());
    run(Command::new(program).env("TSAN_OPTIONS", options))
}

#[test]
#[ignore = "slow: make test-sanitizers"]
fn each_call_under_valgrind() -> Outcome {
    let program = compile("tests/calls.c", &Options { arguments: &[], link: Link::Shared })?;
    let leaks = ["--leak-check=full", "--errors-for-leak-kinds=definite"];
    run(Command::new("valgrind")
        .args(["--quiet", "--error-exitcode=9", "--show-leak-kinds=definite"])
        .args(leaks)
        .arg(program)
        .arg("no-fork"))
}

#[test]
#[ignore = "slow: make test-sanitizers"]
fn the_static_library_under_address_sanitizer() -> Outcome {
    for source in ["tests/calls.c", "tests/readers.c"] {
        let options = Options { arguments: &ADDRESS_SANITIZER, link: Link::Static };
        run(&mut Command::new(compile(source, &options)?))?;
    }
    Ok(())
}

fn run(command: &mut Command) -> Outcome {
    let output = command.output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "done\n", "{errors}");
    Ok(())
}
