//! The player page: its texts, its layout, its controls.

#![allow(clippy::print_stdout, reason = "what was looked at is part of the outcome")]

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use visavis::data::PeerMessage;
use visavis::idle::IdleLoop;
use visavis::video::{PixelFormat, VideoFrame};
use visavis::{Engine, EngineConfig, Session, SessionConfig};
use visavis_bench::{Browser, Microphone, Page, Server, ServerOptions};
use visavis_signaling::{SignalingConfig, SignalingServer};
use visavis_tests::{Outcome, Turn, run_page_tests};

const PATIENCE: Duration = Duration::from_secs(40);

/// Every state in five sizes, light and dark: nothing outside the screen, nothing too faint, nothing that axe
/// objects to.
#[test]
fn every_state_can_be_seen_and_read_on_every_screen() -> Outcome {
    let _turn = Turn::share()?;
    let server = Server::start(ServerOptions::demo().video_codec("VP8"))?;
    println!("{}", run_page_tests("looks.test.mjs", server.url())?);
    server.stop()?;
    Ok(())
}

/// Errors, keyboard, touch, microphone, settings.
#[test]
fn visitors_can_use_the_page_and_are_told_what_happens() -> Outcome {
    let _turn = Turn::share()?;
    let server = Server::start(ServerOptions::demo().video_codec("VP8"))?;
    println!("{}", run_page_tests("visits.test.mjs", server.url())?);
    server.stop()?;
    Ok(())
}

fn says(text: &str) -> String {
    format!("document.getElementById('state').textContent.startsWith('{text}')")
}

#[test]
fn who_finds_all_places_taken_gets_the_next_one_that_is_free() -> Outcome {
    let _turn = Turn::share()?;
    let server = Server::start(ServerOptions::demo().arg("--max-clients").arg("1"))?;
    let url = format!("{}?autostart=1", server.url());
    // A tab behind another is slowed down: each has a browser of its own.
    let browsers = [Browser::start(Microphone::Absent)?, Browser::start(Microphone::Absent)?];
    let [first, second] = [browsers[0].page()?, browsers[1].page()?];
    first.open(&url)?;
    first.wait_for(&says("Live"), PATIENCE)?;
    second.open(&url)?;
    second.wait_for(&says("Waiting for a place"), PATIENCE)?;
    let reason: String = second.eval("return document.getElementById('reason').textContent;")?;
    assert!(reason.contains("taken"), "{reason}");
    first.eval::<()>("document.getElementById('leave').click();")?;
    second.wait_for(&says("Live"), PATIENCE)?;
    server.stop()?;
    Ok(())
}

#[test]
fn figures_of_a_lost_connection_are_not_left_standing() -> Outcome {
    let _turn = Turn::share()?;
    let server = Server::start(ServerOptions::demo())?;
    let browser = Browser::start(Microphone::Absent)?;
    let page = browser.page()?;
    page.open(&format!("{}?autostart=1", server.url()))?;
    let fps = "document.querySelector('[data-graph=fps] [data-value]').textContent";
    page.wait_for(&format!("{fps}.includes('fps')"), PATIENCE)?;
    server.stop()?;
    page.wait_for("visavis.client.state === 'reconnecting'", PATIENCE)?;
    let shown: String = page.eval(&format!("return {fps};"))?;
    assert_eq!(shown, "–");
    page.wait_for("!document.getElementById('reason').hidden", PATIENCE)?;
    Ok(())
}

/// An engine with an idle session, and a page that watches it.
struct Visit {
    page: Page,
    _browser: Browser,
    signaling: SignalingServer,
    session: Session,
    engine: Engine,
}

