"""The examples with a model run as a user runs them: with the stand-in that they bring along, and with the names and
signatures of the real project in front of nothing (stand_ins.py). A viewer sees, hears and speaks."""

from __future__ import annotations

import asyncio
import os
import pickle
import queue
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Awaitable, Callable, List

import numpy
import pytest
from conftest import Viewer, Voice
from PIL import Image

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parent / "examples"


class Example:
    """An example as a process; what it writes is read as it comes."""

    def __init__(self, *command: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *map(str, command), "--port", "0", "--host", "127.0.0.1"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        self.said: List[str] = []
        self._lines: "queue.Queue[str]" = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def says(self, wanted: str) -> "re.Match[str]":
        """Waits for a line."""
        while True:
            try:
                line = self._lines.get(timeout=20)
            except queue.Empty:
                line = ""
            self.said.append(line)
            found = re.search(wanted, line)
            if found or not line:
                assert found, f"no {wanted!r} in {''.join(self.said)}"
                return found

    def watched(self, step: Callable[[Viewer], Awaitable[None]], microphone: Any = None) -> None:
        """Has somebody watch during a step, and ends it."""

        async def run() -> None:
            viewer = Viewer()
            try:
                await viewer.open(self.says(r"Open (\S+)").group(1), microphone)
                await asyncio.wait_for(step(viewer), 40)
            finally:
                await viewer.close()

        try:
            asyncio.run(run())
            assert self.process.poll() is None, "it has ended"
        finally:
            self.process.kill()
            self.process.wait()


def run(name: str, *arguments: Any) -> Example:
    return Example(EXAMPLES / f"{name}.py", "--stub-model", *arguments)


def run_with_stand_ins(name: str, *arguments: Any) -> Example:
    return Example(HERE / "stand_ins.py", EXAMPLES / f"{name}.py", *arguments)


async def sees(viewer: Viewer, mouth: Any, colour: int, corner: Any) -> None:
    """Waits until a mouth of a colour has opened and closed, in pictures that have a certain corner."""
    shares: "list[float]" = []
    others = [channel for channel in range(3) if channel != colour]
    while not shares or max(shares) - min(shares) < 0.05:
        frame = await viewer.tracks["video"].recv()
        picture = frame.to_ndarray(format="rgb24").astype(int)
        # Not so the idle picture, nor one with red and blue mistaken for each other.
        if abs(picture[8, 8] - corner).max() < 30:
            pixels = picture[mouth]
            shares.append(float((pixels[:, :, colour] > pixels[:, :, others].max(2) + 60).mean()))


async def hears(viewer: Viewer) -> None:
    while True:
        sound = (await viewer.tracks["audio"].recv()).to_ndarray().astype(float)
        if numpy.sqrt((sound**2).mean()) > 1_000:
            break


async def sees_and_hears_a_drawn_face(viewer: Viewer, side: int = 256) -> None:
    mouth = numpy.s_[side * 6 // 10 : side * 8 // 10, side * 35 // 100 : side * 65 // 100]
    await asyncio.gather(hears(viewer), sees(viewer, mouth, 0, (40, 60, 170)))


async def sees_and_hears_a_bar(viewer: Viewer, bar: Any = numpy.s_[:, 64:]) -> None:
    """The face of the stand-ins."""
    await asyncio.gather(hears(viewer), sees(viewer, bar, 1, (200, 40, 40)))


async def is_interrupted(example: Example, voice: Voice) -> None:
    """Speaks while the face does, until that is silent."""
    await asyncio.to_thread(example.says, "speaks")
    await asyncio.sleep(1)
    voice.speak(18)
    interrupted = await asyncio.to_thread(example.says, r"interrupted after (\d+) ms")
    voice.speak(0)
    cut_off = await asyncio.to_thread(example.says, r"cut off after (\d+) ms")
    assert 300 < int(interrupted.group(1)) < 18_000
    assert abs(int(cut_off.group(1)) - int(interrupted.group(1))) <= 20


@pytest.mark.parametrize(
    ("name", "side"),
    [("liveportrait_renderer", 512), ("musetalk_renderer", 256), ("ditto_renderer", 256), ("xtts_voice", 256)],
)
def test_a_face_moves_and_is_heard_without_its_model(name: str, side: int) -> None:
    async def step(viewer: Viewer) -> None:
        await sees_and_hears_a_drawn_face(viewer, side)

    run(name).watched(step)


def test_liveportrait_is_called_as_it_wants_to_be() -> None:
    async def step(viewer: Viewer) -> None:
        await sees_and_hears_a_bar(viewer, numpy.s_[:, 256:])

    run_with_stand_ins("liveportrait_renderer").watched(step)


def test_musetalk_is_called_as_it_wants_to_be(tmp_path: Path) -> None:
    for folder in ("full_imgs", "mask"):
        (tmp_path / folder).mkdir()
        for number in range(2):
            Image.new("RGB", (320, 240), (200, 40, 40)).save(tmp_path / folder / f"{number:08}.png")
    content = {"latents.pt": numpy.zeros((1, 8, 32, 32)), "coords.pkl": (64, 32, 256, 224), "mask_coords.pkl": ()}
    for name, one in content.items():
        (tmp_path / name).write_bytes(pickle.dumps([one, one]))

    async def step(viewer: Viewer) -> None:
        await sees_and_hears_a_bar(viewer, numpy.s_[32:224, 160:256])

    run_with_stand_ins("musetalk_renderer", tmp_path).watched(step)


def test_ditto_is_called_as_it_wants_to_be() -> None:
    voice = Voice()

    async def step(viewer: Viewer) -> None:
        await sees_and_hears_a_bar(viewer)
        await is_interrupted(example, voice)
        # What was cut off is over, and does not hold up what follows.
        await is_interrupted(example, voice)

    example = run_with_stand_ins("ditto_renderer")
    example.watched(step, voice)


def test_xtts_is_called_as_it_wants_to_be() -> None:
    async def step(viewer: Viewer) -> None:
        await sees_and_hears_a_drawn_face(viewer)
        said = await asyncio.to_thread(example.says, r"said (\d+) ms")
        assert abs(int(said.group(1)) - 75_208 / 24) < 100, "all of it was played"

    example = run_with_stand_ins("xtts_voice")
    example.watched(step)


def test_a_visitor_who_speaks_is_not_talked_over() -> None:
    voice = Voice()

    async def step(viewer: Viewer) -> None:
        await sees_and_hears_a_drawn_face(viewer)
        await is_interrupted(example, voice)
        # It has begun again when the visitor had finished.
        await is_interrupted(example, voice)

    example = run("xtts_voice", "XTTS-v2", "A long sentence. " * 17)
    example.watched(step, voice)


def test_what_is_said_comes_back_as_text() -> None:
    voice = Voice()

    async def said(viewer: Viewer, seconds: float) -> "tuple[float, float]":
        """How long and how loud it was, as it came back: in several pieces where there was a pause."""
        voice.speak(seconds)
        heard, loudest = 0.0, -100.0
        while heard < seconds - 0.4:
            text = await asyncio.wait_for(viewer.heard.get(), 20)
            found = re.fullmatch(r"([\d.]+) seconds at (-\d+) dBFS", str(text))
            assert found, text
            heard += float(found.group(1))
            loudest = max(loudest, float(found.group(2)))
        return heard, loudest

    async def step(viewer: Viewer) -> None:
        await asyncio.sleep(0.5)
        long, loud = await said(viewer, 2.1)
        voice.loudness = 0.3
        short, quiet = await said(viewer, 1.0)
        assert long < 3.1 and short < 1.6
        assert -40 < loud < -10 and quiet < loud - 5

    run("whisper_recogniser").watched(step, voice)


def test_whisper_is_called_as_it_wants_to_be() -> None:
    voice = Voice()

    async def step(viewer: Viewer) -> None:
        await asyncio.sleep(0.5)
        voice.speak(1.0)
        text = await asyncio.wait_for(viewer.heard.get(), 20)
        assert re.fullmatch(r"[12]\.\d seconds were heard\.", str(text)), text

    run_with_stand_ins("whisper_recogniser").watched(step, voice)


@pytest.mark.parametrize(
    "name", ["liveportrait_renderer", "musetalk_renderer", "ditto_renderer", "xtts_voice", "whisper_recogniser"]
)
def test_what_is_missing_is_said(name: str) -> None:
    ended = subprocess.run([sys.executable, EXAMPLES / f"{name}.py"], capture_output=True, text=True, timeout=30)
    assert ended.returncode == 1 and "Traceback" not in ended.stderr
    assert "No module named" in ended.stderr and "--stub-model" in ended.stderr
