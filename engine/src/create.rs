//! How a session is made: its threads, and the rings between them.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crossbeam_channel::bounded;
use rtrb::RingBuffer;
use visavis_codec::OpusEncoder;
use visavis_core::PacketizedFrame;
use visavis_types::{AudioCodec, FrameSize, SessionNumber};

use crate::audio::audio_loop::AudioCommand;
use crate::audio::microphone::microphones::Microphones;
use crate::audio::microphone::output::Output;
use crate::audio::queue::AudioQueue;
use crate::audio::sink::{AudioParts, AudioSink};
use crate::audio::source::{AudioSource, SourceParts};
use crate::config::SessionConfig;
use crate::encoded::sink::{EncodedParts, EncodedVideoSink};
use crate::error::SessionError;
use crate::handle::{EngineHandle, Inner};
use crate::idle::source::IdleSource;
use crate::inbox;
use crate::media::command::{Control, SessionMedia};
use crate::media::loop_rings::LoopRings;
use crate::media::waker::SessionWakers;
use crate::session::{Outputs, Running, Session};
use crate::session_entry::{EntryParts, SessionEntry};
use crate::state::capture_clock::CaptureClock;
use crate::state::counters::Counters;
use crate::state::demand::{Demand, LoopDemand};
use crate::state::encoders_in_use::EncodersInUse;
use crate::state::interest::Interest;
use crate::state::lifecycle::Lifecycle;
use crate::state::liveness::{LiveSource, Liveness};
use crate::state::loop_reports::{LoopReport, LoopReports};
use crate::state::status_source::StatusSource;
use crate::state::threads::Threads;
use crate::utterance::UtteranceParts;
use crate::utterance::playback::Playback;
use crate::video::encode_loop::{EncodeLoop, EncodeParts};
use crate::video::mailbox::Mailbox;
use crate::video::picture_queue::PictureQueue;
use crate::video::sink::{VideoParts, VideoSink};

/// Encoded frames that may wait for the media loop: half a second. It normally holds one.
const VIDEO_RING: usize = 16;

/// Audio packets that may wait for the media loop: a quarter of a second of 10 ms packets in each codec.
const AUDIO_RING: usize = 75;

/// Microphone packets that may wait for the audio loop: what fifty viewers send in a fifth of a second.
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
        let encoders = self.inner.encoders.for_session(config.encoder);
        config.check(encoders.map_err(SessionError::NoNvenc)?)?;
        self.inner
            .create_session(config)
            .map(|(entry, outputs, running)| Session::new(self.clone(), entry, outputs, running))
    }
}

type Made = (Arc<SessionEntry>, Outputs, Running);

