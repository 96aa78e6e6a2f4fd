//! Speech that is made ahead of its time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use visavis::session::PushOutcome;
use visavis::units::UnixMillis;
use visavis::utterance::UtteranceProgress;

use crate::errors::{Kind, OrRaise};
use crate::events::in_ms;
use crate::here::Here;
use crate::outcome::named;
use crate::picture::{Picture, Said};
use crate::sound::{Sound, copied, encoded};
use crate::wait::{PIECE, patience};

/// Pushes again and again for as long as there is no room, and so long at most.
fn wait_with<E>(
    py: Python<'_>,
    patience: Option<Duration>,
    push: impl Fn(Duration) -> Result<PushOutcome, E>,
) -> PyResult<Result<PushOutcome, E>> {
    let begin = Instant::now();
    loop {
        let left = patience.map(|patience| patience.saturating_sub(begin.elapsed()));
        let outcome = push(left.map_or(PIECE, |left| left.min(PIECE)));
        let is_full = matches!(outcome, Ok(PushOutcome::Full));
        if !is_full || left.is_some_and(|left| left <= PIECE) {
            return Ok(outcome);
        }
        py.check_signals()?;
    }
}

/// Something that is said.
#[pyclass(frozen, module = "visavis._visavis")]
pub(crate) struct Utterance {
    parts: Here<Parts>,
    id: u64,
    zero_ms: u64,
}

struct Parts {
    /// `None` once it was ended.
    open: Mutex<Option<Arc<visavis::utterance::Utterance>>>,
    progress: UtteranceProgress,
    /// How much sound was pushed: where what comes next belongs.
    sound: Mutex<Duration>,
}

impl Utterance {
    pub(crate) fn new(utterance: visavis::utterance::Utterance, zero_ms: u64) -> Self {
        let (id, progress) = (utterance.id().as_raw(), utterance.progress());
        let open = Mutex::new(Some(Arc::new(utterance)));
        Self { parts: Here::new(Parts { open, progress, sound: Mutex::default() }), id, zero_ms }
    }

    fn open(&self, py: Python<'_>) -> PyResult<Arc<visavis::utterance::Utterance>> {
        let open = self.parts.get(py)?.open.lock().unwrap_or_else(PoisonError::into_inner).clone();
        open.ok_or_else(|| {
            Kind::Closed.because(py, "this utterance was ended; nothing more can be pushed into it")
        })
    }
}

#[pymethods]
impl Utterance {
    #[getter]
    fn id(&self) -> u64 {
        self.id
    }

    #[expect(clippy::too_many_arguments, reason = "by position, from the Python package")]
    fn push_video(
        &self,
        py: Python<'_>,
        frame: &Bound<'_, PyAny>,
        width: Option<u32>,
        height: Option<u32>,
        format: Option<&str>,
        timestamp_ms: u64,
        timeout: Option<f64>,
    ) -> PyResult<&'static str> {
        let (utterance, patience) = (self.open(py)?, patience(py, timeout)?);
        let picture = Picture::of(frame, Said { width, height, format })?;
        let stamp = UnixMillis(timestamp_ms);
        let first = picture.push_detached(stamp, |frame| utterance.push_video(frame));
        let outcome = first.or_raise(py, Kind::InvalidValue)?;
        if outcome != PushOutcome::Full || patience.is_some_and(|patience| patience.is_zero()) {
            return Ok(named(outcome));
        }
        let pushed = wait_with(py, patience, |piece| {
            picture.push_detached(stamp, |frame| utterance.push_video_within(frame, piece))
        })?;
        pushed.map(named).or_raise(py, Kind::InvalidValue)
    }

    fn push_audio(
        &self,
        py: Python<'_>,
        samples: &Bound<'_, PyAny>,
        rate: u32,
        channels: Option<u16>,
        timestamp_ms: Option<u64>,
        timeout: Option<f64>,
    ) -> PyResult<&'static str> {
        let (utterance, patience) = (self.open(py)?, patience(py, timeout)?);
        let sound = Sound::of(samples, rate, channels)?;
        let pushed_before = &self.parts.get(py)?.sound;
        let begin = match timestamp_ms {
            Some(stamp) => Duration::from_millis(stamp.saturating_sub(self.zero_ms)),
            None => *pushed_before.lock().unwrap_or_else(PoisonError::into_inner),
        };
        let after = u64::try_from(begin.as_millis()).unwrap_or(u64::MAX);
        let stamp = UnixMillis(timestamp_ms.unwrap_or(self.zero_ms.saturating_add(after)));
        let first = sound.push(stamp, |chunk| utterance.push_audio(chunk));
        let mut outcome = first.or_raise(py, Kind::InvalidValue)?;
        if outcome == PushOutcome::Full && !patience.is_some_and(|patience| patience.is_zero()) {
            let pushed = wait_with(py, patience, |piece| {
                sound.push_detached(stamp, |chunk| utterance.push_audio_within(chunk, piece))
            })?;
            outcome = pushed.or_raise(py, Kind::InvalidValue)?;
        }
        if outcome == PushOutcome::Accepted {
            let end = begin.saturating_add(sound.duration());
            *pushed_before.lock().unwrap_or_else(PoisonError::into_inner) = end;
        }
        Ok(named(outcome))
    }

    fn push_mp3(
        &self,
        py: Python<'_>,
        frames: &Bound<'_, PyAny>,
        timestamp_ms: u64,
    ) -> PyResult<&'static str> {
        let (utterance, frames) = (self.open(py)?, copied(frames)?);
        let pushed = py.detach(|| utterance.push_mp3(&encoded(&frames, Some(timestamp_ms))));
        pushed.map(named).or_raise(py, Kind::InvalidValue)
    }

    fn end(&self, py: Python<'_>) -> PyResult<()> {
        let open = &self.parts.get(py)?.open;
        let ended = open.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(ended);
        Ok(())
    }

    /// Drops the rest of it, also once it was ended; how many ms of it were sent.
    fn interrupt(&self, py: Python<'_>) -> PyResult<f64> {
        let parts = self.parts.get(py)?;
        let sent = py.detach(|| parts.progress.interrupt());
        self.end(py)?;
        Ok(in_ms(sent))
    }

    #[getter]
    fn position_ms(&self, py: Python<'_>) -> PyResult<f64> {
        Ok(in_ms(self.parts.get(py)?.progress.sent()))
    }

    #[getter]
    fn is_interrupted(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.parts.get(py)?.progress.is_interrupted())
    }

    #[getter]
    fn is_over(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.parts.get(py)?.progress.is_over())
    }
}
