//! The avatar server that people write in Python: on aiortc, with an encoder for each viewer, and on this project's
//! package. The same renderer, viewers and page time for both; one viewer is a real Chromium, which tells what a picture
//! takes from its push to the display.

pub mod args;
mod report;
mod server_kind;

use std::thread;
use std::time::{Duration, Instant};

pub use report::{Report, Row};
pub use server_kind::ServerKind;

use crate::glass::{self, Figures};
use crate::viewers::{self, Swarm, VideoCodec};
use crate::{Browser, Error, Machine, Microphone};

/// Between one viewer's start and the next one's: joining is not what is measured here.
const SPACING: Duration = Duration::from_millis(100);

/// All viewers but the browser have a picture.
const JOIN_DEADLINE: Duration = Duration::from_secs(60);

/// From the browser's first picture until it is measured.
const SETTLE: Duration = Duration::from_secs(2);

/// What to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// Viewers of each server, the browser included.
    pub viewers: usize,
    /// How long each is measured in a round.
    pub duration: Duration,
    /// How often each is measured, in turn.
    pub rounds: usize,
    /// Which servers, in the order of [`ServerKind::ALL`].
    pub servers: Vec<ServerKind>,
}

/// What one server gave, over all rounds.
struct Sum {
    kind: ServerKind,
    glass: Figures,
    cpu: Duration,
    seconds: f64,
    first_picture_ms: Vec<f64>,
    error: Option<Error>,
}

/// Measures one server after the other, round by round.
///
/// # Errors
///
/// Only when the bench itself cannot run. If a server fails, its row has the reason.
pub fn run(options: &Options, progress: impl Fn(&str)) -> Result<Report, Error> {
    let selected = ServerKind::ALL.into_iter().filter(|kind| options.servers.contains(kind));
    let mut sums = selected.map(Sum::new).collect::<Result<Vec<_>, _>>()?;
    for round in 1..=options.rounds.max(1) {
        for sum in sums.iter_mut().filter(|sum| sum.error.is_none()) {
            progress(&format!("round {round}: {}, {} viewers", sum.kind.name(), options.viewers));
            sum.error = sum.measure(options).err();
        }
    }
    let rows = sums.into_iter().map(|sum| Row::new(sum, options.viewers)).collect();
    Ok(Report { machine: Machine::here(), rows })
}

impl Sum {
    fn new(kind: ServerKind) -> Result<Self, Error> {
        let glass = Figures::new(server_kind::FPS)?;
        let cpu = Duration::ZERO;
        Ok(Self { kind, glass, cpu, seconds: 0.0, first_picture_ms: Vec::new(), error: None })
    }

    fn measure(&mut self, options: &Options) -> Result<(), Error> {
        let running = self.kind.start()?;
        let swarm = watch(&format!("{}ws", running.url), options.viewers.saturating_sub(1))?;
        let browser = Browser::start(Microphone::Absent)?;
        let page = browser.page()?;
        glass::open(&page, &format!("{}?autostart=1&codec=H264", running.url))?;
        thread::sleep(SETTLE);
        let (from, cpu_before) = (Instant::now(), running.process.cpu_time()?);
        thread::sleep(options.duration);
        self.cpu += running.process.cpu_time()?.saturating_sub(cpu_before);
        self.seconds += from.elapsed().as_secs_f64();
        let shown = glass::read(&page)?;
        self.glass.add_run(&shown.frames, shown.time_origin);
        self.first_picture_ms.push(shown.first_picture);
        swarm.map_or(Ok(()), |swarm| swarm.finish().map(drop))
    }
}

/// Lets the viewers that are no browser join, and waits for their pictures.
fn watch(url: &str, count: usize) -> Result<Option<Swarm>, Error> {
    if count == 0 {
        return Ok(None);
    }
    let mut options = viewers::Options::new(url, count);
    options.codec = Some(VideoCodec::H264);
    options.spacing = SPACING;
    let swarm = Swarm::start(options);
    swarm.wait_for_pictures(JOIN_DEADLINE)?;
    Ok(Some(swarm))
}
