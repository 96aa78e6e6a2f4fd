//! Real Chromiums behind networks of all kinds: each gets the picture that its own takes.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::error::Error;
use std::net::{Ipv4Addr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use visavis_bench::{Microphone, Server, ServerOptions};
use visavis_tests::{Outcome, Turn, Watcher};
use visavis_weather::{Bandwidth, Conditions, Relay};

/// Longer than it takes by far: a second, and eight.
const PATIENCE: Duration = Duration::from_secs(40);

/// What Chromium says of the video it receives.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Received {
    width: u32,
    frames: u64,
    freezes: u64,
    /// Seconds.
    frozen: f64,
}

const RECEIVED: &str = r"
const report = [...(await watched.peers.at(-1).getStats()).values()];
const video = report.find((s) => s.type === 'inbound-rtp' && s.kind === 'video');
return {
  width: video?.frameWidth ?? 0,
  frames: video?.framesDecoded ?? 0,
  freezes: video?.freezeCount ?? 0,
  frozen: video?.totalFreezesDuration ?? 0,
};
";

fn path(mbps: f64) -> Conditions {
    let bandwidth = Bandwidth::from_mbps(mbps);
    Conditions { bandwidth, delay: Duration::from_millis(20), ..Conditions::default() }
}

/// A browser, and what is between it and the server.
struct Viewer {
    relay: Relay,
    watcher: Watcher,
    server: Server,
}

impl Viewer {
    fn join(options: ServerOptions, codec: &str, down: Conditions) -> Result<Self, Box<dyn Error>> {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let relay = Relay::start(udp, path(100.0), down, 1)?;
        let options = options
            .arg("--udp")
            .arg(udp.to_string())
            .arg("--announce")
            .arg(relay.addr().to_string());
        let server = Server::start(options)?;
        let url = format!("{}?autostart=1&codec={codec}", server.url());
        let watcher = Watcher::open(&url, Microphone::Absent)?;
        Ok(Self { relay, watcher, server })
    }

    /// Waits until the picture is as wide as is wanted; says how long that took.
    fn wait_for(&self, wanted: impl Fn(u32) -> bool) -> Result<Received, Box<dyn Error>> {
        let start = Instant::now();
        loop {
            let received: Received = self.watcher.page.eval(RECEIVED)?;
            if wanted(received.width) {
                println!("{received:?} after {:.1} s", start.elapsed().as_secs_f64());
                return Ok(received);
            }
            if start.elapsed() > PATIENCE {
                return Err(format!("not within {PATIENCE:?}: {received:?}").into());
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// How many viewers get less, and the one rung that the viewer gets, by the server.
    fn told(&self) -> Result<(Option<u64>, Option<u64>), Box<dyn Error>> {
        let status = self.server.status()?;
        let rungs = status["rungs"].as_array().ok_or("no rungs")?;
        let rung = rungs.iter().find(|rung| rung["viewers"] == 1);
        Ok((status["networks"]["limited"].as_u64(), rung.and_then(|rung| rung["rung"].as_u64())))
    }
}

fn follows_the_network(codec: &str) -> Outcome {
    let _turn = Turn::take()?;
    let viewer = Viewer::join(ServerOptions::demo().video_codec(codec), codec, path(5.0))?;
    viewer.wait_for(|width| width == 512)?;
    thread::sleep(Duration::from_secs(6));
    let before = viewer.wait_for(|width| width == 512)?;
    assert_eq!(viewer.told()?, (Some(0), Some(3)));

    viewer.relay.set_down(path(0.5));
    viewer.wait_for(|width| width < 512)?;
    thread::sleep(Duration::from_secs(8));
    let low = viewer.wait_for(|width| (128..=256).contains(&width))?;
    let (limited, rung) = viewer.told()?;
    assert!(limited == Some(1) && rung.is_some_and(|rung| rung < 2), "{limited:?} {rung:?}");
    // Some 9 s at 30 pictures a second, on a machine that may be busy.
    assert!(low.frames - before.frames > 120, "{before:?}, {low:?}");
    assert!(low.frozen - before.frozen < 2.0, "{before:?}, {low:?}");

    viewer.relay.set_down(path(5.0));
    let after = viewer.wait_for(|width| width == 512)?;
    assert_eq!(viewer.told()?, (Some(0), Some(3)));
    assert!(after.freezes - low.freezes <= 2, "{low:?}, {after:?}");
    viewer.server.stop()?;
    Ok(())
}

#[test]
fn less_bandwidth_is_a_smaller_picture_and_more_brings_the_large_one_back_in_h264() -> Outcome {
    follows_the_network("H264")
}

#[test]
fn less_bandwidth_is_a_smaller_picture_and_more_brings_the_large_one_back_in_vp8() -> Outcome {
    follows_the_network("VP8")
}

/// Of the sound, what Chromium had to make up, and all.
const SOUND: &str = r"
const report = [...(await watched.peers.at(-1).getStats()).values()];
const audio = report.find((s) => s.type === 'inbound-rtp' && s.kind === 'audio');
return [audio.concealedSamples - audio.silentConcealedSamples, audio.totalSamplesReceived];
";

/// Without Opus' own error correction, all that is lost would be made up.
#[test]
fn who_loses_packets_is_sent_copies_of_the_sound() -> Outcome {
    let _turn = Turn::take()?;
    let lossy = Conditions { loss: 0.1, ..path(50.0) };
    let options = ServerOptions::demo().video_codec("VP8").arg("--opus-fec=false");
    let viewer = Viewer::join(options, "VP8", lossy)?;
    viewer.wait_for(|width| width == 512)?;
    thread::sleep(Duration::from_secs(4));
    let before: [f64; 2] = viewer.watcher.page.eval(SOUND)?;
    thread::sleep(Duration::from_secs(10));
    let after: [f64; 2] = viewer.watcher.page.eval(SOUND)?;
    let made_up = (after[0] - before[0]) / (after[1] - before[1]);
    println!("{:.2} % of the sound was made up", 100.0 * made_up);
    assert!(made_up < 0.05, "{before:?}, {after:?}");
    viewer.server.stop()?;
    Ok(())
}
