# SPDX-License-Identifier: MIT
"""One-shot runs between two Dovecots with different delimiters: everything crosses, then nothing is left to do."""

import random

import pytest

from . import messages
from .interimap import connect, imaps


def fill(dovecot, seed, mailboxes, count):
    rng = random.Random(seed)
    with connect(dovecot) as client:
        for name in mailboxes:
            if name != "INBOX":
                client.cmd(f'CREATE "{name}"')
                if rng.random() < 0.6:
                    client.cmd(f'SUBSCRIBE "{name}"')
        per = count // len(mailboxes)
        for number, name in enumerate(mailboxes):
            client.append_all(name, messages.mix(seed * 1000 + number, per))


@pytest.mark.quick
def test_first_messages(pair, interimap):
    local, remote = pair
    one = interimap(local, remote)
    fill(remote, 1, ["INBOX"], 5)
    fill(local, 2, ["INBOX", "sent.2026"], 6)
    one.sync()
    one.assert_equal(local, remote)
    one.assert_noop(local, remote)


@pytest.mark.parametrize("count, size", [(1000, 10), pytest.param(5000, 60, marks=pytest.mark.full)])
def test_everything_crosses(pair, interimap, count, size):
    """30 mailboxes, so many messages of all kinds, one of so many MiB; a second run opens no mailbox."""
    local, remote = pair
    one = interimap(local, imaps(remote), default={"max-deletions": "NO"})
    fill(remote, 3, ["INBOX"] + [f"box {i}/sub{i % 3}" for i in range(16)], count * 52 // 100)
    fill(local, 4, ["INBOX"] + [f"Lists.l{i}" for i in range(13)], count * 48 // 100)
    with connect(remote) as client:
        client.append("INBOX", messages.of_size(7, size << 20))
    one.sync(timeout=400)
    one.assert_equal(local, remote)
    one.assert_noop(local, remote)


@pytest.mark.quick
def test_changes_cross(pair, interimap):
    """New mail, flags, keywords, conflicts and expunges, both ways in one run."""
    local, remote = pair
    one = interimap(local, remote)
    with connect(remote) as client:
        client.append_all("INBOX", messages.mix(5, 40))
    one.sync()
    with connect(local) as here, connect(remote) as there:
        here.select("INBOX")
        there.select("INBOX")
        mine, theirs = here.uids(), there.uids()
        here.store(mine[:5], "+", [r"\Seen", "$Label1"])
        there.store(theirs[3:8], "+", [r"\Flagged"])
        here.expunge(mine[10:12])
        there.expunge(theirs[12:14])
        there.store(theirs[10:11], "+", [r"\Answered"])  # expunged there: that wins
        here.append("INBOX", messages.message(99).body)
        there.append("INBOX", messages.message(98).body)
    one.sync()
    one.assert_equal(local, remote)
    with connect(remote) as there:
        found = [flags for _, _, flags in there.snapshot("INBOX").values()]
    assert len(found) == 38
    assert sum({r"\seen", r"\flagged", "$label1"} <= set(flags) for flags in found) == 2
    one.assert_noop(local, remote)


@pytest.mark.parametrize("side", [0, 1])
def test_mailboxes_and_subscriptions_cross(pair, interimap, side):
    one = interimap(*pair)
    here, there = pair if side == 0 else pair[::-1]
    with connect(here) as client:
        client.cmd(f'CREATE "a{here.separator}b{here.separator}c"')
        client.cmd(f'SUBSCRIBE "a{here.separator}b{here.separator}c"')
    one.sync()
    one.assert_equal(*pair)
    with connect(there) as client:
        client.cmd(f'UNSUBSCRIBE "a{there.separator}b{there.separator}c"')
    one.sync()
    one.assert_equal(*pair)
    one.assert_noop(*pair)
