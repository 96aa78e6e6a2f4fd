//! The sessions that were made over HTTP, and when they end.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, Sender, unbounded};
use http::StatusCode;
use visavis::{EngineHandle, FaultDomain, Faults, Session, SessionConfig, SessionError, SessionId};

use super::request::Life;
use super::{CreateRequest, EndReason, SessionApi, SessionHooks, Settings};
use crate::error::ErrorCode;
use crate::http::Response;
use crate::mailbox::{Answerer, Mailbox, Post, Ticket};

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
    /// Since when nobody watches, as far as is known.
    unwatched_since: Option<Instant>,
    /// Its entry in the order of deadlines.
    due: Option<Instant>,
}

/// A session that is being made.
struct Making {
    ticket: Ticket,
    config: SessionConfig,
    life: Life,
    request: CreateRequest,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Created {
    ticket: Ticket,
    settings: Settings,
    life: Life,
    outcome: Result<Arc<Session>, Response>,
}

/// A session that is to end, and who wants to know.
struct Ending {
    session: Arc<Session>,
    reason: EndReason,
    answerer: Option<Answerer>,
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
    pub(crate) fn start(
        api: SessionApi,
        engine: &EngineHandle,
        mailbox: &Mailbox,
    ) -> io::Result<Self> {
        let threads = match api.manage || api.per_visitor {
            true => Some(Threads::start(&api, engine, mailbox)?),
            false => None,
        };
        Ok(Self { api, sessions: BTreeMap::new(), deadlines: BTreeSet::new(), pending: 0, threads })
    }

    /// Whether clients may make, list and end sessions.
    pub(crate) fn is_managed(&self) -> bool {
        self.api.manage
    }

    pub(crate) fn get(&self, id: &SessionId) -> Option<&Managed> {
        self.sessions.get(id)
    }

    /// Has a session made. The request is answered when [`Post::Created`] has come.
    pub(crate) fn create(
        &mut self,
        request: CreateRequest,
        ticket: Ticket,
        engine: &EngineHandle,
    ) -> Result<(), Response> {
        // Two ids of peers are 128 bits that nobody can guess.
        let fresh_id = || format!("{}{}", engine.new_peer_id(), engine.new_peer_id());
        let (config, life) = request
            .resolve(&self.api, engine.encoders(), fresh_id)
            .map_err(|detail| Response::problem(ErrorCode::BadValue, detail))?;
        if self.sessions.len() + self.pending >= self.api.max_sessions {
            self.forget_those_that_ended(engine);
        }
        let most = self.api.max_sessions;
        if self.sessions.len() + self.pending >= most {
            let detail = format!("there are {most} sessions already");
            return Err(Response::problem(ErrorCode::Full, detail));
        }
        let making = Making { ticket, config, life, request };
        let threads = self.threads.as_ref();
        if threads.is_none_or(|threads| threads.making.send(making).is_err()) {
            return Err(Response::problem(ErrorCode::Stopped, "no session can be made any more"));
        }
        self.pending += 1;
        Ok(())
    }

    /// Has a session made for one visitor; false where there is no room for another.
    pub(crate) fn create_for_visitor(&mut self, ticket: Ticket, engine: &EngineHandle) -> bool {
        let request = CreateRequest {
            private: Some(true),
            for_visitor: true,
            idle_timeout_seconds: Some(VISITOR_TIMEOUT_SECONDS),
            ..CreateRequest::default()
        };
        let refused = self.create(request, ticket, engine).err();
        if let Some(response) = &refused {
            tracing::info!(?response, "no session for a visitor");
        }
        refused.is_none()
    }

    /// Takes in what was made: the session's id, or the answer that says why there is none.
    pub(crate) fn on_created(
        &mut self,
        created: Created,
        now: Instant,
    ) -> (Ticket, Result<SessionId, Response>) {
        self.pending = self.pending.saturating_sub(1);
        let Created { ticket, settings, life, outcome } = created;
        let taken_in = outcome.map(|session| {
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
            // One of this name that the application has stopped, and nobody has noticed.
            self.forget(&id);
            self.sessions.insert(id.clone(), managed);
            self.schedule(&id, now);
            id
        });
        (ticket, taken_in)
    }

