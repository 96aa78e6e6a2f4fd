//! From an encoder's RTP packets to access units.

use std::time::{Duration, Instant};

use visavis_types::{EncodedFrame, VideoCodec};

use super::depacketize::{Depacketizer, continues_h264_picture};
use super::fault::{ExpectedMedia, RtpFault};
use super::feedback::{Reception, Wanted};
use super::packet::SenderReport;
use super::sequencer::{Delivered, RtpCounters, Sequencer, Unwrap};
use super::unexpected_media::VideoDetector;
use visavis_bitstream::{Inspection, h264, inspect};

/// A picture whose sender may mark each slice as an end is whole when so long nothing more of it came.
const SLICE_PATIENCE: Duration = Duration::from_millis(20);

/// Where nothing of what came could be shown for so long, that is a fault.
const FAULT_PATIENCE: Duration = Duration::from_millis(700);
/// Where pictures were shown before, packets were lost, and a keyframe a second is soon enough.
const KEYFRAME_PATIENCE: Duration = Duration::from_millis(1_500);

/// RTP time that goes back so often, with less than this in between, is no clock that was set.
const STEP_MEMORY: Duration = Duration::from_secs(5);
const TOO_MANY_STEPS: u32 = 3;

/// A whole access unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceivedUnit<'a> {
    /// As [`EncodedFrame::data`].
    pub data: &'a [u8],
    /// What is in it.
    pub inspection: Inspection,
    /// The sender's RTP time (90 kHz), counted without wrapping.
    pub rtp_time: i64,
    /// When its first packet arrived.
    pub arrived: Instant,
    /// The sender was started anew, and its clock with it; or its clock was set back.
    pub restarted: bool,
}

/// Receives one video stream.
#[derive(Debug)]
pub struct VideoReceiver {
    sequencer: Sequencer,
    assembler: Assembler,
    reception: Reception,
}

impl VideoReceiver {
    /// A receiver for one codec. Without a payload type, that of the first packet is taken.
    pub fn new(codec: VideoCodec, payload_type: Option<u8>) -> Self {
        Self {
            sequencer: Sequencer::new(payload_type),
            assembler: Assembler::new(codec),
            reception: Reception::default(),
        }
    }

