"""What docs/python.md, docs/integrate.md and the examples show is run."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import threading
from pathlib import Path
from typing import Any, AsyncIterator, Iterator

import numpy
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from fastapi import HTTPException

import visavis

HERE = Path(__file__).resolve().parent
DOCS = HERE / "../../../docs"
BLOCKS, INTEGRATE = (
    re.findall(r"^```python\n(.*?)^```$", (DOCS / name).read_text(), re.M | re.S) for name in ("python.md", "integrate.md")
)


class Synthesizer:
    """Speech, for loops of both kinds."""

    def __iter__(self) -> Iterator[Any]:
        return iter([numpy.zeros(2_400, numpy.int16)] * 3)

    async def __aiter__(self) -> AsyncIterator[Any]:
        for samples in self:
            yield samples


class Recogniser:
    def accept(self, samples: Any) -> None:
        numpy.asarray(samples)


class Encoder:
    def __iter__(self) -> Iterator[Any]:
        return iter([(b"\0\0\0\1\x67\x42\xc0\x1f\xda\x02\x80\xbf\xe5", b"\xf8\xff\xfe")] * 2)

    def force_keyframe(self) -> None:
        pass


@pytest.mark.parametrize("block", BLOCKS + INTEGRATE, ids=lambda block: block.split("\n")[-2][:40])
def test_a_block_of_the_guide_runs(block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    serve, open_ones = visavis.serve, []

    def on_any_port(port: int) -> visavis.Server:
        server = serve(0, host="127.0.0.1")
        # Loops without an end end with the server.
        closing = threading.Timer(1.5, server.close)
        open_ones.append(closing)
        closing.start()
        return server

    monkeypatch.setattr(visavis, "serve", on_any_port)
    names: "dict[str, Any]" = {
        "renderer": [(numpy.zeros((64, 64, 4), numpy.uint8), numpy.zeros(960, numpy.float32))] * 3,
        "synthesizer": Synthesizer(),
        "recogniser": Recogniser(),
        "pictures": [numpy.zeros((64, 64, 4), numpy.uint8)] * 3,
        "voice": numpy.zeros(2_400, numpy.int16),
        "encoder": Encoder(),
    }
    exec(compile(block, "a block of the guide", "exec"), names)  # As a reader would run it.
    for closing in open_ones:
        closing.join()
    if isinstance(names.get("engine"), visavis.Engine):
        names["engine"].close()


def test_the_guide_has_examples() -> None:
    assert len(BLOCKS) >= 7 and len(INTEGRATE) == 1


def example(name: str) -> Any:
    found = importlib.util.spec_from_file_location(name, HERE / f"../examples/{name}.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_the_fastapi_example_serves_a_viewer() -> None:
    module = example("fastapi_signaling")

    async def watch() -> None:
        async with module.lifespan(module.app):
            assert b"RTCPeerConnection" in module.page().body
            with pytest.raises(HTTPException, match="offer") as refused:
                await module.offer(module.Description(type="offer", sdp="no sdp"))
            assert refused.value.status_code == 400

            peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
            peer.addTransceiver("video", direction="recvonly")
            await peer.setLocalDescription(await peer.createOffer())
            local = module.Description(type="offer", sdp=peer.localDescription.sdp)
            answer = await module.offer(local)
            await peer.setRemoteDescription(RTCSessionDescription(answer.sdp, answer.type))
            picture: Any = None
            while picture is None or picture.width != 256:
                picture = await asyncio.wait_for(peer.getReceivers()[0].track.recv(), 20)
            await peer.close()

    asyncio.run(watch())
