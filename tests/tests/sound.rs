//! Every input format and every audio codec, in a real Chromium.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::thread;
use std::time::Duration;

use visavis::audio::{AudioChunk, AudioCodec, AudioFormat, EncodedAudio, OpusSettings, PacketTime};
use visavis::session::SessionId;
use visavis::units::UnixMillis;
use visavis::video::{PixelFormat, VideoFrame};
use visavis::{Engine, EngineConfig, Session, SessionConfig};
use visavis_bench::Microphone;
use visavis_codec::{OpusEncoder, OpusEncoderConfig};
use visavis_signaling::{SignalingConfig, SignalingServer};
use visavis_tests::{Outcome, Turn, Watcher, root};

type Failure = Box<dyn std::error::Error>;

/// Of the tone that is pushed, of 1.
const LEVEL: f64 = 0.25;
/// How long each tone is, and how much of its middle is measured.
const SECONDS: f64 = 2.2;

/// The codec that the browser receives.
const CODEC: &str = r"
const report = [...(await watched.peers.at(-1).getStats()).values()];
const inbound = report.find((s) => s.type === 'inbound-rtp' && s.kind === 'audio');
return report.find((s) => s.id === inbound.codecId)?.mimeType ?? '';
";

fn tone(hz: f64, rate: u32) -> impl Iterator<Item = f64> {
    let count = (SECONDS * f64::from(rate)) as u32;
    (0..count)
        .map(move |i| (f64::from(i) / f64::from(rate) * hz * std::f64::consts::TAU).sin() * LEVEL)
}

fn chunk(
    session: &Session,
    data: &[u8],
    (sample_rate, channels): (u32, u16),
    format: AudioFormat,
) -> Outcome {
    let chunk = AudioChunk::new(data, sample_rate, channels).format(format);
    session.audio().push(&chunk)?;
    Ok(())
}

/// 24 kHz, mono, 16 bits.
fn push_s16(session: &Session, hz: f64) -> Outcome {
    let samples = tone(hz, 24_000).map(|sample| (sample * 32_767.0) as i16);
    let data: Vec<u8> = samples.flat_map(i16::to_le_bytes).collect();
    chunk(session, &data, (24_000, 1), AudioFormat::PcmS16)
}

/// 44.1 kHz, stereo, floats.
fn push_f32(session: &Session, hz: f64) -> Outcome {
    let samples = tone(hz, 44_100).flat_map(|sample| [sample as f32; 2]);
    let data: Vec<u8> = samples.flat_map(f32::to_le_bytes).collect();
    chunk(session, &data, (44_100, 2), AudioFormat::PcmF32)
}

fn push_mp3(session: &Session, hz: f64) -> Outcome {
    let source = format!("aevalsrc={LEVEL}*sin(2*PI*{hz}*t):s=22050:d={SECONDS}");
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-f", "lavfi", "-i", &source])
        .args(["-b:a", "64k", "-f", "mp3", "-"])
        .output()?;
    let data = output.stdout.as_slice();
    session.audio().push_mp3(&EncodedAudio::new(data))?;
    Ok(())
}

fn push_opus(session: &Session, hz: f64) -> Outcome {
    let mut encoder = OpusEncoder::new(&OpusEncoderConfig::default())?;
    let samples: Vec<i16> = tone(hz, 48_000).map(|sample| (sample * 32_767.0) as i16).collect();
    let start = UnixMillis::now().0;
    for (n, samples) in samples.chunks_exact(960).enumerate() {
        let mut data = Vec::new();
        encoder.encode(samples, &mut data)?;
        let timestamp = UnixMillis(start + 20 * n as u64);
        session.audio().push_opus(&EncodedAudio::new(&data).timestamp(timestamp))?;
    }
    Ok(())
}

type Push = fn(&Session, f64) -> Outcome;

const PCM: [(&str, Push, f64); 3] =
    [("s16", push_s16, 440.0), ("f32", push_f32, 550.0), ("MP3", push_mp3, 660.0)];
const OPUS: [(&str, Push, f64); 1] = [("Opus", push_opus, 880.0)];

/// A stage with a session for each way in which sound is given.
struct Stage {
    engine: Engine,
    signaling: SignalingServer,
}

