//! The echo in a real Chromium: a visitor's speech comes back, and the face's mouth moves with it.

#![allow(clippy::print_stdout, reason = "the figures are part of the outcome")]

use std::thread;
use std::time::Duration;

use serde::Deserialize;
use visavis_bench::{Microphone, Server, ServerOptions};
use visavis_tests::{Outcome, Turn, Watcher, correlation, likeness, root, speech};

/// Duration of silence, and of speech.
const SILENCE: Duration = Duration::from_secs(3);
const SPEECH: Duration = Duration::from_secs(12);

/// Echo cancellation would take out the echo, and gain control change it.
const UNTOUCHED: &str = r"
const get = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = (asked) => get({ ...asked, audio: asked.audio && {
  echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1,
} });
";

const SWITCH_ON: &str = "await visavis.client.setMicrophone(true); return null;";

/// Keeps the sound at 16 kHz, and for each picture how much of the inside of the mouth it shows: pixels that
/// are dark red or white, in the place where the demo face has its mouth.
const LISTEN_AND_LOOK: &str = r"
const video = document.querySelector('video');
window.echo = { sound: [], mouth: [], loud: [] };

const [track] = video.srcObject.getAudioTracks();
const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
(async () => {
  for (;;) {
    const { value: data, done } = await reader.read();
    if (done) return;
    const samples = new Float32Array(data.numberOfFrames);
    data.copyTo(samples, { planeIndex: 0, format: 'f32-planar' });
    const step = data.sampleRate / 16000;
    let power = 0;
    for (let at = 0; at + step <= samples.length; at += step) {
      let sum = 0;
      for (let i = 0; i < step; i += 1) sum += samples[at + i];
      echo.sound.push(Math.round((sum / step) * 32767));
      power += (sum / step) ** 2;
    }
    echo.loud.push([performance.now(), Math.sqrt(power / (samples.length / step))]);
    data.close();
  }
})();

const [x, y, width, height] = [216, 316, 80, 50];
const canvas = document.createElement('canvas');
[canvas.width, canvas.height] = [width, height];
const pixels = canvas.getContext('2d', { willReadFrequently: true });
const onFrame = (now) => {
  pixels.drawImage(video, x, y, width, height, 0, 0, width, height);
  const { data } = pixels.getImageData(0, 0, width, height);
  let inside = 0;
  for (let i = 0; i < data.length; i += 4) {
    const [r, g, b] = [data[i], data[i + 1], data[i + 2]];
    if ((r < 130 && g < 60) || (r > 225 && g > 220 && b > 210)) inside += 1;
  }
  echo.mouth.push([now, inside]);
  video.requestVideoFrameCallback(onFrame);
};
video.requestVideoFrameCallback(onFrame);
return performance.now();
";

#[derive(Deserialize)]
struct Echo {
    /// 16 kHz.
    sound: Vec<f64>,
    /// The page's clock in ms, and pixels.
    mouth: Vec<(f64, f64)>,
    /// The page's clock in ms, and root mean square.
    loud: Vec<(f64, f64)>,
}

/// The mean of what was noted in each tenth of a second from a moment on.
fn tenths(noted: &[(f64, f64)], from: f64, count: usize) -> Vec<f64> {
    let mean = |n: usize| {
        let start = from + 100.0 * n as f64;
        let within = noted.iter().filter(|(at, _)| (start..start + 100.0).contains(at));
        let values: Vec<f64> = within.map(|(_, value)| *value).collect();
        values.iter().sum::<f64>() / values.len().max(1) as f64
    };
    (0..count).map(mean).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn without_mean(values: &[f64]) -> Vec<f64> {
    let mean = mean(values);
    values.iter().map(|value| value - mean).collect()
}

#[test]
fn what_a_visitor_says_comes_back_and_the_mouth_moves_with_it() -> Outcome {
    let _turn = Turn::take()?;
    let server = Server::start(ServerOptions::default().arg("--echo"))?;
    let wav = root().join("fixtures/speech.wav").display().to_string();
    let url = format!("{}?autostart=1", server.url());
    let watcher = Watcher::open_with(&url, Microphone::Plays(wav.leak()), UNTOUCHED)?;
    let begin: f64 = watcher.page.eval(LISTEN_AND_LOOK)?;
    thread::sleep(SILENCE);
    watcher.page.eval::<()>(SWITCH_ON)?;
    let spoken: f64 = watcher.page.eval("return performance.now();")?;
    thread::sleep(SPEECH);
    let Echo { sound, mouth, loud } = watcher.page.eval("return echo;")?;

    let likeness = likeness(&sound, &speech()?);
    // Half a second for the way there and back.
    let silent = tenths(&mouth, begin, SILENCE.as_millis() as usize / 100);
    let count = SPEECH.as_millis() as usize / 100 - 10;
    let moving = tenths(&mouth, spoken + 500.0, count);
    let volume = tenths(&loud, spoken + 500.0, count);
    let together = correlation(&without_mean(&moving), &without_mean(&volume));
    let (shut, open) = (mean(&silent), mean(&moving));
    println!(
        "likeness {likeness:.3}; of the mouth's inside {shut:.0} pixels in silence, {open:.0} while it \
         speaks; mouth and sound {together:.3}"
    );
    let silence = tenths(&loud, begin, SILENCE.as_millis() as usize / 100);
    assert!(silence.iter().all(|&level| level < 0.001), "it speaks by itself: {silence:?}");
    // It has been through Opus twice.
    assert!(likeness >= 0.7, "{likeness:.3}");
    assert!(open > shut + 50.0, "the mouth does not open: {shut:.0} and {open:.0} pixels");
    assert!(together > 0.3, "the mouth does not follow the sound: {together:.3}");
    server.stop()?;
    Ok(())
}
