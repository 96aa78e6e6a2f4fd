"""Ditto as the renderer: one photograph speaks, with head and eyes that move, for everybody who opens the page.

    git clone https://github.com/antgroup/ditto-talkinghead   # and its checkpoints, as its README says
    cd ditto-talkinghead
    PYTHONPATH=. python …/ditto_renderer.py example/image.png --speech speech.wav

Without Ditto, the same loop with a drawn face:

    python ditto_renderer.py --stub-model

It speaks to whoever comes, is silent when somebody speaks, and begins again when they have finished.
"""

from __future__ import annotations

import os
import queue
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Iterator

import numpy
import speaking

import visavis

HOW = "Run this in a checkout of ditto-talkinghead that has its checkpoints, with PYTHONPATH=. (see --help)."

# Ditto is given sound for so many pictures more than are out. For the first one it needs 20, or with a configuration that is
# not for its online mode 140; what is made ahead is made in vain when a visitor interrupts.
AHEAD = 6 * speaking.FPS


class Frames:
    """Takes the place of the writer that makes Ditto's video file: whoever asks for pictures gets them at once.

    It keeps one second of them. Where nobody asks, Ditto's threads wait.
    """

    def __init__(self) -> None:
        self._pictures: "queue.Queue[Any]" = queue.Queue(speaking.FPS)
        self.made = 0

    def __call__(self, picture: Any, fmt: str = "bgr") -> None:
        self.made += 1
        self._pictures.put(numpy.ascontiguousarray(picture if fmt == "rgb" else picture[:, :, ::-1]))

    def close(self) -> None:
        self._pictures.put(None)

    def __iter__(self) -> Iterator[Any]:
        while (picture := self._pictures.get()) is not None:
            yield picture
        self.close()  # For whoever asks again.


class Ditto:
    """The online pipeline of Ditto: six threads, from sound (16 kHz) to RGB pictures at 25 a second."""

    def __init__(self, photograph: str, checkpoints: str, config: str) -> None:
        with speaking.needs("Ditto", HOW):
            import librosa
            from stream_pipeline_online import StreamSDK

            self.resample = librosa.resample
            self.photograph = photograph
            self.sdk = StreamSDK(config, checkpoints)

    def pictures(self, samples: Any, rate: int) -> Iterator[Any]:
        speech = self.resample(samples, orig_sr=rate, target_sr=16_000).astype(numpy.float32)
        frames, over = Frames(), threading.Event()
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as feeder:
            # Starts the threads. Nothing is written before there is sound, and then it goes to us.
            self.sdk.setup(self.photograph, os.path.join(folder, "unused.mp4"), online_mode=True)
            self.sdk.setup_Nd(N_d=-(-len(speech) * speaking.FPS // 16_000))
            self.sdk.writer.close()
            self.sdk.writer = frames
            feeding = feeder.submit(self._feed, speech, frames, over)
            try:
                yield from frames
            finally:  # Also when nobody wants the rest, which Ditto's threads still hand over.
                over.set()
                for _ in frames:
                    pass
                feeding.result()

    def _feed(self, speech: Any, frames: Frames, over: threading.Event) -> None:
        """Sound in pieces, as inference.py cuts them: 3 frames of what was before, 5 new ones, 2 of what follows."""
        chunk, frame = (3, 5, 2), 640
        size = sum(chunk) * frame + 80
        padded = numpy.concatenate([numpy.zeros(chunk[0] * frame, numpy.float32), speech])
        try:
            for start in range(0, len(padded), chunk[1] * frame):
                while start // frame - frames.made > AHEAD and not over.is_set():
                    time.sleep(0.01)
                if over.is_set():
                    break
                piece = padded[start : start + size]
                self.sdk.run_chunk(numpy.pad(piece, (0, size - len(piece))), chunk)
        finally:
            # Waits for the threads, which then have made all pictures, and closes `frames`. A fault of theirs is raised.
            self.sdk.close()


def main() -> None:
    parser = speaking.command_line(__doc__ or "")
    parser.add_argument("photograph", nargs="?", default="example/image.png", help="an image of a face")
    parser.add_argument("--speech", default=str(speaking.SPEECH), help="what is said: a WAV file, mono, 16 bits")
    parser.add_argument("--checkpoints", default="./checkpoints/ditto_trt_Ampere_Plus", help="its folder of models")
    parser.add_argument("--config", default="./checkpoints/ditto_cfg/v0.4_hubert_cfg_trt_online.pkl")
    arguments = parser.parse_args()
    samples, rate = speaking.recording(arguments.speech)
    renderer: Any = (
        speaking.DrawnFace()
        if arguments.stub_model
        else Ditto(arguments.photograph, arguments.checkpoints, arguments.config)
    )
    with visavis.serve(arguments.port, host=arguments.host, title="Ditto") as server:
        face = server.session(fps=speaking.FPS)
        print("Open", server.url, flush=True)
        for _ in speaking.turns(face):
            speaking.say(face, renderer, samples, rate)


if __name__ == "__main__":
    main()
