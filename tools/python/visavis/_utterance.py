"""Speech that is made ahead of its time, sound and pictures together."""

from __future__ import annotations

import asyncio
import time
import weakref
from types import TracebackType
from typing import Optional, Type, Union

from . import _visavis
from ._errors import Closed, Timeout
from ._events import Event, Interrupted, UtteranceEnded, UtteranceStarted
from ._stream import Stream
from ._types import Bytes, Frame, PixelFormat, PushOutcome, Samples

# Whoever waits for room, or blocks until something begins or ends, looks this often.
_LOOK = 0.01


class Playback:
    """Begins and ends of a session's utterances: read by whoever waits for one of them, for all."""

    def __init__(self, session: _visavis.Session) -> None:
        self._events: "Stream[Event]" = Stream(session.playback())
        self._known: "weakref.WeakValueDictionary[int, Utterance]" = weakref.WeakValueDictionary()

    def add(self, utterance: "Utterance") -> None:
        self._known[utterance.id] = utterance
        self.read()

    def read(self) -> None:
        found = False
        while True:
            try:
                event = self._events.get_nowait()
            except Closed:
                # The engine has ended, and each utterance knows that it has.
                break
            if event is None:
                break
            found = True
            if isinstance(event, (UtteranceStarted, UtteranceEnded, Interrupted)):
                self._tell(event)
        if found:
            # Those who wait for what was read here: nothing is left that would wake them.
            self._events.wake()

    def _tell(self, event: Union[UtteranceStarted, UtteranceEnded, Interrupted]) -> None:
        utterance = self._known.get(event.utterance or 0)
        if utterance is None:
            return
        if isinstance(event, UtteranceStarted):
            utterance._started = True
        else:
            utterance._cut_off = isinstance(event, Interrupted)

    async def changed(self) -> None:
        await self._events.readable()
        # Once nothing more will come it is readable for ever.
        self.read()
        await asyncio.sleep(0)


