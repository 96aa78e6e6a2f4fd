//! Raw pictures of every format, through every encoder, as a real Chromium shows them.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]
#![allow(clippy::expect_used, reason = "a panic is the failure report")]

mod drawing;
mod studio;

use drawing::Drawing;
use studio::Studio;
use visavis::video::{PixelFormat, VideoCodec};
use visavis_bench::{Browser, Microphone};
use visavis_tests::{Outcome, Turn};

type Failure = Box<dyn std::error::Error>;

/// How far a colour may be off, in levels of 256.
const TOLERANCE: f64 = 3.0;

const FORMATS: [PixelFormat; 7] = [
    PixelFormat::Rgba,
    PixelFormat::Bgra,
    PixelFormat::Rgb,
    PixelFormat::I420,
    PixelFormat::Nv12,
    PixelFormat::Jpeg,
    PixelFormat::Png,
];

/// Colour bars of a size that goes with BT.601 and of one that goes with BT.709, each format with its
/// own way to the picture: from RGB, from full-range BT.601, as it is.
fn colours_are_right(codec: VideoCodec) -> Outcome {
    let _turn = Turn::share_without_programs()?;
    let browser = Browser::start_with_graphics(Microphone::Absent)?;
    let studio = Studio::open(browser, codec, &Drawing::bars(512, 512, 5).0)?;
    let mut off = Vec::new();
    for (n, (width, height, matrix)) in
        [(512, 512, "smpte170m"), (1280, 720, "bt709")].into_iter().enumerate()
    {
        // VP8 cannot signal its matrix; browsers assume BT.601 at any size.
        let matrix = if codec == VideoCodec::Vp8 { "smpte170m" } else { matrix };
        for (m, format) in
            [PixelFormat::Rgba, PixelFormat::Jpeg, PixelFormat::I420].into_iter().enumerate()
        {
            let (bars, spots) = Drawing::bars(width, height, 3 * n + m);
            studio.show(&bars, format)?;
            assert_eq!(studio.colour_space()?, (matrix.to_owned(), false), "{codec}");
            let seen = studio.colours_at(&spots)?;
            let mut worst: f64 = 0.0;
            for (spot, seen) in spots.iter().zip(seen) {
                let channels = spot.colour.iter().zip(seen);
                let error = channels.map(|(&a, b)| (f64::from(a) - b).abs()).fold(0.0, f64::max);
                worst = worst.max(error);
                if error > TOLERANCE {
                    off.push(format!(
                        "{width}x{height} {format:?}: {:?} is {seen:.1?}",
                        spot.colour
                    ));
                }
            }
            println!("{codec} {width}x{height} {format:?}: {worst:.1} levels off at most");
        }
    }
    studio.close();
    assert!(off.is_empty(), "{codec}\n{}", off.join("\n"));
    Ok(())
}

/// Each format with a picture of its own, one after another in one stream.
fn every_format_arrives(codec: VideoCodec) -> Outcome {
    let _turn = Turn::share_without_programs()?;
    let mut before = Drawing::portrait(512, 512, FORMATS.len());
    let studio = Studio::open(Browser::start(Microphone::Absent)?, codec, &before)?;
    for (n, format) in FORMATS.into_iter().enumerate() {
        let portrait = Drawing::portrait(512, 512, n);
        let unlike = portrait.psnr_db(&before.bytes(PixelFormat::Rgba)?);
        assert!(unlike < 20.0, "a picture like the one before proves nothing: {unlike:.1} dB");
        studio.show(&portrait, format)?;
        let psnr = studio.psnr_db(&portrait)?;
        println!("{codec} {format:?}: {psnr:.1} dB");
        assert!(psnr >= 32.0, "{codec} {format:?}: {psnr:.1} dB");
        before = portrait;
    }
    studio.close();
    Ok(())
}

/// Another size is another encoder: one keyframe, and nothing that the browser must agree to.
fn sizes_change_with_one_keyframe(codec: VideoCodec) -> Outcome {
    let _turn = Turn::share_without_programs()?;
    let portrait = Drawing::portrait(512, 512, 9);
    let studio = Studio::open(Browser::start(Microphone::Absent)?, codec, &portrait)?;
    // What joining costs is paid by then.
    studio.show(&portrait, PixelFormat::Rgba)?;
    // Of 16 by 16 pixels colour has 8 by 8, which no encoder can help.
    let sizes =
        [(640, 360, 32.0), (256, 256, 32.0), (16, 16, 28.0), (1280, 720, 32.0), (512, 512, 32.0)];
    for (n, (width, height, least_db)) in sizes.into_iter().enumerate() {
        let (before, encoded_before) = (studio.counters()?, studio.keyframes());
        let portrait = Drawing::portrait(width, height, n);
        studio.show(&portrait, PixelFormat::Rgba)?;
        let psnr = studio.psnr_db(&portrait)?;
        let (after, encoded) = (studio.counters()?, studio.keyframes() - encoded_before);
        // A browser that lost something on a busy machine may ask for more.
        let asked = after.keyframes_asked_for - before.keyframes_asked_for;
        println!("{codec} {width}x{height}: {psnr:.1} dB, {encoded} keyframes, {asked} asked for");
        assert!(psnr >= least_db, "{codec} {width}x{height}: {psnr:.1} dB");
        assert!(
            (1..=1 + asked).contains(&encoded),
            "{codec} {width}x{height}: {encoded} keyframes"
        );
        assert!(after.keyframes_decoded > before.keyframes_decoded);
        assert_eq!((after.answers, after.peers), (before.answers, before.peers), "renegotiated");
    }
    studio.close();
    Ok(())
}

macro_rules! for_codec {
    ($codec:ident, $colours:ident, $formats:ident, $sizes:ident) => {
        #[test]
        fn $colours() -> Outcome {
            colours_are_right(VideoCodec::$codec)
        }

        #[test]
        fn $formats() -> Outcome {
            every_format_arrives(VideoCodec::$codec)
        }

        #[test]
        fn $sizes() -> Outcome {
            sizes_change_with_one_keyframe(VideoCodec::$codec)
        }
    };
}

for_codec!(H264, h264_has_the_right_colours, h264_carries_every_format, h264_changes_its_size);
for_codec!(Vp8, vp8_has_the_right_colours, vp8_carries_every_format, vp8_changes_its_size);
#[cfg(feature = "av1")]
for_codec!(Av1, av1_has_the_right_colours, av1_carries_every_format, av1_changes_its_size);
for_codec!(Vp9, vp9_has_the_right_colours, vp9_carries_every_format, vp9_changes_its_size);
