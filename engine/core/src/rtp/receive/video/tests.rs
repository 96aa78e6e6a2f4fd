use std::time::Duration;

use super::super::sequencer::tests::rtp;
use super::*;
use crate::rtp::packetize::{Packetizer, Payloads};

const H264: VideoCodec = VideoCodec::H264;

/// An Annex B access unit of a slice of so many bytes, with parameter sets if it is a keyframe.
fn picture(keyframe: bool, bytes: usize) -> Vec<u8> {
    let slice: Vec<u8> = (0..bytes).map(|i| 1 + (i % 255) as u8).collect();
    let mut unit = Vec::new();
    if keyframe {
        unit.extend([0, 0, 0, 1, 0x67, 66, 0, 31, 0x80, 0, 0, 0, 1, 0x68, 0x80]);
    }
    unit.extend([0, 0, 0, 1, if keyframe { 0x65 } else { 0x41 }]);
    unit.extend(slice);
    unit
}

fn payloads(codec: VideoCodec, unit: &[u8]) -> Payloads {
    Packetizer::new(codec).payloads(unit, false, None)
}

/// The datagrams of one access unit after another.
fn datagrams(units: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut sequence = 65_530_u16;
    let mut out = Vec::new();
    for (index, unit) in units.iter().enumerate() {
        let payloads = payloads(H264, unit);
        for (i, payload) in payloads.iter().enumerate() {
            let last = i + 1 == payloads.len();
            out.push(rtp(1, sequence, 3_000 * index as u32, last, payload));
            sequence = sequence.wrapping_add(1);
        }
    }
    out
}

fn received(datagrams: &[Vec<u8>]) -> (Vec<Vec<u8>>, RtpCounters) {
    let (mut receiver, mut now) = (VideoReceiver::new(H264, None), Instant::now());
    let mut units = Vec::new();
    for datagram in datagrams {
        now += Duration::from_millis(1);
        receiver.receive(datagram, now, |unit| units.push(unit.data.to_vec()));
    }
    receiver.handle_due(now + Duration::from_secs(1), |unit| units.push(unit.data.to_vec()));
    (units, receiver.counters())
}

#[test]
fn units_come_out_as_they_went_in_whatever_the_order() {
    let units = [picture(true, 5_000), picture(false, 3_000), picture(false, 10)];
    let mut sent = datagrams(&units);
    let (units_received, counters) = received(&sent);
    assert_eq!(units_received, units);
    assert_eq!((counters.packets, counters.lost), (sent.len() as u64, 0));
    sent[1..].chunks_mut(3).for_each(<[_]>::reverse);
    assert_eq!(received(&sent).0, units);
}

#[test]
fn a_lost_packet_costs_everything_up_to_the_next_keyframe() {
    let units = [(true, 3_000), (false, 3_000), (false, 9), (true, 3_000), (false, 9)]
        .map(|(k, n)| picture(k, n));
    let sent = datagrams(&units);
    let first = payloads(H264, &units[0]).len();
    for lost in first..first + payloads(H264, &units[1]).len() {
        let mut arrived = sent.clone();
        arrived.remove(lost);
        let (got, counters) = received(&arrived);
        assert_eq!(got, [units[0].clone(), units[3].clone(), units[4].clone()], "{lost}");
        assert_eq!((counters.lost, counters.dropped_units), (1, 2));
    }
}

#[test]
fn an_unmarked_end_is_seen_when_the_next_picture_comes() {
    let units = [picture(true, 2_000), picture(false, 2_000), picture(false, 5)];
    let mut sent = datagrams(&units);
    sent.iter_mut().for_each(|datagram| datagram[1] &= 0x7f);
    assert_eq!(received(&sent).0, units[..2]);
}

