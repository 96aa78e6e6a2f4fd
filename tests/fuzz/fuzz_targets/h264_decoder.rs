//! The H264 decoder, fed access units.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use visavis_codec::H264Decoder;
use visavis_fuzz::pieces;
use visavis_types::{FrameSize, I420Buffer};

fuzz_target!(|data: &[u8]| {
    let mut decoder = H264Decoder::new().expect("a decoder");
    let smallest = FrameSize::new(FrameSize::MIN_SIDE, FrameSize::MIN_SIDE).expect("a size");
    let mut picture = I420Buffer::new(smallest);
    for (n, unit) in pieces(data).take(30).enumerate() {
        let pts = Duration::from_millis(33) * n as u32;
        if let Ok(Some(decoded)) = decoder.decode(unit, pts, &mut picture) {
            assert_eq!(decoded.size, picture.size());
        }
    }
    while let Ok(Some(_)) = decoder.flush(&mut picture) {}
});
