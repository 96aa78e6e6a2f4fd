//! The loop that most people write around str0m, as in str0m's own chat example: frame mode, one
//! `send_to` for each packet, `accepts` asked of every client to find the owner of a datagram, and every
//! client polled at every turn. `visavis-bench peers` measures it beside visavis, `visavis-bench weather` shows it to a
//! browser.
//!
//! `naive [LISTEN]`: H264 and Opus come in as RTP, viewers connect as they do to visavis or open the page. Where a viewer
//! asks for a keyframe, whoever sends the video is asked for one.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use serde_json::{Value, json};
use str0m::change::SdpOffer;
use str0m::format::{Codec, CodecExtra};
use str0m::media::{Frequency, MediaKind, MediaTime, Mid};
use str0m::net::{Protocol, Receive};
use str0m::unversioned::{Depacketizer, H264Depacketizer};
use str0m::{Candidate, Event, Input, Output, Rtc};
use tungstenite::{Message, WebSocket};

type Failure = Box<dyn Error + Send + Sync>;

const MEDIA: Token = Token(0);
const VIDEO: Token = Token(1);
const AUDIO: Token = Token(2);

/// The page of `visavis-bench avatar`.
const PAGE: &str = include_str!("../peers/avatar/viewer.html");

/// From the WebSocket of a client to the loop.
enum Command {
    Join(Box<Client>),
    Candidate(u64, Candidate),
}

struct Client {
    id: u64,
    rtc: Rtc,
    audio: Option<Mid>,
    video: Option<Mid>,
    wants_keyframe: bool,
}

fn main() -> Result<(), Failure> {
    let listen = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(listen)?;
    let address = listener.local_addr()?;
    let any: SocketAddr = (address.ip(), 0).into();
    let sockets = [UdpSocket::bind(any)?, UdpSocket::bind(any)?, UdpSocket::bind(any)?];
    let udp = sockets[0].local_addr()?;
    let ready = json!({
        "ready": true, "url": format!("http://{address}/"), "udp": udp.to_string(),
        "rtpVideo": sockets[1].local_addr()?.to_string(),
        "rtpAudio": sockets[2].local_addr()?.to_string(),
    });
    writeln!(std::io::stdout(), "{ready}")?;
    let (sender, receiver) = channel();
    std::thread::spawn(move || accept(&listener, udp, &sender));
    run(sockets, &receiver)
}

fn run(mut sockets: [UdpSocket; 3], commands: &Receiver<Command>) -> Result<(), Failure> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(16);
    for (socket, token) in sockets.iter_mut().zip([MEDIA, VIDEO, AUDIO]) {
        poll.registry().register(socket, token, Interest::READABLE)?;
    }
    let [media, video, audio] = sockets;
    let local = media.local_addr()?;
    let mut clients: Vec<Client> = Vec::new();
    let mut depacketizer = H264Depacketizer::default();
    let mut frame = Vec::new();
    let mut encoder = None;
    let mut buffer = [0; 2_000];
    loop {
        clients.retain(|client| client.rtc.is_alive());
        for command in commands.try_iter() {
            match command {
                Command::Join(client) => clients.push(*client),
                Command::Candidate(id, candidate) => {
                    if let Some(client) = clients.iter_mut().find(|client| client.id == id) {
                        client.rtc.add_remote_candidate(candidate);
                    }
                }
            }
        }
        let next = poll_all(&mut clients, &media);
        if let Some((address, ssrc)) = encoder {
            ask_for_keyframe(&mut clients, &video, address, ssrc);
        }
        let timeout = next.saturating_duration_since(Instant::now());
        poll.poll(&mut events, Some(timeout.max(Duration::from_millis(1))))?;
        if events.is_empty() {
            turn(&mut clients, Input::Timeout(Instant::now()));
        }
        for event in &events {
            match event.token() {
                MEDIA => {
                    while let Ok((length, source)) = media.recv_from(&mut buffer) {
                        let datagram = buffer.get(..length).unwrap_or_default();
                        let Ok(received) = Receive::new(Protocol::Udp, source, local, datagram)
                        else {
                            continue;
                        };
                        turn(&mut clients, Input::Receive(Instant::now(), received));
                        poll_all(&mut clients, &media);
                    }
                }
                token => {
                    let socket = if token == VIDEO { &video } else { &audio };
                    while let Ok((length, source)) = socket.recv_from(&mut buffer) {
                        let packet = buffer.get(..length).and_then(parse);
                        let Some((marker, time, ssrc, payload)) = packet else { continue };
                        if token == AUDIO {
                            let time = MediaTime::new(time, Frequency::FORTY_EIGHT_KHZ);
                            write(&mut clients, MediaKind::Audio, time, payload);
                        } else {
                            encoder = Some((source, ssrc));
                            let mut extra = CodecExtra::None;
                            depacketizer.depacketize(payload, &mut frame, &mut extra)?;
                            if !marker {
                                continue;
                            }
                            let time = MediaTime::from_90khz(time);
                            write(&mut clients, MediaKind::Video, time, &frame);
                            frame.clear();
                        }
                        poll_all(&mut clients, &media);
                    }
                }
            }
        }
    }
}

/// Gives an input to the client that accepts it, and the time to all of them.
fn turn(clients: &mut [Client], input: Input<'_>) {
    if matches!(input, Input::Receive(..))
        && let Some(client) = clients.iter_mut().find(|client| client.rtc.accepts(&input))
        && client.rtc.handle_input(input).is_err()
    {
        client.rtc.disconnect();
    }
    let now = Instant::now();
    for client in clients {
        if client.rtc.handle_input(Input::Timeout(now)).is_err() {
            client.rtc.disconnect();
        }
    }
}

