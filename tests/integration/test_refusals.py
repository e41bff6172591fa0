# SPDX-License-Identifier: MIT
"""Servers that refuse, lie, or lose: one bad mailbox or message never stops the others.

Each refusal is said in one sentence that names side, mailbox and reason, and shows in the exit
status; nothing is lost; the next run that nobody disturbs repairs what was left undone.
"""

import re
import time

import pytest

from . import messages
from .fake import CAPABILITIES, Box, Fake
from .imap import differences
from .interimap import connect, imap, state
from .scripted import Meddler
from .test_hostile_memory import SECTION, message


@pytest.fixture
def account(pair, interimap):
    with Meddler(pair[1].port) as meddler:
        yield Account(*pair, meddler, interimap)


class Account:
    """Two accounts, the remote one behind a Meddler."""

    def __init__(self, local, remote, meddler, interimap):
        self.local = local
        self.remote = remote
        self.meddler = meddler
        section = {**imap(remote, port=meddler.port), "compress": "NO"}
        self.one = interimap(local, section)

    def fill(self, **counts):
        """New messages at the remote server, in mailboxes that are made, and a first run."""
        with connect(self.remote) as client:
            for name, count in counts.items():
                if name != "INBOX":
                    client.cmd(f"CREATE {name}")
                client.append_all(name, messages.mix(name, count))
        self.one.sync()
        self.one.assert_equal(self.local, self.remote)

    def differing(self):
        """The names of mailboxes that differ."""
        lines = differences(state(self.local), state(self.remote))
        return {re.split(r": ", line)[0] for line in lines}

    def assert_refused(self, pattern, *args):
        """A run that is not complete, and says so in exactly one such line."""
        result = self.one.run(*args)
        assert result.code == 1, result.err
        errors = [line for line in result.err.splitlines() if "ERROR" in line]
        assert any(re.search(pattern, line) for line in errors), result.err
        return result

    def assert_repaired(self):
        self.meddler.relent()
        self.one.make_due()
        self.one.sync()
        self.one.assert_equal(self.local, self.remote)
        self.one.assert_noop(self.local, self.remote)


def count(dovecot, mailbox):
    with connect(dovecot) as client:
        return len(client.uids(mailbox))


# NO and BAD to any command.

def change(account):
    """Something to do for each kind of command, each in a mailbox of its own."""
    with connect(account.local) as client:
        for name in ("new", "newer"):
            client.cmd(f"CREATE {name}")
            client.cmd(f"SUBSCRIBE {name}")
            client.append_all(name, messages.mix(name, 2))
        client.select("stored")
        client.store(client.uids()[:2], "+", [r"\Flagged"])
        client.select("expunged")
        client.expunge(client.uids()[:1])
        client.append_all("appended", messages.mix("more", 2))
    with connect(account.remote) as client:
        client.append_all("fetched", messages.mix("even more", 2))


# command -> (what is refused, the sentence, the mailboxes that may be left different)
COMMANDS = {
    "LIST": (r'LIST .*RETURN', r"^ERROR: the remote server refused LIST \({}", None),
    "LIST delimiter": (r'LIST "" ""', r"^ERROR: the remote server refused LIST \({}", None),
    "ENABLE": ("ENABLE", r"^remote: ERROR: the server does not enable QRESYNC \({}", None),
    "CREATE": (r"CREATE new\Z", r"^remote\(new\): ERROR: the server refused CREATE \({}", {"new"}),
    "SUBSCRIBE": (r"SUBSCRIBE new\Z", r"^remote\(new\): ERROR: the server refused SUBSCRIBE \({}",
                  {"new"}),
    "SELECT": ("SELECT fetched", r"^fetched: ERROR: the remote server refused SELECT \({}",
               {"fetched"}),
    "UID FETCH metadata": (r"UID FETCH \S+ \(UID FLAGS INTERNALDATE",
                           r"^remote\(fetched\): ERROR: the server does not give the message .*"
                           r"\({}", {"fetched"}),
    "UID FETCH bodies": (r"UID FETCH \S+ \(UID BODY.PEEK\[\]\)",
                         r"^remote\(fetched\): ERROR: the server does not give the message .*"
                         r"\({}", {"fetched"}),
    "UID STORE": (r"UID STORE .*Flagged", r"^remote\(stored\): ERROR: the server does not take the "
                  r"flags of the message .*\({}", {"stored"}),
    "UID STORE Deleted": (r"UID STORE .*Deleted", r"^remote\(expunged\): ERROR: the server does not "
                          r"expunge the message .*\({}", {"expunged"}),
    "UID EXPUNGE": ("UID EXPUNGE", r"^remote\(expunged\): ERROR: the server does not expunge the "
                    r"message .*\({}", {"expunged"}),
    "APPEND": ("APPEND appended", r"^remote\(appended\): ERROR: the server does not take the message "
               r".*\({}", {"appended"}),
}
BOXES = {"INBOX": 2, "stored": 5, "expunged": 5, "appended": 2, "fetched": 2}


