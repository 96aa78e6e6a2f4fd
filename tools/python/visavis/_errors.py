"""The exceptions of the package."""

from __future__ import annotations


class Error(Exception):
    """The base of all exceptions of this package. Its text says what is wrong, and what is expected."""


class InvalidValue(Error, ValueError):
    """A value that cannot be used: a size, a rate, a name, the shape of an array, an SDP offer."""


class InvalidType(Error, TypeError):
    """An object that cannot be used: values of another dtype, a tensor on a GPU, a list."""


class Timeout(Error, TimeoutError):
    """What was waited for did not come in time."""


class Closed(Error):
    """What is used was closed, or has ended."""
