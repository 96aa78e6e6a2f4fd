//! What can be encoded here: the video encoders of this build, on this machine.
//!
//! A session encodes with what [`EngineHandle::encoders`](crate::EngineHandle::encoders) offers; asking first lets a
//! program choose codecs and sizes, or show a person why one is missing. Asking costs next to nothing and can be done from
//! any thread.
//!
//! ```no_run
//! use visavis::video::VideoCodec;
//! use visavis::{Engine, EngineConfig};
//!
//! let engine = Engine::start(EngineConfig::default())?;
//! for codec in [VideoCodec::H264, VideoCodec::Vp8, VideoCodec::Vp9, VideoCodec::Av1] {
//!     match engine.handle().encoders().offer(codec) {
//!         Ok(offer) => println!("{codec}: {offer:?}"),
//!         Err(why) => println!("{codec}: {why}"),
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub use visavis_codec::{EncoderMade, Encoders};
pub use visavis_nvenc::{ApiVersion, NvencError};
pub use visavis_types::encoder::{
    DevicePicture, EncodeError, Encoded, EncoderMaker, EncoderOffer, FrameControl, I420Planes,
    MemoryKind, Nv12Planes, Picture, PlaneError, ReferenceId, SizeLimits, Unavailable,
    VideoEncoder, VideoEncoderConfig,
};
pub use visavis_types::{Layering, TemporalLayer};

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use visavis_nvenc::{NvencConfig, NvencMaker};
use visavis_types::VideoCodec;

/// What encodes H264, where there is a choice. Other codecs are encoded in software.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum EncoderChoice {
    /// NVENC where the GPU and its driver have it, else software.
    #[default]
    Auto,
    /// NVENC; without it nothing starts. One that fails later is replaced by software all the same.
    Nvenc,
    /// Software. NVIDIA's libraries are not opened.
    Software,
}

impl EncoderChoice {
    const ALL: [Self; 3] = [Self::Auto, Self::Nvenc, Self::Software];

    /// `auto`, `nvenc` or `software`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Nvenc => "nvenc",
            Self::Software => "software",
        }
    }
}

impl fmt::Display for EncoderChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no [`EncoderChoice`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid encoder \"{0}\"; expected auto, nvenc or software")]
pub struct InvalidEncoderChoice(String);

impl FromStr for EncoderChoice {
    type Err = InvalidEncoderChoice;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|choice| choice.name().eq_ignore_ascii_case(text));
        found.ok_or_else(|| InvalidEncoderChoice(text.to_owned()))
    }
}

/// The makers of an engine in order of preference, as they were found when it started. The one place for another.
#[derive(Debug, Clone)]
pub(crate) struct Installed {
    /// A device's before the software.
    preferred: Encoders,
    software: Encoders,
    /// Why there is no NVENC. `None` where there is.
    without_nvenc: Option<Arc<str>>,
}

impl Installed {
    /// Looks what there is, and says so in the log.
    pub(crate) fn find(choice: EncoderChoice, gpu: u32) -> Result<Self, NvencError> {
        let software = Encoders::software();
        if choice == EncoderChoice::Software {
            return Ok(Self::without(software, "the engine was told to encode in software"));
        }
        match NvencMaker::open(NvencConfig::default().gpu(gpu)) {
            Ok(maker) => {
                tracing::info!(gpu = maker.gpu_name(), "H264 is encoded by NVENC");
                let preferred = software.clone().with(Arc::new(maker));
                Ok(Self { preferred, software, without_nvenc: None })
            }
            Err(error) if choice == EncoderChoice::Nvenc => Err(error),
            Err(error) => {
                tracing::info!(reason = %error, "H264 is encoded in software");
                Ok(Self::without(software, &error.to_string()))
            }
        }
    }

    fn without(software: Encoders, reason: &str) -> Self {
        Self { preferred: software.clone(), software, without_nvenc: Some(reason.into()) }
    }

    /// All of them, the preferred ones first.
    pub(crate) fn preferred(&self) -> &Encoders {
        &self.preferred
    }

    /// Those for a session; the error is why there is no NVENC, where it wants that.
    pub(crate) fn for_session(&self, choice: Option<EncoderChoice>) -> Result<&Encoders, String> {
        match (choice, &self.without_nvenc) {
            (Some(EncoderChoice::Software), _) => Ok(&self.software),
            (Some(EncoderChoice::Nvenc), Some(reason)) => Err(reason.to_string()),
            _ => Ok(&self.preferred),
        }
    }

    /// Those for idle loops: software, where this build has it. They are encoded once, and a GPU may have few sessions.
    pub(crate) fn for_idle_loops(&self) -> &Encoders {
        match self.software.offer(VideoCodec::H264) {
            Ok(_) => &self.software,
            Err(_) => &self.preferred,
        }
    }

    /// Why there is no NVENC.
    pub(crate) fn without_nvenc(&self) -> Option<&str> {
        self.without_nvenc.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_as_they_are_written() {
        for choice in EncoderChoice::ALL {
            assert_eq!(choice.to_string().to_uppercase().parse(), Ok(choice));
        }
        let error = "gpu".parse::<EncoderChoice>().unwrap_err().to_string();
        assert_eq!(error, "invalid encoder \"gpu\"; expected auto, nvenc or software");
    }

    #[test]
    fn a_session_that_wants_nvenc_is_told_why_there_is_none() {
        let installed = Installed::find(EncoderChoice::Software, 0).unwrap();
        let reason = installed.for_session(Some(EncoderChoice::Nvenc)).unwrap_err();
        assert_eq!(reason, "the engine was told to encode in software");
        assert!(installed.for_session(Some(EncoderChoice::Auto)).is_ok());
        assert!(installed.for_session(None).is_ok());
    }
}
