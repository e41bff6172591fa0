# SPDX-License-Identifier: MIT
"""One message, deed or mailbox that costs the connection stops nothing else.

Dovecot closes the connection when it cannot read a message.  That one message stopped all mailboxes,
both ways, and neither it nor its mailbox was named: each new connection asked for it again.  The
same with an APPEND, a STORE or a mailbox that a server ends the connection over, and with what a mail
client did that is repeated on the other side: it came first on every connection.
"""

import re

import pytest

from . import unreadable
from .inline import body, counts, eventually, numbered
from .interimap import connect, imap
from .scripted import Meddler

MESSAGES = 12


@pytest.fixture
def servers(dovecot):
    """make(format): two servers, one account each."""
    def make(format="sdbox"):
        return (dovecot("local", separator=".", format=format),
                dovecot("remote", separator="/", format=format))
    return make


def fill(server, box, name, count=MESSAGES):
    with connect(server) as client:
        if box != "INBOX" and box not in client.list():
            client.cmd(f"CREATE {box}")
        client.append_all(box, numbered(name, count))


class Account:
    """Two mailboxes in step; what is new is to be added."""

    def __init__(self, local, remote, interimap, ports=(None, None)):
        self.local, self.remote = local, remote
        self.one = interimap({**imap(local, ports[0]), "compress": "NO"},
                             {**imap(remote, ports[1]), "compress": "NO"})
        fill(remote, "INBOX", "first")
        fill(remote, "other", "other")
        self.one.sync()

    def sides(self, where):
        return (self.remote, self.local) if where == "remote" else (self.local, self.remote)

    def assert_at_rest(self):
        """A run opens no mailbox, and says that it is not all."""
        result = self.one.run("--debug")
        assert result.code == 1, result.err
        assert not re.search(r"C: \d+ SELECT ", result.err), result.err

    def assert_mended(self):
        """All is as it should be, once what was left out is tried again."""
        self.one.sync("INBOX", "other")
        self.one.assert_equal(self.local, self.remote)
        self.one.assert_noop(self.local, self.remote)
        assert self.left_out() == []

    def left_out(self):
        return self.rows("quarantine", "kind, remote, uid, tries")

    def suspected(self):
        return self.rows("suspicion", "kind, losses")

    def rows(self, table, columns):
        """Of a table that is made when it is needed."""
        if not self.one.query("SELECT 1 FROM sqlite_master WHERE name = ?", table):
            return []
        return self.one.query(f"SELECT {columns} FROM {table} ORDER BY 1, 2")


@pytest.mark.parametrize("where", ["remote", "local"])
@pytest.mark.parametrize("format, harm", [("sdbox", unreadable.forbid),
                                          ("maildir", unreadable.forbid),
                                          ("maildir", unreadable.shorten)],
                         ids=["dbox", "maildir", "maildir body"])
def test_an_unreadable_message(servers, interimap, where, format, harm):
    """A cron job: one run does all else, names what is left out, and the next one is at rest."""
    account = Account(*servers(format), interimap)
    source, other = account.sides(where)
    fill(source, "INBOX", "new")
    fill(source, "other", "more", 2)
    fill(other, "INBOX", "there", 3)
    mend = harm(source, "new.5@example.org")
    result = account.one.run()
    assert result.code == 1, result.err
    with connect(source) as client:
        bad = client.uids("INBOX")[MESSAGES + 5]
    assert re.search(rf"^{where}\(INBOX\): ERROR: .*UID {bad}\b", result.err, re.MULTILINE), \
        result.err
    assert account.left_out() == [("FETCH", int(where == "remote"), bad, 1)]
    mapping = account.one.mapping("INBOX")
    uids = set(mapping.values()) if where == "remote" else set(mapping)
    assert bad not in uids and len(mapping) == 2 * MESSAGES - 1 + 3
    account.assert_at_rest()
    # It is readable again, and its time comes.
    mend()
    account.assert_mended()


