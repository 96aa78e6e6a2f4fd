//! Speech pushed ahead of its time, up to a viewer that is not ours (str0m as a client).
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod viewer;

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use viewer::Viewer;
use visavis::audio::{AudioChunk, AudioChunkError, EncodedAudio, EncodedAudioError};
use visavis::session::PushOutcome;
use visavis::units::UnixMillis;
use visavis::utterance::{Utterance, UtteranceError};
use visavis::video::{PixelFormat, VideoFrame, VideoFrameError};
use visavis::{Engine, EngineConfig, Event, Session, SessionConfig};

const SIDE: u32 = 64;
const MS: Duration = Duration::from_millis(1);

fn engine() -> Engine {
    let udp = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Engine::start(EngineConfig::default().udp(udp)).unwrap()
}

fn session(engine: &Engine, config: SessionConfig) -> Session {
    let session = engine.create_session(config).unwrap();
    session.start();
    session
}

/// A tone at 24 kHz.
fn tone(ms: u64) -> Vec<u8> {
    let wave = |i: u64| (i as f64 / 24_000.0 * 440.0 * std::f64::consts::TAU).sin() * 9_000.0;
    (0..ms * 24).flat_map(|i| (wave(i) as i16).to_le_bytes()).collect()
}

fn say(utterance: &Utterance, at_ms: u64, data: &[u8]) -> PushOutcome {
    let chunk = AudioChunk::new(data, 24_000, 1).timestamp(UnixMillis(at_ms));
    utterance.push_audio(&chunk).unwrap()
}

fn picture(data: &[u8], at_ms: u64) -> VideoFrame<'_> {
    VideoFrame::new(data, SIDE, SIDE).format(PixelFormat::I420).timestamp(UnixMillis(at_ms))
}

fn gray(level: u8) -> Vec<u8> {
    vec![level; (SIDE * SIDE * 3 / 2) as usize]
}

/// Packets with sound in them: silence takes three bytes.
fn loud(viewer: &Viewer) -> usize {
    viewer.audio.iter().filter(|packet| packet.payload.len() > 20).count()
}

#[test]
fn an_utterance_leaves_at_its_own_pace_and_is_told_of() {
    let engine = engine();
    let events = engine.handle().subscribe();
    let session = session(&engine, SessionConfig::default());
    let mut viewer = Viewer::join(&engine.handle(), session.id());
    viewer.run_until(|viewer| viewer.connected);

    let utterance = session.begin_utterance(UnixMillis(7_000)).unwrap();
    let (id, start) = (utterance.id(), Instant::now());
    for frame in 0..30_u64 {
        let level = (frame * 8) as u8;
        let outcome = utterance.push_video(&picture(&gray(level), 7_000 + frame * 1_000 / 30));
        assert_eq!(outcome, Ok(PushOutcome::Accepted));
    }
    assert_eq!(say(&utterance, 7_000, &tone(1_000)), PushOutcome::Accepted);
    utterance.end();
    assert!(start.elapsed() < MS * 800, "pushing takes no time");
    let marks = |viewer: &Viewer| viewer.video.iter().filter(|p| p.header.marker).count();
    viewer.run_until(|viewer| marks(viewer) >= 28 && loud(viewer) >= 49);
    assert!(start.elapsed() >= MS * 900, "{:?}", start.elapsed());

    let times: Vec<u32> = viewer.audio.iter().map(|p| p.header.timestamp).collect();
    assert!(times.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) % 960 == 0), "{times:?}");
    let mut told = Vec::new();
    while told.len() < 2 {
        match events.recv_timeout(Duration::from_secs(10)).unwrap() {
            Event::UtteranceStarted { utterance, .. } => told.push((utterance, None)),
            Event::UtteranceEnded { utterance, sent, .. } => told.push((utterance, Some(sent))),
            _ => {}
        }
    }
    assert_eq!(told, [(id, None), (id, Some(MS * 1_000))]);
}

