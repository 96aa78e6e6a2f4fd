//! Messages of viewers on their way to the application.

use std::collections::HashMap;
use std::sync::Arc;

use visavis_core::{DataMessage, MESSAGE_OVERHEAD_BYTES};
use visavis_types::PeerId;

use crate::budget::Budget;
use crate::receiver::{self, Receiver, Sender};

/// Bytes of one viewer's messages that the application has not read, and of all viewers of a session;
/// each message is counted with [`MESSAGE_OVERHEAD_BYTES`] more.
const MAX_UNREAD_OF_PEER: usize = 1024 * 1024;
const MAX_UNREAD_OF_SESSION: usize = 16 * 1024 * 1024;

/// A message from a viewer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerMessage {
    /// Whose it is.
    pub peer: PeerId,
    /// What the viewer calls the channel it came on.
    pub label: Arc<str>,
    /// The message.
    pub message: DataMessage,
}

/// Makes the ends of a session's inbox: one to write for each media loop, and one to read.
pub(crate) fn inbox(media_loops: usize) -> (Vec<Inbox>, Receiver<PeerMessage>) {
    let (sender, messages) = receiver::unbounded();
    let session = Budget::new(MAX_UNREAD_OF_SESSION);
    let inbox =
        || Inbox { messages: sender.clone(), session: Arc::clone(&session), peers: HashMap::new() };
    ((0..media_loops).map(|_| inbox()).collect(), messages)
}

/// Where a media loop puts what viewers send. The queue has no bound of its own: the counts of unread bytes
/// are its bound.
#[derive(Debug)]
pub(crate) struct Inbox {
    messages: Sender<PeerMessage>,
    session: Arc<Budget>,
    peers: HashMap<PeerId, Arc<Budget>>,
}

impl Inbox {
    /// Keeps a message. False where there is no room for it.
    pub(crate) fn put(&mut self, message: PeerMessage) -> bool {
        let cost = message.message.as_bytes().len() + MESSAGE_OVERHEAD_BYTES;
        let of_peer = self.peers.entry(message.peer);
        let of_peer = of_peer.or_insert_with(|| Budget::new(MAX_UNREAD_OF_PEER)).reserve(cost);
        let Some(room) = of_peer.and_then(|of_peer| Some([of_peer, self.session.reserve(cost)?]))
        else {
            self.messages.count_dropped();
            return false;
        };
        self.messages.send_with(message, room).is_ok()
    }

    /// Forgets a viewer. What it has sent stays to be read.
    pub(crate) fn forget(&mut self, peer: PeerId) {
        self.peers.remove(&peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(peer: u64, len: usize) -> PeerMessage {
        let message = DataMessage::Binary(vec![0; len]);
        PeerMessage { peer: PeerId::from_raw(peer), label: "x".into(), message }
    }

    fn reader() -> (Inbox, Receiver<PeerMessage>) {
        let (mut inboxes, reader) = inbox(1);
        (inboxes.remove(0), reader)
    }

    #[test]
    fn a_viewer_that_floods_takes_no_room_from_the_others() {
        let (mut inbox, reader) = reader();
        let kept =
            std::iter::repeat_with(|| inbox.put(message(1, 60_000))).take_while(|&kept| kept);
        assert_eq!(kept.count(), MAX_UNREAD_OF_PEER / (60_000 + MESSAGE_OVERHEAD_BYTES));
        assert!(inbox.put(message(2, 60_000)));
        let first = reader.try_recv().unwrap();
        assert_eq!(first, message(1, 60_000));
        assert!(inbox.put(message(1, 60_000)), "what was read makes room");
    }

    #[test]
    fn all_viewers_together_have_an_end_too() {
        let (mut inbox, reader) = reader();
        let mut kept = 0;
        for peer in 0..100 {
            kept += (0..20).filter(|_| inbox.put(message(peer, 60_000))).count();
            inbox.forget(PeerId::from_raw(peer));
        }
        assert_eq!(kept, MAX_UNREAD_OF_SESSION / (60_000 + MESSAGE_OVERHEAD_BYTES));
        let read = reader.try_iter();
        assert_eq!(read.count(), kept);
        assert!(inbox.session.reserve(usize::MAX).is_some(), "nothing is left of it");
    }
}