    /// Ends a session, and says so when it has ended; the answerer comes back where there is none.
    pub(crate) fn delete(&mut self, id: &SessionId, answerer: Answerer) -> Result<(), Answerer> {
        match self.forget(id) {
            Some(managed) => {
                self.end(managed.session, EndReason::Deleted, Some(answerer));
                Ok(())
            }
            None => Err(answerer),
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

    fn end(&self, session: Arc<Session>, reason: EndReason, answerer: Option<Answerer>) {
        tracing::info!(session = %session.id(), reason = reason.as_str(), "a session ends");
        if let Some(threads) = &self.threads {
            // The thread lives as long as its sender.
            let _ = threads.ending.send(Ending { session, reason, answerer });
        }
    }

    fn forget(&mut self, id: &SessionId) -> Option<Managed> {
        let managed = self.sessions.remove(id)?;
        if let Some(due) = managed.due {
            self.deadlines.remove(&(due, id.clone()));
        }
        Some(managed)
    }

    /// Puts a session into the order of deadlines anew.
    fn schedule(&mut self, id: &SessionId, now: Instant) {
        let Some(managed) = self.sessions.get_mut(id) else { return };
        // Where somebody watches it is looked at now and then, should the word that they left be lost.
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
    fn start(api: &SessionApi, engine: &EngineHandle, mailbox: &Mailbox) -> io::Result<Self> {
        let (making, to_make) = unbounded();
        let (ending, to_end) = unbounded();
        let hooks = api.hooks.clone();
        let (engine, mailbox) = (engine.clone(), mailbox.clone());
        let faults = Arc::clone(engine.faults());
        let make = move || make_all(&to_make, &engine, hooks.as_deref(), &mailbox);
        let hooks = api.hooks.clone();
        let end = move || end_all(&to_end, hooks.as_deref(), &faults);
        let joins = [
            thread::Builder::new().name("visavis-make".to_owned()).spawn(make)?,
            thread::Builder::new().name("visavis-end".to_owned()).spawn(end)?,
        ];
        Ok(Self { making, ending, joins })
    }
}

fn make_all(
    to_make: &Receiver<Making>,
    engine: &EngineHandle,
    hooks: Option<&dyn SessionHooks>,
    mailbox: &Mailbox,
) {
    for Making { ticket, config, life, request } in to_make {
        let settings = Settings::new(&config, life);
        let whose = format_args!("the making of session {}", config.id).to_string();
        let made = engine
            .faults()
            .guard(FaultDomain::Command, &whose, || make(engine, config, hooks, &request));
        let failed = || Err(Response::problem(ErrorCode::Internal, "the session cannot be made"));
        let outcome = made.unwrap_or_else(failed);
        let created = Created { ticket, settings, life, outcome };
        mailbox.post(Post::Created(Box::new(created)));
    }
}

fn make(
    engine: &EngineHandle,
    config: SessionConfig,
    hooks: Option<&dyn SessionHooks>,
    request: &CreateRequest,
) -> Result<Arc<Session>, Response> {
    let session = Arc::new(engine.create_session(config).map_err(|error| {
        let code = match error {
            SessionError::Exists(_) => ErrorCode::SessionExists,
            SessionError::Config(_) => ErrorCode::BadValue,
            SessionError::Stopped => ErrorCode::Stopped,
            _ => ErrorCode::Internal,
        };
        Response::problem(code, error.to_string())
    })?);
    if let Some(hooks) = hooks {
        let whose = format_args!("the hook for session {}", session.id()).to_string();
        let said = engine
            .faults()
            .guard(FaultDomain::Callback, &whose, || hooks.created(&session, request));
        let refusal = match said {
            Some(Ok(())) => None,
            Some(Err(refusal)) => Some(Response::problem(ErrorCode::Refused, refusal)),
            None => Some(Response::problem(ErrorCode::Internal, "the application failed")),
        };
        if let Some(response) = refusal {
            session.stop();
            return Err(response);
        }
    }
    session.start();
    tracing::info!(session = %session.id(), "a session was made over HTTP");
    Ok(session)
}

fn end_all(to_end: &Receiver<Ending>, hooks: Option<&dyn SessionHooks>, faults: &Faults) {
    for Ending { session, reason, answerer } in to_end {
        let whose = format_args!("the end of session {}", session.id()).to_string();
        faults.guard(FaultDomain::Command, &whose, || session.stop());
        if let Some(hooks) = hooks {
            let whose = format_args!("the hook for session {}", session.id()).to_string();
            faults.guard(FaultDomain::Callback, &whose, || hooks.ended(session.id(), reason));
        }
        if let Some(answerer) = answerer {
            answerer.answer(Response::new(StatusCode::NO_CONTENT));
        }
    }
}
