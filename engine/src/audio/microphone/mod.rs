//! The viewers' microphones: put in order, decoded, listened to, and given to the application.

mod allowance;
mod decode;
mod output;
mod voice_activity;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use rtrb::Consumer;
use visavis_core::rtp::receive::{Kind, MediaClock, MicPacket, MicReceiver, MicTurn};
use visavis_types::{AudioCodec, ClockAnchor, PeerId, SessionId, UnixMillis};

use self::allowance::Allowance;
use self::decode::{DecodeError, Decoder, duration_of};
use self::output::{Callback, Output};
use self::voice_activity::VoiceActivity;
use crate::event::Event;
use crate::faults::Faults;
use crate::receiver::Receiver;

/// Lost packets that are made up for, at most; after more than that the sound goes on where it is.
const MAX_CONCEALED: u64 = 6;

/// A viewer that was silent for so long is forgotten; it is known anew with its next packet.
const FORGET: Duration = Duration::from_secs(60);

/// A piece of what a viewer says: mono, and as long as its packets are, usually 20 ms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MicChunk {
    /// Whose it is.
    pub peer: PeerId,
    /// Samples, mono.
    pub samples: Vec<i16>,
    /// Their rate: [`SessionConfig::microphone_rate`](crate::SessionConfig::microphone_rate).
    pub sample_rate: u32,
    /// When the first sample was captured, as far as its arrival tells.
    pub captured: UnixMillis,
    /// It was lost on the way, and is made up from what was around it.
    pub concealed: bool,
}

/// The session's side of its microphones.
pub(crate) struct MicEnds {
    chunks: Receiver<MicChunk>,
    /// Somebody reads, or may.
    read: Arc<AtomicBool>,
    callbacks: Sender<Callback>,
}

impl MicEnds {
    /// From now on chunks wait to be read.
    pub(crate) fn open(&self) -> Receiver<MicChunk> {
        self.read.store(true, Relaxed);
        self.chunks.clone()
    }

    /// From now on each chunk is shown to `callback`, and to none that was given before.
    pub(crate) fn call(&self, callback: impl FnMut(&MicChunk) + Send + 'static) {
        let _ = self.callbacks.send(Box::new(callback));
    }
}

impl std::fmt::Debug for MicEnds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MicEnds").field("read", &self.read).finish_non_exhaustive()
    }
}

/// What media loops tell of microphones.
pub(crate) enum MicEvent {
    Packet(PeerId, MicPacket),
    Left(PeerId),
}

/// The decoding end of a session's microphones; lives in the audio loop.
pub(crate) struct Microphones {
    inputs: Vec<Consumer<MicEvent>>,
    peers: HashMap<PeerId, Peer>,
    output: Output,
}

struct Peer {
    receiver: MicReceiver,
    sound: Sound,
    heard: Instant,
    allowance: Allowance,
}

/// What becomes of one viewer's packets once they are in order.
struct Sound {
    peer: PeerId,
    decoder: Decoder,
    clock: MediaClock,
    activity: VoiceActivity,
}

impl Microphones {
    /// Sound at `sample_rate`, from the rings of all media loops.
    pub(crate) fn new(
        session: SessionId,
        sample_rate: u32,
        clock: ClockAnchor,
        inputs: Vec<Consumer<MicEvent>>,
        (faults, unread): (Arc<Faults>, Arc<AtomicU64>),
    ) -> (Self, MicEnds) {
        let given = (faults, unread);
        let (output, chunks, callbacks) = Output::new(session, sample_rate, clock, given);
        let read = Arc::clone(&output.read);
        let ends = MicEnds { chunks, read, callbacks };
        (Self { inputs, peers: HashMap::new(), output }, ends)
    }

    /// Takes in what has arrived, gives out what is in order, and tells what is heard in it. Stops at `until`, by the
    /// system's clock; true where something is left then.
    pub(crate) fn run(
        &mut self,
        now: Instant,
        until: Instant,
        emit: &mut dyn FnMut(&Event),
    ) -> bool {
        let Self { inputs, peers, output, .. } = self;
        output.take_callback();
        let mut left = false;
        // Not more than is there now: the ring may be filled as fast as it is emptied.
        'inputs: for input in inputs {
            for _ in 0..input.slots() {
                let Ok(event) = input.pop() else { break };
                match event {
                    MicEvent::Packet(id, packet) => {
                        match Peer::of(peers, id, packet.codec, output.sample_rate, now) {
                            Ok(peer) => peer.receive(packet, now, output, emit),
                            Err(error) => {
                                tracing::error!(%error, "no decoder for a microphone");
                            }
                        }
                    }
                    MicEvent::Left(id) => {
                        if let Some(mut peer) = peers.remove(&id) {
                            peer.sound.activity.end(|event| output.emit(id, event, emit));
                        }
                    }
                }
                if Instant::now() >= until {
                    left = true;
                    break 'inputs;
                }
            }
        }
        peers.retain(|&id, peer| {
            peer.handle_due(now, output, emit);
            peer.sound.activity.handle_due(now, |event| output.emit(id, event, emit));
            now.saturating_duration_since(peer.heard) < FORGET
        });
        left
    }

    /// How many packets were not decoded since the last time because they were more than their viewers may send.
    pub(crate) fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.output.refused)
    }

    /// When [`run`](Self::run) should be called though nothing has arrived.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.peers.values().filter_map(Peer::deadline).min()
    }
}

impl Peer {
    fn of(
        peers: &mut HashMap<PeerId, Self>,
        id: PeerId,
        codec: AudioCodec,
        sample_rate: u32,
        now: Instant,
    ) -> Result<&mut Self, DecodeError> {
        match peers.entry(id) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(place) => {
                let sound = Sound {
                    peer: id,
                    decoder: Decoder::new(codec, sample_rate)?,
                    clock: MediaClock::new(now.checked_sub(FORGET).unwrap_or(now)),
                    activity: VoiceActivity::new(sample_rate)?,
                };
                let (receiver, allowance) = (MicReceiver::default(), Allowance::new(now));
                Ok(place.insert(Self { receiver, sound, heard: now, allowance }))
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
        self.heard = now;
        let Self { receiver, sound, allowance, .. } = self;
        if !allowance.take(duration_of(packet.codec, &packet.payload), now) {
            output.refused();
            return;
        }
        receiver.receive(packet, now, |turn| sound.turn(&turn, allowance, now, output, emit));
    }

    fn handle_due(&mut self, now: Instant, output: &mut Output, emit: &mut dyn FnMut(&Event)) {
        let Self { receiver, sound, allowance, .. } = self;
        receiver.handle_due(now, |turn| sound.turn(&turn, allowance, now, output, emit));
    }

    fn deadline(&self) -> Option<Instant> {
        [self.receiver.deadline(), self.sound.activity.deadline()].into_iter().flatten().min()
    }
}

impl Sound {
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
                self.give(samples, captured, true, now, output, emit);
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
            Ok(()) => self.give(samples, captured, false, now, output, emit),
            Err(error) => tracing::debug!(%peer, %error, "a microphone packet that is none"),
        }
    }

    fn give(
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
