use std::time::Instant;

use visavis_codec::OpusDecoder;
use visavis_types::{AudioPacket, OpusSettings, PacketTime};

use crate::audio::encoders::Encoders;
use crate::audio::pacer::Slot;
use crate::audio::sound::Sound;
use crate::config::SessionConfig;

use super::*;

/// What one channel carries in a packet: its tone.
type Tone = f64;

const BOTH: AudioRenditionSet = AudioRenditionSet::OPUS;

/// A session's sound in virtual time: packets of tones, and who is sent what.
struct Run {
    encoders: Encoders,
    time: PacketTime,
    start: Instant,
    n: u64,
    sent: Vec<AudioPacket>,
}

impl Run {
    fn new(config: SessionConfig) -> Self {
        let time = config.packet_time;
        let encoders = Encoders::new(&config).unwrap();
        Self { encoders, time, start: Instant::now(), n: 0, sent: Vec::new() }
    }

    fn slot(&mut self, sound: bool) -> Slot {
        let samples = self.n * self.time.samples() as u64;
        self.n += 1;
        let captured = self.start + samples_duration(samples);
        Slot { rtp_time: samples, captured, sound, talkspurt: samples == 0 }
    }

    fn say(&mut self, sound: &Sound, to: AudioRenditionSet) {
        let slot = self.slot(true);
        self.encoders.encode(&slot, sound, to, |packet| self.sent.push(packet)).unwrap();
    }

    /// So many packets of one tone.
    fn mono(&mut self, packets: u64, hz: Tone, to: AudioRenditionSet) {
        for _ in 0..packets {
            let sound = Sound { samples: self.wave(hz, 1.0), stereo: false };
            self.say(&sound, to);
        }
    }

    /// So many packets of one tone on the left and another on the right.
    fn stereo(
        &mut self,
        packets: u64,
        (left, right): ((Tone, f64), (Tone, f64)),
        to: AudioRenditionSet,
    ) {
        for _ in 0..packets {
            let (left, right) = (self.wave(left.0, left.1), self.wave(right.0, right.1));
            let samples = left.iter().zip(&right).flat_map(|(l, r)| [*l, *r]).collect();
            self.say(&Sound { samples, stereo: true }, to);
        }
    }

    fn silence(&mut self, packets: u64, to: AudioRenditionSet) {
        for _ in 0..packets {
            let slot = self.slot(false);
            let silence = Sound::default();
            self.encoders.encode(&slot, &silence, to, |packet| self.sent.push(packet)).unwrap();
        }
    }

    fn wave(&self, hz: Tone, level: f64) -> Vec<i16> {
        let count = self.time.samples() as u64;
        let value = |i: u64| (i as f64 / 48_000.0 * hz * std::f64::consts::TAU).sin() * 8_000.0;
        (self.n * count..(self.n + 1) * count).map(|i| (value(i) * level) as i16).collect()
    }

    fn of(&self, rendition: AudioRendition) -> Vec<&AudioPacket> {
        self.sent.iter().filter(|packet| packet.renditions.contains(rendition)).collect()
    }

    /// What a viewer hears, decoded to two channels or to one.
    fn heard(&self, rendition: AudioRendition, channels: u16) -> Vec<Vec<f64>> {
        let mut decoder = OpusDecoder::new(48_000, channels).unwrap();
        let mut samples = Vec::new();
        let packets = self.of(rendition);
        let gaps = packets.windows(2).map(|two| two[1].rtp_time - two[0].rtp_time);
        assert!(gaps.into_iter().all(|gap| gap as usize == self.time.samples()));
        for packet in packets {
            decoder.decode(&packet.data, &mut samples).unwrap();
        }
        let channel = |n| samples.iter().skip(n).step_by(channels.into()).map(|&s| f64::from(s));
        (0..usize::from(channels)).map(|n| channel(n).collect()).collect()
    }
}

