"""The parrot hears a recording, says it again, and is silent when it is spoken to."""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path
from typing import Any

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from conftest import Voice

import visavis

EXAMPLES = Path(__file__).resolve().parent / "../../examples"


def test_it_repeats_what_is_said_and_lets_itself_be_interrupted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    parrot: Any = importlib.import_module("parrot")

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
