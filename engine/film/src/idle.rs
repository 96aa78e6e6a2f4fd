//! What a session shows while it is idle, out of a file: an image or a film.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use visavis::idle::{IdleError, IdleLoop, IdlePicture};

use crate::play::{self, Clip, Wanted};
use crate::{Picture, Pool, SourceError, units};

/// Why a file cannot be an idle loop.
#[derive(Debug, thiserror::Error)]
pub enum IdleFileError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// It is of a kind that is not read here.
    #[error("{}: {reason}; an idle loop is a PNG or JPEG image, an MP4 with H264 video, a Y4M file, or with ffmpeg installed any other film", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It cannot be shown.
    #[error("{} cannot be an idle loop: {source}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: IdleError,
    },
    /// It is broken.
    #[error(transparent)]
    Film(#[from] SourceError),
}

/// Opens an image (PNG, JPEG) or a film (MP4 with H264, Y4M, what else ffmpeg reads; its sound is left out).
///
/// # Errors
///
/// A file that is not there, broken, or of another kind.
pub fn open(path: &Path) -> Result<IdleLoop, IdleFileError> {
    let file =
        fs::read(path).map_err(|source| IdleFileError::Read { path: path.into(), source })?;
    let content = |source| IdleFileError::Content { path: path.into(), source };
    match IdleLoop::image(&file) {
        Err(IdleError::NoImage) => {}
        made => return made.map_err(content),
    }
    drop(file);
    let clip = open_clip(path)?;
    // A film of 29.97 pictures a second is shown at 30.
    let fps = (clip.video().fps.round() as u32).clamp(1, 120);
    let owned = path.to_owned();
    let pictures = move || match open_clip(&owned) {
        Ok(clip) => Pictures::new(Some(clip), fps),
        Err(error) => {
            tracing::error!(%error, "the idle film cannot be opened any more");
            Pictures::new(None, fps)
        }
    };
    IdleLoop::film(fps, pictures).map_err(content)
}

fn open_clip(path: &Path) -> Result<Box<dyn Clip>, IdleFileError> {
    let start = first_bytes(path)?;
    play::open_clip(path, start, Wanted::Pictures).map_err(|error| match error {
        SourceError::NeedsFfmpeg { reason, .. } | SourceError::Ffmpeg { reason, .. } => {
            IdleFileError::Kind { path: path.into(), reason }
        }
        error => error.into(),
    })
}

fn first_bytes(path: &Path) -> Result<[u8; 12], IdleFileError> {
    use std::io::Read as _;
    let mut start = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(12).read_to_end(&mut start));
    read.map_err(|source| IdleFileError::Read { path: path.into(), source })?;
    start.resize(12, 0);
    Ok(start.try_into().unwrap_or_default())
}

/// A clip's pictures at an even rate: what is shown at each beat.
struct Pictures {
    clip: Option<Box<dyn Clip>>,
    fps: u32,
    pool: Pool,
    beat: u64,
    shown: Option<Picture>,
    next: Option<Picture>,
    /// When the last picture ends, once that is known.
    end: Duration,
}

impl Pictures {
    fn new(clip: Option<Box<dyn Clip>>, fps: u32) -> Self {
        Self {
            clip,
            fps,
            pool: Pool::new(0),
            beat: 0,
            shown: None,
            next: None,
            end: Duration::ZERO,
        }
    }

    /// Reads on; at the end, or where the file is broken, there is no clip any more.
    fn read(&mut self) {
        let picture = self.clip.as_mut().map(|clip| clip.picture(&self.pool));
        self.next = match picture {
            Some(Ok(Some(picture))) => Some(picture),
            Some(Err(error)) => {
                tracing::warn!(%error, "an idle film cannot be read to its end");
                None
            }
            Some(Ok(None)) | None => None,
        };
        if self.next.is_none()
            && let Some(clip) = self.clip.take()
        {
            self.end = clip.video_end();
        }
    }
}

impl Iterator for Pictures {
    type Item = IdlePicture;

    fn next(&mut self) -> Option<IdlePicture> {
        // The one in the midst of the beat: pictures are not quite evenly spaced.
        let at = units(self.beat * 2 + 1, u64::from(self.fps) * 2);
        self.beat += 1;
        loop {
            if self.next.is_none() {
                self.read();
            }
            match self.next.take() {
                Some(next) if next.pts <= at || self.shown.is_none() => self.shown = Some(next),
                Some(next) => {
                    self.next = Some(next);
                    break;
                }
                None if at < self.end => break,
                None => return None,
            }
        }
        self.shown.as_ref().map(shown)
    }
}

fn shown(picture: &Picture) -> IdlePicture {
    let Picture { data, width, height, format, .. } = picture;
    IdlePicture::new(data.clone(), *width, *height).format(*format)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
    }

    #[test]
    fn a_film_has_as_many_pictures_as_its_length_says() {
        let clip = open_clip(&fixture("sync.mp4")).unwrap();
        let pictures: Vec<IdlePicture> = Pictures::new(Some(clip), 30).collect();
        assert!((299..=300).contains(&pictures.len()), "{}", pictures.len());
        assert!(pictures.iter().all(|picture| (picture.width, picture.height) == (640, 360)));
        assert_eq!(open(&fixture("sync.mp4")).unwrap().fps(), 30);
        // At another rate it is as long.
        let clip = open_clip(&fixture("sync.mp4")).unwrap();
        let slower = Pictures::new(Some(clip), 10).count();
        assert!((99..=100).contains(&slower), "{slower}");
    }

    #[test]
    fn an_image_is_a_still_loop() {
        let face = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../engine/src/idle/face.jpg");
        assert!(open(&face).is_ok());
    }

    #[test]
    fn other_files_are_refused_with_what_would_do() {
        let refused = |path: &Path| open(path).unwrap_err().to_string();
        assert!(refused(&fixture("speech.wav")).contains("PNG or JPEG"));
        assert!(refused(&fixture("nothing.png")).contains("cannot read"));
        let folder = tempfile::tempdir().unwrap();
        let broken = folder.path().join("broken.png");
        fs::write(&broken, b"\x89PNG and no more").unwrap();
        assert!(refused(&broken).contains("cannot be an idle loop"), "{}", refused(&broken));
    }
}
