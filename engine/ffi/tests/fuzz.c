/* Calls at random, legal and illegal, by several threads: arguments SECONDS SEED. Pointers are good or NULL; everything
 * else may be wrong: handles that were freed or are of another kind, sizes, lengths, numbers, order. */
#include "check.h"
#include "process.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

enum { THREADS = 4, SLOTS = 6, KINDS = 9, MEMORY = 1 << 18 };
enum { ENGINE, SESSION, SERVER, FRAME, EVENTS, MICROPHONE, DATA, UTTERANCE, SPEECH };

/* Handles that all threads use and free. */
static _Atomic(void *) handles[KINDS][SLOTS];
static atomic_long lent, given_back, registered, destroyed, calls, refused;
static uint8_t memory[MEMORY];
static time_t end;

struct random {
    uint64_t state;
};

static uint64_t next(struct random *random) {
    random->state ^= random->state << 13;
    random->state ^= random->state >> 7;
    random->state ^= random->state << 17;
    return random->state;
}

static uint64_t below(struct random *random, uint64_t limit) { return next(random) % limit; }

static int rarely(struct random *random) { return below(random, 16) == 0; }

/* Mostly one of this kind, sometimes another, one that was freed, or no handle at all. */
static void *any(struct random *random, int kind) {
    if (rarely(random)) return (void *)(uintptr_t)next(random);
    if (rarely(random)) kind = (int)below(random, KINDS);
    return handles[kind][below(random, SLOTS)];
}

static void free_it(int kind, void *old) {
    switch (kind) {
    case ENGINE: visavis_engine_free(old); break;
    case SESSION: visavis_session_free(old); break;
    case SERVER: visavis_server_free(old); break;
    case FRAME: visavis_frame_discard(old); break;
    case EVENTS: visavis_events_free(old); break;
    case MICROPHONE: visavis_microphone_free(old); break;
    case DATA: visavis_data_free(old); break;
    case UTTERANCE: visavis_utterance_free(old); break;
    case SPEECH: visavis_speech_free(old); break;
    }
}

/* Puts a new one where others find it, and frees the one that was there. */
static void put(struct random *random, int kind, void *handle) {
    if (handle) free_it(kind, atomic_exchange(&handles[kind][below(random, SLOTS)], handle));
}

static void release(void *user) { atomic_fetch_add((atomic_long *)user, 1); }

static void on_event(void *user, const visavis_event *event) { (void)user, (void)event; }
static void on_chunk(void *user, const visavis_mic_chunk *chunk) { (void)user, (void)chunk; }
static void on_speech(void *user, const visavis_speech_chunk *chunk, visavis_utterance *utterance) {
    (void)user, (void)chunk;
    visavis_utterance_free(utterance);
}
static void on_message(void *user, const visavis_message *message) { (void)user, (void)message; }

static uint32_t side(struct random *random) {
    static const uint32_t sides[] = {64, 64, 64, 128, 16, 63, 0, 4098, UINT32_MAX};
    return sides[below(random, sizeof sides / sizeof *sides)];
}

static int64_t stamp(struct random *random) {
    switch (below(random, 6)) {
    case 0: return (int64_t)next(random);
    case 1: return 0;
    case 2: return (int64_t)time(NULL) * 1000;
    case 3: return (int64_t)below(random, 5000);
    default: return VISAVIS_NOW;
    }
}

static size_t length(struct random *random, size_t good) { return rarely(random) ? below(random, MEMORY) : good; }

static size_t size(struct random *random, size_t good) { return rarely(random) ? next(random) >> below(random, 64) : good; }

static visavis_video_frame picture(struct random *random) {
    visavis_video_frame frame;
    visavis_video_frame_init(&frame, sizeof frame);
    frame.width = side(random), frame.height = side(random);
    frame.format = (uint32_t)(rarely(random) ? next(random) : below(random, 2));
    frame.data = rarely(random) ? NULL : memory;
    frame.len = length(random, (size_t)frame.width * frame.height * 4 % MEMORY);
    frame.timestamp_ms = stamp(random);
    /* A size that says more than there is would be a lie about memory; any other may be. */
    if (rarely(random)) frame.struct_size = below(random, sizeof frame + 1);
    return frame;
}

