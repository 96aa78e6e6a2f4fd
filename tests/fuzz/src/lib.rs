//! What the targets share.

use std::sync::OnceLock;
use std::time::Instant;

use visavis_core::{
    Certificate, CodecOrder, NegotiateError, Offer, Outbox, Peer, PeerSetup, Route,
    TransportAddress,
};
use visavis_types::{CodecSet, PeerId, PeerPermissions, SessionId, VideoCodec};

/// Where the hub is.
pub const HUB: ([u8; 4], u16) = ([192, 0, 2, 1], 5_000);

/// Cuts an input into pieces, each preceded by its length in two bytes (little-endian); the last one is
/// what is left.
pub fn pieces(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = data.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
        let (piece, after) = rest.split_at(length);
        data = after;
        Some(piece)
    })
}

/// Answers an offer to watch the default session, as peer 1.
pub fn answer(offer: &str, now: Instant) -> Result<(Peer, String), NegotiateError> {
    static CERTIFICATE: OnceLock<Certificate> = OnceLock::new();
    let certificate = CERTIFICATE.get_or_init(|| Certificate::generate().expect("a certificate"));
    let setup = PeerSetup {
        peer: PeerId::from_raw(1),
        session: SessionId::default(),
        order: CodecOrder::default(),
        video_codecs: VideoCodec::ALL.into_iter().fold(CodecSet::EMPTY, CodecSet::with),
        red: true,
        permissions: PeerPermissions::default(),
        media_loop: 0,
        candidates: &[TransportAddress::udp(HUB.into())],
        certificate,
        now,
    };
    setup.answer(&Offer::parse(offer)?)
}

/// Keeps the last datagram, and counts them.
#[derive(Default)]
pub struct Nowhere {
    datagram: Vec<u8>,
    /// Datagrams so far.
    pub count: usize,
}

impl Outbox for Nowhere {
    fn datagram(&mut self, _: &Route, len: usize) -> &mut [u8] {
        self.count += 1;
        self.datagram.resize(len, 0);
        &mut self.datagram
    }

    fn flush(&mut self) {}
}
