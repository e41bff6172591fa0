# SPDX-License-Identifier: MIT
"""Messages that a side refuses, or does not give: left out by name, tried again later, and never in the
way of the rest.

Each of these stopped, slowed or doubled other messages: a refused message kept UIDNEXT behind it, so
that its mailbox was opened and its body copied in every run; one with a date that is none stopped all
new messages of its mailbox; one that a server could not read stopped that mailbox; with $TMPDIR full a
large message cost the connection each time; and what a server took without saying as which message
was sent again and again, and came back.
"""

import json
import os
import re

import pytest

from . import messages
from .control import mailbox
from .fake import Box, Fake
from .interimap import connect, imap, state
from .scripted import Meddler
from .service import eventually


def left_out(one):
    """What --status says is left out, whether or not a service runs."""
    return json.loads(one.run("--status=json").out)["left_out"]


def uids(dovecot, name="INBOX"):
    with connect(dovecot) as client:
        return client.uids(name)


class Pair:
    """A side with messages ("source"), and one that is to get them ("target"), behind a Meddler each."""

    def __init__(self, local, remote, up, interimap, meddlers):
        self.local, self.remote = local, remote
        self.source, self.target = (local, remote) if up else (remote, local)
        self.side, self.other = ("local", "remote") if up else ("remote", "local")
        here, there = meddlers
        self.at_source, self.at_target = (here, there) if up else (there, here)
        self.one = interimap({**imap(local, port=here.port), "compress": "NO"},
                             {**imap(remote, port=there.port), "compress": "NO"})

    def begin(self):
        with connect(self.source) as client:
            client.append_all("INBOX", messages.mix("first", 3, messages.plain))
        self.one.sync()

    def add(self, count=3):
        with connect(self.source) as client:
            client.append_all("INBOX", messages.mix("new", count, messages.plain))

    def incomplete(self, *args):
        result = self.one.run(*args)
        assert result.code == 1, result.err
        assert re.search(r"^ERROR: \d+ message\(s\) in 1 mailbox\(es\) are left out for now; "
                         r"`interimap --status` names them", result.err, re.MULTILINE), result.err
        return result

    def assert_rest(self):
        """One more run says that something is left out, and opens nothing."""
        log = os.path.join(self.one.folder, "rest.log")
        self.one.write(logfile=log)
        before = state(self.local), state(self.remote)
        self.incomplete("--debug")
        self.one.write()
        with open(log, encoding="utf-8", errors="replace") as file:
            said = file.read()
        os.unlink(log)
        assert "C: " in said
        assert not re.search(r"C: \S+ (SELECT|EXAMINE|UID FETCH|APPEND)\b", said)
        assert (state(self.local), state(self.remote)) == before

    def assert_crossed(self, count):
        """All is there, nothing is left out, and nothing more is done."""
        assert len(uids(self.local)) == len(uids(self.remote)) == count
        self.one.assert_equal(self.local, self.remote)
        assert left_out(self.one) == []
        self.one.assert_noop(self.local, self.remote)


@pytest.fixture(params=["up", "down"])
def account(request, pair, interimap):
    with Meddler(pair[0].port) as here, Meddler(pair[1].port) as there:
        yield Pair(*pair, request.param == "up", interimap, (here, there))


def marked(number):
    """A message that a rule can tell from others by its size."""
    return messages.of_size(number, 50000)


def test_refused(account):
    """The next run opened the mailbox again, and copied the body for nothing."""
    account.begin()
    with connect(account.source) as client:
        client.append("INBOX", marked(1))
    account.add()
    account.at_target.answer(r"APPEND INBOX .*\{50000\+?\}$", b"NO not this one", times=99)
    result = account.incomplete()
    assert re.search(rf"^{account.other}\(INBOX\): ERROR: the server does not take the message with UID "
                     rf"4 of the {account.side} side, 50000 bytes, Message-ID <\S+> \(NO: not this "
                     r"one\): it is left out, and tried again in 10 minutes$", result.err,
                     re.MULTILINE), result.err
    assert len(uids(account.target)) == 6
    row, = left_out(account.one)
    assert row["mailbox"] == "INBOX" and row["kind"] == "APPEND" and row["side"] == account.side
    assert row["uid"] == 4 and row["size"] == 50000 and row["message"].startswith("<")
    assert row["words"] == "NO: not this one" and row["tries"] == 1
    assert 590 < row["next_try"] - row["first_try"] <= 601
    text = account.one.run("--status").out
    assert re.search(r"^left out \(APPEND\): INBOX, UID 4 .*NO: not this one; tried 1 time", text,
                     re.MULTILINE), text
    account.assert_rest()
    # Due, and refused again: not said again, and the pause grows.
    account.one.make_due()
    result = account.incomplete()
    assert "does not take" not in result.err
    row, = left_out(account.one)
    assert row["tries"] == 2 and row["next_try"] - row["first_try"] > 3500
    account.assert_rest()
    account.at_target.relent()
    account.one.make_due()
    account.one.sync()
    account.assert_crossed(7)


