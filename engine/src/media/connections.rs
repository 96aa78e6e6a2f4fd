//! Viewers that come by TCP, where their networks let no UDP through (RFC 6544): we listen, and they connect.
//!
//! A connection is anybody's until a connectivity check has come over it that was made with a peer's password. Until
//! then it may be here for a few seconds, and there may be a few of each address.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use mio::{Interest, Registry, Token};
use slab::Slab;
use visavis_core::rtp::receive::is_rtcp;
use visavis_net::{TcpAcceptor, TcpConnection};

/// Strangers' connections, of all addresses and of one.
const MAX_STRANGERS: usize = 256;
const MAX_STRANGERS_OF_ONE: usize = 16;

/// How long one may take to become a peer's.
const PATIENCE: Duration = Duration::from_secs(10);
/// One that has had so long makes room for another where there is none.
const YIELDS_AFTER: Duration = Duration::from_secs(1);
/// What one may send until then. A check takes a tenth of it.
const MAX_STRANGE_BYTES: usize = 8 * 1024;

/// How often connections are looked at that are nobody's any more.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// All connections of one media loop.
pub(crate) struct Connections {
    acceptor: Option<TcpAcceptor>,
    registry: Registry,
    /// Connections that there may be.
    most: usize,
    all: Slab<Connection>,
    by_remote: HashMap<SocketAddr, usize>,
    strangers: usize,
    /// Those that may have something to read, the next one first.
    readable: VecDeque<usize>,
    may_accept: bool,
    /// The last one could not be accepted, which was said.
    is_short: bool,
    next_sweep: Option<Instant>,
    staged: Staged,
    /// Refused or closed as a stranger's, since this was asked for.
    refused: u64,
}

struct Connection {
    stream: TcpConnection,
    since: Instant,
    /// Somebody else listens where it came in.
    is_shared: bool,
    /// It is a peer's.
    is_known: bool,
    is_readable: bool,
    /// Received while it was a stranger's.
    bytes: usize,
}

/// Packets of one turn of a peer, which leave together.
#[derive(Default)]
struct Staged {
    to: Option<SocketAddr>,
    bytes: Vec<u8>,
}

/// What was read of a connection.
pub(crate) struct Arrived {
    pub(crate) index: usize,
    /// How many bytes.
    pub(crate) length: usize,
    /// The address of ours that they came in at, and whether another listens there.
    pub(crate) at: (IpAddr, bool),
    pub(crate) remote: SocketAddr,
}

impl Connections {
    /// The first of the poller's tokens that are for connections; the one before it is for those who come.
    pub(crate) const FIRST_TOKEN: usize = 16;
    const LISTENER: Token = Token(Self::FIRST_TOKEN - 1);

    /// `most` is how many connections there may be.
    pub(crate) fn new(
        mut acceptor: Option<TcpAcceptor>,
        most: usize,
        registry: &Registry,
    ) -> io::Result<Self> {
        if let Some(acceptor) = &mut acceptor {
            registry.register(acceptor, Self::LISTENER, Interest::READABLE)?;
        }
        Ok(Self {
            acceptor,
            registry: registry.try_clone()?,
            most,
            all: Slab::new(),
            by_remote: HashMap::new(),
            strangers: 0,
            readable: VecDeque::new(),
            may_accept: true,
            is_short: false,
            next_sweep: None,
            staged: Staged::default(),
            refused: 0,
        })
    }

    /// The poller says that something can be done.
    pub(crate) fn ready(&mut self, token: Token, readable: bool, writable: bool, now: Instant) {
        if token == Self::LISTENER {
            self.may_accept = true;
            return;
        }
        let Some(index) = token.0.checked_sub(Self::FIRST_TOKEN) else { return };
        let Some(connection) = self.all.get_mut(index) else { return };
        if readable && !std::mem::replace(&mut connection.is_readable, true) {
            self.readable.push_back(index);
        }
        if writable && connection.stream.resume(now).is_err() {
            self.close(index);
        }
    }

