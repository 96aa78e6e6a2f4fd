use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use visavis::audio::AudioCodec;
use visavis::session::SessionId;
use visavis::video::VideoCodec;
use visavis_types::setters;

use crate::observer::NegotiationObserver;
use crate::sessions::api::SessionApi;

/// Settings of the signaling server; see [the front page](crate) for an example.
///
/// For each field there is a method of the same name that sets it. They are checked when the server starts.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SignalingConfig {
    /// Where the one TCP port listens. Port 0 lets the system choose. Default: `0.0.0.0:8081`.
    pub listen: SocketAddr,
    /// With it the port speaks TLS (HTTPS and WSS) and nothing else. Browsers hand out a microphone
    /// only on HTTPS pages and on localhost. Default: `None`.
    pub tls: Option<TlsFiles>,
    /// The session of a visitor who names none. Default: `default`.
    pub default_session: SessionId,
    /// STUN and TURN servers sent to browsers. Default: none.
    pub ice_servers: Vec<IceServer>,
    /// The preferred video codec, as sent to browsers in `config`. Default: H264.
    pub video_codec: VideoCodec,
    /// The audio codec, as sent to browsers in `config`. Default: Opus.
    pub audio_codec: AudioCodec,
    /// WebSocket connections with a viewer at once; one more gets the error `full` and is closed. Default: 100.
    pub max_clients: usize,
    /// Sessions that are made over HTTP. Default: none can be.
    pub api: SessionApi,
    /// Origins (`https://app.example.org`) whose pages may use the HTTP API and the WebSocket beside this
    /// server's own; `*`: all. Other pages' requests that change something, and their WebSockets, are
    /// answered 403. Default: none.
    pub cors: Vec<String>,
    /// Where visitors find the server, if that is behind a proxy: `https://face.example.org/avatar`. Its name
    /// is one of the server's, its origin the server's own, and its path what the proxy takes off. Default: `None`.
    pub public_url: Option<String>,
    /// Host names of the server: `face.example.org`, `*.example.org` for all below it, `*` for all there
    /// are. Requests addressed to other names are answered 421, so that no page can have its own name resolve
    /// to this server (DNS rebinding). IP addresses, `localhost`, this machine's name and that of
    /// [`public_url`](Self::public_url) are always allowed. With [`tls`](Self::tls) every name is accepted, as the
    /// certificate restricts it. Default: none.
    pub allowed_hosts: Vec<String>,
    /// Proxies whose `X-Forwarded-For`, `-Host`, `-Port` and `-Prefix` are trusted: addresses, networks
    /// (`10.0.0.0/8`), or `loopback`, `private` and `none`. Connections from there are not limited
    /// like those of one client, unless they name the client. Default: `loopback`.
    pub trusted_proxies: Vec<String>,
    /// Title and logo of the player page. Default: its own.
    pub page: PageBranding,
    /// Sees offers, answers and candidates as they pass. Default: `None`.
    pub observer: Option<Arc<dyn NegotiationObserver>>,
    /// Limits that keep one client from using up the server. Default: see each.
    pub limits: Limits,
}

impl SignalingConfig {
    setters! {
        into listen: SocketAddr,
        into tls: Option<TlsFiles>,
        default_session: SessionId,
        into ice_servers: Vec<IceServer>,
        video_codec: VideoCodec,
        audio_codec: AudioCodec,
        max_clients: usize,
        api: SessionApi,
        into cors: Vec<String>,
        into public_url: Option<String>,
        into allowed_hosts: Vec<String>,
        into trusted_proxies: Vec<String>,
        page: PageBranding,
        into observer: Option<Arc<dyn NegotiationObserver>>,
        limits: Limits,
    }
}

impl Default for SignalingConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8081)),
            tls: None,
            default_session: SessionId::default(),
            ice_servers: Vec::new(),
            video_codec: VideoCodec::H264,
            audio_codec: AudioCodec::Opus,
            max_clients: 100,
            api: SessionApi::default(),
            cors: Vec::new(),
            public_url: None,
            allowed_hosts: Vec::new(),
            trusted_proxies: vec!["loopback".to_owned()],
            page: PageBranding::default(),
            observer: None,
            limits: Limits::default(),
        }
    }
}

/// Title and logo of the player page, and of the page that explains an error.
///
/// For each field there is a method of the same name that sets it.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct PageBranding {
    /// Its name, 1 to 80 characters, as text: in the bar, and in the browser's tab. `None`: `visavis`. Default: `None`.
    pub title: Option<String>,
    /// The picture beside the title and in the browser's tab, shown 28 pixels high and up to 144 wide: SVG, PNG, JPEG
    /// or WebP, known by its content, of 512 KiB at most. It is read when the server starts. `None`: the two halves.
    /// Default: `None`.
    pub logo: Option<PathBuf>,
}

