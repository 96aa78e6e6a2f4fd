//! The examples do what they say: each is run, with a viewer that stands for a browser.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

mod viewer;

use viewer::Viewer;

/// Where the examples are, built.
fn examples() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        // Where the programs are built already, so are these.
        if std::env::var_os("VISAVIS_BIN").is_none() {
            // All of the workspace: other features would mean another build.
            let mut build = Command::new(env!("CARGO"));
            build.args(["build", "--workspace", "--examples", "--offline", "--quiet"]);
            assert!(build.status().unwrap().success());
        }
        let test = std::env::current_exe().unwrap();
        test.parent().and_then(Path::parent).unwrap().join("examples")
    })
}

/// A running example, which ends with this.
struct Example {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Example {
    fn start(name: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(examples().join(name))
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line
    }

    /// A viewer whose offer goes by a file, and its answer over the terminal.
    fn watch(name: &str, arguments: &[&str]) -> (Self, Viewer) {
        Self::answer(name, arguments, |answer| Viewer::join_by(answer))
    }

    fn answer(
        name: &str,
        arguments: &[&str],
        join: impl FnOnce(&mut dyn FnMut(&str) -> String) -> Viewer,
    ) -> (Self, Viewer) {
        // Before there is a viewer, which would not wait so long for a connection.
        examples();
        let mut example = None;
        let viewer = join(&mut |offer| {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(offer.as_bytes()).unwrap();
            let path = file.path().to_str().unwrap().to_owned();
            let all: Vec<&str> = std::iter::once(&*path).chain(arguments.iter().copied()).collect();
            let mut started = Self::start(name, &all);
            let mut answer = String::new();
            loop {
                match started.line() {
                    line if line.trim().is_empty() => break,
                    line => answer += &line,
                }
            }
            example = Some(started);
            answer
        });
        (example.unwrap(), viewer)
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn each_says_how_it_is_used() {
    for name in ["frames", "utterance", "microphone", "own_signaling", "encoded"] {
        for arguments in [&[][..], &["--help"]] {
            let mut example = Example::start(name, arguments);
            let mut help = String::new();
            example.output.read_to_string(&mut help).unwrap();
            assert!(help.contains("Arguments: "), "{name}: {help}");
            assert_eq!(example.child.wait().unwrap().code(), Some(2), "{name}");
        }
    }
}

#[test]
fn frames_are_seen() {
    let (_example, mut viewer) = Example::watch("frames", &[]);
    viewer.run_until(|viewer| viewer.connected && viewer.video.len() >= 25);
}

#[test]
fn an_utterance_is_heard_and_seen_to_its_end() {
    let (mut example, mut viewer) = Example::watch("utterance", &[]);
    // Two seconds in packets of 20 ms.
    viewer.run_until(|viewer| viewer.audio.len() >= 95 && !viewer.video.is_empty());
    assert!(example.line().ends_with("were said\n"));
}

#[test]
fn a_microphone_is_listened_to() {
    let (mut example, mut viewer) =
        Example::answer("microphone", &[], |answer| Viewer::join_with_microphone_by(answer));
    viewer.run_until(|viewer| viewer.connected && !viewer.video.is_empty());
    assert!(example.line().ends_with("is here\n"));
    // Longer than the example listens.
    viewer.speak_for(Duration::from_secs(11));
    let line = example.line();
    let seconds = line.strip_suffix(" s were heard\n").and_then(|text| text.parse::<f32>().ok());
    assert!(seconds.is_some_and(|seconds| (3.0..10.5).contains(&seconds)), "{line}");
}

#[test]
fn signaling_may_be_the_applications_own() {
    let mut example = Example::start("own_signaling", &["127.0.0.1:0"]);
    let address = example.line();
    let mut viewer = Viewer::join_by(|offer| {
        let mut server = TcpStream::connect(address.trim()).unwrap();
        server.write_all(offer.as_bytes()).unwrap();
        server.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        server.read_to_string(&mut answer).unwrap();
        answer
    });
    viewer.run_until(|viewer| viewer.connected && !viewer.video.is_empty());
}

#[test]
fn encoded_pictures_are_passed_on() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    for number in 0..10_u8 {
        let mut unit = vec![0, 0, 0, 1, 9, 0xf0];
        if number == 0 {
            unit.extend([0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xf6, 0x40]);
            unit.extend([0, 0, 0, 1, 0x68, 0xce, 0x38, 0x80]);
        }
        unit.extend([0, 0, 0, 1, if number == 0 { 0x65 } else { 0x41 }]);
        unit.extend([number | 0x80; 2_500]);
        file.write_all(&unit).unwrap();
    }
    let (_example, mut viewer) = Example::watch("encoded", &[file.path().to_str().unwrap()]);
    viewer.run_until(|viewer| {
        viewer.connected && viewer.video.iter().any(|packet| packet.payload.ends_with(&[0x85; 64]))
    });
}
