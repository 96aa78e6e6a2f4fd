//! Connectivity checks (RFC 8489, RFC 8445), right ones and wrong ones.

use aws_lc_rs::hmac;

const BINDING_REQUEST: u16 = 0x0001;
const COOKIE: u32 = 0x2112_a442;

const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
const ICE_CONTROLLING: u16 = 0x802a;

/// Combined with the checksum (RFC 8489 §14.7).
const FINGERPRINT_XOR: u32 = 0x5354_554e;

const HEADER: usize = 20;

/// A check of the viewer `own` at the server's half `server`, signed with `password`.
#[derive(Debug)]
pub(super) struct Check<'a> {
    pub(super) server: &'a str,
    pub(super) own: &'a str,
    pub(super) password: &'a str,
    pub(super) transaction: [u8; 12],
    pub(super) nominates: bool,
}

impl Check<'_> {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut message = Vec::with_capacity(160);
        message.extend(BINDING_REQUEST.to_be_bytes());
        message.extend([0, 0]);
        message.extend(COOKIE.to_be_bytes());
        message.extend(self.transaction);
        attribute(&mut message, USERNAME, format!("{}:{}", self.server, self.own).as_bytes());
        attribute(&mut message, PRIORITY, &0x6e7f_1eff_u32.to_be_bytes());
        attribute(&mut message, ICE_CONTROLLING, &[0x11; 8]);
        if self.nominates {
            attribute(&mut message, USE_CANDIDATE, &[]);
        }
        // Both count themselves in the header's length, and nothing that follows them.
        set_length(&mut message, 24);
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.password.as_bytes());
        let tag = hmac::sign(&key, &message);
        attribute(&mut message, MESSAGE_INTEGRITY, tag.as_ref());
        set_length(&mut message, 8);
        let sum = crc32(&message) ^ FINGERPRINT_XOR;
        attribute(&mut message, FINGERPRINT, &sum.to_be_bytes());
        message
    }
}

fn attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend(kind.to_be_bytes());
    message.extend(u16::try_from(value.len()).unwrap_or(0).to_be_bytes());
    message.extend(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

/// Sets the length of what follows the header, with `more` to come.
fn set_length(message: &mut [u8], more: usize) {
    let length = u16::try_from(message.len() + more - HEADER).unwrap_or(0).to_be_bytes();
    if let Some(place) = message.get_mut(2..4) {
        place.copy_from_slice(&length);
    }
}

/// The checksum of Ethernet and gzip.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use str0m::ice::StunMessage;

    #[test]
    fn a_check_is_what_it_says() {
        let check = Check {
            server: "serv",
            own: "view",
            password: "a-password-of-22-chars",
            transaction: [7; 12],
            nominates: true,
        };
        let bytes = check.bytes();
        let message = StunMessage::parse(&bytes).unwrap();
        assert!(message.is_binding_request());
        assert_eq!(message.split_username(), Some(("serv", "view")));
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
