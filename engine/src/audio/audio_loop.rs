use std::thread;
use std::time::Instant;

use crossbeam_channel::{Receiver, TryRecvError};

use super::AudioSource;
use crate::event::{Subscriber, Subscribers};

/// The thread that paces and encodes the sound of all sessions.
pub(crate) struct AudioLoop {
    commands: Receiver<AudioCommand>,
    sources: Vec<AudioSource>,
    subscribers: Subscribers,
}

pub(crate) enum AudioCommand {
    Add(Box<AudioSource>),
    Subscribe(Subscriber),
    Stop,
}

impl AudioLoop {
    pub(crate) fn new(commands: Receiver<AudioCommand>) -> Self {
        Self { commands, sources: Vec::new(), subscribers: Subscribers::default() }
    }

    /// Runs until told to stop, or until nobody is left to tell.
    pub(crate) fn run(mut self) {
        loop {
            loop {
                match self.commands.try_recv() {
                    Ok(AudioCommand::Add(source)) => self.sources.push(*source),
                    Ok(AudioCommand::Subscribe(subscriber)) => self.subscribers.add(subscriber),
                    Ok(AudioCommand::Stop) | Err(TryRecvError::Disconnected) => return,
                    Err(TryRecvError::Empty) => break,
                }
            }
            self.sources.retain(|source| !source.is_over());
            let now = Instant::now();
            let Self { sources, subscribers, .. } = &mut self;
            for source in sources.iter_mut() {
                source.run(now, &mut |event| subscribers.tell(event));
            }
            match self.sources.iter().filter_map(|source| source.deadline(now)).min() {
                Some(at) => thread::park_timeout(at.saturating_duration_since(Instant::now())),
                None => thread::park(),
            }
        }
    }
}
