//! The engine as a whole: its threads and its media sockets.
//!
//! An [`Engine`] runs until it is stopped or dropped. What others need of it, such as signaling, is an
//! [`EngineHandle`]: cheap to clone, and good for any thread. A handle keeps nothing running: once the engine has
//! stopped, its calls say so.
//!
//! ```no_run
//! use visavis::{Engine, EngineConfig, SessionConfig};
//!
//! let config = EngineConfig::default().udp(([0, 0, 0, 0], 8_083)).max_peers(500);
//! let engine = Engine::start(config)?;
//! println!("media flows through udp {}", engine.udp_addr());
//! let session = engine.create_session(SessionConfig::default())?;
//! session.start();
//! // …
//! engine.stop();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};

use arc_swap::ArcSwap;
use crossbeam_channel::{bounded, unbounded};
use crossbeam_queue::SegQueue;
use visavis_core::Certificate;
use visavis_net::{TcpAcceptor, UdpEndpoint};
use visavis_types::{ClockAnchor, Refusals};

use crate::audio::audio_loop::{AudioCommand, AudioLoop};
use crate::config::SessionConfig;
use crate::encoder::Installed;
use crate::error::SessionError;
use crate::faults::{FaultDomain, Faults};
use crate::handle::{Inner, LoopHandle, Parts};
use crate::idle::encoder::IdleEncoder;
use crate::media::addresses::Addresses;
use crate::media::command::{Control, Inputs};
use crate::media::draining::draining;
use crate::media::follow::own_addresses;
use crate::media::media_loop::{MediaLoop, MediaSockets};
use crate::session::Session;
use crate::upkeep::Upkeep;

pub use crate::config::EngineConfig;
pub use crate::error::StartError;
pub use crate::handle::EngineHandle;
pub use crate::scheduling::Scheduling;

/// Joins and renegotiations that may wait for the media loop.
const COMMAND_CAPACITY: usize = 4_096;

/// Candidates that may wait for the media loop, of all peers.
const CANDIDATE_CAPACITY: usize = 4_096;

/// Messages for viewers that may wait for the media loop.
const MESSAGE_CAPACITY: usize = 1_024;

/// The running engine. Dropping it stops it.
#[derive(Debug)]
#[must_use = "an engine stops when it is dropped"]
pub struct Engine {
    handle: EngineHandle,
    udp: Vec<SocketAddr>,
    media_threads: Vec<JoinHandle<()>>,
    audio_thread: Option<JoinHandle<()>>,
    upkeep: Option<Upkeep>,
}

