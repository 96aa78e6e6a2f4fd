//! What the program does when its log cannot be written, and when a part of it fails.
#![expect(clippy::unwrap_used, reason = "a panic is the failure report, in helpers too")]

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

struct Server {
    child: Child,
    /// Where the page is.
    addr: String,
}

impl Server {
    fn start(stderr: Stdio, planted: Option<&str>, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_visavis"));
        command.args(["serve", "--json", "--listen", "127.0.0.1:0", "--udp", "127.0.0.1:0"]);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
        command.envs(planted.map(|domain| ("VISAVIS_PLANT_FAULT", domain)));
        Self::of(command)
    }

    fn of(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        let url = ready["url"].as_str().unwrap_or_default();
        let addr = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        Self { child, addr }
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.addr).unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.addr);
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// A figure of `/metrics`.
    fn figure(&self, name: &str) -> f64 {
        let metrics = self.get("/metrics");
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().parse().unwrap()
    }

    fn wait_for(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < deadline, "{what}: it never came");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Has it stop, and returns what it ended with.
    fn stop(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn goes_on_without_its_log(stderr: Stdio) {
    let server = Server::start(stderr, None, &["--log", "debug"]);
    let name = "visavis_faults_total{domain=\"log\"}";
    server.wait_for("lost lines", |server| server.figure(name) > 0.0);
    // Whoever comes is logged, by the media loop.
    let offer = include_str!("../../../fixtures/sdp/chromium-156-watch.sdp");
    let mut stream = TcpStream::connect(&server.addr).unwrap();
    let head = format!(
        "POST /whep/default HTTP/1.1\r\nHost: {}\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        server.addr,
        offer.len()
    );
    stream.write_all((head + offer).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    let location = answer.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
    let mut stream = TcpStream::connect(&server.addr).unwrap();
    let head =
        format!("DELETE {location} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.addr);
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
    let frames = "visavis_video_frames_total{session=\"default\"}";
    let before = server.figure(frames);
    server.wait_for("pictures", |server| server.figure(frames) > before + 10.0);
    assert!(server.get("/readyz").starts_with("HTTP/1.1 200 "));
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_full_disk_under_the_log_costs_lines_of_the_log_only() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    goes_on_without_its_log(full.into());
}

#[test]
fn a_log_whose_reader_is_gone_costs_lines_of_the_log_only() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    goes_on_without_its_log(writer.into());
}

#[test]
#[cfg(debug_assertions)]
fn a_loop_that_ends_by_a_fault_ends_the_process_with_70() {
    for domain in ["media-loop", "audio-loop", "idle-loop", "signaling-loop"] {
        let mut server = Server::start(Stdio::piped(), Some(domain), &[]);
        let mut log = String::new();
        server.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        assert_eq!(server.child.wait().unwrap().code(), Some(70), "{domain}: {log}");
        assert!(log.contains(&format!("the {domain} has ended by a fault")), "{log}");
    }
}

#[test]
#[cfg(debug_assertions)]
fn a_connection_that_fails_is_closed_and_the_next_is_served() {
    let server = Server::start(Stdio::null(), Some("connection"), &[]);
    let mut stream = TcpStream::connect(&server.addr).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert_eq!(answer, "", "it was closed");
    assert!(server.get("/healthz").starts_with("HTTP/1.1 200 "));
    assert_eq!(server.figure("visavis_faults_total{domain=\"connection\"}"), 1.0);
    assert_eq!(server.stop(), Some(0));
}

#[test]
#[cfg(debug_assertions)]
fn an_upload_that_fails_is_answered_and_the_next_one_is_played() {
    let server = Server::start(Stdio::null(), Some("upload"), &["--api"]);
    let upload = || {
        let mut stream = TcpStream::connect(&server.addr).unwrap();
        let silence = [0; 3_200];
        let head = format!(
            "POST /webrtc/sessions/default/stream HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: audio/pcm;rate=16000\r\nContent-Length: {}\r\n\r\n",
            silence.len()
        );
        stream.write_all(&[head.as_bytes(), &silence].concat()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let failed = upload();
    assert!(failed.starts_with("HTTP/1.1 5"), "{failed}");
    // Counted after it was answered.
    let count = "visavis_faults_total{domain=\"upload\"}";
    server.wait_for("the count", |server| server.figure(count) == 1.0);
    let played = upload();
    assert!(played.starts_with("HTTP/1.1 200 "), "{played}");
    assert!(played.contains("\"playedMs\":100"), "{played}");
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_server_that_is_out_of_descriptors_says_so_once_and_serves_again_when_there_are_some() {
    let mut command = Command::new("sh");
    let serve = "ulimit -n 64; exec \"$0\" serve --json --listen 127.0.0.1:0 --udp 127.0.0.1:0";
    command.args(["-c", serve, env!("CARGO_BIN_EXE_visavis")]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut server = Server::of(command);
    let log = server.child.stderr.take().unwrap();
    let mut held: Vec<TcpStream> =
        (0..100).map(|_| TcpStream::connect(&server.addr).unwrap()).collect();
    // Tried ten times a second; each that leaves makes room for one that waits.
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(50));
        held.remove(0);
        held.push(TcpStream::connect(&server.addr).unwrap());
    }
    drop(held);
    // Linux needs a descriptor to find out that nobody waits: the connection that took the last one is told that the next
    // could not be accepted, for the tenth of a second until that is tried again.
    server.wait_for("readiness", |server| server.get("/readyz").starts_with("HTTP/1.1 200 "));
    // Said when nobody has had to wait for a while.
    let mut log = BufReader::new(log);
    let mut lines = String::new();
    while !lines.contains("connections are accepted again") {
        assert!(log.read_line(&mut lines).unwrap() > 0, "{lines}");
    }
    assert_eq!(server.stop(), Some(0));
    log.read_to_string(&mut lines).unwrap();
    let said = |what: &str| lines.lines().filter(|line| line.contains(what)).count();
    assert_eq!(said("no connection can be accepted"), 1, "{lines}");
    assert_eq!(said("connections are accepted again"), 1, "{lines}");
}
