# SPDX-License-Identifier: MIT
"""Cyrus as the remote: another server, with another idea of most things, and without NOTIFY."""

import contextlib
import os
import re
import sqlite3

import pytest

from . import messages
from .control import is_clean
from .cyrus import Cyrus
from .imap import differences
from .interimap import connect, imap, proxy_section, state
from .service import eventually


@pytest.fixture
def cyrus(folder, cyrus_root):
    """make(separator) -> a started Cyrus."""
    made = []

    def make(separator="/"):
        made.append(Cyrus(os.path.join(folder, "cyrus"), cyrus_root, separator))
        return made[-1].start()

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def both(cyrus, dovecot):
    return dovecot("local", separator=".", format="maildir"), cyrus()


def same(both):
    return not differences(*map(state, both))


def fill(server, seed, *names):
    with connect(server) as client:
        for name in names:
            wire = name.replace("/", server.separator)
            if name != "INBOX":
                client.cmd(f'CREATE "{wire}"')
                client.cmd(f'SUBSCRIBE "{wire}"')
            client.append_all(wire, messages.mix(f"{seed} {name}", 12))


@pytest.mark.parametrize("separator", ["/", "."])
def test_both_ways(cyrus, dovecot, interimap, separator):
    """A first run, changes of all kinds on both sides in one more, and nothing left to do."""
    both = dovecot("local", separator="^", format="sdbox"), cyrus(separator)
    fill(both[0], 1, "INBOX", "Lists/one", "two words")
    fill(both[1], 2, "INBOX", "Archive/2020/x", "&AOk-t&AOk-")
    one = interimap(both[0], imap(both[1]))
    one.sync()
    # To make a mailbox, Cyrus makes all levels above it: those cross with the next run.
    one.sync()
    one.assert_equal(*both)
    one.assert_noop(*both)
    for side, seed in zip(both, (3, 4)):
        with connect(side) as client:
            client.select("INBOX")
            uids = client.uids()
            client.store(uids[seed:seed + 3], "+", [r"\Flagged", "$Work", "NonJunk"])
            client.store(uids[:2], "", [])
            client.expunge(uids[seed + 4:seed + 6])
            client.append_all("INBOX", messages.mix(seed, 5))
            client.cmd(f"CREATE new{seed}")
    with connect(both[1]) as client:
        client.cmd("UNSUBSCRIBE &AOk-t&AOk-")
    one.sync()
    one.assert_equal(*both)
    assert state(both[0]).count() == 72 - 4 + 10
    one.assert_noop(*both)


def test_flags_only(both, interimap):
    """Conflicts: both sides changed the flags of one message, which gets them all."""
    fill(both[1], 5, "INBOX")
    one = interimap(both[0], imap(both[1]))
    one.sync()
    for side, flag in zip(both, (r"\Seen", r"\Answered")):
        with connect(side) as client:
            client.select("INBOX")
            client.store([1], "", [flag])
    result = one.sync()
    assert "Conflicting flag update" in result.err
    one.assert_equal(*both)
    with connect(both[1]) as client:
        assert client.snapshot("INBOX")[1][2] == {r"\seen", r"\answered"}
    one.assert_noop(*both)


def test_rename_delete_repair(both, interimap):
    local, remote = both
    fill(remote, 6, "INBOX", "a", "a/b", "c")
    one = interimap(local, imap(remote))
    one.sync()
    idx = one.mailboxes()["a/b"][0]
    one.sync("--rename", "a", "z")
    one.assert_equal(*both)
    assert one.mailboxes()["z/b"][0] == idx
    one.sync()  # Cyrus counts a renaming as a change
    one.assert_noop(*both)
    one.sync("--delete", "c")
    assert ("c",) not in state(local).mailboxes and ("c",) not in state(remote).mailboxes
    one.assert_noop(*both)
    # What was lost is found again: rows of the mapping, and a message behind our back.
    with contextlib.closing(sqlite3.connect(one.database)) as database, database:
        database.execute("DELETE FROM mapping WHERE lUID < 4")
    with connect(remote) as client:
        client.select("INBOX")
        client.store([5], "+", [r"\Flagged"])
    before = state(local).count()
    one.sync("--repair")
    one.assert_equal(*both)
    assert state(local).count() == before
    one.assert_noop(*both)


def test_watch(both, interimap):
    fill(both[1], 7, "INBOX", "a")
    one = interimap(both[0], imap(both[1]))
    one.sync()
    running = one.start("--watch=1")
    running.wait_for("up to date")
    for number, side in enumerate(both):
        with connect(side) as client:
            client.append("a", messages.message(f"watched {number}").body)
            client.cmd(f"CREATE made{number}")
            client.select("INBOX")
            client.store([2 + number], "+", [r"\Flagged"])
            client.expunge([4 + number])
        eventually(lambda: same(both), 15)
    assert running.stop().code == 0
    one.assert_noop(*both)


def test_service(both, interimap):
    """Without NOTIFY, IDLE tells of new mail in INBOX."""
    fill(both[1], 8, "INBOX")
    section = proxy_section()
    one = interimap(both[0], imap(both[1]), proxy=section)
    running = one.start("--proxy")
    running.wait_for("up to date", timeout=30)
    with connect(both[1]) as there, connect(both[0]) as here:
        there.append("INBOX", messages.message("pushed").body)
        eventually(lambda: len(here.uids("INBOX")) == 13, 5)
        here.append("INBOX", messages.message("back").body)
        eventually(lambda: len(there.uids("INBOX")) == 14, 5)
        there.expunge([3])
        eventually(lambda: len(here.uids("INBOX")) == 13, 5)
    assert running.stop().code == 0


def test_renamed_while_nobody_listened(both, interimap):
    """A mailbox keeps its MAILBOXID (RFC 8474): it is renamed here as well, and not downloaded once
    more under its new name.  The second time it is renamed while the service is connected, which
    Cyrus does not tell."""
    local, remote = both
    fill(remote, 9, "INBOX", "old", "old/below", "other")
    one = interimap(local, imap(remote), proxy=proxy_section())
    names = ("old", "old.below")
    for new, connected in (("fresh", False), ("fresher", True)):
        running = one.start("--proxy", "--watch=1")
        running.wait_for("up to date", timeout=30)
        with connect(local) as here:
            before = [here.status(name) for name in names]
        if not connected:
            assert running.stop().code == 0
        with connect(remote) as there:
            there.cmd(f'RENAME "{names[0]}" "{new}"')
            there.cmd(f'SUBSCRIBE "{new}"')
        if not connected:
            running = one.start("--proxy", "--watch=1")
        names = new, f"{new}.below"
        eventually(lambda: same_names(both) and is_clean(one), 20)
        assert running.stop().code == 0
        assert same(both)
        with connect(local) as here:
            after = [here.status(name) for name in names]
        for one_before, one_after in zip(before, after):
            assert one_before["UIDVALIDITY"] == one_after["UIDVALIDITY"]
            assert one_before["UIDNEXT"] == one_after["UIDNEXT"]
    assert not re.search("Created|Added", running.err()), running.err()
    opened = [line for line in one.sent() if re.match(r"\w+: \S+ (SELECT|EXAMINE)\b", line)]
    assert not opened


def same_names(both):
    """Whether both list the same mailboxes and subscriptions."""
    lists = []
    for server in both:
        with connect(server) as client:
            lists.append({(name.replace(server.separator, "/"), "\\subscribed" in attributes)
                          for name, attributes in client.list().items()
                          if not attributes & {"\\noselect", "\\nonexistent"}})
    return lists[0] == lists[1]
