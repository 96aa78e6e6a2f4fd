//! Sound on its way from callers to the audio loop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::budget::Reservation;
use crate::utterance::state::UtteranceState;

/// Samples a second inside the engine.
pub(crate) const SAMPLE_RATE_HZ: u32 = 48_000;

/// How many samples a queue of such a length may hold; `Duration::MAX` is a length too.
pub(crate) fn max_samples(queue: Duration) -> usize {
    let samples = queue.as_millis().saturating_mul(u128::from(SAMPLE_RATE_HZ) / 1_000);
    usize::try_from(samples).unwrap_or(usize::MAX)
}

/// How long so many samples at [`SAMPLE_RATE_HZ`] take.
pub(super) fn samples_duration(samples: u64) -> Duration {
    Duration::from_micros(samples * 1_000_000 / u64::from(SAMPLE_RATE_HZ))
}

/// What is on its way to the audio loop.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) block: AudioBlock,
    /// How often the session had been interrupted before.
    pub(crate) interruptions: u64,
}

/// A session's sound is PCM, some of it in utterances, or Opus.
#[derive(Debug)]
pub(crate) enum AudioBlock {
    Pcm(PcmBlock),
    Opus(OpusBlock),
    /// An utterance begins, after those before it.
    Begin(Arc<UtteranceState>),
    Speech {
        block: PcmBlock,
        utterance: Arc<UtteranceState>,
        /// Where in the utterance it belongs.
        time: Duration,
        reservation: Reservation,
    },
}

impl AudioBlock {
    /// How many samples it is of sound that is pushed live.
    pub(super) fn live_samples(&self) -> usize {
        match self {
            Self::Pcm(_) | Self::Opus(_) => self.full_rate_samples(),
            Self::Speech { .. } | Self::Begin(_) => 0,
        }
    }

    /// How many samples it is at [`SAMPLE_RATE_HZ`], on one channel.
    pub(super) fn full_rate_samples(&self) -> usize {
        match self {
            Self::Pcm(block) | Self::Speech { block, .. } => block.full_rate_samples(),
            Self::Opus(block) => block.samples as usize,
            Self::Begin(_) => 0,
        }
    }
}

/// A chunk of samples.
#[derive(Debug)]
pub(crate) struct PcmBlock {
    /// Interleaved.
    pub(crate) samples: Vec<i16>,
    pub(crate) sample_rate: u32,
    pub(crate) channels: u16,
    /// When its first sample was captured.
    pub(crate) captured: Instant,
}

/// A longer chunk goes to the audio loop in pieces: what it takes in at a time must not keep it from what is due.
const PIECES_A_SECOND: usize = 10;

/// At most so many pieces; long chunks get longer ones, because all must fit into the ring.
const MAX_PIECES: usize = 256;

impl PcmBlock {
    /// The block in pieces of a length that is soon dealt with, and where in it each begins.
    pub(super) fn into_pieces(self) -> Vec<(Duration, Self)> {
        let channels = usize::from(self.channels).max(1);
        let (frames, rate) = (self.samples.len() / channels, self.sample_rate.max(1) as usize);
        let longest = (rate / PIECES_A_SECOND).max(frames.div_ceil(MAX_PIECES)).max(1);
        if frames <= longest {
            return vec![(Duration::ZERO, self)];
        }
        let Self { samples, sample_rate, channels: count, captured } = self;
        let piece = |(n, samples): (usize, &[i16])| {
            let before = (n * longest) as u64 * 1_000_000 / u64::from(sample_rate.max(1));
            let (before, samples) = (Duration::from_micros(before), samples.to_vec());
            let captured = captured + before;
            (before, Self { samples, sample_rate, channels: count, captured })
        };
        samples.chunks(longest * channels).enumerate().map(piece).collect()
    }

    /// Whether it has two channels.
    pub(super) fn is_stereo(&self) -> bool {
        self.channels > 1
    }

    /// How many samples it is at [`SAMPLE_RATE_HZ`], on one channel.
    pub(super) fn full_rate_samples(&self) -> usize {
        let frames = self.samples.len() / usize::from(self.channels).max(1);
        frames * SAMPLE_RATE_HZ as usize / self.sample_rate.max(1) as usize
    }
}

/// An Opus packet.
#[derive(Debug, Clone)]
pub(crate) struct OpusBlock {
    pub(crate) data: Arc<[u8]>,
    /// How long it plays, in samples at 48 kHz.
    pub(crate) samples: u32,
    /// When its first sample was captured.
    pub(crate) captured: Instant,
    pub(crate) timing: OpusTiming,
}

/// When an Opus packet is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpusTiming {
    /// When those before it have been played: its caller may push faster than real time.
    Paced,
    /// At once: its sender keeps time. The sender's clock counts so many samples since the packet
    /// before, if there was one.
    Live { step: Option<u32> },
}
