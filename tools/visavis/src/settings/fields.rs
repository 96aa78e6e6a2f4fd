use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use visavis::{AnnouncedAddress, AudioCodec, FrameSize, VideoCodec};

use super::values::{
    NamedFile, codec, codec_name, codec_names, codecs, list, size, size_text, texts,
};

/// Everything `visavis serve` can be told. The keys of a settings file are the names of the fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where the page, the HTTP API and the WebSocket listen (TCP).
    pub listen: SocketAddr,
    /// Where the one UDP socket for all media listens.
    pub udp: SocketAddr,
    /// Addresses told to browsers, each with a port where that is mapped; empty: every address of this machine.
    #[serde(deserialize_with = "list", serialize_with = "texts")]
    pub announce: Vec<AnnouncedAddress>,
    /// Certificate chain for HTTPS, as PEM; with `tls_key`.
    pub tls_cert: Option<PathBuf>,
    /// Private key for HTTPS, as PEM.
    pub tls_key: Option<PathBuf>,
    /// The file to play; without one it is the demo face.
    pub play: Option<PathBuf>,
    /// Whether the demo face says what visitors say.
    pub echo: bool,
    /// What is seen while nothing is sent: an image or a film; without one it is a face at rest.
    pub idle: Option<PathBuf>,
    /// Idle loops that sessions made over HTTP may ask for, each `NAME=FILE`.
    #[serde(deserialize_with = "list")]
    pub idle_loops: Vec<NamedFile>,
    /// Where an encoder sends its video as RTP; then that is shown.
    pub rtp_video: Option<SocketAddr>,
    /// What that encoder makes.
    #[serde(deserialize_with = "codec", serialize_with = "codec_name")]
    pub rtp_video_codec: VideoCodec,
    /// The payload type of that video; `None`: of the first packet.
    pub rtp_video_pt: Option<u8>,
    /// Where an encoder sends its sound (Opus) as RTP.
    pub rtp_audio: Option<SocketAddr>,
    /// A level or a filter for the log.
    pub log: String,
    /// Video codecs in order of preference.
    #[serde(deserialize_with = "codecs", serialize_with = "codec_names")]
    pub video_codec: Vec<VideoCodec>,
    /// Audio codecs in order of preference.
    #[serde(deserialize_with = "codecs", serialize_with = "codec_names")]
    pub audio_codec: Vec<AudioCodec>,
    /// How many milliseconds of sound are in one packet, 10 or 20.
    pub packet_ms: u32,
    /// Whether Opus carries coarse copies against loss.
    pub opus_fec: bool,
    /// Whether Opus rests while nobody speaks.
    pub opus_dtx: bool,
    /// Whether Opus is sent twice.
    pub opus_red: bool,
    /// What all pictures are scaled to; `None`: each keeps its own size.
    #[serde(deserialize_with = "size", serialize_with = "size_text")]
    pub size: Option<FrameSize>,
    /// Frames per second of the demo; a file keeps its own rate.
    pub fps: Option<u32>,
    /// Target rate of the video in kbit/s.
    pub bitrate: u64,
    /// Viewers at once.
    pub max_clients: usize,
    /// Whether sessions can be made, listed and ended over HTTP.
    pub api: bool,
    /// Whether each visitor gets a session of its own.
    pub per_visitor: bool,
    /// Sessions made over HTTP and for visitors at once.
    pub max_sessions: usize,
    /// Origins whose pages may use the HTTP API and the WebSocket; `*`: all.
    #[serde(deserialize_with = "list")]
    pub cors: Vec<String>,
    /// Where visitors find the server, if that is behind a proxy.
    pub public_url: Option<String>,
    /// Names that the server goes by.
    #[serde(deserialize_with = "list")]
    pub allowed_hosts: Vec<String>,
    /// Proxies that are believed: addresses, networks, `loopback`, `private`, `none`.
    #[serde(deserialize_with = "list")]
    pub trusted_proxies: Vec<String>,
    /// What the page is called; `None`: visavis.
    pub page_title: Option<String>,
    /// The picture beside that.
    pub page_logo: Option<PathBuf>,
    /// Media loops that share out the viewers.
    pub loops: usize,
    /// The processor core the media loop stays on.
    pub media_core: Option<usize>,
    /// Whether the threads that keep time run with real-time priority.
    pub realtime: bool,
    /// Whether the time of sending is painted into each picture.
    pub timecode: bool,
    /// Whether the ready line is JSON.
    pub json: bool,
    /// STUN servers told to browsers.
    #[serde(deserialize_with = "list")]
    pub stun_urls: Vec<String>,
    /// TURN servers told to browsers.
    #[serde(deserialize_with = "list")]
    pub turn_urls: Vec<String>,
    /// The user for the TURN servers.
    pub turn_user: Option<String>,
    /// The password for the TURN servers.
    pub turn_pass: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        let any = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        Self {
            listen: any(8081),
            udp: any(0),
            announce: Vec::new(),
            tls_cert: None,
            tls_key: None,
            play: None,
            idle: None,
            idle_loops: Vec::new(),
            echo: false,
            rtp_video: None,
            rtp_video_codec: VideoCodec::H264,
            rtp_video_pt: None,
            rtp_audio: None,
            log: String::from("info"),
            video_codec: vec![VideoCodec::H264],
            audio_codec: vec![AudioCodec::Opus],
            packet_ms: 20,
            opus_fec: true,
            opus_dtx: false,
            opus_red: false,
            size: None,
            fps: None,
            bitrate: 1_500,
            max_clients: 100,
            api: false,
            per_visitor: false,
            max_sessions: 100,
            cors: Vec::new(),
            public_url: None,
            allowed_hosts: Vec::new(),
            trusted_proxies: vec![String::from("loopback")],
            page_title: None,
            page_logo: None,
            loops: 1,
            media_core: None,
            realtime: false,
            timecode: false,
            json: false,
            stun_urls: Vec::new(),
            turn_urls: Vec::new(),
            turn_user: None,
            turn_pass: None,
        }
    }
}
