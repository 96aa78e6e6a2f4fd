use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::bounded;
use crossbeam_queue::SegQueue;
use rtrb::RingBuffer;
use visavis_codec::{ENCODERS, OpusDecoder};
use visavis_core::{Certificate, PacketizedFrame};
use visavis_net::UdpEndpoint;
use visavis_types::{ClockAnchor, FrameSize};

use crate::audio::{AudioCommand, AudioLoop, AudioSink, AudioSource, Microphones};
use crate::data;
use crate::encoded::EncodedVideoSink;
use crate::handle::{Inner, LoopHandle, Parts};
use crate::media::{Addresses, Command, Lanes, MediaLoop, SessionMedia};
use crate::session::{Ends, Running};
use crate::shared::SessionShared;
use crate::video::EncodeLoop;
use crate::{EngineConfig, EngineHandle, Session, SessionConfig, SessionError, StartError};

/// Commands that may wait for the media loop. A join is a handful (an offer, some candidates).
const COMMAND_CAPACITY: usize = 4_096;

/// Messages for viewers that may wait for the media loop.
const MESSAGE_CAPACITY: usize = 1_024;

/// Encoded frames that may wait for the media loop: half a second. It normally holds one.
const VIDEO_RING: usize = 16;

/// Audio packets that may wait for the media loop: a quarter of a second of 10 ms packets in each codec.
const AUDIO_RING: usize = 75;

/// Microphone packets that may wait for the audio loop: what fifty viewers say in a fifth of a second.
const MICROPHONE_RING: usize = 512;

/// Chunks that may wait for the audio loop, which empties the ring at each wake-up.
const AUDIO_BLOCK_RING: usize = 1_024;