#[test]
fn a_sender_that_starts_again_is_followed() {
    let (mut receiver, mut now) = (VideoReceiver::new(H264, None), Instant::now());
    let mut seen = Vec::new();
    for ssrc in [1_u32, 2] {
        for mut datagram in datagrams(&[picture(true, 100), picture(false, 100)]) {
            datagram[8..12].copy_from_slice(&ssrc.to_be_bytes());
            now += Duration::from_millis(10);
            receiver.receive(&datagram, now, |unit| seen.push(unit.restarted));
        }
        now += Duration::from_secs(1);
    }
    assert_eq!(seen, [true, false, true, false]);
}

#[test]
fn a_unit_that_never_ends_is_bounded() {
    let (mut receiver, now) = (VideoReceiver::new(H264, None), Instant::now());
    let mut fragment = vec![0x1c, 0x05];
    fragment.resize(60_000, 7);
    receiver.receive(&rtp(1, 0, 0, false, &[0x67, 66]), now, |_| unreachable!());
    for sequence in 1..200 {
        let datagram = rtp(1, sequence, 0, false, &fragment);
        receiver.receive(&datagram, now, |_| unreachable!("it has no end"));
        let open = receiver.assembler.open.unwrap();
        assert_eq!(open.broken, open.bytes > EncodedFrame::MAX_BYTES, "{open:?}");
    }
    assert!(receiver.assembler.open.unwrap().broken);
}

#[test]
fn hostile_payloads_cost_no_more_than_their_unit() {
    for payload in [&[0x78][..], &[0x78, 0xff], &[0x78, 0, 9, 1], &[0x1c], &[0x7d, 1], &[0]] {
        let mut sent = vec![rtp(1, 0, 0, true, payload)];
        for (i, unit) in [picture(true, 50), picture(false, 50)].iter().enumerate() {
            for payload in payloads(H264, unit).iter() {
                let last = nal_is_slice(payload);
                sent.push(rtp(1, sent.len() as u16, 1 + i as u32, last, payload));
            }
        }
        assert_eq!(received(&sent).0.len(), 2, "{payload:?}");
    }
}

fn nal_is_slice(payload: &[u8]) -> bool {
    matches!(payload[0] & 0x1f, 1 | 5 | 24)
}
const SPS: &[u8] = &[0x67, 66, 0, 31, 0x80];
const PPS: &[u8] = &[0x68, 0x80];
const IDR: &[u8] = &[0x65, 0xb8, 1, 2];
const P: &[u8] = &[0x41, 0x98, 1, 2];
const B: &[u8] = &[0x01, 0xa0, 1, 2];
/// The second slices of such pictures.
const MORE_IDR: &[u8] = &[0x65, 0x0a, 1, 2];
const MORE_P: &[u8] = &[0x41, 0x0a, 1, 2];

/// One packet for each of these: its RTP time in pictures, whether it is marked, and its NAL unit.
struct Feed {
    receiver: VideoReceiver,
    start: Instant,
    sequence: u16,
    /// Of the pictures that came out: their RTP times in pictures, and how many NAL units they have.
    out: Vec<(i64, usize)>,
}

impl Feed {
    fn new() -> Self {
        let receiver = VideoReceiver::new(H264, None);
        Self { receiver, start: Instant::now(), sequence: 0, out: Vec::new() }
    }

    /// At so many ms.
    fn send(&mut self, ms: u64, picture: u32, marker: bool, nal: &[u8]) {
        let now = self.start + Duration::from_millis(ms);
        let out = &mut self.out;
        let mut each = |unit: ReceivedUnit<'_>| {
            out.push((unit.rtp_time / 3_000, h264::nal_units(unit.data).count()));
        };
        if let Some(due) = self.receiver.deadline().filter(|due| *due <= now) {
            self.receiver.handle_due(due, &mut each);
        }
        let datagram = rtp(1, self.sequence, picture * 3_000, marker, nal);
        self.receiver.receive(&datagram, now, &mut each);
        self.sequence += 1;
    }

    fn fault(&mut self, ms: u64) -> Option<RtpFault> {
        self.receiver.fault(self.start + Duration::from_millis(ms))
    }
}

