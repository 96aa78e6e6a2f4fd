/* Readers, callbacks, utterances, lent buffers and the log, without a viewer. */
#include "check.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

static const char *LOCAL = "udp = \"127.0.0.1:0\"";
static uint8_t pixels[64 * 64 * 4];
static int16_t silence[2400];

/* Counts what a callback and its destructor did. */
struct counts {
    atomic_int called, destroyed;
    visavis_events *free_these;
};

static void wait_for(atomic_int *count, int wanted) {
    for (int i = 0; i < 500 && atomic_load(count) < wanted; i++) usleep(10000);
    CHECK(atomic_load(count) == wanted);
}

static void destroy(void *user) { atomic_fetch_add(&((struct counts *)user)->destroyed, 1); }

static void on_event(void *user, const visavis_event *event) {
    struct counts *counts = user;
    CHECK(event->kind == VISAVIS_EVENT_LIVE_STARTED && !strcmp(event->session, "default"));
    /* What a callback is called for may be freed in it. */
    OK(visavis_events_free(counts->free_these));
    atomic_fetch_add(&counts->called, 1);
}

static void on_chunk(void *user, const visavis_mic_chunk *chunk) { (void)user, (void)chunk; }

static void on_line(void *user, uint32_t level, const char *target, const char *message) {
    CHECK(level >= VISAVIS_LOG_ERROR && level <= VISAVIS_LOG_DEBUG && *target && *message);
    atomic_fetch_add(&((struct counts *)user)->called, 1);
}

static visavis_video_frame frame_at(int64_t timestamp_ms) {
    visavis_video_frame frame;
    OK(visavis_video_frame_init(&frame, sizeof frame));
    frame.data = pixels;
    frame.len = sizeof pixels;
    frame.width = frame.height = 64;
    frame.timestamp_ms = timestamp_ms;
    return frame;
}

static void *free_soon(void *events) {
    usleep(100000);
    OK(visavis_events_free(events));
    return NULL;
}

static void events(visavis_engine *engine, visavis_session *session) {
    visavis_events *waiting, *called, *polled;
    visavis_event event;
    OK(visavis_events_open(engine, NULL, 1 << VISAVIS_EVENT_PEER_JOINED, &waiting));
    OK(visavis_events_open(engine, session, 1 << VISAVIS_EVENT_LIVE_STARTED, &called));
    OK(visavis_events_open(engine, session, 0, &polled));
    SAYS(VISAVIS_INVALID_ARGUMENT, "call visavis_event_init first",
         (memset(&event, 0, sizeof event), visavis_events_next(polled, &event, 0)));
    OK(visavis_event_init(&event, sizeof event));
    EXPECT(VISAVIS_TIMEOUT, visavis_events_next(polled, &event, 0));
    EXPECT(VISAVIS_TIMEOUT, visavis_events_next(polled, &event, 20));
    static struct counts counts;
    counts.free_these = called;
    SAYS(VISAVIS_INVALID_ARGUMENT, "callback is NULL", visavis_events_set_callback(called, NULL, &counts, destroy));
    OK(visavis_events_set_callback(called, on_event, &counts, destroy));
    SAYS(VISAVIS_INVALID_ARGUMENT, "has a callback already",
         visavis_events_set_callback(called, on_event, &counts, destroy));
    SAYS(VISAVIS_INVALID_ARGUMENT, "which gets what comes", visavis_events_next(called, &event, 0));
    struct pollfd readable = {.events = POLLIN};
    OK(visavis_events_fd(polled, &readable.fd));
    CHECK(poll(&readable, 1, 0) == 0);

    visavis_video_frame frame = frame_at(VISAVIS_NOW);
    OK(visavis_push_video(session, &frame));
    CHECK(poll(&readable, 1, 5000) == 1);
    OK(visavis_events_next(polled, &event, -1));
    CHECK(event.kind == VISAVIS_EVENT_LIVE_STARTED && !strcmp(event.session, "default") && event.text == NULL);
    wait_for(&counts.called, 1);
    wait_for(&counts.destroyed, 1);
    EXPECT(VISAVIS_INVALID_HANDLE, visavis_events_free(called));

    /* Whoever waits is told when the reader is freed. */
    pthread_t other;
    pthread_create(&other, NULL, free_soon, waiting);
    EXPECT(VISAVIS_END, visavis_events_next(waiting, &event, -1));
    pthread_join(other, NULL);
    uint64_t dropped = 1;
    OK(visavis_events_dropped(polled, &dropped));
    CHECK(dropped == 0);
    OK(visavis_events_free(polled));
    OK(visavis_events_free(NULL));
}