impl PageBranding {
    setters! {
        into title: Option<String>,
        into logo: Option<PathBuf>,
    }
}

/// Where the certificate and its key are. Files that change are read again while the server runs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TlsFiles {
    /// The certificate chain, leaf first, as PEM.
    pub cert: PathBuf,
    /// The private key (PKCS#8, PKCS#1 or SEC1), as PEM.
    pub key: PathBuf,
}

impl TlsFiles {
    /// These two files. They are read when the server starts.
    pub fn new(cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self { cert: cert.into(), key: key.into() }
    }
}

/// A STUN or TURN server, as `RTCIceServer` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IceServer {
    /// `stun:`, `turn:` or `turns:` URLs.
    pub urls: Vec<String>,
    /// The TURN user. Default: `None`.
    pub username: Option<String>,
    /// The TURN password. Default: `None`.
    pub credential: Option<String>,
}

impl IceServer {
    /// One server, by its addresses: `["stun:stun.example.org"]`.
    pub fn new<U: Into<String>>(urls: impl IntoIterator<Item = U>) -> Self {
        let urls = urls.into_iter().map(Into::into).collect();
        Self { urls, username: None, credential: None }
    }

    setters! {
        into username: Option<String>,
        into credential: Option<String>,
    }
}

/// Limits that keep one client from using up the server, in bytes and in time.
///
/// For each field there is a method of the same name that sets it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of a request's head; more is answered 431. Default: 16 KiB.
    pub head_bytes: usize,
    /// Bytes of a request's target; more is answered 414. Default: 4 KiB.
    pub target_bytes: usize,
    /// Bytes of a request's body; more is answered 413. Uploads, which are not kept, may be longer. Default: 64 KiB.
    pub body_bytes: usize,
    /// Bytes of one WebSocket message; more is answered `too-large` and close code 1009. Default: 256 KiB.
    pub message_bytes: usize,
    /// Output a client may leave unread. HTTP requests wait past it; a WebSocket is closed. Raised to 64 KiB where it
    /// is less, so that one SDP answer always fits. Default: 512 KiB.
    pub backlog_bytes: usize,
    /// TCP connections at once. One more closes the one that has been idle for the longest time, or is answered 503
    /// where none is. A few more are kept for the HTTP API and for those who watch over the server (`/healthz`,
    /// `/readyz`, `/metrics`, `/status`). Default: 1,024.
    pub connections: usize,
    /// TCP connections at once from one address, or one /64 of IPv6. One more closes the one that has been kept for a
    /// next request for the longest time, or is answered 429 and closed where there is none. Default: 64.
    pub connections_per_address: usize,
    /// New viewers from one address within [`abuse_window`](Self::abuse_window); one more is `rate-limited`. Default:
    /// 60.
    pub joins_per_address: u32,
    /// Sessions requested from one address within the window; one more is `rate-limited`. Default: 60.
    pub sessions_per_address: u32,
    /// Offers of one viewer within the window; one more is `rate-limited`. Default: 20.
    pub offers: u32,
    /// Candidates of one viewer within the window; one more is `rate-limited`. Default: 200.
    pub candidates: u32,
    /// From a WebSocket's beginning, or the end of its viewer, to an offer that is answered. Default: 15 s.
    pub offer_deadline: Duration,
    /// Uploads of speech that are played or wait for their turn at once; one more is answered 503. Default: 32.
    pub uploads: usize,
    /// From accepting a connection to a finished TLS handshake. Default: 10 s.
    pub handshake_deadline: Duration,
    /// From a request's first byte (or, for the first request, from the connection's start) to the end of its body.
    /// However slowly bytes drip, they extend nothing; but an upload may take as long as it likes. Default: 10 s.
    pub request_deadline: Duration,
    /// A kept-alive connection between two requests, and an upload between two bytes. Default: 60 s.
    pub idle_deadline: Duration,
    /// A backlog of output has to be empty once within this time. Default: 30 s.
    pub write_deadline: Duration,
    /// After the server closed its half of a connection: how long it still reads, so that the last answer is not lost
    /// to a TCP reset. Default: 2 s.
    pub linger: Duration,
    /// Between two `ping` messages on a WebSocket. Default: 30 s.
    pub ping_interval: Duration,
    /// From a `ping` to its `pong`. Default: 10 s.
    pub pong_deadline: Duration,
    /// The window over which messages are counted. Default: 10 s.
    pub abuse_window: Duration,
    /// Unusable WebSocket messages within the window; one more is `abuse` and closes. Default: 20.
    pub bad_messages: u32,
    /// WebSocket frames of any kind, fragments and empty ones too, within the window; one more is `abuse` and closes.
    /// Default: 500.
    pub messages: u32,
}

