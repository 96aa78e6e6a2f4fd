//! Offers and their answers, and ICE candidates: how a viewer comes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::TrySendError;
use visavis_core::{Offer, PeerSetup, SdpError, check_candidate};
use visavis_types::{PeerId, PeerPermissions, Refusal, Refusals, SessionId};

use crate::directory::Answered;
use crate::error::{CandidateError, OfferError};
use crate::faults::FaultDomain;
use crate::handle::{EngineHandle, SendError};
use crate::media::command::{Command, Control, RemoteCandidate, Reply};

/// The message for a candidate whose parser has failed.
const UNREADABLE: &str = "it cannot be read";

/// In a full session a viewer that has been silent for so long gives its place to a newcomer. Browsers check their
/// connection every two to three seconds, and answer our own checks.
const PLACE_PATIENCE: Duration = Duration::from_secs(5);

/// How long a viewer may be silent after its answer before its place, where none is free, goes to a newcomer. A
/// browser sends its first packet within some hundred milliseconds; strangers who send offers by the thousand never do.
const ANSWER_PATIENCE: Duration = Duration::from_secs(1);

/// The answer to an SDP offer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct Answer {
    /// Whose connection it is: what is asked of it later ([`EngineHandle::renegotiate`],
    /// [`add_candidate`](EngineHandle::add_candidate), [`disconnect`](EngineHandle::disconnect)) names it so.
    pub peer: PeerId,
    /// The SDP, for `RTCPeerConnection.setRemoteDescription({type: "answer", sdp})`.
    pub sdp: String,
}

impl EngineHandle {
    /// Makes a peer of a viewer's first SDP offer, and answers it. A second connection of one viewer is another
    /// peer.
    ///
    /// `peer` is the id it gets, for callers who had to name it before its offer came
    /// ([`new_peer_id`](Self::new_peer_id)); with `None` it gets a new one.
    ///
    /// The work is done on the calling thread (some 100 µs) and waits for nothing. A viewer that does not finish
    /// ICE and DTLS within [`EngineConfig::connect_timeout`](crate::EngineConfig::connect_timeout) is forgotten, with
    /// an [`Event::PeerLeft`](crate::Event::PeerLeft).
    ///
    /// # Errors
    ///
    /// An offer that cannot be used, no session of this name, no place in it, an engine that has stopped or does not
    /// keep up; see [`OfferError`].
    pub fn connect(
        &self,
        session: &SessionId,
        peer: Option<PeerId>,
        sdp: &str,
    ) -> Result<Answer, OfferError> {
        self.connect_with(session, peer, sdp, PeerPermissions::default())
    }

    /// [`connect`](Self::connect), and only what is permitted is taken of what the viewer sends.
    ///
    /// # Errors
    ///
    /// As those of [`connect`](Self::connect).
    pub fn connect_with(
        &self,
        session: &SessionId,
        peer: Option<PeerId>,
        sdp: &str,
        permissions: PeerPermissions,
    ) -> Result<Answer, OfferError> {
        let peer = peer.unwrap_or_else(|| self.new_peer_id());
        let answer = self
            .read_offer(peer, sdp)
            .and_then(|offer| self.adopt(session, peer, &offer, permissions));
        match answer {
            // That the session is not there is the more useful error.
            Err(OfferError::Sdp(_)) if !self.has_session(session) => {
                Err(OfferError::NoSession(session.clone()))
            }
            answer => count_refused(answer, &self.inner.refusals),
        }
    }

    /// Answers a later offer of a peer: other media, or an ICE restart.
    ///
    /// `reply` is called once, from the media loop that has the peer, with the answer or the reason that there is
    /// none. It must not block. Where this function returns an error, `reply` is not called.
    ///
    /// # Errors
    ///
    /// An offer that cannot be used, a peer that is not there (any more), an engine that has stopped or does not keep
    /// up. `reply` may be given these too, and [`OfferError::OtherConnection`] and [`OfferError::TooMany`].
    pub fn renegotiate(
        &self,
        peer: PeerId,
        sdp: &str,
        reply: impl FnOnce(Result<Answer, OfferError>) + Send + 'static,
    ) -> Result<(), OfferError> {
        self.renegotiate_with(peer, sdp, None, reply)
    }

    /// [`renegotiate`](Self::renegotiate), with other permissions than before where there are any.
    ///
    /// # Errors
    ///
    /// As those of [`renegotiate`](Self::renegotiate).
    pub fn renegotiate_with(
        &self,
        peer: PeerId,
        sdp: &str,
        permissions: Option<PeerPermissions>,
        reply: impl FnOnce(Result<Answer, OfferError>) + Send + 'static,
    ) -> Result<(), OfferError> {
        let offer = count_refused(self.read_offer(peer, sdp), &self.inner.refusals)?;
        let (media_loop, _) = self.inner.directory().peer(peer).ok_or(OfferError::PeerGone)?;
        let refusals = Arc::clone(&self.inner.refusals);
        let reply = move |answer: Result<String, OfferError>| {
            reply(count_refused(answer.map(|sdp| Answer { peer, sdp }), &refusals));
        };
        let reply = Reply::new(reply, Arc::clone(&self.inner.faults));
        let command = Command::Renegotiate { peer, offer: Box::new(offer), permissions, reply };
        self.inner.send(media_loop, command).map_err(|(error, command)| {
            if let Command::Renegotiate { reply, .. } = *command {
                reply.forget();
            }
            error.into()
        })
    }

    /// Reading is the part whose cost is up to whoever sent it: never on the media loop.
    fn read_offer(&self, peer: PeerId, sdp: &str) -> Result<Offer, OfferError> {
        let parsed = self.inner.faults.guard(FaultDomain::Offer, &peer, || Offer::parse(sdp));
        parsed.unwrap_or(Err(SdpError::Unsupported)).map_err(OfferError::Sdp)
    }

