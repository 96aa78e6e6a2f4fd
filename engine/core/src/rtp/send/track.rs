//! One stream of one viewer: its sequence numbers, its counters, its retransmissions.

use std::time::Instant;

use visavis_types::ClockAnchor;

use super::header::{ExtensionIds, Header};
use super::reports::SenderInfo;
use super::way::Way;
use crate::rtp::history::{History, Kept};
use crate::rtp::stamp::{FrameStamp, ntp};
use crate::transport::Outbox;

/// Packets that may be sent again at once: half a second of a 4 Mbit/s stream lost in one piece.
const MAX_ALLOWANCE: usize = 256;

/// Of this many packets sent, one more may be sent again: a viewer that asks for everything all the
/// time costs half as much again as any other, no more.
const PACKETS_PER_RESEND: usize = 2;

/// One stream of one viewer.
#[derive(Debug)]
pub(crate) struct Track {
    /// The media section it belongs to, as the viewer calls it.
    pub(crate) mid: Box<str>,
    pub(crate) payload_type: u8,
    pub(crate) extensions: ExtensionIds,
    ssrc: u32,
    pub(crate) clock_hz: u32,
    /// The sequence number with its roll-overs: SRTP's packet index.
    next: u64,
    /// Where the last keyframe begins.
    keyframe: u64,
    /// Packets name their media section until the viewer has shown that it knows the SSRC.
    acknowledged: bool,
    packets: u32,
    octets: u32,
    /// RTP time of the last packet, and when that was captured.
    last: Option<(u32, Instant)>,
    resend: Option<Resend>,
}

/// The stream that packets are sent again in (RFC 4588 §4).
#[derive(Debug)]
struct Resend {
    ssrc: u32,
    payload_type: u8,
    negotiated: bool,
    next: u64,
    /// How many packets may be sent again now.
    allowance: usize,
    /// Sent packets that have not earned a resend yet.
    earned: usize,
    /// `None` before the first packet.
    span: Option<Span>,
    scratch: Vec<u8>,
}

/// Packets that follow one another here as they do in the rendition's history.
#[derive(Debug, Clone, Copy)]
struct Span {
    /// The first of them.
    since: u64,
    /// A packet's number in the history, less its number here.
    offset: u64,
}

impl Resend {
    fn new(ssrc: u32, payload_type: u8, first: u16) -> Self {
        Self {
            ssrc,
            payload_type,
            negotiated: true,
            next: u64::from(first),
            allowance: MAX_ALLOWANCE,
            earned: 0,
            span: None,
            scratch: Vec::new(),
        }
    }

    fn earn(&mut self, packets: usize) {
        self.earned += packets;
        self.allowance = (self.allowance + self.earned / PACKETS_PER_RESEND).min(MAX_ALLOWANCE);
        self.earned %= PACKETS_PER_RESEND;
    }
}

impl Track {
    /// A stream whose first packet has the sequence number `first`.
    pub(crate) fn new(mid: &str, ssrc: u32, clock_hz: u32, first: u16) -> Self {
        Self {
            mid: mid.into(),
            payload_type: 0,
            extensions: ExtensionIds::default(),
            ssrc,
            clock_hz,
            next: u64::from(first),
            keyframe: u64::from(first),
            acknowledged: false,
            packets: 0,
            octets: 0,
            last: None,
            resend: None,
        }
    }

    pub(crate) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Negotiates retransmission: SSRC and payload type, or none.
    pub(crate) fn resend_in(&mut self, stream: Option<(u32, u8)>, first: u16) {
        let Some((ssrc, payload_type)) = stream else {
            // Kept for its sequence numbers, should it be negotiated again.
            self.resend.iter_mut().for_each(|resend| resend.negotiated = false);
            return;
        };
        self.resend = Some(match self.resend.take() {
            Some(old) if old.ssrc == ssrc => {
                // The history may be another codec's by now.
                Resend { payload_type, negotiated: true, span: None, ..old }
            }
            _ => Resend::new(ssrc, payload_type, first),
        });
    }

    pub(super) fn acknowledge(&mut self) {
        self.acknowledged = true;
    }

