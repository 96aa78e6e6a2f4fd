//! A real browser on a network that lets no UDP through.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::Duration;

use visavis_bench::{Microphone, Server, ServerOptions};
use visavis_tests::{Firefox, Network, Outcome, SERVER, Turn, Watcher};
use visavis_weather::{Bandwidth, Conditions, QueueLimit};

/// How long Firefox may take, which is slow to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// By which transport the browser gets its media.
const TRANSPORT: &str = r"
const report = [...(await watched.peers.at(-1).getStats()).values()];
const used = report.find((s) => s.type === 'transport')?.selectedCandidatePairId;
const pair = report.find((s) => s.id === used);
return report.find((s) => s.id === pair.localCandidateId).protocol;
";

/// From the beginning of the page to the first picture, in ms.
const FIRST_PICTURE: &str = "return watched.frames[0][0];";

#[derive(Debug)]
struct Watched {
    transport: String,
    first_picture_ms: f64,
}

fn watch(network: &Network, page: &str) -> Result<(Watcher, Watched), Box<dyn Error>> {
    let url = format!("{page}?autostart=1");
    let watcher = network.on_viewer(|| Watcher::open(&url, Microphone::Absent))?;
    watcher.wait_for_frames(60, Duration::from_secs(20))?;
    let transport = watcher.page.eval(TRANSPORT)?;
    let first_picture_ms = watcher.page.eval(FIRST_PICTURE)?;
    Ok((watcher, Watched { transport, first_picture_ms }))
}

#[test]
fn chromium_watches_by_tcp_where_udp_is_blocked_and_by_udp_where_it_is_not() -> Outcome {
    let _turn = Turn::take()?;
    let Some(network) = Network::make()? else {
        println!("left out: only root may make network namespaces");
        return Ok(());
    };
    let options = ServerOptions::demo().listen(SocketAddr::from((SERVER, 0)));
    let server = network.on_server(|| Ok(Server::start(options)?))?;
    let (watcher, watched) = watch(&network, server.url())?;
    println!("{watched:?}");
    assert_eq!(watched.transport, "udp");
    drop(watcher);

    network.block_udp()?;
    let (watcher, watched) = watch(&network, server.url())?;
    println!("{watched:?}");
    assert_eq!(watched.transport, "tcp");
    assert!(watched.first_picture_ms < 5_000.0, "{watched:?}");
    let before = watcher.stats()?;
    thread::sleep(Duration::from_secs(4));
    let after = watcher.stats()?;
    let (fps, loudness) = (after.fps_since(&before), after.loudness_since(&before));
    println!("{fps:.1} frames a second, loudness {loudness:.4}");
    assert!(fps > 25.0 && loudness > 0.0005, "{fps:.1} fps, {loudness}");
    assert_eq!(network.on_server(|| Ok(server.peer_count()?))?, 1);
    Ok(())
}

/// Chromium takes 80 and 443 too, but not at private addresses.
const PORT: u16 = 8_443;

/// Page, signaling and media by one TCP port, with TLS or without.
fn one_port(tls: Option<(&Path, &Path)>) -> Outcome {
    let _turn = Turn::take()?;
    let Some(network) = Network::make()? else {
        println!("left out: only root may make network namespaces");
        return Ok(());
    };
    let mut options = ServerOptions::demo().listen(SocketAddr::from((SERVER, PORT)));
    options = options.arg("--ice-tcp-port").arg(PORT.to_string()).arg("--loops").arg("2");
    if let Some((certificate, key)) = tls {
        options = options.arg("--tls-cert").arg(certificate).arg("--tls-key").arg(key);
    }
    let server = network.on_server(|| Ok(Server::start(options)?))?;
    network.allow_only_tcp(PORT)?;
    // Each on another of the media loops.
    for _ in 0..2 {
        let (watcher, watched) = watch(&network, server.url())?;
        println!("{}: {watched:?}", server.url());
        assert_eq!(watched.transport, "tcp");
        assert!(watched.first_picture_ms < 5_000.0, "{watched:?}");
        let before = watcher.stats()?;
        thread::sleep(Duration::from_secs(3));
        let fps = watcher.stats()?.fps_since(&before);
        assert!(fps > 25.0, "{fps:.1} fps");
    }
    Ok(())
}

#[test]
fn chromium_watches_where_one_tcp_port_is_all_there_is() -> Outcome {
    one_port(None)
}

#[test]
fn chromium_watches_where_one_tcp_port_with_tls_is_all_there_is() -> Outcome {
    let folder = tempfile::tempdir()?;
    let pair = rcgen::generate_simple_self_signed([SERVER.to_string()])?;
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
    std::fs::write(&certificate, pair.cert.pem())?;
    std::fs::write(&key, pair.signing_key.serialize_pem())?;
    one_port(Some((&certificate, &key)))
}

