//! Opus packets: looked at, decoded, and made up for where one is missing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use visavis_bitstream::opus;
use visavis_codec::OpusDecoder;
use visavis_fuzz::pieces;

fuzz_target!(|data: &[u8]| {
    let Some((&kind, packets)) = data.split_first() else { return };
    let rates = OpusDecoder::SAMPLE_RATES_HZ;
    let rate = rates[usize::from(kind >> 1) % rates.len()];
    let channels = 1 + u16::from(kind & 1);
    let mut decoder = OpusDecoder::new(rate, channels).expect("a decoder");
    let mut samples = Vec::new();
    for packet in pieces(packets).take(50) {
        let looked_at = opus::duration(packet);
        samples.clear();
        if !packet.is_empty()
            && let Ok(count) = decoder.decode(packet, &mut samples)
        {
            assert_eq!(samples.len(), count * usize::from(channels));
            let length = looked_at.expect("a packet that can be decoded is one");
            assert_eq!(count as u64 * 48_000, u64::from(length) * u64::from(rate));
        }
        let _ = decoder.recover(packet, rate as usize / 50, &mut samples);
        let _ = decoder.conceal(rate as usize / 50, &mut samples);
    }
});
