/* A renderer: draws each picture into memory that the engine lends, so that nothing is copied, and serves the page. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <visavis.h>

#define WIDTH 512
#define HEIGHT 512
#define FPS 30

static void draw(uint8_t *pixels, unsigned n) {
    for (unsigned y = 0; y < HEIGHT; y++)
        for (unsigned x = 0; x < WIDTH; x++, pixels += 4) {
            pixels[0] = (uint8_t)(x + 2 * n);
            pixels[1] = (uint8_t)(y + n);
            pixels[2] = (uint8_t)(x ^ y);
            pixels[3] = 255;
        }
}

static void fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, visavis_last_error());
    exit(1);
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        puts("Draws pictures in place.\n\nArguments: SECONDS [SETTINGS]");
        return 2;
    }
    unsigned pictures = (unsigned)atoi(argv[1]) * FPS;
    visavis_engine *engine;
    visavis_session *session;
    visavis_server *server;
    const char *settings = argc > 2 ? argv[2] : "";
    if (visavis_engine_start_text(settings, &engine) < 0) fail("engine");
    if (visavis_session_create_text(engine, settings, &session) < 0) fail("session");
    if (visavis_server_start_text(engine, settings, &server) < 0) fail("server");
    char *url;
    if (visavis_server_url(server, &url) < 0) fail("url");
    printf("%s\n", url);
    fflush(stdout);
    visavis_string_free(url);
    visavis_session_start(session);

    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (unsigned n = 0; n < pictures; n++) {
        visavis_frame *frame;
        uint8_t *pixels;
        size_t len;
        visavis_status lent = visavis_frame_acquire(session, WIDTH, HEIGHT, VISAVIS_RGBA, &frame, &pixels, &len);
        if (lent < 0) fail("frame");
        if (lent == VISAVIS_OK) { /* else all memory is in use, and newer pictures are on their way */
            int64_t rendered = now_ms();
            draw(pixels, n);
            if (visavis_frame_push(frame, rendered) < 0) fail("push");
        }
        next.tv_nsec += 1000000000 / FPS;
        next.tv_sec += next.tv_nsec / 1000000000;
        next.tv_nsec %= 1000000000;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }

    visavis_session_status status;
    visavis_session_status_init(&status, sizeof status);
    if (visavis_session_get_status(session, &status) < 0) fail("status");
    printf("%" PRIu64 " pictures were pushed\n", status.video_frames);
    visavis_server_free(server);
    visavis_session_free(session);
    visavis_engine_free(engine);
    return 0;
}
