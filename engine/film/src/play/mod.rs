//! Plays a video file round and round, picture and sound in step.
//!
//! MP4 with H264 and AAC or Opus, and Y4M with a WAV beside it, are read here. Everything else goes
//! through the program `ffmpeg` where it is installed.

mod audio;
mod boxes;
mod clip;
mod ffmpeg;
mod looped;
mod movie;
mod mp4;
mod wav;
mod y4m;

use std::fs::File;
use std::io::Read;
use std::path::Path;

pub use self::clip::{AudioInfo, Clip, OpenError, VideoInfo, Wanted};

use self::clip::{broken, unreadable};
use crate::{Source, SourceError};

/// Opens a file of any kind.
///
/// # Errors
///
/// A missing or broken file; a kind of file that needs ffmpeg where there is no ffmpeg.
pub fn open(path: &Path) -> Result<Box<dyn Source>, SourceError> {
    let mut start = [0; 12];
    let length = read_start(path, &mut start)?;
    if length == 0 {
        return Err(broken(path, "it is empty"));
    }
    let clip = open_clip(path, start, Wanted::All)?;
    let label = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    Ok(Box::new(looped::Looped::new(clip, &label)?))
}

/// Opens a film, here or through ffmpeg. `start` is what it begins with.
///
/// # Errors
///
/// As [`open`].
pub fn open_clip(
    path: &Path,
    start: [u8; 12],
    wanted: Wanted,
) -> Result<Box<dyn Clip>, SourceError> {
    match open_here(path, start, wanted) {
        Ok(clip) => Ok(clip),
        Err(OpenError::Failed(error)) => Err(error),
        Err(OpenError::Unsupported(reason)) => {
            tracing::debug!(reason, "trying ffmpeg");
            Ok(Box::new(ffmpeg::FfmpegClip::open(path, &reason, wanted)?))
        }
    }
}

/// Opens a file that is read here, without ffmpeg. `start` is what it begins with.
///
/// # Errors
///
/// A missing or broken file, or one of another kind.
pub fn open_here(path: &Path, start: [u8; 12], wanted: Wanted) -> Result<Box<dyn Clip>, OpenError> {
    match start {
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Ok(Box::new(mp4::Mp4Clip::open(path, wanted)?)),
        [b'Y', b'U', b'V', b'4', b'M', b'P', b'E', b'G', b'2', ..] => {
            Ok(Box::new(y4m::open(path)?))
        }
        _ => Err(OpenError::Unsupported("is neither MP4 nor Y4M".to_owned())),
    }
}

/// Fills `start` as far as the file reaches.
fn read_start(path: &Path, start: &mut [u8]) -> Result<usize, SourceError> {
    let mut file = File::open(path).map_err(|e| unreadable(path, e))?;
    let mut filled = 0;
    while let Some(rest) = start.get_mut(filled..)
        && !rest.is_empty()
    {
        match file.read(rest).map_err(|e| unreadable(path, e))? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests;
