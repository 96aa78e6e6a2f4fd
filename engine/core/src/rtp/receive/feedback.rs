//! What the encoder that sends us pictures is told over RTCP: how they arrive, that a keyframe is wanted, and how much it
//! is to make.

use std::time::{Duration, Instant};

use visavis_types::Bitrate;

use super::packet::SenderReport;
use super::sequencer::Delivered;

/// RFC 3550 §6.4.2 and §6.5.
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
/// RFC 4585 §6.3: payload-specific feedback, with what it is about.
const PAYLOAD_FEEDBACK: u8 = 206;
const PICTURE_LOSS: u8 = 1;
const APPLICATION_LAYER: u8 = 15;

const CNAME: u8 = 1;
const NAME: [u8; 7] = *b"visavis";

/// Pictures have one clock, whatever the codec.
const CLOCK_HZ: f64 = 90_000.0;

/// What the encoder is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wanted {
    /// The next picture is to be a keyframe (RFC 4585 §6.3.1).
    pub keyframe: bool,
    /// How much it is to make (REMB, draft-alvestrand-rmcat-remb-03); `None`: as it likes.
    pub bitrate: Option<Bitrate>,
}

/// How a stream arrives (RFC 3550 appendices A.3 and A.8).
#[derive(Debug)]
pub(super) struct Reception {
    /// Who we are to the sender.
    own_ssrc: u32,
    stream: Option<Stream>,
}

#[derive(Debug)]
struct Stream {
    ssrc: u32,
    /// Counted on where 16 bits end.
    highest: u32,
    total: Count,
    reported: Count,
    /// In units of RTP time.
    jitter: f64,
    last: (Instant, u32),
    /// Of the last sender report, the middle of its time, and when it came.
    report: Option<(u32, Instant)>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    received: u64,
    lost: u64,
}

impl Default for Reception {
    fn default() -> Self {
        // What is not random here only makes a collision likelier (RFC 3550 §8).
        Self { own_ssrc: getrandom::u32().unwrap_or(1), stream: None }
    }
}

impl Reception {
    /// Takes a packet in its turn.
    pub(super) fn note(&mut self, delivered: &Delivered<'_>) {
        let Delivered { packet, arrived, lost, restarted } = *delivered;
        let before = self.stream.take().filter(|of| of.ssrc == packet.ssrc && !restarted);
        let stream = self.stream.insert(before.unwrap_or_else(|| Stream {
            ssrc: packet.ssrc,
            highest: packet.sequence.into(),
            total: Count::default(),
            reported: Count::default(),
            jitter: 0.0,
            last: (arrived, packet.timestamp),
            report: None,
        }));
        let ahead = packet.sequence.wrapping_sub(stream.highest as u16);
        stream.highest = stream.highest.wrapping_add(ahead.into());
        stream.total.received += 1;
        stream.total.lost += lost;
        let (at, timestamp) = std::mem::replace(&mut stream.last, (arrived, packet.timestamp));
        let apart = CLOCK_HZ * arrived.saturating_duration_since(at).as_secs_f64();
        let late = (apart - f64::from(packet.timestamp.wrapping_sub(timestamp) as i32)).abs();
        stream.jitter += (late - stream.jitter) / 16.0;
    }

    /// Takes what the sender says of its clocks.
    pub(super) fn note_report(&mut self, report: &SenderReport, now: Instant) {
        if let Some(stream) = self.stream.as_mut().filter(|stream| stream.ssrc == report.ssrc) {
            stream.report = Some(((report.ntp >> 16) as u32, now));
        }
    }

    /// Writes a compound packet (RFC 3550 §6.1) to the end of `bytes`; nothing before the first packet of the stream.
    pub(super) fn write(&mut self, wanted: Wanted, now: Instant, bytes: &mut Vec<u8>) {
        let Some(stream) = &mut self.stream else { return };
        let own = self.own_ssrc;
        write_packet(bytes, (1, RECEIVER_REPORT), own, |bytes| stream.write_block(now, bytes));
        write_packet(bytes, (1, SOURCE_DESCRIPTION), own, |bytes| {
            bytes.extend([CNAME, NAME.len() as u8]);
            bytes.extend(NAME);
            bytes.extend([0; 3]); // The end of the items, and up to a whole word.
        });
        if wanted.keyframe {
            write_packet(bytes, (PICTURE_LOSS, PAYLOAD_FEEDBACK), own, |bytes| {
                bytes.extend(stream.ssrc.to_be_bytes());
            });
        }
        if let Some(bitrate) = wanted.bitrate {
            write_packet(bytes, (APPLICATION_LAYER, PAYLOAD_FEEDBACK), own, |bytes| {
                bytes.extend([0; 4]);
                bytes.extend(*b"REMB");
                bytes.extend((1 << 24 | floating(bitrate.bps())).to_be_bytes());
                bytes.extend(stream.ssrc.to_be_bytes());
            });
        }
    }
}

impl Stream {
    /// RFC 3550 §6.4.1.
    fn write_block(&mut self, now: Instant, bytes: &mut Vec<u8>) {
        let before = std::mem::replace(&mut self.reported, self.total);
        let lost = self.total.lost - before.lost;
        let expected = self.total.received - before.received + lost;
        let fraction = (256 * lost).checked_div(expected).map_or(0, |part| part.min(255));
        let cumulative = self.total.lost.min(0x7f_ffff);
        let (last, since) = self
            .report
            .map_or((0, Duration::ZERO), |(time, at)| (time, now.saturating_duration_since(at)));
        let since = (65_536.0 * since.as_secs_f64()) as u32;
        let words = [
            self.ssrc,
            (fraction << 24 | cumulative) as u32,
            self.highest,
            self.jitter as u32,
            last,
            since,
        ];
        words.into_iter().for_each(|word| bytes.extend(word.to_be_bytes()));
    }
}

