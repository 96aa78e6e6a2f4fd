//! The pages in `web/` are part of the binary: a changed or added file means a new build.
#![allow(clippy::print_stdout, reason = "cargo reads its instructions from standard output")]

fn main() {
    println!("cargo::rerun-if-changed=web");
}
