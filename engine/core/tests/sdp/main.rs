//! Offers as they come from outside, and the answers to them: every legal one is answered, no other does harm.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod cases;
// Without the `*` the elements would be taken for `str`, which has no size: the lint is wrong there.
#[allow(clippy::explicit_auto_deref)]
mod generator;
mod mutator;
mod random;
mod second_offers;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use visavis_core::{
    Certificate, CodecOrder, Hub, NegotiateError, Offer, Outbox, Peer, PeerSetup, Route,
    TransportAddress, sdp,
};
use visavis_types::{
    ClockAnchor, CodecSet, PeerId, PeerPermissions, PlayoutDelay, SessionId, SessionNumber,
};

const HERE: ([u8; 4], u16) = ([192, 0, 2, 1], 5_000);

/// The names of all offers in the fixtures.
fn fixtures() -> Vec<String> {
    let files = fs::read_dir(folder()).unwrap();
    let mut names: Vec<_> = files
        .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort_unstable();
    names
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/sdp")
}

fn fixture(name: &str) -> String {
    fs::read_to_string(folder().join(name).with_extension("sdp")).unwrap()
}

/// Answers an offer to watch a session that can send everything.
fn answer(offer: &str) -> Result<(Peer, String), NegotiateError> {
    static CERTIFICATE: OnceLock<Certificate> = OnceLock::new();
    let certificate = CERTIFICATE.get_or_init(|| Certificate::generate().unwrap());
    let setup = PeerSetup {
        peer: PeerId::from_raw(1),
        session: SessionId::default(),
        order: CodecOrder::default(),
        video_codecs: CodecSet::ALL,
        red: true,
        permissions: PeerPermissions::default(),
        media_loop: 0,
        candidates: &[TransportAddress::udp(HERE.into())],
        certificate,
        now: Instant::now(),
    };
    setup.answer(&Offer::parse(offer)?)
}

/// The same, and what browsers would say of the answer.
fn checked_answer(offer: &str) -> Result<String, NegotiateError> {
    let (_, answer) = answer(offer)?;
    if let Err(wrong) = sdp::verify(offer, &answer) {
        panic!("{wrong}\n--- offer\n{offer}\n--- answer\n{answer}");
    }
    Ok(answer)
}

/// Answers an offer, and then others of the same peer.
fn answers(offers: &[String]) -> Vec<Result<String, NegotiateError>> {
    let Some((first, later)) = offers.split_first() else { return Vec::new() };
    let (peer, answer) = match answer(first) {
        Ok(answered) => answered,
        Err(error) => return vec![Err(error)],
    };
    let mut answers = vec![Ok(answer)];
    let (mut now, id) = (Instant::now(), peer.id());
    let mut hub = Hub::new(ClockAnchor::now(), Duration::from_secs(3_600), Arc::default());
    hub.add_session((SessionId::default(), SessionNumber::unique()), PlayoutDelay::NONE, now);
    let mut out = Nowhere::default();
    assert!(hub.add_peer(Box::new(peer), now, &mut out).is_ok());
    for offer in later {
        // As fast as a peer may make them.
        now += Duration::from_millis(500);
        answers.push(match Offer::parse(offer) {
            Ok(parsed) => match hub.renegotiate(id, &parsed, None, now, &mut out) {
                Some(answered) => answered,
                None => panic!("an offer ended the peer:\n{offers:#?}"),
            },
            Err(problem) => Err(problem.into()),
        });
    }
    hub.handle_due(now + Duration::from_secs(1), &mut out);
    while hub.poll_event().is_some() {}
    assert_eq!(hub.peer_count(), 1, "an offer ended the peer:\n{offers:#?}");
    answers
}

/// What an answer says of each section: what it is and which way it goes, or that it is rejected.
fn sections(answer: &str) -> Vec<String> {
    let sections = answer.split("\r\nm=").skip(1);
    sections
        .map(|section| {
            let mut words = section.split_ascii_whitespace();
            let (media, port) = (words.next().unwrap(), words.next().unwrap());
            let direction = section.lines().find_map(|line| {
                let name = line.strip_prefix("a=")?;
                ["sendrecv", "sendonly", "recvonly", "inactive"].contains(&name).then_some(name)
            });
            match (port, direction) {
                ("0", _) => format!("{media} rejected"),
                (_, Some(direction)) => format!("{media} {direction}"),
                (_, None) => media.to_owned(),
            }
        })
        .collect()
}

/// Takes datagrams and forgets them.
#[derive(Default)]
struct Nowhere(Vec<u8>);

impl Outbox for Nowhere {
    fn datagram(&mut self, _: &Route, len: usize) -> &mut [u8] {
        self.0.resize(len, 0);
        &mut self.0
    }

    fn flush(&mut self) {}
}
