//! A server whose faults are known, to check the viewers that measure the real one: it speaks the
//! same signaling, sends packets in the form of VP8, and drops those that it is configured to drop.

use std::error::Error;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use str0m::change::SdpOffer;
use str0m::format::Codec;
use str0m::media::{MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpWrite;
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};
use tungstenite::{Message, WebSocket, accept};

/// RTP packets a frame.
pub const PACKETS_PER_FRAME: u64 = 4;

const FRAME_INTERVAL: Duration = Duration::from_millis(40);
const FIRST_SEQUENCE: u64 = 1_000;
const FIRST_TIME: u32 = 90_000;
const TICKS_PER_FRAME: u32 = 3_600;

/// What is done to the frame of a number, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Its first packet is dropped on the way, but is kept for retransmission.
    Dropped,
    /// Its second packet is never made: no retransmission can bring it.
    Missing,
    /// It comes this much late, and those after it as well.
    Late(Duration),
}

/// A running sender, for one viewer.
#[derive(Debug)]
pub struct Sender {
    /// Address for the viewer.
    pub url: String,
    thread: JoinHandle<Result<(), String>>,
}

impl Sender {
    /// Starts, sends this many frames, the first a keyframe, and ends.
    ///
    /// # Errors
    ///
    /// When the system gives no socket.
    pub fn start(frames: u64, fault: fn(u64) -> Fault) -> Result<Self, Box<dyn Error>> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let url = format!("http://{}/", listener.local_addr()?);
        let thread = thread::spawn(move || {
            let (stream, _) = listener.accept().map_err(|error| error.to_string())?;
            serve(stream, frames, fault).map_err(|error| error.to_string())
        });
        Ok(Self { url, thread })
    }

    /// Waits until everything is sent.
    ///
    /// # Errors
    ///
    /// When the sender met with one.
    pub fn finish(self) -> Result<(), Box<dyn Error>> {
        self.thread.join().map_err(|_| "the sender panicked")??;
        Ok(())
    }
}

struct Connection {
    rtc: Rtc,
    socket: UdpSocket,
    video: Option<Mid>,
    connected: bool,
    /// Payload type and sequence number of a packet to swallow on its way out.
    swallow: Option<(u8, u16)>,
}

fn serve(stream: TcpStream, frames: u64, fault: fn(u64) -> Fault) -> Result<(), Box<dyn Error>> {
    let mut signaling = accept(stream)?;
    let config = json!({"type": "config", "peerId": "1", "iceServers": []});
    signaling.send(Message::text(config.to_string()))?;
    let mut connection = negotiate(&mut signaling)?;
    while !connection.connected {
        connection.turn(Duration::from_millis(20))?;
    }
    let mut sequence = FIRST_SEQUENCE;
    let mut due = Instant::now();
    for frame in 0..frames {
        if let Fault::Late(by) = fault(frame) {
            due += by;
        }
        while Instant::now() < due {
            connection.turn(due.saturating_duration_since(Instant::now()))?;
        }
        due += FRAME_INTERVAL;
        connection.send_frame(frame, &mut sequence, fault(frame))?;
    }
    // Time for the last retransmissions, and for the viewer to give up what is missing.
    let end = Instant::now() + Duration::from_millis(1_500);
    while Instant::now() < end {
        connection.turn(Duration::from_millis(20))?;
    }
    Ok(())
}

fn negotiate(signaling: &mut WebSocket<TcpStream>) -> Result<Connection, Box<dyn Error>> {
    let offer = loop {
        let message: Value = serde_json::from_str(signaling.read()?.to_text()?)?;
        if message["type"] == "offer" {
            break message["data"]["sdp"].as_str().unwrap_or_default().to_owned();
        }
    };
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut rtc = RtcConfig::new()
        .set_rtp_mode(true)
        .set_ice_lite(true)
        .clear_codecs()
        .enable_opus(true, false)
        .enable_vp8(true)
        .build(Instant::now());
    rtc.add_local_candidate(Candidate::host(socket.local_addr()?, "udp")?);
    let answer = rtc.sdp_api().accept_offer(SdpOffer::from_sdp_string(&offer)?)?;
    let mut connection = Connection { rtc, socket, video: None, connected: false, swallow: None };
    connection.drain()?;
    let data = json!({"type": "answer", "sdp": answer.to_sdp_string()});
    let answer = json!({"type": "answer", "peerId": "1", "data": data});
    signaling.send(Message::text(answer.to_string()))?;
    Ok(connection)
}

