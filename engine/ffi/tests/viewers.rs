//! C programs with viewers of their own signaling.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "../../tests/viewer/mod.rs"]
mod viewer;

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use support::{Options, Outcome, Program, compile};
use viewer::Viewer;

/// An offer over TCP, and its answer.
fn ask(address: &str, offer: &str) -> String {
    let mut server = TcpStream::connect(address.trim()).unwrap();
    server.write_all(offer.as_bytes()).unwrap();
    server.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    server.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn signaling_may_be_the_applications_own() -> Outcome {
    let mut program =
        Program::start(compile("examples/own_signaling.c", &Options::default())?, &["0"])?;
    let address = program.line()?;
    assert_eq!(ask(&address, "v=0"), "", "a refused offer");
    let mut viewer = Viewer::join_by(|offer| ask(&address, offer));
    viewer.run_until(|viewer| viewer.connected && !viewer.video.is_empty());
    Ok(())
}

#[test]
fn one_loop_has_events_voices_and_messages() -> Outcome {
    let mut program = Program::start(compile("examples/epoll.c", &Options::default())?, &[])?;
    let address = program.line()?;
    let mut viewer = Viewer::join_with_microphone_by(|offer| ask(&address, offer));
    viewer.run_until(|viewer| viewer.video.len() > 10 && viewer.channel.is_some());
    viewer.say("hello");
    viewer.run_until(|viewer| viewer.messages.iter().any(|message| message.data == b"hello"));
    // Longer than a second, as packets are late on a busy machine.
    viewer.speak_for(Duration::from_secs(3));
    viewer.say("bye");
    viewer.run_for(Duration::from_millis(200));
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line: &String| !line.starts_with("left")) {
        lines.push(program.line()?);
    }
    lines.sort_unstable();
    let expected = [
        "channel: visavis",
        "heard: a second",
        "joined: H264",
        "left: closed",
        "live",
        "said: bye",
        "said: hello",
    ];
    assert_eq!(lines, expected);
    Ok(())
}
