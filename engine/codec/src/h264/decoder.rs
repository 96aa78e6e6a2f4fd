use std::collections::VecDeque;
use std::time::Duration;

use openh264_sys2::{dsErrorFree, dsFramePending};
use visavis_bitstream::h264::{self, Sps};
use visavis_types::{FrameSize, I420Buffer};

use super::decoded::{DecodeError, Decoded};
use super::wels::{WelsDecoder, WelsError, WelsPicture};
use crate::StreamColors;

/// Access units whose picture the library may still owe. It keeps 16 at most; one that is not back
/// after this many never comes.
const MAX_IN_FLIGHT: usize = 32;
/// Pictures kept for reordering at most, whatever the stream says.
const MAX_WAITING: usize = 33;

impl From<WelsError> for DecodeError {
    fn from(WelsError { operation, code }: WelsError) -> Self {
        Self::Library { operation, code }
    }
}

/// Decodes H264 up to High profile (8 bits, 4:2:0, progressive) and gives pictures out in the
/// order in which they are shown.
///
/// Where a stream has B pictures, a picture comes out some calls after its access unit went in, so
/// pictures are matched to times by `pts`: each carries the one given with its own access unit.
/// Within a coded video sequence (from an IDR picture to the next) pictures come out by growing
/// `pts`; a sequence follows the one before it even if its times start again, so that a file can
/// be played in a loop.
///
/// Without B pictures the result is exact; with them, single samples may differ a little from
/// what the standard asks for.
///
/// Moves between threads, is used by one at a time.
pub struct H264Decoder {
    wels: WelsDecoder,
    /// How many pictures may wait for one that is shown earlier.
    reorder: usize,
    colors: StreamColors,
    /// Access units given, which is what the library is told instead of a time.
    stamp: u64,
    sequence: u64,
    in_flight: VecDeque<(u64, Order)>,
    waiting: Vec<(Order, I420Buffer)>,
    spare: Vec<I420Buffer>,
}

/// When a picture is shown: the coded video sequence it is in, its time.
type Order = (u64, Duration);

impl H264Decoder {
    /// Makes a decoder, which wants a keyframe first.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Library`] where the library has no memory.
    pub fn new() -> Result<Self, DecodeError> {
        Ok(Self {
            wels: WelsDecoder::new()?,
            reorder: 0,
            colors: StreamColors::default(),
            stamp: 0,
            sequence: 0,
            in_flight: VecDeque::with_capacity(MAX_IN_FLIGHT + 1),
            waiting: Vec::new(),
            spare: Vec::new(),
        })
    }

    /// Takes one access unit as an Annex B byte stream. Where a picture is due, it is in `out`;
    /// otherwise `out` is unchanged.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Corrupt`] for what cannot be decoded; pictures already decoded are not lost.
    pub fn decode(
        &mut self,
        access_unit: &[u8],
        pts: Duration,
        out: &mut I420Buffer,
    ) -> Result<Option<Decoded>, DecodeError> {
        self.look_at(access_unit)?;
        self.stamp += 1;
        self.in_flight.push_back((self.stamp, (self.sequence, pts)));
        if self.in_flight.len() > MAX_IN_FLIGHT {
            self.in_flight.pop_front();
        }
        // The second call says that the access unit is complete. Either may give a picture.
        let failed = self.feed(Some(access_unit))? | self.feed(None)?;
        if failed != dsErrorFree {
            self.in_flight.retain(|&(stamp, _)| stamp != self.stamp);
            return Err(DecodeError::Corrupt(failed));
        }
        Ok(self.next_due(out))
    }

    /// What the stream says of its colours, as of the last parameter set.
    pub fn colors(&self) -> StreamColors {
        self.colors
    }

