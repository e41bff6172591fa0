# SPDX-License-Identifier: MIT
"""tests/bench/run still works; what it measures is for people to read."""

import os
import re
import subprocess

from .interimap import ROOT, release

BENCH = str(ROOT / "tests" / "bench" / "run")


def test_a_quick_comparison():
    done = subprocess.run([BENCH, "--quick", "--round-trip=4"], capture_output=True, text=True,
                          env={**os.environ, "INTERIMAP_RELEASE": release()}, timeout=200,
                          check=False)
    assert done.returncode == 0, done.stderr
    head, *rows = done.stdout.strip().split("\n")
    assert head.split()[-4:] == ["interimap", "mbsync", "Perl", "interimap"]
    assert len(rows) == 3
    for row in rows:
        assert len(re.findall(r"\d+\.\d\d +\(\d+\.\d\)", row)) == 3, row


def test_bad_options_are_refused():
    done = subprocess.run([BENCH, "--repeat=0"], capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == 2 and "--repeat" in done.stderr
