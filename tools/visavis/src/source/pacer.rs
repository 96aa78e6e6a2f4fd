//! Pushes a source's items into a session, each at its moment.
//!
//! Two threads: `visavis-source` makes items ahead of time and waits when enough are ready;
//! `visavis-pacer` sleeps until an item is due and pushes it. Deadlines are absolute (start plus the
//! item's own time), so that nothing drifts, and picture and sound are stamped on one clock: what
//! belongs together carries the same time.
//!
//! Sound is pushed [`SOUND_PUSH_LEAD`] before its time. Browsers show a picture on arrival, but delay sound in a jitter
//! buffer; sources that have their media ahead of time can compensate for that.

use std::collections::VecDeque;
use std::io;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use visavis::audio::{AudioChunk, AudioSink};
use visavis::units::UnixMillis;
use visavis::video::{VideoFrame, VideoSink};

use super::{Item, Picture, Pool, Sound, Source, SourceError};
use crate::timecode;

/// Items made ahead: about a tenth of a second of picture and sound.
const AHEAD: usize = 8;
/// How much earlier than its picture sound is pushed: about what Chromium's jitter buffer holds of it
/// on a quiet machine. Less than [`visavis::audio::MAX_SOUND_LEAD`] by more than a push may be off.
const SOUND_PUSH_LEAD: Duration = Duration::from_millis(45);
/// Pictures that wait for their time while sound goes ahead: the lead at 120 fps.
const HELD_PICTURES: usize = 8;
/// A source that is further behind than this is given a new start time instead of a race to catch up.
const HOPELESSLY_LATE: Duration = Duration::from_millis(250);

/// Where a pacer pushes to.
pub trait Sink: Send + 'static {
    /// Takes a picture.
    ///
    /// # Errors
    ///
    /// Why it cannot be used, for the log.
    fn picture(&mut self, picture: &VideoFrame<'_>) -> Result<(), String>;
    /// Takes a stretch of sound.
    ///
    /// # Errors
    ///
    /// Why it cannot be used, for the log.
    fn sound(&mut self, sound: &AudioChunk<'_>) -> Result<(), String>;
}

/// A session's two sinks.
pub struct SessionSink {
    /// Where pictures go.
    pub video: VideoSink,
    /// Where sound goes.
    pub audio: AudioSink,
}

impl Sink for SessionSink {
    fn picture(&mut self, picture: &VideoFrame<'_>) -> Result<(), String> {
        self.video.push(picture).map(drop).map_err(|e| e.to_string())
    }

    fn sound(&mut self, sound: &AudioChunk<'_>) -> Result<(), String> {
        self.audio.push(sound).map(drop).map_err(|e| e.to_string())
    }
}

/// A source being pushed. Dropping it stops both threads and waits for them.
pub struct Pacer {
    /// Dropped to stop the thread.
    stop: Option<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Pacer {
    /// Starts both threads. `failed` gets the reason if the source ends.
    ///
    /// # Errors
    ///
    /// The system refused a thread.
    pub fn start(
        source: Box<dyn Source>,
        sink: impl Sink,
        timecode: bool,
        failed: Sender<SourceError>,
    ) -> io::Result<Self> {
        let (stop, stopped) = bounded(0);
        let (ready, items) = bounded(AHEAD);
        let pool = Pool::new(AHEAD + HELD_PICTURES + 2);
        let mut pacer = Self { stop: Some(stop), threads: Vec::new() };
        let spawn = |name: &str| thread::Builder::new().name(name.to_owned());
        let maker = pool.clone();
        let make = move || make(source, &maker, &ready, &failed);
        pacer.threads.push(spawn("visavis-source").spawn(make)?);
        let beat = Beat { sink, pool, timecode, start: None, held: VecDeque::new() };
        pacer.threads.push(spawn("visavis-pacer").spawn(move || beat.run(&items, &stopped))?);
        Ok(pacer)
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        // The pacer sees its stop channel close and leaves; that closes the channel of items, on
        // which the source leaves.
        self.stop = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a media thread panicked");
            }
        }
    }
}

