//! One session's sound, from what was pushed to what is sent.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use rtrb::Consumer;
use visavis_codec::{OpusError, ResampleError, Resampler};
use visavis_types::AudioPacket;

use super::drift::DriftCorrector;
use super::encoders::Encoders;
use super::microphone::Microphones;
use super::opus_queue::OpusQueue;
use super::pacer::Pacer;
use super::{AudioBlock, PcmBlock, SAMPLE_RATE_HZ};
use crate::media::Lanes;
use crate::shared::SessionShared;

/// One session's sound.
pub(crate) struct AudioSource {
    shared: Arc<SessionShared>,
    input: Consumer<AudioBlock>,
    output: Lanes<AudioPacket>,
    live: Live,
    pacer: Pacer,
    packets: OpusQueue,
    encoders: Encoders,
    /// Reused.
    packet: Vec<i16>,
    microphones: Microphones,
}

/// Sound that is pushed as it happens, on its way to 48 kHz mono.
#[derive(Default)]
struct Live {
    resampler: Option<(u32, u16, Resampler)>,
    drift: DriftCorrector,
    /// Reused.
    resampled: Vec<i16>,
}

impl AudioSource {
    pub(crate) fn new(
        shared: Arc<SessionShared>,
        input: Consumer<AudioBlock>,
        output: Lanes<AudioPacket>,
        microphones: Microphones,
    ) -> Result<Self, OpusError> {
        let config = &shared.config;
        Ok(Self {
            live: Live::default(),
            pacer: Pacer::new(config.audio_queue, config.packet_time),
            packets: OpusQueue::new(config.audio_queue),
            encoders: Encoders::new(config)?,
            shared,
            input,
            output,
            packet: Vec::new(),
            microphones,
        })
    }

    /// Whether its session was stopped.
    pub(super) fn is_over(&self) -> bool {
        self.shared.is_stopped()
    }

    /// Does what is due.
    pub(super) fn run(&mut self, now: Instant) {
        self.take_in(now);
        self.microphones.run(now);
        if self.send_due(now) {
            self.output.wake();
        }
    }

    /// When [`run`](Self::run) should be called though nothing was pushed.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let deadlines =
            [self.pacer.deadline(), self.packets.deadline(), self.microphones.deadline()];
        deadlines.into_iter().flatten().min()
    }

    /// Moves what was pushed into the queues.
    fn take_in(&mut self, now: Instant) {
        while let Ok(block) = self.input.pop() {
            let dropped = match block {
                AudioBlock::Opus(block) => self.packets.push(block),
                AudioBlock::Pcm(block) => {
                    self.live.push(&block, &mut self.pacer, now).unwrap_or_else(|error| {
                        tracing::error!(session = %self.shared.config.id, %error, "sound not resampled");
                        0
                    })
                }
            };
            self.shared.counters.dropped_audio_samples.fetch_add(dropped, Relaxed);
        }
    }

    /// Encodes and hands over what is due; true if anything was.
    fn send_due(&mut self, now: Instant) -> bool {
        let Self { shared, pacer, packets, encoders, output, packet, .. } = self;
        let codecs = shared.active_audio();
        let mut sent = false;
        // A full ring means the media loop stands still; sound this old is then better lost.
        let mut send = |packet| sent |= output.push(packet).is_ok();
        let failed = |error: &dyn std::fmt::Display| {
            tracing::error!(session = %shared.config.id, %error, "sound not encoded");
        };
        while let Some(slot) = pacer.poll(now, packet) {
            // Time goes on, even where nobody listens.
            if let Err(error) = encoders.encode(&slot, packet, codecs, &mut send) {
                failed(&error);
            }
        }
        while let Some((data, slot)) = packets.poll(now) {
            if let Err(error) = encoders.pass_on(&data, &slot, codecs, &mut send) {
                failed(&error);
            }
        }
        sent
    }
}

impl Live {
    /// Hands a chunk to the pacer; returns how many samples had to go for it.
    fn push(
        &mut self,
        block: &PcmBlock,
        pacer: &mut Pacer,
        now: Instant,
    ) -> Result<u64, ResampleError> {
        let (rate, channels) = (block.sample_rate, block.channels);
        let mut resampler = match self.resampler.take() {
            Some((r, c, resampler)) if (r, c) == (rate, channels) => resampler,
            _ => Resampler::new(rate, channels, SAMPLE_RATE_HZ, 1)?,
        };
        if let Some(ppm) = self.drift.watch(pacer.lead(now), now) {
            resampler.correct(ppm)?;
        }
        let delay_us = resampler.delay() as u64 * 1_000_000 / u64::from(SAMPLE_RATE_HZ);
        self.resampled.clear();
        resampler.process(&block.samples, &mut self.resampled)?;
        self.resampler = Some((rate, channels, resampler));
        let captured = block.captured.checked_sub(Duration::from_micros(delay_us));
        let captured = captured.unwrap_or(block.captured);
        Ok(pacer.push(&self.resampled, captured, now) as u64)
    }
}
