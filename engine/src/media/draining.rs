//! A bounded channel that leaves nothing behind: what waits when the receiving end goes is dropped there and then.
//!
//! crossbeam's bounded channels keep it until the senders are gone too, and those are handles of the application.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

/// The end that is put into.
pub(crate) struct DrainingSender<T> {
    sender: Sender<T>,
    /// To take back what came in too late.
    waiting: Receiver<T>,
    is_closed: Arc<AtomicBool>,
}

/// The end that is taken from; there is one.
pub(crate) struct DrainingReceiver<T> {
    receiver: Receiver<T>,
    is_closed: Arc<AtomicBool>,
}

pub(crate) fn draining<T>(capacity: usize) -> (DrainingSender<T>, DrainingReceiver<T>) {
    let (sender, receiver) = bounded(capacity);
    let is_closed = Arc::<AtomicBool>::default();
    let waiting = receiver.clone();
    (
        DrainingSender { sender, waiting, is_closed: Arc::clone(&is_closed) },
        DrainingReceiver { receiver, is_closed },
    )
}

impl<T> DrainingSender<T> {
    /// Puts something in, or gives it back.
    pub(crate) fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        if self.is_closed.load(SeqCst) {
            return Err(TrySendError::Disconnected(item));
        }
        self.sender.try_send(item)?;
        // The other end may have gone in between, and not have seen it.
        if self.is_closed.load(SeqCst) {
            drain(&self.waiting);
        }
        Ok(())
    }
}

impl<T> DrainingReceiver<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.receiver.is_empty()
    }

    /// Takes what has waited longest.
    pub(crate) fn try_recv(&self) -> Option<T> {
        self.receiver.try_recv().ok()
    }
}

impl<T> fmt::Debug for DrainingSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DrainingSender").finish_non_exhaustive()
    }
}

impl<T> Drop for DrainingReceiver<T> {
    fn drop(&mut self) {
        self.is_closed.store(true, SeqCst);
        drain(&self.receiver);
    }
}

fn drain<T>(waiting: &Receiver<T>) {
    while let Ok(item) = waiting.try_recv() {
        drop(item);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::thread;

    use super::*;

    struct Counted<'a>(&'a AtomicUsize);

    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn what_waits_goes_with_the_receiver_and_nothing_is_taken_after_it() {
        let dropped = AtomicUsize::new(0);
        let (sender, receiver) = draining(4);
        for _ in 0..3 {
            assert!(sender.try_send(Counted(&dropped)).is_ok());
        }
        drop(receiver.try_recv());
        drop(receiver);
        assert_eq!(dropped.load(SeqCst), 3);
        let late = sender.try_send(Counted(&dropped));
        assert!(matches!(late, Err(TrySendError::Disconnected(_))));
    }

    #[test]
    fn nothing_is_left_that_was_put_in_while_the_receiver_went() {
        for _ in 0..500 {
            let (dropped, made) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let (sender, receiver) = draining(64);
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        let put = || {
                            made.fetch_add(1, SeqCst);
                            sender.try_send(Counted(&dropped))
                        };
                        while !matches!(put(), Err(TrySendError::Disconnected(_))) {}
                    });
                }
                drop(receiver);
            });
            assert_eq!(dropped.load(SeqCst), made.load(SeqCst));
        }
    }
}
