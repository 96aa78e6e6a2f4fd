//! What comes from the network: whose it is, and whether it is taken.

use std::time::Instant;

use visavis_types::{Refusal, catch_panic};

use super::Hub;
use crate::demux::{Incoming, SentCheck, classify};
use crate::peer::event::Arrival;
use crate::transport::TransportAddress;

impl Hub {
    /// Whose a datagram is, and what. What is refused costs no turn of a peer.
    pub(super) fn admit(
        &mut self,
        now: Instant,
        source: TransportAddress,
        datagram: &[u8],
    ) -> Result<Option<(usize, Arrival)>, Refusal> {
        let Self { peers, demux, .. } = self;
        match classify(datagram) {
            Incoming::Check(check, ufrag) => {
                let key = demux.by_ufrag(ufrag).ok_or(Refusal::Datagram)?;
                let peer = peers.get_mut(key).ok_or(Refusal::Datagram)?;
                let left = peer.checks().admit_check(&check, source, now)?;
                left.into_iter().for_each(|left| demux.leave(left, key));
                demux.claim(source, key);
                Ok(Some((key, Arrival::Check)))
            }
            Incoming::Response(response, id) => {
                let sent = demux.sent_check(id, source).ok_or(Refusal::IceAnswer)?;
                let SentCheck { peer: key, route } = sent;
                let peer = peers.get_mut(key).ok_or(Refusal::IceAnswer)?;
                let left = peer.checks().admit_response(&response, source, now)?;
                demux.check_completed(id);
                left.into_iter().for_each(|left| demux.leave(left, key));
                let success = response.is_successful_binding_response();
                if success {
                    demux.prove(source, key);
                }
                Ok(Some((key, Arrival::Response { route, success })))
            }
            Incoming::Protected(content) => {
                let key = demux.by_source(source).ok_or(Refusal::Datagram)?;
                let peer = peers.get_mut(key).ok_or(Refusal::Datagram)?;
                peer.admit(content, now)?;
                Ok(Some((key, Arrival::Protected)))
            }
            Incoming::Indication => Ok(None),
            Incoming::Invalid => Err(Refusal::Datagram),
        }
    }

    /// Has a peer take what needs no turn of it. False where it does.
    pub(super) fn take_report(&mut self, key: usize, now: Instant, datagram: &[u8]) -> bool {
        let Some(peer) = self.peers.get_mut(key) else { return false };
        catch_panic(|| peer.take_report(now, datagram)).unwrap_or_else(|why| {
            self.faulty.push((key, why));
            self.drop_faulty();
            true
        })
    }
}