static void utterances(visavis_engine *engine, visavis_session *session) {
    visavis_events *events;
    visavis_event event;
    OK(visavis_event_init(&event, sizeof event));
    uint64_t kinds = 1 << VISAVIS_EVENT_UTTERANCE_STARTED | 1 << VISAVIS_EVENT_UTTERANCE_ENDED |
                     1 << VISAVIS_EVENT_INTERRUPTED;
    OK(visavis_events_open(engine, session, kinds, &events));
    visavis_utterance *said, *cut;
    SAYS(VISAVIS_INVALID_ARGUMENT, "invalid zero_ms -1", visavis_utterance_begin(session, -1, &said));
    OK(visavis_utterance_begin(session, 0, &said));
    uint64_t id;
    OK(visavis_utterance_id(said, &id));
    CHECK(id >= 1);
    visavis_audio_chunk chunk;
    OK(visavis_audio_chunk_init(&chunk, sizeof chunk));
    chunk.data = silence;
    chunk.len = sizeof silence;
    chunk.sample_rate = 24000;
    SAYS(VISAVIS_INVALID_ARGUMENT, "in an utterance", visavis_utterance_push_audio(said, &chunk, 0));
    chunk.timestamp_ms = 0;
    OK(visavis_utterance_push_audio(said, &chunk, 0));
    visavis_video_frame frame = frame_at(50);
    OK(visavis_utterance_push_video(said, &frame, 100));
    SAYS(VISAVIS_INVALID_MEDIA, "", visavis_utterance_push_mp3(said, "no mp3", 6, 0));
    OK(visavis_utterance_end(said));
    OK(visavis_utterance_end(said));
    SAYS(VISAVIS_INVALID_ARGUMENT, "was ended", visavis_utterance_push_audio(said, &chunk, 0));
    SAYS(VISAVIS_INVALID_ARGUMENT, "was ended", visavis_utterance_interrupt(said, NULL));
    OK(visavis_events_next(events, &event, 5000));
    CHECK(event.kind == VISAVIS_EVENT_UTTERANCE_STARTED && event.utterance == id);
    OK(visavis_events_next(events, &event, 5000));
    CHECK(event.kind == VISAVIS_EVENT_UTTERANCE_ENDED && event.utterance == id && event.sent_us == 100000);
    visavis_utterance_progress progress;
    OK(visavis_utterance_progress_init(&progress, sizeof progress));
    OK(visavis_utterance_get_progress(said, &progress));
    CHECK(progress.over && !progress.interrupted && progress.sent_us == 100000);
    OK(visavis_utterance_free(said));

    OK(visavis_utterance_begin(session, 0, &cut));
    for (int i = 0; i < 20; i++) {
        chunk.timestamp_ms = 100 * i;
        OK(visavis_utterance_push_audio(cut, &chunk, 0));
    }
    OK(visavis_events_next(events, &event, 5000));
    usleep(100000);
    uint64_t sent;
    OK(visavis_utterance_interrupt(cut, &sent));
    CHECK(sent < 2000000);
    EXPECT(VISAVIS_DROPPED, visavis_utterance_push_audio(cut, &chunk, 0));
    OK(visavis_events_next(events, &event, 5000));
    CHECK(event.kind == VISAVIS_EVENT_INTERRUPTED && event.utterance == id + 1);
    OK(visavis_utterance_get_progress(cut, &progress));
    CHECK(progress.over && progress.interrupted);
    OK(visavis_utterance_free(cut));
    OK(visavis_utterance_free(NULL));
    OK(visavis_events_free(events));
}

static void lent_buffers(visavis_session *session) {
    static struct counts counts;
    visavis_video_frame frame = frame_at(VISAVIS_NOW);
    for (int i = 0; i < 20; i++) OK(visavis_push_video_buffer(session, &frame, destroy, &counts));
    /* One waits at most, and one is with the encoder. */
    OK(visavis_release_buffers(session));
    CHECK(atomic_load(&counts.destroyed) >= 18);
    frame.len = 1;
    SAYS(VISAVIS_INVALID_MEDIA, "invalid length", visavis_push_video_buffer(session, &frame, destroy, &counts));
    EXPECT(VISAVIS_INVALID_HANDLE, visavis_push_video_buffer(NULL, &frame, destroy, &counts));
    CHECK(atomic_load(&counts.destroyed) >= 20);
    OK(visavis_session_stop(session));
    CHECK(atomic_load(&counts.destroyed) == 22);
}

