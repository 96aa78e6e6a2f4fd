/**
 * visavis for C++20: visavis.h with destructors and exceptions. What holds of a function there holds of the one here.
 *
 * Errors are thrown as visavis::Error; what is no error is returned as a visavis_status (VISAVIS_NOT_STARTED,
 * VISAVIS_TIMEOUT…). Objects can be moved, and free what they stand for. Callbacks are functions of any kind; an exception
 * that leaves one ends the program.
 */
#ifndef VISAVIS_HPP
#define VISAVIS_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "visavis.h"

namespace visavis {

/** What went wrong, in words, and its status. */
class Error : public std::runtime_error {
public:
    explicit Error(visavis_status status) : std::runtime_error(visavis_last_error()), status_(status) {}
    visavis_status status() const noexcept { return status_; }

private:
    visavis_status status_;
};

/** Throws where a status is an error. */
inline visavis_status check(visavis_status status) {
    if (status < 0) throw Error(status);
    return status;
}

/** A timestamp: now, or Unix milliseconds; in an utterance, milliseconds on its clock. */
using Timestamp = std::int64_t;
inline constexpr Timestamp now = VISAVIS_NOW;

namespace detail {

template <typename T, visavis_status (*free_it)(T *)>
struct Free {
    void operator()(T *handle) const noexcept { free_it(handle); }
};

template <typename T, visavis_status (*free_it)(T *)>
using Handle = std::unique_ptr<T, Free<T, free_it>>;

/** A struct with its defaults. */
template <typename T>
T initial(visavis_status (*init)(T *, std::size_t)) {
    T value;
    check(init(&value, sizeof value));
    return value;
}

/** A text that the library has made; empty for none. */
inline std::string owned(char *text) {
    std::unique_ptr<char, decltype(&visavis_string_free)> freed(text, visavis_string_free);
    return text ? text : "";
}

inline std::int32_t milliseconds(std::optional<std::chrono::milliseconds> timeout) {
    if (!timeout) return -1;
    const auto count = timeout->count();
    return count < 0 ? 0 : count > INT32_MAX ? INT32_MAX : static_cast<std::int32_t>(count);
}

/** Gives a function away to a callback of C; what it returns is its user pointer and its destructor. */
template <typename T>
struct Callback {
    using Function = std::function<void(const T &)>;
    static void call(void *user, const T *item) noexcept { (*static_cast<Function *>(user))(*item); }
    static void destroy(void *user) noexcept { delete static_cast<Function *>(user); }
};

template <typename H, typename T>
void set_callback(visavis_status (*set)(const H *, void (*)(void *, const T *), void *, visavis_destroy), const H *handle,
                  std::function<void(const T &)> function) {
    auto given = std::make_unique<std::function<void(const T &)>>(std::move(function));
    check(set(handle, Callback<T>::call, given.get(), Callback<T>::destroy));
    given.release();
}

} // namespace detail

/** A picture in the application's memory. */
inline visavis_video_frame video_frame(std::span<const std::uint8_t> data, std::uint32_t width, std::uint32_t height,
                                       visavis_pixel_format format = VISAVIS_RGBA, Timestamp timestamp = now) {
    auto frame = detail::initial(visavis_video_frame_init);
    frame.data = data.data();
    frame.len = data.size();
    frame.width = width;
    frame.height = height;
    frame.format = format;
    frame.timestamp_ms = timestamp;
    return frame;
}

/** Sound in the application's memory, channels interleaved. */
inline visavis_audio_chunk audio_chunk(std::span<const std::int16_t> samples, std::uint32_t rate,
                                       std::uint32_t channels = 1, Timestamp timestamp = now) {
    auto chunk = detail::initial(visavis_audio_chunk_init);
    chunk.data = samples.data();
    chunk.len = samples.size_bytes();
    chunk.sample_rate = rate;
    chunk.channels = channels;
    chunk.timestamp_ms = timestamp;
    return chunk;
}

/** As above, of floats from -1 to 1. */
inline visavis_audio_chunk audio_chunk(std::span<const float> samples, std::uint32_t rate, std::uint32_t channels = 1,
                                       Timestamp timestamp = now) {
    auto chunk = audio_chunk(std::span<const std::int16_t>(), rate, channels, timestamp);
    chunk.data = samples.data();
    chunk.len = samples.size_bytes();
    chunk.format = VISAVIS_F32;
    return chunk;
}

/** An event, with texts of its own. */
struct Event {
    visavis_event_kind kind;
    std::string session, text, domain;
    std::uint64_t peer, utterance;
    std::chrono::microseconds sent;
    std::int64_t at_ms;
    std::int32_t level_db;
    bool stalled;

