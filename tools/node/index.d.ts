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
  /**
   * The TCP port of the page, the HTTP API and the WebSocket; 0 for any ({@link Server.port}). `null` for no server,
   * where offers come another way ({@link Server.answer}).
   */
  signalingPort: number | null;
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
  /** kbit/s of video, from 50 on. Default: 1500. */
  videoBitrate?: number;
  /** The least of it: visitors whose networks take less than `videoBitrate` get a smaller picture, down to this. Default: 100. */
  minVideoBitrate?: number;
  /**
   * The smaller pictures of these visitors, three at most, such as `['50%:300', '25%:120:15']`: so much of each side, at so
   * many kbit/s, with so many frames per second at most. Default: as `minVideoBitrate` has it.
   */
  rungs?: string[];
  /** The rate of {@link IncomingAudio}: 8000, 12000, 16000, 24000 or 48000 Hz. Default: 16000. */
  microphoneRate?: number;
  /** The IP address that is listened on, for signaling and media. Default: `0.0.0.0`. */
  host?: string;
  /** The UDP port for all media; 0 for any. Default: 0. */
  mediaPort?: number;
  /** Visitors may come by TCP too, at the number of `mediaPort`, where their networks let no UDP through. Default: true. */
  iceTcp?: boolean;
  /**
   * The number at which visitors reach `signalingPort`, where their media may come there too, by TCP: with 443 networks let
   * them through that know nothing but web pages. Default: none.
   */
  iceTcpPort?: number;
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
  /** The codec of pictures that come encoded ({@link Session.pushEncodedVideo}). Default: they come raw. */
  encoded?: 'VP8' | 'VP9' | 'H264';
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
  /** When its first sample is to be heard, in Unix milliseconds. Default: now. */
  timestamp?: number;
  /** Default: `PCM`. */
  format?: 'PCM' | 'OPUS' | 'MP3';
}

/** What a visitor's microphone sent: 20 ms, mono, 16 kHz unless `microphoneRate` says otherwise. */
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
  'accepted' | 'dropped-oldest' | 'dropped' | 'full' | 'not-started' | 'stopped';

