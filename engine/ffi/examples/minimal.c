/* Serves a moving picture and a tone: open the address that it prints in a browser. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <visavis.h>

static uint8_t pixels[256 * 256 * 4];
static int16_t tone[48000 / 25];

int main(int argc, char **argv) {
    visavis_engine *engine;
    visavis_session *session;
    visavis_server *server;
    char *url;
    const char *settings = argc > 1 ? argv[1] : "fps = 25";
    if (visavis_engine_start_text(settings, &engine) || visavis_session_create_text(engine, settings, &session) ||
        visavis_server_start_text(engine, settings, &server) || visavis_server_url(server, &url)) {
        fprintf(stderr, "%s\n", visavis_last_error());
        return 1;
    }
    printf("%s\n", url), fflush(stdout);
    visavis_string_free(url);
    visavis_session_start(session);
    visavis_video_frame frame;
    visavis_video_frame_init(&frame, sizeof frame);
    frame.data = pixels, frame.len = sizeof pixels, frame.width = 256, frame.height = 256;
    visavis_audio_chunk chunk;
    visavis_audio_chunk_init(&chunk, sizeof chunk);
    chunk.data = tone, chunk.len = sizeof tone, chunk.sample_rate = 48000;
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (unsigned n = 0;; n++) {
        for (unsigned i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)((i >> 2) + 4 * n); /* stripes that move */
        for (int i = 0; i < 1920; i++) tone[i] = (int16_t)(200 * (abs(i % 120 - 60) - 30));           /* 400 Hz */
        if (visavis_push_video(session, &frame) < 0 || visavis_push_audio(session, &chunk) < 0) break;
        next.tv_nsec += 40000000, next.tv_sec += next.tv_nsec / 1000000000, next.tv_nsec %= 1000000000;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
    return fprintf(stderr, "%s\n", visavis_last_error());
}
