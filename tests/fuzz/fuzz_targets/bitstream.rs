//! Access units that callers and encoders hand in: a look at them, and their packetization.
#![no_main]

use libfuzzer_sys::fuzz_target;
use visavis_bitstream::{h264, inspect};
use visavis_core::{MAX_PAYLOAD_BYTES, Packetizer};
use visavis_types::VideoCodec;

fuzz_target!(|data: &[u8]| {
    let Some((&codec, unit)) = data.split_first() else { return };
    let codec = VideoCodec::ALL[usize::from(codec) % VideoCodec::ALL.len()];
    for nal in h264::nal_units(unit) {
        let _ = (h264::nal_type(nal), h264::parameter_set_id(nal));
    }
    if let Ok(inspection) = inspect(codec, unit) {
        packetize(codec, unit, inspection.keyframe);
    }
});

fn packetize(codec: VideoCodec, unit: &[u8], keyframe: bool) {
    for payload in Packetizer::new(codec).payloads(unit, keyframe, None).iter() {
        assert!((1..=MAX_PAYLOAD_BYTES).contains(&payload.len()), "{}", payload.len());
    }
}
