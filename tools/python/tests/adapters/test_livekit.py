"""LiveKit's audio output for avatars, and a generator as its examples have one, on a face that aiortc watches."""

from __future__ import annotations

import asyncio
import math
import random
import time
from typing import Any, AsyncIterator, Awaitable, Callable

import numpy
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from livekit import rtc
from livekit.agents.voice.avatar import AudioSegmentEnd, AvatarOptions, QueueAudioOutput, VideoGenerator

import visavis
from visavis.adapters.livekit import AvatarRunner

RATE, FPS, SIDE = 24_000, 25, 64
OPTIONS = AvatarOptions(
    video_width=SIDE, video_height=SIDE, video_fps=FPS, audio_sample_rate=RATE, audio_channels=1
)


def picture(speaks: bool) -> rtc.VideoFrame:
    pixels = numpy.full((SIDE, SIDE, 4), (20, 200, 20, 255) if speaks else (200, 20, 20, 255), numpy.uint8)
    return rtc.VideoFrame(SIDE, SIDE, rtc.VideoBufferType.RGBA, pixels.tobytes())


class Generator(VideoGenerator):  # type: ignore[misc]
    """Red at rest, green for each 40 ms of speech."""

    def __init__(self) -> None:
        self.waiting: "asyncio.Queue[Any]" = asyncio.Queue()

    async def push_audio(self, frame: Any) -> None:
        await self.waiting.put(frame)

    def clear_buffer(self) -> None:
        while not self.waiting.empty():
            self.waiting.get_nowait()

    async def __aiter__(self) -> AsyncIterator[Any]:
        while True:
            if self.waiting.empty():
                yield picture(False)
                await asyncio.sleep(0)
                continue
            frame = self.waiting.get_nowait()
            yield frame
            if not isinstance(frame, AudioSegmentEnd):
                yield picture(True)


class Stage:
    def __init__(self, face: visavis.Session) -> None:
        self.face, self.output = face, QueueAudioOutput(sample_rate=RATE, wait_playback_start=True)
        self.told: "list[tuple[str, float, Any]]" = []
        note = lambda kind: lambda event: self.told.append((kind, time.monotonic(), event))  # noqa: E731
        self.output.on("playback_started", note("started"))
        self.output.on("playback_finished", note("finished"))

    async def say(self, seconds: float) -> None:
        wave = 8_000 * numpy.sin(math.tau * 500 / RATE * numpy.arange(RATE // FPS))
        for _ in range(round(seconds * FPS)):
            data = wave.astype(numpy.int16).tobytes()
            await self.output.capture_frame(rtc.AudioFrame(data, RATE, 1, RATE // FPS))
        self.output.flush()

    async def waited_for(self, kind: str, count: int = 1) -> "list[tuple[float, Any]]":
        until = time.monotonic() + 15
        while True:
            found = [(at, event) for told, at, event in self.told if told == kind]
            if len(found) >= count:
                return found
            assert time.monotonic() < until, f"{len(found)} of {count}: {self.told}"
            await asyncio.sleep(0.005)


def stage(step: Callable[[Stage], Awaitable[None]]) -> None:
    async def run() -> None:
        async with visavis.Engine(udp_host="127.0.0.1") as engine:
            this = Stage(engine.session(fps=FPS, idle=None))
            runner = AvatarRunner(
                this.face, audio_recv=this.output, video_gen=Generator(), options=OPTIONS
            )
            await runner.start()
            try:
                await asyncio.wait_for(step(this), 60)
            finally:
                await runner.aclose()

    asyncio.run(run())


def test_a_viewer_sees_and_hears_the_avatar() -> None:
    async def step(this: Stage) -> None:
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        peer.addTransceiver("video", direction="recvonly")
        peer.addTransceiver("audio", direction="recvonly")
        await peer.setLocalDescription(await peer.createOffer())
        answer = this.face.answer(peer.localDescription.sdp)
        await peer.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))
        video, audio = (receiver.track for receiver in peer.getReceivers())

        async def sees(colour: int) -> None:
            while True:
                mean = (await video.recv()).to_ndarray(format="rgb24").mean(axis=(0, 1))
                if mean[colour] > 150 and mean[1 - colour] < 80:
                    return

        async def hears() -> None:
            while True:
                if (await audio.recv()).to_ndarray().astype(float).std() > 3_000:
                    return

        await sees(0)
        await this.say(2)
        await asyncio.gather(sees(1), hears())
        await this.waited_for("finished")
        await sees(0)
        await peer.close()

    stage(step)


def test_the_agent_is_told_when_a_segment_is_heard_and_over() -> None:
    async def step(this: Stage) -> None:
        await this.say(1.2)
        await this.say(0.4)
        started = await this.waited_for("started", 2)
        finished = await this.waited_for("finished", 2)
        for (began, _), (ended, event), seconds in zip(started, finished, (1.2, 0.4)):
            assert not event.interrupted and abs(event.playback_position - seconds) <= 0.021
            assert abs(ended - began - seconds) < 0.15
        done = await asyncio.wait_for(this.output.wait_for_playout(), 5)
        assert done is finished[-1][1]

    stage(step)


def test_each_segment_that_is_cleared_is_told_of_once() -> None:
    async def step(this: Stage) -> None:
        for number in range(1, 31):
            await this.say(3)
            begun = number % 3 != 0
            if begun:
                heard = sum(kind == "started" for kind, _, _ in this.told)
                await this.waited_for("started", heard + 1)
                await asyncio.sleep(random.uniform(0, 0.15))
            else:
                await asyncio.sleep(random.uniform(0, 0.05))
            at = time.monotonic()
            this.output.clear_buffer()
            (*_, (told, event)) = await this.waited_for("finished", number)
            assert event.interrupted and event.playback_position < 0.5
            assert told - at < 0.2
            await asyncio.sleep(0.05)
        assert sum(kind == "finished" for kind, _, _ in this.told) == 30
        await this.say(0.4)
        (*_, (_, event)) = await this.waited_for("finished", 31)
        assert not event.interrupted

    stage(step)
