//! WHEP (draft-ietf-wish-whep-03), for players of others: an SDP offer is posted to a session's URL, and the answer
//! comes with the URL of a resource to which the viewer sends candidates and ICE restarts, and which it deletes to leave.

pub(crate) mod fragment;
pub(crate) mod handlers;
mod links;
mod precondition;
pub(crate) mod viewers;
