//! The media that a peer is sent. None of it touches str0m.

use std::time::Instant;

use visavis_types::AudioPacket;

use super::Peer;
use super::tracks::Progress;
use crate::rendition::Renditions;
use crate::rtp::packetize::{PacketizedFrame, Redundancy};
use crate::rtp::stamp::FrameStamp;
use crate::transport::Outbox;

impl Peer {
    /// Sends a frame. False where this peer does not get it.
    pub(crate) fn send_frame(
        &mut self,
        frame: &PacketizedFrame,
        stamp: &FrameStamp,
        renditions: &Renditions,
        out: &mut impl Outbox,
        now: Instant,
    ) -> bool {
        let Self { path, tracks, quality, keyframes, pictures, .. } = self;
        let Some(route) = path.route().filter(|_| quality.paused_until().is_none()) else {
            return false;
        };
        let was_behind = tracks.is_behind();
        let sent = tracks.send_frame(frame, stamp, renditions, (route, out), now);
        if was_behind && !sent && tracks.awaits_keyframe() {
            keyframes.wait(now);
        }
        let history = |rendition| renditions.history(rendition);
        if sent {
            let copied = tracks.output.send_copy(history, (route, out), now);
            if copied > 0 {
                quality.note_copied(now);
                pictures.note_resent(copied);
            }
        }
        let bytes = quality.probe_bytes(now);
        if sent && bytes > 0 {
            quality.probed(tracks.output.probe(bytes, history, (route, out), now));
        }
        sent
    }

    /// Sends the next piece of a large picture, where that is due.
    pub(crate) fn send_piece(
        &mut self,
        renditions: &Renditions,
        out: &mut impl Outbox,
        now: Instant,
    ) {
        let Self { path, tracks, keyframes, .. } = self;
        if tracks.piece_due().is_none_or(|due| due > now) {
            return;
        }
        let Some(route) = path.route() else {
            tracks.stop_pacing();
            return;
        };
        if tracks.catch_up(renditions, (route, out), now) == Progress::Lost {
            keyframes.wait(now);
        }
    }

    /// Begins with pictures that others were sent, where they begin with a keyframe. False where it needs one of its own.
    pub(crate) fn begin_with_recent(
        &mut self,
        renditions: &Renditions,
        out: &mut impl Outbox,
        now: Instant,
    ) -> bool {
        let Self { path, tracks, .. } = self;
        let Some(route) = path.route() else { return false };
        tracks.begin_with_recent(renditions, (route, out), now)
    }

    /// Sends an audio packet. False where this peer does not get it.
    pub(crate) fn send_audio(
        &mut self,
        packet: &AudioPacket,
        redundancy: &mut Redundancy,
        out: &mut impl Outbox,
    ) -> bool {
        let Self { path, tracks, .. } = self;
        path.route().is_some_and(|route| tracks.send_audio(packet, redundancy, (route, out)))
    }

    /// Sends again what was lost. False where only a keyframe can help.
    pub(crate) fn resend(
        &mut self,
        renditions: &Renditions,
        out: &mut impl Outbox,
        now: Instant,
    ) -> bool {
        let Self { path, tracks, feedback, pictures, .. } = self;
        let lost = feedback.lost();
        let history = |rendition| renditions.history(rendition);
        let resent =
            path.route().map(|route| tracks.output.resend(lost, history, (route, out), now));
        let (helped, packets) = resent.unwrap_or((true, 0));
        pictures.note_resent(packets);
        lost.clear();
        helped
    }
}