    explicit Event(const visavis_event &event)
        : kind(static_cast<visavis_event_kind>(event.kind)), session(event.session ? event.session : ""),
          text(event.text ? event.text : ""), domain(event.domain ? event.domain : ""), peer(event.peer), utterance(event.utterance), sent(event.sent_us),
          at_ms(event.at_ms), level_db(event.level_db), stalled(event.stalled != 0) {}
};

/** A reader of events. */
class Events {
public:
    explicit Events(visavis_events *handle) : handle_(handle) {}

    /** The next event; without a timeout it is waited for as long as it takes. None: in time, or at all (ended()). */
    std::optional<Event> next(std::optional<std::chrono::milliseconds> timeout = {}) {
        auto event = detail::initial(visavis_event_init);
        const auto status = check(visavis_events_next(handle_.get(), &event, detail::milliseconds(timeout)));
        ended_ = status == VISAVIS_END;
        return status == VISAVIS_OK ? std::optional<Event>(std::in_place, event) : std::nullopt;
    }

    bool ended() const noexcept { return ended_; }

    /** Readable while events wait. */
    int fd() const {
        std::int32_t fd;
        check(visavis_events_fd(handle_.get(), &fd));
        return fd;
    }

    /** Has a function called with each event, on a thread of its own. */
    void on_event(std::function<void(const visavis_event &)> function) {
        detail::set_callback(visavis_events_set_callback, static_cast<const visavis_events *>(handle_.get()),
                             std::move(function));
    }

private:
    detail::Handle<visavis_events, visavis_events_free> handle_;
    bool ended_ = false;
};

/** A reader of microphones. */
class Microphone {
public:
    explicit Microphone(visavis_microphone *handle) : handle_(handle) {}

    /** The next chunk, good until the one after it is read. */
    std::optional<visavis_mic_chunk> next(std::optional<std::chrono::milliseconds> timeout = {}) {
        auto chunk = detail::initial(visavis_mic_chunk_init);
        const auto status = check(visavis_microphone_next(handle_.get(), &chunk, detail::milliseconds(timeout)));
        return status == VISAVIS_OK ? std::optional(chunk) : std::nullopt;
    }

    int fd() const {
        std::int32_t fd;
        check(visavis_microphone_fd(handle_.get(), &fd));
        return fd;
    }

    void on_chunk(std::function<void(const visavis_mic_chunk &)> function) {
        detail::set_callback(visavis_microphone_set_callback, static_cast<const visavis_microphone *>(handle_.get()),
                             std::move(function));
    }

private:
    detail::Handle<visavis_microphone, visavis_microphone_free> handle_;
};

/** The data channels of a session's viewers. */
class Data {
public:
    explicit Data(visavis_data *handle) : handle_(handle) {}

    visavis_status send(std::uint64_t peer, std::string_view text) {
        return check(visavis_data_send(handle_.get(), peer, nullptr, text.data(), text.size(), 1));
    }

    visavis_status send(std::uint64_t peer, std::span<const std::byte> bytes) {
        return check(visavis_data_send(handle_.get(), peer, nullptr, bytes.data(), bytes.size(), 0));
    }

    /** To all; how many viewers it is on its way to. */
    std::size_t broadcast(std::string_view text) {
        std::size_t accepted = 0;
        check(visavis_data_broadcast(handle_.get(), nullptr, text.data(), text.size(), 1, &accepted));
        return accepted;
    }

    /** The next message, good until the one after it is read. */
    std::optional<visavis_message> next(std::optional<std::chrono::milliseconds> timeout = {}) {
        auto message = detail::initial(visavis_message_init);
        const auto status = check(visavis_data_next(handle_.get(), &message, detail::milliseconds(timeout)));
        return status == VISAVIS_OK ? std::optional(message) : std::nullopt;
    }

    int fd() const {
        std::int32_t fd;
        check(visavis_data_fd(handle_.get(), &fd));
        return fd;
    }

    void on_message(std::function<void(const visavis_message &)> function) {
        detail::set_callback(visavis_data_set_callback, static_cast<const visavis_data *>(handle_.get()),
                             std::move(function));
    }

private:
    detail::Handle<visavis_data, visavis_data_free> handle_;
};

/** Memory of the engine that a picture is drawn into. Not pushed, it goes back. */
class Frame {
public:
    Frame(visavis_frame *handle, std::span<std::uint8_t> pixels) : handle_(handle), pixels_(pixels) {}

    std::span<std::uint8_t> pixels() const noexcept { return pixels_; }

    visavis_status push(Timestamp timestamp = now) && {
        return check(visavis_frame_push(handle_.release(), timestamp));
    }

private:
    detail::Handle<visavis_frame, visavis_frame_discard> handle_;
    std::span<std::uint8_t> pixels_;
};

/** Something that is said. Destroyed, it is ended: what was pushed is still played. */
class Utterance {
public:
    explicit Utterance(visavis_utterance *handle) : handle_(handle) {}

