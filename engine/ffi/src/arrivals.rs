//! Sessions that are made over HTTP, or for visitors: on their way to the application, and what is known of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use visavis::Session;
use visavis::session::SessionId;
use visavis_signaling::{CreateRequest, EndReason};

use crate::queue::Queue;
use crate::reader::Reader;
use crate::status::Result;

/// Those that wait to be taken; past that the oldest is not handed out, and shows its idle picture.
const CAPACITY: usize = 1_024;

/// A session that the server has made.
pub(crate) struct Arrival {
    pub(crate) session: Arc<Session>,
    pub(crate) guest: Arc<Guest>,
}

/// What is known of a session that the server has made.
#[derive(Default)]
pub(crate) struct Guest {
    /// A JSON object.
    pub(crate) metadata: Option<String>,
    ended: OnceLock<EndReason>,
}

impl Guest {
    /// Why the server has ended it, once it has.
    pub(crate) fn end_reason(&self) -> Option<EndReason> {
        self.ended.get().copied()
    }
}

/// Sessions on their way to the application.
pub(crate) struct Arrivals {
    queue: Arc<Queue<Arrival>>,
    pub(crate) reader: Reader<Arrival, ()>,
    /// Those that have not ended.
    guests: Mutex<HashMap<SessionId, Weak<Guest>>>,
}

impl Arrivals {
    pub(crate) fn new() -> Result<Self> {
        let queue = Queue::new(CAPACITY)?;
        let reader = Reader::new(Arc::clone(&queue))?;
        Ok(Self { queue, reader, guests: Mutex::default() })
    }

    pub(crate) fn add(&self, session: &Arc<Session>, request: &CreateRequest) {
        let guest =
            Arc::new(Guest { metadata: request.metadata.clone(), ended: OnceLock::default() });
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        // Of one that the application has stopped itself nobody tells.
        guests.retain(|_, guest| guest.strong_count() > 0);
        guests.insert(session.id().clone(), Arc::downgrade(&guest));
        drop(guests);
        self.queue.push(Arrival { session: Arc::clone(session), guest });
    }

    pub(crate) fn end(&self, session: &SessionId, reason: EndReason) {
        let guest = self.guests.lock().unwrap_or_else(PoisonError::into_inner).remove(session);
        if let Some(guest) = guest.and_then(|guest| guest.upgrade()) {
            let _ = guest.ended.set(reason);
        }
        self.queue.retain(|arrival| arrival.session.id() != session);
    }

    /// No more will come.
    pub(crate) fn close(&self) {
        self.queue.close();
    }
}
