"""Utterances, each with a barge-in at a random moment, for listeners who compare what is told with what they receive.

Reads `{"utterances": N, "ends": M}`, then the offer of a listener to each session: one with N utterances, and M that end in
the midst of one, the last of them with the engine. Each is answered. Then every utterance is a line, with when its begin and
its end were told (Unix time), by events and by what waits for them.
"""

import array
import asyncio
import json
import random
import sys
import time

import visavis

# Each by its level: no two of them look alike once they are sound of 8 bits, not even while they fade.
LEVELS = [sign * level for level in (1_500, 2_500, 4_200, 7_000, 11_700, 19_500) for sign in (1, -1)]
dice = random.Random(7)


class Said:
    """What one utterance was, and what was told of it."""

    def __init__(self, face, level, length):
        self.session, self.level, self.length = face.id, level, length
        self.began, self.ended, self.sent, self.begun_at, self.finished_at = [], [], [], None, None
        self.utterance = face.begin_utterance()
        pushed = self.utterance.push_audio(array.array("h", [level]) * (24 * length), rate=24_000)
        assert pushed == "accepted", pushed
        self.utterance.end()
        self.waits = [asyncio.ensure_future(self.begun()), asyncio.ensure_future(self.finished())]

    async def begun(self):
        if await self.utterance.begun():
            self.begun_at = time.time()

    async def finished(self):
        await self.utterance.finished()
        self.finished_at = time.time()

    def line(self):
        told = {
            "session": self.session,
            "level": self.level,
            "length": self.length,
            "began": self.began,
            "ended": self.ended,
            "sent": self.sent,
            "begun_at": self.begun_at,
            "finished_at": self.finished_at,
            "interrupted": self.utterance.interrupted,
            "position": self.utterance.position,
        }
        return json.dumps(told)


async def note(events, said):
    """Writes down what is told, when it is."""
    async for event in events:
        at = time.time()
        if isinstance(event, visavis.UtteranceStarted):
            said[event.session, event.utterance].began.append(at)
        elif isinstance(event, (visavis.UtteranceEnded, visavis.Interrupted)) and event.utterance is not None:
            one = said[event.session, event.utterance]
            one.ended.append(at)
            one.sent.append(event.sent_ms)


async def run(engine, faces, count):
    said = {}
    noting = asyncio.ensure_future(note(engine.events(), said))

    def say(face, number, length):
        one = Said(face, LEVELS[number % len(LEVELS)], length)
        said[face.id, one.utterance.id] = one
        return one

    face, *ending = faces
    for number in range(count):
        one = say(face, number, dice.randrange(100, 401))
        # From before it begins to after it has ended.
        await asyncio.sleep(dice.uniform(0, 1.25 * one.length / 1_000))
        face.interrupt() if dice.random() < 0.5 else one.utterance.interrupt()
        await asyncio.wait_for(asyncio.gather(*one.waits), 20)
        if dice.random() < 0.6:
            # Else the next begins while silence of this one's is still sent.
            await asyncio.sleep(dice.uniform(0, 0.4))

    for number, face in enumerate(ending):
        say(face, 0, 400)
        if dice.random() < 0.5:
            say(face, 1, 400)
        await asyncio.sleep(dice.uniform(0, 0.38))
        await (engine if number + 1 == len(ending) else face).aclose()
    waits = [wait for one in said.values() for wait in one.waits]
    await asyncio.wait_for(asyncio.gather(*waits), 20)
    # What is told twice is told soon.
    await asyncio.sleep(0.3)
    noting.cancel()
    for one in said.values():
        print(one.line(), flush=True)


with visavis.Engine(udp_host="127.0.0.1") as engine:
    wanted = json.loads(sys.stdin.readline())
    faces = [engine.session(f"face-{n}", audio_codecs=("pcmu",), idle=None) for n in range(wanted["ends"] + 1)]
    for face in faces:
        print(json.dumps(face.answer(json.loads(sys.stdin.readline())).sdp), flush=True)
    assert sys.stdin.readline() == "\n", "everybody listens"
    asyncio.run(run(engine, faces, wanted["utterances"]))
    print("", flush=True)
