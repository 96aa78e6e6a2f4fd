//! What one received RTP stream was like: packets put back in order, losses, frames and the gaps
//! between them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use visavis_bitstream::h264::{FU_A, IDR_SLICE, SPS, STAP_A, TYPE_MASK};
use visavis_bitstream::vp8;

/// How long a missing packet may take to come by retransmission before it counts as lost. A viewer's
/// jitter buffer would have given up long before.
const RECOVERY_LIMIT: Duration = Duration::from_secs(1);

/// One received packet, as far as the meter needs it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packet {
    /// RTP sequence number with its roll-overs.
    pub(super) sequence: u64,
    /// RTP timestamp with its roll-overs, in the clock of the codec.
    pub(super) time: u64,
    /// Last packet of its frame.
    pub(super) marker: bool,
    /// Payload bytes.
    pub(super) bytes: usize,
    /// Whether a keyframe starts in it.
    pub(super) keyframe: bool,
}

/// What a packet brought.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Progress {
    /// RTP times of the video frames that became complete.
    pub(super) frames: Times,
    /// The gap before the last of them, once there was one before it.
    pub(super) gap: Option<Duration>,
    /// The first keyframe has just become complete: there is a picture now.
    pub(super) first_picture: bool,
    /// Packets were given up, so the decoder needs a keyframe.
    pub(super) needs_keyframe: bool,
}

/// Nearly always none or one; a packet that was missing may complete several.
pub(super) type Times = Vec<u64>;

/// Counts of one stream.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) packets: u64,
    pub(super) bytes: u64,
    pub(super) lost: u64,
    pub(super) recovered: u64,
    pub(super) frames: u64,
    pub(super) damaged: u64,
    pub(super) keyframes: u64,
}

/// Measures one stream. For audio every packet is a frame, with or without the marker.
#[derive(Debug)]
pub(super) struct StreamMeter {
    video: bool,
    counts: Counts,
    next: Option<u64>,
    waiting: BTreeMap<u64, Packet>,
    gap_since: Option<Instant>,
    frame: Frame,
    picture: bool,
    last_complete: Option<Instant>,
    longest_gap: Duration,
}

/// The frame that is coming in.
#[derive(Debug, Default)]
struct Frame {
    time: Option<u64>,
    keyframe: bool,
    damaged: bool,
}

