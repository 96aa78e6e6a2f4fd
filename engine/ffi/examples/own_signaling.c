/* Signaling of the application's own: SDP over plain TCP. A client sends its offer, closes its sending half, and gets the
 * answer. Viewers see the idle picture. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <visavis.h>

/* More than any offer has. */
static char offer[65536];

/* Reads up to the end of what the client sends; one that sends nothing for five seconds is given up. */
static int read_offer(int client) {
    struct timeval patience = {.tv_sec = 5};
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    size_t len = 0;
    ssize_t got;
    while ((got = read(client, offer + len, sizeof offer - 1 - len)) > 0) len += (size_t)got;
    offer[len] = 0;
    return got == 0 && len > 0 && strlen(offer) == len;
}

static void serve(int client, visavis_session *session) {
    uint64_t peer;
    char *answer;
    if (!read_offer(client)) return;
    /* A refused offer costs its sender the connection, and nobody else anything. */
    if (visavis_connect(session, 0, offer, &peer, &answer) < 0) {
        fprintf(stderr, "%s\n", visavis_last_error());
        return;
    }
    if (write(client, answer, strlen(answer)) < 0) perror("write");
    visavis_string_free(answer);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        puts("Answers SDP offers over TCP.\n\nArguments: PORT");
        return 2;
    }
    visavis_engine *engine;
    visavis_session *session;
    if (visavis_engine_start_text("udp = \"127.0.0.1:0\"", &engine) < 0 ||
        visavis_session_create(engine, NULL, &session) < 0) {
        fprintf(stderr, "%s\n", visavis_last_error());
        return 1;
    }
    visavis_session_start(session);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, len) || listen(listener, 16) ||
        getsockname(listener, (struct sockaddr *)&address, &len)) {
        perror("listen");
        return 1;
    }
    printf("127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        int client = accept(listener, NULL, NULL);
        if (client < 0) continue;
        serve(client, session);
        close(client);
    }
}
