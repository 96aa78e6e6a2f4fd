use std::sync::Arc;

use crossbeam_channel::bounded;
use rtrb::{Producer, RingBuffer};
use visavis_codec::{G711Law, OpusEncoder, OpusEncoderConfig, Resampler};
use visavis_types::{ClockAnchor, SessionId};

use super::super::chunk::MicChunk;
use super::super::output::CHUNKS;
use super::super::reader::MicReader;
use super::*;
use crate::receiver::Receiver;

const RATE: u32 = 16_000;

/// Packets of a tone of 440 Hz.
fn tone(packets: u16) -> Vec<MicPacket> {
    let mut encoder = OpusEncoder::new(&OpusEncoderConfig::default()).unwrap();
    let start = Instant::now();
    (0..packets)
        .map(|n| {
            let at = |i: usize| (usize::from(n) * 960 + i) as f64 / 48_000.0;
            let wave = |t: f64| (t * 440.0 * std::f64::consts::TAU).sin() * 8_000.0;
            let samples: Vec<i16> = (0..960).map(|i| wave(at(i)) as i16).collect();
            let mut data = Vec::new();
            encoder.encode(&samples, &mut data).unwrap();
            let arrived = start + Duration::from_millis(20) * u32::from(n);
            let rtp_time = 7_000 + u32::from(n) * 960;
            let (codec, payload) = (AudioCodec::Opus, Arc::from(data));
            MicPacket { codec, sequence: n, rtp_time, payload, arrived }
        })
        .collect()
}

fn ends() -> (Producer<MicEvent>, Microphones, MicReader) {
    let (producer, consumer) = RingBuffer::new(64);
    let (session, clock) = (SessionId::default(), ClockAnchor::now());
    let (output, reader) = Output::new(session, RATE, clock, Arc::default(), Default::default());
    (producer, Microphones::new(vec![consumer], output), reader)
}

fn microphones() -> (Producer<MicEvent>, Microphones, Receiver<MicChunk>) {
    let (producer, engine_end, ends) = ends();
    (producer, engine_end, ends.open())
}

/// As long as it takes.
fn later() -> Instant {
    Instant::now() + FORGET
}

fn nobody() -> impl FnMut(&Event) {
    |_: &Event| {}
}

fn all(microphone: &Receiver<MicChunk>) -> Vec<MicChunk> {
    microphone.try_iter().collect()
}

/// The same tone as G.711.
fn narrow_tone(codec: AudioCodec, packets: std::ops::Range<u16>) -> Vec<MicPacket> {
    let start = Instant::now();
    let law = if codec == AudioCodec::Pcmu { G711Law::Mu } else { G711Law::A };
    packets
        .map(|n| {
            let at = |i: usize| (usize::from(n) * 160 + i) as f64 / 8_000.0;
            let wave = |t: f64| (t * 440.0 * std::f64::consts::TAU).sin() * 8_000.0;
            let samples: Vec<i16> = (0..160).map(|i| wave(at(i)) as i16).collect();
            let mut data = Vec::new();
            law.encode(&samples, &mut data);
            let arrived = start + Duration::from_millis(20) * u32::from(n);
            let (rtp_time, payload) = (9_000 + u32::from(n) * 160, Arc::from(data));
            MicPacket { codec, sequence: n, rtp_time, payload, arrived }
        })
        .collect()
}

fn loudness(chunk: &MicChunk) -> f64 {
    let sum: f64 = chunk.samples.iter().map(|&s| f64::from(s).powi(2)).sum();
    (sum / chunk.samples.len() as f64).sqrt()
}

fn peer(raw: u64) -> PeerId {
    PeerId::from_raw(raw)
}

#[test]
fn what_is_lost_is_made_up_for_without_a_gap() {
    let (mut input, mut engine_end, microphone) = microphones();
    for packet in tone(100) {
        let now = packet.arrived;
        if !matches!(packet.sequence, 30 | 50..=52) {
            input.push(MicEvent::Packet(peer(1), packet)).ok().unwrap();
        }
        // As the audio loop would, at the deadline and at the arrival.
        if let Some(due) = engine_end.deadline().filter(|due| *due <= now) {
            engine_end.run(due, later(), &mut nobody());
        }
        engine_end.run(now, later(), &mut nobody());
    }
    let chunks = all(&microphone);
    assert_eq!(chunks.len(), 100);
    assert_eq!(chunks.iter().filter(|chunk| chunk.concealed).count(), 4);
    assert!(chunks.iter().all(|c| c.samples.len() == 320 && c.sample_rate == RATE));
    let times: Vec<u64> = chunks.iter().map(|chunk| chunk.captured.0).collect();
    assert!(times.windows(2).all(|t| (19..=21).contains(&(t[1] - t[0]))), "{times:?}");
    // One lost packet is hardly heard; of several the tone fades, and comes back.
    assert!(loudness(&chunks[30]) > 1_000.0, "{}", loudness(&chunks[30]));
    for chunk in chunks[5..].iter().filter(|chunk| !chunk.concealed) {
        assert!((1_000.0..9_000.0).contains(&loudness(chunk)), "{}", loudness(chunk));
    }
}

