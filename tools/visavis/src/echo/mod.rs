//! `--echo`: the demo face repeats the visitors' speech.
//!
//! Two threads. `visavis-echo` takes in the microphones, gives one visitor the floor, and every 20 ms
//! pushes the next piece of their speech, and derives the mouth's shapes from it.
//! `visavis-face` draws a picture on each beat, with the shape that belongs to the sound of that moment.

mod floor;

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::TryRecvError;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, select};
use visavis::audio::{AudioChunk, AudioSink};
use visavis::microphone::MicChunk;
use visavis::units::UnixMillis;
use visavis::video::{PixelFormat, VideoFrame, VideoSink};
use visavis::{EngineHandle, Event, Session};

pub use self::floor::RATE_HZ;

use self::floor::Floor;
use crate::source::demo::face::Face;
use crate::source::demo::live_mouth::LiveMouth;
use crate::source::demo::mouth::MouthShape;
use crate::source::demo::portrait::SIDE;
use crate::source::{SourceError, SourceInfo};
use crate::timecode;

/// A piece of sound.
const PIECE: Duration = Duration::from_millis(20);
const PIECE_SAMPLES: usize = RATE_HZ as usize / 50;

/// How much earlier than its picture sound is pushed, for the jitter buffer of browsers, as the pacer of
/// other sources does.
const SOUND_LEAD: Duration = Duration::from_millis(45);

/// A beat that is later than this restarts the schedule.
const HOPELESSLY_LATE: Duration = Duration::from_millis(250);

/// Chunks that may wait for the echo: some seconds of a few visitors.
const CHUNKS: usize = 512;

/// Shapes on their way to the face; half of them would do.
const SHAPES: usize = 32;

/// A shape of the mouth and when it is due.
type Moment = (Instant, MouthShape);

/// The face that repeats the visitors' speech. Dropping it stops it.
pub struct Echo {
    /// Dropped to stop the threads.
    stop: Option<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Echo {
    /// Its description.
    pub fn info(fps: u32) -> SourceInfo {
        SourceInfo {
            label: String::from("the demo face, which repeats what visitors say"),
            width: SIDE,
            height: SIDE,
            fps: fps.into(),
            sound: true,
        }
    }

    /// Paints the portrait and starts. The session's microphone rate is [`RATE_HZ`]. `failed` gets the
    /// reason if the face cannot be drawn.
    ///
    /// # Errors
    ///
    /// There is no memory for the portrait, or the system refused a thread.
    pub fn start(
        session: &Session,
        engine: &EngineHandle,
        fps: u32,
        timecode: bool,
        failed: Sender<SourceError>,
    ) -> Result<Self, EchoError> {
        let face = Face::new().ok_or(EchoError::Face)?;
        let (stop, stopped) = bounded(0);
        let (shapes_in, shapes) = bounded(SHAPES);
        let (chunks_in, chunks) = bounded(CHUNKS);
        let of_speech = |event: &Event| {
            use Event::{PeerLeft, SpeechEnded, SpeechStarted};
            matches!(event, SpeechStarted { .. } | SpeechEnded { .. } | PeerLeft { .. })
        };
        let events = engine.subscribe_to(of_speech);
        session.on_microphone(move |chunk| {
            // An echo that stands still has lost its place anyway.
            let _ = chunks_in.try_send(chunk.clone());
        });
        let speech = Speech {
            audio: session.audio(),
            floor: Floor::default(),
            mouth: LiveMouth::new(RATE_HZ),
            shapes: shapes_in,
        };
        let picture = Pictures {
            video: session.video(),
            face,
            shapes,
            coming: VecDeque::new(),
            shape: MouthShape::default(),
            interval: Duration::from_secs(1) / fps.max(1),
            timecode,
            pixels: vec![0; Face::FRAME_BYTES],
        };
        let mut echo = Self { stop: Some(stop), threads: Vec::new() };
        let spawn = |name: &str| thread::Builder::new().name(name.to_owned());
        let until = stopped.clone();
        echo.threads
            .push(spawn("visavis-echo").spawn(move || speech.run(&chunks, &events, &until))?);
        echo.threads.push(spawn("visavis-face").spawn(move || {
            if let Err(error) = picture.run(&stopped) {
                // Nobody waits for it any more when the program is on its way out.
                let _ = failed.send(error);
            }
        })?);
        Ok(echo)
    }
}

/// Why there is no echo.
#[derive(Debug, thiserror::Error)]
pub enum EchoError {
    /// The portrait was not painted.
    #[error("out of memory")]
    Face,
    /// A thread was not started.
    #[error(transparent)]
    Thread(#[from] io::Error),
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the echo panicked");
            }
        }
    }
}

/// The sound of the face.
struct Speech {
    audio: AudioSink,
    floor: Floor,
    mouth: LiveMouth,
    shapes: Sender<Moment>,
}