/// The amplitude of a tone.
fn level(samples: &[f64], hz: Tone) -> f64 {
    let turn = hz / 48_000.0 * std::f64::consts::TAU;
    let waves = samples.iter().enumerate().map(|(n, s)| {
        let angle = n as f64 * turn;
        (s * angle.cos(), s * angle.sin())
    });
    let (re, im) = waves.fold((0.0, 0.0), |sum, wave| (sum.0 + wave.0, sum.1 + wave.1));
    re.hypot(im) * 2.0 / samples.len() as f64
}

/// The largest step from one sample to the next.
fn step(samples: &[f64]) -> f64 {
    samples.windows(2).map(|two| (two[1] - two[0]).abs()).fold(0.0, f64::max)
}

#[test]
fn sound_of_one_channel_is_encoded_once_for_all() {
    let mut run = Run::new(SessionConfig::default());
    run.mono(10, 440.0, BOTH);
    run.silence(2, BOTH);
    run.mono(10, 440.0, BOTH);
    assert_eq!((run.sent.len(), run.encoders.opus_encoders()), (22, 1));
    assert!(run.sent.iter().all(|packet| packet.renditions == BOTH));
}

#[test]
fn the_second_encoder_lives_while_sound_of_two_channels_is_heard_as_two() {
    let mut run = Run::new(SessionConfig::default());
    let two = ((440.0, 1.0), (880.0, 1.0));
    for (to, packets, encoders) in [(TAKES_ONE, 1, 1), (BOTH, 2, 2), (TAKES_TWO, 1, 2)] {
        run.sent.clear();
        run.stereo(5, two, to);
        assert_eq!((run.sent.len(), run.encoders.opus_encoders()), (packets * 5, encoders));
    }
    run.stereo(1, two, AudioRenditionSet::EMPTY);
    assert_eq!(run.encoders.opus_encoders(), 1);
    run.stereo(1, two, BOTH);
    run.mono(1, 440.0, BOTH);
    assert_eq!(run.encoders.opus_encoders(), 1);
    run.stereo(1, two, BOTH);
    run.silence(1, BOTH);
    assert_eq!(run.encoders.opus_encoders(), 1);
}

#[test]
fn left_and_right_are_apart_for_who_takes_two_and_both_are_heard_by_who_takes_one() {
    let fec = |fec| OpusSettings::default().fec(fec);
    for (opus, packet_time) in [
        (fec(true), PacketTime::Ms20),
        (fec(false), PacketTime::Ms20),
        (fec(true), PacketTime::Ms10),
    ] {
        let mut run = Run::new(SessionConfig { opus, packet_time, ..SessionConfig::default() });
        run.stereo(100, ((440.0, 1.0), (880.0, 1.0)), BOTH);
        let two = run.heard(AudioRendition::OpusStereo, 2);
        for (channel, own, other) in [(&two[0], 440.0, 880.0), (&two[1], 880.0, 440.0)] {
            let (own, other) = (level(&channel[24_000..], own), level(&channel[24_000..], other));
            println!("{opus:?} {packet_time:?}: {own:.0}, of the other side {other:.0}");
            assert!((7_000.0..9_000.0).contains(&own), "{own}");
            assert!(other < own / 10.0, "{other} beside {own}");
        }
        let one = run.heard(AudioRendition::Opus, 1).swap_remove(0);
        for hz in [440.0, 880.0] {
            let level = level(&one[24_000..], hz);
            assert!((3_400.0..4_600.0).contains(&level), "{hz} Hz: {level}");
        }
    }
}

