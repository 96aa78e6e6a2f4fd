//! The player page in a real Firefox: video, sound, microphone, messages, reconnection. Without its plugin
//! it has no H264, and gets VP8.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use visavis::video::{PixelFormat, VideoFrame};
use visavis::{Engine, EngineConfig, SessionConfig};
use visavis_bench::{Server, ServerOptions};
use visavis_signaling::{SignalingConfig, SignalingServer};
use visavis_tests::{Firefox, Outcome, Turn};

const PATIENCE: Duration = Duration::from_secs(40);

/// What has been decoded so far.
const DECODED: &str = r"
const report = [...(await visavis.client.connection.getStats()).values()];
const inbound = (kind) => report.find((s) => s.type === 'inbound-rtp' && s.kind === kind) ?? {};
const { framesDecoded = 0, codecId } = inbound('video');
const { packetsReceived = 0 } = inbound('audio');
const codec = report.find((s) => s.id === codecId)?.mimeType ?? '';
return {
  now: performance.now(), frames: framesDecoded, sound: packetsReceived, codec,
  width: visavis.video.videoWidth,
};
";

/// Whether the picture changes, by its pixels.
const LIVELY: &str = r"
const look = () => {
  const canvas = new OffscreenCanvas(64, 64);
  const context = canvas.getContext('2d');
  context.drawImage(visavis.video, 0, 0, 64, 64);
  return context.getImageData(0, 0, 64, 64).data;
};
const before = look();
let most = 0;
for (let at = 0; at < 10; at += 1) {
  await new Promise((resolve) => setTimeout(resolve, 200));
  const now = look();
  let sum = 0;
  for (let byte = 0; byte < now.length; byte += 1) sum += Math.abs(now[byte] - before[byte]);
  most = Math.max(most, sum / now.length);
}
const spread = Math.max(...before) - Math.min(...before.filter((_, byte) => byte % 4 !== 3));
return [spread, most];
";

#[derive(Deserialize)]
struct Decoded {
    now: f64,
    frames: f64,
    sound: f64,
    codec: String,
    width: u32,
}

fn live(firefox: &mut Firefox) -> Outcome {
    firefox.wait_for("visavis.client.state === 'connected'", PATIENCE)?;
    firefox.wait_for("document.documentElement.dataset.picture === 'live'", PATIENCE)
}

#[test]
fn firefox_shows_the_picture_and_plays_the_sound() -> Outcome {
    let _turn = Turn::take()?;
    let server = Server::start(ServerOptions::demo())?;
    let mut firefox = Firefox::start()?;
    firefox.open(&format!("{}?autostart=1", server.url()))?;
    live(&mut firefox)?;
    let first: f64 =
        firefox.eval("return Number(document.documentElement.dataset.firstPictureMs);")?;
    thread::sleep(Duration::from_secs(1));
    let before: Decoded = firefox.eval(DECODED)?;
    thread::sleep(Duration::from_secs(6));
    let after: Decoded = firefox.eval(DECODED)?;
    let seconds = (after.now - before.now) / 1_000.0;
    let fps = (after.frames - before.frames) / seconds;
    let sound = (after.sound - before.sound) / seconds;
    let [spread, change]: [f64; 2] = firefox.eval(LIVELY)?;
    let codec = &after.codec;
    println!(
        "{codec}: first picture after {first:.0} ms, {fps:.1} fps, {sound:.1} packets of sound a second, \
         spread {spread:.0}, change {change:.2}"
    );
    assert_eq!(after.width, 512);
    assert_eq!(codec, "video/VP8");
    assert!(fps >= 20.0, "{fps:.1} frames a second");
    assert!(sound >= 40.0, "{sound:.1} packets of sound a second");
    assert!(spread > 50.0 && change > 0.2, "spread {spread:.0}, change {change:.2}");
    // The page's own figures come once a second.
    firefox.wait_for(
        "document.querySelector('[data-graph=fps] [data-value]').textContent !== '–'",
        PATIENCE,
    )?;
    server.stop()?;
    Ok(())
}