    /// Takes a datagram; calls `each` for every access unit that is complete with it.
    pub fn receive(
        &mut self,
        datagram: &[u8],
        now: Instant,
        mut each: impl FnMut(ReceivedUnit<'_>),
    ) {
        let Self { sequencer, assembler, reception } = self;
        sequencer.receive(datagram, now, |counters, delivered| {
            reception.note(&delivered);
            assembler.take(&delivered, counters, &mut each);
        });
    }

    /// Gives up what has been waited for long enough.
    pub fn handle_due(&mut self, now: Instant, mut each: impl FnMut(ReceivedUnit<'_>)) {
        let Self { sequencer, assembler, reception } = self;
        sequencer.release(now, |counters, delivered| {
            reception.note(&delivered);
            assembler.take(&delivered, counters, &mut each);
        });
        if assembler.deadline().is_some_and(|deadline| deadline <= now) {
            assembler.finish(&mut sequencer.counters, &mut each);
        }
    }

    /// When [`handle_due`](Self::handle_due) should be called.
    pub fn deadline(&self) -> Option<Instant> {
        [self.sequencer.deadline(), self.assembler.deadline()].into_iter().flatten().min()
    }

    /// The stream's synchronization source, once there is one.
    pub fn ssrc(&self) -> Option<u32> {
        self.sequencer.ssrc()
    }

    /// An RTP time of a report, counted as those of the access units are.
    pub fn unwrapped(&self, rtp_time: u32) -> Option<i64> {
        self.assembler.clock.near(rtp_time)
    }

    /// Takes a report of the sender of this stream; one of another stream is ignored.
    pub fn note_report(&mut self, report: &SenderReport, now: Instant) {
        self.reception.note_report(report, now);
    }

    /// Writes RTCP for the sender to the end of `bytes`: how its packets arrive, and what it is asked for. Nothing where
    /// none has come.
    pub fn write_feedback(&mut self, wanted: Wanted, now: Instant, bytes: &mut Vec<u8>) {
        self.reception.write(wanted, now, bytes);
    }

    /// What happened so far.
    pub fn counters(&self) -> RtpCounters {
        self.sequencer.counters
    }

    /// Whether pictures that were shown may stay on the screen, though none of those that come can be
    /// shown now: the next keyframe goes on with them.
    pub fn goes_on(&self) -> bool {
        self.assembler.shown && !self.assembler.health.reordered
    }

    /// Why a viewer that waits for a keyframe gets none, where others are shown what comes.
    pub fn no_keyframe(&self) -> RtpFault {
        self.assembler.no_keyframe()
    }

    /// Why nothing of what comes can be shown. To be asked a few times a second while something comes.
    pub fn fault(&mut self, now: Instant) -> Option<RtpFault> {
        self.sequencer.fault(now).or_else(|| self.assembler.fault(now))
    }
}

/// Collects the packets of one RTP time.
#[derive(Debug)]
struct Assembler {
    codec: VideoCodec,
    depacketizer: Depacketizer,
    clock: Unwrap,
    open: Option<Open>,
    /// RTP time of the access unit that was given out last, or given up.
    finished: Option<u32>,
    /// Reused.
    unit: Vec<u8>,
    /// What a decoder has got does not suffice for the next picture.
    awaiting_keyframe: bool,
    /// No access unit of the sender's new clock has come out yet.
    restarted: bool,
    /// A picture of this stream was given out.
    shown: bool,
    /// The marker bit is on each slice instead of the last of a picture.
    marks_slices: bool,
    health: Health,
}

/// The access unit that is being put together.
#[derive(Debug, Clone, Copy)]
struct Open {
    timestamp: u32,
    arrived: Instant,
    /// Of payload so far. A depacketizer keeps fragments to itself until the last of them.
    bytes: usize,
    broken: bool,
    /// Its end was marked, if more of it may come: up to when that is waited for.
    ends_at: Option<Instant>,
}

/// What is known of a stream, as far as it explains why it cannot be shown.
#[derive(Debug)]
struct Health {
    detector: VideoDetector,
    /// The first packet after which no picture was given out.
    fruitless_since: Option<Instant>,
    /// A picture of it could be read.
    readable: bool,
    /// H264: which parameter sets came.
    sps: bool,
    pps: bool,
    keyframe_without_sets: bool,
    /// There were recovery points since the last IDR picture.
    recovery_point: bool,
    /// There are B slices, or were between the last two keyframes.
    reordered: bool,
    b_slices: bool,
    /// When RTP time went back last, and how often it did with less than [`STEP_MEMORY`] in between.
    steps_back: Option<(Instant, u32)>,
}

impl Health {
    fn new(codec: VideoCodec) -> Self {
        Self {
            detector: VideoDetector::new(codec),
            fruitless_since: None,
            readable: false,
            sps: false,
            pps: false,
            keyframe_without_sets: false,
            recovery_point: false,
            reordered: false,
            b_slices: false,
            steps_back: None,
        }
    }

    /// Takes what is in an H264 access unit; returns whether a viewer can show it.
    fn note(&mut self, contents: &h264::Contents) -> bool {
        self.readable |= contents.picture;
        self.sps |= contents.sps;
        self.pps |= contents.pps;
        // Such a point beside an IDR picture adds nothing.
        self.recovery_point = !contents.idr && (self.recovery_point || contents.recovery_point);
        if contents.idr {
            self.reordered = std::mem::take(&mut self.b_slices);
            self.keyframe_without_sets = !(self.sps && self.pps);
        }
        self.b_slices |= contents.b_slices;
        self.reordered |= contents.b_slices;
        !(self.reordered || contents.idr && self.keyframe_without_sets)
    }

    fn note_step_back(&mut self, now: Instant) {
        let recent =
            |(last, _): &(Instant, u32)| now.saturating_duration_since(*last) < STEP_MEMORY;
        let steps = self.steps_back.filter(recent).map_or(0, |(_, steps)| steps);
        self.steps_back = Some((now, steps.saturating_add(1)));
    }
}

impl Assembler {
    fn new(codec: VideoCodec) -> Self {
        Self {
            codec,
            depacketizer: Depacketizer::new(codec),
            clock: Unwrap::default(),
            open: None,
            finished: None,
            unit: Vec::new(),
            awaiting_keyframe: true,
            restarted: false,
            shown: false,
            marks_slices: false,
            health: Health::new(codec),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.open.and_then(|open| open.ends_at)
    }

    fn fault(&self, now: Instant) -> Option<RtpFault> {
        let health = &self.health;
        if health.reordered {
            return Some(RtpFault::Reordered);
        }
        if health.steps_back.is_some_and(|(last, steps)| {
            steps >= TOO_MANY_STEPS && now.saturating_duration_since(last) < STEP_MEMORY
        }) {
            return Some(RtpFault::TimeGoesBack);
        }
        let since = health.fruitless_since?;
        if !self.shown
            && let Some(found) = health.detector.detected()
        {
            return Some(RtpFault::OtherCodec(found));
        }
        let patience = if self.shown { KEYFRAME_PATIENCE } else { FAULT_PATIENCE };
        if now.saturating_duration_since(since) < patience {
            return None;
        }
        Some(if health.keyframe_without_sets {
            RtpFault::NoParameterSets
        } else if health.readable {
            self.no_keyframe()
        } else {
            RtpFault::Unreadable(ExpectedMedia::Video(self.codec))
        })
    }

    fn no_keyframe(&self) -> RtpFault {
        match self.health.recovery_point {
            true => RtpFault::IntraRefresh,
            false => RtpFault::NoKeyframe,
        }
    }

    fn take(
        &mut self,
        delivered: &Delivered<'_>,
        counters: &mut RtpCounters,
        each: &mut impl FnMut(ReceivedUnit<'_>),
    ) {
        let (packet, lost) = (&delivered.packet, delivered.lost > 0);
        if delivered.restarted {
            self.finish(counters, each);
            *self = Self { restarted: true, ..Self::new(self.codec) };
        }
        if let Some(open) = &mut self.open {
            // What is lost may be its end.
            let goes_on = self.marks_slices || open.timestamp == packet.timestamp;
            open.broken |= lost && (goes_on || open.ends_at.is_none());
            if open.timestamp != packet.timestamp {
                // Its marker bit was lost, or its sender sets none.
                self.finish(counters, each);
            }
        }
        // A whole picture may be among what is lost, and those after it refer to it.
        self.awaiting_keyframe |= lost;
        if packet.payload.is_empty() {
            return;
        }
        self.health.fruitless_since.get_or_insert(delivered.arrived);
        let in_the_midst = self.codec == VideoCodec::H264 && continues_h264_picture(packet.payload);
        if let Some(Open { ends_at: Some(_), .. }) = self.open {
            self.marks_slices |= in_the_midst;
        }
        let begins = lost || delivered.restarted;
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                self.unit.clear();
                self.depacketizer = Depacketizer::new(self.codec);
                // The rest of a picture whose first slices were given out as if they were all of it.
                let torn = in_the_midst && !begins && self.finished == Some(packet.timestamp);
                self.marks_slices |= torn;
                self.open.insert(Open {
                    timestamp: packet.timestamp,
                    arrived: delivered.arrived,
                    bytes: 0,
                    // What is lost may be its beginning.
                    broken: torn || (begins && !self.depacketizer.is_start(packet.payload)),
                    ends_at: None,
                })
            }
        };
        self.health.detector.take(packet.payload, open.bytes == 0);
        open.bytes = open.bytes.saturating_add(packet.payload.len());
        open.broken |= open.bytes > EncodedFrame::MAX_BYTES;
        if !open.broken {
            open.broken = self.depacketizer.push(packet.payload, &mut self.unit).is_err();
        }
        if packet.marker {
            // Of the first picture it is not yet known whether its end is marked, or that of a slice.
            let may_go_on = self.codec == VideoCodec::H264 && (self.marks_slices || !self.shown);
            match may_go_on {
                true => open.ends_at = Some(delivered.arrived + SLICE_PATIENCE),
                false => self.finish(counters, each),
            }
        }
    }

    /// Gives out the open access unit, if a decoder can make use of it.
    fn finish(&mut self, counters: &mut RtpCounters, each: &mut impl FnMut(ReceivedUnit<'_>)) {
        let Some(open) = self.open.take() else { return };
        self.finished = Some(open.timestamp);
        let Some((inspection, usable)) = self.inspect().filter(|_| !open.broken) else {
            self.awaiting_keyframe = true;
            counters.dropped_units += 1;
            return;
        };
        if inspection.picture {
            if !usable || (self.awaiting_keyframe && !inspection.keyframe) {
                self.awaiting_keyframe = true;
                counters.dropped_units += 1;
                return;
            }
            self.awaiting_keyframe = false;
            self.shown = true;
            self.health.fruitless_since = None;
        }
        counters.units += 1;
        let before = self.clock;
        let rtp_time = self.clock.advance(open.timestamp);
        if before.last().is_some_and(|last| rtp_time < last) {
            counters.clock_steps += 1;
            self.health.note_step_back(open.arrived);
            self.restarted = true;
        }
        each(ReceivedUnit {
            data: &self.unit,
            inspection,
            rtp_time,
            arrived: open.arrived,
            restarted: std::mem::take(&mut self.restarted),
        });
    }

    /// What is in the unit, and whether a viewer can show it.
    fn inspect(&mut self) -> Option<(Inspection, bool)> {
        if self.codec != VideoCodec::H264 {
            let inspection = inspect(self.codec, &self.unit).ok()?;
            self.health.readable |= inspection.picture;
            return Some((inspection, true));
        }
        let contents = h264::contents(&self.unit).ok()?;
        let usable = self.health.note(&contents);
        Some((Inspection { keyframe: contents.idr, picture: contents.picture }, usable))
    }
}

#[cfg(test)]
mod tests;
