//! What a bug may cost: a peer, a session, or the whole, and never more than its own domain.
//!
//! Whatever parses what came from outside, works for one peer or one session, or calls the application runs
//! inside [`Faults::guard`]: a panic in there is caught, counted, and logged once with whose it was. A loop
//! that serves everybody and ends all the same ends the engine ([`Faults::run_loop`]), and those who asked for
//! it are notified ([`Faults::on_fatal`]): a process that lives and serves nobody helps nobody. Both are events as well
//! ([`Event::Fault`], [`Event::EngineFailed`]).
//!
//! ```no_run
//! use visavis::{Engine, EngineConfig};
//!
//! let engine = Engine::start(EngineConfig::default())?;
//! let handle = engine.handle();
//! handle.faults().on_fatal(|fault| {
//!     eprintln!("{fault}");
//!     std::process::exit(70); // EX_SOFTWARE: whoever supervises the process starts it anew.
//! });
//! assert!(handle.health().is_ready());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::{BTreeMap, HashSet};
use std::fmt::{self, Display};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use visavis_types::catch_panic;
pub use visavis_types::install_panic_hook;

use crate::event::{Event, Subscriber};
pub use crate::fault_domain::FaultDomain;
use crate::subscribers::Subscribers;

/// Faults that are logged one by one; further ones are only counted, so that the log does not fill up.
const MAX_LOGGED: usize = 1_000;

/// A loop that everybody needs has ended: the engine has stopped, and cannot go on.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the {domain} has ended by a fault: {cause}")]
#[non_exhaustive]
pub struct FatalFault {
    /// Which loop.
    pub domain: FaultDomain,
    /// What ended it.
    #[source]
    pub cause: FaultCause,
}

/// What ended a loop.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum FaultCause {
    /// The system refused something that the loop cannot do without.
    #[error(transparent)]
    Io(Arc<io::Error>),
    /// A bug: it panicked.
    #[error("{message}")]
    Panic {
        /// The panic's own message and, after [`install_panic_hook`], where it was.
        message: Arc<str>,
    },
}

/// Whether the engine can serve visitors.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Health {
    /// What is wrong now and keeps visitors from being served, a sentence each. Empty: all is well.
    pub wrong: Vec<String>,
    /// The loop that has ended, where one has. The process should end, with a code that is not 0.
    pub fatal: Option<FatalFault>,
}

impl Health {
    /// Whether visitors can be sent here.
    pub fn is_ready(&self) -> bool {
        self.wrong.is_empty() && self.fatal.is_none()
    }
}

/// Whose the faults of subscribers are.
const SUBSCRIBER: &str = "a subscriber to events";

/// The faults of one engine and of what runs beside it, and those who are told of its events: what they do with one is
/// guarded. While there is no fault, only an event locks anything in here, for a moment.
#[derive(Default)]
pub struct Faults {
    subscribers: Subscribers,
    counts: [AtomicU64; FaultDomain::ALL.len()],
    is_fatal: AtomicBool,
    state: Mutex<State>,
    #[cfg(debug_assertions)]
    planted: [AtomicU64; FaultDomain::ALL.len()],
    #[cfg(debug_assertions)]
    refuses_thread: AtomicBool,
}

#[derive(Default)]
struct State {
    logged: HashSet<(FaultDomain, String)>,
    wrong: BTreeMap<&'static str, String>,
    fatal: Option<FatalFault>,
    on_fatal: Vec<OnFatal>,
}

type OnFatal = Box<dyn FnOnce(&FatalFault) + Send>;

impl Faults {
    /// Runs something of `domain`; `whose` names the peer or session. `None` where it panicked: that is
    /// counted, and logged once.
    ///
    /// What `run` borrows must be usable, or thrown away, after a panic in the middle of it.
    pub fn guard<T>(
        &self,
        domain: FaultDomain,
        whose: &dyn Display,
        run: impl FnOnce() -> T,
    ) -> Option<T> {
        self.attempt(domain, run).map_err(|why| self.report(domain, whose, &why)).ok()
    }

