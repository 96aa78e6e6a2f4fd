//! The engine, with the signaling server where there is one.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyDict;
use visavis::session::SessionId;
use visavis::{EngineHandle, Event};
use visavis_signaling::SignalingServer;

use crate::config;
use crate::errors::{Kind, OrRaise};
use crate::here::Here;
use crate::receiver::{Queue, Receiver};
use crate::session::Session;

/// A running engine.
#[pyclass(frozen, module = "visavis._visavis")]
pub(crate) struct Engine {
    handle: Here<EngineHandle>,
    /// Taken by the first `close`.
    running: Here<Mutex<Option<Running>>>,
    udp: SocketAddr,
    page: Option<Page>,
}

/// In the order in which they end: first no new viewers come.
struct Running {
    signaling: Option<SignalingServer>,
    engine: visavis::Engine,
}

struct Page {
    url: String,
    address: SocketAddr,
}

#[pymethods]
impl Engine {
    /// Starts it; with settings for a page, the signaling server too.
    #[new]
    fn start(
        py: Python<'_>,
        engine: &Bound<'_, PyDict>,
        page: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let engine_config = config::engine(engine)?;
        let page_config = page.map(config::signaling).transpose()?;
        let engine_config = match &page_config {
            Some(page) => engine_config.leave_tcp_to(page.listen),
            None => engine_config,
        };
        let engine =
            py.detach(|| visavis::Engine::start(engine_config)).or_raise(py, Kind::Error)?;
        let handle = engine.handle();
        let signaling = page_config
            .map(|config| py.detach(|| SignalingServer::start(config, handle.clone())))
            .transpose()
            .or_raise(py, Kind::Error)?;
        let page = signaling
            .as_ref()
            .map(|server| Page { url: server.url(), address: server.local_addr() });
        let udp = engine.udp_addr();
        let running = Here::new(Mutex::new(Some(Running { signaling, engine })));
        Ok(Self { handle: Here::new(handle), running, udp, page })
    }

    fn session(&self, py: Python<'_>, settings: &Bound<'_, PyDict>) -> PyResult<Session> {
        let handle = self.handle.get(py)?;
        let config = config::session(settings)?;
        let created = py.detach(|| handle.create_session(config));
        Ok(Session::new(handle.clone(), created.or_raise(py, Kind::InvalidValue)?))
    }

    /// Events of all sessions, or of one.
    fn events(&self, py: Python<'_>, levels: bool) -> PyResult<Receiver> {
        let handle = self.handle.get(py)?;
        let wanted = move |event: &Event| levels || !matches!(event, Event::MicrophoneLevel { .. });
        Ok(Receiver::new(Queue::Events(handle.subscribe_to(wanted))))
    }

    fn session_ids(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        Ok(self.handle.get(py)?.session_ids().iter().map(SessionId::to_string).collect())
    }

    #[getter]
    fn is_running(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.handle.get(py)?.is_running())
    }

    #[getter]
    fn url(&self) -> Option<&str> {
        self.page.as_ref().map(|page| page.url.as_str())
    }

    #[getter]
    fn port(&self) -> Option<u16> {
        self.page.as_ref().map(|page| page.address.port())
    }

    #[getter]
    fn udp_port(&self) -> u16 {
        self.udp.port()
    }

    /// Ends it. A second call does nothing.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let running = self.running.get(py)?;
        let running = running.lock().unwrap_or_else(PoisonError::into_inner).take();
        py.detach(|| {
            if let Some(Running { signaling, engine }) = running {
                drop(signaling);
                engine.stop();
            }
        });
        Ok(())
    }
}
