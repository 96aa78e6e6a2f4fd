//! An engine, a still picture in front of its camera, and a Chromium that watches.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde::Deserialize;
use visavis::video::{PixelFormat, VideoCodec, VideoFrame};
use visavis::{Engine, EngineConfig, Session, SessionConfig};
use visavis_bench::Browser;
use visavis_signaling::{SignalingConfig, SignalingServer};
use visavis_tests::Watcher;

use crate::Failure;
use crate::drawing::{Drawing, Spot};

const FPS: u32 = 30;

/// Frames that a new picture may take to reach the page and to become sharp.
const SETTLE_FRAMES: u64 = 20;

/// Counts answers, so that a renegotiation is noticed.
const COUNT_ANSWERS: &str = r"
window.answers = 0;
const set = RTCPeerConnection.prototype.setRemoteDescription;
RTCPeerConnection.prototype.setRemoteDescription = function (...args) {
  window.answers += 1;
  return set.apply(this, args);
};
";

const COUNTERS: &str = r"
const report = [...(await watched.peers.at(-1).getStats()).values()];
const video = report.find((s) => s.type === 'inbound-rtp' && s.kind === 'video') ?? {};
return {
  answers: window.answers,
  peers: watched.peers.length,
  codec: report.find((s) => s.id === video.codecId)?.mimeType ?? '',
  keyframesDecoded: video.keyFramesDecoded ?? 0,
  keyframesAskedFor: (video.pliCount ?? 0) + (video.firCount ?? 0),
};
";

/// What the browser counts.
#[derive(Debug, Clone, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counters {
    /// Answers it was given.
    pub answers: u32,
    /// Connections it made.
    pub peers: u32,
    pub codec: String,
    pub keyframes_decoded: u64,
    pub keyframes_asked_for: u64,
}

pub(crate) struct Studio {
    engine: Engine,
    session: Session,
    signaling: SignalingServer,
    scene: Arc<Scene>,
    camera: Option<JoinHandle<()>>,
    watcher: Watcher,
}

struct Scene {
    still: Mutex<Still>,
    stop: AtomicBool,
}

struct Still {
    size: (usize, usize),
    format: PixelFormat,
    data: Arc<Vec<u8>>,
}

impl Still {
    fn new(drawing: &Drawing, format: PixelFormat) -> Result<Self, Failure> {
        let data = Arc::new(drawing.bytes(format)?);
        Ok(Self { size: (drawing.width, drawing.height), format, data })
    }
}

impl Studio {
    /// Opens with a first picture before the camera; the browser insists on the codec.
    pub(crate) fn open(
        browser: Browser,
        codec: VideoCodec,
        first: &Drawing,
    ) -> Result<Self, Failure> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let engine = Engine::start(EngineConfig::default().udp(any))?;
        let config = SessionConfig::default().video_codecs(vec![codec]).fps(FPS);
        let session = engine.create_session(config)?;
        session.start();
        let config = SignalingConfig::default().listen(any).video_codec(codec);
        let signaling = SignalingServer::start(config, engine.handle())?;
        let still = Mutex::new(Still::new(first, PixelFormat::Rgba)?);
        let scene = Arc::new(Scene { still, stop: AtomicBool::new(false) });
        let (filmed, sink) = (Arc::clone(&scene), session.video());
        let camera = thread::spawn(move || {
            let mut due = Instant::now();
            while !filmed.stop.load(Relaxed) {
                let (size, format, data) = {
                    let still = filmed.still.lock().unwrap_or_else(PoisonError::into_inner);
                    (still.size, still.format, Arc::clone(&still.data))
                };
                let (width, height) = (size.0 as u32, size.1 as u32);
                let frame = VideoFrame::new(&data, width, height).format(format);
                sink.push(&frame).expect("a picture that can be pushed");
                due += Duration::from_secs(1) / FPS;
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
        });
        let url = format!("http://{}/?autostart=1&codec={codec}", signaling.local_addr());
        let watcher = Watcher::open_in(browser, &url, COUNT_ANSWERS)?;
        let studio = Self { engine, session, signaling, scene, camera: Some(camera), watcher };
        assert_eq!(studio.counters()?.codec, format!("video/{codec}"));
        Ok(studio)
    }

    /// Puts another picture before the camera and waits until it is on the page.
    pub(crate) fn show(&self, drawing: &Drawing, format: PixelFormat) -> Result<(), Failure> {
        let still = Still::new(drawing, format)?;
        *self.scene.still.lock().unwrap_or_else(PoisonError::into_inner) = still;
        self.watcher.wait_for_frames(SETTLE_FRAMES, Duration::from_secs(20))
    }

    /// How many dB of a picture arrived.
    pub(crate) fn psnr_db(&self, drawing: &Drawing) -> Result<f64, Failure> {
        let seen = self.watcher.picture()?;
        assert_eq!((seen.width, seen.height), (drawing.width, drawing.height));
        Ok(drawing.psnr_db(&seen.rgba))
    }

    /// The colours that the page shows at some places: the mean of eight by eight pixels each.
    pub(crate) fn colours_at(&self, spots: &[Spot]) -> Result<Vec<[f64; 3]>, Failure> {
        let places: Vec<[usize; 2]> = spots.iter().map(|spot| [spot.x, spot.y]).collect();
        let places = serde_json::to_string(&places)?;
        Ok(self.watcher.page.eval(&format!(
            r"
            const video = document.querySelector('video');
            const canvas = document.createElement('canvas');
            [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
            const context = canvas.getContext('2d');
            context.drawImage(video, 0, 0);
            return {places}.map(([x, y]) => {{
              const {{ data }} = context.getImageData(x - 4, y - 4, 8, 8);
              const mean = (channel) => {{
                let sum = 0;
                for (let at = channel; at < data.length; at += 4) sum += data[at];
                return sum / 64;
              }};
              return [mean(0), mean(1), mean(2)];
            }});"
        ))?)
    }

    /// What the browser takes the pictures for: their matrix, and whether their range is full.
    pub(crate) fn colour_space(&self) -> Result<(String, bool), Failure> {
        Ok(self.watcher.page.eval(
            r"
            const frame = new VideoFrame(document.querySelector('video'));
            const { matrix, fullRange } = frame.colorSpace;
            frame.close();
            return [matrix, fullRange];",
        )?)
    }

    pub(crate) fn counters(&self) -> Result<Counters, Failure> {
        Ok(self.watcher.page.eval(COUNTERS)?)
    }

    /// Keyframes encoded so far.
    pub(crate) fn keyframes(&self) -> u64 {
        self.session.status().metrics.keyframes
    }

    pub(crate) fn close(mut self) {
        self.scene.stop.store(true, Relaxed);
        if let Some(camera) = self.camera.take() {
            camera.join().expect("the camera");
        }
        self.signaling.stop();
        self.session.stop();
        self.engine.stop();
    }
}
