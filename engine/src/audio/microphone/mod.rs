use std::collections::HashMap;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use rtrb::Consumer;
use visavis_codec::{OpusDecoder, OpusError};
use visavis_core::rtp_input::{Kind, MediaClock, MicPacket, MicReceiver, MicTurn};
use visavis_types::{ClockAnchor, PeerId, UnixMillis};

/// Chunks that may wait for the application: ten seconds of one viewer. Past that the oldest is dropped.
const CHUNKS: usize = 500;

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

/// Where a session's microphones come out, those of all its viewers, each in order.
///
/// Nothing is decoded before this exists. An application that does not read loses the oldest chunks.
/// Clones share the chunks among them.
#[derive(Debug, Clone)]
pub struct Microphone {
    chunks: Receiver<MicChunk>,
}

impl Microphone {
    /// The next chunk, if there is one.
    pub fn try_next(&self) -> Option<MicChunk> {
        self.chunks.try_recv().ok()
    }

    /// The next chunk, waited for at most so long; `None` also where the session has ended.
    pub fn next_timeout(&self, patience: Duration) -> Option<MicChunk> {
        self.chunks.recv_timeout(patience).ok()
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
    out: Sender<MicChunk>,
    /// To make room where nobody reads.
    oldest: Receiver<MicChunk>,
    sample_rate: u32,
    clock: ClockAnchor,
}

struct Peer {
    receiver: MicReceiver,
    decoder: OpusDecoder,
    clock: MediaClock,
    /// How long the last packet was, in samples.
    packet_samples: usize,
    heard: Instant,
}

impl Microphones {
    /// Sound at `sample_rate`, from the lanes of all media loops.
    pub(crate) fn new(
        sample_rate: u32,
        clock: ClockAnchor,
        inputs: Vec<Consumer<MicEvent>>,
    ) -> (Self, Microphone) {
        let (out, chunks) = bounded(CHUNKS);
        let (peers, oldest) = (HashMap::new(), chunks.clone());
        (Self { inputs, peers, out, oldest, sample_rate, clock }, Microphone { chunks })
    }

    /// Takes in what has arrived and gives out what is in order.
    pub(crate) fn run(&mut self, now: Instant) {
        let Self { inputs, peers, out, oldest, sample_rate, clock } = self;
        let output = Output { out, oldest, sample_rate: *sample_rate, clock };
        for input in inputs {
            while let Ok(event) = input.pop() {
                match event {
                    MicEvent::Packet(id, packet) => match Peer::of(peers, id, *sample_rate, now) {
                        Ok(peer) => peer.receive(id, packet, now, &output),
                        Err(error) => tracing::error!(%error, "no decoder for a microphone"),
                    },
                    MicEvent::Left(id) => drop(peers.remove(&id)),
                }
            }
        }
        peers.retain(|&id, peer| {
            peer.handle_due(id, now, &output);
            now.saturating_duration_since(peer.heard) < FORGET
        });
    }

    /// When [`run`](Self::run) should be called though nothing has arrived.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.peers.values().filter_map(|peer| peer.receiver.deadline()).min()
    }
}

impl Peer {
    fn of(
        peers: &mut HashMap<PeerId, Self>,
        id: PeerId,
        sample_rate: u32,
        now: Instant,
    ) -> Result<&mut Self, OpusError> {
        use std::collections::hash_map::Entry;
        match peers.entry(id) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(place) => {
                let decoder = OpusDecoder::new(sample_rate, 1)?;
                Ok(place.insert(Self {
                    receiver: MicReceiver::default(),
                    decoder,
                    clock: MediaClock::new(now.checked_sub(FORGET).unwrap_or(now)),
                    packet_samples: sample_rate as usize / 50,
                    heard: now,
                }))
            }
        }
    }

    fn receive(&mut self, id: PeerId, packet: MicPacket, now: Instant, output: &Output<'_>) {
        self.heard = now;
        let Self { receiver, decoder, clock, packet_samples, .. } = self;
        receiver
            .receive(packet, now, |turn| decode(decoder, clock, packet_samples, id, &turn, output));
    }

    fn handle_due(&mut self, id: PeerId, now: Instant, output: &Output<'_>) {
        let Self { receiver, decoder, clock, packet_samples, .. } = self;
        receiver.handle_due(now, |turn| decode(decoder, clock, packet_samples, id, &turn, output));
    }
}

