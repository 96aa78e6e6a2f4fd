"""What the tests share: an engine, a face, a viewer that others wrote, and what it says."""

from __future__ import annotations

import asyncio
import fractions
import json
import signal
import time
import urllib.request
import wave
from pathlib import Path
from typing import Any, Awaitable, Callable, Iterator, Tuple

import numpy
import pytest
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av import AudioFrame

import visavis

# A shell starts what runs in its background with SIGINT ignored, which programs started from there inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)


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
        """Comes by way of the session itself."""

        async def answer(offer: str) -> Tuple[str, str]:
            answer = await face.answer_async(offer)
            return answer.sdp, answer.peer

        await self._connect(answer, microphone)

    async def open(self, url: str, microphone: Any = None) -> None:
        """Comes by way of a server, by the address of its page."""

        async def answer(offer: str) -> Tuple[str, str]:
            request = urllib.request.Request(
                f"{url.rstrip('/')}/webrtc/sessions/default/offer",
                json.dumps({"type": "offer", "sdp": offer}).encode(),
                {"Content-Type": "application/json"},
            )
            with await asyncio.to_thread(urllib.request.urlopen, request, timeout=20) as response:
                answer = json.load(response)
                return answer["sdp"], answer["peerId"]

        await self._connect(answer, microphone)

    async def _connect(
        self, answers: Callable[[str], Awaitable[Tuple[str, str]]], microphone: Any
    ) -> None:
        self.connection.addTransceiver("video", direction="recvonly")
        if microphone is None:
            self.connection.addTransceiver("audio", direction="recvonly")
        else:
            self.connection.addTrack(microphone)
        opened = asyncio.Event()
        self.channel.on("open", opened.set)
        await self.connection.setLocalDescription(await self.connection.createOffer())
        sdp, self.peer = await answers(self.connection.localDescription.sdp)
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        await asyncio.wait_for(opened.wait(), 20)

    async def close(self) -> None:
        await self.connection.close()


class Voice(MediaStreamTrack):
    """A microphone that somebody speaks into, when told to, for some seconds of the recording."""

    kind = "audio"
    RATE = 24_000

    def __init__(self) -> None:
        super().__init__()
        path = Path(__file__).resolve().parent / "../../../fixtures/speech.wav"
        with wave.open(str(path)) as file:
            self.recording = numpy.frombuffer(file.readframes(file.getnframes()), numpy.int16)
        self.at, self.began, self.loudness = 0, time.monotonic(), 1.0
        self.left = numpy.zeros(0, numpy.int16)

    def speak(self, seconds: float) -> None:
        self.left = self.recording[: round(seconds * self.RATE)]

    async def recv(self) -> AudioFrame:
        await asyncio.sleep(max(0, self.began + self.at / self.RATE - time.monotonic()))
        piece, self.left = self.left[:480], self.left[480:]
        padded = numpy.concatenate([piece * self.loudness, numpy.zeros(480 - len(piece))])
        frame = AudioFrame.from_ndarray(padded.astype(numpy.int16)[None], "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = self.RATE, self.at, fractions.Fraction(1, self.RATE)
        self.at += 480
        return frame
