//! ICE candidates that viewers send.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = visavis_core::check_candidate(text);
});
