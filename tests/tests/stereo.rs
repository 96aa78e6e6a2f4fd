//! Stereo in browsers: a Chromium on the page, which requests it, one that does not, and a Firefox, which does by itself.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use visavis::audio::AudioChunk;
use visavis::units::UnixMillis;
use visavis::video::{PixelFormat, VideoFrame};
use visavis::{Engine, EngineConfig, Session, SessionConfig};
use visavis_bench::Microphone;
use visavis_signaling::{SignalingConfig, SignalingServer};
use visavis_tests::{Firefox, Outcome, Turn, Watcher};

/// Runs before the page's scripts: undoes their changes to the browser's own description.
const ASK_FOR_ONE: &str = r"
const native = RTCPeerConnection.prototype.setLocalDescription;
RTCPeerConnection.prototype.setLocalDescription = function ({ type, sdp }) {
  return native.call(this, { type, sdp: sdp.replaceAll(';stereo=1', '') });
};
";

/// The levels of two tones in samples of a rate: the median of blocks of some 85 ms. A browser that brings sound and
/// picture together moves the sound by some milliseconds, which is a leap in phase and no change of level.
const MEASURE: &str = r"
const level = (samples, rate, hz) => {
  let [re, im] = [0, 0];
  samples.forEach((sample, n) => {
    const angle = 2 * Math.PI * hz * n / rate;
    re += sample * Math.cos(angle);
    im += sample * Math.sin(angle);
  });
  return 2 * Math.hypot(re, im) / samples.length;
};
const BLOCK = 4096;
const levels = (samples, rate) => [440, 880].map((hz) => {
  const count = Math.floor(samples.length / BLOCK);
  const block = (n) => level(samples.subarray(n * BLOCK, (n + 1) * BLOCK), rate, hz);
  const all = Array.from({ length: count }, (_, n) => block(n));
  return all.sort((a, b) => a - b)[count >> 1];
});
const stream = document.querySelector('video').srcObject;
";

/// What the page plays on the left and on the right, out of two thirds of a second.
const HEAR: &str = r"
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
const heard = analysers.map((analyser) => {
  const samples = new Float32Array(analyser.fftSize);
  analyser.getFloatTimeDomainData(samples);
  return levels(samples, context.sampleRate);
});
await context.close();
return heard;
";

/// The same out of a recording: without a sound card Firefox's AudioContext stands still.
const RECORD: &str = r"
const recorder = new MediaRecorder(new MediaStream(stream.getAudioTracks()), { audioBitsPerSecond: 192000 });
const pieces = [];
recorder.ondataavailable = ({ data }) => pieces.push(data);
const stopped = new Promise((resolve) => { recorder.onstop = resolve; });
recorder.start();
await new Promise((resolve) => setTimeout(resolve, 3000));
recorder.stop();
await stopped;
const bytes = await new Blob(pieces).arrayBuffer();
const buffer = await new OfflineAudioContext(2, 48000, 48000).decodeAudioData(bytes);
const heard = [0, 1].map((channel) => {
  const samples = buffer.getChannelData(Math.min(channel, buffer.numberOfChannels - 1));
  return levels(samples.slice(-48000), 48000);
});
return heard;
";

/// Of each tone, of 1.
const LEVEL: f64 = 0.25;

/// Some seconds of sound, left and right.
fn sound(rate: u32, seconds: f64, value: impl Fn(f64) -> (f64, f64)) -> Vec<u8> {
    let sample = |level: f64| ((level * LEVEL * 32_767.0) as i16).to_le_bytes();
    (0..(seconds * f64::from(rate)) as u32)
        .flat_map(|n| {
            let (left, right) = value(f64::from(n) / f64::from(rate));
            [sample(left), sample(right)].concat()
        })
        .collect()
}

fn chunk(data: &[u8], sample_rate: u32, timestamp: UnixMillis) -> AudioChunk<'_> {
    AudioChunk::new(data, sample_rate, 2).timestamp(timestamp)
}

/// Left one tone, right another.
fn two_tones(at: f64) -> (f64, f64) {
    (tone(440.0, at), tone(880.0, at))
}

fn tone(hz: f64, at: f64) -> f64 {
    (at * hz * std::f64::consts::TAU).sin()
}

