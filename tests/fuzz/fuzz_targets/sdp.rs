//! Offers: the first one, and a second one on the connection that it made.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use visavis_core::Hub;
use visavis_fuzz::{Nowhere, answer};
use visavis_types::{ClockAnchor, PlayoutDelay, SessionId};

// A byte 0 stands between the two offers.
fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (first, second) = text.split_once('\0').unwrap_or((text, text));
    let now = Instant::now();
    let Ok((peer, _)) = answer(first, now) else { return };
    let id = peer.id();
    let mut hub = Hub::new(ClockAnchor::now(), Duration::from_secs(15), Arc::default());
    hub.add_session(SessionId::default(), PlayoutDelay::NONE, now);
    let mut out = Nowhere::default();
    hub.adopt(peer, now, &mut out).expect("the session is there");
    let _ = hub.renegotiate(id, second, now, &mut out);
    hub.handle_due(now + Duration::from_secs(1), &mut out);
    while hub.poll_event().is_some() {}
});
