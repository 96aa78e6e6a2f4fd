//! When sound is sent: at its own rate, whatever the rate at which it is pushed.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use visavis_types::{MAX_SOUND_LEAD, PacketTime};

use super::block::{SAMPLE_RATE_HZ, max_samples, samples_duration};
use super::fade::{FADE_SAMPLES, Fader, fade};
use super::sound::{Sound, SoundQueue};

/// How long a packet that is due waits for sound that is late, before silence is sent in its place.
/// A caller that pushes in time with the sound is late by scheduling alone; a browser's jitter buffer
/// hides a wait of this length, but not a hole.
const LATENESS_ALLOWED: Duration = Duration::from_millis(40);

/// Silence sent before the stream is let go quiet: enough that the last sounds and whatever the decoder
/// remembers of them have faded.
const FADING: Duration = Duration::from_millis(200);

/// While it is quiet, one packet of silence in this time keeps the receiver's clock.
const QUIET_INTERVAL: Duration = Duration::from_millis(400);

/// A capture time this much before the moment of sending, or more than [`AHEAD_TOLERANCE`] after it,
/// belongs to sound pushed ahead of time: it is then taken to happen when it is sent.
const LIVE_TOLERANCE: Duration = Duration::from_millis(250);

/// [`MAX_SOUND_LEAD`], and what the stamps of pictures may be ahead: sound and picture of one moment are dated alike.
const AHEAD_TOLERANCE: Duration = MAX_SOUND_LEAD.saturating_mul(2);

/// Where nothing could be sent for so long (the machine slept), what is due is not sent all at once: RTP time jumps
/// as far as the clock did.
const MAX_CATCH_UP: Duration = Duration::from_millis(500);

/// Stamps are whole milliseconds, and resamplers hold back a little.
const STAMP_TOLERANCE: Duration = Duration::from_millis(5);

/// One packet's worth, to be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    /// RTP time of its first sample at 48 kHz, counted without wrapping.
    pub(crate) rtp_time: u64,
    /// When its first sample was captured.
    pub(crate) captured: Instant,
    /// Whether there is sound in it; if so the samples are in the buffer given to
    /// [`Pacer::poll`].
    pub(crate) sound: bool,
    /// Whether sound begins after a pause.
    pub(crate) talkspurt: bool,
}

/// Pairs a queue of samples with a clock. No thread, no clock of its own: time comes in.
#[derive(Debug)]
pub(crate) struct Pacer {
    queue: SoundQueue,
    /// On each channel, as everything counted in samples here.
    max_samples: usize,
    /// Index of the queue's first sample, counted over all time.
    head: u64,
    /// The first sample of each chunk.
    captures: VecDeque<Capture>,
    /// The chunk of this talkspurt that came soonest after its capture (or furthest before it).
    promptest: Option<Prompt>,
    state: State,
    /// RTP time and clock time of the end of the last packet.
    end: Option<(u64, Instant)>,
    /// The same of the beginning of the first packet of this talkspurt.
    talkspurt: Option<(u64, Instant)>,
    /// Samples of sound in it so far.
    played: u64,
    packet: PacketTime,
    /// How long it has been sending silence.
    silent: Duration,
    /// What there is is all: nothing late is waited for.
    ending: bool,
    /// How much silence was sent in place of late sound: so much sooner may sound follow.
    behind: Duration,
    fader: Fader,
}

/// What is known of a chunk's first sample.
#[derive(Debug, Clone, Copy)]
struct Capture {
    /// Its index, counted over all time.
    index: u64,
    captured: Instant,
    /// Its stamp follows the chunk before as its samples do. A caller that stamps a burst with the
    /// moment of pushing shows nothing about when the sound belongs.
    in_step: bool,
}

/// When a chunk was pushed, and when it had been captured.
#[derive(Debug, Clone, Copy)]
struct Prompt {
    pushed: Instant,
    captured: Instant,
}

