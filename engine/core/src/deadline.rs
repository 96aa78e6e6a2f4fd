//! Which of many is due next, without looking at all of them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// A moment at which something is due, and what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// The moment.
    pub at: Instant,
    /// What is due then.
    pub reason: DeadlineReason,
}

/// What is due at a [`Deadline`], so that a wake-up can be explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeadlineReason {
    /// A peer's ICE: connectivity checks, and what becomes of those that nobody answers.
    Ice,
    /// A peer's DTLS handshake, whose last flight may have been lost.
    Dtls,
    /// A peer's SCTP, or its data channels.
    DataChannel,
    /// A peer is sent reports or feedback.
    Rtcp,
    /// Anything else that the stack does for a peer.
    Stack,
    /// A peer must be connected by then.
    ConnectTimeout,
    /// A peer without a network path must have found one by then.
    PathTimeout,
    /// A peer's consent to be sent media ends (RFC 7675 §5.1).
    Consent,
    /// A peer's request for a keyframe, which came too early after others, is passed on.
    KeyframeRequest,
    /// The encoder of a rendition may be asked for another keyframe.
    Keyframe,
    /// What was due then has moved to a later moment since.
    Moved,
    /// A viewer gets pictures again that its network takes.
    Quality,
    /// A viewer gets more of a large picture.
    Pacing,
}

impl DeadlineReason {
    /// A stable word for it, as logs have it: `ice`, `connect-timeout`, …
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ice => "ice",
            Self::Dtls => "dtls",
            Self::DataChannel => "data-channel",
            Self::Rtcp => "rtcp",
            Self::Stack => "stack",
            Self::ConnectTimeout => "connect-timeout",
            Self::PathTimeout => "path-timeout",
            Self::Consent => "consent",
            Self::KeyframeRequest => "keyframe-request",
            Self::Keyframe => "keyframe",
            Self::Moved => "moved",
            Self::Quality => "quality",
            Self::Pacing => "pacing",
        }
    }
}

impl Deadline {
    /// The earliest of these.
    pub(crate) fn earliest(all: impl IntoIterator<Item = Option<Self>>) -> Option<Self> {
        all.into_iter().flatten().min_by_key(|deadline| deadline.at)
    }
}

/// A heap of deadlines, by whose they are: peers or sessions, under the small numbers that index them. Updates are
/// lazy: a deadline that moves later leaves its entry where it is, and the entry is re-filed when it surfaces. A frame
/// to every viewer therefore costs no heap operation for a peer whose next deadline did not come nearer.
#[derive(Debug, Default)]
pub struct Deadlines {
    heap: BinaryHeap<Reverse<(Instant, usize)>>,
    /// By key: the true deadline, and the earliest entry for it in the heap.
    slots: Vec<Slot>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Slot {
    deadline: Option<Instant>,
    filed: Option<Instant>,
}

impl Deadlines {
    /// Sets when a key is due next; `None` takes it out.
    pub fn set(&mut self, key: usize, deadline: Option<Instant>) {
        if key >= self.slots.len() {
            self.slots.resize(key + 1, Slot::default());
        }
        let slot = &mut self.slots[key];
        slot.deadline = deadline;
        if let Some(deadline) = deadline
            && slot.filed.is_none_or(|filed| deadline < filed)
        {
            slot.filed = Some(deadline);
            self.heap.push(Reverse((deadline, key)));
        }
    }

    /// The earliest moment at which [`pop_due`](Self::pop_due) may give a key.
    pub fn next(&self) -> Option<Instant> {
        self.peek().map(|(at, _)| at)
    }

    /// The same with the key, whose deadline may be a later one by now.
    pub(crate) fn peek(&self) -> Option<(Instant, usize)> {
        self.heap.peek().map(|Reverse(entry)| *entry)
    }

    /// Takes a key that is due, if there is one. Its deadline must be set anew.
    pub fn pop_due(&mut self, now: Instant) -> Option<usize> {
        while let Some(&Reverse((at, key))) = self.heap.peek() {
            if at > now {
                return None;
            }
            self.heap.pop();
            let slot = &mut self.slots[key];
            if slot.filed != Some(at) {
                continue; // An older entry; a nearer one was filed since.
            }
            slot.filed = None;
            match slot.deadline {
                Some(deadline) if deadline <= now => {
                    slot.deadline = None;
                    return Some(key);
                }
                later => self.set(key, later),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn gives_peers_in_order_of_their_latest_deadline() {
        let (mut deadlines, start) = (Deadlines::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        deadlines.set(0, Some(at(10)));
        deadlines.set(1, Some(at(20)));
        deadlines.set(2, Some(at(5)));
        deadlines.set(0, Some(at(30))); // later
        deadlines.set(1, Some(at(2))); // nearer
        deadlines.set(2, None); // gone
        assert_eq!(deadlines.next(), Some(at(2)));
        assert_eq!(deadlines.pop_due(at(1)), None);
        assert_eq!(deadlines.pop_due(at(25)), Some(1));
        assert_eq!(deadlines.pop_due(at(25)), None);
        assert_eq!(deadlines.pop_due(at(30)), Some(0));
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn moving_later_does_not_grow_the_heap() {
        let (mut deadlines, start) = (Deadlines::default(), Instant::now());
        for ms in 0..1_000 {
            deadlines.set(7, Some(start + Duration::from_millis(ms)));
        }
        assert_eq!(deadlines.heap.len(), 1);
    }

    #[test]
    fn a_peer_that_leaves_and_a_new_one_in_its_place() {
        let (mut deadlines, start) = (Deadlines::default(), Instant::now());
        deadlines.set(0, Some(start));
        deadlines.set(0, None);
        deadlines.set(0, Some(start + Duration::from_secs(1)));
        assert_eq!(deadlines.pop_due(start), None);
        assert_eq!(deadlines.pop_due(start + Duration::from_secs(1)), Some(0));
    }
}
