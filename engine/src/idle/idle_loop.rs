use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use visavis_codec::{ColorMatrix, Scaler, decode_photo, recolour, still_size};
use visavis_types::encoder::SizeLimits;
use visavis_types::{
    FrameSize, I420Buffer, PixelFormat, VideoFrame, VideoFrameError, catch_panic, setters,
};

use super::rendition::{IdleFormat, IdleRendition};
use crate::video::convert::to_i420;

/// A still picture is made anew so often a second, and costs next to nothing after the first few.
const STILL_FPS: u32 = 10;
/// How long it takes round.
const STILL_FRAMES: usize = 100;

/// The longest film: what comes after is left out. A minute at 30 fps.
pub(crate) const MAX_FRAMES: usize = 1_800;

/// What a photo is brought to before it is known who will encode it: what all encoders take.
const LIMITS: SizeLimits = SizeLimits { least: 16, longer: 3_840, shorter: 2_160 };

/// The face that is there without any other.
static BUILT_IN: &[u8] = include_bytes!("face.jpg");

/// What a session shows while nothing live is pushed: [`SessionConfig::idle`](crate::SessionConfig::idle).
///
/// Cheap to clone. Clones share what was encoded, so give many sessions clones of one rather than each one
/// of its own.
#[derive(Clone)]
pub struct IdleLoop(Arc<Asset>);

struct Asset {
    fps: u32,
    /// Frames between keyframes, where a viewer can come in.
    gop: usize,
    frames: Box<dyn Fn() -> Frames + Send + Sync>,
    /// What was encoded so far, or is being encoded, and is in use.
    renditions: Mutex<Vec<Weak<IdleRendition>>>,
    id: u64,
}

type Frames = Box<dyn Iterator<Item = I420Buffer> + Send>;

/// A picture of an idle film, as [`VideoFrame`] describes one.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct IdlePicture {
    /// Pixels or a file, in `format`.
    pub data: Vec<u8>,
    /// Pixels per row; even, 16 to 4096.
    pub width: u32,
    /// Rows; even, 16 to 4096.
    pub height: u32,
    /// What `data` is. Default: [`PixelFormat::Rgba`].
    pub format: PixelFormat,
}

impl IdlePicture {
    /// A picture in RGBA. Nothing is looked at before it is used.
    pub const fn new(data: Vec<u8>, width: u32, height: u32) -> Self {
        Self { data, width, height, format: PixelFormat::Rgba }
    }

    setters! {
        format: PixelFormat,
    }

    fn to_i420(&self) -> Result<I420Buffer, VideoFrameError> {
        picture(&VideoFrame::new(&self.data, self.width, self.height).format(self.format))
    }
}

/// Why something cannot be an idle loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdleError {
    /// A picture that cannot be used.
    #[error(transparent)]
    Picture(#[from] VideoFrameError),
    /// A film without pictures.
    #[error("a film without pictures")]
    Empty,
    /// A file that is no image.
    #[error("this is neither a JPEG nor a PNG file")]
    NoImage,
    /// A rate that cannot be.
    #[error("invalid frame rate {0}; expected 1 to 120")]
    Fps(u32),
}

impl IdleLoop {
    /// A face at rest, 512×512: what a session without another idle loop shows. A black picture in a build without
    /// the cargo feature `still`.
    pub fn built_in() -> Self {
        static LOOP: LazyLock<IdleLoop> = LazyLock::new(|| {
            IdleLoop::image(BUILT_IN).unwrap_or_else(|error| {
                tracing::warn!(%error, "a black picture is shown in place of the built-in face");
                let black = FrameSize::new(512, 512).map(|size| {
                    let mut picture = I420Buffer::new(size);
                    picture.fill_black();
                    IdleLoop::of_still(picture)
                });
                black.unwrap_or_else(|_| {
                    IdleLoop::new(
                        STILL_FPS,
                        STILL_FRAMES,
                        Box::new(|| Box::new(std::iter::empty())),
                    )
                })
            })
        });
        LOOP.clone()
    }

