"""What both servers of `visavis-bench avatar` show: pictures that move, with the time in a strip at the bottom, and a tone.

It stands for a renderer and a voice, and is no part of what is compared.
"""

import time

import numpy

SIDE, FPS, RATE = 512, 30, 48_000
SAMPLES = RATE // 50

# The strip, as visavis-bench reads it: 48 cells of 10 pixels, 32 rows high.
CELLS, CELL, ROWS = 48, 10, 32

ROW = numpy.abs(numpy.linspace(-255, 255, SIDE)).astype(numpy.uint8)
BASE = numpy.stack([numpy.tile(ROW, (SIDE, 1)), numpy.tile(ROW, (SIDE, 1)).T, numpy.full((SIDE, SIDE), 120, numpy.uint8)], 2)
TONE = (numpy.sin(numpy.arange(RATE) * 2 * numpy.pi * 400 / RATE) * 8_000).astype(numpy.int16)


def picture(number):
    """RGB: (512, 512, 3) of uint8. Stamped last, as it is about to be handed over."""
    drawn = numpy.roll(BASE, number * 4, axis=1)
    # Units of 100 µs since 1970, 40 bits, and a checksum.
    now = (time.time_ns() // 100_000 % (1 << 40)).to_bytes(5, "big")
    bits = numpy.unpackbits(numpy.frombuffer(now + bytes([sum(now) & 0xFF ^ 0x5A]), numpy.uint8))
    drawn[-ROWS:, : CELLS * CELL] = numpy.repeat(bits * 255, CELL)[None, :, None]
    return drawn


def sound(number):
    """20 ms of 48 kHz mono: (960,) of int16."""
    return TONE[number % 50 * SAMPLES :][:SAMPLES]
