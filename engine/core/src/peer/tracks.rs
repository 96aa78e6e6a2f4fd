//! What a viewer is sent, and what it may send, out of what was negotiated.

use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::media::Mid;
use visavis_types::{AudioCodec, AudioRendition, VideoCodec};

use super::Peer;
use crate::rendition::Selection;
use crate::rtp::receive::primary;
use crate::rtp::send::{ExtensionIds, Track};
use crate::sdp::{Codec, Format, Taken, TakenKind};

/// RTP clock rate of every video codec.
const VIDEO_HZ: u32 = 90_000;

#[derive(Debug, Clone, Copy)]
pub(super) struct VideoState {
    pub(super) codec: VideoCodec,
    /// None until it is in its session.
    pub(super) selection: Option<Selection>,
}

impl VideoState {
    pub(super) fn await_keyframe(&mut self) {
        self.selection.iter_mut().for_each(Selection::await_keyframe);
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct AudioState {
    pub(super) rendition: AudioRendition,
    /// The payload type that packets with redundancy name as what is in them, where the viewer takes
    /// such packets.
    pub(super) in_red: Option<u8>,
}

/// A stream that was silent for so long is the microphone no more, if another one comes. Who sends no silence sends a
/// packet each 400 ms.
const MICROPHONE_SILENCE: Duration = Duration::from_millis(500);

/// Which stream of a viewer is its microphone. Sections may send at once, as where the sound of a shared screen comes
/// beside a voice: their packets are of two rows of numbers, and as one they would be neither.
#[derive(Debug, Default)]
pub(super) struct MicSource(Option<(u32, Instant)>);

impl MicSource {
    /// Whether a packet of this stream is the microphone's.
    pub(super) fn takes(&mut self, ssrc: u32, now: Instant) -> bool {
        let taken = self.0.is_none_or(|(known, heard)| {
            known == ssrc || now.saturating_duration_since(heard) >= MICROPHONE_SILENCE
        });
        if taken {
            self.0 = Some((ssrc, now));
        }
        taken
    }
}

/// What a microphone's packets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MicFormat {
    pub(super) codec: AudioCodec,
    /// With copies of those before (RFC 2198), for which there is no use here: what is lost is waited for,
    /// and then made up for.
    pub(super) red: bool,
}

impl MicFormat {
    /// The packet by itself.
    pub(super) fn payload(self, payload: Arc<[u8]>) -> Option<Arc<[u8]>> {
        if self.red { primary(&payload).map(Arc::from) } else { Some(payload) }
    }
}

impl Peer {
    /// Picks, from what was negotiated, what this peer is sent.
    pub(super) fn choose_tracks(&mut self) {
        let taken = std::mem::take(&mut self.media.taken);
        self.microphone.clear();
        for section in taken.iter().filter(|section| section.direction.receives) {
            for format in &section.formats {
                let Some(codec) = format.codec.audio() else { continue };
                let red = format.red.map(|red| (red, MicFormat { codec, red: true }));
                self.microphone.push((format.number, MicFormat { codec, red: false }));
                self.microphone.extend(red);
            }
        }
        let sent = |kind: TakenKind| {
            taken.iter().find(|section| section.kind == kind && section.direction.sends)
        };
        // The session's preferences first, then the browser's order; of the H264 profiles the one the
        // encoder makes.
        let video = sent(TakenKind::Video).and_then(|section| {
            let formats = section.formats.iter();
            let known = formats.filter_map(|format| Some((section, format, format.codec.video()?)));
            known.min_by_key(|(_, format, codec)| {
                (rank(&self.order.video, *codec), format.codec == Codec::H264Baseline)
            })
        });
        let audio = sent(TakenKind::Audio).and_then(|section| {
            let formats = section.formats.iter();
            let known = formats.filter_map(|format| Some((section, format, format.codec.audio()?)));
            known.min_by_key(|(_, _, codec)| rank(&self.order.audio, *codec))
        });
        let old_ssrc = self.output.tracks.video.as_ref().map(Track::ssrc);
        self.output.retire();
        self.audio = audio.and_then(|(section, format, codec)| {
            // Packets with copies name what is in them.
            let in_red = format.red.map(|_| format.number);
            let number = format.red.unwrap_or(format.number);
            let track = self.track(section, codec.clock_hz(), (number, None))?;
            self.output.tracks.audio = Some(track);
            Some(AudioState { rendition: AudioRendition::of(codec, format.stereo), in_red })
        });
        let before = self.video.take();
        self.video = video.and_then(|(section, format, codec)| {
            let Format { number, rtx, .. } = *format;
            let track = self.track(section, VIDEO_HZ, (number, rtx))?;
            let same = old_ssrc == Some(track.ssrc());
            self.output.tracks.video = Some(track);
            let going_on = before.filter(|before| same && before.codec == codec);
            let selection = going_on.and_then(|before| before.selection);
            Some(VideoState { codec, selection })
        });
        self.media.taken = taken;
        // Sections that were given to others took their streams with them, whose SSRCs do not come again.
        let mut api = self.rtc.direct_api();
        self.output.forget_retired(|ssrc| api.stream_tx(&ssrc.into()).is_some());
    }

    /// The stream for a media section: the one it had, with what was negotiated anew, or a new one.
    fn track(
        &mut self,
        section: &Taken,
        clock_hz: u32,
        (number, resend_number): (u8, Option<u8>),
    ) -> Option<Track> {
        // RFC 3550 §5.1: unpredictable; the upper half is left free so that SRTP's roll-over counter,
        // which starts at 0 on both sides, is agreed on before the first roll-over (RFC 3711 §3.3.1).
        let first = (self.id.as_raw() & 0x7fff) as u16;
        let mut api = self.rtc.direct_api();
        let stream = api.stream_tx_by_mid(Mid::from(&*section.name), None)?;
        let (ssrc, resend_ssrc) = (*stream.ssrc(), stream.rtx().map(|ssrc| *ssrc));
        let mid = section.mid.as_deref().unwrap_or_default();
        let revived = self.output.revive(ssrc);
        let mut track = revived.unwrap_or_else(|| Track::new(mid, ssrc, clock_hz, first));
        let mut extensions = ExtensionIds::default();
        section.extensions().for_each(|(id, uri)| extensions.add(id, uri));
        track.payload_type = number;
        track.clock_hz = clock_hz;
        track.extensions = extensions;
        track.resend_in(resend_ssrc.zip(resend_number), first);
        Some(track)
    }
}

/// A codec's place in an order of preference; those not in it share the last.
fn rank<C: PartialEq>(order: &[C], codec: C) -> usize {
    order.iter().position(|preferred| *preferred == codec).unwrap_or(order.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stream_of_a_viewer_is_its_microphone_until_it_is_silent() {
        let (mut source, start) = (MicSource::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        let taken = |source: &mut MicSource, ssrc, range: std::ops::Range<u64>| {
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
