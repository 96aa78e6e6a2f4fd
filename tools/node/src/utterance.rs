//! Sound and pictures that are made ahead of their time.

use std::sync::{Arc, Mutex, PoisonError};

use napi::bindgen_prelude::AsyncTask;
use napi_derive::napi;
use visavis::audio::{AudioChunk, EncodedAudio};
use visavis::utterance::{Utterance, UtteranceProgress};
use visavis::video::VideoFrame;

use crate::decoding::{DecodedPush, Encoded};
use crate::failure::{Failure, Result, failure, guarded};
use crate::values::{audio_format, channel_count, millis, outcome, pixel_format};

/// An utterance, until it is ended.
#[napi]
pub struct NativeUtterance {
    id: String,
    utterance: Mutex<Option<Arc<Utterance>>>,
    progress: UtteranceProgress,
}

/// How far an utterance is.
#[napi(object, object_from_js = false)]
pub struct Progress {
    /// Milliseconds of it that were sent.
    pub sent: f64,
    /// Whether nothing more of it will be.
    pub over: bool,
    /// Whether it was cut off.
    pub interrupted: bool,
}

impl NativeUtterance {
    pub(crate) fn new(utterance: Utterance) -> Self {
        let (id, progress) = (utterance.id().as_raw().to_string(), utterance.progress());
        Self { id, utterance: Mutex::new(Some(Arc::new(utterance))), progress }
    }

    fn open(&self) -> Result<Arc<Utterance>> {
        let utterance = self.utterance.lock().unwrap_or_else(PoisonError::into_inner).clone();
        utterance.ok_or_else(|| Failure::new("ended", "this utterance was ended; begin another"))
    }

    fn push(&self, push: impl FnOnce(&Utterance) -> Result<&'static str>) -> Result<&'static str> {
        guarded(|| push(&*self.open()?))
    }
}

#[napi]
impl NativeUtterance {
    /// Its number, as in events.
    #[napi(getter)]
    pub fn id(&self) -> String {
        self.id.clone()
    }

    /// Adds a picture, stamped inside the utterance.
    #[napi]
    pub fn push_video(
        &self,
        data: &[u8],
        width: u32,
        height: u32,
        timestamp: f64,
        format: String,
    ) -> Result<&'static str> {
        self.push(|utterance| {
            let frame = VideoFrame::new(data, width, height).format(pixel_format(&format)?);
            utterance.push_video(&frame.timestamp(millis(timestamp))).map(outcome).map_err(failure)
        })
    }

    /// Adds a JPEG or PNG file, stamped inside the utterance, which is decoded on a thread of Node's pool.
    #[napi(ts_return_type = "Promise<Decoded>")]
    pub fn push_picture(
        &self,
        data: &[u8],
        width: u32,
        height: u32,
        timestamp: f64,
        format: String,
    ) -> Result<AsyncTask<DecodedPush>> {
        let (utterance, format) = (self.open()?, pixel_format(&format)?);
        let file = Encoded { data: data.to_vec(), timestamp: millis(timestamp) };
        Ok(AsyncTask::new(DecodedPush::Said { utterance, file, format, width, height }))
    }

    /// Adds PCM, stamped inside the utterance.
    #[napi]
    pub fn push_audio(
        &self,
        data: &[u8],
        sample_rate: u32,
        channels: u32,
        timestamp: f64,
        float: bool,
    ) -> Result<&'static str> {
        self.push(|utterance| {
            let chunk = AudioChunk::new(data, sample_rate, channel_count(channels));
            let chunk = chunk.format(audio_format(float)).timestamp(millis(timestamp));
            utterance.push_audio(&chunk).map(outcome).map_err(failure)
        })
    }

    /// Adds MP3 frames, stamped inside the utterance; they are decoded here.
    #[napi]
    pub fn push_mp3(&self, data: &[u8], timestamp: f64) -> Result<&'static str> {
        self.push(|utterance| {
            let frames = EncodedAudio::new(data).timestamp(millis(timestamp));
            utterance.push_mp3(&frames).map(outcome).map_err(failure)
        })
    }

    /// Nothing more will be added.
    #[napi]
    pub fn end(&self) {
        drop(self.utterance.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Cuts it off; returns how many milliseconds of it were sent.
    #[napi]
    pub fn interrupt(&self) -> f64 {
        self.progress.interrupt().as_secs_f64() * 1_000.0
    }

    /// How far it is.
    #[napi]
    pub fn progress(&self) -> Progress {
        Progress {
            sent: self.progress.sent().as_secs_f64() * 1_000.0,
            over: self.progress.is_over(),
            interrupted: self.progress.is_interrupted(),
        }
    }
}