static visavis_audio_chunk sound(struct random *random) {
    static const uint32_t rates[] = {8000, 16000, 24000, 44100, 48000, 0, 7};
    visavis_audio_chunk chunk;
    visavis_audio_chunk_init(&chunk, sizeof chunk);
    chunk.data = memory;
    chunk.len = length(random, 1920);
    chunk.sample_rate = rates[below(random, sizeof rates / sizeof *rates)];
    chunk.channels = (uint32_t)below(random, 4);
    chunk.format = (uint32_t)below(random, 3);
    chunk.timestamp_ms = stamp(random);
    return chunk;
}

static visavis_status starts(struct random *random) {
    static const char *settings[] = {
        "udp = \"127.0.0.1:0\"\nlisten = \"127.0.0.1:0\"", "id = \"a\"\nudp = \"127.0.0.1:0\"", "{\"udp\": \"127.0.0.1:0\", \"loops\": 2}", "x", "{", "fps = 0",
        "encoded = \"VP8\"", "id = \"b\"\nmax_viewers = 1\nlisten = \"127.0.0.1:0\"", "audio_codec = [\"pcmu\"]",
    };
    const char *text = rarely(random) ? NULL : settings[below(random, sizeof settings / sizeof *settings)];
    void *made = NULL;
    visavis_status status;
    switch (below(random, 24)) {
    case 0:
        status = visavis_engine_start_text(text, (visavis_engine **)&made);
        put(random, ENGINE, made);
        return status;
    case 1:
        /* Only where it listens on the loopback. */
        status = visavis_server_start_text(any(random, ENGINE), settings[rarely(random) ? 3 : 0], (visavis_server **)&made);
        put(random, SERVER, made);
        return status;
    default:
        status = visavis_session_create_text(any(random, ENGINE), text, (visavis_session **)&made);
        put(random, SESSION, made);
        return status;
    }
}

static visavis_status opens(struct random *random) {
    void *made = NULL;
    uint8_t *data;
    size_t len;
    visavis_status status = VISAVIS_OK;
    switch (below(random, 7)) {
    case 6:
        status = visavis_speech_open(any(random, SERVER), (visavis_speech **)&made);
        put(random, SPEECH, made);
        break;
    case 5:
        status = visavis_server_accept(any(random, SERVER), (int32_t)below(random, 3), (visavis_session **)&made);
        put(random, SESSION, made);
        break;
    case 0:
        status = visavis_events_open(any(random, ENGINE), rarely(random) ? any(random, SESSION) : NULL, next(random),
                                     (visavis_events **)&made);
        put(random, EVENTS, made);
        break;
    case 1:
        status = visavis_microphone_open(any(random, SESSION), (visavis_microphone **)&made);
        put(random, MICROPHONE, made);
        break;
    case 2:
        status = visavis_data_open(any(random, SESSION), (visavis_data **)&made);
        put(random, DATA, made);
        break;
    case 3:
        status = visavis_utterance_begin(any(random, SESSION), stamp(random), (visavis_utterance **)&made);
        put(random, UTTERANCE, made);
        break;
    case 4:
        status = visavis_frame_acquire(any(random, SESSION), side(random), side(random), (uint32_t)below(random, 8),
                                       (visavis_frame **)&made, &data, &len);
        /* Before others know of it. */
        if (data) memset(data, (int)next(random), len);
        put(random, FRAME, made);
        break;
    }
    return status;
}

