//! The program as people start it.
#![expect(clippy::unwrap_used, reason = "a panic is the failure report, in helpers too")]

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn visavis(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_visavis"));
    command.arg("serve").args(arguments).stdin(Stdio::null()).env_remove("VISAVIS_LISTEN");
    command
}

fn run(arguments: &[&str]) -> Output {
    visavis(arguments).output().unwrap()
}

/// A server that is ready. Killed if a test fails before it stops it.
struct Server {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
    first_line: String,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        Self::start_logging(arguments, Stdio::null())
    }

    fn start_logging(arguments: &[&str], log: Stdio) -> Self {
        let mut child = visavis(&[&["--listen", "127.0.0.1:0"], arguments].concat())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut first_line = String::new();
        stdout.read_line(&mut first_line).unwrap();
        Self { child, stdout, first_line }
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    fn stop(mut self, signal: &str) -> (Option<i32>, String) {
        self.signal(signal);
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn json_is_one_line_and_sigterm_is_a_clean_end() {
    let server = Server::start(&["--json", "--timecode"]);
    let ready: serde_json::Value = serde_json::from_str(&server.first_line).unwrap();
    assert_eq!(ready["ready"], true);
    assert_eq!(ready["pid"], server.child.id());
    let url = ready["url"].as_str().unwrap();
    assert!(url.starts_with("http://127.0.0.1:") && url.ends_with('/'), "{url}");
    assert!(ready["udp"].as_str().unwrap().starts_with("0.0.0.0:"), "{ready}");
    assert_eq!(server.stop("-TERM"), (Some(0), String::new()));
}

#[test]
fn a_hangup_has_the_certificate_read_again_and_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let [cert, key, log] = ["cert.pem", "key.pem", "log"].map(|name| folder.path().join(name));
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&cert, pair.cert.pem()).unwrap();
    std::fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
    let (cert_path, key_path) = (cert.to_str().unwrap(), key.to_str().unwrap());
    let arguments = ["--json", "--tls-cert", cert_path, "--tls-key", key_path];
    let file = std::fs::File::create(&log).unwrap();
    let mut server = Server::start_logging(&arguments, file.into());
    assert!(server.first_line.contains("https://"), "{}", server.first_line);
    let mut hang_up = |said: &str| {
        server.signal("-HUP");
        let deadline = Instant::now() + Duration::from_secs(20);
        while !std::fs::read_to_string(&log).unwrap().contains(said) {
            assert_eq!(server.child.try_wait().unwrap(), None, "it has ended");
            assert!(Instant::now() < deadline, "{said}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    // Only the signal causes this: unchanged files are not read again by themselves.
    hang_up("the certificate is the same as before");
    std::fs::write(&key, "nonsense").unwrap();
    hang_up("the new certificate cannot be used");
    let renewed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&cert, renewed.cert.pem()).unwrap();
    std::fs::write(&key, renewed.signing_key.serialize_pem()).unwrap();
    hang_up("a new certificate is in use");
    assert_eq!(server.stop("-TERM"), (Some(0), String::new()));

    // Without a certificate there is nothing to read, and nothing ends either.
    let mut server = Server::start(&["--json"]);
    server.signal("-HUP");
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(server.child.try_wait().unwrap(), None);
    assert_eq!(server.stop("-TERM"), (Some(0), String::new()));
}

#[test]
fn each_media_loop_has_a_port_of_its_own() {
    let server = Server::start(&["--json", "--loops", "3"]);
    let ready: serde_json::Value = serde_json::from_str(&server.first_line).unwrap();
    let others = ready["udpMore"].as_array().unwrap();
    assert_eq!(others.len(), 2, "{ready}");
    assert!(!others.contains(&ready["udp"]) && others[0] != others[1], "{ready}");
    assert_eq!(server.stop("-TERM"), (Some(0), String::new()));
    assert_eq!(run(&["--loops", "0"]).status.code(), Some(2));
}

#[test]
fn people_are_told_where_to_look_and_ctrl_c_is_a_clean_end() {
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/sync.mp4");
    let server = Server::start(&["--play", fixture, "--video-codec", "vp8"]);
    assert!(server.first_line.starts_with("Open http://localhost:"), "{}", server.first_line);
    let (code, rest) = server.stop("-INT");
    assert_eq!(code, Some(0));
    for part in ["sync.mp4", "640x360", "VP8", "UDP port"] {
        assert!(rest.contains(part), "{part}: {rest}");
    }
}

#[test]
fn a_taken_port_is_named_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&["--listen", &address, "--log", "error"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(&address) && text.contains("--listen"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn bad_settings_and_files_end_with_one_sentence() {
    for (arguments, expected) in [
        (&["--play", "/nowhere/a.mp4"][..], "/nowhere/a.mp4"),
        (&["--config", "/nowhere/a.toml"], "/nowhere/a.toml"),
        (&["--tls-cert", "a.pem"], "tls_key"),
        (&["--log", "=:="], "log filter"),
        (&["--log", "error", "--page-title", ""], "title"),
        (&["--log", "error", "--page-logo", "/nowhere/logo.svg"], "/nowhere/logo.svg"),
        (&["--log", "error", "--page-logo", env!("CARGO_BIN_EXE_visavis")], "512 KiB"),
    ] {
        let output = run(&[&["--listen", "127.0.0.1:0"], arguments].concat());
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(expected) && text.lines().count() == 1, "{text}");
    }
}

#[test]
fn usage_errors_are_2_and_help_is_0() {
    assert_eq!(run(&["--fps", "many"]).status.code(), Some(2));
    assert_eq!(run(&["--help"]).status.code(), Some(0));
}

#[test]
fn without_ffmpeg_other_files_say_what_to_install() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.webm");
    std::fs::write(&path, b"\x1a\x45\xdf\xa3 not much of a webm").unwrap();
    let path = path.to_str().unwrap();
    let mut command = visavis(&["--listen", "127.0.0.1:0", "--play", path]);
    let output = command.env("PATH", dir.path()).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("ffmpeg") && text.contains("install"), "{text}");
}
