/** What a client does: it waits for connect(), connects, is connected, looks for a lost connection, or has ended. */
export type State = 'idle' | 'connecting' | 'connected' | 'reconnecting' | 'failed' | 'closed';

export type VideoCodec = 'H264' | 'VP8' | 'VP9' | 'AV1';

export interface VisavisOptions {
  /** WebSocket address; by default `/ws` on the page's own host. `http:` and `https:` are taken too. */
  url?: string;
  /** The session to watch; by default the server's own. */
  session?: string;
  /** Insist on this codec, if the browser has it. */
  videoCodec?: VideoCodec;
  /** Used instead of what the server announces. Entries that a browser would refuse are left out. */
  iceServers?: RTCIceServer[];
  /** Attempts in a row before giving up; 6. */
  maxAttempts?: number;
  /** Milliseconds between two `figures` events; 1000. 0 for none. */
  figuresEveryMs?: number;
  /** The microphone is heard only while talk(true); false. */
  pushToTalk?: boolean;
}

/** Live figures of the connection. Rates are over the time since they were last taken. */
export interface Figures {
  /** Capture to display, in milliseconds; null where the browser cannot tell. */
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
  /** `attempt` of `attempts` where everything is made anew; 0 while the same connection is looked for. */
  state: CustomEvent<{ state: State; reason: string; attempt: number; attempts: number }>;
  /** There is something to show. */
  stream: CustomEvent<{ stream: MediaStream }>;
  /** Once per connection made, from its start to a frame on screen. */
  firstpicture: CustomEvent<{ elapsedMs: number }>;
  /** Once a second while connected. */
  figures: CustomEvent<Figures>;
  /** When it changes. */
  quality: CustomEvent<Quality>;
  /** `talking` is whether the visitor is heard right now. */
  microphone: CustomEvent<{ on: boolean; talking: boolean; pushToTalk: boolean; error?: Error }>;
  /** Whether messages can be sent. */
  channel: CustomEvent<{ open: boolean }>;
  /** A message from the server. */
  message: CustomEvent<{ data: string | ArrayBuffer }>;
  /** `forced` when the browser refused sound without a click. */
  muted: CustomEvent<{ muted: boolean; forced: boolean }>;
  /** As the server said it; `code` is a stable word. */
  error: CustomEvent<{ code: string; message: string }>;
  log: CustomEvent<{ text: string }>;
}

/** One viewer's connection, which looks after itself. */
export class VisavisClient extends EventTarget {
  constructor(options?: VisavisOptions);

  readonly state: State;
  /** The RTCPeerConnection in use, or null. */
  readonly connection: RTCPeerConnection | null;
  /** The id the server gave this viewer, or null. */
  readonly peerId: string | null;
  readonly microphoneOn: boolean;
  readonly pushToTalk: boolean;
  /** Whether what is said is sent right now. */
  readonly talking: boolean;
  readonly muted: boolean;
  readonly quality: Quality;

  /** Shows what arrives on a `<video>` element, which should have `playsinline`. */
  attach(video: HTMLVideoElement): void;
  /** Has the browser make connection, offer and candidates before they are needed. Nothing is sent yet. */
  prepare(): void;
  /** Connects. Returns at once; the rest is told by `state` events. */
  connect(): void;
  /** Says goodbye and gives everything back, the microphone too; connect() may be called again. */
  close(): void;
  /** Sound on or off. */
  setMuted(muted: boolean): void;
  /** Turns the microphone on or off. Resolves to whether it is on now; never rejects. */
  setMicrophone(on: boolean): Promise<boolean>;
  /** With push-to-talk the microphone, once on, is heard only while talk(true). */
  setPushToTalk(pushToTalk: boolean): void;
  /** Push-to-talk: true while the visitor holds the key. Resolves to whether the visitor is heard; never rejects. */
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