impl Prompt {
    /// When sound captured then is pushed by a caller that is as prompt as this.
    fn pushes(&self, captured: Instant) -> Option<Instant> {
        if captured >= self.captured {
            Some(self.pushed + (captured - self.captured))
        } else {
            self.pushed.checked_sub(self.captured - captured)
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A packet every 20 ms; the next one at `due`.
    Playing { due: Instant },
    /// Nothing to play; the next packet of silence at `due`.
    Quiet { due: Option<Instant> },
}

/// What kind of packet is due.
#[derive(Debug, Clone, Copy)]
enum Due {
    /// Sound after a pause.
    Talkspurt,
    /// Less than a packet, after a pause.
    Scrap,
    /// More sound, at this moment.
    Sound(Instant),
    /// Sound was due at this moment, and there is not enough.
    Starved(Instant),
    /// One of those sent now and then in a pause.
    Silence(Instant),
}

impl Pacer {
    /// Makes packets of such a length, and keeps at most `max` of sound.
    pub(crate) fn new(max: Duration, packet: PacketTime) -> Self {
        Self {
            queue: SoundQueue::default(),
            max_samples: max_samples(max).max(packet.samples()),
            head: 0,
            captures: VecDeque::new(),
            promptest: None,
            state: State::Quiet { due: None },
            end: None,
            talkspurt: None,
            played: 0,
            packet,
            silent: Duration::ZERO,
            ending: false,
            behind: Duration::ZERO,
            fader: Fader::default(),
        }
    }

    /// Appends sound; returns how many of the oldest samples had to go for it.
    pub(crate) fn push(&mut self, sound: &Sound, captured: Instant, now: Instant) -> usize {
        self.ending = false;
        let index = self.head + self.queue.len() as u64;
        let in_step = self.captures.back().is_none_or(|last| {
            let follows = last.captured + samples_duration(index - last.index);
            captured + STAMP_TOLERANCE >= follows
        });
        self.captures.push_back(Capture { index, captured, in_step });
        if matches!(self.state, State::Quiet { .. }) && self.queue.is_empty() {
            self.promptest = None;
        }
        let prompt = self.promptest.and_then(|prompt| prompt.pushes(captured));
        if prompt.is_none_or(|at| now < at) {
            self.promptest = Some(Prompt { pushed: now, captured });
        }
        self.queue.push(&sound.samples, sound.stereo);
        let excess = self.queue.len().saturating_sub(self.max_samples);
        self.queue.skip(excess);
        self.head += excess as u64;
        excess
    }

    /// Whether there is, or was just now, something to play.
    pub(crate) fn is_playing(&self) -> bool {
        matches!(self.state, State::Playing { .. }) || !self.queue.is_empty()
    }

    /// When a packet may leave next: those of silence keep time too, and a receiver ties RTP time to capture
    /// times by how they were tied before.
    pub(crate) fn next_packet(&self, now: Instant) -> Instant {
        let State::Playing { due } = self.state else { return now };
        let (late, packet) = (now.saturating_duration_since(due), self.packet.duration());
        let packets = late.as_micros().div_ceil(packet.as_micros());
        due + packet * packets as u32
    }

    /// How far the sound that there is lasts beyond now, in µs, by the time that its samples have taken
    /// since the talkspurt began; less than nothing where it is late. `None` while nothing plays.
    pub(crate) fn lead(&self, now: Instant) -> Option<i64> {
        if !matches!(self.state, State::Playing { .. }) {
            return None;
        }
        let ((first, began), (end, _)) = (self.talkspurt?, self.end?);
        let until = began + samples_duration(end.saturating_sub(first) + self.queue.len() as u64);
        Some(match until.checked_duration_since(now) {
            Some(ahead) => ahead.as_micros() as i64,
            None => -(now.saturating_duration_since(until).as_micros() as i64),
        })
    }

    /// When [`poll`](Self::poll) next has something to do, if no sound comes before.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Playing { due } if self.queue.len() >= self.packet.samples() => {
                Some(self.caught_up(due))
            }
            State::Playing { due } => Some(due + self.lateness_allowed()),
            State::Quiet { due } => [due, self.scrap_due()].into_iter().flatten().min(),
        }
    }

    /// When less than a packet, pushed into the quiet, is filled up and sent: nothing has followed it.
    fn scrap_due(&self) -> Option<Instant> {
        let first = self.promptest.filter(|_| !self.queue.is_empty())?;
        Some(first.pushed + self.lateness_allowed())
    }

    /// How many samples wait after the packet that is due now; `None` where none is.
    pub(crate) fn left_after_next(&mut self, now: Instant) -> Option<usize> {
        let waiting = self.queue.len();
        Some(match self.due(now)? {
            Due::Silence(_) => waiting,
            Due::Talkspurt | Due::Scrap | Due::Sound(_) | Due::Starved(_) => {
                waiting.saturating_sub(self.packet.samples())
            }
        })
    }

    fn due(&mut self, now: Instant) -> Option<Due> {
        if let State::Playing { due } = self.state
            && now.saturating_duration_since(due) > MAX_CATCH_UP
        {
            self.state = State::Playing { due: now };
            self.behind = Duration::ZERO;
        }
        let full = self.queue.len() >= self.packet.samples();
        match self.state {
            State::Quiet { .. } if full => Some(Due::Talkspurt),
            State::Quiet { .. } if self.scrap_due().is_some_and(|due| due <= now) => {
                Some(Due::Scrap)
            }
            State::Quiet { due } => due.filter(|due| *due <= now).map(Due::Silence),
            State::Playing { due } if full => {
                let at = self.caught_up(due);
                (at <= now).then_some(Due::Sound(at))
            }
            State::Playing { due } => {
                (due + self.lateness_allowed() <= now).then_some(Due::Starved(due))
            }
        }
    }

    /// Gives the next packet if it is due; its sound replaces what is in `packet`.
    pub(crate) fn poll(&mut self, now: Instant, packet: &mut Sound) -> Option<Slot> {
        packet.begin(false);
        Some(match self.due(now)? {
            Due::Talkspurt => self.play(now, now, true, packet),
            Due::Scrap => {
                self.queue.push_silence(self.packet.samples().saturating_sub(self.queue.len()));
                self.play(now, now, true, packet)
            }
            Due::Silence(due) => {
                self.state = State::Quiet { due: Some(due + QUIET_INTERVAL) };
                self.silence(now)
            }
            Due::Sound(at) => {
                if let State::Playing { due } = self.state {
                    self.behind = self.behind.saturating_sub(due.saturating_duration_since(at));
                }
                self.play(at, now, false, packet)
            }
            Due::Starved(due) => self.starve(due, now, packet),
        })
    }

    /// Nothing more comes for now: what there is is followed by silence at once.
    pub(crate) fn end(&mut self) {
        self.ending = true;
    }

    /// Stops: what waits is dropped, but for its beginning, which fades out; `next` is what would have
    /// come after it.
    pub(crate) fn cut(&mut self, next: &Sound, now: Instant) {
        self.head += self.queue.len() as u64;
        self.queue.push(&next.samples, next.stereo);
        let faded = self.fade_out();
        if matches!(self.state, State::Playing { .. }) {
            self.push(&faded, now, now);
        }
        self.ending = true;
    }

    /// Lets other sound begin at once: what waits is dropped, but for its beginning, which fades out under the
    /// first of `sound`. Returns how many samples had to go.
    pub(crate) fn make_way(&mut self, sound: &mut Sound) -> usize {
        let dropped = self.queue.len();
        self.head += dropped as u64;
        self.fade_out().mix_into(sound);
        // Who pushed that was prompt or not; whoever comes now is another.
        self.promptest = None;
        dropped
    }

    /// Empties the queue; what it began with, fading out.
    fn fade_out(&mut self) -> Sound {
        let mut faded = Sound::default();
        self.queue.take(FADE_SAMPLES, &mut faded);
        fade(&mut faded);
        self.queue.clear();
        faded
    }

    /// Samples at 48 kHz that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// How much sound was sent since the talkspurt began; nothing where none plays.
    pub(crate) fn played(&self) -> Duration {
        match self.state {
            State::Playing { .. } => samples_duration(self.played),
            State::Quiet { .. } => Duration::ZERO,
        }
    }

    fn lateness_allowed(&self) -> Duration {
        if self.ending { Duration::ZERO } else { LATENESS_ALLOWED }
    }

    /// When the queue's first packet should go: at `due`, or sooner where silence sent in place of late
    /// sound has put that behind what the caller's stamps ask for. Without this every such silence
    /// would delay all sound after it; with it the receiver gets the sound a little early, and its
    /// jitter buffer plays it a little faster until it is in time again.
    fn caught_up(&self, due: Instant) -> Instant {
        let Some(first) = self.first_capture().filter(|first| first.in_step) else {
            return due;
        };
        let captured = first.captured + samples_duration(self.head.saturating_sub(first.index));
        let prompt = self.promptest.and_then(|prompt| prompt.pushes(captured));
        // No sooner than that silence allows: whatever the stamps are, sound stays at its rate.
        let soonest = due.checked_sub(self.behind).unwrap_or(due);
        prompt.map_or(due, |at| at.min(due).max(soonest))
    }

    /// The chunk to which the queue's first sample belongs.
    fn first_capture(&self) -> Option<&Capture> {
        self.captures.iter().take_while(|capture| capture.index <= self.head).last()
    }

    /// Sends a full packet of sound.
    fn play(&mut self, due: Instant, now: Instant, talkspurt: bool, packet: &mut Sound) -> Slot {
        let captured = self.capture_time(due, now);
        self.queue.take(self.packet.samples(), packet);
        self.fader.begin(packet, talkspurt);
        self.fader.follow(packet);
        self.head += self.packet.samples() as u64;
        self.played = self.packet.samples() as u64 + if talkspurt { 0 } else { self.played };
        self.silent = Duration::ZERO;
        if talkspurt {
            // The first chunk may have come later than those that follow: so much of that is made up for.
            self.behind = MAX_SOUND_LEAD;
        }
        self.state = State::Playing { due: due + self.packet.duration() };
        let slot = self.slot(due, captured);
        if talkspurt {
            self.talkspurt = Some((slot.rtp_time, due));
        }
        Slot { sound: true, talkspurt, ..slot }
    }

    /// Sound is late or at its end: what there is of it, filled up with silence, or silence alone.
    fn starve(&mut self, due: Instant, now: Instant, packet: &mut Sound) -> Slot {
        let captured = self.capture_time(due, now);
        let rest = self.queue.len();
        self.queue.take(rest, packet);
        self.fader.follow(packet);
        if !self.ending {
            self.fader.break_off(packet, self.packet.samples());
        }
        let given = rest << usize::from(packet.stereo);
        let faded = packet.samples.iter().skip(given).any(|&sample| sample != 0);
        packet.resize(self.packet.samples());
        self.head += rest as u64;
        self.played += rest as u64;
        self.silent += self.packet.duration();
        self.behind += self.packet.duration();
        let next = due + self.packet.duration();
        self.state = if self.silent >= FADING {
            State::Quiet { due: Some(next + QUIET_INTERVAL) }
        } else {
            State::Playing { due: next }
        };
        Slot { sound: rest > 0 || faded, ..self.slot(due, captured) }
    }

    fn silence(&mut self, now: Instant) -> Slot {
        self.slot(now, now)
    }

    /// Places a packet on the RTP clock: right after the last one, or after as much time as has passed.
    fn slot(&mut self, due: Instant, captured: Instant) -> Slot {
        let rtp_time = self.end.map_or(0, |(rtp_time, at)| {
            let gap = due.saturating_duration_since(at);
            rtp_time + (gap.as_micros() as u64 * u64::from(SAMPLE_RATE_HZ)).div_ceil(1_000_000)
        });
        let Self { packet, .. } = self;
        self.end = Some((rtp_time + packet.samples() as u64, due + packet.duration()));
        Slot { rtp_time, captured, sound: false, talkspurt: false }
    }

    /// When the queue's first sample was captured.
    fn capture_time(&mut self, due: Instant, now: Instant) -> Instant {
        while self.captures.get(1).is_some_and(|capture| capture.index <= self.head) {
            self.captures.pop_front();
        }
        let Some(&Capture { index, captured, .. }) = self.captures.front() else {
            return due;
        };
        let captured = captured + samples_duration(self.head.saturating_sub(index));
        // Measured against now: where sound keeps coming a little late, `due` falls behind.
        let live = captured <= now + AHEAD_TOLERANCE && captured + LIVE_TOLERANCE >= now;
        if live { captured } else { due }
    }
}

#[cfg(test)]
mod tests;
