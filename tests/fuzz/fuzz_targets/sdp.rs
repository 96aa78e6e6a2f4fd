//! Offers: the first one, and later ones on the connection that it made. Every answer must stand before the rules
//! of whoever reads it.
#![no_main]

use std::sync::Arc;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use visavis_core::{Hub, NegotiateError, Offer, SdpError, sdp};
use visavis_fuzz::{Nowhere, answer};
use visavis_types::{ClockAnchor, PlayoutDelay, SessionId, SessionNumber};

// A byte 0 stands between two offers.
fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (first, later) = text.split_once('\0').unwrap_or((text, text));
    let now = Instant::now();
    let (peer, answer) = match answer(first, now) {
        Ok(answered) => answered,
        Err(error) => return check(first, &Err(error)),
    };
    check(first, &Ok(answer));
    let id = peer.id();
    let mut hub = Hub::new(ClockAnchor::now(), Duration::from_secs(15), Arc::default());
    hub.add_session((SessionId::default(), SessionNumber::unique()), PlayoutDelay::NONE, now);
    let mut out = Nowhere::default();
    hub.add_peer(Box::new(peer), now, &mut out).expect("the session is there");
    for offer in later.split('\0').take(4) {
        let Ok(parsed) = Offer::parse(offer) else { continue };
        let answer = hub.renegotiate(id, &parsed, None, now, &mut out).expect("no offer ends a peer");
        check(offer, &answer);
    }
    hub.handle_due(now + Duration::from_secs(1), &mut out);
    while hub.poll_event().is_some() {}
});

fn check(offer: &str, answer: &Result<String, NegotiateError>) {
    match answer {
        Ok(answer) => sdp::verify(offer, answer).expect("an answer that stands"),
        // The stack stumbled over what was written for it, or the answer did not stand.
        Err(NegotiateError::Sdp(SdpError::Unsupported)) => panic!("an offer that was not seen through"),
        Err(_) => {}
    }
}
