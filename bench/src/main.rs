//! `visavis-bench`: figures that anyone can repeat.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;
use visavis_bench::peers::Contender;
use visavis_bench::{
    Error, Server, ServerOptions, encode, faces, fanout, floor, glass, idle, peers, profile, siege,
    sync, viewers,
};
use visavis_types::VideoCodec;

const EXAMPLES: &str = "\
Examples:
  visavis-bench glass                          latency from the push of a frame to the glass
  visavis-bench glass --codec VP8 --runs 3     the same for VP8, over three fresh browsers
  visavis-bench viewers --count 100            starts a server, connects 100 viewers, counts its cost
  visavis-bench viewers --url http://host:8081/ --count 50 --json
                                               loads a server that is running already
  visavis-bench fanout --viewers 1,100,500     cost per viewer as the number of viewers grows
  visavis-bench floor                          what no server on this machine can go below
  visavis-bench encode                         milliseconds a picture, for each codec and size
  visavis-bench sync --check                   lip sync, live and in utterances
  visavis-bench idle --sessions 200            what sessions cost in which nothing happens
  visavis-bench faces --count 45               what viewers get of many live faces on one machine
  visavis-bench profile                        where the time goes in the server's media loop
  visavis-bench siege --check                  what viewers notice of each attack, and whether limits hold
  visavis-bench peers --only visavis,naive     visavis beside the str0m loop that most people write

All but encode and floor start the `visavis` program that lies beside this one (VISAVIS_BIN names another);
build both with optimisation, or the figures mean little: cargo build --release -p visavis-cli -p visavis-bench";

/// Measures a visavis server from outside: with a real browser, or with any number of viewers.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Latency from the push of a frame to the glass, in a real Chromium.
    ///
    /// Starts the server with its talking face and a strip that carries the push time, opens the page
    /// in headless Chromium, and reads the strip back from every presented frame. Server and browser
    /// share this machine, so that the figure holds everything but the network.
    Glass(GlassArgs),
    /// Load: receiving viewers with real signaling, ICE, DTLS and SRTP, all on one thread.
    ///
    /// Counts losses, gaps between frames and times to connect. Without --url it starts a server and
    /// tells what each viewer costs it.
    Viewers(ViewersArgs),
    /// Cost, memory and latency of one server against its number of viewers.
    ///
    /// For each number of viewers: a fresh server process, real ICE, DTLS and SRTP over loopback, the
    /// feedback of a browser.
    Fanout(fanout::Args),
    /// The physical limit: encryption and the best send path alone, on one thread.
    ///
    /// Sends the packets of a paced stream to sockets on loopback, encrypted for each with AES-128-GCM,
    /// each frame in one GSO send. What a server costs is compared with it.
    Floor(FloorArgs),
    /// What encoding costs: each codec at 512x512, 720p and 1080p, on one core, and the conversion before.
    ///
    /// Times one picture after another on this thread, in software.
    Encode(EncodeArgs),
    /// Lip sync: how far a flash and a click of one instant are apart when Chromium hands them out.
    ///
    /// Starts the example flash_and_click, which pushes both through the engine, each second, and notes
    /// in the page when its decoders give the one and the other.
    Sync(SyncArgs),
    /// What sessions cost in which nothing happens: many in one server, one viewer each.
    ///
    /// Starts the example idle_sessions. They show a still face, or ten seconds of film at 25 fps, encoded
    /// once for all of them.
    Idle(IdleArgs),
    /// What viewers get of many live faces, each with a viewer of its own.
    ///
    /// Starts the example live_sessions. With more faces than the processors can encode, sound is to stay whole and
    /// pictures are to share what is left.
    Faces(FacesArgs),
    /// Where the time goes: a flame graph of the server's media loop while viewers watch.
    ///
    /// Needs Linux' perf. Prints the functions with the most time of their own, and writes an SVG; a
    /// browser shows it with names, and zooms in at a click.
    Profile(ProfileArgs),
    /// Viewers watch while strangers do their worst: floods, forged datagrams, hostile offers, slow sockets.
    ///
    /// For each attack: the viewers' frame gaps, who was dropped, when a newcomer gets a picture, processor
    /// time, memory, and what the server counted as refused. Everything stays on this machine's loopback.
    Siege(siege::Args),
    /// The same load on what people use instead: a naive str0m loop, Janus, aiortc.
    ///
    /// Feeds each server the same pre-encoded stream over RTP (2 Mbit/s H264 at 30 fps with a keyframe
    /// of 67 KB every two seconds, and Opus), connects the viewers, and compares processor time, memory
    /// and latency with visavis. Janus comes from Debian and aiortc from PyPI where they are missing.
    /// Everything runs in a network namespace, because Janus and aiortc announce no loopback address.
    Peers(PeersArgs),
}