@pytest.mark.parametrize("answer", ["NO", "BAD"])
@pytest.mark.parametrize("command", COMMANDS)
def test_refused_command(account, command, answer):
    refused, sentence, left = COMMANDS[command]
    account.fill(**BOXES)
    change(account)
    before = state(account.local).count(), state(account.remote).count()
    # MULTIAPPEND is tried again one by one: those are refused as well.
    account.meddler.answer(refused, answer.encode() + b" not today", times=99)
    account.assert_refused(sentence.format(answer + ": not today"))
    assert account.meddler.refused > 0
    differing = account.differing()
    if left is None:
        assert (state(account.local).count(), state(account.remote).count()) == before
    else:
        assert differing <= left, "other mailboxes were not done"
    account.assert_repaired()


def test_no_permanent_flags_means_all(account):
    """RFC 3501 section 7.1; it was taken for none, and flags never crossed to such a server."""
    account.fill(INBOX=3)
    account.meddler.drop(r".*\[PERMANENTFLAGS")
    with connect(account.local) as client:
        client.select("INBOX")
        client.store(client.uids(), "+", ["\\Flagged", "$Work"])
    account.one.sync()
    with connect(account.remote) as client:
        for _, _, flags, *_ in client.snapshot("INBOX").values():
            assert {"\\flagged", "$work"} <= set(flags)
    account.assert_repaired()


def test_refused_behind_the_bodies(account):
    """A server sent bodies and then said NO, since another message had been expunged meanwhile (RFC
    7162 has [EXPUNGEISSUED] for that).  What had arrived waited for a next answer: for ever."""
    account.fill(INBOX=2)
    with connect(account.remote) as client:
        client.append_all("INBOX", messages.mix("behind", 3))
    account.meddler.reword(r"UID FETCH \S+ \(UID BODY.PEEK", b"NO [EXPUNGEISSUED] some are gone")
    result = account.one.run(timeout=30)
    assert result.code in (0, 1)
    account.assert_repaired()
    assert count(account.local, "INBOX") == 5


@pytest.mark.parametrize("answer", ["NO", "BAD"])
@pytest.mark.parametrize("command", ["UNSELECT", "LOGOUT"])
def test_refusal_that_costs_nothing(account, command, answer):
    account.fill(**BOXES)
    change(account)
    account.meddler.answer(command, answer.encode() + b" not today", times=99)
    account.one.sync()
    assert not account.differing()
    if command != "LOGOUT":     # which is not waited for
        assert account.meddler.refused > 0
    account.assert_repaired()


@pytest.mark.parametrize("answer", ["NO", "BAD"])
def test_compression_is_refused(account, answer):
    account.fill(**BOXES)
    change(account)
    account.one.sections["remote"]["compress"] = "YES"
    account.one.write()
    account.meddler.answer("COMPRESS", answer.encode() + b" not today")
    result = account.one.sync()
    assert account.meddler.refused == 1
    assert re.search(rf"^remote: WARNING: .*compression \({answer}: not today\)", result.err,
                     re.MULTILINE), result.err
    account.one.sections["remote"]["compress"] = "NO"
    account.one.write()
    account.assert_repaired()


@pytest.mark.parametrize("answer", ["NO", "BAD"])
def test_one_refusal_only(account, answer):
    """A single APPEND of several that is refused once, as a busy server does."""
    account.fill(**BOXES)
    change(account)
    account.meddler.answer("APPEND", answer.encode() + b" [INUSE] busy", times=1)
    account.one.run()
    account.assert_repaired()


# Messages that the target does not take.

def appends(one):
    return [line for line in one.sent() if re.match(r"remote: \S+ APPEND ", line)]


