//! WebSocket frames of clients, and the messages in them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use visavis_signaling::fuzzing;

fuzz_target!(|data: &[u8]| {
    fuzzing::frames(data);
    if let Ok(text) = std::str::from_utf8(data) {
        fuzzing::message(text);
    }
});