@pytest.mark.parametrize("how", ["--repair", "INBOX"])
def test_tried_when_a_person_asks(account, how):
    account.begin()
    account.at_target.answer(r"APPEND INBOX", b"NO not today", times=99)
    account.add(2)
    account.incomplete()
    assert len(left_out(account.one)) == 2
    account.at_target.relent()
    account.incomplete()
    account.one.sync(how)
    account.assert_crossed(5)


def test_changed_and_expunged_while_left_out(account):
    """What happens to such a message at its source concerns nobody; when it is gone, so is its row."""
    account.begin()
    account.at_target.answer(r"APPEND INBOX", b"NO not today", times=99)
    account.add(2)
    account.incomplete()
    account.at_target.relent()
    with connect(account.source) as client:
        client.select("INBOX")
        client.store([4, 5], "+", ["\\Flagged"])
    result = account.incomplete()
    assert "WARNING" not in result.err
    assert len(uids(account.target)) == 3
    with connect(account.source) as client:
        client.select("INBOX")
        client.expunge([4])
    account.incomplete()
    assert [row["uid"] for row in left_out(account.one)] == [5]
    with connect(account.source) as client:
        client.select("INBOX")
        client.expunge([5])
    account.one.sync()
    account.assert_crossed(3)


def test_moved_away_while_left_out(account):
    account.begin()
    with connect(account.source) as client:
        client.cmd("CREATE box")
    account.one.sync()
    account.at_target.answer(r"APPEND INBOX", b"NO not today", times=99)
    account.add(1)
    account.incomplete()
    with connect(account.source) as client:
        client.select("INBOX")
        client.cmd("UID MOVE 4 box")
    account.one.sync()
    assert len(uids(account.target, "box")) == 1
    account.assert_crossed(3)


def test_unreadable(account):
    """A server answers NO to a FETCH of several messages, of which it cannot read one."""
    account.begin()
    account.add(4)
    account.at_source.answer(r"UID FETCH \S*\b5\b.* \(UID BODY.PEEK\[\]\)", b"NO cannot read", times=99)
    account.at_source.answer(r"UID FETCH 4:7 \(UID BODY.PEEK\[\]\)", b"NO cannot read", times=99)
    result = account.incomplete()
    assert re.search(rf"^{account.side}\(INBOX\): ERROR: the server does not give the message with UID 5, "
                     r"\d+ bytes, Message-ID <\S+> \(NO: cannot read\): it is left out", result.err,
                     re.MULTILINE), result.err
    assert [row["uid"] for row in left_out(account.one)] == [5]
    assert len(uids(account.target)) == 6
    account.assert_rest()
    account.at_source.relent()
    account.one.make_due()
    account.one.sync()
    account.assert_crossed(7)


def test_unreadable_metadata(account):
    account.begin()
    account.add(4)
    for which in (r"\S*\b4:7\b\S*", r"\S*\b4:\*", "5"):
        account.at_source.answer(rf"UID FETCH {which} \(UID FLAGS INTERNALDATE", b"NO cannot read",
                                 times=99)
    account.incomplete()
    row, = left_out(account.one)
    assert row["uid"] == 5 and row["kind"] == "FETCH" and row["size"] is None
    assert len(uids(account.target)) == 6
    account.assert_rest()
    account.at_source.relent()
    account.one.make_due()
    account.one.sync()
    account.assert_crossed(7)