export interface StreamingSystem {
  /** Where pictures and sound go in, and what visitors say comes out. */
  readonly bridge: Bridge;
  /** What visitors do. */
  readonly server: Server;
  /**
   * Makes another face, for visitors who ask for it by its name: `?session=NAME`. It is to be started.
   *
   * @throws `Error` with the code `session-exists`, `stopped`, `invalid-value`.
   */
  createSession(options: SessionOptions): Promise<Session>;
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

/** Settings of a session beside the first. */
export interface SessionOptions {
  /** Its name: 1 to 64 letters, digits, `-` and `_`. */
  id: string;
  /** Default: `VP8`. */
  videoCodec?: 'VP8' | 'VP9' | 'H264';
  /** Default: `opus`. */
  audioCodec?: 'opus' | 'pcmu' | 'pcma';
  /** Frames a second that the encoder expects, 1 to 120. Default: 30. */
  videoFps?: number;
  /** kbit/s, from 50 on. Default: 1500. */
  videoBitrate?: number;
  /** The least of it, for visitors whose networks take less. Default: 100. */
  minVideoBitrate?: number;
  /**
   * The smaller pictures of these visitors, three at most, such as `['50%:300', '25%:120:15']`: so much of each side, at so
   * many kbit/s, with so many frames per second at most. Default: as `minVideoBitrate` has it.
   */
  rungs?: string[];
  /** The rate of {@link IncomingAudio}: 8000, 12000, 16000, 24000 or 48000 Hz. Default: 16000. */
  microphoneRate?: number;
  /** Visitors at once; 1 makes it private. Default: as many as the server takes. */
  maxPeers?: number;
  /** The codec of pictures that come encoded ({@link Session.pushEncodedVideo}). Default: they come raw. */
  encoded?: 'VP8' | 'VP9' | 'H264';
  /**
   * Your encoder makes what the visitor's network takes, between `minVideoBitrate` and `videoBitrate`, when it is told
   * (`bitrate-wanted`). With `encoded`, and 1 for `maxPeers`. Default: false.
   */
  adaptiveEncoder?: boolean;
}

/** A picture that is encoded already: an access unit of H264 in Annex B, or a frame of VP8 or VP9. */
export interface EncodedFrame {
  data: Bytes;
  /** That of {@link SessionOptions.encoded}. */
  codec: 'VP8' | 'VP9' | 'H264';
  /** When it was captured, in Unix milliseconds. Default: now. */
  timestamp?: number;
  /** Whether it is one. Default: what the bitstream says. */
  keyframe?: boolean;
}

/** What a visitor gets of the pictures. */
export interface ChangedPicture {
  peerId: string;
  /** The size, counted from the smallest, which is 0. */
  rung: number;
  /** How many of the pictures, counted from the fewest, which is 0; 3 for all. */
  layer: number;
  /** kbit/s that they should take at most; `null` where there is one size that is always the same. */
  bitrate: number | null;
  /** Whether that is less than the best, because the visitor's network takes no more. */
  limited: boolean;
}

export interface SessionEvents {
  /** What a visitor's microphone sent. Nothing is decoded before somebody listens. */
  'incoming-audio': [chunk: IncomingAudio];
  /** A frame was taken. */
  'video-frame': [frame: VideoFrame];
  /** A chunk was taken. */
  'audio-chunk': [chunk: AudioChunk];
  started: [];
  stopped: [];
  /** A visitor has sent a message over a data channel. What comes before somebody listens is dropped. */
  message: [incoming: { peerId: string; label: string; message: string | Buffer }];
  /** A visitor has opened a data channel: messages can be sent. */
  'data-channel-opened': [channel: { peerId: string; label: string }];
  'data-channel-closed': [channel: { peerId: string; label: string }];
  /** A visitor begins to speak; told some 50 ms later, when it is certain. */
  'speech-started': [speech: { peerId: string; timestamp: number }];
  /** There was half a second without speech. */
  'speech-ended': [speech: { peerId: string; timestamp: number }];
  /** Of a session whose pictures come encoded: visitors wait for a keyframe. */
  'keyframe-requested': [request: { codec: string }];
  /** Of a session with `adaptiveEncoder`: its pictures should take so many kbit/s from the next one on. */
  'bitrate-wanted': [wanted: { codec: string; bitrate: number }];
  /** How loud a visitor is, in dB from 0 (full scale) to -127, five times a second. */
  'microphone-level': [loudness: { peerId: string; level: number }];
  /**
   * A visitor gets a smaller picture than before or a larger one, or fewer or more a second. Not for what he begins with,
   * nor where the encoder follows its only visitor from picture to picture.
   */
  'picture-changed': [picture: ChangedPicture];
  /** Pictures come where none came: visitors see them instead of the idle picture. */
  'live-started': [];
  /** No picture came for half a second; `stalled` where neither an end nor an interruption explains it. */
  'live-ended': [live: { stalled: boolean }];
  /** An utterance begins to be played. */
  'utterance-started': [utterance: { utterance: string }];
  /** An utterance was played to its end; `sent` in ms. */
  'utterance-ended': [utterance: { utterance: string; sent: number }];
  /** An utterance, or without one what was pushed live, was cut off; `sent` in ms. */
  interrupted: [what: { utterance?: string; sent: number }];
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
  'closed' | 'connect-timeout' | 'vanished' | 'failed' | 'rsa-certificate' | 'stopped';

/**
 * An `EventEmitter` with typed events. Listeners are called on Node's own thread; what they throw reaches
 * `uncaughtException`.
 */
export interface TypedEmitter<Events extends Record<keyof Events, unknown[]>> extends EventEmitter {
  on<E extends keyof Events & string>(event: E, listener: (...values: Events[E]) => void): this;
  once<E extends keyof Events & string>(event: E, listener: (...values: Events[E]) => void): this;
  off<E extends keyof Events & string>(event: E, listener: (...values: Events[E]) => void): this;
  addListener<E extends keyof Events & string>(
    event: E,
    listener: (...values: Events[E]) => void,
  ): this;
  removeListener<E extends keyof Events & string>(
    event: E,
    listener: (...values: Events[E]) => void,
  ): this;
}

/** The first session, whose name is `default`: visitors see it who ask for no other. */
export type Bridge = Session;

/** One face: its pictures, its sound, its visitors. */
export interface Session extends TypedEmitter<SessionEvents> {
  /** Its name. */
  readonly id: string;
  /** As {@link StreamingSystem.start}, which starts the first one. */
  start(): Promise<void>;
  /** Disconnects its visitors and ends it. A second call waits for the first. */
  stop(): Promise<void>;
  /** Counters and averages. */
  getStatus(): Status;
  /**
   * Pushes a picture; the newest wins. Never waits for the network or the encoder.
   *
   * @returns What became of it.
   * @throws `Error` with a code: `invalid-value`, `invalid-size`, `invalid-length`, `too-large`; of files `undecodable`,
   * `other-size`, and `busy` where 64 wait to be decoded.
   */
  pushVideoFrame(frame: VideoFrame): Promise<PushOutcome>;
  /**
   * Sends a picture that is encoded already, in a session that was made for it (`encoded`). Nothing is encoded here: visitors
   * get it as it is.
   *
   * @returns `dropped` where the engine does not keep up: nothing is taken before the next keyframe.
   * @throws `Error` with a code: `invalid-value`, `invalid-length`, `undecodable`, `other-codec`, `raw-session`.
   */
  pushEncodedVideo(unit: EncodedFrame): Promise<PushOutcome>;
  /**
   * Pushes sound; it is played at its own rate, however fast it comes.
   *
   * @returns What became of it.
   * @throws `Error` with a code: `invalid-value`, `invalid-sample-rate`, `invalid-channels`, `invalid-length`,
   * `undecodable`, `busy`; `encoded-session` where Opus packets and other sound are mixed.
   */
  pushAudioChunk(chunk: AudioChunk): Promise<PushOutcome>;
  /**
   * Begins something that is said: sound and pictures that are made ahead of their time, stamped inside it.
   *
   * @param options - `zero`: the stamp of its beginning, in ms. Default: 0.
   * @throws `Error` with the code `encoded-session` where Opus packets were pushed, `busy`.
   */
  beginUtterance(options?: { zero?: number }): Utterance;
  /**
   * Drops at once all that waits to be played, utterances and what was pushed live.
   *
   * @returns How many ms of what is playing were sent, exact to a packet.
   */
  interrupt(): number;
  /**
   * What visitors see while no pictures come: the bytes of a JPEG or PNG file, or the name of a file: an image, an MP4 with
   * H264 video, Y4M, or with ffmpeg installed any film. With `null` the last picture stays.
   *
   * @throws `Error` with the code `undecodable`, `invalid-value`; of names also `ENOENT`, `EACCES`, and `not-built` for a
   * kind of file that is not read here.
   */
  setIdle(file: Bytes | string | null): Promise<void>;
  /**
   * Sends a visitor a text, or bytes, 64 KiB at most, over the first data channel that it has opened, or that of a
   * label.
   *
   * @returns `full` where the visitor does not keep up: it was not taken.
   * @throws `Error` with the code `no-peer`, `no-channel`, `invalid-length`.
   */
  send(peerId: string, message: string | Bytes, options?: { label?: string }): 'accepted' | 'full';
  /**
   * Sends every visitor a message who has a channel for it.
   *
   * @returns To how many it is on its way, and who does not keep up and does not get it.
   * @throws `Error` with the code `invalid-length`.
   */
  broadcast(
    message: string | Bytes,
    options?: { label?: string },
  ): { accepted: number; full: string[] };
}

/** Something that is said, pushed as fast as it is made and played at its own pace. */
export interface Utterance {
  /** As in events. */
  readonly id: string;
  /**
   * Adds a picture; `timestamp` is in ms inside the utterance. Waits for room where a lot waits already.
   *
   * @throws As {@link Session.pushVideoFrame}, and `ended` after {@link end}.
   */
  pushVideoFrame(frame: VideoFrame & { timestamp: number }): Promise<PushOutcome>;
  /**
   * Adds PCM, or MP3, which is decoded here. Without a `timestamp` PCM follows the PCM before it. Waits for room where a
   * minute waits already.
   *
   * @throws As {@link Session.pushAudioChunk}, and `ended` after {@link end}.
   */
  pushAudioChunk(chunk: AudioChunk): Promise<PushOutcome>;
  /** Nothing more will be added. */
  end(): Promise<void>;
  /** Cuts it off, and what waits of it. Returns how many ms of it were sent. */
  interrupt(): number;
  /** How far it is. */
  progress(): { sent: number; over: boolean; interrupted: boolean };
  /** It begins to be played, or never will be. */
  started(): Promise<void>;
  /** Nothing more of it will be played; `sent` in ms. Told once, however it ends. */
  finished(): Promise<{ sent: number; interrupted: boolean }>;
}

export interface Server extends TypedEmitter<ServerEvents> {
  /** Where the page is; `null` without a signaling server. */
  readonly url: string | null;
  /** The TCP port that is listened on; `null` without a signaling server. */
  readonly port: number | null;
  /** The UDP port for media. */
  readonly mediaPort: number;
  /** Events that were dropped because the event loop was held up for long: a thousand and more may wait. */
  readonly droppedEvents: number;
  /**
   * Own signaling: answers an offer, of a new visitor or, with its id, of one that is here.
   *
   * @param options - `session`: whom to watch, `default` unless another is named.
   * @throws `Error` with a code: `bad-sdp`, `no-common-codec`, `no-session`, `full`, `session-full`, `no-peer`,
   * `other-connection`, `rate-limited`, `busy`, `stopped`.
   */
  answer(
    offer: string | { type?: string; sdp?: string },
    options?: { session?: string; peerId?: string },
  ): Promise<{ peerId: string; answer: { type: 'answer'; sdp: string } }>;
  /**
   * Own signaling: a candidate of a visitor, as it came.
   *
   * @throws `Error` with the code `bad-candidate`, `busy`, `stopped`.
   */
  addCandidate(peerId: string, candidate: string | { candidate?: string }): void;
  /** Disconnects a visitor; one who is not here is ignored. */
  disconnect(peerId: string): void;
}

export interface Status {
  /** Visitors connected now. */
  peerCount: number;
  metrics: Metrics;
  /** What visitors get, by codec and from the smallest size up; what nobody gets is absent. */
  rungs: Rung[];
  /** `null` while no visitor reports when packets arrive. */
  networks: Networks | null;
}

/** One of the sizes that pictures are encoded in, and how many visitors get it. */
export interface Rung {
  codec: string;
  /** Which size, counted from the smallest, which is 0. */
  rung: number;
  /** kbit/s at most; `null` where there is one size that is always the same. */
  bitrate: number | null;
  viewers: number;
}

/** The networks of those visitors that report when packets arrive. */
export interface Networks {
  viewers: number;
  /** How many get less than the best picture, because their networks take no more. */
  limited: number;
  /** How many come by TCP, as their networks let no UDP through. */
  byTcp: number;
  median: Network;
  worst: Network;
}

export interface Network {
  /** kbit/s that can be sent, by the estimate. */
  availableBitrate: number;
  /** Milliseconds from a packet sent to the report of it, up to 50 of which the browser waits. */
  roundTrip: number;
  /** Milliseconds that packets wait in queues of the network. */
  queueDelay: number;
  /** The part of packets that is lost, from 0 to 1. */
  fractionLost: number;
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
