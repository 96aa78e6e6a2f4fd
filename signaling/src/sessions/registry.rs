//! The sessions that were made over HTTP, and when they end.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, Sender, unbounded};
use visavis::faults::{FaultDomain, Faults};
use visavis::session::{SessionError, SessionId};
use visavis::{EngineHandle, Session, SessionConfig};

use super::api::SessionApi;
use super::hooks::{EndReason, SessionHooks};
use super::request::CreateRequest;
use super::settings::{Life, Settings};

/// A visitor's session is kept for so long after its visitor has gone: a network that failed may come back.
const VISITOR_TIMEOUT_SECONDS: u64 = 30;

/// A session that was made over HTTP.
#[derive(Debug)]
pub(crate) struct Managed {
    session: Arc<Session>,
    pub(crate) settings: Settings,
    pub(crate) created: SystemTime,
    expires: Option<Instant>,
    idle_timeout: Option<Duration>,
    /// Since when it has no viewers, as far as known.
    unwatched_since: Option<Instant>,
    /// Its entry in the order of deadlines.
    due: Option<Instant>,
}

/// Why a session could not be created. The texts are sentences for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CreateError {
    /// The request cannot be met by any session.
    Invalid(String),
    /// There are as many sessions as there may be.
    Full(usize),
    /// There is a session of this id.
    Exists(String),
    /// The application's hook has no use for it.
    Refused(String),
    /// The engine or this server stops.
    Stopped(String),
    /// It failed, and it is not the client's fault.
    Failed(String),
}

/// Called, on another thread, with what came of a request for a session; see [`Registry::on_created`].
type OnCreated = Box<dyn FnOnce(Created) + Send>;

/// Called, on another thread, when a session has ended.
type OnEnded = Box<dyn FnOnce() + Send>;

/// A session that is being made.
struct Making {
    config: SessionConfig,
    life: Life,
    request: CreateRequest,
    on_created: OnCreated,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Created {
    settings: Settings,
    life: Life,
    outcome: Result<Arc<Session>, CreateError>,
}

/// A session that is to end.
struct Ending {
    session: Arc<Session>,
    reason: EndReason,
    on_ended: Option<OnEnded>,
}

/// Belongs to the loop. Making and ending sessions, and the application's hooks, take time, so they
/// have a thread each.
#[derive(Debug)]
pub(crate) struct Registry {
    api: SessionApi,
    sessions: BTreeMap<SessionId, Managed>,
    deadlines: BTreeSet<(Instant, SessionId)>,
    /// Sessions that are being made: they count.
    pending: usize,
    threads: Option<Threads>,
}

#[derive(Debug)]
struct Threads {
    making: Sender<Making>,
    ending: Sender<Ending>,
    joins: [JoinHandle<()>; 2],
}

impl Registry {
    pub(crate) fn start(api: SessionApi, engine: &EngineHandle) -> io::Result<Self> {
        let threads = match api.manage || api.per_visitor {
            true => Some(Threads::start(&api, engine)?),
            false => None,
        };
        Ok(Self { api, sessions: BTreeMap::new(), deadlines: BTreeSet::new(), pending: 0, threads })
    }

    pub(crate) fn get(&self, id: &SessionId) -> Option<&Managed> {
        self.sessions.get(id)
    }

    /// Has a session made. Pass what `on_created` is called with, later and on another thread, to
    /// [`on_created`](Self::on_created).
    pub(crate) fn create(
        &mut self,
        request: CreateRequest,
        engine: &EngineHandle,
        on_created: impl FnOnce(Created) + Send + 'static,
    ) -> Result<(), CreateError> {
        // Two peer ids are 128 random bits: not guessable.
        let fresh_id = || format!("{}{}", engine.new_peer_id(), engine.new_peer_id());
        let (config, life) = request
            .resolve(&self.api, engine.encoders(), fresh_id)
            .map_err(CreateError::Invalid)?;
        if self.sessions.len() + self.pending >= self.api.max_sessions {
            self.forget_those_that_ended(engine);
        }
        let most = self.api.max_sessions;
        if self.sessions.len() + self.pending >= most {
            return Err(CreateError::Full(most));
        }
        let making = Making { config, life, request, on_created: Box::new(on_created) };
        let threads = self.threads.as_ref();
        if threads.is_none_or(|threads| threads.making.send(making).is_err()) {
            return Err(CreateError::Stopped("no more sessions can be created".to_owned()));
        }
        self.pending += 1;
        Ok(())
    }

