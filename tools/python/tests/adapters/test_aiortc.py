"""aiortc's tracks shown by a face, and watched by its clients through a route as its examples have it."""

from __future__ import annotations

import asyncio
import fractions
import math
import time
from typing import Any

import aiohttp
import numpy
import pytest
from aiohttp import web
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, VideoStreamTrack
from av import AudioFrame, VideoFrame

import visavis
import visavis.adapters.aiortc


class Colour(VideoStreamTrack):  # type: ignore[misc]
    """Red, in a size and a format that no encoder takes."""

    async def recv(self) -> VideoFrame:
        pts, base = await self.next_timestamp()
        pixels = numpy.full((65, 97, 3), (210, 20, 20), numpy.uint8)
        frame = VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base = pts, base
        return frame


class Tone(MediaStreamTrack):  # type: ignore[misc]
    """500 Hz, as 22050 Hz stereo in planes of floats; ends after some seconds."""

    kind = "audio"

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.at, self.end, self.began = 0, seconds * 22_050, time.monotonic()

    async def recv(self) -> AudioFrame:
        if self.at >= self.end:
            self.stop()
            raise MediaStreamError
        await asyncio.sleep(max(0, self.began + self.at / 22_050 - time.monotonic()))
        wave = 0.3 * numpy.sin(math.tau * 500 / 22_050 * (self.at + numpy.arange(441)))
        frame = AudioFrame.from_ndarray(numpy.stack([wave, wave]).astype("f4"), "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = 22_050, self.at, fractions.Fraction(1, 22_050)
        self.at += 441
        return frame


async def client(url: str) -> RTCPeerConnection:
    """As in aiortc's examples."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.addTransceiver("video", direction="recvonly")
    peer.addTransceiver("audio", direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    local = peer.localDescription
    async with aiohttp.ClientSession() as http:
        response = await http.post(url, json={"sdp": local.sdp, "type": local.type})
        answer = await response.json()
    await peer.setRemoteDescription(RTCSessionDescription(sdp=answer["sdp"], type=answer["type"]))
    return peer


def test_tracks_are_shown_to_clients_of_an_offer_route() -> None:
    async def run() -> None:
        async with visavis.Engine(udp_host="127.0.0.1") as engine:
            face = engine.session()
            playing = asyncio.ensure_future(visavis.adapters.aiortc.play(face, Colour(), Tone(60)))

            async def offer(request: web.Request) -> web.Response:
                params = await request.json()
                return web.json_response(await visavis.adapters.aiortc.answer(face, params))

            app = web.Application()
            app.router.add_post("/offer", offer)
            runner = web.AppRunner(app)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = runner.addresses[0][1]
            peer = await client(f"http://127.0.0.1:{port}/offer")
            video, audio = (receiver.track for receiver in peer.getReceivers())
            await asyncio.wait_for(asyncio.gather(sees_red(video), hears_500_hz(audio)), 40)
            playing.cancel()
            await peer.close()
            await runner.cleanup()

    asyncio.run(run())


async def sees_red(track: Any) -> None:
    while True:
        picture = await track.recv()
        red, green, _ = picture.to_ndarray(format="rgb24").mean(axis=(0, 1))
        if (picture.width, picture.height) == (96, 64) and red > 160 and green < 70:
            return


async def hears_500_hz(track: Any) -> None:
    heard = numpy.zeros(0)
    while True:
        piece = (await track.recv()).to_ndarray().reshape(-1, 2)[:, 0].astype(float)
        heard = numpy.concatenate([heard, piece])[-48_000:]
        spectrum = numpy.abs(numpy.fft.rfft(heard))
        if len(heard) == 48_000 and abs(int(spectrum.argmax()) - 500) <= 3 and heard.std() > 3_000:
            return


def test_playing_ends_with_the_tracks_and_stops_when_cancelled() -> None:
    async def run() -> None:
        with visavis.Engine(udp_host="127.0.0.1") as engine, engine.session() as face:
            await asyncio.wait_for(visavis.adapters.aiortc.play(face, Tone(0.2)), 5)
            assert face.status()["metrics"]["audio_chunks"] > 5
            playing = asyncio.ensure_future(visavis.adapters.aiortc.play(face, Colour()))
            await asyncio.sleep(0.3)
            playing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await playing
            shown = face.status()["metrics"]["video_frames"]
            assert shown > 3
            await asyncio.sleep(0.2)
            assert face.status()["metrics"]["video_frames"] == shown

    asyncio.run(run())


def test_a_track_of_no_use_is_an_error_and_ends_the_others() -> None:
    class Broken(Colour):
        async def recv(self) -> VideoFrame:
            return VideoFrame(8, 8, "rgb24")

    async def run() -> None:
        with visavis.Engine(udp_host="127.0.0.1") as engine, engine.session() as face:
            with pytest.raises(visavis.InvalidValue, match="8x8"):
                await visavis.adapters.aiortc.play(face, Tone(60), Broken())
            with pytest.raises(visavis.InvalidValue, match="offer"):
                await visavis.adapters.aiortc.answer(face, {"type": "offer", "sdp": "none"})

    asyncio.run(run())
