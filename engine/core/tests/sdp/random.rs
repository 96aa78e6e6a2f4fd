//! Chance that can be repeated (xorshift64*).

use std::time::{Duration, Instant};

pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below this one.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 33) as usize % limit.max(1)
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    pub(crate) fn shuffle<T>(&mut self, all: &mut [T]) {
        for n in (1..all.len()).rev() {
            all.swap(n, self.below(n + 1));
        }
    }
}

/// Seeds from 0 on: so many, or as many as a variable of the environment says; or, where `OFFERS_SECONDS` is set, as
/// many as there is time for.
pub(crate) fn seeds(variable: &str, otherwise: u64) -> impl Iterator<Item = u64> {
    let count = number(variable).unwrap_or(otherwise);
    let end = number("OFFERS_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    (0..).take_while(move |&seed| match end {
        Some(end) => Instant::now() < end,
        None => seed < count,
    })
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
