"""LiveKit Agents: an ``AvatarRunner`` that shows the avatar on a face in place of a room.

Needs the package ``livekit-agents``, and no LiveKit server. The audio receiver and the video generator stay as they are::

    -from livekit.agents.voice.avatar import AvatarRunner
    +from visavis.adapters.livekit import AvatarRunner
    ...
    -runner = AvatarRunner(room, audio_recv=audio_recv, video_gen=video_gen, options=options)
    +runner = AvatarRunner(face, audio_recv=audio_recv, video_gen=video_gen, options=options)
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Coroutine, Optional

from livekit import rtc
from livekit.agents.voice.avatar import AudioReceiver, AudioSegmentEnd, AvatarOptions, VideoGenerator

from .._session import Session
from .._utterance import Utterance

__all__ = ["AvatarRunner"]

_FORMATS = {
    rtc.VideoBufferType.RGBA: "rgba",
    rtc.VideoBufferType.BGRA: "bgra",
    rtc.VideoBufferType.RGB24: "rgb",
    rtc.VideoBufferType.I420: "i420",
    rtc.VideoBufferType.NV12: "nv12",
}


class _Segment:
    """What is said in one go: from the first sound that was received to its end."""

    def __init__(self) -> None:
        # Once the generator has made something of it.
        self.utterance: Optional[Utterance] = None
        self.is_told = False

    @property
    def position(self) -> float:
        return self.utterance.position / 1_000 if self.utterance is not None else 0.0


class AvatarRunner:
    """Gives received audio to a video generator, and what that makes to a face, sound and pictures in step.

    The agent is told when each segment begins to be heard, and, exactly once, when it is over and how far it came: to
    within 20 ms of what viewers get. What the generator makes ahead of time waits in an utterance, and is dropped at
    once when the agent clears its buffer. Pictures outside of segments are shown live, at ``video_fps``.

    :param face: made with ``fps`` as ``video_fps`` is, and best with ``idle=None``, as generators make pictures always.
    :param audio_recv, video_gen, options: as of LiveKit's ``AvatarRunner``.
    """

    def __init__(
        self,
        face: Session,
        *,
        audio_recv: AudioReceiver,
        video_gen: VideoGenerator,
        options: AvatarOptions,
    ) -> None:
        self._face = face
        self._audio_recv = audio_recv
        self._video_gen = video_gen
        self._frame_time = 1 / options.video_fps
        # When the next picture outside of segments is due.
        self._due = 0.0
        # The first is what the generator makes; the last is what is received, while `_is_receiving`.
        self._segments: "list[_Segment]" = []
        self._is_receiving = False
        # Made and played to their end, but not told of.
        self._playing: "list[_Segment]" = []
        self._tasks: "set[asyncio.Task[Any]]" = set()
        self._running: "list[asyncio.Task[None]]" = []

    async def start(self) -> None:
        """Starts to receive and to show."""
        await self._audio_recv.start()
        self._audio_recv.on("clear_buffer", self._on_clear_buffer)
        self._running = [
            asyncio.create_task(self._read_audio()),
            asyncio.create_task(self._forward_video()),
        ]

    async def wait_for_complete(self) -> None:
        """Returns when receiver and generator have ended; raises what one of them has raised."""
        await asyncio.gather(*self._running)

    async def aclose(self) -> None:
        """Stops. The face stays open."""
        await self._audio_recv.aclose()
        tasks = [*self._running, *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _read_audio(self) -> None:
        async for frame in self._audio_recv:
            if isinstance(frame, AudioSegmentEnd):
                self._is_receiving = False
            elif not self._is_receiving:
                self._is_receiving = True
                self._segments.append(_Segment())
            await self._video_gen.push_audio(frame)

    async def _forward_video(self) -> None:
        async for frame in self._video_gen:
            if isinstance(frame, AudioSegmentEnd):
                self._end_segment()
            elif isinstance(frame, rtc.AudioFrame):
                await self._push_audio(frame)
            else:
                await self._push_video(frame)

    async def _push_audio(self, frame: rtc.AudioFrame) -> None:
        if not self._segments:
            # Sound that nobody has asked for, such as breathing.
            self._face.push_audio(frame.data, frame.sample_rate, frame.num_channels)
            return
        segment = self._segments[0]
        if segment.utterance is None:
            segment.utterance = self._face.begin_utterance()
            self._spawn(self._follow(segment))
        await segment.utterance.push_audio_async(frame.data, frame.sample_rate, frame.num_channels)

    async def _push_video(self, frame: rtc.VideoFrame) -> None:
        if frame.type not in _FORMATS:
            frame = frame.convert(rtc.VideoBufferType.I420)
        form: Any = _FORMATS[frame.type]
        segment = self._segments[0] if self._segments else None
        if segment is not None and segment.utterance is not None:
            await segment.utterance.push_video_async(frame.data, frame.width, frame.height, form)
            return
        self._face.push_video(frame.data, frame.width, frame.height, form)
        self._due = max(self._due, time.monotonic() - self._frame_time) + self._frame_time
        await asyncio.sleep(max(0.0, self._due - time.monotonic()))

    def _end_segment(self) -> None:
        if not self._segments:
            # Of one that was cleared meanwhile.
            return
        segment = self._segments.pop(0)
        if segment.utterance is None:
            self._tell_end(segment, interrupted=False)
        else:
            self._playing.append(segment)
            segment.utterance.end()

    async def _follow(self, segment: _Segment) -> None:
        """Tells of an utterance's begin and end."""
        assert segment.utterance is not None
        if await segment.utterance.begun() and not segment.is_told:
            self._call(self._audio_recv.notify_playback_started())
        was_heard = await segment.utterance.finished()
        if segment in self._playing:
            self._playing.remove(segment)
        self._tell_end(segment, interrupted=not was_heard)

    def _on_clear_buffer(self) -> None:
        cleared = [*self._playing, *self._segments]
        self._playing, self._segments, self._is_receiving = [], [], False
        self._call(self._video_gen.clear_buffer())
        for segment in cleared:
            if segment.utterance is not None:
                segment.utterance.interrupt()
            self._tell_end(segment, interrupted=True)

    def _tell_end(self, segment: _Segment, *, interrupted: bool) -> None:
        if not segment.is_told:
            segment.is_told = True
            position = segment.position
            self._call(self._audio_recv.notify_playback_finished(position, interrupted))

    def _call(self, result: "Optional[Coroutine[None, None, None]]") -> None:
        """What may be a coroutine is run."""
        if asyncio.iscoroutine(result):
            self._spawn(result)

    def _spawn(self, coroutine: "Coroutine[Any, Any, None]") -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