#[test]
fn a_stream_that_begins_with_messages_is_shown_from_its_first_keyframe_on() {
    const SEI: &[u8] = &[6, 5, 2, 1, 1, 0x80];
    for before in
        [&[SEI, SPS, PPS][..], &[SPS, PPS, SEI], &[SPS, PPS], &[&[9, 0xf0], SEI, SPS, PPS]]
    {
        let mut feed = Feed::new();
        before.iter().for_each(|nal| feed.send(0, 0, false, nal));
        feed.send(0, 0, true, IDR);
        feed.send(33, 1, true, P);
        assert_eq!(feed.out, [(0, before.len() + 1), (1, 1)], "{before:?}");
        assert_eq!(feed.fault(40), None);
    }
}

#[test]
fn slices_of_one_rtp_time_are_one_picture_though_each_is_marked() {
    let mut feed = Feed::new();
    for picture in 0..4 {
        let ms = u64::from(picture) * 33;
        if picture == 0 {
            feed.send(ms, picture, false, SPS);
            feed.send(ms, picture, false, PPS);
        }
        let slices = if picture == 0 { [IDR, MORE_IDR] } else { [P, MORE_P] };
        for (slice, nal) in (0..).zip([slices[0], slices[1], slices[1]]) {
            feed.send(ms + slice, picture, true, nal);
        }
    }
    feed.receiver.handle_due(feed.start + Duration::from_secs(1), |_| {});
    assert_eq!(feed.out, [(0, 5), (1, 3), (2, 3)]);
    assert_eq!(feed.receiver.counters().dropped_units, 0);
    // Where it is only seen later, the next keyframe goes on.
    let mut feed = Feed::new();
    for (picture, slices) in
        (0..).zip([[IDR, MORE_IDR], [P, MORE_P], [IDR, MORE_IDR], [P, MORE_P], [P, MORE_P]])
    {
        let ms = u64::from(picture) * 33;
        feed.send(ms, picture, false, SPS);
        feed.send(ms, picture, false, PPS);
        feed.send(ms + 1, picture, picture > 0, slices[0]);
        feed.send(ms + 2, picture, true, slices[1]);
    }
    assert_eq!(feed.out, [(0, 4), (1, 3), (2, 4), (3, 4)]);
}

#[test]
fn what_cannot_be_shown_is_named_within_a_second() {
    /// Thirty pictures a second, each of these NAL units.
    fn fault_of(picture: impl Fn(u32) -> Vec<&'static [u8]>) -> (Feed, Option<RtpFault>) {
        let mut feed = Feed::new();
        for number in 0..30 {
            let (ms, nals) = (u64::from(number) * 33, picture(number));
            for (index, nal) in nals.iter().enumerate() {
                feed.send(ms, number, index + 1 == nals.len(), nal);
            }
        }
        let fault = feed.fault(30 * 33);
        (feed, fault)
    }
    let (feed, fault) = fault_of(|n| if n % 10 == 0 { vec![IDR] } else { vec![P] });
    assert_eq!((feed.out.len(), fault), (0, Some(RtpFault::NoParameterSets)));
    let (feed, fault) = fault_of(|_| vec![P]);
    assert_eq!((feed.out.len(), fault), (0, Some(RtpFault::NoKeyframe)));
    const RECOVERY: &[u8] = &[6, 6, 1, 0xc4, 0x80];
    let (feed, fault) = fault_of(|n| match n % 10 {
        3 => vec![SPS, PPS, RECOVERY, P],
        _ => vec![P],
    });
    assert_eq!((feed.out.len(), fault), (0, Some(RtpFault::IntraRefresh)));
    let (feed, fault) = fault_of(|n| match n {
        0 => vec![SPS, PPS, IDR],
        n if n % 3 == 0 => vec![P],
        _ => vec![B],
    });
    assert_eq!((feed.out.len(), fault), (1, Some(RtpFault::Reordered)));
    assert!(!feed.receiver.goes_on());
    let (feed, fault) = fault_of(|_| vec![&[2, 1, 0xd0, 1]]);
    assert_eq!(
        (feed.out.len(), fault),
        (0, Some(RtpFault::OtherCodec(super::super::UnexpectedMedia::Hevc)))
    );
    let (feed, fault) = fault_of(|_| vec![&[0x7f, 9, 9, 9]]);
    assert_eq!(
        (feed.out.len(), fault),
        (0, Some(RtpFault::Unreadable(ExpectedMedia::Video(H264))))
    );
    let (feed, fault) = fault_of(|n| if n == 0 { vec![SPS, PPS, IDR] } else { vec![P] });
    assert_eq!((feed.out.len(), fault), (30, None));
    assert!(feed.receiver.goes_on());
}

