use std::time::Duration;

use super::scenarios::Scenario;
use super::server_kind::ServerKind;

/// What to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// Of each scenario, from the first picture on.
    pub length: Duration,
    /// `H264` or `VP8`.
    pub codec: String,
    /// What to measure, in this order.
    pub scenarios: Vec<Scenario>,
    /// Whose pictures, in this order.
    pub servers: Vec<ServerKind>,
    /// The viewer has a session of its own, on visavis.
    pub private: bool,
    /// Draws losses.
    pub seed: u64,
}
