mod property;

use super::*;
use crate::audio::pacer::Slot;
use crate::budget::Budget;
use crate::utterance::UtteranceId;
use visavis_types::UnixMillis;

const MS: Duration = Duration::from_millis(1);
const PACKET: PacketTime = PacketTime::Ms20;

/// A session's speech in virtual time.
struct Run {
    speech: Speech,
    pacer: Pacer,
    budget: Arc<Budget>,
    now: Instant,
    start: Instant,
    /// When (ms), and what.
    sent: Vec<(u64, Slot, Vec<i16>)>,
    turns: Vec<(u64, String)>,
    begun: u64,
}

impl Run {
    fn new() -> Self {
        let start = Instant::now();
        Self {
            speech: Speech::default(),
            pacer: Pacer::new(Duration::from_secs(60), PACKET),
            budget: Budget::new(usize::MAX),
            now: start,
            start,
            sent: Vec::new(),
            turns: Vec::new(),
            begun: 0,
        }
    }

    fn begin(&mut self) -> Arc<UtteranceState> {
        self.begun += 1;
        let state = UtteranceState::new(UtteranceId(self.begun), UnixMillis(0), self.now);
        let state = Arc::new(state);
        self.speech.begin(Arc::clone(&state));
        state
    }

    /// 24 kHz sound of one value.
    fn say(&mut self, utterance: &Arc<UtteranceState>, at_ms: u64, ms: usize, value: i16) {
        let samples = vec![value; ms * 24];
        let captured = self.now;
        let block = PcmBlock { samples, sample_rate: 24_000, channels: 1, captured };
        let place = (MS * at_ms as u32, self.budget.reserve(1).unwrap());
        utterance.sound_pushed(self.now);
        self.speech.push(&block, utterance, place, self.now).unwrap();
    }

    fn run(&mut self) {
        let at = (self.now - self.start).as_millis() as u64;
        self.speech.mark_ends();
        self.speech.all_taken_in();
        loop {
            let turn = self.speech.run(&mut self.pacer, PACKET, false, self.now);
            let mut packet = Sound::default();
            while self.speech.claim_packet(&mut self.pacer, self.now)
                && let Some(slot) = self.pacer.poll(self.now, &mut packet)
            {
                self.sent.push((at, slot, packet.left()));
            }
            self.speech.note_sent(&self.pacer, self.now);
            match turn {
                Some(UtteranceEvent::Started(u)) => {
                    self.turns.push((at, format!("started {}", u.id)))
                }
                Some(UtteranceEvent::Ended(u)) => self.turns.push((at, format!("ended {}", u.id))),
                Some(UtteranceEvent::Interrupted(u)) => {
                    self.turns.push((at, format!("cut {}", u.id)))
                }
                None => break,
            }
        }
    }

    /// Lets time pass as the audio loop would.
    fn advance(&mut self, until_ms: u64) {
        let until = self.start + MS * until_ms as u32;
        self.run();
        loop {
            let deadlines = [self.speech.deadline(self.now), self.pacer.deadline()];
            match deadlines.into_iter().flatten().min() {
                Some(at) if at <= until => self.now = self.now.max(at),
                _ => break,
            }
            self.run();
        }
        self.now = until;
    }

    /// (when sent, captured by its slot), in ms, of packets with sound in them, not only its fading.
    fn loud(&self) -> Vec<(u64, u64)> {
        let is_loud = |samples: &[i16]| samples.iter().filter(|&&s| s > 500).count() > FADE_SAMPLES;
        let loud = self.sent.iter().filter(|(.., samples)| is_loud(samples));
        let time = |slot: &Slot| (slot.captured - self.start - SOUND_LEAD).as_millis() as u64;
        loud.map(|(at, slot, _)| (*at, time(slot))).collect()
    }

    fn turns(&self) -> Vec<(u64, &str)> {
        self.turns.iter().map(|(at, turn)| (*at, turn.as_str())).collect()
    }
}

#[test]
fn what_is_pushed_at_once_is_played_at_its_own_pace() {
    let mut run = Run::new();
    let utterance = run.begin();
    utterance.picture_pushed(run.now);
    for chunk in 0..10 {
        run.say(&utterance, chunk * 100, 100, 1_000);
    }
    run.advance(400);
    assert_eq!(utterance.sent(), MS * 420);
    utterance.end();
    utterance.pictures_are_done();
    run.advance(2_000);
    let loud = run.loud();
    assert_eq!(loud.len(), 50);
    assert!(
        loud.iter().enumerate().all(|(i, &(at, captured))| {
            let expected = i as u64 * 20;
            at == expected && captured == expected
        }),
        "{loud:?}"
    );
    assert_eq!(run.turns(), [(0, "started 1"), (1_000, "ended 1")]);
    assert_eq!(utterance.sent(), MS * 1_000);
    assert!(run.budget.reserve(usize::MAX).is_some(), "nothing waits");
}

