//! WHEP with players of others: two from npm in a real Chromium, on a page of another origin, and aiortc.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use visavis_bench::{Microphone, Server, ServerOptions};
use visavis_tests::{Outcome, Picture, PlayerSite, Turn, Watcher, artifacts, watch_with_aiortc};

/// How long a page is watched.
const WATCH: Duration = Duration::from_secs(5);

/// Left out at the start: decoder and jitter buffer are still filling.
const WARM_UP: Duration = Duration::from_secs(1);

/// Where the demo face has its mouth.
const MOUTH: ([f64; 2], [f64; 2]) = ([0.35, 0.65], [0.55, 0.80]);

fn server() -> Result<Server, Box<dyn Error>> {
    Ok(Server::start(ServerOptions::demo().arg("--cors").arg("*"))?)
}

/// What a player's own code stumbles over: answers that it did not expect.
const NOTE_ERRORS: &str = r"
window.stumbled = [];
addEventListener('unhandledrejection', (event) => stumbled.push(String(event.reason)));
addEventListener('error', (event) => stumbled.push(event.message));
";

fn open(site: &PlayerSite, player: &str, server: &Server) -> Result<Watcher, Box<dyn Error>> {
    let page = site.page(player, &endpoint(server));
    Watcher::open_with(&page, Microphone::Absent, NOTE_ERRORS)
}

fn assert_never_stumbled(watcher: &Watcher) -> Outcome {
    let stumbled: Vec<String> = watcher.page.eval("return stumbled;")?;
    assert!(stumbled.is_empty(), "{stumbled:?}");
    Ok(())
}

fn endpoint(server: &Server) -> String {
    format!("{}whep/default", server.url())
}

/// Watches for a while: pictures that move, and sound.
fn check(watcher: &Watcher, what: &str) -> Outcome {
    thread::sleep(WARM_UP);
    let before = watcher.stats()?;
    let first = watcher.picture()?;
    let end = Instant::now() + WATCH;
    let mut moved: f64 = 0.0;
    while Instant::now() < end {
        moved = moved.max(difference(&first, &watcher.picture()?));
        thread::sleep(Duration::from_millis(200));
    }
    let after = watcher.stats()?;
    let (fps, loudness) = (after.fps_since(&before), after.loudness_since(&before));
    println!(
        "{what}: {} {fps:.1} fps, mouth moved {moved:.1}, loudness {loudness:.4}",
        after.codec
    );
    assert_eq!((after.width, after.height), (512, 512));
    // Reading pictures out of the page is work for it too; a stream that stands still has none.
    assert!(fps >= 15.0, "{fps:.1} frames decoded per second");
    assert!(moved > 1.0, "the mouth does not move: {moved:.2}");
    assert!(loudness > 0.005, "the speech is not heard: {loudness}");
    Ok(())
}

/// Mean difference at the mouth, in levels of 256.
fn difference(a: &Picture, b: &Picture) -> f64 {
    let (a, b) = (a.luma(MOUTH.0, MOUTH.1), b.luma(MOUTH.0, MOUTH.1));
    let sum: f64 = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).sum();
    sum / a.len().max(1) as f64
}

fn plays_in_chromium(player: &str) -> Outcome {
    let _turn = Turn::share()?;
    let site = PlayerSite::open()?;
    let server = server()?;
    let watcher = open(&site, player, &server)?;
    check(&watcher, player)?;
    let screenshot = artifacts()?.join(format!("whep-{player}.png"));
    std::fs::write(screenshot, watcher.page.screenshot()?)?;
    assert_eq!(server.peer_count()?, 1);
    watcher.page.eval::<Value>("await stopWatching(); return null;")?;
    wait_until_alone(&server)?;
    assert_never_stumbled(&watcher)?;
    server.stop()?;
    Ok(())
}

/// Waits until the viewer is gone, which a DELETE makes it at once; without it there are seconds until ICE
/// gives up.
fn wait_until_alone(server: &Server) -> Outcome {
    let end = Instant::now() + Duration::from_secs(3);
    while server.peer_count()? > 0 {
        if Instant::now() >= end {
            return Err("the viewer is still there".into());
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

#[test]
fn eyevinn_webrtc_player_plays() -> Outcome {
    plays_in_chromium("eyevinn")
}

#[test]
fn whip_whep_plays() -> Outcome {
    plays_in_chromium("whip-whep")
}

/// The user name fragments by which the browser's checks go both ways, ours first.
const UFRAGS: &str = r"
const of = (description) => description.sdp.match(/a=ice-ufrag:(.*)/)[1].trim();
const peer = watched.peers.at(-1);
return [of(peer.remoteDescription), of(peer.localDescription)];
";

#[test]
fn whip_whep_restarts_ice() -> Outcome {
    let _turn = Turn::share()?;
    let site = PlayerSite::open()?;
    let server = server()?;
    let watcher = open(&site, "whip-whep", &server)?;
    watcher.wait_for_frames(30, Duration::from_secs(10))?;
    let before: [String; 2] = watcher.page.eval(UFRAGS)?;
    watcher.page.eval::<Value>("restartIce(); return null;")?;
    let end = Instant::now() + Duration::from_secs(10);
    let after = loop {
        let after: [String; 2] = watcher.page.eval(UFRAGS)?;
        if after[0] != before[0] && after[1] != before[1] {
            break after;
        }
        if Instant::now() >= end {
            return Err(format!("ICE was not restarted: {before:?}, {after:?}").into());
        }
        thread::sleep(Duration::from_millis(100));
    };
    println!("ICE restart: {before:?} → {after:?}");
    // The new pair is found within a second; consent for the old one would last longer than that.
    let connected = "watched.peers.at(-1).iceConnectionState === 'connected'";
    watcher.page.wait_for(connected, Duration::from_secs(10))?;
    check(&watcher, "after an ICE restart")?;
    assert_eq!(server.peer_count()?, 1, "a restart makes no second viewer");
    assert_never_stumbled(&watcher)?;
    server.stop()?;
    Ok(())
}

#[test]
fn aiortc_plays() -> Outcome {
    let _turn = Turn::take()?;
    let server = server()?;
    let report = watch_with_aiortc(&endpoint(&server), 6)?;
    println!("aiortc: {report:?}");
    assert_eq!((report.created, report.deleted), (201, 200));
    assert_eq!(report.size, Some([512, 512]));
    // It decodes in Python, beside the server and its encoder.
    assert!(report.frames >= 40, "{} pictures in 6 s", report.frames);
    assert!(report.spread > 10.0, "a flat picture: {:.1}", report.spread);
    assert!(report.change > 0.1, "nothing moves: {:.3}", report.change);
    assert!(report.loudness > 0.005, "the speech is not heard: {}", report.loudness);
    wait_until_alone(&server)?;
    server.stop()?;
    Ok(())
}