    /// Gives out the pictures that still wait, one per call, until there are none. For the end of
    /// a file; afterwards the decoder wants a keyframe with its parameter sets.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Library`], or [`DecodeError::UnsupportedSize`].
    pub fn flush(&mut self, out: &mut I420Buffer) -> Result<Option<Decoded>, DecodeError> {
        if !self.in_flight.is_empty() {
            for _ in 0..MAX_IN_FLIGHT {
                let Some(picture) = self.wels.flush()? else { break };
                keep(picture, &mut self.in_flight, &mut self.waiting, &mut self.spare)?;
            }
            self.in_flight.clear();
            // openh264 never gets the memory of flushed pictures back into use; a decoder that
            // went on would run out of it within a few films.
            self.wels = WelsDecoder::new()?;
        }
        Ok(self.next_waiting(out))
    }

    /// Learns from the parameter sets whether pictures are reordered, and notices the beginning of
    /// a coded video sequence.
    fn look_at(&mut self, access_unit: &[u8]) -> Result<(), DecodeError> {
        let mut empty = true;
        for unit in h264::nal_units(access_unit) {
            empty = false;
            let kind = h264::nal_type(unit);
            if kind == h264::SPS
                && let Ok(sps) = Sps::parse(unit)
            {
                self.reorder = sps.max_num_reorder_frames() as usize;
                self.colors = StreamColors::of_h264(sps.vui.signal);
            }
            if h264::is_slice(kind) {
                self.sequence += u64::from(kind == h264::IDR_SLICE);
                break;
            }
        }
        if empty { Err(DecodeError::NoNalUnit(access_unit.len())) } else { Ok(()) }
    }

    /// Hands data to the library; returns its state flags where they mean an error.
    fn feed(&mut self, access_unit: Option<&[u8]>) -> Result<i32, DecodeError> {
        let (state, picture) = self.wels.decode(access_unit, self.stamp)?;
        if let Some(picture) = picture {
            keep(picture, &mut self.in_flight, &mut self.waiting, &mut self.spare)?;
        }
        Ok(state & !dsFramePending)
    }

    /// The first waiting picture, if no picture that may still come is shown before it.
    fn next_due(&mut self, out: &mut I420Buffer) -> Option<Decoded> {
        let first = self.waiting.iter().map(|(order, _)| *order).min()?;
        let owed = self.in_flight.iter().any(|(_, order)| *order < first);
        let due = self.waiting.len() > self.reorder && !owed;
        if due || self.waiting.len() > MAX_WAITING { self.next_waiting(out) } else { None }
    }

    fn next_waiting(&mut self, out: &mut I420Buffer) -> Option<Decoded> {
        let order = |&at: &usize| self.waiting.get(at).map(|(order, _)| *order);
        let first = (0..self.waiting.len()).min_by_key(order)?;
        let ((_, pts), mut picture) = self.waiting.swap_remove(first);
        std::mem::swap(out, &mut picture);
        self.spare.push(picture);
        Some(Decoded { size: out.size(), pts })
    }
}

impl std::fmt::Debug for H264Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("H264Decoder").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

/// Copies a picture out of the library's memory and puts it among those that wait.
fn keep(
    picture: WelsPicture<'_>,
    in_flight: &mut VecDeque<(u64, Order)>,
    waiting: &mut Vec<(Order, I420Buffer)>,
    spare: &mut Vec<I420Buffer>,
) -> Result<(), DecodeError> {
    let (width, height) = (picture.width, picture.height);
    let unsupported = DecodeError::UnsupportedSize { width, height };
    let size = FrameSize::new(width, height).map_err(|_| unsupported)?;
    let at = in_flight.iter().position(|&(stamp, _)| stamp == picture.stamp);
    // A picture nobody waits for any more has no time and no place.
    let Some((_, order)) = at.and_then(|at| in_flight.remove(at)) else { return Ok(()) };
    let mut buffer = spare.pop().unwrap_or_else(|| I420Buffer::new(size));
    buffer.resize(size);
    let widths = [buffer.y_stride(), buffer.uv_stride(), buffer.uv_stride()];
    for ((to, width), (from, stride)) in
        buffer.planes_mut().into_iter().zip(widths).zip(picture.planes)
    {
        for (to, from) in to.chunks_exact_mut(width).zip(from.chunks(stride.max(width))) {
            if let Some(from) = from.get(..width) {
                to.copy_from_slice(from);
            }
        }
    }
    waiting.push((order, buffer));
    Ok(())
}
