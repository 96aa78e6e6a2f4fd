//! The thread that encodes idle loops, so that nobody has to wait for it.

use std::convert::Infallible;
use std::sync::Arc;
use std::{io, iter, thread};

use crossbeam_channel::{Sender, unbounded};

use visavis_codec::I420Buffer;

use super::{IdleLoop, Reel, ReelFormat};
use crate::faults::{FaultDomain, Faults};
use crate::scheduling::give_way;

/// Where idle loops are brought to be encoded. One for the whole engine; its thread ends with the last
/// clone.
#[derive(Debug, Clone)]
pub(crate) struct Studio {
    /// Holds what is asked for once for each loop and format: as much as the application makes.
    jobs: Sender<(IdleLoop, Arc<Reel>)>,
}

impl Studio {
    pub(crate) fn open(faults: Arc<Faults>) -> io::Result<Self> {
        let (jobs, waiting) = unbounded::<(IdleLoop, Arc<Reel>)>();
        let work = move || {
            give_way();
            faults.run_loop(FaultDomain::IdleLoop, || {
                for (idle, reel) in &waiting {
                    #[cfg(debug_assertions)]
                    faults.panic_if_planted(FaultDomain::IdleLoop);
                    make(&idle, &reel, &faults);
                }
                Ok::<(), Infallible>(())
            });
        };
        thread::Builder::new().name("visavis-idle".to_owned()).spawn(work)?;
        Ok(Self { jobs })
    }

    /// A loop encoded so: made before, being made, or made from now on.
    pub(crate) fn reel(&self, idle: &IdleLoop, format: ReelFormat) -> Arc<Reel> {
        let (reel, is_new) = idle.reel(format);
        if is_new && self.jobs.send((idle.clone(), Arc::clone(&reel))).is_err() {
            tracing::error!("the thread that encodes idle loops has ended");
        }
        reel
    }
}

/// Encodes a loop. Where its pictures fail it ends with what there was of them; where there was nothing, or the
/// encoder fails, the built-in face is shown.
fn make(idle: &IdleLoop, reel: &Reel, faults: &Faults) {
    let before = faults.total(FaultDomain::Idle);
    faults.guard(FaultDomain::Idle, idle, || reel.make(pictures(idle, faults)));
    if faults.total(FaultDomain::Idle) > before && reel.len() == 0 {
        tracing::warn!(%idle, "the built-in face is shown instead");
        let built_in = IdleLoop::built_in();
        faults.guard(FaultDomain::Idle, &built_in, || reel.make(built_in.frames()));
    }
    reel.complete();
}

/// The loop's pictures, which may be made by the application.
fn pictures(idle: &IdleLoop, faults: &Faults) -> impl Iterator<Item = I420Buffer> {
    let mut pictures = faults.guard(FaultDomain::Idle, idle, || idle.frames());
    iter::from_fn(move || {
        let next = faults.guard(FaultDomain::Idle, idle, || pictures.as_mut()?.next());
        if next.is_none() {
            // It has failed: it is not asked again.
            faults.drop_guarded(idle, pictures.take());
        }
        next.flatten()
    })
}
