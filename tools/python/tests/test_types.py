"""The types of the package, as the two checkers that people use see them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import visavis

PROJECT = Path(__file__).resolve().parent.parent
PACKAGE = Path(visavis.__file__).parent
# With a cache that the runs share.
MYPY = ["-m", "mypy", "--config-file", str(PROJECT / "pyproject.toml"), "--cache-dir=../mypy"]
PYRIGHT = str(Path(sys.executable).parent / "pyright")

# One after the other: checkers compute all the time, and tests beside them wait for sound and pictures in real time.
pytestmark = pytest.mark.xdist_group("types")

# What is right is taken, and what is wrong is found.
USER = """
import visavis

def show(face: visavis.Session) -> visavis.PushOutcome:
    for chunk in face.microphone():
        rate: int = chunk.rate
    event = face.events().get(timeout=1.0)
    if isinstance(event, visavis.PeerLeft):
        reason: str = event.reason
    return face.push_video(b"", width=16, height=16, format="rgb")

def wrong(face: visavis.Session) -> int:
    face.push_video(b"", format="bgr")
    return face.interrupt()
"""


def run(*command: str) -> Any:
    found = subprocess.run(command, cwd=PACKAGE.parent, capture_output=True, text=True)
    return found.returncode, found.stdout + found.stderr


def test_mypy_strict_finds_nothing() -> None:
    sources = [str(PROJECT / folder) for folder in ("visavis", "tests", "examples", "bench")]
    code, said = run(sys.executable, *MYPY, *sources)
    assert code == 0, said


def test_pyright_strict_finds_nothing() -> None:
    code, said = run(PYRIGHT, "-p", str(PROJECT / "pyproject.toml"))
    assert code == 0, said


def test_what_is_wrong_is_found_by_both(tmp_path: Path) -> None:
    user = tmp_path / "user.py"
    user.write_text(USER)
    lines = USER.split("\n")
    expected = [lines.index(line) + 1 for line in lines if "bgr" in line or "interrupt" in line]
    code, said = run(sys.executable, *MYPY, str(user))
    assert [int(line.split(":")[1]) for line in said.split("\n") if ": error:" in line] == expected, said
    config = tmp_path / "pyrightconfig.json"
    settings = {"typeCheckingMode": "strict", "extraPaths": [str(PACKAGE.parent)], "include": ["user.py"]}
    config.write_text(json.dumps({**settings, "reportUnusedVariable": "none"}))
    code, said = run(PYRIGHT, "-p", str(config), "--outputjson")
    found = json.loads(said)["generalDiagnostics"]
    assert [one["range"]["start"]["line"] + 1 for one in found if one["severity"] == "error"] == expected, said
