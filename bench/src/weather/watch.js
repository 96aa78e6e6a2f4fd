// Notes ten times a second what the browser counts of what it receives.
'use strict';
(() => {
  const looks = (window.visavisLooks = []);
  const look = async () => {
    const connection = window.visavis?.client?.connection;
    if (!connection) return;
    const report = [...(await connection.getStats()).values()].filter(({ type }) => type === 'inbound-rtp');
    const video = report.find(({ kind }) => kind === 'video');
    const audio = report.find(({ kind }) => kind === 'audio');
    if (!video) return;
    looks.push({
      at: performance.timeOrigin + performance.now(),
      width: video.frameWidth ?? 0,
      decoded: video.framesDecoded ?? 0,
      keyframes: video.keyFramesDecoded ?? 0,
      frozen: video.totalFreezesDuration ?? 0,
      bytes: video.bytesReceived ?? 0,
      packets: video.packetsReceived ?? 0,
      again: video.retransmittedPacketsReceived ?? 0,
      concealed: (audio?.concealedSamples ?? 0) - (audio?.silentConcealedSamples ?? 0),
      samples: audio?.totalSamplesReceived ?? 0,
    });
  };
  setInterval(look, 100);
})();
