//! A synthetic encoded stream, ready as RTP packets: what a renderer with its own encoder would send.
//!
//! The structure is that of H264 (parameter sets, IDR and P slices, RFC 6184 packets); the slice data are noise: right
//! for load and timing, but not decodable.

use visavis_bitstream::h264::{FU_A, STAP_A, TYPE_MASK};

use crate::mark::{MARK_BYTES, mark};

/// Pictures per second.
pub(super) const FPS: u32 = 30;

/// Sound packets per second, 20 ms each.
pub(super) const AUDIO_RATE: u32 = 50;

/// Pictures from one keyframe to the next: two seconds.
pub(crate) const GROUP: usize = 60;

/// A keyframe of a talking head at 2 Mbps. It never takes more than a third of its group's bytes.
const KEYFRAME_BYTES: usize = 67_000;

/// RTP payloads are no longer than this.
const PAYLOAD_BYTES: usize = 1_200;

/// RTP header without extensions.
const HEADER_BYTES: usize = 12;

pub(crate) const VIDEO_TYPE: u8 = 96;
pub(crate) const AUDIO_TYPE: u8 = 97;
const VIDEO_SSRC: u32 = 0x5649_4445;
const AUDIO_SSRC: u32 = 0x4155_4449;

/// Ticks of the video clock from one picture to the next.
const VIDEO_STEP: u32 = 90_000 / FPS;

/// Ticks of the Opus clock from one packet to the next.
const AUDIO_STEP: u32 = 48_000 / AUDIO_RATE;

/// Where the clocks start: soon after, they wrap around.
const FIRST_TIME: u32 = 0xffff_0000;

/// The same for sequence numbers.
const FIRST_SEQUENCE: u16 = 0xff00;

/// Bytes of an Opus packet: about 48 kbit/s.
const AUDIO_BYTES: usize = 120;

/// Opus: CELT, full band, 20 ms, mono, one frame (RFC 6716 §3.1).
const OPUS_TOC: u8 = 0xf8;

/// Constrained baseline, level 3.1, 640×480.
const SPS: [u8; 14] =
    [0x67, 0x42, 0xc0, 0x1f, 0x8c, 0x8d, 0x40, 0x50, 0x1e, 0xd0, 0x0f, 0x08, 0x84, 0x6a];
const PPS: [u8; 4] = [0x68, 0xce, 0x3c, 0x80];

/// NAL unit header and the first byte of a slice header: first macroblock 0, I or P.
const IDR: [u8; 2] = [0x65, 0x88];
const DELTA: [u8; 2] = [0x41, 0x9a];

/// The video of one group of pictures, over and over.
#[derive(Debug)]
pub(super) struct Video {
    frames: Vec<Frame>,
    counter: u32,
    sequence: u16,
}

/// One picture's packets; the second packet of a keyframe and the first of another frame carry the
/// mark.
#[derive(Debug)]
struct Frame {
    packets: Vec<Vec<u8>>,
    marked: usize,
}

/// Sound: packets of one length.
#[derive(Debug)]
pub(super) struct Audio {
    packet: Vec<u8>,
    sequence: u16,
    time: u32,
}

impl Video {
    /// A stream of about `bits` per second, with a keyframe in every `group` pictures.
    pub(super) fn new(bits: u32, group: usize) -> Self {
        let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
        let group = group.max(2);
        let group_bytes = (bits / 8) as usize * group / FPS as usize;
        let key = KEYFRAME_BYTES.min(group_bytes / 3);
        let mean = (group_bytes - key) / (group - 1);
        let mut frames = vec![Frame::new(&IDR, key, &mut noise)];
        for index in 1..group {
            // Every other frame is a fifth larger or smaller, so that the mean is met.
            let size = if index % 2 == 0 { mean + mean / 5 } else { mean - mean / 5 };
            frames.push(Frame::new(&DELTA, size, &mut noise));
        }
        Self { frames, counter: 0, sequence: FIRST_SEQUENCE }
    }

