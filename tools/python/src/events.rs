//! What is received, as the classes of `visavis/_events.py`.

use std::time::Duration;

use pyo3::call::PyCallArgs;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use visavis::Event;
use visavis::data::{DataMessage, PeerMessage};
use visavis::microphone::MicChunk;

/// One thing that was received.
pub(crate) enum Item {
    Event(Event),
    Chunk(MicChunk),
    Message(PeerMessage),
}

/// As Python has times of media.
pub(crate) fn in_ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

impl Item {
    pub(crate) fn into_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        match self {
            Self::Event(event) => of_event(py, &event),
            Self::Chunk(chunk) => {
                let samples: Vec<u8> =
                    chunk.samples.iter().flat_map(|sample| sample.to_ne_bytes()).collect();
                let captured_ms = chunk.captured.0;
                let peer = chunk.peer.to_string();
                let data = PyBytes::new(py, &samples);
                make(py, "MicChunk", (peer, data, chunk.sample_rate, captured_ms, chunk.concealed))
            }
            Self::Message(PeerMessage { peer, label, message, .. }) => {
                let (peer, label) = (peer.to_string(), &*label);
                match message {
                    DataMessage::Text(text) => make(py, "Message", (peer, label, text)),
                    DataMessage::Binary(bytes) => {
                        make(py, "Message", (peer, label, PyBytes::new(py, &bytes)))
                    }
                }
            }
        }
    }
}

fn make<'py>(
    py: Python<'py>,
    class: &str,
    fields: impl PyCallArgs<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    py.import("visavis._events")?.getattr(class)?.call1(fields)
}

fn of_event<'py>(py: Python<'py>, event: &Event) -> PyResult<Bound<'py, PyAny>> {
    match event {
        Event::PeerJoined { session, peer, codec, .. } => {
            let codec = codec.map(|codec| codec.name());
            make(py, "PeerJoined", (session.as_str(), peer.to_string(), codec))
        }
        Event::PeerLeft { session, peer, reason, .. } => {
            make(py, "PeerLeft", (session.as_str(), peer.to_string(), reason.as_str()))
        }
        Event::PictureChanged { session, peer, rung, layer, bitrate, limited, .. } => {
            let kbps = bitrate.map(|bitrate| bitrate.bps() / 1_000);
            let gets = (rung.index(), layer.index(), kbps, *limited);
            let (rung, layer, kbps, limited) = gets;
            make(
                py,
                "PictureChanged",
                (session.as_str(), peer.to_string(), rung, layer, kbps, limited),
            )
        }
        Event::LiveStarted { session, .. } => make(py, "LiveStarted", (session.as_str(),)),
        Event::LiveEnded { session, stalled, .. } => {
            make(py, "LiveEnded", (session.as_str(), *stalled))
        }
        Event::KeyframeRequested { session, codec, .. } => {
            make(py, "KeyframeRequested", (session.as_str(), codec.name()))
        }
        Event::BitrateWanted { session, codec, bitrate, .. } => {
            let kbps = bitrate.bps() / 1_000;
            make(py, "BitrateWanted", (session.as_str(), codec.name(), kbps))
        }
        Event::UtteranceStarted { session, utterance, .. } => {
            make(py, "UtteranceStarted", (session.as_str(), utterance.as_raw()))
        }
        Event::UtteranceEnded { session, utterance, sent, .. } => {
            make(py, "UtteranceEnded", (session.as_str(), utterance.as_raw(), in_ms(*sent)))
        }
        Event::Interrupted { session, utterance, sent, .. } => {
            let utterance = utterance.map(|utterance| utterance.as_raw());
            make(py, "Interrupted", (session.as_str(), utterance, in_ms(*sent)))
        }
        Event::SpeechStarted { session, peer, at, .. } => {
            make(py, "SpeechStarted", (session.as_str(), peer.to_string(), at.0))
        }
        Event::SpeechEnded { session, peer, at, .. } => {
            make(py, "SpeechEnded", (session.as_str(), peer.to_string(), at.0))
        }
        Event::MicrophoneLevel { session, peer, dbfs, .. } => {
            make(py, "MicrophoneLevel", (session.as_str(), peer.to_string(), *dbfs))
        }
        Event::DataChannelOpened { session, peer, label, .. } => {
            make(py, "DataChannelOpened", (session.as_str(), peer.to_string(), &**label))
        }
        Event::DataChannelClosed { session, peer, label, .. } => {
            make(py, "DataChannelClosed", (session.as_str(), peer.to_string(), &**label))
        }
        Event::Fault { domain, whose, why, .. } => {
            make(py, "Fault", ("", domain.as_str(), &**whose, &**why))
        }
        Event::EngineFailed { domain, why, .. } => {
            make(py, "EngineFailed", ("", domain.as_str(), &**why))
        }
        // Of an engine that is newer than this.
        _ => make(py, "Event", ("",)),
    }
}
