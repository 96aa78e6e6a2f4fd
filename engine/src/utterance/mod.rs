//! Speech that is pushed ahead of its time, sound and pictures together.

pub(crate) mod id;
pub(crate) mod playback;
pub(crate) mod state;
mod utterance;

pub use id::UtteranceId;
pub(crate) use utterance::UtteranceParts;
pub use utterance::{Utterance, UtteranceError, UtteranceProgress};