    std::uint64_t id() const {
        std::uint64_t id;
        check(visavis_utterance_id(handle_.get(), &id));
        return id;
    }

    visavis_status push(const visavis_video_frame &frame, std::chrono::milliseconds patience = {}) {
        return check(visavis_utterance_push_video(handle_.get(), &frame, static_cast<std::uint32_t>(patience.count())));
    }

    visavis_status push(const visavis_audio_chunk &chunk, std::chrono::milliseconds patience = {}) {
        return check(visavis_utterance_push_audio(handle_.get(), &chunk, static_cast<std::uint32_t>(patience.count())));
    }

    void end() { check(visavis_utterance_end(handle_.get())); }

    std::chrono::microseconds interrupt() {
        std::uint64_t sent;
        check(visavis_utterance_interrupt(handle_.get(), &sent));
        return std::chrono::microseconds(sent);
    }

    visavis_utterance_progress progress() const {
        auto progress = detail::initial(visavis_utterance_progress_init);
        check(visavis_utterance_get_progress(handle_.get(), &progress));
        return progress;
    }

private:
    detail::Handle<visavis_utterance, visavis_utterance_free> handle_;
};

/** A piece of uploaded speech, good until the one after it is read, and what it is part of: to be destroyed once its
 * pictures are pushed. */
struct SpeechPiece {
    visavis_speech_chunk chunk;
    Utterance utterance;
};

/** A reader of speech that is uploaded over HTTP. */
class Speech {
public:
    explicit Speech(visavis_speech *handle) : handle_(handle) {}

    std::optional<SpeechPiece> next(std::optional<std::chrono::milliseconds> timeout = {}) {
        auto chunk = detail::initial(visavis_speech_chunk_init);
        visavis_utterance *utterance;
        const auto status =
            check(visavis_speech_next(handle_.get(), &chunk, &utterance, detail::milliseconds(timeout)));
        return status == VISAVIS_OK ? std::optional<SpeechPiece>({chunk, Utterance(utterance)}) : std::nullopt;
    }

    int fd() const {
        std::int32_t fd;
        check(visavis_speech_fd(handle_.get(), &fd));
        return fd;
    }

    using Function = std::function<void(const visavis_speech_chunk &, Utterance)>;

    /** Has a function called with each piece, on a thread of its own. */
    void on_chunk(Function function) {
        auto given = std::make_unique<Function>(std::move(function));
        check(visavis_speech_set_callback(handle_.get(), call, given.get(), destroy));
        given.release();
    }

private:
    static void call(void *user, const visavis_speech_chunk *chunk, visavis_utterance *utterance) noexcept {
        (*static_cast<Function *>(user))(*chunk, Utterance(utterance));
    }
    static void destroy(void *user) noexcept { delete static_cast<Function *>(user); }

    detail::Handle<visavis_speech, visavis_speech_free> handle_;
};

/** The answer to an offer. */
struct Answer {
    std::uint64_t peer;
    std::string sdp;
};

/** One face. Destroyed, it is stopped. */
class Session {
public:
    explicit Session(visavis_session *handle) : handle_(handle) {}

    visavis_session *get() const noexcept { return handle_.get(); }
    void start() { check(visavis_session_start(get())); }
    void stop() { check(visavis_session_stop(get())); }

    visavis_status push(const visavis_video_frame &frame) { return check(visavis_push_video(get(), &frame)); }
    visavis_status push(const visavis_audio_chunk &chunk) { return check(visavis_push_audio(get(), &chunk)); }
    visavis_status push(const visavis_encoded_frame &frame) { return check(visavis_push_encoded_video(get(), &frame)); }

    /** Memory to draw in; none where all of it is in use, and newer pictures are on their way. */
    std::optional<Frame> frame(std::uint32_t width, std::uint32_t height, visavis_pixel_format format = VISAVIS_RGBA) {
        visavis_frame *frame;
        std::uint8_t *pixels;
        std::size_t len;
        const auto status = check(visavis_frame_acquire(get(), width, height, format, &frame, &pixels, &len));
        return status == VISAVIS_OK ? std::optional<Frame>(std::in_place, frame, std::span(pixels, len)) : std::nullopt;
    }

    Utterance begin_utterance(Timestamp zero = 0) {
        visavis_utterance *utterance;
        check(visavis_utterance_begin(get(), zero, &utterance));
        return Utterance(utterance);
    }

    /** Drops all that waits to be played; how much of what plays was sent. */
    std::chrono::microseconds interrupt() {
        std::uint64_t sent;
        check(visavis_interrupt(get(), &sent));
        return std::chrono::microseconds(sent);
    }

    void set_idle(visavis_idle idle) { check(visavis_session_set_idle(get(), idle)); }
    void set_idle(const visavis_video_frame &picture) { check(visavis_session_set_idle_picture(get(), &picture)); }

