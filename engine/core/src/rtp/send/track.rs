//! One stream of one viewer: its sequence numbers, its counters, its retransmissions.

use std::time::Instant;

use visavis_types::{ClockAnchor, RenditionId};

use super::header::{ExtensionIds, Header};
use super::pace::{ResendLimits, ResendPace};
use super::reports::SenderInfo;
use super::spans::{Shift, Span, Spans};
use super::srtp_sender::SrtpSender;
use crate::rtp::history::{History, Kept};
use crate::rtp::numbers::Numbers;
use crate::rtp::stamp::{FrameStamp, ntp};
use crate::transport::Outbox;

/// Packets that may be sent again at once: half a second of a 4 Mbit/s stream lost in one piece.
const MAX_ALLOWANCE: usize = 256;

/// Of this many packets sent, one more may be sent again: a viewer that asks for everything all the
/// time costs half as much again as any other, no more.
const PACKETS_PER_RESEND: usize = 2;

/// Packets that are looked at for one piece of a probe, and of a picture that is sent twice.
const MAX_PROBE_PACKETS: u16 = 64;

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
    /// Where the last picture begins, and where the one before.
    begins: [u64; 2],
    /// Packets name their media section until the viewer has shown that it knows the SSRC.
    acknowledged: bool,
    packets: u32,
    octets: u32,
    /// RTP time of the last frame as its rendition has it, and when that was captured.
    last: Option<(u32, Instant)>,
    /// Of pictures: what was sent last.
    rendition: Option<RenditionId>,
    /// What is added to the figures of its frames.
    shift: Shift,
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
    pace: ResendPace,
    /// Where in the histories of renditions what was sent is.
    spans: Spans,
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
            pace: ResendPace::default(),
            spans: Spans::default(),
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
            begins: [u64::from(first); 2],
            acknowledged: false,
            packets: 0,
            octets: 0,
            last: None,
            rendition: None,
            shift: Shift::default(),
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
            Some(mut old) if old.ssrc == ssrc => {
                // The payload type may stand for another codec by now.
                old.spans.clear();
                Resend { payload_type, negotiated: true, ..old }
            }
            _ => Resend::new(ssrc, payload_type, first),
        });
    }

    pub(super) fn acknowledge(&mut self) {
        self.acknowledged = true;
    }

    fn header(
        &self,
        (ssrc, payload_type): (u32, u8),
        stamp: &FrameStamp,
        shift: u32,
        is_numbered: bool,
    ) -> Header {
        let mid = (!self.acknowledged).then_some(&*self.mid);
        let shifted = (shift > 0).then(|| stamp.shifted(shift, self.clock_hz));
        let stamp = shifted.as_ref().unwrap_or(stamp);
        Header::new((ssrc, payload_type), mid, stamp, &self.extensions, is_numbered)
    }

    /// Notes whose packet comes next, and its number in the history. `numbers` are those of a rendition's last picture.
    pub(super) fn follow(
        &mut self,
        rendition: RenditionId,
        stamp: &FrameStamp,
        packet: u64,
        numbers: impl Fn(RenditionId) -> Numbers,
    ) {
        self.begins = [self.next, self.begins[0]];
        let changes = self.rendition != Some(rendition);
        if changes {
            self.change_to(rendition, numbers);
        }
        if changes || self.shift.rtp_time > 0 {
            self.keep_time(stamp);
        }
        if let Some(resend) = &mut self.resend {
            let offset = packet.wrapping_sub(self.next);
            resend.spans.follow(Span { since: self.next, rendition, offset, shift: self.shift });
        }
    }

    /// Picture numbers go on where they were, whatever those of the rendition that comes now are.
    #[cold]
    fn change_to(&mut self, rendition: RenditionId, numbers: impl Fn(RenditionId) -> Numbers) {
        let before = self.rendition.replace(rendition);
        if self.last.is_none() {
            return;
        }
        self.shift.numbers = match before {
            Some(before) if before.codec == rendition.codec => {
                numbers(before).plus(self.shift.numbers).up_to(numbers(rendition))
            }
            _ => Numbers::default(),
        };
    }

    /// Each frame has a later time than the one before, whatever rendition that was of: one picture may come in both,
    /// and where one is encoded later than the other, older pictures come again. Others have the time of their capture.
    #[cold]
    fn keep_time(&mut self, stamp: &FrameStamp) {
        let Some((last, _)) = self.last else { return };
        let next = last.wrapping_add(self.shift.rtp_time).wrapping_add(1);
        let behind = next.wrapping_sub(stamp.rtp_time) as i32;
        self.shift.rtp_time = behind.max(0) as u32;
    }

    /// A picture of what was sent last is left out. It is not of the base layer.
    pub(super) fn leave_out(&mut self) {
        if let Some(rendition) = self.rendition {
            self.shift.numbers.leave_out(rendition.codec);
        }
    }

    /// Sends the packets of one frame, the last with the marker bit if it `ends` something.
    pub(super) fn send<'a>(
        &mut self,
        payloads: impl ExactSizeIterator<Item = &'a [u8]>,
        ends: bool,
        stamp: &FrameStamp,
        sender: &mut SrtpSender<'_, impl Outbox>,
    ) {
        let Shift { rtp_time, numbers } = self.shift;
        let stream = (self.ssrc, self.payload_type);
        let mut header = self.header(stream, stamp, rtp_time, sender.is_numbering());
        let is_numbered = header.is_numbered();
        let mut unnumbered = 0;
        let count = payloads.len();
        let renumbered = self.rendition.filter(|_| !numbers.is_zero()).map(|sent| sent.codec);
        for (index, payload) in payloads.enumerate() {
            let len = header.len() + payload.len();
            if is_numbered {
                header.number(sender.number(len));
            } else {
                unnumbered += len;
            }
            let header = header.packet(self.next as u16, ends && index + 1 == count);
            match renumbered {
                None => sender.send_rtp(header, payload, self.ssrc, self.next),
                Some(codec) => {
                    let change = |copy: &mut [u8]| numbers.add_to(codec, copy);
                    sender.send_rewritten_rtp(
                        header,
                        (&[], payload),
                        change,
                        (self.ssrc, self.next),
                    );
                }
            }
            self.octets = self.octets.wrapping_add(payload.len() as u32);
            self.next += 1;
        }
        if !is_numbered {
            sender.leave_unnumbered(count, unnumbered);
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
    pub(super) fn is_beyond_help<'a>(
        &self,
        sequence: u16,
        history: impl Fn(RenditionId) -> Option<&'a History>,
    ) -> bool {
        let Some(resend) = self.resend.as_ref().filter(|resend| resend.negotiated) else {
            return false;
        };
        let Some(own) = sent_as(sequence, self.next).filter(|&own| own >= self.keyframe) else {
            return false;
        };
        // After a renegotiation older packets are in no span.
        resend.find(own, history).is_none()
    }

    /// Sends a packet again, if there is a stream for that, if it is still known, and if this viewer has
    /// not asked for too much. Under its own number it must never leave twice: its header might differ
    /// by then, and two packets under one nonce give the keys away. True where it was sent.
    pub(super) fn resend<'a>(
        &mut self,
        sequence: u16,
        history: impl Fn(RenditionId) -> Option<&'a History>,
        (limits, now): (ResendLimits, Instant),
        sender: &mut SrtpSender<'_, impl Outbox>,
    ) -> bool {
        let Some(own) = sent_as(sequence, self.next) else { return false };
        // What came before the last keyframe is of little use once that has come, and it comes sooner.
        if limits.bitrate.is_some() && own < self.keyframe {
            return false;
        }
        let Some(mut resend) = self.resend.take() else {
            return false;
        };
        let mut is_sent = false;
        if resend.allowance > 0 && resend.pace.allows(own, limits, now) {
            let times = if limits.is_twice { resend.allowance.min(2) } else { 1 };
            for _ in 0..times {
                let bytes = self.send_again(sequence, &mut resend, &history, sender);
                if bytes > 0 {
                    resend.allowance -= 1;
                    resend.pace.sent(own, bytes, now);
                    is_sent = true;
                }
            }
        }
        self.resend = Some(resend);
        is_sent
    }

    /// Sends at least so many bytes of what was sent last once more, as far as that is known. Returns how many.
    pub(super) fn send_last_again<'a>(
        &mut self,
        bytes: usize,
        history: impl Fn(RenditionId) -> Option<&'a History>,
        sender: &mut SrtpSender<'_, impl Outbox>,
    ) -> usize {
        let Some(mut resend) = self.resend.take() else {
            return 0;
        };
        let (mut sent, newest) = (0, self.next as u16);
        for back in 1..=MAX_PROBE_PACKETS {
            if sent >= bytes {
                break;
            }
            sent += self.send_again(newest.wrapping_sub(back), &mut resend, &history, sender);
        }
        self.resend = Some(resend);
        sent
    }

    /// Sends the picture before the last once more, as far as it is known. Returns how many packets.
    pub(super) fn send_before_again<'a>(
        &mut self,
        history: impl Fn(RenditionId) -> Option<&'a History>,
        sender: &mut SrtpSender<'_, impl Outbox>,
    ) -> usize {
        let Some(mut resend) = self.resend.take() else {
            return 0;
        };
        let [last, before] = self.begins;
        let packets = (before..last).take(MAX_PROBE_PACKETS.into());
        let again = |own: u64| self.send_again(own as u16, &mut resend, &history, sender) > 0;
        let sent = packets.map(again).filter(|sent| *sent).count();
        self.resend = Some(resend);
        sent
    }

    /// Sends a packet again, if it is still known. Returns its length on the network.
    fn send_again<'a>(
        &self,
        sequence: u16,
        resend: &mut Resend,
        history: impl Fn(RenditionId) -> Option<&'a History>,
        sender: &mut SrtpSender<'_, impl Outbox>,
    ) -> usize {
        let mut len = 0;
        if let Some((kept, Span { rendition, shift, .. })) =
            sent_as(sequence, self.next).and_then(|own| resend.find(own, history))
            && resend.negotiated
        {
            let Kept { payload, stamp, marker } = kept;
            let stream = (resend.ssrc, resend.payload_type);
            let mut header = self.header(stream, stamp, shift.rtp_time, sender.is_numbering());
            let head = sequence.to_be_bytes();
            let own = header.len() + head.len() + payload.len();
            if header.is_numbered() {
                header.number(sender.number(own));
            } else {
                sender.leave_unnumbered(1, own);
            }
            len = own + sender.overhead();
            let header = header.packet(resend.next as u16, marker);
            let change = |copy: &mut [u8]| shift.numbers.add_to(rendition.codec, copy);
            sender.send_rewritten_rtp(header, (&head, payload), change, (resend.ssrc, resend.next));
            resend.next += 1;
        }
        len
    }

    /// What a sender report contains at `now`, once something was sent.
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
    /// One of our packets, as long as it is kept, and what became of it for this viewer.
    fn find<'a>(
        &self,
        own: u64,
        history: impl Fn(RenditionId) -> Option<&'a History>,
    ) -> Option<(Kept<'a>, Span)> {
        let span = *self.spans.find(own)?;
        let kept = history(span.rendition)?.get(own.wrapping_add(span.offset))?;
        Some((kept, span))
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
        let rendition = RenditionId::lowest(SessionNumber::unique(), VideoCodec::Vp8);
        let (since, offset) = (65_530, 0_u64.wrapping_sub(65_530));
        resend.spans.follow(Span { since, rendition, offset, shift: Shift::default() });
        let find = |sequence, next| {
            let own = sent_as(sequence, next)?;
            resend.spans.find(own).map(|span| own.wrapping_add(span.offset))
        };
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
        let rendition = RenditionId::lowest(SessionNumber::unique(), VideoCodec::Vp8);
        let frame = |history: &mut History, track: &mut Track, second| {
            let at = start + std::time::Duration::from_secs(second);
            let stamp = FrameStamp::new(0, at);
            track.follow(rendition, &stamp, history.next_packet(), |_| Numbers::default());
            let frame = PacketizedFrame {
                rendition,
                keyframe: false,
                layers: None,
                payloads: Arc::new([vec![1], vec![2]].iter().collect()),
                captured: at,
                stamps: Stamps::pushed(at),
            };
            history.push(frame, stamp, at);
            track.next += 2;
        };
        track.begin_keyframe();
        frame(&mut history, &mut track, 0); // 10, 11
        assert!(!track.is_beyond_help(10, |_| Some(&history)), "it is still there");
        frame(&mut history, &mut track, 1); // 12, 13
        frame(&mut history, &mut track, 3); // 14, 15
        assert!(track.is_beyond_help(11, |_| Some(&history)));
        assert!(!track.is_beyond_help(9, |_| Some(&history)), "before the first");
        assert!(!track.is_beyond_help(15, |_| Some(&history)), "it is still there");
        track.begin_keyframe();
        frame(&mut history, &mut track, 5); // 16, 17
        assert!(!track.is_beyond_help(11, |_| Some(&history)), "there was a keyframe since");
        frame(&mut history, &mut track, 7); // 18, 19
        assert!(track.is_beyond_help(16, |_| Some(&history)), "the keyframe itself");
        track.resend_in(Some((2, 97)), 0);
        assert!(track.is_beyond_help(18, |_| Some(&history)), "renegotiated since");
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
