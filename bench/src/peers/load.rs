//! One server under load: fed, watched, measured.

use std::thread;
use std::time::{Duration, Instant};

use super::running::{Inputs, Running};
use crate::Error;
use crate::feeder::{Feeder, GROUP};
use crate::process::{allow_files, busy_time};
use crate::viewers::{Measured, Options, Report, Swarm, VideoCodec, Window};

/// What the stream's video takes.
const BITS_PER_SECOND: u32 = 2_000_000;

/// Between one viewer's start and the next one's: joining is not what is measured here.
const SPACING: Duration = Duration::from_millis(20);

/// All have joined, and a keyframe has come.
const JOIN_DEADLINE: Duration = Duration::from_secs(60);

/// Time for a server to come to rest: before the first viewer, and after the last has joined.
const SETTLE: Duration = Duration::from_secs(2);

/// After the window, so that late packets and losses are known.
const TAIL: Duration = Duration::from_secs(2);

/// What came of it.
#[derive(Debug)]
pub(super) struct Load {
    /// Processor time of the server and everything it started, in the window.
    pub(super) cpu: Duration,
    /// Processor time of all other programs on this machine.
    pub(super) others: Duration,
    /// How long that was.
    pub(super) duration: Duration,
    /// Resident memory before the first viewer and at the end, in bytes.
    pub(super) resident: (u64, u64),
    /// What the viewers saw in the window.
    pub(super) measured: Measured,
    /// What they saw in all.
    pub(super) viewers: Report,
}

/// Feeds a server, lets the viewers join, and measures once all of them see the picture.
///
/// # Errors
///
/// When not all viewers get a picture within a minute, or the server ends.
pub(super) fn measure(
    running: &Running,
    viewers: usize,
    duration: Duration,
) -> Result<Load, Error> {
    allow_files(viewers)?;
    let feeder = feed(running)?;
    thread::sleep(SETTLE);
    let resident_before = running.process.resident_bytes()?;
    let swarm = watch(running, viewers, feeder.as_ref());
    if let Err(error) = swarm.wait_for_pictures(JOIN_DEADLINE) {
        swarm.finish()?;
        return Err(running.process.failed(&format!("did not serve all: {error}")));
    }
    let window = Window::after(SETTLE, duration);
    swarm.measure(window)?;
    thread::sleep(window.from.saturating_duration_since(Instant::now()));
    let from = Instant::now();
    let (cpu_before, (machine_before, own_before)) = (running.process.cpu_time()?, busy_time()?);
    thread::sleep(window.end().saturating_duration_since(Instant::now()));
    let (cpu, (machine, own)) = (running.process.cpu_time()?, busy_time()?);
    let cpu = cpu.saturating_sub(cpu_before);
    let load = cpu + own.saturating_sub(own_before);
    let others = machine.saturating_sub(machine_before).saturating_sub(load);
    let duration = from.elapsed();
    let resident = (resident_before, running.process.resident_bytes()?);
    thread::sleep(TAIL);
    let viewers = swarm.finish()?;
    let measured = viewers.measured.clone();
    let measured = measured.ok_or_else(|| Error::Viewers("the window did not end".to_owned()))?;
    Ok(Load { cpu, others, duration, resident, measured, viewers })
}

/// Sends the stream, unless the server makes its own.
fn feed(running: &Running) -> Result<Option<Feeder>, Error> {
    let start = |to: Inputs| Feeder::start(to.video, to.audio, BITS_PER_SECOND, GROUP);
    running.inputs.map(start).transpose()
}

/// Lets the viewers join. All of them decrypt: most servers use different RTP times for each viewer, so that frames can
/// be identified by their content only.
fn watch(running: &Running, viewers: usize, feeder: Option<&Feeder>) -> Swarm {
    let mut options = Options::new(&running.url, viewers);
    options.protocol = running.protocol;
    options.codec = Some(VideoCodec::H264);
    options.spacing = SPACING;
    options.marks = feeder.map(Feeder::log);
    Swarm::start(options)
}