class Utterance:
    """Something that is said, pushed as fast as it is made and played at its own pace.

    Sound and pictures carry their times inside it, in milliseconds from its beginning; without a time, what is pushed
    follows what was pushed before. Utterances of a session are played one after the other. What waits is bounded: a push
    that does not fit returns ``"full"`` and takes nothing, or waits for room.

    Made by :meth:`Session.begin_utterance`. ``with`` ends it: what was pushed is still played. A block that is left by an
    exception interrupts it.
    """

    def __init__(self, utterance: _visavis.Utterance, playback: Playback, fps: int) -> None:
        self._utterance = utterance
        self._playback = playback
        self._frame_ms = 1_000 / fps
        self._pictures_ms = 0.0
        self._started = False
        # As it was told; it is not known before.
        self._cut_off: Optional[bool] = None
        playback.add(self)

    @property
    def id(self) -> int:
        """Its number, as events have it."""
        return self._utterance.id

    def push_audio(
        self,
        samples: Samples,
        rate: int,
        channels: Optional[int] = None,
        timestamp_ms: Optional[int] = None,
        timeout: Optional[float] = 0,
    ) -> PushOutcome:
        """Keeps sound until its time.

        :param samples: int16, or float32 from -1 to 1: ``(samples,)``, or ``(samples, 2)`` for stereo; bytes are 16-bit
            samples.
        :param rate: samples a second: 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100 or 48000.
        :param channels: 1 or 2, of samples in one dimension. Default: 1.
        :param timestamp_ms: milliseconds from the beginning. Default: behind what was pushed before.
        :param timeout: seconds to wait for room; ``None`` for as long as it takes. Default: not at all.
        :returns: ``"accepted"``, ``"full"``, or ``"dropped"`` after an interruption.
        :raises InvalidType: values of another dtype.
        :raises InvalidValue: another shape, rate or time.
        :raises Closed: it was ended.
        """
        return self._utterance.push_audio(samples, rate, channels, timestamp_ms, timeout)

    def push_video(
        self,
        frame: Frame,
        width: Optional[int] = None,
        height: Optional[int] = None,
        format: Optional[PixelFormat] = None,
        timestamp_ms: Optional[int] = None,
        timeout: Optional[float] = 0,
    ) -> PushOutcome:
        """Converts a picture and keeps it until its time.

        :param frame: as in :meth:`Session.push_video`.
        :param timestamp_ms: milliseconds from the beginning. Default: one frame (the session's ``fps``) behind the one
            before.
        :param timeout: seconds to wait for room; ``None`` for as long as it takes. Default: not at all.
        :returns: ``"accepted"``, ``"full"``, or ``"dropped"`` after an interruption.
        :raises InvalidType, InvalidValue: as in :meth:`Session.push_video`.
        :raises Closed: it was ended.
        """
        stamp = self._pictures_ms if timestamp_ms is None else float(timestamp_ms)
        outcome = self._utterance.push_video(
            frame, width, height, format, int(stamp) if timestamp_ms is None else timestamp_ms, timeout
        )
        if outcome == "accepted":
            self._pictures_ms = stamp + self._frame_ms
        return outcome

    def push_mp3(self, frames: Bytes, timestamp_ms: int) -> PushOutcome:
        """As :meth:`push_audio`, of one or more whole MP3 frames.

        :raises InvalidValue: no MP3.
        :raises Closed: it was ended.
        """
        return self._utterance.push_mp3(frames, timestamp_ms)

    async def push_audio_async(
        self,
        samples: Samples,
        rate: int,
        channels: Optional[int] = None,
        timestamp_ms: Optional[int] = None,
    ) -> PushOutcome:
        """As :meth:`push_audio`, but has asyncio wait for room, for as long as it takes."""
        while True:
            outcome = self.push_audio(samples, rate, channels, timestamp_ms)
            if outcome != "full":
                return outcome
            await asyncio.sleep(_LOOK)

    async def push_video_async(
        self,
        frame: Frame,
        width: Optional[int] = None,
        height: Optional[int] = None,
        format: Optional[PixelFormat] = None,
        timestamp_ms: Optional[int] = None,
    ) -> PushOutcome:
        """As :meth:`push_video`, but has asyncio wait for room, for as long as it takes."""
        while True:
            outcome = self.push_video(frame, width, height, format, timestamp_ms)
            if outcome != "full":
                return outcome
            await asyncio.sleep(_LOOK)

    def end(self) -> None:
        """Nothing more will be pushed: when all of it is played it is over. A second call does nothing."""
        self._utterance.end()

    def interrupt(self) -> float:
        """Drops what has not been sent yet, and returns how much was, in milliseconds. Nothing more can be pushed into it;
        one that was ended already and plays on is cut off too."""
        return self._utterance.interrupt()

    @property
    def position(self) -> float:
        """How much of it was sent, in milliseconds: exact to a packet of 20 ms."""
        return self._utterance.position_ms

    @property
    def has_begun(self) -> bool:
        """It has begun to play."""
        self._playback.read()
        return self._started or self.position > 0

    @property
    def interrupted(self) -> bool:
        """It was cut off: by an interruption, or by the end of its session."""
        self._playback.read()
        return self._utterance.is_interrupted if self._cut_off is None else self._cut_off

    @property
    def is_over(self) -> bool:
        """Nothing more of it will be sent."""
        return self._utterance.is_over

    async def begun(self) -> bool:
        """Returns when it begins to play, with ``True``; with ``False`` if it is cut off before."""
        while not self.has_begun and not self.is_over:
            await self._playback.changed()
        return self.has_begun

    async def finished(self) -> bool:
        """Returns when nothing more of it will be sent: ``True`` if it was played to its end, ``False`` if it was cut off.

        Call :meth:`end` first, or leave its ``with`` block: until then more may come.
        """
        self._playback.read()
        while not self.is_over:
            await self._playback.changed()
        return not self.interrupted

    def wait(self, timeout: Optional[float] = None) -> bool:
        """:meth:`finished` without asyncio: blocks for up to ``timeout`` seconds, or for as long as it takes.

        :raises Timeout: it is not over by then.
        """
        until = None if timeout is None else time.monotonic() + timeout
        while not self.is_over:
            if until is not None and time.monotonic() >= until:
                raise Timeout(f"the utterance is not over after {timeout} s")
            time.sleep(_LOOK)
        return not self.interrupted

    def __enter__(self) -> "Utterance":
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        if error is not None:
            self._utterance.interrupt()
        self.end()
