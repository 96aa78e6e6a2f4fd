//! Processor time of the calling thread.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::Error;

/// User and kernel time this thread has used. Interrupts that hit it while it sends are in it, as they
/// are in any process's time.
pub(super) fn thread_cpu() -> Result<Duration, Error> {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).map_err(|_| Error::Floor("the thread's clock is negative".to_owned()))
}

/// What one reading of the clock adds to the span between two: it is a system call, not free against
/// the microseconds that are measured with it.
pub(super) fn reading_cost() -> Result<Duration, Error> {
    let mut least = Duration::MAX;
    for _ in 0..1_000 {
        let before = thread_cpu()?;
        least = least.min(thread_cpu()?.saturating_sub(before));
    }
    Ok(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_work_not_sleep() {
        let before = thread_cpu().unwrap();
        std::thread::sleep(Duration::from_millis(50));
        let slept = thread_cpu().unwrap() - before;
        assert!(slept < Duration::from_millis(40), "{slept:?}");
        let mut sum = 0u64;
        while thread_cpu().unwrap() - before <= slept {
            sum = std::hint::black_box(sum + 1);
        }
    }
}
