"""``python -m visavis``: a moving picture and a sound, made in Python alone."""

from __future__ import annotations

import argparse
import array
import math
import sys
import time
from typing import Iterator

import visavis

SIDE = 320
FPS = 25
RATE = 24_000


def frames() -> Iterator[bytes]:
    """Stripes that drift, with a disc that goes round: RGB, whole rows at a time, as Python is slow with pixels."""
    bands = [
        bytes(
            value
            for x in range(SIDE)
            for value in ((x + band * 16) % 256, 90 + band * 8, (255 - x + band * 16) % 256)
        )
        for band in range(SIDE // 16)
    ]
    disc = b"\xff\xd0\x40"
    radius, number = 40, 0
    while True:
        shift = number * 3 % SIDE * 3
        rows = [bands[y // 16][shift:] + bands[y // 16][:shift] for y in range(SIDE)]
        angle = number / FPS * math.tau / 4
        centre_x = SIDE // 2 + round(90 * math.cos(angle))
        centre_y = SIDE // 2 + round(90 * math.sin(angle))
        for dy in range(-radius, radius):
            half = round(math.sqrt(radius * radius - dy * dy))
            row, first = rows[centre_y + dy], (centre_x - half) * 3
            rows[centre_y + dy] = row[:first] + disc * (2 * half) + row[first + 6 * half :]
        yield b"".join(rows)
        number += 1


def sounds() -> Iterator["array.array[int]"]:
    """A soft chord, a frame's length at a time: each second another note of it."""
    notes = [220.0, 277.2, 329.6, 440.0]
    sample, length = 0, RATE // FPS
    while True:
        piece = array.array("h")
        for at in range(sample, sample + length):
            seconds = at / RATE
            note = notes[int(seconds) % len(notes)]
            swell = math.sin(math.pi * (seconds % 1))
            piece.append(round(5_000 * swell * math.sin(math.tau * note * seconds)))
        yield piece
        sample += length


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m visavis", description=__doc__)
    parser.add_argument("--port", type=int, default=8081, help="TCP port of the page; 0: any (default: 8081)")
    parser.add_argument("--host", default="0.0.0.0", help="IP address to listen on (default: all)")
    parser.add_argument("--log", metavar="LEVEL", help="write the log to stderr: error, warn, info, debug")
    arguments = parser.parse_args()
    if arguments.log:
        visavis.log_to_stderr(arguments.log)
    try:
        with visavis.serve(arguments.port, host=arguments.host) as server:
            face = server.session(fps=FPS)
            print(f"Open {server.url} in a browser. Press Ctrl-C to stop.", flush=True)
            due = time.monotonic()
            for frame, sound in zip(frames(), sounds()):
                face.push_video(frame, width=SIDE, height=SIDE, format="rgb")
                face.push_audio(sound, rate=RATE)
                due += 1 / FPS
                time.sleep(max(0.0, due - time.monotonic()))
    except visavis.Error as error:
        print(f"visavis: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
