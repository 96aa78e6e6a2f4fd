//! What is asked of NVIDIA's driver, held to its documentation by a stand-in (`tests/nvenc-driver`) that encodes in
//! software. What comes out is decoded.
//!
//! `NVENC_FRAMES` is how many pictures the long run has: 600, or as many as wanted.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod driver;
mod failures;
mod run;

use std::time::Duration;

use visavis_bitstream::h264::{self, Sps};
use visavis_codec::H264Decoder;
use visavis_nvenc::{CudaFormat, NvencError, NvencMaker, Preset};
use visavis_types::encoder::{
    EncodeError, EncoderMaker, FrameControl, MemoryKind, Nv12Planes, Picture, VideoEncoder,
    VideoEncoderConfig,
};
use visavis_types::{Bitrate, FrameSize, I420Buffer, VideoCodec};

use driver::Driver;

pub(crate) fn size(width: u32, height: u32) -> FrameSize {
    FrameSize::new(width, height).unwrap()
}

pub(crate) fn config(size: FrameSize) -> VideoEncoderConfig {
    VideoEncoderConfig::new(size, 30, Bitrate::from_kbps(800))
}

/// A picture with edges that move.
pub(crate) fn picture(size: FrameSize, n: usize) -> I420Buffer {
    let mut picture = I420Buffer::new(size);
    let width = size.width() as usize;
    let [y, u, v] = picture.planes_mut();
    for (at, pixel) in y.iter_mut().enumerate() {
        let (row, column) = (at / width, at % width);
        *pixel = 40 + ((row + n * 2) / 8 * 16 + (column + n) / 8 * 16) as u8 % 160;
    }
    u.fill(90 + (n % 60) as u8);
    v.fill(150);
    picture
}

pub(crate) fn control(n: usize) -> FrameControl {
    FrameControl::at(Duration::from_millis(33 * n as u64))
}

/// The mean error of what was decoded, in levels of 256.
pub(crate) fn error(picture: &I420Buffer, decoded: &I420Buffer) -> f64 {
    assert_eq!(picture.size(), decoded.size());
    let pairs = picture.data().iter().zip(decoded.data());
    pairs.map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / picture.data().len() as f64
}

/// A viewer: decodes what it gets.
pub(crate) struct Viewer(H264Decoder, I420Buffer);

impl Viewer {
    pub(crate) fn new() -> Self {
        Self(H264Decoder::new().unwrap(), I420Buffer::new(FrameSize::SMALLEST))
    }

    /// Decodes a picture, which must look like its source.
    pub(crate) fn see(&mut self, unit: &[u8], n: usize, source: &I420Buffer) {
        let decoded = self.0.decode(unit, Duration::from_millis(33 * n as u64), &mut self.1);
        assert!(decoded.unwrap().is_some(), "picture {n} does not decode");
        let error = error(source, &self.1);
        assert!(error < 12.0, "picture {n}: {error:.1} levels off on average");
    }
}

fn kinds(unit: &[u8]) -> Vec<u8> {
    h264::nal_units(unit).map(h264::nal_type).collect()
}

fn encode(encoder: &mut dyn VideoEncoder, picture: &Picture<'_>, n: usize) -> Vec<u8> {
    let mut out = Vec::new();
    encoder.encode(picture, &control(n), &mut out).unwrap();
    out
}

