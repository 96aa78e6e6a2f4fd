//! Those who watch by WHEP.

use std::collections::{HashMap, VecDeque};

use visavis::event::LeaveReason;
use visavis::peer::PeerId;
use visavis::session::SessionId;
use visavis_types::Shrink;

use super::fragment::Credentials;
use crate::error::{ErrorCode, RequestError};

/// So many names of refused resources are kept.
const MAX_REFUSED: usize = 64;

/// Viewers by WHEP. They live until they leave, as no TCP connection belongs to them.
#[derive(Debug, Default)]
pub(crate) struct Viewers {
    /// By the names of their resources.
    by_name: HashMap<String, Viewer>,
    names: HashMap<PeerId, String>,
    /// Resources of viewers whose certificate was refused, to answer their last requests with the reason; newest last.
    refused: VecDeque<String>,
}

#[derive(Debug)]
pub(super) struct Viewer {
    pub(super) session: SessionId,
    pub(super) peer: PeerId,
    /// What it offered: an ICE restart offers the same again, but for the credentials.
    pub(super) offer: String,
    pub(super) credentials: Credentials,
    /// Counts the ICE sessions.
    pub(super) generation: u32,
}

impl Viewer {
    /// Names the ICE session (§4.4.1): a strong one, quotes included.
    pub(super) fn entity_tag(&self) -> String {
        entity_tag(self.generation)
    }
}

pub(super) fn entity_tag(generation: u32) -> String {
    format!("\"ice-{generation}\"")
}

impl Viewers {
    pub(super) fn insert(&mut self, name: String, viewer: Viewer) {
        self.names.insert(viewer.peer, name.clone());
        self.by_name.insert(name, viewer);
    }

    /// Forgets a viewer that has left.
    pub(crate) fn on_left(&mut self, peer: PeerId, reason: LeaveReason) {
        let Some(name) = self.names.remove(&peer) else { return };
        self.by_name.remove(&name);
        self.names.shrink_if_mostly_empty();
        self.by_name.shrink_if_mostly_empty();
        if reason == LeaveReason::RsaCertificate {
            if self.refused.len() >= MAX_REFUSED {
                self.refused.pop_front();
            }
            self.refused.push_back(name);
        }
    }

    /// The viewer of a session whose resource has this name.
    pub(super) fn find(
        &mut self,
        session: &SessionId,
        name: &str,
    ) -> Result<&mut Viewer, RequestError> {
        if self.refused.iter().any(|refused| refused == name) {
            return Err(LeaveReason::RsaCertificate.into());
        }
        let viewer = self.by_name.get_mut(name).filter(|viewer| viewer.session == *session);
        viewer.ok_or_else(|| {
            RequestError::fixed(
                ErrorCode::NoPeer,
                "there is no viewer under this address, or no longer",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_viewers_that_were_refused_the_last_ones_are_known() {
        let mut viewers = Viewers::default();
        for number in 0..MAX_REFUSED as u64 + 9 {
            let (session, peer) = (SessionId::default(), PeerId::from_raw(number));
            let sdp = "a=ice-ufrag:abcd\r\na=ice-pwd:vw5LmwG4y/e6dPP+zAP9Gp5k\r\n";
            let credentials = Credentials::of(sdp).unwrap();
            let viewer =
                Viewer { session, peer, offer: sdp.to_owned(), credentials, generation: 1 };
            viewers.insert(number.to_string(), viewer);
            viewers.on_left(peer, LeaveReason::RsaCertificate);
        }
        assert!(viewers.by_name.is_empty() && viewers.names.is_empty());
        assert_eq!(viewers.refused.len(), MAX_REFUSED);
        assert_eq!(viewers.refused.front().map(String::as_str), Some("9"));
        // Whoever leaves otherwise is forgotten.
        viewers.on_left(PeerId::from_raw(0), LeaveReason::Closed);
        assert_eq!(viewers.refused.len(), MAX_REFUSED);
    }
}
