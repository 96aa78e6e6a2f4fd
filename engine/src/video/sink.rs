use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use visavis_codec::{Encoders, decode_still};
use visavis_types::{FrameSize, PixelFormat, Stamps, UnixMillis, VideoFrame, VideoFrameError};

use super::convert::to_i420;
use super::mailbox::{Buffer, FrameInfo, Mailbox, Slot};
use super::picture_queue::{PictureQueue, PreparedPicture};
use crate::config::SessionConfig;
use crate::push_outcome::PushOutcome;
use crate::source_clock::Stamped;
use crate::state::capture_clock::CaptureClock;
use crate::state::counters::Counters;
use crate::state::lifecycle::Lifecycle;
use crate::state::liveness::LiveSource;
use crate::state::threads::Threads;
use crate::utterance::state::UtteranceState;

/// Takes raw video. Never blocks; the newest frame wins. Clone it to push from several threads.
#[derive(Debug, Clone)]
pub struct VideoSink {
    parts: Arc<VideoParts>,
}

/// What pictures go through on their way to the encode loop.
#[derive(Debug)]
pub(crate) struct VideoParts {
    pub(crate) encoders: Encoders,
    pub(crate) config: Arc<SessionConfig>,
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) capture_clock: Arc<CaptureClock>,
    pub(crate) live: Arc<LiveSource>,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) pictures: Arc<PictureQueue>,
    pub(crate) threads: Arc<Threads>,
}

impl VideoSink {
    pub(crate) fn new(parts: VideoParts) -> Self {
        Self { parts: Arc::new(parts) }
    }

    /// Copies a frame into the mailbox and returns: some 0.1 ms for 512×512 RGBA. A JPEG or PNG file is
    /// decoded first, which takes milliseconds of the caller's thread.
    ///
    /// # Errors
    ///
    /// A frame whose size, length or content is unusable, or that is larger than any encoder of the session
    /// can take, is refused; what was pushed before is unaffected.
    pub fn push(&self, frame: &VideoFrame<'_>) -> Result<PushOutcome, VideoFrameError> {
        let size = frame.validate()?;
        self.check(size)?;
        let pushed = Pushed::now();
        if let Some(refused) = self.parts.lifecycle.refusal() {
            return Ok(self.ignore(refused, pushed));
        }
        let Some(mut slot) = self.parts.mailbox.free_slot() else {
            return Ok(self.replaced_already(pushed));
        };
        let format = match frame.format {
            PixelFormat::Jpeg | PixelFormat::Png => {
                decode_still(frame.data, frame.format, size, &mut slot.pixels)
            }
            format => {
                slot.pixels.clear();
                slot.pixels.extend_from_slice(frame.data);
                Ok(format)
            }
        };
        match format {
            Ok(format) => Ok(self.post(slot, size, format, frame.timestamp, pushed)),
            Err(error) => {
                self.parts.mailbox.give_back(slot);
                Err(error)
            }
        }
    }