def test_unreadable_file(dovecot, interimap):
    """Dovecot itself, with a message that it has lost the right to read."""
    local = dovecot("local", separator=".", format="maildir")
    remote = dovecot("remote", separator=".", format="maildir",
                     imap="imap_fetch_failure = no-after")
    one = interimap(imap(local), imap(remote))
    with connect(remote) as client:
        client.append_all("INBOX", messages.mix("first", 3, messages.plain))
    one.sync()
    with connect(remote) as client:
        client.append_all("INBOX", messages.mix("new", 4, messages.plain))
    with connect(remote) as client:     # moves them from new to cur
        client.select("INBOX")
    folder = os.path.join(remote.path, "mail", "user", "cur")
    with open(os.path.join(folder, "../dovecot-uidlist"), encoding="ascii") as file:
        (fifth,) = re.findall(r"^5 .*?:(.*)$", file.read(), re.MULTILINE)
    (name,) = [name for name in os.listdir(folder) if name.startswith(fifth.split(":")[0])]
    os.chmod(os.path.join(folder, name), 0)
    result = one.run()
    assert result.code == 1 and "does not give the message with UID 5" in result.err, result.err
    assert len(uids(local)) == 6
    assert [(row["uid"], row["kind"]) for row in left_out(one)] == [(5, "FETCH")]
    os.chmod(os.path.join(folder, name), 0o600)
    one.make_due()
    one.sync()
    one.assert_equal(local, remote)
    one.assert_noop(local, remote)


def test_the_quota_is_no_reason_to_leave_out_messages(account):
    """Others would fare the same: they wait together, and come when there is room."""
    account.begin()
    account.at_target.answer(r"APPEND INBOX", b"NO [OVERQUOTA] full", times=99)
    account.add(3)
    result = account.one.run()
    assert result.code == 1 and "OVERQUOTA" not in result.err
    assert left_out(account.one) == []
    account.at_target.relent()
    account.one.sync()
    account.assert_crossed(6)


def test_a_service_does_not_copy_them_with_every_wake(account):
    """Each new message made a service send all the refused ones again."""
    account.begin()
    running = account.one.start("--watch=1")
    running.wait_for("up to date")
    account.at_target.answer(r"APPEND INBOX", b"NO [OVERQUOTA] full", times=999)
    account.add(2)
    running.wait_for("ERROR: the .* server refused messages", 30)
    refused = account.at_target.refused
    assert refused > 0
    account.add(1)
    running.wait_for("they wait for the next try", 30)
    assert account.at_target.refused == refused
    running.stop()


def test_a_service_tries_when_it_is_due(account):
    account.begin()
    account.at_target.answer(r"APPEND INBOX", b"NO not today", times=99)
    account.add(2)
    account.incomplete()
    account.at_target.relent()
    account.one.make_due()
    running = account.one.start("--watch=86400")
    eventually(lambda: len(uids(account.target)) == 5, 30)
    eventually(lambda: mailbox(account.one, "INBOX")["state"] == "clean", 30)
    running.stop()
    account.assert_crossed(5)


def test_no_room_for_temporary_files(account):
    """$TMPDIR full: one message above 1 MiB cost the connection each time, and small mail behind it
    never came."""
    account.begin()
    with connect(account.source) as client:
        client.append("INBOX", messages.of_size(1, 3 << 20))
    account.add()
    result = account.one.run(env={"INTERIMAP_FAULT": "spool:1-9999:fail"})
    assert result.code == 1, result.err
    assert re.search(rf"^{account.side}\(INBOX\): ERROR: there is no room .*UID 4, {3 << 20} bytes, "
                     r"Message-ID <\S+> \(No space left on device\)", result.err, re.MULTILINE), \
        result.err
    assert "lost" not in result.err
    assert len(uids(account.target)) == 6
    account.one.sync()
    account.assert_crossed(7)


# Servers that lie in memory.

SECTION = {"type": "imap", "host": "127.0.0.1", "STARTTLS": "NO", "username": "u", "password": "p"}


def body(number, named=True):
    name = f"Message-ID: <{number}@example.org>\r\n" if named else ""
    return f"{name}Subject: {number}\r\n\r\nThis is number {number}.\r\n".encode()


