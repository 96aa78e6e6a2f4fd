//! H.264 over RTP (RFC 6184), packetization-mode 1.

use super::payloads::{Payloads, equal_fragments};

const NAL_TYPE_MASK: u8 = 0x1f;
const NAL_HEADER_MASK: u8 = 0xe0;
const NAL_ACCESS_UNIT_DELIMITER: u8 = 9;
const NAL_FILLER: u8 = 12;
/// RFC 6184 §5.7.1.
const STAP_A: u8 = 24;
/// RFC 6184 §5.8.
const FU_A: u8 = 28;
const FU_START: u8 = 0x80;
const FU_END: u8 = 0x40;

/// Appends the payloads of one Annex B access unit.
///
/// Small neighbours (SPS, PPS, SEI) travel together in one STAP-A; a NAL unit larger than
/// `max_payload` is fragmented. Delimiters and filler carry nothing a receiver needs and are left
/// out (RFC 6184 §5.1 lets a sender do so).
pub(super) fn packetize(annex_b: &[u8], max_payload: usize, out: &mut Payloads) {
    let mut small: Vec<&[u8]> = Vec::new();
    let mut small_bytes = 1;
    for nal in nal_units(annex_b) {
        let Some(&header) = nal.first() else { continue };
        if matches!(header & NAL_TYPE_MASK, NAL_ACCESS_UNIT_DELIMITER | NAL_FILLER) {
            continue;
        }
        if small_bytes + 2 + nal.len() > max_payload {
            flush(&mut small, out);
            small_bytes = 1;
        }
        if nal.len() > max_payload {
            fragment(nal, header, max_payload, out);
        } else {
            small.push(nal);
            small_bytes += 2 + nal.len();
        }
    }
    flush(&mut small, out);
}

/// Emits the collected NAL units: one alone as it is, several as a STAP-A.
fn flush(small: &mut Vec<&[u8]>, out: &mut Payloads) {
    match small.as_slice() {
        [] => {}
        [one] => out.push(&[one]),
        many => {
            // The aggregate's NRI is the highest of its parts (RFC 6184 §5.3).
            let nri = many.iter().filter_map(|n| n.first()).map(|h| h & 0x60).max().unwrap_or(0);
            let mut payload =
                Vec::with_capacity(1 + many.iter().map(|n| 2 + n.len()).sum::<usize>());
            payload.push(nri | STAP_A);
            for nal in many {
                payload.extend_from_slice(&(nal.len() as u16).to_be_bytes());
                payload.extend_from_slice(nal);
            }
            out.push(&[&payload]);
        }
    }
    small.clear();
}

fn fragment(nal: &[u8], header: u8, max_payload: usize, out: &mut Payloads) {
    let body = nal.get(1..).unwrap_or_default();
    let mut pieces = equal_fragments(body, max_payload - 2).peekable();
    let mut position = FU_START;
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            position |= FU_END;
        }
        let fu = [(header & NAL_HEADER_MASK) | FU_A, position | (header & NAL_TYPE_MASK)];
        out.push(&[&fu, piece]);
        position = 0;
    }
}

/// The NAL units of an Annex B byte stream (ITU-T H.264 annex B), without start codes.
pub(crate) fn nal_units(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start_code(stream).unwrap_or(stream);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (nal, next) = match find_start_code(rest) {
            Some(at) => (&rest[..at], &rest[at + 3..]),
            None => (rest, &rest[rest.len()..]),
        };
        rest = next;
        // A four-byte start code's first zero, and trailing zeros, belong to no NAL unit.
        let end = nal.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1);
        Some(&nal[..end])
    })
}

fn after_start_code(stream: &[u8]) -> Option<&[u8]> {
    find_start_code(stream).map(|at| &stream[at + 3..])
}

/// Where the next 00 00 01 begins.
fn find_start_code(bytes: &[u8]) -> Option<usize> {
    let mut at = 2;
    while let Some(&byte) = bytes.get(at) {
        // Looking at every third byte is enough while it is larger than one.
        if byte > 1 {
            at += 3;
        } else if byte == 1 {
            if bytes[at - 1] == 0 && bytes[at - 2] == 0 {
                return Some(at - 2);
            }
            at += 3;
        } else {
            at += 1;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use str0m::unversioned::{Depacketizer, H264Depacketizer};

    fn annex_b(nals: &[Vec<u8>]) -> Vec<u8> {
        nals.iter().flat_map(|n| [&[0, 0, 0, 1], n.as_slice()].concat()).collect()
    }

    fn packetized(stream: &[u8]) -> Payloads {
        let mut out = Payloads::default();
        packetize(stream, 1_000, &mut out);
        out
    }

    fn slice(nal_header: u8, len: usize) -> Vec<u8> {
        let mut nal = vec![nal_header];
        nal.extend((0..len).map(|i| 1 + (i % 255) as u8));
        nal
    }

    #[test]
    fn a_keyframe_survives_a_depacketizer_that_is_not_ours() {
        let nals = [slice(0x67, 20), slice(0x68, 5), slice(0x65, 4_321)];
        let payloads = packetized(&annex_b(&nals));
        let mut depacketizer = H264Depacketizer::default();
        let (mut out, mut extra) = (Vec::new(), str0m::format::CodecExtra::None);
        for payload in payloads.iter() {
            depacketizer.depacketize(payload, &mut out, &mut extra).unwrap();
        }
        assert_eq!(out, annex_b(&nals));
    }

    #[test]
    fn parameter_sets_travel_together_and_fragments_are_equal() {
        let nals = [slice(0x67, 20), slice(0x68, 5), slice(0x65, 4_321)];
        let payloads = packetized(&annex_b(&nals));
        let sizes: Vec<usize> = payloads.iter().map(|p| p.len()).collect();
        assert_eq!(payloads[0][0] & NAL_TYPE_MASK, STAP_A);
        assert_eq!(sizes.len(), 1 + 5);
        assert!(sizes[2..5].iter().all(|&s| s == sizes[1]), "{sizes:?}");
        assert_eq!(payloads[1][1] & 0xc0, FU_START);
        assert_eq!(payloads[5][1] & 0xc0, FU_END);
    }

    #[test]
    fn three_byte_start_codes_delimiters_and_filler() {
        let mut stream = vec![0, 0, 1, 9, 0xf0, 0, 0, 1];
        stream.extend(slice(0x41, 10));
        stream.extend([0, 0, 1, 12, 0xff, 0xff, 0x80]);
        let payloads = packetized(&stream);
        assert_eq!(payloads.len(), 1);
        assert_eq!(&payloads[0][..], slice(0x41, 10));
    }

    #[test]
    fn hostile_input_gives_no_payload_and_no_panic() {
        for bytes in
            [&[][..], &[0], &[0, 0], &[0, 0, 1], &[0, 0, 0, 1], &[0; 50], &[0, 0, 1, 0, 0, 1]]
        {
            assert!(packetized(bytes).iter().all(|p| !p.is_empty()), "{bytes:?}");
        }
    }
}