impl Stage {
    fn new() -> Result<Self, Failure> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let engine = Engine::start(EngineConfig::default().udp(any))?;
        let config = SignalingConfig::default().listen(any);
        let signaling = SignalingServer::start(config, engine.handle())?;
        Ok(Self { engine, signaling })
    }

    /// A browser that watches a session in which nothing moves.
    fn watch(&self, session: &Session) -> Result<Watcher, Failure> {
        session.start();
        let data = vec![90; 64 * 64 * 3 / 2];
        session.set_idle_picture(&VideoFrame::new(&data, 64, 64).format(PixelFormat::I420))?;
        let (server, id) = (self.signaling.local_addr(), session.id());
        Watcher::open(&format!("http://{server}/?autostart=1&session={id}"), Microphone::Absent)
    }

    /// Plays all of it to a browser, one after the other.
    fn play(
        &self,
        name: &str,
        config: SessionConfig,
        expected: &str,
        sounds: &[(&str, Push, f64)],
    ) -> Outcome {
        let id: SessionId = name.parse()?;
        let session = self.engine.create_session(config.id(id))?;
        let watcher = self.watch(&session)?;
        for (format, push, hz) in sounds {
            push(&session, *hz)?;
            // Past the beginning and what the jitter buffer keeps.
            thread::sleep(Duration::from_millis(600));
            let (heard_hz, level): (f64, f64) = watcher.hear_tone()?;
            let off_db = 20.0 * (level / LEVEL).log10();
            println!("{name}: {format} at {hz} Hz: heard {heard_hz:.1} Hz, {off_db:+.2} dB");
            assert!((heard_hz - hz).abs() < 0.01 * hz, "{name}, {format}: {heard_hz} Hz");
            assert!(off_db.abs() < 1.5, "{name}, {format}: {off_db} dB");
            session.interrupt();
            thread::sleep(Duration::from_millis(200));
        }
        let codec: String = watcher.page.eval(CODEC)?;
        assert!(codec.eq_ignore_ascii_case(expected), "{name}: {codec}, not {expected}");
        session.stop();
        Ok(())
    }
}

#[test]
fn a_tone_keeps_its_pitch_and_level_from_every_format_through_every_codec() -> Outcome {
    let _turn = Turn::share_without_programs()?;
    let stage = Stage::new()?;
    for codec in AudioCodec::ALL {
        let config = || SessionConfig::default().audio_codecs(vec![codec]);
        let expected = format!("audio/{codec}");
        stage.play(&format!("pcm-{codec}"), config(), &expected, &PCM)?;
        stage.play(&format!("opus-{codec}"), config(), &expected, &OPUS)?;
    }
    Ok(())
}

#[test]
fn short_packets_and_redundancy_are_understood() -> Outcome {
    let _turn = Turn::share_without_programs()?;
    let stage = Stage::new()?;
    let red = OpusSettings::default().red(true);
    for (name, opus, packet_time) in [
        ("ten", OpusSettings::default(), PacketTime::Ms10),
        ("red", red, PacketTime::Ms20),
        ("ten-red", red, PacketTime::Ms10),
    ] {
        let config = SessionConfig::default().opus(opus).packet_time(packet_time);
        stage.play(name, config, "audio/opus", &PCM[..1])?;
    }
    Ok(())
}

/// Packets that came so far, and their loudness: the energy of all sound.
const RECEIVED: &str = r"
const report = [...(await watched.peers.at(-1).getStats()).values()];
const inbound = report.find((s) => s.type === 'inbound-rtp' && s.kind === 'audio');
return [inbound.packetsReceived, inbound.totalAudioEnergy];
";

#[test]
fn in_silence_next_to_nothing_is_sent_and_speech_is_heard_again() -> Outcome {
    let _turn = Turn::share_without_programs()?;
    let stage = Stage::new()?;
    let opus = OpusSettings::default().dtx(true);
    let session = stage.engine.create_session(SessionConfig::default().opus(opus))?;
    let watcher = stage.watch(&session)?;
    // A microphone that is on, in silence.
    chunk(&session, &vec![0; 24_000 * 2 * 4], (24_000, 1), AudioFormat::PcmS16)?;
    thread::sleep(Duration::from_millis(1_500));
    let (before, quiet): (u64, f64) = watcher.page.eval(RECEIVED)?;
    thread::sleep(Duration::from_millis(1_500));
    let (after, _): (u64, f64) = watcher.page.eval(RECEIVED)?;
    println!("{} packets in 1.5 s of silence", after - before);
    assert!(after - before < 25, "{} packets in 1.5 s of silence", after - before);
    let wav = std::fs::read(root().join("fixtures/speech.wav"))?;
    let mut speech = hound::WavReader::new(wav.as_slice())?;
    let spec = speech.spec();
    let samples = speech.samples::<i16>().collect::<Result<Vec<_>, _>>()?;
    let data: Vec<u8> = samples.into_iter().flat_map(i16::to_le_bytes).collect();
    chunk(&session, &data, (spec.sample_rate, spec.channels), AudioFormat::PcmS16)?;
    thread::sleep(Duration::from_secs(4));
    let (_, loud): (u64, f64) = watcher.page.eval(RECEIVED)?;
    assert!(loud > quiet + 0.001, "{quiet} before, {loud} after");
    Ok(())
}
