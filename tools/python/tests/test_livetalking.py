"""An avatar that pushes as LiveTalking's do: in bursts, throttled by the buffer's size."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from types import SimpleNamespace
from typing import Any

import numpy
from conftest import Viewer

import visavis
from visavis.adapters.livetalking import output


class Avatar:
    """Batches of eight pictures, each with two pieces of sound; each second is an event point."""

    def __init__(self, engine: visavis.Engine) -> None:
        self.output = output(engine)(opt=SimpleNamespace(sessionid="anna"), parent=self)
        self.told: "list[tuple[float, Any]]" = []
        self.over = threading.Event()
        self.most = 0

    def notify(self, point: Any) -> None:
        self.told.append((time.monotonic(), point))

    def render(self) -> None:
        number = 0
        while not self.over.is_set():
            for _ in range(8):
                level = number * 4 % 200
                self.output.push_video_frame(numpy.full((64, 96, 3), (20, 30, 50 + level), numpy.uint8))
                for half in range(2):
                    at = (number * 2 + half) * 320 + numpy.arange(320)
                    wave = 8_000 * numpy.sin(math.tau * 500 / 16_000 * at)
                    point = {"second": number // 25} if number % 25 == 0 and half == 0 else {}
                    self.output.push_audio_frame(wave.astype(numpy.int16), point)
                number += 1
            while not self.over.is_set() and self.output.get_buffer_size() >= 5:
                self.most = max(self.most, self.output.get_buffer_size())
                time.sleep(0.02)
        self.output.stop()


def test_an_avatar_is_shown_at_its_pace_and_told_what_was_heard(engine: visavis.Engine) -> None:
    avatar = Avatar(engine)
    avatar.output.start()
    face = avatar.output.face
    assert face is not None and engine.session_ids() == ["anna"]

    async def watch() -> None:
        viewer = Viewer()
        await viewer.watch(face)
        rendering = threading.Thread(target=avatar.render)
        rendering.start()
        try:
            levels: "list[float]" = []
            while len(levels) < 60:
                picture = await asyncio.wait_for(viewer.tracks["video"].recv(), 20)
                blue, _, red = picture.to_ndarray(format="bgr24").mean(axis=(0, 1))
                if blue < 60 and (not levels or abs(levels[-1] - red) > 1):
                    levels.append(red)
            steps = numpy.diff(levels)
            assert (numpy.abs(steps[steps > 0] - 4) < 3).mean() > 0.9, "no picture of a burst is lost"
            while True:
                sound = (await viewer.tracks["audio"].recv()).to_ndarray().astype(float)
                if sound.std() > 3_000:
                    break
            await asyncio.sleep(2)
        finally:
            avatar.over.set()
            await asyncio.get_running_loop().run_in_executor(None, rendering.join)
            await viewer.close()

    asyncio.run(watch())
    assert [point["second"] for _, point in avatar.told] == list(range(len(avatar.told)))
    gaps = numpy.diff([at for at, _ in avatar.told[:-1]])
    assert len(gaps) >= 2 and (numpy.abs(gaps - 1) < 0.25).all(), gaps
    assert avatar.most < 30, "it does not run away"
    assert engine.session_ids() == []
