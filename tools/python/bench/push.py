"""How long a push takes, beside numpy's own copy of the same array: python push.py [seconds]."""

from __future__ import annotations

import itertools
import sys
import threading
import time
from typing import Any, Callable

import numpy

import visavis


def measure(draw: Callable[[], object], work: Callable[[], object], seconds: float) -> "list[float]":
    """Milliseconds of the work alone, 30 times a second, as a renderer works."""
    taken, due = [], time.perf_counter()
    until = due + seconds
    while due < until:
        due += 1 / 30
        time.sleep(max(0, due - time.perf_counter()))
        draw()
        begin = time.perf_counter()
        work()
        taken.append((time.perf_counter() - begin) * 1_000)
    return sorted(taken)


def report(name: str, taken: "list[float]") -> None:
    p50, p99 = taken[len(taken) // 2], taken[len(taken) * 99 // 100]
    print(f"{name:36} p50 {p50:.3f}  p99 {p99:.3f}  max {taken[-1]:.3f} ms of {len(taken)}")


def compare(name: str, face: visavis.Session, frame: Any, seconds: float) -> None:
    # In turn, as many as there are slots in the engine.
    copies = itertools.cycle([numpy.empty_like(frame) for _ in range(3)])
    # A renderer has just drawn what it pushes. What was drawn long ago comes from memory rather than from a cache.
    for when, draw in ("new", lambda: numpy.invert(frame, out=frame)), ("old", lambda: None):
        copied = measure(draw, lambda: numpy.copyto(next(copies), frame), seconds)
        report(f"{name}, {when}: numpy.copyto", copied)
        report(f"{name}, {when}: push_video", measure(draw, lambda: face.push_video(frame), seconds))


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10
    with visavis.Engine(udp_host="127.0.0.1") as engine, engine.session() as face:
        small = numpy.random.randint(0, 256, (512, 512, 4), numpy.uint8)
        large = numpy.random.randint(0, 256, (1080, 1920, 4), numpy.uint8)
        compare("512x512", face, small, seconds)
        compare("1920x1080", face, large, seconds)
        over = threading.Event()

        def count() -> None:
            number = 0
            while not over.is_set():
                number += 1

        busy = [threading.Thread(target=count) for _ in range(4)]
        for thread in busy:
            thread.start()
        try:
            compare("512x512, 4 busy", face, small, seconds)
        finally:
            over.set()
            for thread in busy:
                thread.join()


if __name__ == "__main__":
    main()
