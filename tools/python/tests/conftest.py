"""What the tests share: an engine, a face, and a viewer that others wrote."""

from __future__ import annotations

import asyncio
from typing import Any, Iterator

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

import visavis


@pytest.fixture
def engine() -> Iterator[visavis.Engine]:
    with visavis.Engine(udp_host="127.0.0.1") as engine:
        yield engine


@pytest.fixture
def face(engine: visavis.Engine) -> Iterator[visavis.Session]:
    with engine.session() as face:
        yield face


class Viewer:
    """aiortc, watching a face by signaling of our own."""

    def __init__(self) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.channel = self.connection.createDataChannel("chat")
        self.heard: "asyncio.Queue[str | bytes]" = asyncio.Queue()
        self.channel.on("message", self.heard.put_nowait)
        self.tracks: "dict[str, Any]" = {}
        self.connection.on("track", lambda track: self.tracks.setdefault(track.kind, track))
        self.peer = ""

    async def watch(self, face: visavis.Session, microphone: Any = None) -> None:
        self.connection.addTransceiver("video", direction="recvonly")
        if microphone is None:
            self.connection.addTransceiver("audio", direction="recvonly")
        else:
            self.connection.addTrack(microphone)
        opened = asyncio.Event()
        self.channel.on("open", opened.set)
        await self.connection.setLocalDescription(await self.connection.createOffer())
        answer = await face.answer_async(self.connection.localDescription.sdp)
        self.peer = answer.peer
        await self.connection.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))
        await asyncio.wait_for(opened.wait(), 20)

    async def close(self) -> None:
        await self.connection.close()
