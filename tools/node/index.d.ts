/// <reference types="node" />
import { EventEmitter } from 'node:events';

/**
 * Starts an engine and its signaling server, which listens from then on. What is pushed is taken from
 * {@link StreamingSystem.start} on.
 *
 * @throws `TypeError` with the code `invalid-value` for a setting that cannot be meant; `Error` with the code
 * `EADDRINUSE`, `EADDRNOTAVAIL` or `EACCES` where a port cannot be opened, `tls` for a certificate that cannot be used.
 */
export function createStreamingSystem(config: StreamingConfig): Promise<StreamingSystem>;

export interface StreamingConfig {
  webrtc: WebRtcConfig;
  media?: MediaConfig;
}

/** Settings of the server. */
export interface WebRtcConfig {
  /** The TCP port of the page, the HTTP API and the WebSocket; 0 for any ({@link Server.port}). */
  signalingPort: number;
  /** STUN and TURN servers that browsers are told. Default: a public STUN server. */
  iceServers?: IceServer[];
  /** The engine's log on stderr, from `debug` on. Default: `false`. */
  debug?: boolean;
  /** Visitors at once, 1 to 65535. Default: 100. */
  maxClients?: number;
  /** The preferred video codec; a browser that cannot decode it gets the next one it can. Default: `VP8`. */
  videoCodec?: 'VP8' | 'VP9' | 'H264';
  /** The preferred audio codec. Default: `opus`. */
  audioCodec?: 'opus' | 'pcmu' | 'pcma';
  /** The IP address that is listened on, for signaling and media. Default: `0.0.0.0`. */
  host?: string;
  /** The UDP port for all media; 0 for any. Default: 0. */
  mediaPort?: number;
  /** Addresses that browsers are told for media, as `ADDRESS` or `ADDRESS:PORT`. Default: all of this machine. */
  announce?: string[];
  /** Origins of pages of other servers that may connect, such as `https://app.example.org`; `*` for all. Default: none. */
  cors?: string[];
  /** Names of this server, such as `face.example.org`. Default: none beside its addresses and `localhost`. */
  allowedHosts?: string[];
  /** Proxies whose `X-Forwarded-*` is trusted. Default: `loopback`. */
  trustedProxies?: string[];
  /** Where visitors find the server, if that is behind a proxy. Default: none. */
  publicUrl?: string;
  /** Files with the certificate chain and its key, as PEM: with them the port speaks TLS alone. Default: none. */
  tls?: { cert: string; key: string };
}

/** As `RTCIceServer` of browsers. */
export interface IceServer {
  urls: string | string[];
  username?: string;
  credential?: string;
}

/** What is pushed where nothing else is said with it. */
export interface MediaConfig {
  /** Frames a second that the encoder expects, 1 to 120. Default: 30. */
  videoFps?: number;
  /** The width of frames that do not say theirs. Default: 512. */
  videoWidth?: number;
  /** The height of frames that do not say theirs. Default: 512. */
  videoHeight?: number;
  /** The rate in Hz of chunks that do not say theirs. Default: 16000. */
  audioSampleRate?: number;
  /** The channels of chunks that do not say theirs, 1 or 2. Default: 1. */
  audioChannels?: number;
  /** As {@link WebRtcConfig.debug}. Default: `false`. */
  debug?: boolean;
}

/** Where bytes may lie. They are copied once, before the push returns. */
export type Bytes = ArrayBufferView | ArrayBuffer | SharedArrayBuffer;

/** A picture. */
export interface VideoFrame {
  /** Its pixels, row by row without gaps, or the file. */
  data: Bytes;
  /** Pixels a row; even, 16 to 4096. Default: {@link MediaConfig.videoWidth}. */
  width?: number;
  /** Rows; even, 16 to 4096. Default: {@link MediaConfig.videoHeight}. */
  height?: number;
  /** When it was made, in Unix milliseconds. Default: now. */
  timestamp?: number;
  /**
   * Default: `RGBA`, width × height × 4 bytes. `YUV` is `I420`. JPEG and PNG files are decoded on another thread, one
   * after the other.
   */
  format?: 'RGBA' | 'BGRA' | 'RGB' | 'YUV' | 'I420' | 'NV12' | 'JPEG' | 'PNG';
}

/** Some sound, of any length. */
export interface AudioChunk {
  /**
   * PCM: samples of 16 bits, signed and little-endian, channels interleaved; a `Float32Array` holds samples from -1 to
   * 1. OPUS: one packet. MP3: one or more whole frames, decoded on another thread.
   */
  data: Bytes;
  /** 8000 to 48000 Hz, for PCM. Default: {@link MediaConfig.audioSampleRate}. */
  sampleRate?: number;
  /** 1 or 2, for PCM. Default: {@link MediaConfig.audioChannels}. */
  channels?: number;
  /** When it is to be heard, in Unix milliseconds. Default: now. */
  timestamp?: number;
  /** Default: `PCM`. */
  format?: 'PCM' | 'OPUS' | 'MP3';
}

/** What a visitor's microphone sent: 20 ms, mono, 16 kHz. */
export interface IncomingAudio {
  /** Samples of 16 bits, signed and little-endian. */
  data: Buffer;
  sampleRate: number;
  channels: 1;
  /** When it was captured, in Unix milliseconds. */
  timestamp: number;
  format: 'PCM';
  /** Whose it is. */
  peerId: string;
}

/**
 * What became of a push: on its way (`dropped-oldest`: and sound that waited for more than a minute had to go for
 * it), or, outside of start and stop, counted and no more.
 */
export type PushOutcome =
  | 'accepted'
  | 'dropped-oldest'
  | 'dropped'
  | 'full'
  | 'not-started'
  | 'stopped';

