"""A Pipecat pipeline whose client (aiortc, with the requests of Pipecat's clients) watches a face."""

from __future__ import annotations

import asyncio
import fractions
import json
import math
import os
import random
import time
from typing import Any, Awaitable, Callable

import numpy
import pytest
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av import AudioFrame
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InputTransportMessageFrame,
    InterruptionFrame,
    OutputImageRawFrame,
    OutputTransportMessageFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

import visavis
from visavis.adapters.pipecat import SmallWebRTCRequestHandler, SmallWebRTCTransport

RATE = 24_000

# BARGE_INS=1000 makes more of them.
BARGE_INS = int(os.environ.get("BARGE_INS", "5"))


class Tone(MediaStreamTrack):  # type: ignore[misc]
    """A microphone with 300 Hz in it."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.at, self.began = 0, time.monotonic()

    async def recv(self) -> AudioFrame:
        await asyncio.sleep(max(0, self.began + self.at / 48_000 - time.monotonic()))
        wave = 8_000 * numpy.sin(math.tau * 300 / 48_000 * (self.at + numpy.arange(960)))
        frame = AudioFrame.from_ndarray(wave.astype(numpy.int16)[None], "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, self.at, fractions.Fraction(1, 48_000)
        self.at += 960
        return frame


class Notes(FrameProcessor):  # type: ignore[misc]
    """Between input and output: keeps what comes by, with its time."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: "list[tuple[float, Frame]]" = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self.seen.append((time.monotonic(), frame))
        await self.push_frame(frame, direction)

    def times(self, kind: type) -> "list[float]":
        return [at for at, frame in self.seen if isinstance(frame, kind)]

    def forget(self, kind: type) -> None:
        self.seen = [(at, frame) for at, frame in self.seen if not isinstance(frame, kind)]

    async def waited_for(self, kind: type, count: int = 1) -> "list[float]":
        until = time.monotonic() + 15
        while len(self.times(kind)) < count:
            assert time.monotonic() < until, f"{len(self.times(kind))} of {count} {kind.__name__}"
            await asyncio.sleep(0.005)
        return self.times(kind)


