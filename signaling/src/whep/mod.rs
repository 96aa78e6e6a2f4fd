//! WHEP (draft-ietf-wish-whep-03), so that players nobody here wrote can watch: an SDP offer is posted to a
//! session's address, and the answer comes with the address of a resource by which the viewer is told of
//! candidates, restarted and ended.

pub(crate) mod fragment;
pub(crate) mod handlers;
mod links;
mod precondition;
pub(crate) mod viewers;
