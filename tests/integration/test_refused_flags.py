# SPDX-License-Identifier: MIT
"""What one message or one command was refused, and the flags of all others.

A message that the quota keeps out holds UIDNEXT back, and a refused STORE held HIGHESTMODSEQ back.
Either made all later pairs look as if they were left by an interrupted run: their flags were asked
for on both sides, each time, and the union brought back whatever anybody took away.
"""

import re

import pytest

from . import messages
from .fake import Box, Fake
from .imap import differences
from .interimap import connect, imap, state
from .scripted import Meddler


@pytest.fixture
def account(pair, interimap):
    with Meddler(pair[1].port) as meddler:
        yield Account(*pair, meddler, interimap)


class Account:
    """Two accounts, the remote one behind a Meddler."""

    def __init__(self, local, remote, meddler, interimap):
        self.local, self.remote, self.meddler = local, remote, meddler
        section = {**imap(remote, port=meddler.port), "compress": "NO"}
        self.one = interimap(local, section)

    def deliver(self, server, name, count, *flags):
        with connect(server) as client:
            client.append_all("INBOX", [(body, flags, date) for body, _, date
                                        in messages.mix(name, count)])

    def store(self, server, uids, sign, *flags):
        with connect(server) as client:
            client.select("INBOX")
            client.store(uids, sign, list(flags))

    def flags(self, server):
        """UID -> flags."""
        with connect(server) as client:
            return {uid: set(flags) for uid, (_, _, flags, *_)
                    in client.snapshot("INBOX").items()}


def asked_for_flags(lines):
    """Commands that ask a server for the flags of messages that it did not report as changed."""
    return [line for line in lines if re.search(r" UID FETCH \S+ \(UID FLAGS\)", line)]


def test_a_copy_that_was_refused_with_keywords_gets_them_later(account):
    """APPEND was refused once, for no reason that had to do with keywords; the copy went without
    them, and stayed without."""
    account.one.sync()
    account.meddler.answer(r"APPEND .*\$Work", b"NO not today")
    account.deliver(account.local, "new", 2, r"\Flagged", "$Work")
    account.one.run()
    assert account.meddler.refused == 1
    account.one.sync()
    for server in (account.local, account.remote):
        assert all({r"\flagged", "$work"} <= flags for flags in account.flags(server).values())
    assert not differences(state(account.local), state(account.remote))


def test_a_server_that_takes_keywords_neither_way(account):
    """They stay where they are, and that is said once."""
    account.one.sync()
    account.meddler.answer(r"APPEND .*\$Work", b"NO no keywords", times=99)
    account.meddler.answer(r"UID STORE .*\$Work", b"NO no keywords", times=99)
    account.deliver(account.local, "new", 2, r"\Flagged", "$Work")
    assert account.one.run().err.count("cannot store these flags: $Work") == 1
    account.one.sync()
    assert all({r"\flagged", "$work"} <= flags for flags in account.flags(account.local).values())
    remote = account.flags(account.remote).values()
    assert len(remote) == 2 and all({r"\flagged"} == flags - {r"\recent"} for flags in remote)


def test_flags_beyond_a_message_that_is_left_out(account):
    """What was taken away came back from the other side."""
    account.deliver(account.local, "first", 2)
    account.one.sync()
    account.meddler.answer("APPEND", b"NO [OVERQUOTA] full", times=99)
    account.deliver(account.local, "large", 1)
    assert account.one.run().code == 1
    account.deliver(account.remote, "later", 4, r"\Flagged", "$Work")
    account.one.run()
    assert len(account.flags(account.local)) == 7
    for server, uid in ((account.local, 5), (account.remote, 5)):
        account.store(server, [uid], "-", r"\Flagged", "$Work")
    account.one.run()
    both = account.flags(account.local), account.flags(account.remote)
    for flags, uids in zip(both, ((5, 6), (4, 5)), strict=True):
        assert not {r"\flagged", "$work"} & (flags[uids[0]] | flags[uids[1]]), flags
    account.one.write(logfile=f"{account.one.folder}/log")
    account.one.run("--debug")
    with open(f"{account.one.folder}/log", encoding="utf-8") as log:
        assert not asked_for_flags(log)
    account.meddler.relent()
    account.one.sync()
    assert not differences(state(account.local), state(account.remote))


