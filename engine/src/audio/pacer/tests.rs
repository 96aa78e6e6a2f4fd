use super::*;
use crate::audio::fade::FADE_SAMPLES;

const MS: Duration = Duration::from_millis(1);
const PACKET_SAMPLES: usize = PacketTime::Ms20.samples();

struct Run {
    pacer: Pacer,
    now: Instant,
    sent: Vec<(u64, Slot, Vec<i16>)>,
    start: Instant,
}

impl Run {
    fn new() -> Self {
        let start = Instant::now();
        Self {
            pacer: Pacer::new(Duration::from_secs(60), PacketTime::Ms20),
            now: start,
            sent: Vec::new(),
            start,
        }
    }

    /// Lets time pass as the audio loop would: waking when something is due.
    fn advance(&mut self, until_ms: u64) {
        let until = self.start + MS * until_ms as u32;
        let mut packet = Sound::default();
        loop {
            while let Some(slot) = self.pacer.poll(self.now, &mut packet) {
                let at = self.now.duration_since(self.start).as_millis() as u64;
                self.sent.push((at, slot, packet.left()));
            }
            match self.pacer.deadline() {
                Some(at) if at <= until => self.now = self.now.max(at),
                _ => break,
            }
        }
        self.now = until;
    }

    fn push(&mut self, samples: usize, value: i16) {
        let now = self.now;
        self.pacer.push(&Sound::mono(&vec![value; samples]), now, now);
    }

    fn sound(&self) -> Vec<&(u64, Slot, Vec<i16>)> {
        self.sent.iter().filter(|(_, slot, _)| slot.sound).collect()
    }
}

#[test]
fn a_burst_is_played_at_its_own_rate() {
    let mut run = Run::new();
    run.push(48_000, 1);
    run.advance(2_000);
    let sound = run.sound();
    assert_eq!(sound.len(), 50);
    for (i, (at, slot, samples)) in sound.iter().enumerate() {
        assert_eq!(*at, i as u64 * 20);
        assert_eq!(slot.rtp_time, i as u64 * 960);
        assert_eq!(slot.talkspurt, i == 0);
        assert_eq!(samples.len(), PACKET_SAMPLES);
    }
}

#[test]
fn packets_of_ten_milliseconds_leave_twice_as_often() {
    let mut run = Run::new();
    run.pacer = Pacer::new(Duration::from_secs(60), PacketTime::Ms10);
    run.push(48_000, 1);
    run.advance(4_000);
    let sound = run.sound();
    assert_eq!(sound.len(), 100);
    for (i, (at, slot, samples)) in sound.iter().enumerate() {
        assert_eq!((*at, slot.rtp_time), (i as u64 * 10, i as u64 * 480));
        assert_eq!(samples.len(), 480);
    }
    let silence = run.sent.iter().filter(|(_, slot, _)| !slot.sound).count();
    // As long as with longer packets, then one each 400 ms.
    assert!((19 + 5..=20 + 8).contains(&silence), "{silence}");
}

#[test]
fn live_chunks_leave_when_they_come() {
    let mut run = Run::new();
    for chunk in 0..100u64 {
        run.advance(chunk * 20);
        run.push(960, 1);
    }
    run.advance(2_000);
    let waits: Vec<u64> =
        run.sound().iter().enumerate().map(|(i, (at, ..))| at - i as u64 * 20).collect();
    assert!(waits.iter().all(|&wait| wait == 0), "{waits:?}");
}

#[test]
fn a_late_chunk_leaves_no_hole_in_rtp_time() {
    let mut run = Run::new();
    for (chunk, late) in [0, 0, 30, 5, 0, 0].into_iter().enumerate() {
        run.advance(chunk as u64 * 20 + late);
        run.push(960, 1);
    }
    run.advance(140);
    let times: Vec<u64> = run.sound().iter().map(|(_, slot, _)| slot.rtp_time).collect();
    assert_eq!(times, [0, 960, 1_920, 2_880, 3_840, 4_800]);
}

#[test]
fn the_end_of_an_utterance_is_padded_then_silent_then_quiet() {
    let mut run = Run::new();
    run.push(960 + 100, 5);
    run.advance(3_000);
    let (_, last, samples) = run.sound()[1];
    assert_eq!(&samples[..100], [5; 100]);
    assert!(samples[100..].is_sorted_by(|before, after| before >= after));
    assert_eq!(&samples[100 + FADE_SAMPLES..], [0; PACKET_SAMPLES - 100 - FADE_SAMPLES]);
    assert_eq!(last.rtp_time, 960);
    let silence = run.sent.iter().filter(|(_, slot, _)| !slot.sound).count();
    // Nine more at full rate, then one each 400 ms.
    assert!((9 + 5..=9 + 8).contains(&silence), "{silence}");
}

