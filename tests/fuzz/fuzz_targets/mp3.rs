//! MP3 chunks that callers push, one after the other into one decoder.
#![no_main]

use libfuzzer_sys::fuzz_target;
use visavis_codec::Mp3Decoder;
use visavis_fuzz::pieces;

fuzz_target!(|data: &[u8]| {
    let (mut decoder, mut samples) = (Mp3Decoder::default(), Vec::new());
    for chunk in pieces(data).take(50) {
        samples.clear();
        match decoder.decode(chunk, &mut samples) {
            Ok(sound) => assert_eq!(samples.len() % usize::from(sound.channels), 0),
            Err(_) => assert!(samples.is_empty()),
        }
    }
});
