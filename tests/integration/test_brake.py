# SPDX-License-Identifier: MIT
"""The brake: what vanishes in masses is held until a person lets it pass; what clients did is not.

It was for one mailbox and one pass: half of what was left went in each pass, and forty mailboxes of
eighty at once.  One expunge by a client let it go, for the mailbox and for both sides, until a run
there succeeded; and what clients expunged while there was no connection was held.
"""

import glob
import os
import time

import pytest

from . import messages
from .dovecot import USER
from .fake import Box, Fake
from .interimap import connect

BOXES = 20


def fill(dovecot, names, count):
    with connect(dovecot) as client:
        for name in names:
            if name != "INBOX":
                client.cmd(f"CREATE {name}")
            client.append_all(name, messages.mix(name, count))


def expunge(dovecot, name, uids="1:*"):
    with connect(dovecot) as client:
        client.select(name)
        client.expunge(uids)


def counts(dovecot):
    with connect(dovecot) as client:
        return {name: len(client.uids(name)) for name in client.list()}


@pytest.fixture
def account(pair, interimap):
    return pair[0], pair[1], interimap(*pair)


def assert_held(one, pattern):
    result = one.run()
    assert result.code == 1 and pattern in result.err, result.err
    return result


def test_many_mailboxes_at_once(account):
    """None of them loses more than a hundred."""
    local, remote, one = account
    names = [f"box{number}" for number in range(BOXES)]
    fill(remote, names, 30)
    one.sync()
    for name in names[:BOXES // 2]:
        expunge(remote, name)
    for more in ("with other mailboxes", "nothing is deleted"):
        result = assert_held(one, "30 of 30 messages disappeared on the remote side")
        assert more in result.err
        kept = counts(local)
        assert set(kept.values()) - {0} == {30}
        # Those that decide before the others are opened may be a fifth of all.
        assert sum(kept.values()) >= 480
    held = [name for name in names[:BOXES // 2] if kept[name]]
    one.sync("--allow-deletions", held[0])
    assert counts(local) == {**kept, held[0]: 0}
    assert_held(one, "30 of 30 messages disappeared on the remote side")
    one.sync("--allow-deletions", *held[1:])
    one.assert_equal(local, remote)
    one.assert_noop(local, remote)


@pytest.mark.full
def test_one_mailbox_after_another(account):
    """By one run each: no more than a fifth of the account goes, and the hour is remembered."""
    local, remote, one = account
    names = [f"box{number}" for number in range(BOXES)]
    fill(remote, names, 30)
    one.sync()
    for name in names[:BOXES - 1]:
        expunge(remote, name)
        one.run()
    assert sum(counts(local).values()) == 600 - 120
    one.sync("--allow-deletions", *names[:BOXES - 1])
    one.assert_noop(local, remote)


def test_half_of_what_is_left(account):
    local, remote, one = account
    fill(remote, ["big", "INBOX"], 300)
    fill(remote, ["bulk"], 1500)
    one.sync()
    left = 300
    while left > 1:
        with connect(remote) as client:
            client.select("big")
            client.expunge(client.uids()[:left // 2])
        left -= left // 2
        one.run()
    assert counts(local)["big"] == 150
    assert_held(one, "299 of 300 messages disappeared on the remote side: nothing is deleted")


def test_nearly_all_of_the_inbox(account):
    local, remote, one = account
    fill(remote, ["INBOX"], 100)
    fill(remote, ["bulk"], 500)
    one.sync()
    expunge(remote, "INBOX", "1:99")
    assert_held(one, "INBOX: ERROR: 99 of 100 messages disappeared on the remote side")
    assert counts(local)["INBOX"] == 100


def test_local_files_are_lost(account):
    """The local mail folder is emptied: nothing is deleted at the remote server."""
    local, remote, one = account
    names = [f"box{number}" for number in range(11)]
    fill(remote, names, 25)
    one.sync()
    local.stop()
    for path in glob.glob(os.path.join(local.path, "mail", USER, ".box*", "cur", "*")):
        os.unlink(path)
    local.start()
    assert_held(one, "25 of 25 messages disappeared on the local side")
    assert sum(counts(remote).values()) == 275


@pytest.mark.parametrize("side, held", [("remote", True), ("local", False)])
def test_trash_by_the_other_side(interimap, side, held):
    """\\Trash in the list of the server that deletes is no excuse; nor is it one for ever."""
    boxes = [{"INBOX": Box(), "bin": Box(uidvalidity=2)} for _ in range(2)]
    with Fake(boxes[0]) as local, Fake(boxes[1]) as remote:
        servers = {"local": local, "remote": remote}
        one = interimap(*({"type": "imap", "host": "127.0.0.1", "port": server.port,
                           "STARTTLS": "NO", "username": "u", "password": "p"}
                          for server in servers.values()))
        for number in range(150):
            remote.boxes["bin"].add(b"Message-ID: <%d@example.org>\r\n\r\nx\r\n" % number)
        one.sync()

        def listed(connection, tag, words):
            if words[-1] in (b"", ""):
                return False
            for name in ("INBOX", "bin"):
                connection.say(b'* LIST (\\Trash) "/" ' + name.encode(),
                               connection.server.status(name))
            connection.ok(tag)
            return True
        servers[side].answers["LIST"] = listed
        for uid in range(1, 151):
            remote.boxes["bin"].remove(uid)
        result = one.run()
        assert len(local.boxes["bin"].mails) == (150 if held else 0), result.err
        assert result.code == (1 if held else 0)


# What clients of the proxy do.

WAYS = {
    "uid-expunge": ("UID STORE 1:240 +FLAGS.SILENT (\\Deleted)", "UID EXPUNGE 1:240"),
    "expunge": ("STORE 1:240 +FLAGS (\\Deleted)", "EXPUNGE"),
    "close": ("UID STORE 1:240 +FLAGS.SILENT \\Deleted", "CLOSE"),
}


@pytest.mark.parametrize("way, when", [
    pytest.param(way, when, id=f"{way}-{when}",
                 marks=() if (way, when) in (("close", "offline"), ("expunge", "online"))
                 else pytest.mark.full)
    for way in WAYS for when in ("online", "offline", "killed")])
def test_what_a_client_deleted_is_replicated(make, way, when):
    service = make({"box": 250})
    with service.acting(when) as client:
        client.select("box")
        for command in WAYS[way]:
            client.cmd(command)
    service.settle()
    with service.there() as there:
        assert len(there.uids("box")) == 10


def test_a_client_releases_nothing(make):
    """All is gone at the remote server, and held; then a client expunges one message, moves another,
    and closes a mailbox."""
    service = make({"box": 300, "other": 1})
    with service.there() as there:
        there.select("box")
        there.expunge("1:*")
    service.running.wait_for("300 of 300 messages disappeared on the remote side")
    with service.client() as client:
        client.select("box")
        client.cmd("UID STORE 1 +FLAGS.SILENT (\\Deleted)")
        client.cmd("UID EXPUNGE 1:*")
        client.cmd("UID MOVE 2 other")
        client.cmd("CLOSE")
    limit = time.monotonic() + 4
    while time.monotonic() < limit:
        with service.store() as here:
            assert len(here.uids("box")) >= 298, service.running.err()
        time.sleep(0.2)
    service.stop()
    service.one.run()
    with service.store() as here:
        assert len(here.uids("box")) >= 298
