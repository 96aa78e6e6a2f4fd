//! `visavis serve`: starts the parts, says when they are ready, waits for a signal, stops them.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};
use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use visavis::{
    AudioCodec, Bitrate, Engine, EngineConfig, FatalFault, Faults, IdleLoop, OpusSettings,
    PacketTime, PlayoutDelay, RtpInput, RtpInputConfig, RtpInputError, Scheduling, SessionConfig,
    SessionError, StartError, VideoCodec,
};
use visavis_signaling::{
    IceServer, PageLook, SessionApi, SignalingConfig, SignalingError, SignalingServer, TlsFiles,
};

use crate::echo::{self, Echo, EchoError};
use crate::hangup::Hangups;
use crate::idle::{self, IdleFileError};
use crate::log;
use crate::memory::Tidy;
use crate::settings::{NamedFile, Settings};
use crate::source::demo::Demo;
use crate::source::pacer::{Pacer, SessionSink};
use crate::source::{Source, SourceError, SourceInfo, play};
use crate::timecode;
use crate::visitors::Visitors;

/// Why the program ended other than by a signal.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The log filter is none.
    #[error("the log filter {0:?} cannot be used: {1}")]
    Log(String, String),
    /// No media.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Nothing to show in between.
    #[error("--idle: {0}")]
    Idle(#[from] IdleFileError),
    /// No echo.
    #[error("cannot start the echo: {0}")]
    Echo(#[from] EchoError),
    /// The time strip does not fit.
    #[error("--timecode: {0}")]
    Timecode(#[from] timecode::TooSmall),
    /// The UDP port belongs to another.
    #[error(
        "UDP {0} is in use by another program; stop it, or choose another with --udp (port 0: any)"
    )]
    UdpInUse(SocketAddr),
    /// The engine did not start.
    #[error(transparent)]
    Engine(StartError),
    /// RTP cannot be taken.
    #[error("{0}; choose another port with --rtp-video and --rtp-audio (port 0: any)")]
    Rtp(#[from] RtpInputError),
    /// The session was not made.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The TCP port belongs to another.
    #[error(
        "TCP {0} is in use by another program, perhaps another visavis; stop it, or choose another \
         with --listen (port 0: any)"
    )]
    TcpInUse(SocketAddr),
    /// The signaling server did not start.
    #[error(transparent)]
    Signaling(SignalingError),
    /// The system refused something small: a thread, a signal handler.
    #[error("cannot {0}: {1}")]
    System(&'static str, io::Error),
    /// A part that everything depends on has ended by a bug of the program.
    #[error(transparent)]
    Fault(#[from] FatalFault),
    /// The source has ended without a reason: by a bug of the program.
    #[error("what makes the pictures has ended by a fault")]
    SourceFault,
}

impl ServeError {
    /// What the process ends with: 70 (`EX_SOFTWARE` of sysexits.h) where the program itself is at fault, so that
    /// whoever supervises it starts it anew; 1 otherwise.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Fault(_) | Self::SourceFault => EXIT_FAULT,
            _ => 1,
        }
    }
}

/// `EX_SOFTWARE`.
const EXIT_FAULT: u8 = 70;

/// How long goodbyes may take after a fault. What is broken may keep them waiting for ever.
const LAST_GOODBYES: Duration = Duration::from_secs(5);

/// Serves until SIGINT or SIGTERM.
pub fn run(settings: &Settings) -> Result<(), ServeError> {
    log::start(&settings.log)?;
    visavis::install_panic_hook();
    let faults = OnceCell::new();
    let outcome = serve(settings, &faults);
    // Whatever else went wrong went wrong for that.
    match faults.get().and_then(|faults: &Arc<Faults>| faults.health().fatal) {
        Some(fault) => Err(fault.into()),
        None => outcome,
    }
}

