use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, TryRecvError};

use super::source::AudioSource;
use crate::faults::{FaultDomain, Faults};

/// How long the loop rests where a session's sound has failed: what has failed may fail again, at once and for
/// ever. The others' sound is not late for that.
const FAULT_PAUSE: Duration = Duration::from_millis(2);

/// How long viewers' microphones are decoded before it is looked whether sound is due.
const MICROPHONE_SLICE: Duration = Duration::from_millis(2);

/// The thread that paces and encodes the sound of all sessions.
pub(crate) struct AudioLoop {
    commands: Receiver<AudioCommand>,
    sources: Vec<AudioSource>,
    /// Whose microphones come first in the next slice.
    turn: usize,
    faults: Arc<Faults>,
}

pub(crate) enum AudioCommand {
    Add(Box<AudioSource>),
    Stop,
}

impl AudioLoop {
    pub(crate) fn new(commands: Receiver<AudioCommand>, faults: Arc<Faults>) -> Self {
        Self { commands, sources: Vec::new(), turn: 0, faults }
    }

    /// Runs until it is stopped, or nobody is left to stop it.
    pub(crate) fn run(mut self) {
        while self.take_commands() {
            self.close_stopped();
            let Self { sources, faults, .. } = &mut self;
            #[cfg(debug_assertions)]
            faults.panic_if_planted(FaultDomain::AudioLoop);
            let mut rest = Duration::ZERO;
            for source in sources.iter_mut() {
                let turn = faults.attempt(FaultDomain::Audio, || {
                    source.run(Instant::now(), &mut |event| faults.emit(event));
                });
                if let Err(why) = turn {
                    faults.report(FaultDomain::Audio, source.session(), &why);
                    rest = FAULT_PAUSE;
                }
            }
            if self.run_microphones() {
                // There is more of them, once what is due by now has been sent.
                continue;
            }
            let now = Instant::now();
            match self.sources.iter().filter_map(|source| source.deadline(now)).min() {
                Some(at) if at < now + rest => thread::park_timeout(rest),
                Some(at) => thread::park_timeout(at.saturating_duration_since(Instant::now())),
                None => thread::park(),
            }
        }
        let Self { sources, faults, .. } = &mut self;
        for mut source in sources.drain(..) {
            close(&mut source, faults);
        }
    }

    /// False when it is time to stop.
    fn take_commands(&mut self) -> bool {
        loop {
            match self.commands.try_recv() {
                Ok(AudioCommand::Add(source)) => self.sources.push(*source),
                Ok(AudioCommand::Stop) | Err(TryRecvError::Disconnected) => return false,
                Err(TryRecvError::Empty) => return true,
            }
        }
    }

    fn close_stopped(&mut self) {
        let Self { sources, faults, .. } = self;
        sources.retain_mut(|source| {
            let over = source.is_over();
            if over {
                close(source, faults);
            }
            !over
        });
    }

    /// Takes in microphones, for a slice of time; true where there is more. Whoever sends too much comes after the
    /// others.
    fn run_microphones(&mut self) -> bool {
        let Self { sources, turn, faults, .. } = self;
        let until = Instant::now() + MICROPHONE_SLICE;
        let count = sources.len();
        for step in 0..count {
            let index = (*turn + step) % count;
            let Some(source) = sources.get_mut(index) else { continue };
            let now = Instant::now();
            let more = faults.attempt(FaultDomain::Audio, || {
                source.run_microphones(now, until, &mut |event| faults.emit(event))
            });
            match more {
                Ok(true) => {
                    *turn = index + 1;
                    return true;
                }
                Ok(false) => {}
                Err(why) => faults.report(FaultDomain::Audio, source.session(), &why),
            }
        }
        false
    }
}

fn close(source: &mut AudioSource, faults: &Faults) {
    let closed =
        faults.attempt(FaultDomain::Audio, || source.close(&mut |event| faults.emit(event)));
    if let Err(why) = closed {
        faults.report(FaultDomain::Audio, source.session(), &why);
    }
}
