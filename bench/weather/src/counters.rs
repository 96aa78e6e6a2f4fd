use std::time::Duration;

/// What has become of the packets of a link. At any time, `sent + duplicates` is `delivered + lost + dropped` and what
/// is still [under way](crate::Link::under_way).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets given to the link.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Packets taken from the link, copies included.
    pub delivered: u64,
    /// Their bytes.
    pub delivered_bytes: u64,
    /// Packets lost by chance, or in a blackout.
    pub lost: u64,
    /// Packets for which there was no room.
    pub dropped: u64,
    /// Copies made.
    pub duplicates: u64,
    /// How long packets were in the queue.
    pub queue_delay: QueueDelay,
}

/// How long packets were in the queue: from when they were sent until the link had sent their last bit. Percentiles are
/// up to 6 % too high, the longest one is exact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueDelay {
    /// Half of all packets waited at most this long.
    pub p50: Duration,
    /// 95 of 100 packets waited at most this long.
    pub p95: Duration,
    /// No packet waited longer.
    pub max: Duration,
}

/// What a relay has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayCounters {
    /// From the clients to the server.
    pub up: Counters,
    /// From the server to the clients.
    pub down: Counters,
    /// How many clients are known.
    pub clients: usize,
    /// Datagrams that passed a link and were sent to nobody: their client had been forgotten, or the system did not
    /// take them.
    pub unsent: u64,
}

/// Each power of two is divided in this many equal parts.
const PARTS: u64 = 16;
/// From 1 µs to 2³² µs, more than an hour.
const BUCKETS: usize = 29 * PARTS as usize;

/// A histogram of times, in microseconds, whose buckets grow with what they hold.
#[derive(Debug)]
pub(crate) struct Delays {
    buckets: [u64; BUCKETS],
    count: u64,
    max: Duration,
}

impl Delays {
    pub(crate) const fn new() -> Self {
        Self { buckets: [0; BUCKETS], count: 0, max: Duration::ZERO }
    }

    pub(crate) fn record(&mut self, delay: Duration) {
        let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket(micros)] += 1;
        self.count += 1;
        self.max = self.max.max(delay);
    }

    pub(crate) fn percentiles(&self) -> QueueDelay {
        QueueDelay { p50: self.percentile(50), p95: self.percentile(95), max: self.max }
    }

    fn percentile(&self, percent: u64) -> Duration {
        let rank = (self.count * percent).div_ceil(100);
        let mut seen = 0;
        let found = self.buckets.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        let end = found.map_or(Duration::MAX, |index| Duration::from_micros(end_of(index)));
        end.min(self.max)
    }
}

fn bucket(micros: u64) -> usize {
    let doublings = (micros / PARTS).checked_ilog2().unwrap_or(0);
    let place = u64::from(doublings) * PARTS + (micros >> doublings);
    usize::try_from(place).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

/// The first value that is in none of the buckets up to this one.
fn end_of(bucket: usize) -> u64 {
    let next = bucket as u64 + 1;
    let doublings = (next / PARTS).saturating_sub(1);
    (next - doublings * PARTS) << doublings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_narrow_and_leave_nothing_out() {
        for micros in (0..100_000).chain([1 << 31, (1 << 32) - 1]) {
            let index = bucket(micros);
            let (begin, end) = (index.checked_sub(1).map_or(0, end_of), end_of(index));
            assert!((begin..end).contains(&micros), "{micros} in {begin}..{end}");
            assert!((end - begin) * PARTS <= begin.max(PARTS), "{begin}..{end}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles() {
        let mut delays = Delays::new();
        assert_eq!(delays.percentiles(), QueueDelay::default());
        (1..=1_000).for_each(|ms| delays.record(Duration::from_millis(ms)));
        let QueueDelay { p50, p95, max } = delays.percentiles();
        assert!((500..=532).contains(&p50.as_millis()), "{p50:?}");
        assert!((950..=1_000).contains(&p95.as_millis()), "{p95:?}");
        assert_eq!(max, Duration::from_secs(1));
    }
}
