//! The built-in talking face.
//!
//! A painted portrait whose mouth follows a bundled clip of speech. Picture and sound are both
//! functions of media time: the mouth in the picture of some moment is the mouth that makes the
//! sound of that moment.

pub mod canvas;
pub mod face;
pub mod features;
pub mod layer;
pub mod live_mouth;
pub mod motion;
pub mod mouth;
pub mod portrait;
pub mod speech;

use std::time::Duration;

use visavis::video::PixelFormat;

use self::face::Face;
use self::mouth::{MouthShape, MouthTrack};
use self::portrait::SIDE;
use self::speech::Speech;
use super::chunks::Chunks;
use super::{Item, Picture, Pool, Source, SourceError, SourceInfo, units};

/// Silence between two rounds of the speech; the face waits and looks at you.
const PAUSE: Duration = Duration::from_millis(1_500);

/// The demo face and its speech.
pub struct Demo {
    info: SourceInfo,
    face: Face,
    speech: Speech,
    mouth: MouthTrack,
    fps: u32,
    pictures: u64,
    chunks: Chunks,
    /// One round of speech and pause, in samples.
    round: u64,
}

impl Demo {
    /// Paints the portrait and listens to the clip, which takes some tens of milliseconds. `fps` is
    /// at least 1.
    ///
    /// # Errors
    ///
    /// There is no memory for the portrait.
    pub fn new(fps: u32) -> Result<Self, SourceError> {
        let speech = Speech::bundled().map_err(|e| failed(&e))?;
        let face = Face::new().ok_or_else(|| failed(&"out of memory"))?;
        let mouth = MouthTrack::analyse(speech.samples(), speech.rate_hz());
        let pause = PAUSE.as_millis() as u64 * u64::from(speech.rate_hz()) / 1_000;
        let label = String::from("the demo face");
        let sides = (SIDE, SIDE);
        let (width, height) = sides;
        Ok(Self {
            info: SourceInfo { label, width, height, fps: f64::from(fps), sound: true },
            face,
            round: speech.samples().len() as u64 + pause,
            chunks: Chunks::new(speech.rate_hz(), 1),
            speech,
            mouth,
            fps,
            pictures: 0,
        })
    }

    /// The mouth at some media time.
    pub fn mouth_at(&self, pts: Duration) -> MouthShape {
        let round = units(self.round, u64::from(self.speech.rate_hz()));
        let within = pts.as_nanos() % round.as_nanos().max(1);
        self.mouth.at(Duration::from_nanos(within as u64))
    }

    /// Draws the picture of some media time: RGBA, 512×512.
    ///
    /// # Errors
    ///
    /// `out` has another length than a picture.
    pub fn draw(&mut self, pts: Duration, out: &mut [u8]) -> Result<(), SourceError> {
        let mouth = self.mouth_at(pts);
        let drawn = self.face.draw(pts.as_secs_f64(), &mouth, out);
        drawn.ok_or_else(|| failed(&"the face cannot be drawn"))
    }
}

impl Source for Demo {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next(&mut self, pool: &Pool) -> Result<Item, SourceError> {
        let pts = units(self.pictures, u64::from(self.fps));
        if pts <= self.chunks.next_pts() {
            self.pictures += 1;
            let mut data = pool.take(Face::FRAME_BYTES);
            self.draw(pts, &mut data)?;
            let format = PixelFormat::Rgba;
            return Ok(Item::Picture(Picture { pts, width: SIDE, height: SIDE, format, data }));
        }
        loop {
            if let Some(sound) = self.chunks.pop() {
                return Ok(Item::Sound(sound));
            }
            let end = self.chunks.frames() + self.round;
            self.chunks.tail().extend_from_slice(self.speech.samples());
            self.chunks.silence_to(end);
        }
    }
}

