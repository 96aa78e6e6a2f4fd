//! Uploaded speech: WAV, MP3 or PCM that is played into a session, decoded while it arrives.

pub(crate) mod decode;
pub(crate) mod format;
mod mp3;
pub(crate) mod player;
mod samples;
mod turns;
pub(crate) mod upload;
pub(crate) mod uploads;
mod wav;