    /// As [`guard`](Self::guard), but the message of a panic is returned: to be [reported](Self::report) by
    /// whoever knows only then whose it was.
    pub(crate) fn attempt<T>(
        &self,
        domain: FaultDomain,
        run: impl FnOnce() -> T,
    ) -> Result<T, String> {
        // Without this the name is of no use in a release build.
        let _ = domain;
        catch_panic(|| {
            #[cfg(debug_assertions)]
            self.panic_if_planted(domain);
            run()
        })
    }

    /// Drops what belongs to the application, whose destructors may panic as well.
    pub(crate) fn drop_guarded<T>(&self, whose: &dyn Display, value: T) {
        self.guard(FaultDomain::Callback, whose, || drop(value));
    }

    /// Runs a loop that everybody needs. Where it panics, or returns an error, the engine has stopped:
    /// those who gave a callback to [`on_fatal`](Self::on_fatal) are notified.
    pub fn run_loop(&self, domain: FaultDomain, run: impl FnOnce() -> io::Result<()>) {
        let cause = match catch_panic(run) {
            Ok(Ok(())) => return,
            Ok(Err(error)) => FaultCause::Io(Arc::new(error)),
            Err(message) => FaultCause::Panic { message: message.into() },
        };
        self.log(domain, "the process", &cause.to_string());
        let fault = FatalFault { domain, cause };
        let (watchers, subscribers) = {
            let mut state = self.state();
            state.fatal.get_or_insert_with(|| fault.clone());
            self.is_fatal.store(true, Relaxed);
            (std::mem::take(&mut state.on_fatal), self.subscribers.all())
        };
        tracing::error!(%fault, "the engine has stopped; end the process, and start it anew");
        self.emit_fault(&failed(&fault), subscribers);
        for watcher in watchers {
            self.guard(FaultDomain::Callback, &"on_fatal", || watcher(&fault));
        }
    }

    /// Has `callback` called when a loop that everybody needs has ended by a fault, on that loop's thread; at
    /// once, on this one, where that has happened already. An application ends its process then, with a code
    /// that is not 0 (the `visavis` command: 70, `EX_SOFTWARE`), so that whoever supervises it starts it anew.
    pub fn on_fatal(&self, callback: impl FnOnce(&FatalFault) + Send + 'static) {
        let mut state = self.state();
        match state.fatal.clone() {
            None => state.on_fatal.push(Box::new(callback)),
            Some(fault) => {
                drop(state);
                callback(&fault);
            }
        }
    }

    /// Counts a fault that was caught elsewhere, and logs it once.
    pub fn report(&self, domain: FaultDomain, whose: &dyn Display, why: &str) {
        let whose = whose.to_string();
        if self.log(domain, &whose, why) {
            let event = Event::Fault { domain, whose: whose.into(), why: why.into() };
            self.emit_fault(&event, self.subscribers.all());
        }
    }

    /// Counts a fault, and logs it where none of its domain was for this owner; whether it did.
    fn log(&self, domain: FaultDomain, whose: &str, why: &str) -> bool {
        self.count(domain);
        let mut state = self.state();
        if state.logged.len() >= MAX_LOGGED || !state.logged.insert((domain, whose.to_owned())) {
            return false;
        }
        let last = state.logged.len() == MAX_LOGGED;
        drop(state);
        tracing::error!(%domain, %whose, why, "a fault, caught; more of its kind are only counted");
        if last {
            tracing::error!("so many faults that further ones are only counted");
        }
        true
    }

    /// From now on somebody is told of what happens; of a fatal fault also where it was before.
    pub(crate) fn subscribe(&self, subscriber: &Subscriber) {
        let (left, fatal) = {
            // At once, so that a fatal fault is told once.
            let state = self.state();
            (self.subscribers.add(subscriber), state.fatal.as_ref().map(failed))
        };
        self.drop_guarded(&SUBSCRIBER, left);
        if let Some(event) = fatal {
            self.send_fault(subscriber, &event);
        }
    }

    /// The engine has stopped: no more events will come.
    pub(crate) fn close(&self) {
        self.drop_guarded(&SUBSCRIBER, self.subscribers.close());
    }

