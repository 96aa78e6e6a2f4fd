//! Pushes that decode first. That takes milliseconds, which are a thread's of Node's pool and not its event loop's.

use std::path::PathBuf;
use std::sync::Arc;

use napi::{Env, Task};
use napi_derive::napi;
use visavis::Session;
use visavis::audio::{AudioSink, EncodedAudio};
use visavis::idle::IdleLoop;
use visavis::units::UnixMillis;
use visavis::utterance::Utterance;
use visavis::video::{PixelFormat, VideoFrame, VideoSink};

use crate::failure::{Failure, Result, failure, guarded};
use crate::values::outcome;

/// A file, or frames of one.
pub struct Encoded {
    pub(crate) data: Vec<u8>,
    pub(crate) timestamp: UnixMillis,
}

/// A push of something that has to be decoded.
pub enum DecodedPush {
    /// Of a JPEG or PNG file.
    Picture {
        /// Where it goes.
        sink: VideoSink,
        /// The file.
        file: Encoded,
        /// Which of both.
        format: PixelFormat,
        /// As its caller says.
        width: u32,
        /// As its caller says.
        height: u32,
    },
    /// Of a JPEG or PNG file, to be shown while no pictures come.
    Idle {
        /// Whose.
        session: Arc<Session>,
        /// The file.
        file: Vec<u8>,
    },
    /// Of an image or a film, to be shown while no pictures come.
    IdleFile {
        /// Whose.
        session: Arc<Session>,
        /// Where it is.
        path: PathBuf,
    },
    /// Of a JPEG or PNG file into an utterance.
    Said {
        /// Where it goes.
        utterance: Arc<Utterance>,
        /// The file.
        file: Encoded,
        /// Which of both.
        format: PixelFormat,
        /// As its caller says.
        width: u32,
        /// As its caller says.
        height: u32,
    },
    /// Of MP3 frames.
    Mp3 {
        /// Where they go.
        sink: AudioSink,
        /// The frames.
        frames: Encoded,
    },
}

/// What became of it: an error that went through `compute` would lose its code.
#[napi(object, object_from_js = false)]
pub struct Decoded {
    /// As with other pushes, where it was usable.
    pub outcome: Option<&'static str>,
    /// The error's code, where it was not.
    pub code: Option<&'static str>,
    /// The error's text.
    pub message: Option<String>,
}

impl Task for DecodedPush {
    type Output = Result<&'static str>;
    type JsValue = Decoded;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        Ok(guarded(|| self.push()))
    }

    fn resolve(&mut self, _env: Env, output: Self::Output) -> napi::Result<Decoded> {
        Ok(match output {
            Ok(outcome) => Decoded { outcome: Some(outcome), code: None, message: None },
            Err(Failure { status, reason, .. }) => {
                Decoded { outcome: None, code: Some(status), message: Some(reason) }
            }
        })
    }
}

impl DecodedPush {
    fn push(&self) -> Result<&'static str> {
        match self {
            Self::Picture { sink, file, format, width, height } => {
                let frame = VideoFrame::new(&file.data, *width, *height).format(*format);
                sink.push(&frame.timestamp(file.timestamp)).map(outcome).map_err(failure)
            }
            Self::Idle { session, file } => {
                session.set_idle(Some(IdleLoop::image(file).map_err(failure)?));
                Ok("accepted")
            }
            Self::IdleFile { session, path } => {
                session.set_idle(Some(visavis_film::idle::open(path).map_err(failure)?));
                Ok("accepted")
            }
            Self::Said { utterance, file, format, width, height } => {
                let frame = VideoFrame::new(&file.data, *width, *height).format(*format);
                let frame = frame.timestamp(file.timestamp);
                utterance.push_video(&frame).map(outcome).map_err(failure)
            }
            Self::Mp3 { sink, frames } => {
                let frames = EncodedAudio::new(&frames.data).timestamp(frames.timestamp);
                sink.push_mp3(&frames).map(outcome).map_err(failure)
            }
        }
    }
}
