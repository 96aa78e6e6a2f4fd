//! str0m decides when RTCP is sent; what a sender report contains is ours.

/// RFC 3550 §6.4.1 and §6.4.2.
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
/// RFC 4585 §6.3.1: payload-specific feedback, picture loss indication.
const PAYLOAD_FEEDBACK: u8 = 206;
const PICTURE_LOSS: u8 = 1;

const HEADER_BYTES: usize = 8;
const SENDER_INFO_BYTES: usize = 20;

/// RFC 3550 §6.4.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SenderInfo {
    pub(super) ntp: u64,
    pub(super) rtp_time: u32,
    pub(super) packets: u32,
    pub(super) octets: u32,
}

impl SenderInfo {
    fn to_bytes(self) -> [u8; SENDER_INFO_BYTES] {
        let mut bytes = [0; SENDER_INFO_BYTES];
        bytes[..8].copy_from_slice(&self.ntp.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.rtp_time.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.packets.to_be_bytes());
        bytes[16..].copy_from_slice(&self.octets.to_be_bytes());
        bytes
    }
}

/// Completes a compound packet of str0m: sender reports get the figures that `info_of` has for their SSRC, or become
/// receiver reports where nothing was sent yet. Picture loss indications are taken out: no viewer sends
/// us pictures, they are there to learn where str0m would send them (see `Peer::ask_for_path`).
pub(super) fn complete(compound: &mut Vec<u8>, info_of: impl FnMut(u32) -> Option<SenderInfo>) {
    let mut info_of = info_of;
    let mut at = 0;
    while let Some(&[first, kind, high, low, a, b, c, d]) = compound.get(at..at + HEADER_BYTES) {
        let words = usize::from(u16::from_be_bytes([high, low]));
        let mut end = at + 4 * (words + 1);
        if end > compound.len() {
            break;
        }
        let info = at + HEADER_BYTES..at + HEADER_BYTES + SENDER_INFO_BYTES;
        if kind == SENDER_REPORT && info.end <= end {
            if let Some(figures) = info_of(u32::from_be_bytes([a, b, c, d])) {
                compound[info].copy_from_slice(&figures.to_bytes());
            } else {
                compound.drain(info);
                end -= SENDER_INFO_BYTES;
                let words = (words - SENDER_INFO_BYTES / 4) as u16;
                compound[at + 1] = RECEIVER_REPORT;
                compound[at + 2..at + 4].copy_from_slice(&words.to_be_bytes());
            }
        } else if kind == PAYLOAD_FEEDBACK && first & 0x1f == PICTURE_LOSS {
            compound.drain(at..end);
            end = at;
        }
        at = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: SenderInfo = SenderInfo { ntp: 1 << 40 | 2, rtp_time: 3, packets: 4, octets: 5 };

    /// A packet of so many words after its SSRC.
    fn packet(first: u8, kind: u8, ssrc: u32, rest: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first, kind, 0, (1 + rest.len() / 4) as u8];
        bytes.extend(ssrc.to_be_bytes());
        bytes.extend(rest);
        bytes
    }

    #[test]
    fn each_sender_report_gets_its_figures_and_the_rest_stays() {
        let report =
            packet(0x81, SENDER_REPORT, 7, &[[9; SENDER_INFO_BYTES].as_slice(), &[8; 24]].concat());
        let silent = packet(0x80, SENDER_REPORT, 6, &[9; SENDER_INFO_BYTES]);
        let names = packet(0x81, 202, 7, &[1, 3, b'a', b'b', b'c', 0, 0, 0]);
        let loss = packet(0x81, PAYLOAD_FEEDBACK, 7, &[0; 4]);
        let transport = packet(0x8f, 205, 7, &[1; 12]);
        let mut compound =
            [loss.clone(), report.clone(), silent, loss, names.clone(), transport.clone()].concat();
        complete(&mut compound, |ssrc| (ssrc == 7).then_some(INFO));
        let mut filled = report;
        filled[8..28].copy_from_slice(&INFO.to_bytes());
        let receiver = packet(0x80, RECEIVER_REPORT, 6, &[]);
        assert_eq!(compound, [filled, receiver, names, transport].concat());
    }

    #[test]
    fn nothing_but_a_question_leaves_nothing() {
        let mut compound = packet(0x81, PAYLOAD_FEEDBACK, 1, &[0; 4]);
        complete(&mut compound, |_| None);
        assert!(compound.is_empty());
    }

    #[test]
    fn broken_lengths_end_the_walk() {
        let mut byte = 1_u8;
        for len in 0..200 {
            let mut compound: Vec<u8> = (0..len)
                .map(|i| {
                    byte = byte.wrapping_mul(37).wrapping_add(11);
                    match i % 8 {
                        1 => [SENDER_REPORT, PAYLOAD_FEEDBACK, 202][usize::from(byte % 3)],
                        2 => 0,
                        3 => byte % 9,
                        _ => byte,
                    }
                })
                .collect();
            complete(&mut compound, |ssrc| (ssrc % 2 == 0).then_some(INFO));
            assert!(compound.len() <= len);
        }
    }
}
