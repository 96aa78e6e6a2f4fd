//! Memory that was freed goes back to the system.
//!
//! The program's own affair: a library does not tidy the heap of the application that it lives in.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, tick};
use visavis::memory;

/// How often to check for memory to return to the system.
const LOOK: Duration = Duration::from_secs(10);

/// What is worth giving back, at least. What a few viewers bring is used again by the next ones.
const WORTH_IT: u64 = 1 << 20;

/// And at least this fraction (1 in N) of the resident memory.
const WORTH_IT_PART: u64 = 32;

/// Normal fluctuation of resident memory without load.
const STILL: u64 = 512 << 10;

/// What is worth it once nothing has happened for [`QUIET_LOOKS`] looks: then the call costs little, and is not made
/// again soon.
const WORTH_IT_IN_QUIET: u64 = 128 << 10;

/// Looks in a row that saw nothing change.
const QUIET_LOOKS: u32 = 2;

/// Gives memory back once it has grown, or was freed, and grows no longer: while viewers come in it would be fetched
/// again at once.
#[derive(Debug)]
pub(crate) struct Tidy {
    /// Says when it is time for [`look`](Self::look).
    pub(crate) due: Receiver<Instant>,
    growth: Growth,
}

impl Tidy {
    pub(crate) fn new() -> Self {
        Self { due: tick(LOOK), growth: Growth::from(Memory::now().unwrap_or_default()) }
    }

    pub(crate) fn look(&mut self) {
        let Some(before) = Memory::now() else { return };
        if !self.growth.is_over(before) {
            return;
        }
        let start = Instant::now();
        memory::give_back();
        let took_us = start.elapsed().as_micros();
        let after = Memory::now().unwrap_or(before);
        self.growth.given_back(before, after);
        let (before, after) = (before.resident, after.resident);
        tracing::debug!(before, after, took_us, "free memory was given back; bytes");
    }
}

/// What this process has of memory.
#[derive(Debug, Clone, Copy, Default)]
struct Memory {
    /// Resident, in bytes.
    resident: u64,
    /// See [`memory::allocated`].
    allocated: u32,
}

impl Memory {
    /// `None` where the system does not report it.
    fn now() -> Option<Self> {
        Some(Self { resident: resident()?, allocated: memory::allocated()? })
    }
}

/// What was seen at each look.
#[derive(Debug)]
struct Growth {
    last: Memory,
    /// The least that was resident since the last time something was given back, or since the start.
    least_resident: u64,
    /// The most that was allocated since then: what was freed of it is resident still, and does not show there.
    most_allocated: u32,
    /// The last time was worth it, and more may have been freed meanwhile.
    again: bool,
    /// How many looks in a row saw nothing change.
    quiet: u32,
}

impl Growth {
    fn from(now: Memory) -> Self {
        let Memory { resident: least_resident, allocated: most_allocated } = now;
        Self { last: now, least_resident, most_allocated, again: false, quiet: 0 }
    }

    /// Whether there is memory to return, and it has not grown since the last check.
    fn is_over(&mut self, now: Memory) -> bool {
        let is_still = now.resident < self.last.resident.saturating_add(STILL);
        let is_quiet = now.resident.abs_diff(self.last.resident) < WORTH_IT_IN_QUIET;
        self.quiet = if is_quiet { self.quiet.saturating_add(1) } else { 0 };
        self.last = now;
        self.least_resident = self.least_resident.min(now.resident);
        if now.allocated.wrapping_sub(self.most_allocated).cast_signed() > 0 {
            self.most_allocated = now.allocated;
        }
        let grown = now.resident - self.least_resident;
        let freed = u64::from(self.most_allocated.wrapping_sub(now.allocated));
        let worth_it = match self.quiet {
            QUIET_LOOKS.. => WORTH_IT_IN_QUIET,
            _ => WORTH_IT.max(self.least_resident / WORTH_IT_PART),
        };
        is_still && (self.again || grown > worth_it || freed > worth_it)
    }

    fn given_back(&mut self, before: Memory, after: Memory) {
        let again = before.resident > after.resident.saturating_add(STILL);
        *self = Self { again, ..Self::from(after) };
    }
}

/// This process's resident memory, in bytes; `None` where the system does not report it.
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

    /// So many MiB resident, and of these allocated.
    fn memory(resident: u64, allocated: u64) -> Memory {
        Memory { resident: resident * MIB, allocated: (allocated * MIB) as u32 }
    }

    #[test]
    fn what_grew_is_given_back_once_it_grows_no_longer() {
        let mut growth = Growth::from(memory(30, 20));
        assert!(!growth.is_over(memory(30, 20)));
        assert!(!growth.is_over(memory(60, 50)), "a crowd comes in");
        assert!(!growth.is_over(memory(90, 80)), "and more of it");
        assert!(growth.is_over(memory(90, 28)));
        growth.given_back(memory(90, 28), memory(38, 28));
        assert!(growth.is_over(memory(38, 22)), "the last of them may have left since");
        growth.given_back(memory(38, 22), memory(32, 22));
        assert!(growth.is_over(memory(32, 22)));
        growth.given_back(memory(32, 22), memory(32, 22));
        assert!(!growth.is_over(memory(33, 22)), "too little to be worth it");
        assert!(!growth.is_over(memory(33, 22)), "nor in a single quiet moment");
        assert!(growth.is_over(memory(33, 22)), "but now that it is quiet");
        growth.given_back(memory(33, 22), memory(33, 22));
        assert!((0..100).all(|_| !growth.is_over(memory(33, 22))), "once");
    }

    #[test]
    fn a_crowd_that_was_there_before_the_first_look_is_growth() {
        let mut growth = Growth::from(memory(30, 20));
        assert!(!growth.is_over(memory(90, 80)));
        assert!(growth.is_over(memory(90, 80)));
    }

    #[test]
    fn what_is_in_use_is_not_asked_for_again_and_again() {
        let mut growth = Growth::from(memory(30, 20));
        growth.is_over(memory(200, 190));
        assert!(growth.is_over(memory(200, 190)));
        growth.given_back(memory(200, 190), memory(200, 190));
        // Such growth is checked once, when it has stopped.
        let asked = (0..100).filter(|_| {
            let now = memory(201, 190);
            let is_over = growth.is_over(now);
            if is_over {
                growth.given_back(now, now);
            }
            is_over
        });
        assert_eq!(asked.count(), 1);
    }

    #[test]
    fn a_crowd_that_leaves_after_nothing_could_be_given_back_is_noticed() {
        let mut growth = Growth::from(memory(30, 20));
        growth.is_over(memory(90, 80));
        assert!(growth.is_over(memory(90, 80)));
        growth.given_back(memory(90, 80), memory(90, 80));
        assert!(!growth.is_over(memory(90, 80)));
        assert!(
            growth.is_over(memory(90, 22)),
            "they were freed, which resident memory does not show"
        );
    }

    #[test]
    fn what_is_allocated_is_counted_modulo_4_gib() {
        let mut growth = Growth::from(memory(4_096, 4_095));
        assert!(!growth.is_over(memory(4_096, 4_097)), "growth, not 4 GiB that were freed");
        assert!(growth.is_over(memory(4_096, 3_900)));
    }
}
