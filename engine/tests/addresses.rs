//! This machine's addresses come and go while the engine runs: two hosts in network namespaces of the test's own.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod viewer;

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use viewer::Viewer;
use visavis::session::SessionId;
use visavis::{Engine, EngineConfig, EngineHandle, SessionConfig};

const PATIENCE: Duration = Duration::from_secs(20);

const VIEWER: Ipv4Addr = Ipv4Addr::new(10, 97, 0, 9);

/// A host for the engine and one for viewers, with a cable between them; gone when dropped.
struct Network {
    engine: String,
    viewer: String,
}

impl Network {
    /// Makes it, and enters the engine's host with this thread and whatever it starts. `None` where only root may
    /// and this is not root; in CI that is an error.
    fn enter(name: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() && std::env::var_os("CI").is_none() {
            return None;
        }
        let host = |role: &str| format!("va{}-{name}{role}", std::process::id());
        let network = Self { engine: host("e"), viewer: host("v") };
        let Self { engine, viewer } = &network;
        ip(&format!("netns add {engine}"));
        ip(&format!("netns add {viewer}"));
        ip(&format!("-n {engine} link add cable type veth peer name cable netns {viewer}"));
        for host in [engine, viewer] {
            ip(&format!("-n {host} link set cable addrgenmode none"));
        }
        ip(&format!("-n {viewer} addr add {VIEWER}/24 dev cable"));
        ip(&format!("-n {viewer} link set cable up"));
        move_into(engine);
        Some(network)
    }

    fn viewer_socket(&self) -> UdpSocket {
        std::thread::scope(|scope| {
            let bind = scope.spawn(|| {
                move_into(&self.viewer);
                UdpSocket::bind((VIEWER, 0)).unwrap()
            });
            bind.join().unwrap()
        })
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for host in [&self.engine, &self.viewer] {
            let _ = Command::new("ip").args(["netns", "del", host]).status();
        }
    }
}

fn move_into(host: &str) {
    let namespace = File::open(format!("/run/netns/{host}")).unwrap();
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
}

fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {output:?}");
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what}: it never came");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn engine() -> Engine {
    let udp = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    Engine::start(EngineConfig::default().udp(udp)).unwrap()
}

/// Whether new viewers are told this address.
fn is_told(handle: &EngineHandle, network: &Network, session: &SessionId, address: &str) -> bool {
    let viewer = Viewer::join_with(handle, session, network.viewer_socket());
    handle.disconnect(viewer.id);
    viewer.answer.contains(&format!(" {address} "))
}

#[test]
fn an_engine_that_starts_without_a_network_serves_when_there_is_one() {
    let Some(network) = Network::enter("up") else { return };
    let engine = engine();
    let handle = engine.handle();
    let session = engine.create_session(SessionConfig::default()).unwrap();
    session.start();
    let wrong = handle.health().wrong;
    assert!(wrong.len() == 1 && wrong[0].contains("--announce"), "{wrong:?}");
    // Loopback is an address, for who is on the same machine.
    ip("link set lo up");
    wait_until("loopback", || handle.health().is_ready());
    let told = |address| is_told(&handle, &network, session.id(), address);
    assert!(told("127.0.0.1"));
    ip("addr add 10.97.0.1/24 dev cable");
    ip("link set cable up");
    wait_until("the network", || told("10.97.0.1"));
    assert!(!told("127.0.0.1"), "it is of no use to others");
    let mut viewer = Viewer::join_with(&handle, session.id(), network.viewer_socket());
    viewer.run_until(|viewer| viewer.connected);
    engine.stop();
}

#[test]
fn a_viewer_that_is_here_finds_the_address_that_takes_the_place_of_the_old_one() {
    let Some(network) = Network::enter("mv") else { return };
    ip("link set lo up");
    ip("addr add 10.97.0.1/24 dev cable");
    ip("link set cable up");
    let engine = engine();
    let handle = engine.handle();
    let session = engine.create_session(SessionConfig::default()).unwrap();
    session.start();
    let mut viewer = Viewer::join_with(&handle, session.id(), network.viewer_socket());
    viewer.run_until(|viewer| viewer.video.len() > 10);
    ip("addr del 10.97.0.1/24 dev cable");
    ip("addr add 10.97.0.2/24 dev cable");
    wait_until("the new address", || is_told(&handle, &network, session.id(), "10.97.0.2"));
    // What was on its way has come.
    viewer.run_for(Duration::from_millis(200));
    let before = viewer.video.len();
    viewer.run_until(|viewer| viewer.video.len() > before + 20);
    assert_eq!(session.status().peer_count, 1);
    engine.stop();
}
