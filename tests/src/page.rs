//! A viewer's browser with the player page open, and what can be read from it.

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use visavis_bench::{Browser, Microphone, Page};

/// Runs before the page's own scripts: keeps every peer connection and notes every presented frame,
/// so that the checks need nothing of the page but its video element.
pub const CAPTURE_PEERS_AND_FRAMES: &str = r"
(() => {
  const peers = [];
  const frames = [];
  window.watched = { peers, frames };
  const Native = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    constructor(...args) { super(...args); peers.push(this); }
  };
  const look = setInterval(() => {
    const video = document.querySelector('video');
    if (!video) return;
    clearInterval(look);
    const onFrame = (_, metadata) => {
      frames.push([metadata.presentationTime, metadata.presentedFrames]);
      video.requestVideoFrameCallback(onFrame);
    };
    video.requestVideoFrameCallback(onFrame);
  }, 2);
})();
";

const STATS: &str = r"
const peer = watched.peers.at(-1);
const report = [...(await peer.getStats()).values()];
const inbound = (kind) => report.find((s) => s.type === 'inbound-rtp' && s.kind === kind) ?? {};
const video = inbound('video');
const audio = inbound('audio');
const playout = report.find((s) => s.type === 'media-playout') ?? {};
const codec = report.find((s) => s.id === video.codecId);
return {
  now: performance.now(),
  codec: codec?.mimeType ?? '',
  framesDecoded: video.framesDecoded ?? 0,
  freezes: video.freezeCount ?? 0,
  width: video.frameWidth ?? 0,
  height: video.frameHeight ?? 0,
  videoPlayout: video.estimatedPlayoutTimestamp ?? null,
  audioPlayout: audio.estimatedPlayoutTimestamp ?? null,
  deviceDelay: playout.totalPlayoutDelay ?? 0,
  deviceSamples: playout.totalSamplesCount ?? 0,
  bufferDelay: audio.jitterBufferDelay ?? 0,
  bufferSamples: audio.jitterBufferEmittedCount ?? 0,
  audioEnergy: audio.totalAudioEnergy ?? 0,
  audioSeconds: audio.totalSamplesDuration ?? 0,
};
";

const PICTURE: &str = r"
const video = document.querySelector('video');
const canvas = document.createElement('canvas');
canvas.width = video.videoWidth;
canvas.height = video.videoHeight;
const context = canvas.getContext('2d');
context.drawImage(video, 0, 0);
const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
let text = '';
for (const byte of data) text += hex[byte];
return { width: canvas.width, height: canvas.height, hex: text };
";

const LISTEN: &str = r"
const [track] = document.querySelector('video').srcObject.getAudioTracks();
const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
const heard = [];
let rate = 48000;
while (heard.length < rate) {
  const { value: data } = await reader.read();
  rate = data.sampleRate;
  const samples = new Float32Array(data.numberOfFrames);
  data.copyTo(samples, { planeIndex: 0, format: 'f32-planar' });
  data.close();
  heard.push(...samples);
}
reader.cancel();
const crossings = [];
for (let i = 1; i < heard.length; i += 1) {
  if (heard[i - 1] < 0 && heard[i] >= 0) crossings.push(i - heard[i] / (heard[i] - heard[i - 1]));
}
const periods = crossings.length - 1;
const energy = heard.reduce((sum, sample) => sum + sample * sample, 0) / heard.length;
return [rate * periods / (crossings.at(-1) - crossings[0]), Math.sqrt(2 * energy)];
";

/// A browser that watches.
pub struct Watcher {
    /// The page.
    pub page: Page,
    _browser: Browser,
}

/// Counters of the newest peer connection.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// The page's clock, in ms.
    pub now: f64,
    /// MIME type of the video that is decoded.
    pub codec: String,
    /// Frames decoded.
    pub frames_decoded: u64,
    /// Freezes, as the browser defines them.
    pub freezes: u64,
    /// Width of the decoded video.
    pub width: u32,
    /// Height of the decoded video.
    pub height: u32,
    /// Sender's clock of the video that plays now, in ms.
    pub video_playout: Option<f64>,
    /// Sender's clock of the sound that plays now, in ms.
    pub audio_playout: Option<f64>,
    /// Sum, over all samples so far, of the seconds each took from the decoder's buffer to the
    /// loudspeaker.
    pub device_delay: f64,
    /// The samples in that sum.
    pub device_samples: f64,
    /// Sum, over all samples so far, of the seconds each of them waited in the jitter buffer.
    pub buffer_delay: f64,
    /// The samples in that sum.
    pub buffer_samples: f64,
    /// Energy of the sound so far.
    pub audio_energy: f64,
    /// Seconds of sound so far.
    pub audio_seconds: f64,
}

/// A frame as the page shows it.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Pixels a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Red, green, blue, alpha, row by row.
    pub rgba: Vec<u8>,
}

#[derive(Deserialize)]
struct HexPicture {
    width: usize,
    height: usize,
    hex: String,
}

impl Watcher {
    /// Opens a page in a fresh browser and waits for its first frame.
    ///
    /// # Errors
    ///
    /// When the browser does not start or no frame comes within twenty seconds.
    pub fn open(url: &str, microphone: Microphone) -> Result<Self, Box<dyn Error>> {
        Self::open_with(url, microphone, "")
    }