#[test]
fn channels_in_opposite_phase_are_no_silence_for_who_takes_one() {
    let mut run = Run::new(SessionConfig::default());
    let all = BOTH.with(AudioRendition::Pcmu);
    run.stereo(100, ((440.0, 1.0), (440.0, -1.0)), all);
    let one = run.heard(AudioRendition::Opus, 1).swap_remove(0);
    assert!((7_000.0..9_000.0).contains(&level(&one[24_000..], 440.0)));
    let two = run.heard(AudioRendition::OpusStereo, 2);
    for (channel, sign) in two.iter().zip([1.0, -1.0]) {
        let product: f64 =
            channel[24_000..].iter().zip(&two[0][24_000..]).map(|(a, b)| a * b).sum();
        assert!(product * sign > 0.0, "{product}");
        assert!((7_000.0..9_000.0).contains(&level(&channel[24_000..], 440.0)));
    }
    let mut pcmu = Vec::new();
    for packet in run.of(AudioRendition::Pcmu) {
        visavis_codec::G711Law::Mu.decode(&packet.data, &mut pcmu);
    }
    assert!(pcmu[4_000..].iter().any(|sample| *sample > 7_000));
}

#[test]
fn going_from_one_channel_to_two_and_back_is_no_click() {
    let natural = 8_000.0 * std::f64::consts::TAU * 440.0 / 48_000.0;
    for (fec, packet_time) in
        [(true, PacketTime::Ms20), (false, PacketTime::Ms20), (true, PacketTime::Ms10)]
    {
        let opus = OpusSettings::default().fec(fec);
        for to in [TAKES_TWO, BOTH] {
            let mut run = Run::new(SessionConfig { opus, packet_time, ..SessionConfig::default() });
            for _ in 0..4 {
                run.mono(25, 440.0, to);
                run.stereo(25, ((440.0, 1.0), (440.0, 1.0)), to);
            }
            for rendition in to.iter() {
                let heard = run.heard(rendition, 2);
                let settled = &heard[0][packet_time.samples() * 5..];
                let loudest =
                    |part: &[f64]| part.iter().fold(0.0, |most: f64, s| most.max(s.abs()));
                let soft = settled.chunks_exact(240).filter(|part| loudest(part) < 7_000.0).count();
                let step = step(settled) / natural;
                println!(
                    "{fec} {packet_time:?} {rendition:?}: steps of {step:.2}, {soft} soft parts"
                );
                assert!(step < 1.5, "{step}");
                assert_eq!(soft, 0);
            }
        }
    }
}

#[test]
fn nothing_of_the_sound_before_is_heard_where_an_encoder_begins_again() {
    let mut run = Run::new(SessionConfig::default());
    // One channel for nobody while two are heard; then, after a silence, one.
    run.mono(10, 440.0, TAKES_TWO);
    run.stereo(10, ((440.0, 1.0), (440.0, 1.0)), TAKES_TWO);
    run.silence(20, TAKES_TWO);
    run.sent.clear();
    run.say(&Sound { samples: vec![0; PacketTime::Ms20.samples()], stereo: false }, TAKES_TWO);
    let heard = run.heard(AudioRendition::OpusStereo, 2);
    assert!(heard[0].iter().all(|sample| sample.abs() < 50.0), "{:?}", &heard[0][..400]);
}

#[test]
fn in_silence_both_may_rest_and_each_says_when_it_is_back() {
    let opus = OpusSettings::default().dtx(true);
    let mut run = Run::new(SessionConfig { opus, ..SessionConfig::default() });
    run.stereo(150, ((440.0, 0.0), (880.0, 0.0)), BOTH);
    let (quiet, count) = (run.sent.split_off(0), 2 * 150);
    assert!(quiet.len() < count / 4, "{}", quiet.len());
    run.stereo(25, ((440.0, 1.0), (880.0, 1.0)), BOTH);
    for rendition in BOTH.iter() {
        let begins: Vec<_> = run.of(rendition).iter().map(|packet| packet.talkspurt).collect();
        assert!(begins.len() >= 24 && begins[0] && !begins[1..].contains(&true), "{begins:?}");
    }
}