class Scene:
    def __init__(self, worker: PipelineWorker, notes: Notes) -> None:
        self.worker, self.notes = worker, notes
        self.told: "list[str]" = []
        self.heard: "asyncio.Queue[Any]" = asyncio.Queue()
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))

    async def say(self, seconds: float) -> None:
        """Speech, as a service makes it: faster than it plays."""
        for _ in range(round(seconds * 10)):
            wave = 8_000 * numpy.sin(math.tau * 500 / RATE * numpy.arange(RATE // 10))
            audio = wave.astype(numpy.int16).tobytes()
            await self.worker.queue_frame(TTSAudioRawFrame(audio, RATE, 1))
        await self.worker.queue_frame(TTSStoppedFrame())


def scene(step: Callable[[Scene], Awaitable[None]], patience: float = 40, **params: Any) -> None:
    """Has a client talk with a bot during a step."""

    async def run() -> None:
        async with visavis.Engine(udp_host="127.0.0.1") as engine:
            handler = SmallWebRTCRequestHandler(engine)
            made: "asyncio.Queue[tuple[Scene, asyncio.Task[None]]]" = asyncio.Queue()

            async def bot(connection: Any) -> None:
                transport = SmallWebRTCTransport(
                    webrtc_connection=connection,
                    params=TransportParams(audio_in_enabled=True, audio_out_enabled=True, **params),
                )
                notes = Notes()
                pipeline = Pipeline([transport.input(), notes, transport.output()])
                worker = PipelineWorker(pipeline, cancel_on_idle_timeout=False, enable_rtvi=False)
                this = Scene(worker, notes)
                for event in ("on_client_connected", "on_client_disconnected", "on_app_message"):
                    transport.add_event_handler(event, noted(this, event))
                runner = WorkerRunner(handle_sigint=False)
                await runner.add_workers(worker)
                await made.put((this, asyncio.ensure_future(runner.run())))

            peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
            peer.addTrack(Tone())
            peer.addTransceiver("video", direction="recvonly")
            channel = peer.createDataChannel("chat")
            await peer.setLocalDescription(await peer.createOffer())
            body = {"sdp": peer.localDescription.sdp, "type": "offer"}
            answer = await handler.handle_web_request(body, bot)
            await handler.handle_patch_request(
                {"pc_id": answer["pc_id"], "candidates": [{"candidate": "", "sdp_mid": "0"}]}
            )
            await peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
            this, running = await made.get()
            this.peer, channel_of[this] = peer, channel
            channel.on("message", lambda text: this.heard.put_nowait(json.loads(text)))
            try:
                await asyncio.wait_for(step(this), patience)
            finally:
                await this.worker.queue_frame(EndFrame())
                await asyncio.wait_for(running, 20)
                await peer.close()
                await handler.close()
            assert engine.session_ids() == []

    asyncio.run(run())


channel_of: "dict[Scene, Any]" = {}


def noted(this: Scene, event: str) -> Callable[..., Awaitable[None]]:
    async def note(*_: Any) -> None:
        this.told.append(event)

    return note


def test_client_and_bot_hear_each_other_and_exchange_messages() -> None:
    async def step(this: Scene) -> None:
        await this.notes.waited_for(InputAudioRawFrame, 100)
        frames = [frame for _, frame in this.notes.seen if isinstance(frame, InputAudioRawFrame)]
        sound = numpy.concatenate([numpy.frombuffer(frame.audio, numpy.int16) for frame in frames])
        assert frames[0].sample_rate == 16_000
        spectrum = numpy.abs(numpy.fft.rfft(sound[-16_000:].astype(float)))
        assert abs(int(spectrum.argmax()) - 300) <= 3

        await this.say(2.0)
        track, heard = this.peer.getReceivers()[0].track, numpy.zeros(0)
        while True:
            piece = (await track.recv()).to_ndarray().reshape(-1, 2)[:, 0].astype(float)
            heard = numpy.concatenate([heard, piece])[-24_000:]
            spectrum = numpy.abs(numpy.fft.rfft(heard))
            if len(heard) == 24_000 and abs(int(spectrum.argmax()) - 250) <= 2 and heard.std() > 3_000:
                break

        await this.worker.queue_frame(OutputTransportMessageFrame(message={"type": "hi", "n": 1}))
        assert await this.heard.get() == {"type": "hi", "n": 1}
        channel_of[this].send("ping: 1")
        channel_of[this].send(json.dumps({"type": "signalling", "message": {"type": "trackStatus"}}))
        channel_of[this].send(json.dumps({"type": "question", "text": "who?"}))
        await this.notes.waited_for(InputTransportMessageFrame)
        messages = [frame.message for _, frame in this.notes.seen if isinstance(frame, InputTransportMessageFrame)]
        assert messages[0] == {"type": "question", "text": "who?"}
        assert this.told[:1] == ["on_client_connected"] and "on_app_message" in this.told

    scene(step)


def test_speech_begins_and_ends_when_it_is_played() -> None:
    async def step(this: Scene) -> None:
        await this.notes.waited_for(InputAudioRawFrame)
        await this.say(1.5)
        (began,) = await this.notes.waited_for(BotStartedSpeakingFrame)
        (ended,) = await this.notes.waited_for(BotStoppedSpeakingFrame)
        assert 1.4 < ended - began < 1.65, "the bot knows how long it spoke"

    scene(step)


def test_a_barge_in_ends_what_is_said_at_once() -> None:
    dice = random.Random(7)

    async def step(this: Scene) -> None:
        await this.notes.waited_for(InputAudioRawFrame)
        for number in range(1, BARGE_INS + 1):
            await this.say(2.0)
            # What is still on its way to the output is not the output's to drop.
            await this.notes.waited_for(TTSStoppedFrame, number)
            await this.notes.waited_for(BotStartedSpeakingFrame, number)
            await asyncio.sleep(dice.uniform(0, 0.3))
            asked = time.monotonic()
            await this.worker.queue_frame(InterruptionFrame())
            (*_, ended) = await this.notes.waited_for(BotStoppedSpeakingFrame, number)
            # At once, on a machine that may be busy with something else.
            assert ended - asked < 1, f"{ended - asked} s after the {number}th"
            this.notes.forget(InputAudioRawFrame)
        await asyncio.sleep(0.3)
        assert len(this.notes.times(BotStartedSpeakingFrame)) == BARGE_INS, "each told once"
        assert len(this.notes.times(BotStoppedSpeakingFrame)) == BARGE_INS, "each told once"

    scene(step, patience=60 + BARGE_INS)


def test_pictures_of_the_bot_are_shown() -> None:
    async def step(this: Scene) -> None:
        await this.notes.waited_for(InputAudioRawFrame)
        image = numpy.full((64, 96, 3), (20, 200, 20), numpy.uint8).tobytes()
        await this.worker.queue_frame(OutputImageRawFrame(image=image, size=(96, 64), format="RGB"))
        track = this.peer.getReceivers()[1].track
        while True:
            picture = await track.recv()
            red, green, _ = picture.to_ndarray(format="rgb24").mean(axis=(0, 1))
            if (picture.width, picture.height) == (96, 64) and green > 150 and red < 80:
                return

    scene(step, video_out_enabled=True, video_out_width=96, video_out_height=64)


def test_requests_that_cannot_be_answered_are_errors() -> None:
    async def run() -> None:
        async with visavis.Engine(udp_host="127.0.0.1") as engine:
            handler = SmallWebRTCRequestHandler(engine)

            async def never(connection: Any) -> None:
                raise AssertionError("no client")

            with pytest.raises(visavis.InvalidValue, match="offer"):
                await handler.handle_web_request({"sdp": "none", "type": "offer"}, never)
            with pytest.raises(visavis.InvalidValue, match="no peer connection"):
                await handler.handle_patch_request({"pc_id": "00", "candidates": []})
            assert engine.session_ids() == []
            await handler.close()

    asyncio.run(run())