#[test]
fn sound_that_breaks_off_in_its_midst_does_not_click() {
    let wave =
        |i: usize| ((i as f64 / 48_000.0 * 440.0 * std::f64::consts::TAU).sin() * 1e4) as i16;
    let tone: Vec<i16> = (0..48_000).map(wave).collect();
    // At the end of a packet, in the midst of one, and too near to its end for a whole fade.
    for length in [960 * 5, 960 * 5 + 300, 960 * 5 + 900] {
        let mut run = Run::new();
        let start = run.start;
        run.pacer.push(&Sound::mono(&tone[..length]), start, start);
        run.advance(200);
        let late = start + MS * 200;
        run.pacer.push(&Sound::mono(&tone[length..length + 960 * 3]), late, late);
        run.advance(600);
        let sent: Vec<i16> = run.sent.iter().flat_map(|(_, _, samples)| samples.clone()).collect();
        let step = sent.windows(2).map(|two| (i32::from(two[1]) - i32::from(two[0])).abs()).max();
        // The tone itself takes steps of 576; the shortest fade has 60 samples.
        assert!(step < Some(800), "{length}: {step:?}");
        let heard = sent.iter().filter(|sample| sample.unsigned_abs() > 5_000).count();
        assert!(heard > 4_500, "{heard}");
    }
}

#[test]
fn rtp_time_keeps_step_with_the_clock_over_a_pause() {
    let mut run = Run::new();
    run.push(960, 1);
    run.advance(5_000);
    run.push(960, 1);
    run.advance(5_100);
    let sound = run.sound();
    let (_, first, _) = sound[0];
    let (at, second, _) = sound[1];
    assert_eq!(*at, 5_000);
    assert!(second.talkspurt);
    let elapsed = second.rtp_time - first.rtp_time;
    assert!(elapsed.abs_diff(5 * 48_000) <= 960 * 2, "{elapsed}");
}

#[test]
fn capture_times_follow_live_chunks_and_ignore_those_of_a_burst() {
    let mut run = Run::new();
    let start = run.start;
    run.pacer.push(&Sound::mono(&[1; 1_920]), start - MS * 30, start);
    run.advance(100);
    assert_eq!(run.sent[0].1.captured, start - MS * 30);
    assert_eq!(run.sent[1].1.captured, start - MS * 10);

    let mut run = Run::new();
    let start = run.start;
    run.pacer.push(&Sound::mono(&[1; 480_000]), start, start);
    run.pacer.push(&Sound::mono(&[1; 960]), start, start); // Its turn comes ten seconds after its stamp.
    run.advance(11_000);
    assert_eq!(run.sound()[500].1.captured, start + Duration::from_secs(10));
}

#[test]
fn sound_with_a_short_gap_in_every_loop_keeps_its_capture_times() {
    let (mut run, lead) = (Run::new(), MS * 45);
    let mut stamps = Vec::new();
    for round in 0..20u64 {
        for chunk in 0..10 {
            run.advance((round * 11 + chunk) * 20);
            let captured = run.now + lead;
            run.pacer.push(&Sound::mono(&[1; 960]), captured, run.now);
            stamps.push(captured);
        }
    }
    run.advance(20 * 220 + 100);
    let captured: Vec<Instant> = run.sound().iter().map(|(_, slot, _)| slot.captured).collect();
    assert_eq!(captured, stamps);
}

