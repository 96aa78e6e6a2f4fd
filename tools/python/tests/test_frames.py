"""Pictures and sound of other libraries: what is taken, and what is refused with which sentence."""

from __future__ import annotations

import array
import io
from typing import Any

import numpy
import pytest
from PIL import Image

import visavis


def picture(height: int = 64, width: int = 96, channels: int = 4) -> Any:
    return numpy.zeros((height, width, channels), numpy.uint8)


def file_of(kind: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (96, 64), "red").save(out, kind)
    return out.getvalue()


@pytest.mark.parametrize(
    "frame, said",
    [
        (picture(), {}),
        (picture(), {"format": "bgra"}),
        (picture(channels=3), {}),
        (picture(channels=3), {"format": "rgb", "width": 96, "height": 64}),
        (picture()[:32], {}),
        (numpy.zeros((96, 96), numpy.uint8), {"format": "i420"}),
        (numpy.zeros((96, 96), numpy.uint8), {"format": "nv12"}),
        (Image.new("RGB", (96, 64)), {}),
        (Image.new("RGBA", (96, 64)), {}),
        (Image.new("P", (96, 64)), {}),
        (bytes(96 * 64 * 4), {"width": 96, "height": 64}),
        (bytearray(96 * 64 * 3), {"width": 96, "height": 64, "format": "rgb"}),
        (memoryview(bytes(96 * 64 * 4)), {"width": 96, "height": 64}),
        (array.array("B", bytes(96 * 64 * 4)), {"width": 96, "height": 64}),
        (memoryview(bytes(96 * 64 * 4)).cast("B", (64, 96, 4)), {}),
        (file_of("JPEG"), {"width": 96, "height": 64, "format": "jpeg"}),
        (file_of("PNG"), {"width": 96, "height": 64, "format": "png"}),
        (numpy.zeros((1080, 1920, 4), numpy.uint8), {}),
    ],
)
def test_pictures_are_taken(face: visavis.Session, frame: Any, said: "dict[str, Any]") -> None:
    assert face.push_video(frame, **said) == "accepted"
    assert face.status()["metrics"]["video_frames"] == 1


@pytest.mark.parametrize(
    "frame, said, kind, sentence",
    [
        (picture().astype(numpy.float32), {}, TypeError, "float32 values; expected uint8"),
        (picture().astype(numpy.int16), {}, TypeError, "int16 values; expected uint8"),
        (picture().astype(bool), {}, TypeError, "bool values; expected uint8"),
        (picture()[:, ::2], {}, ValueError, "numpy.ascontiguousarray"),
        (picture()[::-1], {}, ValueError, "numpy.ascontiguousarray"),
        (picture().transpose(1, 0, 2), {}, ValueError, "numpy.ascontiguousarray"),
        (numpy.zeros((3, 64, 96), numpy.uint8), {}, ValueError, "transpose"),
        (numpy.zeros((64, 96), numpy.uint8), {}, ValueError, "invalid shape \\(64, 96\\)"),
        (numpy.zeros((2, 64, 96, 4), numpy.uint8), {}, ValueError, "invalid shape \\(2, 64, 96, 4\\)"),
        (picture(channels=3), {"format": "bgr"}, ValueError, "COLOR_BGR2BGRA"),
        (picture(channels=3), {"format": "rgba"}, ValueError, "invalid shape"),
        (picture(), {"format": "rgbx"}, ValueError, "invalid format \"rgbx\""),
        (picture(), {"width": 64}, ValueError, "is 96x64"),
        (picture(63, 96), {}, ValueError, "invalid size 96x63"),
        (picture(8, 8), {}, ValueError, "from 16 to 4096"),
        (bytes(100), {}, ValueError, "expected width and height"),
        (bytes(100), {"width": 16, "height": 16}, ValueError, "invalid length of 100 bytes"),
        (b"no jpeg", {"width": 96, "height": 64, "format": "jpeg"}, ValueError, "cannot be decoded"),
        ([[0, 1], [2, 3]], {}, TypeError, "type list"),
        (None, {}, TypeError, "type NoneType"),
    ],
)
def test_what_is_no_picture_is_refused_with_a_sentence(
    face: visavis.Session, frame: Any, said: "dict[str, Any]", kind: type, sentence: str
) -> None:
    with pytest.raises(visavis.Error, match=sentence) as refused:
        face.push_video(frame, **said)
    assert isinstance(refused.value, kind)
    assert face.status()["metrics"]["video_frames"] == 0


