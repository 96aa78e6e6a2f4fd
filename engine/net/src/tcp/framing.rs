/// Of a length.
const LENGTH_BYTES: usize = 2;

/// The largest packet that is taken. WebRTC's fit a datagram; one that says it is larger is none of theirs.
pub const MAX_PACKET_BYTES: usize = 4_096;

/// Splits bytes into the packets in them.
#[derive(Debug, Clone, Copy)]
pub struct Frames<'a> {
    rest: &'a [u8],
    is_broken: bool,
}

impl<'a> Frames<'a> {
    /// Of bytes that begin with a length.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, is_broken: false }
    }

    /// What is left: the beginning of a packet.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether there was a length that no packet has: nothing of the rest can be read.
    pub const fn is_broken(&self) -> bool {
        self.is_broken
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, after) = self.rest.split_first_chunk::<LENGTH_BYTES>()?;
        let length = usize::from(u16::from_be_bytes(*length));
        if self.is_broken || length == 0 || length > MAX_PACKET_BYTES {
            self.is_broken = true;
            return None;
        }
        let (packet, rest) = after.split_at_checked(length)?;
        self.rest = rest;
        Some(packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_found_wherever_the_bytes_are_cut() {
        let bytes = [0, 1, 7, 0, 3, 8, 8, 8, 0, 2, 9, 9];
        for cut in 0..=bytes.len() {
            let mut first = Frames::new(&bytes[..cut]);
            let mut packets: Vec<Vec<u8>> = first.by_ref().map(<[u8]>::to_vec).collect();
            let joined = [first.rest(), &bytes[cut..]].concat();
            let mut second = Frames::new(&joined);
            packets.extend(second.by_ref().map(<[u8]>::to_vec));
            assert_eq!(packets, [vec![7], vec![8; 3], vec![9; 2]], "{cut}");
            assert!(second.rest().is_empty() && !second.is_broken());
        }
    }

    #[test]
    fn what_no_packet_can_be_ends_it() {
        for wrong in [[0, 0, 1, 1], [0x10, 0x01, 1, 1], *b"GET "] {
            let bytes = [&[0, 1, 7][..], &wrong].concat();
            let mut frames = Frames::new(&bytes);
            assert_eq!(frames.by_ref().count(), 1);
            assert!(frames.is_broken() && frames.next().is_none(), "{wrong:?}");
        }
        let largest =
            [&(MAX_PACKET_BYTES as u16).to_be_bytes()[..], &[1; MAX_PACKET_BYTES]].concat();
        assert_eq!(Frames::new(&largest).count(), 1);
    }
}