@pytest.mark.parametrize("commit", [1, 2, pytest.param(3, marks=pytest.mark.full),
                                    pytest.param(4, marks=pytest.mark.full)])
def test_killed_beyond_a_message_that_is_left_out(account, commit):
    """What a run that was killed has paired is not in step, although what is before it is."""
    account.deliver(account.local, "first", 2)
    account.one.sync()
    account.meddler.answer("APPEND", b"NO [OVERQUOTA] full", times=99)
    account.deliver(account.local, "large", 1)
    account.deliver(account.remote, "later", 2, r"\Flagged")
    account.one.run()
    account.deliver(account.remote, "last", 2, r"\Flagged")
    account.one.run(env={"INTERIMAP_CRASH_AFTER_COMMIT": str(commit)})
    account.store(account.remote, [5], "+", "$Work")
    with connect(account.remote) as client:
        client.select("INBOX")
        client.expunge([6])
    account.meddler.relent()
    account.one.sync()
    assert not differences(state(account.local), state(account.remote))
    assert {r"\flagged", "$work"} <= account.flags(account.remote)[5]
    assert sorted(account.flags(account.remote)) == [1, 2, 3, 4, 5, 7]
    account.one.assert_noop(account.local, account.remote)


def test_changed_while_the_first_run_merges(account):
    """The first run found the messages on both sides, and a message changed before its flags were
    merged.  The next pass knew of no mod-sequence since which to ask, and so never saw it."""
    for server in (account.local, account.remote):
        account.deliver(server, "same", 3)
    account.store(account.local, [2], "+", r"\Flagged")
    account.meddler.when(r"UID STORE", lambda: account.store(account.remote, [2], "+", "$Work"))
    account.one.sync()
    assert {r"\flagged", "$work"} <= account.flags(account.local)[2]
    account.one.assert_equal(account.local, account.remote)
    account.one.assert_noop(account.local, account.remote)


# Servers that refuse to do something to one message.

COUNT = 12


class Refusing:
    """Two servers in step, and what the remote one refuses."""

    def __init__(self, interimap, local, remote):
        self.local, self.remote = local, remote
        for number in range(COUNT):
            remote.boxes["INBOX"].add(b"Message-ID: <%d@example.org>\r\n\r\nbody\r\n" % number)
        sections = [{"type": "imap", "host": "127.0.0.1", "port": server.port, "STARTTLS": "NO",
                     "username": "u", "password": "p"} for server in (local, remote)]
        self.one = interimap(*sections)
        self.one.sync()
        self.here, self.there = local.boxes["INBOX"], remote.boxes["INBOX"]
        assert self.one.mapping("INBOX") == {uid: uid for uid in range(1, COUNT + 1)}

    def refuse(self, command, is_bad, answer=b"NO it is locked"):
        """To these commands the remote server answers that; is_bad(set of UIDs, other words)."""
        def answered(connection, tag, words):
            if not is_bad(connection._uids(words[0]), words[1:]):
                return False
            connection.say(tag.encode() + b" " + answer)
            return True
        self.remote.answers[command] = answered

    def relent(self, due=True):
        """It takes everything again, and the time for the next try has come."""
        self.remote.answers.clear()
        if due:
            self.one.make_due()

    def rows(self):
        """(kind, remote, uid, tries) of what is left alone."""
        return self.one.query("SELECT kind, remote, uid, tries FROM quarantine ORDER BY uid")

    def run(self, code):
        """Returns the commands that the remote server was sent."""
        before = len(self.remote.lines)
        result = self.one.run(timeout=60)
        assert result.code == code, result.err
        self.err = result.err
        return [line.decode().split(" ", 1)[1] for line in self.remote.lines[before:]]

    def assert_quiet(self, code):
        """A run that opens nothing, and says nothing of a single message."""
        assert not [line for line in self.run(code) if line.startswith("SELECT")]
        assert "with UID" not in self.err

    def assert_in_step(self):
        """The database has caught up with both servers."""
        for side, box in (("local", self.here), ("remote", self.there)):
            assert self.one.cached(side)["INBOX"] == (box.uidvalidity, box.uidnext, box.modseq)

    def assert_equal(self):
        mapping = self.one.mapping("INBOX")
        assert sorted(mapping) == sorted(self.here.mails)
        assert sorted(mapping.values()) == sorted(self.there.mails)
        for here, there in mapping.items():
            assert self.here.mails[here].flags == self.there.mails[there].flags, (here, there)

    def flags(self, uid):
        return set(self.here.mails[uid].flags), set(self.there.mails[uid].flags)


