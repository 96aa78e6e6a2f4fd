/**
 * visavis: puts a live face on a web page. Frames and sound in, WebRTC out to one viewer or hundreds.
 *
 * An engine has sessions, one for each face; a signaling server, or the application's own signaling, brings viewers.
 *
 * Rules for all functions:
 * - They return a visavis_status: below 0 is an error, which visavis_last_error() puts into words.
 * - Handles are opaque. One that is NULL, was freed, or is of another kind is VISAVIS_INVALID_HANDLE.
 * - A struct is initialised by its own _init function with sizeof, once for each struct, and grows at its end only.
 * - What is passed in is read during the call, and is the caller's again when it returns, unless the function says
 *   otherwise. Texts end with a NUL and are UTF-8. Texts that are returned in a `char **` are to be freed with
 *   visavis_string_free().
 * - All may be called from any thread, several at a time. None waits for the network or for an encoder, but those that
 *   stop something, and those that have a time to wait.
 * - No thread of the library calls the application unless it was given a callback.
 * - The library is not to be used in a child of fork(): each call there is VISAVIS_FORKED.
 */

#ifndef VISAVIS_H
#define VISAVIS_H

/* Made from the source by cbindgen: `make header BLESS=1`. */

#include <stddef.h>
#include <stdint.h>

/**
 * The version of the ABI that a program is compiled for: its major number in the upper 16 bits, its minor number in the
 * lower. Compare it with visavis_abi_version(): the major numbers must be equal, and the library's minor number must not
 * be less. A new minor version adds functions, fields and numbers; whatever there was before stays.
 */
#define VISAVIS_ABI_VERSION 65536

/**
 * A timestamp of media that was captured when it is pushed.
 */
#define VISAVIS_NOW -1

/**
 * What a call returns. 0: done. Above 0: nothing is wrong, but something else came of it. Below 0: an error, and
 * visavis_last_error() has the sentence. Numbers keep their meaning; new ones may be added.
 */
typedef enum visavis_status {
    /**
     * Done; of media: it is on its way.
     */
    VISAVIS_OK = 0,
    /**
     * The session is not started yet: media was counted, otherwise ignored.
     */
    VISAVIS_NOT_STARTED = 1,
    /**
     * The session was stopped: media was counted, otherwise ignored. Nothing will be taken any more.
     */
    VISAVIS_STOPPED = 2,
    /**
     * Dropped: the engine does not keep up, or what it belongs to was interrupted. Encoded pictures are dropped from
     * here to the next keyframe, which is asked for.
     */
    VISAVIS_DROPPED = 3,
    /**
     * It is on its way, and the oldest sound that waited was dropped for it.
     */
    VISAVIS_DROPPED_OLDEST = 4,
    /**
     * Not taken, because so much waits already: try again later.
     */
    VISAVIS_FULL = 5,
    /**
     * Nothing came in time.
     */
    VISAVIS_TIMEOUT = 6,
    /**
     * Nothing more will come.
     */
    VISAVIS_END = 7,
    /**
     * An argument is NULL, out of range, or no text in UTF-8.
     */
    VISAVIS_INVALID_ARGUMENT = -1,
    /**
     * A handle is NULL, was freed, or is of another kind.
     */
    VISAVIS_INVALID_HANDLE = -2,
    /**
     * A setting is out of range, unknown, or contradicts another.
     */
    VISAVIS_INVALID_CONFIG = -3,
    /**
     * A frame, chunk or message cannot be used. What was pushed before is unaffected.
     */
    VISAVIS_INVALID_MEDIA = -4,
    /**
     * The session takes media of another kind: raw and encoded cannot be mixed.
     */
    VISAVIS_WRONG_SESSION = -5,
    /**
     * This build or this machine cannot do it.
     */
    VISAVIS_UNSUPPORTED = -6,
    /**
     * The engine has stopped.
     */
    VISAVIS_ENGINE_STOPPED = -7,
    /**
     * The engine does not keep up with what was asked before: try again.
     */
    VISAVIS_BUSY = -8,
    /**
     * The operating system refused a socket, a thread, a file.
     */
    VISAVIS_SYSTEM = -9,
    /**
     * There is one of this name.
     */
    VISAVIS_EXISTS = -10,
    /**
     * There is none of this name.
     */
    VISAVIS_NOT_FOUND = -11,
    /**
     * All places for viewers are taken.
     */
    VISAVIS_NO_PLACE = -12,
    /**
     * An SDP offer, or an ICE candidate, cannot be used.
     */
    VISAVIS_OFFER_REFUSED = -13,
    /**
     * There are 65,536 handles: free some.
     */
    VISAVIS_TOO_MANY_HANDLES = -14,
    /**
     * The process was forked after it had used the library. The child cannot use it; start another program in it.
     */
    VISAVIS_FORKED = -15,
    /**
     * A bug in the library. What the call was for is in an unknown state, everything else goes on.
     */
    VISAVIS_PANIC = -16,
} visavis_status;

/**
 * What visavis_session_set_idle() shows.
 */
typedef enum visavis_idle {
    /**
     * Nothing: the last picture stays.
     */
    VISAVIS_IDLE_NONE = 0,
    /**
     * The built-in face at rest: what a session has at first.
     */
    VISAVIS_IDLE_BUILT_IN = 1,
} visavis_idle;

/**
 * How a picture's bytes are laid out.
 */
typedef enum visavis_pixel_format {
    /**
     * 4 bytes a pixel: red, green, blue, alpha (ignored). Rows follow one another without padding.
     */
    VISAVIS_RGBA = 0,
    /**
     * As VISAVIS_RGBA, with blue first and red third.
     */
    VISAVIS_BGRA = 1,
    /**
     * 3 bytes a pixel: red, green, blue. Rows follow one another without padding.
     */
    VISAVIS_RGB = 2,
    /**
     * Planar YUV 4:2:0, limited range, BT.709 from 720 rows on and BT.601 below: Y, then U, then V, without padding.
     */
    VISAVIS_I420 = 3,
    /**
     * As VISAVIS_I420 in two planes: Y, then U and V by turns.
     */
    VISAVIS_NV12 = 4,
    /**
     * A JPEG file; decoding it takes milliseconds of the calling thread.
     */
    VISAVIS_JPEG = 5,
    /**
     * A PNG file; decoding it takes milliseconds of the calling thread.
     */
    VISAVIS_PNG = 6,
} visavis_pixel_format;

/**
 * How a chunk's bytes are laid out.
 */
typedef enum visavis_audio_format {
    /**
     * Signed 16-bit little-endian samples, channels interleaved.
     */
    VISAVIS_S16 = 0,
    /**
     * 32-bit little-endian floats, full scale from -1 to 1, channels interleaved. What is louder is clipped.
     */
    VISAVIS_F32 = 1,
} visavis_audio_format;

/**
 * What a picture is encoded with.
 */
typedef enum visavis_video_codec {
    /**
     * H.264, an Annex B byte stream.
     */
    VISAVIS_H264 = 0,
    /**
     * VP8, one frame.
     */
    VISAVIS_VP8 = 1,
    /**
     * VP9, one frame or superframe.
     */
    VISAVIS_VP9 = 2,
    /**
     * AV1, one temporal unit of OBUs with sizes.
     */
    VISAVIS_AV1 = 3,
} visavis_video_codec;

/**
 * What happened.
 */
