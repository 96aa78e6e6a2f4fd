//! From a browser's offer to a peer with an answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use str0m::change::SdpOffer;
use str0m::config::{CryptoProvider, DtlsCert};
use str0m::ice::IceCreds;
use str0m::media::{MediaKind, Mid};
use str0m::rtp::{Extension, ExtensionMap};
use str0m::{Candidate, Rtc, RtcConfig};
use visavis_types::{AudioCodec, CodecSet, PeerId, SessionId, VideoCodec};

use crate::candidates::RemoteCandidates;
use crate::credentials;
use crate::data::MAX_MESSAGE_BYTES;
use crate::dtls;
use crate::entropy::{self, Entropy};
use crate::h264_level;
use crate::peer::{Checks, Peer};
use crate::rtp_output::{ExtensionIds, RtpOutput};

/// The media stream all tracks of a peer belong to.
const STREAM_ID: &str = "visavis";

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

/// Why an offer got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NegotiateError {
    /// Not SDP, or not SDP that WebRTC can work with.
    #[error("{0}")]
    Sdp(String),
    /// The peer makes offers faster than they are taken.
    #[error("too many offers of this peer; wait a second")]
    TooManyOffers,
    /// The system gave none for the credentials of a new peer.
    #[error("the system has no randomness")]
    NoRandomness,
    /// Nothing in it that we could send.
    #[error("no codec in common")]
    NoCommonCodec,
}

