//! Temporal layers, from the encoder to what the media loops get.

use super::*;
use crate::idle::encoder::IdleEncoder;
use crate::media::waker::{MediaWaker, SessionWakers};
use crate::state::demand::LoopDemand;
use crate::state::liveness::Liveness;
use crate::video::rung_config::RungConfig;
use rtrb::Consumer;
use std::sync::atomic::AtomicUsize;
use str0m::format::CodecExtra;
use str0m::unversioned::{Depacketizer, H264Depacketizer, Vp8Depacketizer};
use visavis_codec::H264Decoder;
use visavis_types::encoder::{
    Encoded, EncoderMaker, EncoderOffer, Picture, ReferenceId, Unavailable,
};
use visavis_types::{Rung, SessionNumber};

const PICTURES: usize = 20;

/// Makes the software encoders with two temporal layers, whatever is asked for.
#[derive(Debug)]
struct TwoLayers(Encoders);

impl EncoderMaker for TwoLayers {
    fn name(&self) -> &'static str {
        "two layers"
    }

    fn codecs(&self) -> CodecSet {
        self.0.codecs()
    }

    fn offer(&self, codec: VideoCodec) -> Result<EncoderOffer, Unavailable> {
        self.0.offer(codec).cloned()
    }

    fn make(
        &self,
        codec: VideoCodec,
        config: &VideoEncoderConfig,
    ) -> Result<Box<dyn VideoEncoder>, EncodeError> {
        self.0.make(codec, &config.temporal_layers(2))
    }
}

/// Makes two encoders, as a device might that is about to be lost: the first fails at its sixth picture, the other at once.
#[derive(Debug)]
struct Dying(AtomicUsize);

struct DyingEncoder(Box<dyn VideoEncoder>, usize);

impl EncoderMaker for Dying {
    fn name(&self) -> &'static str {
        "dying"
    }

    fn codecs(&self) -> CodecSet {
        CodecSet::EMPTY.with(VideoCodec::H264)
    }

    fn offer(&self, codec: VideoCodec) -> Result<EncoderOffer, Unavailable> {
        Encoders::software().offer(codec).cloned()
    }

    fn make(
        &self,
        codec: VideoCodec,
        config: &VideoEncoderConfig,
    ) -> Result<Box<dyn VideoEncoder>, EncodeError> {
        let pictures = match self.0.fetch_add(1, Relaxed) {
            0 => 5,
            1 => 0,
            _ => return Err(lost()),
        };
        Ok(Box::new(DyingEncoder(Encoders::software().make(codec, config)?, pictures)))
    }
}

fn lost() -> EncodeError {
    EncodeError::Library { library: "dying", operation: "encode", detail: "lost".to_owned() }
}

impl VideoEncoder for DyingEncoder {
    fn codec(&self) -> VideoCodec {
        self.0.codec()
    }

    fn encode(
        &mut self,
        picture: &Picture<'_>,
        control: &FrameControl,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, EncodeError> {
        self.1 = self.1.checked_sub(1).ok_or_else(lost)?;
        self.0.encode(picture, control, out)
    }

    fn set_bitrate(&mut self, bitrate: Bitrate) {
        self.0.set_bitrate(bitrate);
    }

    fn set_frame_rate(&mut self, fps: u32) -> Result<(), EncodeError> {
        self.0.set_frame_rate(fps)
    }

    fn set_temporal_layers(&mut self, layers: u8) -> Result<(), EncodeError> {
        self.0.set_temporal_layers(layers)
    }

    fn reference_received(&mut self, reference: ReferenceId) -> Result<(), EncodeError> {
        self.0.reference_received(reference)
    }

    fn reference_lost(&mut self, reference: ReferenceId) -> Result<(), EncodeError> {
        self.0.reference_lost(reference)
    }
}

/// A loop that encodes with these, and where a media loop gets its frames.
fn encode_loop(encoders: Encoders) -> (EncodeLoop, Consumer<PacketizedFrame>) {
    encode_loop_of(SessionConfig::default(), encoders)
}

/// A loop for such a session.
fn encode_loop_of(
    config: SessionConfig,
    encoders: Encoders,
) -> (EncodeLoop, Consumer<PacketizedFrame>) {
    let poll = mio::Poll::new().unwrap();
    let waker = Arc::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap());
    let waker = MediaWaker::new(waker, Arc::default()).for_session();
    let wakers = SessionWakers::new(vec![waker]);
    let config = Arc::new(config.idle(None));
    let (lifecycle, faults) = (Arc::<Lifecycle>::default(), Arc::<Faults>::default());
    let threads = Arc::<Threads>::default();
    let liveness = Arc::new(Liveness::new(config.idle_grace, Instant::now()));
    let idle = IdleSource::new(
        &config,
        IdleEncoder::open(encoders.clone(), Arc::clone(&faults)).unwrap(),
        Arc::clone(&lifecycle),
        wakers.clone(),
    );
    let (output, mut ends) = LoopRings::new(PICTURES, wakers.each());
    let parts = EncodeParts {
        encoders,
        in_use: Arc::default(),
        lifecycle,
        faults,
        counters: Arc::default(),
        demand: Arc::new(Demand::new(SessionNumber::unique(), 1)),
        mailbox: Arc::default(),
        pictures: Arc::new(PictureQueue::new(config.utterance_bytes, &threads.pushers)),
        live: Arc::new(LiveSource::new(liveness, wakers)),
        idle: Arc::new(idle),
        threads,
        config,
    };
    (EncodeLoop::new(parts, output, FrameSize::SMALLEST), ends.remove(0))
}