    /// Takes a frame without copying it. `buffer` is dropped when the encoder has read it, when a newer frame has replaced
    /// it, or at once where it is not taken: by a caller that pushes, or on the session's encoder thread, so its destructor
    /// must neither block nor panic. A JPEG or PNG file is decoded first, as [`push`](Self::push) does.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub fn push_buffer(
        &self,
        buffer: impl AsRef<[u8]> + Send + Sync + 'static,
        (width, height): (u32, u32),
        format: PixelFormat,
        timestamp: UnixMillis,
    ) -> Result<PushOutcome, VideoFrameError> {
        let frame = VideoFrame::new(buffer.as_ref(), width, height);
        let frame = frame.format(format).timestamp(timestamp);
        let size = frame.validate()?;
        if format.frame_bytes(size).is_none() {
            return self.push(&frame);
        }
        self.check(size)?;
        let pushed = Pushed::now();
        if let Some(refused) = self.parts.lifecycle.refusal() {
            return Ok(self.ignore(refused, pushed));
        }
        let Some(mut slot) = self.parts.mailbox.free_slot() else {
            return Ok(self.replaced_already(pushed));
        };
        slot.buffer = Some(Buffer(Box::new(buffer)));
        Ok(self.post(slot, size, format, timestamp, pushed))
    }

    /// Memory for a frame, to be filled in place and [pushed](FrameMemory::push) without a copy. `None`
    /// where more frames are being written at once than there is memory for; what was not pushed yet is
    /// then best dropped, newer frames are on their way.
    ///
    /// # Errors
    ///
    /// An unusable size, a format without a fixed length, a session whose pictures are given encoded.
    pub fn frame_memory(
        &self,
        width: u32,
        height: u32,
        format: PixelFormat,
    ) -> Result<Option<FrameMemory>, VideoFrameError> {
        let size = FrameSize::new(width, height)?;
        self.check(size)?;
        let bytes = format.frame_bytes(size).ok_or(VideoFrameError::NoFixedLength(format))?;
        Ok(self.parts.mailbox.free_slot().map(|mut slot| {
            slot.pixels.resize(bytes, 0);
            FrameMemory { sink: self.clone(), slot: Some(slot), size, format }
        }))
    }

    /// Whether the session takes raw pictures, and of this size.
    fn check(&self, size: FrameSize) -> Result<(), VideoFrameError> {
        let config = &self.parts.config;
        if config.encoded.is_some() {
            return Err(VideoFrameError::EncodedSession);
        }
        // In a session of a fixed size all are brought to it.
        if config.size.is_some() {
            return Ok(());
        }
        let encoders = &self.parts.encoders;
        let codecs = config.video_codecs.iter();
        let mut sizes = codecs.map(|&codec| encoders.encodable_size(codec, size));
        match sizes.next() {
            // If one codec takes this size, the others get the picture scaled down.
            Some(most) if most != size && sizes.all(|most| most != size) => {
                Err(VideoFrameError::TooLarge { size, most })
            }
            _ => Ok(()),
        }
    }

    /// Keeps a frame of an utterance until its time.
    pub(crate) fn push_into(
        &self,
        frame: &VideoFrame<'_>,
        utterance: &Arc<UtteranceState>,
    ) -> Result<PushOutcome, VideoFrameError> {
        let size = frame.validate()?;
        self.check(size)?;
        let time = utterance.time_of(frame.timestamp).map_err(VideoFrameError::Timestamp)?;
        let pushed = Pushed::now();
        if let Some(refused) = self.parts.lifecycle.refusal() {
            return Ok(self.ignore(refused, pushed));
        }
        if utterance.is_interrupted() {
            return Ok(PushOutcome::Dropped);
        }
        let bytes = PixelFormat::I420.frame_bytes(size).unwrap_or(usize::MAX);
        let Some(reservation) = self.parts.pictures.reserve(utterance.is_first(), bytes) else {
            return Ok(PushOutcome::Full);
        };
        let mut picture = self.parts.pictures.spare_picture(size);
        to_i420(frame, size, &mut picture)?;
        self.parts.counters.count_frame(pushed.at, pushed.unix);
        let goes_back = utterance.goes_back(time);
        self.parts.counters.count_stamp(!utterance.is_before(frame.timestamp) && !goes_back);
        utterance.picture_pushed(pushed.at);
        self.parts.pictures.push(PreparedPicture {
            picture,
            utterance: Arc::clone(utterance),
            time,
            reservation,
        });
        self.parts.threads.wake_all();
        Ok(PushOutcome::Accepted)
    }

    /// A frame outside of start and stop is counted, no more.
    fn ignore(&self, refused: PushOutcome, pushed: Pushed) -> PushOutcome {
        self.parts.counters.count_frame(pushed.at, pushed.unix);
        refused
    }

    /// Other callers are writing newer frames.
    fn replaced_already(&self, pushed: Pushed) -> PushOutcome {
        self.parts.counters.count_frame(pushed.at, pushed.unix);
        self.parts.counters.replaced_frames.fetch_add(1, Relaxed);
        PushOutcome::Accepted
    }

    fn post(
        &self,
        mut slot: Slot,
        size: FrameSize,
        format: PixelFormat,
        timestamp: UnixMillis,
        pushed: Pushed,
    ) -> PushOutcome {
        let parts = &*self.parts;
        parts.counters.count_frame(pushed.at, pushed.unix);
        parts.live.picture_pushed(pushed.at);
        let interval_ms = 1_000 / u64::from(parts.config.fps.max(1));
        if pushed.unix.0.saturating_sub(timestamp.0) > interval_ms * 3 / 2 {
            parts.counters.late_frames.fetch_add(1, Relaxed);
        }
        slot.frame = Some(FrameInfo {
            size,
            format,
            captured: parts.capture_clock.capture_time(Stamped::Picture, timestamp, pushed.at),
            stamps: Stamps::pushed(pushed.at),
        });
        if !parts.mailbox.post(slot) {
            parts.counters.replaced_frames.fetch_add(1, Relaxed);
        }
        parts.threads.encode.wake();
        PushOutcome::Accepted
    }
}

/// The moment of a push on both clocks.
#[derive(Debug, Clone, Copy)]
struct Pushed {
    at: Instant,
    unix: UnixMillis,
}

impl Pushed {
    fn now() -> Self {
        Self { at: Instant::now(), unix: UnixMillis::now() }
    }
}

/// A frame that is being written where the encoder will read it. What was there before is still there: fill
/// all of it. Dropped without a push, it was never there.
#[derive(Debug)]
#[must_use = "a frame is sent when it is pushed; dropped, it never was"]
pub struct FrameMemory {
    sink: VideoSink,
    /// None once pushed.
    slot: Option<Slot>,
    size: FrameSize,
    format: PixelFormat,
}

impl FrameMemory {
    /// Hands the frame over, as [`VideoSink::push`] does.
    pub fn push(mut self, timestamp: UnixMillis) -> PushOutcome {
        let pushed = Pushed::now();
        if let Some(refused) = self.sink.parts.lifecycle.refusal() {
            return self.sink.ignore(refused, pushed);
        }
        match self.slot.take() {
            Some(slot) => self.sink.post(slot, self.size, self.format, timestamp, pushed),
            // Not possible: a push takes the memory with it.
            None => PushOutcome::Dropped,
        }
    }
}

impl Deref for FrameMemory {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.slot.as_ref().map_or(&[], |slot| &slot.pixels)
    }
}

impl DerefMut for FrameMemory {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.slot.as_mut().map_or(&mut [], |slot| &mut slot.pixels)
    }
}

impl Drop for FrameMemory {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            self.sink.parts.mailbox.give_back(slot);
        }
    }
}
