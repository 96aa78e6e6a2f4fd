use std::sync::{Arc, OnceLock};
use std::time::Instant;

use arc_swap::ArcSwap;

use super::counters::Counters;
use super::demand::Demand;
use super::encoders_in_use::EncodersInUse;
use super::lifecycle::Lifecycle;
use super::liveness::Liveness;
use super::loop_reports::LoopReports;
use crate::rtp_input::status::RtpInputStatus;
use crate::status::SessionStatus;

/// Where a session's status is read together. Reads only, but for the place where an
/// [`RtpInput`](crate::rtp_input::RtpInput) publishes its own.
#[derive(Debug)]
pub(crate) struct StatusSource {
    counters: Arc<Counters>,
    lifecycle: Arc<Lifecycle>,
    liveness: Arc<Liveness>,
    demand: Arc<Demand>,
    reports: Arc<LoopReports>,
    in_use: Arc<EncodersInUse>,
    /// Of the input that feeds the session, if one does.
    rtp_input: OnceLock<Arc<ArcSwap<RtpInputStatus>>>,
}

impl StatusSource {
    pub(crate) fn new(
        counters: Arc<Counters>,
        lifecycle: Arc<Lifecycle>,
        liveness: Arc<Liveness>,
        demand: Arc<Demand>,
        reports: Arc<LoopReports>,
        in_use: Arc<EncodersInUse>,
    ) -> Self {
        let rtp_input = OnceLock::new();
        Self { counters, lifecycle, liveness, demand, reports, in_use, rtp_input }
    }

    /// Where the thread that takes RTP for this session publishes what became of it.
    pub(crate) fn rtp_input(&self) -> Arc<ArcSwap<RtpInputStatus>> {
        Arc::clone(self.rtp_input.get_or_init(Arc::default))
    }

    pub(crate) fn status(&self) -> SessionStatus {
        let now = Instant::now();
        let is_live = self.liveness.is_live(now);
        SessionStatus {
            peer_count: self.reports.viewers(),
            metrics: self.counters.metrics(now, self.lifecycle.is_started(), is_live),
            stages: self.reports.stages(),
            encoders: self.demand.active_video().codecs().iter().collect(),
            video_encoders: self.in_use.list(),
            rtp_input: self.rtp_input.get().map(|status| **status.load()),
            // Known where viewers are listed.
            networks: None,
            rungs: Vec::new(),
        }
    }
}