    /// A still picture. Its timestamp is of no interest.
    ///
    /// # Errors
    ///
    /// As [`VideoSink::push`](crate::video::VideoSink::push).
    pub fn still(frame: &VideoFrame<'_>) -> Result<Self, VideoFrameError> {
        Ok(Self::of_still(picture(frame)?))
    }

    /// A JPEG or PNG file, such as a photo: turned upright as its Exif data say, and made smaller where it is
    /// larger than can be encoded, which is logged. Where a side is odd, its last row or column is
    /// left out.
    ///
    /// # Errors
    ///
    /// [`IdleError::NoImage`] where it is neither; a file that cannot be decoded, has a side of fewer than 16
    /// or more than 16,384 pixels, or more than 64 million pixels.
    pub fn image(file: &[u8]) -> Result<Self, IdleError> {
        let photo = decode_photo(file)?.ok_or(IdleError::NoImage)?;
        let size = photo.size();
        let most = LIMITS.fit(size);
        if let Some((_, width, height)) = still_size(file)?
            && [(width, height), (height, width)].iter().all(|&sides| sides != sides_of(most))
        {
            tracing::info!("an idle picture of {width}x{height} is shown as {most}");
        }
        if most == size {
            return Ok(Self::of_still(photo));
        }
        let mut fitted = I420Buffer::new(most);
        match Scaler::default().cover(&photo, &mut fitted) {
            Ok(()) => {
                let (made, wanted) = (ColorMatrix::for_size(size), ColorMatrix::for_size(most));
                if made != wanted {
                    let scaled = fitted.clone();
                    recolour(&scaled, made, wanted, &mut fitted);
                }
                Ok(Self::of_still(fitted))
            }
            Err(error) => {
                // Both are sizes that can be; the encoder checks them again.
                tracing::error!(%error, "an idle picture was not made smaller");
                Ok(Self::of_still(photo))
            }
        }
    }

    fn of_still(picture: I420Buffer) -> Self {
        let frames =
            move || -> Frames { Box::new(std::iter::repeat_n(picture.clone(), STILL_FRAMES)) };
        Self::new(STILL_FPS, STILL_FRAMES, Box::new(frames))
    }

    /// A film of `fps` pictures a second, 1 to 120, that begins anew when it ends: best where the last
    /// picture leads to the first. At most 1,800 pictures of it are shown.
    ///
    /// `pictures` is called once for each codec, rate and size that it is encoded with, on a thread of the
    /// engine, and gives all pictures in order; one that cannot be used is left out.
    ///
    /// # Errors
    ///
    /// A rate out of range, no picture, or a first picture that cannot be used.
    pub fn film<I>(
        fps: u32,
        pictures: impl Fn() -> I + Send + Sync + 'static,
    ) -> Result<Self, IdleError>
    where
        I: Iterator<Item = IdlePicture> + Send + 'static,
    {
        if !(1..=120).contains(&fps) {
            return Err(IdleError::Fps(fps));
        }
        pictures().next().ok_or(IdleError::Empty)?.to_i420()?;
        let frames = move || -> Frames {
            let usable = pictures().filter_map(|picture| match picture.to_i420() {
                Ok(picture) => Some(picture),
                Err(error) => {
                    tracing::warn!(%error, "a picture of an idle film is left out");
                    None
                }
            });
            Box::new(usable)
        };
        // Twice a second: who joins others waits for a quarter of a second.
        let gop = fps.div_ceil(2) as usize;
        Ok(Self::new(fps, gop, Box::new(frames)))
    }