#[test]
fn a_session_is_set_up_without_any_delay_and_its_pictures_decode() {
    let driver = Driver::new();
    let maker = driver.maker().unwrap();
    assert_eq!(maker.gpu_name(), "stand-in 0");
    for (size, matrix) in [(size(512, 512), 6), (size(1_280, 720), 1)] {
        let mut encoder = maker.make(VideoCodec::H264, &config(size)).unwrap();
        let mut viewer = Viewer::new();
        for n in 0..8 {
            let (picture, mut out) = (picture(size, n), vec![7]);
            let control = control(n).keyframe(n == 4);
            let encoded = encoder.encode(&(&picture).into(), &control, &mut out).unwrap();
            assert_eq!((out.remove(0), encoded.keyframe), (7, n % 4 == 0));
            assert!(!encoded.skipped && encoded.layers.is_none() && encoded.reference.is_none());
            let keyframe = vec![h264::SPS, h264::PPS, h264::IDR_SLICE];
            assert_eq!(kinds(&out), if encoded.keyframe { keyframe } else { vec![h264::SLICE] });
            if encoded.keyframe {
                let sps = Sps::parse(h264::nal_units(&out).next().unwrap()).unwrap();
                assert_eq!((sps.profile_idc, sps.max_num_reorder_frames()), (66, 0));
                assert_eq!(sps.vui.signal.unwrap().description, Some([1, 1, matrix]));
                assert_eq!(sps.vui.restriction.unwrap().max_num_reorder_frames, 0);
            }
            viewer.see(&out, n, &picture);
        }
    }
    assert_eq!((driver.get("config.bps"), driver.get("config.vbv_bits")), (800_000, 26_666));
    assert_eq!((driver.get("config.preset"), driver.get("config.two_pass")), (4, 0));
    assert_eq!(driver.get("host_copies"), 16);
    drop(maker);
    driver.assert_clean();
}

#[test]
fn preset_and_two_pass_are_settings() {
    let driver = Driver::new();
    let maker = NvencMaker::open(driver.config().preset(Preset::P1).two_pass(true)).unwrap();
    drop(maker.encoder(&config(size(512, 512))).unwrap());
    assert_eq!((driver.get("config.preset"), driver.get("config.two_pass")), (1, 1));
    drop(maker);
    driver.assert_clean();
}

#[test]
fn a_picture_in_memory_of_the_gpu_is_encoded_without_a_copy() {
    let driver = Driver::new();
    let maker = driver.maker().unwrap();
    let size = size(320, 240);
    let config = config(size).memory(MemoryKind::Device("CUDA"));
    let mut encoder = maker.make(VideoCodec::H264, &config).unwrap();
    let mut viewer = Viewer::new();
    for n in 0..20 {
        let source = picture(size, n);
        let [y, u, v] = source.planes();
        let chroma: Vec<u8> = u.iter().zip(v).flat_map(|(u, v)| [*u, *v]).collect();
        let nv12 = Picture::Nv12(Nv12Planes::new(size, [y, &chroma], [320, 320]).unwrap());
        let host = if n % 2 == 0 { nv12 } else { (&source).into() };
        let uploaded = maker.upload(&host).unwrap();
        let before = driver.get("host_copies");
        let device = Picture::Device(&uploaded);
        assert_eq!(device.memory(), MemoryKind::Device("CUDA"));
        viewer.see(&encode(&mut *encoder, &device, n), n, &source);
        assert_eq!(driver.get("host_copies"), before);
        // Of the host, in between: the planes of NV12 too.
        let copied = encode(&mut *encoder, &host, 100 + n);
        assert_eq!(driver.get("host_copies"), before + 1);
        viewer.see(&copied, 100 + n, &source);
    }
    // The encoder keeps nothing of a picture: nothing is registered or mapped.
    assert_eq!((driver.get("registered"), driver.get("mapped")), (0, 0));
    drop((encoder, maker));
    driver.assert_clean();
}

#[test]
fn foreign_pictures_are_refused_and_the_encoder_goes_on() {
    #[derive(Debug)]
    struct Other;
    impl visavis_types::encoder::DevicePicture for Other {
        fn size(&self) -> FrameSize {
            size(320, 240)
        }
        // Of the same name, and of another type.
        fn device(&self) -> &'static str {
            "CUDA"
        }
    }
    let driver = Driver::new();
    let maker = driver.maker().unwrap();
    let mut encoder = maker.encoder(&config(size(320, 240))).unwrap();
    let mut out = vec![1, 2];
    let small = picture(size(160, 160), 0);
    let refused = encoder.encode(&(&small).into(), &control(0), &mut out).unwrap_err();
    assert!(matches!(refused, EncodeError::WrongSize { .. }), "{refused}");
    let refused = encoder.encode(&Picture::Device(&Other), &control(0), &mut out).unwrap_err();
    assert_eq!(refused, EncodeError::Memory(MemoryKind::Device("CUDA")));
    let whole = picture(size(320, 240), 0);
    let refused = encoder.encode(&(&whole).into(), &control(0).recover(true), &mut out);
    assert_eq!(refused.unwrap_err(), EncodeError::NoReferences);
    assert_eq!(out, [1, 2]);
    assert!(encoder.encode(&(&whole).into(), &control(0), &mut out).unwrap().keyframe);
    drop((encoder, maker));
    driver.assert_clean();
}