impl Speech {
    fn run(
        mut self,
        chunks: &Receiver<MicChunk>,
        events: &visavis::receiver::Receiver<Event>,
        stopped: &Receiver<()>,
    ) {
        let mut due = Instant::now();
        loop {
            let now = Instant::now();
            if now >= due {
                self.push_piece(now);
                due = next_beat(due, PIECE, now);
            }
            loop {
                match events.try_recv() {
                    Ok(event) => self.handle_event(&event),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return, // The engine has stopped.
                }
            }
            select! {
                recv(stopped) -> _ => return,
                recv(chunks) -> chunk => match chunk {
                    Ok(chunk) => self.floor.push(&chunk),
                    Err(_) => return,
                },
                default(due.saturating_duration_since(Instant::now())) => {}
            }
        }
    }

    fn handle_event(&mut self, event: &Event) {
        let before = self.floor.holder();
        match event {
            Event::SpeechStarted { peer, .. } => self.floor.started(*peer),
            Event::SpeechEnded { peer, .. } => self.floor.ended(*peer),
            Event::PeerLeft { peer, .. } => self.floor.left(*peer),
            _ => {}
        }
        let holder = self.floor.holder();
        if holder != before {
            let holder = holder.map(|peer| peer.to_string());
            tracing::debug!(holder, "the floor has passed on");
        }
    }

    /// Pushes the next piece, if a visitor has the floor, and derives the mouth's shape from it.
    fn push_piece(&mut self, now: Instant) {
        let piece = self.floor.take(PIECE_SAMPLES);
        if let Some(piece) = &piece {
            let data: Vec<u8> = piece.iter().flat_map(|sample| sample.to_le_bytes()).collect();
            let timestamp = UnixMillis(UnixMillis::now().0 + SOUND_LEAD.as_millis() as u64);
            let chunk = AudioChunk::new(&data, RATE_HZ, 1).timestamp(timestamp);
            if let Err(error) = self.audio.push(&chunk) {
                tracing::warn!(%error, "the engine refused a piece of the echo");
            }
        }
        let piece = piece.unwrap_or_else(|| vec![0; PIECE_SAMPLES]);
        let heard = now + SOUND_LEAD;
        let shapes = &self.shapes;
        self.mouth.push(&piece, |after, shape| {
            // Where the face does not keep up, it goes without some.
            let _ = shapes.try_send((heard + after - LiveMouth::DELAY, shape));
        });
    }
}

/// The pictures of the face.
struct Pictures {
    video: VideoSink,
    face: Face,
    shapes: Receiver<Moment>,
    /// Shapes that are not due yet.
    coming: VecDeque<Moment>,
    shape: MouthShape,
    interval: Duration,
    timecode: bool,
    pixels: Vec<u8>,
}

impl Pictures {
    fn run(mut self, stopped: &Receiver<()>) -> Result<(), SourceError> {
        let start = Instant::now();
        let mut due = start;
        loop {
            match stopped.recv_deadline(due) {
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) | Ok(()) => return Ok(()),
            }
            let now = Instant::now();
            due = next_beat(due, self.interval, now);
            self.show(now.duration_since(start), now)?;
        }
    }

    fn show(&mut self, after: Duration, now: Instant) -> Result<(), SourceError> {
        let failed = |text: &str| SourceError::Other(text.to_owned());
        self.coming.extend(self.shapes.try_iter());
        let due = self.coming.iter().take_while(|(at, _)| *at <= now).count();
        if let Some((_, shape)) = self.coming.drain(..due).next_back() {
            self.shape = shape;
        }
        let timestamp = UnixMillis::now();
        let drawn = self.face.draw(after.as_secs_f64(), &self.shape, &mut self.pixels);
        drawn.ok_or_else(|| failed("the face cannot be drawn"))?;
        let format = PixelFormat::Rgba;
        if self.timecode {
            let at = timecode::Timecode::now();
            timecode::paint(at, &mut self.pixels, SIDE, SIDE, format)
                .map_err(|error| failed(&error.to_string()))?;
        }
        let frame = VideoFrame::new(&self.pixels, SIDE, SIDE).timestamp(timestamp);
        if let Err(error) = self.video.push(&frame) {
            tracing::warn!(%error, "the engine refused the face");
        }
        Ok(())
    }
}

/// The beat after this one, or the next one from now where too many were missed.
fn next_beat(due: Instant, interval: Duration, now: Instant) -> Instant {
    let next = due + interval;
    if next + HOPELESSLY_LATE < now { now + interval } else { next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_catches_up_with_a_short_stall_and_forgets_a_long_one() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        assert_eq!(next_beat(start, ms(20), start + ms(3)), start + ms(20));
        assert_eq!(next_beat(start, ms(20), start + ms(200)), start + ms(20));
        assert_eq!(next_beat(start, ms(20), start + ms(400)), start + ms(420));
    }
}