    fn new(fps: u32, gop: usize, frames: Box<dyn Fn() -> Frames + Send + Sync>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Relaxed);
        Self(Arc::new(Asset { fps, gop, frames, renditions: Mutex::default(), id }))
    }

    /// Pictures a second.
    pub fn fps(&self) -> u32 {
        self.0.fps
    }

    /// Whether it may begin anew at any time without anybody seeing it.
    pub(crate) fn is_still(&self) -> bool {
        self.0.gop == STILL_FRAMES
    }

    /// The loop encoded in this format, finished or not; true where the caller must have it encoded.
    pub(super) fn rendition(&self, format: IdleFormat) -> (Arc<IdleRendition>, bool) {
        let mut renditions = self.0.renditions.lock().unwrap_or_else(PoisonError::into_inner);
        renditions.retain(|rendition| rendition.strong_count() > 0);
        let made = renditions
            .iter()
            .filter_map(Weak::upgrade)
            .find(|rendition| rendition.format == format);
        if let Some(rendition) = made {
            return (rendition, false);
        }
        let rendition = Arc::new(IdleRendition::new(format, self.0.fps, self.0.gop));
        renditions.push(Arc::downgrade(&rendition));
        (rendition, true)
    }

    pub(super) fn frames(&self) -> impl Iterator<Item = I420Buffer> + Send + use<> {
        (self.0.frames)().take(MAX_FRAMES)
    }
}

impl fmt::Debug for IdleLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdleLoop").field("id", &self.0.id).field("fps", &self.0.fps).finish()
    }
}

impl fmt::Display for IdleLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "idle loop {}", self.0.id)
    }
}

impl Drop for Asset {
    fn drop(&mut self) {
        // What makes the pictures may be the application's, and its destructor fail; and the last to hold it
        // may be any of the engine's threads.
        let frames = std::mem::replace(&mut self.frames, Box::new(|| Box::new(std::iter::empty())));
        if let Err(why) = catch_panic(|| drop(frames)) {
            tracing::error!(
                why,
                "what made an idle loop's pictures has failed when it was dropped"
            );
        }
    }
}

impl PartialEq for IdleLoop {
    /// Whether they share what is encoded.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

fn sides_of(size: FrameSize) -> (u32, u32) {
    (size.width(), size.height())
}

fn picture(frame: &VideoFrame<'_>) -> Result<I420Buffer, VideoFrameError> {
    let size = frame.validate()?;
    let mut picture = I420Buffer::new(size);
    to_i420(frame, size, &mut picture)?;
    Ok(picture)
}

#[cfg(test)]
mod tests {
    use super::super::encoder::IdleEncoder;
    use super::*;
    use crate::video::ladder::Scale;
    use std::sync::atomic::AtomicUsize;
    use std::time::{Duration, Instant};
    use visavis_codec::Encoders;
    use visavis_types::{Bitrate, VideoCodec};

    fn wait_for(rendition: &IdleRendition) {
        let patience = Instant::now() + Duration::from_secs(60);
        while !rendition.is_complete() && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(rendition.is_complete());
    }

    fn film(rounds: &Arc<AtomicUsize>) -> IdleLoop {
        let rounds = Arc::clone(rounds);
        let pictures = move || {
            rounds.fetch_add(1, Relaxed);
            (0..25u8).map(|n| {
                // The twentieth is damaged.
                let bytes = if n == 20 { 7 } else { 64 * 64 * 3 };
                IdlePicture::new(vec![n * 10; bytes], 64, 64).format(PixelFormat::Rgb)
            })
        };
        IdleLoop::film(20, pictures).unwrap()
    }

    #[test]
    fn the_built_in_face_is_a_picture() {
        let idle = IdleLoop::built_in();
        let pictures: Vec<I420Buffer> = idle.frames().take(2).collect();
        assert_eq!(pictures[0].size().width(), 512);
        let luma = pictures[0].y();
        assert!(luma.iter().max().unwrap() - luma.iter().min().unwrap() > 100, "it is flat");
    }