fn picture(n: usize) -> I420Buffer {
    let mut picture = I420Buffer::new(FrameSize::new(128, 128).unwrap());
    let [y, u, v] = picture.planes_mut();
    for (at, pixel) in y.iter_mut().enumerate() {
        let (row, column) = (at / 128, at % 128);
        *pixel = 60 + ((row + n * 2) / 4 + column / 4) as u8 % 64 + column as u8 / 2;
    }
    u.fill(120);
    v.fill(140);
    picture
}

/// What the loop makes of some pictures, in each of these codecs.
fn encoded(encoders: Encoders, codecs: &[VideoCodec]) -> Vec<PacketizedFrame> {
    let (mut encode_loop, mut frames) = encode_loop(encoders);
    let session = encode_loop.renditions.demand.session();
    let ids = codecs.iter().map(|&codec| RenditionId::lowest(session, codec));
    let active = ids.fold(RenditionSet::EMPTY, RenditionSet::with);
    let mut all = Vec::new();
    for n in 0..PICTURES {
        let picture = picture(n);
        let captured = Instant::now() + Duration::from_millis(33) * n as u32;
        let timing = CaptureTiming { captured, stamps: Stamps::pushed(captured) };
        let matrix = ColorMatrix::for_size(picture.size());
        encode_loop.renditions.encode((&picture, matrix), timing, (active, false));
        all.extend(std::iter::from_fn(|| frames.pop().ok()));
    }
    assert_eq!(all.len(), PICTURES * codecs.len());
    all
}

fn layer(frame: &PacketizedFrame) -> u8 {
    frame.layers.unwrap().layer.index()
}

#[test]
fn layers_come_from_the_encoder_to_the_media_loop_and_may_be_left_out() {
    let frames = encoded(
        Encoders::software().with(Arc::new(TwoLayers(Encoders::software()))),
        &[VideoCodec::H264],
    );
    let mut decoder = H264Decoder::new().unwrap();
    let mut decoded = I420Buffer::new(FrameSize::SMALLEST);
    let (mut depacketizer, mut extra) = (H264Depacketizer::default(), CodecExtra::None);
    for (n, frame) in frames.iter().enumerate() {
        assert_eq!((layer(frame) as usize, frame.keyframe), (n % 2, n == 0));
        assert!(frame.layers.unwrap().sync);
        assert_eq!(frame.layers.unwrap().refers_back[0] as usize, [2, 1][n % 2] * n.min(1));
        if layer(frame) > 0 {
            continue;
        }
        let mut unit = Vec::new();
        for payload in frame.payloads.iter() {
            depacketizer.depacketize(payload, &mut unit, &mut extra).unwrap();
        }
        let shown = decoder.decode(&unit, Duration::ZERO, &mut decoded).unwrap();
        assert!(shown.is_some(), "picture {n}");
        let source = picture(n);
        let errors = source.y().iter().zip(decoded.y()).map(|(a, b)| f64::from(a.abs_diff(*b)));
        let mean = errors.map(|error| error * error).sum::<f64>() / source.y().len() as f64;
        assert!(mean < 60.0, "picture {n}: a mean square error of {mean:.0}");
    }
}

#[test]
fn an_encoder_that_fails_is_replaced_within_the_same_picture() {
    let encoders = Encoders::software().with(Arc::new(Dying(AtomicUsize::new(0))));
    let (mut encode_loop, mut frames) = encode_loop(encoders);
    let id = RenditionId::lowest(encode_loop.renditions.demand.session(), VideoCodec::H264);
    let in_use = Arc::clone(&encode_loop.renditions.in_use);
    let encoder = || in_use.list().iter().map(|one| one.encoder).collect::<Vec<_>>();
    for n in 0..10 {
        let picture = picture(n);
        let captured = Instant::now() + Duration::from_millis(33) * n as u32;
        let timing = CaptureTiming { captured, stamps: Stamps::pushed(captured) };
        let matrix = ColorMatrix::for_size(picture.size());
        let active = RenditionSet::EMPTY.with(id);
        encode_loop.renditions.encode((&picture, matrix), timing, (active, false));
        // Of the sixth nothing is lost, and a decoder can begin there.
        let frame = frames.pop().unwrap();
        assert_eq!((frame.keyframe, frames.is_empty()), (n % 5 == 0, true), "picture {n}");
        assert_eq!(encoder(), [if n < 5 { "dying" } else { "openh264" }]);
    }
    encode_loop.renditions.adapt(RenditionSet::EMPTY);
    assert_eq!(encoder(), <[&str; 0]>::default());
}