    /// Whether something can be read without waiting.
    pub(crate) fn has_unread(&self) -> bool {
        !self.readable.is_empty()
    }

    /// When connections are to be looked at, where there are any.
    pub(crate) fn next_sweep(&self) -> Option<Instant> {
        self.next_sweep
    }

    /// Refusals since the last call.
    pub(crate) fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }

    // --- In ---

    /// Takes those who have come, until a moment.
    pub(crate) fn accept(&mut self, until: Instant) {
        while self.may_accept
            && let Some(acceptor) = &self.acceptor
        {
            let now = Instant::now();
            if now >= until {
                return;
            }
            match acceptor.accept() {
                Ok(Some(stream)) => {
                    self.is_short = false;
                    self.take(stream, false, now);
                }
                Ok(None) => self.may_accept = false,
                Err(error) => {
                    if !std::mem::replace(&mut self.is_short, true) {
                        tracing::warn!(
                            %error,
                            "viewers that come by TCP are not taken for now; where files are short, allow the process \
                             more of them (`ulimit -n`)"
                        );
                    }
                    self.may_accept = false;
                    self.next_sweep.get_or_insert(now + SWEEP_INTERVAL);
                }
            }
        }
    }

    /// Takes one that somebody else has accepted.
    pub(crate) fn take_over(&mut self, stream: TcpStream, now: Instant) {
        match TcpConnection::from_std(stream) {
            Ok(stream) => self.take(stream, true, now),
            Err(error) => tracing::debug!(%error, "a connection was gone before it was taken over"),
        }
    }

    fn take(&mut self, stream: TcpConnection, is_shared: bool, now: Instant) {
        let remote = stream.remote_addr();
        let of_one = |other: &&Connection| {
            !other.is_known && network(other.stream.remote_addr().ip()) == network(remote.ip())
        };
        let is_full =
            self.all.iter().map(|(_, one)| one).filter(of_one).count() >= MAX_STRANGERS_OF_ONE;
        if is_full || self.by_remote.contains_key(&remote) || !self.has_room(now) {
            self.refused += 1;
            return;
        }
        let connection = Connection {
            stream,
            since: now,
            is_shared,
            is_known: false,
            is_readable: false,
            bytes: 0,
        };
        let entry = self.all.vacant_entry();
        let index = entry.key();
        let connection = entry.insert(connection);
        let token = Token(Self::FIRST_TOKEN + index);
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.registry.register(&mut connection.stream, token, interest) {
            tracing::debug!(%error, "a connection cannot be waited for");
            self.all.remove(index);
            return;
        }
        self.by_remote.insert(remote, index);
        self.strangers += 1;
        self.next_sweep.get_or_insert(now + SWEEP_INTERVAL);
        tracing::debug!(%remote, "TCP connection");
    }

    /// Whether there is room for a stranger, who may take the place of one that has not become a peer's in a while.
    fn has_room(&mut self, now: Instant) -> bool {
        if self.strangers < MAX_STRANGERS && self.all.len() < self.most + MAX_STRANGERS {
            return true;
        }
        let strangers = self.all.iter().filter(|(_, one)| !one.is_known);
        let oldest =
            strangers.min_by_key(|(_, one)| one.since).map(|(index, one)| (index, one.since));
        match oldest {
            Some((index, since)) if now.saturating_duration_since(since) >= YIELDS_AFTER => {
                self.close(index);
                self.refused += 1;
                true
            }
            _ => false,
        }
    }

    /// Reads something of the next connection that has anything, into `buffer`.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Option<Arrived> {
        while let Some(&index) = self.readable.front() {
            let Some(connection) = self.all.get_mut(index).filter(|one| one.is_readable) else {
                self.readable.pop_front();
                continue;
            };
            match connection.stream.read(buffer) {
                Ok(Some(length)) => {
                    // The others get their turn in between.
                    self.readable.rotate_left(1);
                    let at = (connection.stream.local_ip(), connection.is_shared);
                    let remote = connection.stream.remote_addr();
                    return Some(Arrived { index, length, at, remote });
                }
                Ok(None) => {
                    connection.is_readable = false;
                    self.readable.pop_front();
                }
                Err(_) => self.close(index),
            }
        }
        None
    }

    /// What was read is dealt with, but for the beginning of a packet. `is_known`: that address is a peer's.
    pub(crate) fn done(&mut self, arrived: &Arrived, begun: &[u8], is_known: bool) {
        let Some(connection) = self.all.get_mut(arrived.index) else { return };
        if connection.stream.remote_addr() != arrived.remote {
            return; // It was closed meanwhile, and another has its place.
        }
        connection.stream.keep(begun);
        if is_known && !std::mem::replace(&mut connection.is_known, true) {
            self.strangers -= 1;
        }
        connection.bytes += arrived.length;
        if !connection.is_known && connection.bytes > MAX_STRANGE_BYTES {
            self.refuse(arrived);
        }
    }

    /// What was read is nothing that can be.
    pub(crate) fn refuse(&mut self, arrived: &Arrived) {
        let is_it = |one: &Connection| one.stream.remote_addr() == arrived.remote;
        if self.all.get(arrived.index).is_some_and(is_it) {
            self.refused += 1;
            self.close(arrived.index);
        }
    }

    /// Closes connections that are nobody's (any more), where it is time. `is_known` says whether an address is a peer's.
    pub(crate) fn sweep(&mut self, is_known: impl Fn(SocketAddr) -> bool, now: Instant) {
        if self.next_sweep.is_none_or(|at| now < at) {
            return;
        }
        // Where the system had no descriptors left, it may have some now.
        self.may_accept = true;
        let mut over = Vec::new();
        for (index, connection) in &mut self.all {
            let known = is_known(connection.stream.remote_addr());
            let is_new = now.saturating_duration_since(connection.since) < PATIENCE;
            if !known && (connection.is_known || !is_new) {
                over.push(index);
            }
        }
        over.into_iter().for_each(|index| self.close(index));
        self.next_sweep = (!self.all.is_empty()).then_some(now + SWEEP_INTERVAL);
    }

    fn close(&mut self, index: usize) {
        let Some(connection) = self.all.try_remove(index) else { return };
        self.strangers -= usize::from(!connection.is_known);
        self.readable.retain(|readable| *readable != index);
        let remote = connection.stream.remote_addr();
        let dropped = connection.stream.counters().dropped;
        self.by_remote.remove(&remote);
        tracing::debug!(%remote, dropped, "TCP connection closed");
    }

    // --- Out ---

    /// Room for a packet of `len` bytes, which is filled before anything else is asked for.
    pub(crate) fn packet(&mut self, to: SocketAddr, len: usize) -> &mut [u8] {
        if self.staged.to != Some(to) {
            self.flush();
            self.staged.to = Some(to);
        }
        let bytes = &mut self.staged.bytes;
        let length = u16::try_from(len).unwrap_or(u16::MAX);
        bytes.extend(length.to_be_bytes());
        let start = bytes.len();
        bytes.resize(start + len, 0);
        &mut bytes[start..]
    }

    /// Sends what there is.
    pub(crate) fn flush(&mut self) {
        let Some(to) = self.staged.to.take() else { return };
        if let Some(&index) = self.by_remote.get(&to)
            && let Some(connection) = self.all.get_mut(index)
            && connection.stream.send(&self.staged.bytes, is_media, Instant::now()).is_err()
        {
            self.close(index);
        }
        self.staged.bytes.clear();
    }
}

/// RTP, which is of no use where it comes too late. All else is (RFC 7983, RFC 5761).
fn is_media(packet: &[u8]) -> bool {
    packet.first().is_some_and(|first| (128..=191).contains(first)) && !is_rtcp(packet)
}

/// What one stranger has of addresses: with IPv6 a whole network.
fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
    }
}