static visavis_status pushes(struct random *random) {
    visavis_video_frame frame = picture(random);
    visavis_audio_chunk chunk = sound(random);
    visavis_encoded_frame unit;
    visavis_encoded_frame_init(&unit, sizeof unit);
    unit.data = memory, unit.len = below(random, 5000), unit.codec = (uint32_t)below(random, 5);
    unit.keyframe = (int32_t)below(random, 4) - 1;
    switch (below(random, 12)) {
    case 0: return visavis_frame_push(any(random, FRAME), stamp(random));
    case 1: return visavis_push_audio(any(random, SESSION), &chunk);
    case 2: return visavis_push_encoded_video(any(random, SESSION), &unit);
    case 3: return visavis_push_opus(any(random, SESSION), memory, below(random, 2000), stamp(random));
    case 4: return visavis_push_mp3(any(random, SESSION), memory, below(random, 2000), stamp(random));
    case 5: return visavis_utterance_push_video(any(random, UTTERANCE), &frame, (uint32_t)below(random, 3));
    case 6: return visavis_utterance_push_audio(any(random, UTTERANCE), &chunk, (uint32_t)below(random, 3));
    case 7: return visavis_session_set_idle_picture(any(random, SESSION), &frame);
    case 8:
        atomic_fetch_add(&lent, 1);
        return visavis_push_video_buffer(any(random, SESSION), &frame, release, &given_back);
    case 9:
        if (rarely(random)) return visavis_session_set_idle_file(any(random, SESSION), below(random, 2) ? "/nonexistent" : NULL);
        return visavis_frame_discard(any(random, FRAME));
    default: return visavis_push_video(any(random, SESSION), rarely(random) ? NULL : &frame);
    }
}

static visavis_status reads(struct random *random) {
    visavis_event event;
    visavis_mic_chunk chunk;
    visavis_message message;
    visavis_speech_chunk piece;
    visavis_utterance *utterance;
    visavis_session_status status;
    visavis_utterance_progress progress;
    int32_t fd, timeout = (int32_t)below(random, 3);
    uint64_t number;
    char *text = NULL;
    visavis_status got;
    switch (below(random, 19)) {
    case 14:
        visavis_speech_chunk_init(&piece, sizeof piece);
        got = visavis_speech_next(any(random, SPEECH), &piece, &utterance, timeout);
        put(random, UTTERANCE, utterance);
        return got;
    case 15: return visavis_speech_fd(any(random, SPEECH), &fd);
    case 16: return visavis_speech_dropped(any(random, SPEECH), &number);
    case 17:
    case 18:
        got = below(random, 2) ? visavis_session_metadata(any(random, SESSION), &text)
                               : visavis_session_end_reason(any(random, SESSION), &text);
        visavis_string_free(text);
        return got;
    case 0:
        visavis_event_init(&event, sizeof event);
        return visavis_events_next(any(random, EVENTS), &event, timeout);
    case 1:
        visavis_mic_chunk_init(&chunk, sizeof chunk);
        return visavis_microphone_next(any(random, MICROPHONE), &chunk, timeout);
    case 2:
        visavis_message_init(&message, sizeof message);
        return visavis_data_next(any(random, DATA), &message, timeout);
    case 3: return visavis_events_fd(any(random, EVENTS), &fd);
    case 4: return visavis_data_fd(any(random, DATA), &fd);
    case 5:
        visavis_session_status_init(&status, sizeof status);
        return visavis_session_get_status(any(random, SESSION), &status);
    case 6:
        got = visavis_session_get_status_json(any(random, SESSION), &text);
        visavis_string_free(text);
        return got;
    case 7:
        visavis_utterance_progress_init(&progress, sizeof progress);
        return visavis_utterance_get_progress(any(random, UTTERANCE), &progress);
    case 8: return visavis_interrupt(any(random, SESSION), rarely(random) ? NULL : &number);
    case 9: return visavis_utterance_interrupt(any(random, UTTERANCE), &number);
    case 10: return visavis_engine_health(any(random, ENGINE));
    case 11:
        got = visavis_connect(any(random, SESSION), next(random), rarely(random) ? NULL : "v=0\r\n", &number, &text);
        visavis_string_free(text);
        return got;
    case 12: return visavis_add_candidate(any(random, ENGINE), next(random), "candidate:1 1 udp 1 127.0.0.1 9 typ host");
    default: return visavis_data_broadcast(any(random, DATA), NULL, memory, below(random, 70000), 0, NULL);
    }
}

static visavis_status listens(struct random *random) {
    visavis_status got;
    switch (below(random, 4)) {
    case 3: got = visavis_speech_set_callback(any(random, SPEECH), on_speech, &destroyed, release); break;
    case 0: got = visavis_events_set_callback(any(random, EVENTS), on_event, &destroyed, release); break;
    case 1: got = visavis_microphone_set_callback(any(random, MICROPHONE), on_chunk, &destroyed, release); break;
    default: got = visavis_data_set_callback(any(random, DATA), on_message, &destroyed, release); break;
    }
    if (got == VISAVIS_OK) atomic_fetch_add(&registered, 1);
    return got;
}

