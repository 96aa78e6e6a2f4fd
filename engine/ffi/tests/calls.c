/* Each call in order and out of order, and what it says. */
#include "check.h"

#include <sys/wait.h>
#include <unistd.h>

static const char *LOCAL = "udp = \"127.0.0.1:0\"\nlisten = \"127.0.0.1:0\"";
static uint8_t pixels[64 * 64 * 4];

static visavis_video_frame frame_of(uint32_t width, uint32_t height) {
    visavis_video_frame frame;
    OK(visavis_video_frame_init(&frame, sizeof frame));
    CHECK(frame.timestamp_ms == VISAVIS_NOW && frame.format == VISAVIS_RGBA);
    frame.data = pixels;
    frame.len = sizeof pixels;
    frame.width = width;
    frame.height = height;
    return frame;
}

static void video(visavis_session *session) {
    visavis_video_frame frame = frame_of(64, 64);
    EXPECT(VISAVIS_NOT_STARTED, visavis_push_video(session, &frame));
    OK(visavis_session_start(session));
    OK(visavis_push_video(session, &frame));
    frame.len--;
    SAYS(VISAVIS_INVALID_MEDIA, "invalid length of 16383 bytes; expected 16384", visavis_push_video(session, &frame));
    frame = frame_of(63, 64);
    SAYS(VISAVIS_INVALID_MEDIA, "invalid size 63x64", visavis_push_video(session, &frame));
    frame = frame_of(64, 64);
    frame.format = 99;
    SAYS(VISAVIS_INVALID_ARGUMENT, "invalid format 99", visavis_push_video(session, &frame));
    frame = frame_of(64, 64);
    frame.timestamp_ms = -2;
    SAYS(VISAVIS_INVALID_ARGUMENT, "invalid timestamp_ms -2", visavis_push_video(session, &frame));
    frame = frame_of(64, 64);
    frame.data = NULL;
    SAYS(VISAVIS_INVALID_ARGUMENT, "data is NULL", visavis_push_video(session, &frame));
    frame.struct_size = 7;
    SAYS(VISAVIS_INVALID_ARGUMENT, "call visavis_video_frame_init first", visavis_push_video(session, &frame));
    SAYS(VISAVIS_INVALID_ARGUMENT, "visavis_video_frame is NULL", visavis_push_video(session, NULL));
    SAYS(VISAVIS_INVALID_HANDLE, "the session is NULL", visavis_push_video(NULL, &frame));
    frame = frame_of(64, 64);
    OK(visavis_session_set_idle_picture(session, &frame));
    OK(visavis_session_set_idle(session, VISAVIS_IDLE_BUILT_IN));
    SAYS(VISAVIS_INVALID_ARGUMENT, "invalid idle 7", visavis_session_set_idle(session, 7));
}

/* argv[0] is in a folder of its own: files are made beside it. */
static void idle_files(visavis_engine *engine, visavis_session *session, const char *program) {
    char film[4096], broken[4096], settings[9000];
    snprintf(film, sizeof film, "%s.y4m", program);
    snprintf(broken, sizeof broken, "%s.png", program);
    FILE *file = fopen(film, "wb");
    CHECK(file);
    fputs("YUV4MPEG2 W64 H64 F25:1 Ip C420jpeg\n", file);
    for (int i = 0; i < 10; i++) {
        fputs("FRAME\n", file);
        CHECK(fwrite(pixels, 64 * 64 * 3 / 2, 1, file) == 1);
    }
    fclose(file);
    file = fopen(broken, "wb");
    CHECK(file);
    fputs("\x89PNG and no more", file);
    fclose(file);
    OK(visavis_session_set_idle_file(session, film));
    SAYS(VISAVIS_SYSTEM, "cannot read /nonexistent", visavis_session_set_idle_file(session, "/nonexistent"));
    SAYS(VISAVIS_INVALID_MEDIA, "cannot be an idle loop", visavis_session_set_idle_file(session, broken));
    SAYS(VISAVIS_UNSUPPORTED, "is a PNG or JPEG image", visavis_session_set_idle_file(session, program));
    SAYS(VISAVIS_INVALID_ARGUMENT, "path is NULL", visavis_session_set_idle_file(session, NULL));

    visavis_session *other;
    visavis_session_config config;
    OK(visavis_session_config_init(&config, sizeof config));
    CHECK(config.idle == NULL);
    config.id = "film";
    config.idle = film;
    OK(visavis_session_create(engine, &config, &other));
    OK(visavis_session_free(other));
    config.idle = broken;
    SAYS(VISAVIS_INVALID_MEDIA, "cannot be an idle loop", visavis_session_create(engine, &config, &other));
    CHECK(other == NULL);
    snprintf(settings, sizeof settings, "listen = \"127.0.0.1:0\"\nid = \"film\"\nidle = \"%s\"\nidle_loops = [\"a=%s\"]", film, film);
    OK(visavis_session_create_text(engine, settings, &other));
    visavis_server *server;
    OK(visavis_server_start_text(engine, settings, &server));
    OK(visavis_server_free(server));
    OK(visavis_session_free(other));
    SAYS(VISAVIS_INVALID_CONFIG, "expected NAME=FILE",
         visavis_server_start_text(engine, "listen = \"127.0.0.1:0\"\nidle_loops = \"a\"", &server));
    unlink(film);
    unlink(broken);
}

