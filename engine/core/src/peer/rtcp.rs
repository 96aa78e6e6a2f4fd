//! What a viewer reports of what it was sent (RFC 3550 §6.4, RFC 4585).

use str0m::rtp::rtcp::Rtcp;

use crate::rtp::send::RtpOutput;

/// Retransmissions noted in one turn. More than this in one go is a stream that is lost anyway: the
/// viewer asks for a keyframe.
const MAX_LOST: usize = 512;

/// What a viewer has reported, until its turn is over.
#[derive(Debug, Default)]
pub(super) struct Feedback {
    /// Sequence numbers of video packets to be sent again.
    lost: Vec<u16>,
}

impl Feedback {
    /// Takes a report. str0m has its own use for what is not looked at here.
    pub(super) fn handle_rtcp(&mut self, rtcp: Rtcp, output: &mut RtpOutput) {
        match rtcp {
            Rtcp::Nack(nack) => {
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
            Rtcp::ReceiverReport(report) => {
                report.reports.iter().for_each(|block| output.acknowledge(*block.ssrc));
            }
            Rtcp::SenderReport(report) => {
                report.reports.iter().for_each(|block| output.acknowledge(*block.ssrc));
            }
            _ => {}
        }
    }

    /// Packets that the viewer lacks.
    pub(super) fn lost(&mut self) -> &mut Vec<u16> {
        &mut self.lost
    }
}
