//! A server, what feeds it, and its viewers.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use super::options::{Options, Source};
use crate::feeder::{Feeder, GROUP};
use crate::process::allow_files;
use crate::server::{from_ticks, process_cpu_time};
use crate::viewers::{self, Decrypt, Swarm, Window};
use crate::{Error, Server, ServerOptions};

/// Handshakes per second that a server completes even under load.
const SLOWEST_JOINS_PER_SECOND: u64 = 10;

/// After the window, so that late packets and losses are known.
const TAIL: Duration = Duration::from_millis(2_000);

pub(super) struct Testbed {
    pub(super) server: Server,
    /// Resident memory of the server before the first viewer, in bytes.
    pub(super) rss_empty: u64,
    pub(super) swarm: Swarm,
    /// Feeds as long as it lives.
    _feeder: Option<Feeder>,
    warm_up: Duration,
}

/// What went on during a window.
pub(super) struct Usage {
    /// Processor seconds of the server per second.
    pub(super) cpu_per_second: f64,
    /// Datagrams dropped at full receive buffers, on this machine.
    pub(super) receive_overflows: u64,
    /// Processor seconds per second that went to neither the server nor this process: where that is
    /// much, the machine was not free for the measurement.
    pub(super) others_cpu_per_second: f64,
}

/// Counters at one end of a window.
struct Reading {
    at: Instant,
    server: Duration,
    own: Duration,
    machine: Duration,
    receive_overflows: u64,
}

impl Testbed {
    /// Starts a server with room for `most` viewers, and `viewers` of them, all at once.
    pub(super) fn start(options: &Options, viewers: usize, most: usize) -> Result<Self, Error> {
        allow_files(most)?;
        let server = Server::start(server_options(options, most))?;
        let feeder = match (options.source, server.rtp_video(), server.rtp_audio()) {
            (Source::Live, ..) => None,
            (Source::Rtp, Some(video), Some(audio)) => {
                let bits = options.bitrate_kbps.saturating_mul(1_000);
                Some(Feeder::start(video, audio, bits, GROUP)?)
            }
            (Source::Rtp, ..) => {
                let message = "its ready line does not tell where it takes RTP";
                return Err(Error::Server(message.to_owned()));
            }
        };
        // Its first pictures let buffers grow that are nothing of a viewer's.
        thread::sleep(Duration::from_secs(1));
        let rss_empty = server.resident_bytes()?;
        let mut viewer_options = viewers::Options::new(server.url(), viewers);
        viewer_options.decrypt = Decrypt::Sample(options.decrypt_one_in);
        viewer_options.marks = feeder.as_ref().map(Feeder::log);
        let swarm = Swarm::start(viewer_options);
        Ok(Self { server, rss_empty, swarm, _feeder: feeder, warm_up: options.warm_up })
    }

    /// Waits until `viewers` have a picture, and the warm-up is over.
    pub(super) fn settle(&self, viewers: usize) -> Result<(), Error> {
        let patience = 20 + viewers as u64 / SLOWEST_JOINS_PER_SECOND;
        self.swarm.wait_for(viewers, Duration::from_secs(patience))?;
        thread::sleep(self.warm_up);
        Ok(())
    }

    /// Waits for the end of the window and returns what the server used in it.
    pub(super) fn usage_in(&self, window: Window) -> Result<Usage, Error> {
        thread::sleep(window.from.saturating_duration_since(Instant::now()));
        let from = self.read()?;
        thread::sleep(window.end().saturating_duration_since(Instant::now()));
        let until = self.read()?;
        let seconds = until.at.duration_since(from.at).as_secs_f64().max(f64::EPSILON);
        let used = |of: fn(&Reading) -> Duration| {
            of(&until).saturating_sub(of(&from)).as_secs_f64() / seconds
        };
        let server = used(|reading| reading.server);
        let others = used(|reading| reading.machine) - server - used(|reading| reading.own);
        Ok(Usage {
            cpu_per_second: server,
            receive_overflows: until.receive_overflows.saturating_sub(from.receive_overflows),
            others_cpu_per_second: others.max(0.0),
        })
    }

    fn read(&self) -> Result<Reading, Error> {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        Ok(Reading {
            at: Instant::now(),
            server: self.server.cpu_time()?.0,
            own: process_cpu_time("self")?.0,
            machine: from_ticks(busy_ticks(&stat).unwrap_or(0)),
            receive_overflows: receive_overflows(),
        })
    }

    /// Waits for what is late, and ends everything.
    pub(super) fn finish(self) -> Result<viewers::Report, Error> {
        thread::sleep(TAIL);
        let report = self.swarm.finish()?;
        self.server.stop()?;
        Ok(report)
    }
}

fn server_options(options: &Options, most: usize) -> ServerOptions {
    let server = match options.source {
        Source::Rtp => ServerOptions::default()
            .arg("--rtp-video")
            .arg("127.0.0.1:0")
            .arg("--rtp-video-codec")
            .arg("h264")
            .arg("--rtp-audio")
            .arg("127.0.0.1:0"),
        Source::Live => {
            ServerOptions::demo().arg("--bitrate").arg(options.bitrate_kbps.to_string())
        }
    };
    let server = server.arg("--max-clients").arg(most.to_string()).arg("--log").arg("warn");
    let server = options.server_args.iter().fold(server, |server, arg| server.arg(arg));
    match &options.binary {
        Some(binary) => server.binary(binary),
        None => server,
    }
}

/// What all cores did beside idling, from the first line of `/proc/stat`: user, nice, system, idle,
/// waiting for input, interrupts, soft interrupts, stolen by the hypervisor.
fn busy_ticks(stat: &str) -> Option<u64> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_ascii_whitespace();
    let ticks: Vec<u64> = fields.map_while(|field| field.parse().ok()).take(8).collect();
    match ticks[..] {
        [user, nice, system, _idle, _waiting, interrupts, soft, stolen] => {
            Some(user + nice + system + interrupts + soft + stolen)
        }
        _ => None,
    }
}

/// Datagrams dropped for lack of receive buffers on this machine, since it started; `None` where the kernel does not
/// report it.
fn receive_overflows() -> u64 {
    let text = fs::read_to_string("/proc/net/snmp").unwrap_or_default();
    udp_counter(&text, "RcvbufErrors").unwrap_or(0)
}

/// A counter of `/proc/net/snmp`: a line of names, then a line of values, for each protocol.
fn udp_counter(snmp: &str, name: &str) -> Option<u64> {
    let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, values) = (lines.next()?, lines.next()?);
    let index = names.split_ascii_whitespace().position(|known| known == name)?;
    values.split_ascii_whitespace().nth(index)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_counter_by_its_name() {
        let text = "Tcp: A RcvbufErrors\nTcp: 1 2\nUdp: InDatagrams RcvbufErrors X\nUdp: 5 7 9\n";
        assert_eq!(udp_counter(text, "RcvbufErrors"), Some(7));
        assert_eq!(udp_counter(text, "Nothing"), None);
        assert_eq!(udp_counter("", "RcvbufErrors"), None);
    }

    #[test]
    fn idle_time_is_not_busy() {
        let stat = "cpu  1 2 4 1000 1000 8 16 32 64 128\ncpu0 5 5\n";
        assert_eq!(busy_ticks(stat), Some(63));
        assert_eq!(busy_ticks("cpu 1 2"), None);
        assert_eq!(busy_ticks(""), None);
    }
}
