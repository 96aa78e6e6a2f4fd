//! Tells the linker what is special about the shared library.

use std::env;
use std::ffi::OsString;
use std::process::{Command, Stdio};

/// Functions that are the same, instruction by instruction, are kept once: a tenth of the library. LLD, mold and gold can do
/// that, GNU ld cannot.
const FOLD: &str = "-Wl,--icf=all";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // It stays where it is after `dlclose`: libraries in it keep data of threads, whose destructors run when these end.
    println!("cargo::rustc-link-arg-cdylib=-Wl,-z,nodelete");
    // Where it is debugged each function keeps its name.
    if env::var_os("PROFILE").is_some_and(|profile| profile == "release") && linker_takes(FOLD) {
        println!("cargo::rustc-link-arg-cdylib={FOLD}");
    }
}

/// Whether the linker that will be used knows an argument: it is tried, since nothing else tells which linker that is.
fn linker_takes(argument: &str) -> bool {
    let variable = |name| env::var_os(name).unwrap_or_default();
    let mut output = variable("OUT_DIR");
    output.push("/probe.so");
    let flags = variable("CARGO_ENCODED_RUSTFLAGS");
    let flags = flags.to_string_lossy();
    let mut rustc = Command::new(variable("RUSTC"));
    rustc.args(["--crate-type", "cdylib", "--crate-name", "probe", "-C"]);
    rustc.arg(format!("link-arg={argument}")).arg("--target").arg(variable("TARGET"));
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut setting = OsString::from("linker=");
        setting.push(linker);
        rustc.arg("-C").arg(setting);
    }
    rustc.args(flags.split('\x1f').filter(|flag| !flag.is_empty()));
    // A program without a line, from its standard input.
    rustc.arg("-o").arg(output).arg("-");
    rustc.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    rustc.status().is_ok_and(|status| status.success())
}
