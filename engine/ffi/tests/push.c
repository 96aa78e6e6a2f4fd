/* How long a push of 512x512 RGBA takes: copied, drawn in place (without the drawing), and lent; one after the
 * other, and every two milliseconds, when caches are cold and the encoder's thread sleeps. Prints microseconds. */
#include "check.h"

#include <time.h>

enum { PUSHES = 1000, LEN = 512 * 512 * 4 };

static double times[PUSHES];

static double now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int paced;

static void report(const char *what) {
    qsort(times, PUSHES, sizeof *times, by_size);
    printf("%-8s %s p50 %6.2f µs, p99 %6.2f µs\n", what, paced ? "every 2 ms:       " : "one after another:", times[PUSHES / 2], times[PUSHES * 99 / 100]);
}

static void pause_a_moment(void) {
    if (paced) nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

static void measure(visavis_session *session, const visavis_video_frame *frame) {
    for (int i = 0; i < PUSHES; i++, pause_a_moment()) {
        double began = now_us();
        OK(visavis_push_video(session, frame));
        times[i] = now_us() - began;
    }
    report("copied");
    for (int i = 0; i < PUSHES; i++, pause_a_moment()) {
        visavis_frame *slot;
        uint8_t *data;
        size_t len;
        double began = now_us();
        OK(visavis_frame_acquire(session, 512, 512, VISAVIS_RGBA, &slot, &data, &len));
        double acquired = now_us();
        data[0] = (uint8_t)i;
        double drawn = now_us();
        OK(visavis_frame_push(slot, VISAVIS_NOW));
        times[i] = now_us() - drawn + acquired - began;
    }
    report("in place");
    for (int i = 0; i < PUSHES; i++, pause_a_moment()) {
        double began = now_us();
        OK(visavis_push_video_buffer(session, frame, NULL, NULL));
        times[i] = now_us() - began;
    }
    report("lent");
}

int main(void) {
    visavis_engine *engine;
    visavis_session *session;
    OK(visavis_engine_start_text("udp = \"127.0.0.1:0\"", &engine));
    OK(visavis_session_create(engine, NULL, &session));
    OK(visavis_session_start(session));
    uint8_t *pixels = malloc(LEN);
    memset(pixels, 7, LEN);
    visavis_video_frame frame;
    OK(visavis_video_frame_init(&frame, sizeof frame));
    frame.data = pixels, frame.len = LEN, frame.width = frame.height = 512;
    for (paced = 0; paced < 2; paced++) measure(session, &frame);
    OK(visavis_session_free(session));
    OK(visavis_engine_free(engine));
    free(pixels);
}