    /// As [`open`](Self::open), with a script that runs before the page's own.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn open_with(
        url: &str,
        microphone: Microphone,
        script: &str,
    ) -> Result<Self, Box<dyn Error>> {
        Self::open_in(Browser::start(microphone)?, url, script)
    }

    /// As [`open_with`](Self::open_with), in a browser that runs already.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn open_in(browser: Browser, url: &str, script: &str) -> Result<Self, Box<dyn Error>> {
        let page = browser.page()?;
        page.run_on_open(CAPTURE_PEERS_AND_FRAMES)?;
        page.run_on_open(script)?;
        page.bypass_content_policy()?;
        page.open(url)?;
        let watcher = Self { page, _browser: browser };
        watcher.wait_for_frames(1, Duration::from_secs(20))?;
        // A page that starts by itself starts muted, and the browser does not count silent playback
        // as sound.
        watcher.page.eval::<()>("document.querySelector('video').muted = false;")?;
        Ok(watcher)
    }

    /// Waits until so many more frames were presented.
    ///
    /// # Errors
    ///
    /// When they were not within the deadline; the page's own log is part of the message.
    pub fn wait_for_frames(&self, more: u64, deadline: Duration) -> Result<(), Box<dyn Error>> {
        let end = Instant::now() + deadline;
        let before = self.frame_count()?;
        while self.frame_count()? < before + more {
            if Instant::now() >= end {
                let text: String =
                    self.page.eval("return document.body.innerText.slice(0, 2000);")?;
                return Err(format!(
                    "{} of {more} frames within {} ms; the page says: {text}",
                    self.frame_count()? - before,
                    deadline.as_millis()
                )
                .into());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Counters of the newest peer connection.
    ///
    /// # Errors
    ///
    /// When the page has none.
    pub fn stats(&self) -> Result<Stats, Box<dyn Error>> {
        Ok(self.page.eval(STATS)?)
    }

    /// The longest time between two presented frames, of those presented after a moment of the
    /// page's clock; in ms.
    ///
    /// # Errors
    ///
    /// When the page does not answer.
    pub fn longest_gap_ms(&self, since_ms: f64) -> Result<f64, Box<dyn Error>> {
        let times: Vec<(f64, u64)> = self.page.eval("return watched.frames;")?;
        let after = times.iter().map(|(at, _)| *at).filter(|at| *at >= since_ms);
        let after: Vec<f64> = after.collect();
        let gaps = after.windows(2).map(|pair| pair[1] - pair[0]);
        Ok(gaps.fold(0.0, f64::max))
    }

    /// Hears the sound of the page's video for a second: the frequency by its upward crossings of zero, and
    /// the level of a tone that is as loud.
    ///
    /// # Errors
    ///
    /// When there is no sound.
    pub fn hear_tone(&self) -> Result<(f64, f64), Box<dyn Error>> {
        Ok(self.page.eval(LISTEN)?)
    }

    /// The frame that is on the page now.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn picture(&self) -> Result<Picture, Box<dyn Error>> {
        let HexPicture { width, height, hex } = self.page.eval(PICTURE)?;
        let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or(0) as u8;
        let pairs = hex.as_bytes().chunks_exact(2);
        let rgba = pairs.map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect();
        Ok(Picture { width, height, rgba })
    }

    fn frame_count(&self) -> Result<u64, Box<dyn Error>> {
        Ok(self.page.eval("return watched.frames.at(-1)?.[1] ?? 0;")?)
    }
}

impl Stats {
    /// Frames decoded per second since earlier counters of the same connection.
    pub fn fps_since(&self, earlier: &Self) -> f64 {
        let frames = self.frames_decoded.saturating_sub(earlier.frames_decoded);
        frames as f64 / ((self.now - earlier.now) / 1_000.0).max(0.001)
    }

    /// Mean time from the decoder's buffer to the loudspeaker since earlier counters, in ms.
    pub fn device_delay_ms_since(&self, earlier: &Self) -> f64 {
        let samples = self.device_samples - earlier.device_samples;
        if samples <= 0.0 {
            return 0.0;
        }
        (self.device_delay - earlier.device_delay) / samples * 1_000.0
    }

    /// Mean time of the sound in the jitter buffer since earlier counters, in ms.
    pub fn buffer_delay_ms_since(&self, earlier: &Self) -> f64 {
        let samples = self.buffer_samples - earlier.buffer_samples;
        if samples <= 0.0 {
            return 0.0;
        }
        (self.buffer_delay - earlier.buffer_delay) / samples * 1_000.0
    }

    /// Loudness of the sound since earlier counters: root mean square, full scale is 1.
    pub fn loudness_since(&self, earlier: &Self) -> f64 {
        let seconds = self.audio_seconds - earlier.audio_seconds;
        if seconds <= 0.0 {
            return 0.0;
        }
        ((self.audio_energy - earlier.audio_energy) / seconds).sqrt()
    }
}

impl Picture {
    /// Brightness of each pixel of a part, given as fractions of width and height.
    pub fn luma(&self, x: [f64; 2], y: [f64; 2]) -> Vec<f64> {
        let within = |range: [f64; 2], size: usize| {
            ((range[0] * size as f64) as usize)..((range[1] * size as f64) as usize)
        };
        let mut luma = Vec::new();
        for row in within(y, self.height) {
            for column in within(x, self.width) {
                let from = (row * self.width + column) * 4;
                if let Some(&[r, g, b]) = self.rgba.get(from..from + 3) {
                    luma.push(0.299 * f64::from(r) + 0.587 * f64::from(g) + 0.114 * f64::from(b));
                }
            }
        }
        luma
    }
}
