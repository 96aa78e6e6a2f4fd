//! The sessions that were made over HTTP, and when they end.
//!
//! Which sessions there are, the engine knows, and it alone. What is kept here of a session, beside the hold on it, is
//! what the engine does not know: who made it, with which request, and when it is to end. An application may stop a
//! session by itself, and make another of its id; what is kept of the one that was stopped counts no more from then on.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Weak};
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

/// What is kept of a session that was made over HTTP.
#[derive(Debug)]
pub(crate) struct Managed {
    session: Hold,
    pub(crate) settings: Settings,
    pub(crate) created: SystemTime,
    expires: Option<Instant>,
    idle_timeout: Option<Duration>,
    /// Since when it has no viewers, as far as known.
    unwatched_since: Option<Instant>,
    /// Its entry in the order of deadlines.
    due: Option<Instant>,
}

/// How a session is held.
#[derive(Debug)]
enum Hold {
    /// It lives until this is dropped, or it is stopped.
    Owned(Arc<Session>),
    /// A thread is about to end it.
    Ending(Weak<Session>),
}

impl Hold {
    /// Whether it is a session of the engine still. One that is stopped never comes back.
    fn is_there(&self) -> bool {
        match self {
            Self::Owned(session) => !session.is_stopped(),
            Self::Ending(session) => session.upgrade().is_some_and(|session| !session.is_stopped()),
        }
    }

    /// The session, where it is not to end yet.
    fn owned(&self) -> Option<&Session> {
        match self {
            Self::Owned(session) => {
                Some(session).filter(|session| !session.is_stopped()).map(|s| &**s)
            }
            Self::Ending(_) => None,
        }
    }
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
    /// None where it was to end before: somebody else waits for it too.
    reason: Option<EndReason>,
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

    /// What is kept of a session that is there.
    pub(crate) fn get(&self, id: &SessionId) -> Option<&Managed> {
        self.sessions.get(id).filter(|managed| managed.session.is_there())
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
        self.forget_those_that_ended();
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
                session: Hold::Owned(session),
                settings,
                created: SystemTime::now(),
                expires: life.lifetime.and_then(|time| now.checked_add(time)),
                idle_timeout: life.idle_timeout,
                unwatched_since: Some(now),
                due: None,
            };
            // What is kept of one of this id that was stopped.
            self.forget(&id);
            self.sessions.insert(id.clone(), managed);
            self.schedule(&id, now);
            id
        })
    }

    /// Ends a session that was made over HTTP. `on_ended` is called on another thread when it has ended.
    pub(crate) fn delete(&mut self, id: &SessionId, on_ended: impl FnOnce() + Send + 'static) {
        self.end(id, EndReason::Deleted, Some(Box::new(on_ended)));
    }

    /// A viewer of a session has left.
    pub(crate) fn on_left(&mut self, id: &SessionId, now: Instant) {
        let Some(managed) = self.sessions.get_mut(id) else { return };
        if !managed.session.is_there() {
            self.forget(id);
        } else if managed.idle_timeout.is_some()
            && managed.session.owned().is_some_and(|session| session.status().peer_count == 0)
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
            if self.get(&id).is_none() {
                self.forget(&id);
                self.deadlines.remove(&(at, id));
                continue;
            }
            match self.sessions.get_mut(&id).and_then(|managed| managed.over(now)) {
                Some(reason) => self.end(&id, reason, None),
                None => {
                    self.deadlines.remove(&(at, id.clone()));
                    self.schedule(&id, now);
                }
            }
        }
    }

    /// Forgets what is kept of sessions that are there no more.
    fn forget_those_that_ended(&mut self) {
        let ended = self.sessions.iter().filter(|(_, managed)| !managed.session.is_there());
        let ended: Vec<_> = ended.map(|(id, _)| id.clone()).collect();
        for id in ended {
            self.forget(&id);
        }
    }

    /// Ends every session, and returns when they have ended.
    pub(crate) fn stop(&mut self) {
        self.deadlines.clear();
        let all: Vec<_> = self.sessions.keys().cloned().collect();
        for id in all {
            self.end(&id, EndReason::ServerStopped, None);
        }
        self.sessions.clear();
        let Some(Threads { making, ending, joins }) = self.threads.take() else { return };
        drop((making, ending));
        for join in joins {
            if join.join().is_err() {
                tracing::error!("a thread of the session API panicked");
            }
        }
    }

    /// Has a session ended. It is kept here until it is the engine's no more.
    fn end(&mut self, id: &SessionId, reason: EndReason, on_ended: Option<OnEnded>) {
        let Some(managed) = self.sessions.get_mut(id) else { return };
        let ending = match &managed.session {
            Hold::Owned(session) => {
                tracing::info!(session = %id, reason = reason.as_str(), "a session ends");
                let (session, weak) = (Arc::clone(session), Arc::downgrade(session));
                managed.session = Hold::Ending(weak);
                Some((session, Some(reason)))
            }
            Hold::Ending(session) => session.upgrade().map(|session| (session, None)),
        };
        if let Some(due) = managed.due.take() {
            self.deadlines.remove(&(due, id.clone()));
        }
        match (ending, &self.threads) {
            (Some((session, reason)), Some(threads)) => {
                // The thread lives as long as its sender.
                let _ = threads.ending.send(Ending { session, reason, on_ended });
            }
            // It has ended meanwhile.
            _ => on_ended.into_iter().for_each(|on_ended| on_ended()),
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
        if managed.session.owned().is_none() {
            return;
        }
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
        if self.session.owned().is_some_and(|session| session.status().peer_count > 0) {
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
        if let (Some(hooks), Some(reason)) = (hooks, reason) {
            let whose = format_args!("the hook for session {}", session.id()).to_string();
            faults.guard(FaultDomain::Callback, &whose, || hooks.ended(session.id(), reason));
        }
        if let Some(on_ended) = on_ended {
            on_ended();
        }
    }
}
