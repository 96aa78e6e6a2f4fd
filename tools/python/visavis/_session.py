"""One face: what is pushed into it, and what comes from its viewers."""

from __future__ import annotations

import asyncio
import os
from types import TracebackType
from typing import Optional, Type, Union

from . import _visavis
from ._events import Answer, Broadcast, Event, Message, MicChunk
from ._stream import Stream
from ._types import (
    Bytes,
    Frame,
    PixelFormat,
    PushOutcome,
    Samples,
    SendOutcome,
    Status,
    VideoCodec,
)
from ._utterance import Playback, Utterance


class Session:
    """One face: its sources, its idle picture, its viewers.

    Made by :meth:`Engine.session`. Its methods can be called from any thread. It ends by :meth:`close`, at the end of its
    ``with`` block, with the engine, or when nobody refers to it any more.
    """

    def __init__(
        self,
        session: _visavis.Session,
        fps: int,
        encoded: Optional[VideoCodec],
        microphone_rate: int,
    ) -> None:
        self._session = session
        self._fps = fps
        self._encoded = encoded
        self._microphone_rate = microphone_rate
        self._playback: Optional[Playback] = None

    @property
    def id(self) -> str:
        """Its name."""
        return self._session.id

    @property
    def fps(self) -> int:
        """Frames a second that it was made for."""
        return self._fps

    @property
    def microphone_rate(self) -> int:
        """Samples a second of :meth:`microphone`."""
        return self._microphone_rate

    @property
    def is_closed(self) -> bool:
        """It was closed, here or by the end of the engine."""
        return self._session.is_stopped

    @property
    def audio_waiting(self) -> float:
        """How many milliseconds of what :meth:`push_audio`, :meth:`push_opus` and :meth:`push_mp3` were given are still to be
        sent: 0 once the last packet has left, and after the session's end."""
        return self._session.audio_waiting

    def start(self) -> None:
        """From now on pushed media is sent. Sessions are started already, unless made with ``start=False``."""
        self._session.start()

    def push_video(
        self,
        frame: Frame,
        width: Optional[int] = None,
        height: Optional[int] = None,
        format: Optional[PixelFormat] = None,
        timestamp_ms: Optional[int] = None,
    ) -> PushOutcome:
        """Copies a picture and returns; never waits for the network or an encoder. The newest wins: one that the encoder
        has not taken is replaced by the next.

        :param frame: a numpy array or torch CPU tensor of uint8, ``(height, width, 4)`` for RGBA or BGRA,
            ``(height, width, 3)`` for RGB, ``(height * 3 / 2, width)`` for I420 or NV12; a PIL image; bytes. In one piece,
            not sliced or transposed. Width and height are even, from 16 to 4096, and may change.
        :param width, height: of bytes, which do not tell.
        :param format: ``rgba`` (default), ``bgra``, ``rgb``, ``i420``, ``nv12``, or of files ``jpeg``, ``png``.
        :param timestamp_ms: when the picture was captured or rendered, in Unix milliseconds. Default: now. What has one
            stamp comes out together, sound and picture.
        :returns: what became of it: ``"accepted"``, or ``"stopped"`` after the session's end.
        :raises InvalidType: values of another dtype, a tensor on a GPU, an object without pixels.
        :raises InvalidValue: another shape or size, not in one piece, a damaged file.

        Up to 2 MiB is copied in less time than it takes to get the GIL back where other threads are busy, and the GIL is
        kept; it is released for more, and while a file is decoded.
        """
        return self._session.push_video(frame, width, height, format, timestamp_ms)

    def push_audio(
        self,
        samples: Samples,
        rate: int,
        channels: Optional[int] = None,
        timestamp_ms: Optional[int] = None,
    ) -> PushOutcome:
        """Queues sound, which is played at its own rate however fast it comes.

        :param samples: int16, or float32 from -1 to 1: ``(samples,)``, or ``(samples, 2)`` for stereo; bytes are 16-bit
            little-endian samples.
        :param rate: samples a second: 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100 or 48000.
        :param channels: 1 or 2, of samples in one dimension, which take turns. Default: 1.
        :param timestamp_ms: when the first sample was captured, in Unix milliseconds. Default: now.
        :returns: ``"accepted"``; ``"dropped-oldest"`` where more than the session's ``audio_queue`` waits; ``"stopped"``.
        :raises InvalidType: values of another dtype.
        :raises InvalidValue: another shape or rate; a session whose sound is given as Opus.
        """
        return self._session.push_audio(samples, rate, channels, timestamp_ms)

    def push_encoded_video(
        self, data: Bytes, keyframe: Optional[bool] = None, timestamp_ms: Optional[int] = None
    ) -> PushOutcome:
        """Passes on a picture that is encoded already, in a session that was made with ``encoded``.

        :param data: one access unit: an Annex B byte stream for H264, one frame for VP8, a superframe for VP9, a temporal
            unit for AV1; at most 4 MiB.
        :param keyframe: whether a decoder can start here. Default: found out from it.
        :param timestamp_ms: when it was captured, in Unix milliseconds. Default: now.
        :raises InvalidValue: no such access unit, or a session that encodes by itself.
        """
        codec = self._encoded or "H264"
        return self._session.push_encoded_video(data, codec, keyframe, timestamp_ms)

    def take_keyframe_request(self) -> bool:
        """Whether viewers wait for a keyframe since the last call: of a session whose pictures come encoded."""
        return self._session.take_keyframe_request()

    def wanted_bitrate(self) -> int:
        """What pictures that come encoded should take from the next one on, in kbit/s.

        With ``adaptive_encoder`` that is what the viewer's network takes, else always ``video_kbps``.
        """
        return self._session.wanted_bitrate()

    def push_opus(self, packet: Bytes, timestamp_ms: Optional[int] = None) -> PushOutcome:
        """Queues one Opus packet, which goes as it is to viewers that take Opus. A session takes PCM or Opus, not both.

        :raises InvalidValue: a broken packet, or a session that was given PCM.
        """
        return self._session.push_opus(packet, timestamp_ms)

    def push_mp3(self, frames: Bytes, timestamp_ms: Optional[int] = None) -> PushOutcome:
        """Queues one or more whole MP3 frames.

        :raises InvalidValue: no MP3, or a session that was given Opus.
        """
        return self._session.push_mp3(frames, timestamp_ms)

    def begin_utterance(self) -> Utterance:
        """Begins something that is made faster than it plays, sound and pictures together.

        :raises Error: a session whose sound is given as Opus, or an engine that does not keep up.
        """
        utterance = self._session.begin_utterance(0)
        if self._playback is None:
            self._playback = Playback(self._session)
        return Utterance(utterance, self._playback, self._fps)

    def interrupt(self) -> float:
        """Barge-in: drops at once all that waits to be played, utterances and what was pushed live. Sound fades out within
        5 ms, and the idle picture is shown.

        :returns: how much of what is playing was sent, in milliseconds.
        """
        return self._session.interrupt()

    def set_idle(self, idle: Union[Frame, Bytes, str, "os.PathLike[str]", None]) -> None:
        """Changes what is shown while no pictures are pushed.

        :param idle: a picture as in :meth:`push_video`; the name of a JPEG or PNG file or of a film (MP4 with H264, Y4M, with
            ffmpeg installed any other), which goes round without its sound; the bytes of a JPEG or PNG file; ``"face"``
            for the built-in one; ``None`` has the last picture stay.
        :raises InvalidType, InvalidValue: none of these, or a file that cannot be read.
        """
        self._session.set_idle(idle)

    def status(self) -> Status:
        """Viewers, counters, averages, and the time from push to each stage."""
        return self._session.status()

    def events(self, levels: bool = False) -> "Stream[Event]":
        """This session's events, from now on.

        :param levels: with :class:`MicrophoneLevel`, five a second and speaking viewer.
        """
        return Stream(self._session.events(levels))

    def microphone(self) -> "Stream[MicChunk]":
        """What viewers say, in pieces of some 20 ms. Nothing is decoded before the first call. Streams of one session share
        what comes. 500 pieces wait to be read; past that the oldest is dropped.
        """
        return Stream(self._session.microphone())

    def messages(self) -> "Stream[Message]":
        """Messages from viewers' data channels. What comes before the first call is dropped. Streams of one session share
        what comes. 1 MiB of each viewer waits to be read, 16 MiB of all.
        """
        return Stream(self._session.messages())

    def send(self, peer: str, data: Union[str, Bytes], label: Optional[str] = None) -> SendOutcome:
        """Sends one viewer a message: a text or bytes, at most 64 KiB. Never waits.

        :param label: the channel's; default: the first that the viewer has opened.
        :returns: ``"full"`` where the viewer does not keep up, and it was not taken.
        :raises Error: no such viewer, no such channel, nothing in it, too large.
        """
        return "accepted" if self._session.send(peer, data, label) else "full"

    def broadcast(self, data: Union[str, Bytes], label: Optional[str] = None) -> Broadcast:
        """Sends every viewer a message, as :meth:`send` does. Those who do not keep up are left out, and named.

        :raises Error: nothing in it, too large.
        """
        return Broadcast(*self._session.broadcast(data, label))

    def labels(self, peer: str) -> "list[str]":
        """The labels of a viewer's open channels, in the order in which they were opened."""
        return self._session.labels(peer)

    def waiting_bytes(self, peer: str) -> Optional[int]:
        """Bytes that wait for a viewer; ``None`` where there is no such viewer."""
        return self._session.waiting_bytes(peer)

    def answer(self, sdp: str, peer: Optional[str] = None) -> Answer:
        """Answers an SDP offer, for signaling of your own. Takes some 100 µs; a later offer some milliseconds.

        :param sdp: the offer.
        :param peer: the viewer's id, for a later offer of one that is here: other media, or an ICE restart.
        :raises InvalidValue: an offer that cannot be used: answer 400.
        :raises Error: no place, or an engine that is busy or has ended: answer 503.
        """
        return Answer(*self._session.answer(sdp, peer))

    async def answer_async(self, sdp: str, peer: Optional[str] = None) -> Answer:
        """As :meth:`answer`, which waits for a moment where the viewer is here already."""
        if peer is None:
            return self.answer(sdp)
        return await asyncio.get_running_loop().run_in_executor(None, self.answer, sdp, peer)

    def add_candidate(self, peer: str, candidate: str) -> None:
        """Adds a viewer's ICE candidate, as ``RTCIceCandidate.candidate`` has it; an empty one ends them.

        :raises InvalidValue: no candidate.
        """
        self._session.add_candidate(peer, candidate)

    def disconnect(self, peer: str) -> None:
        """Closes a viewer's connection; an unknown one is ignored."""
        self._session.disconnect(peer)

    def close(self) -> None:
        """Disconnects every viewer cleanly and ends the session; pushing is then a counted no-op. A second call does
        nothing."""
        self._session.close()

    async def aclose(self) -> None:
        """As :meth:`close`, which waits for up to two seconds."""
        await asyncio.get_running_loop().run_in_executor(None, self.close)

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    async def __aenter__(self) -> "Session":
        return self

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        await self.aclose()
