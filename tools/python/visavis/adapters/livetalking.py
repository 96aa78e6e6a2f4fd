"""LiveTalking: an output (``streamout``) that shows avatars on faces, by the shape of its ``BaseOutput``.

Needs numpy. As a file ``streamout/visavis.py`` of LiveTalking, for ``--transport visavis``::

    import visavis
    from registry import register
    from visavis.adapters.livetalking import output

    register("streamout", "visavis")(output(visavis.serve(port=8081)))
"""

from __future__ import annotations

import collections
from typing import Any, Deque, Optional, Tuple, Type

import numpy

from .._engine import Engine
from .._session import Session
from .._utterance import Utterance

__all__ = ["Output", "output"]

# What its avatars make: pictures of 40 ms, and sound of 16 kHz.
_FPS = 25
_RATE = 16_000

# Stamps in an utterance go up to a day.
_LONGEST_MS = 12 * 3_600_000


def output(engine: Engine, **session: Any) -> "Type[Output]":
    """The class of outputs whose faces are in this engine or server.

    :param session: settings of each face, as of :meth:`Engine.session`. A face has the name that LiveTalking has for its
        session (``opt.sessionid``), or ``default``.
    """

    class OfEngine(Output):
        def _face(self, name: str) -> Session:
            return engine.session(name, **{"fps": _FPS, "idle": None, **session})

    return OfEngine


class Output:
    """A face as LiveTalking's avatars push to it: in bursts of pictures, each with 40 ms of sound.

    They are shown at their pace and in step. ``parent.notify`` is called with each event point once its sound was sent,
    from within the next push.
    """

    def __init__(self, opt: Any = None, parent: Any = None, **_: Any) -> None:
        self.opt = opt
        self.parent = parent
        self.face: Optional[Session] = None
        self._utterance: Optional[Utterance] = None
        # Milliseconds of sound and of pictures that were pushed into it.
        self._sound_ms = 0.0
        self._pictures_ms = 0.0
        # When each is reached, in milliseconds of the utterance.
        self._points: "Deque[Tuple[float, Any]]" = collections.deque()

    def _face(self, name: str) -> Session:
        raise NotImplementedError

    def start(self) -> None:
        """Makes the face."""
        if self.face is None:
            self.face = self._face(str(getattr(self.opt, "sessionid", "") or "default"))

    def push_video_frame(self, frame: Any) -> None:
        """(height, width, 3) of uint8 in BGR, as OpenCV has them."""
        picture = numpy.ascontiguousarray(frame[:, :, ::-1])
        if self._open().push_video(picture, timestamp_ms=int(self._pictures_ms), timeout=1) == "accepted":
            self._pictures_ms += 1_000 / _FPS
        self._tell()

    def push_audio_frame(self, frame: Any, eventpoint: Any = None) -> None:
        """(samples,) of int16, 16 kHz."""
        if self._open().push_audio(frame, _RATE, timeout=1) == "accepted":
            self._sound_ms += len(frame) / _RATE * 1_000
        if eventpoint:
            self._points.append((self._sound_ms, eventpoint))
        self._tell()

    def get_buffer_size(self) -> int:
        """Pictures that wait to be shown; LiveTalking makes no more while there are five."""
        self._tell()
        if self._utterance is None:
            return 0
        return max(0, round((self._pictures_ms - self._utterance.position) / 1_000 * _FPS))

    def stop(self) -> None:
        """Ends the face."""
        if self.face is not None:
            self.face.close()
        self._tell()

    def _open(self) -> Utterance:
        """The utterance that all of it is, unless it was interrupted or has become too long."""
        self.start()
        assert self.face is not None
        old = self._utterance
        if old is None or old.interrupted or self._sound_ms > _LONGEST_MS:
            if old is not None:
                old.end()
                self._notify(list(self._points))
                self._points.clear()
            self._utterance = self.face.begin_utterance()
            self._sound_ms = self._pictures_ms = 0.0
        assert self._utterance is not None
        return self._utterance

    def _tell(self) -> None:
        if self._utterance is None:
            return
        position, is_over = self._utterance.position, self._utterance.is_over
        reached = []
        while self._points and (is_over or self._points[0][0] <= position):
            reached.append(self._points.popleft())
        self._notify(reached)

    def _notify(self, points: "list[Tuple[float, Any]]") -> None:
        for _, point in points:
            if self.parent is not None:
                self.parent.notify(point)
