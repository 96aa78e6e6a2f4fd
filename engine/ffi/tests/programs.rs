//! C programs against the shared library.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use support::{Options, Outcome, Program, compile, package, run};

const LOCAL: &str = r#"{"udp": "127.0.0.1:0", "listen": "127.0.0.1:0", "fps": 25}"#;

/// What a server answers to a request.
fn ask(url: &str, request: &str, body: &str) -> Outcome<String> {
    post(url, request, "application/json", body.as_bytes())
}

/// What a server answers to a request with a body of any type.
fn post(url: &str, request: &str, kind: &str, body: &[u8]) -> Outcome<String> {
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let len = body.len();
    write!(
        stream,
        "{request} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: {kind}\r\n\
         Content-Length: {len}\r\n\r\n"
    )?;
    stream.write_all(body)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn the_minimal_program_has_forty_lines_and_serves() -> Outcome {
    let source = std::fs::read_to_string(package().join("examples/minimal.c"))?;
    assert!(source.lines().count() <= 40, "{} lines", source.lines().count());
    let mut program =
        Program::start(compile("examples/minimal.c", &Options::default())?, &[LOCAL])?;
    let url = program.line()?;
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let status = ask(&url, "GET /status", "")?;
        let count = |key: &str| {
            let (_, after) = status.split_once(&format!("\"{key}\":")).unwrap_or_default();
            let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
            digits.parse::<u32>().unwrap_or_default()
        };
        if count("videoFrames") >= 10 && count("audioChunks") >= 10 {
            break;
        }
        assert!(Instant::now() < end, "{status}");
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

#[test]
fn what_c_sees_of_each_call() -> Outcome {
    assert_eq!(run("tests/calls.c", &[])?, "done\n");
    Ok(())
}

#[test]
fn readers_callbacks_utterances_and_lent_buffers() -> Outcome {
    assert_eq!(run("tests/readers.c", &[])?, "done\n");
    Ok(())
}

/// Release builds have no faults on purpose.
#[cfg(debug_assertions)]
#[test]
fn faults_are_events() -> Outcome {
    assert_eq!(run("tests/faults.c", &[])?, "done\n");
    Ok(())
}

#[test]
fn a_renderer_draws_in_place() -> Outcome {
    let mut program =
        Program::start(compile("examples/renderer.c", &Options::default())?, &["1", LOCAL])?;
    assert!(program.line()?.starts_with("http://"));
    let said = program.finish()?;
    let pushed = said.strip_suffix(" pictures were pushed\n").and_then(|count| count.parse().ok());
    assert!(pushed.is_some_and(|pushed: u32| (20..=30).contains(&pushed)), "{said}");
    Ok(())
}

#[test]
fn cpp_has_destructors_and_exceptions() -> Outcome {
    let said = run("examples/speaker.cpp", &[LOCAL])?;
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("http://"), "{said}");
    assert_eq!(lines[1..], ["2.0 s were said", "invalid fps 1000; expected 1 to 120"], "{said}");
    Ok(())
}

#[test]
fn sessions_that_are_made_over_http_are_handed_out() -> Outcome {
    let settings = r#"{"udp": "127.0.0.1:0", "listen": "127.0.0.1:0", "api": true}"#;
    let mut program = Program::start(compile("tests/guests.c", &Options::default())?, &[settings])?;
    let url = program.line()?;
    let body = r#"{"id": "guest", "metadata": {"face": "anna"}}"#;
    let made = ask(&url, "POST /webrtc/sessions/create", body)?;
    assert!(made.starts_with("HTTP/1.1 201"), "{made}");
    assert_eq!(program.line()?, "guest");
    assert_eq!(program.line()?, r#"{"face":"anna"}"#);
    assert_eq!(program.line()?, "pushed");
    let ended = ask(&url, "DELETE /webrtc/sessions/guest", "")?;
    assert!(ended.starts_with("HTTP/1.1 20"), "{ended}");
    assert_eq!(program.finish()?, "deleted\nstopped\n");
    Ok(())
}

#[test]
fn speech_that_is_uploaded_is_handed_out() -> Outcome {
    let settings = r#"{"udp": "127.0.0.1:0", "listen": "127.0.0.1:0", "api": true}"#;
    let mut program = Program::start(compile("tests/speech.c", &Options::default())?, &[settings])?;
    let url = program.line()?;
    // How it is read: piece by piece, not at all, by a callback, and by nobody.
    let silence = [0; 16_000];
    for how in ["polled", "unread", "called", "nobody"] {
        assert_eq!(program.line()?, how);
        let request = "POST /webrtc/sessions/default/stream";
        let played = post(&url, request, "audio/pcm;rate=16000", &silence)?;
        assert!(played.contains(r#""playedMs":500,"interrupted":false"#), "{how}: {played}");
    }
    ask(&url, "POST /webrtc/sessions/create", "{}")?;
    assert_eq!(program.finish()?, "done\n");
    Ok(())
}