    /** A file: an image or a film. */
    void set_idle(const std::string &path) { check(visavis_session_set_idle_file(get(), path.c_str())); }

    Answer connect(const std::string &offer, std::uint64_t id = 0) {
        Answer answer{};
        char *sdp;
        check(visavis_connect(get(), id, offer.c_str(), &answer.peer, &sdp));
        answer.sdp = detail::owned(sdp);
        return answer;
    }

    Microphone microphone() {
        visavis_microphone *microphone;
        check(visavis_microphone_open(get(), &microphone));
        return Microphone(microphone);
    }

    Data data() {
        visavis_data *data;
        check(visavis_data_open(get(), &data));
        return Data(data);
    }

    /** What whoever made it over HTTP says of it, a JSON object; empty where there is none. */
    std::string metadata() const {
        char *json;
        check(visavis_session_metadata(get(), &json));
        return detail::owned(json);
    }

    /** Why the server has ended it; empty where it has not. */
    std::string end_reason() const {
        char *reason;
        check(visavis_session_end_reason(get(), &reason));
        return detail::owned(reason);
    }

    visavis_session_status status() const {
        auto status = detail::initial(visavis_session_status_init);
        check(visavis_session_get_status(get(), &status));
        return status;
    }

private:
    detail::Handle<visavis_session, visavis_session_free> handle_;
};

/** A running signaling server. Destroyed, it is stopped. */
class Server {
public:
    explicit Server(visavis_server *handle) : handle_(handle) {}

    std::string url() const {
        char *url;
        check(visavis_server_url(handle_.get(), &url));
        return detail::owned(url);
    }

    std::uint16_t port() const {
        std::uint16_t port;
        check(visavis_server_port(handle_.get(), &port));
        return port;
    }

    /** The next session made over HTTP or for a visitor; it is not ended when the object is destroyed. */
    std::optional<Session> accept(std::optional<std::chrono::milliseconds> timeout = {}) {
        visavis_session *session;
        const auto status = check(visavis_server_accept(handle_.get(), detail::milliseconds(timeout), &session));
        return status == VISAVIS_OK ? std::optional<Session>(std::in_place, session) : std::nullopt;
    }

    /** Speech that is uploaded into its sessions, from now on. */
    Speech speech() {
        visavis_speech *speech;
        check(visavis_speech_open(handle_.get(), &speech));
        return Speech(speech);
    }

    /** Readable while sessions wait. */
    int fd() const {
        std::int32_t fd;
        check(visavis_server_fd(handle_.get(), &fd));
        return fd;
    }

private:
    detail::Handle<visavis_server, visavis_server_free> handle_;
};

/** A running engine. Destroyed, it is stopped. */
class Engine {
public:
    /** settings: TOML or JSON, as docs/visavis.toml has it. */
    explicit Engine(const std::string &settings = {}) {
        visavis_engine *engine;
        check(visavis_engine_start_text(settings.c_str(), &engine));
        handle_.reset(engine);
    }

    explicit Engine(const visavis_engine_config &config) {
        visavis_engine *engine;
        check(visavis_engine_start(&config, &engine));
        handle_.reset(engine);
    }

    visavis_engine *get() const noexcept { return handle_.get(); }

    Session session(const std::string &settings = {}) {
        visavis_session *session;
        check(visavis_session_create_text(get(), settings.c_str(), &session));
        return Session(session);
    }

    Session session(const visavis_session_config &config) {
        visavis_session *session;
        check(visavis_session_create(get(), &config, &session));
        return Session(session);
    }

    Server serve(const std::string &settings = {}) {
        visavis_server *server;
        check(visavis_server_start_text(get(), settings.c_str(), &server));
        return Server(server);
    }

    /** kinds: the sum of 1 << VISAVIS_EVENT_...; 0: all but microphone levels. */
    Events events(std::uint64_t kinds = 0) {
        visavis_events *events;
        check(visavis_events_open(get(), nullptr, kinds, &events));
        return Events(events);
    }

    std::string renegotiate(std::uint64_t peer, const std::string &offer, std::chrono::milliseconds patience) {
        char *sdp;
        if (check(visavis_renegotiate(get(), peer, offer.c_str(), static_cast<std::uint32_t>(patience.count()), &sdp)) !=
            VISAVIS_OK)
            return {};
        return detail::owned(sdp);
    }

    void add_candidate(std::uint64_t peer, const std::string &candidate) {
        check(visavis_add_candidate(get(), peer, candidate.c_str()));
    }

    void disconnect(std::uint64_t peer) { check(visavis_disconnect(get(), peer)); }

private:
    detail::Handle<visavis_engine, visavis_engine_free> handle_;
};

} // namespace visavis

#endif
