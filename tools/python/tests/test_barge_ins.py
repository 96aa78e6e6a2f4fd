"""Utterances that are cut off at random moments: each begin and end is told once, none early, none lost.

BARGE_INS=1000 makes more of them.
"""

from __future__ import annotations

import asyncio
import collections
import os
import random
import time

import numpy

import visavis

COUNT = int(os.environ.get("BARGE_INS", "150"))
SECOND = numpy.zeros(24_000, numpy.int16)


def test_each_begin_and_end_is_told_once_and_at_its_time(engine: visavis.Engine) -> None:
    dice = random.Random(7)

    async def run() -> "tuple[list[visavis.Utterance], list[visavis.Event]]":
        face = engine.session(idle=None)
        events = face.events()
        said: "list[visavis.Utterance]" = []
        told: "list[visavis.Event]" = []
        for number in range(COUNT):
            waits = [face.begin_utterance() for _ in range(dice.choice([1, 1, 2]))]
            said += waits
            pushed = time.monotonic()
            for utterance in waits:
                utterance.push_audio(SECOND, rate=24_000)
                if dice.random() < 0.5:
                    utterance.end()
            finished = [asyncio.ensure_future(utterance.finished()) for utterance in waits]
            if dice.random() < 0.8:
                assert await asyncio.wait_for(waits[0].begun(), 5)
                await asyncio.sleep(dice.uniform(0, 0.06))
                sent = face.interrupt() if dice.random() < 0.5 else waits[0].interrupt()
                # In packets of 20 ms, and not before their time.
                passed = (time.monotonic() - pushed) * 1_000
                assert 0 <= sent <= passed + 40, f"{sent} ms were sent in {passed} ms"
            else:
                await asyncio.sleep(dice.uniform(0, 0.02))
            face.interrupt()
            assert not any(await asyncio.wait_for(asyncio.gather(*finished), 5)), "all were cut off"
            assert all(one.interrupted and one.is_over for one in waits)
            # Events wait for whoever reads them, and some thousand at most.
            told += iter(events.get_nowait, None)
        # The last are cut off by the end of the session.
        said += [face.begin_utterance() for _ in range(5)]
        for utterance in said[-5:]:
            utterance.push_audio(SECOND, rate=24_000)
        await asyncio.sleep(0.1)
        await face.aclose()
        await asyncio.sleep(0.2)
        told += iter(events.get_nowait, None)
        return said, told

    said, told = asyncio.run(run())
    began = collections.Counter(one.utterance for one in told if isinstance(one, visavis.UtteranceStarted))
    ended = [one for one in told if isinstance(one, visavis.Interrupted) and one.utterance is not None]
    assert not any(isinstance(one, visavis.UtteranceEnded) for one in told)
    assert collections.Counter(one.utterance for one in ended) == {one.id: 1 for one in said}
    assert set(began.values()) == {1}
    order = [one.utterance for one in told if isinstance(one, (visavis.UtteranceStarted, visavis.Interrupted))]
    for utterance in said:
        assert order.index(utterance.id) <= len(order) - 1 - order[::-1].index(utterance.id)
        (end,) = [one for one in ended if one.utterance == utterance.id]
        assert end.sent_ms == utterance.position and (end.sent_ms == 0 or utterance.id in began)