/// The running engine. Dropping it stops it.
#[derive(Debug)]
pub struct Engine {
    handle: EngineHandle,
    clock: ClockAnchor,
    udp: Vec<SocketAddr>,
    media_threads: Vec<JoinHandle<()>>,
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
        if config.media_loops == 0 {
            return Err(StartError::MediaLoops(0));
        }
        let certificate = Certificate::generate().map_err(StartError::Certificate)?;
        let (clock, departed) = (ClockAnchor::now(), Arc::new(SegQueue::new()));
        let (mut loops, mut media_loops, mut udp) = (Vec::new(), Vec::new(), Vec::new());
        for index in 0..config.media_loops {
            let (endpoint, addresses) = bind(&config, index)?;
            udp.push(endpoint.local_addr());
            tracing::info!(candidates = ?addresses.candidates(), "told to viewers");
            let (commands, receiver) = bounded(COMMAND_CAPACITY);
            let (messages, message_receiver) = bounded(MESSAGE_CAPACITY);
            let candidates = addresses.candidates().to_vec();
            let (media_loop, waker) = MediaLoop::new(
                index,
                (endpoint, addresses),
                clock,
                config.connect_timeout,
                (receiver, message_receiver),
                Arc::clone(&departed),
            )?;
            loops.push(LoopHandle { commands, messages, waker, candidates });
            media_loops.push(media_loop);
        }
        let (audio, audio_receiver) = bounded(COMMAND_CAPACITY);
        let inner = Inner::new(Parts {
            loops,
            audio,
            departed,
            certificate,
            max_peers: config.max_peers,
            event_capacity: config.event_capacity,
        });
        let mut engine = Self {
            handle: EngineHandle { inner: Arc::new(inner) },
            clock,
            udp,
            media_threads: Vec::new(),
            audio_thread: None,
        };
        // A failure from here on drops the engine, which stops the threads it has.
        let scheduling = config.scheduling;
        for (index, media_loop) in media_loops.into_iter().enumerate() {
            engine.media_threads.push(spawn("visavis-media", move || {
                scheduling.apply_to_media(index);
                media_loop.run();
            })?);
        }
        let audio_loop = AudioLoop::new(audio_receiver);
        let audio_thread = spawn("visavis-audio", move || {
            scheduling.apply_to_audio();
            audio_loop.run();
        })?;
        engine.handle.inner.audio.thread.is(audio_thread.thread());
        engine.audio_thread = Some(audio_thread);
        Ok(engine)
    }

    /// The UDP address media flows through; the first one where there are several media loops.
    pub fn udp_addr(&self) -> SocketAddr {
        self.udp[0]
    }

    /// The UDP addresses media flows through, one for each media loop.
    pub fn udp_addrs(&self) -> &[SocketAddr] {
        &self.udp
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
        if config.encoded.is_none() && config.video_codecs.iter().any(|&c| !ENCODERS.contains(c)) {
            return Err(SessionError::Config(
                "this build has no encoder for a video codec; AV1 wants the cargo feature `av1`",
            ));
        }
        if !OpusDecoder::SAMPLE_RATES_HZ.contains(&config.microphone_rate) {
            return Err(SessionError::Config(
                "the microphone rate must be 8, 12, 16, 24 or 48 kHz",
            ));
        }
        let Some(audio_thread) = &self.audio_thread else {
            return Err(SessionError::Stopped);
        };
        let inner = &self.handle.inner;
        let shared = Arc::new(SessionShared::new(config, self.clock, inner.loops.len()));
        let wakers: Vec<_> = inner.loops.iter().map(|own| own.waker.clone()).collect();
        let (video_in, video_out) = Lanes::new(VIDEO_RING, &wakers);
        let (audio_in, audio_out) = Lanes::new(AUDIO_RING, &wakers);
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
            self.clock,
            mic_out,
        );
        let source = AudioSource::new(Arc::clone(&shared), blocks_out, audio_in, microphones)
            .map_err(|error| SessionError::Audio(error.to_string()))?;
        {
            let mut sessions = inner.sessions.write().unwrap_or_else(PoisonError::into_inner);
            if sessions.iter().any(|other| other.config.id == shared.config.id) {
                return Err(SessionError::Exists(shared.config.id.clone()));
            }
            let ends = video_out.into_iter().zip(audio_out).zip(mic_in).zip(inboxes);
            let commands = ends.map(|(((video, audio), microphones), inbox)| {
                let shared = Arc::clone(&shared);
                Command::AddSession(SessionMedia { shared, video, audio, microphones, inbox })
            });
            if inner.send_to_all(commands).is_err() {
                inner.remove_session(&shared.config.id, Duration::ZERO);
                return Err(SessionError::Stopped);
            }
            sessions.push(Arc::clone(&shared));
        }
        let (encoded_video, encode_thread) = match shared.config.encoded {
            Some(codec) => (EncodedVideoSink::new(Arc::clone(&shared), codec, video_in), None),
            None => {
                let thread = self.start_encoder(&shared, video_in)?;
                (EncodedVideoSink::of_raw_session(Arc::clone(&shared)), Some(thread))
            }
        };
        inner.audio.send(AudioCommand::Add(Box::new(source)));
        shared.audio_thread.is(audio_thread.thread());
        let sink = AudioSink::new(Arc::clone(&shared), blocks_in, audio_thread.thread().clone());
        let running = Running { encode_thread };
        let ends = Ends { audio: sink, encoded_video, microphone, inbox };
        Ok(Session::new(self.handle.clone(), shared, ends, running))
    }

    fn start_encoder(
        &self,
        shared: &Arc<SessionShared>,
        output: Lanes<PacketizedFrame>,
    ) -> Result<JoinHandle<()>, SessionError> {
        let smallest = FrameSize::new(FrameSize::MIN_SIDE, FrameSize::MIN_SIDE)
            .map_err(|_| SessionError::Config("no smallest frame"))?;
        let encode = EncodeLoop::new(Arc::clone(shared), output, smallest);
        let thread = spawn("visavis-encode", move || encode.run())?;
        shared.encode_thread.is(thread.thread());
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
        for media_loop in &inner.loops {
            let _ = media_loop.commands.send(Command::Stop);
            media_loop.waker.wake();
        }
        inner.stopped.store(true, Relaxed);
        let _ = inner.audio.commands.send(AudioCommand::Stop);
        if let Some(thread) = self.audio_thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
        for thread in self.media_threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// The socket of a media loop: the port asked for is the first one's, those after it are the others'.
fn bind(config: &EngineConfig, index: usize) -> Result<(UdpEndpoint, Addresses), StartError> {
    let mut addr = config.udp;
    if config.udp.port() != 0 {
        let port = u16::try_from(index).ok().and_then(|index| config.udp.port().checked_add(index));
        addr.set_port(port.ok_or(StartError::MediaLoops(config.media_loops))?);
    }
    let endpoint = UdpEndpoint::bind(addr).map_err(|source| StartError::Bind { addr, source })?;
    let addresses = Addresses::discover(endpoint.local_addr(), &config.announce)?;
    Ok((endpoint, addresses))
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(run)
}