fn serve(settings: &Settings, known: &OnceCell<Arc<Faults>>) -> Result<(), ServeError> {
    let signals = Goodbye::install().map_err(|e| ServeError::System("handle signals", e))?;
    let hangups = Hangups::install().map_err(|e| ServeError::System("handle signals", e))?;

    let source = open_source(settings)?;
    let idle = match &settings.idle {
        Some(path) => idle::open(path)?,
        None => IdleLoop::built_in(),
    };
    let mut idle_loops = BTreeMap::new();
    for NamedFile { name, path } in &settings.idle_loops {
        idle_loops.insert(name.clone(), idle::open(path)?);
    }
    let info = match settings.echo {
        true => Some(Echo::info(demo_fps(settings))),
        false => source.as_ref().map(|source| source.info().clone()),
    };

    let engine = Engine::start(engine_config(settings)).map_err(|error| match error {
        StartError::Bind { addr, source } if is_in_use(&source) => ServeError::UdpInUse(addr),
        other => ServeError::Engine(other),
    })?;
    let faults = Arc::clone(engine.handle().faults());
    log::count_in(&faults);
    let _ = known.set(Arc::clone(&faults));
    let (fatal_in, fatal) = bounded(1);
    faults.on_fatal(move |fault| {
        let _ = fatal_in.try_send(fault.clone());
    });
    let session = engine.create_session(session_config(settings, info.as_ref(), idle.clone()))?;
    let mut config = signaling_config(settings, idle);
    config.api.idle_loops = idle_loops;
    if settings.per_visitor {
        config.api.hooks = Some(Arc::new(Visitors::new(settings.clone(), engine.handle())));
    }
    let signaling =
        SignalingServer::start(config, engine.handle()).map_err(|error| match in_use(&error) {
            true => ServeError::TcpInUse(settings.listen),
            false => ServeError::Signaling(error),
        })?;

    hangups
        .call(signaling.certificate_reloader())
        .map_err(|e| ServeError::System("wait for signals", e))?;

    session.start();
    let (failed, failure) = bounded(1);
    let feed = match source {
        // The face that all watch is not the one that visitors watch.
        _ if settings.per_visitor => Feed::OfVisitors(failed),
        Some(source) => {
            let sink = SessionSink { video: session.video(), audio: session.audio() };
            let pacer = Pacer::start(source, sink, settings.timecode, failed);
            Feed::Source(pacer.map_err(|e| ServeError::System("start a media thread", e))?)
        }
        None if settings.echo => {
            let fps = demo_fps(settings);
            let (session, engine) = (&session, &engine.handle());
            Feed::Echo(Echo::start(session, engine, fps, settings.timecode, failed)?)
        }
        None => Feed::Rtp(RtpInput::start(&session, rtp_config(settings))?, failed),
    };

    let addresses = Addresses::new(signaling.local_addr(), engine.udp_addrs(), &feed);
    // Whoever started it may have closed stdout: the page is there all the same.
    if let Err(error) = announce(settings, info.as_ref(), &addresses) {
        tracing::warn!(%error, "that it is ready cannot be written to stdout");
    }
    let outcome = wait(&signals.asked, &failure, &fatal);
    if let Err(error) = &outcome {
        end_soon(error.exit_code());
    }

    // From the outside inwards: nobody new, no new media, goodbye to those who are here.
    tracing::info!("stopping");
    signaling.stop();
    drop(feed);
    session.stop();
    engine.stop();
    outcome
}