#[test]
fn an_utterance_of_two_channels_ends_once_and_what_was_live_fades_under_it() {
    let mut run = Run::new();
    run.pacer.push(&Sound::mono(&[700; 48_000]), run.now, run.now);
    run.advance(100);
    let utterance = run.begin();
    for chunk in 0..10 {
        let samples = [2_000, -2_000].repeat(100 * 24);
        let block = PcmBlock { samples, sample_rate: 24_000, channels: 2, captured: run.now };
        let place = (MS * 100 * chunk, run.budget.reserve(1).unwrap());
        utterance.sound_pushed(run.now);
        run.speech.push(&block, &utterance, place, run.now).unwrap();
    }
    utterance.end();
    let mut packets = Vec::new();
    while let Some(at) = [run.speech.deadline(run.now), run.pacer.deadline()]
        .into_iter()
        .flatten()
        .min()
        .filter(|at| *at < run.start + MS * 2_000)
    {
        run.now = run.now.max(at);
        run.speech.mark_ends();
        run.speech.all_taken_in();
        while let Some(turn) = run.speech.run(&mut run.pacer, PACKET, false, run.now) {
            run.turns.push((0, format!("{turn:?}").split('(').next().unwrap().to_owned()));
        }
        let mut packet = Sound::default();
        while run.pacer.poll(run.now, &mut packet).is_some() {
            packets.push(packet.clone());
        }
    }
    assert_eq!(run.turns(), [(0, "Started"), (0, "Ended")]);
    assert_eq!(utterance.sent(), MS * 1_000);
    let said: Vec<_> = packets.iter().filter(|packet| packet.stereo).collect();
    assert_eq!(said.len(), 50);
    let middle = |packet: &Sound| (packet.samples[960], packet.samples[961]);
    assert!(said.iter().all(|packet| {
        let (left, right) = middle(packet);
        left.abs_diff(2_000) < 40 && right.abs_diff(-2_000) < 40
    }));
    // What was live is under the first of it.
    let (left, right) = (said[0].samples[0], said[0].samples[1]);
    assert!(left + right > 1_200, "{left}, {right}: 700 under each");
}

#[test]
fn a_gap_in_the_stamps_is_silence_of_that_length() {
    let mut run = Run::new();
    let utterance = run.begin();
    run.say(&utterance, 0, 100, 1_000);
    run.say(&utterance, 300, 100, 1_000);
    utterance.end();
    run.advance(1_000);
    let captured: Vec<u64> = run.loud().iter().map(|(_, captured)| *captured).collect();
    assert_eq!(captured, [0, 20, 40, 60, 80, 300, 320, 340, 360, 380]);
    assert_eq!(run.turns(), [(0, "started 1"), (400, "ended 1")]);
}

#[test]
fn sound_that_is_late_stops_the_time_of_the_utterance() {
    let mut run = Run::new();
    let utterance = run.begin();
    utterance.picture_pushed(run.now);
    run.say(&utterance, 0, 100, 1_000);
    run.advance(250);
    assert_eq!(utterance.due(MS * 133), None, "the picture waits");
    let shown = utterance.due(MS * 80).unwrap();
    assert!((run.start + SOUND_LEAD + MS * 80).saturating_duration_since(shown) < MS);
    run.say(&utterance, 100, 100, 1_000);
    run.run();
    // Four packets were full; the fifth is there now, and leaves in time with the silence before.
    let shown = utterance.due(MS * 133).unwrap();
    let expected = run.start + SOUND_LEAD + MS * (260 + 53);
    assert!(expected.saturating_duration_since(shown) < MS, "{shown:?}");
    run.advance(500);
    let loud = run.loud();
    assert_eq!(loud.len(), 9, "the tenth may still go on");
    let late = &loud[4..];
    let as_due = |(i, &(_, at)): (usize, &(u64, u64))| at == 260 + i as u64 * 20;
    assert!(late.iter().enumerate().all(as_due), "{loud:?}");
}