fn make(
    mut source: Box<dyn Source>,
    pool: &Pool,
    ready: &Sender<Item>,
    failed: &Sender<SourceError>,
) {
    loop {
        match source.next(pool) {
            Ok(item) => {
                if ready.send(item).is_err() {
                    return;
                }
            }
            Err(error) => {
                // Nobody waits for it any more when the program is on its way out.
                let _ = failed.send(error);
                return;
            }
        }
    }
}

/// The moment at which a source's time is zero, on both clocks.
#[derive(Clone, Copy)]
struct Start {
    instant: Instant,
    since_1970: Duration,
}

impl Start {
    fn now() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Whole milliseconds: then stamps of 20 ms pieces are exact.
        let whole = Duration::from_millis(since_1970.as_millis() as u64);
        Self { instant: Instant::now(), since_1970: whole }
    }

    fn stamp(&self, pts: Duration) -> UnixMillis {
        let rounded = self.since_1970 + pts + Duration::from_micros(500);
        UnixMillis(u64::try_from(rounded.as_millis()).unwrap_or(u64::MAX))
    }
}

struct Beat<S> {
    sink: S,
    pool: Pool,
    timecode: bool,
    start: Option<Start>,
    /// Pictures whose sound has gone ahead.
    held: VecDeque<Picture>,
}

/// The program ends.
struct Stopped;

impl<S: Sink> Beat<S> {
    fn run(mut self, items: &Receiver<Item>, stopped: &Receiver<()>) {
        for item in items {
            let ahead = match item {
                Item::Picture(picture) => {
                    self.held.push_back(picture);
                    // A source without sound in between: no more are held than the pool can spare.
                    match self.held.len() > HELD_PICTURES {
                        true => self.show_next(stopped),
                        false => Ok(()),
                    }
                }
                Item::Sound(sound) => self.play(&sound, stopped),
            };
            if ahead.is_err() {
                return;
            }
        }
        while !self.held.is_empty() {
            if self.show_next(stopped).is_err() {
                return;
            }
        }
    }

    /// Pushes a stretch of sound when its time has come, and before that the pictures due earlier.
    fn play(&mut self, sound: &Sound, stopped: &Receiver<()>) -> Result<(), Stopped> {
        while self.held.front().is_some_and(|picture| picture.pts + SOUND_PUSH_LEAD <= sound.pts) {
            self.show_next(stopped)?;
        }
        let start = self.wait_for(sound.pts, stopped)?;
        let pushed = self.sound(sound, start.stamp(sound.pts + SOUND_PUSH_LEAD));
        refused(pushed);
        Ok(())
    }

    /// Pushes the oldest held picture when its time has come.
    fn show_next(&mut self, stopped: &Receiver<()>) -> Result<(), Stopped> {
        let Some(picture) = self.held.pop_front() else { return Ok(()) };
        let shown_at = picture.pts + SOUND_PUSH_LEAD;
        let start = self.wait_for(shown_at, stopped)?;
        let pushed = self.picture(picture, start.stamp(shown_at));
        refused(pushed);
        Ok(())
    }

    /// Sleeps until a moment after the start; gives the start, which is moved where the source is
    /// hopelessly late.
    fn wait_for(&mut self, after: Duration, stopped: &Receiver<()>) -> Result<Start, Stopped> {
        let start = *self.start.get_or_insert_with(Start::now);
        match stopped.recv_deadline(start.instant + after) {
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) | Ok(()) => return Err(Stopped),
        }
        let late = (start.instant + after).elapsed();
        if late <= HOPELESSLY_LATE {
            return Ok(start);
        }
        tracing::warn!(late_ms = late.as_millis() as u64, "the source does not keep up");
        let (instant, since_1970) = (start.instant + late, start.since_1970 + late);
        Ok(*self.start.insert(Start { instant, since_1970 }))
    }

    fn picture(&mut self, mut picture: Picture, stamp: UnixMillis) -> Result<(), String> {
        let Picture { width, height, format, .. } = picture;
        if self.timecode {
            let at = timecode::Timecode::now();
            timecode::paint(at, &mut picture.data, width, height, format)
                .map_err(|e| e.to_string())?;
        }
        let frame = VideoFrame::new(&picture.data, width, height).format(format).timestamp(stamp);
        let pushed = self.sink.picture(&frame);
        self.pool.give(picture.data);
        pushed
    }

    fn sound(&mut self, sound: &Sound, timestamp: UnixMillis) -> Result<(), String> {
        let data: Vec<u8> = sound.samples.iter().flat_map(|s| s.to_le_bytes()).collect();
        self.sink.sound(&AudioChunk::new(&data, sound.rate_hz, sound.channels).timestamp(timestamp))
    }
}

