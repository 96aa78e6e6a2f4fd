//! Figures over all viewers of a thread, and the window of time in which they count.

use std::time::{Duration, Instant};

use super::frames::Frames;
use super::inbox::Arrival;
use super::role::Role;
use super::window::Window;
use crate::{Durations, Error};

/// Losses are known about this long after the packet should have come.
const LOSS_KNOWN_AFTER: Duration = Duration::from_millis(1_025);

#[derive(Debug)]
pub(super) struct Figures {
    pub(super) connect: Durations,
    pub(super) first_picture: Durations,
    pub(super) gaps: Durations,
    pub(super) latencies: Durations,
    pub(super) frames: Option<Frames>,
    pub(super) counts: Counts,
    window: Option<Window>,
}

/// What came in the window.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    /// RTP packets, retransmissions and padding included, to all viewers.
    pub(super) packets: u64,
    /// Bytes of these, with all headers inside UDP.
    pub(super) bytes: u64,
    /// Packets that never came to a watcher.
    pub(super) lost: u64,
}

impl Figures {
    pub(super) fn new(frames: Option<Frames>) -> Result<Self, Error> {
        Ok(Self {
            connect: Durations::new()?,
            first_picture: Durations::new()?,
            gaps: Durations::new()?,
            latencies: Durations::new()?,
            frames,
            counts: Counts::default(),
            window: None,
        })
    }

    /// Lets count what happens in `window`, and nothing else. Joining counts always.
    ///
    /// # Errors
    ///
    /// As [`Durations::new`].
    pub(super) fn measure(&mut self, window: Window) -> Result<(), Error> {
        self.gaps = Durations::new()?;
        self.latencies = Durations::new()?;
        self.counts = Counts::default();
        self.window = Some(window);
        if let Some(frames) = &mut self.frames {
            frames.measure(window.unix_from..window.unix_from + window.length);
        }
        Ok(())
    }

    pub(super) fn datagram(&mut self, role: Role, datagram: &[u8], arrival: Arrival) {
        // Media has 2 in its first two bits, and no RTCP type in its second byte (RFC 7983, RFC 5761).
        let media = matches!(datagram, [128..=191, second, ..] if !(192..=223).contains(second));
        if media && self.counts_at(arrival.at) && role.watcher {
            self.counts.packets += 1;
            self.counts.bytes += datagram.len() as u64;
        }
    }

    pub(super) fn gap(&mut self, gap: Duration, arrival: Arrival) {
        if self.counts_at(arrival.at) {
            self.gaps.record(gap);
        }
    }

    pub(super) fn latency(&mut self, latency: Duration, arrival: Arrival) {
        if self.counts_at(arrival.at) {
            self.latencies.record(latency);
        }
    }

    /// Packets have been given up.
    pub(super) fn lost(&mut self, role: Role, lost: u64, now: Arrival) {
        let should_have_come = now.at.checked_sub(LOSS_KNOWN_AFTER).unwrap_or(now.at);
        if role.watcher && self.counts_at(should_have_come) {
            self.counts.lost += lost;
        }
    }

    fn counts_at(&self, at: Instant) -> bool {
        self.window.is_none_or(|window| window.contains(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WATCHER: Role = Role { decrypts: true, watcher: true };

    #[test]
    fn only_media_inside_the_window_counts() {
        let mut figures = Figures::new(None).unwrap();
        let rtp = [0x80, 96, 0, 0];
        figures.measure(Window::after(Duration::ZERO, Duration::from_secs(5))).unwrap();
        let inside = Arrival::now();
        let later = Arrival { at: inside.at + Duration::from_secs(6), ..inside };
        figures.datagram(WATCHER, &rtp, inside);
        figures.datagram(WATCHER, &rtp, later);
        figures.datagram(WATCHER, &[0x80, 201, 0, 0], inside);
        figures.datagram(WATCHER, &[0x00, 1], inside);
        figures.datagram(Role { watcher: false, ..WATCHER }, &rtp, inside);
        figures.gap(Duration::from_millis(33), inside);
        figures.gap(Duration::from_millis(500), later);
        figures.lost(WATCHER, 2, later);
        figures.lost(WATCHER, 3, Arrival { at: inside.at + Duration::from_secs(7), ..inside });
        assert_eq!((figures.counts.packets, figures.counts.bytes), (1, 4));
        assert_eq!(figures.counts.lost, 2);
        assert!(figures.gaps.spread().is_some_and(|spread| spread.max < 40.0));
    }
}
