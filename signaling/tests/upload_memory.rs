//! What an upload takes of memory. A process of its own: others would take some too.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test reports")]

mod support;

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{World, read_response, world};

/// Begins an upload.
fn upload(world: &World, kind: &str, length: usize) -> TcpStream {
    let mut stream = world.tcp();
    write!(
        stream,
        "POST /webrtc/sessions/default/stream HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n\
         Content-Length: {length}\r\n\r\n"
    )
    .unwrap();
    stream
}

fn answer(stream: &mut TcpStream) -> (u16, Value) {
    let (head, body) = read_response(stream);
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(&body).unwrap())
}

/// Resident memory of this process, server and client in one.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}

#[test]
fn an_hour_does_not_sit_in_memory() {
    let world = world(|config| config.api.manage = true);
    // Something to get every thread and buffer going.
    let mut first = upload(&world, "audio/pcm;rate=16000", 3_200);
    first.write_all(&[1; 3_200]).unwrap();
    assert_eq!(answer(&mut first).0, 200);
    let before = resident_bytes();
    // An hour of stereo at 48 kHz is 691 MB. A client that pushes as fast as it can gets rid of no more
    // than the pieces in between and what will be played within seconds.
    let piece = vec![1_u8; 256 << 10];
    let mut stream = upload(&world, "audio/pcm;rate=48000;channels=2", 691_200_000);
    stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let (start, mut written) = (Instant::now(), 0_usize);
    let mut most = 0;
    while start.elapsed() < Duration::from_secs(4) {
        match stream.write(&piece) {
            Ok(length) => written += length,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => panic!("{error}"),
        }
        most = most.max(resident_bytes());
    }
    let grown = most.saturating_sub(before);
    println!("{} KiB taken in 4 s, resident memory grew by {} KiB", written >> 10, grown >> 10);
    // Nine seconds are 1.7 MB; the system's own socket buffers take some too.
    assert!(written > 1_000_000, "{written} bytes");
    assert!(written < 24_000_000, "{written} bytes were taken in 4 s");
    assert!(grown < 24_000_000, "resident memory grew by {grown} bytes");
    // An interruption ends the upload, and the request is answered although its body never ends.
    world.session.interrupt();
    let (status, played) = answer(&mut stream);
    assert_eq!((status, &played["interrupted"]), (200, &true.into()), "{played}");
}
