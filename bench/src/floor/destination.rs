//! One viewer's encryption, as SRTP with AES-128-GCM does it (RFC 7714).

use std::net::SocketAddr;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;

use crate::Error;

/// An RTP header without contributing sources and extensions (RFC 3550 §5.1).
const HEADER_BYTES: usize = 12;

/// What encryption adds (RFC 7714 §13).
const TAG_BYTES: usize = 16;

const VIDEO_SSRC: u32 = 1;
const AUDIO_SSRC: u32 = 2;

pub(super) struct Destination {
    pub(super) address: SocketAddr,
    key: LessSafeKey,
    salt: [u8; NONCE_LEN],
    video_index: u64,
    audio_index: u64,
}

/// Bytes of a packet on the wire.
pub(super) const fn packet_bytes(payload_bytes: usize) -> usize {
    HEADER_BYTES + payload_bytes + TAG_BYTES
}

impl Destination {
    pub(super) fn new(address: SocketAddr) -> Result<Self, Error> {
        let (mut key, mut salt) = ([0; 16], [0; NONCE_LEN]);
        rand::fill(&mut key).and_then(|()| rand::fill(&mut salt)).map_err(refused)?;
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).map_err(refused)?);
        Ok(Self { address, key, salt, video_index: 0, audio_index: 0 })
    }

    /// Appends one encrypted packet to `out`: header, payload, tag.
    pub(super) fn seal(
        &mut self,
        audio: bool,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let (ssrc, index) = if audio {
            (AUDIO_SSRC, &mut self.audio_index)
        } else {
            (VIDEO_SSRC, &mut self.video_index)
        };
        // Roll-over counter and sequence number are one 48-bit index (RFC 3711 §3.3.1).
        let [_, _, packet_index @ ..] = index.to_be_bytes();
        *index += 1;
        let mut nonce = self.salt;
        for (byte, with) in
            nonce.iter_mut().skip(2).zip(ssrc.to_be_bytes().iter().chain(&packet_index))
        {
            *byte ^= with;
        }
        let mut header = [0u8; HEADER_BYTES];
        header[0] = 0x80;
        header[2..4].copy_from_slice(&packet_index[4..]);
        header[8..].copy_from_slice(&ssrc.to_be_bytes());
        let start = out.len();
        out.extend_from_slice(&header);
        out.extend_from_slice(payload);
        let text = out.get_mut(start + HEADER_BYTES..).unwrap_or_default();
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(&header), text);
        out.extend_from_slice(tag.map_err(refused)?.as_ref());
        Ok(())
    }
}

fn refused(_: aws_lc_rs::error::Unspecified) -> Error {
    Error::Floor("the cryptography library refused".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_decrypt_and_no_two_are_alike() {
        let mut destination = Destination::new(SocketAddr::from(([127, 0, 0, 1], 9))).unwrap();
        let payload = [7; 100];
        let mut packets = Vec::new();
        for audio in [false, false, true] {
            let mut packet = Vec::new();
            destination.seal(audio, &payload, &mut packet).unwrap();
            assert_eq!(packet.len(), packet_bytes(payload.len()));
            packets.push(packet);
        }
        assert_ne!(packets[0][12..], packets[1][12..]);
        assert_ne!(packets[0][12..], packets[2][12..]);

        // RFC 7714 §8.1: 16 zero bits, SSRC, roll-over counter, sequence number, all with the salt.
        let mut nonce = destination.salt;
        for (byte, with) in nonce.iter_mut().zip([0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1]) {
            *byte ^= with;
        }
        let (header, text) = packets[1].split_at_mut(HEADER_BYTES);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let open = destination.key.open_in_place(nonce, Aad::from(header), text).unwrap();
        assert_eq!(open, payload);
    }
}