impl Limits {
    setters! {
        head_bytes: usize,
        target_bytes: usize,
        body_bytes: usize,
        message_bytes: usize,
        backlog_bytes: usize,
        connections: usize,
        connections_per_address: usize,
        joins_per_address: u32,
        sessions_per_address: u32,
        offers: u32,
        candidates: u32,
        offer_deadline: Duration,
        uploads: usize,
        handshake_deadline: Duration,
        request_deadline: Duration,
        idle_deadline: Duration,
        write_deadline: Duration,
        linger: Duration,
        ping_interval: Duration,
        pong_deadline: Duration,
        abuse_window: Duration,
        bad_messages: u32,
        messages: u32,
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 16 << 10,
            target_bytes: 4 << 10,
            body_bytes: 64 << 10,
            message_bytes: 256 << 10,
            backlog_bytes: 512 << 10,
            connections: 1_024,
            connections_per_address: 64,
            joins_per_address: 60,
            sessions_per_address: 60,
            offers: 20,
            candidates: 200,
            offer_deadline: Duration::from_secs(15),
            uploads: 32,
            handshake_deadline: Duration::from_secs(10),
            request_deadline: Duration::from_secs(10),
            idle_deadline: Duration::from_secs(60),
            write_deadline: Duration::from_secs(30),
            linger: Duration::from_secs(2),
            ping_interval: Duration::from_secs(30),
            pong_deadline: Duration::from_secs(10),
            abuse_window: Duration::from_secs(10),
            bad_messages: 20,
            messages: 500,
        }
    }
}

/// Why the signaling server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignalingError {
    /// The TCP port could not be opened.
    #[error("cannot listen on tcp {addr}: {source}")]
    Bind {
        /// The configured address.
        addr: SocketAddr,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A poller, waker or thread could not be made.
    #[error("cannot start the signaling loop: {0}")]
    Io(#[from] io::Error),
    /// The certificate or the key could not be read.
    #[error("cannot use {path}: {reason}")]
    TlsFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        reason: TlsFileError,
    },
    /// Certificate and key do not go together, or TLS cannot use them.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] TlsError),
    /// An allowed origin is invalid.
    #[error("invalid origin {0:?}; expected one such as https://app.example.org")]
    Origin(String),
    /// A host name of the server is invalid.
    #[error("invalid host name {0:?}; expected one such as face.example.org or *.example.org")]
    Host(String),
    /// The public URL is invalid.
    #[error("invalid public URL {0:?}; expected one such as https://face.example.org/avatar")]
    PublicUrl(String),
    /// A trusted proxy is invalid.
    #[error(
        "invalid proxy {0:?}; expected an address or network, such as 192.0.2.1, 10.0.0.0/8, loopback or private"
    )]
    Proxy(String),
    /// The page's title is invalid.
    #[error("invalid page title {0:?}; expected 1 to 80 characters in one line")]
    Title(String),
    /// The page's logo cannot be used.
    #[error("cannot use {path} as the page's logo: {reason}")]
    Logo {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        reason: LogoError,
    },
    /// The built-in routes contradict each other.
    #[error("cannot set up the routes")]
    Routes,
}

/// Why a certificate or a key could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsFileError {
    /// The file could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is not PEM (RFC 7468), or it is damaged.
    #[error("invalid PEM; expected a certificate chain or a private key as PEM")]
    Pem,
    /// It is PEM, and what is looked for is not in it.
    #[error("there is no certificate in it, or no private key")]
    Empty,
}

/// Why TLS cannot use a certificate and its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The key is another certificate's.
    #[error("the private key does not belong to the certificate")]
    KeyMismatch,
    /// The key or the certificate is of a kind that TLS has no use for, or it is damaged; the log says more.
    #[error("the certificate or its private key cannot be used")]
    Unusable,
    /// The library that does it could not be set up; the log says more.
    #[error("the TLS library cannot be set up")]
    Setup,
}

/// Why a picture cannot be the page's logo.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogoError {
    /// The file could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file is larger than 512 KiB.
    #[error("it is larger than 512 KiB")]
    TooLarge,
    /// The file is none of those that browsers show.
    #[error("unsupported image format; expected SVG, PNG, JPEG or WebP")]
    Format,
}
