/* Faults on purpose, as events. */
#include "check.h"

#include <poll.h>

/* An engine in which the next thing of this kind goes wrong, and a reader of its faults. */
static visavis_events *plant(const char *domain, visavis_engine **engine) {
    setenv("VISAVIS_PLANT_FAULT", domain, 1);
    OK(visavis_engine_start_text("udp = \"127.0.0.1:0\"", engine));
    unsetenv("VISAVIS_PLANT_FAULT");
    visavis_events *events;
    uint64_t kinds = 1 << VISAVIS_EVENT_FAULT | 1 << VISAVIS_EVENT_ENGINE_FAILED;
    OK(visavis_events_open(*engine, NULL, kinds, &events));
    return events;
}

static void expect(visavis_events *events, visavis_event_kind kind, const char *domain, const char *text) {
    struct pollfd readable = {.events = POLLIN};
    OK(visavis_events_fd(events, &readable.fd));
    CHECK(poll(&readable, 1, 20000) == 1);
    visavis_event event;
    OK(visavis_event_init(&event, sizeof event));
    OK(visavis_events_next(events, &event, 0));
    CHECK(event.kind == (uint32_t)kind && event.session == NULL);
    CHECK(!strcmp(event.domain, domain) && strstr(event.text, text));
    EXPECT(VISAVIS_TIMEOUT, visavis_events_next(events, &event, 0));
}

int main(void) {
    visavis_engine *engine;
    visavis_session *session;
    visavis_events *events = plant("encoder", &engine), *late;
    OK(visavis_session_create(engine, NULL, &session));
    expect(events, VISAVIS_EVENT_FAULT, "encoder", "default: a fault on purpose");
    OK(visavis_engine_health(engine));
    OK(visavis_session_free(session));
    OK(visavis_events_free(events));
    OK(visavis_engine_free(engine));

    events = plant("audio-loop", &engine);
    expect(events, VISAVIS_EVENT_ENGINE_FAILED, "audio-loop", "the audio-loop has ended by a fault");
    SAYS(VISAVIS_ENGINE_STOPPED, "a fault on purpose", visavis_engine_health(engine));
    OK(visavis_events_open(engine, NULL, 0, &late));
    expect(late, VISAVIS_EVENT_ENGINE_FAILED, "audio-loop", "the audio-loop has ended by a fault");
    OK(visavis_engine_stop(engine));
    visavis_event event;
    OK(visavis_event_init(&event, sizeof event));
    EXPECT(VISAVIS_END, visavis_events_next(late, &event, -1));
    EXPECT(VISAVIS_END, visavis_events_next(events, &event, -1));
    OK(visavis_events_free(late));
    OK(visavis_events_free(events));
    OK(visavis_engine_free(engine));
    puts("done");
}