@pytest.fixture
def refusing(interimap):
    with Fake({"INBOX": Box()}) as local, Fake({"INBOX": Box(uidvalidity=2)}) as remote:
        yield Refusing(interimap, local, remote)


def only(uid):
    return lambda uids, words: uid in uids


@pytest.mark.parametrize("answer", [b"NO it is locked", b"BAD what"])
def test_one_message_takes_no_flags(refusing, answer):
    refusing.refuse("UID STORE", only(3), answer)
    for uid in refusing.here.mails:
        refusing.here.store(uid, {"\\Flagged"})
    sent = refusing.run(1)
    assert len([line for line in sent if line.startswith("UID STORE")]) <= 12, sent
    assert [uid for uid in refusing.there.mails if not refusing.flags(uid)[1]] == [3]
    assert refusing.rows() == [("STORE", 1, 3, 1)]
    words = answer.decode().replace(" ", ": ", 1)
    assert re.search(rf"^remote\(INBOX\): ERROR: the server does not take the flags of the message "
                     rf"with UID 3 \({words}\)", refusing.err, re.MULTILINE), refusing.err
    refusing.assert_in_step()
    refusing.assert_quiet(1)
    # The flags of all others can be taken away.
    refusing.there.store(5, set())
    refusing.here.store(6, set())
    refusing.run(1)
    assert refusing.flags(5) == refusing.flags(6) == (set(), set())
    refusing.assert_quiet(1)
    refusing.relent()
    refusing.run(0)
    assert refusing.flags(3) == ({"\\Flagged"}, {"\\Flagged"})
    assert not refusing.rows()
    refusing.assert_equal()
    refusing.assert_quiet(0)


def test_it_is_tried_again(refusing):
    """And what was taken away here is taken away there then, not brought back."""
    refusing.there.store(3, {"\\Flagged", "$Work"})
    refusing.run(0)
    refusing.refuse("UID STORE", only(3))
    refusing.here.store(3, {"$Work"})
    refusing.run(1)
    for tries in range(2, 4):
        refusing.relent()
        refusing.refuse("UID STORE", only(3))
        refusing.run(1)
        assert refusing.rows() == [("STORE", 1, 3, tries)]
        assert not re.search("ERROR.*with UID 3", refusing.err), refusing.err
        refusing.assert_quiet(1)
    refusing.relent()
    refusing.run(0)
    assert refusing.flags(3) == ({"$Work"}, {"$Work"})
    refusing.assert_equal()
    refusing.assert_quiet(0)


def test_it_changes_there_meanwhile(refusing):
    """What waits to be stored there is not taken away here by another change of that side."""
    refusing.refuse("UID STORE", only(3))
    refusing.here.store(3, {"\\Flagged"})
    refusing.run(1)
    refusing.there.store(3, {"$Work"})
    refusing.run(1)
    assert refusing.flags(3)[0] == {"\\Flagged", "$Work"}
    refusing.relent()
    refusing.run(0)
    assert refusing.flags(3)[1] == {"\\Flagged", "$Work"}
    refusing.assert_equal()
    refusing.assert_quiet(0)


