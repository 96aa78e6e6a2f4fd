//! What a session's peers are sent, once for all of them or to one that lacks some of it.

use std::time::Instant;

use slab::Slab;
use visavis_types::{AudioPacket, catch_panic};

use super::{FrameSent, Hub, HubEvent};
use crate::peer::Peer;
use crate::peer::close_reason::CloseReason;
use crate::peer::pieces::LARGE_BYTES;
use crate::rtp::packetize::PacketizedFrame;
use crate::session::SessionState;
use crate::session_key::SessionKey;
use crate::transport::Outbox;

impl Hub {
    /// Sends a frame to every peer of a session that gets its rendition. A frame of another session goes to nobody.
    /// `clock` gives the time: it is asked at the beginning, and where the first peer has its datagrams.
    pub fn send_frame(
        &mut self,
        session: SessionKey,
        frame: PacketizedFrame,
        mut clock: impl FnMut() -> Instant,
        out: &mut impl Outbox,
    ) -> FrameSent {
        let nobody = FrameSent { peers: 0, first: None };
        let Some(state) = self.sessions.get_mut(session.index()) else {
            return nobody;
        };
        if frame.payloads.is_empty() || frame.rendition.session != state.number {
            return nobody;
        }
        let (now, mut first) = (clock(), None);
        let stamp = state.renditions.stamp(&frame, &self.clock);
        let SessionState { peers: keys, renditions, .. } = &*state;
        let is_large = frame.payloads.bytes() > LARGE_BYTES;
        let reached = fan_out(&mut self.peers, keys, out, &mut self.faulty, |peer, out| {
            let sent = peer.send_frame(&frame, &stamp, renditions, out, clock());
            if sent {
                out.flush();
                first.get_or_insert_with(&mut clock);
            }
            sent
        });
        if reached > 0 {
            let keyframe = frame.keyframe;
            state.renditions.keep(frame, stamp, now);
            let is_changing = keyframe && state.is_changing;
            if is_large {
                for key in state.peers.clone() {
                    self.file_deadline(key);
                }
            }
            if is_changing {
                self.update_active(session);
            }
        }
        self.drop_faulty();
        FrameSent { peers: reached, first }
    }

    /// Sends an audio packet to every peer of a session that it is for; returns to how many.
    pub fn send_audio(
        &mut self,
        session: SessionKey,
        packet: &AudioPacket,
        out: &mut impl Outbox,
    ) -> usize {
        let Some(SessionState { peers, redundancy, .. }) = self.sessions.get_mut(session.index())
        else {
            return 0;
        };
        let reached = fan_out(&mut self.peers, peers, out, &mut self.faulty, |peer, out| {
            let sent = peer.send_audio(packet, redundancy, out);
            if sent {
                out.flush();
            }
            sent
        });
        redundancy.follow(packet);
        self.drop_faulty();
        reached
    }

    /// Drops the peers that the last fan-out has failed for.
    pub(super) fn drop_faulty(&mut self) {
        while let Some((key, why)) = self.faulty.pop() {
            if let Some(peer) = self.peers.get(key) {
                let (session, peer) = (peer.session_key, peer.id());
                self.events.push_back(HubEvent::PeerFault { session, peer, why });
                self.remove_peer(key, CloseReason::Failed);
            }
        }
    }

    pub(super) fn resend(&mut self, key: usize, now: Instant, out: &mut impl Outbox) {
        let Some(peer) = self.peers.get_mut(key) else {
            return;
        };
        if let Some(state) = self.sessions.get(peer.session_key.index()) {
            let helped = peer.resend(&state.renditions, out, now);
            out.flush();
            if !helped {
                self.want_keyframe(key, now);
            }
        }
    }

    /// Sends a peer the next piece of a large picture, where that is due.
    pub(super) fn send_piece(&mut self, key: usize, now: Instant, out: &mut impl Outbox) {
        if let Some(peer) = self.peers.get_mut(key)
            && let Some(state) = self.sessions.get(peer.session_key.index())
        {
            peer.send_piece(&state.renditions, out, now);
            out.flush();
        }
    }

    /// Has a peer that joins begin with pictures that others were sent. False where it needs a keyframe.
    pub(super) fn begin_with_recent(
        &mut self,
        key: usize,
        now: Instant,
        out: &mut impl Outbox,
    ) -> bool {
        let Some(peer) = self.peers.get_mut(key) else { return false };
        let Some(state) = self.sessions.get(peer.session_key.index()) else { return false };
        let begins = peer.begin_with_recent(&state.renditions, out, now);
        out.flush();
        begins
    }
}

/// Sends something to every peer that is connected; returns to how many. Media changes nothing in str0m
/// and makes no peer due, so this is no turn of theirs. One catch for all of them costs nothing; the peer that a panic
/// was for is noted, and the others get theirs.
fn fan_out<O: Outbox>(
    peers: &mut Slab<Peer>,
    keys: &[usize],
    out: &mut O,
    faulty: &mut Vec<(usize, String)>,
    mut send: impl FnMut(&mut Peer, &mut O) -> bool,
) -> usize {
    let (mut reached, mut next) = (0, 0);
    while next < keys.len() {
        let caught = catch_panic(|| {
            while let Some(&key) = keys.get(next) {
                next += 1;
                if let Some(peer) = peers.get_mut(key).filter(|peer| peer.is_connected())
                    && send(peer, out)
                {
                    reached += 1;
                }
            }
        });
        if let Err(why) = caught {
            faulty.extend(keys.get(next.wrapping_sub(1)).map(|&key| (key, why)));
        }
    }
    reached
}
