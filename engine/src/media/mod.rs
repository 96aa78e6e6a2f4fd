//! Media loops: threads that own a UDP socket and the peers on it. One is the rule; more share out the
//! viewers of a host that has cores to spare.

mod addresses;
mod command;
mod egress;
mod lanes;
mod media_loop;
mod splice;
mod stages;

pub(crate) use addresses::Addresses;
pub(crate) use command::{Command, DataSend, SessionMedia};
pub(crate) use lanes::{Full, Lanes};
pub(crate) use media_loop::MediaLoop;

use std::sync::Arc;

/// Wakes the media loop. A wake-up while one is pending costs next to nothing.
#[derive(Debug, Clone)]
pub(crate) struct MediaWaker(Arc<mio::Waker>);

impl MediaWaker {
    pub(crate) fn wake(&self) {
        if let Err(error) = self.0.wake() {
            tracing::error!(%error, "the media loop cannot be woken");
        }
    }
}
