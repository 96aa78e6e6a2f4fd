//! One face.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};
use visavis::audio::AudioSink;
use visavis::data::{DataChannel, DataMessage, SendOutcome};
use visavis::peer::{Answer, OfferError, PeerId};
use visavis::receiver::Receiver as Of;
use visavis::units::UnixMillis;
use visavis::video::{EncodedFrame, VideoCodec, VideoSink};
use visavis::{EngineHandle, Event};

use crate::config::idle_loop;
use crate::errors::{Kind, OrRaise};
use crate::events::in_ms;
use crate::here::Here;
use crate::outcome::{named, stamp};
use crate::picture::{Picture, Said};
use crate::receiver::{Queue, Receiver};
use crate::sound::{Sound, copied, encoded};
use crate::status::as_dict;
use crate::utterance::Utterance;
use crate::wait::wait_for;

/// A media loop answers a renegotiation within some milliseconds; this long only if it does not live.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

/// A session, and what goes into it.
#[pyclass(frozen, module = "visavis._visavis")]
pub(crate) struct Session {
    parts: Here<Parts>,
}

struct Parts {
    engine: EngineHandle,
    session: visavis::Session,
    video: VideoSink,
    audio: AudioSink,
    /// Made when it is first asked for: from then on what viewers send is kept.
    data: OnceLock<DataChannel>,
    /// Begins and ends of utterances, subscribed to before the first one.
    playback: OnceLock<Of<Event>>,
}

impl Parts {
    fn data(&self, label: Option<&str>) -> DataChannel {
        let data = self.data.get_or_init(|| self.session.data());
        label.map_or_else(|| data.clone(), |label| data.labelled(label))
    }

    fn playback(&self) -> &Of<Event> {
        self.playback.get_or_init(|| {
            let id = self.session.id().clone();
            self.engine.subscribe_to(move |event| match event {
                Event::UtteranceStarted { session, .. }
                | Event::UtteranceEnded { session, .. }
                | Event::Interrupted { session, utterance: Some(_), .. } => *session == id,
                _ => false,
            })
        })
    }
}

impl Session {
    pub(crate) fn new(engine: EngineHandle, session: visavis::Session) -> Self {
        let (video, audio) = (session.video(), session.audio());
        let (data, playback) = (OnceLock::new(), OnceLock::new());
        Self { parts: Here::new(Parts { engine, session, video, audio, data, playback }) }
    }
}

