//! Settings as JavaScript gives them. Their types and defaults are JavaScript's affair (`lib/config.js`); what they
//! mean to the engine is here.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use napi_derive::napi;
use visavis::address::AnnouncedAddress;
use visavis::audio::AudioCodec;
use visavis::session::SessionId;
use visavis::units::Bitrate;
use visavis::video::{RungConfig, VideoCodec};
use visavis::{EngineConfig, SessionConfig};
use visavis_signaling::{IceServer, SignalingConfig, TlsFiles};

use crate::failure::{Result, invalid};

/// Settings of the engine and the signaling server.
#[napi(object, object_to_js = false)]
pub struct SystemOptions {
    /// The address that is listened on.
    pub host: String,
    /// The TCP port; 0 for any. Where there is none, there is no server.
    pub port: Option<u32>,
    /// The UDP port for media; 0 for any.
    pub media_port: u32,
    /// Whether viewers may come by TCP too.
    pub ice_tcp: bool,
    /// The number at which they reach the server's port, where their media may come there too.
    pub ice_tcp_port: Option<u32>,
    /// Addresses that viewers are told; none for all of this machine.
    pub announce: Vec<String>,
    /// Viewers at once.
    pub max_clients: u32,
    /// What viewers are told.
    pub ice_servers: Vec<IceServerOptions>,
    /// The preferred video codec.
    pub video_codec: String,
    /// The preferred audio codec.
    pub audio_codec: String,
    /// Origins of other pages.
    pub cors: Vec<String>,
    /// Names of the server.
    pub allowed_hosts: Vec<String>,
    /// Proxies that are trusted; those of the server's default where there is none.
    pub trusted_proxies: Option<Vec<String>>,
    /// Where visitors find the server.
    pub public_url: Option<String>,
    /// File of the certificate chain.
    pub tls_cert: Option<String>,
    /// File of its key.
    pub tls_key: Option<String>,
    /// Whether the log goes to stderr.
    pub debug: bool,
}

/// `RTCIceServer`.
#[napi(object, object_to_js = false)]
pub struct IceServerOptions {
    /// `stun:`, `turn:` or `turns:` addresses.
    pub urls: Vec<String>,
    /// Of a TURN server.
    pub username: Option<String>,
    /// Of a TURN server.
    pub credential: Option<String>,
}

/// Settings of a session.
#[napi(object, object_to_js = false)]
pub struct SessionOptions {
    /// Its name.
    pub id: String,
    /// In order of preference.
    pub video_codecs: Vec<String>,
    /// In order of preference.
    pub audio_codecs: Vec<String>,
    /// Pictures a second.
    pub fps: u32,
    /// Hz.
    pub microphone_rate: u32,
    /// kbit/s; the engine's default where there is none.
    pub video_bitrate: Option<u32>,
    /// kbit/s; the engine's default where there is none.
    pub min_video_bitrate: Option<u32>,
    /// As text; the engine's default where there is none.
    pub rungs: Vec<String>,
    /// Viewers at once; as many as the engine takes where there is none.
    pub max_peers: Option<u32>,
    /// The codec of pictures that are pushed encoded; they are pushed raw where there is none.
    pub encoded: Option<String>,
    /// Whether their encoder makes as much as it is told to.
    pub adaptive_encoder: bool,
}

/// Parses a value, and says which one it is where that fails.
fn parsed<T: FromStr<Err: Display>>(name: &str, text: &str) -> Result<T> {
    text.parse().map_err(|error: T::Err| invalid(format!("invalid {name} {text:?}; {error}")))
}

fn port(number: u32) -> Result<u16> {
    let invalid = |_| invalid(format!("invalid port {number}; expected 0 to 65535"));
    u16::try_from(number).map_err(invalid)
}

pub(crate) fn video_codec(name: &str) -> Result<VideoCodec> {
    parsed("codec", name)
}

fn audio_codec(name: &str) -> Result<AudioCodec> {
    parsed("codec", name)
}

impl SystemOptions {
    fn host(&self) -> Result<IpAddr> {
        self.host.parse().map_err(|_| {
            let host = &self.host;
            invalid(format!("invalid host {host:?}; expected an IP address, such as 127.0.0.1"))
        })
    }

    pub(crate) fn engine(&self) -> Result<EngineConfig> {
        let announce: Result<Vec<AnnouncedAddress>> =
            self.announce.iter().map(|text| parsed("announced address", text)).collect();
        let config = EngineConfig::default()
            .udp((self.host()?, port(self.media_port)?))
            .announce(announce?)
            .ice_tcp(self.ice_tcp)
            .ice_tcp_port(self.ice_tcp_port.map(port).transpose()?)
            .max_peers(self.max_clients as usize);
        Ok(match self.port {
            Some(number) => config.leave_tcp_to((self.host()?, port(number)?).into()),
            None => config,
        })
    }

    /// Of the server, where there is to be one.
    pub(crate) fn signaling(&self) -> Result<Option<SignalingConfig>> {
        let Some(number) = self.port else { return Ok(None) };
        let mut config = SignalingConfig::default()
            .listen(SocketAddr::new(self.host()?, port(number)?))
            .ice_servers(self.ice_servers.iter().map(IceServerOptions::get).collect::<Vec<_>>())
            .video_codec(video_codec(&self.video_codec)?)
            .audio_codec(audio_codec(&self.audio_codec)?)
            .max_clients(self.max_clients as usize)
            .cors(self.cors.clone())
            .allowed_hosts(self.allowed_hosts.clone())
            .public_url(self.public_url.clone());
        if let Some(proxies) = &self.trusted_proxies {
            config = config.trusted_proxies(proxies.clone());
        }
        let tls = self.tls_cert.as_ref().zip(self.tls_key.as_ref());
        Ok(Some(config.tls(tls.map(|(cert, key)| TlsFiles::new(cert, key)))))
    }
}

impl IceServerOptions {
    fn get(&self) -> IceServer {
        IceServer::new(self.urls.clone())
            .username(self.username.clone())
            .credential(self.credential.clone())
    }
}

impl SessionOptions {
    pub(crate) fn session(&self) -> Result<SessionConfig> {
        let video: Result<Vec<_>> =
            self.video_codecs.iter().map(|name| video_codec(name)).collect();
        let audio: Result<Vec<_>> =
            self.audio_codecs.iter().map(|name| audio_codec(name)).collect();
        let mut config = SessionConfig::default()
            .id(SessionId::new(&self.id).map_err(invalid)?)
            .video_codecs(video?)
            .audio_codecs(audio?)
            .fps(self.fps)
            .microphone_rate(self.microphone_rate)
            .max_peers(self.max_peers.map(|peers| peers as usize))
            .adaptive_encoder(self.adaptive_encoder);
        if let Some(name) = &self.encoded {
            config = config.encoded(Some(video_codec(name)?));
        }
        if let Some(kbps) = self.video_bitrate {
            config = config.video_bitrate(Bitrate::from_kbps(kbps.into()));
        }
        if let Some(kbps) = self.min_video_bitrate {
            config = config.min_video_bitrate(Bitrate::from_kbps(kbps.into()));
        }
        let rungs: Result<Vec<RungConfig>> =
            self.rungs.iter().map(|text| parsed("rung", text)).collect();
        Ok(config.rungs(rungs?))
    }
}
