use std::fmt;

use visavis_types::encoder::EncodeError;

/// A version of NVENC's interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion {
    /// The number before the dot.
    pub major: u32,
    /// The number after it.
    pub minor: u32,
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Why NVENC does not encode: what is wrong, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NvencError {
    /// A library of the driver cannot be opened.
    #[error(
        "the NVIDIA library {library} cannot be opened; install the NVIDIA driver, or give the container its \
         capabilities `video` and `compute` ({detail})"
    )]
    MissingLibrary {
        /// The file that was looked for.
        library: String,
        /// What the system said.
        detail: String,
    },
    /// A library lacks a function.
    #[error("the NVIDIA library {library} lacks the function {function}; reinstall the driver")]
    BrokenLibrary {
        /// The file that was opened.
        library: String,
        /// What it lacks.
        function: &'static str,
    },
    /// The driver is from before the interface that this crate speaks.
    #[error(
        "the NVIDIA driver is too old: it has NVENC {found}, and {needed} is needed; install driver 530 or newer"
    )]
    OldDriver {
        /// What it has.
        found: ApiVersion,
        /// What is needed at least.
        needed: ApiVersion,
    },
    /// The driver is there, and no GPU.
    #[error("there is no NVIDIA GPU; check `nvidia-smi`, and that the container was given one")]
    NoDevice,
    /// There are GPUs, and fewer than that.
    #[error("there is no NVIDIA GPU {gpu}; this machine has {count}, counted from 0")]
    NoSuchDevice {
        /// The one asked for, counted from 0.
        gpu: u32,
        /// How many there are.
        count: u32,
    },
    /// The GPU has no encoder, as A100, H100 and H200 have none, or none for H264.
    #[error(
        "the {gpu} has no H264 encoder; use a GPU with NVENC, such as T4, A10, L4, L40S or RTX"
    )]
    NoEncoder {
        /// What it is called.
        gpu: String,
    },
    /// The driver gives out no more sessions: consumer GPUs have a limit.
    #[error(
        "the {gpu} has no free encoding session; end other programs that encode, or use less of them"
    )]
    NoSession {
        /// What it is called.
        gpu: String,
    },
    /// The GPU was there, and is no more.
    #[error(
        "the NVIDIA GPU was lost while it was to {operation} (code {code}); see `dmesg` for Xid errors"
    )]
    Lost {
        /// What it was asked to do.
        operation: &'static str,
        /// What the driver answered.
        code: u32,
    },
    /// CUDA refused.
    #[error("CUDA failed to {operation} (code {code})")]
    Cuda {
        /// What it was asked to do.
        operation: &'static str,
        /// `CUresult`.
        code: u32,
    },
    /// NVENC refused.
    #[error("NVENC failed to {operation}: {name} (code {code}){detail}")]
    Refused {
        /// What it was asked to do.
        operation: &'static str,
        /// `NVENCSTATUS`.
        code: u32,
        /// Its name in NVIDIA's header.
        name: &'static str,
        /// What the driver adds, after a colon.
        detail: String,
    },
    /// What the driver gave out as H264 is none.
    #[error("NVENC failed to encode: {0}")]
    Output(&'static str),
    /// Encoders of this GPU have failed repeatedly; others are preferred for a while.
    #[error("the {gpu} has failed repeatedly, and is left alone for {seconds} s")]
    Resting {
        /// What it is called.
        gpu: String,
        /// How much longer.
        seconds: u64,
    },
}

/// The name of encoders of this crate.
pub(crate) const NAME: &str = "nvenc";

impl NvencError {
    /// What was being done.
    fn operation(&self) -> &'static str {
        match self {
            Self::Lost { operation, .. }
            | Self::Cuda { operation, .. }
            | Self::Refused { operation, .. } => operation,
            Self::Output(_) => "encode",
            _ => "open a session",
        }
    }
}

impl From<NvencError> for EncodeError {
    fn from(error: NvencError) -> Self {
        Self::Library { library: NAME, operation: error.operation(), detail: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_says_what_is_wrong_and_what_to_do() {
        let gpu = || "NVIDIA H100".to_owned();
        let version = |minor| ApiVersion { major: 12, minor };
        let old = NvencError::OldDriver { found: version(0), needed: version(1) };
        assert_eq!(
            old.to_string(),
            "the NVIDIA driver is too old: it has NVENC 12.0, and 12.1 is needed; install driver 530 or newer"
        );
        let without = NvencError::NoEncoder { gpu: gpu() };
        assert!(without.to_string().starts_with("the NVIDIA H100 has no H264 encoder; use "));
        assert!(NvencError::NoSession { gpu: gpu() }.to_string().contains("; end other programs"));
        assert!(NvencError::NoDevice.to_string().contains("nvidia-smi"));
    }
}
