//! A viewer that joins soon after a keyframe begins with that, as the others have, and not with one of its own: its first
//! picture comes at once, and however many join together, they cost one keyframe.
//!
//! The pictures since then are kept for those who miss some of them. They go faster than they were made, and not all at
//! once: a network that takes the stream need not take a second of it in one piece.

use std::time::{Duration, Instant};

use super::tracks::{Progress, Tracks, VideoState};
use crate::rendition::{Renditions, Take};
use crate::transport::{Outbox, Route};

/// An older keyframe is not begun with: too much has come since.
const RECENT: Duration = Duration::from_millis(850);
const MOST_BYTES: usize = 384 * 1024;
/// What goes with each picture that comes meanwhile: some 8 Mbit/s at 30 of them in a second, and always more than what
/// comes.
const BYTES_AT_ONCE: usize = 32 * 1024;
const FRAMES_AT_ONCE: usize = 3;

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
        video.behind = history.and_then(|history| history.last_keyframe(RECENT, MOST_BYTES, now));
        video.behind.is_some() && self.catch_up(renditions, to, now) != Progress::Lost
    }

    /// Sends a part of what the viewer is behind with.
    pub(super) fn catch_up(
        &mut self,
        renditions: &Renditions,
        (route, out): (&Route, &mut impl Outbox),
        now: Instant,
    ) -> Progress {
        let Self { video: Some(video), output, .. } = self else { return Progress::Done };
        let (mut frames, mut bytes) = (0, 0);
        while let VideoState { behind: Some(next), selection: Some(selection), .. } = video {
            let rendition = selection.current();
            let history = renditions.history(rendition);
            if history.is_some_and(|history| history.next_packet() == *next) {
                video.behind = None;
                break;
            }
            if frames >= FRAMES_AT_ONCE && bytes >= BYTES_AT_ONCE {
                return Progress::Behind;
            }
            let kept = history.and_then(|history| history.frame(*next));
            let numbers = |id| renditions.numbers(id);
            let goes_on = kept.is_some_and(|(frame, stamp)| match selection.judge(frame) {
                Take::Send => {
                    let sent = output.send_video(frame, stamp, (*next, numbers), (route, out), now);
                    if sent {
                        selection.sent(frame);
                    }
                    sent
                }
                Take::LeaveOut => {
                    output.leave_out();
                    true
                }
                Take::Ignore => true,
            });
            let Some((frame, _)) = kept.filter(|_| goes_on) else {
                video.await_keyframe();
                return Progress::Lost;
            };
            *next += frame.payloads.len() as u64;
            frames += 1;
            bytes += frame.payloads.bytes();
        }
        Progress::Done
    }
}