typedef enum visavis_event_kind {
    /**
     * A kind that this version of the interface has no number for.
     */
    VISAVIS_EVENT_OTHER = 0,
    /**
     * A viewer's connection is up. text: the video codec it gets, NULL for a listener without picture.
     */
    VISAVIS_EVENT_PEER_JOINED = 1,
    /**
     * A viewer is gone. text: why, one of closed, connect-timeout, vanished, failed, rsa-certificate, stopped.
     */
    VISAVIS_EVENT_PEER_LEFT = 2,
    /**
     * Pictures are pushed where none were.
     */
    VISAVIS_EVENT_LIVE_STARTED = 3,
    /**
     * Viewers see the idle picture again. stalled: 1 where neither an utterance's end nor an interruption explains it.
     */
    VISAVIS_EVENT_LIVE_ENDED = 4,
    /**
     * Viewers of a session whose pictures are pushed encoded wait for a keyframe. text: the codec.
     */
    VISAVIS_EVENT_KEYFRAME_REQUESTED = 5,
    /**
     * An utterance begins to play. utterance: which one.
     */
    VISAVIS_EVENT_UTTERANCE_STARTED = 6,
    /**
     * An utterance has been played to its end. utterance, sent_us.
     */
    VISAVIS_EVENT_UTTERANCE_ENDED = 7,
    /**
     * What was being said was cut off. utterance: which one, 0 for sound that was pushed live; sent_us.
     */
    VISAVIS_EVENT_INTERRUPTED = 8,
    /**
     * A viewer began to speak; only while microphones are read. peer, at_ms.
     */
    VISAVIS_EVENT_SPEECH_STARTED = 9,
    /**
     * A viewer has stopped speaking. peer, at_ms.
     */
    VISAVIS_EVENT_SPEECH_ENDED = 10,
    /**
     * How loud a viewer is, five times a second. peer, level_db.
     */
    VISAVIS_EVENT_MICROPHONE_LEVEL = 11,
    /**
     * A viewer has opened a data channel. peer; text: its label.
     */
    VISAVIS_EVENT_DATA_CHANNEL_OPENED = 12,
    /**
     * A data channel is closed, while its viewer stays. peer; text: its label.
     */
    VISAVIS_EVENT_DATA_CHANNEL_CLOSED = 13,
    /**
     * A fault of the library, or of what it was given, was caught, and has cost no more than its domain. text: whose it
     * was, and what happened; domain. Told once for each domain and owner. Of no session: only readers of all get it.
     */
    VISAVIS_EVENT_FAULT = 14,
    /**
     * The engine has ended by a fault, and serves nobody any more: the process should end, and be started anew. text: what
     * happened; domain. Also for readers that are opened after it; of no session.
     */
    VISAVIS_EVENT_ENGINE_FAILED = 15,
    /**
     * A viewer gets a smaller picture than before or a larger one, or fewer or more pictures a second. peer, rung, layer,
     * video_kbps, limited.
     */
    VISAVIS_EVENT_PICTURE_CHANGED = 16,
    /**
     * Pictures that are pushed encoded should take so much from the next one on; only with adaptive_encoder in the session's
     * settings. video_kbps; text: the codec.
     */
    VISAVIS_EVENT_BITRATE_WANTED = 17,
} visavis_event_kind;

/**
 * How much is logged: a level, and those before it.
 */
typedef enum visavis_log_level {
    /**
     * Nothing.
     */
    VISAVIS_LOG_OFF = 0,
    /**
     * What is broken.
     */
    VISAVIS_LOG_ERROR = 1,
    /**
     * What is not as it should be.
     */
    VISAVIS_LOG_WARN = 2,
    /**
     * What happens now and then.
     */
    VISAVIS_LOG_INFO = 3,
    /**
     * What helps to find a fault.
     */
    VISAVIS_LOG_DEBUG = 4,
    /**
     * Everything, packets too.
     */
    VISAVIS_LOG_TRACE = 5,
} visavis_log_level;

/**
 * The data channels of a session's viewers. Freed with visavis_data_free().
 */
typedef struct visavis_data visavis_data;

/**
 * A running engine: its threads and its media sockets. Freed with visavis_engine_free().
 */
typedef struct visavis_engine visavis_engine;

/**
 * A reader of events. Freed with visavis_events_free().
 */
typedef struct visavis_events visavis_events;

/**
 * Memory of the engine that a picture is written into: lent by visavis_frame_acquire(), given back by
 * visavis_frame_push() or visavis_frame_discard().
 */
typedef struct visavis_frame visavis_frame;

/**
 * A reader of a session's microphones. Freed with visavis_microphone_free().
 */
typedef struct visavis_microphone visavis_microphone;

/**
 * A running signaling server: the player page, WebSocket, HTTP API and WHEP on one TCP port. Freed with
 * visavis_server_free().
 */
typedef struct visavis_server visavis_server;

/**
 * One face: its sources, its idle picture, its viewers. Freed with visavis_session_free().
 */
typedef struct visavis_session visavis_session;

/**
 * A reader of uploaded speech. Freed with visavis_speech_free().
 */
typedef struct visavis_speech visavis_speech;

/**
 * Something that is said, pushed as fast as it is made and played at its own pace. Freed with visavis_utterance_free().
 */
typedef struct visavis_utterance visavis_utterance;

/**
 * A piece of sound, read during the call.
 */
typedef struct visavis_audio_chunk {
    /**
     * Set by visavis_audio_chunk_init().
     */
    size_t struct_size;
    /**
     * The samples. They need not be aligned.
     */
    const void *data;
    /**
     * Bytes in data, not samples: 100 ms of 16 kHz mono VISAVIS_S16 is 3,200 bytes.
     */
    size_t len;
    /**
     * In Hz: 8,000, 11,025, 12,000, 16,000, 22,050, 24,000, 32,000, 44,100 or 48,000.
     */
    uint32_t sample_rate;
    /**
     * 1 or 2. Default: 1.
     */
    uint32_t channels;
    /**
     * One of visavis_audio_format. Default: VISAVIS_S16.
     */
    uint32_t format;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * When the first sample was captured, in Unix milliseconds, on the clock of the pictures that belong to it; in an
     * utterance, milliseconds on its own clock. Default: VISAVIS_NOW.
     */
    int64_t timestamp_ms;
} visavis_audio_chunk;

/**
 * One picture, read during the call.
 */
typedef struct visavis_video_frame {
    /**
     * Set by visavis_video_frame_init().
     */
    size_t struct_size;
    /**
     * The pixels, or a whole JPEG or PNG file.
     */
    const void *data;
    /**
     * Bytes in data: width * height * 4 for RGBA and BGRA, * 3 for RGB, * 3 / 2 for I420 and NV12.
     */
    size_t len;
    /**
     * Pixels in a row: even, 16 to 4096.
     */
    uint32_t width;
    /**
     * Rows: even, 16 to 4096.
     */
    uint32_t height;
    /**
     * One of visavis_pixel_format. Default: VISAVIS_RGBA.
     */
    uint32_t format;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * When the picture was captured or rendered, in Unix milliseconds; in an utterance, milliseconds on its own clock.
     * Default: VISAVIS_NOW.
     */
    int64_t timestamp_ms;
} visavis_video_frame;

/**
 * Called once with the pointer that was given with a callback, when the callback will not be called again; NULL where
 * nothing is to be done. It runs on the callback's thread.
 */
typedef void (*visavis_destroy)(void *user);

/**
 * A message from a viewer.
 */
typedef struct visavis_message {
    /**
     * Set by visavis_message_init().
     */
    size_t struct_size;
    /**
     * Whose it is.
     */
    uint64_t peer;
    /**
     * What the viewer calls the channel. Good until the next message is read from the same reader, or it is freed.
     */
    const char *label;
    /**
     * The message; a NUL follows it, which is not part of it. Good as long as label.
     */
    const void *data;
    /**
     * Its length in bytes.
     */
    size_t len;
    /**
     * 1: a text, in UTF-8; 0: bytes.
     */
    uint32_t is_text;
    /**
     * 0.
     */
    uint32_t reserved;
} visavis_message;

/**
 * Called with each message; it is good during the call.
 */
typedef void (*visavis_message_callback)(void *user, const struct visavis_message *message);

/**
 * One encoded picture, read during the call.
 */
typedef struct visavis_encoded_frame {
    /**
     * Set by visavis_encoded_frame_init().
     */
    size_t struct_size;
    /**
     * One access unit.
     */
    const void *data;
    /**
     * Bytes in data, 4 MiB at most.
     */
    size_t len;
    /**
     * One of visavis_video_codec: that of encoded in the session's settings. Default: VISAVIS_H264.
     */
    uint32_t codec;
    /**
     * 1: a decoder can start here; 0: it cannot; -1: that is found out from data. Default: -1.
     */
    int32_t keyframe;
    /**
     * When the picture was captured or rendered, in Unix milliseconds. Default: VISAVIS_NOW.
     */
    int64_t timestamp_ms;
} visavis_encoded_frame;

/**
 * A picture in memory of a CUDA device.
 */
typedef struct visavis_cuda_frame {
    /**
     * Set by visavis_cuda_frame_init().
     */
    size_t struct_size;
    /**
     * The address of the first plane on the device (a CUdeviceptr).
     */
    uint64_t device_pointer;
    /**
     * The stream that writes the picture (a CUstream); NULL: it is written.
     */
    void *stream;
    /**
     * The device, counted from 0.
     */
    int32_t device;
    /**
     * Bytes from one row to the next.
     */
    uint32_t pitch;
    /**
     * Pixels in a row.
     */
    uint32_t width;
    /**
     * Rows.
     */
    uint32_t height;
    /**
     * One of visavis_pixel_format.
     */
    uint32_t format;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * As in visavis_video_frame.
     */
    int64_t timestamp_ms;
} visavis_cuda_frame;

/**
 * Settings of an engine. Texts are copied; one that is NULL stands for its default.
 */
