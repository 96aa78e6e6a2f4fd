//! HTTP requests, in pieces as TCP may bring them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use visavis_fuzz::pieces;
use visavis_signaling::fuzzing;

fuzz_target!(|data: &[u8]| {
    let whole: Vec<u8> = pieces(data).flatten().copied().collect();
    let in_one = fuzzing::http([&*whole]);
    let in_pieces = fuzzing::http(pieces(data));
    // Where the stream is cut does not matter to what is in it.
    assert_eq!(in_one, in_pieces);
});
