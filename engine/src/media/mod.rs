//! Media loops: threads that own a UDP socket and the peers on it. One is the rule; more share out the
//! viewers of a host that has cores to spare.

mod addresses;
mod closing;
mod command;
mod egress;
mod follow;
mod loop_rings;
mod media_loop;
mod ready_queue;
mod session;
mod splice;
mod stages;

pub(crate) use addresses::Addresses;
pub use addresses::{AnnouncedAddress, InvalidAnnouncedAddress};
pub(crate) use closing::{ClosingSender, closing};
pub(crate) use command::{
    Command, Control, DataSend, Inputs, RemoteCandidate, Reply, SessionMedia,
};
pub(crate) use follow::{Follower, own_addresses};
pub(crate) use loop_rings::{Full, LoopRings};
pub(crate) use media_loop::MediaLoop;
pub(crate) use ready_queue::SessionWaker;

use std::sync::Arc;

use ready_queue::Ready;

/// Wakes a media loop.
#[derive(Debug, Clone)]
pub(crate) struct MediaWaker {
    waker: Arc<mio::Waker>,
    ready: Ready,
}

impl MediaWaker {
    /// Something was put where the loop looks in each of its turns.
    pub(crate) fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "the media loop cannot be woken");
        }
    }

    /// A waker for one session.
    pub(crate) fn for_session(&self) -> SessionWaker {
        SessionWaker::new(self.clone())
    }
}
