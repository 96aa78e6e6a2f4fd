//! AV1 over RTP (RTP Payload Format For AV1, version 1.0, §4).

use visavis_bitstream::av1::{HAS_SIZE, Obu, leb128_bytes, obus, write_leb128};

use super::payloads::Payloads;

/// Z: the first element goes on from the packet before.
const CONTINUES: u8 = 0x80;
/// Y: the last element goes on in the packet after.
const TO_BE_CONTINUED: u8 = 0x40;
/// N: the first packet of a coded video sequence.
const NEW_SEQUENCE: u8 = 0x08;
const COUNT_SHIFT: u32 = 4;
/// W: the most elements that can be counted; of those the last has no length field.
const MAX_ELEMENTS: usize = 3;

const AGGREGATION_HEADER_BYTES: usize = 1;

/// Appends the payloads of one temporal unit. Sizes inside of OBUs are left out, the packets carry
/// them; so are delimiters and padding. A unit that is broken ends where it is.
///
/// All packets are filled to one length, but for the last; and but for units of many small OBUs,
/// where a packet may end early because it can count no more of them.
pub(super) fn packetize(unit: &[u8], keyframe: bool, max_payload: usize, out: &mut Payloads) {
    let obus: Vec<Obu<'_>> =
        obus(unit).map_while(Result::ok).filter(|obu| !obu.is_left_out()).collect();
    let elements: Vec<Element<'_>> = obus.iter().map(Element::new).collect();
    let total: usize =
        elements.iter().map(|element| leb128_bytes(element.len()) + element.len()).sum();
    if total == 0 {
        return;
    }
    let most = max_payload - AGGREGATION_HEADER_BYTES;
    let length = total.div_ceil(total.div_ceil(most));
    let mut flags = if keyframe { NEW_SEQUENCE } else { 0 };
    let mut next = 0;
    let mut at = 0;
    while next < elements.len() {
        let mut payload = vec![0];
        let mut count = 0;
        let mut ended_early = false;
        while let Some(element) = elements.get(next).filter(|_| count < MAX_ELEMENTS) {
            let room = length + AGGREGATION_HEADER_BYTES - payload.len();
            let rest = element.len() - at;
            count += 1;
            let last = next + 1 == elements.len() || count == MAX_ELEMENTS;
            // One that is followed by another in the same packet carries its length.
            if !last && leb128_bytes(rest) + rest < room {
                write_leb128(rest, &mut payload);
                element.append(at, rest, &mut payload);
                (next, at) = (next + 1, 0);
                continue;
            }
            let taken = rest.min(room);
            element.append(at, taken, &mut payload);
            at += taken;
            if at == element.len() {
                (next, at) = (next + 1, 0);
            } else {
                ended_early = true;
            }
            break;
        }
        let to_be_continued = if ended_early { TO_BE_CONTINUED } else { 0 };
        payload[0] = flags | to_be_continued | (count as u8) << COUNT_SHIFT;
        flags = if ended_early { CONTINUES } else { 0 };
        out.push(&[&payload]);
    }
}

/// An OBU as it is sent: its header without the size flag, and its payload.
struct Element<'a> {
    header: [u8; 2],
    header_bytes: usize,
    payload: &'a [u8],
}

impl<'a> Element<'a> {
    fn new(obu: &Obu<'a>) -> Self {
        let mut header = [0; 2];
        header.iter_mut().zip(obu.header).for_each(|(to, from)| *to = *from);
        header[0] &= !HAS_SIZE;
        Self { header, header_bytes: obu.header.len().min(2), payload: obu.payload }
    }

    fn len(&self) -> usize {
        self.header_bytes + self.payload.len()
    }

    /// Appends `count` bytes from `from` on.
    fn append(&self, from: usize, count: usize, out: &mut Vec<u8>) {
        let bytes = self.header.iter().take(self.header_bytes).chain(self.payload);
        if from < self.header_bytes {
            out.extend(bytes.skip(from).take(count));
        } else {
            // All of payload: one copy instead of a walk.
            let from = from - self.header_bytes;
            out.extend_from_slice(self.payload.get(from..from + count).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEQUENCE: [u8; 5] = [0x0a, 3, 1, 2, 3];

    fn frame(bytes: usize) -> Vec<u8> {
        let mut obu = vec![0x32];
        write_leb128(bytes, &mut obu);
        obu.extend((0..bytes).map(|i| i as u8));
        obu
    }

    fn packetized(parts: &[&[u8]], keyframe: bool) -> Payloads {
        let mut out = Payloads::default();
        packetize(&parts.concat(), keyframe, 1_000, &mut out);
        out
    }

    #[test]
    fn a_keyframe_is_a_row_of_equal_packets() {
        let frame = frame(4_321);
        let payloads = packetized(&[&[0x12, 0], &SEQUENCE, &frame], true);
        let headers: Vec<u8> = payloads.iter().map(|payload| payload[0]).collect();
        // N and two elements; then one each, continued and to be continued; then the end.
        assert_eq!(headers, [0x68, 0xd0, 0xd0, 0xd0, 0x90]);
        let sizes: Vec<usize> = payloads.iter().map(|payload| payload.len()).collect();
        assert!(sizes[..4].iter().all(|&size| size == sizes[0] && size <= 1_000), "{sizes:?}");
        assert!(sizes[4] <= sizes[0] && sizes[4] + 16 > sizes[0], "{sizes:?}");
        // The sequence header with its length, without its own size; then the frame.
        assert_eq!(payloads[0][1..8], [4, 0x08, 1, 2, 3, 0x30, 0]);
    }

    #[test]
    fn a_small_frame_is_one_packet_without_lengths() {
        let payloads = packetized(&[&[0x12, 0], &frame(5)], false);
        assert_eq!(payloads.len(), 1);
        assert_eq!(payloads[0][..], [0x10, 0x30, 0, 1, 2, 3, 4]);
    }

    #[test]
    fn nothing_to_send_gives_nothing() {
        assert!(packetized(&[&[0x12, 0]], false).is_empty());
        assert!(packetized(&[], false).is_empty());
        assert!(packetized(&[&[0x92, 0]], false).is_empty());
    }
}
