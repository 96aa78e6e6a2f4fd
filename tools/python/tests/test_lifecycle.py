"""Beginnings and ends: of sessions, servers and processes."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

import visavis


def threads() -> int:
    """The engine's. Others of this process may end meanwhile."""

    def name(one: str) -> str:
        try:
            return Path(f"/proc/self/task/{one}/comm").read_text()
        except OSError:
            return ""

    return sum(name(one).startswith("visavis") for one in os.listdir("/proc/self/task"))


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_pushing_outside_of_start_and_end_is_no_error(engine: visavis.Engine) -> None:
    face = engine.session(start=False)
    pixels = bytes(64 * 64 * 4)
    assert face.push_video(pixels, 64, 64) == "not-started"
    face.start()
    assert face.push_video(pixels, 64, 64) == "accepted"
    face.close()
    assert face.push_video(pixels, 64, 64) == "stopped"
    assert face.push_audio(bytes(960), rate=24_000) == "stopped"
    assert face.is_closed
    face.close()


def test_settings_are_checked(engine: visavis.Engine) -> None:
    for setting, sentence in [
        ({"id": "a b"}, "invalid session id"),
        ({"fps": 0}, "invalid frame rate 0"),
        ({"video_codecs": ["H265"]}, "unknown codec"),
        ({"size": (63, 64)}, "invalid size 63x64"),
        ({"rungs": ["half:300"]}, "expected SIDE%:KBPS"),
        ({"rungs": ["50%:300", "25%:300"]}, "invalid rung 25%:300"),
        ({"adaptive_encoder": True}, "needs a session of encoded pictures for one viewer"),
        ({"packet_ms": 15}, "expected 10 or 20"),
        ({"microphone_rate": 44_100}, "invalid microphone rate"),
        ({"idle": "smile.mp4"}, "cannot read smile.mp4"),
        ({"audio_queue": -1.0}, "negative"),
    ]:
        with pytest.raises(visavis.InvalidValue, match=sentence):
            engine.session(**setting)  # type: ignore[arg-type]
    with pytest.raises(visavis.InvalidType, match="fps"):
        engine.session(fps="fast")  # type: ignore[arg-type]
    with engine.session("anna", rungs=["50%:300", "25%:120:15"]), pytest.raises(visavis.InvalidValue, match="anna exists already"):
        engine.session("anna")
    assert engine.session_ids() == []
    with pytest.raises(visavis.InvalidValue, match="expected an IP address"):
        visavis.serve(0, host="nowhere")
    with pytest.raises(visavis.InvalidValue, match="tls_cert"):
        visavis.serve(0, tls_cert="cert.pem")


def test_a_taken_port_is_an_error_with_its_address() -> None:
    with visavis.serve(0, host="127.0.0.1") as server:
        with pytest.raises(visavis.Error, match=f"127.0.0.1:{server.port}"):
            visavis.serve(server.port, host="127.0.0.1")


def test_a_server_serves_its_page_and_status() -> None:
    with visavis.serve(0, host="127.0.0.1", title="Anna") as server:
        face = server.session()
        face.push_video(bytes(64 * 64 * 4), 64, 64)
        with urllib.request.urlopen(server.url) as page:
            assert b"Anna" in page.read()
        with urllib.request.urlopen(f"{server.url}status") as status:
            assert json.load(status)["metrics"]["videoFrames"] == 1
        assert server.is_running and server.session_ids() == ["default"]
    assert not server.is_running
    assert face.is_closed
    server.close()


def test_nothing_is_left_after_many_lives() -> None:
    def life() -> None:
        with visavis.serve(0, host="127.0.0.1") as server, server.session() as face:
            face.push_video(bytes(64 * 64 * 4), 64, 64)
            face.events().fileno()
            face.microphone().fileno()

    life()
    gc.collect()
    before = threads(), descriptors()
    for _ in range(20):
        life()
    gc.collect()
    assert threads() <= before[0] and descriptors() <= before[1]


def test_what_nobody_refers_to_ends() -> None:
    # Of the tests before.
    gc.collect()
    before = threads()
    engine = visavis.Engine(udp_host="127.0.0.1")
    face = engine.session()
    # A thread has its name only once it runs.
    until = time.monotonic() + 10
    while threads() <= before:
        assert time.monotonic() < until
        time.sleep(0.01)
    del face, engine
    gc.collect()
    assert threads() <= before


def test_after_fork_its_use_is_refused_and_nothing_hangs(face: visavis.Session) -> None:
    out, into = os.pipe()
    utterance, events = face.begin_utterance(), face.events()
    child = os.fork()
    if child == 0:
        said = []
        for use in [face.status, face.interrupt, utterance.end, events.get_nowait]:
            try:
                use()
            except visavis.Error as error:
                said.append(str(error))
        del face, utterance, events
        gc.collect()
        os.write(into, "\n".join(said).encode())
        os._exit(0)
    os.close(into)
    until = time.monotonic() + 10
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            pytest.fail("the child hangs")
        time.sleep(0.01)
    said = os.read(out, 65_536).decode().splitlines()
    os.close(out)
    assert len(said) == 4 and all("before fork()" in line and "spawn" in line for line in said)
    assert face.status()["peer_count"] == 0, "the parent goes on"


def test_ctrl_c_ends_a_wait() -> None:
    script = (
        "import visavis\n"
        "with visavis.Engine(udp_host='127.0.0.1') as engine:\n"
        "    events = engine.events()\n"
        "    print('waits', flush=True)\n"
        "    events.get()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "waits\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert "KeyboardInterrupt" in errors


def test_a_fault_that_ends_the_engine_is_an_event() -> None:
    script = (
        "import visavis\n"
        "with visavis.Engine(udp_host='127.0.0.1') as engine:\n"
        "    for event in engine.events():\n"
        "        if isinstance(event, visavis.EngineFailed):\n"
        "            raise SystemExit(f'{event.domain}: {event.why}')\n"
    )
    planted = {**os.environ, "VISAVIS_PLANT_FAULT": "media-loop"}
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, env=planted)
    assert ended.returncode == 1
    assert "media-loop: a fault on purpose" in ended.stderr.splitlines()[-1]


def test_the_gil_is_released_while_waiting(face: visavis.Session) -> None:
    events, counted, over = face.events(), [0], threading.Event()

    def count() -> None:
        while not over.is_set():
            counted[0] += 1

    counting = threading.Thread(target=count)
    counting.start()
    with pytest.raises(TimeoutError):
        events.get(timeout=0.5)
    over.set()
    counting.join()
    assert counted[0] > 10_000


def test_the_demo_shows_itself_and_ends_by_ctrl_c() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "visavis", "--port", "0", "--host", "127.0.0.1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    url = process.stdout.readline().split()[1]
    time.sleep(1)
    with urllib.request.urlopen(f"{url}status") as status:
        metrics = json.load(status)["metrics"]
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert metrics["videoFrames"] > 5 and metrics["audioChunks"] > 5
    assert (process.returncode, errors) == (0, "")


def test_every_file_of_the_package_is_here() -> None:
    folder = Path(visavis.__file__).parent
    assert (folder / "py.typed").exists() and (folder / "_visavis.pyi").exists()