#[test]
fn an_interruption_drops_what_is_queued_and_the_next_utterance_follows() {
    let engine = engine();
    let events = engine.handle().subscribe();
    let session = session(&engine, SessionConfig::default());
    session.set_idle_picture(&picture(&gray(16), 0)).unwrap();
    let mut viewer = Viewer::join(&engine.handle(), session.id());
    viewer.run_until(|viewer| viewer.connected && !viewer.video.is_empty());

    let utterance = session.begin_utterance(UnixMillis(0)).unwrap();
    for frame in 0..150_u64 {
        utterance.push_video(&picture(&gray(frame as u8), frame * 1_000 / 30)).unwrap();
    }
    say(&utterance, 0, &tone(5_000));
    viewer.run_until(|viewer| loud(viewer) >= 20);
    let sent = session.interrupt();
    let at_once = Instant::now();
    assert_eq!(utterance.push_video(&picture(&gray(1), 9_000)), Ok(PushOutcome::Dropped));
    assert_eq!(say(&utterance, 9_000, &tone(20)), PushOutcome::Dropped);
    let next = session.begin_utterance(UnixMillis(0)).unwrap();
    let told = std::iter::from_fn(|| events.recv_timeout(Duration::from_secs(10)).ok());
    let told = told.filter_map(|event| match event {
        Event::Interrupted { utterance, sent, .. } => Some((utterance, sent)),
        _ => None,
    });
    assert_eq!(told.take(1).collect::<Vec<_>>(), [(Some(utterance.id()), sent)]);
    // What was on its way; a packet may hold nothing but what fades.
    viewer.run_for(MS * 300);
    let heard = loud(&viewer);
    let heard = MS * 20 * heard as u32;
    assert!(heard.abs_diff(sent) <= MS * 20, "{heard:?} were heard, {sent:?} sent");
    assert!(viewer.audio.last().unwrap().payload.len() <= 20, "silence");

    say(&next, 0, &tone(200));
    next.end();
    let before = loud(&viewer);
    viewer.run_until(|viewer| loud(viewer) >= before + 9);
    let sequence: Vec<u16> = viewer.audio.iter().map(|p| p.header.sequence_number).collect();
    assert!(sequence.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)));
    let times: Vec<u32> = viewer.audio.iter().map(|p| p.header.timestamp).collect();
    assert!(times.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) < 48_000), "{times:?}");
    println!("{sent:?} sent, {:?} later all is quiet", at_once.elapsed());
}

#[test]
fn live_sound_that_is_queued_is_dropped_too() {
    let engine = engine();
    let session = session(&engine, SessionConfig::default());
    let mut viewer = Viewer::join(&engine.handle(), session.id());
    viewer.run_until(|viewer| viewer.connected);
    let data = tone(5_000);
    let chunk = AudioChunk::new(&data, 24_000, 1);
    session.audio().push(&chunk).unwrap();
    viewer.run_until(|viewer| loud(viewer) >= 20);
    let sent = session.interrupt();
    viewer.run_for(MS * 300);
    let heard = MS * 20 * loud(&viewer) as u32;
    assert!(heard.abs_diff(sent) <= MS * 20, "{heard:?} were heard, {sent:?} sent");
    assert_eq!(session.interrupt(), Duration::ZERO, "nothing is said");
}