/// A packet with our name, and its length once that is known.
fn write_packet(
    bytes: &mut Vec<u8>,
    (count, kind): (u8, u8),
    own_ssrc: u32,
    write: impl FnOnce(&mut Vec<u8>),
) {
    let start = bytes.len();
    bytes.extend([0x80 | count, kind, 0, 0]);
    bytes.extend(own_ssrc.to_be_bytes());
    write(bytes);
    let words = ((bytes.len() - start) / 4 - 1) as u16;
    if let Some(length) = bytes.get_mut(start + 2..start + 4) {
        length.copy_from_slice(&words.to_be_bytes());
    }
}

/// Six bits of exponent and 18 of mantissa, rounded down.
fn floating(bps: u64) -> u32 {
    let exponent = (u64::BITS - bps.leading_zeros()).saturating_sub(18);
    exponent << 18 | (bps >> exponent) as u32
}

#[cfg(test)]
mod tests {
    use super::super::packet::RtpPacket;
    use super::*;

    fn note(reception: &mut Reception, (sequence, ticks): (u16, u32), arrived: Instant, lost: u64) {
        let packet = RtpPacket {
            payload_type: 96,
            marker: true,
            sequence,
            timestamp: ticks,
            ssrc: 7,
            payload: &[],
        };
        reception.note(&Delivered { packet, arrived, lost, restarted: false });
    }

    /// The words of a packet after its SSRC, for each packet of a compound one; with its first two bytes.
    fn packets(mut compound: &[u8]) -> Vec<([u8; 2], Vec<u32>)> {
        let mut packets = Vec::new();
        while let Some((&[first, kind, high, low], _)) = compound.split_first_chunk() {
            let (packet, rest) =
                compound.split_at(4 * (1 + usize::from(u16::from_be_bytes([high, low]))));
            let words =
                packet[8..].as_chunks().0.iter().map(|word| u32::from_be_bytes(*word)).collect();
            packets.push(([first, kind], words));
            compound = rest;
        }
        packets
    }

    #[test]
    fn a_report_says_what_was_lost_and_how_far_the_stream_is() {
        let (mut reception, start) = (Reception::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        let mut bytes = Vec::new();
        reception.write(Wanted::default(), start, &mut bytes);
        assert!(bytes.is_empty(), "there is nobody to tell");

        note(&mut reception, (65_534, 0), at(0), 0);
        note(&mut reception, (65_535, 3_000), at(33), 0);
        // Two are missing, and the number has begun anew.
        note(&mut reception, (2, 6_000), at(67), 2);
        let report = SenderReport { ssrc: 7, ntp: 0x1234_5678_9abc_def0, rtp_time: 0 };
        reception.note_report(&report, at(100));
        reception.note_report(&SenderReport { ssrc: 8, ntp: 0, rtp_time: 0 }, at(200));
        reception.write(Wanted::default(), at(350), &mut bytes);
        let [report, description] = &packets(&bytes)[..] else { panic!("{bytes:?}") };
        assert_eq!(report.0, [0x81, 201]);
        let expected = [7, 102 << 24 | 2, 0x1_0002, 5, 0x5678_9abc, 16_384];
        assert_eq!(report.1, expected);
        assert_eq!(description.0, [0x81, 202]);

        // What was reported is not reported as lost again.
        note(&mut reception, (3, 9_000), at(400), 0);
        bytes.clear();
        reception.write(Wanted::default(), at(400), &mut bytes);
        assert_eq!(packets(&bytes)[0].1[1], 2);
    }

    #[test]
    fn a_late_packet_is_jitter() {
        let (mut reception, start) = (Reception::default(), Instant::now());
        for n in 0..1_000_u32 {
            let late = if n % 2 == 0 { 0 } else { 10 };
            let at = start + Duration::from_millis(u64::from(n) * 40 + late);
            note(&mut reception, (n as u16, n * 3_600), at, 0);
        }
        let mut bytes = Vec::new();
        reception.write(Wanted::default(), start, &mut bytes);
        let jitter = packets(&bytes)[0].1[3];
        assert!((895..=900).contains(&jitter), "{jitter}: 10 ms are 900");
    }

    #[test]
    fn an_encoder_is_asked_for_a_keyframe_and_a_bitrate() {
        let (mut reception, start) = (Reception::default(), Instant::now());
        note(&mut reception, (1, 0), start, 0);
        let mut bytes = Vec::new();
        let wanted = Wanted { keyframe: true, bitrate: Some(Bitrate::from_kbps(1_500)) };
        reception.write(wanted, start, &mut bytes);
        let packets = packets(&bytes);
        assert_eq!(packets[2], ([0x81, 206], vec![7]));
        let remb = u32::from_be_bytes(*b"REMB");
        // 1,500,000 is 187,500 times 2^3.
        assert_eq!(packets[3], ([0x8f, 206], vec![0, remb, 1 << 24 | 3 << 18 | 187_500, 7]));
        assert_eq!(packets.len(), 4);
    }

    #[test]
    fn any_bitrate_can_be_written() {
        for (bps, expected) in [
            (0, 0),
            (262_143, 262_143),
            (262_144, 1 << 18 | 131_072),
            (u64::MAX, 46 << 18 | 0x3_ffff),
        ] {
            assert_eq!(floating(bps), expected, "{bps}");
        }
    }
}
