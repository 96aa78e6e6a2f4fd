"""The engine, and the server with the player page."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Optional, Sequence, Tuple, Type, TypeVar, Union

from . import _visavis
from ._events import Event
from ._session import Session
from ._stream import Stream
from ._types import AudioCodec, Bytes, Frame, VideoCodec

E = TypeVar("E", bound="Engine")


@dataclass(frozen=True)
class IceServer:
    """A STUN or TURN server, as ``RTCIceServer`` has it."""

    urls: Sequence[str]
    """``stun:``, ``turn:`` or ``turns:`` URLs."""
    username: Optional[str] = None
    """The TURN user."""
    credential: Optional[str] = None
    """The TURN password."""


class Engine:
    """The engine alone, for signaling of your own: its threads, and one UDP socket for all media.

    :param udp_port: 0 lets the system choose.
    :param udp_host: an IP address of this machine.
    :param announce: addresses announced to viewers, ``ADDRESS`` or ``ADDRESS:PORT``, for a host behind 1:1 NAT or with
        mapped ports. Default: all of this machine.
    :param max_viewers: over all sessions.
    :param media_loops: threads that send, each with a socket of its own, on ports that follow one another.
    :param ice_tcp: whether viewers may come by TCP too, at the same port, where their networks let no UDP through.
    :param ice_tcp_port: the number at which visitors reach the port of :func:`serve`, where their media may come there too,
        by TCP: with 443 networks let them through that know nothing but web pages.
    :raises InvalidValue: a setting that cannot be used.
    :raises Error: a port that is taken, or a system that refuses threads.

    It ends by :meth:`close`, at the end of its ``with`` block, or when nobody refers to it any more. It cannot be used
    after ``fork()``: make it in the process that uses it.
    """

    def __init__(
        self,
        *,
        udp_port: int = 0,
        udp_host: str = "0.0.0.0",
        announce: Sequence[str] = (),
        max_viewers: int = 100,
        media_loops: int = 1,
        ice_tcp: bool = True,
        ice_tcp_port: Optional[int] = None,
    ) -> None:
        settings = {
            "udp_port": udp_port,
            "udp_host": udp_host,
            "announce": list(announce),
            "max_viewers": max_viewers,
            "media_loops": media_loops,
            "ice_tcp": ice_tcp,
            "ice_tcp_port": ice_tcp_port,
        }
        self._engine = _visavis.Engine(settings, self._page_settings(max_viewers))

    def _page_settings(self, max_viewers: int) -> "Optional[dict[str, Any]]":
        return None

    @property
    def udp_port(self) -> int:
        """The UDP port media flows through; the first one where there are several loops."""
        return self._engine.udp_port

    @property
    def is_running(self) -> bool:
        """It was not closed, and none of its threads has ended by a fault."""
        return self._engine.is_running

    def session(
        self,
        id: str = "default",
        *,
        fps: int = 30,
        size: Optional[Tuple[int, int]] = None,
        video_codecs: Sequence[VideoCodec] = ("H264",),
        video_kbps: int = 1_500,
        min_video_kbps: int = 100,
        rungs: Sequence[str] = (),
        encoded: Optional[VideoCodec] = None,
        adaptive_encoder: bool = False,
        audio_codecs: Sequence[AudioCodec] = ("opus",),
        audio_kbps: int = 48,
        packet_ms: int = 20,
        opus_fec: bool = True,
        opus_dtx: bool = False,
        opus_red: bool = False,
        playout_delay_ms: int = 0,
        audio_queue: float = 60,
        utterance_bytes: int = 256 << 20,
        microphone_rate: int = 16_000,
        max_viewers: Optional[int] = None,
        idle: Union[Frame, Bytes, str, "os.PathLike[str]", None] = "face",
        idle_grace_ms: int = 500,
        start: bool = True,
    ) -> Session:
        """Makes a session: one face.

        :param id: its name, 1 to 64 characters from ``A-Z a-z 0-9 . _ -``. Visitors get ``default`` unless they name one.
        :param fps: frames a second that you mean to push, 1 to 120.
        :param size: width and height that viewers get, whatever is pushed. Default: each picture in its own size.
        :param video_codecs: in order of preference.
        :param video_kbps: target rate of the video in kbit/s, 50 at least.
        :param min_video_kbps: the least of it: viewers whose networks take less than ``video_kbps`` get a smaller picture, down
            to this. As much as ``video_kbps``: all get the same.
        :param rungs: the smaller pictures of these viewers, three at most, such as ``["50%:300", "25%:120:15"]``: so much of
            each side, at so many kbit/s, with so many frames per second at most. Default: as ``min_video_kbps`` has it.
        :param encoded: the codec of pictures that you push encoded (:meth:`Session.push_encoded_video`).
        :param adaptive_encoder: your encoder makes what the viewer's network takes, between ``min_video_kbps`` and
            ``video_kbps``, when it is told (:meth:`Session.wanted_bitrate`, :class:`BitrateWanted`). With ``encoded``, and 1
            for ``max_viewers``.
        :param audio_codecs: in order of preference.
        :param audio_kbps: target rate of Opus with one channel in kbit/s, 6 to 510.
        :param packet_ms: how much sound is in one packet, 10 or 20 ms.
        :param opus_fec, opus_dtx, opus_red: error correction in band, hardly any packets in silence, copies of packets.
        :param playout_delay_ms: how long viewers may hold a picture back for sound that is late. Default: not at all, for
            faces that are talked with; 500 for films.
        :param audio_queue: seconds of sound kept while it waits for its turn.
        :param utterance_bytes: memory for the pictures of utterances that wait, at 1.5 bytes a pixel.
        :param microphone_rate: samples a second of :meth:`Session.microphone`: 8000, 12000, 16000, 24000 or 48000.
        :param max_viewers: of this session; 1 makes it private. Default: as many as the engine takes.
        :param idle: what viewers see while no pictures are pushed, as in :meth:`Session.set_idle`. Default: a face at rest.
        :param idle_grace_ms: how long a picture stays when no other follows it, before the idle picture is shown.
        :param start: whether it takes media at once.
        :raises InvalidValue: a setting that cannot be used, or a name that is taken.
        """
        settings = {
            "id": id,
            "fps": fps,
            "size": size,
            "video_codecs": list(video_codecs),
            "video_kbps": video_kbps,
            "min_video_kbps": min_video_kbps,
            "rungs": list(rungs),
            "encoded": encoded,
            "adaptive_encoder": adaptive_encoder,
            "audio_codecs": list(audio_codecs),
            "audio_kbps": audio_kbps,
            "packet_ms": packet_ms,
            "opus_fec": opus_fec,
            "opus_dtx": opus_dtx,
            "opus_red": opus_red,
            "playout_delay_ms": playout_delay_ms,
            "audio_queue": audio_queue,
            "utterance_bytes": utterance_bytes,
            "microphone_rate": microphone_rate,
            "max_viewers": max_viewers,
            "idle": idle,
            "idle_grace_ms": idle_grace_ms,
        }
        session = self._engine.session(settings)
        if start:
            session.start()
        return Session(session, fps, encoded, microphone_rate)

    def session_ids(self) -> "list[str]":
        """The names of all sessions there are, in order."""
        return self._engine.session_ids()

    def events(self, levels: bool = False) -> "Stream[Event]":
        """Events of all sessions, from now on.

        :param levels: with :class:`MicrophoneLevel`, five a second and speaking viewer.
        """
        return Stream(self._engine.events(levels))

    def close(self) -> None:
        """Disconnects every viewer, ends every session and all threads. Takes up to some seconds. A second call does
        nothing."""
        self._engine.close()

    async def aclose(self) -> None:
        """As :meth:`close`, without blocking the event loop."""
        await asyncio.get_running_loop().run_in_executor(None, self.close)

    def __enter__(self: E) -> E:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    async def __aenter__(self: E) -> E:
        return self

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        await self.aclose()


class Server(Engine):
    """The engine with the player page, the WebSocket, the HTTP API and WHEP on one TCP port.

    Made by :func:`serve`.
    """

    def __init__(self, page: "dict[str, Any]", **engine: Any) -> None:
        self._page = page
        super().__init__(**engine)

    def _page_settings(self, max_viewers: int) -> "Optional[dict[str, Any]]":
        return {**self._page, "max_viewers": max_viewers}

    @property
    def url(self) -> str:
        """The player page, as a browser on this machine can open it."""
        return self._engine.url or ""

    @property
    def port(self) -> int:
        """The TCP port."""
        return self._engine.port or 0


def serve(
    port: int = 8081,
    *,
    host: str = "0.0.0.0",
    udp_port: int = 0,
    udp_host: str = "0.0.0.0",
    announce: Sequence[str] = (),
    max_viewers: int = 100,
    media_loops: int = 1,
    ice_tcp: bool = True,
    ice_tcp_port: Optional[int] = None,
    tls_cert: Optional[str] = None,
    tls_key: Optional[str] = None,
    ice_servers: Sequence[IceServer] = (),
    default_session: str = "default",
    public_url: Optional[str] = None,
    allowed_hosts: Sequence[str] = (),
    cors: Sequence[str] = (),
    trusted_proxies: Sequence[str] = ("loopback",),
    title: Optional[str] = None,
    logo: Optional[str] = None,
) -> Server:
    """Starts the engine and a server for its viewers: the player page, the WebSocket, the HTTP API and WHEP on one port.

    :param port: the TCP port; 0 lets the system choose.
    :param host: an IP address of this machine. Default: all of them.
    :param udp_port, udp_host, announce, max_viewers, media_loops, ice_tcp, ice_tcp_port: as in
        :class:`Engine`.
    :param tls_cert, tls_key: PEM files; with them the port speaks HTTPS and WSS alone. Browsers hand out a microphone only
        on HTTPS pages and on localhost.
    :param ice_servers: STUN and TURN servers for browsers.
    :param default_session: the session of a visitor who names none.
    :param public_url: where visitors find the server, if that is behind a proxy: ``https://face.example.org/avatar``.
    :param allowed_hosts: host names of the server, ``face.example.org`` or ``*.example.org``; requests to other names are
        refused, except by IP address and localhost.
    :param cors: origins (``https://app.example.org``) whose pages may use the API and the WebSocket; ``*``: all.
    :param trusted_proxies: proxies whose ``X-Forwarded-*`` is trusted: addresses, networks, ``loopback``, ``private``,
        ``none``.
    :param title, logo: of the player page; the logo is a file (SVG, PNG, JPEG or WebP).
    :raises InvalidValue: a setting that cannot be used.
    :raises Error: a port that is taken, a file that cannot be read.
    """
    page = {
        "host": host,
        "port": port,
        "tls_cert": tls_cert,
        "tls_key": tls_key,
        "ice_servers": [(list(one.urls), one.username, one.credential) for one in ice_servers],
        "default_session": default_session,
        "public_url": public_url,
        "allowed_hosts": list(allowed_hosts),
        "cors": list(cors),
        "trusted_proxies": list(trusted_proxies),
        "title": title,
        "logo": logo,
    }
    return Server(
        page,
        udp_port=udp_port,
        udp_host=udp_host,
        announce=announce,
        max_viewers=max_viewers,
        media_loops=media_loops,
        ice_tcp=ice_tcp,
        ice_tcp_port=ice_tcp_port,
    )


def log_to_stderr(filter: str = "info") -> None:
    """Writes the log to stderr from now on, which nobody does otherwise. Can be called once.

    :param filter: ``error``, ``warn``, ``info``, ``debug`` or ``trace``, or by module: ``warn,visavis_signaling=debug``.
    :raises InvalidValue: no such filter.
    :raises Error: a second call.
    """
    _visavis.log_to_stderr(filter)
