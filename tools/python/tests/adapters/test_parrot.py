"""The parrot hears a recording, says it again, and is silent when it is spoken to."""

from __future__ import annotations

import asyncio
import fractions
import importlib.util
import time
import wave
from pathlib import Path
from typing import Any

import numpy
import pytest
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av import AudioFrame

import visavis

HERE = Path(__file__).resolve().parent
RATE = 24_000


def example(name: str) -> Any:
    found = importlib.util.spec_from_file_location(name, HERE / f"../../examples/{name}.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


class Voice(MediaStreamTrack):  # type: ignore[misc]
    """A microphone that somebody speaks into, when told to, for some seconds of the recording."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        with wave.open(str(HERE / "../../../../fixtures/speech.wav")) as file:
            self.recording = numpy.frombuffer(file.readframes(file.getnframes()), numpy.int16)
        self.at, self.began = 0, time.monotonic()
        self.left = numpy.zeros(0, numpy.int16)

    def speak(self, seconds: float) -> None:
        self.left = self.recording[: round(seconds * RATE)]

    async def recv(self) -> AudioFrame:
        await asyncio.sleep(max(0, self.began + self.at / RATE - time.monotonic()))
        piece, self.left = self.left[:480], self.left[480:]
        padded = numpy.concatenate([piece, numpy.zeros(480 - len(piece), numpy.int16)])
        frame = AudioFrame.from_ndarray(padded[None], "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self.at, fractions.Fraction(1, RATE)
        self.at += 480
        return frame


def test_it_repeats_what_is_said_and_lets_itself_be_interrupted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    parrot = example("parrot")

    async def run() -> None:
        async with visavis.Engine(udp_host="127.0.0.1") as engine:
            face = engine.session(fps=parrot.FPS, idle=parrot.parrot(0))
            events = face.events()
            talking = asyncio.ensure_future(parrot.talk(face))
            peer, voice = RTCPeerConnection(RTCConfiguration(iceServers=[])), Voice()
            peer.addTrack(voice)
            await peer.setLocalDescription(await peer.createOffer())
            answer = face.answer(peer.localDescription.sdp)
            await peer.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))

            async def happens(kind: type) -> Any:
                async for event in events:
                    if isinstance(event, kind):
                        return event

            await happens(visavis.PeerJoined)
            await asyncio.sleep(1)
            voice.speak(2.1)
            await asyncio.wait_for(happens(visavis.UtteranceStarted), 40)
            await asyncio.wait_for(happens(visavis.UtteranceEnded), 40)
            voice.speak(4.0)
            await asyncio.wait_for(happens(visavis.UtteranceStarted), 40)
            voice.speak(1.0)
            cut_off = await asyncio.wait_for(happens(visavis.Interrupted), 40)
            assert cut_off.utterance is not None
            await asyncio.sleep(0.5)
            talking.cancel()
            await peer.close()

    asyncio.run(run())
    said = capsys.readouterr().out
    assert "heard hello and welcome" in said and "said hello and welcome" in said, said
    assert "cut off after" in said, said
