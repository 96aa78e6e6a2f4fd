//! What one server costs against its number of viewers, and what joining and leaving do to it.
//!
//! The server is a separate process. The viewers and the feeder are threads of this one: real ICE,
//! DTLS and SRTP over loopback sockets, the feedback of a browser, but most viewers do not decrypt
//! media, so that one core drives many of them.

mod against;
pub mod args;
mod churn;
mod join;
mod options;
mod plot;
mod report;
mod testbed;

use std::time::Duration;

pub use against::{AgainstReport, Comparison, Round, Side};
pub use churn::ChurnReport;
pub use join::JoinReport;
pub use options::{Options, Source};
pub use report::{Report, Row};

use crate::viewers::Window;
use crate::{Error, Machine, floor};
use testbed::Testbed;

/// Viewers for which the floor is measured; per viewer it is the same for more.
const FLOOR_VIEWERS: usize = 200;

/// Measures one number of viewers after the other. `progress` is called with each step.
///
/// # Errors
///
/// When the server does not start, or its viewers do not all get a picture.
pub fn run(options: &Options, progress: &mut dyn FnMut(&str)) -> Result<Report, Error> {
    let mut rows = Vec::new();
    for &viewers in &options.viewers {
        progress(&format!("{viewers} viewers …"));
        rows.push(measure(options, viewers)?);
    }
    progress("the floor …");
    let mut report = Report {
        machine: Machine::here(),
        source: options.source.name().to_owned(),
        bitrate_kbps: options.bitrate_kbps,
        seconds: options.duration.as_secs_f64(),
        floor_cpu_ms_per_viewer_second: None,
        rows,
    };
    report.set_floor(floor(options)?);
    Ok(report)
}

/// What encryption and the best send path alone cost for this stream, in ms of CPU per viewer-second.
fn floor(options: &Options) -> Result<f64, Error> {
    let most = options.viewers.iter().copied().max().unwrap_or(FLOOR_VIEWERS);
    let mut floor = floor::Options::new(most.min(FLOOR_VIEWERS));
    floor.stream.bitrate = u64::from(options.bitrate_kbps) * 1_000;
    Ok(floor::run(&floor)?.cpu_ms_per_viewer_second)
}

fn measure(options: &Options, viewers: usize) -> Result<Row, Error> {
    let testbed = Testbed::start(options, viewers, viewers)?;
    testbed.settle(viewers)?;
    let window = Window::after(Duration::from_millis(200), options.duration);
    testbed.swarm.measure(window)?;
    let usage = testbed.usage_in(window)?;
    let rss = testbed.server.resident_bytes()?;
    let rss_empty = testbed.rss_empty;
    let report = testbed.finish()?;
    let measured = report
        .measured
        .as_ref()
        .ok_or_else(|| Error::Viewers("the measuring window did not end".to_owned()))?;
    let viewer_seconds = measured.seconds * viewers.max(1) as f64;
    let cpu = usage.cpu_per_second * measured.seconds;
    let kib = |bytes: u64| bytes as f64 / 1_024.0;
    Ok(Row {
        viewers,
        decrypting: report.decrypting,
        cpu_ms_per_viewer_second: cpu * 1_000.0 / viewer_seconds,
        cpu_cores: usage.cpu_per_second,
        cpu_ns_per_packet: cpu * 1e9 / measured.packets.max(1) as f64,
        ratio_to_floor: None,
        packets_per_viewer_second: measured.packets as f64 / viewer_seconds,
        rss_kib_per_viewer: (kib(rss) - kib(rss_empty)) / viewers.max(1) as f64,
        rss_empty_kib: kib(rss_empty),
        lost: measured.lost,
        receive_overflows: usage.receive_overflows,
        others_cpu_cores: usage.others_cpu_per_second,
        frames: measured.frames,
        incomplete_frames: measured.incomplete_frames,
        unknown_frames: measured.unknown_frames,
        last_viewer_ms: measured.last_viewer_ms,
        every_viewer_ms: measured.every_viewer_ms,
        frame_gap_ms: report.frame_gap_ms,
        all_joined_ms: report.all_joined_ms,
        generator_cpu_ms_per_viewer_second: measured.own_cpu_seconds * 1_000.0 / viewer_seconds,
        errors: report.errors().into_iter().take(5).collect(),
    })
}