#[test]
fn payload_descriptors_name_the_layers_of_the_encoder() {
    let makers = || Encoders::software().with(Arc::new(TwoLayers(Encoders::software())));
    let (mut unit, mut extra) = (Vec::new(), CodecExtra::None);
    for (n, frame) in encoded(makers(), &[VideoCodec::Vp8]).iter().enumerate() {
        let mut depacketizer = Vp8Depacketizer::default();
        depacketizer.depacketize(&frame.payloads[0], &mut unit, &mut extra).unwrap();
        assert_eq!((depacketizer.tid, layer(frame)), ((n % 2) as u8, (n % 2) as u8));
    }
    for (n, frame) in encoded(makers(), &[VideoCodec::Vp9]).iter().enumerate() {
        assert_eq!((frame.payloads[0][3] >> 5, layer(frame)), ((n % 2) as u8, (n % 2) as u8));
    }
    // Without layers nothing is told of them.
    let plain = encoded(Encoders::software(), &[VideoCodec::Vp8, VideoCodec::H264]);
    assert!(plain.iter().all(|frame| frame.layers.is_none()));
}

#[test]
fn a_bitrate_that_is_wanted_is_that_of_the_next_picture_and_takes_no_keyframe() {
    let (mut encode_loop, mut frames) = encode_loop(Encoders::software());
    let demand = Arc::clone(&encode_loop.renditions.demand);
    let id = RenditionId::lowest(demand.session(), VideoCodec::H264);
    let media_loop = LoopDemand::new(demand, 0);
    let start = Instant::now();
    let mut noise = 1_u32;
    let mut bytes = |from: u32| {
        let mut bytes = 0;
        for n in from..from + 60 {
            let mut picture = picture(n as usize);
            let [luma, ..] = picture.planes_mut();
            for pixel in luma {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *pixel = pixel.wrapping_add((noise >> 24) as u8 / 2);
            }
            let captured = start + Duration::from_millis(33) * n;
            let timing = CaptureTiming { captured, stamps: Stamps::pushed(captured) };
            let matrix = ColorMatrix::for_size(picture.size());
            let active = RenditionSet::EMPTY.with(id);
            encode_loop.renditions.encode((&picture, matrix), timing, (active, false));
            while let Ok(frame) = frames.pop() {
                assert_eq!(frame.keyframe, n == 0);
                bytes += frame.payloads.bytes();
            }
        }
        bytes
    };
    let whole = bytes(0);
    media_loop.set_bitrate(id, Bitrate::from_kbps(80));
    let less = bytes(60);
    media_loop.reset_bitrates();
    let again = bytes(120);
    println!("{whole}, {less}, {again} bytes");
    // This much noise does not fit into 20,000.
    assert!(less * 4 < whole * 3 && less * 4 < again * 3, "{whole}, {less}, {again}");
}

#[test]
#[cfg(feature = "scale")]
fn a_smaller_picture_has_the_size_and_the_rate_that_was_asked_for() {
    let rungs = [(50, 200, 20), (50, 100, 7), (40, 60, 15)];
    let rungs = rungs
        .map(|(percent, kbps, fps)| RungConfig::new(percent, Bitrate::from_kbps(kbps)).fps(fps));
    let config = SessionConfig::default().rungs(rungs);
    let (mut encode_loop, mut frames) = encode_loop_of(config, Encoders::software());
    let session = encode_loop.renditions.demand.session();
    let of = |rung| RenditionId { session, codec: VideoCodec::H264, rung };
    let active = (0..).map_while(Rung::new).map(of).fold(RenditionSet::EMPTY, RenditionSet::with);
    let (start, mut made) = (Instant::now(), [0_usize; Rung::COUNT]);
    let mut large = I420Buffer::new(FrameSize::new(640, 360).unwrap());
    large.planes_mut().into_iter().for_each(|plane| plane.fill(90));
    for n in 0..300 {
        // Thirty a second, some a little early or late.
        let captured = start + Duration::from_micros(33_333 * n + n * n * 7 % 4_000);
        let timing = CaptureTiming { captured, stamps: Stamps::pushed(captured) };
        let matrix = ColorMatrix::for_size(large.size());
        encode_loop.renditions.encode((&large, matrix), timing, (active, false));
        for frame in std::iter::from_fn(|| frames.pop().ok()) {
            made[frame.rendition.rung.index()] += 1;
        }
    }
    let sizes = encode_loop.renditions.rungs.iter().rev().map(|rung| rung.scaled.size());
    let sizes: Vec<_> = sizes.map(|size| (size.width(), size.height())).collect();
    assert_eq!(sizes[..3], [(256, 144), (320, 180), (320, 180)]);
    assert!(made[3] == 300 && made[0].abs_diff(150) <= 2, "{made:?}");
    assert!(made[1].abs_diff(70) <= 2 && made[2].abs_diff(200) <= 2, "{made:?}");
}
