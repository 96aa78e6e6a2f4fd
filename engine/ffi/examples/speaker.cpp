// Says two seconds of a tone with pictures, made faster than they play, and tells when it was said.
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>
#include <visavis.hpp>

using namespace std::chrono_literals;

int main(int argc, char **argv) try {
    const std::string settings = argc > 1 ? argv[1] : "";
    visavis::Engine engine(settings);
    auto session = engine.session(settings);
    auto server = engine.serve(settings);
    std::printf("%s\n", server.url().c_str());
    auto events = engine.events();
    if (server.accept(0ms)) return 1; // nobody makes sessions here
    session.start();

    // A picture before it speaks, drawn in place.
    if (auto frame = session.frame(128, 128)) {
        for (auto &byte : frame->pixels()) byte = 200;
        std::move(*frame).push();
    }

    constexpr unsigned rate = 24'000, tenth = rate / 10;
    auto utterance = session.begin_utterance();
    std::array<std::int16_t, tenth> samples;
    std::vector<std::uint8_t> pixels(128 * 128 * 3);
    for (unsigned n = 0; n < 20; n++) {
        for (unsigned i = 0; i < tenth; i++)
            samples[i] = static_cast<std::int16_t>(8'000 * std::sin(6.2832 * 440 * (n * tenth + i) / rate));
        std::fill(pixels.begin(), pixels.end(), static_cast<std::uint8_t>(10 * n));
        utterance.push(visavis::audio_chunk(std::span<const std::int16_t>(samples), rate, 1, 100 * n), 10s);
        utterance.push(visavis::video_frame(pixels, 128, 128, VISAVIS_RGB, 100 * n), 10s);
    }
    utterance.end();
    while (auto event = events.next(10s)) {
        if (event->kind == VISAVIS_EVENT_UTTERANCE_ENDED && event->utterance == utterance.id()) {
            std::printf("%.1f s were said\n", std::chrono::duration<double>(event->sent).count());
            break;
        }
    }
    try {
        engine.session("fps = 1000");
    } catch (const visavis::Error &error) {
        std::printf("%s\n", error.what());
    }
} catch (const visavis::Error &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
