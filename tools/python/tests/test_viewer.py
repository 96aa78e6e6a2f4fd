"""A viewer that others wrote (aiortc), by signaling of our own: what it gets, and what comes from it."""

from __future__ import annotations

import asyncio
import fractions
import math
import threading
import time
from pathlib import Path
from typing import Any, Awaitable, Callable

import numpy
import pytest
from aiortc import MediaStreamTrack
from av import AudioFrame
from conftest import Viewer

import visavis

Step = Callable[[Viewer], Awaitable[None]]


def watched(face: visavis.Session, step: Step, microphone: Any = None) -> None:
    """Has somebody watch during a step."""

    async def run() -> None:
        viewer = Viewer()
        try:
            await viewer.watch(face, microphone)
            await asyncio.wait_for(step(viewer), 40)
        finally:
            await viewer.close()

    asyncio.run(run())


class Tone(MediaStreamTrack):
    """A microphone with a tone of 300 Hz in it."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.at = 0
        self.began = time.monotonic()

    async def recv(self) -> AudioFrame:
        await asyncio.sleep(max(0, self.began + self.at / 48_000 - time.monotonic()))
        samples = 8_000 * numpy.sin(math.tau * 300 / 48_000 * (self.at + numpy.arange(960)))
        frame = AudioFrame.from_ndarray(samples.astype(numpy.int16)[None], "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, self.at, fractions.Fraction(1, 48_000)
        self.at += 960
        return frame


def test_a_viewer_sees_and_hears_what_is_pushed(face: visavis.Session) -> None:
    over = threading.Event()

    def render() -> None:
        number = 0
        while not over.wait(0.02):
            frame = numpy.full((64, 96, 3), (200, 30, 30), numpy.uint8)
            face.push_video(frame)
            tone = numpy.sin(math.tau * 500 / 24_000 * (number * 480 + numpy.arange(480)))
            face.push_audio((tone * 0.25).astype(numpy.float32), rate=24_000)
            number += 1

    async def step(viewer: Viewer) -> None:
        while True:
            picture = await viewer.tracks["video"].recv()
            red, green, _ = picture.to_ndarray(format="rgb24").mean(axis=(0, 1))
            if (picture.width, picture.height) == (96, 64) and red > 150 and green < 80:
                break
        while True:
            sound = (await viewer.tracks["audio"].recv()).to_ndarray().astype(float)
            if math.sqrt((sound**2).mean()) > 3_000:
                break

    rendering = threading.Thread(target=render)
    rendering.start()
    try:
        watched(face, step)
    finally:
        over.set()
        rendering.join()
    assert face.status()["metrics"]["encoded_frames"] > 0


def test_events_tell_who_comes_and_goes(face: visavis.Session) -> None:
    blocking = face.events()

    async def step(viewer: Viewer) -> None:
        seen = []
        async for event in events:
            seen.append(event)
            if isinstance(event, visavis.DataChannelOpened):
                break
        assert seen[0] == visavis.PeerJoined("default", viewer.peer, "H264")
        assert seen[-1] == visavis.DataChannelOpened("default", viewer.peer, "chat")
        assert face.labels(viewer.peer) == ["chat"]
        best = {"codec": "H264", "rung": 3, "video_kbps": 1_500, "viewers": 1}
        assert face.status()["rungs"] == [best]
        face.disconnect(viewer.peer)
        left = await asyncio.wait_for(events.next(), 10)
        assert left == visavis.PeerLeft("default", viewer.peer, "closed")

    events = face.events()
    watched(face, step)
    assert isinstance(blocking.get(timeout=1), visavis.PeerJoined)
    face.close()


def test_messages_go_both_ways(face: visavis.Session) -> None:
    messages = face.messages()

    async def step(viewer: Viewer) -> None:
        viewer.channel.send("Grüße")
        viewer.channel.send(b"\0\xff")
        first = await messages.next()
        assert first == visavis.Message(viewer.peer, "chat", "Grüße")
        assert (await messages.next()).data == b"\0\xff"
        assert face.send(viewer.peer, "yes") == "accepted"
        assert face.send(viewer.peer, bytearray(b"\1"), label="chat") == "accepted"
        assert face.broadcast("all") == visavis.Broadcast(1, [])
        assert [await viewer.heard.get() for _ in range(3)] == ["yes", b"\1", "all"]
        assert face.waiting_bytes(viewer.peer) == 0
        with pytest.raises(visavis.Error, match="no open data channel"):
            face.send(viewer.peer, "x", label="other")
        with pytest.raises(visavis.Error, match="65537"):
            face.send(viewer.peer, bytes(65_537))

    watched(face, step)
    assert face.waiting_bytes("00") is None
    with pytest.raises(visavis.Error, match="no viewer"):
        face.send("00", "x")
    with pytest.raises(visavis.InvalidValue, match="hexadecimal"):
        face.send("nobody", "x")


def test_the_microphone_is_heard(face: visavis.Session) -> None:
    microphone, events = face.microphone(), face.events(levels=True)

    async def step(viewer: Viewer) -> None:
        heard: "list[Any]" = []
        async for chunk in microphone:
            assert (chunk.peer, chunk.rate) == (viewer.peer, 16_000)
            heard.append(numpy.asarray(chunk.samples))
            if sum(map(len, heard)) > 2 * 16_000:
                break
        last = numpy.concatenate(heard)[-16_000:].astype(float)
        spectrum = numpy.abs(numpy.fft.rfft(last))
        assert abs(int(spectrum.argmax()) - 300) < 3
        async for event in events:
            if isinstance(event, visavis.MicrophoneLevel) and event.dbfs > -20:
                break

    watched(face, step, Tone())


def test_an_utterance_tells_its_begin_position_and_end(face: visavis.Session) -> None:
    events = face.events()

    async def step(viewer: Viewer) -> None:
        with face.begin_utterance() as utterance:
            for tenth in range(10):
                assert utterance.push_audio(numpy.zeros(2_400, numpy.int16), rate=24_000) == "accepted"
                frame = numpy.full((64, 64, 3), tenth * 20, numpy.uint8)
                assert utterance.push_video(frame, timestamp_ms=tenth * 100) == "accepted"
        assert await utterance.begun() and utterance.has_begun
        begin = time.monotonic()
        await asyncio.sleep(0.5)
        assert 300 < utterance.position < 700 and not utterance.is_over
        assert await utterance.finished()
        assert 0.8 < time.monotonic() - begin < 1.3
        assert abs(utterance.position - 1_000) <= 20 and not utterance.interrupted
        assert utterance.wait(0)

    watched(face, step)
    told = [event for event in iter(events.get_nowait, None) if hasattr(event, "utterance")]
    assert [type(event) for event in told] == [visavis.UtteranceStarted, visavis.UtteranceEnded]


def test_an_interruption_ends_it_at_once(face: visavis.Session) -> None:
    events = face.events()

    async def step(viewer: Viewer) -> None:
        first, second = face.begin_utterance(), face.begin_utterance()
        for utterance in (first, second):
            utterance.push_audio(numpy.zeros(240_000, numpy.int16), rate=24_000)
        waiting = asyncio.ensure_future(second.finished())
        assert await first.begun()
        await asyncio.sleep(0.3)
        sent = face.interrupt()
        assert 200 < sent < 500
        assert not await first.finished() and not await waiting
        assert abs(first.position - sent) <= 20 and first.interrupted
        assert second.position == 0 and second.interrupted and not await second.begun()
        assert first.push_audio(bytes(960), rate=24_000) == "dropped"

        third = face.begin_utterance()
        third.push_audio(numpy.zeros(240_000, numpy.int16), rate=24_000)
        third.end()
        await third.begun()
        assert third.interrupt() >= 0
        assert not await third.finished()
        assert third.interrupt() == third.position, "it is over"
        with pytest.raises(visavis.Closed, match="ended"):
            third.push_audio(bytes(960), rate=24_000)

    watched(face, step)
    told = [event for event in iter(events.get_nowait, None) if isinstance(event, visavis.Interrupted)]
    assert len(told) == 3 and len({event.utterance for event in told}) == 3


def test_an_utterance_is_cut_off_by_the_end_of_its_session(face: visavis.Session) -> None:
    async def run() -> None:
        utterance = face.begin_utterance()
        utterance.push_audio(numpy.zeros(24_000, numpy.int16), rate=24_000)
        finished = asyncio.ensure_future(utterance.finished())
        await asyncio.sleep(0.1)
        await face.aclose()
        assert not await asyncio.wait_for(finished, 5)

    asyncio.run(run())


def test_pushes_into_a_full_utterance_wait_as_they_are_asked_to(engine: visavis.Engine) -> None:
    face = engine.session(audio_queue=0.5)
    utterance = face.begin_utterance()
    second = numpy.zeros(12_000, numpy.int16)
    while utterance.push_audio(second, rate=24_000) == "accepted":
        pass
    begin = time.monotonic()
    assert utterance.push_audio(second, rate=24_000, timeout=0.05) == "full"
    assert time.monotonic() - begin < 0.4
    assert utterance.push_audio(second, rate=24_000, timeout=None) == "accepted"
    assert asyncio.run(utterance.push_audio_async(second, rate=24_000)) == "accepted"
    assert time.monotonic() - begin > 0.2
    with pytest.raises(visavis.Timeout):
        utterance.wait(0.05)
    with pytest.raises(visavis.InvalidValue, match="invalid timeout -1"):
        utterance.push_audio(second, rate=24_000, timeout=-1)


def test_offers_that_cannot_be_used_are_told_from_a_lack_of_places(engine: visavis.Engine) -> None:
    with engine.session(max_viewers=1) as face:
        for offer in ["", "no sdp", "v=0\r\n"]:
            with pytest.raises(visavis.InvalidValue, match="offer"):
                face.answer(offer)

        async def step(viewer: Viewer) -> None:
            with pytest.raises(visavis.Error, match="places") as refused:
                await Viewer().watch(face)
            assert not isinstance(refused.value, ValueError)
            with pytest.raises(visavis.InvalidValue, match="candidate"):
                face.add_candidate(viewer.peer, "no candidate")
            face.add_candidate(viewer.peer, "")
            # A later offer of the same viewer.
            viewer.connection.addTransceiver("audio", direction="recvonly")
            await viewer.connection.setLocalDescription(await viewer.connection.createOffer())
            offer = viewer.connection.localDescription.sdp
            again = await face.answer_async(offer, viewer.peer)
            assert again.peer == viewer.peer and again.sdp.count("m=audio") == 2

        watched(face, step)


def test_one_stream_has_several_readers_and_can_be_closed(face: visavis.Session) -> None:
    async def run() -> None:
        events = face.events()
        waiting = [asyncio.ensure_future(events.next()) for _ in range(3)]
        await asyncio.sleep(0.05)
        waiting.pop().cancel()
        face.push_video(bytes(64 * 64 * 4), 64, 64)
        done, left = await asyncio.wait(waiting, timeout=5, return_when=asyncio.FIRST_COMPLETED)
        assert [task.result() for task in done] == [visavis.LiveStarted("default")]
        events.close()
        for task in left:
            with pytest.raises(visavis.Closed):
                await asyncio.wait_for(task, 5)
        with pytest.raises(visavis.Closed, match="closed"):
            events.get_nowait()
        assert [event async for event in events] == []

    asyncio.run(run())


def test_encoded_media_is_passed_on(engine: visavis.Engine) -> None:
    with engine.session(encoded="H264") as face:
        with pytest.raises(visavis.InvalidValue, match="encoded"):
            face.push_video(bytes(64 * 64 * 4), 64, 64)
        with pytest.raises(visavis.InvalidValue, match="empty"):
            face.push_encoded_video(b"")
        assert face.push_opus(b"\xf8\xff\xfe") == "accepted"
        with pytest.raises(visavis.InvalidValue, match="Opus packets"):
            face.push_audio(bytes(960), rate=24_000)
        with pytest.raises(visavis.InvalidValue):
            face.push_mp3(b"no mp3")
        assert face.take_keyframe_request() in (True, False)
        assert face.wanted_bitrate() == 1_500


def test_idle_pictures_are_taken_in_every_form(face: visavis.Session) -> None:
    for idle in [None, "face", numpy.zeros((64, 64, 3), numpy.uint8)]:
        face.set_idle(idle)
    with pytest.raises(visavis.Error):
        face.set_idle(b"no image")


def test_an_idle_film_goes_round(face: visavis.Session, tmp_path: Path) -> None:
    film = tmp_path / "film.y4m"
    # Two pictures, a dark one and a bright one, in YCbCr.
    shades = [bytes([luma]) * (96 * 64) + bytes([128]) * (96 * 32) for luma in (40, 200)]
    film.write_bytes(b"YUV4MPEG2 W96 H64 F5:1 C420jpeg\n" + b"".join(b"FRAME\n" + shade for shade in shades))
    face.set_idle(film)
    face.set_idle(str(film))

    async def step(viewer: Viewer) -> None:
        # At the third bright one it has begun anew.
        bright, were_bright = 0, True
        while bright < 3:
            picture = await viewer.tracks["video"].recv()
            is_bright = picture.to_ndarray(format="rgb24").mean() > 128
            if (picture.width, picture.height) == (96, 64):
                bright += is_bright and not were_bright
                were_bright = is_bright

    watched(face, step)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"\0\0\0\x18ftypisom")
    with pytest.raises(visavis.InvalidValue, match="broken.mp4"):
        face.set_idle(broken)
