/**
 * What a client does: it waits for connect(), connects, is connected, looks for a lost connection, waits for a place,
 * has failed, or has ended.
 */
export type State = 'idle' | 'connecting' | 'connected' | 'reconnecting' | 'waiting' | 'failed' | 'closed';

export type VideoCodec = 'H264' | 'VP8' | 'VP9' | 'AV1';

/**
 * Why there is no connection.
 * - `unsupported`: the browser has no WebRTC, or it is switched off
 * - `bad-address`: `url` or `session` cannot be used, or nothing is there
 * - `unknown-session`, `ended`: there is no such session; there is none any more
 * - `full`: all places are taken
 * - `forbidden`: the server does not let this page in, or the token could not be had
 * - `unreachable`: no answer from the server
 * - `no-media`: the server answers, but no network path for picture and sound was found
 * - `no-common-codec`: the browser has none of the session's codecs
 * - `rsa-certificate`: the browser's certificate is RSA, and the server takes ECDSA only
 * - `lost`: there was a connection, and it is gone
 * - `refused`: the server does not take the offer
 * - `closed`: close() was called
 */
export type FailureCode =
  | 'unsupported' | 'bad-address' | 'unknown-session' | 'ended' | 'full' | 'forbidden' | 'unreachable' | 'no-media'
  | 'no-common-codec' | 'rsa-certificate' | 'lost' | 'refused' | 'closed';

/** What connect() rejects with; `message` is a sentence. */
export class VisavisError extends Error {
  constructor(code: FailureCode, message?: string);
  readonly code: FailureCode;
}

export interface VisavisOptions {
  /** WebSocket address; by default `/ws` on the page's own host. `http:` and `https:` are taken too. */
  url?: string | undefined;
  /** The session to watch; by default the server's own. */
  session?: string | undefined;
  /**
   * Sent as `token` in the address of each WebSocket, for a proxy or an application that wants to know who comes. A
   * function is called for each, so that tokens may be short-lived; where it fails the connection is `forbidden`.
   */
  token?: string | (() => string | Promise<string>) | undefined;
  /** Insist on this codec, if the browser has it. */
  videoCodec?: VideoCodec | undefined;
  /** Used instead of what the server announces. Entries that a browser would refuse are left out. */
  iceServers?: RTCIceServer[] | undefined;
  /** Attempts in a row before giving up; 6. */
  maxAttempts?: number | undefined;
  /** Where all places are taken, wait for one (state `waiting`) until close(); true. Otherwise it fails. */
  waitForPlace?: boolean | undefined;
  /** Milliseconds between two `figures` events; 1000. 0 for none. */
  figuresEveryMs?: number | undefined;
  /** Milliseconds between two `level` events while the microphone is on; 0, none. */
  levelEveryMs?: number | undefined;
  /** The microphone is sent only while talk(true); false. */
  pushToTalk?: boolean | undefined;
}

/** `asking`: the visitor is asked, and has not answered. `muted`: it is on, and the system or a switch silences it. */
export type MicrophoneState = 'off' | 'asking' | 'on' | 'muted';

/**
 * Why the microphone is off though it was asked for.
 * - `denied`: the visitor, or the page that embeds this one, does not allow it
 * - `missing`: there is none, or not the one that was asked for
 * - `in-use`: another program has it, or the system does not give it
 * - `insecure`: browsers give a microphone to pages on HTTPS alone
 * - `ended`: it was on, and was unplugged or taken away
 * - `failed`: anything else
 */
export type MicrophoneFault = 'denied' | 'missing' | 'in-use' | 'insecure' | 'ended' | 'failed';

export interface MicrophoneStatus {
  on: boolean;
  /** Whether the microphone is sent right now. */
  talking: boolean;
  pushToTalk: boolean;
  state: MicrophoneState;
  code: MicrophoneFault | null;
  /** Which one is on. */
  deviceId: string | null;
  label: string;
  error?: Error | undefined;
}

/** Off or on; on with this device; on with a track of one's own, which is never stopped here. */
export type MicrophoneWish = boolean | { deviceId: string } | { track: MediaStreamTrack };

export interface Device {
  deviceId: string;
  /** Empty until a microphone was allowed once. */
  label: string;
}

export interface Devices {
  microphones: Device[];
  outputs: Device[];
}

/** Live figures of the connection. Rates are over the time since they were last taken. */
export interface Figures {
  /** Capture to display, in milliseconds; null where the browser does not report it. */
  latencyMs: number | null;
  /** Frames decoded per second. */
  fps: number | null;
  /** Video and sound received, in kilobits per second. */
  bitrateKbps: number | null;
  /** Packets lost, in percent. */
  lossPercent: number | null;
  /** Round trip on the path in use, in milliseconds. */
  rttMs: number | null;
  /** How long frames waited to be decoded, in milliseconds. */
  jitterBufferMs: number | null;
  /** Times the picture stood still, since the start. */
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
  /** What makes it less than good. */
  reasons: ('loss' | 'round trip' | 'latency' | 'jitter' | 'freezes')[];
}