typedef struct visavis_engine_config {
    /**
     * Set by visavis_engine_config_init().
     */
    size_t struct_size;
    /**
     * Where the UDP socket for all media listens, IP:PORT; port 0: any free port. Default: "0.0.0.0:0".
     */
    const char *udp;
    /**
     * Addresses announced to viewers as ICE host candidates, IP or IP:PORT, with commas between them: for a host behind
     * 1:1 NAT, or with mapped ports. Default: all addresses of this machine.
     */
    const char *announce;
    /**
     * Media loops, each a thread with a UDP port of its own, that share the viewers: 1 to 64. Default: 1.
     */
    uint32_t loops;
    /**
     * Viewers at once, over all sessions, from 1 on. Default: 100.
     */
    uint32_t max_clients;
    /**
     * From a viewer's offer to a finished DTLS handshake, in milliseconds. Default: 15,000.
     */
    uint32_t connect_timeout_ms;
    /**
     * Events kept for a reader that does not read, 1 to 65,536. Default: 1,024.
     */
    uint32_t event_capacity;
    /**
     * Processor core for the media loop, counted from 0; -1: any. Default: -1.
     */
    int32_t media_core;
    /**
     * 1: the threads that keep time run with real-time priority (needs CAP_SYS_NICE). Default: 0.
     */
    uint32_t realtime;
    /**
     * 1: viewers may come by TCP too, at the same addresses and ports. Default: 1.
     */
    uint32_t ice_tcp;
    /**
     * The number at which viewers reach the port of visavis_server_start() for TCP, where their media may come there too;
     * 0: it may not. Default: 0.
     */
    uint32_t ice_tcp_port;
} visavis_engine_config;

/**
 * An event. Fields that its kind does not name are 0 or NULL.
 */
typedef struct visavis_event {
    /**
     * Set by visavis_event_init().
     */
    size_t struct_size;
    /**
     * One of visavis_event_kind. Leave out those that you do not know: there may be more.
     */
    uint32_t kind;
    /**
     * Of VISAVIS_EVENT_LIVE_ENDED.
     */
    uint32_t stalled;
    /**
     * The name of the session; NULL for what is of none. Good until the next event is read from the same reader, or it is
     * freed.
     */
    const char *session;
    /**
     * Depends on the kind. Good as long as session.
     */
    const char *text;
    /**
     * The viewer.
     */
    uint64_t peer;
    /**
     * The utterance; see visavis_utterance_id().
     */
    uint64_t utterance;
    /**
     * How much of it was sent, in microseconds.
     */
    uint64_t sent_us;
    /**
     * When the speech was captured, in Unix milliseconds.
     */
    int64_t at_ms;
    /**
     * In dB: 0 is full scale, -127 silence.
     */
    int32_t level_db;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * What a fault was confined to, one word: peer, offer, datagram, command, session, encoder, idle, audio, callback,
     * rtp-input, connection, upload, addresses, media-loop, audio-loop, idle-loop, signaling-loop, log; there may be
     * more. Good as long as session.
     */
    const char *domain;
    /**
     * The size that the viewer gets, counted from the smallest, which is 0.
     */
    uint32_t rung;
    /**
     * How many of the pictures it gets, counted from the fewest, which is 0; 3 for all.
     */
    uint32_t layer;
    /**
     * What they should take at most, in kbit/s; 0 where there is one size that is always the same.
     */
    uint32_t video_kbps;
    /**
     * 1 where that is less than the best, because the viewer's network takes no more.
     */
    uint32_t limited;
} visavis_event;

/**
 * Called with each event; it is good during the call.
 */
typedef void (*visavis_event_callback)(void *user, const struct visavis_event *event);

/**
 * Called with each line of the log. level: one of visavis_log_level. target: the part of the library. Both texts are good
 * during the call.
 */
typedef void (*visavis_log_callback)(void *user,
                                     uint32_t level,
                                     const char *target,
                                     const char *message);

/**
 * A piece of what a viewer says: mono, usually 20 ms.
 */
typedef struct visavis_mic_chunk {
    /**
     * Set by visavis_mic_chunk_init().
     */
    size_t struct_size;
    /**
     * Whose it is.
     */
    uint64_t peer;
    /**
     * When the first sample was captured, in Unix milliseconds, as far as its arrival tells.
     */
    int64_t captured_ms;
    /**
     * Signed 16-bit samples of this machine's byte order. Good until the next chunk is read from the same reader, or it
     * is freed.
     */
    const int16_t *samples;
    /**
     * How many samples.
     */
    size_t count;
    /**
     * Their rate in Hz: microphone_rate of the session.
     */
    uint32_t sample_rate;
    /**
     * 1: it was lost on the way, and is made up from what was around it.
     */
    uint32_t concealed;
} visavis_mic_chunk;

/**
 * Called with each chunk; it is good during the call.
 */
typedef void (*visavis_mic_callback)(void *user, const struct visavis_mic_chunk *chunk);

/**
 * Figures of a session since it was made; initialised by visavis_session_status_init().
 */
typedef struct visavis_session_status {
    /**
     * Set by visavis_session_status_init().
     */
    size_t struct_size;
    /**
     * Viewers connected now.
     */
    uint64_t peer_count;
    /**
     * Frames accepted.
     */
    uint64_t video_frames;
    /**
     * Chunks of sound accepted.
     */
    uint64_t audio_chunks;
    /**
     * Frames that came later than 1.5 frame intervals after their timestamp. They are sent all the same.
     */
    uint64_t dropped_frames;
    /**
     * Frames replaced by a newer one before the encoder took them.
     */
    uint64_t replaced_frames;
    /**
     * Milliseconds of queued sound dropped because the queue was full.
     */
    uint64_t dropped_audio_ms;
    /**
     * Timestamps that could not be meant, and were corrected.
     */
    uint64_t corrected_stamps;
    /**
     * Encoded frames dropped because the engine did not keep up.
     */
    uint64_t dropped_units;
    /**
     * Frames encoded, over all codecs.
     */
    uint64_t encoded_frames;
    /**
     * Keyframes among them.
     */
    uint64_t keyframes;
    /**
     * Microphone packets received.
     */
    uint64_t mic_packets;
    /**
     * Those among them that were dropped because the engine did not keep up.
     */
    uint64_t dropped_mic_packets;
    /**
     * Chunks of microphones dropped because nobody read them.
     */
    uint64_t unread_mic_chunks;
    /**
     * Packets of sound dropped because the engine did not keep up.
     */
    uint64_t dropped_audio_packets;
    /**
     * Messages accepted for viewers.
     */
    uint64_t data_sent;
    /**
     * Those among them whose channel or connection ended before they left.
     */
    uint64_t data_undelivered;
    /**
     * Messages received from viewers.
     */
    uint64_t data_received;
    /**
     * Messages from viewers dropped because nobody read them.
     */
    uint64_t data_dropped;
    /**
     * Times that pictures stopped coming unexpectedly.
     */
    uint64_t stalls;
    /**
     * From a frame's timestamp to its last packet to the last viewer, in milliseconds: moving average.
     */
    double avg_latency_ms;
    /**
     * Frames pushed during the last second.
     */
    double fps;
    /**
     * When the last frame was pushed, in Unix milliseconds; -1: none yet.
     */
    int64_t last_frame_time_ms;
    /**
     * 1: the session is started, and a frame came within the last two seconds.
     */
    uint32_t is_streaming;
    /**
     * 1: viewers see what is pushed; 0: they see the idle picture.
     */
    uint32_t is_live;
} visavis_session_status;

/**
 * Settings of the signaling server. Texts are copied; one that is NULL stands for its default. Lists are texts with
 * commas.
 */