impl Engine {
    /// Opens the UDP socket and starts the threads.
    ///
    /// # Errors
    ///
    /// [`StartError::Bind`] where the address is taken or not ours; [`StartError::Nvenc`] where that is wanted and is not
    /// there; the others are failures of the system.
    pub fn start(config: EngineConfig) -> Result<Self, StartError> {
        config.check()?;
        let encoders = Installed::find(config.encoder, config.gpu)?;
        let certificate = Certificate::generate().map_err(|error| {
            tracing::error!(error, "no DTLS certificate");
            StartError::Certificate
        })?;
        let (clock, departed) = (ClockAnchor::now(), Arc::new(SegQueue::new()));
        let faults = Arc::<Faults>::default();
        #[cfg(debug_assertions)]
        faults.plant_from_environment();
        let refusals = Arc::<Refusals>::default();
        let own = own_addresses()?;
        let (mut loops, mut media_loops, mut udp) = (Vec::new(), Vec::new(), Vec::new());
        let mut bound_to = Vec::new();
        for index in 0..config.media_loops {
            let endpoint = bind(&config, index)?;
            let bound = endpoint.local_addr();
            let acceptor = config.ice_tcp.then(|| listen(bound)).flatten();
            let addresses = Addresses::new((index, bound), &config.announce, &own);
            let addresses = addresses.by_tcp(acceptor.is_some(), config.ice_tcp_port);
            udp.push(bound);
            bound_to.push((bound, addresses.clone()));
            let (commands, receiver) = draining(COMMAND_CAPACITY);
            let (control, control_receiver) = unbounded();
            let (candidates_in, candidate_receiver) = bounded(CANDIDATE_CAPACITY);
            let (messages, message_receiver) = bounded(MESSAGE_CAPACITY);
            let inputs = Inputs {
                control: control_receiver,
                commands: receiver,
                candidates: candidate_receiver,
                messages: message_receiver,
            };
            let candidates = ArcSwap::from_pointee(addresses.host_candidates());
            let max_connections = config.max_peers;
            let sockets = MediaSockets { endpoint, acceptor, max_connections, addresses };
            let (media_loop, waker) = MediaLoop::new(
                index,
                sockets,
                clock,
                config.connect_timeout,
                inputs,
                Arc::clone(&departed),
                (Arc::clone(&faults), Arc::clone(&refusals)),
            )?;
            loops.push(LoopHandle {
                control,
                commands,
                candidates_in,
                messages,
                waker,
                candidates,
            });
            media_loops.push(media_loop);
        }
        // Nothing that strangers do goes this way.
        let (audio, audio_receiver) = unbounded();
        let inner = Inner::new(Parts {
            clock,
            idle_encoder: IdleEncoder::open(
                encoders.for_idle_loops().clone(),
                Arc::clone(&faults),
            )?,
            encoders,
            loops,
            audio,
            departed,
            refusals,
            certificate,
            max_peers: config.max_peers,
            ice_tcp_port: config.ice_tcp_port,
            event_capacity: config.event_capacity,
            faults: Arc::clone(&faults),
        });
        let mut engine = Self {
            handle: EngineHandle { inner: Arc::new(inner) },
            udp,
            media_threads: Vec::new(),
            audio_thread: None,
            upkeep: None,
        };
        // A failure from here on drops the engine, which stops the threads it has.
        let scheduling = config.scheduling;
        for (index, media_loop) in media_loops.into_iter().enumerate() {
            let faults = Arc::clone(&faults);
            engine.media_threads.push(spawn("visavis-media", move || {
                scheduling.apply_to_media(index);
                faults.run_loop(FaultDomain::MediaLoop, || media_loop.run());
            })?);
        }
        let audio_loop = AudioLoop::new(audio_receiver, Arc::clone(&faults));
        let audio_thread = spawn("visavis-audio", move || {
            scheduling.apply_to_audio();
            faults.run_loop(FaultDomain::AudioLoop, || {
                audio_loop.run();
                Ok(())
            });
        })?;
        engine.handle.inner.audio.thread.set(audio_thread.thread());
        engine.audio_thread = Some(audio_thread);
        let inner = Arc::clone(&engine.handle.inner);
        engine.upkeep = Some(Upkeep::start(inner, bound_to, config.announce)?);
        Ok(engine)
    }

    /// The UDP address media flows through; the first one where there are several media loops.
    pub fn udp_addr(&self) -> SocketAddr {
        self.udp[0]
    }

    /// The UDP addresses media flows through, one for each media loop.
    pub fn udp_addrs(&self) -> &[SocketAddr] {
        &self.udp
    }

    /// A handle for signaling.
    pub fn handle(&self) -> EngineHandle {
        self.handle.clone()
    }

    /// Makes a session. It exists until it is stopped or dropped.
    ///
    /// # Errors
    ///
    /// As [`EngineHandle::create_session`].
    pub fn create_session(&self, config: SessionConfig) -> Result<Session, SessionError> {
        self.handle.create_session(config)
    }

    /// Closes every peer and joins the threads.
    pub fn stop(mut self) {
        self.shut_down();
    }

    fn shut_down(&mut self) {
        let inner = &self.handle.inner;
        inner.sessions().iter().for_each(|session| session.stop());
        inner.stopped.store(true, Relaxed);
        inner.control_all(inner.loops.iter().map(|_| Control::Stop));
        inner.audio.send(AudioCommand::Stop);
        if let Some(thread) = self.audio_thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
        self.upkeep = None;
        for thread in self.media_threads.drain(..) {
            let _ = thread.join();
        }
        inner.faults.close();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// The socket of a media loop: the port asked for is the first one's, those after it are the others'.
fn bind(config: &EngineConfig, index: usize) -> Result<UdpEndpoint, StartError> {
    let mut addr = config.udp;
    if config.udp.port() != 0 {
        let port = u16::try_from(index).ok().and_then(|index| config.udp.port().checked_add(index));
        addr.set_port(port.ok_or(StartError::MediaLoops(config.media_loops))?);
    }
    UdpEndpoint::bind(addr).map_err(|source| StartError::Bind { addr, source })
}

/// TCP at the address of the UDP socket. Without it viewers come by UDP alone, which is what most do.
fn listen(addr: SocketAddr) -> Option<TcpAcceptor> {
    TcpAcceptor::bind(addr)
        .inspect_err(|error| tracing::warn!(%addr, %error, "no ICE-TCP: cannot listen on TCP"))
        .ok()
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(run)
}