static void slots(visavis_session *session) {
    visavis_frame *frames[5];
    uint8_t *data;
    size_t len;
    /* What was pushed before may still be with the encoder. */
    usleep(200000);
    int lent = 0;
    while (lent < 5 && visavis_frame_acquire(session, 64, 64, VISAVIS_BGRA, &frames[lent], &data, &len) == VISAVIS_OK) {
        CHECK(len == sizeof pixels);
        memset(data, lent, len);
        lent++;
    }
    CHECK(lent >= 2 && lent <= 4);
    CHECK(frames[lent] == NULL && data == NULL && len == 0);
    OK(visavis_frame_push(frames[0], VISAVIS_NOW));
    EXPECT(VISAVIS_INVALID_HANDLE, visavis_frame_push(frames[0], VISAVIS_NOW));
    EXPECT(VISAVIS_INVALID_HANDLE, visavis_frame_discard(frames[0]));
    for (int i = 1; i < lent; i++) OK(visavis_frame_discard(frames[i]));
    OK(visavis_frame_discard(NULL));
    SAYS(VISAVIS_INVALID_MEDIA, "no fixed length",
         visavis_frame_acquire(session, 64, 64, VISAVIS_JPEG, &frames[0], &data, &len));
}

static void audio(visavis_session *session) {
    float samples[480] = {0};
    visavis_audio_chunk chunk;
    OK(visavis_audio_chunk_init(&chunk, sizeof chunk));
    chunk.data = samples;
    chunk.len = sizeof samples;
    chunk.sample_rate = 48000;
    chunk.format = VISAVIS_F32;
    OK(visavis_push_audio(session, &chunk));
    chunk.channels = 7;
    SAYS(VISAVIS_INVALID_MEDIA, "invalid number of channels 7", visavis_push_audio(session, &chunk));
    chunk.channels = 1;
    chunk.sample_rate = 1;
    SAYS(VISAVIS_INVALID_MEDIA, "invalid sample rate", visavis_push_audio(session, &chunk));
    uint64_t sent = 1;
    OK(visavis_interrupt(session, &sent));
    OK(visavis_interrupt(session, NULL));
}

static void figures(visavis_session *session) {
    visavis_session_status status;
    OK(visavis_session_status_init(&status, sizeof status));
    CHECK(status.last_frame_time_ms == -1);
    OK(visavis_session_get_status(session, &status));
    CHECK(status.struct_size == sizeof status && status.video_frames >= 3 && status.peer_count == 0);
    CHECK(status.last_frame_time_ms > 1600000000000 && status.audio_chunks == 1);
    char *json;
    OK(visavis_session_get_status_json(session, &json));
    CHECK(strstr(json, "\"session\":\"default\"") && strstr(json, "\"peerCount\":0"));
    visavis_string_free(json);
}

