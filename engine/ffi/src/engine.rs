//! The engine as a whole.

use std::ffi::c_char;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use visavis::{Engine, EngineConfig, EngineHandle};

use crate::handle::{self, Handled};
use crate::raw::{self, Versioned};
use crate::settings::{Settings, engine_config};
use crate::status::{Result, visavis_status, visavis_status::*};
use crate::text;

/// A running engine: its threads and its media sockets. Freed with visavis_engine_free().
pub struct visavis_engine {
    _private: [u8; 0],
}

/// What a handle of an engine stands for.
pub(crate) struct EngineObject {
    pub(crate) handle: EngineHandle,
    udp: SocketAddr,
    /// Taken by the first stop.
    engine: Mutex<Option<Engine>>,
}

impl Handled for EngineObject {
    type Opaque = visavis_engine;
    const KIND: u64 = 1;
    const NAME: &'static str = "engine";
}

impl EngineObject {
    fn stop(&self) {
        let engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(engine) = engine {
            engine.stop();
        }
    }
}

/// Settings of an engine. Texts are copied; one that is NULL stands for its default.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct visavis_engine_config {
    /// Set by visavis_engine_config_init().
    pub struct_size: usize,
    /// Where the UDP socket for all media listens, IP:PORT; port 0: any free port. Default: "0.0.0.0:0".
    pub udp: *const c_char,
    /// Addresses announced to viewers as ICE host candidates, IP or IP:PORT, with commas between them: for a host behind
    /// 1:1 NAT, or with mapped ports. Default: all addresses of this machine.
    pub announce: *const c_char,
    /// Media loops, each a thread with a UDP port of its own, that share the viewers: 1 to 64. Default: 1.
    pub loops: u32,
    /// Viewers at once, over all sessions, from 1 on. Default: 100.
    pub max_clients: u32,
    /// From a viewer's offer to a finished DTLS handshake, in milliseconds. Default: 15,000.
    pub connect_timeout_ms: u32,
    /// Events kept for a reader that does not read, 1 to 65,536. Default: 1,024.
    pub event_capacity: u32,
    /// Processor core for the media loop, counted from 0; -1: any. Default: -1.
    pub media_core: i32,
    /// 1: the threads that keep time run with real-time priority (needs CAP_SYS_NICE). Default: 0.
    pub realtime: u32,
    /// 1: viewers may come by TCP too, at the same addresses and ports. Default: 1.
    pub ice_tcp: u32,
    /// The number at which viewers reach the port of visavis_server_start() for TCP, where their media may come there too;
    /// 0: it may not. Default: 0.
    pub ice_tcp_port: u32,
}

// SAFETY: it is as the trait asks for.
unsafe impl Versioned for visavis_engine_config {
    const NAME: &'static str = "visavis_engine_config";

    fn initial() -> Self {
        let config = EngineConfig::default();
        Self {
            struct_size: size_of::<Self>(),
            udp: std::ptr::null(),
            announce: std::ptr::null(),
            loops: config.media_loops as u32,
            max_clients: config.max_peers as u32,
            connect_timeout_ms: config.connect_timeout.as_millis() as u32,
            event_capacity: config.event_capacity as u32,
            media_core: -1,
            realtime: 0,
            ice_tcp: config.ice_tcp.into(),
            ice_tcp_port: 0,
        }
    }
}

impl visavis_engine_config {
    /// # Safety
    ///
    /// Its texts are NULL, or end with a NUL.
    unsafe fn settings(&self) -> Result<Settings> {
        let mut settings = Settings::default();
        // SAFETY: as the caller promises.
        unsafe {
            settings.text("udp", raw::optional_text("udp", self.udp)?);
            settings.text("announce", raw::optional_text("announce", self.announce)?);
        }
        settings.number("loops", self.loops);
        settings.number("max_clients", self.max_clients);
        settings.number("connect_timeout_ms", self.connect_timeout_ms);
        settings.number("event_capacity", self.event_capacity);
        if self.media_core != -1 {
            settings.number("media_core", self.media_core);
        }
        settings.flag("realtime", self.realtime);
        settings.flag("ice_tcp", self.ice_tcp);
        if self.ice_tcp_port != 0 {
            settings.number("ice_tcp_port", self.ice_tcp_port);
        }
        Ok(settings)
    }
}

