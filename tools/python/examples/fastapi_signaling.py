"""Signaling of your own with FastAPI, and a page that watches: fastapi dev fastapi_signaling.py

A moving picture stands for your renderer.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import AsyncIterator

from fastapi import FastAPI, HTTPException
from fastapi.responses import HTMLResponse
from pydantic import BaseModel

import visavis

PAGE = """<!doctype html><title>face</title><video autoplay muted playsinline></video><script type="module">
const peer = new RTCPeerConnection();
peer.addTransceiver('video', { direction: 'recvonly' });
peer.addTransceiver('audio', { direction: 'recvonly' });
peer.ontrack = ({ streams: [stream] }) => { document.querySelector('video').srcObject = stream; };
await peer.setLocalDescription();
const response = await fetch('offer', {
  method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(peer.localDescription),
});
await peer.setRemoteDescription(await response.json());
</script>"""


class Description(BaseModel):
    type: str
    sdp: str


async def render(face: visavis.Session) -> None:
    shade = 0
    while True:
        face.push_video(bytes([shade, 80, 255 - shade]) * (256 * 256), 256, 256, "rgb")
        shade = (shade + 4) % 256
        await asyncio.sleep(1 / 25)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with visavis.Engine() as engine:
        app.state.face = engine.session(fps=25)
        rendering = asyncio.create_task(render(app.state.face))
        yield
        rendering.cancel()


app = FastAPI(lifespan=lifespan)


@app.get("/")
def page() -> HTMLResponse:
    return HTMLResponse(PAGE)


@app.post("/offer")
async def offer(offer: Description) -> Description:
    face: visavis.Session = app.state.face
    try:
        answer = await face.answer_async(offer.sdp)
    except visavis.InvalidValue as error:
        raise HTTPException(400, str(error)) from error
    except visavis.Error as error:
        raise HTTPException(503, str(error)) from error
    return Description(type="answer", sdp=answer.sdp)
