//! A viewer's microphone: packets in order, with what is missing pointed out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use visavis_types::AudioCodec;

use super::reorder::{Place, Reorder};
use super::sequencer::Unwrap;

/// The least and the most that sound waits for a packet that is missing before it.
const MIN_DEPTH: Duration = Duration::from_millis(20);
const MAX_DEPTH: Duration = Duration::from_millis(120);

/// What the network has shown is forgotten at this rate: a second of depth in a hundred seconds.
const FORGET_DIVISOR: u32 = 100;

/// The clock that turns are counted by, whatever that of their codec is.
const CLOCK_HZ: u32 = 48_000;

/// One packet of a viewer's microphone, decrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MicPacket {
    /// What it is encoded with.
    pub codec: AudioCodec,
    /// RTP sequence number.
    pub sequence: u16,
    /// RTP time, by the codec's own clock ([`AudioCodec::clock_hz`]).
    pub rtp_time: u32,
    /// One Opus packet (RFC 7587), or G.711 samples (RFC 3551 §4.5.14).
    pub payload: Arc<[u8]>,
    /// When it arrived.
    pub arrived: Instant,
}

/// A packet in its turn.
#[derive(Debug, PartialEq, Eq)]
pub struct MicTurn {
    /// What it is encoded with.
    pub codec: AudioCodec,
    /// The packet.
    pub payload: Arc<[u8]>,
    /// RTP time at 48 kHz whatever the codec, counted without wrapping.
    pub rtp_time: i64,
    /// When it arrived.
    pub arrived: Instant,
    /// Packets missing right before it: they did not come within the time that was given them.
    pub lost: u64,
    /// The sender was started anew, or sends another codec from here on: RTP time does not follow on
    /// from before.
    pub restarted: bool,
}

/// Orders one viewer's packets. Those that come in order go on at once; one that is missing is waited
/// for, as long as the network has shown that it may take.
#[derive(Debug)]
pub struct MicReceiver {
    reorder: Reorder<MicPacket>,
    clock: Unwrap,
    /// Of the last packet whose turn came.
    codec: Option<AudioCodec>,
    /// When the depth was last let sink.
    eased: Option<Instant>,
}

impl Default for MicReceiver {
    fn default() -> Self {
        let mut reorder = Reorder::default();
        reorder.patience = MIN_DEPTH;
        Self { reorder, clock: Unwrap::default(), codec: None, eased: None }
    }
}

impl MicReceiver {
    /// Takes a packet; calls `each` for every one whose turn has come.
    pub fn receive(&mut self, packet: MicPacket, now: Instant, mut each: impl FnMut(MicTurn)) {
        self.ease(now);
        let waiting_since = self.reorder.deadline().map(|at| at - self.reorder.patience);
        let place = self.reorder.place(packet.sequence, || packet.clone(), now);
        match place {
            Place::Now => {
                if let Some(since) = waiting_since {
                    // It was missing, and this is how late it came.
                    self.deepen(now.saturating_duration_since(since));
                }
                self.turn(packet, 0, false, &mut each);
            }
            Place::Restart => {
                if let Some(first) = self.reorder.pop(now) {
                    self.turn(first.packet, 0, true, &mut each);
                }
            }
            // Given up too soon, or a duplicate, which costs little.
            Place::Stale => self.deepen(self.reorder.patience),
            Place::Held | Place::Doubtful => {}
        }
        self.handle_due(now, each);
    }

    /// Gives up what has been waited for long enough.
    pub fn handle_due(&mut self, now: Instant, mut each: impl FnMut(MicTurn)) {
        while let Some(held) = self.reorder.pop(now) {
            self.turn(held.packet, held.lost, false, &mut each);
        }
    }

    /// When [`handle_due`](Self::handle_due) should be called.
    pub fn deadline(&self) -> Option<Instant> {
        self.reorder.deadline()
    }

    /// How long a missing packet is waited for, as things are.
    pub fn depth(&self) -> Duration {
        self.reorder.patience
    }

    fn turn(
        &mut self,
        packet: MicPacket,
        lost: u64,
        restarted: bool,
        each: &mut impl FnMut(MicTurn),
    ) {
        let MicPacket { codec, payload, arrived, .. } = packet;
        // A browser that goes over to another codec goes on counting packets, but its RTP time may run
        // by another clock from then on, and what it then starts from is nowhere laid down (RFC 7160).
        let restarted = restarted || self.codec.is_some_and(|before| before != codec);
        self.codec = Some(codec);
        if restarted {
            self.clock = Unwrap::default();
        }
        let steps = i64::from(CLOCK_HZ / codec.clock_hz());
        let rtp_time = self.clock.advance(packet.rtp_time).wrapping_mul(steps);
        each(MicTurn { codec, payload, rtp_time, arrived, lost, restarted });
    }