def test_too_large(account):
    """The limit that the server tells (RFC 7889) is known before the message is asked for."""
    account.fill(INBOX=2, other=2)
    with connect(account.local) as client:
        client.append("INBOX", messages.of_size(1, 50000))
        client.append_all("INBOX", messages.mix("small", 3, messages.no_message_id))
        client.append_all("other", messages.mix("others", 3, messages.no_message_id))
    account.remote.configure(capability="+APPENDLIMIT=20000")
    account.remote.restart()
    for sentence in (r"^remote\(INBOX\): ERROR: the server does not take the message with UID 3 of the "
                     r"local side, 50000 bytes, Message-ID <\S+> \(it takes at most 20000 bytes\): "
                     "it is left out", r"^ERROR: 1 message\(s\) in 1 mailbox\(es\) are left out"):
        account.assert_refused(sentence)
        assert account.differing() == {"INBOX"}
        assert count(account.remote, "INBOX") == 5
        assert count(account.remote, "other") == 5
    account.remote.configure(capability=None)
    account.remote.restart()
    account.one.make_due()
    assert len(appends(account.one)) == 1   # only what was left
    account.assert_repaired()


def _bodies(server, name):
    """The sets of UIDs whose bodies were asked for in that mailbox."""
    selected, found = None, []
    for connection in server.connections:
        for verb, words in connection.commands:
            if verb == "SELECT":
                selected = words[0]
            elif verb == "UID FETCH" and selected == name and "BODY.PEEK[]" in words[1]:
                found.append(words[0])
    return found


def test_too_large_for_one_mailbox(interimap):
    """A limit of its own (RFC 7889 section 3.2) is known before the message is asked for, too."""
    with Fake({"INBOX": Box(), "small": Box()}) as local, \
            Fake({"INBOX": Box(), "small": Box(append_limit=1000)},
                 capabilities=CAPABILITIES + " APPENDLIMIT") as remote:
        one = interimap(*({**SECTION, "port": server.port} for server in (local, remote)))
        one.sync()
        for name in ("INBOX", "small"):
            local.boxes[name].add(message(1, 3000))
            local.boxes[name].add(message(2, 500))
        for _ in range(2):
            result = one.run()
            assert result.code == 1 and "left out" in result.err, result.err
            assert len(remote.boxes["INBOX"].mails) == 2 and len(remote.boxes["small"].mails) == 1
        assert _bodies(local, "INBOX") == ["1:2"] and _bodies(local, "small") == ["2"]
        assert all(b"APPENDLIMIT" in line for line in remote.lines if b"RETURN" in line)
        assert not any(b"APPENDLIMIT" in line for line in local.lines)
        remote.boxes["small"].append_limit = 0
        one.make_due()
        one.sync()
        assert len(remote.boxes["small"].mails) == 2
        assert not [line for line in one.sent() if " SELECT " in line]


def test_too_large_for_a_server_that_does_not_tell(account):
    account.fill(INBOX=2, other=2)
    with connect(account.local) as client:
        client.append("INBOX", messages.of_size(1, 50000))
        client.append_all("INBOX", messages.mix("small", 3, messages.no_message_id))
        client.append_all("other", messages.mix("others", 3, messages.no_message_id))
    account.meddler.answer(r"APPEND .*\{(50000|\d+)\+?\}$", b"NO [TOOBIG] too large", times=99)
    account.meddler.relent()
    account.meddler.answer(r"APPEND INBOX .*\{50000\+?\}$", b"NO [TOOBIG] too large", times=99)
    account.assert_refused(r"^remote\(INBOX\): ERROR: the server does not take the message with UID 3 "
                           r"of the local side, 50000 bytes, Message-ID <\S+> \(NO: too large\): it "
                           r"is left out, and tried again in 10 minutes$")
    assert account.differing() == {"INBOX"}
    assert count(account.remote, "INBOX") == 5
    assert count(account.remote, "other") == 5
    account.meddler.relent()
    account.one.make_due()
    assert len(appends(account.one)) == 1
    account.assert_repaired()


def test_over_quota(account):
    """Mail goes the other way all the same, and up again when there is room."""
    account.fill(INBOX=2, other=2)
    account.remote.configure(quota="storage=100k")
    account.remote.restart()
    with connect(account.local) as client:
        for number in range(4):
            client.append("INBOX", messages.of_size(number, 60000))
    with connect(account.remote) as client:
        client.append_all("other", messages.mix("small", 2, messages.no_message_id))
    account.assert_refused(r"^remote\(INBOX\): ERROR: the server refused the message with UID \d+ "
                           r"of the local side, 60000 bytes \(NO: .*[Qq]uota")
    assert account.differing() == {"INBOX"}
    assert count(account.local, "INBOX") == 6
    account.remote.configure(quota=None)
    account.remote.restart()
    account.assert_repaired()
    assert count(account.remote, "INBOX") == 6


