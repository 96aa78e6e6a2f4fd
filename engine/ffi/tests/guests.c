/* A session that somebody makes over HTTP is pushed to until it is ended there. */
#include "check.h"

#include <poll.h>
#include <unistd.h>

int main(int argc, char **argv) {
    CHECK(argc == 2);
    visavis_engine *engine;
    visavis_server *server;
    visavis_session *session;
    OK(visavis_engine_start_text(argv[1], &engine));
    OK(visavis_server_start_text(engine, argv[1], &server));
    EXPECT(VISAVIS_TIMEOUT, visavis_server_accept(server, 0, &session));
    CHECK(session == NULL);
    struct pollfd waiting = {.events = POLLIN};
    OK(visavis_server_fd(server, &waiting.fd));
    CHECK(poll(&waiting, 1, 0) == 0);
    char *url;
    OK(visavis_server_url(server, &url));
    printf("%s\n", url);
    fflush(stdout);
    visavis_string_free(url);

    CHECK(poll(&waiting, 1, 20000) == 1);
    OK(visavis_server_accept(server, -1, &session));
    CHECK(poll(&waiting, 1, 0) == 0);
    char *id;
    OK(visavis_session_id(session, &id));
    printf("%s\n", id);
    fflush(stdout);
    visavis_string_free(id);
    char *text;
    OK(visavis_session_metadata(session, &text));
    printf("%s\n", text);
    fflush(stdout);
    visavis_string_free(text);
    OK(visavis_session_end_reason(session, &text));
    CHECK(text == NULL);
    static uint8_t pixels[64 * 64 * 4];
    visavis_video_frame frame;
    OK(visavis_video_frame_init(&frame, sizeof frame));
    frame.data = pixels, frame.len = sizeof pixels, frame.width = frame.height = 64;
    visavis_status status;
    int pushed = 0;
    while ((status = visavis_push_video(session, &frame)) != VISAVIS_STOPPED) {
        CHECK(status == VISAVIS_OK || status == VISAVIS_NOT_STARTED);
        if (status == VISAVIS_OK && pushed++ == 0) printf("pushed\n"), fflush(stdout);
        usleep(20000);
    }
    /* The pushes may be told before the hook is. */
    for (int i = 0; i < 500 && !text; i++) {
        OK(visavis_session_end_reason(session, &text));
        usleep(10000);
    }
    CHECK(text);
    puts(text);
    visavis_string_free(text);
    OK(visavis_session_free(session));
    OK(visavis_server_stop(server));
    EXPECT(VISAVIS_END, visavis_server_accept(server, -1, &session));
    OK(visavis_server_free(server));
    OK(visavis_engine_free(engine));
    puts("stopped");
}
