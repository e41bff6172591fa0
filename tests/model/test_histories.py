# SPDX-License-Identifier: MIT
"""Rounds of random edits on both sides, with a run of the program between them.

Environment: MODEL_ROUNDS, MODEL_SEED (a number, or "random"); tests/model/run sets them.  Without
a seed: the first rounds of one history.
"""

import os

import pytest

from integration.interimap import imap
from integration.scripted import Meddler

from .accidents import AccidentHistory
from .histories import History
from .seeds import seed

ROUNDS = int(os.environ.get("MODEL_ROUNDS", "150" if "MODEL_SEED" in os.environ else "60"))
SEED = seed(384049856)
# What is done in a hundred rounds is more than the brake lets pass in an hour.
UNBRAKED = {"max-deletions": "NO"}


def play(interimap, pair, rounds, **options):
    local, remote = pair
    one = interimap(local, remote, default=UNBRAKED)
    history = History(SEED, one, local, remote, **options)
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
    rounds = ROUNDS if "MODEL_SEED" in os.environ else max(1, ROUNDS // 2)
    play(interimap, pair, rounds, crashes=0.5, test="test_crashes")


@pytest.mark.timeout(60 + 3 * ROUNDS)
def test_accidents(interimap, pair):
    """Every other run is killed, loses a connection, finds the disk full, or meets with messages that
    a side refuses or does not give; now and then a side is restored from a backup."""
    rounds = ROUNDS if "MODEL_SEED" in os.environ else max(1, ROUNDS // 3)
    local, remote = pair
    with Meddler(local.port) as here, Meddler(remote.port) as there:
        one = interimap({**imap(local, port=here.port), "compress": "NO"},
                        {**imap(remote, port=there.port), "compress": "NO"}, default=UNBRAKED)
        history = AccidentHistory(SEED, one, local, remote, (here, there))
        print(f"seed {history.seed}")
        try:
            history.run(rounds)
        finally:
            history.close()
    print(f"{rounds} rounds, {dict(history.accidents)}")