/// Decodes a packet and what is missing before it.
fn decode(
    decoder: &mut OpusDecoder,
    clock: &mut MediaClock,
    packet_samples: &mut usize,
    peer: PeerId,
    turn: &MicTurn,
    output: &Output<'_>,
) {
    if turn.restarted {
        clock.restart(Kind::Audio);
        let _ = decoder.reset();
    }
    let captured = clock.capture_time(Kind::Audio, turn.rtp_time, turn.arrived);
    let missing = turn.lost.min(MAX_CONCEALED);
    for before in (1..=missing).rev() {
        let mut samples = Vec::new();
        // The packet after a missing one may carry a second, coarser copy of it.
        let concealed = match before {
            1 => decoder.recover(&turn.payload, *packet_samples, &mut samples),
            _ => decoder.conceal(*packet_samples, &mut samples),
        };
        if concealed.is_ok() {
            let back = output.duration(*packet_samples) * before as u32;
            let captured = captured.checked_sub(back).unwrap_or(captured);
            output.send(peer, samples, captured, true);
        }
    }
    if turn.payload.is_empty() {
        return; // To the library it would mean a lost packet of the greatest length.
    }
    let mut samples = Vec::new();
    match decoder.decode(&turn.payload, &mut samples) {
        Ok(0) => {}
        Ok(count) => {
            *packet_samples = count;
            output.send(peer, samples, captured, false);
        }
        Err(error) => tracing::debug!(%peer, %error, "a microphone packet that is none"),
    }
}

/// The way to the application.
struct Output<'a> {
    out: &'a Sender<MicChunk>,
    oldest: &'a Receiver<MicChunk>,
    sample_rate: u32,
    clock: &'a ClockAnchor,
}