    fn header(&self, (ssrc, payload_type): (u32, u8), stamp: &FrameStamp) -> Header {
        let mid = (!self.acknowledged).then_some(&*self.mid);
        Header::new((ssrc, payload_type), mid, stamp, &self.extensions)
    }

    /// Notes which packet of the history comes next.
    pub(super) fn follow(&mut self, history: &History) {
        if let Some(resend) = &mut self.resend {
            let offset = history.next_packet().wrapping_sub(self.next);
            if resend.span.is_none_or(|span| span.offset != offset) {
                resend.span = Some(Span { since: self.next, offset });
            }
        }
    }

    /// Sends the packets of one frame, the last with the marker bit if it `ends` something.
    pub(super) fn send<'a>(
        &mut self,
        payloads: impl ExactSizeIterator<Item = &'a [u8]>,
        ends: bool,
        stamp: &FrameStamp,
        way: &mut Way<'_, impl Outbox>,
    ) {
        let mut header = self.header((self.ssrc, self.payload_type), stamp);
        let count = payloads.len();
        for (index, payload) in payloads.enumerate() {
            let header = header.packet(self.next as u16, ends && index + 1 == count);
            way.send_rtp(header, payload, self.ssrc, self.next);
            self.octets = self.octets.wrapping_add(payload.len() as u32);
            self.next += 1;
        }
        self.packets = self.packets.wrapping_add(count as u32);
        self.last = Some((stamp.rtp_time, stamp.captured));
        if let Some(resend) = &mut self.resend {
            resend.earn(count);
        }
    }

    /// What is sent next is a keyframe.
    pub(super) fn begin_keyframe(&mut self) {
        self.keyframe = self.next;
    }

    /// Whether a viewer that lacks this packet will never have it, and no keyframe after it either: all
    /// that is sent up to the next keyframe is of no use to it. Browsers take up to three seconds to see
    /// that, and to ask for one.
    pub(super) fn is_beyond_help(&self, sequence: u16, history: &History) -> bool {
        let Some(resend) = self.resend.as_ref().filter(|resend| resend.negotiated) else {
            return false;
        };
        let Some(own) = sent_as(sequence, self.next).filter(|&own| own >= self.keyframe) else {
            return false;
        };
        // Where the numbers of the history are new, as after a renegotiation, older packets have none.
        resend.find(own).is_none_or(|packet| history.get(packet).is_none())
    }

    /// Sends a packet again, if there is a stream for that, if it is still known, and if this viewer has
    /// not asked for too much. Under its own number it must never leave twice: its header might differ
    /// by then, and two packets under one nonce give the keys away.
    pub(super) fn resend(
        &mut self,
        sequence: u16,
        history: &History,
        way: &mut Way<'_, impl Outbox>,
    ) {
        let Some(mut resend) = self.resend.take() else {
            return;
        };
        if let Some(Kept { payload, stamp, marker }) =
            sent_as(sequence, self.next).and_then(|own| history.get(resend.find(own)?))
            && resend.negotiated
            && resend.allowance > 0
        {
            resend.allowance -= 1;
            resend.scratch.clear();
            resend.scratch.extend_from_slice(&sequence.to_be_bytes());
            resend.scratch.extend_from_slice(payload);
            let mut header = self.header((resend.ssrc, resend.payload_type), stamp);
            let header = header.packet(resend.next as u16, marker);
            way.send_rtp(header, &resend.scratch, resend.ssrc, resend.next);
            resend.next += 1;
        }
        self.resend = Some(resend);
    }

    /// What a sender report says at `now`, once something was sent.
    pub(super) fn report(&self, now: Instant, clock: &ClockAnchor) -> Option<SenderInfo> {
        let (rtp_time, captured) = self.last?;
        let ticks = |duration: std::time::Duration| {
            (duration.as_nanos() * u128::from(self.clock_hz) / 1_000_000_000) as u32
        };
        // Sound may be sent ahead of its time.
        let rtp_time = match now.checked_duration_since(captured) {
            Some(since) => rtp_time.wrapping_add(ticks(since)),
            None => rtp_time.wrapping_sub(ticks(captured - now)),
        };
        let ntp = ntp(clock.to_system(now));
        Some(SenderInfo { ntp, rtp_time, packets: self.packets, octets: self.octets })
    }
}