/// Each silence in place of late sound used to delay all sound after it by as much, up to the next
/// pause: a film on a busy machine drifted out of sync by 20 ms at a time.
#[test]
fn sound_after_a_stall_of_its_caller_is_soon_in_time_again() {
    for lead in [0, 45] {
        let mut run = Run::new();
        let start = run.start;
        for chunk in 0..200u64 {
            // The caller is held up for 130 ms, twice, and then catches up.
            let stalled = [(50, 57), (100, 107)].iter().any(|&(a, b)| (a..b).contains(&chunk));
            if !stalled {
                run.advance(chunk * 20);
            }
            let due = if stalled { (chunk / 50) * 1_000 + 130 } else { chunk * 20 };
            run.advance(due.max(run.now.duration_since(start).as_millis() as u64));
            let captured = start + MS * (chunk * 20 + lead) as u32;
            run.pacer.push(&Sound::mono(&[1; 960]), captured, run.now);
        }
        run.advance(4_100);
        let late: Vec<u64> = run
            .sound()
            .iter()
            .map(|(at, slot, _)| {
                let captured = slot.captured.duration_since(start).as_millis() as u64;
                (at + lead).saturating_sub(captured)
            })
            .collect();
        assert_eq!(late.len(), 200);
        assert!(late[60..100].iter().all(|&ms| ms == 0), "{late:?}");
        assert!(late[110..].iter().all(|&ms| ms == 0), "{late:?}");
        let times: Vec<u64> = run.sent.iter().map(|(_, slot, _)| slot.rtp_time).collect();
        assert!(times.windows(2).all(|pair| pair[1] == pair[0] + 960), "{times:?}");
    }
}

#[test]
fn what_is_cut_off_fades_out_and_is_silent_at_once() {
    let mut run = Run::new();
    run.push(48_000, 10_000);
    run.advance(110);
    run.pacer.cut(&Sound::mono(&[7; 960]), run.now);
    run.advance(2_000);
    let sound = run.sound();
    assert_eq!(sound.len(), 7, "six full packets and the one that fades");
    let (at, _, samples) = sound[6];
    assert_eq!(*at, 120);
    assert!(samples[..FADE_SAMPLES].windows(2).all(|pair| pair[0] >= pair[1]), "{samples:?}");
    assert!(samples[FADE_SAMPLES..].iter().all(|&sample| sample == 0));
    let times: Vec<u64> = run.sent.iter().take(15).map(|(at, ..)| *at).collect();
    assert!(times.windows(2).all(|pair| pair[1] == pair[0] + 20), "{times:?}");
    // And the next thing that is said is not late.
    run.push(960, 1);
    run.advance(2_001);
    assert_eq!(run.sound().last().unwrap().0, 2_000);
}

#[test]
fn one_channel_and_two_follow_each_other_in_one_stream_and_both_fade() {
    let mut run = Run::new();
    let two = |left, right, frames| Sound { samples: [left, right].repeat(frames), stereo: true };
    let mut packets = Vec::new();
    let mut poll = |run: &mut Run, until: u64| {
        while let Some(at) = run.pacer.deadline().filter(|at| *at <= run.start + MS * until as u32)
        {
            run.now = run.now.max(at);
            let mut packet = Sound::default();
            while let Some(slot) = run.pacer.poll(run.now, &mut packet) {
                packets.push((slot, packet.clone()));
            }
        }
        run.now = run.start + MS * until as u32;
        std::mem::take(&mut packets)
    };
    let now = run.now;
    run.pacer.push(&Sound::mono(&[9_000; 960 + 480]), now, now);
    run.pacer.push(&two(9_000, -9_000, 480 + 960), now, now);
    run.pacer.push(&Sound::mono(&[9_000; 960]), now, now);
    run.pacer.push(&two(9_000, -9_000, 9_600), now, now);
    let sent = poll(&mut run, 110);
    let stereo: Vec<_> = sent.iter().map(|(_, packet)| packet.stereo).collect();
    assert_eq!(stereo, [false, true, true, false, true, true]);
    assert_eq!(sent[1].1.samples[..960], [9_000; 960]);
    assert_eq!(sent[1].1.samples[960..962], [9_000, -9_000]);
    let times: Vec<_> = sent.iter().map(|(slot, _)| slot.rtp_time).collect();
    assert_eq!(times, [0, 960, 1_920, 2_880, 3_840, 4_800]);
    run.pacer.cut(&Sound::default(), run.now);
    let (slot, faded) = poll(&mut run, 120).remove(0);
    assert!(slot.sound && faded.stereo && faded.frames() == PACKET_SAMPLES);
    for (n, frame) in faded.samples.chunks(2).enumerate() {
        let expected = 9_000 * (FADE_SAMPLES.saturating_sub(n)) as i32 / FADE_SAMPLES as i32;
        assert_eq!((i32::from(frame[0]), i32::from(frame[1])), (expected, -expected), "{n}");
    }
}

#[test]
fn a_burst_stamped_with_its_moment_of_pushing_is_not_rushed() {
    let mut run = Run::new();
    for _ in 0..10 {
        run.push(4_800, 1);
        run.advance(run.now.duration_since(run.start).as_millis() as u64 + 1);
    }
    run.advance(1_500);
    let sound = run.sound();
    assert_eq!(sound.len(), 50);
    assert!(sound.iter().enumerate().all(|(i, (at, ..))| *at == i as u64 * 20));
}

