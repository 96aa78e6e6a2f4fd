//! One face: where pictures and sound go in.

use std::sync::{Arc, Mutex, PoisonError};

use napi::bindgen_prelude::AsyncTask;
use napi::{Env, Task};
use napi_derive::napi;
use visavis::audio::{AudioChunk, AudioSink, EncodedAudio};
use visavis::data::{DataChannel, DataMessage, SendOutcome};
use visavis::peer::PeerId;
use visavis::status::{Metrics, NetworkSummary, RungSummary};
use visavis::video::{EncodedFrame, EncodedVideoSink, VideoFrame, VideoSink};
use visavis::{EngineHandle, Event, Session};

use crate::decoding::{DecodedPush, Encoded};
use crate::failure::{Failure, Result, failure, guarded, held, release};
use crate::inbox::{Inbox, Source};
use crate::items::in_kbps;
use crate::options::video_codec;
use crate::utterance::NativeUtterance;
use crate::values::{audio_format, channel_count, millis, outcome, peer_id, pixel_format};

/// A session of the engine.
#[napi]
pub struct NativeSession {
    open: Mutex<Option<Open>>,
    /// Whether the microphones are listened to.
    listening: Mutex<bool>,
    /// Whether messages are read.
    reading_messages: Mutex<bool>,
    /// Whether it is listened to how loud visitors are.
    metering: Mutex<bool>,
}

/// What holds descriptors, and threads of the engine.
#[derive(Clone)]
struct Open {
    session: Arc<Session>,
    engine: EngineHandle,
    video: VideoSink,
    encoded: EncodedVideoSink,
    audio: AudioSink,
    inbox: Arc<Inbox>,
}

/// What became of a message to all.
#[napi(object, object_from_js = false)]
pub struct Delivery {
    /// Viewers that it is on its way to.
    pub accepted: u32,
    /// Viewers that do not keep up, and do not get it.
    pub full: Vec<String>,
}

/// `getStatus()`.
#[napi(object, object_from_js = false)]
pub struct Status {
    /// Viewers connected now.
    pub peer_count: u32,
    /// Counters and averages.
    pub metrics: StatusMetrics,
    /// What viewers get.
    pub rungs: Vec<StatusRung>,
    /// Of viewers that report when packets arrive; none while none does.
    pub networks: Option<StatusNetworks>,
}

/// One of the sizes that pictures are encoded in.
#[napi(object, object_from_js = false)]
pub struct StatusRung {
    /// What it is encoded with.
    pub codec: String,
    /// Which size, from the smallest.
    pub rung: u32,
    /// kbit/s at most; none where there is one size that is always the same.
    pub bitrate: Option<u32>,
    /// How many get it.
    pub viewers: u32,
}

/// The networks of viewers.
#[napi(object, object_from_js = false)]
pub struct StatusNetworks {
    /// How many report.
    pub viewers: u32,
    /// How many of them get less for it.
    pub limited: u32,
    /// How many of them come by TCP.
    pub by_tcp: u32,
    /// The medians.
    pub median: StatusNetwork,
    /// The worst figures.
    pub worst: StatusNetwork,
}

/// Figures of networks.
#[napi(object, object_from_js = false)]
pub struct StatusNetwork {
    /// kbit/s.
    pub available_bitrate: u32,
    /// Milliseconds.
    pub round_trip: f64,
    /// Milliseconds.
    pub queue_delay: f64,
    /// From 0 to 1.
    pub fraction_lost: f64,
}

/// Counters and averages of a session, named as in `GET /status`.
#[napi(object, object_from_js = false)]
pub struct StatusMetrics {
    /// Frames pushed.
    pub video_frames: f64,
    /// Chunks of sound pushed.
    pub audio_chunks: f64,
    /// Frames that came too late.
    pub dropped_frames: f64,
    /// Milliseconds.
    pub avg_latency: f64,
    /// Unix milliseconds; 0 before the first.
    pub last_frame_time: f64,
    /// Of the last second.
    pub fps: f64,
    /// Whether frames come.
    pub is_streaming: bool,
    /// Frames that a newer one took the place of.
    pub replaced_frames: f64,
    /// Milliseconds of sound that there was no room for.
    pub dropped_audio_ms: f64,
    /// Stamps that could not be meant.
    pub corrected_stamps: f64,
    /// Frames encoded.
    pub encoded_frames: f64,
    /// Keyframes among them.
    pub keyframes: f64,
    /// Chunks of microphones that were not read in time.
    pub unread_mic_chunks: f64,
    /// Times that pictures stopped coming.
    pub stalls: f64,
    /// Whether viewers see what is pushed.
    pub is_live: bool,
}

