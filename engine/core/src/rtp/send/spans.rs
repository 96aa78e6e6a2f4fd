//! Which packets of a rendition's history a viewer was sent, under which numbers of its own.

use std::collections::VecDeque;

use visavis_types::RenditionId;

use crate::rtp::numbers::Numbers;

/// Spans that are kept: a second of 240 pictures, every second one of which was left out. More than that, and the
/// oldest packets are not sent again.
const MAX_SPANS: usize = 128;

/// Packets that follow one another here as they do in a rendition's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// The first of them.
    pub(super) since: u64,
    pub(super) rendition: RenditionId,
    /// A packet's number in the history, less its number here.
    pub(super) offset: u64,
    pub(super) shift: Shift,
}

/// By how much a viewer's headers differ from those of the rendition's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Shift {
    /// Added to RTP times.
    pub(super) rtp_time: u32,
    /// Added to the numbers of pictures.
    pub(super) numbers: Numbers,
}

/// The last packets of a viewer. One that gets everything has one span, and no memory of its own.
#[derive(Debug, Default)]
pub(super) struct Spans {
    current: Option<Span>,
    /// In order.
    older: VecDeque<Span>,
}

impl Spans {
    /// Notes what is sent next, beginning with the packet `since`.
    pub(super) fn follow(&mut self, next: Span) {
        let Some(current) = self.current.replace(next) else { return };
        let goes_on = current.rendition == next.rendition
            && current.offset == next.offset
            && current.shift == next.shift;
        if goes_on {
            self.current = Some(current);
        } else if current.since < next.since {
            if self.older.len() == MAX_SPANS {
                self.older.pop_front();
            }
            self.older.push_back(current);
        }
    }

    /// The span that a packet is in.
    pub(super) fn find(&self, packet: u64) -> Option<&Span> {
        let current = self.current.as_ref().filter(|span| span.since <= packet);
        current.or_else(|| {
            let after = self.older.partition_point(|span| span.since <= packet);
            self.older.get(after.checked_sub(1)?)
        })
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use visavis_types::{Rung, SessionNumber, VideoCodec};

    #[test]
    fn packets_are_found_by_their_span_and_memory_is_bounded() {
        let low = RenditionId::lowest(SessionNumber::unique(), VideoCodec::H264);
        let high = RenditionId { rung: Rung::HIGHEST, ..low };
        let mut spans = Spans::default();
        let span = |since, rendition, offset: u64| Span {
            since,
            rendition,
            offset,
            shift: Shift::default(),
        };
        assert_eq!(spans.find(0), None);
        for packet in 65_530..65_540 {
            spans.follow(span(packet, low, 7));
        }
        assert!(spans.older.capacity() == 0, "one that gets everything has one span");
        assert_eq!(spans.find(65_529), None, "before the first");
        assert_eq!(spans.find(65_539), Some(&span(65_530, low, 7)));
        // Two packets left out between each two of which each is sent, and the other rendition for a while.
        let mut all = Vec::new();
        for n in 0..10_000_u64 {
            let rendition = if n % 100 < 50 { low } else { high };
            all.push(span(70_000 + n * 2, rendition, n * 4));
            spans.follow(all[n as usize]);
            for back in 0..=n.min(MAX_SPANS as u64) {
                let expected = all[(n - back) as usize];
                assert_eq!(spans.find(expected.since + 1), Some(&expected));
            }
        }
        assert_eq!(spans.find(70_000), None, "too long ago");
        assert_eq!(spans.older.len(), MAX_SPANS);
        spans.clear();
        assert_eq!(spans.find(100_000), None);
    }
}
