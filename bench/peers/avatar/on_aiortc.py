"""An avatar server on aiortc: python on_aiortc.py PORT. Its page is viewer.html."""

import asyncio
import fractions
import sys
import time

import av
import renderer
from aiohttp import web
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRelay
from aiortc.sdp import candidate_from_sdp


class Track(MediaStreamTrack):
    def __init__(self, kind, per_second, frame):
        super().__init__()
        self.kind, self.per_second, self.frame = kind, per_second, frame
        self.number, self.began = -1, time.monotonic()

    async def recv(self):
        self.number += 1
        await asyncio.sleep(max(0, self.began + self.number / self.per_second - time.monotonic()))
        frame = self.frame(self.number)
        frame.pts, frame.time_base = self.number, fractions.Fraction(1, self.per_second)
        return frame


def picture(number):
    return av.VideoFrame.from_ndarray(renderer.picture(number), format="rgb24")


def sound(number):
    frame = av.AudioFrame.from_ndarray(renderer.sound(number).reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = renderer.RATE
    return frame


async def signaling(request):
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.send_json({"type": "config", "peerId": "", "iceServers": []})
    connection = RTCPeerConnection()
    async for message in socket:
        message = message.json()
        data = message.get("data")
        if message["type"] == "offer":
            await connection.setRemoteDescription(RTCSessionDescription(**data))
            for track in request.app["tracks"]:
                connection.addTrack(request.app["relay"].subscribe(track))
            await connection.setLocalDescription(await connection.createAnswer())
            answer = {"type": "answer", "sdp": connection.localDescription.sdp}
            await socket.send_json({"type": "answer", "peerId": "", "data": answer})
        elif message["type"] == "ice-candidate" and data["candidate"]:
            candidate = candidate_from_sdp(data["candidate"].removeprefix("candidate:"))
            candidate.sdpMid, candidate.sdpMLineIndex = data["sdpMid"], data["sdpMLineIndex"]
            await connection.addIceCandidate(candidate)
    await connection.close()
    return socket


async def page(request):
    return web.FileResponse("viewer.html")


async def application():
    app = web.Application()
    app["tracks"] = [Track("video", renderer.FPS, picture), Track("audio", 50, sound)]
    app["relay"] = MediaRelay()
    app.add_routes([web.get("/", page), web.get("/ws", signaling)])
    return app


web.run_app(application(), host="127.0.0.1", port=int(sys.argv[1]), print=None)
