//! A real Chromium behind a network that loses packets.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::thread;
use std::time::Duration;

use serde::Deserialize;
use visavis_bench::{Microphone, Server, ServerOptions};
use visavis_tests::{Outcome, RELAY, Turn, Watcher, Weather};

const WATCH: Duration = Duration::from_secs(15);

/// What Chromium counts of the video it receives.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Received {
    frames_decoded: u64,
    packets_received: u64,
    retransmitted: u64,
    nacks: u64,
}

const RECEIVED: &str = r"
const report = [...(await watched.peers.at(-1).getStats()).values()];
const video = report.find((s) => s.type === 'inbound-rtp' && s.kind === 'video');
return {
  framesDecoded: video.framesDecoded,
  packetsReceived: video.packetsReceived,
  retransmitted: video.retransmittedPacketsReceived ?? 0,
  nacks: video.nackCount,
};
";

/// Retransmissions bring back what a twentieth of lost packets took, so that the picture goes on.
fn plays_through_loss(codec: &str) -> Outcome {
    let _turn = Turn::take()?;
    let weather = Weather::start()?;
    let options = ServerOptions::demo()
        .video_codec(codec)
        .arg("--udp")
        .arg(format!("127.0.0.1:{}", weather.port()?))
        .arg("--announce")
        .arg(RELAY.to_string());
    let server = Server::start(options)?;
    let url = format!("{}?autostart=1&codec={codec}", server.url());
    let watcher = Watcher::open(&url, Microphone::Absent)?;
    thread::sleep(Duration::from_secs(1));
    weather.lose(0.05);
    let before: Received = watcher.page.eval(RECEIVED)?;
    thread::sleep(WATCH);
    let after: Received = watcher.page.eval(RECEIVED)?;
    let [lost, _] = weather.lost();
    println!("{codec}: {lost} datagrams lost; {before:?} → {after:?}");
    let frames = after.frames_decoded - before.frames_decoded;
    let packets = after.packets_received - before.packets_received;
    let again = after.retransmitted - before.retransmitted;
    assert!(lost >= packets / 40, "hardly any weather");
    assert!(after.nacks > before.nacks, "nothing was asked for again");
    assert!(again * 2 >= lost / 2, "{again} of {} sent again", lost);
    // Nine tenths of what was pushed: with a twentieth of all packets gone for good, every third of
    // these pictures of several packets would be broken, and each costs a keyframe.
    let pushed = 30 * WATCH.as_secs();
    assert!(frames * 10 >= pushed * 9, "{frames} of {pushed} frames decoded");
    server.stop()?;
    Ok(())
}

#[test]
fn h264_plays_through_loss() -> Outcome {
    plays_through_loss("H264")
}

#[test]
fn vp8_plays_through_loss() -> Outcome {
    plays_through_loss("VP8")
}
