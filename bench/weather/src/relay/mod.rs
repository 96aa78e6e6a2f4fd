//! A link in each direction between real sockets.

mod state;
mod turns;

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};

use crate::counters::RelayCounters;
use crate::schedule::Schedule;
use state::{State, lock};

/// Stands between clients and a UDP server on this machine, with a [`Link`](crate::Link) in each direction that all
/// clients share. Clients send to [`addr`](Self::addr); each of their addresses has a socket of its own towards the
/// server, to which it is therefore a peer of its own, as behind a NAT. No more than [`MAX_CLIENTS`](Self::MAX_CLIENTS)
/// are known at a time: a new one takes the place of the one that was silent the longest.
///
/// A datagram counts on the link with its UDP and IP headers: 28 bytes more than it has (48 in IPv6). A relay has one
/// thread, which sleeps until the next datagram is due and is some tens of microseconds late where a processor is
/// free. Linux only.
///
/// ```
/// use std::net::UdpSocket;
/// use std::time::{Duration, Instant};
/// use visavis_weather::{Conditions, Relay};
///
/// let server = UdpSocket::bind("127.0.0.1:0")?;
/// let slow = Conditions { delay: Duration::from_millis(20), ..Conditions::default() };
/// let relay = Relay::start(server.local_addr()?, slow, slow, 1)?;
///
/// let client = UdpSocket::bind("127.0.0.1:0")?;
/// let begin = Instant::now();
/// client.send_to(b"ping", relay.addr())?;
/// let mut buffer = [0; 1_500];
/// let (length, _) = server.recv_from(&mut buffer)?;
/// assert_eq!(&buffer[..length], b"ping");
/// assert!(begin.elapsed() >= slow.delay);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct Relay {
    addr: SocketAddr,
    state: Arc<Mutex<State>>,
    wake: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

/// Why there is no relay.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The server is on another machine, or would be reached by the network.
    #[error("the address {0} is not allowed; expected one of the loopback, such as 127.0.0.1:5000")]
    NotLoopback(SocketAddr),
    /// The system gives no socket or no thread.
    #[error("cannot start the relay: {0}")]
    System(#[from] io::Error),
}

impl Relay {
    /// How many clients are known at a time.
    pub const MAX_CLIENTS: usize = state::MAX_CLIENTS;

    /// Starts a relay before a server, at a free port of the loopback address that the server is at.
    ///
    /// # Errors
    ///
    /// The server's address is not of the loopback, or the system gives no socket or thread.
    pub fn start(
        server: SocketAddr,
        up: impl Into<Schedule>,
        down: impl Into<Schedule>,
        seed: u64,
    ) -> Result<Self, RelayError> {
        if !server.ip().is_loopback() {
            return Err(RelayError::NotLoopback(server));
        }
        let state = State::new(server, up.into(), down.into(), seed)?;
        let addr = state.addr()?;
        let wake = Arc::new(
            eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).map_err(io::Error::from)?,
        );
        let state = Arc::new(Mutex::new(state));
        let thread = thread::Builder::new().name("weather-relay".into()).spawn({
            let (state, wake) = (Arc::clone(&state), Arc::clone(&wake));
            move || turns::run(&state, &wake)
        })?;
        Ok(Self { addr, state, wake, thread: Some(thread) })
    }

    /// Where clients send to.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Other conditions from the clients to the server, from now on.
    pub fn set_up(&self, schedule: impl Into<Schedule>) {
        self.change(|state| state.set_up(schedule.into()));
    }

    /// Other conditions from the server to the clients, from now on.
    pub fn set_down(&self, schedule: impl Into<Schedule>) {
        self.change(|state| state.set_down(schedule.into()));
    }

    /// Loses everything in both directions for this long, beginning now.
    pub fn black_out(&self, length: Duration) {
        self.change(|state| state.black_out(length));
    }

    /// Gives each client another port towards the server, as a NAT does that has restarted. What the server sends to
    /// the old one is lost.
    ///
    /// # Errors
    ///
    /// The system gives no more sockets; all clients keep theirs.
    pub fn rebind(&self) -> io::Result<()> {
        self.change(State::rebind)
    }

    /// What it has done so far.
    pub fn counters(&self) -> RelayCounters {
        lock(&self.state).counters()
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut lock(&self.state));
        // It fails only where it is awake anyway.
        let _ = rustix::io::write(&*self.wake, &1_u64.to_ne_bytes());
        changed
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.change(State::close);
        if let Some(thread) = self.thread.take() {
            // Its panic has been printed.
            let _ = thread.join();
        }
    }
}
