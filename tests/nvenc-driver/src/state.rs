//! All that the driver knows: one state, since it is one library.

use std::collections::BTreeMap;
use std::env;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use crate::session::{Handle, Session};

pub(crate) struct State {
    values: BTreeMap<String, i64>,
    failures: BTreeMap<String, Failure>,
    pub(crate) violations: Vec<String>,
    pub(crate) sessions: BTreeMap<Handle, Session>,
    /// Memory of the "GPU", by address.
    pub(crate) allocations: BTreeMap<u64, Box<[u8]>>,
    next: Handle,
}

/// The next calls of a function fail.
#[derive(Debug, Clone, Copy)]
struct Failure {
    skip: u32,
    times: u32,
    status: u32,
}

static STATE: LazyLock<Mutex<State>> = LazyLock::new(|| Mutex::new(State::new()));

pub(crate) fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn new() -> Self {
        let defaults = [
            ("version", 12 * 16 + 1),
            ("devices", 1),
            ("encoder", 1),
            ("h264", 1),
            ("sessions_max", 64),
            ("min_width", 146),
            ("min_height", 50),
            ("ltr", 8),
            ("layers", 4),
        ];
        let mut state = Self {
            values: defaults.map(|(key, value)| (key.to_owned(), value)).into(),
            failures: BTreeMap::new(),
            violations: Vec::new(),
            sessions: BTreeMap::new(),
            allocations: BTreeMap::new(),
            next: 0x1000,
        };
        state.read_environment(&env::var("NVENC_STANDIN").unwrap_or_default());
        state
    }

    fn read_environment(&mut self, text: &str) {
        for item in text.split(',').filter(|item| !item.is_empty()) {
            if let Some((key, value)) = item.split_once('=')
                && let Ok(value) = value.parse()
            {
                self.set(key, value);
                continue;
            }
            let fields: Vec<&str> = item.split(':').collect();
            let number = |at: usize| fields.get(at).and_then(|text| text.parse().ok());
            match (fields.first(), fields.get(1), number(2), number(3), number(4)) {
                (Some(&"fail"), Some(name), Some(skip), Some(times), Some(status)) => {
                    self.fail(name, skip, times, status);
                }
                _ => self.violation(format!("NVENC_STANDIN: \"{item}\" cannot be read")),
            }
        }
    }

    pub(crate) fn get(&self, key: &str) -> i64 {
        self.values.get(key).copied().unwrap_or(0)
    }

    pub(crate) fn set(&mut self, key: &str, value: i64) {
        self.values.insert(key.to_owned(), value);
    }

    pub(crate) fn count(&mut self, key: &str, by: i64) {
        let value = self.get(key) + by;
        self.set(key, value);
    }

    pub(crate) fn fail(&mut self, function: &str, skip: u32, times: u32, status: u32) {
        self.failures.insert(function.to_owned(), Failure { skip, times, status });
    }

    /// What a function is to answer this time, where it is to fail.
    pub(crate) fn failure(&mut self, function: &str) -> Option<u32> {
        let failure = self.failures.get_mut(function)?;
        if failure.skip > 0 {
            failure.skip -= 1;
            return None;
        }
        failure.times = failure.times.checked_sub(1)?;
        Some(failure.status)
    }

    /// Notes what NVIDIA's documentation forbids.
    pub(crate) fn violation(&mut self, what: impl Into<String>) {
        if self.violations.len() < 1_000 {
            self.violations.push(what.into());
        }
    }

    pub(crate) fn handle(&mut self) -> Handle {
        self.next += 0x10;
        self.next
    }
}
