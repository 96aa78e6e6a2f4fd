//! The engine with its signaling server.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use napi::bindgen_prelude::AsyncTask;
use napi::{Env, Task};
use napi_derive::napi;
use visavis::faults::FatalFault;
use visavis::{Engine, EngineHandle};
use visavis_signaling::SignalingServer;

use crate::failure::{Failure, Result, failure, guarded, held, release};
use crate::inbox::{Inbox, Ready, Source};
use crate::items::{Item, is_wanted};
use crate::observer::Observer;
use crate::options::{SessionOptions, SystemOptions};
use crate::session::NativeSession;

/// An engine and its signaling server, both running until they are stopped.
#[napi]
pub struct NativeSystem {
    running: Mutex<Option<Running>>,
    open: Mutex<Option<Open>>,
    /// Of the server, where there is one.
    url: Option<String>,
    port: Option<u16>,
    media_port: u16,
}

/// What holds descriptors, and threads of the engine.
#[derive(Clone)]
struct Open {
    engine: EngineHandle,
    inbox: Arc<Inbox>,
    observer: Arc<Observer>,
}

/// What is stopped. Dropping it stops it as well.
struct Running {
    // In the order in which they end.
    signaling: Option<SignalingServer>,
    engine: Option<Engine>,
    inbox: Arc<Inbox>,
    waiting: Option<JoinHandle<()>>,
}

#[napi]
impl NativeSystem {
    /// Opens the ports and starts the threads, which takes some milliseconds. `ready` is called when there is something
    /// to [read](Self::read).
    #[napi(constructor)]
    pub fn new(options: SystemOptions, ready: Ready) -> Result<Self> {
        guarded(|| {
            if options.debug {
                crate::log::start();
            }
            let (engine_config, signaling_config) = (options.engine()?, options.signaling()?);
            let engine = Engine::start(engine_config).map_err(failure)?;
            let handle = engine.handle();
            let media_port = engine.udp_addr().port();
            let (inbox, waiting) = Inbox::open(ready).map_err(no_thread)?;
            // From here on a failure stops what there is.
            let mut running = Running {
                signaling: None,
                engine: Some(engine),
                inbox: Arc::clone(&inbox),
                waiting: Some(waiting),
            };
            inbox.add(Source::Events(handle.subscribe_to(is_wanted))).map_err(no_thread)?;
            let told = Arc::clone(&inbox);
            handle.faults().on_fatal(move |fault| told.note(fatal(fault)));
            let observer = Arc::new(Observer::new(Arc::clone(&inbox)));
            if let Some(config) = signaling_config {
                let config = config.observer(Some(observer.clone() as _));
                let server = SignalingServer::start(config, handle.clone()).map_err(failure)?;
                running.signaling = Some(server);
            }
            let server = running.signaling.as_ref();
            let (url, port) = (server.map(SignalingServer::url), server.map(port));
            let running = Mutex::new(Some(running));
            let open = Mutex::new(Some(Open { engine: handle, inbox, observer }));
            Ok(Self { running, open, url, port, media_port })
        })
    }

    /// Where the page is.
    #[napi(getter)]
    pub fn url(&self) -> Option<String> {
        self.url.clone()
    }

    /// The TCP port that is listened on.
    #[napi(getter)]
    pub fn port(&self) -> Option<u32> {
        self.port.map(u32::from)
    }

    /// The UDP port for media.
    #[napi(getter)]
    pub fn media_port(&self) -> u32 {
        self.media_port.into()
    }

    /// Events that were dropped because Node did not read in time.
    #[napi(getter)]
    pub fn dropped_events(&self) -> f64 {
        held(&self.open).map_or(0.0, |open| open.inbox.dropped() as f64)
    }

    /// From now on offers, answers and candidates are told of.
    #[napi]
    pub fn observe(&self) {
        if let Ok(open) = held(&self.open) {
            open.observer.begin();
        }
    }

    /// Makes a session.
    #[napi]
    pub fn create_session(&self, options: SessionOptions) -> Result<NativeSession> {
        guarded(|| {
            let Open { engine, inbox, .. } = held(&self.open)?;
            let session = engine.create_session(options.session()?).map_err(failure)?;
            Ok(NativeSession::new(session, engine, inbox))
        })
    }

    /// What has come since the last call; more may wait, and is told of.
    #[napi]
    pub fn read(&self) -> Result<Vec<Item>> {
        guarded(|| Ok(held(&self.open).map(|open| open.inbox.read()).unwrap_or_default()))
    }

    /// Stops both on a thread of Node's pool. A second call has nothing to do.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn stop(&self) -> AsyncTask<Stop> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        AsyncTask::new(Stop(running))
    }

    /// Lets go of what it holds, once it is stopped and all was read.
    #[napi]
    pub fn release(&self) {
        release(&self.open);
    }
}

impl NativeSystem {
    pub(crate) fn engine(&self) -> Result<EngineHandle> {
        Ok(held(&self.open)?.engine)
    }
}

fn port(server: &SignalingServer) -> u16 {
    server.local_addr().port()
}

/// The engine cannot go on.
fn fatal(fault: &FatalFault) -> Item {
    Item { kind: "fault", detail: Some(fault.to_string()), ..Item::default() }
}

fn no_thread(error: std::io::Error) -> Failure {
    Failure::new("system", format!("cannot wait for events: {error}"))
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(signaling) = self.signaling.take() {
            signaling.stop();
        }
        if let Some(engine) = self.engine.take() {
            engine.stop();
        }
        self.inbox.close();
        if let Some(waiting) = self.waiting.take() {
            let _ = waiting.join();
        }
    }
}

/// The end of a system, which waits for its threads.
pub struct Stop(Option<Running>);

impl Task for Stop {
    type Output = ();
    type JsValue = ();

    fn compute(&mut self) -> napi::Result<()> {
        let running = self.0.take();
        guarded(|| {
            drop(running);
            Ok(())
        })
        .map_err(|error| napi::Error::from_reason(error.reason.clone()))
    }

    fn resolve(&mut self, _env: Env, (): ()) -> napi::Result<()> {
        Ok(())
    }
}
