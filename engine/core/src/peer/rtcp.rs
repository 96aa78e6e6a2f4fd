//! What a viewer reports of what it was sent (RFC 3550 §6.4, RFC 4585).

use std::time::{Duration, Instant};

use str0m::rtp::rtcp::{ReceptionReport, ReportList, Rtcp, Twcc};

use crate::bwe::{ArrivalReport, BandwidthEstimator, NetworkGauge};
use crate::rtp::send::{RtpOutput, SrtcpReader, Track};

/// Retransmissions noted in one turn. More than this in one go is a stream that is lost anyway: the
/// viewer asks for a keyframe.
const MAX_LOST: usize = 512;

/// Packets that one report may tell of. Browsers report 20 times a second; no viewer is sent so much.
const MAX_ARRIVALS: usize = 2_048;
/// Longer datagrams are left to the stack: what they are opened into is kept for the next.
const MAX_REPORT_BYTES: usize = 1_500;

/// What a viewer has reported, until its turn is over.
#[derive(Debug, Default)]
pub(super) struct Feedback {
    /// Sequence numbers of video packets to be sent again.
    lost: Vec<u16>,
    /// Opens reports, once there are keys, and if they can be told from others.
    reader: Option<Option<SrtcpReader>>,
    /// The index of the last one opened.
    last: Option<u32>,
    /// Reused.
    plain: Vec<u8>,
    /// There was a report of arrivals.
    has_reported: bool,
    /// The part of packets that are lost for no queue of ours, by the last report.
    path_loss: Option<f64>,
}

impl Feedback {
    /// Takes a datagram in which there is a report of when packets arrived and nothing else. Such a report changes nothing
    /// in the stack, which takes longer over it than all that is sent in the meantime. False where the stack is to have it.
    pub(super) fn take_arrivals(
        &mut self,
        datagram: &[u8],
        output: &mut RtpOutput,
        (network, now): (&NetworkGauge, Instant),
    ) -> bool {
        let Self { reader, last, plain, .. } = self;
        if datagram.len() > MAX_REPORT_BYTES || !ArrivalReport::is_first_in(datagram) {
            return false;
        }
        let (Some(keys), Some(estimator)) = output.keys_and_estimator() else { return false };
        let Some(reader) = reader.get_or_insert_with(|| SrtcpReader::new(keys)) else {
            return false;
        };
        // What was sent before, or again, is for the stack to judge.
        let Some(index) = reader.open(datagram, plain).filter(|index| Some(*index) > *last) else {
            return false;
        };
        let Some(report) = ArrivalReport::parse(plain) else { return false };
        *last = Some(index);
        estimator.receive(now, report.take(MAX_ARRIVALS));
        self.note_arrivals(estimator, (network, now));
        true
    }

    /// Takes a report. str0m has its own use for what is not looked at here.
    pub(super) fn handle_rtcp(
        &mut self,
        rtcp: Rtcp,
        output: &mut RtpOutput,
        (network, now): (&NetworkGauge, Instant),
    ) {
        match rtcp {
            Rtcp::Nack(nack) => {
                output.estimator.iter_mut().for_each(|estimator| estimator.look_closer());
                let video =
                    output.tracks.video.as_ref().is_some_and(|video| video.ssrc() == *nack.ssrc);
                for entry in nack.reports.iter().filter(|_| video) {
                    let following =
                        (0..16).filter(|bit| entry.blp >> bit & 1 == 1).map(|bit| bit + 1);
                    let missing = std::iter::once(0).chain(following);
                    let room = MAX_LOST.saturating_sub(self.lost.len());
                    self.lost.extend(missing.map(|after| entry.pid.wrapping_add(after)).take(room));
                }
            }
            Rtcp::ReceiverReport(report) => self.note_reception(&report.reports, output, now),
            Rtcp::SenderReport(report) => self.note_reception(&report.reports, output, now),
            Rtcp::Twcc(report) => {
                if let Some(estimator) = &mut output.estimator {
                    estimator.receive(now, arrivals(report, now));
                    self.note_arrivals(estimator, (network, now));
                }
            }
            _ => {}
        }
    }

    fn note_arrivals(
        &mut self,
        estimator: &BandwidthEstimator,
        (network, now): (&NetworkGauge, Instant),
    ) {
        network.note(estimator, now);
        self.has_reported = true;
        self.path_loss = Some(estimator.path_loss());
    }

    fn note_reception(
        &mut self,
        blocks: &ReportList<ReceptionReport>,
        output: &mut RtpOutput,
        now: Instant,
    ) {
        let sound = output.tracks.audio.as_ref().map(Track::ssrc);
        // Where it reports arrivals, losses of a queue that we have filled are told from others.
        let known = output.estimator.as_ref().and_then(|estimator| estimator.estimate(now));
        for block in blocks.iter() {
            output.acknowledge(*block.ssrc);
            if Some(*block.ssrc) == sound && known.is_none() {
                self.path_loss = Some(f64::from(block.fraction_lost) / 256.0);
            }
        }
    }

    /// The part of packets that are lost, not counting those of a queue that we have filled as far as that is known; where
    /// it was reported since the last call.
    pub(super) fn take_path_loss(&mut self) -> Option<f64> {
        self.path_loss.take()
    }

    /// Whether there was a report of arrivals since the last call.
    pub(super) fn take_reported(&mut self) -> bool {
        std::mem::take(&mut self.has_reported)
    }

    /// Packets that the viewer lacks.
    pub(super) fn lost(&mut self) -> &mut Vec<u16> {
        &mut self.lost
    }
}

/// Packets by their transport-wide sequence numbers, and when each has arrived on the viewer's clock, from `zero` on
/// (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).
fn arrivals(report: Twcc, zero: Instant) -> impl Iterator<Item = (u16, Option<Duration>)> {
    // Far enough from 0 that any number lies near it.
    let near = (1_u64 << 32).into();
    report.into_iter(zero, near).take(MAX_ARRIVALS).map(move |(number, _, arrival)| {
        (*number as u16, arrival.map(|arrival| arrival.saturating_duration_since(zero)))
    })
}
