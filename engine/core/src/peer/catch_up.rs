//! A viewer that does not have what the others have, and gets it piece by piece.
//!
//! One that joins soon after a keyframe begins with that, as the others have, and not with one of its own: its first picture
//! comes at once, and however many join together, they cost one keyframe. The pictures since then are kept for those who
//! miss some of them. They go faster than they were made, and not all at once: a network that takes the stream need not take
//! a second of it in one piece.
//!
//! And a picture that is larger than the queues of networks goes to one whose way is not short as fast as its network takes
//! it, with what comes meanwhile behind it.

use std::time::{Duration, Instant};

use visavis_types::Bitrate;

use super::pieces::{Behind, Budget, LARGE_BYTES, Pace};
use super::tracks::{Progress, Tracks, VideoState};
use crate::rendition::{Renditions, Take};
use crate::rtp::packetize::PacketizedFrame;
use crate::rtp::stamp::FrameStamp;
use crate::transport::{Outbox, Route};

/// An older keyframe is not begun with: too much has come since.
const RECENT: Duration = Duration::from_millis(850);
const MOST_BYTES: usize = 384 * 1024;

impl Tracks {
    /// Begins with a keyframe that others were sent, where there is one. False where the viewer needs one of its own.
    pub(super) fn begin_with_recent(
        &mut self,
        renditions: &Renditions,
        to: (&Route, &mut impl Outbox),
        now: Instant,
    ) -> bool {
        let Some(video) = &mut self.video else { return false };
        let history = video.rendition().and_then(|rendition| renditions.history(rendition));
        let keyframe = history.and_then(|history| history.last_keyframe(RECENT, MOST_BYTES, now));
        (video.behind, video.pace) = (keyframe.map(|next| Behind { next, has: 0 }), None);
        video.behind.is_some() && self.catch_up(renditions, to, now) != Progress::Lost
    }

    /// Sends what goes at once of a frame that is for the viewer and comes next in its rendition's history. False where it is
    /// not sent.
    pub(super) fn send_paced(
        &mut self,
        (frame, stamp, rate): (&PacketizedFrame, &FrameStamp, Bitrate),
        renditions: &Renditions,
        to: (&Route, &mut impl Outbox),
        now: Instant,
    ) -> bool {
        let Self { video: Some(video), output, .. } = self else { return false };
        let VideoState { behind, pace, selection: Some(selection), .. } = video else {
            return false;
        };
        let Some(history) = renditions.history(frame.rendition) else { return false };
        // Where there was more of another picture to come, the queue is not empty.
        let before = pace.filter(|pace| now < pace.until);
        let bytes = before.map_or(LARGE_BYTES, |_| Budget::of(before, now).bytes);
        let (next, has) = (history.next_packet(), frame.payloads.end_of(0, bytes));
        let numbers = |id| renditions.numbers(id);
        let sent = output.send_video((frame, 0..has), stamp, (next, numbers), to, now);
        if sent {
            selection.sent(frame);
            *pace = Some(Pace::new(rate, now));
            *behind = Some(Behind { next, has });
        }
        sent
    }

    /// When the next piece is due, where pieces go by themselves.
    pub(super) fn piece_due(&self) -> Option<Instant> {
        let VideoState { behind: Some(_), pace: Some(pace), .. } = self.video? else { return None };
        Some(pace.due())
    }

    /// Pieces go with the pictures that come.
    pub(super) fn stop_pacing(&mut self) {
        self.video.iter_mut().for_each(|video| video.pace = None);
    }

    /// Sends a part of what the viewer is behind with.
    pub(super) fn catch_up(
        &mut self,
        renditions: &Renditions,
        (route, out): (&Route, &mut impl Outbox),
        now: Instant,
    ) -> Progress {
        let Self { video: Some(video), output, .. } = self else { return Progress::Done };
        video.pace = video.pace.filter(|pace| now < pace.until);
        if video.behind.is_some() && video.pace.is_some_and(|pace| now < pace.due()) {
            return Progress::Behind;
        }
        let mut budget = Budget::of(video.pace, now);
        video.pace.iter_mut().for_each(|pace| pace.since = now);
        while let VideoState { behind: Some(behind), selection: Some(selection), .. } = video {
            let rendition = selection.current();
            let history = renditions.history(rendition);
            if history.is_some_and(|history| history.next_packet() == behind.next) {
                (video.behind, video.pace) = (None, None);
                break;
            }
            if budget.is_spent() {
                return Progress::Behind;
            }
            let Behind { next, has, .. } = *behind;
            let Some((frame, stamp)) = history.and_then(|history| history.frame(next)) else {
                video.await_keyframe();
                return Progress::Lost;
            };
            let mut packets = has..frame.payloads.len();
            let take = if has > 0 { Take::Send } else { selection.judge(frame) };
            let goes_on = match take {
                Take::Send => {
                    packets = budget.packets(&frame.payloads, has);
                    let numbers = |id| renditions.numbers(id);
                    let part = (frame, packets.clone());
                    let sent = output.send_video(part, stamp, (next, numbers), (route, out), now);
                    if sent && has == 0 {
                        selection.sent(frame);
                    }
                    sent
                }
                Take::LeaveOut => {
                    output.leave_out();
                    true
                }
                Take::Ignore => true,
            };
            if !goes_on {
                video.await_keyframe();
                return Progress::Lost;
            }
            budget.spend(frame.payloads.range(packets.clone()).map(<[u8]>::len).sum());
            if packets.end < frame.payloads.len() {
                behind.has = packets.end;
            } else {
                (behind.next, behind.has) = (next + frame.payloads.len() as u64, 0);
            }
        }
        Progress::Done
    }
}
