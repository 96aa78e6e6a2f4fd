//! G.711: PCMU and PCMA, one byte a sample.
//!
//! Logarithmic steps, 8 segments of 16 to each side of zero (ITU-T G.711, tables 1 and 2). The
//! arithmetic is that of ITU-T G.191, in which negative samples are inverted rather than negated, so that
//! both halves have equally many.

/// Which of the two laws; RTP payload types 0 and 8 (RFC 3551 §4.5.14).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum G711Law {
    /// µ-law, PCMU: North America and Japan.
    Mu,
    /// A-law, PCMA: everywhere else.
    A,
}

/// Put in front of a µ-law magnitude (of 14 bits), so that segments begin at powers of two.
const MU_BIAS: i16 = 33;
/// The highest magnitude that µ-law knows, bias included.
const MU_CLIP: i16 = 0x1fff;
/// Every other bit of an A-law byte is inverted on the line, so that silence has transitions.
const A_TOGGLED: u8 = 0x55;

const MU_TABLE: [i16; 256] = table(G711Law::Mu);
const A_TABLE: [i16; 256] = table(G711Law::A);

impl G711Law {
    /// The rate of both laws, in Hz.
    pub const SAMPLE_RATE_HZ: u32 = 8_000;

    /// Appends a byte for each sample.
    pub fn encode(self, samples: &[i16], out: &mut Vec<u8>) {
        match self {
            Self::Mu => out.extend(samples.iter().map(|&sample| encode_mu(sample))),
            Self::A => out.extend(samples.iter().map(|&sample| encode_a(sample))),
        }
    }

    /// Appends a sample for each byte. Every byte means something.
    pub fn decode(self, bytes: &[u8], out: &mut Vec<i16>) {
        let table = match self {
            Self::Mu => &MU_TABLE,
            Self::A => &A_TABLE,
        };
        out.extend(bytes.iter().map(|&byte| table[usize::from(byte)]));
    }
}

/// Of 15 bits; a negative sample's distance from −1.
const fn magnitude(sample: i16) -> i16 {
    sample ^ (sample >> 15)
}

fn encode_mu(sample: i16) -> u8 {
    let level = ((magnitude(sample) >> 2) + MU_BIAS).min(MU_CLIP);
    let segment = level.ilog2() - 5;
    let step = (level >> (segment + 1)) & 0xf;
    let sign = if sample < 0 { 0x80 } else { 0 };
    !(sign | (segment << 4) as u8 | step as u8)
}

fn encode_a(sample: i16) -> u8 {
    let level = magnitude(sample) >> 4;
    // The two lowest segments have steps of the same size.
    let code = match level.checked_ilog2() {
        Some(log @ 4..) => {
            let segment = log - 3;
            (segment << 4) as u8 | ((level >> (segment - 1)) & 0xf) as u8
        }
        _ => level as u8,
    };
    let sign = if sample < 0 { 0 } else { 0x80 };
    (sign | code) ^ A_TOGGLED
}

const fn table(law: G711Law) -> [i16; 256] {
    let mut samples = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        samples[byte] = match law {
            G711Law::Mu => decode_mu(byte as u8),
            G711Law::A => decode_a(byte as u8),
        };
        byte += 1;
    }
    samples
}

/// The middle of the step, in 16 bits.
const fn decode_mu(byte: u8) -> i16 {
    let (code, bias) = (!byte, MU_BIAS << 2);
    let (segment, step) = ((code >> 4) & 7, (code & 0xf) as i16);
    let level = (((step << 3) + bias) << segment) - bias;
    if code & 0x80 == 0 { level } else { -level }
}