export interface StreamingSystem {
  /** Where pictures and sound go in, and what visitors say comes out. */
  readonly bridge: Bridge;
  /** What visitors do. */
  readonly server: Server;
  /** Counters and averages, read in some microseconds. */
  getStatus(): Status;
  /** From here on what is pushed is sent. A second call does nothing; rejected with the code `stopped` after a stop. */
  start(): Promise<void>;
  /**
   * Stops the bridge, then the server, and disconnects everybody. Nothing is left that would keep the process. A second
   * call waits for the first.
   */
  stop(): Promise<void>;
  /** Undoes {@link unref}. */
  ref(): this;
  /** Lets the process end though this runs. */
  unref(): this;
}

export interface BridgeEvents {
  /** What a visitor's microphone sent. Nothing is decoded before somebody listens. */
  'incoming-audio': [chunk: IncomingAudio];
  /** A frame was taken. */
  'video-frame': [frame: VideoFrame];
  /** A chunk was taken. */
  'audio-chunk': [chunk: AudioChunk];
  started: [];
  stopped: [];
}

export interface ServerEvents {
  /** A visitor's media flows. */
  'peer-connected': [peer: Peer];
  /** A visitor is gone, or never came further than an offer. */
  'peer-disconnected': [left: { peerId: string; session: string; reason: LeaveReason }];
  /** A visitor offers; it is answered without help. */
  offer: [negotiation: { peerId: string; offer: { type: 'offer'; sdp: string } }];
  /** An offer was answered. */
  answer: [negotiation: { peerId: string; answer: { type: 'answer'; sdp: string } }];
  /** A visitor has sent a candidate; an empty one is the end of candidates. */
  'ice-candidate': [negotiation: { peerId: string; candidate: { candidate: string } }];
  /**
   * A fault inside ended the engine: nobody is served any more (code `fault`). Without a listener the process ends, as
   * with every `EventEmitter`.
   */
  error: [error: Error & { code: 'fault' }];
  /** A frame was passed on. */
  'media-video-frame': [frame: VideoFrame];
  /** A chunk was passed on. */
  'media-audio-chunk': [chunk: AudioChunk];
}

export interface Peer {
  id: string;
  /** The session that is watched. */
  session: string;
  /** What the visitor gets; `null` for one who only listens. */
  videoCodec: string | null;
}

export type LeaveReason =
  | 'closed'
  | 'connect-timeout'
  | 'vanished'
  | 'failed'
  | 'rsa-certificate'
  | 'stopped';

/**
 * An `EventEmitter` with typed events. Listeners are called on Node's own thread; what they throw reaches
 * `uncaughtException`.
 */
export interface TypedEmitter<Events extends Record<keyof Events, unknown[]>> extends EventEmitter {
  on<E extends keyof Events & string>(event: E, listener: (...values: Events[E]) => void): this;
  once<E extends keyof Events & string>(event: E, listener: (...values: Events[E]) => void): this;
  off<E extends keyof Events & string>(event: E, listener: (...values: Events[E]) => void): this;
  addListener<E extends keyof Events & string>(event: E, listener: (...values: Events[E]) => void): this;
  removeListener<E extends keyof Events & string>(event: E, listener: (...values: Events[E]) => void): this;
}

export interface Bridge extends TypedEmitter<BridgeEvents> {
  /**
   * Pushes a picture; the newest wins. Never waits for the network or the encoder.
   *
   * @returns What became of it.
   * @throws `Error` with a code: `invalid-value`, `invalid-size`, `invalid-length`, `too-large`; of files `undecodable`,
   * `other-size`, and `busy` where 64 wait to be decoded.
   */
  pushVideoFrame(frame: VideoFrame): Promise<PushOutcome>;
  /**
   * Pushes sound; it is played at its own rate, however fast it comes.
   *
   * @returns What became of it.
   * @throws `Error` with a code: `invalid-value`, `invalid-sample-rate`, `invalid-channels`, `invalid-length`,
   * `undecodable`, `busy`; `encoded-session` where Opus packets and other sound are mixed.
   */
  pushAudioChunk(chunk: AudioChunk): Promise<PushOutcome>;
}

export interface Server extends TypedEmitter<ServerEvents> {
  /** Where the page is. */
  readonly url: string;
  /** The TCP port that is listened on. */
  readonly port: number;
  /** The UDP port for media. */
  readonly mediaPort: number;
}

export interface Status {
  /** Visitors connected now. */
  peerCount: number;
  metrics: Metrics;
}

/** Since the system was created. */
export interface Metrics {
  /** Frames pushed. */
  videoFrames: number;
  /** Chunks of sound pushed. */
  audioChunks: number;
  /** Frames that came later than 1.5 frame intervals after their timestamp; they were sent all the same. */
  droppedFrames: number;
  /** From a frame's timestamp to its last packet, in ms: an exponential mean of weight 0.1. */
  avgLatency: number;
  /** When the last frame was pushed, in Unix milliseconds; 0 before the first. */
  lastFrameTime: number;
  /** Frames pushed during the last second. */
  fps: number;
  /** Whether the bridge is started, and a frame came within the last two seconds. */
  isStreaming: boolean;
  /** Frames that a newer one took the place of before they were encoded. */
  replacedFrames: number;
  /** Milliseconds of sound that there was no room for. */
  droppedAudioMs: number;
  /** Timestamps that could not be meant, such as seconds for milliseconds. */
  correctedStamps: number;
  encodedFrames: number;
  keyframes: number;
  /** Chunks of microphones that were not read in time. */
  unreadMicChunks: number;
  /** Times that pictures stopped coming. */
  stalls: number;
  /** Whether visitors see what is pushed; otherwise they see the idle picture. */
  isLive: boolean;
}
