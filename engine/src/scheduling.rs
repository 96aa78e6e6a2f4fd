//! Where, and how urgently, the threads that keep time run.

use rustix::process::{getpriority_process, setpriority_process};
use thread_priority::unix::{
    RealtimeThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};
use thread_priority::{ThreadPriority, ThreadPriorityValue};
use visavis_types::setters;

/// Wishes to the system's scheduler. None is needed; on a machine that does other work too, they keep
/// that from delaying media. A wish that is not granted is logged, and everything runs without it.
///
/// For each field there is a method of the same name that sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Scheduling {
    /// The processor core the media loop stays on, counted from 0; further media loops take those after
    /// it. Leave it out where the core is not kept free of other work: a thread that may not move waits
    /// behind whatever is there. Default: `None`.
    pub media_core: Option<usize>,
    /// Whether the media and audio loops run with real-time priority (`SCHED_FIFO`), before everything
    /// that has none. Needs `CAP_SYS_NICE`, or a limit on `RLIMIT_RTPRIO`. Default: `false`.
    pub realtime: bool,
}

/// The lowest real-time priority will do: all ordinary threads have to give way to it, and what the
/// kernel runs in threads of its own goes first.
const REALTIME_PRIORITY: u8 = 1;

/// By how much the nice value of threads that encode pictures is greater than that of the others: they get a third of
/// the share. A picture that is late is the next one soon; sound that is late is a hole. More would leave them too
/// little beside a renderer on the same processors.
const ENCODER_NICENESS: i32 = 5;

/// The greatest nice value.
const MAX_NICENESS: i32 = 19;

/// To be called on a thread that encodes or decodes pictures: those that keep time go first. Needs no privilege.
pub(crate) fn give_way() {
    // On Linux this is the calling thread's own, whatever POSIX says of processes.
    let granted = getpriority_process(None)
        .and_then(|nice| setpriority_process(None, (nice + ENCODER_NICENESS).min(MAX_NICENESS)));
    if let Err(error) = granted {
        tracing::debug!(%error, "an encoder keeps the priority of the threads that keep time");
    }
}

impl Scheduling {
    setters! {
        into media_core: Option<usize>,
        realtime: bool,
    }

    /// To be called on a media loop's thread.
    pub(crate) fn apply_to_media(self, index: usize) {
        if let Some(id) = self.media_core.map(|first| first.saturating_add(index))
            && !core_affinity::set_for_current(core_affinity::CoreId { id })
        {
            tracing::warn!(core = id, "the media loop cannot be bound to this core");
        }
        self.apply_to_audio();
    }

    /// To be called on the audio loop's thread.
    pub(crate) fn apply_to_audio(self) {
        if !self.realtime {
            return;
        }
        let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
        let priority =
            ThreadPriorityValue::try_from(REALTIME_PRIORITY).map(ThreadPriority::Crossplatform);
        let granted = priority.map_err(|error| error.to_string()).and_then(|priority| {
            set_thread_priority_and_policy(thread_native_id(), priority, policy)
                .map_err(|error| error.to_string())
        });
        if let Err(error) = granted {
            tracing::warn!(%error, "no real-time priority for this thread (CAP_SYS_NICE gives it)");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoders_give_way_and_others_stay_as_they_were() {
        let before = getpriority_process(None).unwrap();
        let after = std::thread::spawn(|| {
            give_way();
            getpriority_process(None).unwrap()
        });
        assert_eq!(after.join().unwrap(), (before + ENCODER_NICENESS).min(MAX_NICENESS));
        assert_eq!(getpriority_process(None).unwrap(), before);
    }
}