/// What keeps the session in pictures.
enum Feed {
    Source(#[expect(dead_code, reason = "held for its threads")] Pacer),
    Echo(#[expect(dead_code, reason = "held for its threads")] Echo),
    /// Each visitor has its own; the channel must live.
    OfVisitors(#[expect(dead_code, reason = "never used, but must live")] Sender<SourceError>),
    /// Nothing fails there: a sender that stops may start again.
    Rtp(RtpInput, #[expect(dead_code, reason = "never used, but must live")] Sender<SourceError>),
}

/// The source that makes pictures here, if there is one.
pub(crate) fn open_source(settings: &Settings) -> Result<Option<Box<dyn Source>>, ServeError> {
    let source: Box<dyn Source> = match &settings.play {
        _ if settings.rtp_video.is_some() || settings.echo => return Ok(None),
        Some(path) => play::open(path)?,
        None => Box::new(Demo::new(demo_fps(settings))?),
    };
    if settings.timecode {
        timecode::check(source.info().width, source.info().height)?;
    }
    Ok(Some(source))
}

pub(crate) fn demo_fps(settings: &Settings) -> u32 {
    settings.fps.unwrap_or(30)
}

fn engine_config(settings: &Settings) -> EngineConfig {
    EngineConfig {
        udp: settings.udp,
        announce: settings.announce.clone(),
        max_peers: settings.max_clients,
        media_loops: settings.loops,
        scheduling: Scheduling { media_core: settings.media_core, realtime: settings.realtime },
        ..EngineConfig::default()
    }
}

fn session_config(settings: &Settings, info: Option<&SourceInfo>, idle: IdleLoop) -> SessionConfig {
    // A file is looked at, not talked with: sound and picture together matter more than how soon.
    let playout_delay =
        if settings.play.is_some() { PlayoutDelay::IN_SYNC } else { PlayoutDelay::NONE };
    let fps = info.map_or_else(|| demo_fps(settings), |info| info.fps.round() as u32);
    let defaults = SessionConfig::default();
    SessionConfig {
        microphone_rate: if settings.echo { echo::RATE_HZ } else { defaults.microphone_rate },
        playout_delay,
        video_codecs: settings.video_codec.clone(),
        audio_codecs: settings.audio_codec.clone(),
        packet_time: if settings.packet_ms == 10 { PacketTime::Ms10 } else { PacketTime::Ms20 },
        opus: OpusSettings {
            fec: settings.opus_fec,
            dtx: settings.opus_dtx,
            red: settings.opus_red,
        },
        idle: Some(idle),
        encoded: settings.rtp_video.map(|_| settings.rtp_video_codec),
        size: settings.size,
        fps: fps.clamp(1, 120),
        video_bitrate: Bitrate::from_kbps(settings.bitrate),
        ..defaults
    }
}

fn rtp_config(settings: &Settings) -> RtpInputConfig {
    RtpInputConfig {
        video: settings.rtp_video,
        video_payload_type: settings.rtp_video_pt,
        audio: settings.rtp_audio,
        audio_payload_type: None,
    }
}

/// The codec that most viewers get.
fn video_codec(settings: &Settings) -> VideoCodec {
    match (settings.rtp_video, settings.video_codec.first()) {
        (None, Some(&codec)) => codec,
        _ => settings.rtp_video_codec,
    }
}

fn signaling_config(settings: &Settings, idle: IdleLoop) -> SignalingConfig {
    let tls = settings.tls_cert.clone().zip(settings.tls_key.clone());
    let mut ice_servers = Vec::new();
    if !settings.stun_urls.is_empty() {
        let urls = settings.stun_urls.clone();
        ice_servers.push(IceServer { urls, username: None, credential: None });
    }
    if !settings.turn_urls.is_empty() {
        ice_servers.push(IceServer {
            urls: settings.turn_urls.clone(),
            username: settings.turn_user.clone(),
            credential: settings.turn_pass.clone(),
        });
    }
    SignalingConfig {
        listen: settings.listen,
        tls: tls.map(|(cert, key)| TlsFiles { cert, key }),
        ice_servers,
        video_codec: video_codec(settings),
        audio_codec: settings.audio_codec.first().copied().unwrap_or(AudioCodec::Opus),
        max_clients: settings.max_clients,
        api: session_api(settings, idle),
        cors: settings.cors.clone(),
        public_url: settings.public_url.clone(),
        allowed_hosts: settings.allowed_hosts.clone(),
        trusted_proxies: settings.trusted_proxies.clone(),
        page: PageLook { title: settings.page_title.clone(), logo: settings.page_logo.clone() },
        ..SignalingConfig::default()
    }
}

/// What sessions made over HTTP are like: encoded as the session of the page is, with nothing to show
/// but their idle loop before somebody pushes.
fn session_api(settings: &Settings, idle: IdleLoop) -> SessionApi {
    let template = SessionConfig {
        encoded: None,
        playout_delay: PlayoutDelay::NONE,
        ..session_config(settings, None, idle)
    };
    let max_sessions = settings.max_sessions;
    SessionApi {
        manage: settings.api,
        per_visitor: settings.per_visitor,
        max_sessions,
        template,
        ..SessionApi::default()
    }
}

/// Whether an error, or what is behind it, is a port that is taken.
fn in_use(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<io::Error>().is_some_and(is_in_use) {
            return true;
        }
        next = error.source();
    }
    false
}

fn is_in_use(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

/// The line a program waits for.
#[derive(Serialize)]
struct Ready {
    ready: bool,
    /// Of the page.
    url: String,
    /// Of the first media loop.
    udp: SocketAddr,
    /// Of the others.
    #[serde(rename = "udpMore", skip_serializing_if = "<[_]>::is_empty")]
    udp_more: Vec<SocketAddr>,
    /// Where an encoder's video is taken.
    #[serde(rename = "rtpVideo", skip_serializing_if = "Option::is_none")]
    rtp_video: Option<SocketAddr>,
    /// Where an encoder's sound is taken.
    #[serde(rename = "rtpAudio", skip_serializing_if = "Option::is_none")]
    rtp_audio: Option<SocketAddr>,
    pid: u32,
}

/// Where the program listens.
struct Addresses {
    tcp: SocketAddr,
    udp: Vec<SocketAddr>,
    rtp_video: Option<SocketAddr>,
    rtp_audio: Option<SocketAddr>,
}

impl Addresses {
    fn new(tcp: SocketAddr, udp: &[SocketAddr], feed: &Feed) -> Self {
        let (rtp_video, rtp_audio) = match feed {
            Feed::Source(_) | Feed::Echo(_) | Feed::OfVisitors(_) => (None, None),
            Feed::Rtp(input, _) => (input.video_addr(), input.audio_addr()),
        };
        Self { tcp, udp: udp.to_vec(), rtp_video, rtp_audio }
    }
}

/// Says that everything is ready: to a program in one line of JSON, to a person in words.
fn announce(
    settings: &Settings,
    info: Option<&SourceInfo>,
    addresses: &Addresses,
) -> io::Result<()> {
    let &Addresses { tcp, ref udp, rtp_video, rtp_audio } = addresses;
    let scheme = if settings.tls_cert.is_some() { "https" } else { "http" };
    let mut out = io::stdout().lock();
    if settings.json {
        let url = format!("{scheme}://{}/", reachable(tcp));
        let pid = std::process::id();
        if let [udp, udp_more @ ..] = &udp[..] {
            let (udp, udp_more) = (*udp, udp_more.to_vec());
            let ready = Ready { ready: true, url, udp, udp_more, rtp_video, rtp_audio, pid };
            serde_json::to_writer(&mut out, &ready)?;
        }
        writeln!(out)?;
        return out.flush();
    }
    let here = reachable(tcp);
    let place = match here.ip().is_loopback() {
        true => format!("localhost:{}", here.port()),
        false => here.to_string(),
    };
    writeln!(out, "Open {scheme}://{place}/ in a browser")?;
    if let Some(info) = info {
        let sound = if info.sound { "with sound" } else { "without sound" };
        let SourceInfo { label, width, height, fps, .. } = info;
        let fps = (fps * 100.0).round() / 100.0;
        writeln!(out, "  playing  {label}, {width}x{height} at {fps} fps, {sound}")?;
        let size = settings.size.map_or_else(String::new, |size| format!(", {size}"));
        let (codec, rate) = (video_codec(settings), settings.bitrate);
        writeln!(out, "  sending  {codec} at {rate} kbit/s{size}")?;
    }
    if let Some(addr) = rtp_video {
        writeln!(out, "  playing  {} that comes as RTP to udp {addr}", video_codec(settings))?;
    }
    if let Some(addr) = rtp_audio {
        writeln!(out, "  sound    Opus that comes as RTP to udp {addr}")?;
    }
    let ports: Vec<String> = udp.iter().map(|addr| addr.port().to_string()).collect();
    let word = if ports.len() == 1 { "port" } else { "ports" };
    writeln!(out, "  media    UDP {word} {}", ports.join(", "))?;
    writeln!(out, "Ctrl-C stops it.")?;
    out.flush()
}

/// An address a browser on this machine can open.
fn reachable(listening: SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listening.port())
}

/// Waits for a signal, or for the source to give up; meanwhile gives memory back that is free.
fn wait(
    asked: &Receiver<()>,
    failure: &Receiver<SourceError>,
    fatal: &Receiver<FatalFault>,
) -> Result<(), ServeError> {
    let mut tidy = Tidy::new();
    loop {
        select! {
            recv(tidy.due) -> _ => tidy.look(),
            recv(asked) -> _ => return Ok(()),
            recv(fatal) -> fault => {
                return fault.map_or(Err(ServeError::SourceFault), |fault| Err(fault.into()));
            }
            recv(failure) -> error => return match error {
                Ok(error) => Err(error.into()),
                // The source thread is gone without a reason: it panicked, which is logged.
                Err(_) => Err(ServeError::SourceFault),
            },
        }
    }
}

/// After a fault the goodbyes may never end: the process does.
fn end_soon(code: u8) {
    let end = move || {
        std::thread::sleep(LAST_GOODBYES);
        log::flush();
        std::process::exit(code.into());
    };
    if let Err(error) = std::thread::Builder::new().name("visavis-end".to_owned()).spawn(end) {
        tracing::warn!(%error, "nobody watches over the end");
    }
}

/// SIGINT and SIGTERM: the first asks to stop, the second ends the program at once.
struct Goodbye {
    asked: Receiver<()>,
}

impl Goodbye {
    fn install() -> io::Result<Self> {
        const ENDED_BY_SIGNAL: i32 = 130;
        let stopping = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            let armed = Arc::clone(&stopping);
            signal_hook::flag::register_conditional_shutdown(signal, ENDED_BY_SIGNAL, armed)?;
        }
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let (ask, asked) = bounded(1);
        let wait = move || {
            if signals.forever().next().is_some() {
                stopping.store(true, Ordering::SeqCst);
                // Nobody listens any more when the program is ending anyway.
                let _ = ask.send(());
            }
            // The thread lives on so that the handler for the second signal stays.
            signals.forever().for_each(drop);
        };
        std::thread::Builder::new().name("visavis-signals".to_owned()).spawn(wait)?;
        Ok(Self { asked })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcard_addresses_are_made_reachable() {
        let reach = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(reach("0.0.0.0:8081"), "127.0.0.1:8081");
        assert_eq!(reach("[::]:8081"), "[::1]:8081");
        assert_eq!(reach("10.1.2.3:80"), "10.1.2.3:80");
    }

    #[test]
    fn stun_and_turn_become_ice_servers() {
        let settings = Settings {
            stun_urls: vec!["stun:a".to_owned()],
            turn_urls: vec!["turn:b".to_owned()],
            turn_user: Some("user".to_owned()),
            turn_pass: Some("pass".to_owned()),
            ..Settings::default()
        };
        let servers = signaling_config(&settings, IdleLoop::built_in()).ice_servers;
        assert_eq!(servers.len(), 2);
        assert_eq!((&servers[0].username, servers[1].username.as_deref()), (&None, Some("user")));
        assert!(
            signaling_config(&Settings::default(), IdleLoop::built_in()).ice_servers.is_empty()
        );
    }

    #[test]
    fn a_taken_port_is_recognised_behind_other_errors() {
        let taken = io::Error::from(io::ErrorKind::AddrInUse);
        let addr = "0.0.0.0:1".parse().unwrap();
        assert!(in_use(&StartError::Bind { addr, source: taken }));
        assert!(!in_use(&StartError::Certificate("x".to_owned())));
    }
}
