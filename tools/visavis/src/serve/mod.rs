//! `visavis serve`: starts the parts, prints that they are ready, waits for a signal, stops them.
//!
//! | file | what |
//! |---|---|
//! | `config` | the settings as the configuration of engine, session and signaling server |
//! | `feed` | where a session's media comes from |
//! | `visitors` | a session for each visitor |
//! | `ready` | what is printed once everything runs |
//! | `signals` | SIGINT, SIGTERM, SIGHUP |
//! | `error` | why it ends, and the exit code |

mod config;
mod error;
mod feed;
mod ready;
mod signals;
mod visitors;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded, select};
use visavis::Engine;
use visavis::faults::{FatalFault, Faults};
use visavis::idle::IdleLoop;
use visavis_film::idle;
use visavis_signaling::SignalingServer;

pub use self::error::ServeError;

use self::feed::{Feed, Opened};
use self::ready::Addresses;
use self::signals::{ReloadSignals, StopSignals};
use self::visitors::Visitors;
use crate::log;
use crate::memory::Tidy;
use crate::settings::{NamedFile, Settings};
use crate::source::SourceError;

/// How long a clean stop may take after a fault. The part that failed may keep it waiting for ever.
const STOP_AFTER_FAULT: Duration = Duration::from_secs(5);

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
///
/// When something cannot be opened or started, when the source fails, and when a loop of the engine ends.
pub fn run(settings: &Settings) -> Result<(), ServeError> {
    log::start(&settings.log)?;
    visavis::faults::install_panic_hook();
    let faults = OnceCell::new();
    let outcome = serve(settings, &faults);
    // A fatal fault comes first: it is the cause of the errors after it.
    match faults.get().and_then(|faults: &Arc<Faults>| faults.health().fatal) {
        Some(fault) => Err(fault.into()),
        None => outcome,
    }
}

fn serve(settings: &Settings, known: &OnceCell<Arc<Faults>>) -> Result<(), ServeError> {
    let stop_signals =
        StopSignals::install().map_err(|e| ServeError::System("handle signals", e))?;
    let reload_signals =
        ReloadSignals::install().map_err(|e| ServeError::System("handle signals", e))?;

    let source = Opened::open(settings)?;
    let info = source.info(settings);
    let idle = match &settings.idle {
        Some(path) => idle::open(path)?,
        None => IdleLoop::built_in(),
    };
    let mut idle_loops = BTreeMap::new();
    for NamedFile { name, path } in &settings.idle_loops {
        idle_loops.insert(name.clone(), idle::open(path)?);
    }

    let engine = Engine::start(config::engine_config(settings)).map_err(ServeError::of_engine)?;
    let faults = Arc::clone(engine.handle().faults());
    log::count_in(&faults);
    let _ = known.set(Arc::clone(&faults));
    let (fatal_in, fatal) = bounded(1);
    faults.on_fatal(move |fault| {
        let _ = fatal_in.try_send(fault.clone());
    });
    let session =
        engine.create_session(config::session_config(settings, info.as_ref(), idle.clone()))?;
    let mut config = config::signaling_config(settings, idle);
    config.api.idle_loops = idle_loops;
    if settings.per_visitor {
        config.api.hooks = Some(Arc::new(Visitors::new(settings.clone(), engine.handle())));
    }
    let signaling = SignalingServer::start(config, engine.handle())
        .map_err(|error| ServeError::of_signaling(error, settings.listen))?;
    reload_signals
        .call(signaling.certificate_reloader())
        .map_err(|e| ServeError::System("wait for signals", e))?;

    session.start();
    let (failed, failure) = bounded(1);
    // With a face for each visitor the one that all share stays idle.
    let feed = match settings.per_visitor {
        true => None,
        false => Some(source.start(settings, &session, &engine.handle(), failed.clone())?),
    };
    // Only a source on a thread of ours can fail, and then the channel closes. It stays open for the others.
    let _open = match &feed {
        Some(Feed::Source(_) | Feed::Echo(_)) => None,
        Some(Feed::Rtp(_)) | None => Some(failed),
    };

    let addresses = Addresses::new(signaling.local_addr(), engine.udp_addrs(), feed.as_ref());
    // Whoever started it may have closed stdout; the page is served all the same.
    if let Err(error) = ready::print(settings, info.as_ref(), &addresses) {
        tracing::warn!(%error, "cannot write the ready line to stdout");
    }
    let outcome = wait(&stop_signals.asked, &failure, &fatal);
    if let Err(error) = &outcome {
        exit_after(STOP_AFTER_FAULT, error.exit_code());
    }

    // From the outside inwards: no new viewers, no new media, then the viewers who are here are disconnected.
    tracing::info!("stopping");
    signaling.stop();
    drop(feed);
    session.stop();
    engine.stop();
    outcome
}

/// Waits for a signal, or for the source to fail; meanwhile gives memory back that is free.
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

/// Ends the process after this time, if the clean stop has not ended it before.
fn exit_after(limit: Duration, code: u8) {
    let exit = move || {
        std::thread::sleep(limit);
        log::flush();
        std::process::exit(code.into());
    };
    if let Err(error) = std::thread::Builder::new().name("visavis-end".to_owned()).spawn(exit) {
        tracing::warn!(%error, "no thread for the time limit of the stop");
    }
}
