//! The built-in signaling server.

use std::ffi::c_char;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use visavis::EngineHandle;
use visavis_signaling::{SignalingConfig, SignalingServer};

use crate::arrivals::Arrival;
use crate::engine::{EngineObject, visavis_engine};
use crate::handle::{self, Handled};
use crate::hooks::Hooks;
use crate::raw::{self, Versioned};
use crate::reader::Next;
use crate::session::{SessionObject, visavis_session};
use crate::settings::{Settings, server_config};
use crate::status::{Result, visavis_status, visavis_status::*};
use crate::text;

/// A running signaling server: the player page, WebSocket, HTTP API and WHEP on one TCP port. Freed with
/// visavis_server_free().
pub struct visavis_server {
    _private: [u8; 0],
}

/// What a handle of a server stands for.
pub(crate) struct ServerObject {
    url: String,
    addr: SocketAddr,
    engine: EngineHandle,
    pub(crate) hooks: Arc<Hooks>,
    /// Taken by the first stop.
    server: Mutex<Option<SignalingServer>>,
}

impl Handled for ServerObject {
    type Opaque = visavis_server;
    const KIND: u64 = 3;
    const NAME: &'static str = "server";
}

impl ServerObject {
    fn stop(&self) {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        // First, so that no upload waits for its end to be read.
        self.hooks.uploads.close();
        if let Some(server) = server {
            server.stop();
        }
        self.hooks.arrivals.close();
    }
}

/// Settings of the signaling server. Texts are copied; one that is NULL stands for its default. Lists are texts with
/// commas.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct visavis_server_config {
    /// Set by visavis_server_config_init().
    pub struct_size: usize,
    /// Where the one TCP port listens, IP:PORT; port 0: any free port. Default: "0.0.0.0:8081".
    pub listen: *const c_char,
    /// The session of a visitor who names none. Default: "default".
    pub default_session: *const c_char,
    /// The preferred video codecs, as said to browsers. Default: "H264".
    pub video_codec: *const c_char,
    /// The preferred audio codecs, as said to browsers. Default: "opus".
    pub audio_codec: *const c_char,
    /// Certificate chain for HTTPS, a PEM file; with tls_key. Default: NULL, plain HTTP.
    pub tls_cert: *const c_char,
    /// Private key for HTTPS, a PEM file; with tls_cert. Default: NULL.
    pub tls_key: *const c_char,
    /// Where visitors find the server when it is behind a proxy, such as `https://face.example.org/avatar`. Default:
    /// NULL.
    pub public_url: *const c_char,
    /// Names of this server, such as "face.example.org,*.example.org". Default: none but addresses, localhost, this
    /// machine's name and that of public_url.
    pub allowed_hosts: *const c_char,
    /// Proxies whose X-Forwarded-* headers are trusted: addresses, networks, loopback, private, none. Default:
    /// "loopback".
    pub trusted_proxies: *const c_char,
    /// Origins whose pages may use the HTTP API and the WebSocket; "*": any. Default: this server's own only.
    pub cors: *const c_char,
    /// STUN servers for browsers, such as "stun:stun.example.org:3478". Default: none.
    pub stun_urls: *const c_char,
    /// TURN servers for browsers, such as "turn:turn.example.org:3478?transport=udp". Default: none.
    pub turn_urls: *const c_char,
    /// User name for the TURN servers. Default: NULL.
    pub turn_user: *const c_char,
    /// Password for the TURN servers. Default: NULL.
    pub turn_pass: *const c_char,
    /// Title of the page, up to 80 characters. Default: "visavis".
    pub page_title: *const c_char,
    /// Picture beside the title: an SVG, PNG, JPEG or WebP file of up to 512 KiB. Default: the built-in one.
    pub page_logo: *const c_char,
    /// Viewers with a WebSocket at once, from 1 on. Default: 100.
    pub max_clients: u32,
    /// Sessions that are made over HTTP, from 1 on. Default: 100.
    pub max_sessions: u32,
    /// 1: programs may make, list and end sessions over HTTP. There is no login. Default: 0.
    pub api: u32,
    /// 1: each visitor gets a session of their own, which visavis_server_accept() hands out. Default: 0.
    pub per_visitor: u32,
    /// A file that sessions made by the server show while no pictures are pushed; see visavis_session_set_idle_file().
    /// Default: NULL, the built-in face.
    pub idle: *const c_char,
    /// Files that sessions made over HTTP can choose by name instead ("idle" of POST /webrtc/sessions/create), such as
    /// "anna=anna.mp4,ben=ben.png". Default: none.
    pub idle_loops: *const c_char,
}