typedef struct visavis_server_config {
    /**
     * Set by visavis_server_config_init().
     */
    size_t struct_size;
    /**
     * Where the one TCP port listens, IP:PORT; port 0: any free port. Default: "0.0.0.0:8081".
     */
    const char *listen;
    /**
     * The session of a visitor who names none. Default: "default".
     */
    const char *default_session;
    /**
     * The preferred video codecs, as said to browsers. Default: "H264".
     */
    const char *video_codec;
    /**
     * The preferred audio codecs, as said to browsers. Default: "opus".
     */
    const char *audio_codec;
    /**
     * Certificate chain for HTTPS, a PEM file; with tls_key. Default: NULL, plain HTTP.
     */
    const char *tls_cert;
    /**
     * Private key for HTTPS, a PEM file; with tls_cert. Default: NULL.
     */
    const char *tls_key;
    /**
     * Where visitors find the server when it is behind a proxy, such as `https://face.example.org/avatar`. Default:
     * NULL.
     */
    const char *public_url;
    /**
     * Names of this server, such as "face.example.org,*.example.org". Default: none but addresses, localhost, this
     * machine's name and that of public_url.
     */
    const char *allowed_hosts;
    /**
     * Proxies whose X-Forwarded-* headers are trusted: addresses, networks, loopback, private, none. Default:
     * "loopback".
     */
    const char *trusted_proxies;
    /**
     * Origins whose pages may use the HTTP API and the WebSocket; "*": any. Default: this server's own only.
     */
    const char *cors;
    /**
     * STUN servers for browsers, such as "stun:stun.example.org:3478". Default: none.
     */
    const char *stun_urls;
    /**
     * TURN servers for browsers, such as "turn:turn.example.org:3478?transport=udp". Default: none.
     */
    const char *turn_urls;
    /**
     * User name for the TURN servers. Default: NULL.
     */
    const char *turn_user;
    /**
     * Password for the TURN servers. Default: NULL.
     */
    const char *turn_pass;
    /**
     * Title of the page, up to 80 characters. Default: "visavis".
     */
    const char *page_title;
    /**
     * Picture beside the title: an SVG, PNG, JPEG or WebP file of up to 512 KiB. Default: the built-in one.
     */
    const char *page_logo;
    /**
     * Viewers with a WebSocket at once, from 1 on. Default: 100.
     */
    uint32_t max_clients;
    /**
     * Sessions that are made over HTTP, from 1 on. Default: 100.
     */
    uint32_t max_sessions;
    /**
     * 1: programs may make, list and end sessions over HTTP. There is no login. Default: 0.
     */
    uint32_t api;
    /**
     * 1: each visitor gets a session of their own, which visavis_server_accept() hands out. Default: 0.
     */
    uint32_t per_visitor;
    /**
     * A file that sessions made by the server show while no pictures are pushed; see visavis_session_set_idle_file().
     * Default: NULL, the built-in face.
     */
    const char *idle;
    /**
     * Files that sessions made over HTTP can choose by name instead ("idle" of POST /webrtc/sessions/create), such as
     * "anna=anna.mp4,ben=ben.png". Default: none.
     */
    const char *idle_loops;
} visavis_server_config;

/**
 * Settings of a session. Texts are copied; one that is NULL stands for its default.
 */
typedef struct visavis_session_config {
    /**
     * Set by visavis_session_config_init().
     */
    size_t struct_size;
    /**
     * Its name: 1 to 64 characters from A-Z a-z 0-9 . _ -. Default: "default".
     */
    const char *id;
    /**
     * Video codecs in order of preference, with commas: H264, VP8, VP9, AV1 (in builds that have it). Default: "H264".
     */
    const char *video_codec;
    /**
     * The codec of pictures that are pushed encoded. NULL: they are pushed raw, and encoded here. Default: NULL.
     */
    const char *encoded;
    /**
     * Audio codecs in order of preference, with commas: opus, pcmu, pcma. Default: "opus".
     */
    const char *audio_codec;
    /**
     * Width that all pictures are scaled to; 0 with height 0: each picture keeps its own size. Default: 0.
     */
    uint32_t width;
    /**
     * Height that all pictures are scaled to. Default: 0.
     */
    uint32_t height;
    /**
     * Frames per second that will be pushed, 1 to 120. Default: 30.
     */
    uint32_t fps;
    /**
     * Target bitrate of the video in kbit/s, 50 to 50,000. Default: 1,500.
     */
    uint32_t bitrate;
    /**
     * Target bitrate of Opus in kbit/s, 6 to 510; with two channels it is twice as much. Default: 48.
     */
    uint32_t audio_bitrate;
    /**
     * Milliseconds of sound in one packet: 10 or 20. Default: 20.
     */
    uint32_t packet_ms;
    /**
     * 1: send a coarse copy of each Opus packet in the next one while viewers lose packets. Default: 1.
     */
    uint32_t opus_fec;
    /**
     * 1: send almost nothing while nobody speaks. Default: 0.
     */
    uint32_t opus_dtx;
    /**
     * 1: send every Opus packet twice to all browsers that support it; 0: only to those that lose packets. Default: 0.
     */
    uint32_t opus_red;
    /**
     * Viewers at once; 0: as many as the engine takes. 1 makes the session private. Default: 0.
     */
    uint32_t max_viewers;
    /**
     * How long viewers may hold a picture back at least, in milliseconds up to 40,950. Default: 0.
     */
    uint32_t playout_min_ms;
    /**
     * How long viewers may hold a picture back at most, in milliseconds up to 40,950. Default: 0.
     */
    uint32_t playout_max_ms;
    /**
     * Sample rate of microphones in Hz: 8,000, 12,000, 16,000, 24,000 or 48,000. Default: 16,000.
     */
    uint32_t microphone_rate;
    /**
     * Sound kept while it waits for its turn, in milliseconds, 100 to 3,600,000. Default: 60,000.
     */
    uint32_t audio_queue_ms;
    /**
     * How long a picture stays when no other follows, before the idle picture is shown, in milliseconds up to 60,000.
     * Default: 500.
     */
    uint32_t idle_grace_ms;
    /**
     * Memory for pictures of utterances that wait, in bytes. Default: 268,435,456.
     */
    uint64_t utterance_bytes;
    /**
     * A file that is shown while no pictures are pushed; see visavis_session_set_idle_file(). Default: NULL, the built-in
     * face.
     */
    const char *idle;
    /**
     * The least bitrate of the video in kbit/s, up to 50,000: viewers whose networks take less than bitrate get a smaller
     * picture, down to this. As high as bitrate, all get the same. Default: 100.
     */
    uint32_t min_bitrate;
    /**
     * 1: the encoder of pictures that are pushed encoded makes as much as it is told to, between min_bitrate and bitrate; see
     * VISAVIS_EVENT_BITRATE_WANTED. Needs encoded, and 1 for max_viewers. Default: 0.
     */
    uint32_t adaptive_encoder;
    /**
     * The smaller pictures of these viewers, with commas, such as "50%:300,25%:120:15": so much of each side, at so many
     * kbit/s, with so many frames per second at most; three of them at most. Default: NULL, as min_bitrate has it.
     */
    const char *rungs;
} visavis_session_config;

/**
 * A piece of uploaded speech, some 40 ms, or the end of an upload.
 */
typedef struct visavis_speech_chunk {
    /**
     * Set by visavis_speech_chunk_init().
     */
    size_t struct_size;
    /**
     * The name of the session that it is played into. Good until the next piece is read from the same reader, or it is
     * freed.
     */
    const char *session;
    /**
     * Signed 16-bit samples of this machine's byte order, channels interleaved. Good as long as session.
     */
    const int16_t *samples;
    /**
     * How many, over all channels; 0 at the end.
     */
    size_t count;
    /**
     * The number of the utterance that it is part of: one for each upload, as events have it.
     */
    uint64_t utterance;
    /**
     * The time of the first sample inside the utterance, in microseconds.
     */
    uint64_t at_us;
    /**
     * Samples a second, of each channel; 0 at the end.
     */
    uint32_t sample_rate;
    /**
     * 1 or 2; 0 at the end.
     */
    uint32_t channels;
    /**
     * 1: there are no samples, and no more will come of this upload, whether it was played to its end or cut off.
     */
    uint32_t is_end;
    /**
     * 0.
     */
    uint32_t reserved;
} visavis_speech_chunk;

/**
 * Called with each piece, which is good during the call, and what it is part of, which is the callback's to free; see
 * visavis_speech_next(). utterance is NULL where there are too many handles.
 */
typedef void (*visavis_speech_callback)(void *user,
                                        const struct visavis_speech_chunk *chunk,
                                        struct visavis_utterance *utterance);

/**
 * How far an utterance is; initialised by visavis_utterance_progress_init().
 */
typedef struct visavis_utterance_progress {
    /**
     * Set by visavis_utterance_progress_init().
     */
    size_t struct_size;
    /**
     * How much of it was sent, in microseconds: exact to a packet.
     */
    uint64_t sent_us;
    /**
     * 1: it was cut off.
     */
    uint32_t interrupted;
    /**
     * 1: nothing more of it will be sent: it was played to its end, or cut off, also by the end of its session.
     */
    uint32_t over;
} visavis_utterance_progress;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Writes the defaults into a chunk; struct_size is sizeof(*chunk).
 */
enum visavis_status visavis_audio_chunk_init(struct visavis_audio_chunk *chunk, size_t struct_size);

/**
 * Queues a piece of sound, which is played at its own rate however fast pieces come. Never waits. The memory is the
 * caller's again when the call returns.
 *
 * VISAVIS_OK, VISAVIS_NOT_STARTED, VISAVIS_STOPPED. VISAVIS_DROPPED_OLDEST: more than audio_queue_ms waits; sound that
 * is made faster than it plays belongs in an utterance. VISAVIS_INVALID_MEDIA: rate, channels or length.
 * VISAVIS_WRONG_SESSION: the session's sound came as Opus packets before. Any thread.
 */