/// Writes the defaults into a config; struct_size is sizeof(*config).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_engine_config_init(
    config: *mut visavis_engine_config,
    struct_size: usize,
) -> visavis_status {
    entry!({
        raw::init(config, struct_size)?;
        Ok(VISAVIS_OK)
    })
}

/// Opens the UDP socket and starts the threads: four, and one more for each further media loop.
///
/// config: NULL for the defaults. engine: is set to the engine, which is the caller's to free; to NULL on errors.
/// VISAVIS_INVALID_CONFIG: a setting. VISAVIS_SYSTEM: the address is taken or not ours, or the system has no thread.
/// Any thread. H264 is encoded by NVENC where a GPU has it; visavis_engine_start_text() can say otherwise.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_engine_start(
    config: *const visavis_engine_config,
    engine: *mut *mut visavis_engine,
) -> visavis_status {
    entry!([engine] {
        let config = raw::read_or_initial(config)?;
        raw::put(engine, start(&config.settings()?)?);
        Ok(VISAVIS_OK)
    })
}

/// As visavis_engine_start(), with settings as TOML or JSON: those of docs/visavis.toml, and besides them
/// connect_timeout_ms and event_capacity. Settings of sessions and the server may be among them, so that one text does
/// for all three; what none of them knows is VISAVIS_INVALID_CONFIG. VISAVIS_UNSUPPORTED: encoder = "nvenc", and there is no
/// NVENC; visavis_last_error() says why.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_engine_start_text(
    settings: *const c_char,
    engine: *mut *mut visavis_engine,
) -> visavis_status {
    entry!([engine] {
        let settings = text::settings(raw::text("settings", settings)?)?;
        raw::put(engine, start(&settings)?);
        Ok(VISAVIS_OK)
    })
}

fn start(settings: &Settings) -> Result<*mut visavis_engine> {
    let engine = Engine::start(engine_config(settings)?)?;
    let (handle, udp) = (engine.handle(), engine.udp_addr());
    handle::insert(EngineObject { handle, udp, engine: Mutex::new(Some(engine)) })
}

/// The UDP port that media flows through; the first one where there are several media loops. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_engine_udp_port(
    engine: *const visavis_engine,
    port: *mut u16,
) -> visavis_status {
    entry!({
        let engine = handle::get::<EngineObject>(engine)?;
        raw::put(port, engine.udp.port());
        Ok(VISAVIS_OK)
    })
}

/// Whether the engine runs: VISAVIS_OK if it does, VISAVIS_STOPPED after visavis_engine_stop(), VISAVIS_ENGINE_STOPPED
/// where it has ended by a fault (the process should end then, and be started anew). Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_engine_health(engine: *const visavis_engine) -> visavis_status {
    entry!({
        let engine = handle::get::<EngineObject>(engine)?;
        match engine.handle.health().fatal {
            Some(fault) => Err(crate::status::Error::new(VISAVIS_ENGINE_STOPPED, fault)),
            None if engine.handle.is_running() => Ok(VISAVIS_OK),
            None => Ok(VISAVIS_STOPPED),
        }
    })
}

/// Stops all sessions, closes every viewer's connection, and waits for the engine's threads to end. Sessions and readers
/// of the engine stay to be freed; what is asked of them says VISAVIS_STOPPED, VISAVIS_END or VISAVIS_ENGINE_STOPPED. A
/// second call does nothing. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_engine_stop(engine: *mut visavis_engine) -> visavis_status {
    entry!({
        handle::get::<EngineObject>(engine)?.stop();
        Ok(VISAVIS_OK)
    })
}

/// Stops the engine, if it was not yet, and frees it. NULL is ignored. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn visavis_engine_free(engine: *mut visavis_engine) -> visavis_status {
    entry!({
        if !engine.is_null() {
            handle::take::<EngineObject>(engine)?.stop();
        }
        Ok(VISAVIS_OK)
    })
}