    /// Has a session made for one visitor.
    pub(crate) fn create_for_visitor(
        &mut self,
        engine: &EngineHandle,
        on_created: impl FnOnce(Created) + Send + 'static,
    ) -> Result<(), CreateError> {
        let request = CreateRequest {
            private: Some(true),
            for_visitor: true,
            idle_timeout_seconds: Some(VISITOR_TIMEOUT_SECONDS),
            ..CreateRequest::default()
        };
        self.create(request, engine, on_created)
    }

    /// Takes in what was made: the session's id, or why there is none.
    pub(crate) fn on_created(
        &mut self,
        created: Created,
        now: Instant,
    ) -> Result<SessionId, CreateError> {
        self.pending = self.pending.saturating_sub(1);
        let Created { settings, life, outcome } = created;
        outcome.map(|session| {
            let id = session.id().clone();
            let managed = Managed {
                session,
                settings,
                created: SystemTime::now(),
                expires: life.lifetime.and_then(|time| now.checked_add(time)),
                idle_timeout: life.idle_timeout,
                unwatched_since: Some(now),
                due: None,
            };
            // The application has stopped the session with this id, and the registry did not notice yet.
            self.forget(&id);
            self.sessions.insert(id.clone(), managed);
            self.schedule(&id, now);
            id
        })
    }

    /// Ends a session that was made over HTTP. `on_ended` is called on another thread when it has ended.
    pub(crate) fn delete(&mut self, id: &SessionId, on_ended: impl FnOnce() + Send + 'static) {
        if let Some(managed) = self.forget(id) {
            self.end(managed.session, EndReason::Deleted, Some(Box::new(on_ended)));
        }
    }

    /// A viewer of a session has left.
    pub(crate) fn on_left(&mut self, id: &SessionId, now: Instant) {
        if let Some(managed) = self.sessions.get_mut(id)
            && managed.idle_timeout.is_some()
            && managed.session.status().peer_count == 0
        {
            managed.unwatched_since = Some(now);
            self.schedule(id, now);
        }
    }

    /// When [`on_deadline`](Self::on_deadline) wants to be called.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|&(at, _)| at)
    }

    /// Ends the sessions whose time is over.
    pub(crate) fn on_deadline(&mut self, now: Instant) {
        while let Some((at, id)) = self.deadlines.first().cloned() {
            if at > now {
                return;
            }
            match self.sessions.get_mut(&id).and_then(|managed| managed.over(now)) {
                Some(reason) => {
                    if let Some(managed) = self.forget(&id) {
                        self.end(managed.session, reason, None);
                    }
                }
                None => {
                    self.deadlines.remove(&(at, id.clone()));
                    self.schedule(&id, now);
                }
            }
        }
    }

    /// Takes out what an application has stopped by itself.
    pub(crate) fn forget_those_that_ended(&mut self, engine: &EngineHandle) {
        let ended: Vec<_> =
            self.sessions.keys().filter(|id| !engine.has_session(id)).cloned().collect();
        for id in ended {
            self.forget(&id);
        }
    }

    /// Ends every session, and returns when they have ended.
    pub(crate) fn stop(&mut self) {
        self.deadlines.clear();
        for (_, managed) in std::mem::take(&mut self.sessions) {
            self.end(managed.session, EndReason::ServerStopped, None);
        }
        let Some(Threads { making, ending, joins }) = self.threads.take() else { return };
        drop((making, ending));
        for join in joins {
            if join.join().is_err() {
                tracing::error!("a thread of the session API panicked");
            }
        }
    }

    fn end(&self, session: Arc<Session>, reason: EndReason, on_ended: Option<OnEnded>) {
        tracing::info!(session = %session.id(), reason = reason.as_str(), "a session ends");
        if let Some(threads) = &self.threads {
            // The thread lives as long as its sender.
            let _ = threads.ending.send(Ending { session, reason, on_ended });
        }
    }

    fn forget(&mut self, id: &SessionId) -> Option<Managed> {
        let managed = self.sessions.remove(id)?;
        if let Some(due) = managed.due {
            self.deadlines.remove(&(due, id.clone()));
        }
        Some(managed)
    }

