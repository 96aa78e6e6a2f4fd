"""FastRTC's own handlers, talking with a viewer (aiortc) through a face."""

from __future__ import annotations

import asyncio
import fractions
import math
import time
from typing import Any, Awaitable, Callable, Iterator

import numpy
import pytest
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av import AudioFrame
from fastrtc import AdditionalOutputs, AsyncStreamHandler, CloseStream, ReplyOnPause, wait_for_item

import visavis
import visavis.adapters.fastrtc

RATE = 48_000


class Voice(MediaStreamTrack):  # type: ignore[misc]
    """A microphone with 400 Hz in it while somebody speaks."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.at, self.began, self.until = 0, time.monotonic(), 0.0

    def speak(self, seconds: float) -> None:
        self.until = time.monotonic() + seconds

    async def recv(self) -> AudioFrame:
        await asyncio.sleep(max(0, self.began + self.at / RATE - time.monotonic()))
        loud = 8_000 if time.monotonic() < self.until else 0
        wave = loud * numpy.sin(math.tau * 400 / RATE * (self.at + numpy.arange(960)))
        frame = AudioFrame.from_ndarray(wave.astype(numpy.int16)[None], "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self.at, fractions.Fraction(1, RATE)
        self.at += 960
        return frame


class Loudness:
    """In place of FastRTC's model, which it would fetch from elsewhere."""

    def warmup(self) -> None:
        pass

    def vad(self, audio: Any, options: Any) -> Any:
        rate, samples = audio
        loud = numpy.abs(samples.reshape(-1, rate // 100).astype(float)).mean(axis=1) > 500
        return float(loud.sum()) / 100, []


def talk(
    handler: Any, step: Callable[[Any, Voice, RTCPeerConnection], Awaitable[None]], **session: Any
) -> "list[Any]":
    outputs: "list[Any]" = []

    async def run() -> None:
        async with visavis.Engine(udp_host="127.0.0.1") as engine:
            face = engine.session(microphone_rate=RATE, **session)
            running = asyncio.ensure_future(visavis.adapters.fastrtc.run(face, handler, outputs.append))
            peer, voice = RTCPeerConnection(RTCConfiguration(iceServers=[])), Voice()
            peer.addTrack(voice)
            peer.createDataChannel("text")
            await peer.setLocalDescription(await peer.createOffer())
            answer = face.answer(peer.localDescription.sdp)
            await peer.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))
            try:
                await asyncio.wait_for(step(face, voice, peer), 40)
            finally:
                await peer.close()
                await face.aclose()
                await asyncio.sleep(0)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(run())
    return outputs


async def hears(peer: RTCPeerConnection, hz: int) -> None:
    heard = numpy.zeros(0)
    while True:
        piece = (await peer.getReceivers()[0].track.recv()).to_ndarray().reshape(-1, 2)[:, 0]
        heard = numpy.concatenate([heard, piece.astype(float)])[-24_000:]
        spectrum = numpy.abs(numpy.fft.rfft(heard))
        if len(heard) == 24_000 and abs(int(spectrum.argmax()) - hz // 2) <= 4 and heard.std() > 2_000:
            return


def tone(hz: int, seconds: float) -> Any:
    wave = 9_000 * numpy.sin(math.tau * hz / 24_000 * numpy.arange(round(24_000 * seconds)))
    return wave.astype(numpy.int16)


def test_a_reply_on_pause_is_heard_and_can_be_interrupted() -> None:
    asked: "list[float]" = []

    def reply(audio: Any) -> Iterator[Any]:
        rate, samples = audio
        assert samples.ndim == 2
        asked.append(samples.shape[1] / rate)
        for _ in range(200):
            yield 24_000, tone(700, 0.1)
        yield AdditionalOutputs("over")

    async def step(face: visavis.Session, voice: Voice, peer: RTCPeerConnection) -> None:
        await asyncio.sleep(1)
        voice.speak(1.3)
        await hears(peer, 700)
        assert len(asked) == 1 and 0.9 < asked[0] < 3
        events = face.events()
        voice.speak(1.3)
        while True:
            event = await events.next()
            # What was being said, and not what nobody heard.
            if isinstance(event, visavis.Interrupted) and event.sent_ms > 500:
                break
        while len(asked) < 2:
            await asyncio.sleep(0.05)
        await asyncio.sleep(1)
        await hears(peer, 700)

    talk(ReplyOnPause(reply, model=Loudness(), input_sample_rate=RATE), step)


class Echo(AsyncStreamHandler):  # type: ignore[misc]
    """Says what it hears, then something of its own, and closes."""

    def __init__(self) -> None:
        super().__init__("mono", output_sample_rate=24_000, input_sample_rate=RATE)
        self.queue: "asyncio.Queue[Any]" = asyncio.Queue()
        self.loud = 0

    def copy(self) -> "Echo":
        return Echo()

    async def start_up(self) -> None:
        await self.queue.put((24_000, tone(900, 1.0)[None]))
        await self.queue.put(AdditionalOutputs("greeted"))

    async def receive(self, frame: Any) -> None:
        rate, samples = frame
        assert (rate, samples.dtype, samples.shape[0]) == (RATE, numpy.int16, 1)
        self.loud += int(numpy.abs(samples.astype(float)).mean() > 500)
        if self.loud == 25:
            self.loud += 1
            await self.queue.put(((24_000, tone(500, 1.0)), CloseStream()))

    async def emit(self) -> Any:
        return await wait_for_item(self.queue)

    async def shutdown(self) -> None:
        pass


def test_an_async_handler_greets_hears_and_closes() -> None:
    async def step(face: visavis.Session, voice: Voice, peer: RTCPeerConnection) -> None:
        events = face.events()
        await hears(peer, 900)
        voice.speak(2)
        await hears(peer, 500)
        while True:
            event = await events.next()
            if isinstance(event, visavis.PeerLeft):
                return

    assert talk(Echo(), step) == ["greeted"]


def test_a_face_of_another_rate_and_a_handler_that_fails_are_errors() -> None:
    class Broken(Echo):
        def copy(self) -> "Broken":
            return Broken()

        async def emit(self) -> Any:
            raise RuntimeError("broken")

    async def run() -> None:
        async with visavis.Engine(udp_host="127.0.0.1") as engine:
            with pytest.raises(visavis.InvalidValue, match="microphone_rate=48000"):
                await visavis.adapters.fastrtc.run(engine.session(), Echo())
            face = engine.session("other", microphone_rate=RATE)
            running = asyncio.ensure_future(visavis.adapters.fastrtc.run(face, Broken()))
            peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
            peer.addTrack(Voice())
            await peer.setLocalDescription(await peer.createOffer())
            answer = face.answer(peer.localDescription.sdp)
            await peer.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))
            with pytest.raises(RuntimeError, match="broken"):
                await asyncio.wait_for(running, 20)
            await peer.close()

    asyncio.run(run())
