//! Sound of two channels, as a real Chromium hears it that asks for two, and one that does not.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use visavis::{
    AudioChunk, AudioFormat, Engine, EngineConfig, PixelFormat, Session, SessionConfig, UnixMillis,
    VideoFrame,
};
use visavis_bench::Microphone;
use visavis_signaling::{SignalingConfig, SignalingServer};
use visavis_tests::{Outcome, Turn, Watcher};

/// Runs before the page's own scripts: what is offered asks for two channels (RFC 7587 §6.1).
const ASK_FOR_TWO: &str = r"
const native = RTCPeerConnection.prototype.createOffer;
RTCPeerConnection.prototype.createOffer = async function (...args) {
  const { type, sdp } = await native.apply(this, args);
  return { type, sdp: sdp.replaceAll('useinbandfec=1', 'useinbandfec=1;stereo=1') };
};
";

/// The level of two tones on the left and on the right, out of a second of what the page plays; what an answer said of
/// two channels.
const HEAR: &str = r"
const stream = document.querySelector('video').srcObject;
const context = new AudioContext();
await context.resume();
const splitter = new ChannelSplitterNode(context, { numberOfOutputs: 2 });
context.createMediaStreamSource(stream).connect(splitter);
const analysers = [0, 1].map((channel) => {
  const analyser = new AnalyserNode(context, { fftSize: 32768, smoothingTimeConstant: 0 });
  splitter.connect(analyser, channel);
  return analyser;
});
await new Promise((resolve) => setTimeout(resolve, 1200));
const levels = analysers.map((analyser) => {
  const samples = new Float32Array(analyser.fftSize);
  analyser.getFloatTimeDomainData(samples);
  return [440, 880].map((hz) => {
    let [re, im] = [0, 0];
    samples.forEach((sample, n) => {
      const angle = 2 * Math.PI * hz * n / context.sampleRate;
      re += sample * Math.cos(angle);
      im += sample * Math.sin(angle);
    });
    return 2 * Math.hypot(re, im) / samples.length;
  });
});
await context.close();
return [levels, watched.peers.at(-1).remoteDescription.sdp.includes('sprop-stereo=1')];
";

/// Of each tone, of 1.
const LEVEL: f64 = 0.25;

/// Pushes some seconds of sound at 44.1 kHz.
fn push(session: &Session, seconds: f64, value: impl Fn(f64) -> (f64, f64)) -> Outcome {
    let rate = 44_100;
    let data: Vec<u8> = (0..(seconds * f64::from(rate)) as u32)
        .flat_map(|n| {
            let (left, right) = value(f64::from(n) / f64::from(rate));
            [left, right].map(|level| (level * LEVEL * 32_767.0) as i16)
        })
        .flat_map(i16::to_le_bytes)
        .collect();
    let (format, timestamp) = (AudioFormat::PcmS16, UnixMillis::now());
    let chunk = AudioChunk { data: &data, sample_rate: rate, channels: 2, format, timestamp };
    session.audio().push(&chunk)?;
    Ok(())
}

/// A tone at a moment.
fn tone(hz: f64, at: f64) -> f64 {
    (at * hz * std::f64::consts::TAU).sin()
}

/// By channel the levels of 440 and 880 Hz, and whether two channels were announced.
type Heard = ([[f64; 2]; 2], bool);

#[test]
fn left_and_right_are_apart_where_a_browser_asks_for_two_channels_and_heard_where_it_does_not()
-> Outcome {
    let _turn = Turn::share_without_programs()?;
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let engine = Engine::start(EngineConfig { udp: any, ..EngineConfig::default() })?;
    let config = SignalingConfig { listen: any, ..SignalingConfig::default() };
    let signaling = SignalingServer::start(config, engine.handle())?;
    let session = engine.create_session(SessionConfig::default())?;
    session.start();
    let (data, timestamp) = (vec![90; 64 * 64 * 3 / 2], UnixMillis::now());
    let format = PixelFormat::I420;
    let still = VideoFrame { data: &data, width: 64, height: 64, format, timestamp };
    session.set_idle_picture(&still)?;
    let url = format!("http://{}/?autostart=1", signaling.local_addr());
    let two = Watcher::open_with(&url, Microphone::Absent, ASK_FOR_TWO)?;
    let one = Watcher::open(&url, Microphone::Absent)?;

    push(&session, 12.0, |at| (tone(440.0, at), tone(880.0, at)))?;
    thread::sleep(Duration::from_secs(1));
    let ([left, right], announced): Heard = two.page.eval(HEAR)?;
    println!("of two, 440 and 880 Hz: left {left:.3?}, right {right:.3?}");
    assert!(announced);
    for (own, other) in [(left[0], left[1]), (right[1], right[0])] {
        assert!((0.2..0.3).contains(&own) && other < own / 20.0, "{own} beside {other}");
    }
    let ([left, _], announced): Heard = one.page.eval(HEAR)?;
    println!("of one, 440 and 880 Hz: {left:.3?}");
    assert!(!announced);
    assert!(left.iter().all(|level| (0.1..0.15).contains(level)), "{left:?}");
    session.interrupt();

    // In opposite phase.
    push(&session, 12.0, |at| (tone(440.0, at), -tone(440.0, at)))?;
    thread::sleep(Duration::from_secs(1));
    for watcher in [&one, &two] {
        let (channels, _): Heard = watcher.page.eval(HEAR)?;
        println!("in opposite phase: {channels:.3?}");
        // What has one channel is played on the left where it is split.
        assert!((0.2..0.3).contains(&channels[0][0]), "{channels:?}");
    }
    session.stop();
    Ok(())
}
