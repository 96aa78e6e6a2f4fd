//! Memory that was freed goes back to the system.
//!
//! The program's own affair: a library does not tidy the heap of the application that it lives in.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, tick};
use visavis::memory;

/// How often to look whether there is something to give back.
const LOOK: Duration = Duration::from_secs(10);

/// Growth that is worth it. What a few viewers bring is used again by the next ones.
const WORTH_IT: u64 = 1 << 20;

/// What resident memory goes up and down by when nothing happens.
const STILL: u64 = 512 << 10;

/// Gives memory back once it has grown and grows no longer: while viewers come in it would be fetched again at
/// once.
#[derive(Debug)]
pub(crate) struct Tidy {
    /// Says when it is time for [`look`](Self::look).
    pub(crate) due: Receiver<Instant>,
    growth: Growth,
}

impl Tidy {
    pub(crate) fn new() -> Self {
        Self { due: tick(LOOK), growth: Growth::from(resident().unwrap_or_default()) }
    }

    pub(crate) fn look(&mut self) {
        let Some(before) = resident() else { return };
        if !self.growth.is_over(before) {
            return;
        }
        let start = Instant::now();
        memory::give_back();
        let took_us = start.elapsed().as_micros();
        let after = resident().unwrap_or(before);
        self.growth.given_back(before, after);
        tracing::debug!(before, after, took_us, "free memory was given back; bytes");
    }
}

/// Resident bytes, as they were at each look.
#[derive(Debug)]
struct Growth {
    /// The least since the last time something was given back, or since the start.
    least: u64,
    last: u64,
    /// The last time was worth it, and more may have been freed since, which resident memory does not show.
    again: bool,
}

impl Growth {
    fn from(resident: u64) -> Self {
        Self { least: resident, last: resident, again: false }
    }

    /// Whether there is more than before, and no more than at the last look.
    fn is_over(&mut self, resident: u64) -> bool {
        let is_still = resident < self.last.saturating_add(STILL);
        self.last = resident;
        self.least = self.least.min(resident);
        is_still && (self.again || resident > self.least.saturating_add(WORTH_IT))
    }

    fn given_back(&mut self, before: u64, after: u64) {
        self.again = before > after.saturating_add(STILL);
        (self.least, self.last) = (after, after);
    }
}

/// This process's resident memory, in bytes; `None` where the system does not tell.
fn resident() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    // Linux has other page sizes on some machines; then this is a scale, and does as well.
    Some(pages * 4_096)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn what_grew_is_given_back_once_it_grows_no_longer() {
        let mut growth = Growth::from(30 * MIB);
        assert!(!growth.is_over(30 * MIB));
        assert!(!growth.is_over(60 * MIB), "a crowd comes in");
        assert!(!growth.is_over(90 * MIB), "and more of it");
        assert!(growth.is_over(90 * MIB));
        growth.given_back(90 * MIB, 38 * MIB);
        assert!(growth.is_over(38 * MIB), "the last of them may have left since");
        growth.given_back(38 * MIB, 32 * MIB);
        assert!(growth.is_over(32 * MIB));
        growth.given_back(32 * MIB, 32 * MIB);
        assert!(!growth.is_over(33 * MIB - 1), "too little to be worth it");
        assert!(!growth.is_over(33 * MIB - 1));
    }

    #[test]
    fn a_crowd_that_was_there_before_the_first_look_is_growth() {
        let mut growth = Growth::from(30 * MIB);
        assert!(!growth.is_over(90 * MIB));
        assert!(growth.is_over(90 * MIB));
    }

    #[test]
    fn what_is_in_use_is_not_asked_for_again_and_again() {
        let mut growth = Growth::from(30 * MIB);
        growth.is_over(200 * MIB);
        assert!(growth.is_over(200 * MIB));
        growth.given_back(200 * MIB, 200 * MIB);
        assert!((0..100).all(|_| !growth.is_over(201 * MIB)));
    }
}