#[test]
fn whoever_pushes_too_much_is_told_and_goes_on_later() {
    let engine = engine();
    let frame_bytes = gray(0).len();
    let config = SessionConfig::default().audio_queue(MS * 400).utterance_bytes(10 * frame_bytes);
    let session = session(&engine, config);
    let utterance = session.begin_utterance(UnixMillis(0)).unwrap();
    assert_eq!(say(&utterance, 0, &tone(300)), PushOutcome::Accepted);
    assert_eq!(say(&utterance, 300, &tone(300)), PushOutcome::Full);
    let (mut pushed, mut full) = (0_u64, 0);
    let until = Instant::now() + Duration::from_secs(20);
    while pushed < 30 && Instant::now() < until {
        match utterance.push_video(&picture(&gray(9), pushed * 10)).unwrap() {
            PushOutcome::Accepted => pushed += 1,
            PushOutcome::Full => {
                full += 1;
                thread::sleep(MS * 5);
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(pushed == 30 && full > 0, "{pushed} pushed, {full} times full");
    while say(&utterance, 300, &tone(300)) == PushOutcome::Full {
        assert!(Instant::now() < until);
        thread::sleep(MS * 5);
    }
}

#[test]
fn stamps_that_cannot_be_meant_are_refused_and_harm_nothing() {
    let engine = engine();
    let config = SessionConfig::default()
        .audio_queue(Duration::MAX)
        .idle_grace(Duration::MAX)
        .utterance_bytes(usize::MAX);
    let session = session(&engine, config);
    session.set_idle_picture(&picture(&gray(16), u64::MAX)).unwrap();
    let mut viewer = Viewer::join(&engine.handle(), session.id());
    viewer.run_until(|viewer| viewer.connected && !viewer.video.is_empty());
    let utterance = session.begin_utterance(UnixMillis(5)).unwrap();
    let late = u64::MAX;
    let refused = utterance.push_video(&picture(&gray(1), late));
    assert_eq!(refused, Err(VideoFrameError::Timestamp(late - 5)));
    let data = tone(20);
    let chunk = AudioChunk::new(&data, 24_000, 1).timestamp(UnixMillis(late));
    assert_eq!(utterance.push_audio(&chunk), Err(AudioChunkError::Timestamp(late - 5)));
    // Live ones are taken for now.
    session.video().push(&picture(&gray(2), late)).unwrap();
    session.audio().push(&chunk).unwrap();
    // The last moment that there is, and one before the beginning.
    utterance.push_video(&picture(&gray(3), 24 * 3_600_000)).unwrap();
    assert_eq!(say(&utterance, 0, &tone(200)), PushOutcome::Accepted);
    viewer.run_until(|viewer| loud(viewer) >= 8);
    session.interrupt();
    let next = session.begin_utterance(UnixMillis(u64::MAX)).unwrap();
    assert_eq!(say(&next, 0, &tone(200)), PushOutcome::Accepted);
    let before = loud(&viewer);
    viewer.run_until(|viewer| loud(viewer) >= before + 8);
}

#[test]
fn sessions_of_opus_have_no_utterances_and_bad_mp3_is_refused() {
    let engine = engine();
    let session = session(&engine, SessionConfig::default());
    session.audio().push_opus(&EncodedAudio::new(&[0xf8, 0xff, 0xfe])).unwrap();
    assert_eq!(session.begin_utterance(UnixMillis(0)).unwrap_err(), UtteranceError::EncodedSession);
    let noise = session.audio().push_mp3(&EncodedAudio::new(&[0x55; 500]));
    assert!(matches!(noise, Err(EncodedAudioError::Mp3(_))));
}

#[test]
fn whoever_has_the_handle_begins_utterances_and_follows_them() {
    let engine = engine();
    let handle = engine.handle();
    let default = visavis::session::SessionId::default();
    let refused = handle.begin_utterance(&default, UnixMillis(0)).unwrap_err();
    assert_eq!(refused, UtteranceError::NoSession);
    let session = session(&engine, SessionConfig::default());

    let utterance = handle.begin_utterance(&default, UnixMillis(0)).unwrap();
    let progress = utterance.progress();
    assert_eq!(say(&utterance, 0, &tone(300)), PushOutcome::Accepted);
    utterance.end();
    let end = Instant::now() + Duration::from_secs(10);
    while !progress.is_over() {
        assert!(Instant::now() < end, "never over: {progress:?}");
        thread::sleep(MS * 5);
    }
    assert!(!progress.is_interrupted());
    // Whole packets: 300 ms are 15 of 20 ms.
    assert!((MS * 295..=MS * 305).contains(&progress.sent()), "{:?}", progress.sent());
    assert_eq!(progress.interrupt(), progress.sent());
    assert!(!progress.is_interrupted(), "it was over");

    // One that was ended and plays on can be cut off still.
    let utterance = handle.begin_utterance(&default, UnixMillis(0)).unwrap();
    let progress = utterance.progress();
    assert_eq!(say(&utterance, 0, &tone(5_000)), PushOutcome::Accepted);
    utterance.end();
    while progress.sent() < MS * 100 {
        assert!(Instant::now() < end, "it does not play: {progress:?}");
        thread::sleep(MS * 5);
    }
    let sent = progress.interrupt();
    while !progress.is_over() {
        assert!(Instant::now() < end, "never over: {progress:?}");
        thread::sleep(MS * 5);
    }
    assert!(progress.is_interrupted());
    assert!(progress.sent() <= sent + MS * 20, "{sent:?}, then {:?}", progress.sent());

    let utterance = handle.begin_utterance(&default, UnixMillis(0)).unwrap();
    assert_eq!(say(&utterance, 0, &tone(5_000)), PushOutcome::Accepted);
    session.interrupt();
    assert!(utterance.progress().is_interrupted());
    session.stop();
    let refused = handle.begin_utterance(&default, UnixMillis(0)).unwrap_err();
    assert_eq!(refused, UtteranceError::NoSession, "it has stopped");
}

#[test]
fn whoever_waits_for_room_is_woken_when_there_is_some() {
    let engine = engine();
    let config = SessionConfig::default().audio_queue(MS * 400);
    let session = session(&engine, config);
    let utterance = session.begin_utterance(UnixMillis(0)).unwrap();
    let data = tone(300);
    let push = |at_ms, patience| {
        let chunk = AudioChunk::new(&data, 24_000, 1).timestamp(UnixMillis(at_ms));
        utterance.push_audio_within(&chunk, patience).unwrap()
    };
    assert_eq!(push(0, Duration::ZERO), PushOutcome::Accepted);
    assert_eq!(push(300, Duration::ZERO), PushOutcome::Full);
    for n in 1..4 {
        assert_eq!(push(n * 300, Duration::from_secs(20)), PushOutcome::Accepted);
    }
    // An interruption ends the waiting, too.
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(MS * 50);
            session.interrupt();
        });
        let mut last = PushOutcome::Accepted;
        for n in 4..8 {
            last = push(n * 300, Duration::from_secs(60));
        }
        assert_eq!(last, PushOutcome::Dropped);
    });
}

