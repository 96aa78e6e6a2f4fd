use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use crate::bandwidth::{Bandwidth, work_of};
use crate::packet::{Content, Packet};

/// One end of a flow in virtual time: sans-IO, driven by a [`Network`](crate::Network). Keep an `Rc<RefCell<_>>` of one
/// to look at it, or to change it, between two runs.
pub trait Endpoint {
    /// A packet has arrived.
    fn receive(&mut self, now: Duration, packet: Packet);

    /// The next packet to be sent now. Asked until there is none: after packets have arrived, and when the deadline has
    /// come.
    fn poll_send(&mut self, now: Duration) -> Option<Packet>;

    /// When to be asked for packets though none has arrived. One that has passed is due at once, but not again at the
    /// same moment.
    fn deadline(&self) -> Option<Duration>;
}

impl<E: Endpoint + ?Sized> Endpoint for Rc<RefCell<E>> {
    fn receive(&mut self, now: Duration, packet: Packet) {
        self.borrow_mut().receive(now, packet);
    }

    fn poll_send(&mut self, now: Duration) -> Option<Packet> {
        self.borrow_mut().poll_send(now)
    }

    fn deadline(&self) -> Option<Duration> {
        self.borrow().deadline()
    }
}

/// Receives, and sends nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sink;

impl Endpoint for Sink {
    fn receive(&mut self, _: Duration, _: Packet) {}

    fn poll_send(&mut self, _: Duration) -> Option<Packet> {
        None
    }

    fn deadline(&self) -> Option<Duration> {
        None
    }
}

/// Sends packets of one length at equal distances, whatever becomes of them.
#[derive(Debug, Clone)]
pub struct ConstantBitrate {
    bitrate: Bandwidth,
    packet_bytes: usize,
    /// What is left of the times at which it sends.
    active: Vec<Range<Duration>>,
    sent_in_first: usize,
}

impl ConstantBitrate {
    /// Sends in these times, which are in order, beginning with a packet at the begin of each.
    pub fn new(
        bitrate: Bandwidth,
        packet_bytes: usize,
        active: impl IntoIterator<Item = Range<Duration>>,
    ) -> Self {
        let active = active.into_iter().collect();
        Self { bitrate, packet_bytes, active, sent_in_first: 0 }
    }

    /// When the next packet is due, counted from the begin of the bitrate, so that no rounding adds up.
    fn next(&self, active: &Range<Duration>) -> Option<Duration> {
        let work = work_of(self.packet_bytes.saturating_mul(self.sent_in_first));
        let next = active.start.saturating_add(self.bitrate.time_for(work)?);
        (next < active.end).then_some(next)
    }
}

impl Endpoint for ConstantBitrate {
    fn receive(&mut self, _: Duration, _: Packet) {}

    fn poll_send(&mut self, now: Duration) -> Option<Packet> {
        while let Some(active) = self.active.first() {
            match self.next(active) {
                Some(next) if next <= now => {
                    self.sent_in_first += 1;
                    return Some(Packet { bytes: self.packet_bytes, content: Content::Padding });
                }
                Some(_) => return None,
                None => {
                    self.active.remove(0);
                    self.sent_in_first = 0;
                }
            }
        }
        None
    }

    fn deadline(&self) -> Option<Duration> {
        self.active.iter().find_map(|active| self.next(active).or(Some(active.end)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_bitrate_is_exact_and_pauses() {
        let ms = Duration::from_millis;
        let active = [ms(0)..ms(1_000), ms(2_000)..ms(2_025)];
        let mut sender = ConstantBitrate::new(Bandwidth::from_kbps(960), 1_200, active);
        let mut sent = Vec::new();
        while let Some(now) = sender.deadline() {
            while let Some(packet) = sender.poll_send(now) {
                sent.push((now, packet.bytes));
            }
        }
        assert_eq!(sent.len(), 103);
        assert_eq!(sent[..2], [(ms(0), 1_200), (ms(10), 1_200)]);
        assert_eq!(sent[99..], [990, 2_000, 2_010, 2_020].map(|at| (ms(at), 1_200)));
    }
}