    #[test]
    fn a_film_is_encoded_once_for_each_codec_rate_and_size() {
        let (rounds, idle_encoder) =
            (Arc::default(), IdleEncoder::open(Encoders::software(), Arc::default()).unwrap());
        let idle = film(&rounds);
        let looked_at = rounds.load(Relaxed);
        let format = |codec, kbps, size| IdleFormat {
            codec,
            bitrate: Bitrate::from_kbps(kbps),
            size,
            scale: Scale::WHOLE,
        };
        let mut kept = Vec::new();
        for _ in 0..50 {
            for codec in [VideoCodec::H264, VideoCodec::Vp8] {
                let rendition = idle_encoder.rendition(&idle.clone(), format(codec, 500, None));
                wait_for(&rendition);
                kept.push(rendition);
            }
        }
        assert_eq!(rounds.load(Relaxed) - looked_at, 2);
        wait_for(&idle_encoder.rendition(&idle, format(VideoCodec::H264, 900, None)));
        assert_eq!(rounds.load(Relaxed) - looked_at, 3);
        let size = FrameSize::new(32, 48).ok();
        wait_for(&idle_encoder.rendition(&idle, format(VideoCodec::H264, 900, size)));
        assert_eq!(rounds.load(Relaxed) - looked_at, 4);
        // It is freed with the last who has it.
        drop(kept);
        assert!(
            idle.0.renditions.lock().unwrap().iter().all(|rendition| rendition.strong_count() == 0)
        );
        wait_for(&idle_encoder.rendition(&idle, format(VideoCodec::H264, 500, None)));
        assert_eq!(rounds.load(Relaxed) - looked_at, 5);
    }

    #[test]
    fn a_loop_that_nobody_waits_for_any_more_does_not_keep_others_waiting() {
        let idle_encoder = IdleEncoder::open(Encoders::software(), Arc::default()).unwrap();
        let pictures = || {
            (0..MAX_FRAMES).map(|n| {
                IdlePicture::new(vec![(n * 7) as u8; 256 * 256 * 3], 256, 256)
                    .format(PixelFormat::Rgb)
            })
        };
        let long = IdleLoop::film(30, pictures).unwrap();
        let format = |side: u32| IdleFormat {
            codec: VideoCodec::H264,
            bitrate: Bitrate::from_kbps(500),
            size: FrameSize::new(side, side).ok(),
            scale: Scale::WHOLE,
        };
        // Sessions of many sizes that come and go: minutes of work.
        for side in (0..500).map(|n| 32 + 2 * n) {
            drop(idle_encoder.rendition(&long, format(side)));
        }
        let start = Instant::now();
        let still = IdleLoop::built_in();
        wait_for(&idle_encoder.rendition(&still, format(64)));
        println!("the new one was there after {:?}", start.elapsed());
        // And beside one that is wanted, a group of which comes in between.
        let wanted = idle_encoder.rendition(&long, format(512));
        let other = idle_encoder.rendition(&still, format(128));
        wait_for(&other);
        assert!(!wanted.is_complete());
    }

    #[test]
    fn groups_begin_with_keyframes_and_damaged_pictures_are_left_out() {
        let idle_encoder = IdleEncoder::open(Encoders::software(), Arc::default()).unwrap();
        for codec in [VideoCodec::H264, VideoCodec::Vp8, VideoCodec::Vp9] {
            let (bitrate, scale) = (Bitrate::from_kbps(500), Scale::WHOLE);
            let format = IdleFormat { codec, bitrate, size: None, scale };
            let rendition = idle_encoder.rendition(&film(&Arc::default()), format);
            wait_for(&rendition);
            let groups: Vec<_> = (0..rendition.len()).filter_map(|n| rendition.group(n)).collect();
            assert_eq!(groups.iter().map(|group| group.len()).collect::<Vec<_>>(), [10, 10, 4]);
            for group in groups {
                let keyframes: Vec<bool> = group.iter().map(|unit| unit.keyframe).collect();
                assert!(keyframes[0] && !keyframes[1..].contains(&true), "{codec}: {keyframes:?}");
            }
        }
    }

    #[test]
    fn films_that_cannot_be_shown_are_refused() {
        let none = || std::iter::empty::<IdlePicture>();
        assert_eq!(IdleLoop::film(30, none).unwrap_err(), IdleError::Empty);
        assert_eq!(IdleLoop::image(b"GIF89a").unwrap_err(), IdleError::NoImage);
        assert!(matches!(IdleLoop::image(&BUILT_IN[..500]), Err(IdleError::Picture(_))));
        assert_eq!(IdleLoop::film(0, none).unwrap_err(), IdleError::Fps(0));
        let odd = || std::iter::once(IdlePicture::new(vec![0; 99], 17, 16));
        assert!(matches!(IdleLoop::film(30, odd), Err(IdleError::Picture(_))));
    }
}
