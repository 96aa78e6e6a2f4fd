//! Messages between an application and real Chromiums, by way of the client library's data channel.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use visavis::data::{DataChannel, DataMessage, SendOutcome};
use visavis::peer::PeerId;
use visavis::video::{PixelFormat, VideoFrame};
use visavis::{Engine, EngineConfig, Session, SessionConfig};
use visavis_bench::Microphone;
use visavis_signaling::{SignalingConfig, SignalingServer};
use visavis_tests::{Outcome, RELAY, Turn, Watcher, Weather};

const PATIENCE: Duration = Duration::from_secs(30);

/// Of the messages that come one after the other.
const BURST: u32 = 200;
const BURST_BYTES: usize = 32 * 1024;

/// Keeps what arrives, from here on.
const COLLECT: &str = r"
window.got = [];
visavis.client.addEventListener('message', ({ detail }) => got.push(detail.data));
return null;
";

/// An application with a picture, behind the weather.
struct Room {
    weather: Weather,
    session: Session,
    signaling: Option<SignalingServer>,
    painting: Arc<AtomicBool>,
    _engine: Engine,
}

impl Room {
    fn open() -> Result<Self, Box<dyn Error>> {
        let weather = Weather::start()?;
        let udp = SocketAddr::from((Ipv4Addr::LOCALHOST, weather.port()?));
        let announce = vec![RELAY.into()];
        let engine = Engine::start(EngineConfig::default().udp(udp).announce(announce))?;
        let session = engine.create_session(SessionConfig::default())?;
        session.start();
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let config = SignalingConfig::default().listen(listen);
        let signaling = Some(SignalingServer::start(config, engine.handle())?);
        // The page wants a picture.
        let (video, painting) = (session.video(), Arc::new(AtomicBool::new(true)));
        let paints = Arc::clone(&painting);
        thread::spawn(move || {
            let data = vec![128; 64 * 64 * 3 / 2];
            while paints.load(Relaxed) {
                let _ = video.push(&VideoFrame::new(&data, 64, 64).format(PixelFormat::I420));
                thread::sleep(Duration::from_millis(66));
            }
        });
        Ok(Self { weather, session, signaling, painting, _engine: engine })
    }

    /// A page whose channel is open, and its viewer's id.
    fn watcher(&self, data: &DataChannel) -> Result<(Watcher, PeerId), Box<dyn Error>> {
        let address = self.signaling.as_ref().ok_or("closed")?.local_addr();
        let watcher = Watcher::open(&format!("http://{address}/?autostart=1"), Microphone::Absent)?;
        watcher.page.eval::<()>(COLLECT)?;
        watcher.page.wait_for("visavis.client.send('here I am')", PATIENCE)?;
        let first = data.incoming().recv_timeout(PATIENCE).map_err(|_| "the page said nothing")?;
        assert_eq!((&*first.label, &first.message), ("visavis", &"here I am".into()));
        Ok((watcher, first.peer))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.painting.store(false, Relaxed);
        if let Some(signaling) = self.signaling.take() {
            signaling.stop();
        }
        self.session.stop();
    }
}

fn sent(outcome: SendOutcome) -> Outcome {
    assert_eq!(outcome, SendOutcome::Accepted);
    Ok(())
}

/// So many bytes, none like its neighbours.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + 3) as u8).collect()
}

#[test]
fn text_and_bytes_go_both_ways() -> Outcome {
    let _turn = Turn::share_without_programs()?;
    let room = Room::open()?;
    let data = room.session.data();
    let (watcher, peer) = room.watcher(&data)?;
    sent(data.send(peer, &"Grüße, 世界".into())?)?;
    sent(data.send(peer, &vec![0, 128, 255].into())?)?;
    sent(data.send(peer, &pattern(64 * 1024).into())?)?;
    watcher.page.wait_for("got.length === 3", PATIENCE)?;
    let (text, bytes, length, whole): (String, Vec<u8>, usize, bool) = watcher.page.eval(
        r"
        const large = new Uint8Array(got[2]);
        const whole = large.every((byte, at) => byte === ((at * 7 + 3) & 255));
        return [got[0], [...new Uint8Array(got[1])], large.length, whole];
        ",
    )?;
    assert_eq!((&*text, &*bytes), ("Grüße, 世界", &[0, 128, 255][..]));
    assert_eq!((length, whole), (64 * 1024, true));

    let taken: Vec<bool> = watcher.page.eval(
        r"
        const { client } = visavis;
        const large = Uint8Array.from({ length: 65536 }, (_, at) => at * 7 + 3);
        const messages = ['schön 🦀', new Uint8Array([9, 0, 255]), large, '', new ArrayBuffer(65537)];
        return messages.map((message) => client.send(message));
        ",
    )?;
    assert_eq!(taken, [true, true, true, true, false], "the last is too large");
    let expected: [DataMessage; 4] =
        ["schön 🦀".into(), vec![9, 0, 255].into(), pattern(64 * 1024).into(), "".into()];
    for message in expected {
        let heard = data.incoming().recv_timeout(PATIENCE).map_err(|_| "nothing came")?;
        assert!(heard.peer == peer && heard.message == message, "{:?}", heard.label);
    }
    let metrics = room.session.status().metrics;
    assert_eq!((metrics.data_dropped, metrics.data_undelivered), (0, 0));
    Ok(())
}