/** What each event carries as `detail`. */
export interface VisavisEventMap {
  /**
   * `attempt` of `attempts` where everything is made anew; 0 while the same connection is looked for. `code` and
   * `reason`, a sentence, say why it is `reconnecting`, `waiting` or `failed`.
   */
  state: CustomEvent<{
    state: State;
    code: FailureCode | null;
    reason: string;
    attempt: number;
    attempts: number;
  }>;
  /** Whether the session shows what is pushed, or its idle loop: when it is known, and when it changes. */
  live: CustomEvent<{ live: boolean }>;
  /** An utterance of the session. `sentMs`, once it is over: how much of it was sent. */
  utterance: CustomEvent<{ id: number; state: 'started' | 'ended' | 'interrupted'; sentMs: number | null }>;
  /** There is something to show. */
  stream: CustomEvent<{ stream: MediaStream }>;
  /** Once per connection made, from its start to a frame on screen. */
  firstpicture: CustomEvent<{ elapsedMs: number }>;
  /** Once a second while connected. */
  figures: CustomEvent<Figures>;
  /** When it changes. */
  quality: CustomEvent<Quality>;
  microphone: CustomEvent<MicrophoneStatus>;
  /** How loud the microphone is: `level` from 0, silence, to 1, and in dB below full scale. */
  level: CustomEvent<{ level: number; dbfs: number }>;
  /** Something was plugged in or out. */
  devices: CustomEvent<Devices>;
  /** Whether messages can be sent. */
  channel: CustomEvent<{ open: boolean }>;
  /** A message from the server. */
  message: CustomEvent<{ data: string | ArrayBuffer }>;
  /** `forced` when the browser refused sound without a click. */
  muted: CustomEvent<{ muted: boolean; forced: boolean }>;
  /** As the server sent it; `code` is the server's error code. */
  error: CustomEvent<{ code: string; message: string }>;
  log: CustomEvent<{ text: string }>;
}

/** One viewer's connection, which looks after itself. */
export class VisavisClient extends EventTarget {
  /** Whether this browser can watch at all. */
  static isSupported(): boolean;

  constructor(options?: VisavisOptions);

  readonly state: State;
  /** The RTCPeerConnection in use, or null. */
  readonly connection: RTCPeerConnection | null;
  /** The id the server gave this viewer, or null. */
  readonly peerId: string | null;
  /** Whether the session shows what is pushed; null while that is not known. */
  readonly live: boolean | null;
  readonly microphone: MicrophoneStatus;
  readonly microphoneOn: boolean;
  readonly pushToTalk: boolean;
  /** Whether the microphone is sent right now. */
  readonly talking: boolean;
  readonly muted: boolean;
  /** Of the sound, 0 to 1. */
  readonly volume: number;
  readonly quality: Quality;

  /** Shows what arrives on a `<video>` element, which should have `playsinline`. */
  attach(video: HTMLVideoElement): void;
  /** Has the browser make connection, offer and candidates before they are needed. Nothing is sent yet. */
  prepare(): void;
  /**
   * Connects. Resolves once connected, and rejects with a VisavisError where that fails for good or close() is
   * called before. Nobody has to wait for it: `state` events tell the same, and what comes after.
   */
  connect(): Promise<void>;
  /** Says goodbye and gives everything back, the microphone too; connect() may be called again. */
  close(): void;
  /** Sound on or off. */
  setMuted(muted: boolean): void;
  /** 0 to 1. Phones have keys for it, and iOS takes no other way. */
  setVolume(volume: number): void;
  /** Plays the sound on this device. Resolves to whether it does; never rejects. */
  setOutput(deviceId: string): Promise<boolean>;
  /** What there is to choose from. Names are known once a microphone was allowed. */
  getDevices(): Promise<Devices>;
  /** Turns the microphone on or off, or takes another. Resolves to whether it is on now; never rejects. */
  setMicrophone(wish: MicrophoneWish): Promise<boolean>;
  /** With push-to-talk the microphone, once on, is sent only while talk(true). */
  setPushToTalk(pushToTalk: boolean): void;
  /** Push-to-talk: true while the visitor holds the key. Resolves to whether the microphone is sent; never rejects. */
  talk(held: boolean): Promise<boolean>;
  /**
   * Sends the server a message, of 64 KiB at most; not empty. False where it was not taken: there is no
   * connection, or too much waits already.
   */
  send(data: string | ArrayBuffer | ArrayBufferView): boolean;
  /** Takes figures now; null without a connection. */
  getFigures(): Promise<Figures | null>;

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
