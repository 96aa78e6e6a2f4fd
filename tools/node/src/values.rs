//! Values as JavaScript gives them, and words as it gets them.

use visavis::audio::AudioFormat;
use visavis::peer::PeerId;
use visavis::session::PushOutcome;
use visavis::units::UnixMillis;
use visavis::video::PixelFormat;

use crate::failure::{Result, invalid};

/// What became of a push, in a word.
pub(crate) fn outcome(outcome: PushOutcome) -> &'static str {
    match outcome {
        PushOutcome::Accepted => "accepted",
        PushOutcome::NotStarted => "not-started",
        PushOutcome::Stopped => "stopped",
        PushOutcome::DroppedOldest(_) => "dropped-oldest",
        PushOutcome::Full => "full",
        _ => "dropped",
    }
}

pub(crate) fn audio_format(float: bool) -> AudioFormat {
    if float { AudioFormat::PcmF32 } else { AudioFormat::PcmS16 }
}

/// So many as no sound has are refused where they are pushed.
pub(crate) fn channel_count(channels: u32) -> u16 {
    u16::try_from(channels).unwrap_or(u16::MAX)
}

/// Fractions of a millisecond are of no use here, and what is no number was refused before.
pub(crate) fn millis(timestamp: f64) -> UnixMillis {
    UnixMillis(timestamp as u64)
}

pub(crate) fn pixel_format(name: &str) -> Result<PixelFormat> {
    Ok(match name {
        "RGBA" => PixelFormat::Rgba,
        "BGRA" => PixelFormat::Bgra,
        "RGB" => PixelFormat::Rgb,
        "I420" => PixelFormat::I420,
        "NV12" => PixelFormat::Nv12,
        "JPEG" => PixelFormat::Jpeg,
        "PNG" => PixelFormat::Png,
        _ => return Err(invalid(format!("invalid picture format {name:?}"))),
    })
}

pub(crate) fn peer_id(text: &str) -> Result<PeerId> {
    text.parse().map_err(|_| {
        invalid(format!("invalid viewer {text:?}; expected an id that this system gave out"))
    })
}
