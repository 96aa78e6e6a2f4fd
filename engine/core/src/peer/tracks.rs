//! What a viewer is sent, and what it may send, out of what was negotiated.

use std::sync::Arc;

use str0m::format::{Codec, CodecSpec, PayloadParams};
use str0m::media::{MediaKind, Pt};
use visavis_types::{AudioCodec, VideoCodec};

use super::Peer;
use crate::negotiate::{self, MediaSection};
use crate::packetize::primary;
use crate::rtp_output::Track;

/// RTP clock rate of every video codec.
const VIDEO_HZ: u32 = 90_000;

#[derive(Debug, Clone, Copy)]
pub(super) struct VideoState {
    pub(super) codec: VideoCodec,
    /// Nothing is decodable before a keyframe, so nothing is sent before one.
    pub(super) awaiting_keyframe: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct AudioState {
    pub(super) codec: AudioCodec,
    /// The payload type that packets with redundancy name as what is in them, where the viewer takes
    /// such packets.
    pub(super) in_red: Option<u8>,
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
    pub(super) fn choose_tracks(&mut self, answer: &str) {
        let params = self.rtc.codec_config().params();
        self.microphone.clear();
        for param in params {
            if let Some(codec) = audio_codec(param.spec().codec) {
                let red = param.red().map(|red| (*red, MicFormat { codec, red: true }));
                self.microphone.push((*param.pt(), MicFormat { codec, red: false }));
                self.microphone.extend(red);
            }
        }
        let (mut video, mut audio) = (None, None);
        for section in negotiate::media_sections(answer) {
            let Some(media) = self.rtc.media(section.mid) else {
                continue;
            };
            if !media.direction().is_sending() {
                continue;
            }
            let params = self.rtc.codec_config().params();
            let negotiated = media
                .remote_pts()
                .iter()
                .filter_map(|pt| params.iter().find(|param| param.pt() == *pt));
            match section.kind {
                MediaKind::Video => {
                    // The session's preferences first, then the browser's order; of the H264 profiles
                    // the one the encoder makes.
                    let chosen = negotiated
                        .filter_map(|param| Some((param, video_codec(param.spec().codec)?)))
                        .min_by_key(|(param, codec)| {
                            (rank(&self.order.video, *codec), !is_usual_profile(&param.spec()))
                        });
                    if video.is_none()
                        && let Some((param, codec)) = chosen
                    {
                        video = Some((section, codec, param.pt(), param.resend()));
                    }
                }
                MediaKind::Audio => {
                    let chosen = negotiated
                        .filter_map(|param| Some((param, audio_codec(param.spec().codec)?)))
                        .min_by_key(|(_, codec)| rank(&self.order.audio, *codec));
                    if audio.is_none()
                        && let Some((param, codec)) = chosen
                    {
                        audio = Some((section, codec, *param));
                    }
                }
            }
        }
        let old_mid = self.output.tracks.video.as_ref().map(|video| video.mid);
        self.output.retire();
        self.audio =
            audio.and_then(|(section, codec, param)| self.choose_audio(&section, codec, &param));
        let before = self.video.take();
        if let Some((section, codec, pt, resend)) = video {
            let same = old_mid == Some(section.mid);
            self.output.tracks.video = self.track(&section, VIDEO_HZ, (pt, resend));
            let going_on = before.filter(|before| same && before.codec == codec);
            self.video = self.output.tracks.video.is_some().then(|| VideoState {
                codec,
                awaiting_keyframe: going_on.is_none_or(|before| before.awaiting_keyframe),
            });
        }
    }

    fn choose_audio(
        &mut self,
        section: &MediaSection,
        codec: AudioCodec,
        param: &PayloadParams,
    ) -> Option<AudioState> {
        let (payload_type, in_red) = match param.red() {
            Some(red) => (red, Some(*param.pt())),
            None => (param.pt(), None),
        };
        let track = self.track(section, codec.clock_hz(), (payload_type, None))?;
        self.output.tracks.audio = Some(track);
        Some(AudioState { codec, in_red })
    }

    /// The stream for a media section: the one it had, with what was negotiated anew, or a new one.
    fn track(
        &mut self,
        section: &MediaSection,
        clock_hz: u32,
        (pt, resend_pt): (Pt, Option<Pt>),
    ) -> Option<Track> {
        // RFC 3550 §5.1: unpredictable; the upper half is left free so that SRTP's roll-over counter,
        // which starts at 0 on both sides, is agreed on before the first roll-over (RFC 3711 §3.3.1).
        let first = (self.id.as_raw() & 0x7fff) as u16;
        let mut api = self.rtc.direct_api();
        let stream = api.stream_tx_by_mid(section.mid, None)?;
        let (ssrc, resend_ssrc) = (*stream.ssrc(), stream.rtx().map(|ssrc| *ssrc));
        let revived = self.output.revive(ssrc);
        let mut track = revived.unwrap_or_else(|| Track::new(section.mid, ssrc, clock_hz, first));
        track.payload_type = *pt;
        track.clock_hz = clock_hz;
        track.extensions = section.extensions;
        track.resend_in(resend_ssrc.zip(resend_pt.map(|pt| *pt)), first);
        Some(track)
    }
}

/// A codec's place in an order of preference; those not in it share the last.
fn rank<C: PartialEq>(order: &[C], codec: C) -> usize {
    order.iter().position(|preferred| *preferred == codec).unwrap_or(order.len())
}

fn audio_codec(codec: Codec) -> Option<AudioCodec> {
    match codec {
        Codec::Opus => Some(AudioCodec::Opus),
        Codec::PCMU => Some(AudioCodec::Pcmu),
        Codec::PCMA => Some(AudioCodec::Pcma),
        _ => None,
    }
}

fn video_codec(codec: Codec) -> Option<VideoCodec> {
    match codec {
        Codec::H264 => Some(VideoCodec::H264),
        Codec::Vp8 => Some(VideoCodec::Vp8),
        Codec::Vp9 => Some(VideoCodec::Vp9),
        Codec::Av1 => Some(VideoCodec::Av1),
        _ => None,
    }
}

/// Whether a format is of the profile that is sent: constrained baseline of H264, by the first
/// constraint flags of its `profile-level-id` (RFC 6184 §8.1, table 5); profile 0 of VP9 (RFC 9628
/// §7); any of the others.
fn is_usual_profile(spec: &CodecSpec) -> bool {
    const PROFILE_AND_SET1: u32 = 0xff_4000;
    match spec.codec {
        Codec::H264 => {
            spec.format.profile_level_id.is_some_and(|id| id & PROFILE_AND_SET1 == 0x42_4000)
        }
        Codec::Vp9 => spec.format.profile_id.unwrap_or(0) == 0,
        _ => true,
    }
}