#[test]
fn an_utterance_whose_sound_ran_dry_before_its_end_is_over_and_the_next_one_plays() {
    for (ms, end_ms) in [(1_000, 1_500), (1_000, 1_005), (1_001, 5_000), (10, 70), (10, 700)] {
        let mut run = Run::new();
        let (first, second) = (run.begin(), run.begin());
        run.say(&first, 0, ms, 1_000);
        run.say(&second, 0, 100, 1_000);
        second.end();
        run.advance(end_ms);
        assert_eq!(run.turns(), [(60, "started 1")]);
        first.end();
        run.advance(end_ms + 1_500);
        let turns: Vec<&str> = run.turns.iter().map(|(_, turn)| turn.as_str()).collect();
        assert_eq!(turns, ["started 1", "ended 1", "started 2", "ended 2"], "{ms} ms");
        assert_eq!(first.sent(), MS * ms as u32);
        let latest = (end_ms + 40).max(60 + ms as u64 + 20);
        assert!(run.turns[1].0 <= latest && second.is_over(), "{:?}", run.turns);
    }
}

#[test]
fn what_is_said_takes_the_place_of_what_was_pushed_live() {
    let mut run = Run::new();
    // Ten seconds that were pushed at once.
    run.pacer.push(&Sound::mono(&[700; 480_000]), run.now, run.now);
    run.advance(200);
    let utterance = run.begin();
    run.say(&utterance, 0, 100, 2_000);
    utterance.end();
    run.advance(1_000);
    let said = run.sent.iter().filter(|(.., samples)| samples.iter().any(|&s| s > 1_500));
    let said: Vec<u64> = said.map(|(at, ..)| *at).collect();
    assert_eq!((said.len(), said[0]), (5, 220));
    let after = run.sent.iter().filter(|(at, ..)| *at > 300);
    assert!(after.into_iter().all(|(_, slot, _)| !slot.sound), "nothing else follows");
    assert_eq!(run.speech.take_tally().dropped, 480_000 - 11 * 960);
}

#[test]
fn stamps_that_go_back_are_counted_and_the_sound_follows_on() {
    let mut run = Run::new();
    let utterance = run.begin();
    for at_ms in [0, 100, 50, 300, 100_000_000] {
        run.say(&utterance, at_ms, 100, 1_000);
    }
    utterance.end();
    run.advance(1_000);
    assert_eq!((run.speech.take_tally().corrected, utterance.sent()), (2, MS * 500));
}

#[test]
fn a_session_that_ends_tells_the_end_of_all_that_was_to_be_said() {
    let mut run = Run::new();
    let all = [run.begin(), run.begin()];
    run.say(&all[0], 0, 5_000, 1_000);
    run.advance(1_000);
    let mut events = Vec::new();
    run.speech.close(|event| events.push(event));
    let [UtteranceEvent::Interrupted(first), UtteranceEvent::Interrupted(second)] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!((first.id, second.id), (all[0].id, all[1].id));
    assert!(all.iter().all(|utterance| utterance.is_over() && utterance.is_interrupted()));
    assert!(all[0].sent().abs_diff(MS * 940) <= MS * 20, "{:?}", all[0].sent());
    run.speech.close(|turn| panic!("{turn:?} a second time"));
}

#[test]
fn no_packet_follows_an_interruption_though_the_loop_is_late() {
    let mut run = Run::new();
    let (playing, waiting) = (run.begin(), run.begin());
    run.say(&playing, 0, 5_000, 1_000);
    run.say(&waiting, 0, 5_000, 1_000);
    run.advance(500);
    let before = run.loud().len();
    // Packets of what plays are not held up by what has not begun.
    waiting.interrupt();
    run.now += MS * 40;
    run.run();
    assert_eq!((run.loud().len(), playing.sent()), (before + 2, MS * 20 * (before as u32 + 2)));
    // Several packets are due by now.
    run.now += MS * 100;
    let sent = playing.interrupt();
    assert_eq!(run.speech.deadline(run.now), Some(run.now));
    run.run();
    // What fades is not loud.
    assert_eq!((run.loud().len(), playing.sent()), (before + 2, sent));
}

#[test]
fn the_last_packet_counts_when_it_is_sent() {
    let mut run = Run::new();
    let utterance = run.begin();
    run.say(&utterance, 0, 143, 1_000);
    utterance.end();
    run.run();
    let begun = run.now;
    for (late_ms, sent_ms) in [(0, 20), (100, 120), (110, 120), (125, 140), (145, 143)] {
        run.now = begun + MS * late_ms;
        run.run();
        assert_eq!(utterance.sent(), MS * sent_ms, "{late_ms} ms after its begin");
    }
}

