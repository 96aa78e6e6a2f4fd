//! Fragments of SDP, as WHEP players send them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use visavis_signaling::fuzzing;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        fuzzing::fragment(text);
    }
});
