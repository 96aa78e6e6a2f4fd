"""What the examples with a model share: the command line, whose turn it is to speak, and a drawn face for their stand-ins."""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import sys
import threading
import wave
from pathlib import Path
from typing import Any, AsyncIterator, Callable, Deque, Dict, Iterator, Optional, Tuple

import numpy

import visavis

# MuseTalk and Ditto were trained at this rate.
FPS = 25
# Speech is told of a moment after it has begun: so many ms before it belong to it.
BEFORE_MS = 200
# Some 30 s: of what is said without a pause for longer, the end is kept.
MOST_PIECES = 1_500
# So many wait for a recogniser that does not keep up: then the oldest goes.
MOST_SENTENCES = 8

SPEECH = Path(__file__).resolve().parent / "../../../fixtures/speech.wav"


def command_line(about: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--stub-model", action="store_true", help="no model and no weights: the same loop with a stand-in")
    parser.add_argument("--port", type=int, default=8081, help="TCP port of the page; 0: any (default: 8081)")
    parser.add_argument("--host", default="0.0.0.0", help="IP address to listen on (default: all)")
    return parser


@contextlib.contextmanager
def needs(project: str, how: str) -> Iterator[None]:
    """Says what is missing where a project cannot be imported, or its weights cannot be read."""
    try:
        yield
    except (ImportError, OSError) as error:
        sys.exit(f"{project} cannot be used: {error}\n{how}\nOr try the example without it: --stub-model")


def recording(path: str) -> Tuple[Any, int]:
    """The samples of a WAV file (16 bits, mono) as float32 from -1 to 1, and how many there are a second."""
    with contextlib.closing(wave.open(path)) as file:
        if (file.getnchannels(), file.getsampwidth()) != (1, 2):
            sys.exit(f"{path} is not mono of 16 bits: ffmpeg -i {path} -ac 1 -c:a pcm_s16le speech.wav")
        samples = numpy.frombuffer(file.readframes(file.getnframes()), "<i2")
        return samples.astype(numpy.float32) / 32_768, file.getframerate()


def turns(face: visavis.Session) -> Iterator[None]:
    """Yields each time that it is the face's turn: somebody has come, or has finished speaking.

    The caller then speaks, for as long as it likes: a visitor who begins to speak interrupts it, from a thread that does
    nothing else and so is never held up by a model.
    """
    turn = threading.Event()

    def listen() -> None:
        # Only from here on the speech of visitors is noticed. What they say is not needed.
        microphone = face.microphone()
        for event in face.events():
            if isinstance(event, visavis.SpeechStarted):
                turn.clear()
                print(f"interrupted after {face.interrupt():.0f} ms", flush=True)
            elif isinstance(event, (visavis.PeerJoined, visavis.SpeechEnded)):
                turn.set()
        microphone.close()

    threading.Thread(target=listen, daemon=True).start()
    while not face.is_closed:
        if turn.wait(0.2):
            turn.clear()
            yield


def say(face: visavis.Session, renderer: Any, samples: Any, rate: int) -> None:
    """Has a renderer make the pictures for some speech, and plays both.

    A picture may take less time than it is shown: they are kept until they are due, and a push waits where too many are.
    """
    size = rate // FPS
    print("speaks", flush=True)
    with face.begin_utterance() as utterance, contextlib.closing(renderer.pictures(samples, rate)) as pictures:
        for start, picture in zip(range(0, len(samples), size), pictures):
            # Sound goes in with its picture, so that nothing is heard before it can be seen.
            utterance.push_video(picture, timeout=None)
            if utterance.push_audio(samples[start : start + size], rate, timeout=None) == "dropped":
                break  # Interrupted: the rest need not be made.
    was_heard = utterance.wait()
    print("said" if was_heard else "cut off after", f"{utterance.position:.0f} ms", flush=True)


async def sentences(
    face: visavis.Session, begins: Callable[[], Any] = lambda: None
) -> AsyncIterator[Tuple[str, bytes]]:
    """What visitors say, from pause to pause: whose it is, and its samples of 16 bits.

    Calls `begins` at once when somebody begins to speak: `face.interrupt` is silent then.
    """
    pieces: Dict[str, Deque[visavis.MicChunk]] = collections.defaultdict(lambda: collections.deque(maxlen=MOST_PIECES))
    since: Dict[str, int] = {}
    spoken: "asyncio.Queue[Optional[Tuple[str, bytes]]]" = asyncio.Queue(MOST_SENTENCES)

    def put(sentence: Optional[Tuple[str, bytes]]) -> None:
        if spoken.full():
            spoken.get_nowait()
        spoken.put_nowait(sentence)

    async def listen() -> None:
        async for piece in microphone:
            of_peer = pieces[piece.peer]
            of_peer.append(piece)
            while piece.peer not in since and piece.captured_ms - of_peer[0].captured_ms > 1_000:
                of_peer.popleft()

    async def follow() -> None:
        async for event in events:
            if isinstance(event, visavis.SpeechStarted):
                since[event.peer] = event.at_ms - BEFORE_MS
                begins()
            elif isinstance(event, visavis.SpeechEnded):
                begin = since.pop(event.peer, event.at_ms)
                of_peer = pieces.pop(event.peer, ())
                put((event.peer, b"".join(one.data for one in of_peer if one.captured_ms >= begin)))
            elif isinstance(event, visavis.PeerLeft):
                pieces.pop(event.peer, None)
        put(None)

    microphone, events = face.microphone(), face.events()
    tasks = [asyncio.create_task(listen()), asyncio.create_task(follow())]
    try:
        while (sentence := await spoken.get()) is not None:
            yield sentence
    finally:
        for task in tasks:
            task.cancel()


class DrawnFace:
    """A face that opens its mouth as loud as it speaks."""

    def __init__(self, side: int = 256) -> None:
        y, x = numpy.mgrid[:side, :side] / side
        self._x, self._y = x, y
        self._rest = numpy.full((side, side, 3), (40, 60, 170), numpy.uint8)
        self._rest[(x - 0.5) ** 2 / 0.09 + (y - 0.5) ** 2 / 0.16 < 1] = (235, 195, 165)
        for eye in (0.38, 0.62):
            self._rest[(x - eye) ** 2 + (y - 0.42) ** 2 < 0.0012] = (40, 40, 60)

    def picture(self, samples: Any) -> Any:
        """RGB, ``(height, width, 3)`` of uint8, for the sound of one picture."""
        loudness = float(numpy.sqrt((samples**2).mean())) if len(samples) else 0.0
        picture = self._rest.copy()
        open_by = 0.008 + min(0.09, 0.4 * loudness)
        mouth = ((self._x - 0.5) / 0.11) ** 2 + ((self._y - 0.7) / open_by) ** 2 < 1
        picture[mouth] = (150, 40, 50)
        return picture

    def pictures(self, samples: Any, rate: int) -> Iterator[Any]:
        """One picture for each 40 ms of speech."""
        for start in range(0, len(samples), rate // FPS):
            yield self.picture(samples[start : start + rate // FPS])
