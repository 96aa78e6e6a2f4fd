//! JPEG and PNG files that callers push.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use visavis_codec::{ColorMatrix, convert, decode_still};
use visavis_types::{FrameSize, I420Buffer, PixelFormat};

// Two bytes say the size that the caller says, in pairs of pixels beyond 16.
fuzz_target!(|data: &[u8]| -> Corpus {
    let Some((&[w, h], file)) = data.split_first_chunk::<2>() else {
        return Corpus::Reject;
    };
    let side = |byte: u8| 16 + 2 * u32::from(byte);
    let Ok(size) = FrameSize::new(side(w), side(h)) else {
        return Corpus::Reject;
    };
    let format = match file.first() {
        Some(0x89) => PixelFormat::Png,
        _ => PixelFormat::Jpeg,
    };
    let mut pixels = Vec::new();
    if let Ok(decoded) = decode_still(file, format, size, &mut pixels) {
        assert_eq!(Some(pixels.len()), decoded.frame_bytes(size));
        let mut picture = I420Buffer::new(size);
        for matrix in [ColorMatrix::for_size(size), ColorMatrix::Bt601, ColorMatrix::Bt709] {
            convert(&pixels, decoded, size, matrix, &mut picture).expect("it was decoded");
        }
    }
    Corpus::Keep
});
