//! The relay between real sockets. Times are checked from below, and from above by seconds: the machine may be busy.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::HashSet;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use visavis_weather::{Bandwidth, Conditions, QueueLimit, Relay, RelayError};

/// Nothing takes longer on a machine that is not stuck.
const PATIENCE: Duration = Duration::from_secs(10);
/// What does not come within this time does not come.
const SILENCE: Duration = Duration::from_millis(200);

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn start(up: Conditions, down: Conditions) -> (UdpSocket, Relay) {
    let server = socket();
    let relay = Relay::start(server.local_addr().unwrap(), up, down, 1).unwrap();
    (server, relay)
}

fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 2_000];
    let (length, from) = socket.recv_from(&mut buffer).unwrap();
    (buffer[..length].to_vec(), from)
}

fn assert_silent(socket: &UdpSocket) {
    socket.set_read_timeout(Some(SILENCE)).unwrap();
    let fault = socket.recv_from(&mut [0; 1]).unwrap_err();
    assert_eq!(fault.kind(), ErrorKind::WouldBlock);
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
}

#[test]
fn datagrams_take_the_delay_of_their_direction() {
    let [up, down] = [30, 70].map(|delay| Conditions { delay: ms(delay), ..Conditions::default() });
    let (server, relay) = start(up, down);
    let client = socket();
    let begin = Instant::now();
    client.send_to(b"up", relay.addr()).unwrap();
    let (payload, from) = receive(&server);
    assert_eq!(payload, b"up");
    assert!(begin.elapsed() >= ms(30));
    let begin = Instant::now();
    server.send_to(b"down", from).unwrap();
    assert_eq!(receive(&client), (b"down".to_vec(), relay.addr()));
    assert!(begin.elapsed() >= ms(70));
    let counters = relay.counters();
    assert_eq!((counters.up.delivered, counters.down.delivered), (1, 1));
    assert_eq!((counters.up.sent_bytes, counters.clients, counters.unsent), (2 + 28, 1, 0));
}

#[test]
fn it_wakes_in_time_rather_than_by_a_tick() {
    let delay = Duration::from_micros(3_300);
    let (server, relay) =
        start(Conditions { delay, ..Conditions::default() }, Conditions::default());
    let client = socket();
    let best = (0..100).map(|_| {
        let begin = Instant::now();
        client.send_to(b"x", relay.addr()).unwrap();
        receive(&server);
        begin.elapsed()
    });
    let best = best.min().unwrap();
    assert!((delay..ms(4)).contains(&best), "{best:?}");
}

#[test]
fn each_client_is_a_peer_of_its_own() {
    let (server, relay) = start(Conditions::default(), Conditions::default());
    let clients: Vec<_> = (0..5).map(|_| socket()).collect();
    let mut peers = HashSet::new();
    for (number, client) in (0..).zip(&clients) {
        client.send_to(&[number], relay.addr()).unwrap();
        let (payload, from) = receive(&server);
        assert_eq!(payload, [number]);
        assert!(peers.insert(from), "{from} again");
        server.send_to(&[number], from).unwrap();
    }
    for (number, client) in (0..).zip(&clients) {
        assert_eq!(receive(client).0, [number]);
        assert_silent(client);
    }
    // The same client is the same peer.
    clients[0].send_to(b"again", relay.addr()).unwrap();
    assert!(peers.contains(&receive(&server).1));
    assert_eq!(relay.counters().clients, 5);
}

#[test]
fn a_rebound_client_has_another_port_and_the_old_one_is_dead() {
    let (server, relay) = start(Conditions::default(), Conditions::default());
    let client = socket();
    client.send_to(b"1", relay.addr()).unwrap();
    let (_, before) = receive(&server);
    relay.rebind().unwrap();
    client.send_to(b"2", relay.addr()).unwrap();
    let (_, after) = receive(&server);
    assert_ne!(before, after);
    server.send_to(b"old", before).unwrap();
    assert_silent(&client);
    server.send_to(b"new", after).unwrap();
    assert_eq!(receive(&client).0, b"new");
}