    /// Gives an event to everybody who wants it, and forgets those whose receiver is gone.
    pub(crate) fn emit(&self, event: &Event) {
        let all = self.subscribers.all();
        let mut anybody_left = false;
        for subscriber in all.iter() {
            let sent = self.guard(FaultDomain::Callback, &SUBSCRIBER, || subscriber.send(event));
            anybody_left |= sent == Some(false);
        }
        if anybody_left {
            self.drop_guarded(&SUBSCRIBER, self.subscribers.forget_departed());
        }
        self.drop_guarded(&SUBSCRIBER, all);
    }

    fn emit_fault(&self, event: &Event, subscribers: Arc<[Subscriber]>) {
        subscribers.iter().for_each(|subscriber| self.send_fault(subscriber, event));
        self.drop_guarded(&SUBSCRIBER, subscribers);
    }

    fn send_fault(&self, subscriber: &Subscriber, event: &Event) {
        // Not reported, which would be told to the same subscriber.
        if self.attempt(FaultDomain::Callback, || subscriber.send(event)).is_err() {
            self.count(FaultDomain::Callback);
        }
    }

    /// Counts a fault without logging it.
    pub fn count(&self, domain: FaultDomain) {
        self.counts[domain as usize].fetch_add(1, Relaxed);
    }

    /// Faults of a domain so far.
    pub fn total(&self, domain: FaultDomain) -> u64 {
        self.counts[domain as usize].load(Relaxed)
    }

    /// Sets what keeps visitors from being served, or, with `None`, that it does so no more. `what` names
    /// it; a later sentence for the same takes the place of the one before. True where that has changed.
    pub fn set_wrong(&self, what: &'static str, sentence: Option<String>) -> bool {
        let mut state = self.state();
        let before = match &sentence {
            Some(sentence) => state.wrong.insert(what, sentence.clone()),
            None => state.wrong.remove(what),
        };
        before != sentence
    }

    /// What is wrong now.
    pub fn health(&self) -> Health {
        let state = self.state();
        Health { wrong: state.wrong.values().cloned().collect(), fatal: state.fatal.clone() }
    }