#[pymethods]
impl Session {
    #[getter]
    fn id(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.parts.get(py)?.session.id().to_string())
    }

    #[getter]
    fn is_stopped(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.parts.get(py)?.session.is_stopped())
    }

    fn start(&self, py: Python<'_>) -> PyResult<()> {
        self.parts.get(py)?.session.start();
        Ok(())
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let parts = self.parts.get(py)?;
        py.detach(|| parts.session.stop());
        Ok(())
    }

    fn push_video(
        &self,
        py: Python<'_>,
        frame: &Bound<'_, PyAny>,
        width: Option<u32>,
        height: Option<u32>,
        format: Option<&str>,
        timestamp_ms: Option<u64>,
    ) -> PyResult<&'static str> {
        let parts = self.parts.get(py)?;
        let picture = Picture::of(frame, Said { width, height, format })?;
        let pushed = picture.push(stamp(timestamp_ms), |frame| parts.video.push(frame));
        pushed.map(named).or_raise(py, Kind::InvalidValue)
    }

    fn push_audio(
        &self,
        py: Python<'_>,
        samples: &Bound<'_, PyAny>,
        rate: u32,
        channels: Option<u16>,
        timestamp_ms: Option<u64>,
    ) -> PyResult<&'static str> {
        let parts = self.parts.get(py)?;
        let sound = Sound::of(samples, rate, channels)?;
        let pushed = sound.push(stamp(timestamp_ms), |chunk| parts.audio.push(chunk));
        pushed.map(named).or_raise(py, Kind::InvalidValue)
    }

    fn push_encoded_video(
        &self,
        py: Python<'_>,
        data: &Bound<'_, PyAny>,
        codec: &str,
        keyframe: Option<bool>,
        timestamp_ms: Option<u64>,
    ) -> PyResult<&'static str> {
        let parts = self.parts.get(py)?;
        let codec: VideoCodec = codec.parse().or_raise(py, Kind::InvalidValue)?;
        let data = copied(data)?;
        let frame =
            EncodedFrame::new(&data, codec).keyframe(keyframe).timestamp(stamp(timestamp_ms));
        let pushed = parts.session.encoded_video().push(&frame);
        pushed.map(named).or_raise(py, Kind::InvalidValue)
    }

    fn take_keyframe_request(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.parts.get(py)?.session.encoded_video().take_keyframe_request())
    }

    fn wanted_bitrate(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.parts.get(py)?.session.encoded_video().wanted_bitrate().bps() / 1_000)
    }

    fn push_opus(
        &self,
        py: Python<'_>,
        packet: &Bound<'_, PyAny>,
        timestamp_ms: Option<u64>,
    ) -> PyResult<&'static str> {
        let (parts, packet) = (self.parts.get(py)?, copied(packet)?);
        let pushed = parts.audio.push_opus(&encoded(&packet, timestamp_ms));
        pushed.map(named).or_raise(py, Kind::InvalidValue)
    }

    fn push_mp3(
        &self,
        py: Python<'_>,
        frames: &Bound<'_, PyAny>,
        timestamp_ms: Option<u64>,
    ) -> PyResult<&'static str> {
        let (parts, frames) = (self.parts.get(py)?, copied(frames)?);
        let pushed = py.detach(|| parts.audio.push_mp3(&encoded(&frames, timestamp_ms)));
        pushed.map(named).or_raise(py, Kind::InvalidValue)
    }

    fn begin_utterance(&self, py: Python<'_>, zero_ms: u64) -> PyResult<Utterance> {
        let parts = self.parts.get(py)?;
        // Before it can begin.
        parts.playback();
        let begun = parts.session.begin_utterance(UnixMillis(zero_ms)).or_raise(py, Kind::Error)?;
        Ok(Utterance::new(begun, zero_ms))
    }

    /// Milliseconds of what was pushed live that are still to be sent.
    #[getter]
    fn audio_waiting(&self, py: Python<'_>) -> PyResult<f64> {
        Ok(in_ms(self.parts.get(py)?.session.audio().waiting()))
    }

    fn interrupt(&self, py: Python<'_>) -> PyResult<f64> {
        let parts = self.parts.get(py)?;
        Ok(in_ms(py.detach(|| parts.session.interrupt())))
    }

    fn set_idle(&self, py: Python<'_>, idle: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let parts = self.parts.get(py)?;
        let idle = idle.map(idle_loop).transpose()?;
        py.detach(|| parts.session.set_idle(idle));
        Ok(())
    }

    fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        as_dict(py, &self.parts.get(py)?.session.status())
    }

    fn events(&self, py: Python<'_>, levels: bool) -> PyResult<Receiver> {
        let parts = self.parts.get(py)?;
        let id = parts.session.id().clone();
        let wanted = move |event: &Event| match event {
            Event::MicrophoneLevel { session, .. } => levels && *session == id,
            Event::PeerJoined { session, .. }
            | Event::PeerLeft { session, .. }
            | Event::PictureChanged { session, .. }
            | Event::LiveStarted { session, .. }
            | Event::LiveEnded { session, .. }
            | Event::KeyframeRequested { session, .. }
            | Event::BitrateWanted { session, .. }
            | Event::UtteranceStarted { session, .. }
            | Event::UtteranceEnded { session, .. }
            | Event::Interrupted { session, .. }
            | Event::SpeechStarted { session, .. }
            | Event::SpeechEnded { session, .. }
            | Event::DataChannelOpened { session, .. }
            | Event::DataChannelClosed { session, .. } => *session == id,
            _ => false,
        };
        Ok(Receiver::new(Queue::Events(parts.engine.subscribe_to(wanted))))
    }

    fn playback(&self, py: Python<'_>) -> PyResult<Receiver> {
        Ok(Receiver::new(Queue::Events(self.parts.get(py)?.playback().clone())))
    }

    fn microphone(&self, py: Python<'_>) -> PyResult<Receiver> {
        Ok(Receiver::new(Queue::Microphone(self.parts.get(py)?.session.microphone())))
    }

    fn messages(&self, py: Python<'_>) -> PyResult<Receiver> {
        let data = self.parts.get(py)?.data(None);
        Ok(Receiver::new(Queue::Messages(data.incoming().clone())))
    }

    /// Whether it is on its way; otherwise the viewer does not keep up.
    fn send(
        &self,
        py: Python<'_>,
        peer: &str,
        data: &Bound<'_, PyAny>,
        label: Option<&str>,
    ) -> PyResult<bool> {
        let (parts, message) = (self.parts.get(py)?, message(data)?);
        let sent =
            parts.data(label).send(peer_id(py, peer)?, &message).or_raise(py, Kind::Error)?;
        Ok(sent == SendOutcome::Accepted)
    }

    /// How many viewers it is on its way to, and those who do not keep up.
    fn broadcast(
        &self,
        py: Python<'_>,
        data: &Bound<'_, PyAny>,
        label: Option<&str>,
    ) -> PyResult<(usize, Vec<String>)> {
        let (parts, message) = (self.parts.get(py)?, message(data)?);
        let sent = parts.data(label).broadcast(&message).or_raise(py, Kind::Error)?;
        Ok((sent.accepted, sent.full.iter().map(PeerId::to_string).collect()))
    }

    fn labels(&self, py: Python<'_>, peer: &str) -> PyResult<Vec<String>> {
        let labels = self.parts.get(py)?.data(None).labels(peer_id(py, peer)?);
        Ok(labels.iter().map(ToString::to_string).collect())
    }

    fn waiting_bytes(&self, py: Python<'_>, peer: &str) -> PyResult<Option<usize>> {
        Ok(self.parts.get(py)?.data(None).waiting_bytes(peer_id(py, peer)?))
    }

    /// Answers an offer: the first one of a viewer, or a later one of a viewer that is here. Returns its id, and the SDP.
    fn answer(&self, py: Python<'_>, sdp: &str, peer: Option<&str>) -> PyResult<(String, String)> {
        let parts = self.parts.get(py)?;
        let (engine, session) = (&parts.engine, parts.session.id());
        let peer = peer.map(|peer| peer_id(py, peer)).transpose()?;
        let answer = match peer.filter(|&peer| engine.has_peer(session, peer)) {
            None => py.detach(|| engine.connect(session, peer, sdp)),
            Some(peer) => renegotiate(py, engine, peer, sdp)?,
        };
        match answer {
            Ok(Answer { peer, sdp, .. }) => Ok((peer.to_string(), sdp)),
            Err(error) => {
                let is_the_offer = matches!(
                    error,
                    OfferError::Sdp(_) | OfferError::NoCommonCodec | OfferError::OtherConnection
                );
                let kind = if is_the_offer { Kind::InvalidValue } else { Kind::Error };
                Err(kind.because(py, error))
            }
        }
    }

    fn add_candidate(&self, py: Python<'_>, peer: &str, candidate: &str) -> PyResult<()> {
        let parts = self.parts.get(py)?;
        let added = parts.engine.add_candidate(peer_id(py, peer)?, candidate);
        added.or_raise(py, Kind::InvalidValue)
    }

    fn disconnect(&self, py: Python<'_>, peer: &str) -> PyResult<()> {
        let parts = self.parts.get(py)?;
        parts.engine.disconnect(peer_id(py, peer)?);
        Ok(())
    }
}

