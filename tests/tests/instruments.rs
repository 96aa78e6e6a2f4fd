//! The measuring instruments themselves, against a source whose figures are known.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use visavis_bench::viewers::{Options, Swarm};
use visavis_bench::{Browser, Microphone, glass};
use visavis_tests::{
    Fault, Outcome, PACKETS_PER_FRAME, Sender, Turn, click_after_flash_ms, median,
};

/// A page that plays a canvas: 20 frames a second, each with the time at which it was drawn in its
/// strip; the third frame of every second has a bit of its strip turned over.
const PAGE: &str = r"data:text/html,<video autoplay muted></video><script>
const canvas = document.createElement('canvas');
canvas.width = 512; canvas.height = 288;
const context = canvas.getContext('2d');
let count = 0;
setInterval(() => {
  let time = Math.floor((performance.timeOrigin + performance.now()) * 10) % 2 ** 40;
  const bytes = [];
  for (let i = 4; i >= 0; i -= 1) bytes.push(Math.floor(time / 256 ** i) % 256);
  bytes.push((bytes.reduce((a, b) => a + b) % 256) ^ 0x5a);
  count += 1;
  if (count % 20 === 3) bytes[2] ^= 0x10;
  context.fillStyle = 'hsl(' + count * 7 + ' 60%25 50%25)';
  context.fillRect(0, 0, 512, 256);
  for (let i = 0; i < 48; i += 1) {
    context.fillStyle = (bytes[i >> 3] >> (7 - (i %26 7))) %26 1 ? 'white' : 'black';
    context.fillRect(i * 10, 256, 10, 32);
  }
}, 50);
document.querySelector('video').srcObject = canvas.captureStream();
</script>";

#[test]
fn the_glass_reads_what_a_canvas_shows() -> Outcome {
    let _turn = Turn::take_without_programs()?;
    let browser = Browser::start(Microphone::Absent)?;
    let page = browser.page()?;
    let run = glass::watch(&page, PAGE, Duration::from_secs(5))?;
    let mut figures = glass::Figures::new(20.0)?;
    figures.add_run(&run.frames, run.time_origin);
    let spread = figures.to_callback().ok_or("nothing was read")?;
    println!("{spread:?}, {:.1} fps, {} unreadable", figures.fps(), figures.unreadable());
    assert!(run.clock_error.abs() < 5.0, "clocks {:.2} ms apart", run.clock_error);
    assert!((15.0..=21.0).contains(&figures.fps()), "{:.2} fps", figures.fps());
    assert!((2..=6).contains(&figures.unreadable()), "{} unreadable", figures.unreadable());
    assert!(spread.p50 > 0.0 && spread.p50 < 100.0, "{:.1} ms from canvas to callback", spread.p50);
    Ok(())
}

/// A page that flashes and clicks at one instant, each second, with no network between.
const FLASH_AND_CLICK: &str = r"<!doctype html><video autoplay></video><script>
const canvas = document.createElement('canvas');
canvas.width = canvas.height = 64;
const paint = canvas.getContext('2d');
const audio = new AudioContext({ latencyHint: 'interactive' });
audio.resume();
const out = audio.createMediaStreamDestination();
const tone = audio.createOscillator();
const gate = audio.createGain();
gate.gain.value = 0;
tone.connect(gate).connect(out);
tone.start();
let until = 0;
setInterval(() => {
  gate.gain.setValueAtTime(0.8, audio.currentTime);
  gate.gain.setValueAtTime(0, audio.currentTime + 0.02);
  until = performance.now() + 100;
}, 1000);
setInterval(() => {
  paint.fillStyle = performance.now() < until ? 'white' : 'black';
  paint.fillRect(0, 0, 64, 64);
}, 5);
document.querySelector('video').srcObject =
  new MediaStream([...canvas.captureStream().getTracks(), ...out.stream.getTracks()]);
</script>";

#[test]
fn flash_and_click_of_one_instant_are_seen_and_heard_together() -> Outcome {
    let _turn = Turn::take_without_programs()?;
    let browser = Browser::start(Microphone::Absent)?;
    let page = browser.page()?;
    page.open(&served(FLASH_AND_CLICK)?)?;
    page.wait_for("document.querySelector('video')?.currentTime > 0", Duration::from_secs(10))?;
    let mut offsets = click_after_flash_ms(&page, Duration::from_secs(10))?;
    println!("click − flash with no network between, ms: {offsets:.1?}");
    let offset = median(&mut offsets).ok_or("nothing was seen and heard")?;
    // What is left is the browser's own buffers; the figures over the network contain it too.
    assert!(offset.abs() <= 30.0, "the instrument itself is {offset:+.1} ms off");
    Ok(())
}

#[test]
fn a_viewer_tells_lost_from_late() -> Outcome {
    const FRAMES: u64 = 100;
    const PAUSE: Duration = Duration::from_millis(300);
    let _turn = Turn::take_without_programs()?;
    let sender = Sender::start(FRAMES, |frame| match frame {
        20 | 21 | 30 => Fault::Dropped,
        50 => Fault::Missing,
        90 => Fault::Late(PAUSE),
        _ => Fault::None,
    })?;
    let swarm = Swarm::start(Options::new(sender.url.clone(), 1));
    swarm.wait_for_pictures(Duration::from_secs(10))?;
    sender.finish()?;
    let report = swarm.finish()?;
    println!("{}", report.table());
    let viewer = report.viewers.first().ok_or("no viewer")?;
    assert_eq!(viewer.video_codec.as_deref(), Some("VP8"));
    assert_eq!((report.connected, viewer.video.keyframes), (1, 1));
    assert_eq!(viewer.video.packets, FRAMES * PACKETS_PER_FRAME - 1);
    assert_eq!((viewer.video.recovered, viewer.video.lost), (3, 1), "late and lost packets");
    assert_eq!((viewer.video.frames, viewer.video.damaged), (FRAMES - 1, 1));
    assert!(viewer.keyframe_requests >= 1, "nothing asked for after a loss");
    Ok(())
}

/// Serves one page on a port of this machine, which browsers trust as much as HTTPS.
fn served(page: &'static str) -> Result<String, Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/", listener.local_addr()?);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n",
                page.len()
            );
            let _ = stream.read(&mut [0; 4_096]);
            let _ =
                stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(page.as_bytes()));
        }
    });
    Ok(url)
}
