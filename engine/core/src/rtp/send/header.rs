//! RTP headers with their extensions, written once per frame and viewer.

use crate::rtp::stamp::{CAPTURE_TIME_BYTES, FrameStamp, PLAYOUT_DELAY_BYTES};

/// RFC 3550 §5.1: version 2 with a header extension, or without one.
const WITH_EXTENSION: u8 = 0x90;
const WITHOUT_EXTENSION: u8 = 0x80;
const FIXED_BYTES: usize = 12;
/// RFC 8285 §4.2: one-byte headers.
const ONE_BYTE_PROFILE: [u8; 2] = [0xbe, 0xde];
const ONE_BYTE_IDS: std::ops::RangeInclusive<u8> = 1..=14;
const MAX_MID_BYTES: usize = 16;
/// All extensions, each with its header, padded to 32-bit words.
const MAX_BYTES: usize = FIXED_BYTES
    + 4
    + (4 + MAX_MID_BYTES + PLAYOUT_DELAY_BYTES + CAPTURE_TIME_BYTES + TRANSPORT_BYTES)
        .next_multiple_of(4);
/// A transport-wide sequence number (draft-holmer-rmcat-transport-wide-cc-extensions-01 §2).
const TRANSPORT_BYTES: usize = 2;

/// The ids under which a viewer takes header extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ExtensionIds {
    mid: Option<u8>,
    playout_delay: Option<u8>,
    capture_time: Option<u8>,
    transport: Option<u8>,
}

impl ExtensionIds {
    /// Whether packets are numbered across all streams of the viewer.
    pub(crate) fn numbers_transport(&self) -> bool {
        self.transport.is_some()
    }

    /// No packet is numbered across streams: nobody would report on them.
    pub(crate) fn leave_out_transport(&mut self) {
        self.transport = None;
    }

    /// Notes an extension that was negotiated; unknown ones are never sent.
    pub(crate) fn add(&mut self, id: u8, uri: &str) {
        let place = match uri {
            "urn:ietf:params:rtp-hdrext:sdes:mid" => &mut self.mid,
            "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay" => &mut self.playout_delay,
            "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time" => {
                &mut self.capture_time
            }
            "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01" => {
                &mut self.transport
            }
            _ => return,
        };
        *place = ONE_BYTE_IDS.contains(&id).then_some(id);
    }
}

/// The header of all packets of one frame to one viewer.
#[derive(Debug)]
pub(super) struct Header {
    bytes: [u8; MAX_BYTES],
    len: usize,
    /// Where the transport-wide sequence number is.
    transport: Option<usize>,
}

impl Header {
    pub(super) fn new(
        (ssrc, payload_type): (u32, u8),
        mid: Option<&str>,
        stamp: &FrameStamp,
        ids: &ExtensionIds,
        is_numbered: bool,
    ) -> Self {
        let mut header = Self { bytes: [0; MAX_BYTES], len: FIXED_BYTES + 4, transport: None };
        header.bytes[0] = WITH_EXTENSION;
        header.bytes[1] = payload_type & 0x7f;
        header.bytes[4..8].copy_from_slice(&stamp.rtp_time.to_be_bytes());
        header.bytes[8..12].copy_from_slice(&ssrc.to_be_bytes());
        if let (Some(id), Some(mid)) = (ids.mid, mid) {
            header.extend(id, mid.as_bytes());
        }
        if let (Some(id), Some(delay)) = (ids.playout_delay, stamp.playout_delay) {
            header.extend(id, &delay);
        }
        if let (Some(id), Some(time)) = (ids.capture_time, stamp.capture_time) {
            header.extend(id, &time);
        }
        if let Some(id) = ids.transport.filter(|_| is_numbered) {
            header.transport = Some(header.len + 1);
            header.extend(id, &[0; TRANSPORT_BYTES]);
        }
        header.close();
        header
    }

