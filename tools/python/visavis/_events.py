"""What is received: events, pieces of microphones, messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Union


@dataclass(frozen=True)
class Event:
    """The base of all events."""

    session: str
    """The session's id; empty for what concerns the engine as a whole."""


@dataclass(frozen=True)
class PeerJoined(Event):
    """A viewer's connection is up: media flows."""

    peer: str
    """The viewer's id."""
    codec: Optional[str]
    """The video codec it gets; ``None`` for a listener without picture."""


@dataclass(frozen=True)
class PeerLeft(Event):
    """A viewer is gone. Also sent for one that never came further than its offer."""

    peer: str
    """The viewer's id."""
    reason: str
    """``closed``, ``connect-timeout``, ``vanished``, ``failed``, ``rsa-certificate`` or ``stopped``."""


@dataclass(frozen=True)
class PictureChanged(Event):
    """A viewer gets a smaller picture than before or a larger one, or fewer or more pictures a second.

    Not sent for what it begins with, nor where the encoder follows its only viewer from picture to picture.
    """

    peer: str
    """The viewer's id."""
    rung: int
    """The size, counted from the smallest, which is 0."""
    layer: int
    """How many of the pictures, counted from the fewest, which is 0; 3 for all."""
    video_kbps: Optional[int]
    """What that should take at most, in kbit/s; ``None`` where there is one size that is always the same."""
    limited: bool
    """It is less than the best there is, because the viewer's network takes no more."""


@dataclass(frozen=True)
class LiveStarted(Event):
    """Pictures are pushed where none were: viewers see them instead of the idle picture."""


@dataclass(frozen=True)
class LiveEnded(Event):
    """No picture has come for a while, or what was shown was interrupted: viewers see the idle picture."""

    stalled: bool
    """Neither the end of an utterance nor an interruption explains it: the renderer is stuck or gone."""


@dataclass(frozen=True)
class KeyframeRequested(Event):
    """Viewers of a session whose pictures are pushed encoded wait for a keyframe."""

    codec: str
    """What it is encoded with."""


@dataclass(frozen=True)
class BitrateWanted(Event):
    """Pictures that are pushed encoded should take so much from the next one on. Only with ``adaptive_encoder``."""

    codec: str
    """What they are encoded with."""
    video_kbps: int
    """In kbit/s, headers not included."""


@dataclass(frozen=True)
class UtteranceStarted(Event):
    """An utterance begins to play."""

    utterance: int
    """Its id, :attr:`Utterance.id`."""


@dataclass(frozen=True)
class UtteranceEnded(Event):
    """An utterance has been played to its end."""

    utterance: int
    """Its id."""
    sent_ms: float
    """How long it was, in milliseconds."""


@dataclass(frozen=True)
class Interrupted(Event):
    """What was being said was cut off, and all that waited is dropped. One event for each utterance."""

    utterance: Optional[int]
    """Its id; ``None`` for sound that was pushed live."""
    sent_ms: float
    """How much of it was sent, in milliseconds."""


@dataclass(frozen=True)
class SpeechStarted(Event):
    """A viewer began to speak. Only while the session's microphones are listened to, as with the two below."""

    peer: str
    """Who speaks."""
    at_ms: int
    """When the speech was captured, in Unix milliseconds, to within some 20 ms."""


@dataclass(frozen=True)
class SpeechEnded(Event):
    """A viewer has stopped speaking: there was half a second without speech, or it left."""

    peer: str
    """Who spoke."""
    at_ms: int
    """When the last of it was captured, in Unix milliseconds."""


@dataclass(frozen=True)
class MicrophoneLevel(Event):
    """How loud a viewer is, five times a second. Only where it was asked for (``levels=True``)."""

    peer: str
    """Who it is."""
    dbfs: int
    """0 for a square wave of full scale, -127 for silence."""


@dataclass(frozen=True)
class DataChannelOpened(Event):
    """A viewer has opened a data channel: messages can be sent to it."""

    peer: str
    """Whose it is."""
    label: str
    """What the viewer calls it."""


@dataclass(frozen=True)
class DataChannelClosed(Event):
    """A data channel is closed, while its viewer stays."""

    peer: str
    """Whose it was."""
    label: str
    """What the viewer called it."""


@dataclass(frozen=True)
class Fault(Event):
    """A bug was caught, and did no more harm than its ``domain``. The first of each domain and owner is an event."""

    domain: str
    """What it was confined to: ``peer``, ``session``, ``encoder``, ``audio``, …"""
    whose: str
    """A session, a viewer, or what else the domain has."""
    why: str
    """What happened."""


@dataclass(frozen=True)
class EngineFailed(Event):
    """The engine serves nobody any more: end the process, with a code that is not 0. Also told to who asks for events
    after it."""

    domain: str
    """The part that has ended: ``media-loop``, ``audio-loop``, ``idle-loop`` or ``signaling-loop``."""
    why: str
    """What ended it."""


@dataclass(frozen=True)
class MicChunk:
    """A piece of what a viewer says: mono, and as long as its packets are, usually 20 ms."""

    peer: str
    """The viewer's id."""
    data: bytes
    """The samples, 16 bits each in native byte order."""
    rate: int
    """Samples a second: the session's ``microphone_rate``."""
    captured_ms: int
    """When the first sample was captured, in Unix milliseconds, as far as its arrival tells."""
    concealed: bool
    """It was lost on the way, and is made up from what was around it."""

    @property
    def samples(self) -> "memoryview[int]":
        """The samples as int16: what ``numpy.asarray`` takes without a copy."""
        return memoryview(self.data).cast("h")


@dataclass(frozen=True)
class Message:
    """A message from a viewer's data channel."""

    peer: str
    """The viewer's id."""
    label: str
    """What the viewer calls the channel it came on; the player page's is ``visavis``."""
    data: Union[str, bytes]
    """A text or bytes, as it was sent."""


@dataclass(frozen=True)
class Answer:
    """The answer to a viewer's SDP offer."""

    peer: str
    """The viewer's id: what is asked of it later names it so."""
    sdp: str
    """For ``RTCPeerConnection.setRemoteDescription({type: "answer", sdp})``."""


@dataclass(frozen=True)
class Broadcast:
    """What became of a message for all viewers."""

    accepted: int
    """How many viewers it is on its way to."""
    full: "list[str]"
    """Viewers that do not keep up, and do not get it."""
