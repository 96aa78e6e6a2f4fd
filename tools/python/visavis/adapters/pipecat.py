"""Pipecat: a transport in place of ``SmallWebRTCTransport``, with the same clients and the same requests.

Needs the package ``pipecat-ai``, and neither aiortc nor OpenCV. In a bot of Pipecat's quickstart::

    -from pipecat.transports.smallwebrtc.request_handler import SmallWebRTCRequestHandler
    -from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport
    +from visavis.adapters.pipecat import SmallWebRTCRequestHandler, SmallWebRTCTransport
    ...
    -handler = SmallWebRTCRequestHandler()
    +handler = SmallWebRTCRequestHandler(visavis.Engine(udp_port=8083))

Each client has a face of its own: what the bot says, and shows where the parameters have ``video_out_enabled``. Video from
clients is not received.

That the bot begins to speak and stops is told within 20 ms of when its client hears it, as long as the event loop is not
kept from running. Python's garbage collector does that for some 0.2 s now and then, as it looks at all that Pipecat has
imported; ``gc.freeze()`` once everything is loaded spares it that.
"""

from __future__ import annotations

import asyncio
import collections
import json
import time
import uuid
from typing import Any, Awaitable, Callable, Deque, Mapping, Optional

from loguru import logger
from pipecat.frames.frames import (
    BotSpeakingFrame,
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    CancelFrame,
    ClientConnectedFrame,
    EndFrame,
    Frame,
    InputTransportMessageFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputImageRawFrame,
    OutputTransportMessageFrame,
    OutputTransportMessageUrgentFrame,
    StartFrame,
    UserAudioRawFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import BaseTransport, TransportParams
from pipecat.utils.utils import obj_id

from .._engine import Engine
from .._errors import Error, InvalidValue
from .._events import DataChannelOpened, Event, PeerJoined, PeerLeft
from .._session import Session
from .._stream import Stream

__all__ = ["Connection", "SmallWebRTCRequestHandler", "SmallWebRTCTransport"]

# So much sound is with the engine before the pipeline's next is taken: what is still heard after an interruption.
_LEAD = 0.04
# Silence after what is said, in milliseconds: a packet, and what a filter keeps back.
_FILLING = 25
# What waits becomes less by this at a time.
_PACKET = 0.02

# Messages that wait for the client's data channel.
_MAX_MESSAGES = 50


class Connection:
    """A client that watches a face, in place of ``SmallWebRTCConnection``.

    :param face: whose viewer it is; with ``max_viewers=1``, and with the ``microphone_rate`` that the pipeline wants.
    """

    def __init__(self, face: Session) -> None:
        self.face = face
        # The client's id, once it has one.
        self.pc_id = ""
        self.connected = asyncio.Event()
        self.closed = asyncio.Event()
        # From now on, so that nothing is missed.
        self._events: "Stream[Event]" = face.events()
        self.messages = face.messages()
        self._waiting: Deque[str] = collections.deque(maxlen=_MAX_MESSAGES)
        self._has_channel = False
        self._following: "Optional[asyncio.Task[None]]" = None

    def follow(self) -> None:
        """Has its state follow the client's. A second call does nothing."""
        if self._following is None:
            self._following = asyncio.get_running_loop().create_task(self._follow())

    async def _follow(self) -> None:
        async for event in self._events:
            if isinstance(event, PeerJoined):
                self.pc_id = event.peer
                self.connected.set()
            elif isinstance(event, DataChannelOpened):
                self._has_channel = True
                while self._waiting:
                    self.face.broadcast(self._waiting.popleft())
            elif isinstance(event, PeerLeft):
                break
        self.closed.set()

    def send_app_message(self, message: Any) -> None:
        """Sends the client a message as JSON, as soon as its data channel is open."""
        text = json.dumps(message)
        if self._has_channel:
            self.face.broadcast(text)
        else:
            self._waiting.append(text)

    async def disconnect(self) -> None:
        """Closes the client's connection, and its face."""
        if not self.face.is_closed:
            await self.face.aclose()
        self.closed.set()


class SmallWebRTCRequestHandler:
    """Answers the requests of Pipecat's clients: a POST with an offer, a PATCH with candidates.

    :param engine: where the faces are.
    :param session: settings of each face, as of :meth:`Engine.session`.
    """

    def __init__(self, engine: Engine, **session: Any) -> None:
        self._engine = engine
        self._session = session
        self._connections: "dict[str, Connection]" = {}
        self._forgetting: "set[asyncio.Task[None]]" = set()

    async def handle_web_request(
        self, request: Any, webrtc_connection_callback: Callable[[Any], Awaitable[None]]
    ) -> "dict[str, str]":
        """Answers an offer. A new client gets a face, and ``webrtc_connection_callback`` its :class:`Connection`.

        :param request: a ``SmallWebRTCRequest``, or the request's body.
        :returns: ``sdp``, ``type`` and ``pc_id``.
        :raises InvalidValue: an offer that cannot be used.
        :raises Error: no place, or an engine that is busy or has ended.
        """
        pc_id = _field(request, "pc_id")
        known = self._connections.get(pc_id) if pc_id else None
        if known is not None and _field(request, "restart_pc"):
            # A new connection of the same client.
            await known.disconnect()
            known = None
        if known is not None:
            answer = await known.face.answer_async(_field(request, "sdp"), pc_id)
            return {"sdp": answer.sdp, "type": "answer", "pc_id": answer.peer}

        settings = {"max_viewers": 1, **self._session}
        connection = Connection(self._engine.session(f"pipecat-{uuid.uuid4().hex}", **settings))
        try:
            answer = connection.face.answer(_field(request, "sdp"))
        except Error:
            connection.face.close()
            raise
        connection.pc_id = answer.peer
        self._connections[answer.peer] = connection
        connection.follow()
        forgetting = asyncio.get_running_loop().create_task(self._forget(connection))
        self._forgetting.add(forgetting)
        forgetting.add_done_callback(self._forgetting.discard)
        await webrtc_connection_callback(connection)
        return {"sdp": answer.sdp, "type": "answer", "pc_id": answer.peer}

    async def handle_patch_request(self, request: Any) -> None:
        """Takes candidates.

        :param request: a ``SmallWebRTCPatchRequest``, or the request's body.
        :raises InvalidValue: no such connection, or no candidate.
        """
        pc_id = _field(request, "pc_id")
        connection = self._connections.get(pc_id)
        if connection is None:
            raise InvalidValue(f"there is no peer connection {pc_id}")
        for candidate in _field(request, "candidates") or ():
            connection.face.add_candidate(pc_id, _field(candidate, "candidate") or "")

    async def _forget(self, connection: Connection) -> None:
        await connection.closed.wait()
        self._connections.pop(connection.pc_id, None)
        await connection.disconnect()

    async def close(self) -> None:
        """Closes all connections."""
        for connection in list(self._connections.values()):
            await connection.disconnect()
        await asyncio.gather(*self._forgetting)


class SmallWebRTCTransport(BaseTransport):
    """The two ends of a pipeline whose client watches a face.

    Event handlers: ``on_client_connected(transport, connection)``, ``on_client_disconnected(transport, connection)``,
    ``on_app_message(transport, message, sender)``.
    """

    def __init__(
        self,
        webrtc_connection: Connection,
        params: TransportParams,
        input_name: Optional[str] = None,
        output_name: Optional[str] = None,
    ) -> None:
        super().__init__(input_name=input_name, output_name=output_name)
        self._connection = webrtc_connection
        self._input = _Input(self, webrtc_connection, params, name=input_name)
        self._output = _Output(webrtc_connection, params, name=output_name)
        self._register_event_handler("on_app_message")
        self._register_event_handler("on_client_connected")
        self._register_event_handler("on_client_disconnected")

    def input(self) -> "_Input":
        """What the client says and sends."""
        return self._input

    def output(self) -> "_Output":
        """What the client hears, sees and is sent."""
        return self._output

    def get_client_id(self, client: Connection) -> str:
        """A client's id."""
        return client.pc_id

    async def tell(self, event: str, *arguments: Any) -> None:
        """Calls the handlers of an event."""
        await self._call_event_handler(event, *arguments)


class _Input(BaseInputTransport):
    def __init__(
        self,
        transport: SmallWebRTCTransport,
        connection: Connection,
        params: TransportParams,
        **kwargs: Any,
    ) -> None:
        super().__init__(params, **kwargs)
        self._transport = transport
        self._connection = connection
        self._tasks: "list[asyncio.Task[Any]]" = []

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        if self._tasks:
            return
        wanted, given = self.sample_rate, self._connection.face.microphone_rate
        if self._params.audio_in_enabled and wanted != given:
            raise InvalidValue(
                f"the pipeline wants sound of {wanted} Hz, and the face gives {given} Hz; make the face with "
                f"microphone_rate={wanted}"
            )
        await self.set_transport_ready(frame)
        self._connection.follow()
        receiving = [self._watch(), self._receive_messages()]
        if self._params.audio_in_enabled:
            receiving.append(self._receive_audio())
        self._tasks = [self.create_task(one) for one in receiving]

    async def stop(self, frame: EndFrame) -> None:
        await super().stop(frame)
        await self._end()

    async def cancel(self, frame: CancelFrame) -> None:
        await super().cancel(frame)
        await self._end()

    async def cleanup(self) -> None:
        await super().cleanup()
        await self._end()

    async def _end(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            await self.cancel_task(task)

    async def _watch(self) -> None:
        await self._connection.connected.wait()
        await self._transport.tell("on_client_connected", self._connection)
        await self.push_frame(ClientConnectedFrame())
        await self._connection.closed.wait()
        await self._transport.tell("on_client_disconnected", self._connection)

    async def _receive_audio(self) -> None:
        async for chunk in self._connection.face.microphone():
            frame = UserAudioRawFrame(
                user_id=chunk.peer, audio=chunk.data, sample_rate=chunk.rate, num_channels=1
            )
            await self.push_audio_frame(frame)

    async def _receive_messages(self) -> None:
        async for message in self._connection.messages:
            # Clients keep their connection alive with these.
            if isinstance(message.data, str) and message.data.startswith("ping"):
                continue
            try:
                content = json.loads(message.data)
            except ValueError:
                logger.warning(f"{self}: a message that is no JSON")
                continue
            # Of tracks that are not received.
            if isinstance(content, Mapping) and content.get("type") == "signalling":
                continue
            await self.broadcast_frame(InputTransportMessageFrame, message=content)
            await self._transport.tell("on_app_message", content, message.peer)


class _Output(BaseOutputTransport):
    def __init__(self, connection: Connection, params: TransportParams, **kwargs: Any) -> None:
        super().__init__(params, **kwargs)
        self._connection = connection
        # When what was pushed will have been played, and its rate and channels.
        self._played = 0.0
        self._format = (48_000, 1)
        # Where it was told that the bot speaks.
        self._speaks: "set[FrameDirection]" = set()
        # That it begins to, until something of it was pushed.
        self._begins: "list[tuple[Frame, FrameDirection]]" = []
        self._interrupting = False
        self._cut = asyncio.Event()
        # Frames made before the last interruption have smaller ids.
        self._interrupted_at = 0

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def stop(self, frame: EndFrame) -> None:
        await super().stop(frame)
        await self._play_out()
        await self._connection.disconnect()

    async def cancel(self, frame: CancelFrame) -> None:
        self._cut_off()
        await super().cancel(frame)
        # Nobody else tells it, as the sender is gone.
        for direction in list(self._speaks):
            await self.push_frame(BotStoppedSpeakingFrame(), direction)
        await self._connection.disconnect()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        # Pictures go on: with them, the last of the sound does too.
        if not isinstance(frame, InterruptionFrame) or self._params.video_out_enabled:
            await super().process_frame(frame, direction)
            return
        self._cut_off()
        self._interrupting = True
        try:
            await super().process_frame(frame, direction)
        finally:
            self._interrupting = False
            self._interrupted_at = obj_id()

    async def push_frame(self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM) -> None:
        # The sender tells it before it has its sound written, which may be cut off meanwhile.
        if isinstance(frame, BotStartedSpeakingFrame) or (self._begins and isinstance(frame, BotSpeakingFrame)):
            self._begins.append((frame, direction))
            return
        if isinstance(frame, BotStoppedSpeakingFrame):
            self._begins.clear()
            # What was pushed is ahead of what is heard.
            await self._play_out()
            if direction not in self._speaks:
                return
            self._speaks.discard(direction)
        await super().push_frame(frame, direction)

    def _cut_off(self) -> None:
        """Ends what is said."""
        self._connection.face.interrupt()
        self._played = 0.0
        self._cut.set()

    async def _play_out(self) -> None:
        """Returns when what was pushed has been sent, or was cut off."""
        # Not by the clock: sound that came late may have been caught up with. Bounded, whatever becomes of the session.
        face, until = self._connection.face, self._played + 1
        if time.monotonic() >= until:
            return
        # Else what fills no packet would wait for more.
        rate, channels = self._format
        face.push_audio(bytes(2 * channels * rate * _FILLING // 1_000), rate, channels)
        while time.monotonic() < until and (left := (face.audio_waiting - _FILLING) / 1_000) > 0:
            self._cut.clear()
            try:
                await asyncio.wait_for(self._cut.wait(), max(left - _PACKET, 0.004))
                return
            except asyncio.TimeoutError:
                pass

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        # The sender may have taken it from its queue just before that was emptied.
        if frame.interruptible and (self._interrupting or frame.id < self._interrupted_at):
            return False
        face = self._connection.face
        ahead = face.audio_waiting / 1_000
        outcome = face.push_audio(frame.audio, frame.sample_rate, frame.num_channels)
        if outcome not in ("accepted", "dropped-oldest"):
            return False
        self._format = (frame.sample_rate, frame.num_channels)
        now = time.monotonic()
        lasts = len(frame.audio) / (2 * frame.num_channels * frame.sample_rate)
        self._played = max(self._played, now) + lasts
        if self._begins and ahead:
            # What filled the last packet is sent before it.
            await asyncio.sleep(ahead)
        begins, self._begins = self._begins, []
        for told, direction in begins:
            if isinstance(told, BotStartedSpeakingFrame):
                self._speaks.add(direction)
            await super().push_frame(told, direction)
        await asyncio.sleep(max(0.0, self._played - now - _LEAD))
        return True

    async def write_video_frame(self, frame: OutputImageRawFrame) -> bool:
        width, height = frame.size
        form: Any = (frame.format or "RGB").lower()
        return self._connection.face.push_video(frame.image, width, height, form) == "accepted"

    async def send_message(
        self, frame: "OutputTransportMessageFrame | OutputTransportMessageUrgentFrame"
    ) -> None:
        self._connection.send_app_message(frame.message)


def _field(request: Any, name: str) -> Any:
    """Of an object or of a JSON body."""
    return request.get(name) if isinstance(request, Mapping) else getattr(request, name, None)