/// The latest packet before `next` that has this sequence number: sequence numbers come around.
fn sent_as(sequence: u16, next: u64) -> Option<u64> {
    let back = (next as u16).wrapping_sub(sequence);
    next.checked_sub(u64::from(back)).filter(|_| back > 0)
}

impl Resend {
    /// The number in the history of one of our packets.
    fn find(&self, own: u64) -> Option<u64> {
        let Span { since, offset } = self.span?;
        (own >= since).then_some(own.wrapping_add(offset))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use visavis_types::{RenditionId, SessionNumber, Stamps, VideoCodec};

    use super::*;
    use crate::rtp::packetize::PacketizedFrame;

    #[test]
    fn sequence_numbers_are_found_across_a_roll_over_but_not_before_the_first() {
        let mut resend = Resend::new(2, 97, 0);
        resend.span = Some(Span { since: 65_530, offset: 0_u64.wrapping_sub(65_530) });
        let find = |sequence, next| resend.find(sent_as(sequence, next)?);
        let next = 65_540;
        assert_eq!(find(65_530, next), Some(0));
        assert_eq!(find(65_535, next), Some(5));
        assert_eq!(find(3, next), Some(9));
        assert_eq!(find(4, next), None, "not sent yet");
        assert_eq!(find(65_529, next), None, "before the first");
        assert_eq!(find(9, 5), None);
    }

    #[test]
    fn what_is_forgotten_and_not_made_up_for_by_a_keyframe_is_beyond_help() {
        let start = Instant::now();
        let mut history = History::default();
        let mut track = Track::new("0", 1, 90_000, 10);
        track.resend_in(Some((2, 97)), 0);
        let frame = |history: &mut History, track: &mut Track, second| {
            track.follow(history);
            let at = start + std::time::Duration::from_secs(second);
            let frame = PacketizedFrame {
                rendition: RenditionId::lowest(SessionNumber::unique(), VideoCodec::Vp8),
                keyframe: false,
                payloads: Arc::new([vec![1], vec![2]].iter().collect()),
                captured: at,
                stamps: Stamps::pushed(at),
            };
            history.push(frame, FrameStamp::new(0, at), at);
            track.next += 2;
        };
        track.begin_keyframe();
        frame(&mut history, &mut track, 0); // 10, 11
        assert!(!track.is_beyond_help(10, &history), "it is still there");
        frame(&mut history, &mut track, 1); // 12, 13
        frame(&mut history, &mut track, 3); // 14, 15
        assert!(track.is_beyond_help(11, &history));
        assert!(!track.is_beyond_help(9, &history), "before the first");
        assert!(!track.is_beyond_help(15, &history), "it is still there");
        track.begin_keyframe();
        frame(&mut history, &mut track, 5); // 16, 17
        assert!(!track.is_beyond_help(11, &history), "there was a keyframe since");
        frame(&mut history, &mut track, 7); // 18, 19
        assert!(track.is_beyond_help(16, &history), "the keyframe itself");
        track.resend_in(Some((2, 97)), 0);
        assert!(track.is_beyond_help(18, &history), "renegotiated since");
    }

    #[test]
    fn a_viewer_that_asks_for_everything_gets_half_of_it() {
        let mut resend = Resend::new(2, 97, 0);
        resend.allowance = 0;
        (0..100).for_each(|_| resend.earn(3));
        assert_eq!(resend.allowance, 150);
        (0..1_000).for_each(|_| resend.earn(3));
        assert_eq!(resend.allowance, MAX_ALLOWANCE);
    }

    #[test]
    fn reports_follow_the_capture_time_in_both_directions() {
        let mut track = Track::new("0", 1, 48_000, 0);
        let (now, clock) = (Instant::now(), ClockAnchor::now());
        assert_eq!(track.report(now, &clock), None);
        let second = std::time::Duration::from_secs(1);
        track.last = Some((100, now));
        assert_eq!(track.report(now + second, &clock).unwrap().rtp_time, 48_100);
        track.last = Some((100, now + second));
        assert_eq!(track.report(now, &clock).unwrap().rtp_time, 100_u32.wrapping_sub(48_000));
    }
}