/// Whether the answer announces stereo.
const ANNOUNCED: &str =
    "return visavis.client.connection.remoteDescription.sdp.includes('sprop-stereo=1');";

/// By channel the levels of 440 and 880 Hz.
type Heard = [[f64; 2]; 2];

fn hear(watcher: &Watcher) -> Result<Heard, Box<dyn std::error::Error>> {
    Ok(watcher.page.eval(&format!("{MEASURE}{HEAR}"))?)
}

fn assert_apart([left, right]: Heard) {
    println!("of two, 440 and 880 Hz: left {left:.3?}, right {right:.3?}");
    for (own, other) in [(left[0], left[1]), (right[1], right[0])] {
        assert!((0.2..0.3).contains(&own) && other < own / 20.0, "{own} beside {other}");
    }
}

/// A session in which nothing moves.
struct Stage {
    _engine: Engine,
    _signaling: SignalingServer,
    session: Session,
    url: String,
}

impl Stage {
    fn new() -> Result<Self, Box<dyn std::error::Error>> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let engine = Engine::start(EngineConfig::default().udp(any))?;
        let config = SignalingConfig::default().listen(any);
        let signaling = SignalingServer::start(config, engine.handle())?;
        let session = engine.create_session(SessionConfig::default())?;
        session.start();
        let data = vec![90; 64 * 64 * 3 / 2];
        session.set_idle_picture(&VideoFrame::new(&data, 64, 64).format(PixelFormat::I420))?;
        let url = format!("http://{}/?autostart=1", signaling.local_addr());
        Ok(Self { _engine: engine, _signaling: signaling, session, url })
    }

    fn push(&self, value: impl Fn(f64) -> (f64, f64)) -> Outcome {
        let data = sound(44_100, 12.0, value);
        self.session.audio().push(&chunk(&data, 44_100, UnixMillis::now()))?;
        thread::sleep(Duration::from_secs(1));
        Ok(())
    }
}

#[test]
fn left_and_right_are_apart_where_a_browser_asks_for_two_channels_and_heard_where_it_does_not()
-> Outcome {
    let _turn = Turn::share_without_programs()?;
    let stage = Stage::new()?;
    let two = Watcher::open(&stage.url, Microphone::Absent)?;
    let one = Watcher::open_with(&stage.url, Microphone::Absent, ASK_FOR_ONE)?;

    stage.push(two_tones)?;
    assert_apart(hear(&two)?);
    assert!(two.page.eval::<bool>(ANNOUNCED)? && !one.page.eval::<bool>(ANNOUNCED)?);
    let [left, _] = hear(&one)?;
    println!("of one, 440 and 880 Hz: {left:.3?}");
    assert!(left.iter().all(|level| (0.1..0.15).contains(level)), "{left:?}");
    stage.session.interrupt();

    // In opposite phase.
    stage.push(|at| (tone(440.0, at), -tone(440.0, at)))?;
    for watcher in [&one, &two] {
        let channels = hear(watcher)?;
        println!("in opposite phase: {channels:.3?}");
        // What has one channel is played on the left where it is split.
        assert!((0.2..0.3).contains(&channels[0][0]), "{channels:?}");
    }
    stage.session.interrupt();

    // An utterance, at another rate.
    let utterance = stage.session.begin_utterance(UnixMillis(0))?;
    utterance.push_audio(&chunk(&sound(24_000, 6.0, two_tones), 24_000, UnixMillis(0)))?;
    thread::sleep(Duration::from_secs(1));
    assert_apart(hear(&two)?);
    utterance.end();
    stage.session.stop();
    Ok(())
}

#[test]
fn firefox_hears_left_and_right_apart() -> Outcome {
    let _turn = Turn::take()?;
    let stage = Stage::new()?;
    let mut firefox = Firefox::start()?;
    firefox.open(&stage.url)?;
    firefox.wait_for("visavis.client.state === 'connected'", Duration::from_secs(40))?;
    firefox.eval::<()>("document.querySelector('video').muted = false;")?;
    stage.push(two_tones)?;
    assert_apart(firefox.eval(&format!("{MEASURE}{RECORD}"))?);
    stage.session.stop();
    Ok(())
}