#[test]
fn a_session_that_is_stopped_tells_the_end_of_what_is_said_once() {
    let engine = engine();
    let events = engine.handle().subscribe();
    let session = session(&engine, SessionConfig::default());
    let [first, second] = [0, 1].map(|_| session.begin_utterance(UnixMillis(0)).unwrap());
    say(&first, 0, &tone(5_000));
    say(&second, 0, &tone(5_000));
    let progress = [first.progress(), second.progress()];
    let until = Instant::now() + Duration::from_secs(20);
    while progress[0].sent() < MS * 100 && Instant::now() < until {
        thread::sleep(MS);
    }
    session.stop();
    // Not a moment later.
    assert!(progress.iter().all(|progress| progress.is_over() && progress.is_interrupted()));
    assert!(session.begin_utterance(UnixMillis(0)).is_err());
    drop((first, second));
    thread::sleep(MS * 100);
    let told: Vec<_> = std::iter::from_fn(|| events.try_recv().ok())
        .filter_map(|event| match event {
            Event::Interrupted { utterance, sent, .. } => Some((utterance.unwrap().as_raw(), sent)),
            Event::UtteranceEnded { .. } => panic!("{event:?}"),
            _ => None,
        })
        .collect();
    assert_eq!(told, [(1, progress[0].sent()), (2, Duration::ZERO)]);
}

#[test]
fn live_sound_that_does_not_fit_is_told_to_whoever_pushes_it() {
    let engine = engine();
    let config = SessionConfig::default().audio_queue(MS * 1_000);
    let session = session(&engine, config);
    let data = tone(100);
    let mut outcomes = Vec::new();
    for _ in 0..50 {
        let chunk = AudioChunk::new(&data, 24_000, 1);
        outcomes.push(session.audio().push(&chunk).unwrap());
    }
    assert_eq!(outcomes[..9], [PushOutcome::Accepted; 9]);
    let PushOutcome::DroppedOldest(last) = outcomes[49] else { panic!("{outcomes:?}") };
    // All of it may still be on its way to the thread that drops it.
    assert!(last > MS * 50 && last <= MS * 4_100, "{last:?}");
}

#[test]
fn utterances_that_wait_take_no_room_from_the_one_that_plays() {
    let engine = engine();
    let config = SessionConfig::default().audio_queue(MS * 1_000);
    let session = session(&engine, config);
    let all: Vec<Utterance> =
        (0..14).map(|_| session.begin_utterance(UnixMillis(0)).unwrap()).collect();
    let waiting: Vec<PushOutcome> = all[1..].iter().map(|one| say(one, 0, &tone(900))).collect();
    assert_eq!(waiting[..2], [PushOutcome::Accepted, PushOutcome::Full]);
    assert_eq!(say(&all[0], 0, &tone(900)), PushOutcome::Accepted);
    assert_eq!(say(&all[0], 900, &tone(900)), PushOutcome::Full);
    // The next one has that room when its turn comes.
    let progress = all[0].progress();
    let mut all = all.into_iter();
    all.next().unwrap().end();
    let second = all.next().unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while !progress.is_over() && Instant::now() < until {
        thread::sleep(MS * 5);
    }
    assert!(progress.is_over() && progress.sent() == MS * 900, "{progress:?}");
    assert_eq!(say(&second, 900, &tone(900)), PushOutcome::Accepted);
}

#[test]
fn a_session_that_is_stopped_lets_go_of_what_it_was_given_to_call() {
    let engine = engine();
    let session = session(&engine, SessionConfig::default());
    let held = std::sync::Arc::new(());
    let given = std::sync::Arc::clone(&held);
    session.on_microphone(move |_| drop(std::sync::Arc::clone(&given)));
    thread::sleep(MS * 100);
    session.stop();
    let until = Instant::now() + Duration::from_secs(20);
    while std::sync::Arc::strong_count(&held) > 1 && Instant::now() < until {
        thread::sleep(MS);
    }
    assert_eq!(std::sync::Arc::strong_count(&held), 1);
}