#[test]
fn each_viewer_has_its_own_decoder_until_it_leaves() {
    let (mut input, mut engine_end, microphone) = microphones();
    for packet in tone(10) {
        let now = packet.arrived;
        for id in [1, 2] {
            input.push(MicEvent::Packet(peer(id), packet.clone())).ok().unwrap();
        }
        engine_end.run(now, later(), &mut nobody());
    }
    let chunks = all(&microphone);
    let of = |id| chunks.iter().filter(move |c| c.peer == peer(id)).flat_map(|c| c.samples.clone());
    assert_eq!(of(1).count(), 3_200);
    assert!(of(1).eq(of(2)));
    input.push(MicEvent::Left(peer(1))).ok().unwrap();
    engine_end.run(Instant::now(), later(), &mut nobody());
    assert_eq!(engine_end.viewers.keys().collect::<Vec<_>>(), [&peer(2)]);
    engine_end.run(Instant::now() + 2 * FORGET, later(), &mut nobody());
    assert!(engine_end.viewers.is_empty());
}

#[test]
fn noise_in_packets_costs_nothing_but_itself() {
    let (mut input, mut engine_end, microphone) = microphones();
    let mut packets = tone(6);
    packets[2].payload = Arc::from([0xff; 40].as_slice());
    packets[3].payload = Arc::from([].as_slice());
    for packet in packets {
        let now = packet.arrived;
        input.push(MicEvent::Packet(peer(1), packet)).ok().unwrap();
        engine_end.run(now, later(), &mut nobody());
    }
    let chunks = all(&microphone);
    assert!((4..=5).contains(&chunks.len()), "{}", chunks.len());
    assert!(chunks.iter().all(|chunk| chunk.samples.len() == 320));
}

#[test]
fn an_application_that_does_not_read_loses_the_oldest() {
    let (mut input, mut engine_end, microphone) = microphones();
    let packets = tone(CHUNKS as u16 + 20);
    let last = packets.last().unwrap().arrived;
    for packet in packets {
        let now = packet.arrived;
        input.push(MicEvent::Packet(peer(1), packet)).ok().unwrap();
        engine_end.run(now, later(), &mut nobody());
    }
    let chunks = all(&microphone);
    assert_eq!(chunks.len(), CHUNKS);
    let newest = engine_end.output.unix(last);
    assert!(newest.0.abs_diff(chunks[CHUNKS - 1].captured.0) <= 2);
}

#[test]
fn g711_comes_out_at_the_rate_that_is_wanted_and_losses_are_made_up_for() {
    for codec in [AudioCodec::Pcmu, AudioCodec::Pcma] {
        let (mut input, mut engine_end, microphone) = microphones();
        for packet in narrow_tone(codec, 0..100) {
            let now = packet.arrived;
            if !matches!(packet.sequence, 30 | 50..=52) {
                input.push(MicEvent::Packet(peer(1), packet)).ok().unwrap();
            }
            if let Some(due) = engine_end.deadline().filter(|due| *due <= now) {
                engine_end.run(due, later(), &mut nobody());
            }
            engine_end.run(now, later(), &mut nobody());
        }
        let chunks = all(&microphone);
        assert_eq!(chunks.len(), 100);
        assert_eq!(chunks.iter().filter(|chunk| chunk.concealed).count(), 4);
        // The resampler keeps half of its filter back from the first one.
        assert!(chunks[1..].iter().all(|c| c.samples.len().abs_diff(320) <= 1));
        let times: Vec<u64> = chunks.iter().map(|chunk| chunk.captured.0).collect();
        assert!(times.windows(2).all(|t| (19..=21).contains(&(t[1] - t[0]))), "{times:?}");
        assert!(loudness(&chunks[30]) > 3_000.0, "{}", loudness(&chunks[30]));
        assert!(loudness(&chunks[52]) < 2_000.0, "{}", loudness(&chunks[52]));
        for chunk in chunks[5..].iter().filter(|chunk| !chunk.concealed) {
            assert!((4_500.0..6_500.0).contains(&loudness(chunk)), "{}", loudness(chunk));
        }
    }
}