fn failed(why: &dyn std::fmt::Display) -> SourceError {
    SourceError::Other(format!("cannot set up the demo: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(demo: &mut Demo, ms: u64) -> Vec<u8> {
        let mut out = vec![0; Face::FRAME_BYTES];
        demo.draw(Duration::from_millis(ms), &mut out).unwrap();
        out
    }

    /// How many pixels around the mouth are dark or white, that is inside of it.
    fn inside_mouth(frame: &[u8]) -> usize {
        let side = SIDE as usize;
        let pixels = (316..366).flat_map(|y| (216..296).map(move |x| (y * side + x) * 4));
        pixels
            .filter(|&at| {
                let [r, g, b] = [frame[at], frame[at + 1], frame[at + 2]];
                (r < 130 && g < 60) || (r > 235 && g > 230 && b > 220)
            })
            .count()
    }

    #[test]
    fn the_same_moment_is_the_same_picture() {
        let (mut a, mut b) = (Demo::new(30).unwrap(), Demo::new(60).unwrap());
        let first = frame(&mut a, 2_345);
        frame(&mut a, 9_000);
        assert!(frame(&mut a, 2_345) == first);
        assert!(frame(&mut b, 2_345) == first);
    }

    #[test]
    fn the_face_moves_even_when_it_is_silent() {
        let mut demo = Demo::new(30).unwrap();
        let pause = demo.speech.duration().as_millis() as u64 + 600;
        assert_eq!(demo.mouth_at(Duration::from_millis(pause)).open, 0.0);
        let (a, b) = (frame(&mut demo, pause), frame(&mut demo, pause + 400));
        let changed = a.iter().zip(&b).filter(|(a, b)| a.abs_diff(**b) > 8).count();
        assert!(changed > 2_000, "{changed}");
    }

    #[test]
    fn loud_speech_opens_the_mouth_in_the_picture() {
        let mut demo = Demo::new(30).unwrap();
        let rate = demo.speech.rate_hz() as usize;
        let loudness = |ms: usize| {
            let middle = ms * rate / 1_000;
            let piece = &demo.speech.samples()[middle.saturating_sub(360)..middle + 360];
            piece.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>()
        };
        let moments = || (100..18_000).step_by(50);
        let loud = moments().max_by(|&a, &b| loudness(a).total_cmp(&loudness(b))).unwrap();
        let quiet = demo.speech.duration().as_millis() as u64 + 700;
        let (open, shut) = (frame(&mut demo, loud as u64), frame(&mut demo, quiet));
        let (open, shut) = (inside_mouth(&open), inside_mouth(&shut));
        assert!(open > 200 && open > 4 * shut, "{open} open, {shut} shut");
    }

    #[test]
    fn sound_and_picture_run_on_one_clock_over_the_seam() {
        let mut demo = Demo::new(2).unwrap();
        let pool = Pool::new(4);
        let mut now = Duration::ZERO;
        let (mut pictures, mut sounds) = (0u32, 0u32);
        while now < Duration::from_secs(45) {
            let item = demo.next(&pool).unwrap();
            assert!(item.pts() >= now, "{:?} after {now:?}", item.pts());
            now = item.pts();
            match item {
                Item::Picture(picture) => {
                    assert_eq!(picture.pts, Duration::from_millis(500) * pictures);
                    pictures += 1;
                    pool.give(picture.data);
                }
                Item::Sound(sound) => {
                    assert_eq!(sound.pts, Duration::from_millis(20) * sounds);
                    assert_eq!(sound.samples.len(), 480);
                    sounds += 1;
                }
            }
        }
        assert!(pictures >= 90 && sounds >= 2_250);
    }

    #[test]
    fn the_speech_starts_again_after_the_pause() {
        let demo = Demo::new(30).unwrap();
        let round = units(demo.round, u64::from(demo.speech.rate_hz()));
        assert!(round - demo.speech.duration() >= PAUSE - Duration::from_millis(1));
        let at = Duration::from_millis(400);
        let (first, second) = (demo.mouth_at(at), demo.mouth_at(at + round));
        assert!(first.open > 0.3);
        assert!((first.open - second.open).abs() < 1e-3);
    }
}
