//! Marks that identify frames: a counter in the bytes of the picture, and the push time of each.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Begins a mark. No byte of a mark is below four, so that none can look like a start code.
const MAGIC: [u8; 6] = *b"VISAVI";

/// Bytes of a mark: the magic, then the counter, four bits to a byte.
pub(crate) const MARK_BYTES: usize = MAGIC.len() + 8;

/// How far into a payload a mark is looked for: the headers before it are shorter than that.
const SEARCH_BYTES: usize = 64;

/// More frames than are on their way at any time, so that an entry is read before it is overwritten.
const LOGGED: usize = 4_096;

/// The mark of a frame.
pub(crate) fn mark(counter: u32) -> [u8; MARK_BYTES] {
    let mut bytes = [0; MARK_BYTES];
    let (magic, digits) = bytes.split_at_mut(MAGIC.len());
    magic.copy_from_slice(&MAGIC);
    for (index, digit) in digits.iter_mut().rev().enumerate() {
        *digit = 0x40 | ((counter >> (4 * index)) & 0xf) as u8;
    }
    bytes
}

/// The counter of the mark near the beginning of an RTP payload, where there is one.
pub(crate) fn find_mark(payload: &[u8]) -> Option<u32> {
    let head = payload.get(..SEARCH_BYTES).unwrap_or(payload);
    let found = head.windows(MARK_BYTES).find(|window| window.starts_with(&MAGIC))?;
    let digits = found.get(MAGIC.len()..)?;
    let whole = digits.iter().all(|digit| digit & 0xf0 == 0x40);
    whole.then(|| digits.iter().fold(0, |sum, digit| (sum << 4) | u32::from(digit & 0xf)))
}

/// When frames were pushed, by their counter. Written by one thread, read by another.
#[derive(Debug)]
pub(crate) struct PushLog {
    nanos: Box<[AtomicU64]>,
}

impl Default for PushLog {
    fn default() -> Self {
        Self { nanos: (0..LOGGED).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl PushLog {
    /// Notes that a frame is about to be pushed; `at` is Unix time.
    pub(crate) fn note(&self, counter: u32, at: Duration) {
        if let Some(slot) = self.nanos.get(counter as usize % LOGGED) {
            slot.store(u64::try_from(at.as_nanos()).unwrap_or(u64::MAX), Ordering::Release);
        }
    }

    /// When a frame was pushed, in Unix time; nothing for one that was not.
    pub(crate) fn pushed(&self, counter: u32) -> Option<Duration> {
        let nanos = self.nanos.get(counter as usize % LOGGED)?.load(Ordering::Acquire);
        (nanos > 0).then(|| Duration::from_nanos(nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_behind_other_bytes() {
        for counter in [0, 1, 0x1234_5678, u32::MAX] {
            let mut payload = vec![0x7c, 0x85, 0x88];
            payload.extend(mark(counter));
            payload.extend([9; 1_000]);
            assert_eq!(find_mark(&payload), Some(counter));
            assert!(mark(counter).iter().all(|&byte| byte > 3));
        }
    }

    #[test]
    fn what_is_no_mark_is_not_read() {
        assert_eq!(find_mark(&[]), None);
        assert_eq!(find_mark(b"VISAVI"), None);
        assert_eq!(find_mark(b"VISAVI\x41\x42\x43\x44\x45\x46\x47\x58"), None);
        assert_eq!(find_mark(&[0x41; 500]), None);
        let mut far = vec![7; 500];
        far.extend(mark(5));
        assert_eq!(find_mark(&far), None);
    }

    #[test]
    fn the_log_knows_what_was_noted() {
        let log = PushLog::default();
        assert_eq!(log.pushed(3), None);
        log.note(3, Duration::from_millis(5));
        assert_eq!(log.pushed(3), Some(Duration::from_millis(5)));
        assert_eq!(log.pushed(4), None);
    }
}
