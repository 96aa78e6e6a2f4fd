//! A browser that watches a server from behind a relay.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use visavis_weather::{Relay, RelayError};

use super::naive::Naive;
use super::options::Options;
use super::scenarios::Scenario;
use super::server_kind::ServerKind;
use crate::{Browser, Error, Microphone, Page, Server, ServerOptions, avatar, glass};

const WATCH: &str = include_str!("watch.js");
const REROUTE: &str = include_str!("reroute.js");

/// How long a server may take to answer an offer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(20);

/// A page that shows pictures, and all that it takes to have some.
pub(super) struct Watched {
    pub(super) page: Page,
    pub(super) relay: Relay,
    _browser: Browser,
    server: Running,
}

enum Running {
    Visavis(Server),
    Aiortc(#[expect(dead_code, reason = "it is ended when it is dropped")] avatar::Running),
    Naive(#[expect(dead_code, reason = "it is ended when it is dropped")] Naive),
}

impl Watched {
    /// Starts a server and lets a browser watch it. The way is clear so far.
    pub(super) fn begin(
        kind: ServerKind,
        options: &Options,
        scenario: &Scenario,
    ) -> Result<Self, Error> {
        let browser = Browser::start(Microphone::Absent)?;
        let page = browser.page()?;
        page.run_on_open(WATCH)?;
        let clear = |server| Relay::start(server, scenario.up(), scenario.up(), options.seed);
        let (relay, server) = match kind {
            ServerKind::Visavis => {
                // Free a moment ago: the server has to name the relay's address before it has its own.
                let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
                let relay = clear(udp)?;
                let server = visavis(options, udp, relay.addr())?;
                glass::load(
                    &page,
                    &format!("{}?autostart=1&codec={}", server.url(), options.codec),
                )?;
                (relay, Running::Visavis(server))
            }
            ServerKind::Aiortc => {
                let server = avatar::ServerKind::Aiortc.start_on_loopback()?;
                (reroute(&page, &server.url, clear)?, Running::Aiortc(server))
            }
            ServerKind::Naive => {
                let server = Naive::start()?;
                (reroute(&page, server.url(), clear)?, Running::Naive(server))
            }
        };
        glass::wait_for_picture(&page)?;
        Ok(Self { page, relay, _browser: browser, server })
    }

    /// Ends all of it.
    pub(super) fn end(self) -> Result<(), Error> {
        match self.server {
            Running::Visavis(server) => server.stop(),
            Running::Aiortc(_) | Running::Naive(_) => Ok(()),
        }
    }
}

/// Opens the page of a server that announces nothing but its own address, and puts a relay there.
fn reroute(
    page: &Page,
    url: &str,
    relay_to: impl FnOnce(SocketAddr) -> Result<Relay, RelayError>,
) -> Result<Relay, Error> {
    page.run_on_open(REROUTE)?;
    glass::load(page, url)?;
    page.wait_for("window.visavisReroute?.server", ANSWER_DEADLINE)?;
    let relay = relay_to(page.eval("return visavisReroute.server;")?)?;
    page.eval::<()>(&format!("visavisReroute.through('{}');", relay.addr()))?;
    Ok(relay)
}

fn visavis(options: &Options, udp: SocketAddr, announced: SocketAddr) -> Result<Server, Error> {
    let mut server = ServerOptions::demo()
        .arg("--timecode")
        .video_codec(&options.codec)
        .arg("--udp")
        .arg(udp.to_string())
        .arg("--announce")
        .arg(announced.to_string());
    if options.private {
        server = server.arg("--per-visitor");
    }
    Server::start(server)
}
