"""FastRTC: a ``StreamHandler``, ``AsyncStreamHandler`` or ``ReplyOnPause`` talks through a face.

Needs the package ``fastrtc``. In place of its ``Stream``::

    -stream = Stream(handler=ReplyOnPause(reply), modality="audio", mode="send-receive")
    -stream.mount(app)
    +with visavis.serve(port=8081) as server:
    +    face = server.session(microphone_rate=48_000, max_viewers=1)
    +    asyncio.run(visavis.adapters.fastrtc.run(face, ReplyOnPause(reply)))
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import time
from typing import Any, Callable, Optional

import numpy
from fastrtc import AdditionalOutputs, CloseStream
from fastrtc.utils import Context, current_context

from .._errors import Closed, InvalidValue
from .._events import PeerJoined, PeerLeft
from .._session import Session

__all__ = ["run"]

# A handler's next is asked for while so many seconds of what it made wait to be played.
_MOST_AHEAD = 5.0

# Pieces of a viewer's microphone that wait for a handler that is busy: ten seconds.
_MOST_HEARD = 500

# A handler that has nothing is asked again after this time, as FastRTC does.
_PAUSE = 0.02


async def run(
    face: Session,
    handler: Any,
    on_additional_outputs: Optional[Callable[..., Any]] = None,
) -> None:
    """Has each viewer of a face talk with a copy of a handler, until the face is closed.

    What the handler says is played at its own rate, and dropped where it clears its queue (``can_interrupt``). What it
    sends to FastRTC's page goes to the viewer's data channel; additional inputs, which that page has, are none.

    :param face: with the handler's ``input_sample_rate`` as ``microphone_rate``, and with ``max_viewers=1``, unless all
        viewers are to hear what is said to one.
    :param handler: of sound; FastRTC's handlers of video are not taken.
    :param on_additional_outputs: called with what comes in ``AdditionalOutputs``.
    :raises InvalidValue: a face with another rate. What a handler raises ends this too.
    """
    wanted, given = handler.input_sample_rate, face.microphone_rate
    if wanted != given:
        raise InvalidValue(
            f"the handler wants sound of {wanted} Hz, and the face gives {given} Hz; make the face with "
            f"microphone_rate={wanted}"
        )
    events, talks = face.events(), {}
    hearing = asyncio.ensure_future(_hear(face, talks))
    coming = asyncio.ensure_future(events.next())
    tasks: "dict[asyncio.Future[None], str]" = {}
    try:
        while True:
            done, _ = await asyncio.wait({coming, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            for over in [task for task in tasks if task in done]:
                face.disconnect(tasks.pop(over))
                over.result()
            if coming not in done:
                continue
            try:
                event = coming.result()
            except Closed:
                return
            coming = asyncio.ensure_future(events.next())
            if isinstance(event, PeerJoined):
                talk = _Talk(face, event.peer, handler.copy(), on_additional_outputs)
                talks[event.peer] = talk
                tasks[asyncio.ensure_future(talk.run())] = event.peer
            elif isinstance(event, PeerLeft):
                talks.pop(event.peer, None)
                for task in [task for task, peer in tasks.items() if peer == event.peer]:
                    task.cancel()
                    del tasks[task]
    finally:
        for left in [coming, hearing, *tasks]:
            left.cancel()
        await asyncio.gather(coming, hearing, *tasks, return_exceptions=True)


async def _hear(face: Session, talks: "dict[str, _Talk]") -> None:
    async for chunk in face.microphone():
        talk = talks.get(chunk.peer)
        if talk is None:
            continue
        if talk.heard.full():
            talk.heard.get_nowait()
        talk.heard.put_nowait(numpy.asarray(chunk.samples)[None])


class _Talk:
    """One viewer's, with a handler of its own."""

    def __init__(
        self,
        face: Session,
        peer: str,
        handler: Any,
        on_additional_outputs: Optional[Callable[..., Any]],
    ) -> None:
        self._face = face
        self._peer = peer
        self._handler = handler
        self._on_additional_outputs = on_additional_outputs
        self.heard: "asyncio.Queue[Any]" = asyncio.Queue(_MOST_HEARD)
        # When what was pushed will have been played.
        self._played = 0.0
        self._loop = asyncio.get_running_loop()
        handler._loop = self._loop
        handler._clear_queue = self._clear
        # Which has it ask for no additional inputs.
        handler.phone_mode = True
        handler.set_channel(self)

    def send(self, text: str) -> None:
        """What a handler calls of a data channel."""
        if self._face.labels(self._peer):
            self._face.send(self._peer, text)

    def _clear(self) -> None:
        # Called from a thread of the handler's.
        self._face.interrupt()
        self._played = 0.0

    async def run(self) -> None:
        current_context.set(Context(webrtc_id=self._peer))
        # As FastRTC does it, beside the rest.
        doing = [self._call(self._handler.start_up), self._listen(), self._speak()]
        starting, *others = [asyncio.ensure_future(one) for one in doing]
        try:
            await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)
            for one in others:
                if one.done():
                    one.result()
        finally:
            for one in (starting, *others):
                one.cancel()
            await asyncio.gather(starting, *others, return_exceptions=True)
            await self._call(self._handler.shutdown)

    async def _call(self, method: Callable[..., Any], *arguments: Any) -> Any:
        """Handlers of both kinds: coroutines here, the others in a thread."""
        if inspect.iscoroutinefunction(method):
            return await method(*arguments)
        call = functools.partial(contextvars.copy_context().run, method, *arguments)
        return await self._loop.run_in_executor(None, call)

    async def _listen(self) -> None:
        rate = self._handler.input_sample_rate
        while True:
            samples = await self.heard.get()
            await self._call(self._handler.receive, (rate, samples))

    async def _speak(self) -> None:
        while True:
            sound, more = _split(await self._call(self._handler.emit))
            if isinstance(more, AdditionalOutputs) and self._on_additional_outputs is not None:
                self._on_additional_outputs(*more.args)
            if isinstance(sound, tuple):
                self._push(*sound[:2])
            if isinstance(more, CloseStream):
                await asyncio.sleep(max(0.0, self._played - time.monotonic()))
                return
            ahead = self._played - time.monotonic()
            await asyncio.sleep(max(ahead - _MOST_AHEAD, 0.0 if sound is not None else _PAUSE))

    def _push(self, rate: int, samples: Any) -> None:
        """(samples,) or (channels, samples), as FastRTC has them."""
        samples = numpy.atleast_2d(samples)
        self._face.push_audio(numpy.ascontiguousarray(samples.T), rate)
        lasts = samples.shape[1] / rate
        self._played = max(self._played, time.monotonic()) + lasts


def _split(output: Any) -> "tuple[Any, Any]":
    """Sound, and what comes with it."""
    if isinstance(output, (AdditionalOutputs, CloseStream)):
        return None, output
    if isinstance(output, tuple) and isinstance(output[-1], (AdditionalOutputs, CloseStream)):
        return output[0], output[-1]
    return output, None
