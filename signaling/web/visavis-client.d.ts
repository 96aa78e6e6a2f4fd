/**
 * State of the client.
 * - `idle`: connect() was not called yet
 * - `connecting`: the first attempt is under way
 * - `connected`: media is connected
 * - `reconnecting`: recovering a lost connection, or making a new attempt
 * - `waiting`: all places are taken; waiting for a free one
 * - `failed`: given up; connect() starts again
 * - `closed`: close() was called
 */
export type State = 'idle' | 'connecting' | 'connected' | 'reconnecting' | 'waiting' | 'failed' | 'closed';

export type VideoCodec = 'H264' | 'VP8' | 'VP9' | 'AV1';

/**
 * Why there is no connection.
 * - `unsupported`: the browser does not support WebRTC, or it is turned off
 * - `bad-address`: `url` or `session` is invalid, or there is nothing at that address
 * - `unknown-session`, `ended`: there is no such session; the session has ended
 * - `full`: all places are taken
 * - `forbidden`: the server denied access, or the token could not be obtained
 * - `unreachable`: no answer from the server
 * - `no-media`: the server answers, but no network path for media was found
 * - `no-common-codec`: the browser supports none of the session's codecs
 * - `rsa-certificate`: the browser's DTLS certificate is RSA, and the server accepts ECDSA only
 * - `lost`: the connection was lost
 * - `refused`: the server refused the offer
 * - `closed`: close() was called
 */
export type FailureCode =
  | 'unsupported' | 'bad-address' | 'unknown-session' | 'ended' | 'full' | 'forbidden' | 'unreachable' | 'no-media'
  | 'no-common-codec' | 'rsa-certificate' | 'lost' | 'refused' | 'closed';

/** The error with which connect() rejects. `message` is a sentence for people. */
export class VisavisError extends Error {
  constructor(code: FailureCode, message?: string);
  readonly code: FailureCode;
}

export interface VisavisOptions {
  /** URL of the WebSocket; default: `/ws` on the page's host. `http:` and `https:` are accepted too. */
  url?: string | undefined;
  /** Id of the session to watch; default: the server's default session. */
  session?: string | undefined;
  /**
   * Sent as the query parameter `token` of each WebSocket, for a proxy or application that authenticates visitors. A
   * function is called for each WebSocket, so that tokens may be short-lived; if it throws, the client fails with
   * `forbidden`. Default: none.
   */
  token?: string | (() => string | Promise<string>) | undefined;
  /** Offer this codec only, if the browser has it. Default: all codecs of the browser. */
  videoCodec?: VideoCodec | undefined;
  /** Used instead of the servers that the server sends. Invalid entries are ignored, with an entry in the log. */
  iceServers?: RTCIceServer[] | undefined;
  /** How many attempts in a row may fail before the state is `failed`. Default: 6. */
  maxAttempts?: number | undefined;
  /** Wait for a place while all are taken (state `waiting`), until close(). If false, fail with `full`. Default: true. */
  waitForPlace?: boolean | undefined;
  /** Milliseconds between two `stats` events; 0 for none. Default: 1000. */
  statsIntervalMs?: number | undefined;
  /** Milliseconds between two `level` events while the microphone is on; 0 for none. Default: 0. */
  levelIntervalMs?: number | undefined;
  /** Send the microphone only between talk(true) and talk(false). Default: false. */
  pushToTalk?: boolean | undefined;
}

/** `asking`: waiting for the visitor's permission. `muted`: on, but muted by the system or a switch on the device. */
export type MicrophoneState = 'off' | 'asking' | 'on' | 'muted';

/**
 * Why the microphone is off although it was requested.
 * - `denied`: the visitor, or the page that embeds this one, denied permission
 * - `missing`: there is no microphone, or not the requested one
 * - `in-use`: another program is using it, or the system does not release it
 * - `insecure`: browsers allow microphones on HTTPS pages only
 * - `ended`: it was unplugged while on, or the permission was revoked
 * - `failed`: anything else
 */
export type MicrophoneErrorCode = 'denied' | 'missing' | 'in-use' | 'insecure' | 'ended' | 'failed';

export interface MicrophoneStatus {
  on: boolean;
  /** Whether the microphone is sent right now. */
  talking: boolean;
  pushToTalk: boolean;
  state: MicrophoneState;
  code: MicrophoneErrorCode | null;
  /** Of the microphone that is on. */
  deviceId: string | null;
  label: string;
  error?: Error | undefined;
}

/** Off or on; a device; or a track of your own, which the client never stops. */
export type MicrophoneSelection = boolean | { deviceId: string } | { track: MediaStreamTrack };

export interface Device {
  deviceId: string;
  /** Empty until the visitor has allowed a microphone. */
  label: string;
}

export interface Devices {
  microphones: Device[];
  outputs: Device[];
}

/** Statistics of the connection. Rates are over the time since the last ones. */
export interface Stats {
  /** Capture to display, in milliseconds; null where the browser does not report it. */
  latencyMs: number | null;
  /** Frames decoded per second. */
  fps: number | null;
  /** Video and audio received, in kilobits per second. */
  bitrateKbps: number | null;
  /** Packets lost, in percent. */
  lossPercent: number | null;
  /** Round-trip time of the selected candidate pair, in milliseconds. */
  rttMs: number | null;
  /** Mean time of a frame in the jitter buffer, in milliseconds. */
  jitterBufferMs: number | null;
  /** Mean time that a frame took to decode, in milliseconds. */
  decodeMs: number | null;
  /** Frames that were decoded too late to be shown, in percent of all. */
  droppedPercent: number | null;
  /** Number of video freezes since the connection was made. */
  freezes: number;
  /** Such as "H264". */
  codec: string | null;
  /** Such as "opus". */
  audioCodec: string | null;
  width: number;
  height: number;
}

