# SPDX-License-Identifier: MIT
"""What reads the code instead of running it: clang-tidy with .clang-tidy, and gcc -fanalyzer."""

import json
import os
import pathlib
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build-release"
# It does not follow the tables of uthash, and takes for leaked what is in them; LeakSanitizer knows.
GCC = ["-fanalyzer", "-Wno-analyzer-malloc-leak", "-Werror"]


def _commands():
    """path -> the words that compile it, of the program itself."""
    with open(BUILD / "compile_commands.json", encoding="utf-8") as file:
        commands = json.load(file)
    found = {}
    for command in commands:
        path = (BUILD / command["file"]).resolve().relative_to(ROOT)
        if path.parts[0] in ("sync", "proxy"):
            found[path] = shlex.split(command["command"])
    assert len(found) > 100
    return found


def _analyze(words):
    """The words that make nothing, but look through it all."""
    dropped = {"-MD", "-MQ", "-MF", "-o"}
    left = [word for before, word in zip(["", *words], words)
            if word not in dropped and before not in dropped - {"-MD"}]
    return [*left, "-o", "/dev/null", *GCC]


def _check(words):
    done = subprocess.run(words, cwd=BUILD, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""


def _all(commands):
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        said = "".join(pool.map(_check, commands))
    assert not said, said


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_clang_tidy():
    _all(["clang-tidy", "--quiet", "-p", str(BUILD), str(ROOT / path)] for path in _commands())


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_gcc_analyzer():
    _all(_analyze(words) for words in _commands().values())
