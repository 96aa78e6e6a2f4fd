//! From an offer to a peer with an answer.

use std::sync::Arc;
use std::time::Instant;

use str0m::format::{Codec as RtcCodec, FormatParams};
use str0m::ice::IceCreds;
use str0m::rtp::{Extension, ExtensionMap};
use str0m::{Rtc, RtcConfig};
use visavis_types::{CodecSet, PeerId, PeerPermissions, SessionId};

use super::certificate::Certificate;
use super::data::MAX_MESSAGE_BYTES;
use super::negotiation::Negotiation;
use super::path::candidates::{RemoteCandidates, host_candidate};
use super::path::{Checks, Path, credentials};
use super::sound_copies::SoundCopies;
use super::tracks::CodecOrder;
use super::{Accepted, Peer};
use crate::dtls;
use crate::entropy::{self, Entropy};
use crate::sdp::{Codec, NegotiateError, Offer, SdpError};
use crate::transport::TransportAddress;

/// What a new peer is made with.
#[derive(Debug)]
pub struct PeerSetup<'a> {
    /// Its id.
    pub peer: PeerId,
    /// The session it watches.
    pub session: SessionId,
    /// What the session would rather send.
    pub order: CodecOrder,
    /// All video codecs the session can send; it can send every audio codec.
    pub video_codecs: CodecSet,
    /// Whether sound in Opus is sent with redundancy (RFC 2198) to all viewers that take it, and by them. Otherwise it is
    /// sent so to those that lose packets.
    pub red: bool,
    /// What is taken of what it sends.
    pub permissions: PeerPermissions,
    /// Which media loop it will be on: its ICE user name says so ([`named_media_loop`](crate::named_media_loop)).
    pub media_loop: usize,
    /// Our ICE host candidates: addresses at which the media loop is reached.
    pub candidates: &'a [TransportAddress],
    /// The engine's certificate.
    pub certificate: &'a Certificate,
    /// The current time.
    pub now: Instant,
}

impl PeerSetup<'_> {
    /// Answers an offer. Runs on any thread; the peer is then handed to the [`Hub`](crate::Hub).
    ///
    /// # Errors
    ///
    /// See [`NegotiateError`].
    pub fn answer(self, offer: &Offer) -> Result<(Peer, String), NegotiateError> {
        let mut negotiation = Negotiation::new(self.video_codecs, self.red, self.permissions);
        let plan = negotiation.plan(offer)?;
        let mut candidates = RemoteCandidates::default();
        let (inner, refused) = candidates.filter(&plan.text);
        let remote = credentials::of(&inner).ok_or(NegotiateError::Sdp(SdpError::NoIce))?;
        let local =
            entropy::ice_credentials(self.media_loop).ok_or(NegotiateError::NoRandomness)?;
        Entropy::default().reseed();
        let (mut rtc, handshake) = dtls::with_handshake(|| self.build_rtc(local.clone()));
        for &at in self.candidates {
            match host_candidate(at) {
                Ok(candidate) => {
                    rtc.add_local_candidate(candidate);
                }
                Err(error) => tracing::warn!(?at, %error, "not usable as an ICE candidate"),
            }
        }
        let answer = negotiation.accept(&mut rtc, plan, &inner)?;
        let checks = Checks::new(self.certificate.provider.sha1_hmac_provider, local, remote);
        let path = Path::new(checks, (candidates, refused), self.now);
        let copies = if self.red { SoundCopies::Always } else { SoundCopies::Without };
        let accepted = Accepted { rtc: Box::new(rtc), handshake, negotiation, path, copies };
        let mut peer = Peer::new((self.peer, self.session), self.order, accepted, self.now);
        peer.data.permit(self.permissions.data);
        peer.data_gauge().read_max_message(offer);
        Ok((peer, answer))
    }

    fn build_rtc(&self, credentials: IceCreds) -> Rtc {
        let mut config = RtcConfig::new()
            .set_crypto_provider(Arc::clone(&self.certificate.provider))
            .set_dtls_cert(self.certificate.certificate.clone())
            .set_local_ice_credentials(credentials)
            .set_rtp_mode(true)
            // Reports and retransmission requests: what is sent is ours to know.
            .enable_raw_packets(true)
            .set_extension_map(extensions())
            .clear_codecs()
            .enable_opus(true, true)
            .enable_pcmu(true, false)
            .enable_pcma(true, false)
            // A browser refuses to send more than this.
            .set_sctp_max_message_size(MAX_MESSAGE_BYTES as u32)
            // Without the first report a browser cannot tie sound to picture.
            .set_rtcp_report_interval_audio(std::time::Duration::from_secs(1));
        for codec in Codec::VIDEO {
            let (of, format) = video_format(codec);
            if let Some((number, resend)) = codec.inner_numbers() {
                let (number, resend) = (number.into(), Some(resend.into()));
                let clock = str0m::media::Frequency::NINETY_KHZ;
                config.codec_config().add_config(number, resend, of, clock, None, format);
            }
        }
        config.build(self.now)
    }
}

/// A codec of pictures as the stack knows it. Which of them a viewer is sent is not the stack's to know, so
/// that all are there.
fn video_format(codec: Codec) -> (RtcCodec, FormatParams) {
    let h264 = |profile_level_id| FormatParams {
        level_asymmetry_allowed: Some(true),
        packetization_mode: Some(1),
        profile_level_id: Some(profile_level_id),
        ..FormatParams::default()
    };
    match codec {
        Codec::Vp9 => {
            (RtcCodec::Vp9, FormatParams { profile_id: Some(0), ..FormatParams::default() })
        }
        Codec::Av1 => (RtcCodec::Av1, FormatParams::default()),
        Codec::H264ConstrainedBaseline => (RtcCodec::H264, h264(0x42_e01f)),
        Codec::H264Baseline => (RtcCodec::H264, h264(0x42_001f)),
        _ => (RtcCodec::Vp8, FormatParams::default()),
    }
}

/// Header extensions that the stack reads, each one paid for in every packet that carries it. Transport-wide sequence
/// numbers are not its business: what is sent we number ourselves, and what viewers send is sound, for which answers have
/// none. Stream ids belong to simulcast, which we do not send.
fn extensions() -> ExtensionMap {
    let mut map = ExtensionMap::empty();
    map.set(1, Extension::AudioLevel);
    map.set(4, Extension::RtpMid);
    map.set(5, Extension::PlayoutDelay);
    map.set(6, Extension::AbsoluteCaptureTime);
    map
}
