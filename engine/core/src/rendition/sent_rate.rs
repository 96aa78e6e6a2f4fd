//! What a rendition takes to send.

use std::time::{Duration, Instant};

use visavis_types::TemporalLayer;

use crate::rtp::packetize::PacketizedFrame;

/// What was sent longer ago counts for little: keyframes, which are a good part of a second, should not count as what it
/// takes all the time.
const AVERAGED_OVER: Duration = Duration::from_secs(2);
/// Without a frame for so long, nothing is known.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(5);
/// What a packet has beside its payload: IPv4, UDP, RTP with extensions, SRTP's tag.
const HEADERS: usize = 20 + 8 + 12 + 20 + 16;
const LAYERS: usize = TemporalLayer::HIGHEST.index() as usize + 1;

/// Bits a second of a rendition as it is sent to one viewer, with all headers, by temporal layer.
#[derive(Debug, Default)]
pub(super) struct SentRate {
    by_layer: [f64; LAYERS],
    last: Option<Instant>,
}

impl SentRate {
    /// Notes a frame. `expected` is what the rendition should take, in bits a second; it counts until enough was seen.
    pub(super) fn note(&mut self, frame: &PacketizedFrame, expected: f64, now: Instant) {
        let after = self.known(now).map(|last| now.saturating_duration_since(last));
        match after {
            Some(after) => {
                let left = (-after.as_secs_f64() / AVERAGED_OVER.as_secs_f64()).exp();
                self.by_layer.iter_mut().for_each(|rate| *rate *= left);
            }
            None => {
                self.by_layer = [0.0; LAYERS];
                self.by_layer[0] = expected;
            }
        }
        self.last = Some(now);
        let layer = frame.layers.map_or(0, |layers| usize::from(layers.layer.index()));
        let bits = 8 * (frame.payloads.bytes() + frame.payloads.len() * HEADERS);
        if let Some(rate) = self.by_layer.get_mut(layer) {
            *rate += bits as f64 / AVERAGED_OVER.as_secs_f64();
        }
    }

    fn known(&self, now: Instant) -> Option<Instant> {
        self.last.filter(|last| now.saturating_duration_since(*last) < FORGOTTEN_AFTER)
    }

    /// What each layer takes with all those below it, from the base up to the highest there is; nothing where nothing is
    /// known.
    pub(super) fn layers(&self, now: Instant) -> impl Iterator<Item = (TemporalLayer, f64)> {
        let known = self.known(now).is_some();
        // Below a bit a second there is nothing of it any more.
        let highest = self.by_layer.iter().rposition(|rate| *rate >= 1.0).filter(|_| known);
        let mut sum = 0.0;
        let layers = self.by_layer.into_iter().take(highest.map_or(0, |highest| highest + 1));
        (0..).zip(layers).filter_map(move |(layer, rate)| {
            sum += rate;
            Some((TemporalLayer::new(layer)?, sum))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use visavis_types::{Layering, RenditionId, SessionNumber, Stamps, VideoCodec};

    fn frame(layer: u8, bytes: usize, at: Instant) -> PacketizedFrame {
        let layer = TemporalLayer::new(layer).unwrap();
        PacketizedFrame {
            rendition: RenditionId::lowest(SessionNumber::unique(), VideoCodec::Vp8),
            keyframe: false,
            layers: Some(Layering { layer, sync: false, refers_back: [0; 3] }),
            payloads: Arc::new([vec![0; bytes]].iter().collect()),
            captured: at,
            stamps: Stamps::pushed(at),
        }
    }

    #[test]
    fn it_is_what_was_sent_of_late_and_before_that_what_was_expected() {
        let (mut rate, start) = (SentRate::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        let layers = |rate: &SentRate, ms| -> Vec<f64> {
            rate.layers(at(ms)).map(|(_, rate)| (rate / 1e3).round()).collect()
        };
        assert_eq!(layers(&rate, 0), []);
        // 8 kbit each 40 ms, every second one of layer 1: 100 and 200 kbit/s.
        rate.note(&frame(0, 1_000 - HEADERS, at(0)), 300e3, at(0));
        assert_eq!(layers(&rate, 0), [304.0]);
        for n in 1..300 {
            rate.note(&frame(n as u8 % 2, 1_000 - HEADERS, at(n * 40)), 300e3, at(n * 40));
        }
        let [base, all] = layers(&rate, 12_000)[..] else { panic!("two layers") };
        assert!((95.0..=105.0).contains(&base) && (195.0..=205.0).contains(&all), "{base} {all}");
        assert_eq!(layers(&rate, 17_100), [], "nothing came for long");
    }
}