    /// The counter of the frame that [`next`](Self::next) gives.
    pub(super) fn counter(&self) -> u32 {
        self.counter
    }

    /// The packets of the next frame.
    pub(super) fn next(&mut self) -> &[Vec<u8>] {
        let index = self.counter as usize % self.frames.len();
        let time = FIRST_TIME.wrapping_add(self.counter.wrapping_mul(VIDEO_STEP));
        let Some(frame) = self.frames.get_mut(index) else { return &[] };
        frame.set_mark(self.counter);
        self.counter = self.counter.wrapping_add(1);
        let count = frame.packets.len();
        for (position, packet) in frame.packets.iter_mut().enumerate() {
            let last = position + 1 == count;
            write_header(packet, VIDEO_TYPE, last, self.sequence, time, VIDEO_SSRC);
            self.sequence = self.sequence.wrapping_add(1);
        }
        &frame.packets
    }
}

impl Frame {
    /// A frame whose slice is `bytes` long.
    fn new(start: &[u8; 2], bytes: usize, noise: &mut Noise) -> Self {
        let mut slice = start.to_vec();
        slice.extend(mark(0));
        slice.extend((slice.len()..bytes).map(|_| noise.byte()));
        let mut packets = Vec::new();
        if *start == IDR {
            packets.push(parameter_sets());
        }
        let marked = packets.len();
        packets.extend(fragments(&slice));
        Self { packets, marked }
    }

    fn set_mark(&mut self, counter: u32) {
        // The slice header follows the two bytes of the FU-A, which replace the NAL unit header.
        let from = HEADER_BYTES + 2 + DELTA.len() - 1;
        let packet = self.packets.get_mut(self.marked);
        if let Some(place) = packet.and_then(|packet| packet.get_mut(from..from + MARK_BYTES)) {
            place.copy_from_slice(&mark(counter));
        }
    }
}

impl Audio {
    pub(super) fn new() -> Self {
        let mut noise = Noise(0x2545_f491_4f6c_dd1d);
        let mut packet = vec![0; HEADER_BYTES];
        packet.push(OPUS_TOC);
        packet.extend((1..AUDIO_BYTES).map(|_| noise.byte()));
        Self { packet, sequence: FIRST_SEQUENCE, time: FIRST_TIME }
    }

    /// The next packet.
    pub(super) fn next(&mut self) -> &[u8] {
        write_header(&mut self.packet, AUDIO_TYPE, false, self.sequence, self.time, AUDIO_SSRC);
        self.sequence = self.sequence.wrapping_add(1);
        self.time = self.time.wrapping_add(AUDIO_STEP);
        &self.packet
    }
}

/// Both parameter sets in one aggregation packet.
fn parameter_sets() -> Vec<u8> {
    let mut packet = vec![0; HEADER_BYTES];
    packet.push(0x60 | STAP_A);
    for unit in [&SPS[..], &PPS] {
        packet.extend((unit.len() as u16).to_be_bytes());
        packet.extend(unit);
    }
    packet
}

/// A NAL unit as FU-A packets of nearly equal length, headers left empty. It is longer than one packet
/// by the bitrates that are allowed; a shorter one would still be valid in two fragments.
fn fragments(unit: &[u8]) -> Vec<Vec<u8>> {
    let Some((&header, body)) = unit.split_first() else { return Vec::new() };
    let count = body.len().div_ceil(PAYLOAD_BYTES - 2).max(2);
    let length = body.len().div_ceil(count);
    let mut packets = Vec::with_capacity(count);
    for chunk in body.chunks(length.max(1)) {
        let start = if packets.is_empty() { 0x80 } else { 0 };
        let mut packet = vec![0; HEADER_BYTES];
        packet.extend([(header & !TYPE_MASK) | FU_A, start | (header & TYPE_MASK)]);
        packet.extend(chunk);
        packets.push(packet);
    }
    if let Some(end) = packets.last_mut().and_then(|packet| packet.get_mut(HEADER_BYTES + 1)) {
        *end |= 0x40;
    }
    packets
}

