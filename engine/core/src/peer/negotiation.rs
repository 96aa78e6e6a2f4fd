//! What the offers of a peer have come to.

use str0m::Rtc;
use str0m::change::SdpOffer;
use visavis_types::{CodecSet, PeerPermissions};

use super::data::MAX_MESSAGE_BYTES;
use super::path::credentials;
use crate::sdp::{NegotiateError, Offer, Ours, Plan, SdpError, Sections, Supported, Taken};

/// What was negotiated.
#[derive(Debug)]
pub(super) struct Negotiation {
    supported: Supported,
    sections: Sections,
    taken: Vec<Taken>,
}

impl Negotiation {
    /// Before the first offer. `red_first`: whether the viewer is to send its sound with redundancy.
    pub(super) fn new(video: CodecSet, red_first: bool, permissions: PeerPermissions) -> Self {
        let supported = Supported { video, red_first, microphone: permissions.microphone };
        Self { supported, sections: Sections::default(), taken: Vec::new() }
    }

    /// From the next offer on.
    pub(super) fn permit(&mut self, permissions: PeerPermissions) {
        self.supported.microphone = permissions.microphone;
    }

    /// The sections that were taken of the last offer.
    pub(super) fn taken(&self) -> &[Taken] {
        &self.taken
    }

    /// What to do with an offer.
    pub(super) fn plan<'o>(&self, offer: &'o Offer) -> Result<Plan<'o>, NegotiateError> {
        self.sections.plan(offer, self.supported)
    }

    /// Has the stack accept what was planned, and writes the answer. `inner` is the plan's text, without
    /// candidates that are too much.
    pub(super) fn accept(
        &mut self,
        rtc: &mut Rtc,
        plan: Plan<'_>,
        inner: &str,
    ) -> Result<String, NegotiateError> {
        let unsupported = |error: &dyn std::fmt::Display| {
            tracing::warn!(%error, "the WebRTC stack does not take an offer");
            NegotiateError::Sdp(SdpError::Unsupported)
        };
        let inner = SdpOffer::from_sdp_string(inner).map_err(|error| unsupported(&error))?;
        let inner = credentials::unlogged(|| rtc.sdp_api().accept_offer(inner));
        let inner = inner.map_err(|error| unsupported(&error))?;
        let ours = Ours::read(&inner.to_sdp_string(), MAX_MESSAGE_BYTES);
        let ours = ours.ok_or_else(|| unsupported(&"its answer lacks something"))?;
        let answer = plan.answer(&ours);
        let checked = plan.check(&answer);
        // The stack has accepted it, whatever becomes of the answer.
        (self.sections, self.taken) = plan.commit(ours.role());
        checked.map_err(|error| unsupported(&error))?;
        Ok(answer)
    }
}