@pytest.fixture
def remote():
    with Fake({"INBOX": Box()}) as server:
        yield server


@pytest.fixture
def begin(dovecot, interimap, remote):
    def make():
        local = dovecot("local", separator="/", format="mdbox")
        return local, interimap(imap(local), {**SECTION, "port": remote.port})
    return make


@pytest.mark.parametrize("date", ["", "31-Feb-2021 10:00:00 +0000", "yesterday"])
def test_a_date_that_is_none(remote, begin, date):
    """It stopped all new messages, as "more changes than can be taken"."""
    box = remote.boxes["INBOX"]
    for number in range(4):
        box.add(body(number))
    box.mails[2].date = date
    local, one = begin()
    one.sync()
    assert len(uids(local)) == 4
    one.assert_noop(local, local)


@pytest.mark.parametrize("flags", [["caf\u00e9"], [f"k{number}" for number in range(1500)]],
                         ids=["odd", "many"])
def test_flags_that_cannot_be(remote, begin, flags):
    box = remote.boxes["INBOX"]
    for number in range(4):
        box.add(body(number))
    box.mails[2].flags = frozenset([*flags, "\\Seen"])
    local, one = begin()
    result = one.sync()
    assert re.search(r"^remote\(INBOX\): WARNING: the message with UID 2 has \d+ flag\(s\)", result.err,
                     re.MULTILINE), result.err
    assert len(uids(local)) == 4
    one.assert_noop(local, local)


def test_nothing_for_a_message(remote, begin):
    """OK without the body, and NIL."""
    box = remote.boxes["INBOX"]
    for number in range(5):
        box.add(body(number))
    odd = {2: None, 4: b" BODY[] NIL"}

    def fetch(connection, tag, words):
        if "BODY.PEEK[]" not in words[1]:
            return False
        for uid in connection._uids(words[0]):
            if uid not in odd:
                connection._fetched(uid, ["BODY.PEEK[]"])
            elif odd[uid]:
                connection.say(b"* %d FETCH (UID %d%s)" % (uid, uid, odd[uid]))
        connection.ok(tag)
        return True

    remote.answers["UID FETCH"] = fetch
    local, one = begin()
    assert one.run().code == 1
    assert sorted(row["uid"] for row in left_out(one)) == [2, 4]
    assert len(uids(local)) == 3
    remote.answers.clear()
    one.make_due()
    one.sync()
    assert len(uids(local)) == 5
    assert left_out(one) == []
    one.assert_noop(local, local)


def changing(server, change):
    """APPEND without APPENDUID, to a server that keeps something else."""
    def append(connection, tag, words):
        name, *rest = words
        box = server.boxes[connection._find(name)]
        data = next(word for word in reversed(rest) if isinstance(word, bytes))
        box.add(change(data), date="05-May-2022 05:05:05 +0000")
        connection.ok(tag, "taken")
        return True

    server.answers["APPEND"] = append
    server.capabilities = server.capabilities.replace(" MULTIAPPEND", "")


def test_taken_and_changed(remote, begin):
    """3 messages became 60 in one run: the server changes date and size, and does not say which UIDs
    they got.  By their Message-ID they are known."""
    changing(remote, lambda data: b"X-Added: yes\r\n" * 40 + data)
    local, one = begin()
    with connect(local) as client:
        client.append_all("INBOX", [(body(number), (), 1600000000) for number in range(3)])
    one.run()
    assert len(remote.boxes["INBOX"].mails) == len(uids(local)) == 3
    one.sync()
    assert len(one.mapping("INBOX")) == 3
    one.assert_noop(local, local)


def test_taken_and_not_recognised(remote, begin):
    """What is not known again is a matter of that message: it is not sent again, and one run copies no
    more than there was."""
    changing(remote, lambda data: b"Subject: something else\r\n\r\n" + os.urandom(60).hex().encode())
    local, one = begin()
    with connect(local) as client:
        client.append_all("INBOX", [(body(number, False), (), 1600000000) for number in range(3)])
    for _ in range(4):
        one.run()
        assert len(remote.boxes["INBOX"].mails) == 3
    assert len(uids(local)) <= 6
    assert [row["kind"] for row in left_out(one)] == ["doubt"] * 3
