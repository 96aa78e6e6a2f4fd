use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use visavis_core::OutgoingMessage;
use visavis_types::PeerId;

use super::command::DataSend;

/// A message being given to viewers, as many as there is time for in a turn of the media loop.
#[derive(Debug)]
pub(crate) struct Sending {
    send: DataSend,
    next: usize,
}

impl Sending {
    pub(crate) fn new(send: DataSend) -> Self {
        Self { send, next: 0 }
    }

    /// Gives it to the next viewers, until a moment. True where that was the last.
    pub(crate) fn proceed(
        &mut self,
        until: Instant,
        mut give: impl FnMut(PeerId, OutgoingMessage, Instant) -> bool,
    ) -> bool {
        while let Some(&peer) = self.send.peers.get(self.next) {
            let now = Instant::now();
            if now >= until {
                return false;
            }
            self.next += 1;
            if !give(peer, self.send.message.clone(), now) {
                self.send.counters.data_undelivered.fetch_add(1, Relaxed);
            }
        }
        true
    }
}