    /// Updates the deadline of a session.
    fn schedule(&mut self, id: &SessionId, now: Instant) {
        let Some(managed) = self.sessions.get_mut(id) else { return };
        // With viewers it is checked now and then, in case the event that they left was lost.
        let unwatched = managed
            .idle_timeout
            .and_then(|timeout| managed.unwatched_since.unwrap_or(now).checked_add(timeout));
        let due = managed.expires.into_iter().chain(unwatched).min();
        if let Some(old) = std::mem::replace(&mut managed.due, due) {
            self.deadlines.remove(&(old, id.clone()));
        }
        if let Some(due) = due {
            self.deadlines.insert((due, id.clone()));
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Managed {
    /// When its lifetime is over, as a clock on the wall has it.
    pub(crate) fn expires_at(&self) -> Option<SystemTime> {
        let left = self.expires?.saturating_duration_since(Instant::now());
        SystemTime::now().checked_add(left)
    }

    /// Whether it ends, and why.
    fn over(&mut self, now: Instant) -> Option<EndReason> {
        if self.expires.is_some_and(|at| at <= now) {
            return Some(EndReason::Expired);
        }
        let timeout = self.idle_timeout?;
        if self.session.status().peer_count > 0 {
            self.unwatched_since = None;
            return None;
        }
        let since = *self.unwatched_since.get_or_insert(now);
        (now.saturating_duration_since(since) >= timeout).then_some(EndReason::Unwatched)
    }
}

impl Threads {
    fn start(api: &SessionApi, engine: &EngineHandle) -> io::Result<Self> {
        let (making, to_make) = unbounded();
        let (ending, to_end) = unbounded();
        let hooks = api.hooks.clone();
        let engine = engine.clone();
        let faults = Arc::clone(engine.faults());
        let make = move || make_all(&to_make, &engine, hooks.as_deref());
        let hooks = api.hooks.clone();
        let end = move || end_all(&to_end, hooks.as_deref(), &faults);
        let joins = [
            thread::Builder::new().name("visavis-make".to_owned()).spawn(make)?,
            thread::Builder::new().name("visavis-end".to_owned()).spawn(end)?,
        ];
        Ok(Self { making, ending, joins })
    }
}

fn make_all(to_make: &Receiver<Making>, engine: &EngineHandle, hooks: Option<&dyn SessionHooks>) {
    for Making { config, life, request, on_created } in to_make {
        let settings = Settings::new(&config, life);
        let whose = format_args!("the making of session {}", config.id).to_string();
        let made = engine
            .faults()
            .guard(FaultDomain::Command, &whose, || make(engine, config, hooks, &request));
        let failed = || Err(CreateError::Failed("the session could not be created".to_owned()));
        on_created(Created { settings, life, outcome: made.unwrap_or_else(failed) });
    }
}

fn make(
    engine: &EngineHandle,
    config: SessionConfig,
    hooks: Option<&dyn SessionHooks>,
    request: &CreateRequest,
) -> Result<Arc<Session>, CreateError> {
    let session = Arc::new(engine.create_session(config).map_err(|error| {
        let detail = error.to_string();
        match error {
            SessionError::Exists(_) => CreateError::Exists(detail),
            SessionError::Stopped => CreateError::Stopped(detail),
            SessionError::AudioEncoder | SessionError::Io(_) => CreateError::Failed(detail),
            // The others are of settings that are out of range.
            _ => CreateError::Invalid(detail),
        }
    })?);
    if let Some(hooks) = hooks {
        let whose = format_args!("the hook for session {}", session.id()).to_string();
        let said = engine
            .faults()
            .guard(FaultDomain::Callback, &whose, || hooks.created(&session, request));
        let refusal = match said {
            Some(Ok(())) => None,
            Some(Err(refusal)) => Some(CreateError::Refused(refusal)),
            None => Some(CreateError::Failed("the application failed".to_owned())),
        };
        if let Some(refusal) = refusal {
            session.stop();
            return Err(refusal);
        }
    }
    session.start();
    tracing::info!(session = %session.id(), "a session was made over HTTP");
    Ok(session)
}

fn end_all(to_end: &Receiver<Ending>, hooks: Option<&dyn SessionHooks>, faults: &Faults) {
    for Ending { session, reason, on_ended } in to_end {
        let whose = format_args!("the end of session {}", session.id()).to_string();
        faults.guard(FaultDomain::Command, &whose, || session.stop());
        if let Some(hooks) = hooks {
            let whose = format_args!("the hook for session {}", session.id()).to_string();
            faults.guard(FaultDomain::Callback, &whose, || hooks.ended(session.id(), reason));
        }
        if let Some(on_ended) = on_ended {
            on_ended();
        }
    }
}
