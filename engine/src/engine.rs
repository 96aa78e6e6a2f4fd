use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Sender, bounded};
use crossbeam_queue::SegQueue;
use rtrb::{Producer, RingBuffer};
use visavis_core::{Certificate, PacketizedFrame};
use visavis_net::UdpEndpoint;
use visavis_types::{ClockAnchor, CodecSet, FrameSize};

use crate::audio::{AudioCommand, AudioLoop, AudioSink, AudioSource};
use crate::encoded::EncodedVideoSink;
use crate::handle::{Inner, Parts};
use crate::media::{Addresses, Command, MediaLoop, SessionMedia};
use crate::session::Running;
use crate::shared::SessionShared;
use crate::video::EncodeLoop;
use crate::{EngineConfig, EngineHandle, Session, SessionConfig, SessionError, StartError};

/// Commands that may wait for the media loop. A join is a handful (an offer, some candidates).
const COMMAND_CAPACITY: usize = 4_096;

/// Encoded frames that may wait for the media loop: half a second. It normally holds one.
const VIDEO_RING: usize = 16;

/// Opus packets that may wait for the media loop: half a second.
const AUDIO_RING: usize = 25;

/// Chunks that may wait for the audio loop, which empties the ring at each wake-up.
const AUDIO_BLOCK_RING: usize = 1_024;

/// The running engine. Dropping it stops it.
#[derive(Debug)]
pub struct Engine {
    handle: EngineHandle,
    clock: ClockAnchor,
    udp: SocketAddr,
    audio: Sender<AudioCommand>,
    media_thread: Option<JoinHandle<()>>,
    audio_thread: Option<JoinHandle<()>>,
}

impl Engine {
    /// Opens the UDP socket and starts the threads.
    ///
    /// # Errors
    ///
    /// [`StartError::Bind`] where the address is taken or not ours; the others are failures of the
    /// system.
    pub fn start(config: EngineConfig) -> Result<Self, StartError> {
        let certificate = Certificate::generate().map_err(StartError::Certificate)?;
        let endpoint = UdpEndpoint::bind(config.udp)
            .map_err(|source| StartError::Bind { addr: config.udp, source })?;
        let udp = endpoint.local_addr();
        let addresses = Addresses::discover(udp, &config.announce)?;
        tracing::info!(candidates = ?addresses.candidates(), "told to viewers");
        let (clock, departed) = (ClockAnchor::now(), Arc::new(SegQueue::new()));
        let (commands, command_receiver) = bounded(COMMAND_CAPACITY);
        let (audio, audio_receiver) = bounded(COMMAND_CAPACITY);
        let candidates = addresses.candidates().to_vec();
        let (media_loop, media) = MediaLoop::new(
            endpoint,
            addresses,
            clock,
            config.connect_timeout,
            command_receiver,
            Arc::clone(&departed),
        )?;
        let audio_loop = AudioLoop::new(audio_receiver, media.clone());
        let scheduling = config.scheduling;
        let media_thread = spawn("visavis-media", move || {
            scheduling.apply_to_media();
            media_loop.run();
        })?;
        let audio_thread = spawn("visavis-audio", move || {
            scheduling.apply_to_audio();
            audio_loop.run();
        })?;
        let inner = Inner::new(Parts {
            commands,
            media,
            departed,
            certificate,
            candidates,
            max_peers: config.max_peers,
            event_capacity: config.event_capacity,
        });
        Ok(Self {
            handle: EngineHandle { inner: Arc::new(inner) },
            clock,
            udp,
            audio,
            media_thread: Some(media_thread),
            audio_thread: Some(audio_thread),
        })
    }

    /// The UDP address media flows through.
    pub fn udp_addr(&self) -> SocketAddr {
        self.udp
    }

    /// A handle for signaling.
    pub fn handle(&self) -> EngineHandle {
        self.handle.clone()
    }

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
        if config.encoded.is_none() && !CodecSet::ENCODERS.contains(config.video_codec) {
            return Err(SessionError::Config("raw video is encoded as H264 or VP8"));
        }
        let Some(audio_thread) = &self.audio_thread else {
            return Err(SessionError::Stopped);
        };
        let inner = &self.handle.inner;
        let shared = Arc::new(SessionShared::new(config, self.clock));
        let (video_in, video_out) = RingBuffer::new(VIDEO_RING);
        let (audio_in, audio_out) = RingBuffer::new(AUDIO_RING);
        let (blocks_in, blocks_out) = RingBuffer::new(AUDIO_BLOCK_RING);
        let source = AudioSource::new(Arc::clone(&shared), blocks_out, audio_in)
            .map_err(|error| SessionError::Audio(error.to_string()))?;
        {
            let mut sessions = inner.sessions.write().unwrap_or_else(PoisonError::into_inner);
            if sessions.iter().any(|other| other.config.id == shared.config.id) {
                return Err(SessionError::Exists(shared.config.id.clone()));
            }
            let media =
                SessionMedia { shared: Arc::clone(&shared), video: video_out, audio: audio_out };
            inner.send(Command::AddSession(media)).map_err(|_| SessionError::Stopped)?;
            sessions.push(Arc::clone(&shared));
        }
        let (encoded_video, encode_thread) = match shared.config.encoded {
            Some(codec) => {
                let media = inner.media.clone();
                (EncodedVideoSink::new(Arc::clone(&shared), codec, video_in, media), None)
            }
            None => {
                let thread = self.start_encoder(&shared, video_in)?;
                (EncodedVideoSink::of_raw_session(Arc::clone(&shared)), Some(thread))
            }
        };
        let _ = self.audio.try_send(AudioCommand::Add(Box::new(source)));
        audio_thread.thread().unpark();
        let sink = AudioSink::new(Arc::clone(&shared), blocks_in, audio_thread.thread().clone());
        let running = Running { encode_thread };
        Ok(Session::new(self.handle.clone(), shared, sink, encoded_video, running))
    }

    fn start_encoder(
        &self,
        shared: &Arc<SessionShared>,
        output: Producer<PacketizedFrame>,
    ) -> Result<JoinHandle<()>, SessionError> {
        let smallest = FrameSize::new(FrameSize::MIN_SIDE, FrameSize::MIN_SIDE)
            .map_err(|_| SessionError::Config("no smallest frame"))?;
        let media = self.handle.inner.media.clone();
        let encode = EncodeLoop::new(Arc::clone(shared), output, media, smallest);
        let thread = spawn("visavis-encode", move || encode.run())?;
        shared.set_encode_thread(thread.thread().clone());
        Ok(thread)
    }

    /// Says goodbye to every peer and joins the threads.
    pub fn stop(mut self) {
        self.shut_down();
    }

    fn shut_down(&mut self) {
        let inner = &self.handle.inner;
        for session in inner.sessions.read().unwrap_or_else(PoisonError::into_inner).iter() {
            session.stop();
        }
        // Waits for a place: a stop is the one command that must not be lost.
        let _ = inner.commands.send(Command::Stop);
        inner.media.wake();
        inner.stopped.store(true, Relaxed);
        let _ = self.audio.send(AudioCommand::Stop);
        if let Some(thread) = self.audio_thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
        if let Some(thread) = self.media_thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shut_down();
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(run)
}