enum visavis_status visavis_push_audio(const struct visavis_session *session,
                                       const struct visavis_audio_chunk *chunk);

/**
 * Pushes a picture without copying it: frame->data stays where it is, and must not change, until release is called with
 * user. That is done once, whatever is returned (but VISAVIS_FORKED), and on threads of the application only: in this
 * call, in a later one for the same session, in visavis_release_buffers(), or while the session is stopped or freed (of a
 * session of visavis_server_accept() that is freed while it runs, also on a thread of the library). It
 * may free or reuse the memory, and call anything here. Without a newer picture the last one may be kept.
 *
 * Otherwise as visavis_push_video(). A JPEG or PNG file is decoded first.
 */
enum visavis_status visavis_push_video_buffer(const struct visavis_session *session,
                                              const struct visavis_video_frame *frame,
                                              visavis_destroy release,
                                              void *user);

/**
 * Calls release for the buffers that the engine does not need any more; see visavis_push_video_buffer(), which does so
 * too. Any thread.
 */
enum visavis_status visavis_release_buffers(const struct visavis_session *session);

/**
 * Prepares a message to be filled; struct_size is sizeof(*message).
 */
enum visavis_status visavis_message_init(struct visavis_message *message, size_t struct_size);

/**
 * Opens the data channels of a session. Viewers open the channels themselves; the player page opens one that is called
 * "visavis". Before the first call what viewers send is dropped; several readers of one session share what comes.
 *
 * data: is set to the data channels, which are the caller's to free; to NULL on errors. Any thread.
 */
enum visavis_status visavis_data_open(const struct visavis_session *session,
                                      struct visavis_data **data);

/**
 * Sends one viewer a message. Never waits. Messages to one viewer arrive in the order in which they were accepted.
 *
 * label: the channel; NULL for the first that the viewer has opened. message, len: 1 to 65,536 bytes. is_text: 1 for a
 * text in UTF-8, 0 for bytes. VISAVIS_OK; VISAVIS_FULL: 1 MiB waits for this viewer already. VISAVIS_INVALID_MEDIA: the
 * length. VISAVIS_NOT_FOUND: no such viewer, or no such channel yet: VISAVIS_EVENT_DATA_CHANNEL_OPENED says when. Any
 * thread.
 */
enum visavis_status visavis_data_send(const struct visavis_data *data,
                                      uint64_t peer,
                                      const char *label,
                                      const void *message,
                                      size_t len,
                                      uint32_t is_text);

/**
 * Sends a message to every viewer that has a channel for it; as visavis_data_send().
 *
 * accepted: NULL, or set to the number of viewers that it is on its way to. VISAVIS_FULL: there were others, which do not
 * keep up and do not get it. Any thread.
 */
enum visavis_status visavis_data_broadcast(const struct visavis_data *data,
                                           const char *label,
                                           const void *message,
                                           size_t len,
                                           uint32_t is_text,
                                           size_t *accepted);

/**
 * How many bytes wait for a viewer. VISAVIS_NOT_FOUND: there is no such viewer. Any thread.
 */
enum visavis_status visavis_data_waiting_bytes(const struct visavis_data *data,
                                               uint64_t peer,
                                               size_t *bytes);

/**
 * Reads the next message of any viewer; as visavis_events_next(). VISAVIS_END: the session has stopped, or the data
 * channels were freed. Of what is not read 1 MiB of each viewer is kept, and 16 MiB of all.
 */
enum visavis_status visavis_data_next(const struct visavis_data *data,
                                      struct visavis_message *message,
                                      int32_t timeout_ms);

/**
 * A file descriptor that is readable while messages wait; as visavis_events_fd().
 */
enum visavis_status visavis_data_fd(const struct visavis_data *data, int32_t *fd);

/**
 * Has a function called with each message, on a thread of its own; as visavis_events_set_callback().
 */
enum visavis_status visavis_data_set_callback(const struct visavis_data *data,
                                              visavis_message_callback callback,
                                              void *user,
                                              visavis_destroy destroy);

/**
 * Frees the data channels; as visavis_events_free(). The viewers' channels stay open.
 */
enum visavis_status visavis_data_free(struct visavis_data *data);

/**
 * Writes the defaults into a frame; struct_size is sizeof(*frame).
 */
enum visavis_status visavis_encoded_frame_init(struct visavis_encoded_frame *frame,
                                               size_t struct_size);

/**
 * Sends a picture that is encoded already, in a session that was made for it (encoded in its settings). Never waits.
 *
 * VISAVIS_OK, VISAVIS_NOT_STARTED, VISAVIS_STOPPED. VISAVIS_DROPPED: the engine does not keep up, and nothing is taken
 * before the next keyframe. VISAVIS_INVALID_MEDIA: the bitstream. VISAVIS_WRONG_SESSION: another codec, or a session of
 * raw pictures. Any thread, one at a time for pictures in order.
 */
enum visavis_status visavis_push_encoded_video(const struct visavis_session *session,
                                               const struct visavis_encoded_frame *frame);

/**
 * Whether viewers wait for a keyframe of an encoded session; asking takes the request. wanted: set to 1 or 0. The same as
 * VISAVIS_EVENT_KEYFRAME_REQUESTED, for encoders that would rather ask before each picture. Any thread.
 */
enum visavis_status visavis_take_keyframe_request(const struct visavis_session *session,
                                                  uint32_t *wanted);

/**
 * What pictures of an encoded session should take from the next one on. kbps: set to it. The same as
 * VISAVIS_EVENT_BITRATE_WANTED, for encoders that would rather ask before each picture; without adaptive_encoder always the
 * session's bitrate. Any thread.
 */
enum visavis_status visavis_wanted_bitrate(const struct visavis_session *session,
                                           uint32_t *kbps);

/**
 * Queues one Opus packet, which goes as it is to viewers that take Opus, at the rate at which packets play. Never waits.
 * timestamp_ms: as in visavis_audio_chunk.
 *
 * VISAVIS_OK, VISAVIS_NOT_STARTED, VISAVIS_STOPPED, VISAVIS_DROPPED_OLDEST. VISAVIS_INVALID_MEDIA: no Opus.
 * VISAVIS_WRONG_SESSION: the session's sound came as PCM before. Any thread.
 */
enum visavis_status visavis_push_opus(const struct visavis_session *session,
                                      const void *data,
                                      size_t len,
                                      int64_t timestamp_ms);

/**
 * Queues one or more whole MP3 frames, which are decoded on the calling thread. All that a session is given are one
 * stream. As visavis_push_opus(); VISAVIS_WRONG_SESSION: the session's sound came as Opus before.
 */
enum visavis_status visavis_push_mp3(const struct visavis_session *session,
                                     const void *data,
                                     size_t len,
                                     int64_t timestamp_ms);

/**
 * Writes the defaults into a frame; struct_size is sizeof(*frame).
 */
enum visavis_status visavis_cuda_frame_init(struct visavis_cuda_frame *frame, size_t struct_size);

/**
 * Pushes a picture in memory of a CUDA device. VISAVIS_UNSUPPORTED: this version has no encoder that reads such memory
 * (NVENC); copy the picture into memory of visavis_frame_acquire() meanwhile.
 */
enum visavis_status visavis_push_video_cuda(const struct visavis_session *session,
                                            const struct visavis_cuda_frame *frame);

/**
 * Writes the defaults into a config; struct_size is sizeof(*config).
 */
enum visavis_status visavis_engine_config_init(struct visavis_engine_config *config,
                                               size_t struct_size);

/**
 * Opens the UDP socket and starts the threads: four, and one more for each further media loop.
 *
 * config: NULL for the defaults. engine: is set to the engine, which is the caller's to free; to NULL on errors.
 * VISAVIS_INVALID_CONFIG: a setting. VISAVIS_SYSTEM: the address is taken or not ours, or the system has no thread.
 * Any thread. H264 is encoded by NVENC where a GPU has it; visavis_engine_start_text() can say otherwise.
 */
enum visavis_status visavis_engine_start(const struct visavis_engine_config *config,
                                         struct visavis_engine **engine);

/**
 * As visavis_engine_start(), with settings as TOML or JSON: those of docs/visavis.toml, and besides them
 * connect_timeout_ms and event_capacity. Settings of sessions and the server may be among them, so that one text does
 * for all three; what none of them knows is VISAVIS_INVALID_CONFIG. VISAVIS_UNSUPPORTED: encoder = "nvenc", and there is no
 * NVENC; visavis_last_error() says why.
 */
