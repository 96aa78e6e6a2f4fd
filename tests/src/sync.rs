//! How far sound and picture are apart, by a flash and a click that were made at one instant.

use std::error::Error;
use std::thread;
use std::time::Duration;

use visavis_bench::Page;

/// Watches the page's video for so long; returns, for each flash, how much later its click comes out of the
/// browser, in ms. Flashes come a second apart.
///
/// # Errors
///
/// When the page has no video with sound.
pub fn click_after_flash_ms(page: &Page, watch: Duration) -> Result<Vec<f64>, Box<dyn Error>> {
    page.eval::<()>(LISTEN_AND_LOOK)?;
    thread::sleep(watch);
    let (flashes, clicks): (Vec<f64>, Vec<f64>) =
        page.eval("return [sync.flashes, sync.clicks];")?;
    let nearest = |flash: &f64| {
        let apart = clicks.iter().map(|click| click - flash);
        apart.min_by(|a, b| a.abs().total_cmp(&b.abs()))
    };
    // Half a second apart belongs to no pair.
    Ok(flashes.iter().filter_map(nearest).filter(|offset| offset.abs() < 500.0).collect())
}

/// The middle one; sorts the values.
pub fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Notes in the page's clock when each flash is handed to the compositor, and when the sample that
/// begins each click is handed out by the decoder's buffer. Display and loudspeaker, which come after,
/// are left out: headless browsers have neither.
const LISTEN_AND_LOOK: &str = r"
const video = document.querySelector('video');
window.sync = { flashes: [], clicks: [] };

const [track] = video.srcObject.getAudioTracks();
const sound = new MediaStreamTrackProcessor({ track }).readable.getReader();
(async () => {
  let quietUntil = 0;
  for (;;) {
    const { value: data, done } = await sound.read();
    if (done) return;
    const end = performance.now();
    const samples = new Float32Array(data.numberOfFrames);
    data.copyTo(samples, { planeIndex: 0, format: 'f32-planar' });
    const onset = samples.findIndex((sample) => Math.abs(sample) > 0.1);
    if (onset >= 0) {
      const at = end - ((samples.length - onset) / data.sampleRate) * 1000;
      if (at >= quietUntil) sync.clicks.push(at);
      quietUntil = at + 200;
    }
    data.close();
  }
})();

const canvas = document.createElement('canvas');
canvas.width = canvas.height = 8;
const pixels = canvas.getContext('2d', { willReadFrequently: true });
let bright = true;
const onFrame = (_, metadata) => {
  pixels.drawImage(video, 0, 0, 8, 8);
  const middle = pixels.getImageData(4, 4, 1, 1).data[1];
  if (middle > 150 && !bright) sync.flashes.push(metadata.presentationTime);
  bright = middle > 150;
  video.requestVideoFrameCallback(onFrame);
};
video.requestVideoFrameCallback(onFrame);
return null;
";
