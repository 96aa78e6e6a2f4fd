//! Settings, as the Python package hands them over: dictionaries with every key in them.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use visavis::address::AnnouncedAddress;
use visavis::audio::{AudioCodec, OpusSettings, PacketTime};
use visavis::idle::IdleLoop;
use visavis::session::SessionId;
use visavis::units::{Bitrate, UnixMillis};
use visavis::video::{FrameSize, PlayoutDelay, RungConfig, VideoCodec};
use visavis::{EngineConfig, SessionConfig};
use visavis_signaling::{IceServer, PageBranding, SignalingConfig, TlsFiles};

use crate::errors::{Kind, OrRaise};
use crate::picture::{Picture, Said};
use crate::sound::copied;

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct EngineSettings {
    udp_host: String,
    udp_port: u16,
    announce: Vec<String>,
    max_viewers: usize,
    media_loops: usize,
    ice_tcp: bool,
    ice_tcp_port: Option<u16>,
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct SessionSettings<'py> {
    id: String,
    video_codecs: Vec<String>,
    encoded: Option<String>,
    adaptive_encoder: bool,
    audio_codecs: Vec<String>,
    size: Option<(u32, u32)>,
    fps: u32,
    video_kbps: u64,
    min_video_kbps: u64,
    rungs: Vec<String>,
    audio_kbps: u64,
    max_viewers: Option<usize>,
    microphone_rate: u32,
    packet_ms: u32,
    opus_fec: bool,
    opus_dtx: bool,
    opus_red: bool,
    playout_delay_ms: u64,
    audio_queue: f64,
    utterance_bytes: usize,
    idle: Option<Bound<'py, PyAny>>,
    idle_grace_ms: u64,
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct SignalingSettings {
    host: String,
    port: u16,
    max_viewers: usize,
    tls_cert: Option<String>,
    tls_key: Option<String>,
    ice_servers: Vec<(Vec<String>, Option<String>, Option<String>)>,
    default_session: String,
    public_url: Option<String>,
    allowed_hosts: Vec<String>,
    cors: Vec<String>,
    trusted_proxies: Vec<String>,
    title: Option<String>,
    logo: Option<String>,
}

/// The dictionary's keys as fields.
fn extract<'a, 'py, T>(settings: &'a Bound<'py, PyDict>) -> PyResult<T>
where
    T: FromPyObject<'a, 'py, Error = PyErr>,
{
    let py = settings.py();
    settings.as_any().extract().map_err(|error: PyErr| {
        let cause =
            error.cause(py).map_or_else(String::new, |cause| format!(": {}", cause.value(py)));
        Kind::InvalidType.because(py, format!("{}{cause}", error.value(py)))
    })
}

fn parsed<T: FromStr<Err: std::fmt::Display>>(py: Python<'_>, text: &str) -> PyResult<T> {
    text.parse().or_raise(py, Kind::InvalidValue)
}

fn all<T: FromStr<Err: std::fmt::Display>>(py: Python<'_>, texts: &[String]) -> PyResult<Vec<T>> {
    texts.iter().map(|text| parsed(py, text)).collect()
}

fn address(py: Python<'_>, host: &str, port: u16) -> PyResult<SocketAddr> {
    let ip: IpAddr = host.parse().map_err(|_| {
        let sentence = format!(
            "invalid host {host:?}; expected an IP address of this machine, such as 0.0.0.0"
        );
        Kind::InvalidValue.because(py, sentence)
    })?;
    Ok((ip, port).into())
}

/// The engine's settings.
///
/// # Errors
///
/// Values that cannot be used.
pub(crate) fn engine(settings: &Bound<'_, PyDict>) -> PyResult<EngineConfig> {
    let py = settings.py();
    let given: EngineSettings = extract(settings)?;
    let announce: Vec<AnnouncedAddress> = all(py, &given.announce)?;
    Ok(EngineConfig::default()
        .udp(address(py, &given.udp_host, given.udp_port)?)
        .announce(announce)
        .max_peers(given.max_viewers)
        .media_loops(given.media_loops)
        .ice_tcp(given.ice_tcp)
        .ice_tcp_port(given.ice_tcp_port))
}

/// A session's settings.
///
/// # Errors
///
/// Values that cannot be used. Ranges are looked at when the session is made.
pub(crate) fn session(settings: &Bound<'_, PyDict>) -> PyResult<SessionConfig> {
    let py = settings.py();
    let given: SessionSettings<'_> = extract(settings)?;
    let id = SessionId::new(&given.id).or_raise(py, Kind::InvalidValue)?;
    let video_codecs: Vec<VideoCodec> = all(py, &given.video_codecs)?;
    let audio_codecs: Vec<AudioCodec> = all(py, &given.audio_codecs)?;
    let encoded: Option<VideoCodec> =
        given.encoded.as_deref().map(|name| parsed(py, name)).transpose()?;
    let size = given.size.map(|(width, height)| FrameSize::new(width, height));
    let packet_time = match given.packet_ms {
        10 => PacketTime::Ms10,
        20 => PacketTime::Ms20,
        other => {
            let sentence = format!("invalid packet_ms {other}; expected 10 or 20");
            return Err(Kind::InvalidValue.because(py, sentence));
        }
    };
    let mut playout_delay = PlayoutDelay::NONE;
    playout_delay.max = Duration::from_millis(given.playout_delay_ms);
    let audio_queue =
        Duration::try_from_secs_f64(given.audio_queue).or_raise(py, Kind::InvalidValue)?;
    let idle = given.idle.as_ref().map(idle_loop).transpose()?;
    Ok(SessionConfig::default()
        .id(id)
        .video_codecs(video_codecs)
        .encoded(encoded)
        .adaptive_encoder(given.adaptive_encoder)
        .audio_codecs(audio_codecs)
        .size(size.transpose().or_raise(py, Kind::InvalidValue)?)
        .fps(given.fps)
        .video_bitrate(Bitrate::from_kbps(given.video_kbps))
        .min_video_bitrate(Bitrate::from_kbps(given.min_video_kbps))
        .rungs(all::<RungConfig>(py, &given.rungs)?)
        .audio_bitrate(Bitrate::from_kbps(given.audio_kbps))
        .max_peers(given.max_viewers)
        .microphone_rate(given.microphone_rate)
        .packet_time(packet_time)
        .opus(OpusSettings::default().fec(given.opus_fec).dtx(given.opus_dtx).red(given.opus_red))
        .playout_delay(playout_delay)
        .audio_queue(audio_queue)
        .utterance_bytes(given.utterance_bytes)
        .idle(idle)
        .idle_grace(Duration::from_millis(given.idle_grace_ms)))
}

/// What is shown while nothing is pushed: `"face"`, the name of a file (an image or a film), the bytes of a JPEG or PNG
/// file, or a picture as it is pushed.
///
/// # Errors
///
/// What is none of these, or cannot be read.
pub(crate) fn idle_loop(given: &Bound<'_, PyAny>) -> PyResult<IdleLoop> {
    let py = given.py();
    if given.extract::<&str>().is_ok_and(|name| name == "face") {
        return Ok(IdleLoop::built_in());
    }
    // A string or a path; bytes are a file's content.
    if let Ok(path) = given.extract::<PathBuf>() {
        let opened = py.detach(|| visavis_film::idle::open(&path));
        return opened.or_raise(py, Kind::InvalidValue);
    }
    // A file has one dimension, a picture has more.
    if let Ok(file) = copied(given)
        && let Ok(image) = IdleLoop::image(&file)
    {
        return Ok(image);
    }
    let picture = Picture::of(given, Said::default())?;
    let still = picture.push_detached(UnixMillis::now(), IdleLoop::still);
    still.or_raise(py, Kind::InvalidValue)
}

/// The signaling server's settings.
///
/// # Errors
///
/// Values that cannot be used. Names and files are looked at when it starts.
pub(crate) fn signaling(settings: &Bound<'_, PyDict>) -> PyResult<SignalingConfig> {
    let py = settings.py();
    let given: SignalingSettings = extract(settings)?;
    let tls = match (given.tls_cert, given.tls_key) {
        (None, None) => None,
        (Some(cert), Some(key)) => Some(TlsFiles::new(cert, key)),
        _ => {
            let sentence = "one of tls_cert and tls_key without the other; expected both or none";
            return Err(Kind::InvalidValue.because(py, sentence));
        }
    };
    let ice_servers: Vec<IceServer> = given
        .ice_servers
        .into_iter()
        .map(|(urls, user, password)| IceServer::new(urls).username(user).credential(password))
        .collect();
    let page = PageBranding::default().title(given.title).logo(given.logo.map(Into::into));
    Ok(SignalingConfig::default()
        .listen(address(py, &given.host, given.port)?)
        .max_clients(given.max_viewers)
        .tls(tls)
        .ice_servers(ice_servers)
        .default_session(SessionId::new(&given.default_session).or_raise(py, Kind::InvalidValue)?)
        .public_url(given.public_url)
        .allowed_hosts(given.allowed_hosts)
        .cors(given.cors)
        .trusted_proxies(given.trusted_proxies)
        .page(page))
}
