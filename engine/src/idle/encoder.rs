//! The thread that encodes idle loops, so that nobody has to wait for it.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::{io, iter, thread};

use crossbeam_channel::{Receiver, Sender, TryRecvError, unbounded};

use visavis_codec::Encoders;
use visavis_types::{I420Buffer, VideoCodec};

use super::idle_loop::IdleLoop;
use super::rendition::{IdleFormat, IdleRendition, Making};
use crate::faults::{FaultDomain, Faults};
use crate::scheduling::give_way;

/// Loops that are encoded by turns, group by group: who wants a short one does not wait for the end of a
/// long one. Each has its decoder and encoder open.
const AT_ONCE: usize = 4;

/// Where idle loops are brought to be encoded. One for the whole engine; its thread ends with the last
/// clone.
#[derive(Debug, Clone)]
pub(crate) struct IdleEncoder {
    /// Holds what is asked for once for each loop and format: as much as the application makes.
    jobs: Sender<Job>,
    encoders: Encoders,
}

/// A loop that is to be encoded, if somebody still wants it when its turn has come.
#[derive(Debug)]
struct Job {
    idle: IdleLoop,
    rendition: Weak<IdleRendition>,
}

impl IdleEncoder {
    pub(crate) fn open(encoders: Encoders, faults: Arc<Faults>) -> io::Result<Self> {
        let (jobs, waiting) = unbounded();
        let list = encoders.clone();
        let run = move || {
            give_way();
            faults.run_loop(FaultDomain::IdleLoop, || {
                work(&waiting, &list, &faults);
                Ok(())
            });
        };
        thread::Builder::new().name("visavis-idle".to_owned()).spawn(run)?;
        Ok(Self { jobs, encoders })
    }

    /// Whether idle loops can be encoded with a codec.
    pub(crate) fn can_encode(&self, codec: VideoCodec) -> bool {
        self.encoders.offer(codec).is_ok()
    }

    /// A loop encoded so: made before, being made, or made from now on. It is freed, or not made to its
    /// end, when nobody has it any more.
    pub(crate) fn rendition(&self, idle: &IdleLoop, format: IdleFormat) -> Arc<IdleRendition> {
        let (rendition, is_new) = idle.rendition(format);
        let job = || Job { idle: idle.clone(), rendition: Arc::downgrade(&rendition) };
        if is_new && self.jobs.send(job()).is_err() {
            tracing::error!("the thread that encodes idle loops has ended");
        }
        rendition
    }
}

/// A loop that is being encoded.
struct Task {
    idle: IdleLoop,
    making: Making,
    /// Faults there were before it.
    faults_before: u64,
    /// It is there in place of another that failed.
    is_substitute: bool,
}

fn work(waiting: &Receiver<Job>, encoders: &Encoders, faults: &Arc<Faults>) {
    let mut tasks: VecDeque<Task> = VecDeque::new();
    loop {
        while tasks.len() < AT_ONCE {
            let job = match tasks.is_empty() {
                true => waiting.recv().map_err(|_| TryRecvError::Disconnected),
                false => waiting.try_recv(),
            };
            match job {
                Ok(Job { idle, rendition }) => {
                    #[cfg(debug_assertions)]
                    faults.panic_if_planted(FaultDomain::IdleLoop);
                    // Nobody has shown anything of it yet: it goes first.
                    if let Some(rendition) = rendition.upgrade() {
                        tasks.push_front(Task::new(idle, rendition, encoders, faults));
                    }
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return,
            }
        }
        if let Some(task) = tasks.pop_front()
            && let Some(task) = task.turn(encoders, faults)
        {
            tasks.push_back(task);
        }
    }
}

impl Task {
    fn new(
        idle: IdleLoop,
        rendition: Arc<IdleRendition>,
        encoders: &Encoders,
        faults: &Arc<Faults>,
    ) -> Self {
        let faults_before = faults.total(FaultDomain::Idle);
        let making = Making::new(rendition, encoders.clone(), pictures(&idle, faults));
        Self { idle, making, faults_before, is_substitute: false }
    }

    /// Encodes a group; gives back what goes on with the next one. Where the loop's pictures fail it ends
    /// with what there was of them; where there was nothing, or the encoder fails, the built-in face is shown.
    fn turn(mut self, encoders: &Encoders, faults: &Arc<Faults>) -> Option<Self> {
        let Self { idle, making, .. } = &mut self;
        if faults.guard(FaultDomain::Idle, idle, || making.group()) == Some(true) {
            return Some(self);
        }
        let rendition = Arc::clone(self.making.rendition());
        let failed = faults.total(FaultDomain::Idle) > self.faults_before;
        let is_substitute = self.is_substitute;
        let Self { idle, making, .. } = self;
        faults.drop_guarded(&idle, making);
        if failed && rendition.len() == 0 && !is_substitute {
            tracing::warn!(%idle, "the built-in face is shown instead");
            let substitute = Self::new(IdleLoop::built_in(), rendition, encoders, faults);
            return Some(Self { is_substitute: true, ..substitute });
        }
        rendition.complete();
        None
    }
}

/// The loop's pictures, which may be made by the application.
fn pictures(
    idle: &IdleLoop,
    faults: &Arc<Faults>,
) -> impl Iterator<Item = I420Buffer> + Send + use<> {
    let (idle, faults) = (idle.clone(), Arc::clone(faults));
    let mut pictures = faults.guard(FaultDomain::Idle, &idle, || idle.frames());
    iter::from_fn(move || {
        let next = faults.guard(FaultDomain::Idle, &idle, || pictures.as_mut()?.next());
        if next.is_none() {
            // It has failed: it is not asked again.
            faults.drop_guarded(&idle, pictures.take());
        }
        next.flatten()
    })
}