/// A voice, at 48 kHz.
fn speech() -> Vec<i16> {
    let wav = include_bytes!("../../../../fixtures/speech.wav");
    let (pairs, _) = wav.get(44..).unwrap_or_default().as_chunks::<2>();
    let narrow: Vec<i16> = pairs.iter().map(|&pair| i16::from_le_bytes(pair)).collect();
    let mut wide = Vec::new();
    visavis_codec::Resampler::new(24_000, 1, 48_000, 1)
        .unwrap()
        .process(&narrow, &mut wide)
        .unwrap();
    wide
}

#[test]
fn a_lost_packet_of_two_channels_is_made_up_for_by_the_next() {
    let wide = speech();
    let mut run = Run::new(SessionConfig::default());
    run.encoders.correct(TAKES_TWO).unwrap();
    // A voice that is nearer to the left.
    for at in (1..wide.len() / 960).map(|n| n * 960) {
        let frames = (at..at + 960).flat_map(|n| [wide[n], wide[n - 48] / 2]);
        run.say(&Sound { samples: frames.collect(), stereo: true }, TAKES_TWO);
    }
    let packets = run.of(AudioRendition::OpusStereo);
    let [mut whole, mut lossy] = [0, 1].map(|_| OpusDecoder::new(48_000, 2).unwrap());
    let mut plain = OpusDecoder::new(48_000, 2).unwrap();
    let mut off = [0.0, 0.0];
    for (n, packet) in packets.iter().enumerate() {
        let mut expected = Vec::new();
        whole.decode(&packet.data, &mut expected).unwrap();
        let (mut recovered, mut concealed) = (Vec::new(), Vec::new());
        match packets.get(n + 1).filter(|_| n % 10 == 5) {
            Some(next) => {
                lossy.recover(&next.data, 960, &mut recovered).unwrap();
                plain.conceal(960, &mut concealed).unwrap();
                for (off, made) in off.iter_mut().zip([recovered, concealed]) {
                    let pairs = made.iter().zip(&expected);
                    *off += pairs.map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2)).sum::<f64>();
                }
            }
            None => {
                lossy.decode(&packet.data, &mut recovered).unwrap();
                plain.decode(&packet.data, &mut concealed).unwrap();
            }
        }
    }
    println!("off by {:.2} of what it is without", off[0] / off[1]);
    assert!(off[0] < off[1] * 0.5, "{off:?}");
}

/// Whether a packet of one frame and one channel has a coarse copy of the one before in it, as libopus tells it.
fn repairs(packet: &AudioPacket) -> bool {
    let &[toc, flags, ..] = &*packet.data else { return false };
    let is_celt = toc & 0x80 != 0;
    !is_celt && flags >> 6 & 1 == 1
}

#[test]
fn sound_can_be_repaired_while_somebody_loses_packets_and_only_then() {
    let only = |rendition| AudioRenditionSet::EMPTY.with(rendition);
    let (opus, pcmu, nobody) =
        (only(AudioRendition::Opus), only(AudioRendition::Pcmu), AudioRenditionSet::EMPTY);
    let speech = speech();
    let corrects = |config: SessionConfig| {
        let mut run = Run::new(config);
        let parts = speech.chunks(50 * 960).take(5);
        let parts = parts.zip([nobody, opus, pcmu, opus, nobody]).map(|(part, lossy)| {
            run.encoders.correct(lossy).unwrap();
            run.sent.clear();
            for samples in part.as_chunks::<960>().0 {
                run.say(&Sound { samples: samples.to_vec(), stereo: false }, opus);
            }
            // The first has what was before it.
            run.sent[2..].iter().filter(|packet| repairs(packet)).count()
        });
        parts.collect::<Vec<_>>()
    };
    let config = SessionConfig::default();
    let with = corrects(config.clone());
    println!("{with:?} packets of fifty");
    assert!(matches!(with[..], [0, 10..=48, 0, 10..=48, 0]), "{with:?}");
    let without = config.opus(OpusSettings::default().fec(false));
    assert_eq!(corrects(without), [0; 5], "whoever wants none gets none");
}
