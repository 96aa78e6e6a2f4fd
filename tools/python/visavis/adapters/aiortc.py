"""aiortc: any of its ``MediaStreamTrack`` is shown by a face, and its clients watch as before.

aiortc encodes for every viewer, in Python threads; here each track is encoded once, in Rust. Needs the package ``aiortc``.

In a server like aiortc's examples, the peer connections go::

     async def offer(request):
         params = await request.json()
    -    pc = RTCPeerConnection()
    -    pc.addTrack(relay.subscribe(player.video))
    -    ...
    +    answer = await visavis.adapters.aiortc.answer(face, params)
         return web.json_response(answer)
"""

from __future__ import annotations

import asyncio
from typing import Any, Mapping, Optional

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from .._session import Session

__all__ = ["answer", "play"]


async def play(face: Session, *tracks: MediaStreamTrack) -> None:
    """Shows tracks until all of them have ended: at most one of each kind.

    Pictures of any size and format are taken; sound of any rate, in mono or stereo. Sound and picture that have left
    their tracks at the same time come out together. Cancel it to stop; the tracks are left as they are.

    :param tracks: video and audio, such as those of a ``MediaPlayer``, of a peer connection, or your own.
    """
    tasks = [asyncio.ensure_future(_play_one(face, track)) for track in tracks]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def answer(face: Session, params: Mapping[str, Any]) -> "dict[str, str]":
    """Answers an offer as aiortc's clients send it, and their own pages: ``{"type": "offer", "sdp": ...}``.

    :param params: the offer; with ``peer``, as in an earlier answer, a later one of that viewer.
    :returns: ``{"type": "answer", "sdp": ..., "peer": ...}``, which a client takes as it is.
    :raises InvalidValue: an offer that cannot be used.
    :raises Error: no place, or an engine that is busy or has ended.
    """
    peer: Optional[str] = params.get("peer")
    answered = await face.answer_async(params["sdp"], peer)
    return {"type": "answer", "sdp": answered.sdp, "peer": answered.peer}


async def _play_one(face: Session, track: MediaStreamTrack) -> None:
    push = _Pictures(face).push if track.kind == "video" else _Sound(face).push
    while True:
        try:
            frame: Any = await track.recv()
        except MediaStreamError:
            return
        push(frame)


class _Pictures:
    def __init__(self, face: Session) -> None:
        self._face = face

    def push(self, frame: av.VideoFrame) -> None:
        # What encoders take: even sides.
        width, height = frame.width & ~1, frame.height & ~1
        if (frame.format.name, frame.width, frame.height) != ("yuv420p", width, height):
            frame = frame.reformat(width=width, height=height, format="yuv420p")
        # One array, without the padding that planes have.
        self._face.push_video(frame.to_ndarray(), format="i420")


class _Sound:
    def __init__(self, face: Session) -> None:
        self._face = face
        self._resampler: Optional[av.AudioResampler] = None
        self._channels = 0

    def push(self, frame: av.AudioFrame) -> None:
        channels = min(len(frame.layout.channels), 2)
        if self._resampler is None or self._channels != channels:
            layout = "mono" if channels == 1 else "stereo"
            self._resampler = av.AudioResampler(format="s16", layout=layout, rate=48_000)
            self._channels = channels
        for piece in self._resampler.resample(frame):
            self._face.push_audio(piece.to_ndarray(), rate=48_000, channels=channels)