impl StreamMeter {
    pub(super) fn new(video: bool) -> Self {
        Self {
            video,
            counts: Counts::default(),
            next: None,
            waiting: BTreeMap::new(),
            gap_since: None,
            frame: Frame::default(),
            picture: !video,
            last_complete: None,
            longest_gap: Duration::ZERO,
        }
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether the first keyframe is complete; always, for audio.
    pub(super) fn has_picture(&self) -> bool {
        self.picture
    }

    /// The longest time between two complete frames since the first picture, the time since the last
    /// one included.
    pub(super) fn longest_gap(&self, now: Instant) -> Duration {
        let open = self.last_complete.map_or(Duration::ZERO, |last| now.duration_since(last));
        self.longest_gap.max(open)
    }

    /// Since the last complete frame.
    pub(super) fn since_last(&self, now: Instant) -> Option<Duration> {
        Some(now.saturating_duration_since(self.last_complete?))
    }

    /// Takes a packet; packets may be out of order.
    pub(super) fn packet(&mut self, packet: Packet, now: Instant) -> Progress {
        let mut progress = Progress::default();
        self.counts.packets += 1;
        self.counts.bytes += packet.bytes as u64;
        let next = *self.next.get_or_insert(packet.sequence);
        if packet.sequence < next || self.waiting.contains_key(&packet.sequence) {
            // Given up already, or sent twice.
            return progress;
        }
        if self.waiting.is_empty() && packet.sequence == next {
            // In order, as nearly all are.
            self.next = Some(next + 1);
            self.assemble(packet, now, &mut progress);
            return progress;
        }
        if self.waiting.range(packet.sequence..).next().is_some() {
            self.counts.recovered += 1;
        }
        self.waiting.insert(packet.sequence, packet);
        self.deliver(now, &mut progress);
        progress
    }

    /// Whether a packet is missing that may still come.
    pub(super) fn is_waiting(&self) -> bool {
        self.gap_since.is_some()
    }

    /// Gives up packets that are missing for too long. Call it now and then.
    pub(super) fn tick(&mut self, now: Instant) -> Progress {
        let mut progress = Progress::default();
        let overdue =
            self.gap_since.is_some_and(|since| now.duration_since(since) > RECOVERY_LIMIT);
        if !overdue {
            return progress;
        }
        if let (Some(next), Some((&first, _))) = (self.next, self.waiting.first_key_value()) {
            self.counts.lost += first.saturating_sub(next);
            self.next = Some(first);
            self.gap_since = None;
            self.frame.damaged = true;
            progress.needs_keyframe = self.video;
            self.deliver(now, &mut progress);
        }
        progress
    }

    fn deliver(&mut self, now: Instant, progress: &mut Progress) {
        while let Some(entry) = self.waiting.first_entry() {
            if self.next != Some(*entry.key()) {
                break;
            }
            let packet = entry.remove();
            self.next = Some(packet.sequence + 1);
            self.gap_since = None;
            self.assemble(packet, now, progress);
        }
        if !self.waiting.is_empty() {
            self.gap_since.get_or_insert(now);
        }
    }

    fn assemble(&mut self, packet: Packet, now: Instant, progress: &mut Progress) {
        if !self.video {
            self.complete(None, now, progress);
            return;
        }
        if self.frame.time != Some(packet.time) {
            // A frame that another began before its own end was cut off by a loss.
            let damaged = std::mem::take(&mut self.frame.damaged);
            if self.frame.time.is_some() {
                self.counts.damaged += 1;
            }
            self.frame = Frame { time: Some(packet.time), keyframe: false, damaged };
        }
        self.frame.keyframe |= packet.keyframe;
        if !packet.marker {
            return;
        }
        let frame = std::mem::take(&mut self.frame);
        if frame.damaged {
            self.counts.damaged += 1;
            return;
        }
        if frame.keyframe {
            self.counts.keyframes += 1;
            progress.first_picture |= !self.picture;
            self.picture = true;
        }
        if self.picture {
            self.complete(frame.time, now, progress);
        }
    }

    fn complete(&mut self, time: Option<u64>, now: Instant, progress: &mut Progress) {
        self.counts.frames += 1;
        progress.frames.extend(time);
        if let Some(last) = self.last_complete.replace(now) {
            let gap = now.saturating_duration_since(last);
            self.longest_gap = self.longest_gap.max(gap);
            progress.gap = Some(gap);
        }
    }
}

/// Whether a keyframe starts in this H264 payload (RFC 6184): an IDR slice or a parameter set, alone,
/// aggregated (STAP-A) or as the first fragment (FU-A).
pub(super) fn h264_keyframe(payload: &[u8]) -> bool {
    let starts = |nal: u8| matches!(nal & TYPE_MASK, IDR_SLICE | SPS);
    match payload {
        [head, rest @ ..] if head & TYPE_MASK == STAP_A => {
            let mut rest = rest;
            while let [high, low, nal, ..] = rest {
                if starts(*nal) {
                    return true;
                }
                let skip = 2 + usize::from(u16::from_be_bytes([*high, *low]));
                rest = rest.get(skip..).unwrap_or_default();
            }
            false
        }
        [head, fragment, ..] if head & TYPE_MASK == FU_A => {
            fragment & 0x80 != 0 && starts(*fragment)
        }
        [head, ..] => starts(*head),
        [] => false,
    }
}

/// Whether a keyframe starts in this VP8 payload (RFC 7741 §4.2, §4.3).
pub(super) fn vp8_keyframe(payload: &[u8]) -> bool {
    let [first, rest @ ..] = payload else { return false };
    let starts_partition_zero = first & 0x10 != 0 && first & 0x07 == 0;
    let mut rest = rest;
    if first & 0x80 != 0 {
        let [extension, after @ ..] = rest else { return false };
        rest = after;
        if extension & 0x80 != 0 {
            let long = rest.first().is_some_and(|id| id & 0x80 != 0);
            rest = rest.get(if long { 2 } else { 1 }..).unwrap_or_default();
        }
        if extension & 0x40 != 0 {
            rest = rest.get(1..).unwrap_or_default();
        }
        if extension & 0x30 != 0 {
            rest = rest.get(1..).unwrap_or_default();
        }
    }
    starts_partition_zero && vp8::is_keyframe(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence: u64, frame: u64, marker: bool, keyframe: bool) -> Packet {
        Packet { sequence, time: frame * 3_000, marker, bytes: 100, keyframe }
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn counts_frames_and_gaps_from_the_first_keyframe() {
        let mut meter = StreamMeter::new(true);
        let start = Instant::now();
        assert_eq!(meter.packet(packet(1, 1, true, false), start).frames, Vec::<u64>::new());
        assert!(meter.packet(packet(2, 2, true, true), start + ms(33)).first_picture);
        let progress = meter.packet(packet(3, 3, true, false), start + ms(73));
        assert_eq!(progress.gap, Some(ms(40)));
        assert_eq!(progress.frames, [9_000]);
        assert_eq!(meter.counts().frames, 2);
        assert_eq!(meter.counts().keyframes, 1);
        assert_eq!(meter.longest_gap(start + ms(200)), ms(127));
    }

    #[test]
    fn a_late_packet_completes_its_frame_when_it_comes() {
        let mut meter = StreamMeter::new(true);
        let start = Instant::now();
        meter.packet(packet(1, 1, true, true), start);
        meter.packet(packet(2, 2, false, false), start + ms(33));
        meter.packet(packet(4, 2, true, false), start + ms(34));
        let progress = meter.packet(packet(3, 2, false, false), start + ms(50));
        assert_eq!(progress.gap, Some(ms(50)));
        assert_eq!((meter.counts().recovered, meter.counts().lost), (1, 0));
    }

    #[test]
    fn a_packet_that_never_comes_is_lost_and_damages_its_frame() {
        let mut meter = StreamMeter::new(true);
        let start = Instant::now();
        meter.packet(packet(1, 1, true, true), start);
        meter.packet(packet(2, 2, false, false), start);
        meter.packet(packet(4, 2, true, false), start);
        assert!(!meter.tick(start + ms(999)).needs_keyframe);
        assert!(meter.tick(start + ms(1_001)).needs_keyframe);
        assert_eq!((meter.counts().lost, meter.counts().damaged), (1, 1));
        assert_eq!(meter.counts().frames, 1);
    }

    #[test]
    fn audio_packets_are_frames() {
        let mut meter = StreamMeter::new(false);
        let start = Instant::now();
        meter.packet(packet(7, 1, false, false), start);
        meter.packet(packet(8, 2, false, false), start + ms(20));
        assert_eq!(meter.counts().frames, 2);
        assert!(meter.has_picture());
    }

    #[test]
    fn finds_h264_keyframes() {
        assert!(h264_keyframe(&[0x65, 0]));
        assert!(h264_keyframe(&[0x78, 0, 2, 0x67, 0, 0, 1, 0x68]));
        assert!(h264_keyframe(&[0x78, 0, 1, 0x09, 0, 1, 0x67]));
        assert!(h264_keyframe(&[0x7c, 0x85, 1]));
        assert!(!h264_keyframe(&[0x7c, 0x05, 1]));
        assert!(!h264_keyframe(&[0x41, 0]));
        assert!(!h264_keyframe(&[0x78, 0xff, 0xff]));
        assert!(!h264_keyframe(&[]));
    }

    #[test]
    fn finds_vp8_keyframes() {
        assert!(vp8_keyframe(&[0x10, 0x00]));
        assert!(vp8_keyframe(&[0x90, 0x80, 0x81, 0x02, 0x10]));
        assert!(!vp8_keyframe(&[0x10, 0x01]));
        assert!(!vp8_keyframe(&[0x00, 0x00]));
        assert!(!vp8_keyframe(&[0x90]));
    }
}