#[test]
fn a_browser_may_go_over_to_another_codec_and_back() {
    let (mut input, mut engine_end, microphone) = microphones();
    let mut packets = tone(120);
    packets.splice(40..80, narrow_tone(AudioCodec::Pcma, 40..80));
    let start = packets[0].arrived;
    for (n, mut packet) in packets.into_iter().enumerate() {
        packet.arrived = start + Duration::from_millis(20) * n as u32;
        let now = packet.arrived;
        // One is lost right where the codec changes.
        if n != 80 {
            input.push(MicEvent::Packet(peer(1), packet)).ok().unwrap();
        }
        if let Some(due) = engine_end.deadline().filter(|due| *due <= now) {
            engine_end.run(due, later(), &mut nobody());
        }
        engine_end.run(now, later(), &mut nobody());
    }
    let chunks = all(&microphone);
    assert_eq!(chunks.len(), 120);
    assert_eq!(chunks.iter().filter(|chunk| chunk.concealed).count(), 1);
    let times: Vec<u64> = chunks.iter().map(|chunk| chunk.captured.0).collect();
    assert!(times.windows(2).all(|t| (16..=24).contains(&(t[1] - t[0]))), "{times:?}");
    for (n, chunk) in chunks.iter().enumerate().filter(|(n, _)| n % 40 > 5) {
        let loudness = loudness(chunk);
        assert!((1_000.0..9_000.0).contains(&loudness), "{n}: {loudness}");
    }
}

/// The fixture's speech as PCMA packets, with so much silence after it.
fn speech(silent_packets: usize) -> Vec<MicPacket> {
    let wav = include_bytes!("../../../../../fixtures/speech.wav");
    let wide: Vec<i16> =
        wav[44..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    let mut narrow = Vec::new();
    Resampler::new(24_000, 1, 8_000, 1).unwrap().process(&wide, &mut narrow).unwrap();
    narrow.truncate(narrow.len() / 160 * 160);
    narrow.resize(narrow.len() + silent_packets * 160, 0);
    let start = Instant::now();
    let packet = |(n, samples): (usize, &[i16])| {
        let mut data = Vec::new();
        G711Law::A.encode(samples, &mut data);
        MicPacket {
            codec: AudioCodec::Pcma,
            sequence: n as u16,
            rtp_time: n as u32 * 160,
            payload: Arc::from(data),
            arrived: start + Duration::from_millis(20) * n as u32,
        }
    };
    narrow.chunks_exact(160).enumerate().map(packet).collect()
}

fn subscribed() -> (impl FnMut(&Event), crossbeam_channel::Receiver<Event>) {
    let (events, told) = bounded(1_000);
    (move |event: &Event| events.try_send(event.clone()).unwrap(), told)
}

#[test]
fn who_speaks_and_how_loud_is_told() {
    let (mut input, mut engine_end, _microphone) = microphones();
    let (mut tell, told) = subscribed();
    let packets = speech(100);
    let seconds = packets.len() / 50;
    for packet in packets {
        let now = packet.arrived;
        input.push(MicEvent::Packet(peer(7), packet)).ok().unwrap();
        engine_end.run(now, later(), &mut tell);
    }
    let (mut speaking, mut starts, mut levels) = (false, 0, Vec::new());
    for event in told.try_iter() {
        match event {
            Event::SpeechStarted { session, peer: who, .. } => {
                assert_eq!((session, who, speaking), (SessionId::default(), peer(7), false));
                (speaking, starts) = (true, starts + 1);
            }
            Event::SpeechEnded { peer: who, .. } => {
                assert_eq!((who, speaking), (peer(7), true));
                speaking = false;
            }
            Event::MicrophoneLevel { dbfs, .. } => levels.push(dbfs),
            other => panic!("{other:?}"),
        }
    }
    assert!(!speaking);
    assert!((1..=5).contains(&starts), "{starts}");
    assert!(levels.len().abs_diff(seconds * 5) <= 5, "{} in {seconds} s", levels.len());
    assert!(levels.iter().any(|&dbfs| dbfs > -25), "{levels:?}");
    // A-law has no zero, but its least is next to none.
    assert!(*levels.last().unwrap() < -65, "{levels:?}");
}

#[test]
fn who_leaves_or_falls_silent_in_the_middle_of_a_word_has_stopped_speaking() {
    for leaves in [true, false] {
        let (mut input, mut engine_end, _microphone) = microphones();
        let (mut tell, told) = subscribed();
        let mut last = Instant::now();
        for packet in speech(0).into_iter().take(50) {
            last = packet.arrived;
            input.push(MicEvent::Packet(peer(7), packet)).ok().unwrap();
            engine_end.run(last, later(), &mut tell);
        }
        let speech = |event: &Event| !matches!(event, Event::MicrophoneLevel { .. });
        let before: Vec<Event> = told.try_iter().filter(speech).collect();
        assert!(matches!(before[..], [Event::SpeechStarted { .. }]), "{before:?}");
        if leaves {
            input.push(MicEvent::Left(peer(7))).ok().unwrap();
            engine_end.run(last, later(), &mut tell);
        } else {
            let due = engine_end.deadline().unwrap();
            assert_eq!(due, last + Duration::from_millis(500));
            engine_end.run(due, later(), &mut tell);
        }
        let after: Vec<Event> = told.try_iter().filter(speech).collect();
        assert!(matches!(after[..], [Event::SpeechEnded { .. }]), "{after:?}");
        assert_eq!(engine_end.deadline(), None);
    }
}

#[test]
fn a_callback_is_shown_every_chunk_beside_the_ring() {
    let (mut input, mut engine_end, ends) = ends();
    let (shown_in, shown) = bounded(1_000);
    ends.call(|_| panic!("another has taken its place"));
    ends.call(move |chunk: &MicChunk| shown_in.send(chunk.clone()).unwrap());
    let mut packets = tone(20).into_iter();
    let mut play = |input: &mut Producer<MicEvent>, count: usize| {
        for packet in packets.by_ref().take(count) {
            let now = packet.arrived;
            input.push(MicEvent::Packet(peer(3), packet)).ok().unwrap();
            engine_end.run(now, later(), &mut nobody());
        }
    };
    play(&mut input, 10);
    // Nobody has asked to read so far, so nothing was kept to be read.
    let microphone = ends.open();
    assert_eq!((shown.try_iter().count(), all(&microphone).len()), (10, 0));
    play(&mut input, 10);
    let shown: Vec<MicChunk> = shown.try_iter().collect();
    assert_eq!((shown.len(), shown[0].peer), (10, peer(3)));
    assert_eq!(shown, all(&microphone));
}

#[test]
fn a_callback_that_panics_costs_only_itself() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("even when it is dropped");
        }
    }
    let (mut input, mut engine_end, ends) = ends();
    let (called_in, called) = bounded(1_000);
    let bomb = Bomb;
    ends.call(move |_| {
        let _held = &bomb;
        called_in.send(()).unwrap();
        panic!("a bug of the application");
    });
    let microphone = ends.open();
    for packet in tone(10) {
        let now = packet.arrived;
        input.push(MicEvent::Packet(peer(3), packet)).ok().unwrap();
        engine_end.run(now, later(), &mut nobody());
    }
    assert_eq!((called.try_iter().count(), all(&microphone).len()), (1, 10));
    let (called_in, called) = bounded(1_000);
    ends.call(move |_| called_in.send(()).unwrap());
    engine_end.run(Instant::now(), later(), &mut nobody());
    drop(engine_end);
    assert!(called.is_empty());
}