#[test]
fn a_broadcast_reaches_every_page() -> Outcome {
    let _turn = Turn::share_without_programs()?;
    let room = Room::open()?;
    let data = room.session.data();
    let (first, _) = room.watcher(&data)?;
    let (second, _) = room.watcher(&data)?;
    let all = data.broadcast(&"caption".into())?;
    assert_eq!((all.accepted, all.full), (2, vec![]));
    for watcher in [&first, &second] {
        watcher.page.wait_for("got.length === 1 && got[0] === 'caption'", PATIENCE)?;
    }
    // A page that comes back has a channel again.
    first.page.eval::<()>("visavis.client.close(); visavis.client.connect(); return null;")?;
    first.page.wait_for("visavis.client.send('back')", PATIENCE)?;
    let back = data.incoming().recv_timeout(PATIENCE).map_err(|_| "it did not come back")?;
    sent(data.send(back.peer, &"welcome".into())?)?;
    first.page.wait_for("got.at(-1) === 'welcome'", PATIENCE)?;
    Ok(())
}

/// The page's network is gone for a moment while the application goes on sending.
#[test]
fn a_page_that_falls_behind_is_told_of_and_loses_nothing() -> Outcome {
    let _turn = Turn::take_without_programs()?;
    let room = Room::open()?;
    let data = room.session.data();
    let (watcher, peer) = room.watcher(&data)?;
    let message = |n: u32| DataMessage::Binary(n.to_be_bytes().repeat(BURST_BYTES / 4));
    room.weather.lose(1.0);
    let mut next = 0;
    while data.send(peer, &message(next))? == SendOutcome::Accepted {
        next += 1;
        assert!(next < BURST, "nothing was ever refused");
    }
    println!("{next} messages before the first refusal");
    assert!(next >= 30, "{next} messages of 32 KiB are less than 1 MiB");
    room.weather.lose(0.0);
    let begin = Instant::now();
    while next < BURST {
        match data.send(peer, &message(next))? {
            SendOutcome::Accepted => next += 1,
            _ => thread::sleep(Duration::from_millis(5)),
        }
        assert!(begin.elapsed() < 2 * PATIENCE, "no room was made: {next} messages sent");
    }
    watcher.page.wait_for(&format!("got.length === {BURST}"), PATIENCE)?;
    println!("{} KiB in {:?}", BURST_BYTES / 1024 * BURST as usize, begin.elapsed());
    let whole: bool = watcher.page.eval(
        r"
        return got.every((data, n) => {
          const view = new DataView(data);
          for (let at = 0; at < data.byteLength; at += 4) if (view.getUint32(at) !== n) return false;
          return data.byteLength === 32768;
        });
        ",
    )?;
    assert!(whole, "lost, doubled, torn or out of order");
    assert_eq!(data.waiting_bytes(peer), Some(0));

    // And the other way: the page is refused by its own channel while too much waits.
    let sending = format!(
        r"
        (async () => {{
          for (let n = 0; n < {BURST}; n += 1) {{
            const words = new Uint32Array(8192).fill(n);
            while (!visavis.client.send(words)) await new Promise((go) => setTimeout(go, 5));
          }}
        }})();
        return null;
        "
    );
    watcher.page.eval::<()>(&sending)?;
    // An application that gets no processor for a moment reads no messages, and of those only the first MiB is kept:
    // what was dropped for that is counted, and nothing else is missing.
    let metrics = || room.session.status().metrics;
    let begin = Instant::now();
    let (mut next, mut received) = (0, 0);
    while received + metrics().data_dropped < u64::from(BURST) {
        assert!(begin.elapsed() < PATIENCE, "{received} of {BURST} messages, {:?}", metrics());
        let Ok(heard) = data.incoming().recv_timeout(Duration::from_millis(20)) else { continue };
        let DataMessage::Binary(bytes) = &heard.message else { return Err("not bytes".into()) };
        let n = u32::from_le_bytes(*bytes.first_chunk().ok_or("an empty message")?);
        assert!(n >= next, "message {n} after {next}");
        assert!(n.to_le_bytes().repeat(BURST_BYTES / 4) == bytes[..], "message {n} is torn");
        received += 1;
        next = n + 1;
    }
    println!("{received} messages came the other way");
    assert_eq!((received + metrics().data_dropped, metrics().data_undelivered), (BURST.into(), 0));
    Ok(())
}