def test_it_is_deleted_meanwhile(refusing):
    refusing.refuse("UID STORE", only(3))
    refusing.here.store(3, {"\\Flagged"})
    refusing.run(1)
    refusing.there.remove(3)
    refusing.run(0)
    assert not refusing.rows()
    refusing.assert_equal()
    refusing.assert_quiet(0)


def test_no_message_takes_flags(refusing):
    """Nobody asks for each alone where the reason is about all."""
    refusing.refuse("UID STORE", lambda uids, words: True, b"NO [NOPERM] not yours")
    for uid in refusing.here.mails:
        refusing.here.store(uid, {"\\Flagged"})
    sent = refusing.run(1)
    assert len([line for line in sent if line.startswith("UID STORE")]) == 1, sent
    assert len(refusing.rows()) == COUNT
    refusing.assert_in_step()
    refusing.assert_quiet(1)
    refusing.relent()
    refusing.run(0)
    refusing.assert_equal()
    refusing.assert_quiet(0)


def test_one_flag_is_not_taken(refusing):
    """All others are; the message keeps it where it has it."""
    refusing.refuse("UID STORE", lambda uids, words: "Bad" in words[-1], b"NO invalid keyword")
    for uid in range(1, 7):
        refusing.here.store(uid, {"\\Flagged", "$Work", "$Other", "Bad"})
    refusing.run(0)
    for uid in range(1, 7):
        assert refusing.flags(uid) == ({"\\Flagged", "$Work", "$Other", "Bad"},
                                       {"\\Flagged", "$Work", "$Other"})
    assert refusing.err.count("WARNING") == 1 and "flags: Bad" in refusing.err, refusing.err
    refusing.assert_in_step()
    refusing.assert_quiet(0)


# How a server refuses to expunge: by command, or by its OK alone.
EXPUNGES = {
    "STORE": ("UID STORE", lambda uids, words: 3 in uids and "\\Deleted" in words[-1]),
    "EXPUNGE": ("UID EXPUNGE", only(3)),
}


def overlook(connection, tag, words):
    others = [str(uid) for uid in connection._uids(words[0]) if uid != 3]
    connection.do_uid_expunge(tag, ",".join(others) or "999")
    return True


def refuse_expunge(refusing, how):
    if how in EXPUNGES:
        refusing.refuse(*EXPUNGES[how])
    else:
        refusing.remote.answers["UID EXPUNGE"] = overlook


@pytest.mark.parametrize("how", [*EXPUNGES, "in words only"])
def test_one_message_is_not_expunged(refusing, how):
    refuse_expunge(refusing, how)
    for uid in range(1, 7):
        refusing.here.remove(uid)
    sent = refusing.run(1)
    assert len([line for line in sent if line.startswith("UID EXPUNGE")]) <= 9, sent
    assert sorted(refusing.there.mails) == [3, *range(7, COUNT + 1)]
    assert refusing.rows() == [("EXPUNGE", 1, 3, 1)]
    assert re.search(r"^remote\(INBOX\): ERROR: the server does not expunge the message with UID 3 "
                     r"\(", refusing.err, re.MULTILINE), refusing.err
    refusing.assert_in_step()
    refusing.assert_quiet(1)
    refusing.there.store(8, {"\\Flagged"})
    refusing.there.store(3, {"\\Deleted", "\\Seen"})
    refusing.run(1)
    assert refusing.flags(8)[0] == {"\\Flagged"}
    assert 3 not in refusing.here.mails
    refusing.assert_quiet(1)
    refusing.relent()
    refusing.run(0)
    assert 3 not in refusing.there.mails
    assert not refusing.rows()
    refusing.assert_equal()
    refusing.assert_quiet(0)