#[test]
fn firefox_watches_by_tcp_where_udp_is_blocked() -> Outcome {
    let _turn = Turn::take()?;
    let Some(network) = Network::make()? else {
        println!("left out: only root may make network namespaces");
        return Ok(());
    };
    let options = ServerOptions::demo().listen(SocketAddr::from((SERVER, 0)));
    let server = network.on_server(|| Ok(Server::start(options)?))?;
    network.block_udp()?;
    let url = format!("{}?autostart=1", server.url());
    let _firefox = network.on_viewer(|| {
        let mut firefox = Firefox::start()?;
        firefox.open(&url)?;
        firefox.wait_for("visavis.client.state === 'connected'", PATIENCE)?;
        firefox.wait_for("document.documentElement.dataset.picture === 'live'", PATIENCE)?;
        let first: f64 =
            firefox.eval("return Number(document.documentElement.dataset.firstPictureMs);")?;
        println!("first picture after {first:.0} ms");
        Ok(firefox)
    })?;
    assert_eq!(network.on_server(|| Ok(server.peer_count()?))?, 1);
    Ok(())
}

/// Has the page note how old pictures are when they are shown, in ms: how much longer they took than the fastest one, by
/// their RTP time, which is that of their capture.
const NOTE_AGES: &str = r"
window.ages = [];
let fastest = Infinity;
const video = document.querySelector('video');
const note = (now, { rtpTimestamp, expectedDisplayTime }) => {
  const took = expectedDisplayTime - rtpTimestamp / 90;
  fastest = Math.min(fastest, took);
  ages.push(took - fastest);
  video.requestVideoFrameCallback(note);
};
video.requestVideoFrameCallback(note);
";

const TAKE_AGES: &str = "return ages.splice(0);";

/// How many pictures there were, and their ages in ms.
#[derive(Debug)]
struct Ages {
    pictures: usize,
    p50: f64,
    p95: f64,
}

fn percentile(ages: &mut [f64], part: f64) -> f64 {
    ages.sort_by(f64::total_cmp);
    let at = (ages.len() as f64 * part) as usize;
    ages.get(at).copied().unwrap_or(f64::NAN)
}

/// A way of 1 Mbit/s, 40 ms round trip, that loses 2 % of all packets: a TCP connection repeats them, and all else waits.
fn narrow_and_lossy() -> Conditions {
    Conditions {
        bandwidth: Bandwidth::from_kbps(1_000),
        delay: Duration::from_millis(20),
        loss: 0.02,
        queue: QueueLimit { time: Duration::from_millis(300), bytes: 64_000 },
        ..Conditions::default()
    }
}

/// The ages of pictures over so many spans of time, once the viewer has what fits.
fn ages_over(spans: u32, span: Duration) -> Result<Vec<Ages>, Box<dyn Error>> {
    let conditions = narrow_and_lossy();
    let clear = Conditions { delay: conditions.delay, ..Conditions::default() };
    let Some(network) = Network::make_long(clear, clear, 1)? else {
        println!("left out: only root may make network namespaces");
        return Ok(Vec::new());
    };
    let options = ServerOptions::demo().listen(SocketAddr::from((SERVER, 0)));
    let server = network.on_server(|| Ok(Server::start(options)?))?;
    network.block_udp()?;
    let (watcher, watched) = watch(&network, server.url())?;
    assert_eq!(watched.transport, "tcp");
    watcher.page.eval::<()>(NOTE_AGES)?;
    thread::sleep(Duration::from_secs(3));
    network.set_down(conditions);
    thread::sleep(Duration::from_secs(10));
    watcher.page.eval::<Vec<f64>>(TAKE_AGES)?;
    let mut figures = Vec::new();
    for _ in 0..spans {
        thread::sleep(span);
        let mut ages: Vec<f64> = watcher.page.eval(TAKE_AGES)?;
        let [p50, p95] = [0.5, 0.95].map(|part| percentile(&mut ages, part));
        println!("{} pictures, {p50:.0} ms old, p95 {p95:.0}", ages.len());
        figures.push(Ages { pictures: ages.len(), p50, p95 });
    }
    Ok(figures)
}

#[test]
fn pictures_by_tcp_are_in_time_on_a_narrow_network_that_loses_packets() -> Outcome {
    let _turn = Turn::take()?;
    for Ages { pictures, p95, .. } in ages_over(2, Duration::from_secs(10))? {
        assert!(pictures > 100 && p95 < 1_000.0, "{pictures} pictures, p95 {p95:.0} ms");
    }
    Ok(())
}

#[test]
#[ignore = "takes ten minutes: cargo test --workspace --test ice_tcp -- --ignored --nocapture"]
fn pictures_by_tcp_do_not_grow_older_in_ten_minutes() -> Outcome {
    let _turn = Turn::take()?;
    let figures = ages_over(10, Duration::from_secs(60))?;
    for Ages { p95, .. } in &figures {
        assert!(*p95 <= 500.0, "p95 {p95:.0} ms");
    }
    let (Some(first), Some(last)) = (figures.first(), figures.last()) else { return Ok(()) };
    assert!(last.p50 < first.p50 * 1.5 + 50.0, "{first:?}, then {last:?}");
    Ok(())
}