#[test]
fn an_interruption_is_heard_at_once_and_counted_to_the_packet() {
    let mut run = Run::new();
    let (first, second) = (run.begin(), run.begin());
    run.say(&first, 0, 5_000, 1_000);
    run.say(&second, 0, 100, 1_000);
    second.end();
    run.advance(500);
    let begun = run.turns[0].0;
    let sent = first.interrupt();
    assert!(sent.abs_diff(MS * (500 - begun) as u32) <= MS * 20, "{sent:?}");
    let heard = run.loud().len() as u32 * 20;
    assert!((MS * heard).abs_diff(sent) <= MS * 20, "{heard} ms");
    run.advance(2_000);
    // What fades, and the second one.
    assert!(run.loud().len() as u32 * 20 <= heard + 20 + 100);
    assert_eq!(run.turns()[1..3], [(500, "cut 1"), (520, "started 2")]);
    assert_eq!(run.turns[3].1, "ended 2");
    assert_eq!(first.sent(), sent);
    let rtp: Vec<u64> = run.sent.iter().map(|(_, slot, _)| slot.rtp_time).collect();
    assert!(rtp.windows(2).all(|pair| pair[1] > pair[0]), "{rtp:?}");
}

/// An utterance of 95 ms has ended, silence is still sent in time with it, and another waits for its first packet.
fn one_behind_another() -> (Run, Arc<UtteranceState>) {
    let mut run = Run::new();
    let first = run.begin();
    run.say(&first, 0, 95, 1_000);
    first.end();
    run.advance(107);
    let second = run.begin();
    run.say(&second, 0, 100, 9_000);
    second.end();
    run.advance(112);
    assert_eq!(run.turns(), [(0, "started 1"), (95, "ended 1")]);
    (run, second)
}

#[test]
fn a_begin_is_told_when_its_first_packet_leaves() {
    let (mut run, _second) = one_behind_another();
    run.advance(500);
    assert_eq!(run.turns()[2..], [(120, "started 2"), (220, "ended 2")]);
    assert_eq!(run.loud()[5].0, 120);
}

#[test]
fn nothing_is_heard_of_what_is_cut_off_before_its_first_packet() {
    let (mut run, second) = one_behind_another();
    second.interrupt();
    run.advance(500);
    assert_eq!(run.turns()[2..], [(112, "cut 2")]);
    let loudest = run.sent.iter().flat_map(|(.., samples)| samples).max();
    assert!(loudest < Some(&2_000), "{loudest:?}");
    assert_eq!(second.sent(), Duration::ZERO);
}

#[test]
fn what_is_left_of_a_chunk_and_is_no_packet_keeps_no_room() {
    let mut run = Run::new();
    run.budget = Budget::new(1);
    let utterance = run.begin();
    utterance.picture_pushed(run.now);
    // 15 packets, of which the filter keeps the last samples until more comes.
    run.say(&utterance, 0, 300, 1_000);
    assert!(run.budget.reserve(1).is_none());
    run.advance(500);
    assert_eq!(run.loud().len(), 14);
    run.say(&utterance, 300, 300, 1_000);
}

#[test]
fn pictures_alone_are_an_utterance_too() {
    let mut run = Run::new();
    let utterance = run.begin();
    utterance.picture_pushed(run.now);
    run.advance(500);
    utterance.end();
    utterance.pictures_are_done();
    run.advance(600);
    assert_eq!(run.turns(), [(60, "started 1"), (500, "ended 1")]);
    assert!(run.sent.is_empty());
    assert!(utterance.sent() <= MS * 500);
}

#[test]
fn sound_keeps_its_time_through_the_filter_to_the_last_sample() {
    let mut run = Run::new();
    let utterance = run.begin();
    // A click every 100 ms, and one at the very end.
    let samples = (0..24_000).map(|i| if i % 2_400 == 0 || i == 23_990 { 20_000 } else { 0 });
    for (chunk, samples) in samples.collect::<Vec<i16>>().chunks(1_111).enumerate() {
        let block = PcmBlock {
            samples: samples.to_vec(),
            sample_rate: 24_000,
            channels: 1,
            captured: run.now,
        };
        let time = Duration::from_micros(chunk as u64 * 1_111 * 1_000_000 / 24_000);
        let place = (time, run.budget.reserve(1).unwrap());
        utterance.sound_pushed(run.now);
        run.speech.push(&block, &utterance, place, run.now).unwrap();
    }
    utterance.end();
    run.advance(1_500);
    let sound: Vec<i16> = run.sent.iter().flat_map(|(.., s)| s.clone()).take(48_000).collect();
    let peaks: Vec<usize> = (1..sound.len() - 1)
        .filter(|&i| sound[i] > 5_000 && sound[i] >= sound[i - 1] && sound[i] > sound[i + 1])
        .collect();
    let expected = (1..10).map(|i| i * 4_800).chain([47_980]);
    let found = |at: usize| peaks.iter().any(|peak| peak.abs_diff(at) <= 1);
    assert!(expected.clone().all(found), "{peaks:?}");
}
