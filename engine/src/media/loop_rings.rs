use rtrb::{Consumer, Producer, RingBuffer};

use super::waker::SessionWaker;

/// The ways from one producer to every media loop. Each loop gets everything: which of its viewers want
/// it, it knows best.
#[derive(Debug)]
pub(crate) struct LoopRings<T>(Vec<(Producer<T>, SessionWaker)>);

/// A media loop has no room for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

impl<T: Clone> LoopRings<T> {
    /// A ring of `capacity` to each loop, and their ends there.
    pub(crate) fn new(capacity: usize, loops: &[SessionWaker]) -> (Self, Vec<Consumer<T>>) {
        let (rings, ends) = loops
            .iter()
            .map(|waker| {
                let (producer, consumer) = RingBuffer::new(capacity);
                ((producer, waker.clone()), consumer)
            })
            .unzip();
        (Self(rings), ends)
    }

    /// Puts something into every ring. Where one is full the others get it all the same.
    pub(crate) fn push(&mut self, item: T) -> Result<(), Full> {
        let Some(((last, _), rest)) = self.0.split_last_mut() else {
            return Ok(());
        };
        let mut outcome = Ok(());
        for (ring, _) in rest {
            outcome = ring.push(item.clone()).map_err(|_| Full).and(outcome);
        }
        last.push(item).map_err(|_| Full).and(outcome)
    }

    /// Has the loops look at their rings.
    pub(crate) fn wake(&self) {
        self.0.iter().for_each(|(_, waker)| waker.wake());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::waker::MediaWaker;
    use std::sync::Arc;

    #[test]
    fn a_full_lane_does_not_keep_things_from_the_others() {
        let poll = mio::Poll::new().unwrap();
        let waker = Arc::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap());
        let waker = MediaWaker::new(waker, Arc::default()).for_session();
        let (mut rings, mut ends) = LoopRings::new(2, &[waker.clone(), waker.clone(), waker]);
        assert_eq!((rings.push(1), rings.push(2)), (Ok(()), Ok(())));
        for end in [0, 2] {
            assert_eq!(ends[end].pop(), Ok(1));
        }
        assert_eq!(rings.push(3), Err(Full));
        let all =
            |end: &mut Consumer<i32>| std::iter::from_fn(|| end.pop().ok()).collect::<Vec<_>>();
        let got: Vec<Vec<i32>> = ends.iter_mut().map(all).collect();
        assert_eq!(got, [vec![2, 3], vec![1, 2], vec![2, 3]]);
    }
}
