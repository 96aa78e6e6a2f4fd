//! Long-term references: pictures are lost, and the stream goes on without a keyframe.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is the failure report")]

mod common;

use std::time::Duration;

use common::{FPS, Stream, ffmpeg_decode, head, luma_psnr_db, size};
use visavis_codec::{Encoders, H264Decoder};
use visavis_types::encoder::{
    EncodeError, Encoded, FrameControl, ReferenceId, VideoEncoder, VideoEncoderConfig,
};
use visavis_types::{Bitrate, I420Buffer, VideoCodec};

const CODECS: [VideoCodec; 2] = [VideoCodec::H264, VideoCodec::Vp8];

/// A stream of which a receiver gets a part.
struct Link {
    encoder: Box<dyn VideoEncoder>,
    picture: I420Buffer,
    pictures: u32,
    keyframes: Vec<u32>,
    /// What came through.
    received: Stream,
}

impl Link {
    fn new(codec: VideoCodec) -> Self {
        let size = size(320, 240);
        let config = VideoEncoderConfig::new(size, FPS, Bitrate::from_kbps(500)).references(2);
        let (units, keyframes, layers, layering, source) = Default::default();
        Self {
            encoder: Encoders::software().make(codec, &config).unwrap(),
            picture: I420Buffer::new(size),
            pictures: 0,
            keyframes: Vec::new(),
            received: Stream { size, units, keyframes, layers, layering, source },
        }
    }

    fn encode(&mut self, arrives: bool, set: impl Fn(FrameControl) -> FrameControl) -> Encoded {
        let n = self.pictures;
        self.pictures += 1;
        head(self.received.size, n, &mut self.picture);
        let control = set(FrameControl::at(Duration::from_secs(1) * n / FPS));
        let mut unit = Vec::new();
        let encoded = self.encoder.encode(&(&self.picture).into(), &control, &mut unit).unwrap();
        if encoded.keyframe {
            self.keyframes.push(n);
        }
        if arrives {
            self.received.units.push(unit);
            self.received.source.extend_from_slice(self.picture.data());
        }
        encoded
    }

    fn run(&mut self, pictures: u32, arrive: bool) {
        (0..pictures).for_each(|_| {
            self.encode(arrive, |control| control);
        });
    }

    fn keep(&mut self, arrives: bool) -> ReferenceId {
        let encoded = self.encode(arrives, |control| control.keep_reference(true));
        encoded.reference.expect("it is kept")
    }

    fn recover(&mut self) -> Option<ReferenceId> {
        self.encode(true, |control| control.recover(true)).refers_to
    }

    /// Each picture that came through is what it was.
    fn check(&self, codec: VideoCodec) {
        let frame = self.received.source.len() / self.received.units.len();
        let check = |decoded: &[u8], decoder: &str| {
            assert_eq!(decoded.len(), self.received.source.len(), "{codec} by {decoder}");
            let pairs = self.received.source.chunks(frame).zip(decoded.chunks(frame));
            for (n, (source, decoded)) in pairs.enumerate() {
                let psnr = luma_psnr_db(self.received.size, source, decoded);
                assert!(psnr >= 32.0, "{codec} by {decoder}: {psnr:.1} dB in the {n}th that came");
            }
        };
        check(&ffmpeg_decode(codec, &self.received), "ffmpeg");
        if codec == VideoCodec::H264 {
            let (mut decoder, mut all) = (H264Decoder::new().unwrap(), Vec::new());
            let mut out = I420Buffer::new(self.received.size);
            for unit in &self.received.units {
                decoder.decode(unit, Duration::ZERO, &mut out).unwrap().expect("no delay");
                all.extend_from_slice(out.data());
            }
            check(&all, "openh264");
        }
    }
}

#[test]
fn a_loss_is_recovered_from_what_was_received_without_a_keyframe() {
    for codec in CODECS {
        let mut link = Link::new(codec);
        let first = link.encode(true, |control| control).reference.unwrap();
        // Only the keyframe is there to recover from, at once and later.
        link.run(1, false);
        assert_eq!(link.recover(), Some(first), "{codec}");
        link.run(9, true);
        let mut last = link.keep(true);
        link.encoder.reference_received(last).unwrap();
        link.run(10, true);
        for round in 0..12 {
            link.run(5, false);
            assert_eq!(link.recover(), Some(last), "{codec} {round}");
            link.run(7, true);
            // Of this one the receiver knows nothing.
            let lost = link.keep(false);
            assert_eq!(link.encode(false, |c| c.keep_reference(true)).reference, None);
            link.run(4, false);
            link.encoder.reference_lost(lost).unwrap();
            assert_eq!(link.recover(), Some(last), "{codec} {round}");
            link.run(4, true);
            last = link.keep(true);
            link.encoder.reference_received(last).unwrap();
            link.run(3, true);
        }
        assert_eq!(link.keyframes, [0], "{codec}");
        link.check(codec);
    }
}

#[test]
fn references_go_with_a_keyframe_and_where_there_is_none_there_comes_one() {
    for codec in CODECS {
        let mut link = Link::new(codec);
        link.run(5, true);
        let kept = link.keep(true);
        link.encoder.reference_received(kept).unwrap();
        link.run(2, true);
        let keyframe = link.encode(true, |control| control.keyframe(true)).reference.unwrap();
        // It is not kept any more.
        link.encoder.reference_received(kept).unwrap();
        link.encoder.reference_lost(kept).unwrap();
        link.run(3, false);
        assert_eq!(link.recover(), Some(keyframe), "{codec}");
        link.run(3, true);
        link.encoder.reference_lost(keyframe).unwrap();
        link.run(2, true);
        assert_eq!(link.recover(), None);
        link.run(3, true);
        assert_eq!(link.keyframes, [0, 8, 18], "{codec}");
        assert_eq!(link.encoder.set_temporal_layers(2), Err(EncodeError::ReferencesWithLayers(2)));
        link.check(codec);
    }
}

#[test]
fn keeping_references_costs_few_bits() {
    for codec in CODECS {
        let mut link = Link::new(codec);
        for n in 0..90 {
            let encoded = link.encode(true, |control| control.keep_reference(n % 10 == 5));
            if let Some(kept) = encoded.reference {
                link.encoder.reference_received(kept).unwrap();
            }
        }
        let kbps = link.received.kbps(30..90);
        println!("{codec}: {kbps:.0} kbit/s");
        assert!((400.0..600.0).contains(&kbps), "{codec}: {kbps:.0} kbit/s");
        link.check(codec);
    }
}
