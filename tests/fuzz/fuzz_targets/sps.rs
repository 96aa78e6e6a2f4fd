//! Sequence parameter sets that are rewritten: once is enough.
#![no_main]

use libfuzzer_sys::fuzz_target;
use visavis_bitstream::h264::write_without_reordering;

fuzz_target!(|data: &[u8]| {
    let mut once = Vec::new();
    if write_without_reordering(data, &mut once).is_ok() {
        let mut twice = Vec::new();
        write_without_reordering(&once, &mut twice).expect("what was written can be read");
        assert_eq!(once, twice);
    } else {
        assert!(once.is_empty());
    }
});
