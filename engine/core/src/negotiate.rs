//! From an offer to a peer with an answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use str0m::change::SdpOffer;
use str0m::config::{CryptoProvider, DtlsCert};
use str0m::format::{Codec as RtcCodec, FormatParams};
use str0m::ice::IceCreds;
use str0m::rtp::{Extension, ExtensionMap};
use str0m::{Candidate, Rtc, RtcConfig};
use visavis_types::{AudioCodec, CodecSet, PeerId, SessionId, VideoCodec};

use crate::candidates::RemoteCandidates;
use crate::credentials;
use crate::data::MAX_MESSAGE_BYTES;
use crate::dtls::{self, Handshake};
use crate::entropy::{self, Entropy};
use crate::peer::{Checks, Peer};
use crate::rtp::send::RtpOutput;
use crate::sdp::{Codec, NegotiateError, Offer, Ours, Plan, SdpError, Sections, Supported, Taken};

/// The one DTLS certificate all peers share, and the cryptography behind it. Making a certificate per
/// peer would cost milliseconds each.
#[derive(Debug, Clone)]
pub struct Certificate {
    provider: Arc<CryptoProvider>,
    certificate: DtlsCert,
}

impl Certificate {
    /// Makes a fresh self-signed certificate.
    pub fn generate() -> Result<Self, String> {
        let provider = Arc::new(CryptoProvider {
            dtls_provider: &dtls::SHARED,
            ..str0m::crypto::from_feature_flags()
        });
        let certificate = provider
            .dtls_provider
            .generate_certificate()
            .ok_or("the cryptography library made none")?;
        Ok(Self { provider, certificate })
    }
}

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
    /// Whether sound in Opus is sent with redundancy (RFC 2198) to viewers that take it.
    pub red: bool,
    /// Our ICE host candidates.
    pub candidates: &'a [SocketAddr],
    /// The engine's certificate.
    pub certificate: &'a Certificate,
    /// The current time.
    pub now: Instant,
}

/// Codecs in order of preference. Those not named come after them, in the viewer's order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CodecOrder {
    /// For the picture.
    pub video: Vec<VideoCodec>,
    /// For the sound.
    pub audio: Vec<AudioCodec>,
}

/// A first offer, accepted.
pub(crate) struct Accepted {
    pub(crate) rtc: Box<Rtc>,
    pub(crate) handshake: Arc<Handshake>,
    pub(crate) output: RtpOutput,
    pub(crate) media: Media,
    pub(crate) checks: Checks,
    pub(crate) candidates: RemoteCandidates,
}

/// What was negotiated.
#[derive(Debug)]
pub(crate) struct Media {
    supported: Supported,
    sections: Sections,
    /// The sections that were taken of the last offer.
    pub(crate) taken: Vec<Taken>,
}

