// Notes, in the page's clock, when each flash and each click comes out of the browser's decoders: the
// picture when the track hands it on, and when the video element hands it to the compositor; the sound
// when its first sample is handed on. Display and loudspeaker, which come after, are left out: headless
// browsers have neither.
const video = document.querySelector('video');
window.sync = { flashes: [], composed: [], clicks: [] };
const stream = video.srcObject;

const onsets = (found, threshold, clear) => {
  let quietUntil = 0;
  return (at, level) => {
    if (level > threshold && at >= quietUntil) found.push(at);
    if (level > threshold) quietUntil = at + clear;
  };
};

const each = async (track, handle) => {
  const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    await handle(value, performance.now());
    value.close();
  }
};

const onClick = onsets(sync.clicks, 0.1, 200);
each(stream.getAudioTracks()[0], (data, end) => {
  const samples = new Float32Array(data.numberOfFrames);
  data.copyTo(samples, { planeIndex: 0, format: 'f32-planar' });
  const onset = samples.findIndex((sample) => Math.abs(sample) > 0.1);
  if (onset >= 0) onClick(end - ((samples.length - onset) / data.sampleRate) * 1000, 1);
});

const canvas = new OffscreenCanvas(8, 8);
const pixels = canvas.getContext('2d', { willReadFrequently: true });
const brightness = (picture) => {
  pixels.drawImage(picture, 0, 0, 8, 8);
  return pixels.getImageData(4, 4, 1, 1).data[1] / 255;
};
const onFlash = onsets(sync.flashes, 0.6, 200);
each(stream.getVideoTracks()[0], (frame, at) => onFlash(at, brightness(frame)));

const onComposed = onsets(sync.composed, 0.6, 200);
const onFrame = (_, metadata) => {
  onComposed(metadata.presentationTime, brightness(video));
  video.requestVideoFrameCallback(onFrame);
};
video.requestVideoFrameCallback(onFrame);
return null;
