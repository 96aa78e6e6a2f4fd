//! How a session is made: its threads, and the rings between them.

use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};

use rtrb::RingBuffer;
use visavis_codec::{ENCODERS, OpusDecoder, encodable_size};
use visavis_core::PacketizedFrame;
use visavis_types::FrameSize;

use crate::audio::{AudioCommand, AudioSink, AudioSource, Microphones};
use crate::data;
use crate::encoded::EncodedVideoSink;
use crate::media::{Control, LoopRings, SessionMedia};
use crate::session::{Ends, Running};
use crate::shared::SessionShared;
use crate::video::EncodeLoop;
use crate::{EngineHandle, Session, SessionConfig, SessionError};

/// Encoded frames that may wait for the media loop: half a second. It normally holds one.
const VIDEO_RING: usize = 16;

/// Audio packets that may wait for the media loop: a quarter of a second of 10 ms packets in each codec.
const AUDIO_RING: usize = 75;

/// Microphone packets that may wait for the audio loop: what fifty viewers say in a fifth of a second.
const MICROPHONE_RING: usize = 512;

/// Chunks that may wait for the audio loop, which empties the ring at each wake-up.
const AUDIO_BLOCK_RING: usize = 1_024;

impl EngineHandle {
    /// Makes a session. It exists until it is stopped or dropped.
    ///
    /// # Errors
    ///
    /// A name that is taken, a setting out of range, an engine that has stopped.
    pub fn create_session(&self, config: SessionConfig) -> Result<Session, SessionError> {
        if !(1..=120).contains(&config.fps) {
            return Err(SessionError::Config("fps must be from 1 to 120"));
        }
        if config.video_bitrate.bps() < 50_000 {
            return Err(SessionError::Config("the video bitrate must be at least 50 kbit/s"));
        }
        if config.encoded.is_none() && config.video_codecs.iter().any(|&c| !ENCODERS.contains(c)) {
            return Err(SessionError::Config(
                "this build has no encoder for a video codec; AV1 wants the cargo feature `av1`",
            ));
        }
        let fits = |size| config.video_codecs.iter().all(|&c| encodable_size(c, size) == size);
        if config.encoded.is_none() && config.size.is_some_and(|size| !fits(size)) {
            return Err(SessionError::Config(
                "the size is larger than H264 can be encoded: 3840x2160 or 2160x3840 at most",
            ));
        }
        if !OpusDecoder::SAMPLE_RATES_HZ.contains(&config.microphone_rate) {
            return Err(SessionError::Config(
                "the microphone rate must be 8, 12, 16, 24 or 48 kHz",
            ));
        }
        if config.max_peers == Some(0) {
            return Err(SessionError::Config("a session must take one viewer at least"));
        }
        let inner = &self.inner;
        let Some(audio_thread) = inner.audio.thread.get() else {
            return Err(SessionError::Stopped);
        };
        let faults = Arc::clone(&inner.faults);
        let shared = SessionShared::new(config, inner.clock, inner.loops.len());
        let shared = Arc::new(shared.with_faults(Arc::clone(&faults)));
        let wakers: Vec<_> = inner.loops.iter().map(|own| own.waker.for_session()).collect();
        let (video_in, video_out) = LoopRings::new(VIDEO_RING, &wakers);
        let (audio_in, audio_out) = LoopRings::new(AUDIO_RING, &wakers);
        let (blocks_in, blocks_out) = RingBuffer::new(AUDIO_BLOCK_RING);
        let (mic_in, mic_out) = inner
            .loops
            .iter()
            .map(|_| RingBuffer::new(MICROPHONE_RING))
            .unzip::<_, _, Vec<_>, Vec<_>>();
        let (inboxes, inbox) = data::inbox(inner.loops.len());
        let (microphones, microphone) = Microphones::new(
            shared.config.id.clone(),
            shared.config.microphone_rate,
            inner.clock,
            mic_out,
            (faults, Arc::clone(&shared.counters.unread_mic)),
        );
        let source = AudioSource::new(
            Arc::clone(&shared),
            blocks_out,
            audio_in,
            microphones,
            Arc::clone(&inner.refusals),
        )
        .map_err(|error| SessionError::Audio(error.to_string()))?;
        shared.audio_thread.is(audio_thread);
        // One after the other: what fails leaves nothing behind.
        let (encoded_video, encode_thread) = {
            let mut sessions = inner.sessions.write().unwrap_or_else(PoisonError::into_inner);
            if sessions.iter().any(|other| other.config.id == shared.config.id) {
                return Err(SessionError::Exists(shared.config.id.clone()));
            }
            let (encoded_video, encode_thread) = match shared.config.encoded {
                Some(codec) => (EncodedVideoSink::new(Arc::clone(&shared), codec, video_in), None),
                None => {
                    let thread = start_encoder(&shared, video_in)?;
                    (EncodedVideoSink::of_raw_session(Arc::clone(&shared)), Some(thread))
                }
            };
            shared.set_media(inner.idle_encoder.clone(), wakers.clone());
            let ends = video_out.into_iter().zip(audio_out).zip(mic_in).zip(inboxes).zip(wakers);
            let commands = ends.map(|((((video, audio), microphones), inbox), waker)| {
                let shared = Arc::clone(&shared);
                Control::AddSession(SessionMedia {
                    shared,
                    video,
                    audio,
                    microphones,
                    inbox,
                    waker,
                })
            });
            let told = inner.control_all(commands);
            if !inner.audio.send(AudioCommand::Add(Box::new(source))) || !told {
                // A loop has ended, and the engine with it.
                shared.stop();
                inner.say_goodbye(&shared);
                return Err(SessionError::Stopped);
            }
            sessions.push(Arc::clone(&shared));
            (encoded_video, encode_thread)
        };
        let sink = AudioSink::new(Arc::clone(&shared), blocks_in, audio_thread.clone());
        let voices = &inner.voices;
        voices.write().unwrap_or_else(PoisonError::into_inner).push(sink.clone());
        let running = Running { encode_thread };
        let ends = Ends { audio: sink, encoded_video, microphone, inbox };
        Ok(Session::new(self.clone(), shared, ends, running))
    }
}

fn start_encoder(
    shared: &Arc<SessionShared>,
    output: LoopRings<PacketizedFrame>,
) -> Result<JoinHandle<()>, SessionError> {
    let smallest = FrameSize::new(FrameSize::MIN_SIDE, FrameSize::MIN_SIDE)
        .map_err(|_| SessionError::Config("no smallest frame"))?;
    #[cfg(debug_assertions)]
    if shared.faults.is_thread_refused() {
        return Err(std::io::Error::from(std::io::ErrorKind::WouldBlock).into());
    }
    let encode = EncodeLoop::new(Arc::clone(shared), output, smallest);
    let thread =
        thread::Builder::new().name("visavis-encode".to_owned()).spawn(move || encode.run())?;
    shared.encode_thread.is(thread.thread());
    Ok(thread)
}