enum visavis_status visavis_engine_start_text(const char *settings,
                                              struct visavis_engine **engine);

/**
 * The UDP port that media flows through; the first one where there are several media loops. Any thread.
 */
enum visavis_status visavis_engine_udp_port(const struct visavis_engine *engine,
                                            uint16_t *port);

/**
 * Whether the engine runs: VISAVIS_OK if it does, VISAVIS_STOPPED after visavis_engine_stop(), VISAVIS_ENGINE_STOPPED
 * where it has ended by a fault (the process should end then, and be started anew). Any thread.
 */
enum visavis_status visavis_engine_health(const struct visavis_engine *engine);

/**
 * Stops all sessions, closes every viewer's connection, and waits for the engine's threads to end. Sessions and readers
 * of the engine stay to be freed; what is asked of them says VISAVIS_STOPPED, VISAVIS_END or VISAVIS_ENGINE_STOPPED. A
 * second call does nothing. Any thread.
 */
enum visavis_status visavis_engine_stop(struct visavis_engine *engine);

/**
 * Stops the engine, if it was not yet, and frees it. NULL is ignored. Any thread.
 */
enum visavis_status visavis_engine_free(struct visavis_engine *engine);

/**
 * Prepares an event to be filled; struct_size is sizeof(*event).
 */
enum visavis_status visavis_event_init(struct visavis_event *event, size_t struct_size);

/**
 * Opens a reader of events, those from now on. Each reader gets all of them.
 *
 * session: NULL for the events of all sessions. kinds: those wanted, the sum of 1 << VISAVIS_EVENT_...; 0 for all but
 * VISAVIS_EVENT_MICROPHONE_LEVEL. events: is set to the reader, which is the caller's to free; to NULL on errors. What is
 * not read in time is dropped, and counted: event_capacity and max_clients of the engine together are kept. Any thread.
 */
enum visavis_status visavis_events_open(const struct visavis_engine *engine,
                                        const struct visavis_session *session,
                                        uint64_t kinds,
                                        struct visavis_events **events);

/**
 * Reads the next event.
 *
 * event: initialised by visavis_event_init(), and filled in. timeout_ms: 0 does not wait, -1 waits as long as it takes.
 * VISAVIS_OK, VISAVIS_TIMEOUT; VISAVIS_END: the engine has stopped, or the reader was freed meanwhile. Any thread, one
 * at a time.
 */
enum visavis_status visavis_events_next(const struct visavis_events *events,
                                        struct visavis_event *event,
                                        int32_t timeout_ms);

/**
 * A file descriptor that is readable while events wait, and once nothing more will come: for poll, epoll and what is
 * built on them. It is not to be read, written or closed, and is good until the reader is freed. Any thread.
 */
enum visavis_status visavis_events_fd(const struct visavis_events *events,
                                      int32_t *fd);

/**
 * How many events were dropped because they were not read in time. Any thread.
 */
enum visavis_status visavis_events_dropped(const struct visavis_events *events, uint64_t *dropped);

/**
 * Has a function called with each event, instead of visavis_events_next(), on a thread of its own: it may take its time,
 * and may call everything here, also free what it is called for. It must not throw exceptions.
 *
 * user: given to the callback. destroy: called with user once no event will come any more: the engine has stopped, or the
 * reader was freed; NULL where nothing is to be done. On errors user stays the caller's. Nothing here waits for a
 * callback to return. Any thread.
 */
enum visavis_status visavis_events_set_callback(const struct visavis_events *events,
                                                visavis_event_callback callback,
                                                void *user,
                                                visavis_destroy destroy);

/**
 * Frees a reader. Whoever waits in visavis_events_next() gets VISAVIS_END; a callback is not called again, but for a call
 * that runs. NULL is ignored. Any thread.
 */
enum visavis_status visavis_events_free(struct visavis_events *events);

/**
 * Has the log given to a function, on a thread of its own; it may call everything here. There is one log for the process;
 * another call takes the place of the one before. At first nothing is logged.
 *
 * level: one of visavis_log_level. callback: NULL or VISAVIS_LOG_OFF ends it. user, destroy: as in
 * visavis_events_set_callback(); destroy is called when the callback will not be called again. 1,024 lines wait at most;
 * what does not fit is counted. VISAVIS_EXISTS: the process logs by a subscriber of Rust's tracing. Any thread.
 */
enum visavis_status visavis_log_set_callback(uint32_t level,
                                             visavis_log_callback callback,
                                             void *user,
                                             visavis_destroy destroy);

/**
 * Prepares a chunk to be filled; struct_size is sizeof(*chunk).
 */
enum visavis_status visavis_mic_chunk_init(struct visavis_mic_chunk *chunk, size_t struct_size);

/**
 * Opens a reader of the session's microphones, those of all viewers, each in order. Nothing is decoded before the first.
 * Several readers of one session share what comes. 500 chunks are kept for whoever does not read; past that the oldest
 * is dropped and counted.
 *
 * microphone: is set to the reader, which is the caller's to free; to NULL on errors. Any thread.
 */
enum visavis_status visavis_microphone_open(const struct visavis_session *session,
                                            struct visavis_microphone **microphone);

/**
 * Reads the next chunk; as visavis_events_next(). VISAVIS_END: the session has stopped, or the reader was freed.
 */
enum visavis_status visavis_microphone_next(const struct visavis_microphone *microphone,
                                            struct visavis_mic_chunk *chunk,
                                            int32_t timeout_ms);

/**
 * A file descriptor that is readable while chunks wait; as visavis_events_fd().
 */
enum visavis_status visavis_microphone_fd(const struct visavis_microphone *microphone, int32_t *fd);

/**
 * Has a function called with each chunk, on a thread of its own; as visavis_events_set_callback().
 */
enum visavis_status visavis_microphone_set_callback(const struct visavis_microphone *microphone,
                                                    visavis_mic_callback callback,
                                                    void *user,
                                                    visavis_destroy destroy);

/**
 * Frees a reader; as visavis_events_free().
 */
enum visavis_status visavis_microphone_free(struct visavis_microphone *microphone);

/**
 * Draws an id for a viewer, for signaling that has to name it before its offer comes. Any thread.
 */
enum visavis_status visavis_new_peer_id(const struct visavis_engine *engine, uint64_t *peer);

/**
 * Makes a viewer of its first SDP offer, and answers it, in some 100 µs on the calling thread. A viewer that does not
 * connect within connect_timeout_ms is forgotten, with VISAVIS_EVENT_PEER_LEFT.
 *
 * id: what visavis_new_peer_id() has drawn; 0: a new one. offer: the SDP. peer: set to the viewer's id, by which other
 * calls and events name it. answer: is set to the SDP for RTCPeerConnection.setRemoteDescription(), to be freed with
 * visavis_string_free(); to NULL on errors. VISAVIS_OFFER_REFUSED: the offer cannot be used. VISAVIS_NO_PLACE,
 * VISAVIS_EXISTS: there is a viewer of this id. VISAVIS_NOT_FOUND: the session has stopped. VISAVIS_BUSY,
 * VISAVIS_ENGINE_STOPPED. Any thread.
 */
enum visavis_status visavis_connect(const struct visavis_session *session,
                                    uint64_t id,
                                    const char *offer,
                                    uint64_t *peer,
                                    char **answer);

/**
 * Answers a later offer of a viewer: other media, or an ICE restart. Waits for the media loop, up to timeout_ms; that
 * takes some milliseconds.
 *
 * answer: as in visavis_connect(). VISAVIS_TIMEOUT: the answer is lost; the viewer is to offer again.
 * VISAVIS_OFFER_REFUSED, VISAVIS_NOT_FOUND: there is no such viewer. VISAVIS_BUSY, VISAVIS_ENGINE_STOPPED. Any thread.
 */
enum visavis_status visavis_renegotiate(const struct visavis_engine *engine,
                                        uint64_t peer,
                                        const char *offer,
                                        uint32_t timeout_ms,
                                        char **answer);

/**
 * Adds an ICE candidate of a viewer, as RTCIceCandidate.candidate has it. An empty one (end of candidates), one with an
 * mDNS name, and one of a viewer that has left are accepted and ignored.
 *
 * VISAVIS_OFFER_REFUSED: it is none that can be used. VISAVIS_BUSY, VISAVIS_ENGINE_STOPPED. Any thread.
 */
enum visavis_status visavis_add_candidate(const struct visavis_engine *engine,
                                          uint64_t peer,
                                          const char *candidate);

/**
 * Closes a viewer's connection; an unknown one is ignored. Any thread.
 */
enum visavis_status visavis_disconnect(const struct visavis_engine *engine, uint64_t peer);

/**
 * Frees a text that a function of this library has returned in a `char **`. NULL is ignored.
 */
