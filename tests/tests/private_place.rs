//! A session for one viewer, whose browser is killed.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use visavis::idle::IdleLoop;
use visavis::session::SessionId;
use visavis::{Engine, EngineConfig, Session, SessionConfig};
use visavis_bench::{Browser, Microphone, Page};
use visavis_signaling::{SignalingConfig, SignalingServer};
use visavis_tests::{Outcome, Turn};

const PATIENCE: Duration = Duration::from_secs(40);

/// A place is free 5 s after the last packet of its viewer. After that the next one has to ask, to connect and to decode
/// its first picture, on a machine that may be busy.
const PROMISED: Duration = Duration::from_secs(7);

/// Watches by WHEP, without anything by which the server could detect the viewer's end.
const WATCH_BY_WHEP: &str = r"
const pc = new RTCPeerConnection();
window.holder = pc;
for (const kind of ['video', 'audio']) pc.addTransceiver(kind, { direction: 'recvonly' });
const video = document.createElement('video');
[video.muted, video.autoplay] = [true, true];
pc.ontrack = ({ streams }) => { [video.srcObject] = streams; };
await pc.setLocalDescription();
const headers = { 'Content-Type': 'application/sdp' };
const answer = await fetch('/whep/alone', { method: 'POST', headers, body: pc.localDescription.sdp });
if (answer.status !== 201) throw new Error(String(answer.status));
await pc.setRemoteDescription({ type: 'answer', sdp: await answer.text() });
await new Promise((shown) => video.requestVideoFrameCallback(shown));
return null;
";

/// A session that one may watch.
struct Private {
    signaling: SignalingServer,
    session: Session,
    engine: Engine,
}

impl Private {
    fn start() -> Result<Self, Box<dyn Error>> {
        let localhost = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let engine = Engine::start(EngineConfig::default().udp(localhost))?;
        let session = engine.create_session(
            SessionConfig::default()
                .id(SessionId::new("alone")?)
                .max_peers(Some(1))
                .idle(Some(IdleLoop::built_in())),
        )?;
        session.start();
        let config = SignalingConfig::default().listen(localhost);
        let signaling = SignalingServer::start(config, engine.handle())?;
        Ok(Self { signaling, session, engine })
    }

    fn url(&self, query: &str) -> String {
        format!("{}{query}", self.signaling.url())
    }

    fn end(self) {
        self.signaling.stop();
        self.session.stop();
        self.engine.stop();
    }
}

/// Kills the viewer and returns how long the next one's picture took from then.
fn kill_and_wait(holder: Browser, newcomer: &Page) -> Result<Duration, Box<dyn Error>> {
    let killed = Instant::now();
    holder.kill()?;
    newcomer.wait_for("document.documentElement.dataset.picture === 'live'", PATIENCE)?;
    Ok(killed.elapsed())
}

#[test]
fn who_waits_for_a_private_place_gets_it_when_its_holder_was_killed() -> Outcome {
    let _turn = Turn::take_without_programs()?;
    let private = Private::start()?;
    let page = private.url("?autostart=1&session=alone");
    let (holder, other) =
        (Browser::start(Microphone::Absent)?, Browser::start(Microphone::Absent)?);
    let (watching, newcomer) = (holder.page()?, other.page()?);
    watching.open(&page)?;
    watching.wait_for("document.documentElement.dataset.picture === 'live'", PATIENCE)?;
    newcomer.open(&page)?;
    newcomer.wait_for("visavis.client.state === 'waiting'", PATIENCE)?;
    // It has asked a few times by then; a holder who is there keeps the place.
    thread::sleep(Duration::from_secs(4));
    newcomer.wait_for("visavis.client.state === 'waiting'", PATIENCE)?;
    watching.wait_for("visavis.client.state === 'connected'", PATIENCE)?;
    drop(watching);
    let took = kill_and_wait(holder, &newcomer)?;
    println!("the holder of the page was killed; the newcomer's picture came after {took:.2?}");
    assert!(took <= PROMISED, "{took:.2?}");
    assert_eq!(private.session.status().peer_count, 1);
    private.end();
    Ok(())
}

#[test]
fn who_comes_after_a_whep_viewer_was_killed_gets_its_private_place() -> Outcome {
    let _turn = Turn::take_without_programs()?;
    let private = Private::start()?;
    let (holder, other) =
        (Browser::start(Microphone::Absent)?, Browser::start(Microphone::Absent)?);
    let (watching, newcomer) = (holder.page()?, other.page()?);
    watching.open(&private.url(""))?;
    watching.wait_for("window.visavis", PATIENCE)?;
    watching.eval_within::<()>(WATCH_BY_WHEP, PATIENCE)?;
    // Long enough that the browser checks its connection only now and then.
    thread::sleep(Duration::from_secs(4));
    drop(watching);
    newcomer.open(&private.url("?autostart=1&session=alone"))?;
    let took = kill_and_wait(holder, &newcomer)?;
    println!("the WHEP viewer was killed; the newcomer's picture came after {took:.2?}");
    assert!(took <= PROMISED, "{took:.2?}");
    assert_eq!(private.session.status().peer_count, 1);
    private.end();
    Ok(())
}