    /// Whether a loop that everybody needs has ended.
    pub fn is_fatal(&self) -> bool {
        self.is_fatal.load(Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(fault: &FatalFault) -> Event {
    Event::EngineFailed { domain: fault.domain, why: fault.cause.to_string().into() }
}

/// Faults on purpose, for tests. Release builds have none of this.
#[cfg(debug_assertions)]
impl Faults {
    /// Has the next guard of this domain panic, so many times.
    #[doc(hidden)]
    pub fn plant(&self, domain: FaultDomain, times: u64) {
        self.planted[domain as usize].store(times, Relaxed);
    }

    /// Has the system refuse the next thread that a session wants.
    #[doc(hidden)]
    pub fn refuse_thread(&self) {
        self.refuses_thread.store(true, Relaxed);
    }

    pub(crate) fn is_thread_refused(&self) -> bool {
        self.refuses_thread.swap(false, Relaxed)
    }

    /// Takes a fault that is planted in a domain whose guard is elsewhere.
    pub(crate) fn take_planted(&self, domain: FaultDomain) -> bool {
        let planted = &self.planted[domain as usize];
        // A plain load first: nothing is planted but in tests.
        planted.load(Relaxed) > 0
            && planted.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    /// Faults planted by the environment: `VISAVIS_PLANT_FAULT=media-loop`.
    pub(crate) fn plant_from_environment(&self) {
        let named = std::env::var("VISAVIS_PLANT_FAULT").unwrap_or_default();
        let domain = FaultDomain::ALL.into_iter().find(|domain| domain.as_str() == named);
        if let Some(domain) = domain {
            self.plant(domain, 1);
        }
    }

    /// Where a loop lets itself be ended by a planted fault.
    ///
    /// # Panics
    ///
    /// A fault was planted for `domain`.
    #[expect(clippy::panic, reason = "that is what it is for, and release builds do not have it")]
    pub fn panic_if_planted(&self, domain: FaultDomain) {
        if self.take_planted(domain) {
            panic!("a fault on purpose in {domain}");
        }
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = FaultDomain::ALL.into_iter().map(|domain| (domain, self.total(domain)));
        f.debug_map().entries(counted.filter(|(_, count)| *count > 0)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_caught_and_counted_in_its_domain() {
        let faults = Faults::default();
        assert_eq!(faults.guard(FaultDomain::Offer, &"a", || 7), Some(7));
        for _ in 0..3 {
            let outcome: Option<()> =
                faults.guard(FaultDomain::Offer, &"a", || panic!("{}", "as it were"));
            assert_eq!(outcome, None);
        }
        assert_eq!(faults.total(FaultDomain::Offer), 3);
        assert_eq!(faults.total(FaultDomain::Peer), 0);
        assert!(faults.health().is_ready(), "what is caught keeps nobody from being served");
    }

    #[test]
    fn a_panic_whose_payload_panics_when_it_is_dropped_is_caught_as_well() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("and again");
            }
        }
        let faults = Faults::default();
        let outcome: Option<()> =
            faults.guard(FaultDomain::Callback, &"a", || std::panic::panic_any(Bomb));
        assert_eq!((outcome, faults.total(FaultDomain::Callback)), (None, 1));
        faults.drop_guarded(&"a", Bomb);
        assert_eq!(faults.total(FaultDomain::Callback), 2);
    }

    #[test]
    fn a_loop_that_ends_by_a_fault_is_fatal_and_each_is_notified_once() {
        let faults = Faults::default();
        faults.run_loop(FaultDomain::AudioLoop, || Ok(()));
        assert!(faults.health().is_ready(), "it was stopped");
        let calls = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&calls);
        faults.on_fatal(|_| panic!("an application with a bug"));
        faults.on_fatal(move |fault| {
            assert_eq!(fault.domain, FaultDomain::MediaLoop);
            count.fetch_add(1, Relaxed);
        });
        faults.run_loop(FaultDomain::MediaLoop, || panic!("oh"));
        faults.run_loop(FaultDomain::AudioLoop, || Err(io::ErrorKind::Other.into()));
        assert_eq!(calls.load(Relaxed), 1);
        let health = faults.health();
        assert!(!health.is_ready());
        let fatal = health.fatal.unwrap();
        assert_eq!(fatal.domain, FaultDomain::MediaLoop);
        assert!(matches!(&fatal.cause, FaultCause::Panic { message } if message.starts_with("oh")));
        let late = Arc::new(AtomicBool::new(false));
        let called = Arc::clone(&late);
        faults.on_fatal(move |_| called.store(true, Relaxed));
        assert!(late.load(Relaxed), "who asks late is called at once");
    }

    #[test]
    fn what_the_system_refused_a_loop_is_its_cause() {
        let faults = Faults::default();
        let refused = || Err(io::Error::from_raw_os_error(24));
        faults.run_loop(FaultDomain::SignalingLoop, refused);
        let fatal = faults.health().fatal.unwrap();
        let FaultCause::Io(error) = &fatal.cause else { panic!("{fatal:?}") };
        assert_eq!(error.raw_os_error(), Some(24));
        let text = fatal.to_string();
        assert!(text.starts_with("the signaling-loop has ended by a fault: "), "{text}");
        assert!(text.contains(&error.to_string()), "{text}");
    }

    #[test]
    fn what_is_wrong_is_wrong_until_it_is_mended() {
        let faults = Faults::default();
        let sentence = || Some("no address".to_owned());
        assert!(faults.set_wrong("addresses", sentence()));
        assert!(!faults.set_wrong("addresses", sentence()), "nothing has changed");
        assert_eq!(faults.health().wrong, ["no address"]);
        assert!(faults.set_wrong("addresses", None));
        assert!(!faults.set_wrong("addresses", None));
        assert!(faults.health().is_ready());
    }

    #[test]
    fn words_are_stable_and_unique() {
        let words: HashSet<&str> = FaultDomain::ALL.iter().map(|domain| domain.as_str()).collect();
        assert_eq!(words.len(), FaultDomain::ALL.len());
        for (index, domain) in FaultDomain::ALL.into_iter().enumerate() {
            assert_eq!(domain as usize, index);
        }
    }
}