impl Inner {
    /// Makes what a session shares, gives each thread what it needs of that, and lists the session.
    fn create_session(&self, config: SessionConfig) -> Result<Made, SessionError> {
        let Some(audio_thread) = self.audio.thread.get() else {
            return Err(SessionError::Stopped);
        };
        let encoders = self.encoders.for_session(config.encoder).map_err(SessionError::NoNvenc)?;
        let in_use = Arc::<EncodersInUse>::default();
        let config = Arc::new(config);
        let media_loops: Vec<_> = self.loops.iter().map(|own| own.waker.for_session()).collect();
        let media_loops = SessionWakers::new(media_loops);
        let loop_count = self.loops.len();

        let lifecycle = Arc::<Lifecycle>::default();
        let counters = Arc::<Counters>::default();
        let interest = Arc::<Interest>::default();
        let threads = Arc::<Threads>::default();
        threads.audio.set(audio_thread);
        let demand = Arc::new(Demand::new(SessionNumber::unique(), loop_count));
        let reports = Arc::new(LoopReports::new(loop_count));
        let liveness = Arc::new(Liveness::new(config.idle_grace, Instant::now()));
        let live = Arc::new(LiveSource::new(Arc::clone(&liveness), media_loops.clone()));
        let capture_clock =
            Arc::new(CaptureClock::new(config.id.clone(), self.clock, Arc::clone(&counters)));
        let mailbox = Arc::<Mailbox>::default();
        let pictures = Arc::new(PictureQueue::new(config.utterance_bytes, &threads.pushers));
        let sound = Arc::new(AudioQueue::new(config.audio_queue, &threads.pushers));
        let idle = Arc::new(IdleSource::new(
            &config,
            self.idle_encoder.clone(),
            Arc::clone(&lifecycle),
            media_loops.clone(),
        ));

        let (video_in, video_out) = LoopRings::new(VIDEO_RING, media_loops.each());
        let (audio_in, audio_out) = LoopRings::new(AUDIO_RING, media_loops.each());
        let (blocks_in, blocks_out) = RingBuffer::new(AUDIO_BLOCK_RING);
        let (mic_in, mic_out) = self
            .loops
            .iter()
            .map(|_| RingBuffer::new(MICROPHONE_RING))
            .unzip::<_, _, Vec<_>, Vec<_>>();
        let (inboxes, messages) = inbox::inbox(loop_count);
        let (mic_output, microphone) = Output::new(
            config.id.clone(),
            config.microphone_rate,
            self.clock,
            Arc::clone(&interest),
            (Arc::clone(&self.faults), Arc::clone(&counters.unread_mic)),
        );
        let microphones = Microphones::new(mic_out, mic_output);

        let (done, sound_done) = bounded(1);
        let source = SourceParts {
            config: Arc::clone(&config),
            lifecycle: Arc::clone(&lifecycle),
            counters: Arc::clone(&counters),
            demand: Arc::clone(&demand),
            queue: Arc::clone(&sound),
            threads: Arc::clone(&threads),
            refusals: Arc::clone(&self.refusals),
            done,
        };
        let source =
            AudioSource::new(source, blocks_out, audio_in, microphones).map_err(|error| {
                tracing::error!(%error, "no audio encoder");
                SessionError::AudioEncoder
            })?;
        let audio = AudioParts {
            lifecycle: Arc::clone(&lifecycle),
            counters: Arc::clone(&counters),
            capture_clock: Arc::clone(&capture_clock),
            queue: Arc::clone(&sound),
            longest: config.audio_queue,
            threads: Arc::clone(&threads),
            encodes: OpusEncoder::IS_BUILT || !config.audio_codecs.contains(&AudioCodec::Opus),
        };
        let video = VideoParts {
            encoders: encoders.clone(),
            config: Arc::clone(&config),
            lifecycle: Arc::clone(&lifecycle),
            counters: Arc::clone(&counters),
            capture_clock: Arc::clone(&capture_clock),
            live: Arc::clone(&live),
            mailbox: Arc::clone(&mailbox),
            pictures: Arc::clone(&pictures),
            threads: Arc::clone(&threads),
        };
        let playback = Playback::new(sound, Arc::clone(&live), Arc::clone(&threads));
        let utterances = UtteranceParts {
            audio: AudioSink::new(audio, blocks_in),
            video: VideoSink::new(video),
            playback: Arc::new(playback),
            lifecycle: Arc::clone(&lifecycle),
        };
        let status = StatusSource::new(
            Arc::clone(&counters),
            Arc::clone(&lifecycle),
            Arc::clone(&liveness),
            Arc::clone(&demand),
            Arc::clone(&reports),
            Arc::clone(&in_use),
        );
        let entry = Arc::new(SessionEntry::new(EntryParts {
            config: Arc::clone(&config),
            lifecycle: Arc::clone(&lifecycle),
            status,
            idle: Arc::clone(&idle),
            utterances,
            threads: Arc::clone(&threads),
            media_loops: media_loops.clone(),
        }));
        let encoded = EncodedParts {
            config: Arc::clone(&config),
            lifecycle: Arc::clone(&lifecycle),
            counters: Arc::clone(&counters),
            capture_clock,
            demand: Arc::clone(&demand),
            live: Arc::clone(&live),
        };
        let encode = EncodeParts {
            encoders: encoders.clone(),
            in_use: Arc::clone(&in_use),
            config: Arc::clone(&config),
            lifecycle: Arc::clone(&lifecycle),
            faults: Arc::clone(&self.faults),
            counters: Arc::clone(&counters),
            demand: Arc::clone(&demand),
            mailbox,
            pictures,
            live,
            idle: Arc::clone(&idle),
            threads: Arc::clone(&threads),
        };

        // One after the other: what fails leaves nothing behind.
        let mut directory = self.directory_as_it_is();
        if directory.session(&config.id).is_some() {
            return Err(SessionError::Exists(config.id.clone()));
        }
        let (encoded_video, encode_thread) = match config.encoded {
            Some(codec) => (EncodedVideoSink::new(encoded, codec, video_in), None),
            None => {
                let thread = start_encoder(encode, video_in)?;
                (EncodedVideoSink::of_raw_session(encoded), Some(thread))
            }
        };
        let ends = video_out.into_iter().zip(audio_out).zip(mic_in).zip(inboxes);
        let ends = ends.zip(media_loops.each()).enumerate();
        let commands = ends.map(|(index, ((((video, audio), microphones), inbox), waker))| {
            Control::AddSession(Box::new(SessionMedia {
                config: Arc::clone(&config),
                lifecycle: Arc::clone(&lifecycle),
                liveness: Arc::clone(&liveness),
                idle: Arc::clone(&idle),
                demand: LoopDemand::new(Arc::clone(&demand), index),
                interest: Arc::clone(&interest),
                counters: Arc::clone(&counters),
                report: LoopReport::new(Arc::clone(&reports), index),
                threads: Arc::clone(&threads),
                video,
                audio,
                microphones,
                inbox,
                waker: waker.clone(),
            }))
        });
        let sent = self.control_all(commands);
        if !self.audio.send(AudioCommand::Add(Box::new(source))) || !sent {
            // A loop has ended, and the engine with it.
            entry.stop();
            self.close_peers(&entry);
            return Err(SessionError::Stopped);
        }
        directory.insert_session(config.id.clone(), Arc::clone(&entry));
        drop(directory);
        let outputs = Outputs { encoded_video, interest, counters, microphone, messages };
        Ok((entry, outputs, Running { encode_thread, sound_done }))
    }
}

fn start_encoder(
    parts: EncodeParts,
    output: LoopRings<PacketizedFrame>,
) -> Result<JoinHandle<()>, SessionError> {
    #[cfg(debug_assertions)]
    if parts.faults.is_thread_refused() {
        return Err(std::io::Error::from(std::io::ErrorKind::WouldBlock).into());
    }
    let threads = Arc::clone(&parts.threads);
    let encode = EncodeLoop::new(parts, output, FrameSize::SMALLEST);
    let thread =
        thread::Builder::new().name("visavis-encode".to_owned()).spawn(move || encode.run())?;
    threads.encode.set(thread.thread());
    Ok(thread)
}
