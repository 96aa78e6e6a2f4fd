"""Types of what goes in and comes out."""

from __future__ import annotations

from typing import Any, Literal, Optional, TypedDict

PushOutcome = Literal["accepted", "not-started", "stopped", "dropped", "dropped-oldest", "full"]
"""What became of a push.

``accepted``
    It is on its way.
``not-started``, ``stopped``
    The session is not started yet, or has ended: counted, and otherwise ignored.
``dropped``
    The engine does not keep up, or what it belongs to was interrupted.
``dropped-oldest``
    Sound: it is on its way, and the oldest that waited had to go for it.
``full``
    So much of an utterance waits that this was not taken: push it again later.
"""

SendOutcome = Literal["accepted", "full"]
"""What became of a message: ``full`` where 1 MiB waits for this viewer already, and it was not taken."""

PixelFormat = Literal["rgba", "bgra", "rgb", "i420", "nv12", "jpeg", "png"]
"""How the bytes of a picture are laid out."""

VideoCodec = Literal["H264", "VP8", "VP9", "AV1"]
"""Video codecs. AV1 where the package was built with it."""

AudioCodec = Literal["opus", "pcmu", "pcma"]
"""Audio codecs."""

Frame = Any
"""A picture in memory.

A numpy array of uint8, or a torch tensor in CPU memory: ``(height, width, 4)`` is RGBA, ``(height, width, 3)`` RGB,
``(height * 3 / 2, width)`` with a format I420 or NV12. A PIL image. Bytes, or anything with a buffer, with width and
height. Width and height are even, from 16 to 4096.
"""

Samples = Any
"""Sound in memory.

A numpy array, a torch tensor or an ``array.array`` of int16, or of float32 from -1 to 1: ``(samples,)``, or
``(samples, 2)`` for stereo. Bytes are 16-bit little-endian samples.
"""

Bytes = Any
"""Bytes: ``bytes``, ``bytearray``, ``memoryview``, or anything with a buffer."""


class Stage(TypedDict):
    """The distribution of the time from push to one stage, in microseconds."""

    count: int
    p50_us: int
    p99_us: int
    max_us: int


class Metrics(TypedDict):
    """Counters and averages of one session, since it was created."""

    video_frames: int
    audio_chunks: int
    dropped_frames: int
    replaced_frames: int
    dropped_audio_ms: int
    corrected_stamps: int
    dropped_units: int
    encoded_frames: int
    keyframes: int
    mic_packets: int
    dropped_mic_packets: int
    unread_mic_chunks: int
    dropped_audio_packets: int
    data_sent: int
    data_undelivered: int
    data_received: int
    data_dropped: int
    stalls: int
    avg_latency: float
    last_frame_time: Optional[int]
    fps: float
    is_streaming: bool
    is_live: bool


class Rung(TypedDict):
    """One of the sizes that a session's pictures are encoded in, and how many viewers get it."""

    codec: str
    rung: int
    """Which size, counted from the smallest, which is 0."""
    video_kbps: Optional[int]
    """What it should take at most; ``None`` where there is one size that is always the same."""
    viewers: int


class Network(TypedDict):
    """What is known of viewers' networks."""

    available_kbps: int
    """What can be sent, by the estimate."""
    round_trip_ms: float
    """From when a packet is sent to when its report comes, up to 50 of which the viewer waits."""
    queue_delay_ms: float
    """How long packets wait in queues of the network."""
    fraction_lost: float
    """The part of packets that is lost, from 0 to 1."""


class Networks(TypedDict):
    """The networks of a session's viewers: of those that report when packets arrive."""

    viewers: int
    limited: int
    """How many get less than the best picture, because their networks take no more."""
    by_tcp: int
    """How many come by TCP, as their networks let no UDP through."""
    median: Network
    worst: Network


class Status(TypedDict):
    """What :meth:`Session.status` returns."""

    peer_count: int
    encoders: "list[str]"
    metrics: Metrics
    stages: "dict[str, Stage]"
    rungs: "list[Rung]"
    """What viewers get, by codec and from the smallest size up; what nobody gets is absent."""
    networks: Optional[Networks]
    """``None`` while no viewer reports when packets arrive."""