impl NativeSession {
    pub(crate) fn new(session: Session, engine: EngineHandle, inbox: Arc<Inbox>) -> Self {
        let (video, encoded, audio) = (session.video(), session.encoded_video(), session.audio());
        let open = Open { session: Arc::new(session), engine, video, encoded, audio, inbox };
        Self {
            open: Mutex::new(Some(open)),
            listening: Mutex::default(),
            reading_messages: Mutex::default(),
            metering: Mutex::default(),
        }
    }

    fn open(&self) -> Result<Open> {
        held(&self.open)
    }

    fn session(&self) -> Result<Arc<Session>> {
        Ok(self.open()?.session)
    }

    fn channel(&self, label: Option<&str>) -> Result<DataChannel> {
        let channel = self.session()?.data();
        Ok(label.map_or_else(|| channel.clone(), |label| channel.labelled(label)))
    }

    /// Reads from this as well, from the first wish on.
    fn read_from(
        &self,
        already: &Mutex<bool>,
        source: impl FnOnce(&Open, String) -> Source,
    ) -> Result<()> {
        guarded(|| {
            // Of one that was stopped nothing will come.
            let Ok(open) = self.open() else { return Ok(()) };
            let mut already = already.lock().unwrap_or_else(PoisonError::into_inner);
            if !*already {
                let failed = |error| Failure::new("system", format!("cannot listen: {error}"));
                let source = source(&open, open.session.id().to_string());
                open.inbox.add(source).map_err(failed)?;
                *already = true;
            }
            Ok(())
        })
    }
}

#[napi]
impl NativeSession {
    /// From now on what is pushed is sent.
    #[napi]
    pub fn start(&self) -> Result<()> {
        guarded(|| {
            self.session()?.start();
            Ok(())
        })
    }

