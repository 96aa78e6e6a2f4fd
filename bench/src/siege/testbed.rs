//! A server under siege, what feeds it, and those who watch.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::metrics::{labelled, metrics};
use super::server_mode::ServerMode;
use super::wire::Client;
use crate::feeder::Feeder;
use crate::viewers::{self, Decrypt, Seen, Swarm, Window};
use crate::{Error, Server, ServerOptions};

/// Room for those who watch, for five hundred who join, and for attackers' own viewers.
const MAX_CLIENTS: &str = "1000";

/// Bits of video a second.
const BITS: u32 = 2_000_000;

/// Interval of keyframes, in pictures: short, as an RTP source cannot be asked for one, and the time that a newcomer
/// waits for it is not the server's.
const GROUP: usize = 15;

/// One viewer in this many decrypts media, and the first two.
const DECRYPT_ONE_IN: usize = 16;

/// Viewers of one address: fewer than a server takes from one.
const FROM_ONE: usize = 20;

/// After the last picture: buffers that grow once are there.
const WARM_UP: Duration = Duration::from_secs(2);

/// How often a request to a server under attack is repeated.
const TRIES: usize = 3;

pub(super) struct Testbed {
    server: Server,
    swarm: Swarm,
    /// Feeds as long as it lives.
    _feeder: Option<Feeder>,
    pub(super) mode: ServerMode,
    pub(super) tcp: SocketAddr,
    pub(super) udp: SocketAddr,
    /// Resident memory with all viewers there, before the first attack.
    pub(super) memory: u64,
}

/// The server's resources and counters so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Reading {
    pub(super) cpu: Duration,
    pub(super) refused: BTreeMap<String, u64>,
    /// Faults that the server caught, by what they were confined to.
    pub(super) faults: BTreeMap<String, u64>,
    pub(super) panics: usize,
}

impl Testbed {
    /// Starts a server and its viewers, and waits until all of them have a picture.
    ///
    /// # Errors
    ///
    /// When the server does not start, or not all get a picture.
    pub(super) fn start(mode: ServerMode, viewers: usize) -> Result<Self, Error> {
        allow_files();
        let local = "127.0.0.1";
        let options = match mode {
            ServerMode::RtpInput => ServerOptions::rtp("h264"),
            ServerMode::Echo => ServerOptions::default().arg("--echo"),
        };
        let options = options.arg("--api").arg("--max-clients").arg(MAX_CLIENTS).arg("--log");
        let options = options.arg("warn").arg("--udp").arg("127.0.0.1:0");
        let server = Server::start(options.arg("--announce").arg(local))?;
        let feeder = match (mode, server.rtp_video(), server.rtp_audio()) {
            (ServerMode::Echo, ..) => None,
            (_, Some(video), Some(audio)) => Some(Feeder::start(video, audio, BITS, GROUP)?),
            _ => {
                let message = "its ready line does not tell where it takes RTP";
                return Err(Error::Server(message.to_owned()));
            }
        };
        let tcp = server.tcp_address()?;
        let udp = SocketAddr::from((Ipv4Addr::LOCALHOST, server.udp_port()?));
        let mut watch = viewers::Options::new(server.url(), viewers);
        watch.decrypt = Decrypt::Sample(DECRYPT_ONE_IN);
        watch.spacing = Duration::from_millis(5);
        let addresses = viewers.div_ceil(FROM_ONE) as u8;
        watch.sources = (1..=addresses).map(|host| Ipv4Addr::new(127, 0, 1, host)).collect();
        let swarm = Swarm::start(watch);
        swarm.wait_for_pictures(Duration::from_secs(30))?;
        // One viewer joins and leaves, and one read of the metrics: memory that every server allocates sooner or later.
        let testbed = Self { server, swarm, _feeder: feeder, mode, tcp, udp, memory: 0 };
        newcomer(testbed.server.url()).map_err(Error::Viewers)?;
        let _ = testbed.reading();
        thread::sleep(WARM_UP);
        Ok(Self { memory: testbed.resident().unwrap_or_default(), ..testbed })
    }

    pub(super) fn url(&self) -> &str {
        self.server.url()
    }

    pub(super) fn measure(&self, window: Window) -> Result<(), Error> {
        self.swarm.measure(window)
    }

    pub(super) fn seen(&self) -> Result<Seen, Error> {
        self.swarm.seen()
    }

    /// Resident memory of the server, in bytes; nothing where it is gone.
    pub(super) fn resident(&self) -> Option<u64> {
        self.server.resident_bytes().ok()
    }

    /// How the server ended, if it did.
    pub(super) fn ended(&mut self) -> Option<String> {
        self.server.ended().map(|status| format!("the server ended: {status}"))
    }

    /// Processor time of the server so far.
    pub(super) fn cpu(&self) -> Duration {
        self.server.cpu_time().map_or(Duration::ZERO, |time| time.0)
    }

    /// Number of panics in the server's log.
    pub(super) fn panics(&self) -> Vec<String> {
        let log = self.server.log();
        let panics = log.lines().filter(|line| line.contains("panicked at"));
        panics.map(|line| line.trim().to_owned()).collect()
    }

    pub(super) fn reading(&self) -> Reading {
        let text = metrics(self.tcp).unwrap_or_default();
        let counts = |name| text.lines().filter_map(|line| labelled(line, name)).collect();
        Reading {
            cpu: self.cpu(),
            refused: counts("visavis_refused_total{kind=\""),
            faults: counts("visavis_faults_total{domain=\""),
            panics: self.panics().len(),
        }
    }

    /// Whether `/readyz` reports no problem.
    pub(super) fn is_ready(&self) -> bool {
        let mut client = Client::new(Ipv4Addr::LOCALHOST, self.tcp);
        (0..TRIES).any(|_| client.get("/readyz").is_ok_and(|answer| answer.is_success()))
    }

    /// Ends everything.
    ///
    /// # Errors
    ///
    /// When the server does not end as it is asked to.
    pub(super) fn finish(self) -> Result<(), Error> {
        self.swarm.finish()?;
        self.server.stop()
    }
}

/// A newcomer's time to the first complete picture, in milliseconds; or why there was none.
pub(super) fn newcomer(url: &str) -> Result<f64, String> {
    const PATIENCE: Duration = Duration::from_secs(10);
    let swarm = Swarm::start(viewers::Options::new(url, 1));
    let waited = swarm.wait_for_pictures(PATIENCE);
    let report = swarm.finish().map_err(|error| error.to_string())?;
    waited.map_err(|error| format!("a newcomer: {error}"))?;
    let picture = report.viewers.first().and_then(|viewer| viewer.first_picture_ms);
    picture.ok_or_else(|| "a newcomer has no picture".to_owned())
}

/// As many open files as the system lets a process have: the server inherits it.
fn allow_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // With fewer, attacks that need more report it.
    let _ = setrlimit(Resource::Nofile, raised);
}

/// Waits, and looks at the server's memory meanwhile: its peak in bytes.
pub(super) fn watch_memory(testbed: &Testbed, until: Instant) -> u64 {
    const LOOK: Duration = Duration::from_millis(50);
    let mut peak = 0;
    while Instant::now() < until {
        peak = peak.max(testbed.resident().unwrap_or(0));
        thread::sleep(LOOK.min(until.saturating_duration_since(Instant::now())));
    }
    peak
}
