"""Whisper as the recogniser: what visitors say into their microphones comes back to them as text, over the data channel.

    pip install faster-whisper                   # gets the model itself; a GPU is used where there is one
    python whisper_recogniser.py --model small

Without Whisper, the same loop with a stand-in that tells how long and how loud somebody spoke:

    python whisper_recogniser.py --stub-model

Open the page, switch the microphone on, and speak.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Optional

import numpy
import speaking

import visavis

HOW = "pip install faster-whisper"

# What Whisper takes, and what the microphones are asked for.
RATE = 16_000


class Whisper:
    """faster-whisper: Whisper's models in CTranslate2."""

    def __init__(self, model: str, language: Optional[str]) -> None:
        with speaking.needs("Whisper", HOW):
            from faster_whisper import WhisperModel

            self.model, self.language = WhisperModel(model, device="auto", compute_type="default"), language

    def text(self, samples: Any) -> str:
        # Segments are recognised while they are asked for.
        segments, _ = self.model.transcribe(samples, language=self.language, beam_size=1)
        return "".join(segment.text for segment in segments).strip()


class Stub:
    def text(self, samples: Any) -> str:
        level = 20 * numpy.log10(max(1e-5, float(numpy.sqrt((samples**2).mean()))))
        return f"{len(samples) / RATE:.1f} seconds at {level:.0f} dBFS"


async def recognise(face: visavis.Session, recogniser: Any) -> None:
    """Answers everybody who has spoken. The model computes in a thread of its own, one sentence after the other, and
    asyncio goes on listening meanwhile."""
    thread = ThreadPoolExecutor(1)
    async for peer, samples in speaking.sentences(face):
        heard = numpy.frombuffer(samples, numpy.int16).astype(numpy.float32) / 32_768
        text = await asyncio.get_running_loop().run_in_executor(thread, recogniser.text, heard)
        print(f"{peer}: {text}", flush=True)
        try:
            face.send(peer, text)
        except visavis.Error:
            pass  # It has left, or has no data channel.


async def run(arguments: Any) -> None:
    recogniser: Any = Stub() if arguments.stub_model else Whisper(arguments.model, arguments.language)
    async with visavis.serve(arguments.port, host=arguments.host, title="Whisper") as server:
        print("Open", server.url, flush=True)
        await recognise(server.session(microphone_rate=RATE), recogniser)


def main() -> None:
    parser = speaking.command_line(__doc__ or "")
    parser.add_argument("--model", default="small", help="tiny, base, small, medium, large-v3, or a folder")
    parser.add_argument("--language", help="en, de, fr, … (default: found out each time)")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
