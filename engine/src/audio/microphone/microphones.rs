//! The decoding end of a session's microphones.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::{Duration, Instant};

use rtrb::Consumer;
use visavis_core::rtp::receive::{Kind, MediaClock, MicPacket, MicReceiver, MicTurn};
use visavis_types::{AudioCodec, PeerId};

use super::allowance::Allowance;
use super::decode::{DecodeError, Decoder, duration_of};
use super::output::Output;
use super::voice_activity::VoiceActivity;
use crate::event::Event;

/// Lost packets that are made up for, at most; after more than that the sound goes on where it is.
const MAX_CONCEALED: u64 = 6;

/// A viewer that was silent for so long is forgotten; it is known anew with its next packet.
const FORGET: Duration = Duration::from_secs(60);

/// What media loops put into the ring to the audio loop.
pub(crate) enum MicEvent {
    Packet(PeerId, MicPacket),
    /// The viewer is gone.
    Left(PeerId),
}

/// Decodes the microphones of a session's viewers, on the audio loop.
pub(crate) struct Microphones {
    inputs: Vec<Consumer<MicEvent>>,
    viewers: HashMap<PeerId, Viewer>,
    output: Output,
}

struct Viewer {
    receiver: MicReceiver,
    stream: Stream,
    last_packet: Instant,
    allowance: Allowance,
}

/// The sound of one viewer, from packets that are in order.
struct Stream {
    peer: PeerId,
    decoder: Decoder,
    clock: MediaClock,
    activity: VoiceActivity,
}

impl Microphones {
    /// From the rings of all media loops.
    pub(crate) fn new(inputs: Vec<Consumer<MicEvent>>, output: Output) -> Self {
        Self { inputs, viewers: HashMap::new(), output }
    }

    /// Takes in what has arrived, gives out what is in order, and emits what is found in it. Stops at `until`, by the
    /// system's clock; true where something is left then.
    pub(crate) fn run(
        &mut self,
        now: Instant,
        until: Instant,
        emit: &mut dyn FnMut(&Event),
    ) -> bool {
        let Self { inputs, viewers, output, .. } = self;
        output.take_callback();
        let mut left = false;
        // Not more than is there now: the ring may be filled as fast as it is emptied.
        'inputs: for input in inputs {
            for _ in 0..input.slots() {
                let Ok(event) = input.pop() else { break };
                match event {
                    MicEvent::Packet(id, packet) => {
                        match Viewer::of(viewers, id, packet.codec, output.sample_rate, now) {
                            Ok(viewer) => viewer.receive(packet, now, output, emit),
                            Err(error) => {
                                tracing::error!(%error, "no decoder for a microphone");
                            }
                        }
                    }
                    MicEvent::Left(id) => {
                        if let Some(mut viewer) = viewers.remove(&id) {
                            viewer.stream.activity.end(|event| output.emit(id, event, emit));
                        }
                    }
                }
                if Instant::now() >= until {
                    left = true;
                    break 'inputs;
                }
            }
        }
        viewers.retain(|&id, viewer| {
            viewer.handle_due(now, output, emit);
            viewer.stream.activity.handle_due(now, |event| output.emit(id, event, emit));
            now.saturating_duration_since(viewer.last_packet) < FORGET
        });
        left
    }

    /// How many packets were not decoded since the last time because they were more than their viewers may send.
    pub(crate) fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.output.refused)
    }

    /// When [`run`](Self::run) should be called though nothing has arrived.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.viewers.values().filter_map(Viewer::deadline).min()
    }
}

impl Viewer {
    fn of(
        viewers: &mut HashMap<PeerId, Self>,
        id: PeerId,
        codec: AudioCodec,
        sample_rate: u32,
        now: Instant,
    ) -> Result<&mut Self, DecodeError> {
        match viewers.entry(id) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(place) => {
                let stream = Stream {
                    peer: id,
                    decoder: Decoder::new(codec, sample_rate)?,
                    clock: MediaClock::new(now.checked_sub(FORGET).unwrap_or(now)),
                    activity: VoiceActivity::new(sample_rate)?,
                };
                let (receiver, allowance) = (MicReceiver::default(), Allowance::new(now));
                Ok(place.insert(Self { receiver, stream, last_packet: now, allowance }))
            }
        }
    }

    fn receive(
        &mut self,
        packet: MicPacket,
        now: Instant,
        output: &mut Output,
        emit: &mut dyn FnMut(&Event),
    ) {
        self.last_packet = now;
        let Self { receiver, stream, allowance, .. } = self;
        if !allowance.take(duration_of(packet.codec, &packet.payload), now) {
            output.refused();
            return;
        }
        receiver.receive(packet, now, |turn| stream.turn(&turn, allowance, now, output, emit));
    }

    fn handle_due(&mut self, now: Instant, output: &mut Output, emit: &mut dyn FnMut(&Event)) {
        let Self { receiver, stream, allowance, .. } = self;
        receiver.handle_due(now, |turn| stream.turn(&turn, allowance, now, output, emit));
    }

    fn deadline(&self) -> Option<Instant> {
        [self.receiver.deadline(), self.stream.activity.deadline()].into_iter().flatten().min()
    }
}

impl Stream {
    /// Decodes a packet and what is missing before it.
    fn turn(
        &mut self,
        turn: &MicTurn,
        allowance: &mut Allowance,
        now: Instant,
        output: &mut Output,
        emit: &mut dyn FnMut(&Event),
    ) {
        let peer = self.peer;
        if turn.restarted {
            self.clock.restart(Kind::Audio);
        }
        let captured = self.clock.capture_time(Kind::Audio, turn.rtp_time, turn.arrived);
        let missing = turn.lost.min(MAX_CONCEALED);
        for before in (1..=missing).rev() {
            // What is made up costs as much as what came.
            if !allowance.take(self.decoder.packet_duration(), now) {
                output.refused();
                continue;
            }
            let mut samples = Vec::new();
            let next =
                (before == 1 && turn.codec == self.decoder.codec()).then_some(&*turn.payload);
            let back = self.decoder.packet_duration() * before as u32;
            if self.decoder.conceal(next, &mut samples).is_ok() {
                let captured = captured.checked_sub(back).unwrap_or(captured);
                self.emit_chunk(samples, captured, true, now, output, emit);
            }
        }
        // Only now: what was lost belongs to what was before.
        if turn.restarted
            && let Err(error) = self.decoder.restart(turn.codec)
        {
            tracing::error!(%peer, %error, "a microphone that was started anew cannot be decoded");
        }
        let mut samples = Vec::new();
        match self.decoder.decode(&turn.payload, &mut samples) {
            Ok(()) if samples.is_empty() => {}
            Ok(()) => self.emit_chunk(samples, captured, false, now, output, emit),
            Err(error) => tracing::debug!(%peer, %error, "a microphone packet that is none"),
        }
    }

    fn emit_chunk(
        &mut self,
        samples: Vec<i16>,
        captured: Instant,
        concealed: bool,
        now: Instant,
        output: &mut Output,
        emit: &mut dyn FnMut(&Event),
    ) {
        let captured = captured.checked_sub(self.decoder.delay()).unwrap_or(captured);
        let peer = self.peer;
        self.activity.process(&samples, captured, now, |event| output.emit(peer, event, emit));
        output.send(peer, samples, captured, concealed);
    }
}

#[cfg(test)]
mod tests;
