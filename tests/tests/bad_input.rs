//! Whatever arrives, from whomever: the server goes on, and those who watch notice nothing.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket, connect};
use visavis_bench::viewers::{Options, Swarm};
use visavis_bench::{Server, ServerOptions, get_json};
use visavis_tests::{Outcome, Turn};

type Failure = Box<dyn std::error::Error>;
type Client = WebSocket<MaybeTlsStream<TcpStream>>;

/// Viewers that watch while the server is being annoyed.
const WATCHERS: usize = 2;

/// Four and a half frames: what a watcher on a machine this small may notice.
const GAP_LIMIT_MS: f64 = 150.0;

/// How long an answer may take on a busy machine.
const ANSWER: Duration = Duration::from_secs(5);

/// Runs an attack while two viewers watch, and checks that they and the server came through.
fn under_watch(attack: impl FnOnce(&Server) -> Outcome) -> Outcome {
    under_watch_with(ServerOptions::demo(), attack)
}

fn under_watch_with(options: ServerOptions, attack: impl FnOnce(&Server) -> Outcome) -> Outcome {
    let _turn = Turn::take()?;
    let server = Server::start(options)?;
    let watchers = Swarm::start(Options::new(server.url(), WATCHERS));
    watchers.wait_for_pictures(Duration::from_secs(10))?;
    attack(&server)?;
    thread::sleep(Duration::from_secs(1));
    assert_eq!(server.peer_count()?, WATCHERS as u64, "peers after the attack");
    let report = watchers.finish()?;
    let gap = report.longest_video_gap_ms();
    println!("longest gap {gap:.1} ms, {} packets lost", report.lost());
    assert_eq!(report.errors(), Vec::<String>::new());
    assert_eq!(report.lost(), 0, "the watchers lost packets");
    assert!(gap < GAP_LIMIT_MS, "the watchers saw no new frame for {gap:.1} ms");
    server.stop()?;
    Ok(())
}

