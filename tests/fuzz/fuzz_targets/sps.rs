//! Sequence parameter sets that are rewritten: once is enough.
#![no_main]

use libfuzzer_sys::fuzz_target;
use visavis_codec::write_sps_without_reordering;

fuzz_target!(|data: &[u8]| {
    let mut once = Vec::new();
    if write_sps_without_reordering(data, &mut once) {
        let mut twice = Vec::new();
        assert!(write_sps_without_reordering(&once, &mut twice), "what was written can be read");
        assert_eq!(once, twice);
    } else {
        assert!(once.is_empty());
    }
});
