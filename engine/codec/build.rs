//! Refuses to build where openh264 would be built without its assembly.
//!
//! The build of openh264 takes a missing `nasm` for a wish and compiles plain C++, which encodes
//! three times slower. Nothing would look wrong except the latency.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rerun-if-env-changed=OPENH264_NO_ASM");
    if env::var_os("CARGO_FEATURE_H264").is_none() {
        return;
    }
    let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    if arch != "x86_64" && arch != "x86" {
        return;
    }
    if env::var_os("OPENH264_NO_ASM").is_some() {
        fail("OPENH264_NO_ASM is set: the H264 encoder would be three times slower. Unset it");
    }
    let answer = Command::new("nasm").arg("-v").output();
    if !answer.is_ok_and(|output| output.status.success()) {
        fail(
            "nasm is not in PATH: the H264 encoder would be three times slower. Install it \
             (Debian: apt install nasm), then run `cargo clean -p openh264-sys2`, because a \
             build of it may have finished without",
        );
    }
}

fn fail(why: &str) {
    println!("cargo::error={why}");
}
