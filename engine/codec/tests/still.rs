//! Pictures in files, made and judged by the `ffmpeg` program.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod common;

use common::{ffmpeg, size};
use visavis_codec::{ColorMatrix, convert, decode_photo, decode_still};
use visavis_types::{FrameSize, I420Buffer, PixelFormat};

/// A colourful picture as a file.
fn file(size: FrameSize, encoder: &[&str]) -> Vec<u8> {
    let source = format!("testsrc2=size={}x{}", size.width(), size.height());
    let mut arguments = vec!["-f", "lavfi", "-i", &source, "-frames:v", "1"];
    arguments.extend(encoder);
    arguments.extend(["-f", "image2pipe", "-"]);
    ffmpeg(&arguments)
}

/// The same file as ffmpeg reads it, in the matrix that goes with the size.
fn as_ffmpeg_sees_it(size: FrameSize, file: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture");
    std::fs::write(&path, file).unwrap();
    let matrix = if size.height() >= 720 { "bt709" } else { "bt601" };
    let scale = format!(
        "scale=out_range=limited:out_color_matrix={matrix}:flags=accurate_rnd+full_chroma_int+area"
    );
    let path = path.to_str().unwrap();
    ffmpeg(&["-i", path, "-vf", &scale, "-f", "rawvideo", "-pix_fmt", "yuv420p", "-"])
}

/// Decodes, converts, and compares all three planes.
fn psnr_db(size: FrameSize, format: PixelFormat, file: &[u8]) -> [f64; 3] {
    let (mut pixels, mut picture) = (Vec::new(), I420Buffer::new(size));
    let made = decode_still(file, format, size, &mut pixels).unwrap();
    convert(&pixels, made, size, ColorMatrix::for_size(size), &mut picture).unwrap();
    let expected = as_ffmpeg_sees_it(size, file);
    let (luma, chroma) = expected.split_at(picture.y().len());
    let (blue, red) = chroma.split_at(picture.u().len());
    let pairs = picture.planes().into_iter().zip([luma, blue, red]);
    let db = pairs.map(|(got, want)| {
        let sum: f64 = got.iter().zip(want).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2)).sum();
        10.0 * (255.0_f64.powi(2) * got.len() as f64 / sum.max(1e-9)).log10()
    });
    db.collect::<Vec<_>>().try_into().unwrap()
}

/// A JPEG file without its Huffman tables, as cameras send Motion JPEG.
fn without_tables(file: &[u8]) -> Vec<u8> {
    let (mut out, mut at) = (file[..2].to_vec(), 2);
    loop {
        let (marker, length) =
            (file[at + 1], usize::from(u16::from_be_bytes([file[at + 2], file[at + 3]])));
        if marker == 0xda {
            out.extend_from_slice(&file[at..]);
            return out;
        }
        let end = at + 2 + length;
        if marker != 0xc4 {
            out.extend_from_slice(&file[at..end]);
        }
        at = end;
    }
}

#[test]
fn a_picture_of_motion_jpeg_without_huffman_tables_is_decoded_with_the_standard_ones() {
    let size = size(320, 240);
    for sampling in ["yuvj420p", "yuvj422p", "gray"] {
        let whole = file(
            size,
            &["-c:v", "mjpeg", "-q:v", "3", "-huffman", "default", "-pix_fmt", sampling],
        );
        let bare = without_tables(&whole);
        assert!(bare.len() + 400 < whole.len());
        let (mut from_whole, mut from_bare) = (Vec::new(), Vec::new());
        decode_still(&whole, PixelFormat::Jpeg, size, &mut from_whole).unwrap();
        decode_still(&bare, PixelFormat::Jpeg, size, &mut from_bare).unwrap();
        assert!(from_whole == from_bare, "{sampling}");
    }
}

#[test]
fn a_photo_says_how_it_is_held() {
    let size = size(320, 240);
    let whole = file(size, &["-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj420p"]);
    // One entry: the orientation.
    let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0".to_vec();
    exif.extend([0; 4]);
    let length = (exif.len() as u16 + 2).to_be_bytes();
    let held = [&whole[..2], &[0xff, 0xe1], &length, &exif, &whole[2..]].concat();
    let (plain, turned) =
        (decode_photo(&whole).unwrap().unwrap(), decode_photo(&held).unwrap().unwrap());
    assert_eq!((turned.size().width(), turned.size().height()), (240, 320));
    for x in [0, 7, 150, 319] {
        for y in [0, 11, 239] {
            // What was at the bottom left is at the top left.
            assert_eq!(turned.y()[x * 240 + 239 - y], plain.y()[y * 320 + x], "{x} {y}");
        }
    }
}

#[test]
fn jpeg_files_of_every_sampling_look_as_they_do_elsewhere() {
    for (width, height) in [(320, 240), (1280, 720)] {
        let size = size(width, height);
        for sampling in ["yuvj420p", "yuvj422p", "yuvj444p", "gray"] {
            let file = file(size, &["-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", sampling]);
            let db = psnr_db(size, PixelFormat::Jpeg, &file);
            println!("{width}x{height} {sampling}: {db:.1?} dB");
            assert!(db.iter().all(|&db| db >= 32.0), "{sampling}: {db:.1?}");
            assert!(db[0] >= 40.0, "{sampling}: {db:.1?}");
        }
    }
}

#[test]
fn png_files_look_as_they_do_elsewhere() {
    for (width, height) in [(320, 240), (1280, 720)] {
        let size = size(width, height);
        // ffmpeg reads palettes by BT.601 whatever is asked of it.
        let palette = (height < 720).then_some("pal8");
        for pixels in ["rgb24", "rgba", "rgb48be", "gray"].into_iter().chain(palette) {
            let file = file(size, &["-c:v", "png", "-pix_fmt", pixels]);
            let db = psnr_db(size, PixelFormat::Png, &file);
            println!("{width}x{height} {pixels}: {db:.1?} dB");
            assert!(db.iter().all(|&db| db >= 32.0), "{pixels}: {db:.1?}");
        }
    }
}

/// Whatever is wrong with a file, it is refused at once; what was cut off is not taken for a picture.
#[test]
fn damaged_files_are_refused_or_decoded_but_nothing_worse() {
    let size = size(320, 240);
    for (format, encoder) in [(PixelFormat::Jpeg, "mjpeg"), (PixelFormat::Png, "png")] {
        let pixels = if encoder == "png" { "rgb24" } else { "yuvj420p" };
        let whole = file(size, &["-c:v", encoder, "-pix_fmt", pixels]);
        let mut out = Vec::new();
        for cut in (0..whole.len() * 9 / 10).step_by(whole.len() / 40) {
            assert!(
                decode_still(&whole[..cut], format, size, &mut out).is_err(),
                "{encoder} {cut}"
            );
        }
        let mut byte = 17_u8;
        for at in (0..whole.len()).step_by(whole.len() / 200) {
            let mut damaged = whole.clone();
            byte = byte.wrapping_mul(37).wrapping_add(11);
            damaged[at] ^= byte | 1;
            let _ = decode_still(&damaged, format, size, &mut out);
        }
    }
}
