//! What a viewer sends: its microphone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::rtp::RtpPacket;
use visavis_types::{AudioCodec, Refusal};

use crate::rtp::receive::{MicPacket, primary};
use crate::sdp::Taken;

/// A stream that was silent for so long loses its place to another one. A sender that leaves out silence still sends a
/// packet every 400 ms.
const SILENCE: Duration = Duration::from_millis(500);

/// The microphone of one viewer.
#[derive(Debug, Default)]
pub(super) struct Microphone {
    /// What it may come as, by payload type.
    formats: Vec<(u8, Format)>,
    source: Source,
}

/// What a microphone's packets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Format {
    codec: AudioCodec,
    /// With copies of those before (RFC 2198), for which there is no use here: what is lost is waited for,
    /// and then made up for.
    red: bool,
}

/// Which stream of a viewer is its microphone. Sections may send at once, as where the sound of a shared screen comes
/// beside a voice: their packets are of two rows of numbers, and as one they would be neither.
#[derive(Debug, Default)]
struct Source(Option<(u32, Instant)>);

impl Microphone {
    /// Notes the formats in which it may come.
    pub(super) fn negotiate(&mut self, taken: &[Taken]) {
        self.formats.clear();
        for section in taken.iter().filter(|section| section.direction.receives) {
            for format in &section.formats {
                let Some(codec) = format.codec.audio() else { continue };
                let red = format.red.map(|red| (red, Format { codec, red: true }));
                self.formats.push((format.number, Format { codec, red: false }));
                self.formats.extend(red);
            }
        }
    }

    /// Whether there is a format in which it may come.
    #[cfg(test)]
    pub(super) fn is_taken(&self) -> bool {
        !self.formats.is_empty()
    }

    /// A packet that was received; `Ok(None)` where it is no sound.
    pub(super) fn receive(
        &mut self,
        packet: RtpPacket,
        now: Instant,
    ) -> Result<Option<MicPacket>, Refusal> {
        let payload_type = *packet.header.payload_type;
        let known = self.formats.iter().find(|(number, _)| *number == payload_type);
        let Some(&(_, format)) = known else { return Ok(None) };
        if !self.source.takes(*packet.header.ssrc, now) {
            return Err(Refusal::Microphone);
        }
        Ok(format.payload(packet.payload).map(|payload| MicPacket {
            codec: format.codec,
            sequence: packet.header.sequence_number,
            rtp_time: packet.header.timestamp,
            payload,
            arrived: now,
        }))
    }
}

impl Source {
    /// Whether a packet of this stream is the microphone's.
    fn takes(&mut self, ssrc: u32, now: Instant) -> bool {
        let taken = self.0.is_none_or(|(known, last)| {
            known == ssrc || now.saturating_duration_since(last) >= SILENCE
        });
        if taken {
            self.0 = Some((ssrc, now));
        }
        taken
    }
}

impl Format {
    /// The packet by itself.
    fn payload(self, payload: Arc<[u8]>) -> Option<Arc<[u8]>> {
        if self.red { primary(&payload).map(Arc::from) } else { Some(payload) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stream_of_a_viewer_is_its_microphone_until_it_is_silent() {
        let (mut source, start) = (Source::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        let taken = |source: &mut Source, ssrc, range: std::ops::Range<u64>| {
            range.step_by(20).filter(|ms| source.takes(ssrc, at(*ms))).count()
        };
        assert!(source.takes(7, at(0)));
        for ms in (0..2_000).step_by(20) {
            assert!(!source.takes(8, at(ms + 5)), "{ms}");
            assert!(source.takes(7, at(ms + 10)), "{ms}");
        }
        // The first one is switched off.
        assert_eq!(taken(&mut source, 8, 2_000..2_480), 0);
        assert_eq!(taken(&mut source, 8, 2_500..3_000), 25);
        assert!(!source.takes(7, at(3_000)));
    }
}
