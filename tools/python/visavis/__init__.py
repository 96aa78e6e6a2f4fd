"""visavis puts a live face on a web page: a renderer pushes pictures and sound, every visitor sees and hears them over
WebRTC some thirty milliseconds later.

>>> import visavis
>>> with visavis.serve(port=8081) as server:   # page, WebSocket, HTTP, WHEP
...     face = server.session()
...     for frame in renderer:                 # numpy (height, width, 3 or 4), torch, PIL, bytes
...         face.push_video(frame)
...         face.push_audio(samples, rate=24_000)   # int16 or float32

Everything that waits has a form for threads and one for asyncio. No thread of the engine's ever calls into Python.
"""

from __future__ import annotations

from ._engine import Engine, IceServer, Server, log_to_stderr, serve
from ._errors import Closed, Error, InvalidType, InvalidValue, Timeout
from ._events import (
    Answer,
    BitrateWanted,
    Broadcast,
    DataChannelClosed,
    DataChannelOpened,
    EngineFailed,
    Event,
    Fault,
    Interrupted,
    KeyframeRequested,
    LiveEnded,
    LiveStarted,
    Message,
    MicChunk,
    MicrophoneLevel,
    PeerJoined,
    PeerLeft,
    PictureChanged,
    SpeechEnded,
    SpeechStarted,
    UtteranceEnded,
    UtteranceStarted,
)
from ._session import Session
from ._stream import Stream
from ._types import (
    AudioCodec,
    Metrics,
    Network,
    Networks,
    PixelFormat,
    PushOutcome,
    Rung,
    SendOutcome,
    Stage,
    Status,
    VideoCodec,
)
from ._utterance import Utterance
from ._visavis import __version__

__all__ = [
    "Answer",
    "AudioCodec",
    "BitrateWanted",
    "Broadcast",
    "Closed",
    "DataChannelClosed",
    "DataChannelOpened",
    "Engine",
    "EngineFailed",
    "Error",
    "Event",
    "Fault",
    "IceServer",
    "Interrupted",
    "InvalidType",
    "InvalidValue",
    "KeyframeRequested",
    "LiveEnded",
    "LiveStarted",
    "Message",
    "Metrics",
    "MicChunk",
    "MicrophoneLevel",
    "Network",
    "Networks",
    "PeerJoined",
    "PeerLeft",
    "PictureChanged",
    "PixelFormat",
    "PushOutcome",
    "Rung",
    "SendOutcome",
    "Server",
    "Session",
    "SpeechEnded",
    "SpeechStarted",
    "Stage",
    "Status",
    "Stream",
    "Timeout",
    "Utterance",
    "UtteranceEnded",
    "UtteranceStarted",
    "VideoCodec",
    "__version__",
    "log_to_stderr",
    "serve",
]