/// Handles all output of all clients; returns the earliest of their timeouts.
fn poll_all(clients: &mut [Client], socket: &UdpSocket) -> Instant {
    let mut next = Instant::now() + Duration::from_millis(100);
    for client in clients {
        loop {
            match client.rtc.poll_output() {
                Ok(Output::Timeout(at)) => {
                    next = next.min(at);
                    break;
                }
                Ok(Output::Transmit(out)) => {
                    let _ = socket.send_to(&out.contents, out.destination);
                }
                Ok(Output::Event(Event::MediaAdded(media))) => match media.kind {
                    MediaKind::Audio => client.audio = Some(media.mid),
                    MediaKind::Video => client.video = Some(media.mid),
                },
                Ok(Output::Event(Event::KeyframeRequest(_))) => client.wants_keyframe = true,
                Ok(Output::Event(_)) => {}
                Err(_) => {
                    client.rtc.disconnect();
                    break;
                }
            }
        }
    }
    next
}

fn write(clients: &mut [Client], kind: MediaKind, time: MediaTime, data: &[u8]) {
    let now = Instant::now();
    for client in clients.iter_mut().filter(|client| client.rtc.is_connected()) {
        let (mid, codec) = match kind {
            MediaKind::Audio => (client.audio, Codec::Opus),
            MediaKind::Video => (client.video, Codec::H264),
        };
        let Some(writer) = mid.and_then(|mid| client.rtc.writer(mid)) else { continue };
        let params = writer.payload_params().find(|params| params.spec().codec == codec);
        let Some(payload_type) = params.map(|params| params.pt()) else { continue };
        if writer.write(payload_type, now, time, data).is_err() {
            client.rtc.disconnect();
        }
    }
}

/// Sends one picture loss indication (RFC 4585 §6.3.1) for all clients that want a keyframe.
fn ask_for_keyframe(clients: &mut [Client], video: &UdpSocket, encoder: SocketAddr, ssrc: [u8; 4]) {
    let mut wanted = false;
    for client in clients {
        wanted |= std::mem::take(&mut client.wants_keyframe);
    }
    if wanted {
        let mut request = vec![0x81, 206, 0, 2, 0, 0, 0, 0];
        request.extend(ssrc);
        let _ = video.send_to(&request, encoder);
    }
}

/// Marker, time, SSRC and payload of an RTP packet as ffmpeg sends it: no padding, no header extension.
fn parse(packet: &[u8]) -> Option<(bool, u64, [u8; 4], &[u8])> {
    let marker = packet.get(1)? & 0x80 != 0;
    let time = u32::from_be_bytes(packet.get(4..8)?.try_into().ok()?);
    let ssrc = packet.get(8..12)?.try_into().ok()?;
    let payload = packet.get(12..).filter(|payload| !payload.is_empty())?;
    Some((marker, time.into(), ssrc, payload))
}

fn accept(listener: &TcpListener, udp: SocketAddr, commands: &Sender<Command>) {
    for (id, stream) in (0..).zip(listener.incoming().flatten()) {
        let commands = commands.clone();
        // A client whose signaling ends goes on watching.
        std::thread::spawn(move || serve(id, stream, udp, &commands));
    }
}

/// The page, or the signaling of one client in the messages of visavis.
fn serve(
    id: u64,
    mut stream: TcpStream,
    udp: SocketAddr,
    commands: &Sender<Command>,
) -> Result<(), Failure> {
    let mut request = [0; 2_000];
    let length = stream.peek(&mut request)?;
    if is_for_page(request.get(..length).unwrap_or_default()) {
        // What is not read would reset the connection.
        let _ = stream.read(&mut request)?;
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close";
        return Ok(write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{PAGE}", PAGE.len())?);
    }
    let mut socket = tungstenite::accept(stream)?;
    let config = json!({
        "type": "config", "peerId": id.to_string(), "iceServers": [], "videoCodec": "H264",
        "audioCodec": "opus",
    });
    say(&mut socket, &config)?;
    loop {
        let Message::Text(text) = socket.read()? else { continue };
        let message: Value = serde_json::from_str(text.as_str())?;
        match message["type"].as_str() {
            Some("offer") => {
                let sdp = message.pointer("/data/sdp").and_then(Value::as_str);
                let mut rtc = Rtc::new(Instant::now());
                rtc.add_local_candidate(Candidate::host(udp, "udp")?);
                let offer = SdpOffer::from_sdp_string(sdp.unwrap_or_default())?;
                let answer = rtc.sdp_api().accept_offer(offer)?;
                let client = Client { id, rtc, audio: None, video: None, wants_keyframe: false };
                commands.send(Command::Join(Box::new(client)))?;
                let data = json!({"type": "answer", "sdp": answer.to_sdp_string()});
                say(
                    &mut socket,
                    &json!({"type": "answer", "peerId": id.to_string(), "data": data}),
                )?;
            }
            Some("ice-candidate") => {
                let text = message.pointer("/data/candidate").and_then(Value::as_str);
                let candidate = Candidate::from_sdp_string(text.unwrap_or_default())?;
                commands.send(Command::Candidate(id, candidate))?;
            }
            _ => {}
        }
    }
}

/// Whether a request is one for `/` and not the opening of a WebSocket.
fn is_for_page(request: &[u8]) -> bool {
    let request = String::from_utf8_lossy(request).to_ascii_lowercase();
    request.starts_with("get / ") && !request.contains("upgrade: websocket")
}

fn say(socket: &mut WebSocket<TcpStream>, message: &Value) -> Result<(), Failure> {
    Ok(socket.send(Message::text(message.to_string()))?)
}