#[test]
fn the_oldest_goes_when_the_queue_is_full() {
    let mut pacer = Pacer::new(Duration::from_millis(40), PacketTime::Ms20);
    let now = Instant::now();
    assert_eq!(pacer.push(&Sound::mono(&[1; 960]), now, now), 0);
    assert_eq!(pacer.push(&Sound::mono(&[2; 960]), now, now), 0);
    assert_eq!(pacer.push(&Sound::mono(&[3; 960]), now, now), 960);
    let mut packet = Sound::default();
    pacer.poll(now, &mut packet).unwrap();
    assert_eq!(packet, Sound::mono(&[2; 960]));
}

/// Sound and picture of one moment, from the stamp to what RTP says of when they were captured.
#[test]
fn sound_and_picture_of_one_stamp_are_sent_under_one_date() {
    use crate::source_clock::{SourceClock, Stamped};
    use std::time::SystemTime;
    use visavis_types::{ClockAnchor, UnixMillis};

    for (off, step) in [
        (-9_000, 0),
        (-1_000, 0),
        (-600, 0),
        (-400, 0),
        (200, 0),
        (3_000, 0),
        (0, -5_000),
        (0, 5_000),
        (-1_000, 5_000),
    ] {
        for lead in [0, 45] {
            let mut run = Run::new();
            let began = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
            let anchor = ClockAnchor::new(run.start, began);
            let mut clock = SourceClock::new(anchor);
            let stamp = |ms: u64, now: u64| {
                let step = if now < 10_000 { 0 } else { step };
                UnixMillis((1_800_000_000_000_u64 + ms).saturating_add_signed(off + step))
            };
            // By how many ms the date differs from the true one.
            let mut pictures = Vec::new();
            for ms in 0..20_000_u64 {
                let now = run.start + MS * ms as u32;
                if ms % 33 == 0 {
                    let dated = clock.capture_time(Stamped::Picture, stamp(ms, ms), now).at;
                    pictures.push((ms, signed_ms(dated, run.start) - ms as i64));
                }
                if ms % 20 == 0 {
                    let of = ms + lead;
                    let dated = clock.capture_time(Stamped::Sound, stamp(of, ms), now).at;
                    run.advance(ms);
                    run.pacer.push(&Sound::mono(&[1; PACKET_SAMPLES]), dated, now);
                    run.advance(ms);
                }
            }
            let settled = |ms: u64| (2_000..10_000).contains(&ms) || ms >= 12_000;
            for (n, (at, slot, _)) in run.sound().into_iter().enumerate() {
                let of = n as u64 * 20 + lead;
                let sound = signed_ms(slot.captured, run.start) - of as i64;
                let picture =
                    pictures.iter().rfind(|(ms, _)| *ms <= *at).map_or(0, |(_, off)| *off);
                let apart = (sound - picture).abs();
                assert!(
                    !settled(*at) || apart <= 15,
                    "{off} and {step} ms off, lead {lead}: {apart} ms apart at {at} ms"
                );
            }
            let times: Vec<u64> = run.sent.iter().map(|(_, slot, _)| slot.rtp_time).collect();
            assert!(times.windows(2).all(|pair| pair[1] == pair[0] + 960), "{off}, {step}");
        }
    }
}

/// Milliseconds from one moment to another, in either direction.
fn signed_ms(at: Instant, from: Instant) -> i64 {
    match at.checked_duration_since(from) {
        Some(after) => after.as_millis() as i64,
        None => -((from - at).as_millis() as i64),
    }
}

#[test]
fn sound_that_began_late_leaves_when_it_comes_soon_after() {
    let mut run = Run::new();
    for chunk in 0..50_u64 {
        // The first two wait for the third, as after a slow start.
        run.advance((chunk * 20).max(40));
        let captured = run.start + MS * 20 * chunk as u32;
        run.pacer.push(&Sound::mono(&[1; 960]), captured, run.now);
    }
    run.advance(1_000);
    let late: Vec<u64> = run
        .sound()
        .iter()
        .enumerate()
        .map(|(i, (at, ..))| at.saturating_sub(i as u64 * 20))
        .collect();
    assert_eq!(late.len(), 50);
    assert!(late.iter().skip(4).all(|&late| late == 0), "{late:?}");
}