    /// Pushes a picture that is not compressed: copies it once, and waits for nothing.
    #[napi]
    pub fn push_video(
        &self,
        data: &[u8],
        width: u32,
        height: u32,
        timestamp: f64,
        format: String,
    ) -> Result<&'static str> {
        guarded(|| {
            let format = pixel_format(&format)?;
            let frame = VideoFrame::new(data, width, height).format(format);
            let pushed = self.open()?.video.push(&frame.timestamp(millis(timestamp)));
            pushed.map(outcome).map_err(failure)
        })
    }

    /// Pushes a JPEG or PNG file, which is decoded on a thread of Node's pool.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn push_picture(
        &self,
        data: &[u8],
        width: u32,
        height: u32,
        timestamp: f64,
        format: String,
    ) -> Result<AsyncTask<DecodedPush>> {
        let (sink, format) = (self.open()?.video, pixel_format(&format)?);
        let file = Encoded { data: data.to_vec(), timestamp: millis(timestamp) };
        Ok(AsyncTask::new(DecodedPush::Picture { sink, file, format, width, height }))
    }

    /// Sends a picture that is encoded already; `keyframe`: whether it is one, where its caller knows.
    #[napi]
    pub fn push_encoded(
        &self,
        data: &[u8],
        codec: String,
        timestamp: f64,
        keyframe: Option<bool>,
    ) -> Result<&'static str> {
        guarded(|| {
            let frame = EncodedFrame::new(data, video_codec(&codec)?).keyframe(keyframe);
            let pushed = self.open()?.encoded.push(&frame.timestamp(millis(timestamp)));
            pushed.map(outcome).map_err(failure)
        })
    }

    /// Pushes PCM, of 16 bits or, as `float`, of 32.
    #[napi]
    pub fn push_audio(
        &self,
        data: &[u8],
        sample_rate: u32,
        channels: u32,
        timestamp: f64,
        float: bool,
    ) -> Result<&'static str> {
        guarded(|| {
            let chunk = AudioChunk::new(data, sample_rate, channel_count(channels));
            let chunk = chunk.format(audio_format(float)).timestamp(millis(timestamp));
            let pushed = self.open()?.audio.push(&chunk);
            pushed.map(outcome).map_err(failure)
        })
    }

    /// Pushes one Opus packet.
    #[napi]
    pub fn push_opus(&self, data: &[u8], timestamp: f64) -> Result<&'static str> {
        guarded(|| {
            let packet = EncodedAudio::new(data).timestamp(millis(timestamp));
            self.open()?.audio.push_opus(&packet).map(outcome).map_err(failure)
        })
    }

    /// Pushes MP3 frames, which are decoded on a thread of Node's pool.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn push_mp3(&self, data: &[u8], timestamp: f64) -> Result<AsyncTask<DecodedPush>> {
        let frames = Encoded { data: data.to_vec(), timestamp: millis(timestamp) };
        Ok(AsyncTask::new(DecodedPush::Mp3 { sink: self.open()?.audio, frames }))
    }

    /// Begins an utterance, whose stamps count from `zero`.
    #[napi]
    pub fn begin_utterance(&self, zero: f64) -> Result<NativeUtterance> {
        guarded(|| {
            let utterance = self.session()?.begin_utterance(millis(zero)).map_err(failure)?;
            Ok(NativeUtterance::new(utterance))
        })
    }

    /// Drops all that waits; returns how many milliseconds of what is playing were sent.
    #[napi]
    pub fn interrupt(&self) -> Result<f64> {
        guarded(|| Ok(self.session()?.interrupt().as_secs_f64() * 1_000.0))
    }

    /// Shows this JPEG or PNG file while no pictures come; it is decoded on a thread of Node's pool.
    #[napi(ts_return_type = "Promise<Decoded>")]
    pub fn set_idle(&self, file: &[u8]) -> Result<AsyncTask<DecodedPush>> {
        let session = self.session()?;
        Ok(AsyncTask::new(DecodedPush::Idle { session, file: file.to_vec() }))
    }

    /// Shows an image or a film while no pictures come; it is opened on a thread of Node's pool.
    #[napi(ts_return_type = "Promise<Decoded>")]
    pub fn set_idle_file(&self, path: String) -> Result<AsyncTask<DecodedPush>> {
        let session = self.session()?;
        Ok(AsyncTask::new(DecodedPush::IdleFile { session, path: path.into() }))
    }

    /// The last picture stays while no others come.
    #[napi]
    pub fn keep_last_picture(&self) -> Result<()> {
        guarded(|| {
            self.session()?.set_idle(None);
            Ok(())
        })
    }

    /// Sends a viewer a text, or bytes; a channel's label picks one of several.
    #[napi]
    pub fn send(
        &self,
        peer: String,
        text: Option<String>,
        data: &[u8],
        label: Option<String>,
    ) -> Result<&'static str> {
        guarded(|| {
            let channel = self.channel(label.as_deref())?;
            let sent = channel.send(peer_id(&peer)?, &message(text, data)).map_err(failure)?;
            Ok(if sent == SendOutcome::Full { "full" } else { "accepted" })
        })
    }

    /// Sends it to every viewer that has a channel for it; returns those that do not keep up.
    #[napi]
    pub fn broadcast(
        &self,
        text: Option<String>,
        data: &[u8],
        label: Option<String>,
    ) -> Result<Delivery> {
        guarded(|| {
            let channel = self.channel(label.as_deref())?;
            let sent = channel.broadcast(&message(text, data)).map_err(failure)?;
            let accepted = u32::try_from(sent.accepted).unwrap_or(u32::MAX);
            Ok(Delivery { accepted, full: sent.full.iter().map(PeerId::to_string).collect() })
        })
    }

    /// From now on messages of viewers are read.
    #[napi]
    pub fn listen_to_messages(&self) -> Result<()> {
        self.read_from(&self.reading_messages, |open, name| {
            Source::Messages(name, open.session.data().incoming().clone())
        })
    }

    /// From now on what viewers say is read.
    #[napi]
    pub fn listen(&self) -> Result<()> {
        self.read_from(&self.listening, |open, name| {
            Source::Microphones(name, open.session.microphone())
        })
    }

    /// From now on it is told how loud viewers are, whose microphones are [listened to](Self::listen).
    #[napi]
    pub fn meter(&self) -> Result<()> {
        self.read_from(&self.metering, |open, _| {
            let id = open.session.id().clone();
            // Apart from other events, as there are many of these.
            Source::Events(open.engine.subscribe_to(move |event| {
                matches!(event, Event::MicrophoneLevel { session, .. } if *session == id)
            }))
        })
    }

    /// Counters and averages.
    #[napi]
    pub fn status(&self) -> Result<Status> {
        guarded(|| {
            let status = self.session()?.status();
            let peer_count = count(status.peer_count);
            Ok(Status {
                peer_count,
                metrics: metrics(&status.metrics),
                rungs: status.rungs.iter().map(rung).collect(),
                networks: status.networks.map(|all| networks(&all)),
            })
        })
    }

    /// Ends the session, on a thread of Node's pool: its viewers are told.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn stop(&self) -> Result<AsyncTask<StopSession>> {
        Ok(AsyncTask::new(StopSession(self.session()?)))
    }

    /// Lets go of what it holds, once it is stopped: all else throws from then on.
    #[napi]
    pub fn release(&self) {
        release(&self.open);
    }
}

