# SPDX-License-Identifier: MIT
"""Cyrus as the remote, which names messages (EMAILID): what is moved or copied there is not
transferred, whatever it is called."""

import os
import re

import pytest

from .cyrus import Cyrus
from .imap import quote, uid_set
from .inline import Tap, body, digests, eventually, numbered
from .interimap import connect
from .test_moved import Watched, move


@pytest.fixture
def watched(folder, cyrus_root, dovecot, interimap):
    """make({name: how many}) -> Watched, with a Cyrus as the remote."""
    made = []
    cyrus = Cyrus(os.path.join(folder, "cyrus"), cyrus_root).start()

    def make(boxes):
        local = dovecot("local", separator=".", format="maildir")
        with connect(cyrus) as client:
            for name, count in boxes.items():
                if name != "INBOX":
                    client.cmd("CREATE", quote(name))
                client.append_all(name, numbered(name, count))
        made.append(Watched(interimap, local, cyrus))
        return made[-1]

    yield make
    for one in made:
        one.stop()
    cyrus.stop()


def copy(server, source, target, which):
    with connect(server) as client:
        client.select(source)
        uids = client.uids()
        client.cmd("UID COPY", uid_set([uids[n] for n in which]), target)


def test_move(watched):
    pair = watched({"a": 20, "b": 5, "c": 3})
    move(pair.remote, "a", "b", range(4, 12))
    move(pair.remote, "c", "b")
    pair.one.sync()
    assert not pair.transferred()
    assert len(pair.here.all("UID MOVE")) == 2
    pair.check({"a": body("a", 20, 0, 4) + body("a", 20, 12),
                "b": body("b", 5) + body("a", 20, 4, 12) + body("c", 3), "c": []})


def test_copy(watched):
    """The originals stay; and a copy is copied from, and one within its own mailbox."""
    pair = watched({"a": 20, "b": 5, "c": 0})
    copy(pair.remote, "a", "b", range(4, 12))
    pair.one.sync()
    assert not pair.transferred()
    assert len(pair.here.all("UID COPY")) == 1
    pair.check({"a": body("a", 20), "b": body("b", 5) + body("a", 20, 4, 12)})
    pair.reset()
    copy(pair.remote, "b", "c", range(3, 7))
    copy(pair.remote, "a", "a", [0, 1])
    pair.one.sync()
    assert not pair.transferred()
    pair.check({"a": body("a", 20) + body("a", 20, 0, 2),
                "b": body("b", 5) + body("a", 20, 4, 12),
                "c": body("b", 5, 3) + body("a", 20, 4, 6)})


def test_without_a_message_id(watched):
    """The server says that it is the same."""
    pair = watched({"a": 0, "b": 0})
    messages = [(re.sub(rb"Message-ID: .*\r\n", b"", text), flags, date)
                for text, flags, date in numbered("nameless", 4)]
    with connect(pair.remote) as client:
        client.append_all("a", messages)
    pair.one.sync()
    pair.reset()
    move(pair.remote, "a", "b", [1, 2])
    copy(pair.remote, "a", "b", [0])
    pair.one.sync()
    assert not pair.transferred()
    pair.check({"a": digests([messages[0], messages[3]]), "b": digests(messages[:3])})


def test_moved_and_copied(watched):
    """Moved to one mailbox and copied to another: nothing is lost, whatever crosses."""
    pair = watched({"a": 6, "b": 0, "c": 0})
    copy(pair.remote, "a", "c", range(4))
    move(pair.remote, "a", "b", range(4))
    pair.one.sync()
    pair.check({"a": body("a", 6, 4), "b": body("a", 6, 0, 4), "c": body("a", 6, 0, 4)})


def test_flags_of_a_copy(watched):
    pair = watched({"a": 6, "b": 0})
    copy(pair.remote, "a", "b", range(4))
    with connect(pair.remote) as client:
        client.select("b")
        client.store(client.uids()[:2], "+", ["\\Flagged"])
        client.store(client.uids()[1:4], "-", ["\\Seen"])
    pair.one.sync()
    assert not pair.transferred()
    pair.check({"a": body("a", 6), "b": body("a", 6, 0, 4)})


def test_a_copy_of_what_is_expunged_here(watched):
    """The local original has gone: the copy comes from the remote server."""
    pair = watched({"a": 6, "b": 0})
    copy(pair.remote, "a", "b", range(4))
    with connect(pair.local) as client:
        client.select("a")
        client.expunge(client.uids()[1:3])
    pair.one.sync()
    pair.check({"a": body("a", 6, 0, 1) + body("a", 6, 3), "b": body("a", 6, 0, 4)})


@pytest.mark.parametrize("way", ["AT", "AFTER"])
def test_copies_killed_at_any_commit(watched, way):
    pair = watched({"a": 9, "b": 0})
    for number in range(1, 7):
        copy(pair.remote, "a", "b", range(number))
        pair.one.run(env={f"INTERIMAP_CRASH_{way}_COMMIT": str(number)})
        pair.one.sync()
        pair.one.sync()
        pair.check({"a": body("a", 9), "b": sum((body("a", 9, 0, n) for n in range(1, number + 1)), [])})


@pytest.mark.parametrize("hidden", [("NOTIFY",), ()], ids=["IDLE", "best"])
def test_at_once(watched, hidden):
    """--notify: by NOTIFY, which a newer Cyrus has (3.10), or IDLE: from the INBOX, and at once."""
    pair = watched({"INBOX": 12, "b": 2})
    pair.there.hidden = hidden
    running = pair.one.start("--notify")
    running.wait_for("up to date")
    assert isinstance(pair.there, Tap)
    eventually(lambda: pair.there.all("IDLE" if hidden else "IDLE|NOTIFY"), 20)
    pair.reset()
    move(pair.remote, "INBOX", "b", range(3, 9))

    def moved():
        with connect(pair.local) as client:
            return client.status("b")["MESSAGES"] == 8 and client.status("INBOX")["MESSAGES"] == 6

    eventually(moved, 20)
    assert running.stop().code == 0
    pair.one.sync()
    assert not pair.transferred()
    pair.check({"INBOX": body("INBOX", 12, 0, 3) + body("INBOX", 12, 9),
                "b": body("b", 2) + body("INBOX", 12, 3, 9)})
