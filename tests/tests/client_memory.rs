//! What the client library holds on to after close(): nothing.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use visavis_bench::{Browser, Microphone, Page, Server, ServerOptions};
use visavis_tests::{Outcome, Turn};

/// Before the first measurement: code is compiled and caches fill.
const WARM_UP: usize = 20;
const CYCLES: usize = 200;
/// As many as fit into one script.
const AT_ONCE: usize = 20;

const DEADLINE: Duration = Duration::from_secs(60);

/// Connections that may be there in the end.
const MOST_KEPT: usize = 2;

/// A page with a client of its own, which it keeps.
const PREPARE: &str = r"
const { VisavisClient } = await import('/visavis-client.js');
const video = document.createElement('video');
video.muted = true;
document.body.append(video);
window.client = new VisavisClient();
client.attach(video);
window.links = [];
return null;
";

/// Connects, sees a frame, leaves; the page keeps no more than a weak reference.
const CYCLE: &str = r"
for (let at = 0; at < COUNT; at += 1) {
  const shown = new Promise((resolve) => client.addEventListener('firstframe', resolve, { once: true }));
  client.prepare();
  client.connect();
  await shown;
  links.push(new WeakRef(client.connection));
  client.close();
  if (client.connection !== null) throw new Error('still connected');
}
return null;
";

fn cycle(page: &Page, count: usize) -> Result<f64, Box<dyn Error>> {
    for _ in 0..count / AT_ONCE {
        page.eval_within::<()>(&CYCLE.replace("COUNT", &AT_ONCE.to_string()), DEADLINE)?;
    }
    Ok(page.heap_bytes()?)
}

/// How many connections are there still. The last ones may be on their way out: a browser ends them beside the page.
fn kept(page: &Page) -> Result<usize, Box<dyn Error>> {
    let end = Instant::now() + DEADLINE;
    loop {
        let kept: usize = page.eval("return links.filter((link) => link.deref()).length;")?;
        if kept <= MOST_KEPT || Instant::now() >= end {
            return Ok(kept);
        }
        thread::sleep(Duration::from_millis(200));
        // Collects garbage first.
        page.heap_bytes()?;
    }
}

#[test]
fn two_hundred_visits_leave_nothing_behind() -> Outcome {
    let _turn = Turn::take()?;
    let server = Server::start(ServerOptions::demo().video_codec("VP8"))?;
    let browser = Browser::start(Microphone::Absent)?;
    let page = browser.page()?;
    page.open(server.url())?;
    page.wait_for("window.visavis", DEADLINE)?;
    page.eval::<()>(PREPARE)?;
    let before = cycle(&page, WARM_UP)?;
    let after = cycle(&page, CYCLES)?;
    let kept = kept(&page)?;
    let growth = (after - before) / CYCLES as f64;
    println!(
        "{CYCLES} visits: heap {before:.0} then {after:.0} bytes, {growth:.0} a visit; {kept} of {} \
         connections kept",
        WARM_UP + CYCLES
    );
    // A connection that is held weighs tens of kilobytes. The weak references and the page's own log are
    // what grows.
    assert!(growth < 2_000.0, "{growth:.0} bytes a visit");
    assert!(kept <= MOST_KEPT, "{kept} connections are held");
    // The server has let them go too.
    assert_eq!(server.peer_count()?, 0);
    server.stop()?;
    Ok(())
}