impl Connection {
    fn send_frame(
        &mut self,
        frame: u64,
        sequence: &mut u64,
        fault: Fault,
    ) -> Result<(), Box<dyn Error>> {
        let mid = self.video.ok_or("the viewer wants no video")?;
        let params = self.rtc.codec_config().params();
        let vp8 = params.iter().find(|params| params.spec().codec == Codec::Vp8);
        let pt = vp8.ok_or("no VP8")?.pt();
        for index in 0..PACKETS_PER_FRAME {
            if (fault, index) == (Fault::Missing, 1) {
                *sequence += 1;
                continue;
            }
            if (fault, index) == (Fault::Dropped, 0) {
                self.swallow = Some((*pt, (*sequence & 0xffff) as u16));
            }
            // A VP8 descriptor that starts a frame, then the bit that marks keyframes.
            let mut payload = vec![0xab; 1_000];
            payload[0] = if index == 0 { 0x10 } else { 0x00 };
            payload[1] = u8::from(frame > 0);
            let time = FIRST_TIME + TICKS_PER_FRAME * u32::try_from(frame)?;
            let write = RtpWrite::new(pt, (*sequence).into(), time, Instant::now(), payload)
                .marker(index + 1 == PACKETS_PER_FRAME)
                .nackable(true);
            let mut api = self.rtc.direct_api();
            api.stream_tx_by_mid(mid, None).ok_or("no stream to send on")?.write_rtp(write);
            self.drain()?;
            *sequence += 1;
        }
        Ok(())
    }

    /// Waits for one datagram at most, and lets the peer work.
    fn turn(&mut self, wait: Duration) -> Result<(), Box<dyn Error>> {
        self.socket.set_read_timeout(Some(
            wait.clamp(Duration::from_millis(1), Duration::from_millis(5)),
        ))?;
        let mut datagram = [0; 2_048];
        let received = self.socket.recv_from(&mut datagram);
        let now = Instant::now();
        let input = match &received {
            Ok((length, source)) => {
                let local = self.socket.local_addr()?;
                let bytes = datagram.get(..*length).unwrap_or_default();
                Input::Receive(now, Receive::new(Protocol::Udp, *source, local, bytes)?)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Input::Timeout(now)
            }
            Err(error) => return Err(error.to_string().into()),
        };
        self.rtc.handle_input(input)?;
        self.drain()
    }

    fn drain(&mut self) -> Result<(), Box<dyn Error>> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(_) => return Ok(()),
                Output::Transmit(out) if self.swallow.is_some_and(|rtp| is(&out.contents, rtp)) => {
                    self.swallow = None;
                }
                Output::Transmit(out) => {
                    let _ = self.socket.send_to(&out.contents, out.destination);
                }
                Output::Event(Event::Connected) => self.connected = true,
                Output::Event(Event::MediaAdded(media)) if media.kind == MediaKind::Video => {
                    self.video = Some(media.mid);
                }
                Output::Event(_) => {}
            }
        }
    }
}

/// Whether a datagram is the RTP packet of this payload type and sequence number (RFC 3550 §5.1; the
/// header is not encrypted).
fn is(datagram: &[u8], (payload_type, sequence): (u8, u16)) -> bool {
    let [first, second, high, low, ..] = datagram else { return false };
    first & 0xc0 == 0x80
        && second & 0x7f == payload_type
        && u16::from_be_bytes([*high, *low]) == sequence
}