    /// A packet came this late: the next one may take half as much again.
    fn deepen(&mut self, late: Duration) {
        let wanted = (late * 3 / 2).clamp(MIN_DEPTH, MAX_DEPTH);
        self.reorder.patience = self.reorder.patience.max(wanted);
    }

    fn ease(&mut self, now: Instant) {
        let elapsed = self.eased.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let depth = self.reorder.patience.saturating_sub(elapsed / FORGET_DIVISOR);
        self.reorder.patience = depth.max(MIN_DEPTH);
        self.eased = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Feeds (arrival in ms, sequence); gives (sequence by payload, lost before it).
    fn run(receiver: &mut MicReceiver, start: Instant, arrivals: &[(u32, u16)]) -> Vec<(u8, u64)> {
        let mut out = Vec::new();
        for &(at, sequence) in arrivals {
            let now = start + MS * at;
            if let Some(due) = receiver.deadline().filter(|due| *due <= now) {
                receiver.handle_due(due, |turn| out.push((turn.payload[0], turn.lost)));
            }
            let packet = MicPacket {
                codec: AudioCodec::Opus,
                sequence,
                rtp_time: u32::from(sequence) * 960,
                payload: Arc::from([sequence as u8].as_slice()),
                arrived: now,
            };
            receiver.receive(packet, now, |turn| out.push((turn.payload[0], turn.lost)));
        }
        out
    }

    #[test]
    fn what_comes_in_order_goes_on_at_once() {
        let (mut receiver, start) = (MicReceiver::default(), Instant::now());
        let arrivals: Vec<(u32, u16)> = (0..50).map(|i| (u32::from(i) * 20, i)).collect();
        let got = run(&mut receiver, start, &arrivals);
        assert_eq!(got, (0..50).map(|i| (i, 0)).collect::<Vec<_>>());
        assert_eq!((receiver.depth(), receiver.deadline()), (MIN_DEPTH, None));
    }

    #[test]
    fn a_lost_packet_is_given_up_and_said_to_be_lost() {
        let (mut receiver, start) = (MicReceiver::default(), Instant::now());
        let got = run(&mut receiver, start, &[(0, 0), (20, 1), (60, 3), (80, 4), (100, 5)]);
        assert_eq!(got, [(0, 0), (1, 0), (3, 1), (4, 0), (5, 0)]);
    }

    #[test]
    fn the_depth_follows_the_network_and_sinks_again() {
        let (mut receiver, start) = (MicReceiver::default(), Instant::now());
        // 1 comes 15 ms after 2, 4 comes 21 ms after 5: more than is waited for at first.
        let got = run(&mut receiver, start, &[(0, 0), (20, 2), (35, 1), (60, 3), (62, 5), (83, 4)]);
        assert_eq!(got, [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (5, 0)]);
        assert!(receiver.depth() >= MS * 30, "{:?}", receiver.depth());
        let quiet: Vec<(u32, u16)> = (0..500).map(|i| (120 + 20 * i, 6 + i as u16)).collect();
        run(&mut receiver, start, &quiet);
        assert_eq!(receiver.depth(), MIN_DEPTH);
    }

    #[test]
    fn another_codec_goes_on_by_its_own_clock() {
        let (mut receiver, start) = (MicReceiver::default(), Instant::now());
        let mut turns = Vec::new();
        let codecs = [AudioCodec::Opus, AudioCodec::Opus, AudioCodec::Pcmu, AudioCodec::Pcmu];
        for (sequence, (codec, rtp_time)) in
            (65_534..).zip(codecs.into_iter().zip([u32::MAX, 959, 77, 237]))
        {
            let (payload, arrived) = (Arc::from([0].as_slice()), start);
            let sequence = sequence as u16;
            let packet = MicPacket { codec, sequence, rtp_time, payload, arrived };
            receiver.receive(packet, start, |turn| turns.push(turn));
        }
        assert_eq!(turns.iter().map(|turn| turn.codec).collect::<Vec<_>>(), codecs);
        let restarted: Vec<bool> = turns.iter().map(|turn| turn.restarted).collect();
        assert_eq!(restarted, [false, false, true, false]);
        let step = |at: usize| turns[at + 1].rtp_time - turns[at].rtp_time;
        assert_eq!((step(0), step(2)), (960, 960));
    }

    #[test]
    fn packets_that_come_too_late_make_it_wait_longer_next_time() {
        let (mut receiver, start) = (MicReceiver::default(), Instant::now());
        let got = run(&mut receiver, start, &[(0, 0), (20, 2), (50, 1), (60, 3)]);
        assert_eq!(got, [(0, 0), (2, 1), (3, 0)]);
        let before = receiver.depth();
        assert!(before > MIN_DEPTH, "{before:?}");
        for burst in 0..20 {
            run(&mut receiver, start + MS * (100 + burst * 200), &[(0, 1_000), (1, 0)]);
        }
        assert!(receiver.depth() <= MAX_DEPTH);
    }
}