def test_what_is_not_expunged_is_there_after_all(refusing):
    """The evidence is looked at again: the other side has the message."""
    refuse_expunge(refusing, "EXPUNGE")
    mail = refusing.here.mails[3]
    refusing.here.remove(3)
    refusing.run(1)
    refusing.here.mails[3] = mail
    refusing.relent()
    sent = refusing.run(0)
    assert not [line for line in sent if line.startswith("UID EXPUNGE")]
    assert not refusing.rows()
    refusing.assert_equal()
    refusing.assert_quiet(0)


def test_what_is_not_expunged_goes_by_itself(refusing):
    refuse_expunge(refusing, "EXPUNGE")
    refusing.here.remove(3)
    refusing.run(1)
    refusing.relent(due=False)
    refusing.there.remove(3)
    refusing.run(0)
    assert not refusing.rows()
    assert "WARNING" not in refusing.err
    refusing.assert_equal()
    refusing.assert_quiet(0)


# Keywords that a server takes, and does not keep.

def test_a_flag_is_dropped_without_a_word(refusing):
    """That the server tells of the message without it was taken for a change of that side, which
    took it away here."""
    store = refusing.there.store
    refusing.there.store = lambda uid, flags: store(uid, set(flags) - {"Odd"})
    refusing.here.store(3, {"\\Flagged", "Odd"})
    refusing.here.add(b"Message-ID: <new@example.org>\r\n\r\nbody\r\n", {"\\Seen", "Odd"})
    add = refusing.there.add
    refusing.there.add = lambda body, flags=(), *more: add(body, set(flags) - {"Odd"}, *more)
    refusing.run(0)
    assert refusing.flags(3) == ({"\\Flagged", "Odd"}, {"\\Flagged"})
    assert refusing.flags(COUNT + 1) == ({"\\Seen", "Odd"}, {"\\Seen"})
    assert refusing.err.count("WARNING") == 1 and "flags: Odd" in refusing.err, refusing.err
    refusing.assert_quiet(0)


def test_flags_of_what_has_gone_meanwhile(refusing):
    """A message went between the look and the question for its flags: that was asked for ever."""
    def select(connection, tag, words):
        ok, say = connection.ok, connection.say
        connection.say = lambda *lines: say(*(
            b"* OK [PERMANENTFLAGS (\\Flagged)] some" if b"PERMANENTFLAGS" in
            (line if isinstance(line, bytes) else line.encode()) else line for line in lines))
        connection.do_select(tag, *words)
        connection.ok, connection.say = ok, say
        return True

    def fetch(connection, tag, words):
        if words[1] == ["UID", "FLAGS"] and 3 in refusing.here.mails:
            refusing.here.remove(3)
        return False

    refusing.remote.answers["SELECT"] = select
    refusing.local.answers["UID FETCH"] = fetch
    refusing.there.store(3, {"\\Flagged"})
    refusing.run(0)
    assert 3 not in refusing.here.mails and 3 not in refusing.there.mails
    refusing.assert_quiet(0)


# PERMANENTFLAGS that are malformed, or odd.