def test_downwards_over_quota(pair, interimap):
    """The local side can be the one that is full."""
    local, remote = pair
    local.configure(quota="storage=100k")
    local.restart()
    one = interimap(imap(local), imap(remote))
    with connect(remote) as client:
        client.cmd("CREATE other")
        client.append_all("INBOX", [(messages.of_size(n, 60000), (), 1600000000 + n)
                                    for n in range(3)])
        client.append_all("other", messages.mix("small", 2, messages.no_message_id))
    result = one.run()
    assert result.code == 1
    assert re.search(r"^local\(INBOX\): ERROR: the server refused the message .*[Qq]uota",
                     result.err, re.MULTILINE), result.err
    assert count(local, "other") == 2
    assert count(remote, "INBOX") == 3
    local.configure(quota=None)
    local.restart()
    one.sync()
    one.assert_equal(local, remote)
    one.assert_noop(local, remote)


# Mailboxes that are not what they were.

def test_mailbox_vanishes_within(account):
    account.fill(INBOX=2, gone=5, other=2)
    with connect(account.remote) as client:
        client.append_all("gone", messages.mix("more", 2))
        client.append_all("other", messages.mix("others", 2))

    def delete():
        with connect(account.remote) as client:
            client.cmd("DELETE gone")

    account.meddler.when("SELECT gone", delete)
    account.assert_refused(r"^gone: ERROR: the remote server refused SELECT \(NO: .*gone")
    assert count(account.local, "gone") == 5
    assert count(account.local, "other") == 4
    for _ in range(2):
        account.assert_refused(r"^remote\(gone\): ERROR: the mailbox disappeared from the remote server; .*"
                               r"`interimap --delete gone`")
        assert count(account.local, "gone") == 5
    with connect(account.remote) as client:
        assert "gone" not in client.list()


def test_uidvalidity_changed(account):
    account.fill(INBOX=2, renewed=5, other=2)
    with connect(account.remote) as client:
        client.cmd("DELETE renewed")
        client.cmd("CREATE renewed")
        client.append_all("renewed", messages.mix("later", 3))
        client.append_all("other", messages.mix("others", 2))
    for _ in range(2):
        account.assert_refused(r"^renewed: ERROR: UIDVALIDITY changed on the remote server! .*"
                               r"`interimap --target=database --delete renewed`")
        assert count(account.local, "renewed") == 5
        assert count(account.remote, "renewed") == 3
        assert count(account.local, "other") == 4
        assert account.differing() == {"renewed"}


# Lies and accidents: a deletion crosses only after a second look, and many only with consent.

@pytest.mark.parametrize("lie", [b"* VANISHED (EARLIER) 1:30", b"* VANISHED 1:30"])
def test_messages_reported_gone_that_exist(account, lie):
    account.fill(INBOX=30, other=2)
    with connect(account.remote) as client:
        client.append_all("INBOX", messages.mix("more", 1))
    account.meddler.add("SELECT INBOX", lie, times=99)
    result = account.one.sync()
    assert re.search(r"^remote\(INBOX\): WARNING: .* 30 message\(s\) as gone that are there: nothing "
                     r"is deleted", result.err, re.MULTILINE), result.err
    assert count(account.local, "INBOX") == count(account.remote, "INBOX") == 31
    account.assert_repaired()


def test_some_of_them_are_gone(account):
    """The lie does not cover what is true."""
    account.fill(INBOX=30)
    with connect(account.remote) as client:
        client.select("INBOX")
        client.expunge([3, 5])
    account.meddler.add("SELECT INBOX", b"* VANISHED (EARLIER) 1:30", times=99)
    account.one.sync()
    assert count(account.local, "INBOX") == count(account.remote, "INBOX") == 28
    account.assert_repaired()