fn write_header(packet: &mut [u8], kind: u8, marker: bool, sequence: u16, time: u32, ssrc: u32) {
    let [seq_high, seq_low] = sequence.to_be_bytes();
    let head = [0x80, u8::from(marker) << 7 | kind, seq_high, seq_low];
    let fields = head.into_iter().chain(time.to_be_bytes()).chain(ssrc.to_be_bytes());
    for (place, byte) in packet.iter_mut().zip(fields) {
        *place = byte;
    }
}

/// Bytes that look compressed, and hold no start code because none of them is zero.
struct Noise(u64);

impl Noise {
    fn byte(&mut self) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u8 | 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mark::find_mark;

    /// Puts a frame's FU-A packets together again.
    fn slice(packets: &[Vec<u8>]) -> Vec<u8> {
        let mut unit = Vec::new();
        for payload in packets.iter().map(|packet| &packet[HEADER_BYTES..]) {
            if payload[0] & 0x1f != FU_A {
                continue;
            }
            if payload[1] & 0x80 != 0 {
                assert!(unit.is_empty());
                unit.push((payload[0] & 0xe0) | (payload[1] & 0x1f));
            }
            unit.extend(&payload[2..]);
        }
        assert_eq!(packets.last().unwrap()[HEADER_BYTES + 1] & 0x40, 0x40, "no end bit");
        unit
    }

    #[test]
    fn has_the_rate_and_the_structure_asked_for() {
        let mut video = Video::new(2_000_000, GROUP);
        let mut bytes = 0;
        let mut packets = 0;
        for counter in 0..GROUP as u32 {
            assert_eq!(video.counter(), counter);
            let frame = video.next();
            let key = counter == 0;
            assert!(frame.iter().all(|packet| packet.len() <= HEADER_BYTES + PAYLOAD_BYTES));
            let markers: Vec<bool> = frame.iter().map(|packet| packet[1] & 0x80 != 0).collect();
            assert_eq!(markers.iter().position(|&last| last), Some(frame.len() - 1));
            let unit = slice(frame);
            assert_eq!(unit[0], if key { 0x65 } else { 0x41 });
            assert!(!unit.windows(3).any(|bytes| bytes[0] == 0 && bytes[1] == 0 && bytes[2] < 4));
            let marked = frame.iter().find_map(|packet| find_mark(&packet[HEADER_BYTES..]));
            assert_eq!(marked, Some(counter));
            assert_eq!(frame[0][HEADER_BYTES] & 0x1f, if key { STAP_A } else { FU_A });
            bytes += unit.len();
            packets += frame.len();
        }
        assert!((495_000..=500_000).contains(&bytes), "{bytes} bytes in two seconds");
        assert!((430..=450).contains(&packets), "{packets} packets in two seconds");
    }

    #[test]
    fn sequence_numbers_and_times_go_on_over_their_ends() {
        let mut video = Video::new(200_000, GROUP);
        let (mut expected, mut time) = (FIRST_SEQUENCE, FIRST_TIME);
        for _ in 0..4 * GROUP {
            for packet in video.next() {
                assert_eq!(packet[2..4], expected.to_be_bytes());
                assert_eq!(packet[4..8], time.to_be_bytes());
                expected = expected.wrapping_add(1);
            }
            time = time.wrapping_add(3_000);
        }
        let mut audio = Audio::new();
        let first = audio.next().to_vec();
        let second = audio.next().to_vec();
        assert_eq!((first.len(), first[12]), (HEADER_BYTES + AUDIO_BYTES, OPUS_TOC));
        assert_eq!((second[3], &second[4..8]), (1, &(FIRST_TIME + 960).to_be_bytes()[..]));
    }
}