impl Output<'_> {
    fn duration(&self, samples: usize) -> Duration {
        Duration::from_micros(samples as u64 * 1_000_000 / u64::from(self.sample_rate))
    }

    fn send(&self, peer: PeerId, samples: Vec<i16>, captured: Instant, concealed: bool) {
        let captured = UnixMillis::from_system(self.clock.to_system(captured));
        let sample_rate = self.sample_rate;
        let mut chunk = MicChunk { peer, samples, sample_rate, captured, concealed };
        // Twice is enough: nobody else puts anything in.
        for _ in 0..2 {
            match self.out.try_send(chunk) {
                Err(TrySendError::Full(back)) => {
                    let _ = self.oldest.try_recv();
                    chunk = back;
                }
                Ok(()) | Err(TrySendError::Disconnected(_)) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rtrb::{Producer, RingBuffer};
    use visavis_codec::{OpusEncoder, OpusEncoderConfig};

    use super::*;

    const RATE: u32 = 16_000;

    /// Packets of a tone of 440 Hz.
    fn tone(packets: u16) -> Vec<MicPacket> {
        let mut encoder = OpusEncoder::new(&OpusEncoderConfig::default()).unwrap();
        let start = Instant::now();
        (0..packets)
            .map(|n| {
                let at = |i: usize| (usize::from(n) * 960 + i) as f64 / 48_000.0;
                let wave = |t: f64| (t * 440.0 * std::f64::consts::TAU).sin() * 8_000.0;
                let samples: Vec<i16> = (0..960).map(|i| wave(at(i)) as i16).collect();
                let mut data = Vec::new();
                encoder.encode(&samples, &mut data).unwrap();
                let arrived = start + Duration::from_millis(20) * u32::from(n);
                let rtp_time = 7_000 + u32::from(n) * 960;
                MicPacket { sequence: n, rtp_time, payload: Arc::from(data), arrived }
            })
            .collect()
    }

    fn microphones() -> (Producer<MicEvent>, Microphones, Microphone) {
        let (producer, consumer) = RingBuffer::new(64);
        let (engine_end, microphone) = Microphones::new(RATE, ClockAnchor::now(), vec![consumer]);
        (producer, engine_end, microphone)
    }

    fn peer(raw: u64) -> PeerId {
        PeerId::from_raw(raw)
    }

    #[test]
    fn what_is_lost_is_made_up_for_without_a_gap() {
        let (mut input, mut engine_end, microphone) = microphones();
        for packet in tone(100) {
            let now = packet.arrived;
            if !matches!(packet.sequence, 30 | 50..=52) {
                input.push(MicEvent::Packet(peer(1), packet)).ok().unwrap();
            }
            // As the audio loop would, at the deadline and at the arrival.
            if let Some(due) = engine_end.deadline().filter(|due| *due <= now) {
                engine_end.run(due);
            }
            engine_end.run(now);
        }
        let chunks: Vec<MicChunk> = std::iter::from_fn(|| microphone.try_next()).collect();
        assert_eq!(chunks.len(), 100);
        assert_eq!(chunks.iter().filter(|chunk| chunk.concealed).count(), 4);
        assert!(chunks.iter().all(|c| c.samples.len() == 320 && c.sample_rate == RATE));
        let times: Vec<u64> = chunks.iter().map(|chunk| chunk.captured.0).collect();
        assert!(times.windows(2).all(|t| (19..=21).contains(&(t[1] - t[0]))), "{times:?}");
        let loudness = |chunk: &MicChunk| {
            let sum: f64 = chunk.samples.iter().map(|&s| f64::from(s).powi(2)).sum();
            (sum / chunk.samples.len() as f64).sqrt()
        };
        // One lost packet is hardly heard; of several the tone fades, and comes back.
        assert!(loudness(&chunks[30]) > 1_000.0, "{}", loudness(&chunks[30]));
        for chunk in chunks[5..].iter().filter(|chunk| !chunk.concealed) {
            assert!((1_000.0..9_000.0).contains(&loudness(chunk)), "{}", loudness(chunk));
        }
    }

    #[test]
    fn each_viewer_has_its_own_decoder_until_it_leaves() {
        let (mut input, mut engine_end, microphone) = microphones();
        for packet in tone(10) {
            let now = packet.arrived;
            for id in [1, 2] {
                input.push(MicEvent::Packet(peer(id), packet.clone())).ok().unwrap();
            }
            engine_end.run(now);
        }
        let chunks: Vec<MicChunk> = std::iter::from_fn(|| microphone.try_next()).collect();
        let of =
            |id| chunks.iter().filter(move |c| c.peer == peer(id)).flat_map(|c| c.samples.clone());
        assert_eq!(of(1).count(), 3_200);
        assert!(of(1).eq(of(2)));
        input.push(MicEvent::Left(peer(1))).ok().unwrap();
        engine_end.run(Instant::now());
        assert_eq!(engine_end.peers.keys().collect::<Vec<_>>(), [&peer(2)]);
        engine_end.run(Instant::now() + 2 * FORGET);
        assert!(engine_end.peers.is_empty());
    }

    #[test]
    fn noise_in_packets_costs_nothing_but_itself() {
        let (mut input, mut engine_end, microphone) = microphones();
        let mut packets = tone(6);
        packets[2].payload = Arc::from([0xff; 40].as_slice());
        packets[3].payload = Arc::from([].as_slice());
        for packet in packets {
            let now = packet.arrived;
            input.push(MicEvent::Packet(peer(1), packet)).ok().unwrap();
            engine_end.run(now);
        }
        let chunks: Vec<MicChunk> = std::iter::from_fn(|| microphone.try_next()).collect();
        assert!((4..=5).contains(&chunks.len()), "{}", chunks.len());
        assert!(chunks.iter().all(|chunk| chunk.samples.len() == 320));
    }

    #[test]
    fn an_application_that_does_not_read_loses_the_oldest() {
        let (mut input, mut engine_end, microphone) = microphones();
        let packets = tone(CHUNKS as u16 + 20);
        let last = packets.last().unwrap().arrived;
        for packet in packets {
            let now = packet.arrived;
            input.push(MicEvent::Packet(peer(1), packet)).ok().unwrap();
            engine_end.run(now);
        }
        let chunks: Vec<MicChunk> = std::iter::from_fn(|| microphone.try_next()).collect();
        assert_eq!(chunks.len(), CHUNKS);
        let newest = UnixMillis::from_system(engine_end.clock.to_system(last));
        assert!(newest.0.abs_diff(chunks[CHUNKS - 1].captured.0) <= 2);
    }
}
