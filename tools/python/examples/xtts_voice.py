"""XTTS as the voice: a face says what it is told to, and begins before the sentence is made to its end.

    pip install coqui-tts                        # the maintained fork of Coqui's TTS
    python xtts_voice.py XTTS-v2 "Nice to meet you." --like somebody.wav
                                                 # a folder with model.pth, config.json and vocab.json of XTTS v2

Without XTTS, the same loop with a recording in place of the voice:

    python xtts_voice.py --stub-model

It speaks to whoever comes, is silent when somebody speaks, and begins again when they have finished.
"""

from __future__ import annotations

import contextlib
from typing import Any, Iterator

import numpy
import speaking

import visavis

HOW = "pip install coqui-tts, and give it the folder of XTTS v2 (see --help)."

# XTTS makes this many samples a second.
RATE = 24_000


class Xtts:
    """XTTS v2 on a GPU: the first sound of a sentence comes after some 200 ms, the rest faster than it plays."""

    def __init__(self, folder: str, like: str, language: str) -> None:
        with speaking.needs("XTTS", HOW):
            from TTS.tts.configs.xtts_config import XttsConfig
            from TTS.tts.models.xtts import Xtts as Model

            config = XttsConfig()
            config.load_json(f"{folder}/config.json")
            self.model, self.language = Model.init_from_config(config), language
            self.model.load_checkpoint(config, checkpoint_dir=folder, eval=True)
            self.model.cuda()
            self.latents, self.speaker = self.model.get_conditioning_latents(audio_path=[like])

    def speech(self, text: str) -> Iterator[Any]:
        """float32 from -1 to 1, in pieces as they are made."""
        for piece in self.model.inference_stream(text, self.language, self.latents, self.speaker):
            yield piece.cpu().numpy()


class Stub:
    """A recording, in pieces of the size of XTTS's, for a text as long as it is."""

    def speech(self, text: str) -> Iterator[Any]:
        samples, _ = speaking.recording(str(speaking.SPEECH))
        # Some 15 letters are spoken a second.
        yield from numpy.array_split(samples[: len(text) * RATE // 15], max(1, len(text) // 12))


def say(face: visavis.Session, voice: Any, text: str) -> None:
    """Plays speech while it is made, with a drawn face: here your renderer makes the pictures."""
    drawn, size = speaking.DrawnFace(), RATE // speaking.FPS
    print("speaks", flush=True)
    with face.begin_utterance() as utterance, contextlib.closing(voice.speech(text)) as pieces:
        waiting = numpy.zeros(0, numpy.float32)
        for piece in pieces:
            if utterance.push_audio(piece, RATE, timeout=None) == "dropped":
                break  # Interrupted: the rest of the sentence need not be made.
            # A picture for each 40 ms; what is left over waits for the next piece.
            waiting = numpy.concatenate([waiting, piece])
            while len(waiting) >= size:
                utterance.push_video(drawn.picture(waiting[:size]), timeout=None)
                waiting = waiting[size:]
    was_heard = utterance.wait()
    print("said" if was_heard else "cut off after", f"{utterance.position:.0f} ms", flush=True)


def main() -> None:
    parser = speaking.command_line(__doc__ or "")
    parser.add_argument("model", nargs="?", default="XTTS-v2", help="folder of XTTS v2 (default: XTTS-v2)")
    parser.add_argument("text", nargs="?", default="Hello, and welcome! I am the face of visavis.")
    parser.add_argument("--like", default=str(speaking.SPEECH), help="some seconds of the voice that it is to have")
    parser.add_argument("--language", default="en", help="en, de, fr, … (default: en)")
    arguments = parser.parse_args()
    voice: Any = Stub() if arguments.stub_model else Xtts(arguments.model, arguments.like, arguments.language)
    with visavis.serve(arguments.port, host=arguments.host, title="XTTS") as server:
        face = server.session(fps=speaking.FPS)
        print("Open", server.url, flush=True)
        for _ in speaking.turns(face):
            say(face, voice, arguments.text)


if __name__ == "__main__":
    main()