static void configs(void) {
    visavis_engine *engine = (visavis_engine *)&pixels;
    SAYS(VISAVIS_INVALID_CONFIG, "unknown setting \"updp\"", visavis_engine_start_text("updp = 1", &engine));
    CHECK(engine == NULL);
    SAYS(VISAVIS_INVALID_CONFIG, "expected IP:PORT", visavis_engine_start_text("{\"udp\": \"x\"}", &engine));
    SAYS(VISAVIS_INVALID_ARGUMENT, "no UTF-8", visavis_engine_start_text("\xff", &engine));
    visavis_engine_config config;
    SAYS(VISAVIS_INVALID_ARGUMENT, "struct_size 3", visavis_engine_config_init(&config, 3));
    OK(visavis_engine_config_init(&config, sizeof config));
    CHECK(config.loops == 1 && config.max_clients == 100 && config.media_core == -1);
    config.loops = 65;
    SAYS(VISAVIS_INVALID_CONFIG, "invalid loops 65; expected 1 to 64", visavis_engine_start(&config, &engine));
    config.loops = 1;
    config.udp = "203.0.113.1:0";
    SAYS(VISAVIS_SYSTEM, "cannot listen for media on udp", visavis_engine_start(&config, &engine));
    SAYS(VISAVIS_INVALID_ARGUMENT, "engine is NULL", visavis_engine_start(&config, NULL));
    config.udp = "127.0.0.1:0";
    OK(visavis_engine_start(&config, &engine));
    uint16_t port = 0;
    OK(visavis_engine_udp_port(engine, &port));
    CHECK(port != 0);
    visavis_session_config face;
    OK(visavis_session_config_init(&face, sizeof face));
    CHECK(face.fps == 30 && face.bitrate == 1500 && face.min_bitrate == 100 && face.packet_ms == 20 && face.microphone_rate == 16000);
    face.id = "anna";
    face.width = face.height = 128;
    face.max_viewers = 1;
    face.rungs = "50%:300, 25%:120:15";
    visavis_session *session, *other;
    OK(visavis_session_create(engine, &face, &session));
    SAYS(VISAVIS_EXISTS, "session anna exists already", visavis_session_create(engine, &face, &other));
    CHECK(other == NULL);
    face.id = "bella";
    face.rungs = "50%:300,half";
    SAYS(VISAVIS_INVALID_CONFIG, "invalid rungs \"half\"; expected SIDE%:KBPS", visavis_session_create(engine, &face, &other));
    face.adaptive_encoder = 1;
    face.rungs = NULL;
    SAYS(VISAVIS_INVALID_CONFIG, "an adaptive encoder needs a session of encoded pictures for one viewer", visavis_session_create(engine, &face, &other));
    face.adaptive_encoder = 0;
    face.rungs = "50%:9000";
    SAYS(VISAVIS_INVALID_CONFIG, "less than of the whole picture", visavis_session_create(engine, &face, &other));
    face.rungs = NULL;
    face.id = "no name";
    SAYS(VISAVIS_INVALID_CONFIG, "expected 1 to 64 characters", visavis_session_create(engine, &face, &other));
    char *id;
    OK(visavis_session_id(session, &id));
    CHECK(!strcmp(id, "anna"));
    visavis_string_free(id);
    visavis_string_free(NULL);
    visavis_server_config web;
    OK(visavis_server_config_init(&web, sizeof web));
    web.listen = "127.0.0.1:0";
    web.default_session = "anna";
    web.page_title = "Anna";
    visavis_server *server;
    OK(visavis_server_start(engine, &web, &server));
    OK(visavis_server_port(server, &port));
    OK(visavis_server_reload_certificates(server));
    OK(visavis_server_stop(server));
    EXPECT(VISAVIS_STOPPED, visavis_server_reload_certificates(server));
    OK(visavis_server_free(server));
    web.tls_cert = "/nonexistent";
    SAYS(VISAVIS_INVALID_CONFIG, "go together", visavis_server_start(engine, &web, &server));
    web.tls_key = "/nonexistent";
    SAYS(VISAVIS_INVALID_CONFIG, "cannot use /nonexistent", visavis_server_start(engine, &web, &server));
    /* The engine first: what is left of it stays to be freed. */
    OK(visavis_engine_health(engine));
    OK(visavis_engine_stop(engine));
    OK(visavis_engine_stop(engine));
    EXPECT(VISAVIS_STOPPED, visavis_engine_health(engine));
    SAYS(VISAVIS_ENGINE_STOPPED, "the engine has stopped", visavis_session_create(engine, NULL, &other));
    OK(visavis_engine_free(engine));
    SAYS(VISAVIS_INVALID_HANDLE, "this is no engine, or it was freed", visavis_engine_free(engine));
    OK(visavis_session_free(session));
    OK(visavis_session_free(NULL));
}

/* A child of fork() is told, and does not hang. */
static void forks(visavis_engine *engine, visavis_session *session) {
    pid_t child = fork();
    if (child == 0) {
        alarm(10);
        visavis_engine *other;
        SAYS(VISAVIS_FORKED, "was forked", visavis_session_start(session));
        EXPECT(VISAVIS_FORKED, visavis_session_free(session));
        EXPECT(VISAVIS_FORKED, visavis_engine_free(engine));
        EXPECT(VISAVIS_FORKED, visavis_engine_start(NULL, &other));
        CHECK(other == NULL);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* With an argument it does not fork: valgrind would look for leaks in the child too. */
int main(int argc, char **argv) {
    CHECK(visavis_abi_version() == VISAVIS_ABI_VERSION);
    CHECK(strchr(visavis_version(), '.'));
    CHECK(!strcmp(visavis_last_error(), ""));
    CHECK(!strcmp(visavis_status_name(VISAVIS_INVALID_MEDIA), "VISAVIS_INVALID_MEDIA"));
    CHECK(!strcmp(visavis_status_name((visavis_status)1234), "VISAVIS_?"));
    visavis_engine *engine;
    visavis_session *session;
    OK(visavis_engine_start_text(LOCAL, &engine));
    OK(visavis_session_create_text(engine, LOCAL, &session));
    EXPECT(VISAVIS_INVALID_HANDLE, visavis_session_start((visavis_session *)engine));
    video(session);
    idle_files(engine, session, argv[0]);
    slots(session);
    audio(session);
    figures(session);
    if (argc == 1) forks(engine, session);
    OK(visavis_session_stop(session));
    visavis_video_frame frame = frame_of(64, 64);
    EXPECT(VISAVIS_STOPPED, visavis_push_video(session, &frame));
    OK(visavis_session_free(session));
    SAYS(VISAVIS_INVALID_HANDLE, "this is no session, or it was freed", visavis_push_video(session, &frame));
    OK(visavis_engine_free(engine));
    configs();
    puts("done");
}