    fn extend(&mut self, id: u8, data: &[u8]) {
        if data.is_empty() || data.len() > MAX_MID_BYTES {
            return;
        }
        self.bytes[self.len] = id << 4 | (data.len() - 1) as u8;
        self.bytes[self.len + 1..][..data.len()].copy_from_slice(data);
        self.len += 1 + data.len();
    }

    /// Pads the extensions and writes their length, or takes their header out where there is none.
    fn close(&mut self) {
        let extensions = self.len - FIXED_BYTES - 4;
        if extensions == 0 {
            self.bytes[0] = WITHOUT_EXTENSION;
            self.len = FIXED_BYTES;
            return;
        }
        let words = extensions.div_ceil(4);
        self.bytes[12..14].copy_from_slice(&ONE_BYTE_PROFILE);
        self.bytes[14..16].copy_from_slice(&(words as u16).to_be_bytes());
        self.len = FIXED_BYTES + 4 + 4 * words;
    }

    /// How long it is.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether its packets are numbered across streams.
    pub(super) fn is_numbered(&self) -> bool {
        self.transport.is_some()
    }

    /// Numbers the next packet across streams.
    pub(super) fn number(&mut self, number: u16) {
        if let Some(place) = self.transport {
            self.bytes[place..place + TRANSPORT_BYTES].copy_from_slice(&number.to_be_bytes());
        }
    }

    /// The header of one packet.
    pub(super) fn packet(&mut self, sequence: u16, marker: bool) -> &[u8] {
        self.bytes[1] = self.bytes[1] & 0x7f | u8::from(marker) << 7;
        self.bytes[2..4].copy_from_slice(&sequence.to_be_bytes());
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
    use str0m::rtp::Extension;
    use visavis_types::PlayoutDelay;

    fn stamp(capture_time: Option<SystemTime>) -> FrameStamp {
        let delay = PlayoutDelay { min: Duration::ZERO, max: Duration::from_millis(500) };
        FrameStamp::picture(0x0102_0304, Instant::now(), capture_time, delay)
    }

    fn ids() -> ExtensionIds {
        let mut ids = ExtensionIds::default();
        ids.add(4, Extension::RtpMid.as_uri());
        ids.add(5, Extension::PlayoutDelay.as_uri());
        ids.add(14, Extension::AbsoluteCaptureTime.as_uri());
        ids
    }

    #[test]
    fn a_header_is_what_the_rfcs_say() {
        let captured = UNIX_EPOCH + Duration::from_millis(1_500);
        let mut header = Header::new((77, 96), Some("vid"), &stamp(Some(captured)), &ids(), true);
        let expected = [
            [0x90, 0x80 | 96, 0xff, 0xff, 1, 2, 3, 4, 0, 0, 0, 77].as_slice(),
            &[0xbe, 0xde, 0, 5, 4 << 4 | 2, b'v', b'i', b'd', 5 << 4 | 2, 0, 0, 50],
            &[14 << 4 | 7, 0x83, 0xaa, 0x7e, 0x81, 0x80, 0, 0, 0, 0, 0, 0],
        ];
        assert_eq!(header.packet(65_535, true), expected.concat());
        assert_eq!(header.packet(1, false)[..4], [0x90, 96, 0, 1]);
    }

    #[test]
    fn without_extensions_the_header_is_the_fixed_one() {
        let ids = ExtensionIds::default();
        let mut header = Header::new((1, 96), Some("0"), &stamp(None), &ids, true);
        assert_eq!(header.packet(1, false).len(), FIXED_BYTES);
        let mut ids = ids;
        ids.add(15, Extension::RtpMid.as_uri());
        ids.add(0, Extension::PlayoutDelay.as_uri());
        assert_eq!(ids, ExtensionIds::default(), "ids that one-byte headers cannot carry");
    }

    #[test]
    fn a_name_of_any_length_fits() {
        for len in 0..40 {
            let mid = "m".repeat(len);
            let mut header =
                Header::new((1, 96), Some(&mid), &stamp(Some(SystemTime::now())), &ids(), true);
            assert!(header.packet(1, true).len() <= MAX_BYTES);
        }
    }
}
