"""Watches a WHEP endpoint with aiortc for a few seconds and says what it saw and heard.

    python3 aiortc_whep.py http://127.0.0.1:8081/whep/default SECONDS

Prints one line of JSON. Offer, candidates and answer go over plain HTTP, as the draft has it; nothing of
visavis is in here.
"""

import asyncio
import json
import sys
import time
import urllib.parse
import urllib.request

import numpy
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError


def request(method, url, body=None, kind=None):
    headers = {"Content-Type": kind} if kind else {}
    data = body.encode() if body is not None else None
    return urllib.request.urlopen(
        urllib.request.Request(url, data=data, headers=headers, method=method), timeout=10
    )


class Watched:
    def __init__(self):
        self.frames = 0
        self.size = None
        self.last = None
        self.change = []
        self.spread = 0.0
        self.samples = 0
        self.energy = 0.0

    def see(self, frame):
        picture = frame.to_ndarray(format="gray").astype(numpy.float64)
        self.frames += 1
        self.size = [frame.width, frame.height]
        self.spread = float(picture.std())
        if self.last is not None and self.last.shape == picture.shape:
            self.change.append(float(numpy.abs(picture - self.last).mean()))
        self.last = picture

    def hear(self, frame):
        sound = frame.to_ndarray().astype(numpy.float64) / 32768.0
        self.samples += sound.size
        self.energy += float((sound**2).sum())


async def pull(track, take):
    try:
        while True:
            take(await track.recv())
    except MediaStreamError:
        pass


async def main(url, seconds):
    watched = Watched()
    connection = RTCPeerConnection()
    tasks = []

    @connection.on("track")
    def on_track(track):
        take = watched.see if track.kind == "video" else watched.hear
        tasks.append(asyncio.ensure_future(pull(track, take)))

    connection.addTransceiver("video", direction="recvonly")
    connection.addTransceiver("audio", direction="recvonly")
    await connection.setLocalDescription(await connection.createOffer())
    offer = connection.localDescription.sdp
    loop = asyncio.get_running_loop()
    reply = await loop.run_in_executor(None, request, "POST", url, offer, "application/sdp")
    resource = urllib.parse.urljoin(url, reply.headers["Location"])
    answer = reply.read().decode()
    await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await asyncio.sleep(0.1)
    deleted = await loop.run_in_executor(None, request, "DELETE", resource)
    await connection.close()
    for task in tasks:
        task.cancel()
    print(
        json.dumps(
            {
                "created": reply.status,
                "deleted": deleted.status,
                "frames": watched.frames,
                "size": watched.size,
                "change": max(watched.change, default=0.0),
                "spread": watched.spread,
                "loudness": (watched.energy / max(1, watched.samples)) ** 0.5,
                "samples": watched.samples,
            }
        )
    )


asyncio.run(main(sys.argv[1], float(sys.argv[2])))
