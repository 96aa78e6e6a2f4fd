//! When the encoder that sends pictures is told something, and where.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use visavis_core::rtp::receive::Wanted;
use visavis_types::Bitrate;

/// How often it is told how its packets arrive.
const INTERVAL: Duration = Duration::from_secs(1);
/// A keyframe that has not come is asked for again: the packet may have been lost.
const ASKED_AGAIN: Duration = Duration::from_millis(500);
/// Bitrates are told of no more often.
const CHANGES: Duration = Duration::from_millis(100);

/// Where RTCP of one socket goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Destination {
    /// Which socket sends it.
    pub(super) inlet: usize,
    pub(super) to: SocketAddr,
}

/// Decides on it.
#[derive(Debug, Default)]
pub(super) struct Feedback {
    /// As configured.
    fixed: Option<SocketAddr>,
    /// Where the last sender report came from, and in.
    reported: Option<Destination>,
    /// Whose packets are taken.
    sender: Option<IpAddr>,
    /// When it was told something last, and when it was asked for a keyframe last.
    told: Option<Instant>,
    asked: Option<Instant>,
    bitrate: Option<Bitrate>,
}

impl Feedback {
    pub(super) fn new(fixed: Option<SocketAddr>) -> Self {
        Self { fixed, ..Self::default() }
    }

    /// A packet of the stream came from there.
    pub(super) fn note_packet(&mut self, from: SocketAddr) {
        self.sender = Some(from.ip());
    }

    /// A sender report of the stream came from there.
    pub(super) fn note_report(&mut self, from: Destination) {
        self.reported = Some(from);
    }

    /// Where it goes: to where the sender's reports come from (RFC 4961), unless it was said. A report with another
    /// address than the pictures may be anybody's, and is not answered.
    pub(super) fn destination(&self) -> Option<Destination> {
        let reported = self.reported.filter(|from| Some(from.to.ip()) == self.sender);
        match self.fixed {
            Some(to) => Some(Destination { inlet: reported.map_or(0, |from| from.inlet), to }),
            None => reported,
        }
    }

    /// What it is told now, if anything.
    pub(super) fn due(
        &mut self,
        needs_keyframe: bool,
        bitrate: Option<Bitrate>,
        now: Instant,
    ) -> Option<Wanted> {
        let rested = |at: Option<Instant>, interval| {
            at.is_none_or(|at| now.saturating_duration_since(at) >= interval)
        };
        if !needs_keyframe {
            self.asked = None;
        }
        let keyframe = needs_keyframe && rested(self.asked, ASKED_AGAIN);
        let is_other = bitrate != self.bitrate && rested(self.told, CHANGES);
        if !keyframe && !is_other && !rested(self.told, INTERVAL) {
            return None;
        }
        if keyframe {
            self.asked = Some(now);
        }
        (self.told, self.bitrate) = (Some(now), bitrate);
        Some(Wanted { keyframe, bitrate })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sender_is_told_each_second_and_at_once_where_something_is_wanted() {
        let (mut feedback, start) = (Feedback::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        let high = Some(Bitrate::from_kbps(2_000));
        let low = Some(Bitrate::from_kbps(500));
        let told = |keyframe, bitrate| Some(Wanted { keyframe, bitrate });
        assert_eq!(feedback.due(false, high, at(0)), told(false, high));
        assert_eq!(feedback.due(false, high, at(33)), None);
        assert_eq!(feedback.due(true, high, at(66)), told(true, high));
        assert_eq!(feedback.due(true, low, at(99)), None, "soon");
        assert_eq!(feedback.due(true, low, at(166)), told(false, low));
        assert_eq!(feedback.due(true, low, at(565)), None);
        assert_eq!(feedback.due(true, low, at(566)), told(true, low), "the first may be lost");
        assert_eq!(feedback.due(false, low, at(600)), None, "it came");
        assert_eq!(feedback.due(true, low, at(633)), told(true, low), "another one");
        assert_eq!(feedback.due(false, low, at(1_632)), None);
        assert_eq!(feedback.due(false, low, at(1_633)), told(false, low));
    }

    #[test]
    fn only_who_sends_the_pictures_is_told() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let from = |text| Destination { inlet: 1, to: address(text) };
        let mut feedback = Feedback::default();
        assert_eq!(feedback.destination(), None);
        feedback.note_report(from("192.0.2.1:5005"));
        assert_eq!(feedback.destination(), None, "it has sent no picture");
        feedback.note_packet(address("192.0.2.1:5004"));
        assert_eq!(feedback.destination(), Some(from("192.0.2.1:5005")));
        feedback.note_report(from("198.51.100.1:5005"));
        assert_eq!(feedback.destination(), None, "it is another's address");
        let fixed = address("192.0.2.1:5009");
        let feedback = Feedback { fixed: Some(fixed), ..feedback };
        assert_eq!(feedback.destination(), Some(Destination { inlet: 0, to: fixed }));
    }
}
