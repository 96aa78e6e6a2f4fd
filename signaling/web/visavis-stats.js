// Statistics of one connection, computed from RTCPeerConnection.getStats().

/** Milliseconds between 1900 (NTP) and 1970 (Unix). */
const NTP_TO_UNIX_MS = 2_208_988_800_000;

/** A larger value is a difference between two clocks, not a latency. */
const MAX_LATENCY_MS = 10_000;

/**
 * @typedef {object} Stats
 * @property {?number} latencyMs     capture to display; null where the browser does not report it
 * @property {?number} fps           frames decoded per second
 * @property {?number} bitrateKbps   video and audio received
 * @property {?number} lossPercent   packets lost since the last call
 * @property {?number} rttMs         round trip on the path in use
 * @property {?number} jitterBufferMs  how long frames waited to be decoded, since the last call
 * @property {?number} decodeMs      how long a frame took to decode, since the last call
 * @property {?number} droppedPercent  frames that were decoded too late to be shown, since the last call
 * @property {number} freezes        video freezes since the start
 * @property {?string} codec         such as "H264"
 * @property {?string} audioCodec    such as "opus"
 * @property {number} width
 * @property {number} height
 */

/** The video RTP clock is 90 kHz. */
const RTP_TICKS_PER_MS = 90;

/** Computes rates from the difference between successive reports. */
export class StatsReader {
  #previous = null;
  #captureLatencyMs = null;
  /** By how many milliseconds the sender's clock is ahead of ours. */
  #clockOffsetMs = 0;

  /**
   * Adds the latency of one displayed frame.
   * @param {VideoFrameCallbackMetadata} metadata
   * @param {RTCRtpReceiver} receiver that received the frame
   */
  addFrame(metadata, receiver) {
    // abs-capture-time is preferred: the browser's own estimate comes from sender reports, and visavis shifts those
    // slightly back to be able to send audio ahead.
    const exact = this.#captureTime(metadata, receiver);
    const captured = Number.isNaN(exact) ? metadata.captureTime : exact;
    const latency = metadata.expectedDisplayTime - captured;
    if (!(latency > 0 && latency < MAX_LATENCY_MS)) return;
    const old = this.#captureLatencyMs;
    this.#captureLatencyMs = old === null ? latency : old + 0.1 * (latency - old);
  }

  /** When a frame was captured, on the clock of performance.now(); NaN where unknown. */
  #captureTime({ rtpTimestamp }, receiver) {
    // abs-capture-time is that of the newest packet, which may belong to a later frame.
    const [source] = receiver.getSynchronizationSources?.() ?? [];
    if (source?.captureTimestamp === undefined || rtpTimestamp === undefined) return NaN;
    const laterMs = ((source.rtpTimestamp - rtpTimestamp) | 0) / RTP_TICKS_PER_MS;
    const onSenderClock = source.captureTimestamp - NTP_TO_UNIX_MS - laterMs;
    return onSenderClock - this.#clockOffsetMs - performance.timeOrigin;
  }

  /** @returns {Promise<Stats>} */
  async read(pc) {
    const stats = await pc.getStats();
    let video = null;
    let audio = null;
    let transport = null;
    let report = null;
    for (const entry of stats.values()) {
      if (entry.type === 'inbound-rtp' && entry.kind === 'video') video = entry;
      else if (entry.type === 'inbound-rtp' && entry.kind === 'audio') audio = entry;
      else if (entry.type === 'transport') transport = entry;
      else if (entry.type === 'remote-outbound-rtp' && entry.kind === 'video') report = entry;
    }
    const now = {
      at: performance.now(),
      bytes: (video?.bytesReceived ?? 0) + (audio?.bytesReceived ?? 0),
      received: (video?.packetsReceived ?? 0) + (audio?.packetsReceived ?? 0),
      lost: (video?.packetsLost ?? 0) + (audio?.packetsLost ?? 0),
      frames: video?.framesDecoded ?? 0,
      waited: video?.jitterBufferDelay ?? 0,
      emitted: video?.jitterBufferEmittedCount ?? 0,
      decoding: video?.totalDecodeTime ?? 0,
      dropped: video?.framesDropped ?? 0,
    };
    const last = this.#previous;
    this.#previous = now;
    const seconds = last ? (now.at - last.at) / 1000 : 0;
    const change = (name) => (seconds > 0 ? Math.max(0, now[name] - last[name]) : null);
    const ratio = (part, whole) => (part === null || !whole ? null : part / whole);
    const sent = last ? change('received') + change('lost') : 0;
    const pair = selectedPair(stats, transport);
    const rtt = pair?.currentRoundTripTime;
    if (report?.remoteTimestamp && rtt !== undefined) {
      // The sender report has the sender's time when it was sent, half a round trip ago.
      this.#clockOffsetMs = report.remoteTimestamp - (report.timestamp - (rtt * 1000) / 2);
    }
    const waited = ratio(change('waited'), change('emitted'));
    const decoding = ratio(change('decoding'), change('frames'));
    const dropped = ratio(change('dropped'), change('frames') + change('dropped'));
    const bits = ratio(change('bytes'), seconds);
    return {
      latencyMs: this.#captureLatencyMs ?? playoutLatency(video),
      fps: ratio(change('frames'), seconds),
      bitrateKbps: bits === null ? null : (bits * 8) / 1000,
      lossPercent: last ? 100 * (ratio(change('lost'), sent) ?? 0) : null,
      rttMs: rtt === undefined ? null : rtt * 1000,
      jitterBufferMs: waited === null ? null : waited * 1000,
      decodeMs: decoding === null ? null : decoding * 1000,
      droppedPercent: dropped === null ? null : 100 * dropped,
      freezes: video?.freezeCount ?? 0,
      codec: codecName(stats, video),
      audioCodec: codecName(stats, audio),
      width: video?.frameWidth ?? 0,
      height: video?.frameHeight ?? 0,
    };
  }
}

/** Correct only where sender and viewer share a clock. */
function playoutLatency(video) {
  if (!video?.estimatedPlayoutTimestamp) return null;
  const latency = Date.now() + NTP_TO_UNIX_MS - video.estimatedPlayoutTimestamp;
  return latency > 0 && latency < MAX_LATENCY_MS ? latency : null;
}

function selectedPair(stats, transport) {
  const named = transport && stats.get(transport.selectedCandidatePairId);
  if (named) return named;
  // Firefox has no `transport` entry, but marks the selected pair.
  for (const entry of stats.values()) {
    if (entry.type === 'candidate-pair' && (entry.selected || entry.nominated)) return entry;
  }
  return null;
}

function codecName(stats, stream) {
  const mime = stream && stats.get(stream.codecId)?.mimeType;
  return mime ? mime.slice(mime.indexOf('/') + 1) : null;
}
