use crate::G711Law;

const RATE_HZ: usize = G711Law::SAMPLE_RATE_HZ as usize;

/// Sound that is remembered, to make up for what follows it: 40 ms.
const HISTORY: usize = RATE_HZ / 25;
/// Periods of voices, 66 to 200 Hz, in samples.
const PERIODS: std::ops::RangeInclusive<usize> = RATE_HZ / 200..=RATE_HZ / 66;
/// How much of the past is compared to find the period.
const COMPARED: usize = HISTORY - *PERIODS.end();
/// Made-up sound keeps its level for so long, 10 ms …
const STEADY: usize = RATE_HZ / 100;
/// … and is gone after so long, 60 ms: a vowel that goes on for longer sounds like a machine.
const FADED: usize = RATE_HZ * 6 / 100;
/// Over so many samples, 4 ms, what was made up goes over into what came.
const JOIN: usize = RATE_HZ / 250;

/// Decodes one stream of G.711 and makes up for what is missing of it.
///
/// Lost sound is the last period of the voice again and again, fading: the idea of ITU-T G.711
/// Appendix I, without the delay that it takes to smooth the beginning.
///
/// Moves between threads, is used by one at a time.
#[derive(Debug)]
pub struct G711Decoder {
    law: G711Law,
    /// The last sound that came.
    history: [i16; HISTORY],
    /// What is repeated, and how much of it has been made up.
    lost: Option<Lost>,
}

#[derive(Debug, Clone, Copy)]
struct Lost {
    /// Samples before the end of the history that are repeated.
    period: usize,
    made: usize,
}

impl G711Decoder {
    /// Makes a decoder of one channel at 8 kHz.
    pub fn new(law: G711Law) -> Self {
        Self { law, history: [0; HISTORY], lost: None }
    }

    /// Appends a sample for each byte.
    pub fn decode(&mut self, packet: &[u8], out: &mut Vec<i16>) {
        let before = out.len();
        self.law.decode(packet, out);
        let came = out.get_mut(before..).unwrap_or_default();
        if let Some(mut lost) = self.lost.take() {
            for (n, sample) in came.iter_mut().take(JOIN).enumerate() {
                let made = lost.next(&self.history);
                let mixed = f32::from(made)
                    + (f32::from(*sample) - f32::from(made)) * n as f32 / JOIN as f32;
                *sample = mixed as i16;
            }
        }
        let kept = came.get(came.len().saturating_sub(HISTORY)..).unwrap_or_default();
        self.history.rotate_left(kept.len());
        if let Some(end) = self.history.get_mut(HISTORY - kept.len()..) {
            end.copy_from_slice(kept);
        }
    }

    /// Makes up so many lost samples and appends them.
    pub fn conceal(&mut self, samples: usize, out: &mut Vec<i16>) {
        let history = &self.history;
        let lost = self.lost.get_or_insert_with(|| Lost { period: period(history), made: 0 });
        out.extend(std::iter::repeat_with(|| lost.next(history)).take(samples));
    }

    /// Forgets what came before, as at the start of a stream.
    pub fn reset(&mut self) {
        *self = Self::new(self.law);
    }
}

impl Lost {
    fn next(&mut self, history: &[i16; HISTORY]) -> i16 {
        let gain = match self.made {
            made if made < STEADY => 1.0,
            made => FADED.saturating_sub(made) as f32 / (FADED - STEADY) as f32,
        };
        let (period, phase) = (self.period, self.made % self.period);
        let last = |back: usize| f32::from(history.get(HISTORY - back).copied().unwrap_or(0));
        // Towards its end, the period goes over into what was before its beginning.
        let joined = period / 4;
        let to_end = period - phase;
        let sample = if to_end < joined {
            let share = to_end as f32 / joined as f32;
            last(to_end) * share + last(period + to_end) * (1.0 - share)
        } else {
            last(to_end)
        };
        self.made += 1;
        (sample * gain) as i16
    }
}