const fn decode_a(byte: u8) -> i16 {
    let code = byte ^ A_TOGGLED;
    let (segment, step) = ((code >> 4) & 7, (code & 0xf) as i16);
    let level = match segment {
        0 => (step << 4) + 8,
        _ => ((step << 4) + 0x108) << (segment - 1),
    };
    if code & 0x80 == 0 { -level } else { level }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAWS: [G711Law; 2] = [G711Law::Mu, G711Law::A];

    fn encode(law: G711Law, samples: &[i16]) -> Vec<u8> {
        let mut bytes = Vec::new();
        law.encode(samples, &mut bytes);
        bytes
    }

    fn decode(law: G711Law, bytes: &[u8]) -> Vec<i16> {
        let mut samples = Vec::new();
        law.decode(bytes, &mut samples);
        samples
    }

    fn every_sample() -> Vec<i16> {
        (i16::MIN..=i16::MAX).collect()
    }

    /// Bytes from ITU-T G.711 tables 1a to 2b, at ends and borders of segments.
    #[test]
    fn samples_become_the_bytes_of_the_recommendation() {
        let samples = [0, -1, 3, 4, 11, 12, 123, 124, 1_000, -1_000, i16::MAX, i16::MIN];
        let mu = [0xff, 0x7f, 0xff, 0xfe, 0xfe, 0xfd, 0xf0, 0xef, 0xce, 0x4e, 0x80, 0x00];
        assert_eq!(encode(G711Law::Mu, &samples), mu);
        let samples = [0, -1, 15, 16, 255, 256, 511, 512, 1_000, -1_000, i16::MAX, i16::MIN];
        let a = [0xd5, 0x55, 0xd5, 0xd4, 0xda, 0xc5, 0xca, 0xf5, 0xfa, 0x7a, 0xaa, 0x2a];
        assert_eq!(encode(G711Law::A, &samples), a);
    }

    #[test]
    fn bytes_become_the_samples_of_the_recommendation() {
        let mu = decode(G711Law::Mu, &[0xff, 0x7f, 0xfe, 0xf0, 0xef, 0xce, 0x4e, 0x80, 0x00]);
        assert_eq!(mu, [0, 0, 8, 120, 132, 988, -988, 32_124, -32_124]);
        let a = decode(G711Law::A, &[0xd5, 0x55, 0xd4, 0xc5, 0xfa, 0x7a, 0xaa, 0x2a]);
        assert_eq!(a, [8, -8, 24, 264, 1_008, -1_008, 32_256, -32_256]);
    }

    #[test]
    fn every_byte_comes_back_but_for_the_two_zeros_of_mu_law() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(encode(G711Law::A, &decode(G711Law::A, &bytes)), bytes);
        let mut expected = bytes.clone();
        expected[0x7f] = 0xff;
        assert_eq!(encode(G711Law::Mu, &decode(G711Law::Mu, &bytes)), expected);
    }

    #[test]
    fn louder_stays_louder_and_no_sample_moves_further_than_half_a_step() {
        for law in LAWS {
            let samples = every_sample();
            let back = decode(law, &encode(law, &samples));
            assert!(back.windows(2).all(|pair| pair[0] <= pair[1]), "{law:?}");
            for (&sample, &back) in samples.iter().zip(&back) {
                let (error, level) = (sample.abs_diff(back), sample.unsigned_abs());
                // Half of a sixteenth of a segment, or half of the smallest step; above its last
                // step µ-law clips.
                let allowed = (level / 32).max(8) + 5;
                let clipped = law == G711Law::Mu && level > 32_635;
                assert!(error <= allowed || clipped, "{law:?}: {sample} became {back}");
            }
        }
    }

    #[test]
    fn signal_to_noise_stays_near_38_db_from_loud_to_soft() {
        for law in LAWS {
            for amplitude in [30_000.0, 10_000.0, 3_000.0, 1_000.0] {
                let wave = |n: u32| (f64::from(n) * 0.7301).sin() * amplitude;
                let samples: Vec<i16> = (0..8_000).map(|n| wave(n).round() as i16).collect();
                let back = decode(law, &encode(law, &samples));
                let power = |of: &mut dyn Iterator<Item = i32>| {
                    of.map(|s| f64::from(s).powi(2)).sum::<f64>()
                };
                let signal = power(&mut samples.iter().map(|&s| s.into()));
                let pairs = samples.iter().zip(&back);
                let noise = power(&mut pairs.map(|(&a, &b)| i32::from(a) - i32::from(b)));
                let snr_db = 10.0 * (signal / noise).log10();
                println!("{law:?} at {amplitude}: {snr_db:.1} dB");
                assert!((34.0..43.0).contains(&snr_db), "{law:?} at {amplitude}: {snr_db:.1} dB");
            }
        }
    }

    #[test]
    fn what_was_there_before_stays() {
        for law in LAWS {
            let (mut bytes, mut samples) = (vec![1], vec![2]);
            law.encode(&[0; 3], &mut bytes);
            law.decode(&[0xff], &mut samples);
            assert_eq!((bytes.len(), bytes[0]), (4, 1));
            assert_eq!((samples.len(), samples[0]), (2, 2));
        }
    }
}
