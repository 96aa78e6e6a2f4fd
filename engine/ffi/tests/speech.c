/* Speech that is uploaded: read piece by piece, not at all, by a callback, and by nobody. */
#include "check.h"

#include <poll.h>
#include <stdatomic.h>
#include <unistd.h>

enum { SAMPLES = 8000 };
static uint8_t pixels[64 * 64 * 4];
static atomic_int called, ended, destroyed;

static void say(const char *line) {
    puts(line);
    fflush(stdout);
}

static visavis_status push_picture(visavis_utterance *utterance, int64_t timestamp_ms) {
    visavis_video_frame frame;
    OK(visavis_video_frame_init(&frame, sizeof frame));
    frame.data = pixels, frame.len = sizeof pixels, frame.width = frame.height = 64;
    frame.timestamp_ms = timestamp_ms;
    return visavis_utterance_push_video(utterance, &frame, 0);
}

/* A picture for each piece, and one more at the end. */
static void polled(visavis_speech *speech) {
    struct pollfd readable = {.events = POLLIN};
    OK(visavis_speech_fd(speech, &readable.fd));
    visavis_speech_chunk chunk;
    visavis_utterance *utterance;
    OK(visavis_speech_chunk_init(&chunk, sizeof chunk));
    EXPECT(VISAVIS_TIMEOUT, visavis_speech_next(speech, &chunk, &utterance, 0));
    CHECK(utterance == NULL && poll(&readable, 1, 0) == 0);
    say("polled");
    size_t heard = 0;
    do {
        CHECK(poll(&readable, 1, 20000) == 1);
        OK(visavis_speech_next(speech, &chunk, &utterance, 0));
        CHECK(!strcmp(chunk.session, "default") && chunk.utterance == 1);
        uint64_t id;
        OK(visavis_utterance_id(utterance, &id));
        CHECK(id == chunk.utterance);
        if (!chunk.is_end) {
            CHECK(chunk.sample_rate == 16000 && chunk.channels == 1 && chunk.count > 0);
            CHECK(chunk.at_us == heard * 1000000 / 16000);
            for (size_t i = 0; i < chunk.count; i++) CHECK(chunk.samples[i] == 0);
            heard += chunk.count;
        } else {
            CHECK(chunk.count == 0);
        }
        OK(push_picture(utterance, (int64_t)(heard / 16)));
        OK(visavis_utterance_free(utterance));
    } while (!chunk.is_end);
    CHECK(heard == SAMPLES);
    CHECK(poll(&readable, 1, 0) == 0);
}

/* The upload is played all the same, and what is read after that is late. */
static void unread(visavis_engine *engine, visavis_speech *speech) {
    visavis_events *events;
    visavis_event event;
    OK(visavis_events_open(engine, NULL, 1 << VISAVIS_EVENT_UTTERANCE_ENDED, &events));
    OK(visavis_event_init(&event, sizeof event));
    say("unread");
    do OK(visavis_events_next(events, &event, 20000));
    while (event.utterance != 2);
    OK(visavis_events_free(events));
    visavis_speech_chunk chunk;
    visavis_utterance *utterance;
    OK(visavis_speech_chunk_init(&chunk, sizeof chunk));
    OK(visavis_speech_next(speech, &chunk, &utterance, 0));
    CHECK(chunk.utterance == 2 && chunk.count > 0);
    SAYS(VISAVIS_INVALID_ARGUMENT, "was ended", push_picture(utterance, 0));
    OK(visavis_utterance_free(utterance));
    /* Whoever wants no pictures asks for no utterance. */
    while (!chunk.is_end) OK(visavis_speech_next(speech, &chunk, NULL, 0));
    uint64_t dropped = 1;
    OK(visavis_speech_dropped(speech, &dropped));
    CHECK(dropped == 0);
}

static void on_chunk(void *user, const visavis_speech_chunk *chunk, visavis_utterance *utterance) {
    CHECK(user == &destroyed && chunk->utterance == 3);
    atomic_fetch_add(&called, (int)chunk->count);
    OK(push_picture(utterance, (int64_t)(chunk->at_us / 1000)));
    OK(visavis_utterance_free(utterance));
    if (chunk->is_end) atomic_fetch_add(&ended, 1);
}

static void destroy(void *user) { atomic_fetch_add((atomic_int *)user, 1); }

static void wait_for(atomic_int *count) {
    for (int i = 0; i < 1000 && atomic_load(count) == 0; i++) usleep(10000);
    CHECK(atomic_load(count) == 1);
}

static void by_callback(visavis_speech *speech) {
    SAYS(VISAVIS_INVALID_ARGUMENT, "callback is NULL", visavis_speech_set_callback(speech, NULL, NULL, NULL));
    OK(visavis_speech_set_callback(speech, on_chunk, &destroyed, destroy));
    say("called");
    wait_for(&ended);
    CHECK(atomic_load(&called) == SAMPLES);
}

static void nobody(visavis_engine *engine, visavis_server *server) {
    visavis_events *events;
    visavis_event event;
    OK(visavis_events_open(engine, NULL, 1 << VISAVIS_EVENT_UTTERANCE_ENDED, &events));
    OK(visavis_event_init(&event, sizeof event));
    say("nobody");
    do OK(visavis_events_next(events, &event, 20000));
    while (event.utterance != 4);
    OK(visavis_events_free(events));
    visavis_speech *late;
    visavis_speech_chunk chunk;
    OK(visavis_speech_open(server, &late));
    OK(visavis_speech_chunk_init(&chunk, sizeof chunk));
    EXPECT(VISAVIS_TIMEOUT, visavis_speech_next(late, &chunk, NULL, 0));
    /* A session tells that the upload was answered. */
    visavis_session *guest;
    OK(visavis_server_accept(server, 20000, &guest));
    OK(visavis_session_free(guest));
    OK(visavis_server_stop(server));
    EXPECT(VISAVIS_END, visavis_speech_next(late, &chunk, NULL, -1));
    OK(visavis_speech_free(late));
    OK(visavis_speech_free(NULL));
}

int main(int argc, char **argv) {
    CHECK(argc == 2);
    visavis_engine *engine;
    visavis_session *session;
    visavis_server *server;
    visavis_speech *speech;
    OK(visavis_engine_start_text(argv[1], &engine));
    OK(visavis_session_create_text(engine, argv[1], &session));
    OK(visavis_session_start(session));
    char *text = (char *)pixels;
    OK(visavis_session_metadata(session, &text));
    CHECK(text == NULL);
    OK(visavis_server_start_text(engine, argv[1], &server));
    OK(visavis_server_url(server, &text));
    say(text);
    visavis_string_free(text);
    SAYS(VISAVIS_INVALID_HANDLE, "the server is NULL", visavis_speech_open(NULL, &speech));
    OK(visavis_speech_open(server, &speech));
    polled(speech);
    unread(engine, speech);
    by_callback(speech);
    OK(visavis_speech_free(speech));
    wait_for(&destroyed);
    nobody(engine, server);
    OK(visavis_server_free(server));
    OK(visavis_session_free(session));
    OK(visavis_engine_free(engine));
    puts("done");
}