static void encoded(visavis_engine *engine) {
    visavis_session *session;
    OK(visavis_session_create_text(engine, "id = \"encoded\"\nencoded = \"VP8\"", &session));
    OK(visavis_session_start(session));
    visavis_encoded_frame frame;
    OK(visavis_encoded_frame_init(&frame, sizeof frame));
    uint8_t vp8[] = {0x50, 0x00, 0x00, 0x9d, 0x01, 0x2a, 0x40, 0x00, 0x40, 0x00, 0x00, 0x00};
    frame.data = vp8;
    frame.len = sizeof vp8;
    SAYS(VISAVIS_WRONG_SESSION, "H264 pushed into a session of VP8", visavis_push_encoded_video(session, &frame));
    frame.codec = VISAVIS_VP8;
    OK(visavis_push_encoded_video(session, &frame));
    frame.codec = 9;
    SAYS(VISAVIS_INVALID_ARGUMENT, "invalid codec 9", visavis_push_encoded_video(session, &frame));
    frame.codec = VISAVIS_VP8;
    frame.keyframe = 2;
    SAYS(VISAVIS_INVALID_ARGUMENT, "invalid keyframe 2", visavis_push_encoded_video(session, &frame));
    uint32_t wanted;
    OK(visavis_take_keyframe_request(session, &wanted));
    OK(visavis_wanted_bitrate(session, &wanted));
    CHECK(wanted == 1500);
    uint8_t opus[] = {0xf8, 0xff, 0xfe};
    OK(visavis_push_opus(session, opus, sizeof opus, VISAVIS_NOW));
    SAYS(VISAVIS_INVALID_MEDIA, "", visavis_push_opus(session, opus, 0, VISAVIS_NOW));
    SAYS(VISAVIS_INVALID_MEDIA, "", visavis_push_mp3(session, opus, sizeof opus, VISAVIS_NOW));
    visavis_video_frame raw = frame_at(VISAVIS_NOW);
    SAYS(VISAVIS_WRONG_SESSION, "takes encoded video", visavis_push_video(session, &raw));
    visavis_cuda_frame cuda;
    OK(visavis_cuda_frame_init(&cuda, sizeof cuda));
    SAYS(VISAVIS_UNSUPPORTED, "no encoder that reads CUDA memory", visavis_push_video_cuda(session, &cuda));
    OK(visavis_session_free(session));
}

static void viewers(visavis_engine *engine, visavis_session *session) {
    uint64_t peer;
    char *answer;
    OK(visavis_new_peer_id(engine, &peer));
    SAYS(VISAVIS_OFFER_REFUSED, "the offer cannot be used", visavis_connect(session, peer, "v=0", &peer, &answer));
    CHECK(answer == NULL);
    SAYS(VISAVIS_INVALID_ARGUMENT, "offer is NULL", visavis_connect(session, 0, NULL, &peer, &answer));
    EXPECT(VISAVIS_OFFER_REFUSED, visavis_renegotiate(engine, peer, "v=0", 100, &answer));
    EXPECT(VISAVIS_OFFER_REFUSED, visavis_add_candidate(engine, peer, "no candidate"));
    OK(visavis_add_candidate(engine, peer, ""));
    OK(visavis_disconnect(engine, peer));
    visavis_data *data;
    OK(visavis_data_open(session, &data));
    size_t accepted = 1;
    OK(visavis_data_broadcast(data, NULL, "hi", 2, 1, &accepted));
    CHECK(accepted == 0);
    SAYS(VISAVIS_NOT_FOUND, "has no viewer", visavis_data_send(data, peer, NULL, "hi", 2, 1));
    SAYS(VISAVIS_NOT_FOUND, "has no viewer", visavis_data_waiting_bytes(data, peer, &accepted));
    SAYS(VISAVIS_INVALID_ARGUMENT, "no UTF-8", visavis_data_send(data, peer, NULL, "\xff", 1, 1));
    SAYS(VISAVIS_INVALID_MEDIA, "an empty message", visavis_data_broadcast(data, NULL, NULL, 0, 0, NULL));
    visavis_message message;
    OK(visavis_message_init(&message, sizeof message));
    EXPECT(VISAVIS_TIMEOUT, visavis_data_next(data, &message, 0));
    OK(visavis_data_free(data));
}

int main(void) {
    static struct counts log, voices;
    SAYS(VISAVIS_INVALID_ARGUMENT, "invalid level 6", visavis_log_set_callback(6, on_line, &log, destroy));
    OK(visavis_log_set_callback(VISAVIS_LOG_DEBUG, on_line, &log, destroy));
    visavis_engine *engine;
    visavis_session *session;
    OK(visavis_engine_start_text(LOCAL, &engine));
    OK(visavis_session_create(engine, NULL, &session));
    OK(visavis_session_start(session));
    visavis_microphone *microphone;
    OK(visavis_microphone_open(session, &microphone));
    visavis_mic_chunk chunk;
    OK(visavis_mic_chunk_init(&chunk, sizeof chunk));
    EXPECT(VISAVIS_TIMEOUT, visavis_microphone_next(microphone, &chunk, 1));
    OK(visavis_microphone_set_callback(microphone, on_chunk, &voices, destroy));
    events(engine, session);
    utterances(engine, session);
    viewers(engine, session);
    encoded(engine);
    lent_buffers(session);
    OK(visavis_session_free(session));
    /* The session has ended, and with it what was read from it. */
    wait_for(&voices.destroyed, 1);
    OK(visavis_microphone_free(microphone));
    OK(visavis_engine_free(engine));
    CHECK(atomic_load(&log.called) > 0);
    OK(visavis_log_set_callback(VISAVIS_LOG_OFF, NULL, NULL, NULL));
    wait_for(&log.destroyed, 1);
    puts("done");
}