#[test]
fn memory_of_the_application_is_given_back_when_the_picture_is_dropped() {
    use std::sync::Arc;
    use visavis_nvenc::CudaPicture;

    let driver = Driver::new();
    let maker = driver.maker().unwrap();
    let size = size(320, 240);
    let source = picture(size, 3);
    // Memory that is certainly the GPU's.
    let memory = Arc::new(maker.upload(&(&source).into()).unwrap());
    let (address, pitch) = (memory.address(), memory.pitch() as usize);
    let lent = Arc::clone(&memory);
    // SAFETY: it holds such a picture, until `lent` is dropped.
    let picture = unsafe {
        CudaPicture::from_raw(address, pitch, size, CudaFormat::I420, move || drop(lent))
    };
    let picture = picture.unwrap();
    let mut encoder = maker.encoder(&config(size)).unwrap();
    Viewer::new().see(&encode(&mut *encoder, &Picture::Device(&picture), 0), 0, &source);
    assert_eq!(Arc::strong_count(&memory), 2);
    drop(picture);
    assert_eq!(Arc::strong_count(&memory), 1);
    drop((memory, encoder, maker));
    driver.assert_clean();
}

#[test]
fn bitrate_and_frame_rate_change_in_place() {
    let driver = Driver::new();
    let maker = driver.maker().unwrap();
    let size = size(320, 240);
    let mut encoder = maker.encoder(&config(size)).unwrap();
    let mut sizes = [0; 2];
    for n in 0..60 {
        if n == 30 {
            encoder.set_bitrate(Bitrate::from_kbps(100));
            encoder.set_frame_rate(15).unwrap();
        }
        let mut picture = picture(size, n);
        let mut noise = n as u32;
        for pixel in picture.planes_mut()[0].iter_mut() {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *pixel = pixel.wrapping_add((noise >> 27) as u8);
        }
        let out = encode(&mut *encoder, &(&picture).into(), n);
        assert_eq!(kinds(&out)[0] == h264::SPS, n == 0);
        sizes[n / 30] += out.len();
    }
    assert!(sizes[1] * 2 < sizes[0], "{sizes:?}");
    // Both at once, and the buffer is still one picture.
    assert_eq!(driver.get("reconfigured"), 1);
    assert_eq!((driver.get("config.bps"), driver.get("config.vbv_bits")), (100_000, 6_666));
    let refused = encoder.set_frame_rate(121).unwrap_err();
    assert_eq!(refused, EncodeError::FrameRate { fps: 121, least: 1, most: 120 });
    drop((encoder, maker));
    driver.assert_clean();
}

#[test]
fn of_two_temporal_layers_the_upper_one_may_be_left_out() {
    let driver = Driver::new();
    let maker = driver.maker().unwrap();
    assert_eq!(maker.offer(VideoCodec::H264).unwrap().temporal_layers, 2);
    let size = size(320, 240);
    let mut encoder = maker.encoder(&config(size)).unwrap();
    encode(&mut *encoder, &(&picture(size, 0)).into(), 0);
    encoder.set_temporal_layers(2).unwrap();
    let mut viewer = Viewer::new();
    for n in 0..20 {
        let (picture, mut out) = (picture(size, n), Vec::new());
        let encoded = encoder.encode(&(&picture).into(), &control(n), &mut out).unwrap();
        let layers = encoded.layers.unwrap();
        assert_eq!((layers.layer.index() as usize, encoded.keyframe), (n % 2, n == 0));
        assert_eq!(layers.refers_back[0] as usize, [2, 1][n % 2] * n.min(1));
        if n % 2 == 0 {
            viewer.see(&out, n, &picture);
        }
    }
    assert!(matches!(encoder.set_temporal_layers(3), Err(EncodeError::TemporalLayers { .. })));
    drop((encoder, maker));
    driver.assert_clean();
}

