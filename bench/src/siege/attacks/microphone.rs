//! Two viewers who speak faster than anybody can.

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::json;

use super::attack::Attack;
use crate::siege::attack_run::{AttackRun, attacker_ip};
use crate::siege::peer::{Peer, PeerOptions};
use crate::siege::server_mode::ServerMode;
use crate::siege::wire::{Client, connect};

/// Of each of the two.
const RATE: u32 = 1_500;

/// Six frames of 20 ms in one packet: full band, mono, equal lengths (RFC 6716 §3.2.5).
const HEAD: [u8; 2] = [0xfb, 6];

/// Bytes of each frame.
const FRAME: usize = 20;

/// At 48 kHz.
const TICKS: u32 = 6 * 960;

/// Another session, in which a face speaks meanwhile, and the sound packets a second that its viewer has to get.
const OTHER: &str = "speaks-on";
const SOUNDS: f64 = 45.0;

/// From the start of its speech until it counts, and the pieces in which it comes.
const BEGINS: Duration = Duration::from_millis(700);
const PIECE: Duration = Duration::from_millis(50);

/// Bytes of a piece: 24 kHz, 16 bits, mono.
const PIECE_BYTES: usize = 2_400;

pub(super) struct Microphone;

impl Attack for Microphone {
    fn name(&self) -> &'static str {
        "microphone"
    }

    fn about(&self) -> &'static str {
        "3,000 microphone packets of 120 ms a second from two viewers; another session's face speaks on"
    }

    fn mode(&self) -> ServerMode {
        ServerMode::Echo
    }

    fn run(&self, run: &AttackRun) {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                if let Err(error) = listen_to_another(run) {
                    run.note(error);
                }
            });
            flood(run);
        });
    }
}

fn flood(run: &AttackRun) {
    run.on_threads(2, |index| {
        let options = PeerOptions { speaks: true, loses: 0 };
        let mut peer = Peer::connect(run, attacker_ip(30 + index), options)?;
        let mut packet = HEAD.to_vec();
        packet.extend((0..6 * FRAME).map(|byte| (byte * 37) as u8 | 1));
        run.paced(RATE, |due| {
            for _ in 0..due {
                peer.speak(&packet, TICKS);
            }
            run.sent(due);
            peer.work(Duration::ZERO);
            if peer.is_closed() {
                return Err("a viewer who speaks too much was sent away".to_owned());
            }
            Ok(())
        })
    });
}

/// Creates a session whose face speaks all the time, and counts the sound packets at its viewer.
fn listen_to_another(run: &AttackRun) -> Result<(), String> {
    let from = attacker_ip(33);
    let mut client = Client::new(from, run.tcp);
    let made = client.post_json("/webrtc/sessions/create", &json!({ "id": OTHER }));
    if !made.is_ok_and(|answer| answer.is_success()) {
        return Err("the other session was not made".to_owned());
    }
    let outcome = std::thread::scope(|scope| {
        let mut peer = Peer::join_session(run, from, OTHER, PeerOptions::default())?;
        peer.wait_connected(run)?;
        scope.spawn(|| say(run).unwrap_or_else(|error| run.note(format!("speech: {error}"))));
        peer.work(BEGINS.min(run.left()));
        let (before, since) = (peer.sounds(), Instant::now());
        peer.work(run.left());
        let rate = (peer.sounds() - before) as f64 / since.elapsed().as_secs_f64().max(0.001);
        run.note(format!("{rate:.1} sound packets a second in another session"));
        if rate < SOUNDS {
            run.fault("the sound of another session suffers");
        }
        Ok(())
    });
    let _ = client.request("DELETE", &format!("/webrtc/sessions/{OTHER}"), &[], b"");
    outcome
}

/// Uploads speech a little faster than it is played, until the end.
fn say(run: &AttackRun) -> std::io::Result<()> {
    let pieces = run.left().as_millis() / PIECE.as_millis() + 40;
    let length = pieces as usize * PIECE_BYTES;
    let mut stream = connect(attacker_ip(34), run.tcp)?;
    write!(
        stream,
        "POST /webrtc/sessions/{OTHER}/stream HTTP/1.1\r\nHost: {}\r\n\
         Content-Type: audio/pcm;rate=24000\r\nContent-Length: {length}\r\n\r\n",
        run.tcp
    )?;
    // 500 Hz, a triangle.
    let wave = (0..PIECE_BYTES / 2).map(|index| ((index % 48) as i16 - 24).abs() * 400 - 4_800);
    let piece: Vec<u8> = wave.flat_map(i16::to_le_bytes).collect();
    let started = Instant::now();
    for sent in 0..pieces as u32 {
        if run.is_over() {
            break;
        }
        // Half a second ahead.
        let due = started + PIECE * sent.saturating_sub(10);
        run.sleep(due.saturating_duration_since(Instant::now()));
        stream.write_all(&piece)?;
    }
    Ok(())
}
