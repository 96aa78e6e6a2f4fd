//! What the threads of a session and its callers share: one struct for each concern. Who needs one is given that,
//! and the half it holds shows whether it writes or reads. Atomics, queues and snapshots: no thread of the engine
//! ever waits for anything in here.

pub(crate) mod capture_clock;
pub(crate) mod counters;
pub(crate) mod demand;
pub(crate) mod encoders_in_use;
pub(crate) mod interest;
pub(crate) mod lifecycle;
pub(crate) mod liveness;
pub(crate) mod loop_reports;
pub(crate) mod status_source;
pub(crate) mod threads;