    /// Makes a peer and its answer on this thread, so that parsing and key material cost the media
    /// loop nothing; then hands the peer over.
    fn adopt(
        &self,
        session: &SessionId,
        peer: PeerId,
        offer: &Offer,
        permissions: PeerPermissions,
    ) -> Result<Answer, OfferError> {
        let inner = &*self.inner;
        let entry = inner.session(session).ok_or_else(|| OfferError::NoSession(session.clone()))?;
        let config = entry.config();
        let (mut leaves, mut replaced) = (None, None);
        let (media_loop, link) = {
            let mut directory = inner.directory();
            if directory.peer(peer).is_some() {
                return Err(OfferError::PeerExists(peer));
            }
            let allowed = config.max_peers.unwrap_or(usize::MAX);
            if directory.viewer_count(session) >= allowed {
                let (silence, longest_silent) =
                    directory.longest_silent(session, Instant::now()).unzip();
                let free_in = PLACE_PATIENCE.saturating_sub(silence.unwrap_or_default());
                let Some(gone) = longest_silent.filter(|_| free_in.is_zero()) else {
                    return Err(OfferError::SessionFull { viewers: allowed, free_in });
                };
                tracing::info!(%session, peer = %gone, "a silent viewer's place goes to a newcomer");
                leaves = Some(gone);
            } else if directory.peer_count() >= inner.max_peers {
                let Some(gone) = directory.never_received(ANSWER_PATIENCE, Instant::now()) else {
                    return Err(OfferError::Full(inner.max_peers));
                };
                tracing::debug!(peer = %gone, "the place of a viewer that never sent anything goes to a newcomer");
                inner.refusals.count(Refusal::Place);
                leaves = Some(gone);
            }
            if let Some(gone) = leaves {
                replaced = directory.peer(gone).map(|(lives_on, link)| (gone, lives_on, link));
                directory.remove_peer(gone);
            }
            // It counts from here on, so that two who come at once do not both get the last place.
            directory.place(peer, session).ok_or(OfferError::PeerExists(peer))?
        };
        if let Some((gone, lives_on, link)) = replaced
            && link.leave()
        {
            inner.control(lives_on, Control::Disconnect(gone));
        }
        let own = inner.loops.get(media_loop);
        let candidates = own.map(|own| own.candidates.load_full()).unwrap_or_default();
        let setup = PeerSetup {
            peer,
            session: session.clone(),
            order: config.order(),
            video_codecs: config.codecs(inner.encoders.preferred().codecs()),
            red: config.opus.red,
            media_loop,
            permissions,
            candidates: &candidates,
            certificate: &inner.certificate,
            now: Instant::now(),
        };
        let answered = inner.faults.guard(FaultDomain::Offer, &peer, || setup.answer(offer));
        let answered = answered.unwrap_or(Err(SdpError::Unsupported.into()));
        let answered = answered.map_err(OfferError::from).and_then(|(made, sdp)| {
            // Known before it is adopted: from then on it may leave.
            inner.directory().set_answered(peer, Answered::of(&made));
            let session = Arc::clone(entry.lifecycle());
            let adopt = Command::Adopt { peer: Box::new(made), session, link };
            inner.send(media_loop, adopt).map_err(|(error, _)| error)?;
            Ok(Answer { peer, sdp })
        });
        if answered.is_err() {
            inner.directory().remove_peer(peer);
        }
        answered
    }

    /// Adds a remote ICE candidate, as `RTCIceCandidate.candidate` has it. An empty one (end of
    /// candidates) and one with an mDNS name, which only its own network can resolve, are accepted and
    /// ignored: the viewer is then found by the checks it sends. So is one of a peer that has left.
    ///
    /// # Errors
    ///
    /// What is no candidate, and an engine that has stopped or does not keep up.
    pub fn add_candidate(&self, peer: PeerId, candidate: &str) -> Result<(), CandidateError> {
        let inner = &*self.inner;
        let checked = inner.faults.guard(FaultDomain::Offer, &peer, || check_candidate(candidate));
        checked.unwrap_or_else(|| Err(UNREADABLE.to_owned())).map_err(|error| {
            tracing::debug!(%peer, error, "a candidate that cannot be used");
            CandidateError::Syntax
        })?;
        let lives_on = inner.directory().peer(peer);
        let Some((media_loop, link)) = lives_on else {
            return Ok(()); // It has left, and its candidates are still coming.
        };
        let Some(media_loop) = inner.loops.get(media_loop) else {
            return Err(CandidateError::Stopped);
        };
        if !link.reserve_candidate() {
            inner.refusals.count(Refusal::Candidate);
            return Err(CandidateError::Busy);
        }
        let candidate = RemoteCandidate { peer, candidate: candidate.to_owned(), link };
        match media_loop.candidates_in.try_send(candidate) {
            Ok(()) => {
                media_loop.waker.wake();
                Ok(())
            }
            Err(TrySendError::Full(refused)) => {
                refused.link.release_candidate();
                inner.refusals.count(Refusal::Candidate);
                Err(CandidateError::Busy)
            }
            Err(TrySendError::Disconnected(_)) => Err(CandidateError::Stopped),
        }
    }
}

/// Counts an offer that is refused for what it is.
fn count_refused<T>(answer: Result<T, OfferError>, refusals: &Refusals) -> Result<T, OfferError> {
    if answer.as_ref().is_err_and(OfferError::is_the_offers) {
        refusals.count(Refusal::Offer);
    }
    answer
}

impl From<SendError> for OfferError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Busy => Self::Busy,
            SendError::Stopped => Self::Stopped,
        }
    }
}