// SAFETY: it is as the trait asks for.
unsafe impl Versioned for visavis_server_config {
    const NAME: &'static str = "visavis_server_config";

    fn initial() -> Self {
        let config = SignalingConfig::default();
        let default = std::ptr::null();
        Self {
            struct_size: size_of::<Self>(),
            listen: default,
            default_session: default,
            video_codec: default,
            audio_codec: default,
            tls_cert: default,
            tls_key: default,
            public_url: default,
            allowed_hosts: default,
            trusted_proxies: default,
            cors: default,
            stun_urls: default,
            turn_urls: default,
            turn_user: default,
            turn_pass: default,
            page_title: default,
            page_logo: default,
            max_clients: config.max_clients as u32,
            max_sessions: 100,
            api: 0,
            per_visitor: 0,
            idle: default,
            idle_loops: default,
        }
    }
}

impl visavis_server_config {
    /// # Safety
    ///
    /// Its texts are NULL, or end with a NUL.
    unsafe fn settings(&self) -> Result<Settings> {
        let mut settings = Settings::default();
        let texts = [
            ("listen", self.listen),
            ("default_session", self.default_session),
            ("video_codec", self.video_codec),
            ("audio_codec", self.audio_codec),
            ("tls_cert", self.tls_cert),
            ("tls_key", self.tls_key),
            ("public_url", self.public_url),
            ("allowed_hosts", self.allowed_hosts),
            ("trusted_proxies", self.trusted_proxies),
            ("cors", self.cors),
            ("stun_urls", self.stun_urls),
            ("turn_urls", self.turn_urls),
            ("turn_user", self.turn_user),
            ("turn_pass", self.turn_pass),
            ("page_title", self.page_title),
            ("page_logo", self.page_logo),
            ("idle", self.idle),
            ("idle_loops", self.idle_loops),
        ];
        for (key, text) in texts {
            // SAFETY: as the caller promises.
            settings.text(key, unsafe { raw::optional_text(key, text) }?);
        }
        settings.number("max_clients", self.max_clients);
        settings.number("max_sessions", self.max_sessions);
        settings.flag("api", self.api);
        settings.flag("per_visitor", self.per_visitor);
        Ok(settings)
    }
}

/// Writes the defaults into a config; struct_size is sizeof(*config).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_server_config_init(
    config: *mut visavis_server_config,
    struct_size: usize,
) -> visavis_status {
    entry!({
        raw::init(config, struct_size)?;
        Ok(VISAVIS_OK)
    })
}

/// Starts the signaling server of an engine, on a thread of its own.
///
/// config: NULL for the defaults. server: is set to the server, which is the caller's to free; to NULL on errors.
/// VISAVIS_INVALID_CONFIG: a setting, a certificate or a logo that cannot be used. VISAVIS_SYSTEM: the port is taken. Any
/// thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_server_start(
    engine: *const visavis_engine,
    config: *const visavis_server_config,
    server: *mut *mut visavis_server,
) -> visavis_status {
    entry!([server] {
        let config = raw::read_or_initial(config)?;
        raw::put(server, start(engine, &config.settings()?)?);
        Ok(VISAVIS_OK)
    })
}

/// As visavis_server_start(), with settings as TOML or JSON: those of docs/visavis.toml. Sessions that are made over HTTP
/// have the settings of sessions that are among them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_server_start_text(
    engine: *const visavis_engine,
    settings: *const c_char,
    server: *mut *mut visavis_server,
) -> visavis_status {
    entry!([server] {
        let settings = text::settings(raw::text("settings", settings)?)?;
        raw::put(server, start(engine, &settings)?);
        Ok(VISAVIS_OK)
    })
}

