//! Speech that is uploaded: played at its own pace, from any format, without keeping it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test reports")]

mod support;

use std::io::Write;
use std::net::TcpStream;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{World, read_response};
use visavis::receiver::Receiver;
use visavis::session::{PushOutcome, SessionId};
use visavis::units::UnixMillis;
use visavis::utterance::{Utterance, UtteranceId};
use visavis::video::{PixelFormat, VideoFrame};
use visavis::{Event, Session};
use visavis_signaling::{CreateRequest, SessionHooks, SignalingConfig, SpeechChunk};

const STREAM: &str = "/webrtc/sessions/default/stream";

/// A server that lets clients have sessions speak.
fn world(adjust: impl FnOnce(&mut SignalingConfig)) -> World {
    support::world(|config| {
        config.api.manage = true;
        adjust(config);
    })
}

/// A tone of 440 Hz: signed 16-bit, little-endian, mono.
fn tone(rate: u32, ms: u64) -> Vec<u8> {
    let wave = |i: u64| (i as f64 / f64::from(rate) * 440.0 * std::f64::consts::TAU).sin();
    let samples = (0..ms * u64::from(rate) / 1_000).map(|i| (wave(i) * 9_000.0) as i16);
    samples.flat_map(i16::to_le_bytes).collect()
}

/// A WAV file from a program that does not have its length yet.
fn wav(rate: u32, data: &[u8]) -> Vec<u8> {
    let mut file = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    file.extend_from_slice(&rate.to_le_bytes());
    file.extend_from_slice(&(rate * 2).to_le_bytes());
    file.extend_from_slice(b"\x02\0\x10\0data\xff\xff\xff\xff");
    file.extend_from_slice(data);
    file
}

fn head(path: &str, kind: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    )
}

fn upload(world: &World, path: &str, kind: &str, body: &[u8]) -> (u16, Value) {
    let mut stream = world.tcp();
    stream.write_all(head(path, kind, body.len()).as_bytes()).unwrap();
    // What is refused at its beginning is not read to its end.
    let _ = stream.write_all(body);
    answer(&mut stream)
}

fn answer(stream: &mut TcpStream) -> (u16, Value) {
    let (head, body) = read_response(stream);
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(&body).unwrap_or_else(|e| panic!("{e}: {head}{body}")))
}

/// Waits until an utterance begins to play.
fn wait_for_start(events: &Receiver<Event>) {
    let end = Instant::now() + support::PATIENCE;
    while Instant::now() < end {
        if let Ok(Event::UtteranceStarted { .. }) = events.recv_timeout(support::PATIENCE) {
            return;
        }
    }
    panic!("nothing begins to play");
}

#[test]
fn every_format_is_played_at_its_own_pace() {
    let world = world(|_| {});
    let big_endian = |bytes: Vec<u8>| -> Vec<u8> {
        bytes.chunks_exact(2).flat_map(|pair| [pair[1], pair[0]]).collect()
    };
    let mp3 = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-f", "lavfi", "-i", "sine=frequency=440:duration=0.6"])
        .args(["-b:a", "64k", "-f", "mp3", "-"])
        .output()
        .unwrap();
    let mut last = 0;
    for (kind, body) in [
        ("audio/wav", wav(24_000, &tone(24_000, 600))),
        ("audio/mpeg", mp3.stdout),
        ("audio/pcm;rate=16000", tone(16_000, 600)),
        ("audio/L16;rate=48000;channels=1", big_endian(tone(48_000, 600))),
    ] {
        let start = Instant::now();
        let (status, played) = upload(&world, STREAM, kind, &body);
        let took = start.elapsed();
        assert_eq!(status, 200, "{kind}: {played}");
        let played_ms = played["playedMs"].as_u64().unwrap();
        // MP3 has its encoder's delay at both ends.
        assert!((590..=720).contains(&played_ms), "{kind}: {played}");
        assert!(took >= Duration::from_millis(550), "{kind} was answered after {took:?}");
        assert_eq!(played["interrupted"], false);
        assert!(played["utterance"].as_u64().unwrap() > last, "{kind}: {played}");
        last = played["utterance"].as_u64().unwrap();
    }
}