export type QualityLevel = 'good' | 'fair' | 'poor';

export interface Quality {
  level: QualityLevel;
  /** Why it is not good; empty if it is. */
  reasons: ('loss' | 'round trip' | 'latency' | 'jitter' | 'freezes')[];
  /** Whose fault it is, as far as that can be told; `device` is the visitor's own, which is too slow. Null if it is good. */
  cause: 'network' | 'server' | 'device' | null;
}

/** The client's events, each with its `detail`. */
export interface VisavisEventMap {
  /**
   * `attempt` counts new connections, up to `attempts`; 0 while the same connection is being recovered. `code` and
   * `reason`, a sentence, say why the state is `reconnecting`, `waiting` or `failed`.
   */
  state: CustomEvent<{
    state: State;
    code: FailureCode | null;
    reason: string;
    attempt: number;
    attempts: number;
  }>;
  /** Whether the session is live or shows its idle loop; sent once known, and when it changes. */
  live: CustomEvent<{ live: boolean }>;
  /** An utterance of the session. `sentMs`: how much of it was sent, once it is over; null before. */
  utterance: CustomEvent<{ id: number; state: 'started' | 'ended' | 'interrupted'; sentMs: number | null }>;
  /** A track was received. */
  stream: CustomEvent<{ stream: MediaStream }>;
  /** Once per connection, from its start to the first frame on screen. */
  firstframe: CustomEvent<{ elapsedMs: number }>;
  /** While connected, every `statsIntervalMs`. */
  stats: CustomEvent<Stats>;
  /** When the quality changes. */
  quality: CustomEvent<Quality>;
  /** When anything in it changes. */
  microphone: CustomEvent<MicrophoneStatus>;
  /** Level of the microphone: `level` from 0 (-60 dBFS or less) to 1 (full scale), and in dBFS. */
  level: CustomEvent<{ level: number; dbfs: number }>;
  /** A device was plugged in or removed. */
  devices: CustomEvent<Devices>;
  /** Whether the data channel is open, so that send() works. */
  channel: CustomEvent<{ open: boolean }>;
  /** A message over the data channel. */
  message: CustomEvent<{ data: string | ArrayBuffer }>;
  /** `forced`: the browser refused to play sound without a user gesture. */
  muted: CustomEvent<{ muted: boolean; forced: boolean }>;
  /** An error message of the server, with its error code (docs/signaling.md). */
  error: CustomEvent<{ code: string; message: string }>;
  log: CustomEvent<{ text: string }>;
}

/** One viewer's connection, which reconnects by itself. */
export class VisavisClient extends EventTarget {
  /** Whether this browser supports WebRTC and WebSockets. */
  static isSupported(): boolean;

  constructor(options?: VisavisOptions);

  readonly state: State;
  /** The RTCPeerConnection in use, or null. */
  readonly connection: RTCPeerConnection | null;
  /** The id that the server has assigned to this viewer, or null. */
  readonly peerId: string | null;
  /** Whether the session is live (false: it shows its idle loop); null while unknown. */
  readonly live: boolean | null;
  readonly microphone: MicrophoneStatus;
  readonly microphoneOn: boolean;
  readonly pushToTalk: boolean;
  /** Whether the microphone is sent right now. */
  readonly talking: boolean;
  readonly muted: boolean;
  /** Of the video element, 0 to 1. */
  readonly volume: number;
  readonly quality: Quality;

  /** Shows the stream on a `<video>` element, which should have `playsinline`. */
  attach(video: HTMLVideoElement): void;
  /** Creates the connection, the offer and candidates ahead of connect(). Nothing is sent yet. */
  prepare(): void;
  /**
   * Connects. Resolves once connected; rejects with a VisavisError if the state becomes `failed`, or close() is called
   * before. You need not await it: `state` events report the same.
   */
  connect(): Promise<void>;
  /** Disconnects and releases everything, the microphone too. connect() may be called again. */
  close(): void;
  /** Mutes or unmutes the video element. */
  setMuted(muted: boolean): void;
  /** From 0 to 1. Has no effect on iOS, where only the volume keys set it. */
  setVolume(volume: number): void;
  /** Chooses the audio output. Resolves to whether that worked; never rejects. */
  setOutput(deviceId: string): Promise<boolean>;
  /** Lists microphones and audio outputs. Labels are empty until the visitor has allowed a microphone. */
  getDevices(): Promise<Devices>;
  /** Turns the microphone on or off, or changes it. Resolves to whether it is on; never rejects. */
  setMicrophone(selection: MicrophoneSelection): Promise<boolean>;
  /** With push-to-talk, the microphone is sent only between talk(true) and talk(false). */
  setPushToTalk(pushToTalk: boolean): void;
  /**
   * Push-to-talk: call with true when the visitor presses the key, which turns the microphone on, and with false when
   * they release it. Resolves to whether the microphone is being sent; never rejects.
   */
  talk(talking: boolean): Promise<boolean>;
  /**
   * Sends a message over the data channel; from 1 byte to 64 KiB. False if it was not sent: the channel is not open, or
   * more than 1 MiB is waiting to be sent.
   */
  send(data: string | ArrayBuffer | ArrayBufferView): boolean;
  /** Reads the statistics now; null without a connection. */
  getStats(): Promise<Stats | null>;

  addEventListener<K extends keyof VisavisEventMap>(
    type: K,
    listener: ((this: VisavisClient, event: VisavisEventMap[K]) => void) | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<K extends keyof VisavisEventMap>(
    type: K,
    listener: ((this: VisavisClient, event: VisavisEventMap[K]) => void) | null,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
}
