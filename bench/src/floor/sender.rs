//! The one thread that encrypts and sends.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use quinn_udp::{Transmit, UdpSockRef, UdpSocketState};

use super::clock::{reading_cost, thread_cpu};
use super::destination::{Destination, packet_bytes};
use super::stream::{Due, Stream};
use crate::Error;

/// The largest UDP payload over IPv4: the kernel takes no more in one send, GSO or not.
const MAX_SEND_BYTES: usize = 65_507;

/// The encryption of one in this many frames is timed. A prime, so that it is not always the same viewer.
const SAMPLE_EVERY: u64 = 17;

pub(super) struct Sender {
    socket: UdpSocket,
    state: UdpSocketState,
    destinations: Vec<Destination>,
    /// What every viewer gets, in the clear: lengths are what matters.
    plain: Vec<u8>,
    keyframe: Vec<usize>,
    frame: Vec<usize>,
    audio: Vec<usize>,
    /// One frame for one viewer, encrypted.
    buffer: Vec<u8>,
    packets: u64,
    sends: u64,
    refused: u64,
    turns: u64,
    sampled: Duration,
    sampled_packets: u64,
    reading_cost: Duration,
}

/// How far the sender has come.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    pub(super) at: Instant,
    pub(super) cpu: Duration,
    pub(super) packets: u64,
    pub(super) sends: u64,
    pub(super) refused: u64,
    pub(super) segments_per_send: usize,
    /// Since the measurement began; `None` where nothing was sampled.
    pub(super) crypto_ns_per_packet: Option<f64>,
}

impl Sender {
    pub(super) fn new(addresses: &[SocketAddr], stream: &Stream) -> Result<Self, Error> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        let [keyframe, frame, audio] =
            [Due::Keyframe, Due::Frame, Due::Audio].map(|due| stream.payloads(due));
        let largest =
            keyframe.iter().chain(&frame).chain(&audio).copied().max().unwrap_or_default();
        Ok(Self {
            socket,
            state,
            destinations: addresses
                .iter()
                .copied()
                .map(Destination::new)
                .collect::<Result<_, _>>()?,
            plain: vec![0x5a; largest],
            keyframe,
            frame,
            audio,
            buffer: Vec::with_capacity(MAX_SEND_BYTES),
            packets: 0,
            sends: 0,
            refused: 0,
            turns: 0,
            sampled: Duration::ZERO,
            sampled_packets: 0,
            reading_cost: reading_cost()?,
        })
    }

    /// Resets the samples of the encryption.
    pub(super) fn measure(&mut self) {
        self.sampled = Duration::ZERO;
        self.sampled_packets = 0;
    }

    pub(super) fn tally(&self) -> Result<Tally, Error> {
        let crypto = self.sampled.as_nanos() as f64 / self.sampled_packets.max(1) as f64;
        Ok(Tally {
            at: Instant::now(),
            cpu: thread_cpu()?,
            packets: self.packets,
            sends: self.sends,
            refused: self.refused,
            segments_per_send: self.state.max_gso_segments(),
            crypto_ns_per_packet: (self.sampled_packets > 0).then_some(crypto),
        })
    }

    /// Sends what is due to every viewer.
    pub(super) fn send(&mut self, due: Due) -> Result<(), Error> {
        let mut destinations = std::mem::take(&mut self.destinations);
        let outcome =
            destinations.iter_mut().try_for_each(|destination| self.send_to(destination, due));
        self.destinations = destinations;
        outcome
    }

    fn send_to(&mut self, destination: &mut Destination, due: Due) -> Result<(), Error> {
        let payloads = match due {
            Due::Keyframe => &self.keyframe,
            Due::Frame => &self.frame,
            Due::Audio => &self.audio,
        };
        let segment = packet_bytes(payloads.first().copied().unwrap_or_default());
        let per_send = (MAX_SEND_BYTES / segment).clamp(1, self.state.max_gso_segments());
        for row in payloads.chunks(per_send) {
            self.turns += 1;
            let timed = self.turns.is_multiple_of(SAMPLE_EVERY).then(thread_cpu).transpose()?;
            self.buffer.clear();
            for &len in row {
                let payload = self.plain.get(..len).unwrap_or_default();
                destination.seal(due == Due::Audio, payload, &mut self.buffer)?;
            }
            if let Some(before) = timed {
                let span = thread_cpu()?.saturating_sub(before);
                self.sampled += span.saturating_sub(self.reading_cost);
                self.sampled_packets += row.len() as u64;
            }
            let transmit = Transmit {
                destination: destination.address,
                ecn: None,
                contents: &self.buffer,
                segment_size: (row.len() > 1).then_some(segment),
                src_ip: None,
            };
            match self.state.try_send(UdpSockRef::from(&self.socket), &transmit) {
                Ok(()) => {
                    self.packets += row.len() as u64;
                    self.sends += 1;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.refused += row.len() as u64;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
