//! The physical limit: encryption of every viewer's packets and the best send path there is, alone.
//!
//! No server can be cheaper on the same machine and kernel: no RTP state, no feedback, no timers, no
//! look-ups are in here. One thread encrypts the packets of a paced stream for each viewer
//! (AES-128-GCM, as SRTP does it) and hands each frame to the kernel in one GSO send. The viewers are
//! real sockets which another thread keeps empty: on loopback the sender pays for delivery too, and a
//! full socket, which drops early, would make it look cheaper than it is.

pub mod args;
mod clock;
mod destination;
mod receivers;
mod sender;
mod stream;

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::{Error, Machine, Table};
use receivers::Receivers;
use sender::Sender;
pub use stream::Stream;

/// Sent before the measurement begins: memory is touched, branches are learned.
const WARM_UP: Duration = Duration::from_millis(500);

/// The packets to send, and to how many destinations.
#[derive(Debug, Clone)]
pub struct Options {
    /// Destinations.
    pub viewers: usize,
    /// How long to measure.
    pub duration: Duration,
    /// What each of them gets.
    pub stream: Stream,
    /// Whether the receiving sockets accept several datagrams at once (`UDP_GRO`). The kernel then does not split GSO
    /// sends, which makes both sides cheaper. For a comparison, set it as the viewers of the other bench do.
    pub gro: bool,
}

impl Options {
    /// The default stream to `viewers` destinations with GRO, for three keyframe intervals.
    pub fn new(viewers: usize) -> Self {
        let stream = Stream::default();
        Self { viewers, duration: stream.keyframe_interval * 3, stream, gro: true }
    }
}

/// What it cost.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Where it was measured.
    pub machine: Machine,
    /// Destinations.
    pub viewers: usize,
    /// How long was measured, in seconds.
    pub seconds: f64,
    /// Bits per second of video, without any header.
    pub video_bps: u64,
    /// Whether the viewers' sockets had `UDP_GRO`.
    pub gro: bool,
    /// The most datagrams the kernel took in one send; 1 where it has no GSO.
    pub segments_per_send: usize,
    /// Packets sent.
    pub packets: u64,
    /// System calls that sent them.
    pub sends: u64,
    /// Packets, warm-up included, that the kernel refused or that no viewer received. Where it is not
    /// 0 the figure is too low: dropping is cheaper than delivering.
    pub lost: u64,
    /// Processor time of the sending thread, in seconds.
    pub cpu_seconds: f64,
    /// The floor: processor time of the sending thread per viewer and second, in milliseconds.
    pub cpu_ms_per_viewer_second: f64,
    /// Processor time per packet, in nanoseconds.
    pub ns_per_packet: f64,
    /// Of these, for copy and encryption. Sampled.
    pub crypto_ns_per_packet: f64,
    /// The rest: the sends, and waking up for them.
    pub send_ns_per_packet: f64,
}

/// Sends for [`Options::duration`] in real time and returns what it cost.
///
/// # Errors
///
/// When the options make no stream, or the system gives no sockets, threads or clock.
pub fn run(options: &Options) -> Result<Report, Error> {
    if options.viewers == 0 || options.duration.is_zero() {
        return Err(Error::Floor("at least one viewer, and some time to measure".to_owned()));
    }
    options.stream.check()?;
    let receivers = Receivers::start(options.viewers, options.gro)?;
    let outcome = send(options, &receivers);
    let received = receivers.finish();
    let (before, after) = outcome?;
    let packets = after.packets - before.packets;
    let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64();
    let seconds = after.at.duration_since(before.at).as_secs_f64();
    let viewer_seconds = seconds * options.viewers as f64;
    let per_packet = |seconds: f64| seconds * 1e9 / packets.max(1) as f64;
    let crypto = after.crypto_ns_per_packet.unwrap_or_default();
    Ok(Report {
        machine: Machine::here(),
        viewers: options.viewers,
        seconds,
        video_bps: options.stream.bitrate,
        gro: options.gro,
        segments_per_send: after.segments_per_send,
        packets,
        sends: after.sends - before.sends,
        lost: (after.packets + after.refused).saturating_sub(received?),
        cpu_seconds: cpu,
        cpu_ms_per_viewer_second: cpu * 1_000.0 / viewer_seconds,
        ns_per_packet: per_packet(cpu),
        crypto_ns_per_packet: crypto,
        send_ns_per_packet: per_packet(cpu) - crypto,
    })
}

fn send(options: &Options, receivers: &Receivers) -> Result<(sender::Tally, sender::Tally), Error> {
    let mut sender = Sender::new(receivers.addresses(), &options.stream)?;
    let mut schedule = options.stream.schedule(Instant::now());
    let begin = schedule.start() + WARM_UP;
    let end = begin + options.duration;
    let mut before = None;
    loop {
        let (due, event) = schedule.next();
        if due >= begin && before.is_none() {
            sleep_until(begin);
            sender.measure();
            before = Some(sender.tally()?);
        }
        if due >= end {
            sleep_until(end);
            let after = sender.tally()?;
            return Ok((before.unwrap_or_else(|| after.clone()), after));
        }
        sleep_until(due);
        sender.send(event)?;
    }
}

fn sleep_until(at: Instant) {
    let rest = at.saturating_duration_since(Instant::now());
    if !rest.is_zero() {
        std::thread::sleep(rest);
    }
}

impl Report {
    /// For people.
    pub fn table(reports: &[Self]) -> String {
        let mut table = Table::new([
            "viewers",
            "CPU ms/viewer-s",
            "ns/packet",
            "crypto",
            "send",
            "packets/viewer-s",
            "per send",
            "lost",
        ]);
        for report in reports {
            let viewer_seconds = report.seconds * report.viewers as f64;
            table.row([
                report.viewers.to_string(),
                format!("{:.3}", report.cpu_ms_per_viewer_second),
                format!("{:.0}", report.ns_per_packet),
                format!("{:.0}", report.crypto_ns_per_packet),
                format!("{:.0}", report.send_ns_per_packet),
                format!("{:.1}", report.packets as f64 / viewer_seconds),
                format!("{:.1}", report.packets as f64 / report.sends.max(1) as f64),
                report.lost.to_string(),
            ]);
        }
        let machine = reports.first().map(|report| report.machine.line()).unwrap_or_default();
        format!("{machine}\n\n{table}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_packet_arrives_and_is_paid_for() {
        for gro in [true, false] {
            let options = Options { duration: Duration::from_millis(400), gro, ..Options::new(3) };
            let report = run(&options).unwrap();
            // 12 frames of 7 packets or more, 20 audio packets; where the machine stalls, later.
            assert!(report.packets >= 3 * (11 * 7 + 19), "{report:?}");
            assert!(report.cpu_ms_per_viewer_second > 0.0, "{report:?}");
            assert!(report.crypto_ns_per_packet > 0.0, "{report:?}");
            assert_eq!(report.lost, 0, "{report:?}");
        }
    }

    #[test]
    fn senseless_options_are_refused() {
        assert!(run(&Options::new(0)).is_err());
        let mut options = Options::new(1);
        options.stream.fps = 0;
        assert!(run(&options).is_err());
    }
}