#[test]
fn a_flood_of_one_viewer_costs_what_a_voice_costs_and_the_others_are_heard() {
    let (mut input, mut engine_end, microphone) = microphones();
    let start = Instant::now();
    let packets = tone(100);
    // The longest packets there are: six frames of 20 ms, without sound.
    let longest: Arc<[u8]> = Arc::from([0xfb_u8, 0x06].as_slice());
    assert_eq!(duration_of(AudioCodec::Opus, &longest), Duration::from_millis(120));
    let mut flood = 0_u32;
    for packet in packets {
        let now = start + Duration::from_millis(20) * u32::from(packet.sequence);
        // 2,000 a second, each with a hole before it.
        for _ in 0..40 {
            flood += 2;
            let (codec, arrived) = (AudioCodec::Opus, now);
            let (sequence, rtp_time) = (flood as u16, flood * 960);
            let payload = Arc::clone(&longest);
            let flooding = MicPacket { codec, sequence, rtp_time, payload, arrived };
            input.push(MicEvent::Packet(peer(1), flooding)).ok().unwrap();
        }
        input.push(MicEvent::Packet(peer(2), packet)).ok().unwrap();
        assert!(!engine_end.run(now, later(), &mut nobody()));
    }
    let refused = engine_end.take_refused();
    let chunks: Vec<MicChunk> = all(&microphone);
    let heard = |id| chunks.iter().filter(|chunk| chunk.peer == peer(id)).count();
    // Two seconds, and the one that may come at once, at 1.2 times real time.
    assert!(heard(1) * 120 <= 3_600, "{} chunks of the flood", heard(1));
    assert!(refused >= 3_800, "{refused}");
    assert_eq!(heard(2), 100);
}

#[test]
fn decoding_stops_when_its_time_is_over_and_goes_on_later() {
    let (mut input, mut engine_end, microphone) = microphones();
    for packet in tone(10) {
        input.push(MicEvent::Packet(peer(1), packet)).ok().unwrap();
    }
    let now = Instant::now();
    assert!(engine_end.run(now, now, &mut nobody()), "there is more");
    assert_eq!(all(&microphone).len(), 1);
    assert!(!engine_end.run(now, later(), &mut nobody()));
    assert_eq!(all(&microphone).len(), 9);
}
