//! The page in a real Chromium, when its network goes and comes: viewer and server are on hosts of their own
//! (network namespaces), with a cable between them.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::error::Error;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use visavis_bench::{Microphone, Server, ServerOptions};
use visavis_tests::{Network, Outcome, SERVER, Turn, Watcher};

/// From the network's return to the next frame on the page, where an ICE restart is enough.
const PROMISED_MS: f64 = 1_000.0;

/// The same for a viewer whose address changes without a warning: until the page has noticed, gathered and
/// checked, on a machine that may be busy. A quiet one takes some 600 ms.
const MOVED_MS: f64 = 5_000.0;

/// Records the client's events, on the page's clock.
const LISTEN: &str = r"
window.said = [];
const { client } = visavis;
client.addEventListener('state', ({ detail }) => said.push([performance.now(), detail.state]));
client.addEventListener('log', ({ detail }) => said.push([performance.now(), `  ${detail.text}`]));
return null;
";

const OUTCOME: &str = r"
return {
  state: visavis.client.state,
  peer: visavis.client.peerId,
  connections: watched.peers.length,
  frames: watched.frames.map(([at]) => at),
  said,
};
";

#[derive(Deserialize)]
struct Seen {
    state: String,
    peer: String,
    /// Peer connections that the page has made.
    connections: usize,
    /// When frames were presented.
    frames: Vec<f64>,
    said: Vec<(f64, String)>,
}

/// A viewer that has watched for a while.
struct Visit {
    watcher: Watcher,
    server: Server,
    network: Network,
    peer: String,
}

impl Visit {
    fn begin() -> Result<Option<Self>, Box<dyn Error>> {
        let Some(network) = Network::make()? else {
            println!("left out: only root may make network namespaces");
            return Ok(None);
        };
        let options = ServerOptions::demo().listen(SocketAddr::from((SERVER, 0)));
        let server = network.on_server(|| Ok(Server::start(options)?))?;
        let url = format!("{}?autostart=1", server.url());
        let watcher = network.on_viewer(|| Watcher::open(&url, Microphone::Absent))?;
        watcher.page.eval::<()>(LISTEN)?;
        // Long enough that the client trusts its connection.
        watcher.wait_for_frames(90, Duration::from_secs(20))?;
        let peer = watcher.page.eval("return visavis.client.peerId;")?;
        Ok(Some(Self { watcher, server, network, peer }))
    }

    fn now(&self) -> Result<f64, Box<dyn Error>> {
        Ok(self.watcher.page.eval("return performance.now();")?)
    }

    /// The page's time, and what it saw of a network that went at `gone` and was back at `back`.
    fn comes_back(self, what: &str, gone: f64, back: f64) -> Result<(f64, Seen), Box<dyn Error>> {
        let again = "visavis.client.state === 'connected' && watched.frames.at(-1)[0] > ";
        self.watcher.page.wait_for(&format!("{again}{back} + 500"), Duration::from_secs(40))?;
        // It is back to stay.
        self.watcher.wait_for_frames(60, Duration::from_secs(10))?;
        let seen: Seen = self.watcher.page.eval(OUTCOME)?;
        let first = seen.frames.iter().find(|&&at| at > back).ok_or("no frame")?;
        let last = seen.frames.iter().rev().find(|&&at| at <= back).ok_or("no frame")?;
        let after = first - back;
        println!(
            "{what}: gone for {:.0} ms, next frame {after:.0} ms after it was back, {:.0} ms without one; \
             {} peer connections, peer {} then {}",
            back - gone,
            first - last,
            seen.connections,
            self.peer,
            seen.peer,
        );
        for (at, text) in seen.said.iter().filter(|(at, _)| *at > gone) {
            println!("  {:7.0} ms {text}", at - back);
        }
        assert_eq!(seen.state, "connected");
        assert_eq!(
            self.network.on_server(|| Ok(self.server.peer_count()?))?,
            1,
            "viewers left behind"
        );
        Ok((after, seen))
    }
}

fn silence(length: Duration) -> Outcome {
    let _turn = Turn::take()?;
    let Some(visit) = Visit::begin()? else { return Ok(()) };
    let peer = visit.peer.clone();
    let gone = visit.now()?;
    visit.network.lose_everything()?;
    thread::sleep(length);
    let back = visit.now()?;
    visit.network.lose_nothing()?;
    let (after, seen) = visit.comes_back("silent network", gone, back)?;
    assert!(after <= PROMISED_MS, "{after:.0} ms");
    assert_eq!((seen.peer, seen.connections), (peer, 1), "it was made anew");
    Ok(())
}

#[test]
fn two_seconds_without_a_network() -> Outcome {
    silence(Duration::from_secs(2))
}

#[test]
fn eight_seconds_without_a_network() -> Outcome {
    silence(Duration::from_secs(8))
}

#[test]
fn eight_seconds_without_a_cable() -> Outcome {
    let _turn = Turn::take()?;
    let Some(visit) = Visit::begin()? else { return Ok(()) };
    let gone = visit.now()?;
    visit.network.pull_cable()?;
    thread::sleep(Duration::from_secs(8));
    visit.network.plug_cable()?;
    let back = visit.now()?;
    let (after, _) = visit.comes_back("no cable", gone, back)?;
    assert!(after <= PROMISED_MS, "{after:.0} ms");
    Ok(())
}

#[test]
fn another_address() -> Outcome {
    let _turn = Turn::take()?;
    let Some(visit) = Visit::begin()? else { return Ok(()) };
    let peer = visit.peer.clone();
    let gone = visit.now()?;
    visit.network.move_viewer()?;
    let back = visit.now()?;
    let (after, seen) = visit.comes_back("another address", gone, back)?;
    assert!(after <= MOVED_MS, "{after:.0} ms");
    assert_eq!((seen.peer, seen.connections), (peer, 1), "it was made anew");
    Ok(())
}

#[test]
fn another_address_after_two_seconds_without_a_network() -> Outcome {
    let _turn = Turn::take()?;
    let Some(visit) = Visit::begin()? else { return Ok(()) };
    let peer = visit.peer.clone();
    let gone = visit.now()?;
    visit.network.lose_everything()?;
    thread::sleep(Duration::from_secs(2));
    visit.network.lose_nothing()?;
    visit.network.move_viewer()?;
    let back = visit.now()?;
    let (after, seen) = visit.comes_back("another address after a silence", gone, back)?;
    assert!(after <= MOVED_MS, "{after:.0} ms");
    assert_eq!((seen.peer, seen.connections), (peer, 1), "it was made anew");
    Ok(())
}