impl Visit {
    fn begin(query: &str) -> Result<Self, Box<dyn Error>> {
        let localhost = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let engine = Engine::start(EngineConfig::default().udp(localhost))?;
        let idle = Some(IdleLoop::built_in());
        let session = engine.create_session(SessionConfig::default().idle(idle))?;
        session.start();
        let config = SignalingConfig::default().listen(localhost);
        let signaling = SignalingServer::start(config, engine.handle())?;
        let browser = Browser::start(Microphone::Absent)?;
        let page = browser.page()?;
        page.open(&format!("{}?autostart=1{query}", signaling.url()))?;
        page.wait_for("document.documentElement.dataset.picture === 'live'", PATIENCE)?;
        Ok(Self { page, _browser: browser, signaling, session, engine })
    }

    fn end(self) {
        self.signaling.stop();
        self.session.stop();
        self.engine.stop();
    }
}

#[test]
fn an_idle_face_is_said_to_be_idle_and_a_live_one_to_be_live() -> Outcome {
    let _turn = Turn::share_without_programs()?;
    let visit = Visit::begin("")?;
    visit.page.wait_for(&says("Idle"), PATIENCE)?;
    visit.page.eval::<()>(
        "window.told = []; visavis.client.addEventListener('live', ({ detail }) => told.push(detail.live)); \
         visavis.client.addEventListener('utterance', ({ detail }) => told.push(detail.state));",
    )?;
    let (video, data) = (visit.session.video(), vec![128; 64 * 64 * 3 / 2]);
    for _ in 0..10 {
        video.push(&VideoFrame::new(&data, 64, 64).format(PixelFormat::I420))?;
        thread::sleep(Duration::from_millis(50));
    }
    visit.page.wait_for("told.length === 2", PATIENCE)?;
    assert_eq!(visit.page.eval::<Vec<bool>>("return told;")?, [true, false]);
    visit.page.wait_for(&says("Idle"), PATIENCE)?;
    visit.end();
    Ok(())
}

#[test]
fn a_session_that_ends_is_said_to_have_ended() -> Outcome {
    let _turn = Turn::share_without_programs()?;
    let visit = Visit::begin("")?;
    visit.page.eval::<()>(
        "window.states = []; \
         visavis.client.addEventListener('state', ({ detail }) => states.push(detail.code));",
    )?;
    visit.session.stop();
    visit.page.wait_for(&says("The session has ended"), Duration::from_secs(10))?;
    let codes: Vec<Option<String>> = visit.page.eval("return states;")?;
    assert_eq!(codes.last(), Some(&Some("ended".to_owned())), "{codes:?}");
    visit.end();
    Ok(())
}

#[test]
fn captions_chat_and_interruptions_go_over_the_data_channel() -> Outcome {
    let _turn = Turn::share_without_programs()?;
    let visit = Visit::begin("&chat=1&interrupt=1")?;
    let data = visit.session.data();
    visit.page.wait_for("visavis.client.send('here')", PATIENCE)?;
    let PeerMessage { peer, .. } =
        data.incoming().recv_timeout(PATIENCE).map_err(|_| "the page said nothing")?;
    data.send(peer, &json!({"type": "caption", "text": "Good day"}).to_string().as_str().into())?;
    let caption = "document.getElementById('caption')";
    visit.page.wait_for(&format!("{caption}.textContent === 'Good day'"), PATIENCE)?;
    visit.page.eval::<()>(
        "document.getElementById('chat-input').value = ' Grüße '; \
         document.getElementById('chat-form').requestSubmit(); \
         document.getElementById('interrupt').click();",
    )?;
    let said = || -> Result<Value, Box<dyn Error>> {
        let said = data.incoming().recv_timeout(PATIENCE).map_err(|_| "the page said nothing")?;
        Ok(serde_json::from_slice(said.message.as_bytes())?)
    };
    assert_eq!(said()?, json!({"type": "chat", "text": "Grüße"}));
    assert_eq!(said()?, json!({"type": "interrupt"}));
    visit.page.wait_for(&format!("{caption}.hidden"), PATIENCE)?;
    visit.end();
    Ok(())
}