#[test]
fn a_loss_is_repaired_by_a_picture_that_refers_to_what_viewers_have() {
    let driver = Driver::new();
    let maker = driver.maker().unwrap();
    let size = size(320, 240);
    let mut encoder = maker.encoder(&config(size).references(2)).unwrap();
    let mut viewer = Viewer::new();
    let (mut losses, mut keyframes, mut kept) = (0, 0, None);
    for n in 0..400 {
        let lost = n % 20 >= 12 && n % 20 < 16;
        let recover = n % 20 == 16;
        let (picture, mut out) = (picture(size, n), Vec::new());
        let control = control(n).keep_reference(n % 20 == 4).recover(recover);
        let encoded = encoder.encode(&(&picture).into(), &control, &mut out).unwrap();
        keyframes += usize::from(encoded.keyframe);
        if recover {
            losses += 1;
            assert!(encoded.keyframe || encoded.refers_to == kept, "{n}: {encoded:?}");
        }
        if !lost {
            viewer.see(&out, n, &picture);
            if let Some(reference) = encoded.reference {
                encoder.reference_received(reference).unwrap();
                kept = Some(reference);
            }
        }
    }
    assert_eq!((losses, keyframes), (20, 1));
    assert_eq!((driver.get("recovered"), driver.get("invalidated")), (20, 20));
    drop((encoder, maker));
    driver.assert_clean();
}

#[test]
fn without_a_reference_that_viewers_have_a_keyframe_repairs() {
    let driver = Driver::new();
    let maker = driver.maker().unwrap();
    let size = size(320, 240);
    let mut encoder = maker.encoder(&config(size).references(2)).unwrap();
    let mut at = |n: usize, recover: bool, keep: bool| {
        let control = control(n).recover(recover).keep_reference(keep);
        let mut out = Vec::new();
        encoder.encode(&(&picture(size, n)).into(), &control, &mut out)
    };
    let first = at(0, false, false).unwrap();
    assert!(first.keyframe && first.reference.is_some());
    at(1, false, false).unwrap();
    // The keyframe itself was lost.
    driver.fail("nvEncInvalidateRefFrames", 0, 1, 8);
    let second = at(2, true, false).unwrap();
    assert!(second.keyframe, "an invalidation that failed");
    assert_ne!(second.reference, first.reference);
    encoder.reference_lost(second.reference.unwrap()).unwrap();
    let control = control(3).recover(true);
    let third = encoder.encode(&(&picture(size, 3)).into(), &control, &mut Vec::new()).unwrap();
    assert!(third.keyframe && third.refers_to.is_none());
    drop((encoder, maker));
    driver.assert_clean();
}

#[test]
fn what_the_gpu_can_do_is_offered() {
    let driver = Driver::new();
    driver.set("min_width", 145);
    let offer = driver.maker().unwrap().offer(VideoCodec::H264).unwrap();
    assert_eq!((offer.sizes.least, offer.sizes.longer, offer.sizes.shorter), (146, 4_096, 4_096));
    assert_eq!((offer.references, offer.temporal_layers), (2, 2));
    driver.set("ltr", 0);
    driver.set("layers", 1);
    let maker = driver.maker().unwrap();
    let offer = maker.offer(VideoCodec::H264).unwrap();
    assert_eq!((offer.references, offer.temporal_layers), (0, 1));
    assert!(maker.offer(VideoCodec::Vp8).is_err());
    drop(maker);
    driver.assert_clean();
}

#[test]
fn the_second_gpu_is_taken_where_it_is_asked_for() {
    let driver = Driver::new();
    driver.set("devices", 2);
    let maker = NvencMaker::open(driver.config().gpu(1)).unwrap();
    assert_eq!(maker.gpu_name(), "stand-in 1");
    drop(maker);
    let error = NvencMaker::open(driver.config().gpu(2)).unwrap_err();
    assert_eq!(error, NvencError::NoSuchDevice { gpu: 2, count: 2 });
    driver.assert_clean();
}
