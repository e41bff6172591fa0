# SPDX-License-Identifier: MIT
"""Rounds of random edits on both sides, with a run of the program between them.

Environment: MODEL_ROUNDS (150), MODEL_SEED (random); tests/model/run sets them.
"""

import os
import random

import pytest

from .accidents import AccidentHistory
from .histories import History

ROUNDS = int(os.environ.get("MODEL_ROUNDS", "150"))
# What is done in a hundred rounds is more than the brake lets pass in an hour.
UNBRAKED = {"max-deletions": "NO"}


def seed():
    given = os.environ.get("MODEL_SEED")
    return int(given) if given else random.SystemRandom().randrange(1, 10 ** 9)


def play(interimap, pair, rounds, **options):
    local, remote = pair
    one = interimap(local, remote, default=UNBRAKED)
    history = History(seed(), one, local, remote, **options)
    print(f"seed {history.seed}")
    try:
        history.run(rounds)
    finally:
        history.close()


@pytest.mark.timeout(60 + 3 * ROUNDS)
def test_histories(interimap, pair):
    play(interimap, pair, ROUNDS)


@pytest.mark.timeout(60 + 3 * ROUNDS)
def test_crashes(interimap, pair):
    """Every other run dies at one of its commits: the next one must make up for it."""
    rounds = ROUNDS if "MODEL_SEED" in os.environ else max(1, ROUNDS // 3)
    play(interimap, pair, rounds, crashes=0.5, test="test_crashes")


@pytest.mark.timeout(60 + 3 * ROUNDS)
def test_accidents(interimap, pair):
    """Every other run is killed, loses a connection, finds the disk full; now and then a side is
    restored from a backup."""
    rounds = ROUNDS if "MODEL_SEED" in os.environ else max(1, ROUNDS // 5)
    local, remote = pair
    one = interimap(local, remote, default=UNBRAKED)
    history = AccidentHistory(seed(), one, local, remote)
    print(f"seed {history.seed}")
    try:
        history.run(rounds)
    finally:
        history.close()
    print(f"{rounds} rounds, {dict(history.accidents)}")
