//! Sound, as PCM, MP3 or Opus packets.
//!
//! [`Session::audio`](crate::Session::audio) takes chunks of any length. They wait in a queue of bounded length
//! ([`SessionConfig::audio_queue`](crate::SessionConfig::audio_queue)) and are played at their own rate, however fast
//! they come; speech that is made faster than it plays belongs in an [utterance](crate::utterance). The sound of a session
//! is PCM and MP3, or it is Opus packets: one session takes no mixture. The sink can be cloned and used from any thread;
//! pushing never waits.
//!
//! ```no_run
//! use visavis::audio::AudioChunk;
//! use visavis::{Engine, EngineConfig, SessionConfig};
//!
//! let engine = Engine::start(EngineConfig::default())?;
//! let session = engine.create_session(SessionConfig::default())?;
//! session.start();
//! let silence = [0; 24_000 / 10 * 2]; // 100 ms of 24 kHz mono, 16 bits a sample.
//! session.audio().push(&AudioChunk::new(&silence, 24_000, 1))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub(crate) mod audio_loop;
pub(crate) mod block;
mod drift;
mod encoders;
mod fade;
pub(crate) mod microphone;
mod opus_queue;
mod opus_streams;
mod pacer;
pub(crate) mod queue;
pub(crate) mod sink;
mod sound;
pub(crate) mod source;
mod speech;

pub use sink::AudioSink;

pub use visavis_bitstream::opus::OpusPacketError;
pub use visavis_codec::{Mp3Decoder, Mp3Error, Mp3Sound};
pub use visavis_types::{
    AudioChunk, AudioChunkError, AudioCodec, AudioFormat, EncodedAudio, MAX_SOUND_LEAD,
    OpusSettings, PacketTime, SOUND_LEAD,
};

pub use crate::error::EncodedAudioError;