ANY = {"\\Flagged", "\\Seen", "Work"}
# What a server says in their place -> which of ANY it keeps.  What cannot be read counts as nothing
# said, which means all (RFC 3501 section 7.1).
PERMANENT = {
    "no list": (b"[PERMANENTFLAGS]", ANY),
    "NIL": (b"[PERMANENTFLAGS NIL]", ANY),
    "a number": (b"[PERMANENTFLAGS 4294967296]", ANY),
    "no end": (b"[PERMANENTFLAGS (\\Seen", ANY),
    "no end of the list": (b"[PERMANENTFLAGS (\\Seen \\Draft]", ANY),
    "an end too many": (b"[PERMANENTFLAGS (\\Seen))]", ANY),
    "a list in it": (b"[PERMANENTFLAGS (\\Seen (\\Draft))]", ANY),
    "strings": (b'[PERMANENTFLAGS ("\\Seen" "Work")]', ANY),
    "a control character": (b"[PERMANENTFLAGS (\\Seen \1)]", ANY),
    "too many": (b"[PERMANENTFLAGS (" + b" ".join(b"k%d" % n for n in range(20_000)) + b")]", ANY),
    "no space": (b"[PERMANENTFLAGS(\\Seen \\*)]", {"\\Seen", "Work"}),
    "the same again": (b"[PERMANENTFLAGS (" + b"\\Seen " * 1000 + b")]", {"\\Seen"}),
    "none": (b"[PERMANENTFLAGS ()]", set()),
    "no flags": (b"[PERMANENTFLAGS (\\ \\\\ \\*\\* *)]", set()),
    "keywords only": (b"[PERMANENTFLAGS (\\*)]", {"Work"}),
    "twice": (b"[PERMANENTFLAGS (\\*)] some\r\n* OK [PERMANENTFLAGS (\\Seen)]", {"\\Seen"}),
    "twice, the second without an end":
        (b"[PERMANENTFLAGS (\\Seen)] some\r\n* OK [PERMANENTFLAGS (]", {"\\Seen"}),
}
# What `tests/run` takes of them.
SAMPLE = {"no end", "strings", "none", "the same again", "twice, the second without an end"}
assert SAMPLE <= set(PERMANENT)


def _say_permanent(said):
    """An answer to SELECT that has this in the place of its PERMANENTFLAGS."""
    def select(connection, tag, words):
        say = connection.say
        connection.say = lambda *lines: say(*(
            re.sub(rb"\[PERMANENTFLAGS .*?\)\]", lambda _: said,
                   line if isinstance(line, bytes) else line.encode()) for line in lines))
        try:
            connection.do_select(tag, *words)
        finally:
            connection.say = say
        return True
    return select


@pytest.mark.parametrize("case", [
    pytest.param(case, marks=() if case in SAMPLE else pytest.mark.full) for case in PERMANENT])
def test_permanent_flags_that_are_odd(refusing, case):
    """No flag goes from either side, and what the server keeps crosses."""
    said, kept = PERMANENT[case]
    for box in (refusing.here, refusing.there):
        box.store(7, {"\\Draft", "Old"})
    refusing.run(0)

    # What is not permanent, a client neither sets nor takes away.
    store, add = refusing.there.store, refusing.there.add
    if kept != ANY:
        refusing.there.store = lambda uid, flags: store(
            uid, set(flags) & kept | refusing.there.mails[uid].flags - kept)
        refusing.there.add = lambda body, flags=(), *more: add(body, set(flags) & kept, *more)
    refusing.remote.answers["SELECT"] = _say_permanent(said)
    store(5, {"\\Flagged", "Home"})
    refusing.here.store(3, ANY)
    refusing.here.store(7, {"\\Draft", "Old", "\\Seen"})
    refusing.here.add(b"Message-ID: <new@example.org>\r\n\r\nbody\r\n", ANY)
    refusing.run(0)
    assert refusing.flags(3) == refusing.flags(COUNT + 1) == (ANY, kept)
    assert refusing.flags(5) == ({"\\Flagged", "Home"}, {"\\Flagged", "Home"})
    assert refusing.flags(7) == ({"\\Draft", "Old", "\\Seen"}, {"\\Draft", "Old"} | kept & {"\\Seen"})
    assert ("cannot store these flags" in refusing.err) == (kept != ANY), refusing.err
    refusing.assert_quiet(0)

    # A server that has mended its ways gets the rest with --repair.
    refusing.remote.answers.clear()
    refusing.there.store, refusing.there.add = store, add
    refusing.one.sync("--repair")
    refusing.assert_equal()
    assert refusing.flags(3)[1] == refusing.flags(COUNT + 1)[1] == ANY
    refusing.assert_quiet(0)
