//! H.264 over RTP (RFC 6184), packetization-mode 1.

use visavis_bitstream::h264::{DELIMITER, FILLER, FU_A, STAP_A, TYPE_MASK, nal_type, nal_units};

use super::payloads::{Payloads, equal_fragments};

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
        if matches!(nal_type(nal), DELIMITER | FILLER) {
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
        let fu = [(header & !TYPE_MASK) | FU_A, position | (header & TYPE_MASK)];
        out.push(&[&fu, piece]);
        position = 0;
    }
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
        assert_eq!(payloads[0][0] & TYPE_MASK, STAP_A);
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