#[derive(Args)]
struct PeersArgs {
    /// Viewers of each server; where it encodes for each of them, ten at most.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=2_000))]
    viewers: u16,
    /// Seconds to measure each server; for aiortc, ten at most.
    #[arg(long, default_value_t = 20.0, value_parser = seconds)]
    seconds: f64,
    /// Only these, separated by commas: visavis, naive, janus, janus-shipped, aiortc, aiortc-encoding.
    #[arg(long, value_delimiter = ',', value_parser = contender)]
    only: Vec<Contender>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct GlassArgs {
    /// Seconds to measure, from the first picture.
    #[arg(long, default_value_t = 20.0, value_parser = seconds)]
    seconds: f64,
    /// Video codec.
    #[arg(long, value_enum, default_value_t = Codec::H264)]
    codec: Codec,
    /// Runs, each with a fresh server and browser.
    #[arg(long, default_value_t = 1)]
    runs: usize,
    /// Fail when the figures are outside the limits this project promises on a quiet machine.
    #[arg(long)]
    check: bool,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct ViewersArgs {
    /// Page of a running server; without it, one is started.
    #[arg(long)]
    url: Option<String>,
    /// Viewers.
    #[arg(long, default_value_t = 100)]
    count: usize,
    /// Seconds to watch, from the first connection.
    #[arg(long, default_value_t = 30.0, value_parser = seconds)]
    seconds: f64,
    /// Milliseconds between one viewer's start and the next one's.
    #[arg(long, default_value_t = 0)]
    spacing_ms: u64,
    /// Decode only this codec; any otherwise.
    #[arg(long, value_enum)]
    codec: Option<Codec>,
    /// Fail when the figures are outside the limits this project promises on a quiet machine.
    #[arg(long)]
    check: bool,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct EncodeArgs {
    /// Pictures of each codec and size.
    #[arg(long, default_value_t = 240, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    frames: u32,
    /// Only this codec, H264, VP8, VP9, or AV1 in a build with the feature `av1`; all otherwise.
    #[arg(long)]
    codec: Option<VideoCodec>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct SyncArgs {
    /// Pushed as it happens (live), or ahead of its time (utterance); both otherwise.
    #[arg(long, value_parser = ["live", "utterance"])]
    mode: Option<String>,
    /// Seconds to measure, in each mode, after ten to warm up.
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
    /// By how many ms the clock is off that stamps what is pushed live; less than nothing: behind.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    stamp_offset_ms: i64,
    /// By how many ms that clock is set half a minute after the start.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    clock_step_ms: i64,
    /// By how many ms the stamp of a single picture is off then.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    bad_stamp_ms: i64,
    /// Fail where a mode's p95 is over 10 ms.
    #[arg(long)]
    check: bool,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct FacesArgs {
    /// Faces, with a viewer each.
    #[arg(long, default_value_t = 45, value_parser = clap::value_parser!(u32).range(1..=500))]
    count: u32,
    /// Seconds to measure, once every viewer has a picture.
    #[arg(long, default_value_t = 20.0, value_parser = seconds)]
    seconds: f64,
    /// Fail where sound has holes or pictures are not shared fairly.
    #[arg(long)]
    check: bool,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct IdleArgs {
    /// Sessions, with a viewer each.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    sessions: u32,
    /// What they show; both otherwise.
    #[arg(long, value_parser = ["still", "film"])]
    show: Option<String>,
    /// Seconds to measure, for each, after five to warm up.
    #[arg(long, default_value_t = 20.0, value_parser = seconds)]
    seconds: f64,
    /// Fail where they cost more than this project promises on a quiet machine.
    #[arg(long)]
    check: bool,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct FloorArgs {
    /// Destinations; several counts are measured one after another.
    #[arg(long, value_delimiter = ',', default_values_t = [50, 100, 200])]
    viewers: Vec<usize>,
    /// Seconds to measure, for each count.
    #[arg(long, default_value_t = 6.0, value_parser = seconds)]
    seconds: f64,
    /// Bits per second of video; a keyframe of 67 KB every 2 s is part of them.
    #[arg(long, default_value_t = 2_000_000)]
    bitrate: u64,
    /// Sockets that take one datagram at a time, so that the kernel has to cut each GSO send apart.
    #[arg(long)]
    no_gro: bool,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct ProfileArgs {
    /// Viewers of the server that is started.
    #[arg(long, default_value_t = 200)]
    viewers: usize,
    /// Profile this process, under the load it has, instead of starting a server.
    #[arg(long, conflicts_with = "viewers")]
    pid: Option<u32>,
    /// Seconds to sample.
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    seconds: f64,
    /// Samples per second of processor time.
    #[arg(long, default_value_t = 499, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    frequency: u32,
    /// The thread to look at, by how its name begins; '' for all.
    #[arg(long, default_value = "visavis-media")]
    thread: String,
    /// Where the graph is written.
    #[arg(long, default_value = "target/profile.svg")]
    out: PathBuf,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Codec {
    #[value(name = "H264", alias = "h264")]
    H264,
    #[value(name = "VP8", alias = "vp8")]
    Vp8,
}

/// The viewers' report, and what they cost a server that was started for them.
#[derive(Serialize)]
struct ViewersReport {
    #[serde(flatten)]
    viewers: viewers::Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<ServerCost>,
}

#[derive(Serialize)]
struct ServerCost {
    /// Processor time while the viewers watched, all threads, encoding included.
    cpu_seconds: f64,
    /// The same per viewer and second.
    cpu_ms_per_viewer_second: f64,
    /// Resident memory with all viewers connected.
    resident_mib: f64,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Glass(args) => run_glass(&args),
        Command::Viewers(args) => run_viewers(args),
        Command::Fanout(args) => args.run(),
        Command::Floor(args) => run_floor(&args),
        Command::Encode(args) => run_encode(&args),
        Command::Sync(args) => run_sync(&args),
        Command::Idle(args) => run_idle(&args),
        Command::Faces(args) => run_faces(&args),
        Command::Profile(args) => run_profile(args),
        Command::Siege(args) => args.run(),
        Command::Peers(args) => run_peers(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "visavis-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run_glass(args: &GlassArgs) -> Result<(), Error> {
    let report = glass::run(&glass::Options {
        duration: Duration::from_secs_f64(args.seconds),
        codec: args.codec.name().to_owned(),
        runs: args.runs,
    })?;
    print(args.json, &report, || report.table())?;
    verdict(args.check, report.missed())
}

fn run_viewers(args: ViewersArgs) -> Result<(), Error> {
    let server = match &args.url {
        Some(_) => None,
        None => {
            let most = args.count.to_string();
            Some(Server::start(ServerOptions::demo().arg("--max-clients").arg(most))?)
        }
    };
    let url = args.url.or_else(|| server.as_ref().map(|server| server.url().to_owned()));
    let mut options = viewers::Options::new(url.unwrap_or_default(), args.count);
    options.duration = Duration::from_secs_f64(args.seconds);
    options.spacing = Duration::from_millis(args.spacing_ms);
    options.codec = args.codec.map(Into::into);
    let before = server.as_ref().map(Server::cpu_time).transpose()?;
    let viewers = viewers::run(&options)?;
    let mut report = ViewersReport { viewers, server: None };
    if let (Some(server), Some(before)) = (server, before) {
        let cpu_seconds = server.cpu_time()?.0.saturating_sub(before.0).as_secs_f64();
        let viewer_seconds = report.viewers.seconds * args.count.max(1) as f64;
        report.server = Some(ServerCost {
            cpu_seconds,
            cpu_ms_per_viewer_second: cpu_seconds * 1_000.0 / viewer_seconds,
            resident_mib: server.resident_bytes()? as f64 / f64::from(1 << 20),
        });
        server.stop()?;
    }
    print(args.json, &report, || report.table())?;
    verdict(args.check, report.viewers.missed())
}

fn verdict(check: bool, missed: Vec<String>) -> Result<(), Error> {
    if check && !missed.is_empty() { Err(Error::Missed(missed.join("; "))) } else { Ok(()) }
}

fn run_floor(args: &FloorArgs) -> Result<(), Error> {
    let mut reports = Vec::new();
    for &viewers in &args.viewers {
        let mut options = floor::Options::new(viewers);
        options.duration = Duration::from_secs_f64(args.seconds);
        options.stream.bitrate = args.bitrate;
        options.gro = !args.no_gro;
        reports.push(floor::run(&options)?);
    }
    print(args.json, &reports, || floor::Report::table(&reports))
}

fn run_encode(args: &EncodeArgs) -> Result<(), Error> {
    let report = encode::run(&encode::Options { frames: args.frames, codec: args.codec })?;
    print(args.json, &report, || report.table())
}

fn run_sync(args: &SyncArgs) -> Result<(), Error> {
    let modes = match &args.mode {
        Some(mode) => vec![mode.clone()],
        None => ["live", "utterance"].map(str::to_owned).to_vec(),
    };
    let duration = Duration::from_secs_f64(args.seconds);
    let reports = modes.into_iter().map(|mode| {
        let SyncArgs { stamp_offset_ms, clock_step_ms, bad_stamp_ms, .. } = *args;
        let options =
            sync::Options { duration, mode, stamp_offset_ms, clock_step_ms, bad_stamp_ms };
        sync::run(&options)
    });
    let reports = reports.collect::<Result<Vec<_>, _>>()?;
    let tables = || reports.iter().map(sync::Report::table).collect::<Vec<_>>().join("\n");
    print(args.json, &reports, tables)?;
    verdict(args.check, reports.iter().flat_map(sync::Report::missed).collect())
}

fn run_idle(args: &IdleArgs) -> Result<(), Error> {
    let shows = match &args.show {
        Some(show) => vec![show.clone()],
        None => ["still", "film"].map(str::to_owned).to_vec(),
    };
    let (sessions, duration) = (args.sessions, Duration::from_secs_f64(args.seconds));
    let reports =
        shows.into_iter().map(|show| idle::run(&idle::Options { sessions, show, duration }));
    let reports = reports.collect::<Result<Vec<_>, _>>()?;
    let tables = || reports.iter().map(idle::Report::table).collect::<Vec<_>>().join("\n");
    print(args.json, &reports, tables)?;
    verdict(args.check, reports.iter().flat_map(idle::Report::missed).collect())
}

fn run_faces(args: &FacesArgs) -> Result<(), Error> {
    let duration = Duration::from_secs_f64(args.seconds);
    let report = faces::run(&faces::Options { count: args.count, duration })?;
    print(args.json, &report, || report.table())?;
    verdict(args.check, report.missed())
}

fn run_profile(args: ProfileArgs) -> Result<(), Error> {
    let options = profile::Options {
        viewers: args.viewers,
        duration: Duration::from_secs_f64(args.seconds),
        frequency: args.frequency,
        thread: args.thread,
        out: args.out,
    };
    let report = match args.pid {
        Some(pid) => profile::record(pid, &options)?,
        None => profile::run(&options)?,
    };
    print(args.json, &report, || report.table())
}

fn run_peers(args: &PeersArgs) -> Result<(), Error> {
    let contenders = match args.only.as_slice() {
        [] => Contender::ALL.to_vec(),
        only => only.to_vec(),
    };
    if !peers::is_inside() {
        peers::prepare(&contenders);
        match peers::run_inside() {
            Ok(status) if status.success() => return Ok(()),
            Ok(status) => return Err(Error::Server(format!("the measuring process: {status}"))),
            Err(error) => {
                let _ = writeln!(std::io::stderr(), "visavis-bench: {error}; going on without");
            }
        }
    }
    let report = peers::run(&peers::Options {
        viewers: args.viewers.into(),
        duration: Duration::from_secs_f64(args.seconds),
        contenders,
    })?;
    print(args.json, &report, || report.table())
}

fn print<T: Serialize>(json: bool, report: &T, table: impl Fn() -> String) -> Result<(), Error> {
    let text = if json { serde_json::to_string(report)? } else { table() };
    Ok(writeln!(std::io::stdout(), "{}", text.trim_end())?)
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text} is not a number"))?;
    if (0.1..=86_400.0).contains(&seconds) {
        Ok(seconds)
    } else {
        Err("between 0.1 and 86400 seconds".to_owned())
    }
}

fn contender(name: &str) -> Result<Contender, String> {
    let known = Contender::ALL.into_iter().find(|contender| contender.name() == name);
    known.ok_or_else(|| {
        let names: Vec<_> = Contender::ALL.iter().map(|contender| contender.name()).collect();
        format!("none of {}", names.join(", "))
    })
}

impl ViewersReport {
    fn table(&self) -> String {
        let mut text = self.viewers.table();
        if let Some(server) = &self.server {
            text.push_str(&format!(
                "\nserver: {:.2} s of CPU, {:.2} ms per viewer-second, {:.0} MiB resident",
                server.cpu_seconds, server.cpu_ms_per_viewer_second, server.resident_mib
            ));
        }
        text
    }
}

impl Codec {
    const fn name(self) -> &'static str {
        match self {
            Self::H264 => "H264",
            Self::Vp8 => "VP8",
        }
    }
}

impl From<Codec> for viewers::VideoCodec {
    fn from(codec: Codec) -> Self {
        match codec {
            Codec::H264 => Self::H264,
            Codec::Vp8 => Self::Vp8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn refuses_senseless_times() {
        assert!(seconds("0").is_err());
        assert!(seconds("NaN").is_err());
        assert!(seconds("ten").is_err());
        assert_eq!(seconds("2.5"), Ok(2.5));
    }

    #[test]
    fn knows_the_servers_by_name() {
        assert_eq!(contender("janus-shipped"), Ok(Contender::JanusShipped));
        assert!(contender("livekit").unwrap_err().contains("aiortc-encoding"));
    }
}
