use std::collections::BTreeSet;
use std::time::Instant;

/// One deadline per connection, ordered, so that a turn of the loop touches only the connections that are due.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    order: BTreeSet<(Instant, usize)>,
}

impl Deadlines {
    /// Moves a connection's deadline. `old` is what was set before.
    pub(crate) fn replace(&mut self, key: usize, old: Option<Instant>, new: Option<Instant>) {
        if old == new {
            return;
        }
        if let Some(old) = old {
            self.order.remove(&(old, key));
        }
        if let Some(new) = new {
            self.order.insert((new, key));
        }
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.order.first().map(|&(at, _)| at)
    }

    /// The connection whose deadline is the earliest.
    pub(crate) fn first(&self) -> Option<usize> {
        self.order.first().map(|&(_, key)| key)
    }

    /// The connections that are due, earliest first. Their entries stay until they are replaced.
    pub(crate) fn due(&self, now: Instant) -> impl Iterator<Item = usize> {
        self.order.iter().take_while(move |&&(at, _)| at <= now).map(|&(_, key)| key)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_earliest_comes_first_and_replacing_moves_it() {
        let start = Instant::now();
        let at = |ms| Some(start + Duration::from_millis(ms));
        let mut deadlines = Deadlines::default();
        deadlines.replace(1, None, at(20));
        deadlines.replace(2, None, at(10));
        assert_eq!((deadlines.next(), deadlines.first()), (at(10), Some(2)));
        deadlines.replace(2, at(10), at(30));
        assert_eq!(deadlines.next(), at(20));
        let due = |ms: u64| deadlines.due(start + Duration::from_millis(ms)).collect::<Vec<_>>();
        assert!(due(19).is_empty());
        assert_eq!(due(20), [1]);
        assert_eq!(due(40), [1, 2]);
        deadlines.replace(1, at(20), None);
        assert_eq!(deadlines.next(), at(30));
    }
}
