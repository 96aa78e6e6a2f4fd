//! RTP and RTCP packets (RFC 3550), read where they lie.

/// An RTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RtpPacket<'a> {
    pub(super) payload_type: u8,
    pub(super) marker: bool,
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    pub(super) ssrc: u32,
    /// Without padding. May be empty.
    pub(super) payload: &'a [u8],
}

const FIXED_HEADER_BYTES: usize = 12;

impl<'a> RtpPacket<'a> {
    /// Reads a datagram (RFC 3550 §5.1); `None` where it is no RTP packet.
    pub(super) fn parse(datagram: &'a [u8]) -> Option<Self> {
        let (header, rest) = datagram.split_first_chunk::<FIXED_HEADER_BYTES>()?;
        let [flags, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3] = *header;
        if flags >> 6 != 2 {
            return None;
        }
        let contributors = usize::from(flags & 0x0f);
        let mut payload = rest.get(contributors * 4..)?;
        if flags & 0x10 != 0 {
            let (&[_, _, w0, w1], after) = payload.split_first_chunk::<4>()?;
            payload = after.get(usize::from(u16::from_be_bytes([w0, w1])) * 4..)?;
        }
        if flags & 0x20 != 0 {
            let padding = usize::from(*payload.last()?);
            let length = payload.len().checked_sub(padding).filter(|_| padding > 0)?;
            payload = payload.get(..length)?;
        }
        Some(Self {
            payload_type: second & 0x7f,
            marker: second & 0x80 != 0,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([c0, c1, c2, c3]),
            payload,
        })
    }
}

/// Whether a datagram that shares a port with RTP is RTCP (RFC 5761 §4).
pub fn is_rtcp(datagram: &[u8]) -> bool {
    matches!(datagram, [flags, 192..=223, ..] if flags >> 6 == 2)
}

/// What a sender says of its clocks (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderReport {
    /// Of which stream.
    pub ssrc: u32,
    /// The sender's wall clock: seconds since 1900 in the upper half, fractions in the lower.
    pub ntp: u64,
    /// The stream's RTP time at that moment.
    pub rtp_time: u32,
}

/// The sender reports in a compound RTCP packet; what follows something broken is left out.
pub fn sender_reports(datagram: &[u8]) -> impl Iterator<Item = SenderReport> {
    const SENDER_REPORT: u8 = 200;
    let mut rest = datagram;
    let packets = std::iter::from_fn(move || {
        let (&[flags, kind, l0, l1], _) = rest.split_first_chunk::<4>()?;
        let length = (usize::from(u16::from_be_bytes([l0, l1])) + 1) * 4;
        let (packet, after) = rest.split_at_checked(length).filter(|_| flags >> 6 == 2)?;
        rest = after;
        Some((kind, packet))
    });
    packets.filter(|(kind, _)| *kind == SENDER_REPORT).filter_map(|(_, packet)| {
        let word = |at: usize| Some(u32::from_be_bytes(*packet.get(at..)?.first_chunk::<4>()?));
        let ntp = u64::from(word(8)?) << 32 | u64::from(word(12)?);
        Some(SenderReport { ssrc: word(4)?, ntp, rtp_time: word(16)? })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: [u8; 12] = [0x80, 0xe0, 1, 2, 0, 0, 0, 9, 0xaa, 0xbb, 0xcc, 0xdd];

    fn with(flags: u8, tail: &[u8]) -> Vec<u8> {
        let mut datagram = PLAIN.to_vec();
        datagram[0] |= flags;
        datagram.extend_from_slice(tail);
        datagram
    }

    #[test]
    fn a_plain_header() {
        let datagram = with(0, &[7, 8]);
        let packet = RtpPacket::parse(&datagram).unwrap();
        let expected = RtpPacket {
            payload_type: 96,
            marker: true,
            sequence: 0x102,
            timestamp: 9,
            ssrc: 0xaabb_ccdd,
            payload: &[7, 8],
        };
        assert_eq!(packet, expected);
    }

    #[test]
    fn contributors_extension_and_padding_are_no_payload() {
        let mut tail = vec![1; 8]; // two CSRCs
        tail.extend([0xbe, 0xde, 0, 1, 5, 5, 5, 5]); // an extension of one word
        tail.extend([7, 8, 0, 0, 3]); // three bytes of padding
        let datagram = with(0x20 | 0x10 | 2, &tail);
        assert_eq!(RtpPacket::parse(&datagram).unwrap().payload, [7, 8]);
        let only_padding = with(0x20, &[0, 2]);
        assert_eq!(RtpPacket::parse(&only_padding).unwrap().payload, []);
    }

    #[test]
    fn broken_packets_are_none() {
        let broken: [Vec<u8>; 7] = [
            Vec::new(),
            PLAIN[..11].to_vec(),
            vec![0x40; 12],
            with(3, &[0; 11]),                           // CSRCs missing
            with(0x10, &[0xbe, 0xde, 0, 2, 0, 0, 0, 0]), // extension too short
            with(0x20, &[1, 9]),                         // more padding than payload
            with(0x20, &[1, 0]),                         // padding of no byte
        ];
        for datagram in broken {
            assert_eq!(RtpPacket::parse(&datagram), None, "{datagram:?}");
        }
    }

    #[test]
    fn sender_reports_are_found_behind_other_packets() {
        let mut compound = vec![0x80, 201, 0, 1, 0, 0, 0, 1];
        compound.extend([0x80, 200, 0, 6, 0, 0, 0, 5, 0, 0, 0, 2, 0x80, 0, 0, 0, 0, 0, 3, 0xe8]);
        compound.extend([0; 8]);
        assert!(is_rtcp(&compound) && !is_rtcp(&PLAIN));
        let reports: Vec<SenderReport> = sender_reports(&compound).collect();
        assert_eq!(reports, [SenderReport { ssrc: 5, ntp: 0x2_8000_0000, rtp_time: 1_000 }]);
        for length in 0..compound.len() {
            assert_eq!(sender_reports(&compound[..length]).count(), 0, "{length}");
        }
    }
}