impl PeerSetup<'_> {
    /// Answers an offer. Runs on any thread; the peer is then handed to the [`Hub`](crate::Hub).
    ///
    /// # Errors
    ///
    /// See [`NegotiateError`].
    pub fn answer(self, offer: &Offer) -> Result<(Peer, String), NegotiateError> {
        let supported = Supported { video: self.video_codecs, red: self.red };
        let mut media = Media { supported, sections: Sections::default(), taken: Vec::new() };
        let plan = media.plan(offer)?;
        let mut candidates = RemoteCandidates::default();
        let (inner, refused) = candidates.filter(&plan.text);
        let remote = credentials::of(&inner).ok_or(NegotiateError::Sdp(SdpError::NoIce))?;
        let local = entropy::ice_credentials().ok_or(NegotiateError::NoRandomness)?;
        Entropy::default().reseed();
        let (mut rtc, handshake) = dtls::with_handshake(|| self.build_rtc(local.clone()));
        for &addr in self.candidates {
            match Candidate::host(addr, "udp") {
                Ok(candidate) => {
                    rtc.add_local_candidate(candidate);
                }
                Err(error) => tracing::warn!(%addr, %error, "not usable as an ICE candidate"),
            }
        }
        let answer = media.accept(&mut rtc, plan, &inner)?;
        let checks = Checks::new(self.certificate.provider.sha1_hmac_provider, local, remote);
        let output = RtpOutput::new(Arc::clone(&handshake.keys));
        let rtc = Box::new(rtc);
        let accepted = Accepted { rtc, handshake, output, media, checks, candidates };
        let mut peer = Peer::new((self.peer, self.session), self.order, accepted, self.now);
        peer.note_refused_candidates(refused);
        peer.note_max_message(offer);
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
            .enable_opus(true, self.red)
            .enable_pcmu(true, false)
            .enable_pcma(true, false)
            // A browser refuses to send more than it is told here.
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

/// Header extensions offered, each one paid for in every packet that carries it. Transport-wide sequence
/// numbers are left out: viewers would answer them twenty times a second, for an estimator that has
/// nothing to decide while all viewers get one encoding. Stream ids belong to simulcast, which we do not
/// send.
fn extensions() -> ExtensionMap {
    let mut map = ExtensionMap::empty();
    map.set(1, Extension::AudioLevel);
    map.set(4, Extension::RtpMid);
    map.set(5, Extension::PlayoutDelay);
    map.set(6, Extension::AbsoluteCaptureTime);
    map
}

impl Media {
    /// What to do with an offer.
    pub(crate) fn plan<'o>(&self, offer: &'o Offer) -> Result<Plan<'o>, NegotiateError> {
        self.sections.plan(offer, self.supported)
    }

    /// Has the stack accept what was planned, and writes the answer. `inner` is the plan's text, without
    /// candidates that are too much.
    pub(crate) fn accept(
        &mut self,
        rtc: &mut Rtc,
        plan: Plan<'_>,
        inner: &str,
    ) -> Result<String, NegotiateError> {
        let unworkable = |error: &dyn std::fmt::Display| {
            tracing::warn!(%error, "the WebRTC stack does not take an offer");
            NegotiateError::Sdp(SdpError::Unworkable)
        };
        let inner = SdpOffer::from_sdp_string(inner).map_err(|error| unworkable(&error))?;
        let inner = credentials::unlogged(|| rtc.sdp_api().accept_offer(inner));
        let inner = inner.map_err(|error| unworkable(&error))?;
        let ours = Ours::read(&inner.to_sdp_string(), MAX_MESSAGE_BYTES);
        let ours = ours.ok_or_else(|| unworkable(&"its answer lacks something"))?;
        let answer = plan.answer(&ours);
        let checked = plan.check(&answer);
        // The stack has accepted it, whatever becomes of the answer.
        (self.sections, self.taken) = plan.commit(ours.role());
        checked.map_err(|error| unworkable(&error))?;
        Ok(answer)
    }
}

/// Reads a remote candidate. `None`: nothing to add, for a good reason — end of candidates, an mDNS
/// name that only the viewer's own network resolves, or a transport we do not have.
pub(crate) fn parse_candidate(text: &str) -> Result<Option<Candidate>, String> {
    let text = text.trim();
    let line = text.strip_prefix("a=").unwrap_or(text);
    if line.is_empty() {
        return Ok(None);
    }
    let mut fields = line.split_ascii_whitespace();
    let component = fields.nth(1).unwrap_or_default();
    let transport = fields.next().unwrap_or_default();
    let address = fields.nth(1).unwrap_or_default();
    let foreign = !transport.eq_ignore_ascii_case("udp") && !transport.is_empty();
    // RTCP's own, which is not used (RFC 8834 §4.5).
    let foreign = foreign || component == "2";
    if line.starts_with("candidate:") && (address.ends_with(".local") || foreign) {
        return Ok(None);
    }
    Candidate::from_sdp_string(line).map(Some).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_as_browsers_send_them() {
        let host = "candidate:1 1 udp 2122260223 192.0.2.7 52000 typ host generation 0 ufrag abcd";
        assert!(parse_candidate(host).unwrap().is_some());
        assert!(parse_candidate(&format!("a={host}")).unwrap().is_some());
        for skipped in [
            "",
            "  ",
            "candidate:1 1 udp 2122260223 0d7b4a4e-77c6-4a2c-8d35-6d1e6e0f6f52.local 52000 typ host",
            "candidate:1 1 tcp 1518280447 192.0.2.7 9 typ host tcptype active",
            "candidate:1 2 udp 2122260222 192.0.2.7 52001 typ host",
        ] {
            assert_eq!(parse_candidate(skipped).unwrap(), None, "{skipped:?}");
        }
        for broken in ["nonsense", "candidate:", "candidate:1 1 udp x y z typ host"] {
            assert!(parse_candidate(broken).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn what_is_no_offer_is_refused() {
        for offer in ["", "hello", "v=0\r\n", "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"] {
            assert!(Offer::parse(offer).is_err(), "{offer:?}");
        }
    }
}
