//! A listener that takes PCMU alone: what it receives can be read without a decoder.

use std::error::Error;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use str0m::change::SdpAnswer;
use str0m::media::{Direction, MediaKind};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

/// How long ICE and DTLS may take on any machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// It looks this often whether it is to leave.
const LOOK: Duration = Duration::from_millis(50);

/// An RTP packet with sound.
#[derive(Debug, Clone)]
pub struct HeardPacket {
    /// When it was received, since the Unix epoch.
    pub at: Duration,
    /// Its sequence number without roll-overs.
    pub sequence: u64,
    /// Its RTP time: 8,000 a second.
    pub time: u32,
    /// One byte for each sample.
    pub payload: Vec<u8>,
}

/// A viewer without picture, on a thread of its own: it notes when each packet comes.
#[derive(Debug)]
pub struct Listener {
    leaves: Arc<AtomicBool>,
    thread: JoinHandle<Result<Vec<HeardPacket>, String>>,
}

struct Connection {
    rtc: Rtc,
    socket: UdpSocket,
    local: SocketAddr,
    connected: bool,
    heard: Vec<HeardPacket>,
}

impl Listener {
    /// Has its offer answered, and returns when it is connected.
    ///
    /// # Errors
    ///
    /// When the offer is not answered, or no connection comes of it.
    pub fn join(
        answer: impl FnOnce(&str) -> Result<String, Box<dyn Error>>,
    ) -> Result<Self, Box<dyn Error>> {
        let mut connection = Connection::open(answer)?;
        let until = Instant::now() + PATIENCE;
        while !connection.connected {
            if Instant::now() > until {
                return Err("no connection".into());
            }
            connection.turn()?;
        }
        let leaves = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&leaves);
        let thread = thread::spawn(move || {
            while !asked.load(Relaxed) && connection.rtc.is_alive() {
                connection.turn().map_err(|error| error.to_string())?;
            }
            connection.heard.sort_by_key(|packet| packet.sequence);
            Ok(connection.heard)
        });
        Ok(Self { leaves, thread })
    }

    /// Leaves; what it has heard, in order.
    ///
    /// # Errors
    ///
    /// Whatever went wrong with its connection.
    pub fn leave(self) -> Result<Vec<HeardPacket>, Box<dyn Error>> {
        self.leaves.store(true, Relaxed);
        Ok(self.thread.join().map_err(|_| "the listener panicked")??)
    }
}

impl Connection {
    fn open(
        answer: impl FnOnce(&str) -> Result<String, Box<dyn Error>>,
    ) -> Result<Self, Box<dyn Error>> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let local = socket.local_addr()?;
        let config = RtcConfig::new().set_rtp_mode(true).clear_codecs().enable_pcmu(true, false);
        let mut rtc = config.build(Instant::now());
        rtc.add_local_candidate(Candidate::host(local, "udp")?);
        let mut api = rtc.sdp_api();
        api.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
        let (offer, pending) = api.apply().ok_or("nothing to offer")?;
        let answer = SdpAnswer::from_sdp_string(&answer(&offer.to_sdp_string())?)?;
        rtc.sdp_api().accept_answer(pending, answer)?;
        Ok(Self { rtc, socket, local, connected: false, heard: Vec::new() })
    }

    /// Waits for one datagram at most.
    fn turn(&mut self) -> Result<(), Box<dyn Error>> {
        let next = self.drain()?;
        let wait = next.saturating_duration_since(Instant::now());
        self.socket.set_read_timeout(Some(wait.clamp(Duration::from_millis(1), LOOK)))?;
        let mut datagram = [0; 2_048];
        let received = self.socket.recv_from(&mut datagram);
        let (now, unix) = (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH)?);
        let before = self.heard.len();
        match received {
            Ok((length, source)) => {
                let bytes = datagram.get(..length).unwrap_or_default();
                let receive = Receive::new(Protocol::Udp, source, self.local, bytes)?;
                self.rtc.handle_input(Input::Receive(now, receive))?;
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                self.rtc.handle_input(Input::Timeout(now))?;
            }
            Err(error) => return Err(error.into()),
        }
        self.drain()?;
        self.heard.iter_mut().skip(before).for_each(|packet| packet.at = unix);
        Ok(())
    }

    fn drain(&mut self) -> Result<Instant, Box<dyn Error>> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(at) => return Ok(at),
                Output::Transmit(out) => {
                    // The other side may have gone.
                    let _ = self.socket.send_to(&out.contents, out.destination);
                }
                Output::Event(Event::Connected) => self.connected = true,
                Output::Event(Event::RtpPacket(packet)) => self.heard.push(HeardPacket {
                    at: Duration::ZERO,
                    sequence: *packet.seq_no,
                    time: packet.header.timestamp,
                    payload: packet.payload.to_vec(),
                }),
                Output::Event(_) => {}
            }
        }
    }
}
