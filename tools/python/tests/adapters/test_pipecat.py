"""A Pipecat pipeline whose client (aiortc, with the requests of Pipecat's clients) watches a face."""

from __future__ import annotations

import asyncio
import bisect
import collections
import dataclasses
import fractions
import gc
import json
import math
import os
import random
import time
from typing import Any, Awaitable, Callable

import numpy
import pytest
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
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
    """Keeps what comes by: the last frames, and the times of all. What is asked each 5 ms takes no longer after 1,000
    barge-ins."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: "collections.deque[tuple[float, Frame]]" = collections.deque(maxlen=1_000)
        self._times: "collections.defaultdict[type, list[float]]" = collections.defaultdict(list)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        now = time.monotonic()
        self.seen.append((now, frame))
        for kind in type(frame).__mro__:
            self._times[kind].append(now)
        await self.push_frame(frame, direction)

    def times(self, kind: type) -> "list[float]":
        return self._times[kind]

    def forget(self, kind: type) -> None:
        self._times[kind] = []

    async def waited_for(self, kind: type, count: int = 1) -> "list[float]":
        until = time.monotonic() + 15
        while (found := len(self._times[kind])) < count:
            assert time.monotonic() < until, f"{found} of {count} {kind.__name__}"
            await asyncio.sleep(0.005)
        return self.times(kind)


class Scene:
    def __init__(self, worker: PipelineWorker, notes: Notes, after: Notes) -> None:
        self.worker, self.notes, self.after = worker, notes, after
        self.told: "list[str]" = []
        self.heard: "asyncio.Queue[Any]" = asyncio.Queue()
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))

    async def say(self, seconds: float) -> None:
        """Speech, as a service makes it: faster than it plays."""
        tone = 8_000 * numpy.sin(math.tau * 500 / RATE * numpy.arange(round(seconds * RATE)))
        await self.play(tone.astype(numpy.int16))

    async def play(self, samples: Any) -> None:
        for piece in numpy.split(samples, range(RATE // 10, len(samples), RATE // 10)):
            await self.worker.queue_frame(TTSAudioRawFrame(piece.tobytes(), RATE, 1))
        await self.worker.queue_frame(TTSStoppedFrame())


def scene(
    step: Callable[[Scene], Awaitable[None]],
    patience: float = 40,
    listen: Callable[[RTCPeerConnection], None] = lambda peer: None,
    **params: Any,
) -> None:
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
                notes, after = Notes(), Notes()
                pipeline = Pipeline([transport.input(), notes, transport.output(), after])
                worker = PipelineWorker(pipeline, cancel_on_idle_timeout=False, enable_rtvi=False)
                this = Scene(worker, notes, after)
                for event in ("on_client_connected", "on_client_disconnected", "on_app_message"):
                    transport.add_event_handler(event, noted(this, event))
                runner = WorkerRunner(handle_sigint=False)
                await runner.add_workers(worker)
                await made.put((this, asyncio.ensure_future(runner.run())))

            peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
            peer.addTrack(Tone())
            listen(peer)
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
        for number in range(1, 6):
            await this.say(2.0)
            # What is still on its way to the output is not the output's to drop.
            await this.notes.waited_for(TTSStoppedFrame, number)
            await this.notes.waited_for(BotStartedSpeakingFrame, number)
            await asyncio.sleep(dice.uniform(0, 0.3))
            await this.worker.queue_frame(InterruptionFrame())
            await this.notes.waited_for(BotStoppedSpeakingFrame, number)
            await this.after.waited_for(BotStoppedSpeakingFrame, number)
        await asyncio.sleep(0.3)
        # At once is, on however busy a machine, with no more sound in between than what was being written.
        seen = [type(frame) for _, frame in this.after.seen]
        for number in range(5):
            asked = [at for at, kind in enumerate(seen) if kind is InterruptionFrame][number]
            ended = [at for at, kind in enumerate(seen) if kind is BotStoppedSpeakingFrame][number]
            assert asked < ended and seen[asked:ended].count(TTSAudioRawFrame) <= 1, seen[asked : ended + 1]

    scene(step)


# --- Against RTP ---

# Each by its level: no two of them look alike as sound of 8 bits, not even while they fade.
LEVELS = [sign * level for level in (1_500, 2_500, 4_200, 7_000, 11_700, 19_500) for sign in (1, -1)]


def of_mu_law(byte: int) -> int:
    byte ^= 0xFF
    value = (((byte & 0x0F) << 3) + 0x84 << (byte >> 4 & 7)) - 0x84
    return -value if byte & 0x80 else value


MU_LAW = numpy.array([of_mu_law(byte) for byte in range(256)])


@dataclasses.dataclass
class Heard:
    """What of one level was received, one after the other."""

    level: int
    # Numbers of samples.
    begins: int
    ends: int
    # When the packet with its first sample came, and the one with its last, and when that sample was due.
    first: float = 0
    last: float = 0
    due: float = 0


# So many samples of what fades away are still near its level: a fifth of 5 ms, and what filters make of it.
NEAR = 12


class Ear:
    """Takes PCMU alone, and notes when each packet comes: what is in it needs no decoder."""

    def __init__(self) -> None:
        self.packets: "list[tuple[float, int, bytes]]" = []

    def listen(self, peer: RTCPeerConnection) -> None:
        (transceiver,) = peer.getTransceivers()
        codecs = RTCRtpReceiver.getCapabilities("audio").codecs
        transceiver.setCodecPreferences([codec for codec in codecs if codec.mimeType == "audio/PCMU"])
        receiver: Any = transceiver.receiver
        handle = receiver._handle_rtp_packet

        async def note(packet: Any, arrival_time_ms: int) -> None:
            self.packets.append((time.monotonic(), packet.timestamp, packet.payload))
            await handle(packet, arrival_time_ms)

        receiver._handle_rtp_packet = note

    def utterances(self) -> "list[Heard]":
        found: "list[Heard]" = []
        starts = [(timestamp - self.packets[0][1]) % 2**32 for _, timestamp, _ in self.packets]
        for start, (_, _, payload) in zip(starts, self.packets):
            samples = MU_LAW[numpy.frombuffer(payload, numpy.uint8)]
            near = numpy.abs(samples[:, None] / numpy.array(LEVELS) - 1) < 0.2
            for into in numpy.flatnonzero(near.any(axis=1)):
                level, number = LEVELS[near[into].argmax()], start + int(into)
                if not found or (found[-1].level, found[-1].ends) != (level, number):
                    found.append(Heard(level, number, number))
                found[-1].ends = number + 1
        # What is shorter fades through a level.
        found = [one for one in found if one.ends - one.begins >= 16]

        def place(number: int) -> "tuple[float, int]":
            packet = bisect.bisect_right(starts, number) - 1
            return self.packets[packet][0], number - starts[packet]

        # What was sent of a packet lies so much later in it, in filters.
        delay = min(place(one.begins)[1] for one in found)
        for one in found:
            one.first, _ = place(one.begins)
            one.last, into = place(one.ends - 1 - NEAR - delay)
            one.due = one.last + (into + 1) / 8_000
        return found


def test_what_is_told_of_barge_ins_is_what_rtp_shows() -> None:
    """A packet leaves when its first sample is due, every 20 ms: a begin is where the first packet comes, an end from where
    the last one comes to where its last sample is due. ``BARGE_INS`` says how many there are, and holds what is told to
    20 ms from that."""
    count, most = int(os.environ.get("BARGE_INS", "20")), 0.02 if "BARGE_INS" in os.environ else 2
    dice, ear = random.Random(7), Ear()
    # As the adapter advises: else this process stands still for 0.2 s now and then.
    gc.collect()
    gc.freeze()

    async def step(this: Scene) -> None:
        await this.notes.waited_for(InputAudioRawFrame)
        told: "list[tuple[int, float, list[float], list[float]]]" = []
        for number in range(count + 1):
            level = LEVELS[number % len(LEVELS)]
            # In pieces of 40 ms: others are filled up with silence.
            length = 0.04 * dice.randrange(3, 11)
            await this.play(numpy.full(round(length * RATE), level, numpy.int16))
            await this.notes.waited_for(TTSStoppedFrame, number + 1)
            await asyncio.sleep(dice.uniform(0, 1.25 * length))
            if number == count:
                # The last in the midst of it, by the end of the pipeline.
                await this.notes.waited_for(BotStartedSpeakingFrame)
                await this.worker.cancel()
                await this.after.waited_for(BotStoppedSpeakingFrame)
                break
            await this.worker.queue_frame(InterruptionFrame())
            await this.after.waited_for(InterruptionFrame, number + 1)
            await asyncio.sleep(0.1 + dice.uniform(0, 0.3))
            begins, ends = (this.after.times(kind) for kind in (BotStartedSpeakingFrame, BotStoppedSpeakingFrame))
            told.append((level, length, begins, ends))
            for kind in (BotStartedSpeakingFrame, BotStoppedSpeakingFrame):
                this.after.forget(kind)
            this.notes.forget(InputAudioRawFrame)
        heard = ear.utterances()
        away: "list[float]" = []
        for number, (level, length, begins, ends) in enumerate(told):
            assert len(begins) == len(ends) <= 1, "each is told once"
            if not begins:
                continue
            assert heard and heard[0].level == level, "what was told was heard"
            one = heard.pop(0)
            assert (one.ends - one.begins) / 8_000 <= length + 0.001
            was_cut_off = (one.ends - one.begins) / 8_000 < length - 0.001
            away += [begins[0] - one.first, min(ends[0] - one.last, 0) + max(ends[0] - one.due, 0)]
            if max(map(abs, away[-2:])) > 0.01:
                print(f"{number}: {away[-2:]} of {length:.2f} s, cut off: {was_cut_off}")
        assert len(heard) == 1, "what was heard was told"
        p50, p99 = numpy.percentile(numpy.abs(away), [50, 99]) * 1_000
        early, late = min(away) * 1_000, max(away) * 1_000
        print(f"{len(away)} told, from RTP p50 {p50:.1f}, p99 {p99:.1f}, from {early:+.1f} to {late:+.1f} ms")
        assert max(map(abs, away)) < most, away

    try:
        scene(step, patience=60 + 2 * count, listen=ear.listen)
    finally:
        gc.unfreeze()


def test_sentences_that_follow_at_once_are_told_as_rtp_shows_them() -> None:
    count, most = 6, 0.02 if "BARGE_INS" in os.environ else 2
    ear = Ear()

    async def step(this: Scene) -> None:
        await this.notes.waited_for(InputAudioRawFrame)
        for level in LEVELS[:count]:
            await this.play(numpy.full(round(0.24 * RATE), level, numpy.int16))
        ends = await this.after.waited_for(BotStoppedSpeakingFrame, count)
        begins = this.after.times(BotStartedSpeakingFrame)
        await asyncio.sleep(0.3)
        heard = ear.utterances()
        assert [one.level for one in heard] == LEVELS[:count]
        assert len(begins) == len(ends) == count
        for one, begin, end in zip(heard, begins, ends):
            assert abs(begin - one.first) < most, begin - one.first
            assert one.last - most < end < one.due + most, (end - one.last, end - one.due)

    scene(step, listen=ear.listen)


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