#[test]
fn firefox_is_heard() -> Outcome {
    let _turn = Turn::share()?;
    let server = Server::start(ServerOptions::demo())?;
    let mut firefox = Firefox::start()?;
    firefox.open(&format!("{}?autostart=1", server.url()))?;
    live(&mut firefox)?;
    let heard = |server: &Server| -> Result<u64, Box<dyn std::error::Error>> {
        let status = server.status()?;
        Ok(status.pointer("/metrics/micPackets").and_then(Value::as_u64).ok_or("no micPackets")?)
    };
    assert_eq!(heard(&server)?, 0, "heard before anyone allowed it");
    let on: bool = firefox.eval("return visavis.client.setMicrophone(true);")?;
    assert!(on, "no microphone");
    thread::sleep(Duration::from_secs(3));
    let before = heard(&server)?;
    thread::sleep(Duration::from_secs(2));
    let after = heard(&server)?;
    println!("microphone packets after 3 and 5 s: {before}, {after}");
    assert!(before > 0 && after >= before + 50, "{before}, {after}");
    server.stop()?;
    Ok(())
}

#[test]
fn firefox_comes_back_after_the_server_did() -> Outcome {
    let _turn = Turn::share()?;
    let server = Server::start(ServerOptions::demo())?;
    let address = server.tcp_address()?;
    let mut firefox = Firefox::start()?;
    firefox.open(&format!("{}?autostart=1", server.url()))?;
    live(&mut firefox)?;
    let peer: String = firefox.eval("return visavis.client.peerId;")?;
    server.stop()?;
    thread::sleep(Duration::from_secs(1));
    let server = Server::start(ServerOptions::demo().listen(address))?;
    let anew =
        format!("visavis.client.state === 'connected' && visavis.client.peerId !== '{peer}'");
    firefox.wait_for(&anew, PATIENCE)?;
    live(&mut firefox)?;
    let before: Decoded = firefox.eval(DECODED)?;
    let more = format!("(await (async () => {{ {DECODED} }})()).frames > {}", before.frames + 30.0);
    firefox.wait_for(&more, PATIENCE)?;
    assert_eq!(server.peer_count()?, 1);
    server.stop()?;
    Ok(())
}

#[test]
fn firefox_and_the_application_exchange_messages() -> Outcome {
    let _turn = Turn::share_without_programs()?;
    let localhost = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let engine = Engine::start(EngineConfig::default().udp(localhost))?;
    let session = engine.create_session(SessionConfig::default())?;
    session.start();
    let config = SignalingConfig::default().listen(localhost);
    let signaling = SignalingServer::start(config, engine.handle())?;
    // The page wants a picture.
    let (video, painting) = (session.video(), Arc::new(AtomicBool::new(true)));
    let paints = Arc::clone(&painting);
    let painter = thread::spawn(move || {
        let data = vec![128; 64 * 64 * 3 / 2];
        while paints.load(Relaxed) {
            let _ = video.push(&VideoFrame::new(&data, 64, 64).format(PixelFormat::I420));
            thread::sleep(Duration::from_millis(66));
        }
    });
    let data = session.data();
    let mut firefox = Firefox::start()?;
    firefox.open(&format!("{}?autostart=1", signaling.url()))?;
    live(&mut firefox)?;
    firefox.eval::<Value>(
        "window.got = []; \
         visavis.client.addEventListener('message', ({ detail }) => got.push(detail.data));",
    )?;
    firefox.wait_for("visavis.client.send('Grüße')", PATIENCE)?;
    let first = data.incoming().recv_timeout(PATIENCE).map_err(|_| "the page said nothing")?;
    assert_eq!(first.message, "Grüße".into());
    data.send(first.peer, &"世界".into())?;
    data.send(first.peer, &vec![0, 128, 255].into())?;
    firefox.wait_for("got.length === 2", PATIENCE)?;
    let (text, bytes): (String, Vec<u8>) =
        firefox.eval("return [got[0], [...new Uint8Array(got[1])]];")?;
    assert_eq!((&*text, &*bytes), ("世界", &[0, 128, 255][..]));
    drop(firefox);
    painting.store(false, Relaxed);
    let _ = painter.join();
    signaling.stop();
    session.stop();
    Ok(())
}
