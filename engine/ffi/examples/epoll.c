/* Everything in one loop on one thread: offers over TCP, events, microphones, messages, and a clock for the pictures. What
 * a viewer writes is written back to it. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <visavis.h>

static uint8_t pixels[128 * 128 * 4];

static void must(visavis_status status) {
    if (status < 0) {
        fprintf(stderr, "%s\n", visavis_last_error());
        exit(1);
    }
}

static int listening(void) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, len) || listen(listener, 16) ||
        getsockname(listener, (struct sockaddr *)&address, &len)) {
        perror("listen");
        exit(1);
    }
    printf("127.0.0.1:%d\n", ntohs(address.sin_port));
    return listener;
}

/* A client sends its offer, closes its sending half, and gets the answer. */
static void answer(int listener, visavis_session *session) {
    static char offer[65536];
    int client = accept(listener, NULL, NULL);
    struct timeval patience = {.tv_sec = 1};
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    size_t len = 0;
    ssize_t got;
    while ((got = read(client, offer + len, sizeof offer - 1 - len)) > 0) len += (size_t)got;
    offer[len] = 0;
    uint64_t peer;
    char *sdp;
    if (visavis_connect(session, 0, offer, &peer, &sdp) == VISAVIS_OK) {
        if (write(client, sdp, strlen(sdp)) < 0) perror("write");
        visavis_string_free(sdp);
    } else {
        fprintf(stderr, "%s\n", visavis_last_error());
    }
    close(client);
}

static void print(const visavis_event *event) {
    switch (event->kind) {
    case VISAVIS_EVENT_PEER_JOINED: printf("joined: %s\n", event->text); break;
    case VISAVIS_EVENT_PEER_LEFT: printf("left: %s\n", event->text); break;
    case VISAVIS_EVENT_LIVE_STARTED: printf("live\n"); break;
    case VISAVIS_EVENT_DATA_CHANNEL_OPENED: printf("channel: %s\n", event->text); break;
    default: break;
    }
}

static void render(visavis_session *session) {
    static unsigned n;
    memset(pixels, (int)(n++ & 255), sizeof pixels);
    visavis_video_frame frame;
    must(visavis_video_frame_init(&frame, sizeof frame));
    frame.data = pixels, frame.len = sizeof pixels, frame.width = 128, frame.height = 128;
    must(visavis_push_video(session, &frame));
}

int main(void) {
    visavis_engine *engine;
    visavis_session *session;
    visavis_events *events;
    visavis_microphone *microphone;
    visavis_data *data;
    must(visavis_engine_start_text("udp = \"127.0.0.1:0\"", &engine));
    must(visavis_session_create(engine, NULL, &session));
    must(visavis_events_open(engine, session, 0, &events));
    must(visavis_microphone_open(session, &microphone));
    must(visavis_data_open(session, &data));
    must(visavis_session_start(session));

    enum { OFFERS, EVENTS, VOICES, MESSAGES, CLOCK, SOURCES };
    int fds[SOURCES] = {listening(), -1, -1, -1, timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)};
    must(visavis_events_fd(events, &fds[EVENTS]));
    must(visavis_microphone_fd(microphone, &fds[VOICES]));
    must(visavis_data_fd(data, &fds[MESSAGES]));
    struct itimerspec tick = {.it_interval.tv_nsec = 40000000, .it_value.tv_nsec = 1};
    timerfd_settime(fds[CLOCK], 0, &tick, NULL);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (unsigned i = 0; i < SOURCES; i++) {
        struct epoll_event interest = {.events = EPOLLIN, .data.u32 = i};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &interest);
    }
    fflush(stdout);

    visavis_event event;
    visavis_mic_chunk chunk;
    visavis_message message;
    must(visavis_event_init(&event, sizeof event));
    must(visavis_mic_chunk_init(&chunk, sizeof chunk));
    must(visavis_message_init(&message, sizeof message));
    uint64_t heard = 0, ticks;
    for (;;) {
        struct epoll_event ready;
        if (epoll_wait(epoll, &ready, 1, -1) < 1) continue;
        switch (ready.data.u32) {
        case OFFERS: answer(fds[OFFERS], session); break;
        case EVENTS:
            while (visavis_events_next(events, &event, 0) == VISAVIS_OK) print(&event);
            break;
        case VOICES:
            while (visavis_microphone_next(microphone, &chunk, 0) == VISAVIS_OK) {
                if (heard < chunk.sample_rate && (heard += chunk.count) >= chunk.sample_rate) puts("heard: a second");
            }
            break;
        case MESSAGES:
            while (visavis_data_next(data, &message, 0) == VISAVIS_OK) {
                printf("said: %.*s\n", (int)message.len, (const char *)message.data);
                must(visavis_data_send(data, message.peer, message.label, message.data, message.len, message.is_text));
                if (!strncmp(message.data, "bye", 3)) must(visavis_disconnect(engine, message.peer));
            }
            break;
        case CLOCK:
            if (read(fds[CLOCK], &ticks, sizeof ticks) > 0) render(session);
            break;
        }
        fflush(stdout);
    }
}