void visavis_string_free(char *text);

/**
 * Prepares a status to be filled; struct_size is sizeof(*status).
 */
enum visavis_status visavis_session_status_init(struct visavis_session_status *status,
                                                size_t struct_size);

/**
 * Fills in the session's figures, in some microseconds. Any thread.
 */
enum visavis_status visavis_session_get_status(const struct visavis_session *session,
                                               struct visavis_session_status *status);

/**
 * The session's figures as JSON, with the names of GET /status, to be freed with visavis_string_free(). Beside those of
 * the struct it has how long frames took to each stage, the encoders that run, what viewers get, and their networks. Any thread.
 */
enum visavis_status visavis_session_get_status_json(const struct visavis_session *session,
                                                    char **json);

/**
 * Writes the defaults into a config; struct_size is sizeof(*config).
 */
enum visavis_status visavis_server_config_init(struct visavis_server_config *config,
                                               size_t struct_size);

/**
 * Starts the signaling server of an engine, on a thread of its own.
 *
 * config: NULL for the defaults. server: is set to the server, which is the caller's to free; to NULL on errors.
 * VISAVIS_INVALID_CONFIG: a setting, a certificate or a logo that cannot be used. VISAVIS_SYSTEM: the port is taken. Any
 * thread.
 */
enum visavis_status visavis_server_start(const struct visavis_engine *engine,
                                         const struct visavis_server_config *config,
                                         struct visavis_server **server);

/**
 * As visavis_server_start(), with settings as TOML or JSON: those of docs/visavis.toml. Sessions that are made over HTTP
 * have the settings of sessions that are among them.
 */
enum visavis_status visavis_server_start_text(const struct visavis_engine *engine,
                                              const char *settings,
                                              struct visavis_server **server);

/**
 * Where the player page is, for a browser on this machine, to be freed with visavis_string_free(). Any thread.
 */
enum visavis_status visavis_server_url(const struct visavis_server *server,
                                       char **url);

/**
 * The TCP port that the server listens on. Any thread.
 */
enum visavis_status visavis_server_port(const struct visavis_server *server, uint16_t *port);

/**
 * Takes the next session that was made over HTTP (api) or for a visitor (per_visitor): the application is to push to it.
 * The server starts it. It ends when it is ended over HTTP, or its visitor has left: pushes are VISAVIS_STOPPED then, and
 * visavis_session_end_reason() says why.
 *
 * session: is set to the session, which is the caller's to free, and is not ended by that; to NULL unless VISAVIS_OK is
 * returned. timeout_ms: 0 does not wait, -1 waits as long as it takes. VISAVIS_TIMEOUT; VISAVIS_END: the server has
 * stopped. Any thread.
 */
enum visavis_status visavis_server_accept(const struct visavis_server *server,
                                          int32_t timeout_ms,
                                          struct visavis_session **session);

/**
 * A file descriptor that is readable while sessions wait to be accepted; as visavis_events_fd().
 */
enum visavis_status visavis_server_fd(const struct visavis_server *server, int32_t *fd);

/**
 * Reads certificate and key again, which also happens by itself when the files change. Any thread.
 */
enum visavis_status visavis_server_reload_certificates(const struct visavis_server *server);

/**
 * Closes all connections and waits for the server's thread to end. Viewers' media flows on until their sessions end. A
 * second call does nothing. Any thread.
 */
enum visavis_status visavis_server_stop(struct visavis_server *server);

/**
 * Stops the server, if it was not yet, and frees it. NULL is ignored. Any thread.
 */
enum visavis_status visavis_server_free(struct visavis_server *server);

/**
 * Writes the defaults into a config; struct_size is sizeof(*config).
 */
enum visavis_status visavis_session_config_init(struct visavis_session_config *config,
                                                size_t struct_size);

/**
 * Makes a session. It shows its idle picture to viewers from now on; media is taken after visavis_session_start().
 *
 * config: NULL for the defaults. session: is set to the session, which is the caller's to free; to NULL on errors.
 * VISAVIS_INVALID_CONFIG: a setting. VISAVIS_EXISTS: the name is taken. VISAVIS_UNSUPPORTED: a codec that this build
 * cannot encode, a kind of idle file. VISAVIS_INVALID_MEDIA: an idle file that is broken. VISAVIS_ENGINE_STOPPED,
 * VISAVIS_SYSTEM. Any thread.
 */
enum visavis_status visavis_session_create(const struct visavis_engine *engine,
                                           const struct visavis_session_config *config,
                                           struct visavis_session **session);

/**
 * As visavis_session_create(), with settings as TOML or JSON: those of docs/visavis.toml under "Video" and "Audio", and
 * the fields of visavis_session_config, width and height as size = "512x512". Settings of engine and server may be among
 * them.
 */
enum visavis_status visavis_session_create_text(const struct visavis_engine *engine,
                                                const char *settings,
                                                struct visavis_session **session);

/**
 * From now on pushed media is sent. Has no effect on a session that was stopped. Any thread.
 */
enum visavis_status visavis_session_start(const struct visavis_session *session);

/**
 * The session's name, to be freed with visavis_string_free(). Any thread.
 */
enum visavis_status visavis_session_id(const struct visavis_session *session, char **id);

/**
 * What whoever made a session over HTTP says of it: a JSON object ("metadata" of POST /webrtc/sessions/create), to be
 * freed with visavis_string_free(). It is set to NULL where there is none, or the session is not of
 * visavis_server_accept(). Any thread.
 */
enum visavis_status visavis_session_metadata(const struct visavis_session *session,
                                             char **json);

/**
 * Why the server has ended a session of visavis_server_accept(), to be freed with visavis_string_free(): deleted, expired,
 * unwatched or server-stopped; more may be added. It is set to NULL where the server has not ended it. Any thread.
 */
enum visavis_status visavis_session_end_reason(const struct visavis_session *session,
                                               char **reason);

/**
 * Chooses what viewers see while no pictures are pushed, one of visavis_idle; for a picture of the application see
 * visavis_session_set_idle_picture(), for a file visavis_session_set_idle_file(). Any thread.
 */
enum visavis_status visavis_session_set_idle(const struct visavis_session *session,
                                             uint32_t idle);

/**
 * Shows viewers a file while no pictures are pushed: a JPEG or PNG image, an MP4 with H264 video, Y4M, or any film that the
 * program ffmpeg reads where it is in PATH. Its sound is left out, and what of it goes beyond 1,800 pictures.
 *
 * path: the file, which stays where it is: it is read once for each codec, rate and size that it is encoded with.
 * VISAVIS_SYSTEM: it cannot be read. VISAVIS_UNSUPPORTED: a kind of file that nobody here reads. VISAVIS_INVALID_MEDIA: it
 * is broken, or has a size that cannot be. What was shown before stays then. Takes some milliseconds, with ffmpeg some
 * hundreds. Any thread.
 */
enum visavis_status visavis_session_set_idle_file(const struct visavis_session *session,
                                                  const char *path);

/**
 * Drops at once all that waits to be played, utterances and what was pushed live. sent_us: NULL, or set to how much of
 * what is playing was sent, in microseconds, exact to a packet. Sound fades out within 5 ms, and the idle picture is
 * shown. Any thread.
 */
enum visavis_status visavis_interrupt(const struct visavis_session *session,
                                      uint64_t *sent_us);

/**
 * Disconnects every viewer cleanly, and ends the session: waits for its encoder to end, and up to two seconds for the
 * viewers. What is pushed from now on is VISAVIS_STOPPED. A second call does nothing. Any thread.
 */
enum visavis_status visavis_session_stop(const struct visavis_session *session);

/**
 * Stops the session, if it was not yet, and frees it; one of visavis_server_accept() is not stopped. NULL is ignored. Its
 * utterances and readers stay to be freed. Any
 * thread, also while others push to it.
 */
enum visavis_status visavis_session_free(struct visavis_session *session);

/**
 * Prepares a piece to be filled; struct_size is sizeof(*chunk).
 */
enum visavis_status visavis_speech_chunk_init(struct visavis_speech_chunk *chunk,
                                              size_t struct_size);

/**
 * Opens a reader of the speech that is uploaded into any session of the server (POST /webrtc/sessions/{id}/stream, with
 * api), from now on: for a renderer that makes pictures of it. The server plays the sound itself. Each piece comes before
 * it is played, by up to five seconds where the upload is as fast as that. Several readers of one server share what
 * comes.
 *
 * speech: is set to the reader, which is the caller's to free; to NULL on errors. 1,024 pieces, some 40 s, are kept for
 * whoever does not read; past that the oldest is dropped and counted. Any thread.
 */
enum visavis_status visavis_speech_open(const struct visavis_server *server,
                                        struct visavis_speech **speech);

