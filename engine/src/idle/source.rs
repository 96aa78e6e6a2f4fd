use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwapOption, Guard};
use visavis_types::{Bitrate, FrameSize, Rung, VideoCodec};

use super::encoder::IdleEncoder;
use super::idle_loop::IdleLoop;
use super::rendition::{IdleFormat, IdleRendition};
use crate::config::SessionConfig;
use crate::media::waker::SessionWakers;
use crate::state::lifecycle::Lifecycle;
use crate::video::ladder::{Ladder, Scale};

/// What idle loops are encoded with: in steps, so that sessions of nearly the same rate share them.
const IDLE_KBPS: [u64; 6] = [50, 100, 200, 400, 700, 1_000];

/// What a session shows while nobody pushes pictures. Callers set it, the media loops and the encode loop read it; no
/// thread of the engine takes the lock.
#[derive(Debug)]
pub(crate) struct IdleSource {
    current: ArcSwapOption<IdleLoop>,
    /// As most viewers will want it, made before they come and kept while the session lives.
    prepared: Mutex<Option<Arc<IdleRendition>>>,
    encoder: IdleEncoder,
    /// What most viewers will want.
    preferred: VideoCodec,
    bitrate: Bitrate,
    ladder: Ladder,
    size: Option<FrameSize>,
    lifecycle: Arc<Lifecycle>,
    media_loops: SessionWakers,
}

impl IdleSource {
    /// That of a session, and begins to have it encoded.
    pub(crate) fn new(
        config: &SessionConfig,
        encoder: IdleEncoder,
        lifecycle: Arc<Lifecycle>,
        media_loops: SessionWakers,
    ) -> Self {
        let preferred = config.encoded.or(config.video_codecs.first().copied());
        let made = Self {
            current: ArcSwapOption::new(config.idle.clone().map(Arc::new)),
            prepared: Mutex::default(),
            encoder,
            preferred: preferred.unwrap_or(VideoCodec::H264),
            bitrate: config.video_bitrate,
            ladder: config.ladder(),
            size: config.size,
            lifecycle,
            media_loops,
        };
        made.prepare();
        made
    }

    // --- Callers ---

    pub(crate) fn set(&self, idle: Option<IdleLoop>) {
        self.current.store(idle.map(Arc::new));
        self.prepare();
        self.media_loops.wake();
    }

    /// The session has stopped, and nobody will see it: it need not be encoded to its end.
    pub(crate) fn release(&self) {
        *self.prepared.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Has it encoded with what most viewers will want, before they come.
    fn prepare(&self) {
        let idle = self.current.load();
        let idle = idle.as_ref().filter(|_| self.can_encode(self.preferred));
        let best = self.ladder.steps().last().map_or(Rung::LOWEST, |step| step.rung);
        let rendition = idle.map(|idle| self.rendition(idle, (self.preferred, best)));
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.lifecycle.is_stopped() {
            *prepared = rendition;
        }
    }

    // --- Media loops and the encode loop ---

    pub(crate) fn current(&self) -> Guard<Option<Arc<IdleLoop>>> {
        self.current.load()
    }

    /// Whether idle loops can be sent with a codec.
    pub(crate) fn can_encode(&self, codec: VideoCodec) -> bool {
        self.encoder.can_encode(codec)
    }

    /// An idle loop as this session sends it with a codec, on a rung.
    pub(crate) fn rendition(
        &self,
        idle: &IdleLoop,
        (codec, rung): (VideoCodec, Rung),
    ) -> Arc<IdleRendition> {
        let step = self.ladder.get(rung);
        let bitrate = idle_bitrate(step.map_or(self.bitrate, |step| step.bitrate));
        let (size, scale) = (self.size, step.map_or(Scale::WHOLE, |step| step.scale));
        self.encoder.rendition(idle, IdleFormat { codec, bitrate, size, scale })
    }
}

/// A face at rest moves little: it never needs more than the last step.
fn idle_bitrate(of_session: Bitrate) -> Bitrate {
    let steps = IDLE_KBPS.map(Bitrate::from_kbps);
    let [lowest, ..] = steps;
    let below = steps.into_iter().filter(|step| *step <= of_session);
    below.max().unwrap_or(lowest)
}
