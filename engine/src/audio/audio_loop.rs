use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, TryRecvError};
use rtrb::Consumer;
use visavis_codec::{
    OPUS_SILENCE, OpusApplication, OpusEncoder, OpusEncoderConfig, OpusError, Resampler,
};
use visavis_types::OpusPacket;

use super::microphone::Microphones;
use super::opus_queue::OpusQueue;
use super::pacer::{Pacer, Slot};
use super::{AudioBlock, SAMPLE_RATE_HZ};
use crate::event::{Subscriber, Subscribers};
use crate::media::Lanes;
use crate::shared::SessionShared;

/// The thread that paces and encodes the sound of all sessions.
pub(crate) struct AudioLoop {
    commands: Receiver<AudioCommand>,
    sources: Vec<AudioSource>,
    subscribers: Subscribers,
}

pub(crate) enum AudioCommand {
    Add(Box<AudioSource>),
    Subscribe(Subscriber),
    Stop,
}

/// One session's sound.
pub(crate) struct AudioSource {
    shared: Arc<SessionShared>,
    input: Consumer<AudioBlock>,
    output: Lanes<OpusPacket>,
    pacer: Pacer,
    packets: OpusQueue,
    encoder: OpusEncoder,
    resampler: Option<(u32, u16, Resampler)>,
    /// Reused.
    resampled: Vec<i16>,
    packet: Vec<i16>,
    encoded: Vec<u8>,
    silence: Arc<[u8]>,
    encoder_delay: Duration,
    microphones: Microphones,
}

impl AudioLoop {
    pub(crate) fn new(commands: Receiver<AudioCommand>) -> Self {
        Self { commands, sources: Vec::new(), subscribers: Subscribers::default() }
    }

    /// Runs until told to stop, or until nobody is left to tell.
    pub(crate) fn run(mut self) {
        loop {
            loop {
                match self.commands.try_recv() {
                    Ok(AudioCommand::Add(source)) => self.sources.push(*source),
                    Ok(AudioCommand::Subscribe(subscriber)) => self.subscribers.add(subscriber),
                    Ok(AudioCommand::Stop) | Err(TryRecvError::Disconnected) => return,
                    Err(TryRecvError::Empty) => break,
                }
            }
            self.sources.retain(|source| !source.shared.is_stopped());
            let now = Instant::now();
            for source in &mut self.sources {
                source.take_in(now);
                source.microphones.run(now);
                if source.send_due(now) {
                    source.output.wake();
                }
            }
            match self.sources.iter().filter_map(AudioSource::deadline).min() {
                Some(at) => thread::park_timeout(at.saturating_duration_since(Instant::now())),
                None => thread::park(),
            }
        }
    }
}

impl AudioSource {
    pub(crate) fn new(
        shared: Arc<SessionShared>,
        input: Consumer<AudioBlock>,
        output: Lanes<OpusPacket>,
        microphones: Microphones,
    ) -> Result<Self, OpusError> {
        let encoder = OpusEncoder::new(&OpusEncoderConfig {
            channels: 1,
            bitrate: shared.config.audio_bitrate,
            application: OpusApplication::Voip,
        })?;
        let lookahead = u64::from(encoder.lookahead());
        Ok(Self {
            pacer: Pacer::new(shared.config.audio_queue),
            packets: OpusQueue::new(shared.config.audio_queue),
            shared,
            input,
            output,
            encoder_delay: Duration::from_micros(lookahead * 1_000_000 / u64::from(SAMPLE_RATE_HZ)),
            encoder,
            resampler: None,
            resampled: Vec::new(),
            packet: Vec::new(),
            encoded: Vec::new(),
            silence: Arc::from(OPUS_SILENCE.as_slice()),
            microphones,
        })
    }

    /// Moves what was pushed into the queue.
    fn take_in(&mut self, now: Instant) {
        while let Ok(block) = self.input.pop() {
            let block = match block {
                AudioBlock::Pcm(block) => block,
                AudioBlock::Opus(block) => {
                    let dropped = self.packets.push(block);
                    self.shared.counters.dropped_audio_samples.fetch_add(dropped, Relaxed);
                    continue;
                }
            };
            let key = (block.sample_rate, block.channels);
            let resampler = match self.resampler.take() {
                Some((rate, channels, resampler)) if (rate, channels) == key => Ok(resampler),
                _ => Resampler::new(block.sample_rate, block.channels, SAMPLE_RATE_HZ, 1),
            };
            let mut resampler = match resampler {
                Ok(resampler) => resampler,
                Err(error) => {
                    tracing::error!(session = %self.shared.config.id, %error, "sound not resampled");
                    continue;
                }
            };
            self.resampled.clear();
            let delay_us = resampler.delay() as u64 * 1_000_000 / u64::from(SAMPLE_RATE_HZ);
            match resampler.process(&block.samples, &mut self.resampled) {
                Ok(()) => {
                    let captured = block.captured.checked_sub(Duration::from_micros(delay_us));
                    let captured = captured.unwrap_or(block.captured);
                    let dropped = self.pacer.push(&self.resampled, captured, now);
                    self.shared.counters.dropped_audio_samples.fetch_add(dropped as u64, Relaxed);
                }
                Err(error) => {
                    tracing::error!(session = %self.shared.config.id, %error, "sound not resampled");
                }
            }
            self.resampler = Some((key.0, key.1, resampler));
        }
    }

    /// Encodes and hands over what is due; true if anything was.
    fn send_due(&mut self, now: Instant) -> bool {
        let mut sent = false;
        let mut packet = std::mem::take(&mut self.packet);
        while let Some(slot) = self.pacer.poll(now, &mut packet) {
            if !self.shared.has_peers() {
                continue; // Time goes on; nobody listens.
            }
            let data =
                if slot.sound { self.encode(&packet) } else { Some(Arc::clone(&self.silence)) };
            if let Some(data) = data {
                sent |= self.hand_over(data, &slot);
            }
        }
        self.packet = packet;
        while let Some(packet) = self.packets.poll(now) {
            if self.shared.has_peers() {
                sent |= self.output.push(packet).is_ok();
            }
        }
        sent
    }

    fn deadline(&self) -> Option<Instant> {
        let deadlines =
            [self.pacer.deadline(), self.packets.deadline(), self.microphones.deadline()];
        deadlines.into_iter().flatten().min()
    }

    fn encode(&mut self, samples: &[i16]) -> Option<Arc<[u8]>> {
        self.encoded.clear();
        match self.encoder.encode(samples, &mut self.encoded) {
            Ok(_) => Some(Arc::from(self.encoded.as_slice())),
            Err(error) => {
                tracing::error!(session = %self.shared.config.id, %error, "sound not encoded");
                None
            }
        }
    }

    fn hand_over(&mut self, data: Arc<[u8]>, slot: &Slot) -> bool {
        // What a decoder plays at this RTP time is this much older than the packet's first sample.
        let captured = slot.captured.checked_sub(self.encoder_delay).unwrap_or(slot.captured);
        let Slot { rtp_time, talkspurt, .. } = *slot;
        let packet = OpusPacket { data, rtp_time, captured, talkspurt };
        // A full ring means the media loop stands still; sound this old is then better lost.
        self.output.push(packet).is_ok()
    }
}
