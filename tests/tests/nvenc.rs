//! The server with a stand-in for NVIDIA's driver (`tests/nvenc-driver`), and without any.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::error::Error;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, thread};

use serde_json::Value;
use tempfile::TempDir;
use visavis_bench::{Microphone, Server, ServerOptions, find_binary};
use visavis_tests::{Outcome, Turn, Watcher};

/// A program that starts the server in another environment. Made while it is the test's turn: a program that another test
/// starts meanwhile would have the file open.
struct Start {
    program: PathBuf,
    _folder: TempDir,
}

impl Start {
    fn with_driver(standin: &str) -> Result<Self, Box<dyn Error>> {
        let driver = env::current_exe()?.with_file_name("libvisavis_nvenc_driver.so");
        Self::with(&format!(
            "NVENC_CUDA_LIBRARY={0} NVENC_ENCODE_LIBRARY={0} NVENC_STANDIN={standin}",
            driver.display()
        ))
    }

    fn with(environment: &str) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let program = folder.path().join("visavis");
        let server = server()?;
        let script = format!("#!/bin/sh\n{environment} exec {} \"$@\"\n", server.display());
        fs::write(&program, script)?;
        fs::set_permissions(&program, Permissions::from_mode(0o755))?;
        Ok(Self { program, _folder: folder })
    }

    fn server(&self, args: &[&str]) -> Result<Server, Box<dyn Error>> {
        let options = ServerOptions::demo().binary(&self.program);
        Ok(Server::start(args.iter().fold(options, |options, arg| options.arg(arg)))?)
    }
}

fn server() -> Result<PathBuf, Box<dyn Error>> {
    Ok(find_binary("visavis", "visavis-cli", "VISAVIS_BIN")?)
}

/// What the server encodes with, by its status.
fn encoders(status: &Value) -> Vec<String> {
    let all = status["videoEncoders"].as_array().map_or(&[][..], Vec::as_slice);
    all.iter().filter_map(|one| one["encoder"].as_str()).map(str::to_owned).collect()
}

/// Waits until the server encodes with this, and nothing else.
fn wait_for_encoder(server: &Server, encoder: &str, limit: Duration) -> Outcome {
    let until = Instant::now() + limit;
    loop {
        let status = server.status()?;
        if encoders(&status) == [encoder] {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(format!("not {encoder}: {status}").into());
        }
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_encoder_that_dies_is_replaced_and_viewers_see_no_gap() -> Outcome {
    let _turn = Turn::take()?;
    // From the 90th picture on each one fails: once in the session that has run, once in its successor.
    let start = Start::with_driver("fail:nvEncEncodePicture:90:1000000:20")?;
    let server = start.server(&["--encoder", "nvenc", "--size", "512x512"])?;
    assert!(server.log().contains("H264 is encoded by NVENC"), "{}", server.log());
    let watcher = Watcher::open(&format!("{}?autostart=1", server.url()), Microphone::Absent)?;
    watcher.wait_for_frames(30, Duration::from_secs(20))?;
    wait_for_encoder(&server, "nvenc", Duration::from_secs(2))?;
    assert!(server.status()?["withoutNvenc"].is_null());
    let before = watcher.stats()?;
    wait_for_encoder(&server, "openh264", Duration::from_secs(20))?;
    watcher.wait_for_frames(60, Duration::from_secs(20))?;
    let gap = watcher.longest_gap_ms(0.0)?;
    let after = watcher.stats()?;
    println!("longest gap {gap:.0} ms");
    assert!(gap < 1_000.0, "{gap:.0} ms without a picture");
    assert_eq!(server.peer_count()?, 1);
    assert!(after.frames_decoded > before.frames_decoded);
    let log = server.log();
    assert_eq!(log.matches("encoder failed; it is replaced").count(), 2, "{log}");
    drop(watcher);
    Ok(server.stop()?)
}

#[test]
fn a_gpu_without_an_encoder_is_named_and_software_encodes() -> Outcome {
    let _turn = Turn::take_without_programs()?;
    let start = Start::with_driver("encoder=0")?;
    let server = start.server(&[])?;
    let status = server.status()?;
    let reason = status["withoutNvenc"].as_str().ok_or("no reason")?;
    assert!(reason.starts_with("the stand-in 0 has no H264 encoder; use "), "{reason}");
    let log = server.log();
    assert!(log.contains("H264 is encoded in software") && log.contains(reason), "{log}");
    server.stop()?;
    // Told to, it opens nothing.
    let start = Start::with("NVENC_CUDA_LIBRARY=/nowhere/libcuda.so.1")?;
    let server = start.server(&["--encoder", "software"])?;
    assert!(!server.log().contains("NVENC"), "{}", server.log());
    Ok(server.stop()?)
}

#[test]
fn where_nvenc_is_wanted_and_is_not_there_the_server_says_why_and_ends() -> Outcome {
    let _turn = Turn::take_without_programs()?;
    let start = Start::with("NVENC_CUDA_LIBRARY=/nowhere/libcuda.so.1")?;
    let ended = Command::new(&start.program)
        .args(["serve", "--encoder", "nvenc", "--listen", "127.0.0.1:0"])
        .output()?;
    let text = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{text}");
    let expected = "--encoder nvenc: the NVIDIA library /nowhere/libcuda.so.1 cannot be opened; \
                    install the NVIDIA driver";
    assert!(text.contains(expected), "{text}");
    Ok(())
}

#[test]
fn the_program_is_linked_with_nothing_of_nvidias() -> Outcome {
    let _turn = Turn::take_without_programs()?;
    let listed = Command::new("ldd").arg(server()?).output()?;
    let listed = String::from_utf8(listed.stdout)?.to_lowercase();
    assert!(listed.contains("libc.so"), "{listed}");
    assert!(!listed.contains("nvidia") && !listed.contains("cuda"), "{listed}");
    Ok(())
}
