// Reads the time strip of every presented frame. Runs before the page's own scripts, so that the
// first frame is seen too. The strip: bottom 32 rows, 48 cells, white 1, black 0, first cell most
// significant; 40 bits of Unix time in units of 100 µs, then 8 bits checksum.
'use strict';
(() => {
  const CELLS = 48;
  const ROWS = 32;
  const frames = [];
  const glass = (window.visavisGlass = { frames, firstPicture: null, clockError: null });
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d', { willReadFrequently: true });

  // How far the page's high-resolution clock is from the system's: both count Unix time, and the
  // coarser one is floored to a millisecond.
  const clockErrorMs = () => {
    let smallest = Infinity;
    for (let i = 0; i < 200; i += 1) {
      const error = performance.timeOrigin + performance.now() - Date.now();
      if (Math.abs(error) < Math.abs(smallest)) smallest = error;
    }
    return smallest;
  };

  // Units of 100 µs, modulo 2^40; null where the checksum is wrong.
  let whole = 0;
  const readStrip = (video) => {
    // Where less is sent, the picture is smaller, and so is the strip.
    whole = Math.max(whole, video.videoWidth);
    const scale = video.videoWidth / whole;
    const top = video.videoHeight - ROWS * scale;
    const cell = Math.floor(whole / CELLS / 2) * 2;
    if (cell === 0 || top < 0) return null;
    // One row from the middle of the strip is enough, and cheap to copy.
    canvas.width = cell * CELLS;
    canvas.height = 1;
    const middle = Math.floor(top + (ROWS * scale) / 2);
    context.drawImage(video, 0, middle, cell * CELLS * scale, 1, 0, 0, cell * CELLS, 1);
    const row = context.getImageData(0, 0, cell * CELLS, 1).data;
    const bytes = [0, 0, 0, 0, 0, 0];
    for (let i = 0; i < CELLS; i += 1) {
      const green = row[(i * cell + cell / 2) * 4 + 1];
      if (green > 127) bytes[i >> 3] |= 0x80 >> (i & 7);
    }
    const sum = bytes[0] + bytes[1] + bytes[2] + bytes[3] + bytes[4];
    if (((sum & 0xff) ^ 0x5a) !== bytes[5]) return null;
    return bytes.slice(0, 5).reduce((value, byte) => value * 256 + byte, 0);
  };

  const watch = (video) => {
    const onFrame = (_, metadata) => {
      const now = performance.now();
      if (glass.firstPicture === null) {
        glass.firstPicture = now;
        glass.clockError = clockErrorMs();
      }
      frames.push([
        readStrip(video),
        now,
        metadata.expectedDisplayTime,
        metadata.presentationTime,
        metadata.presentedFrames,
      ]);
      video.requestVideoFrameCallback(onFrame);
    };
    video.requestVideoFrameCallback(onFrame);
  };

  const look = setInterval(() => {
    const video = document.querySelector('video');
    if (!video) return;
    clearInterval(look);
    watch(video);
  }, 2);
})();
