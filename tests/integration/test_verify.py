# SPDX-License-Identifier: MIT
"""--verify: both sides are compared, message by message, and nothing is written anywhere."""

import contextlib
import re
import sqlite3

import pytest

from . import messages
from .interimap import connect, state
from .service import eventually

ROW = re.compile(r"^ +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+)  (\S+)$", re.MULTILINE)


def rows(result):
    """mailbox -> (local, remote, only local, only remote, flags differ, not twins)"""
    return {found[7]: tuple(int(number) for number in found.groups()[:6])
            for found in ROW.finditer(result.err)}


def stored(one):
    with contextlib.closing(sqlite3.connect(f"file:{one.database}?mode=ro", uri=True)) as db:
        return list(db.iterdump())


def verify(one, pair, *names):
    """It writes nothing to either side, nor to the database."""
    before = state(pair[0]), state(pair[1])
    kept = stored(one)
    result = one.run("--verify", *names)
    assert (state(pair[0]), state(pair[1])) == before
    assert stored(one) == kept
    return result


@pytest.fixture
def one(pair, interimap):
    with connect(pair[1]) as client:
        client.append_all("INBOX", messages.mix("inbox", 6))
        client.cmd("CREATE box/sub")
        client.append_all("box/sub", messages.mix("sub", 3))
        client.cmd("CREATE empty")
    program = interimap(*pair)
    program.sync()
    return program


def test_the_same(pair, one):
    result = verify(one, pair)
    assert result.code == 0, result.err
    assert rows(result) == {"INBOX": (6, 6, 0, 0, 0, 0), "box.sub": (3, 3, 0, 0, 0, 0),
                            "empty": (0, 0, 0, 0, 0, 0)}
    assert "the same on both sides: 3 mailboxes, 9 messages" in result.err
    sent = [line for line in one.sent("--verify", "INBOX") if not re.search(
        r": \S+ (CAPABILITY|AUTHENTICATE|LOGIN|ENABLE|LIST|EXAMINE INBOX|UNSELECT|UID FETCH|LOGOUT)\b",
        line)]
    assert not sent, sent


def test_each_difference_is_found_and_named(pair, one):
    local, remote = pair
    with connect(local) as client:
        client.append("INBOX", messages.message("here").body)
        client.cmd('CREATE "alone"')
        client.select("box.sub")
        client.store([2], "+", [r"\Answered", "odd"])
    with connect(remote) as client:
        client.append_all("INBOX", messages.mix("there", 2))
        client.select("INBOX")
        client.expunge([1])
    pairs = one.mapping("INBOX")
    with contextlib.closing(sqlite3.connect(one.database)) as db:      # swapped by nobody we know
        idx, = db.execute("SELECT idx FROM mailboxes WHERE mailbox = ?", (b"INBOX",)).fetchone()
        db.execute("DELETE FROM mapping WHERE idx = ? AND lUID IN (5, 6)", (idx,))
        db.executemany("INSERT INTO mapping (idx, lUID, rUID) VALUES (?, ?, ?)",
                       ((idx, 5, pairs[6]), (idx, 6, pairs[5])))
        db.commit()
    result = verify(one, pair)
    assert result.code == 1
    found = rows(result)
    assert found["INBOX"][:4] == (7, 7, 2, 2) and found["INBOX"][5] == 2
    assert found["box.sub"] == (3, 3, 0, 0, 1, 0)
    assert found["alone"] == (0, 0, 0, 0, 0, 0)
    for line in (r"^local\(INBOX\): WARNING: UID 7 \(\d+ bytes\) is only on the local server",
                 r"^local\(INBOX\): WARNING: UID 1 \(\d+ bytes\) is only on the local server",
                 r"^remote\(INBOX\): WARNING: UID 8 \(\d+ bytes\) is only on the remote server",
                 r"^box.sub: WARNING: the flags differ: local UID 2 \(.*odd.*\), remote UID 2",
                 r"^INBOX: WARNING: local UID 5 and remote UID 6 are a pair in the database, but not",
                 r"^alone: WARNING: the mailbox is only on the local server",
                 r"ERROR: 3 of 4 mailboxes are not the same"):
        assert re.search(line, result.err, re.MULTILINE), (line, result.err)
    # Only what was named is compared; what is wrong is said with --quiet too.
    assert verify(one, pair, "empty").code == 0
    assert set(rows(verify(one, pair, "box.sub", "empty"))) == {"box.sub", "empty"}
    quiet = one.run("--quiet", "--verify", "box.sub")
    assert quiet.code == 1 and "the flags differ" in quiet.err and not rows(quiet)
    assert one.run("--verify", "no.such").code == 1


def test_a_service_is_asked(pair, one):
    running = one.start("--watch=3600")
    eventually(lambda: ", process " in one.run("--status").out, 30)
    one.sync()                              # it has looked at all once
    with connect(pair[0]) as client:
        client.append("box.sub", messages.message("late").body)
    result = one.run("--verify")
    assert result.code == 1 and rows(result)["box.sub"] == (4, 3, 1, 0, 0, 0), result.err
    assert rows(result)["INBOX"] == (6, 6, 0, 0, 0, 0)
    one.sync()                              # the service goes on as ever
    result = one.run("--verify", "box.sub")
    assert result.code == 0 and rows(result) == {"box.sub": (4, 4, 0, 0, 0, 0)}, result.err
    assert running.stop().code == 0
    one.assert_noop(*pair)
    one.assert_equal(*pair)