def test_an_unreadable_message_that_is_to_be_adopted(servers, interimap):
    """The first run, with the same mail on both sides: nothing is paired or copied before it is known
    which message it is."""
    local, remote = servers()
    one = interimap(imap(local), imap(remote))
    for server in (local, remote):
        fill(server, "INBOX", "both", 50)
    mend = unreadable.forbid(remote, "both.20@example.org")
    result = one.run()
    assert result.code == 1, result.err
    assert re.search(r"^remote\(INBOX\): ERROR: .*UID 21\b", result.err, re.MULTILINE), result.err
    # The one that cannot be read there is there once more.
    mapping = one.mapping("INBOX")
    assert mapping == {uid: uid if uid != 21 else 51 for uid in range(1, 51)}, result.err
    with connect(local) as here, connect(remote) as there:
        assert len(here.uids("INBOX")) == 50 and len(there.uids("INBOX")) == 51
    mend()


def test_an_unreadable_message_and_a_service(make):
    service = make({"INBOX": 5, "other": 5})
    service.stop()
    with service.there() as there:
        for message in numbered("new", 5):
            there.append("INBOX", *message)
        there.append("other", *next(numbered("more", 1)))
    mend = unreadable.forbid(service.remote, "new.2@example.org")
    service.begin()
    service.running.wait_for(r"remote\(INBOX\): ERROR: .*UID 8\b", 60)
    with service.client() as client, service.there() as there:
        eventually(lambda: counts(client)[0] == {("INBOX",): 9, ("other",): 6}, 30,
                   "the others did not come")
        client.append("INBOX", *next(numbered("here", 1)))
        eventually(lambda: counts(there)[0]["INBOX",] == 11, 30, "nor did it get there")
        there.append("INBOX", *next(numbered("there", 1)))
        eventually(lambda: counts(client)[0]["INBOX",] == 11, 30, "nor what came after")
    # Two, and one for the first message; if Dovecot took its answers for those before along, two more
    # to halve what is left of five.
    assert service.running.err().count("(trying again)") <= 5
    mend()
    assert service.one.run("INBOX").code == 0
    service.settle({"INBOX": [*body("INBOX", 5), *body("new", 5), *body("here", 1),
                              *body("there", 1)],
                    "other": [*body("other", 5), *body("more", 1)]})


@pytest.fixture
def meddled(servers, interimap):
    """make() -> an Account behind Meddlers of both sides."""
    relays = []

    def make():
        local, remote = servers()
        relays.extend(Meddler(server.port).start() for server in (local, remote))
        account = Account(local, remote, interimap, [relay.port for relay in relays])
        account.relays = dict(zip(("local", "remote"), relays))
        return account
    yield make
    for relay in relays:
        relay.stop()


@pytest.mark.parametrize("target", ["remote", "local"])
def test_a_message_that_costs_the_append(meddled, target):
    account = meddled()
    source, other = (account.local, account.remote) if target == "remote" \
        else (account.remote, account.local)
    account.relays[target].poison = b"<new.5@example.org>"
    fill(source, "INBOX", "new")
    fill(source, "other", "more", 2)
    fill(other, "INBOX", "there", 3)
    result = account.one.run()
    assert result.code == 1, result.err
    with connect(source) as client:
        bad = client.uids("INBOX")[MESSAGES + 5]
    assert re.search(rf"^{target}\(INBOX\): ERROR: .*UID {bad}\b", result.err, re.MULTILINE), \
        result.err
    assert account.left_out() == [("APPEND", int(target == "local"), bad, 1)]
    assert len(account.one.mapping("INBOX")) == 2 * MESSAGES - 1 + 3
    assert len(account.one.mapping("other")) == MESSAGES + 2
    assert account.relays[target].cuts < 9
    account.assert_at_rest()
    account.relays[target].relent()
    account.assert_mended()


@pytest.mark.parametrize("where", ["remote", "local"])
@pytest.mark.parametrize("words", [None, b"* BYE not that one", b"* FETCH (("],
                         ids=["cut", "BYE", "malformed"])
def test_a_mailbox_that_costs_the_connection(meddled, where, words):
    """65 connections in 33 seconds, without end."""
    account = meddled()
    for server in (account.local, account.remote):
        fill(server, "INBOX", f"new {server.port}", 2)
        fill(server, "other", f"more {server.port}", 2)
    relay = account.relays[where]
    relay.cut("SELECT other", words)
    result = account.one.run()
    assert result.code == 1, result.err
    assert re.search(rf"^{where}\(other\): ERROR: ", result.err, re.MULTILINE), result.err
    assert account.left_out() == [("mailbox", int(where == "remote"), 0, 1)]
    assert len(account.one.mapping("INBOX")) == MESSAGES + 4
    assert relay.cuts == 3
    account.assert_at_rest()
    relay.relent()
    account.assert_mended()