def test_mass_deletion_is_held(account):
    account.fill(INBOX=130, other=4)
    with connect(account.remote) as client:
        client.select("INBOX")
        client.expunge("1:120")
        client.append_all("INBOX", messages.mix("new", 1))
        client.append_all("other", messages.mix("others", 2))
    for _ in range(2):
        account.assert_refused(r"^INBOX: ERROR: 120 of 130 messages disappeared on the remote side: "
                               r"nothing is deleted\. .*`interimap --allow-deletions INBOX`")
        assert count(account.local, "INBOX") == 130
        assert count(account.local, "other") == 6
    account.one.sync("--allow-deletions", "INBOX")
    assert count(account.local, "INBOX") == 11
    account.assert_repaired()


def test_many_deletions_of_more_are_ordinary(account):
    account.fill(INBOX=230)
    with connect(account.local) as client:
        client.select("INBOX")
        client.expunge("1:110")
    account.one.sync()
    assert count(account.remote, "INBOX") == 120
    account.assert_repaired()


def test_allowed_deletions_are_allowed_once(account):
    account.fill(INBOX=2, box=260)
    with connect(account.remote) as client:
        client.select("box")
        client.expunge("1:140")
    account.one.sync("--allow-deletions", "box")
    assert count(account.local, "box") == 120
    with connect(account.remote) as client:
        client.select("box")
        client.expunge("1:255")
    account.assert_refused("^box: ERROR: 115 of 120 messages disappeared on the remote side")
    assert count(account.local, "box") == 120


def test_empty_list(account):
    """A server whose storage is not mounted lists no mailbox: nothing is deleted, or made anew, and
    nobody is advised to delete."""
    account.fill(INBOX=5, box=5)
    before = state(account.local), state(account.remote)
    account.meddler.drop(r"\* (LIST|STATUS) (?!\(\\Noselect\) \"/\" \"\")")
    result = account.assert_refused(r"^remote\(INBOX\): ERROR: the server does not list it: .*"
                                    "Nothing is deleted")
    assert result.err.count("ERROR") == 1, result.err
    assert (state(account.local), state(account.remote)) == before
    account.assert_repaired()


def test_inbox_is_not_listed(account):
    account.fill(INBOX=5, box=5)
    with connect(account.local) as client:
        client.append_all("INBOX", messages.mix("more", 2))
        client.append_all("box", messages.mix("others", 2))
    account.meddler.drop(r"\* (LIST .*INBOX|STATUS INBOX)")
    account.assert_refused(r"^remote\(INBOX\): ERROR: the server does not list it")
    assert count(account.remote, "INBOX") == 5
    assert count(account.remote, "box") == 7
    account.assert_repaired()


# While it stays.

@pytest.mark.parametrize("answer", ["NO", "BAD"])
@pytest.mark.parametrize("command", ["STATUS", "UNSELECT", "LIST", "SELECT", "UID FETCH"])
def test_refused_while_watching(account, command, answer):
    """--watch goes on with the other mailboxes, and with this one when it is not refused any more."""
    account.fill(INBOX=2, box=2, other=2)
    running = account.one.start("--watch=1")
    running.wait_for("up to date")
    pattern = command + " box" if command == "SELECT" else command
    account.meddler.answer(pattern, answer.encode() + b" not today", times=99)
    with connect(account.remote) as client:
        client.append_all("box", messages.mix("more", 1))
        client.append_all("other", messages.mix("others", 1))
    wait_until(lambda: account.meddler.refused > 0)
    if command not in ("LIST", "UID FETCH"):
        wait_until(lambda: count(account.local, "other") == 3)
    account.meddler.relent()
    wait_until(lambda: running.poll() or count(account.local, "box") == 3)
    wait_until(lambda: running.poll() or count(account.local, "other") == 3)
    assert running.stop().code == 0
    account.assert_repaired()


@pytest.mark.parametrize("answer", ["NO [BADEVENT (MessageNew)]", "BAD"])
def test_notify_is_refused(account, answer):
    """Then INBOX is watched by IDLE, at once."""
    account.fill(INBOX=2, box=2)
    account.meddler.answer("NOTIFY", answer.encode() + b" not today", times=99)
    running = account.one.start("--notify")
    running.wait_for("up to date")
    wait_until(lambda: account.meddler.refused > 0)
    with connect(account.remote) as client:
        client.append_all("INBOX", messages.mix("more", 1))
    wait_until(lambda: count(account.local, "INBOX") == 3)
    assert running.stop().code == 0
    account.assert_repaired()


def wait_until(condition, timeout=20):
    limit = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.05)
