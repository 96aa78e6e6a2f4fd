"""A parrot: it repeats what you say, in its own voice, and is silent when you speak. Nothing leaves this machine.

    pip install numpy pocketsphinx        # the recogniser, with its model of English
    sudo apt-get install espeak-ng        # the voice
    python parrot.py                      # then open the page, switch the microphone on, and speak
"""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures
import io
import subprocess
import wave
from typing import Any

import numpy
import pocketsphinx
import speaking

import visavis

FPS = 25
SIDE = 256


class Recogniser:
    """pocketsphinx, in a thread of its own: it takes half as long as was spoken."""

    def __init__(self) -> None:
        self._thread = concurrent.futures.ThreadPoolExecutor(1)
        self._decoder: Any = self._thread.submit(self._load).result()

    @staticmethod
    def _load() -> Any:
        return pocketsphinx.Decoder(samprate=16_000, loglevel="FATAL")

    async def text(self, samples: bytes) -> str:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._decode, samples)

    def _decode(self, samples: bytes) -> str:
        self._decoder.start_utt()
        self._decoder.process_raw(samples, full_utt=True)
        self._decoder.end_utt()
        found = self._decoder.hyp()
        return found.hypstr if found is not None else ""


async def voice(text: str) -> "tuple[Any, int]":
    """Samples, and how many a second."""
    speaking = await asyncio.create_subprocess_exec(
        "espeak-ng", "--stdout", "-v", "en", text, stdout=subprocess.PIPE
    )
    sound, _ = await speaking.communicate()
    with wave.open(io.BytesIO(sound)) as file:
        return numpy.frombuffer(file.readframes(file.getnframes()), numpy.int16), file.getframerate()


def parrot(mouth: float) -> Any:
    """A green head with a beak that is open so far, from 0 to 1."""
    y, x = numpy.mgrid[:SIDE, :SIDE] / SIDE
    picture = numpy.full((SIDE, SIDE, 3), (70, 110, 160), numpy.uint8)
    picture[(x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.16] = (60, 170, 60)
    for eye in (0.38, 0.62):
        picture[(x - eye) ** 2 + (y - 0.4) ** 2 < 0.003] = (20, 20, 20)
    gap = 0.1 * mouth
    beak = abs(x - 0.5) < 0.12 - abs(y - 0.6) * 0.6
    picture[beak & (abs(y - 0.6) > gap / 2) & (abs(y - 0.6) < 0.06 + gap / 2)] = (240, 180, 40)
    return picture


async def say(face: visavis.Session, text: str) -> None:
    samples, rate = await voice(text)
    with face.begin_utterance() as utterance:
        for start in range(0, len(samples), rate // FPS):
            piece = samples[start : start + rate // FPS]
            loudness = min(1.0, float(numpy.abs(piece.astype(float)).mean()) / 5_000)
            await utterance.push_audio_async(piece, rate)
            await utterance.push_video_async(parrot(loudness))
    heard = await utterance.finished()
    print("said" if heard else f"cut off after {utterance.position:.0f} ms:", text, flush=True)


async def talk(face: visavis.Session) -> None:
    """Takes turns with everybody who speaks."""
    recogniser = Recogniser()
    saying: "asyncio.Task[None]" = asyncio.create_task(asyncio.sleep(0))
    async for _, samples in speaking.sentences(face, begins=face.interrupt):
        text = await recogniser.text(samples)
        print("heard", text, flush=True)
        if text:
            await saying
            saying = asyncio.create_task(say(face, text))


async def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--port", type=int, default=8081)
    async with visavis.serve(arguments.parse_args().port, title="Parrot") as server:
        print("Open", server.url, flush=True)
        await talk(server.session(fps=FPS, idle=parrot(0)))


if __name__ == "__main__":
    asyncio.run(main())
