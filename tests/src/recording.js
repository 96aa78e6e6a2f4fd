// Records, by the wall clock in ms, what comes out of the decoders of the page's video: how bright each picture
// is, and of each stretch of sound how loud, with the largest step from one sample to the next.
const stream = document.querySelector('video').srcObject;
window.recorded = { sound: [], pictures: [] };
const each = async (track, handle) => {
  const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    handle(value, performance.timeOrigin + performance.now());
    value.close();
  }
};

let before = null;
let until = 0;
each(stream.getAudioTracks()[0], (data, at) => {
  const samples = new Float32Array(data.numberOfFrames);
  data.copyTo(samples, { planeIndex: 0, format: 'f32-planar' });
  // What a busy page did not read in time was dropped on the way to it.
  if (Math.abs(data.timestamp - until) > 1000) before = null;
  until = data.timestamp + data.duration;
  let [peak, step] = [0, 0];
  for (const sample of samples) {
    peak = Math.max(peak, Math.abs(sample));
    if (before !== null) step = Math.max(step, Math.abs(sample - before));
    before = sample;
  }
  recorded.sound.push({ at, peak, step });
});

const canvas = new OffscreenCanvas(8, 8);
const pixels = canvas.getContext('2d', { willReadFrequently: true });
each(stream.getVideoTracks()[0], (frame, at) => {
  pixels.drawImage(frame, 0, 0, 8, 8);
  recorded.pictures.push({ at, brightness: pixels.getImageData(4, 4, 1, 1).data[1] });
});
return null;