class OnDevice:
    """What is used of a torch tensor, on a GPU."""

    device = "cuda:0"

    def detach(self) -> "OnDevice":
        return self

    def numpy(self) -> None:
        raise AssertionError("not for a tensor on a GPU")


class InMemory(OnDevice):
    device = "cpu"

    def numpy(self) -> Any:
        return picture()


def test_tensors_are_taken_from_memory_only(face: visavis.Session) -> None:
    assert face.push_video(InMemory()) == "accepted"
    with pytest.raises(visavis.InvalidType, match="cuda:0.*tensor.cpu"):
        face.push_video(OnDevice())


def test_a_picture_may_be_painted_over_once_it_is_pushed(face: visavis.Session) -> None:
    frame = picture()
    assert face.push_video(frame) == "accepted"
    frame[:] = 255
    frame.resize((1, 1, 4), refcheck=False)  # Its memory is not held.


def ramp(count: int = 480) -> Any:
    return numpy.linspace(-1, 1, count)


@pytest.mark.parametrize(
    "samples, said",
    [
        (ramp().astype(numpy.float32), {}),
        ((ramp() * 32767).astype(numpy.int16), {}),
        (numpy.zeros((480, 2), numpy.int16), {}),
        (numpy.zeros((480, 1), numpy.float32), {}),
        (numpy.zeros((1, 480), numpy.float32), {}),
        (numpy.zeros(960, numpy.int16), {"channels": 2}),
        (bytes(960), {}),
        (array.array("h", [0] * 480), {}),
        (array.array("f", [0] * 480), {}),
    ],
)
def test_sound_is_taken(face: visavis.Session, samples: Any, said: "dict[str, Any]") -> None:
    assert face.push_audio(samples, rate=24_000, **said) == "accepted"
    assert face.status()["metrics"]["audio_chunks"] == 1


@pytest.mark.parametrize(
    "samples, rate, said, kind, sentence",
    [
        (ramp(), 24_000, {}, TypeError, "float64 values; expected int16, or float32"),
        (numpy.zeros(480, numpy.int32), 24_000, {}, TypeError, "int32 values"),
        (numpy.zeros(480, ">i2"), 24_000, {}, TypeError, ">h"),
        (numpy.zeros(960, numpy.int16)[::2], 24_000, {}, ValueError, "numpy.ascontiguousarray"),
        (numpy.zeros((2, 480), numpy.int16), 24_000, {}, ValueError, "samples.T"),
        (numpy.zeros((480, 2), numpy.int16), 24_000, {"channels": 1}, ValueError, "of 2 channels"),
        (numpy.zeros(480, numpy.int16), 23_999, {}, ValueError, "23999"),
        (numpy.zeros(480, numpy.int16), 24_000, {"channels": 7}, ValueError, "7"),
        (b"\0", 24_000, {}, ValueError, "1"),
        (b"", 24_000, {}, ValueError, "0"),
        ([0, 1], 24_000, {}, TypeError, "list"),
    ],
)
def test_what_is_no_sound_is_refused_with_a_sentence(
    face: visavis.Session, samples: Any, rate: int, said: "dict[str, Any]", kind: type, sentence: str
) -> None:
    with pytest.raises(visavis.Error, match=sentence) as refused:
        face.push_audio(samples, rate, **said)
    assert isinstance(refused.value, kind)
    assert face.status()["metrics"]["audio_chunks"] == 0