/// Sends datagrams to the media port for about two seconds.
fn datagrams(make: impl Fn(&mut Noise) -> Vec<u8>) -> Outcome {
    under_watch(|server| {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect((Ipv4Addr::LOCALHOST, server.udp_port()?))?;
        let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
        for _ in 0..200 {
            for _ in 0..20 {
                // A refused or oversized datagram is none of the server's doing.
                let _ = socket.send(&make(&mut noise));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    })
}

#[test]
fn datagrams_of_noise() -> Outcome {
    datagrams(|noise| noise.bytes(1 + noise.clone().below(1_400)))
}

#[test]
fn datagrams_that_look_like_stun() -> Outcome {
    datagrams(|noise| {
        let length = noise.below(100);
        let mut packet = vec![0x00, 0x01, 0x00, length as u8, 0x21, 0x12, 0xa4, 0x42];
        packet.extend(noise.bytes(12 + length));
        packet
    })
}

#[test]
fn datagrams_that_look_like_dtls() -> Outcome {
    datagrams(|noise| {
        let length = noise.below(600);
        // A handshake record of DTLS 1.2, epoch 0.
        let mut packet = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0];
        packet.extend((length as u16).to_be_bytes());
        packet.extend(noise.bytes(length));
        packet
    })
}

#[test]
fn datagrams_that_look_like_rtp() -> Outcome {
    datagrams(|noise| {
        let mut packet = vec![0x80 | noise.below(64) as u8];
        let length = 11 + noise.below(1_200);
        packet.extend(noise.bytes(length));
        packet
    })
}

#[test]
fn empty_datagrams() -> Outcome {
    datagrams(|_| Vec::new())
}

#[test]
fn datagrams_of_sixty_five_thousand_bytes() -> Outcome {
    datagrams(|noise| {
        let first = noise.below(256) as u8;
        vec![first; 65_507]
    })
}

#[test]
fn broken_sdp() -> Outcome {
    const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";
    const VIDEO: &str = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n\
        a=recvonly\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\na=ice-ufrag:abcd\r\n\
        a=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=setup:actpass\r\n";
    const CHANNEL: &str = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n\
        a=mid:0\r\na=sctp-port:5000\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n\
        a=setup:actpass\r\n";
    let offers = [
        ("empty", String::new()),
        ("prose", "Good morning. I would like to see the face, please.".to_owned()),
        ("without fingerprint", format!("{HEAD}{VIDEO}")),
        ("without media", HEAD.to_owned()),
        ("a data channel without fingerprint", format!("{HEAD}{CHANNEL}")),
        ("cut off", format!("{HEAD}{VIDEO}").chars().take(120).collect()),
        ("with a NUL", format!("{HEAD}\0{VIDEO}")),
        ("of nothing but media lines", format!("{HEAD}{}", VIDEO.repeat(500))),
    ];
    under_watch(|server| {
        for (name, sdp) in &offers {
            let mut client = client(server)?;
            let offer = json!({"type": "offer", "data": {"type": "offer", "sdp": sdp}});
            send(&mut client, &offer.to_string())?;
            let answer = receive(&mut client)?.ok_or_else(|| format!("{name}: closed"))?;
            assert_eq!(answer["type"], "error", "an offer {name} got {answer}");
            assert!(answer["code"].is_string() && answer["error"].is_string(), "{answer}");
            // The connection is still usable.
            send(&mut client, r#"{"type":"no-such-type"}"#)?;
            let answer = receive(&mut client)?.ok_or_else(|| format!("{name}: closed after"))?;
            assert_eq!(answer["type"], "error", "{name}: {answer}");
        }
        Ok(())
    })
}

#[test]
fn a_megabyte_of_sdp() -> Outcome {
    under_watch(|server| {
        let mut client = client(server)?;
        let sdp = "a=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n".repeat(24_000);
        let offer = json!({"type": "offer", "data": {"type": "offer", "sdp": sdp}});
        // The server may close before it has read it all.
        let _ = send(&mut client, &offer.to_string());
        refused(&mut client)
    })
}

#[test]
fn a_message_of_ten_megabytes() -> Outcome {
    under_watch(|server| {
        let before = server.resident_bytes()?;
        let mut client = client(server)?;
        let _ = send(&mut client, &"x".repeat(10 << 20));
        refused(&mut client)?;
        let grown = server.resident_bytes()?.saturating_sub(before);
        assert!(grown < 8 << 20, "memory grew by {grown} bytes");
        Ok(())
    })
}

#[test]
fn messages_outside_the_protocol() -> Outcome {
    let messages = [
        "",
        "not JSON",
        "null",
        "7",
        "[]",
        "\"offer\"",
        "{}",
        r#"{"type":5}"#,
        r#"{"type":"no-such-type"}"#,
        r#"{"type":"offer"}"#,
        r#"{"type":"offer","data":7}"#,
        r#"{"type":"offer","data":{"sdp":[]}}"#,
        r#"{"type":"offer","sdp":{}}"#,
        r#"{"type":"ice-candidate","data":[]}"#,
        r#"{"type":"ice-candidate","candidate":9}"#,
        r#"{"type":"answer","data":{"type":"answer","sdp":""}}"#,
    ];
    under_watch(|server| {
        for message in messages {
            let mut client = client(server)?;
            send(&mut client, message)?;
            let answer = receive(&mut client)?.ok_or_else(|| format!("{message}: closed"))?;
            assert_eq!(answer["type"], "error", "{message} got {answer}");
            assert!(answer["code"].is_string(), "{answer}");
        }
        let mut client = client(server)?;
        let nested = "[".repeat(100_000);
        send(&mut client, &nested)?;
        refused(&mut client)
    })
}

#[test]
fn a_binary_message() -> Outcome {
    under_watch(|server| {
        let mut client = client(server)?;
        client.send(Message::binary(Noise(7).bytes(2_000)))?;
        refused(&mut client)
    })
}

#[test]
fn endless_abuse_ends_the_connection() -> Outcome {
    under_watch(|server| {
        let mut client = client(server)?;
        let mut sent = 0;
        while sent < 2_000 && send(&mut client, r#"{"type":"no-such-type"}"#).is_ok() {
            sent += 1;
            if sent % 10 == 0 {
                thread::sleep(Duration::from_millis(1));
            }
        }
        let end = Instant::now() + ANSWER;
        while Instant::now() < end {
            if receive(&mut client)?.is_none() {
                return Ok(());
            }
        }
        Err(format!("still open after {sent} messages").into())
    })
}

#[test]
fn a_client_of_one_byte_a_second() -> Outcome {
    under_watch(|server| {
        let mut stream = TcpStream::connect(server.tcp_address()?)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        let started = Instant::now();
        for byte in b"GET /status HTTP/1.1\r\nHost: somebody-slow\r\n".iter().cycle() {
            let lived = started.elapsed();
            assert!(lived < Duration::from_secs(20), "still open after {lived:?}");
            if stream.write_all(&[*byte]).is_err() || is_closed(&mut stream)? {
                break;
            }
        }
        println!("closed after {:.1} s", started.elapsed().as_secs_f64());
        Ok(())
    })
}

#[test]
fn two_hundred_silent_connections() -> Outcome {
    under_watch(|server| {
        let address = server.tcp_address()?;
        let open = (0..200).map(|_| TcpStream::connect(address)).collect::<Result<Vec<_>, _>>()?;
        for mut stream in &open {
            stream.write_all(b"GET /")?;
        }
        // Others are served meanwhile.
        let status = get_json(&format!("{}status", server.url()))?;
        assert_eq!(status["peerCount"], WATCHERS);
        let end = Instant::now() + Duration::from_secs(20);
        for mut stream in open {
            let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(10));
            stream.set_read_timeout(Some(left))?;
            while !is_closed(&mut stream)? {
                assert!(Instant::now() < end, "a silent connection was kept for 20 s");
            }
        }
        Ok(())
    })
}

#[test]
fn peers_that_vanish_without_goodbye() -> Outcome {
    under_watch(|server| {
        let mut options = Options::new(server.url(), 3);
        options.vanish = true;
        let vanishing = Swarm::start(options);
        vanishing.wait_for_pictures(Duration::from_secs(10))?;
        let all = WATCHERS as u64 + 3;
        assert_eq!(server.peer_count()?, all);
        vanishing.finish()?;
        let gone = Instant::now();
        while server.peer_count()? > WATCHERS as u64 {
            let waited = gone.elapsed();
            assert!(waited < Duration::from_secs(40), "still counted after {waited:?}");
            thread::sleep(Duration::from_millis(200));
        }
        println!("noticed after {:.1} s", gone.elapsed().as_secs_f64());
        Ok(())
    })
}

#[test]
fn one_viewer_too_many() -> Outcome {
    let most = WATCHERS.to_string();
    under_watch_with(ServerOptions::demo().arg("--max-clients").arg(most), |server| {
        let mut client = client(server)?;
        let answer = receive(&mut client)?.ok_or("closed without a word")?;
        assert_eq!(
            (&answer["type"], &answer["code"]),
            (&json!("error"), &json!("full")),
            "{answer}"
        );
        assert_eq!(receive(&mut client)?, None, "the connection should be closed");
        Ok(())
    })
}

/// Connects and takes the `config` that comes first.
fn client(server: &Server) -> Result<Client, Failure> {
    let (mut client, _) = connect(server.url().replace("http:", "ws:"))?;
    if let MaybeTlsStream::Plain(stream) = client.get_mut() {
        stream.set_read_timeout(Some(ANSWER))?;
        stream.set_write_timeout(Some(ANSWER))?;
    }
    let config = receive(&mut client)?.ok_or("closed before config")?;
    assert_eq!(config["type"], "config", "{config}");
    assert!(config["peerId"].is_string() && config["iceServers"].is_array(), "{config}");
    Ok(client)
}

fn send(client: &mut Client, text: &str) -> Result<(), Failure> {
    Ok(client.send(Message::text(text))?)
}

/// The next message; nothing where the server has closed the connection.
fn receive(client: &mut Client) -> Result<Option<Value>, Failure> {
    loop {
        match client.read() {
            Ok(Message::Text(text)) => return Ok(Some(serde_json::from_str(text.as_str())?)),
            Ok(Message::Close(_)) => return Ok(None),
            Ok(_) => {}
            Err(tungstenite::Error::Io(error)) if waited(error.kind()) => {
                return Err("no answer".into());
            }
            Err(_) => return Ok(None),
        }
    }
}

/// Whether the server answered with an error, or closed: both are a refusal.
fn refused(client: &mut Client) -> Outcome {
    match receive(client)? {
        Some(answer) if answer["type"] == "error" => Ok(()),
        Some(answer) => Err(format!("not refused: {answer}").into()),
        None => Ok(()),
    }
}

/// Reads what has come, for as long as the stream's timeout allows; whether it is over.
fn is_closed(stream: &mut TcpStream) -> Result<bool, Failure> {
    match stream.read(&mut [0; 1_024]) {
        Ok(0) => Ok(true),
        Ok(_) => Ok(false),
        Err(error) if waited(error.kind()) => Ok(false),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(true),
        Err(error) => Err(error.into()),
    }
}

fn waited(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Repeatable noise (xorshift).
#[derive(Clone)]
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}
