//! One server, measured.

use std::thread;
use std::time::{Duration, Instant};

use super::server_kind::{FPS, ServerKind};
use crate::glass::{self, Figures};
use crate::viewers::{self, Swarm, VideoCodec};
use crate::{Browser, Error, Microphone};

/// Between one viewer's start and the next one's: joining is not what is measured here.
const SPACING: Duration = Duration::from_millis(100);

/// All viewers but the browser have a picture.
const JOIN_DEADLINE: Duration = Duration::from_secs(60);

/// From the browser's first picture until it is measured.
const SETTLE: Duration = Duration::from_secs(2);

/// What one server gave, over all rounds.
pub(super) struct Sum {
    pub(super) kind: ServerKind,
    pub(super) glass: Figures,
    /// Processor time of the server and its renderer, in so many seconds.
    pub(super) cpu: Duration,
    pub(super) seconds: f64,
    pub(super) first_picture_ms: Vec<f64>,
    pub(super) error: Option<Error>,
}

impl Sum {
    pub(super) fn new(kind: ServerKind) -> Result<Self, Error> {
        let glass = Figures::new(FPS)?;
        let cpu = Duration::ZERO;
        Ok(Self { kind, glass, cpu, seconds: 0.0, first_picture_ms: Vec::new(), error: None })
    }

    /// Starts the server, lets the viewers join, and measures it once.
    pub(super) fn measure(&mut self, viewers: usize, duration: Duration) -> Result<(), Error> {
        let running = self.kind.start()?;
        let swarm = watch(&format!("{}ws", running.url), viewers.saturating_sub(1))?;
        let browser = Browser::start(Microphone::Absent)?;
        let page = browser.page()?;
        glass::open(&page, &format!("{}?autostart=1&codec=H264", running.url))?;
        thread::sleep(SETTLE);
        let (from, cpu_before) = (Instant::now(), running.process.cpu_time()?);
        thread::sleep(duration);
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
