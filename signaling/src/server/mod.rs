//! The running server: its port, its thread, and what an application holds of it.

mod connection;
mod deadlines;
mod event_loop;
mod http_connection;
#[cfg(test)]
mod permission_tests;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use mio::net::TcpListener;
use mio::unix::SourceFd;
use mio::{Interest, Poll, Waker};
use visavis::faults::FaultDomain;
use visavis::{EngineHandle, Event};

use self::event_loop::{EVENTS, EventLoop, Inbox, LISTENER, WAKER};
use crate::auth::{Authority, NoAuthentication};
use crate::config::{SignalingConfig, SignalingError};
use crate::connection_limits::ConnectionLimits;
use crate::context::Context;
use crate::http::routes::Router;
use crate::mailbox::Mailbox;
use crate::request_rates::RequestRates;
use crate::sessions::registry::Registry;
use crate::tls;
use crate::ws::session_events;

/// The running signaling server. Dropping it stops it.
#[derive(Debug)]
#[must_use = "a server stops when it is dropped"]
pub struct SignalingServer {
    addr: SocketAddr,
    scheme: &'static str,
    stop: Arc<AtomicBool>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
    certificates: Option<tls::Watch>,
}

impl SignalingServer {
    /// Opens the port and starts the thread `visavis-signal`.
    ///
    /// # Errors
    ///
    /// Where the port is taken, a setting is invalid, a file cannot be used or the system refuses a thread.
    pub fn start(config: SignalingConfig, engine: EngineHandle) -> Result<Self, SignalingError> {
        let authority = Box::new(NoAuthentication { manage: config.api.manage });
        Self::start_with(config, engine, authority)
    }

    fn start_with(
        config: SignalingConfig,
        engine: EngineHandle,
        authority: Box<dyn Authority>,
    ) -> Result<Self, SignalingError> {
        let tls = config.tls.as_ref().map(tls::server_config).transpose()?;
        let (tls, certificates) = tls.unzip();
        let bind = |source| SignalingError::Bind { addr: config.listen, source };
        let mut listener = TcpListener::bind(config.listen).map_err(bind)?;
        let addr = listener.local_addr()?;
        let scheme = if tls.is_some() { "https" } else { "http" };

        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let stop = Arc::new(AtomicBool::new(false));
        let left = engine.subscribe_to(|event| matches!(event, Event::PeerLeft { .. }));
        // A queue of their own: many of them take no room from peers that leave.
        let session_events = engine.subscribe_to(session_events::is_wanted);
        for receiver in [&left, &session_events] {
            let descriptor = receiver.descriptor()?.as_raw_fd();
            poll.registry().register(&mut SourceFd(&descriptor), EVENTS, Interest::READABLE)?;
        }
        let (posts_in, posts) = crossbeam_channel::unbounded();
        let router = Arc::new(Router::new(&config, addr.port())?);
        let context = Context {
            authority,
            files: Arc::clone(router.files()),
            sessions: Registry::start(config.api.clone(), &engine)?,
            clients: Default::default(),
            resumptions: Default::default(),
            whep: Default::default(),
            uploads: Default::default(),
            connections: ConnectionLimits::default(),
            rates: RequestRates::new(&config.limits),
            random: rustls::crypto::aws_lc_rs::default_provider().secure_random,
            mailbox: Mailbox::new(posts_in, waker.clone()),
            tickets: 0,
            http_requests: 0,
            config,
            engine,
        };
        let inbox = Inbox { posts, left, session_events };
        let server = EventLoop::new(poll, listener, tls, router, inbox, stop.clone(), context);
        let thread =
            std::thread::Builder::new().name("visavis-signal".to_owned()).spawn(move || {
                let faults = Arc::clone(server.context.engine.faults());
                faults.run_loop(FaultDomain::SignalingLoop, || server.run());
            })?;
        tracing::info!(%addr, scheme, "signaling is up");
        Ok(Self { addr, scheme, stop, waker, thread: Some(thread), certificates })
    }

    /// The TCP address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Reads the certificate files again soon; without this call, changed files are read within two seconds. New
    /// handshakes use the new certificate, existing connections go on. If the files are unusable, an error is logged and
    /// the previous certificate stays. Does nothing without TLS.
    pub fn reload_certificates(&self) {
        self.certificate_reloader()();
    }

    /// [`reload_certificates`](Self::reload_certificates) for another thread, as one that waits for signals.
    pub fn certificate_reloader(&self) -> impl Fn() + Send + Sync + use<> {
        let reload = self.certificates.as_ref().map(tls::Watch::reloader);
        move || {
            if let Some(reload) = &reload {
                reload();
            }
        }
    }

    /// The player page, as a browser on this machine can open it.
    pub fn url(&self) -> String {
        let mut addr = self.addr;
        if addr.ip().is_unspecified() {
            addr.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        // Browsers take `localhost`, and not the number, for a place where a microphone is allowed
        // without a certificate that names it.
        match addr.ip().is_loopback() {
            true => format!("{}://localhost:{}/", self.scheme, addr.port()),
            false => format!("{}://{addr}/", self.scheme),
        }
    }

    /// Closes every connection, ends the sessions that were made over HTTP and joins the threads. Media
    /// of other sessions goes on flowing: it is the engine's to end.
    pub fn stop(mut self) {
        self.shut_down();
    }

    fn shut_down(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.stop.store(true, Ordering::Release);
        let _ = self.waker.wake();
        if thread.join().is_err() {
            tracing::error!("the signaling thread panicked");
        }
    }
}

impl Drop for SignalingServer {
    fn drop(&mut self) {
        self.shut_down();
    }
}