/// After how many samples the end of the history was most like itself.
fn period(history: &[i16; HISTORY]) -> usize {
    let end = history.get(HISTORY - COMPARED..).unwrap_or_default();
    let likeness = |lag: usize| {
        let earlier = history.get(HISTORY - COMPARED - lag..).unwrap_or_default();
        let (mut product, mut power) = (0.0, 1.0);
        for (&a, &b) in end.iter().zip(earlier) {
            product += f32::from(a) * f32::from(b);
            power += f32::from(b) * f32::from(b);
        }
        product / f32::sqrt(power)
    };
    let better = |best: (usize, f32), lag: usize| {
        let found = likeness(lag);
        if found > best.1 { (lag, found) } else { best }
    };
    PERIODS.fold((*PERIODS.end(), 0.0), better).0
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: usize = RATE_HZ / 50;

    fn tone(hz: f64, packet: usize) -> Vec<u8> {
        let sample = |n: usize| {
            let turns = hz * (packet * PACKET + n) as f64 / RATE_HZ as f64;
            ((turns * std::f64::consts::TAU).sin() * 8_000.0) as i16
        };
        let samples: Vec<i16> = (0..PACKET).map(sample).collect();
        let mut bytes = Vec::new();
        G711Law::Mu.encode(&samples, &mut bytes);
        bytes
    }

    fn loudness(samples: &[i16]) -> f64 {
        let sum: f64 = samples.iter().map(|&s| f64::from(s).powi(2)).sum();
        (sum / samples.len() as f64).sqrt()
    }

    /// Packets of a tone, of which some are lost.
    fn play(hz: f64, lost: std::ops::Range<usize>, packets: usize) -> Vec<i16> {
        let mut decoder = G711Decoder::new(G711Law::Mu);
        let mut out = Vec::new();
        for packet in 0..packets {
            match lost.contains(&packet) {
                true => decoder.conceal(PACKET, &mut out),
                false => decoder.decode(&tone(hz, packet), &mut out),
            }
        }
        out
    }

    #[test]
    fn a_lost_packet_of_a_steady_tone_can_hardly_be_told() {
        for hz in [100.0, 160.0, 440.0, 1_000.0] {
            let (whole, holed) = (play(hz, 0..0, 10), play(hz, 5..6, 10));
            assert_eq!(whole.len(), holed.len());
            // The first half is at full level.
            let part = 5 * PACKET..5 * PACKET + PACKET / 2;
            let difference: Vec<i16> =
                whole[part.clone()].iter().zip(&holed[part.clone()]).map(|(a, b)| a - b).collect();
            let snr_db = 20.0 * (loudness(&whole[part]) / loudness(&difference)).log10();
            println!("{hz} Hz: {snr_db:.1} dB");
            assert!(snr_db > 20.0, "{hz} Hz: {snr_db:.1} dB");
            assert_eq!(whole[6 * PACKET + JOIN..], holed[6 * PACKET + JOIN..]);
        }
    }

    #[test]
    fn nothing_leaps_where_sound_is_missing_and_where_it_comes_back() {
        for hz in [90.0, 170.0, 333.0] {
            let (whole, holed) = (play(hz, 0..0, 12), play(hz, 5..7, 12));
            let leap = |samples: &[i16]| {
                samples.windows(2).map(|pair| pair[0].abs_diff(pair[1])).max().unwrap()
            };
            let (natural, made) = (leap(&whole), leap(&holed));
            println!("{hz} Hz: {natural} by itself, {made} with a hole");
            assert!(made <= natural * 3 / 2, "{hz} Hz: {natural}, {made}");
        }
    }

    #[test]
    fn long_loss_fades_to_silence_and_sound_comes_back() {
        let holed = play(200.0, 5..15, 20);
        let level = |packet: usize| loudness(&holed[packet * PACKET..(packet + 1) * PACKET]);
        assert!(level(5) > 0.8 * level(4), "{} {}", level(5), level(4));
        assert!(level(6) < level(5) && level(7) < level(6));
        assert_eq!(level(9), 0.0);
        assert!(level(16) > 0.9 * level(4));
    }

    #[test]
    fn loss_at_the_beginning_and_odd_packets_are_no_matter() {
        let mut decoder = G711Decoder::new(G711Law::A);
        let mut out = Vec::new();
        decoder.conceal(100, &mut out);
        assert_eq!(out, [0; 100]);
        for length in [0, 1, 7, 1_200, 3] {
            out.clear();
            decoder.decode(&vec![0x2a; length], &mut out);
            assert_eq!(out.len(), length);
            decoder.conceal(33, &mut out);
            assert_eq!(out.len(), length + 33);
        }
        decoder.reset();
        out.clear();
        decoder.conceal(10, &mut out);
        assert_eq!(out, [0; 10]);
    }
}
