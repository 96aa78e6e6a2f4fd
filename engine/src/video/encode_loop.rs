use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Instant;

use visavis_codec::{I420Buffer, VideoEncoder, VideoEncoderConfig, convert, video_encoder};
use visavis_core::{PacketizedFrame, Packetizer};
use visavis_types::{AccessUnit, FrameSize, Stage, VideoCodec};

use super::mailbox::{FrameInfo, Slot};
use crate::media::{Full, Lanes};
use crate::shared::SessionShared;

/// The thread that turns one session's frames into packetized access units: converted once, encoded
/// once per codec in use, packetized once for all viewers.
pub(crate) struct EncodeLoop {
    shared: Arc<SessionShared>,
    output: Lanes<PacketizedFrame>,
    picture: I420Buffer,
    renditions: [Rendition; VideoCodec::ALL.len()],
    /// The encoders' clock starts here.
    epoch: Instant,
}

/// One codec's encoder, while somebody watches it, and what outlives it.
struct Rendition {
    codec: VideoCodec,
    encoder: Option<(FrameSize, Box<dyn VideoEncoder>)>,
    packetizer: Packetizer,
    unit: AccessUnit,
}

impl EncodeLoop {
    pub(crate) fn new(
        shared: Arc<SessionShared>,
        output: Lanes<PacketizedFrame>,
        smallest: FrameSize,
    ) -> Self {
        let epoch = Instant::now();
        Self {
            shared,
            output,
            picture: I420Buffer::new(smallest),
            renditions: VideoCodec::ALL.map(|codec| Rendition::new(codec, epoch)),
            epoch,
        }
    }

    /// Runs until the session stops.
    pub(crate) fn run(mut self) {
        while !self.shared.is_stopped() {
            match self.shared.mailbox.take() {
                Some(slot) => {
                    self.encode(&slot);
                    self.shared.mailbox.give_back(slot);
                }
                // A push between the look and the park leaves a token: the park returns at once.
                None => thread::park(),
            }
        }
    }

    fn encode(&mut self, slot: &Slot) {
        let Some(mut frame) = slot.frame else { return };
        let active = self.shared.active_codecs();
        for rendition in &mut self.renditions {
            if !active.contains(rendition.codec) {
                rendition.encoder = None;
            }
        }
        if active.is_empty() {
            return;
        }
        frame.stamps.set(Stage::Taken, Instant::now());
        if let Err(error) = convert(&slot.pixels, frame.format, frame.size, &mut self.picture) {
            tracing::error!(session = %self.shared.config.id, %error, "frame not converted");
            return;
        }
        frame.stamps.set(Stage::Converted, Instant::now());
        for codec in active.iter() {
            let keyframe = self.shared.take_keyframe_request(codec);
            let rendition = &mut self.renditions[codec.index()];
            match rendition.encode(&self.shared, &self.picture, &frame, keyframe, self.epoch) {
                Ok(Some(packetized)) => self.hand_over(packetized),
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(session = %self.shared.config.id, %codec, %error, "frame not encoded");
                    // A fresh encoder begins with a keyframe.
                    rendition.encoder = None;
                }
            }
        }
    }

    fn hand_over(&mut self, packetized: PacketizedFrame) {
        let (codec, keyframe) = (packetized.codec, packetized.keyframe);
        match self.output.push(packetized) {
            Ok(()) => {
                self.shared.counters.encoded_frames.fetch_add(1, Relaxed);
                self.shared.counters.keyframes.fetch_add(keyframe.into(), Relaxed);
            }
            Err(Full) => {
                // Without this frame the next ones do not decode.
                self.shared.counters.dropped_units.fetch_add(1, Relaxed);
                self.shared.want_keyframe(codec);
            }
        }
        self.output.wake();
    }
}

impl Rendition {
    fn new(codec: VideoCodec, epoch: Instant) -> Self {
        let unit = AccessUnit {
            codec,
            keyframe: false,
            data: Vec::new(),
            captured: epoch,
            stamps: visavis_types::Stamps::pushed(epoch),
        };
        Self { codec, encoder: None, packetizer: Packetizer::new(codec), unit }
    }

    fn encode(
        &mut self,
        shared: &SessionShared,
        picture: &I420Buffer,
        frame: &FrameInfo,
        keyframe: bool,
        epoch: Instant,
    ) -> Result<Option<PacketizedFrame>, visavis_codec::EncodeError> {
        let encoder = match self.encoder.take() {
            Some((size, encoder)) if size == frame.size => self.encoder.insert((size, encoder)),
            _ => {
                let config = VideoEncoderConfig {
                    size: frame.size,
                    fps: shared.config.fps,
                    bitrate: shared.config.video_bitrate,
                };
                self.encoder.insert((frame.size, video_encoder(self.codec, &config)?))
            }
        };
        self.unit.data.clear();
        let pts = frame.captured.saturating_duration_since(epoch);
        let encoded = encoder.1.encode(picture, keyframe, pts, &mut self.unit.data)?;
        if encoded.skipped {
            return Ok(None);
        }
        self.unit.keyframe = encoded.keyframe;
        self.unit.captured = frame.captured;
        self.unit.stamps = frame.stamps;
        self.unit.stamps.set(Stage::Encoded, Instant::now());
        Ok(Some(self.packetizer.packetize(&self.unit, Instant::now)))
    }
}