fn start(engine: *const visavis_engine, settings: &Settings) -> Result<*mut visavis_server> {
    let engine = handle::get::<EngineObject>(engine)?;
    let hooks = Hooks::new()?;
    let mut config = server_config(settings)?;
    config.api.hooks = Some(Arc::clone(&hooks) as _);
    let server = SignalingServer::start(config, engine.handle.clone())?;
    let (url, addr) = (server.url(), server.local_addr());
    let (engine, server) = (engine.handle.clone(), Mutex::new(Some(server)));
    handle::insert(ServerObject { url, addr, engine, hooks, server })
}

/// Where the player page is, for a browser on this machine, to be freed with visavis_string_free(). Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_server_url(
    server: *const visavis_server,
    url: *mut *mut c_char,
) -> visavis_status {
    entry!([url] {
        raw::put_text(url, handle::get::<ServerObject>(server)?.url.clone())?;
        Ok(VISAVIS_OK)
    })
}

/// The TCP port that the server listens on. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_server_port(
    server: *const visavis_server,
    port: *mut u16,
) -> visavis_status {
    entry!({
        raw::put(port, handle::get::<ServerObject>(server)?.addr.port());
        Ok(VISAVIS_OK)
    })
}

/// Takes the next session that was made over HTTP (api) or for a visitor (per_visitor): the application is to push to it.
/// The server starts it. It ends when it is ended over HTTP, or its visitor has left: pushes are VISAVIS_STOPPED then, and
/// visavis_session_end_reason() says why.
///
/// session: is set to the session, which is the caller's to free, and is not ended by that; to NULL unless VISAVIS_OK is
/// returned. timeout_ms: 0 does not wait, -1 waits as long as it takes. VISAVIS_TIMEOUT; VISAVIS_END: the server has
/// stopped. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_server_accept(
    server: *const visavis_server,
    timeout_ms: i32,
    session: *mut *mut visavis_session,
) -> visavis_status {
    entry!([session] {
        let server = handle::get::<ServerObject>(server)?;
        match server.hooks.arrivals.reader.next(timeout_ms)? {
            Next::Item(Arrival { session: arrived, guest }) => {
                let object = SessionObject::new(arrived, Some(guest), server.engine.clone());
                raw::put(session, handle::insert(object)?);
                Ok(VISAVIS_OK)
            }
            Next::Timeout => Ok(VISAVIS_TIMEOUT),
            Next::End => Ok(VISAVIS_END),
        }
    })
}

/// A file descriptor that is readable while sessions wait to be accepted; as visavis_events_fd().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_server_fd(
    server: *const visavis_server,
    fd: *mut i32,
) -> visavis_status {
    entry!({
        raw::put(fd, handle::get::<ServerObject>(server)?.hooks.arrivals.reader.descriptor()?);
        Ok(VISAVIS_OK)
    })
}

/// Reads certificate and key again, which also happens by itself when the files change. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_server_reload_certificates(
    server: *const visavis_server,
) -> visavis_status {
    entry!({
        let server = handle::get::<ServerObject>(server)?;
        let running = server.server.lock().unwrap_or_else(PoisonError::into_inner);
        match &*running {
            Some(running) => {
                running.reload_certificates();
                Ok(VISAVIS_OK)
            }
            None => Ok(VISAVIS_STOPPED),
        }
    })
}

/// Closes all connections and waits for the server's thread to end. Viewers' media flows on until their sessions end. A
/// second call does nothing. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_server_stop(server: *mut visavis_server) -> visavis_status {
    entry!({
        handle::get::<ServerObject>(server)?.stop();
        Ok(VISAVIS_OK)
    })
}

/// Stops the server, if it was not yet, and frees it. NULL is ignored. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_server_free(server: *mut visavis_server) -> visavis_status {
    entry!({
        if !server.is_null() {
            handle::take::<ServerObject>(server)?.stop();
        }
        Ok(VISAVIS_OK)
    })
}
