# SPDX-License-Identifier: MIT
"""Clocks of the program under test that go as the test says: see clock.c."""

import os
import subprocess


def preloaded(folder):
    """What is to be preloaded.  Not into a build with sanitizers, which want to be first."""
    path = os.path.join(folder, "clock.so")
    if not os.path.exists(path):
        source = os.path.join(os.path.dirname(__file__), "clock.c")
        subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-o", path, source], check=True)
    return path


def faster(folder, times):
    """The environment of a program whose time passes so many times as fast."""
    return {"LD_PRELOAD": preloaded(folder), "TEST_CLOCK_FAST": str(times)}
