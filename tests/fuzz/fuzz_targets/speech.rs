//! Uploads of speech; the first byte is the format.
#![no_main]

use libfuzzer_sys::fuzz_target;
use visavis_signaling::fuzzing;

fuzz_target!(|data: &[u8]| {
    if let Some((format, bytes)) = data.split_first() {
        fuzzing::speech(*format, bytes);
    }
});
