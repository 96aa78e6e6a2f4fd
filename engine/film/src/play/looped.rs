use std::time::Duration;

use super::clip::{AudioInfo, Clip};
use crate::chunks::Chunks;
use crate::{Item, Picture, Pool, Source, SourceError, SourceInfo, units};

/// A clip repeated for ever. Time runs on over the seam, and picture and sound start each round
/// together: a round is as long as the longer of the two.
pub(super) struct Looped {
    clip: Box<dyn Clip>,
    info: SourceInfo,
    /// When the current round began.
    round_start: Duration,
    /// The next picture, its time already on the endless clock.
    picture: Option<Picture>,
    pictures_over: bool,
    /// Whether the current round had a picture at all.
    any_picture: bool,
    sound: Option<SoundTrack>,
}

struct SoundTrack {
    chunks: Chunks,
    rate_hz: u64,
    /// The current round's first sample frame on the endless clock.
    round_start: u64,
    over: bool,
}

impl Looped {
    /// Wraps a clip that stands at its start.
    pub(super) fn new(clip: Box<dyn Clip>, label: &str) -> Result<Self, SourceError> {
        let (video, audio) = (clip.video(), clip.audio());
        let track = |AudioInfo { rate_hz, channels }: AudioInfo| SoundTrack {
            chunks: Chunks::new(rate_hz, channels),
            rate_hz: u64::from(rate_hz),
            round_start: 0,
            over: false,
        };
        Ok(Self {
            info: SourceInfo {
                label: label.to_owned(),
                width: video.width,
                height: video.height,
                fps: video.fps,
                sound: audio.is_some(),
            },
            clip,
            round_start: Duration::ZERO,
            picture: None,
            pictures_over: false,
            any_picture: false,
            sound: audio.map(track),
        })
    }

    /// Sees to it that there is a next picture, or that it is known that there is none this round.
    fn look_for_picture(&mut self, pool: &Pool) -> Result<(), SourceError> {
        if self.picture.is_none() && !self.pictures_over {
            self.picture = self.clip.picture(pool)?;
            match &mut self.picture {
                Some(picture) => {
                    self.any_picture = true;
                    picture.pts += self.round_start;
                }
                None => self.pictures_over = true,
            }
        }
        Ok(())
    }

    /// Starts the next round.
    fn turn(&mut self) -> Result<(), SourceError> {
        if !self.any_picture {
            let (path, reason) = (self.info.label.clone(), "it has no pictures".to_owned());
            return Err(SourceError::Broken { path, reason });
        }
        // A round of no length would spin.
        let video_end = self.clip.video_end().max(Duration::from_millis(1));
        match &mut self.sound {
            Some(sound) => {
                let nanos = video_end.as_nanos() * u128::from(sound.rate_hz);
                let frames = u64::try_from(nanos.div_ceil(1_000_000_000)).unwrap_or(0);
                sound.chunks.silence_to(sound.round_start + frames);
                sound.round_start = sound.chunks.frames();
                sound.over = false;
                self.round_start = units(sound.round_start, sound.rate_hz);
            }
            None => self.round_start += video_end,
        }
        self.pictures_over = false;
        self.any_picture = false;
        self.clip.rewind()
    }
}

impl Source for Looped {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next(&mut self, pool: &Pool) -> Result<Item, SourceError> {
        loop {
            self.look_for_picture(pool)?;
            let due = self.picture.as_ref().map(|p| p.pts);
            if let Some(sound) = &mut self.sound
                && due.is_none_or(|due| sound.chunks.next_pts() < due)
            {
                if let Some(piece) = sound.chunks.pop() {
                    return Ok(Item::Sound(piece));
                }
                if !sound.over {
                    sound.over = !self.clip.sound(sound.chunks.tail())?;
                    continue;
                }
                if due.is_some() {
                    // The sound is shorter than the pictures.
                    let piece = sound.chunks.piece_frames();
                    sound.chunks.silence_to(sound.chunks.frames() + piece);
                    continue;
                }
            }
            match self.picture.take() {
                Some(picture) => return Ok(Item::Picture(picture)),
                None => self.turn()?,
            }
        }
    }
}