static visavis_status ends(struct random *random) {
    switch (below(random, 15)) {
    case 14: return visavis_speech_free(any(random, SPEECH));
    /* With it all its sessions end. */
    case 0: return rarely(random) ? visavis_engine_stop(any(random, ENGINE)) : VISAVIS_OK;
    case 1: return rarely(random) ? visavis_engine_free(any(random, ENGINE)) : VISAVIS_OK;
    case 2: return visavis_session_stop(any(random, SESSION));
    case 3: return visavis_session_free(any(random, SESSION));
    case 4: return visavis_server_stop(any(random, SERVER));
    case 5: return visavis_server_free(any(random, SERVER));
    case 6: return visavis_events_free(any(random, EVENTS));
    case 7: return visavis_microphone_free(any(random, MICROPHONE));
    case 8: return visavis_data_free(any(random, DATA));
    case 9: return visavis_utterance_free(any(random, UTTERANCE));
    case 10: return visavis_utterance_end(any(random, UTTERANCE));
    default: return visavis_release_buffers(any(random, SESSION));
    }
}

static visavis_status inits(struct random *random) {
    /* As large as any size that is taken. */
    uint64_t room[512];
    switch (below(random, 4)) {
    case 0: return visavis_engine_config_init((visavis_engine_config *)room, size(random, sizeof(visavis_engine_config)));
    case 1: return visavis_session_config_init((visavis_session_config *)room, size(random, sizeof(visavis_session_config)));
    case 2: return visavis_event_init((visavis_event *)room, size(random, sizeof(visavis_event)));
    default: return visavis_video_frame_init(NULL, size(random, sizeof(visavis_video_frame)));
    }
}

static void *play(void *seed) {
    struct random random = {(uint64_t)(uintptr_t)seed * 0x9e3779b97f4a7c15 + 1};
    while (time(NULL) < end) {
        visavis_status status;
        switch (below(&random, 64)) {
        case 0: status = starts(&random); break;
        case 1: status = ends(&random); break;
        case 2: case 3: case 4: case 5: status = opens(&random); break;
        case 6: status = listens(&random); break;
        case 7: case 8: status = inits(&random); break;
        case 9: status = visavis_session_start(any(&random, SESSION)); break;
        case 10: case 11: case 12: case 13: case 14: case 15: case 16: case 17: case 18: case 19: status = reads(&random); break;
        default: status = pushes(&random); break;
        }
        CHECK(status != VISAVIS_PANIC);
        CHECK(status >= 0 || *visavis_last_error());
        atomic_fetch_add(&calls, 1);
        if (status < 0) atomic_fetch_add(&refused, 1);
    }
    return NULL;
}

int main(int argc, char **argv) {
    int before = descriptors();
    uintptr_t seed = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
    end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 3);
    for (int i = 0; i < SLOTS; i++) {
        char settings[64];
        snprintf(settings, sizeof settings, "udp = \"127.0.0.1:0\"\nid = \"first-%d\"", i);
        if (i < 2) OK(visavis_engine_start_text(settings, (visavis_engine **)&handles[ENGINE][i]));
        OK(visavis_session_create_text(handles[ENGINE][i % 2], settings, (visavis_session **)&handles[SESSION][i]));
        OK(visavis_session_start(handles[SESSION][i]));
    }
    pthread_t players[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) pthread_create(&players[i], NULL, play, (void *)(seed * THREADS + i));
    for (int i = 0; i < THREADS; i++) pthread_join(players[i], NULL);
    for (int kind = KINDS - 1; kind >= 0; kind--)
        for (int i = 0; i < SLOTS; i++) free_it(kind, handles[kind][i]);
    CHECK(threads_left(1) == 1);
    CHECK(descriptors() == before);
    CHECK(atomic_load(&lent) == atomic_load(&given_back));
    CHECK(atomic_load(&registered) == atomic_load(&destroyed));
    printf("%ld calls, %ld refused\n", atomic_load(&calls), atomic_load(&refused));
}
