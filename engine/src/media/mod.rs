//! The media loop: the thread that owns the UDP socket and every peer.

mod addresses;
mod command;
mod egress;
mod media_loop;
mod stages;

pub(crate) use addresses::Addresses;
pub(crate) use command::{Command, SessionMedia};
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
