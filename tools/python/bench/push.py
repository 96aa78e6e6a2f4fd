"""How long a push takes: python push.py [seconds]. Prints milliseconds at the 50th and 99th percentile, and the longest."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import numpy

import visavis


def measure(face: visavis.Session, frame: Any, seconds: float) -> "list[float]":
    """Pushes 30 times a second, as a renderer does."""
    taken, due = [], time.perf_counter()
    until = due + seconds
    while due < until:
        due += 1 / 30
        time.sleep(max(0, due - time.perf_counter()))
        begin = time.perf_counter()
        face.push_video(frame)
        taken.append((time.perf_counter() - begin) * 1_000)
    return sorted(taken)


def report(name: str, taken: "list[float]") -> None:
    p50, p99 = taken[len(taken) // 2], taken[len(taken) * 99 // 100]
    print(f"{name:40} p50 {p50:.3f}  p99 {p99:.3f}  max {taken[-1]:.3f} ms of {len(taken)}")


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10
    with visavis.Engine(udp_host="127.0.0.1") as engine, engine.session() as face:
        small = numpy.random.randint(0, 256, (512, 512, 4), numpy.uint8)
        large = numpy.random.randint(0, 256, (1080, 1920, 4), numpy.uint8)
        measure(face, large, 1)
        report("512x512 RGBA", measure(face, small, seconds))
        report("1920x1080 RGBA", measure(face, large, seconds))
        over = threading.Event()

        def count() -> None:
            number = 0
            while not over.is_set():
                number += 1

        busy = [threading.Thread(target=count) for _ in range(4)]
        for thread in busy:
            thread.start()
        try:
            report("512x512 RGBA, 4 busy Python threads", measure(face, small, seconds))
        finally:
            over.set()
            for thread in busy:
                thread.join()


if __name__ == "__main__":
    main()