/**
 * Reads the next piece; as visavis_events_next(). VISAVIS_END: the server has stopped, or the reader was freed.
 *
 * utterance: NULL, or set to what the piece is part of, which is the caller's to free, once all pictures of this piece
 * are pushed into it (visavis_utterance_push_video(), with timestamps that count from 0); to NULL unless VISAVIS_OK is
 * returned. Each piece has a handle of its own. The utterance is over when the upload is, and all handles of it are freed
 * or ended: until then nothing else is said in the session. An upload whose end is not read within six seconds goes on
 * without pictures: pushes into it are VISAVIS_INVALID_ARGUMENT then.
 */
enum visavis_status visavis_speech_next(const struct visavis_speech *speech,
                                        struct visavis_speech_chunk *chunk,
                                        struct visavis_utterance **utterance,
                                        int32_t timeout_ms);

/**
 * A file descriptor that is readable while pieces wait; as visavis_events_fd().
 */
enum visavis_status visavis_speech_fd(const struct visavis_speech *speech, int32_t *fd);

/**
 * How many pieces were dropped because they were not read in time, since the server was started. Any thread.
 */
enum visavis_status visavis_speech_dropped(const struct visavis_speech *speech,
                                           uint64_t *dropped);

/**
 * Has a function called with each piece, on a thread of its own; as visavis_events_set_callback().
 */
enum visavis_status visavis_speech_set_callback(const struct visavis_speech *speech,
                                                visavis_speech_callback callback,
                                                void *user,
                                                visavis_destroy destroy);

/**
 * Frees a reader; as visavis_events_free(). NULL is ignored. Any thread.
 */
enum visavis_status visavis_speech_free(struct visavis_speech *speech);

/**
 * The sentence of the last call on this thread that returned an error: what is wrong, and what is expected. Empty
 * before the first. It is good until the next error on this thread; never NULL, and not to be freed. Never fails, also
 * after fork().
 */
const char *visavis_last_error(void);

/**
 * The name of a status, such as "VISAVIS_OK"; "VISAVIS_?" for a number that is none. Static text, not to be freed.
 */
const char *visavis_status_name(int32_t status);

/**
 * Begins an utterance: sound and pictures that are pushed ahead of their time, with timestamps inside it. Utterances of
 * a session are played one after the other, in the order in which they were begun.
 *
 * zero_ms: the timestamp of its beginning, 0 or more. utterance: is set to the utterance, which is the caller's to free;
 * to NULL on errors. VISAVIS_WRONG_SESSION: the session's sound comes as Opus packets. VISAVIS_NOT_FOUND: it has stopped.
 * VISAVIS_BUSY. Any thread.
 */
enum visavis_status visavis_utterance_begin(const struct visavis_session *session,
                                            int64_t zero_ms,
                                            struct visavis_utterance **utterance);

/**
 * The utterance's number, as events have it: 1 or more, later ones of a session have greater ones. Any thread.
 */
enum visavis_status visavis_utterance_id(const struct visavis_utterance *utterance,
                                         uint64_t *id);

/**
 * Keeps a picture until its time. Where utterance_bytes of the session wait already, waits up to timeout_ms for room; 0
 * does not wait. timestamp_ms of the frame counts on the clock of zero_ms.
 *
 * VISAVIS_OK, VISAVIS_NOT_STARTED, VISAVIS_STOPPED. VISAVIS_FULL: there was no room for so long. VISAVIS_DROPPED: the
 * utterance was interrupted. VISAVIS_INVALID_ARGUMENT: it was ended. Otherwise as visavis_push_video(). Any thread.
 */
enum visavis_status visavis_utterance_push_video(const struct visavis_utterance *utterance,
                                                 const struct visavis_video_frame *frame,
                                                 uint32_t timeout_ms);

/**
 * Keeps a chunk of sound until its time; as visavis_utterance_push_video(), with audio_queue_ms of the session. A gap in
 * the timestamps is silence.
 */
enum visavis_status visavis_utterance_push_audio(const struct visavis_utterance *utterance,
                                                 const struct visavis_audio_chunk *chunk,
                                                 uint32_t timeout_ms);

/**
 * Keeps one or more whole MP3 frames until their time; as visavis_utterance_push_audio(), but never waits.
 */
enum visavis_status visavis_utterance_push_mp3(const struct visavis_utterance *utterance,
                                               const void *data,
                                               size_t len,
                                               int64_t timestamp_ms);

/**
 * Prepares a progress to be filled; struct_size is sizeof(*progress).
 */
enum visavis_status visavis_utterance_progress_init(struct visavis_utterance_progress *progress,
                                                    size_t struct_size);

/**
 * Fills in how far the utterance is, also after its end; VISAVIS_EVENT_UTTERANCE_ENDED and VISAVIS_EVENT_INTERRUPTED say
 * when it is over. Any thread.
 */
enum visavis_status visavis_utterance_get_progress(const struct visavis_utterance *utterance,
                                                   struct visavis_utterance_progress *progress);

/**
 * Nothing more will be pushed: when all of it is played it is over, and the next one begins. A second call does nothing.
 * Any thread.
 */
enum visavis_status visavis_utterance_end(const struct visavis_utterance *utterance);

/**
 * Drops what has not been sent yet, of an utterance that was not ended; visavis_interrupt() drops whatever plays. sent_us:
 * NULL, or set to how much of it was sent, in microseconds. VISAVIS_INVALID_ARGUMENT: it was ended. Any thread.
 */
enum visavis_status visavis_utterance_interrupt(const struct visavis_utterance *utterance,
                                                uint64_t *sent_us);

/**
 * Ends the utterance, if it was not yet, and frees it: what was pushed is still played. NULL is ignored. Any thread.
 */
enum visavis_status visavis_utterance_free(struct visavis_utterance *utterance);

/**
 * The version of the ABI that the library has; see VISAVIS_ABI_VERSION. Never fails. Any thread.
 */
uint32_t visavis_abi_version(void);

/**
 * The version of the library, such as "0.1.0". Static text, not to be freed. Any thread.
 */
const char *visavis_version(void);

/**
 * Writes the defaults into a frame; struct_size is sizeof(*frame).
 */
enum visavis_status visavis_video_frame_init(struct visavis_video_frame *frame, size_t struct_size);

/**
 * Copies a picture and returns; it is encoded later, unless a newer one comes before. Never waits. The memory is the
 * caller's again when the call returns.
 *
 * VISAVIS_OK, VISAVIS_NOT_STARTED, VISAVIS_STOPPED. VISAVIS_INVALID_MEDIA: size, length or content. VISAVIS_WRONG_SESSION:
 * the session takes encoded pictures. Any thread; of several that push, the newest picture wins.
 */
enum visavis_status visavis_push_video(const struct visavis_session *session,
                                       const struct visavis_video_frame *frame);

/**
 * Shows viewers a still picture of the application while none are pushed. timestamp_ms has no meaning.
 *
 * VISAVIS_INVALID_MEDIA: size, length or content. Any thread.
 */
enum visavis_status visavis_session_set_idle_picture(const struct visavis_session *session,
                                                     const struct visavis_video_frame *picture);

/**
 * Lends memory for a picture, to be written in place and pushed without a copy. What was there before is still there:
 * write all of it. Four pictures of a session are under way at once at most.
 *
 * format: one of visavis_pixel_format, but JPEG and PNG. frame, data, len: set to the frame, its memory and its length;
 * to NULL, NULL and 0 unless VISAVIS_OK is returned. The memory is good until the frame is pushed or discarded, also
 * after the session was freed. VISAVIS_DROPPED: all memory is in use, newer pictures are on their way; drop this one.
 * VISAVIS_INVALID_MEDIA: size or format. VISAVIS_WRONG_SESSION. Any thread.
 */
enum visavis_status visavis_frame_acquire(const struct visavis_session *session,
                                          uint32_t width,
                                          uint32_t height,
                                          uint32_t format,
                                          struct visavis_frame **frame,
                                          uint8_t **data,
                                          size_t *len);

/**
 * Pushes a picture that was written into lent memory, which is not the caller's any more, whatever is returned. Never
 * waits. timestamp_ms: as in visavis_video_frame.
 *
 * VISAVIS_OK, VISAVIS_NOT_STARTED, VISAVIS_STOPPED. VISAVIS_INVALID_HANDLE: it was pushed or discarded before. Any
 * thread.
 */
enum visavis_status visavis_frame_push(struct visavis_frame *frame,
                                       int64_t timestamp_ms);

/**
 * Gives lent memory back without a push. NULL is ignored. Any thread.
 */
enum visavis_status visavis_frame_discard(struct visavis_frame *frame);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* VISAVIS_H */
