//! Datagrams from anywhere, and from the address of a viewer that ICE has found: STUN, DTLS, RTP, RTCP.
//!
//! The hub catches a panic in a peer's turn; libFuzzer's hook ends the process before that, as it should here.
#![no_main]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use str0m::ice::{StunMessage, TransId};
use visavis_core::{Hub, Route};
use visavis_fuzz::{HUB, Nowhere, answer, pieces};
use visavis_types::{ClockAnchor, PlayoutDelay, SessionId, SessionNumber};

const OFFER: &str = include_str!("../seeds/sdp/channel");
/// The viewer's half of the user name, as that offer has it.
const VIEWER_UFRAG: &str = "Yx3k";

const VIEWER: ([u8; 4], u16) = ([192, 0, 2, 2], 6_000);
const STRANGER: ([u8; 4], u16) = ([192, 0, 2, 3], 7_000);

struct World {
    hub: Hub,
    out: Nowhere,
    now: Instant,
}

impl World {
    /// A hub whose only viewer has been found by its first connectivity check, and whose DTLS has not
    /// begun.
    fn new() -> Self {
        let now = Instant::now();
        let mut hub = Hub::new(ClockAnchor::now(), Duration::from_secs(15), Arc::default());
        hub.add_session((SessionId::default(), SessionNumber::unique()), PlayoutDelay::NONE, now);
        let (peer, answer) = answer(OFFER, now).expect("an answer");
        let line = |start| answer.lines().find_map(|line| line.strip_prefix(start)).expect(start);
        let user = format!("{}:{VIEWER_UFRAG}", line("a=ice-ufrag:"));
        let password = line("a=ice-pwd:").as_bytes();
        let mut out = Nowhere::default();
        hub.add_peer(Box::new(peer), now, &mut out).expect("the session is there");
        let check = StunMessage::binding_request(&user, TransId::new(), true, 1, 1, true);
        let hmac = str0m::crypto::from_feature_flags().sha1_hmac_provider;
        let mut datagram = [0; 200];
        let length = check
            .to_bytes(Some(password), &mut datagram, |key, data| hmac.sha1_hmac(key, data))
            .expect("room");
        let mut world = Self { hub, out, now };
        world.receive(VIEWER.into(), &datagram[..length]);
        assert!(world.out.count > 0, "the check was not answered");
        world
    }

    fn receive(&mut self, from: SocketAddr, datagram: &[u8]) {
        let route = Route::udp(HUB.into(), from);
        self.hub.receive(self.now, route, datagram, &mut self.out);
    }
}

fuzz_target!(|data: &[u8]| {
    let mut world = World::new();
    for datagram in pieces(data).take(50) {
        world.now += Duration::from_millis(5);
        world.receive(VIEWER.into(), datagram);
        world.receive(STRANGER.into(), datagram);
        world.hub.handle_due(world.now, &mut world.out);
    }
    while world.hub.poll_event().is_some() {}
});
