//! Network weather, made in user space: a relay on another loopback address loses datagrams on their way
//! to the viewers, and on their way from them.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

/// The address that the server announces.
pub const RELAY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// How often the threads look whether they should end.
const LOOK: Duration = Duration::from_millis(100);

/// Stands between viewers and a server that listens on 127.0.0.1 at [`port`](Self::port) and announces
/// [`RELAY`].
pub struct Weather {
    front: Arc<UdpSocket>,
    sky: Arc<Sky>,
}

/// Loss in one direction.
#[derive(Default)]
struct Loss {
    /// How many of ten thousand datagrams are lost.
    share: AtomicU64,
    lost: AtomicU64,
}

impl Loss {
    /// Draws whether a datagram is lost.
    fn takes(&self, random: &mut u64) -> bool {
        // Knuth's linear congruential generator: the same weather in every run.
        *random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let taken = (*random >> 33) % 10_000 < self.share.load(Relaxed);
        self.lost.fetch_add(u64::from(taken), Relaxed);
        taken
    }
}

/// What the threads share.
#[derive(Default)]
struct Sky {
    to_viewers: Loss,
    from_viewers: Loss,
    over: AtomicBool,
}

impl Weather {
    /// Fair weather, on a port that is free on both addresses.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn start() -> io::Result<Self> {
        let (front, server) = (0..100)
            .find_map(|_| {
                let front = UdpSocket::bind((RELAY, 0)).ok()?;
                let server =
                    SocketAddr::from((Ipv4Addr::LOCALHOST, front.local_addr().ok()?.port()));
                UdpSocket::bind(server).ok().map(|_| (front, server))
            })
            .ok_or_else(|| io::Error::other("no port is free on both loopback addresses"))?;
        front.set_read_timeout(Some(LOOK))?;
        let weather = Self { front: Arc::new(front), sky: Arc::default() };
        let (front, sky) = (Arc::clone(&weather.front), Arc::clone(&weather.sky));
        thread::spawn(move || to_server(&front, server, &sky));
        Ok(weather)
    }

    /// The port for the server's `--udp 127.0.0.1:PORT`.
    ///
    /// # Errors
    ///
    /// If the system does not report it.
    pub fn port(&self) -> io::Result<u16> {
        Ok(self.front.local_addr()?.port())
    }

    /// From now on this share of what goes to viewers is lost.
    pub fn lose(&self, share: f64) {
        self.sky.to_viewers.share.store((share * 10_000.0) as u64, Relaxed);
    }

    /// From now on this share of what comes from viewers is lost.
    pub fn lose_from_viewers(&self, share: f64) {
        self.sky.from_viewers.share.store((share * 10_000.0) as u64, Relaxed);
    }

    /// Datagrams lost so far on their way to viewers, and from them.
    pub fn lost(&self) -> [u64; 2] {
        [&self.sky.to_viewers, &self.sky.from_viewers].map(|loss| loss.lost.load(Relaxed))
    }
}

impl Drop for Weather {
    fn drop(&mut self) {
        self.sky.over.store(true, Relaxed);
    }
}

fn to_server(front: &Arc<UdpSocket>, server: SocketAddr, sky: &Arc<Sky>) {
    let mut backs: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut buffer = [0; 65_535];
    let mut random = 1;
    while !sky.over.load(Relaxed) {
        let Ok((len, viewer)) = front.recv_from(&mut buffer) else {
            continue;
        };
        let back = match backs.get(&viewer) {
            Some(back) => back,
            None => match connect(server) {
                Ok(back) => {
                    let back = Arc::new(back);
                    let (front, own) = (Arc::clone(front), Arc::clone(&back));
                    let sky = Arc::clone(sky);
                    thread::spawn(move || to_viewer(&own, &front, viewer, &sky));
                    backs.entry(viewer).or_insert(back)
                }
                Err(_) => continue,
            },
        };
        if !sky.from_viewers.takes(&mut random) {
            let _ = back.send(&buffer[..len]);
        }
    }
}

fn connect(server: SocketAddr) -> io::Result<UdpSocket> {
    let back = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    back.connect(server)?;
    back.set_read_timeout(Some(LOOK))?;
    Ok(back)
}

fn to_viewer(back: &UdpSocket, front: &UdpSocket, viewer: SocketAddr, sky: &Sky) {
    let mut buffer = [0; 65_535];
    let mut random = 2;
    while !sky.over.load(Relaxed) {
        let Ok(len) = back.recv(&mut buffer) else {
            continue;
        };
        if !sky.to_viewers.takes(&mut random) {
            let _ = front.send_to(&buffer[..len], viewer);
        }
    }
}
