//! Who is told of what happens on one of the engine's loops.

use std::sync::Arc;

use crate::event::{Event, Subscriber};
use crate::fault_domain::FaultDomain;
use crate::faults::Faults;

/// Those who get the events of one of the engine's loops.
pub(crate) struct Subscribers {
    all: Vec<Subscriber>,
    faults: Arc<Faults>,
}

impl Subscribers {
    pub(crate) fn new(faults: Arc<Faults>) -> Self {
        Self { all: Vec::new(), faults }
    }

    pub(crate) fn add(&mut self, subscriber: Subscriber) {
        // Of what they want there may never be any: those who have left are found here.
        let mut index = 0;
        while let Some(other) = self.all.get(index) {
            match other.events.is_closed() {
                true => {
                    let left = self.all.swap_remove(index);
                    self.faults.drop_guarded(&"a subscriber to events", left);
                }
                false => index += 1,
            }
        }
        self.all.push(subscriber);
    }

    /// Gives an event to everybody who wants it, and forgets those whose receiver is gone.
    pub(crate) fn emit(&mut self, event: &Event) {
        let mut index = 0;
        while let Some(subscriber) = self.all.get(index) {
            // What is called there is the application's.
            let whose = &"a subscriber to events";
            let sent = self.faults.guard(FaultDomain::Callback, whose, || subscriber.send(event));
            match sent {
                Some(false) => self.faults.drop_guarded(whose, self.all.swap_remove(index)),
                Some(true) | None => index += 1,
            }
        }
    }
}

impl Drop for Subscribers {
    fn drop(&mut self) {
        for subscriber in self.all.drain(..) {
            self.faults.drop_guarded(&"a subscriber to events", subscriber);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receiver::bounded;

    #[test]
    fn subscribers_that_have_left_are_forgotten_when_others_come() {
        let mut subscribers = Subscribers::new(Arc::default());
        for _ in 0..100 {
            let (events, receiver) = bounded(1);
            subscribers.add(Subscriber { events, wanted: Arc::new(|_| false) });
            drop(receiver);
        }
        assert_eq!(subscribers.all.len(), 1);
    }
}
