/* Loads the library, lives a whole life with it, and unloads it, many times: arguments LIBRARY TIMES. With another
 * copy of the library as a third argument both are there at the same time. */
#include "process.h"

#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <visavis.h>

#define FAIL(...) (fprintf(stderr, __VA_ARGS__), fputc('\n', stderr), exit(1))

/* A function of the library that was loaded. */
#define CALL(name, ...)                                                                               \
    do {                                                                                              \
        __typeof__(&name) call_;                                                                      \
        *(void **)&call_ = dlsym(library, #name);                                                     \
        if (!call_) FAIL("no %s", #name);                                                             \
        if (call_(__VA_ARGS__) != VISAVIS_OK) FAIL("%s failed", #name);                               \
    } while (0)

static uint8_t pixels[64 * 64 * 4];

static void on_event(void *user, const visavis_event *event) { (void)user, (void)event; }

static void live(void *library) {
    const char *settings = "udp = \"127.0.0.1:0\"\nlisten = \"127.0.0.1:0\"";
    visavis_engine *engine;
    visavis_session *session;
    visavis_server *server;
    visavis_events *events, *called;
    visavis_microphone *microphone;
    visavis_video_frame frame;
    int32_t fd;
    CALL(visavis_engine_start_text, settings, &engine);
    CALL(visavis_session_create_text, engine, settings, &session);
    CALL(visavis_server_start_text, engine, settings, &server);
    CALL(visavis_events_open, engine, NULL, 0, &events);
    CALL(visavis_events_open, engine, NULL, 0, &called);
    CALL(visavis_events_set_callback, called, on_event, NULL, NULL);
    CALL(visavis_events_fd, events, &fd);
    CALL(visavis_microphone_open, session, &microphone);
    CALL(visavis_session_start, session);
    CALL(visavis_video_frame_init, &frame, sizeof frame);
    frame.data = pixels, frame.len = sizeof pixels, frame.width = 64, frame.height = 64;
    for (int i = 0; i < 3; i++) CALL(visavis_push_video, session, &frame);
    CALL(visavis_microphone_free, microphone);
    CALL(visavis_events_free, events);
    CALL(visavis_events_free, called);
    CALL(visavis_server_free, server);
    CALL(visavis_session_free, session);
    CALL(visavis_engine_free, engine);
}

static void *live_often(void *library) {
    for (int i = 0; i < 20; i++) live(library);
    return NULL;
}

/* Two copies, which know nothing of each other, side by side. */
static void live_side_by_side(const char *one, const char *other) {
    void *libraries[] = {dlopen(one, RTLD_NOW | RTLD_LOCAL), dlopen(other, RTLD_NOW | RTLD_LOCAL)};
    if (!libraries[0] || !libraries[1] || libraries[0] == libraries[1]) FAIL("no two libraries");
    pthread_t thread;
    pthread_create(&thread, NULL, live_often, libraries[0]);
    live_often(libraries[1]);
    pthread_join(thread, NULL);
    if (threads_left(1) != 1) FAIL("%d threads are left", threads());
}

int main(int argc, char **argv) {
    if (argc == 4) {
        live_side_by_side(argv[1], argv[3]);
        return 0;
    }
    if (argc != 3) return 2;
    int times = atoi(argv[2]), before = descriptors();
    long settled = 0;
    /* What is kept for other threads would count as memory that is left. */
    mallopt(M_ARENA_MAX, 1);
    for (int i = 0; i < times; i++) {
        void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        if (!library) FAIL("%s", dlerror());
        live(library);
        if (dlclose(library)) FAIL("%s", dlerror());
        /* The first lives fill what is kept for the next. */
        if (i == times / 4) malloc_trim(0), settled = resident_kib();
    }
    if (threads_left(1) != 1) FAIL("%d threads are left", threads());
    if (descriptors() != before) FAIL("%d descriptors, and %d before", descriptors(), before);
    malloc_trim(0);
    long grown = resident_kib() - settled;
    printf("%d times, %ld KiB more since the first quarter\n", times, grown);
    if (grown > 4096) FAIL("%ld KiB more", grown);
}