/// The end of a session, which waits for its viewers to be told.
pub struct StopSession(Arc<Session>);

impl Task for StopSession {
    type Output = ();
    type JsValue = ();

    fn compute(&mut self) -> napi::Result<()> {
        let stopped = guarded(|| {
            self.0.stop();
            Ok(())
        });
        stopped.map_err(|error| napi::Error::from_reason(error.reason.clone()))
    }

    fn resolve(&mut self, _env: Env, (): ()) -> napi::Result<()> {
        Ok(())
    }
}

fn message(text: Option<String>, data: &[u8]) -> DataMessage {
    text.map_or_else(|| DataMessage::Binary(data.to_vec()), DataMessage::Text)
}

fn rung(rung: &RungSummary) -> StatusRung {
    StatusRung {
        codec: rung.codec.to_string(),
        rung: rung.rung.index() as u32,
        bitrate: rung.bitrate.map(in_kbps),
        viewers: count(rung.viewers),
    }
}

fn networks(all: &NetworkSummary) -> StatusNetworks {
    let [median, worst] = [&all.median, &all.worst].map(|network| StatusNetwork {
        available_bitrate: in_kbps(network.available_bitrate),
        round_trip: network.round_trip.as_secs_f64() * 1_000.0,
        queue_delay: network.queue_delay.as_secs_f64() * 1_000.0,
        fraction_lost: network.fraction_lost,
    });
    let (limited, by_tcp) = (count(all.limited), count(all.by_tcp));
    StatusNetworks { viewers: count(all.viewers), limited, by_tcp, median, worst }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn metrics(m: &Metrics) -> StatusMetrics {
    // Counters stay far below 2^53, where an f64 stops being exact.
    StatusMetrics {
        video_frames: m.video_frames as f64,
        audio_chunks: m.audio_chunks as f64,
        dropped_frames: m.dropped_frames as f64,
        avg_latency: m.avg_latency_ms,
        last_frame_time: m.last_frame_time.map_or(0.0, |time| time.0 as f64),
        fps: m.fps,
        is_streaming: m.is_streaming,
        replaced_frames: m.replaced_frames as f64,
        dropped_audio_ms: m.dropped_audio_ms as f64,
        corrected_stamps: m.corrected_stamps as f64,
        encoded_frames: m.encoded_frames as f64,
        keyframes: m.keyframes as f64,
        unread_mic_chunks: m.unread_mic_chunks as f64,
        stalls: m.stalls as f64,
        is_live: m.is_live,
    }
}
