# SPDX-License-Identifier: MIT
"""What this program expunges itself is nobody's wish.

A remote server said of 90 messages that they had vanished, and did not answer for them when asked
again; a moment later they were there.  By then we had expunged them locally.  A local server that
does not report our own UID EXPUNGE (Dovecot while NOTIFY is on) then made the next pass find them
"gone here", and it expunged them at the remote server, too: 90 messages lost on both sides.
"""

import pytest

from .fake import Box, Fake

COUNT = 120


def message(number):
    return f"Message-ID: <{number}@example.org>\r\n\r\nbody {number}\r\n".encode()


class Liar:
    """The remote server says once that 90 messages are gone: where they are reported, and where they
    are asked for."""

    def __init__(self, server, times=1):
        self.times = times
        server.answers["SELECT"] = self.select
        server.answers["UID FETCH"] = self.fetch

    def select(self, connection, tag, words):
        if not self.times:
            return False
        say, ok = connection.say, connection.ok

        def lie(tag, text="done"):
            say("* VANISHED (EARLIER) 1:90")
            ok(tag, text)
        connection.ok = lie
        connection.do_select(tag, *words)
        connection.ok = ok
        return True

    def fetch(self, connection, tag, words):
        if not self.times or words[1] != ["UID"]:
            return False
        self.times -= 1
        connection.ok(tag)
        return True


def silent_expunge(connection, tag, words):
    for uid in connection._uids(words[0]):
        if "\\Deleted" in connection._box.mails[uid].flags:
            connection._box.remove(uid)
    connection.ok(tag, "expunged")
    return True


@pytest.fixture
def account(interimap):
    with Fake({"INBOX": Box()}) as local, Fake({"INBOX": Box(uidvalidity=2)}) as remote:
        for number in range(COUNT):
            remote.boxes["INBOX"].add(message(number))
        sections = [{"type": "imap", "host": "127.0.0.1", "port": server.port, "STARTTLS": "NO",
                     "username": "u", "password": "p"} for server in (local, remote)]
        one = interimap(*sections)
        one.sync()
        assert len(local.boxes["INBOX"].mails) == COUNT
        remote.boxes["INBOX"].store(120, {"\\Seen"})     # there is something to do
        yield one, local, remote


def check(one, local, remote):
    """Every message is on both sides, once, and nothing is left to do."""
    wanted = sorted(message(number) for number in range(COUNT))
    for server in (local, remote):
        assert sorted(mail.body for mail in server.boxes["INBOX"].mails.values()) == wanted
    mapping = one.mapping("INBOX")
    assert len(mapping) == COUNT
    for here, there in mapping.items():
        assert local.boxes["INBOX"].mails[here].body == remote.boxes["INBOX"].mails[there].body
    assert not [line for line in one.sent() if "SELECT" in line]


@pytest.mark.parametrize("reported", [True, False])
def test_a_deletion_that_was_a_lie(account, reported):
    one, local, remote = account
    if not reported:
        local.answers["UID EXPUNGE"] = silent_expunge
    Liar(remote)
    result = one.sync()
    assert len(local.sent("UID EXPUNGE")) > 0
    assert not remote.sent("UID EXPUNGE")
    assert "remote(INBOX): WARNING: the server had reported 90 message(s) as gone" in result.err
    check(one, local, remote)
    assert not one.query("SELECT * FROM echo")


@pytest.mark.parametrize("when", ["AFTER_COMMIT=1", "AFTER_COMMIT=2", *(
    pytest.param(f"{when}_COMMIT={commit}", marks=pytest.mark.full)
    for when in ("AT", "AFTER") for commit in range(1, 6))])
@pytest.mark.parametrize("reported", [True, False])
def test_killed_in_between(account, when, reported):
    """The command was sent, or not, and the pass was never finished."""
    one, local, remote = account
    if not reported:
        local.answers["UID EXPUNGE"] = silent_expunge
    Liar(remote)
    one.run(env=dict([f"INTERIMAP_CRASH_{when}".split("=")]))
    remote.answers.clear()
    one.sync()
    assert not remote.sent("UID EXPUNGE")
    check(one, local, remote)


def test_a_true_deletion_crosses(account):
    one, local, remote = account
    local.answers["UID EXPUNGE"] = silent_expunge
    for uid in range(1, 91):
        remote.boxes["INBOX"].remove(uid)
    one.sync()
    assert sorted(one.mapping("INBOX").values()) == list(range(91, COUNT + 1))
    assert len(local.boxes["INBOX"].mails) == len(remote.boxes["INBOX"].mails) == COUNT - 90
    assert not [line for line in one.sent() if "SELECT" in line]
