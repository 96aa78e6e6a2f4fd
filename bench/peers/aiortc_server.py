"""The avatar server that most people write first, on aiortc, in its two forms.

    python3 aiortc_server.py preencoded     H264 and Opus come in as RTP and go out as they are
    python3 aiortc_server.py encoding       raw pictures and sound, encoded for every viewer

It prints one line of JSON when it is ready, and speaks the signaling of visavis on a WebSocket, so that
the viewers of visavis-bench can watch it.
"""

import asyncio
import contextlib
import fractions
import json
import socket
import sys
import time

import av
import numpy
import websockets
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRelay
from aiortc.sdp import candidate_from_sdp

LISTEN = "127.0.0.1"
START_CODE = b"\x00\x00\x00\x01"
STAP_A = 24
FU_A = 28
FRAMES_PER_SECOND = 30
SIDE = 512


class RtpTrack(MediaStreamTrack):
    """A stream that comes in as RTP, as packets that aiortc does not encode again."""

    def __init__(self, kind, clock):
        super().__init__()
        self.kind = kind
        self.time_base = fractions.Fraction(1, clock)
        self.packets = asyncio.Queue()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
        self.socket.setblocking(False)
        self.socket.bind((LISTEN, 0))
        self.unit = bytearray()
        self.watched = False

    @property
    def address(self):
        return "{}:{}".format(*self.socket.getsockname())

    def listen(self):
        asyncio.get_running_loop().add_reader(self.socket, self.readable)

    def readable(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                self.packet(self.socket.recv(2048))

    def packet(self, rtp):
        payload = rtp[12:]
        if self.kind == "audio":
            self.unit += payload
        else:
            self.depacketize(payload)
        # Each packet of sound stands alone; a picture ends with the marker.
        if self.kind == "audio" or rtp[1] & 0x80:
            packet = av.Packet(bytes(self.unit))
            packet.pts = int.from_bytes(rtp[4:8], "big")
            packet.time_base = self.time_base
            self.unit.clear()
            # Nobody reads before the first viewer: what came until then would be late for ever.
            if self.watched:
                self.packets.put_nowait(packet)

    def depacketize(self, payload):
        kind = payload[0] & 0x1F
        if kind == STAP_A:
            rest = payload[1:]
            while len(rest) > 2:
                length = int.from_bytes(rest[:2], "big")
                self.unit += START_CODE + rest[2 : 2 + length]
                rest = rest[2 + length :]
        elif kind == FU_A:
            if payload[1] & 0x80:
                self.unit += START_CODE
                self.unit.append(payload[0] & 0xE0 | payload[1] & 0x1F)
            self.unit += payload[2:]
        else:
            self.unit += START_CODE + payload

    async def recv(self):
        self.watched = True
        return await self.packets.get()


class FaceTrack(MediaStreamTrack):
    """A picture that changes with every frame, as a renderer would make it."""

    kind = "video"

    def __init__(self):
        super().__init__()
        self.started = None
        self.count = 0
        row = numpy.linspace(0, 255, SIDE, dtype=numpy.uint8)
        picture = numpy.stack([numpy.tile(row, (SIDE, 1))] * 3, axis=2)
        picture[:, :, 1] = picture[:, :, 0].T
        self.picture = picture

    async def recv(self):
        await pace(self, 1 / FRAMES_PER_SECOND)
        shifted = numpy.roll(self.picture, self.count * 4, axis=1)
        frame = av.VideoFrame.from_ndarray(shifted, format="rgb24").reformat(format="yuv420p")
        frame.pts = self.count * 90_000 // FRAMES_PER_SECOND
        frame.time_base = fractions.Fraction(1, 90_000)
        self.count += 1
        return frame


class VoiceTrack(MediaStreamTrack):
    """A tone, in pieces of 20 ms."""

    kind = "audio"

    def __init__(self):
        super().__init__()
        self.started = None
        self.count = 0
        tone = numpy.sin(numpy.arange(960) * 2 * numpy.pi * 400 / 48_000) * 8_000
        self.tone = tone.astype(numpy.int16).reshape(1, -1)

    async def recv(self):
        await pace(self, 0.02)
        frame = av.AudioFrame.from_ndarray(self.tone, format="s16", layout="mono")
        frame.sample_rate = 48_000
        frame.pts = self.count * 960
        frame.time_base = fractions.Fraction(1, 48_000)
        self.count += 1
        return frame


async def pace(track, interval):
    if track.started is None:
        track.started = time.monotonic()
    due = track.started + track.count * interval
    await asyncio.sleep(max(0, due - time.monotonic()))


class Server:
    def __init__(self, video, audio):
        self.relay = MediaRelay()
        self.tracks = [video, audio]
        self.names = 0

    async def serve(self, signaling):
        self.names += 1
        peer = str(self.names)
        connection = RTCPeerConnection()
        config = {
            "type": "config",
            "peerId": peer,
            "iceServers": [],
            "videoCodec": "H264",
            "audioCodec": "opus",
        }
        await signaling.send(json.dumps(config))
        try:
            async for text in signaling:
                message = json.loads(text)
                if message["type"] == "offer":
                    data = await self.answer(connection, message["data"])
                    answer = {"type": "answer", "peerId": peer, "data": data}
                    await signaling.send(json.dumps(answer))
                elif message["type"] == "ice-candidate" and message["data"]["candidate"]:
                    data = message["data"]
                    candidate = candidate_from_sdp(data["candidate"].removeprefix("candidate:"))
                    candidate.sdpMid = data["sdpMid"]
                    candidate.sdpMLineIndex = data["sdpMLineIndex"]
                    await connection.addIceCandidate(candidate)
        except websockets.ConnectionClosed:
            pass
        finally:
            await connection.close()

    async def answer(self, connection, offer):
        await connection.setRemoteDescription(RTCSessionDescription(**offer))
        for track in self.tracks:
            connection.addTrack(self.relay.subscribe(track))
        await connection.setLocalDescription(await connection.createAnswer())
        local = connection.localDescription
        return {"type": local.type, "sdp": local.sdp}


async def main(mode):
    ready = {"ready": True}
    if mode == "preencoded":
        video, audio = RtpTrack("video", 90_000), RtpTrack("audio", 48_000)
        video.listen()
        audio.listen()
        ready |= {"rtpVideo": video.address, "rtpAudio": audio.address}
    else:
        video, audio = FaceTrack(), VoiceTrack()
    server = Server(video, audio)
    async with websockets.serve(server.serve, LISTEN, 0) as listener:
        ready["url"] = "http://{}:{}/".format(*listener.sockets[0].getsockname())
        print(json.dumps(ready), flush=True)
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    if sys.argv[1:] not in (["preencoded"], ["encoding"]):
        sys.exit(__doc__)
    asyncio.run(main(sys.argv[1]))