#[test]
fn conditions_change_while_it_runs() {
    let (server, relay) = start(Conditions::default(), Conditions::default());
    let client = socket();
    let send = |payload: &[u8]| client.send_to(payload, relay.addr()).unwrap();
    send(b"1");
    let (_, peer) = receive(&server);
    relay.set_up(Conditions { loss: 1.0, ..Conditions::default() });
    send(b"2");
    assert_silent(&server);
    server.send_to(b"only up", peer).unwrap();
    assert_eq!(receive(&client).0, b"only up");
    // Nothing is due when the bandwidth comes back: it has to be woken.
    relay.set_up(Conditions { bandwidth: Bandwidth::ZERO, ..Conditions::default() });
    send(b"3");
    assert_silent(&server);
    relay.set_up(Conditions::default());
    assert_eq!(receive(&server).0, b"3");
    relay.set_down(Conditions { loss: 1.0, ..Conditions::default() });
    server.send_to(b"lost", peer).unwrap();
    assert_silent(&client);
    let counters = relay.counters();
    assert_eq!((counters.up.sent, counters.up.lost, counters.up.delivered), (3, 1, 2));
    assert_eq!((counters.down.sent, counters.down.lost), (2, 1));
}

#[test]
fn a_blackout_is_in_both_directions_and_ends() {
    let (server, relay) = start(Conditions::default(), Conditions::default());
    let client = socket();
    client.send_to(b"1", relay.addr()).unwrap();
    let (_, peer) = receive(&server);
    relay.black_out(ms(1_500));
    client.send_to(b"2", relay.addr()).unwrap();
    server.send_to(b"2", peer).unwrap();
    assert_silent(&server);
    assert_silent(&client);
    let begin = Instant::now();
    while relay.counters().up.delivered == 1 {
        assert!(begin.elapsed() < PATIENCE);
        client.send_to(b"3", relay.addr()).unwrap();
        std::thread::sleep(ms(20));
    }
    assert_eq!(receive(&server).0, b"3");
}

#[test]
fn a_bottleneck_takes_its_time() {
    let queue = QueueLimit { time: Duration::from_secs(1), bytes: 1_000_000 };
    let narrow =
        Conditions { bandwidth: Bandwidth::from_kbps(800), queue, ..Conditions::default() };
    let (server, relay) = start(narrow, Conditions::default());
    let client = socket();
    let begin = Instant::now();
    for number in 0..50 {
        // 1,000 bytes with the headers: 10 ms.
        client.send_to(&[number; 972], relay.addr()).unwrap();
    }
    for number in 0..50 {
        assert_eq!(receive(&server).0[0], number);
        assert!(begin.elapsed() >= ms(10) * (u32::from(number) + 1));
    }
    let counters = relay.counters().up;
    assert_eq!((counters.delivered, counters.dropped), (50, 0));
    assert!(counters.queue_delay.max >= ms(300), "{counters:?}");
}

#[test]
fn clients_are_bounded() {
    let (server, relay) = start(Conditions::default(), Conditions::default());
    let peer = |client: &UdpSocket| {
        client.send_to(b"x", relay.addr()).unwrap();
        receive(&server).1
    };
    let clients: Vec<_> = (0..Relay::MAX_CLIENTS).map(|_| socket()).collect();
    let peers: Vec<_> = clients.iter().map(peer).collect();
    assert_eq!(peer(&clients[0]), peers[0]);
    // One more takes the place of the second one, who was silent the longest.
    peer(&socket());
    assert_eq!(relay.counters().clients, Relay::MAX_CLIENTS);
    assert_eq!([peer(&clients[0]), peer(&clients[2])], [peers[0], peers[2]]);
    assert_ne!(peer(&clients[1]), peers[1]);
}

#[test]
fn it_ends_when_it_is_dropped() {
    let (_server, relay) = start(Conditions::default(), Conditions::default());
    let addr = relay.addr();
    assert!(UdpSocket::bind(addr).is_err());
    drop(relay);
    UdpSocket::bind(addr).unwrap();
}

#[test]
fn it_stays_on_this_machine() {
    for addr in ["192.0.2.1:5000", "0.0.0.0:5000", "[2001:db8::1]:5000"] {
        let refused =
            Relay::start(addr.parse().unwrap(), Conditions::default(), Conditions::default(), 1);
        assert!(matches!(refused, Err(RelayError::NotLoopback(_))), "{addr}");
    }
    let (_server, relay) = start(Conditions::default(), Conditions::default());
    assert!(relay.addr().ip().is_loopback());
}