impl PeerSetup<'_> {
    /// Answers an offer. Runs on any thread; the peer is then handed to the [`Hub`](crate::Hub).
    pub fn answer(self, offer: &str) -> Result<(Peer, String), NegotiateError> {
        let mut candidates = RemoteCandidates::default();
        let (offer, refused) = candidates.filter(offer);
        let offer = &*offer;
        let parsed = parse_offer(offer)?;
        let local = entropy::ice_credentials().ok_or(NegotiateError::NoRandomness)?;
        Entropy::default().reseed();
        let (mut rtc, keys) = dtls::with_keys(|| self.build_rtc(local.clone()));
        for &addr in self.candidates {
            match Candidate::host(addr, "udp") {
                Ok(candidate) => {
                    rtc.add_local_candidate(candidate);
                }
                Err(error) => tracing::warn!(%addr, %error, "not usable as an ICE candidate"),
            }
        }
        let answer = credentials::unlogged(|| accept(&mut rtc, parsed, offer))?;
        let remote = credentials::of(offer).ok_or_else(|| {
            NegotiateError::Sdp("the offer has no ICE user name and password".to_owned())
        })?;
        let hmac = self.certificate.provider.sha1_hmac_provider;
        let checks = Checks::new(hmac, local, remote);
        let output = RtpOutput::new(keys);
        let mut peer = Peer::new(
            (self.peer, self.session),
            self.order,
            (rtc, output),
            (checks, candidates),
            &answer,
            self.now,
        )?;
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
            .enable_vp8(self.video_codecs.contains(VideoCodec::Vp8))
            .enable_vp9(self.video_codecs.contains(VideoCodec::Vp9))
            .enable_av1(self.video_codecs.contains(VideoCodec::Av1))
            // A browser refuses to send more than it is told here.
            .set_sctp_max_message_size(MAX_MESSAGE_BYTES as u32)
            // Without the first report a browser cannot tie sound to picture.
            .set_rtcp_report_interval_audio(std::time::Duration::from_secs(1));
        // Constrained baseline and baseline, both with packetization-mode 1. What the encoder makes is
        // constrained baseline, which is also valid baseline (RFC 6184 §8.1).
        if self.video_codecs.contains(VideoCodec::H264) {
            config.codec_config().add_h264(108.into(), Some(109.into()), true, 0x42_e01f);
            config.codec_config().add_h264(127.into(), Some(121.into()), true, 0x42_001f);
        }
        config.build(self.now)
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

fn parse_offer(offer: &str) -> Result<SdpOffer, NegotiateError> {
    SdpOffer::from_sdp_string(offer).map_err(|error| NegotiateError::Sdp(error.to_string()))
}

fn accept(rtc: &mut Rtc, parsed: SdpOffer, offer: &str) -> Result<String, NegotiateError> {
    let answer = rtc.sdp_api().accept_offer(parsed);
    let answer = answer.map_err(|error| NegotiateError::Sdp(error.to_string()))?;
    Ok(h264_level::as_offered(&as_one_stream(&answer.to_sdp_string()), offer))
}

/// Gives all tracks of an answer one media stream id and one CNAME (RFC 8830 §2, RFC 3550 §6.5.1).
/// str0m draws new ones for each section where the offer has none, and a browser plays tracks of
/// different streams without keeping them in sync.
fn as_one_stream(answer: &str) -> String {
    let mut one = String::with_capacity(answer.len());
    for line in answer.split_inclusive("\r\n") {
        let mut rewrite = |before: &str, after: &str| {
            one.push_str(before);
            one.push_str(STREAM_ID);
            one.push_str(after);
        };
        if let Some(ids) = line.strip_prefix("a=msid:") {
            rewrite("a=msid:", ids.find(' ').map_or("\r\n", |at| &ids[at..]));
        } else if let Some(at) = line.find(" msid:").filter(|_| line.starts_with("a=ssrc:")) {
            let (before, ids) = line.split_at(at + " msid:".len());
            rewrite(before, ids.find(' ').map_or("\r\n", |at| &ids[at..]));
        } else if let Some(at) = line.find(" cname:").filter(|_| line.starts_with("a=ssrc:")) {
            rewrite(&line[..at + " cname:".len()], "\r\n");
        } else {
            one.push_str(line);
        }
    }
    one
}

/// A later offer on a peer that lives: new media, or an ICE restart.
pub(crate) fn renegotiate(rtc: &mut Rtc, offer: &str) -> Result<String, NegotiateError> {
    accept(rtc, parse_offer(offer)?, offer)
}

/// A media section of an answer.
#[derive(Debug)]
pub(crate) struct MediaSection {
    pub(crate) mid: Mid,
    pub(crate) kind: MediaKind,
    pub(crate) extensions: ExtensionIds,
}

/// The media sections of an answer. str0m tells of new media only once SRTP is up, which is too late to
/// refuse an offer; the answer it made has them all.
pub(crate) fn media_sections(sdp: &str) -> Vec<MediaSection> {
    let mut sections = Vec::new();
    for section in sdp.split("\r\nm=").skip(1) {
        let kind = match section.split_ascii_whitespace().next() {
            Some("video") => MediaKind::Video,
            Some("audio") => MediaKind::Audio,
            _ => continue,
        };
        let mut extensions = ExtensionIds::default();
        let mut mid = None;
        for line in section.lines() {
            if let Some(value) = line.strip_prefix("a=mid:") {
                mid = Some(Mid::from(value.trim_ascii_end()));
            } else if let Some((id, uri)) =
                line.strip_prefix("a=extmap:").and_then(|value| value.split_once(' '))
            {
                // An id may be followed by a direction (RFC 8285 §5).
                let id = id.split('/').next().and_then(|id| id.parse().ok());
                let uri = uri.split_ascii_whitespace().next();
                if let (Some(id), Some(uri)) = (id, uri) {
                    extensions.add(id, uri);
                }
            }
        }
        sections.extend(mid.map(|mid| MediaSection { mid, kind, extensions }));
    }
    sections
}

/// How large a message an offer's data channels take, in bytes (RFC 8841 §6.1: 0 is no limit, and 64 KiB
/// where nothing is said). `None` where it has none.
pub(crate) fn max_message_size(sdp: &str) -> Option<usize> {
    let section = sdp.split("\nm=").find(|section| section.starts_with("application "))?;
    let said = section.lines().find_map(|line| line.strip_prefix("a=max-message-size:"));
    Some(match said.map(|size| size.trim().parse::<u64>()) {
        Some(Ok(0) | Err(_)) | None => MAX_MESSAGE_BYTES,
        Some(Ok(size)) => usize::try_from(size).unwrap_or(usize::MAX),
    })
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
    let transport = fields.nth(2).unwrap_or_default();
    let address = fields.nth(1).unwrap_or_default();
    let foreign = !transport.eq_ignore_ascii_case("udp") && !transport.is_empty();
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
        ] {
            assert_eq!(parse_candidate(skipped).unwrap(), None, "{skipped:?}");
        }
        for broken in ["nonsense", "candidate:", "candidate:1 1 udp x y z typ host"] {
            assert!(parse_candidate(broken).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn what_a_viewer_takes_is_read_from_its_offer() {
        let with = |line: &str| {
            format!(
                "v=0\r\nm=audio 9 X 0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n{line}"
            )
        };
        assert_eq!(max_message_size("v=0\r\nm=audio 9 X 0\r\n"), None);
        assert_eq!(max_message_size(&with("a=max-message-size:1200\r\n")), Some(1_200));
        for line in ["", "a=max-message-size:0\r\n", "a=max-message-size:many\r\n"] {
            assert_eq!(max_message_size(&with(line)), Some(MAX_MESSAGE_BYTES), "{line:?}");
        }
    }

    #[test]
    fn tracks_of_an_answer_are_one_stream() {
        let answer = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=msid:abc t1\r\n\
                      a=ssrc:1 cname:xyz\r\na=ssrc:1 msid:abc t1\r\n\
                      m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=msid:def t2\r\na=ssrc:2 cname:uvw\r\n";
        let expected = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=msid:visavis t1\r\n\
                        a=ssrc:1 cname:visavis\r\na=ssrc:1 msid:visavis t1\r\n\
                        m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=msid:visavis t2\r\na=ssrc:2 cname:visavis\r\n";
        assert_eq!(as_one_stream(answer), expected);
    }

    #[test]
    fn broken_offers_are_refused() {
        let certificate = Certificate::generate().unwrap();
        for offer in ["", "hello", "v=0\r\n", "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"] {
            let setup = PeerSetup {
                peer: PeerId::from_raw(1),
                session: SessionId::default(),
                order: CodecOrder::default(),
                video_codecs: CodecSet::ALL,
                red: false,
                candidates: &[],
                certificate: &certificate,
                now: Instant::now(),
            };
            assert!(matches!(setup.answer(offer), Err(NegotiateError::Sdp(_))), "{offer:?}");
        }
    }
}
