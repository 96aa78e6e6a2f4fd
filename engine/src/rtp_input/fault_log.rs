//! Says what is wrong with a stream, once.

use std::time::{Duration, Instant};

use visavis_core::rtp::receive::RtpFault;

/// The same fault is logged again only after so long: one that comes and goes does not fill the log.
const LOG_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// What is wrong with a stream now, and what was logged of it.
#[derive(Debug)]
pub(super) struct FaultLog {
    stream: &'static str,
    current: Option<RtpFault>,
    logged: Option<(RtpFault, Instant)>,
}

impl FaultLog {
    pub(super) fn new(stream: &'static str) -> Self {
        Self { stream, current: None, logged: None }
    }

    pub(super) fn current(&self) -> Option<RtpFault> {
        self.current
    }

    /// Sets what is wrong now, and logs a change.
    pub(super) fn set(&mut self, fault: Option<RtpFault>, now: Instant) {
        if self.current == fault {
            return;
        }
        self.current = fault;
        let Some(fault) = fault else {
            tracing::info!(stream = self.stream, "received RTP is of use again");
            return;
        };
        let was_logged = self.logged.is_some_and(|(before, at)| {
            before == fault && now.saturating_duration_since(at) < LOG_AGAIN_AFTER
        });
        if !was_logged {
            self.logged = Some((fault, now));
            tracing::warn!(stream = self.stream, code = fault.as_str(), "received RTP: {fault}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_that_comes_and_goes_is_logged_now_and_then() {
        let (mut fault_log, start) = (FaultLog::new("video"), Instant::now());
        let mut logged = Vec::new();
        for half in 0..60 {
            let now = start + Duration::from_millis(500) * half;
            fault_log.set((half % 2 == 0).then_some(RtpFault::NoKeyframe), now);
            assert_eq!(fault_log.current().is_some(), half % 2 == 0);
            logged.extend(fault_log.logged.map(|(_, at)| at).filter(|&at| at == now));
        }
        assert_eq!(logged.len(), 3, "in half a minute");
        fault_log.set(Some(RtpFault::Reordered), start);
        assert_eq!(fault_log.logged.map(|(fault, _)| fault), Some(RtpFault::Reordered));
    }
}
