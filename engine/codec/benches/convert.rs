//! Colour conversion: what every raw frame pays before it is encoded.

#![allow(clippy::unwrap_used, reason = "a bench that cannot run says so by a panic")]

use divan::Bencher;
use divan::counter::BytesCount;
use visavis_codec::{ColorMatrix, Scaler, convert};
use visavis_types::{FrameSize, I420Buffer, PixelFormat};

const SIZES: [(u32, u32); 3] = [(512, 512), (1280, 720), (1920, 1080)];

fn main() {
    divan::main();
}

fn from(bencher: Bencher<'_, '_>, format: PixelFormat, (width, height): (u32, u32)) {
    into(bencher, format, (width, height), ColorMatrix::for_size);
}

fn into(
    bencher: Bencher<'_, '_>,
    format: PixelFormat,
    (width, height): (u32, u32),
    matrix: fn(FrameSize) -> ColorMatrix,
) {
    let size = FrameSize::new(width, height).unwrap();
    let matrix = matrix(size);
    let bytes = format.frame_bytes(size).unwrap();
    // Not one colour: nothing in here may profit from that.
    let pixels: Vec<u8> = (0..bytes).map(|i| (i * 31 % 251) as u8).collect();
    let mut picture = I420Buffer::new(size);
    bencher.counter(BytesCount::new(bytes)).bench_local(|| {
        convert(divan::black_box(&pixels), format, size, matrix, &mut picture).unwrap();
    });
}

#[divan::bench(args = SIZES)]
fn from_rgba(bencher: Bencher<'_, '_>, size: (u32, u32)) {
    from(bencher, PixelFormat::Rgba, size);
}

#[divan::bench(args = SIZES)]
fn from_i420(bencher: Bencher<'_, '_>, size: (u32, u32)) {
    from(bencher, PixelFormat::I420, size);
}

/// What VP8 costs beside it from 720 rows on.
#[divan::bench(args = SIZES)]
fn from_i420_to_bt601(bencher: Bencher<'_, '_>, size: (u32, u32)) {
    into(bencher, PixelFormat::I420, size, |_| ColorMatrix::Bt601);
}

/// What a session of 512×512 pays where pictures come in another size.
#[divan::bench(args = SIZES)]
fn scaled_to_512(bencher: Bencher<'_, '_>, (width, height): (u32, u32)) {
    let mut picture = I420Buffer::new(FrameSize::new(width, height).unwrap());
    for (i, sample) in picture.data_mut().iter_mut().enumerate() {
        *sample = (i * 31 % 251) as u8;
    }
    let mut out = I420Buffer::new(FrameSize::new(512, 512).unwrap());
    let mut scaler = Scaler::default();
    bencher.bench_local(|| scaler.cover(divan::black_box(&picture), &mut out).unwrap());
}
