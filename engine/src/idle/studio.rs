//! The thread that encodes idle loops, so that nobody has to wait for it.

use std::io;
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Sender, unbounded};

use crate::scheduling::give_way;

use super::{IdleLoop, Reel, ReelFormat};

/// Where idle loops are brought to be encoded. One for the whole engine; its thread ends with the last
/// clone.
#[derive(Debug, Clone)]
pub(crate) struct Studio {
    /// Holds what is asked for once for each loop and format: as much as the application makes.
    jobs: Sender<(IdleLoop, Arc<Reel>)>,
}

impl Studio {
    pub(crate) fn open() -> io::Result<Self> {
        let (jobs, waiting) = unbounded::<(IdleLoop, Arc<Reel>)>();
        let work = move || {
            give_way();
            waiting.iter().for_each(|(idle, reel)| reel.make(idle.frames()));
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