fn refused(pushed: Result<(), String>) {
    if let Err(reason) = pushed {
        tracing::warn!(reason, "the session refused a push");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceInfo;
    use visavis::video::PixelFormat;

    /// A picture and a piece of sound at each multiple of 20 ms, then the end.
    struct Metronome {
        info: SourceInfo,
        beat: u32,
        ends_after: u32,
    }

    impl Metronome {
        fn boxed(ends_after: u32) -> Box<dyn Source> {
            let label = String::from("metronome");
            let info = SourceInfo { label, width: 384, height: 32, fps: 50.0, sound: true };
            Box::new(Self { info, beat: 0, ends_after })
        }
    }

    impl Source for Metronome {
        fn info(&self) -> &SourceInfo {
            &self.info
        }

        fn next(&mut self, pool: &Pool) -> Result<Item, SourceError> {
            if self.beat == self.ends_after {
                return Err(SourceError::Other("over".to_owned()));
            }
            let pts = Duration::from_millis(20) * (self.beat / 2);
            self.beat += 1;
            Ok(if self.beat % 2 == 1 {
                let data = pool.take(384 * 32 * 4);
                let format = PixelFormat::Rgba;
                Item::Picture(Picture { pts, width: 384, height: 32, format, data })
            } else {
                Item::Sound(Sound { pts, rate_hz: 8_000, channels: 1, samples: vec![0; 160] })
            })
        }
    }

    /// Whether it is a picture, its stamp, and when it was pushed.
    struct Notes(Sender<(bool, u64, u64)>);

    impl Sink for Notes {
        fn picture(&mut self, picture: &VideoFrame<'_>) -> Result<(), String> {
            picture.validate().map_err(|e| e.to_string())?;
            self.0.send((true, picture.timestamp.0, UnixMillis::now().0)).map_err(|e| e.to_string())
        }

        fn sound(&mut self, sound: &AudioChunk<'_>) -> Result<(), String> {
            sound.validate().map_err(|e| e.to_string())?;
            self.0.send((false, sound.timestamp.0, UnixMillis::now().0)).map_err(|e| e.to_string())
        }
    }

    #[test]
    fn picture_and_sound_of_one_moment_carry_one_stamp_and_never_come_early() {
        let (noted, notes) = bounded(64);
        let (failed, failure) = bounded(1);
        let pacer = Pacer::start(Metronome::boxed(20), Notes(noted), true, failed).unwrap();
        assert!(failure.recv().is_ok());
        let notes: Vec<_> = notes.iter().collect();
        let of_kind = |kind| notes.iter().filter(move |(picture, ..)| *picture == kind);
        let stamps = |kind| of_kind(kind).map(|(_, stamp, _)| *stamp).collect::<Vec<_>>();
        assert_eq!(stamps(true), stamps(false));
        assert_eq!(stamps(true).len(), 10);
        assert_eq!(stamps(true)[9] - stamps(true)[0], 180);

        // Sound leads, and neither is pushed before its time; the two clocks are read one after the other.
        assert!(!notes[0].0);
        for (picture, stamp, pushed) in &notes {
            let lead = if *picture { 0 } else { SOUND_PUSH_LEAD.as_millis() as u64 };
            assert!(pushed + 2 + lead >= *stamp, "{picture}: {pushed}, {stamp}");
        }
        drop(pacer);
    }

    #[test]
    fn stopping_does_not_wait_for_the_next_deadline_or_a_full_queue() {
        let (noted, _notes) = bounded(64);
        let (failed, _failure) = bounded(1);
        drop(Pacer::start(Metronome::boxed(u32::MAX), Notes(noted), false, failed).unwrap());
    }
}
