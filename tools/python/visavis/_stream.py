"""What is waited for: by a loop, by a call with a timeout, or by asyncio."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import AsyncIterator, Generic, Iterator, Optional, Type, TypeVar, cast

from . import _visavis
from ._errors import Closed, Error

T = TypeVar("T")


class Stream(Generic[T]):
    """Things that come one after the other: events, pieces of microphones, messages.

    Read it with ``for``, ``async for``, :meth:`get`, or :meth:`next`. It is a bounded queue: the engine never waits for
    whoever reads, and what does not fit is dropped and counted (:attr:`dropped`).

    No thread calls into Python: asyncio watches a file descriptor (:meth:`fileno`), as any other event loop can.
    """

    def __init__(self, receiver: _visavis.Receiver) -> None:
        self._receiver: Optional[_visavis.Receiver] = receiver
        self._waiting: "list[asyncio.Future[None]]" = []
        self._loop: Optional[asyncio.AbstractEventLoop] = None

    def _open(self) -> _visavis.Receiver:
        if self._receiver is None:
            raise Closed("this stream was closed")
        return self._receiver

    def get(self, timeout: Optional[float] = None) -> T:
        """The next one, waited for up to ``timeout`` seconds, or for as long as it takes. Ctrl-C works meanwhile.

        :raises Timeout: none came in time.
        :raises Closed: nothing more will come.
        """
        return cast(T, self._open().get(timeout))

    def get_nowait(self) -> Optional[T]:
        """The next one if there is one now, else ``None``.

        :raises Closed: nothing more will come.
        """
        return cast(Optional[T], self._open().get_nowait())

    async def next(self) -> T:
        """The next one, waited for by asyncio. Use :func:`asyncio.wait_for` for a timeout.

        :raises Closed: nothing more will come.
        """
        while True:
            found = self.get_nowait()
            if found is not None:
                return found
            await self.readable()

    async def readable(self) -> None:
        """Returns when something waits to be read, or nothing more will come."""
        loop = asyncio.get_running_loop()
        if self._waiting and self._loop is not loop:
            raise Error("this stream is waited for in another event loop; use one stream in one loop")
        descriptor = self._open().fileno()
        ready: "asyncio.Future[None]" = loop.create_future()
        if not self._waiting:
            self._loop = loop
            loop.add_reader(descriptor, self.wake)
        self._waiting.append(ready)
        try:
            await ready
        finally:
            # Unless it was closed meanwhile, which did this.
            if ready in self._waiting:
                self._waiting.remove(ready)
                if not self._waiting:
                    loop.remove_reader(descriptor)

    def wake(self) -> None:
        """Has whoever waits in :meth:`readable` and :meth:`next` look again."""
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    def fileno(self) -> int:
        """A file descriptor that is readable while something waits, for ``select``, ``poll`` and event loops. It is not
        to be read, written or closed."""
        return self._open().fileno()

    @property
    def dropped(self) -> int:
        """How many were dropped so far because they were not read in time."""
        return self._open().dropped

    def close(self) -> None:
        """Nothing more is wanted: whoever waits, in this event loop, finds it ended. A second call does nothing."""
        receiver, self._receiver = self._receiver, None
        if receiver is not None and self._loop is not None and self._waiting:
            self._loop.remove_reader(receiver.fileno())
        self.wake()
        self._waiting.clear()

    def __enter__(self) -> "Stream[T]":
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        try:
            return self.get()
        except Closed:
            raise StopIteration from None

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        try:
            return await self.next()
        except Closed:
            raise StopAsyncIteration from None