#[test]
fn a_chunked_upload_is_played_while_it_is_made() {
    let world = world(|_| {});
    let events = world.engine.handle().subscribe();
    let mut stream = world.tcp();
    write!(
        stream,
        "POST {STREAM} HTTP/1.1\r\nHost: localhost\r\nContent-Type: audio/pcm;rate=16000\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    )
    .unwrap();
    let mut send = |bytes: &[u8]| {
        write!(stream, "{:x}\r\n", bytes.len()).unwrap();
        stream.write_all(bytes).and_then(|()| stream.write_all(b"\r\n")).unwrap();
    };
    send(&tone(16_000, 400));
    wait_for_start(&events);
    send(&tone(16_000, 400));
    stream.write_all(b"0\r\n\r\n").unwrap();
    let (status, played) = answer(&mut stream);
    assert_eq!(status, 200, "{played}");
    assert_eq!(played["playedMs"], 800);
}

#[test]
fn what_cannot_be_played_is_said() {
    let world = world(|_| {});
    let silence = vec![0; 32_000];
    let seven = wav(24_000, &silence)
        .iter()
        .enumerate()
        .map(|(i, &b)| if i == 22 { 7 } else { b })
        .collect();
    for (path, kind, body, status, code) in [
        ("/webrtc/sessions/nobody/stream", "audio/wav", silence.clone(), 404, "no-session"),
        (STREAM, "audio/ogg", silence.clone(), 415, "media-type"),
        (STREAM, "audio/pcm", silence.clone(), 422, "bad-value"),
        (STREAM, "audio/wav", silence.clone(), 422, "bad-audio"),
        (STREAM, "audio/wav", Vec::new(), 422, "bad-audio"),
        (STREAM, "audio/wav", seven, 422, "bad-audio"),
        (STREAM, "audio/mpeg", silence.clone(), 422, "bad-audio"),
        (STREAM, "audio/mpeg", vec![0x55; 4_000_000], 422, "bad-audio"),
        (STREAM, "audio/pcm;rate=16000", Vec::new(), 422, "bad-audio"),
    ] {
        let (got, problem) = upload(&world, path, kind, &body);
        assert_eq!((got, &problem["code"]), (status, &code.into()), "{path} {kind}: {problem}");
    }
    let (head, _) = world.get(STREAM);
    assert!(head.starts_with("HTTP/1.1 405 "), "{head}");
    // Without `manage`, clients that may watch cannot upload speech.
    let watched = support::world(|_| {});
    let (status, problem) = upload(&watched, STREAM, "audio/pcm;rate=16000", &silence);
    assert_eq!((status, &problem["code"]), (403, &"not-allowed".into()), "{problem}");
}

#[test]
fn an_upload_may_be_cut_off_or_left_alone() {
    let world = world(|_| {});
    let interrupter = thread::scope(|scope| {
        let upload =
            scope.spawn(|| upload(&world, STREAM, "audio/pcm;rate=16000", &tone(16_000, 20_000)));
        thread::sleep(Duration::from_millis(700));
        world.session.interrupt();
        upload.join().unwrap()
    });
    let (status, played) = interrupter;
    assert_eq!(status, 200, "{played}");
    assert_eq!(played["interrupted"], true);
    let played_ms = played["playedMs"].as_u64().unwrap();
    assert!((1..5_000).contains(&played_ms), "{played}");

    let start = Instant::now();
    let kind = "audio/pcm;rate=16000";
    let (status, taken) =
        upload(&world, &format!("{STREAM}?wait=false"), kind, &tone(16_000, 3_000));
    assert_eq!(status, 202, "{taken}");
    assert!(start.elapsed() < Duration::from_millis(2_500), "{:?}", start.elapsed());

    // With the session its uploads end.
    world.session.interrupt();
    let events = world.engine.handle().subscribe();
    let (mut stream, body) = (world.tcp(), tone(16_000, 60_000));
    stream.write_all(head(STREAM, kind, body.len()).as_bytes()).unwrap();
    stream.write_all(&body[..320_000]).unwrap();
    wait_for_start(&events);
    world.session.stop();
    let (status, problem) = answer(&mut stream);
    assert_eq!((status, &problem["code"]), (404, &"no-session".into()), "{problem}");
}

#[test]
fn only_so_many_are_played_at_once() {
    let world = world(|config| config.limits.uploads = 1);
    let mut first = world.tcp();
    first.write_all(head(STREAM, "audio/pcm;rate=16000", 32_000).as_bytes()).unwrap();
    first.write_all(&tone(16_000, 200)).unwrap();
    // It has its place when its head has been read.
    let end = Instant::now() + support::PATIENCE;
    loop {
        let (status, problem) = upload(&world, STREAM, "audio/pcm;rate=8000", &tone(8_000, 20));
        if status == 503 {
            assert_eq!(problem["code"], "full");
            break;
        }
        assert!(Instant::now() < end, "{problem}");
    }
    // A client that goes away gives its place back, once what it has sent is read.
    drop(first);
    while upload(&world, STREAM, "audio/pcm;rate=8000", &tone(8_000, 20)).0 != 200 {
        assert!(Instant::now() < end, "the place stays taken");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Of a piece: the utterance, its time in there, and the samples; none at the end.
type Piece = (UtteranceId, Duration, Option<Vec<i16>>);

/// Records its calls.
struct Renderer(mpsc::Sender<Piece>);

impl SessionHooks for Renderer {
    fn created(&self, _: &Arc<Session>, _: &CreateRequest) -> Result<(), String> {
        Ok(())
    }

    fn speech(&self, chunk: &SpeechChunk<'_>) {
        assert_eq!(
            (chunk.session.as_str(), chunk.sample_rate, chunk.channels),
            ("default", 16_000, 1)
        );
        self.0.send((chunk.utterance.id(), chunk.at, Some(chunk.samples.to_vec()))).unwrap();
    }

    fn speech_ended(&self, session: &SessionId, utterance: &Arc<Utterance>) {
        assert_eq!(session.as_str(), "default");
        let blue = [&[41; 64 * 64][..], &[240; 32 * 32], &[110; 32 * 32]].concat();
        let last = VideoFrame::new(&blue, 64, 64).format(PixelFormat::I420);
        // It is open still.
        let pushed = utterance.push_video(&last.timestamp(UnixMillis(0))).unwrap();
        assert!(matches!(pushed, PushOutcome::Accepted | PushOutcome::NotStarted), "{pushed:?}");
        self.0.send((utterance.id(), Duration::ZERO, None)).unwrap();
    }
}

#[test]
fn a_renderer_is_told_of_every_piece() {
    let (told, heard) = mpsc::channel();
    let world = world(|config| config.api.hooks = Some(Arc::new(Renderer(told))));
    let body = tone(16_000, 500);
    let (status, played) = upload(&world, STREAM, "audio/pcm;rate=16000", &body);
    assert_eq!(status, 200, "{played}");
    let (mut all, mut at) = (Vec::new(), Duration::ZERO);
    let mut ended = false;
    for (utterance, time, samples) in heard.try_iter() {
        assert_eq!(utterance.as_raw(), played["utterance"].as_u64().unwrap());
        assert!(!ended, "the end is the last");
        let Some(samples) = samples else {
            ended = true;
            continue;
        };
        assert_eq!(time, at);
        at += Duration::from_secs(samples.len() as u64) / 16_000;
        all.extend(samples.into_iter().flat_map(i16::to_le_bytes));
    }
    assert!(all == body, "{} of {} bytes", all.len(), body.len());
    assert!(ended);

    // Also of one that is cut off.
    let mut stream = world.tcp();
    stream.write_all(head(STREAM, "audio/pcm;rate=16000", 64_000).as_bytes()).unwrap();
    stream.write_all(&body).unwrap();
    drop(stream);
    let mut ends = 0;
    while let Ok((.., samples)) = heard.recv_timeout(Duration::from_secs(5)) {
        ends += u32::from(samples.is_none());
        if ends == 1 {
            break;
        }
    }
    assert_eq!(ends, 1);
    // And of one that cannot be played there is none.
    assert_eq!(upload(&world, STREAM, "audio/mpeg", &[0x55; 32_000]).0, 422);
    assert!(heard.recv_timeout(Duration::from_millis(100)).is_err());
}

#[test]
fn files_one_behind_the_other_are_all_played() {
    let world = world(|_| {});
    let exact = |ms| {
        let mut file = wav(24_000, &tone(24_000, ms));
        let length = (file.len() as u32 - 44).to_le_bytes();
        file[40..44].copy_from_slice(&length);
        file
    };
    let open = |ms| wav(24_000, &tone(24_000, ms));
    for body in [[exact(200), exact(300), exact(100)], [open(200), open(300), open(100)]] {
        let (status, played) = upload(&world, STREAM, "audio/wav", &body.concat());
        let played_ms = played["playedMs"].as_u64().unwrap();
        assert_eq!(status, 200, "{played}");
        assert!((595..=640).contains(&played_ms), "{played}");
    }
}

#[test]
fn uploads_at_once_take_turns_and_too_many_are_refused() {
    let world = Arc::new(world(|_| {}));
    // The first is open until all others are there.
    let mut first = world.tcp();
    write!(
        first,
        "POST {STREAM} HTTP/1.1\r\nHost: localhost\r\nContent-Type: audio/pcm;rate=16000\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    )
    .unwrap();
    let events = world.engine.handle().subscribe();
    let piece = tone(16_000, 200);
    write!(first, "{:x}\r\n", piece.len()).unwrap();
    first.write_all(&piece).unwrap();
    write!(first, "\r\n").unwrap();
    wait_for_start(&events);
    let others: Vec<_> = (0..20)
        .map(|_| {
            let world = Arc::clone(&world);
            let body = wav(24_000, &tone(24_000, 100));
            thread::spawn(move || upload(&world, STREAM, "audio/wav", &body))
        })
        .collect();
    // The first and fifteen have a place; five are refused at once.
    let end = Instant::now() + support::PATIENCE;
    while others.iter().filter(|other| other.is_finished()).count() < 5 {
        assert!(Instant::now() < end, "nobody is refused");
        thread::sleep(Duration::from_millis(5));
    }
    write!(first, "0\r\n\r\n").unwrap();
    let (status, played) = answer(&mut first);
    assert_eq!((status, &played["playedMs"]), (200, &200.into()), "{played}");
    let mut refused = 0;
    for other in others {
        let (status, played) = other.join().unwrap();
        if status == 503 {
            assert_eq!(played["code"], "busy", "{played}");
            refused += 1;
            continue;
        }
        assert_eq!(status, 200, "{played}");
        assert!((95..=140).contains(&played["playedMs"].as_u64().unwrap()), "{played}");
    }
    assert_eq!(refused, 5);
    assert!(world.engine.handle().refusals().get(visavis::status::Refusal::Upload) == 5);
}