@pytest.mark.parametrize("where", ["remote", "local"])
def test_flags_that_cost_the_connection(meddled, where):
    """The mailbox is left out, and the other one is not."""
    account = meddled()
    source = account.local if where == "remote" else account.remote
    with connect(source) as client:
        uids = client.uids("INBOX")
        client.store(uids[2], "+", ["bad"])
    fill(source, "other", "more", 2)
    relay = account.relays[where]
    relay.cut(r"UID STORE .*\bbad\b")
    result = account.one.run()
    assert result.code == 1, result.err
    assert re.search(rf"^{where}\(INBOX\): ERROR: ", result.err, re.MULTILINE), result.err
    assert account.left_out() == [("mailbox", int(where == "remote"), 0, 1)]
    assert len(account.one.mapping("other")) == MESSAGES + 2
    assert relay.cuts == 3
    account.assert_at_rest()
    relay.relent()
    account.assert_mended()


# What mail clients did.

def test_a_move_that_costs_the_connection(make):
    """It is copied instead, and nothing else waited for it."""
    service = make({"INBOX": 5, "from": 30, "to": 0})
    service.relay.cut("UID MOVE")
    with service.client() as client:
        client.select("from")
        client.cmd("MOVE 1:3 to")
        client.append("INBOX", *next(numbered("here", 1)))
    with service.there() as there:
        there.append("INBOX", *next(numbered("there", 1)))
        eventually(lambda: counts(there)[0]["INBOX",] == 7, 60, service.running.err())
        eventually(lambda: counts(there)[0]["to",] == 3, 60, service.running.err())
    assert 2 <= service.relay.cuts <= 5
    service.settle({"from": body("from", 30, 3), "to": body("from", 30, 0, 3)})


@pytest.mark.parametrize("verb", ["RENAME", "DELETE"])
def test_a_change_of_the_tree_that_costs_the_connection(make, verb):
    service = make({"INBOX": 5, "from": 30})
    service.relay.cut(f"{verb} ")
    with service.client() as client:
        client.cmd("RENAME from fresh" if verb == "RENAME" else "DELETE from")
        client.append("INBOX", *next(numbered("here", 1)))
    with service.there() as there:
        there.append("INBOX", *next(numbered("there", 1)))
        eventually(lambda: counts(there)[0]["INBOX",] == 7, 60, service.running.err())
        service.running.wait_for(f"ERROR: .*{verb} from", 60)
        assert ("from",) in counts(there)[0]
    assert service.relay.cuts == 3
    service.quiet()
    assert service.relay.cuts == 3
    service.relay.relent()
    # A person does it.
    result = service.one.run("--target=remote", *(("--rename", "from", "fresh") if verb == "RENAME"
                                                  else ("--delete", "from")))
    assert result.code == 0, result.err
    service.settle({"INBOX": [*body("INBOX", 5), *body("here", 1), *body("there", 1)],
                    **({"fresh": body("from", 30)} if verb == "RENAME" else {})})


# A line that is lost now and then.

def test_a_bad_line_condemns_nothing(meddled):
    """Cut at whatever comes, never twice in a row over one thing."""
    account = meddled()
    relay = account.relays["remote"]
    for number in range(6):
        fill(account.remote, "INBOX", f"new {number}", 50)
        relay.cut("UID FETCH", times=1)
        fill(account.local, "other", f"more {number}", 1)
        assert account.one.run().code == 0
        assert relay.cuts == number + 1
        relay.relent()
    assert account.left_out() == account.suspected() == []
    account.assert_mended()


def test_what_the_network_loses_does_not_count(meddled):
    account = meddled()
    relay = account.relays["remote"]
    for number in range(4):
        fill(account.remote, "INBOX", f"new {number}", 1)
        relay.cut("UID FETCH", relay.refuse, times=1)
        assert account.one.run().code == 1
        assert relay.cuts == number + 1
        relay.stop()
        relay.start()
    assert account.suspected() == []
    account.assert_mended()