/// Waits for the media loop's answer.
fn renegotiate(
    py: Python<'_>,
    engine: &EngineHandle,
    peer: PeerId,
    sdp: &str,
) -> PyResult<Result<Answer, OfferError>> {
    let (reply, replies) = sync_channel(1);
    let asked = engine.renegotiate(peer, sdp, move |answer| {
        let _ = reply.try_send(answer);
    });
    if let Err(error) = asked {
        return Ok(Err(error));
    }
    // Waited for without the GIL, by one thread.
    let replies = Mutex::new(replies);
    let answer = wait_for(py, Some(ANSWER_PATIENCE), |piece| {
        let replies = replies.lock().unwrap_or_else(PoisonError::into_inner);
        match replies.recv_timeout(piece) {
            Ok(answer) => Some(answer),
            Err(RecvTimeoutError::Disconnected) => Some(Err(OfferError::PeerGone)),
            Err(RecvTimeoutError::Timeout) => None,
        }
    })?;
    Ok(answer.unwrap_or(Err(OfferError::Busy)))
}

fn peer_id(py: Python<'_>, text: &str) -> PyResult<PeerId> {
    text.parse().or_raise(py, Kind::InvalidValue)
}

/// A text, or bytes.
fn message(data: &Bound<'_, PyAny>) -> PyResult<DataMessage> {
    if let Ok(text) = data.cast::<PyString>() {
        return Ok(DataMessage::Text(text.extract()?));
    }
    if let Ok(bytes) = data.cast::<PyBytes>() {
        return Ok(DataMessage::Binary(bytes.as_bytes().to_vec()));
    }
    Ok(DataMessage::Binary(copied(data)?))
}