#[test]
fn b_frames_that_are_no_more_are_forgiven_at_the_keyframe_after() {
    let mut feed = Feed::new();
    for picture in 0..40_u32 {
        let ms = u64::from(picture) * 33;
        if picture % 10 == 0 {
            feed.send(ms, picture, false, SPS);
            feed.send(ms, picture, false, PPS);
        }
        let nal = match picture {
            0 | 10 | 20 | 30 => IDR,
            5 => B,
            _ => P,
        };
        feed.send(ms, picture, true, nal);
    }
    let shown: Vec<i64> = feed.out.iter().map(|unit| unit.0).collect();
    assert_eq!(shown, (0..5).chain(20..40).collect::<Vec<_>>());
    assert_eq!(feed.fault(40 * 33), None);
}

#[test]
fn a_whole_picture_that_is_lost_costs_those_after_it_too() {
    let mut feed = Feed::new();
    for nal in [SPS, PPS] {
        feed.send(0, 0, false, nal);
    }
    for (picture, nal) in [(0, IDR), (1, P), (3, P), (4, P)] {
        feed.send(u64::from(picture) * 33, picture, true, nal);
        feed.sequence += u16::from(picture == 1);
    }
    feed.send(300, 9, true, P);
    assert_eq!(feed.out, [(0, 3), (1, 1)]);
    assert!(feed.receiver.goes_on());
}

#[test]
fn rtp_time_that_goes_back_is_counted_anew_and_named_where_it_does_so_again_and_again() {
    let mut feed = Feed::new();
    [SPS, PPS].iter().for_each(|nal| feed.send(0, 900, false, nal));
    feed.send(0, 900, true, IDR);
    let mut restarted = 0;
    // A clock that was set back by ten seconds, once.
    for picture in 1..30_u32 {
        let now = feed.start + Duration::from_millis(u64::from(picture) * 33);
        let time = if picture < 10 { 900 + picture } else { 600 + picture };
        let datagram = rtp(1, feed.sequence, time * 3_000, true, P);
        feed.sequence += 1;
        feed.receiver.receive(&datagram, now, |unit| restarted += u32::from(unit.restarted));
        if let Some(due) = feed.receiver.deadline() {
            feed.receiver.handle_due(due, |unit| restarted += u32::from(unit.restarted));
        }
    }
    // The first picture begins a clock, and the tenth one another.
    assert_eq!((restarted, feed.receiver.counters().clock_steps), (2, 1));
    assert_eq!(feed.fault(1_000), None);
    // Pictures that are not sent in the order of their times.
    for picture in 30..60_u32 {
        let order = picture + 600 + [1, 0, 0][picture as usize % 3] * 2;
        feed.send(u64::from(picture) * 33, order, true, P);
    }
    assert_eq!(feed.fault(60 * 33), Some(RtpFault::TimeGoesBack));
    assert!(feed.receiver.counters().clock_steps >= 10);
    assert_eq!(feed.receiver.counters().dropped_units, 0);
    assert_eq!(feed.fault(60 * 33 + 6_000), None);
}
