//! The microphone of a real Chromium, as the application receives it.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use visavis::microphone::MicChunk;
use visavis::video::{PixelFormat, VideoFrame};
use visavis::{Engine, EngineConfig, SessionConfig};
use visavis_bench::Microphone;
use visavis_signaling::{SignalingConfig, SignalingServer};
use visavis_tests::{Outcome, RELAY, SPEECH_RATE, Turn, Watcher, Weather, likeness, root, speech};

/// How long is listened.
const LISTEN: Duration = Duration::from_secs(10);

/// Echo cancellation and similar processing change the sound, and would hide the effect of the network here. And with
/// permission for the microphone the browser sends its addresses: without them the server reaches it through the
/// impaired network.
const UNTOUCHED_AND_UNNAMED: &str = r"
const get = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = (asked) => get({ ...asked, audio: asked.audio && {
  echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1,
} });
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (text) {
  const message = JSON.parse(text);
  if (message.type === 'ice-candidate') return;
  if (message.type === 'offer') {
    message.data.sdp = message.data.sdp.replace(/a=candidate:.*\r\n/g, '');
  }
  send.call(this, JSON.stringify(message));
};
";

/// Removes all other audio codecs from the browser.
const SPEAK_ONLY: &str = r"
const add = RTCPeerConnection.prototype.addTransceiver;
RTCPeerConnection.prototype.addTransceiver = function (kind, init) {
  const transceiver = add.call(this, kind, init);
  if (kind === 'audio') {
    const { codecs } = RTCRtpReceiver.getCapabilities('audio');
    transceiver.setCodecPreferences(codecs.filter((c) => c.mimeType === 'audio/CODEC'));
  }
  return transceiver;
};
";

const SWITCH_ON: &str = "await visavis.client.setMicrophone(true); return null;";

const SPOKEN_CODEC: &str = r"
const report = [...(await watched.peers.at(-1).getStats()).values()];
const spoken = report.find((s) => s.type === 'outbound-rtp' && s.kind === 'audio');
return report.find((s) => s.id === spoken?.codecId)?.mimeType ?? '';
";

struct Heard {
    chunks: Vec<MicChunk>,
    /// MIME type of what the browser sent.
    codec: String,
}

/// Says the fixture's sentence in a browser and returns what arrives.
fn hear(loss: f64, codec: Option<&str>) -> Result<Heard, Box<dyn std::error::Error>> {
    let weather = Weather::start()?;
    let udp = SocketAddr::from((Ipv4Addr::LOCALHOST, weather.port()?));
    let engine = Engine::start(EngineConfig::default().udp(udp).announce(vec![RELAY.into()]))?;
    let session = engine.create_session(SessionConfig::default())?;
    session.start();
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = SignalingConfig::default().listen(listen);
    let signaling = SignalingServer::start(config, engine.handle())?;

    // The page wants a picture.
    let (video, stop) = (session.video(), Arc::new(AtomicBool::new(false)));
    let stopping = Arc::clone(&stop);
    let painter = thread::spawn(move || {
        let data = vec![128; 64 * 64 * 3 / 2];
        while !stopping.load(Relaxed) {
            let _ = video.push(&VideoFrame::new(&data, 64, 64).format(PixelFormat::I420));
            thread::sleep(Duration::from_millis(66));
        }
    });

    let speech = root().join("fixtures/speech.wav").display().to_string();
    let url = format!("http://{}/?autostart=1", signaling.local_addr());
    let microphone = Microphone::Plays(speech.leak());
    let only = codec.map_or_else(String::new, |codec| SPEAK_ONLY.replace("CODEC", codec));
    let script = format!("{UNTOUCHED_AND_UNNAMED}{only}");
    let watcher = Watcher::open_with(&url, microphone, &script)?;
    let microphone = session.microphone();
    watcher.page.eval::<Value>(SWITCH_ON)?;
    let first =
        microphone.recv_timeout(Duration::from_secs(20)).map_err(|_| "nothing was heard")?;
    weather.lose_from_viewers(loss);
    let until = Instant::now() + LISTEN;
    let mut chunks = vec![first];
    while let Some(rest) = until.checked_duration_since(Instant::now()) {
        chunks.extend(microphone.recv_timeout(rest));
    }
    println!("{} chunks, {:?} datagrams lost", chunks.len(), weather.lost());
    let codec = watcher.page.eval(SPOKEN_CODEC)?;
    stop.store(true, Relaxed);
    let _ = painter.join();
    signaling.stop();
    session.stop();
    engine.stop();
    Ok(Heard { chunks, codec })
}

fn samples(chunks: &[MicChunk]) -> Vec<f64> {
    chunks.iter().flat_map(|chunk| &chunk.samples).map(|&sample| f64::from(sample)).collect()
}

/// The longest time between the end of a chunk and the beginning of the next.
fn longest_gap_ms(chunks: &[MicChunk]) -> u64 {
    let ms = |chunk: &MicChunk| (chunk.samples.len() * 1_000 / SPEECH_RATE) as u64;
    let gaps = chunks
        .windows(2)
        .map(|pair| pair[1].captured.0.saturating_sub(pair[0].captured.0 + ms(&pair[0])));
    gaps.max().unwrap_or(0)
}

#[test]
fn what_is_said_is_heard() -> Outcome {
    let _turn = Turn::share()?;
    let Heard { chunks, .. } = hear(0.0, None)?;
    let likeness = likeness(&samples(&chunks), &speech()?);
    println!("likeness {likeness:.3}, longest gap {} ms", longest_gap_ms(&chunks));
    assert!(chunks.iter().all(|chunk| chunk.sample_rate == 16_000));
    assert!(chunks.len() >= 450, "{} chunks in {} s", chunks.len(), LISTEN.as_secs());
    assert!(likeness >= 0.9, "{likeness:.3}");
    Ok(())
}

#[test]
fn what_is_said_is_heard_though_a_twentieth_is_lost() -> Outcome {
    let _turn = Turn::share()?;
    let Heard { chunks, .. } = hear(0.05, None)?;
    let likeness = likeness(&samples(&chunks), &speech()?);
    let concealed = chunks.iter().filter(|chunk| chunk.concealed).count();
    let gap = longest_gap_ms(&chunks);
    println!("likeness {likeness:.3}, {concealed} chunks concealed, longest gap {gap} ms");
    assert!(concealed > 5, "nothing was lost");
    assert!(likeness >= 0.8, "{likeness:.3}");
    assert!(gap <= 60, "{gap} ms without sound");
    Ok(())
}

fn what_is_said_in_g711_is_heard(codec: &str) -> Outcome {
    let _turn = Turn::share()?;
    let Heard { chunks, codec: spoken } = hear(0.05, Some(codec))?;
    let likeness = likeness(&samples(&chunks), &speech()?);
    let concealed = chunks.iter().filter(|chunk| chunk.concealed).count();
    let gap = longest_gap_ms(&chunks);
    println!("{codec}: likeness {likeness:.3}, {concealed} chunks concealed, longest gap {gap} ms");
    assert_eq!(spoken, format!("audio/{codec}"));
    assert!(concealed > 5, "nothing was lost");
    assert!(likeness >= 0.8, "{likeness:.3}");
    assert!(gap <= 60, "{gap} ms without sound");
    Ok(())
}

#[test]
fn what_is_said_in_pcmu_is_heard_though_a_twentieth_is_lost() -> Outcome {
    what_is_said_in_g711_is_heard("PCMU")
}

#[test]
fn what_is_said_in_pcma_is_heard_though_a_twentieth_is_lost() -> Outcome {
    what_is_said_in_g711_is_heard("PCMA")
}
