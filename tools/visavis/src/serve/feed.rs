//! The media of a session: the demo face, a file, an echo, or RTP from an encoder.

use crossbeam_channel::Sender;
use visavis::rtp_input::RtpInput;
use visavis::{EngineHandle, Session};

use super::config::{demo_fps, rtp_config};
use super::error::ServeError;
use crate::echo::Echo;
use crate::settings::Settings;
use crate::source::demo::Demo;
use crate::source::pacer::{Pacer, SessionSink};
use crate::source::{Source, SourceError, SourceInfo, play};
use crate::timecode;

/// The source of media that the settings ask for, opened but not started.
pub(super) enum Opened {
    /// Pictures that are made here: the demo face or a file.
    Source(Box<dyn Source>),
    /// The demo face as an echo of its visitors.
    Echo,
    /// What an encoder sends as RTP.
    Rtp,
}

/// What keeps a session in pictures. Dropping it stops it.
pub(super) enum Feed {
    Source(#[expect(dead_code, reason = "held for its threads")] Pacer),
    Echo(#[expect(dead_code, reason = "held for its threads")] Echo),
    Rtp(RtpInput),
}

impl Opened {
    pub(super) fn open(settings: &Settings) -> Result<Self, ServeError> {
        let source: Box<dyn Source> = match &settings.play {
            _ if settings.rtp_video.is_some() => return Ok(Self::Rtp),
            _ if settings.echo => return Ok(Self::Echo),
            Some(path) => play::open(path)?,
            None => Box::new(Demo::new(demo_fps(settings))?),
        };
        if settings.timecode {
            timecode::check(source.info().width, source.info().height)?;
        }
        Ok(Self::Source(source))
    }

    /// What it is, where that is known before it starts.
    pub(super) fn info(&self, settings: &Settings) -> Option<SourceInfo> {
        match self {
            Self::Source(source) => Some(source.info().clone()),
            Self::Echo => Some(Echo::info(demo_fps(settings))),
            Self::Rtp => None,
        }
    }

    /// Starts it in a session. A source gives its reason to `failed` when it fails, and drops it when it ends.
    pub(super) fn start(
        self,
        settings: &Settings,
        session: &Session,
        engine: &EngineHandle,
        failed: Sender<SourceError>,
    ) -> Result<Feed, ServeError> {
        match self {
            Self::Source(source) => {
                let sink = SessionSink { video: session.video(), audio: session.audio() };
                let pacer = Pacer::start(source, sink, settings.timecode, failed);
                Ok(Feed::Source(pacer.map_err(|e| ServeError::System("start a media thread", e))?))
            }
            Self::Echo => {
                let fps = demo_fps(settings);
                Ok(Feed::Echo(Echo::start(session, engine, fps, settings.timecode, failed)?))
            }
            Self::Rtp => Ok(Feed::Rtp(RtpInput::start(session, rtp_config(settings))?)),
        }
    }
}
