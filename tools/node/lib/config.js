'use strict';

const { invalid } = require('./failure.js');

const VIDEO_CODECS = ['VP8', 'VP9', 'H264'];
const AUDIO_CODECS = ['opus', 'pcmu', 'pcma'];
const PUBLIC_STUN = [{ urls: 'stun:stun.l.google.com:19302' }];

/** What a value has to be: whether it is, and in words. */
const kinds = {
  flag: [(value) => typeof value === 'boolean', 'true or false'],
  text: [(value) => typeof value === 'string', 'a string'],
  texts: [
    (value) => Array.isArray(value) && value.every((one) => typeof one === 'string'),
    'an array of strings',
  ],
  port: [whole(0, 65_535), 'a port from 0 to 65535'],
  count: [whole(1, 65_535), 'a whole number from 1 to 65535'],
  fps: [whole(1, 120), '1 to 120'],
  side: [whole(16, 4_096), 'a whole number from 16 to 4096'],
  rate: [whole(8_000, 48_000), 'a sample rate from 8000 to 48000'],
  channels: [whole(1, 2), '1 or 2'],
  kbps: [whole(50, 1_000_000), 'kbit/s from 50 on'],
  least: [whole(0, 1_000_000), 'kbit/s'],
};

function whole(least, most) {
  return (value) => Number.isInteger(value) && value >= least && value <= most;
}

/** Reads fields by name; `null` and `undefined` stand for the default. */
function reader(of, given) {
  if (given !== undefined && (given === null || typeof given !== 'object')) {
    throw invalid(of, given, 'an object');
  }
  return (name, kind, otherwise) => {
    const value = given?.[name] ?? otherwise;
    const [fits, expected] = kinds[kind];
    if (value !== undefined && !fits(value)) throw invalid(`${of}.${name}`, value, expected);
    return value;
  };
}

/** One of some names, whatever their case. */
function oneOf(name, value, names) {
  const found = names.find((one) => one.toLowerCase() === String(value).toLowerCase());
  if (!found) throw invalid(name, value, `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`);
  return found;
}

function iceServers(given) {
  if (!Array.isArray(given)) throw invalid('webrtc.iceServers', given, 'an array of RTCIceServer');
  return given.map((server, index) => {
    const name = `webrtc.iceServers[${index}]`;
    const field = reader(name, server);
    const urls = typeof server?.urls === 'string' ? [server.urls] : field('urls', 'texts');
    if (!urls?.length) throw invalid(`${name}.urls`, server?.urls, 'a string, or an array of them');
    return { urls, username: field('username', 'text'), credential: field('credential', 'text') };
  });
}

function tlsFiles(given) {
  if (given === undefined || given === null) return {};
  const field = reader('webrtc.tls', given);
  const [tlsCert, tlsKey] = [field('cert', 'text'), field('key', 'text')];
  if (!tlsCert || !tlsKey) throw invalid('webrtc.tls', given, '{ cert, key }: names of PEM files');
  return { tlsCert, tlsKey };
}

/** Settings with their defaults: of the server, of what is pushed, of the first session. */
function settings(config) {
  if (config === null || typeof config !== 'object') throw invalid('config', config, 'an object');
  const webrtc = reader('webrtc', config.webrtc);
  const media = reader('media', config.media);
  // `null` stands for no server; that the port was forgotten must not.
  const port = webrtc('signalingPort', 'port');
  if (port === undefined && config.webrtc?.signalingPort !== null) {
    throw invalid('webrtc.signalingPort', port, 'a port from 0 to 65535, or null');
  }
  const session = sessionSettings('webrtc', config.webrtc);
  const [videoCodec] = session.videoCodecs;
  const [audioCodec] = session.audioCodecs;
  const maxClients = webrtc('maxClients', 'count', 100);
  const [webrtcDebug, mediaDebug] = [webrtc('debug', 'flag', false), media('debug', 'flag', false)];
  return {
    system: {
      host: webrtc('host', 'text', '0.0.0.0'),
      port,
      mediaPort: webrtc('mediaPort', 'port', 0),
      iceTcp: webrtc('iceTcp', 'flag', true),
      iceTcpPort: webrtc('iceTcpPort', 'port'),
      announce: webrtc('announce', 'texts', []),
      maxClients,
      iceServers: iceServers(config.webrtc.iceServers ?? PUBLIC_STUN),
      videoCodec,
      audioCodec,
      cors: webrtc('cors', 'texts', []),
      allowedHosts: webrtc('allowedHosts', 'texts', []),
      trustedProxies: webrtc('trustedProxies', 'texts'),
      publicUrl: webrtc('publicUrl', 'text'),
      ...tlsFiles(config.webrtc.tls),
      debug: webrtcDebug || mediaDebug,
    },
    pushed: {
      width: media('videoWidth', 'side', 512),
      height: media('videoHeight', 'side', 512),
      sampleRate: media('audioSampleRate', 'rate', 16_000),
      channels: media('audioChannels', 'channels', 1),
    },
    session: { ...session, id: 'default', fps: media('videoFps', 'fps', 30) },
  };
}

/** Settings of a session, with their defaults; those of the first one are among the server's. */
function sessionSettings(of, given) {
  const field = reader(of, given);
  return {
    id: field('id', 'text', 'default'),
    videoCodecs: [oneOf(`${of}.videoCodec`, given?.videoCodec ?? 'VP8', VIDEO_CODECS)],
    audioCodecs: [oneOf(`${of}.audioCodec`, given?.audioCodec ?? 'opus', AUDIO_CODECS)],
    fps: field('videoFps', 'fps', 30),
    microphoneRate: field('microphoneRate', 'rate', 16_000),
    videoBitrate: field('videoBitrate', 'kbps'),
    minVideoBitrate: field('minVideoBitrate', 'least'),
    rungs: field('rungs', 'texts', []),
    maxPeers: field('maxPeers', 'count'),
    encoded: given?.encoded && oneOf(`${of}.encoded`, given.encoded, VIDEO_CODECS),
    adaptiveEncoder: field('adaptiveEncoder', 'flag', false),
  };
}

module.exports = { settings, sessionSettings };
