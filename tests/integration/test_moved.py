# SPDX-License-Identifier: MIT
"""Messages that somebody else moves: they are moved on the other side too, and no body crosses.

Somebody who works at the remote server, or at the local one but not through the proxy, leaves
messages that are gone in one mailbox and new in another.  What shows that the program saw through
it are the commands and the bytes on both connections.
"""

import re

import pytest

from .imap import uid_set
from .inline import Tap, body, counts, digests, eventually, fill, numbered
from .interimap import connect, imap, release


def move(server, source, target, which="1:*", flags=()):
    """What another program does."""
    with connect(server) as client:
        client.select(source)
        uids = client.uids()
        if which != "1:*":
            uids = [uids[n] for n in which]
        for flag in flags:
            client.store(uids, "+", [flag])
        client.cmd("UID MOVE", uid_set(uids), target)


def digests_of(server, mailbox):
    with connect(server) as client:
        return sorted(digest for digest, _, _ in client.snapshot(mailbox).values())


class Watched:
    """Two Dovecots, each behind a relay that remembers what it was sent; once in step."""

    def __init__(self, interimap, local, remote, binary=None):
        self.local, self.remote = local, remote
        self.here, self.there = Tap(local.port).start(), Tap(remote.port).start()
        self.one = interimap(self.section(local, self.here), self.section(remote, self.there),
                             binary=binary)
        self.one.sync()
        self.reset()

    @staticmethod
    def section(server, relay):
        return {**imap(server, port=relay.port), "compress": "NO"}

    def reset(self):
        self.here.reset()
        self.there.reset()

    def stop(self):
        self.here.stop()
        self.there.stop()

    def transferred(self):
        """Messages that crossed: how often a body was asked for."""
        asked = [line for tap in (self.here, self.there) for line in tap.sent
                 if re.search(r"BODY(\.PEEK)?\[\]", line)]
        return asked + self.here.all("APPEND") + self.there.all("APPEND")

    def moved(self, side="here"):
        return getattr(self, side).all("UID (MOVE|COPY)")

    def check(self, expected):
        """Both sides have `expected` (name -> bodies), the database agrees, and nothing is left."""
        for server in (self.local, self.remote):
            for name, bodies in expected.items():
                assert digests_of(server, name) == sorted(bodies), (server.path, name)
        self.one.assert_equal(self.local, self.remote)
        self.pairs(expected)
        self.one.assert_noop(self.local, self.remote)

    def pairs(self, names):
        with connect(self.local) as here, connect(self.remote) as there:
            for name in names:
                mapping = self.one.mapping(name)
                local, remote = here.snapshot(name), there.snapshot(name)
                assert sorted(mapping) == sorted(local), name
                assert sorted(mapping.values()) == sorted(remote), name
                for uid, other in mapping.items():
                    assert local[uid] == remote[other], (name, uid, other)


@pytest.fixture
def watched(dovecot, interimap):
    """make({name: how many}) -> Watched, whose messages came from the remote side."""
    made = []

    def make(boxes, **more):
        local = dovecot("local", separator=".", format="maildir")
        remote = dovecot("remote", separator="/", format="sdbox")
        fill(remote, boxes)
        made.append(Watched(interimap, local, remote, **more))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def assert_nothing_downloaded(relay):
    asked = [line for line in relay.sent if re.search(r"BODY(\.PEEK)?\[\]", line)]
    assert not asked, asked[:5]
    assert not relay.all("APPEND"), relay.all("APPEND")[:5]


SIDES = pytest.mark.parametrize("side", ["remote", "local"])


# One run.

@pytest.mark.quick
@SIDES
def test_move(watched, side):
    """Some of one mailbox, and all of another."""
    pair = watched({"a": 20, "b": 5, "c": 3})
    server, other = (pair.remote, "here") if side == "remote" else (pair.local, "there")
    move(server, "a", "b", range(4, 12))
    move(server, "c", "b")
    pair.one.sync()
    assert not pair.transferred()
    assert len(pair.moved(other)) == 2
    pair.check({"a": body("a", 20, 0, 4) + body("a", 20, 12),
                "b": body("b", 5) + body("a", 20, 4, 12) + body("c", 3), "c": []})


def test_the_log_tells(watched):
    pair = watched({"a": 3, "b": 0})
    move(pair.remote, "a", "b", [0])
    assert "local(a): Moved 1 message(s) to b, as on the remote side" in pair.one.sync().err


@SIDES
def test_flags_of_the_mover(watched, side):
    """What the mover set and took away is so on the other side, and nothing is set twice."""
    pair = watched({"a": 12, "b": 2})
    server, other = (pair.remote, "here") if side == "remote" else (pair.local, "there")
    with connect(server) as client:
        client.select("a")
        uids = client.uids()
        client.store(uids[:4], "+", ["\\Flagged", "$Work"])
        client.store(uids[2:8], "-", ["\\Seen"])
        client.cmd("UID MOVE", uid_set(uids[:6]), "b")
        client.store(uids[7:9], "+", ["\\Answered"])
        client.select("b")
        client.store(client.uids()[-1:], "+", ["\\Draft"])
    pair.one.sync()
    assert not pair.transferred()
    assert len(getattr(pair, other).all("UID STORE .*FLAGS")) <= 8
    pair.check({"a": body("a", 12, 6), "b": body("b", 2) + body("a", 12, 0, 6)})
    with connect(pair.local) as here:
        flags = [set(flags) for _, _, flags in here.snapshot("b").values()]
    assert sum("$work" in found for found in flags) == 4
    assert sum("\\draft" in found for found in flags) == 1
    assert not any("\\seen" in found for found in flags[4:])


@SIDES
def test_flags_changed_on_both_sides(watched, side):
    """Changed where it was, and by the mover: both changes stay."""
    pair = watched({"a": 3, "b": 0})
    server, other = (pair.remote, pair.local) if side == "remote" else (pair.local, pair.remote)
    with connect(other) as client:
        client.select("a")
        client.store(client.uids(), "+", ["\\Answered"])
    move(server, "a", "b", flags=["\\Flagged"])
    pair.one.sync()
    assert not pair.transferred()
    pair.check({"a": [], "b": body("a", 3)})
    with connect(pair.local) as here:
        for _, _, flags in here.snapshot("b").values():
            assert {"\\answered", "\\flagged"} <= set(flags)


@SIDES
def test_expunged_where_it_was(watched, side):
    """Moved on one side and deleted on the other: it stays where it was moved to, as ever."""
    pair = watched({"a": 6, "b": 0})
    server, other = (pair.remote, pair.local) if side == "remote" else (pair.local, pair.remote)
    with connect(other) as client:
        client.select("a")
        client.expunge(client.uids()[1:3])
    move(server, "a", "b", range(4))
    pair.one.sync()
    pair.check({"a": body("a", 6, 4), "b": body("a", 6, 0, 4)})


def test_moved_elsewhere_on_each_side(watched):
    """Both moves count; nothing is lost."""
    pair = watched({"a": 6, "b": 0, "c": 0})
    move(pair.remote, "a", "b", range(4))
    move(pair.local, "a", "c", range(2, 6))
    pair.one.sync()
    pair.check({"a": [], "b": body("a", 6, 0, 4), "c": body("a", 6, 2, 6)})


@SIDES
def test_chains(watched, side):
    """From a to b and from b to c at once; from a over b to c; and back to where it was."""
    pair = watched({"a": 9, "b": 9, "c": 9})
    server = pair.remote if side == "remote" else pair.local
    move(server, "b", "c", range(3))
    move(server, "a", "b", range(6))
    move(server, "b", "c", range(6, 9))     # those that came first
    move(server, "c", "a", [0])
    pair.one.sync()
    assert not pair.transferred()
    pair.check({"a": body("a", 9, 6) + body("c", 9, 0, 1),
                "b": body("b", 9, 3) + body("a", 9, 3, 6),
                "c": body("c", 9, 1) + body("b", 9, 0, 3) + body("a", 9, 0, 3)})


def test_with_deletions_and_new_mail(watched):
    pair = watched({"a": 20, "b": 2})
    with connect(pair.remote) as client:
        client.select("a")
        client.expunge(client.uids()[:5])
        client.append_all("b", numbered("new", 7))
    move(pair.remote, "a", "b", range(10))
    pair.one.sync()
    assert len(pair.moved()) == 1
    assert len(pair.here.all("APPEND")) == 1
    pair.check({"a": body("a", 20, 15),
                "b": body("b", 2) + body("new", 7) + body("a", 20, 5, 15)})


def test_twins(watched):
    """The same message several times in one mailbox: all of them are moved, or some."""
    pair = watched({"a": 4, "b": 0, "c": 0})
    twins = list(numbered("twin", 1)) * 3
    with connect(pair.remote) as client:
        client.append_all("a", twins)
    pair.one.sync()
    pair.reset()
    move(pair.remote, "a", "b", range(3, 7))
    pair.one.sync()
    assert not pair.transferred()
    pair.check({"a": body("a", 4, 0, 3), "b": body("a", 4, 3) + digests(twins)})
    # One was moved, one deleted, one stays: which is which cannot be told.
    with connect(pair.remote) as client:
        client.select("b")
        client.expunge(client.uids()[1:2])
    move(pair.remote, "b", "c", [1])
    pair.one.sync()
    pair.check({"b": body("a", 4, 3) + digests(twins[:1]), "c": digests(twins[:1])})


def test_twins_with_other_flags(watched):
    pair = watched({"a": 0, "b": 0})
    (text, _, date), = numbered("twin", 1)
    with connect(pair.remote) as client:
        client.append_all("a", [(text, (), date), (text, ("\\Flagged",), date)])
    pair.one.sync()
    move(pair.remote, "a", "b")
    pair.one.sync()
    pair.check({"a": [], "b": digests([(text, (), date)] * 2)})


def test_without_a_message_id(watched):
    """Only its size and date would tell it from another: it is copied."""
    pair = watched({"a": 0, "b": 0})
    (text, _, date), = numbered("nameless", 1)
    text = re.sub(rb"Message-ID: .*\r\n", b"", text)
    with connect(pair.remote) as client:
        client.append("a", text, date=date)
    pair.one.sync()
    pair.reset()
    move(pair.remote, "a", "b")
    pair.one.sync()
    assert not pair.moved()
    pair.check({"a": [], "b": digests([(text, (), date)])})


def test_into_a_new_mailbox(watched):
    pair = watched({"a": 10})
    with connect(pair.remote) as client:
        client.cmd("CREATE new/one")
    move(pair.remote, "a", "new/one", range(3, 8))
    pair.one.sync()
    assert not pair.transferred()
    assert pair.moved()
    assert sorted(pair.one.mapping("new/one").values()) == [1, 2, 3, 4, 5]
    pair.one.assert_equal(pair.local, pair.remote)
    pair.one.assert_noop(pair.local, pair.remote)


def test_into_an_ignored_mailbox(watched):
    """To the program it is deleted."""
    pair = watched({"a": 10})
    with connect(pair.remote) as client:
        client.cmd("CREATE ignored")
    pair.one.sections[""]["ignore-mailbox"] = "^ignored$"
    pair.one.write()
    move(pair.remote, "a", "ignored", range(3))
    pair.one.sync()
    assert digests_of(pair.local, "a") == sorted(body("a", 10, 3))
    assert digests_of(pair.remote, "ignored") == sorted(body("a", 10, 0, 3))
    pair.one.assert_noop(pair.local, pair.remote)


def test_the_brake_knows_what_was_moved(watched):
    """A mailbox is emptied by moving: nothing is deleted.  By deleting, it is held as ever."""
    pair = watched({"a": 150, "b": 0})
    move(pair.remote, "a", "b")
    pair.one.sync()
    pair.check({"a": [], "b": body("a", 150)})
    with connect(pair.remote) as client:
        client.select("b")
        client.expunge(client.uids())
        client.append_all("a", numbered("new", 3))
    held = pair.one.run()
    assert held.code != 0 and "150 of 150 messages disappeared" in held.err
    assert digests_of(pair.local, "b") == sorted(body("a", 150))


def test_a_server_without_move(watched):
    """COPY, and an expunge: no body crosses, and the brake does not take it for deletions."""
    pair = watched({"a": 150, "b": 1})
    pair.here.hidden = ("MOVE",)
    move(pair.remote, "a", "b")
    pair.one.sync()
    assert not pair.transferred()
    assert pair.here.all("UID COPY") and not pair.here.all("UID MOVE")
    pair.check({"a": [], "b": body("b", 1) + body("a", 150)})


def test_refused(watched):
    """The local server refuses: the messages are copied."""
    pair = watched({"a": 8, "b": 1})
    pair.here.answer("UID MOVE", b"NO [CANNOT] not today", times=99)
    move(pair.remote, "a", "b", range(5))
    pair.one.sync()
    assert len(pair.here.all("UID MOVE")) == 1
    assert len(pair.here.all("APPEND")) == 1
    pair.check({"a": body("a", 8, 5), "b": body("b", 1) + body("a", 8, 0, 5)})


def test_at_most_so_many_turns(watched):
    """Deletions alone, or new mail alone, ask the other side for nothing."""
    pair = watched({"a": 20, "b": 20})
    with connect(pair.remote) as client:
        for name in "ab":
            client.select(name)
            client.expunge(client.uids()[:3])
    pair.one.sync()
    assert not pair.here.all("UID FETCH")
    with connect(pair.remote) as client:
        for name in "ab":
            client.append_all(name, numbered(f"new {name}", 2))
    pair.reset()
    pair.one.sync()
    assert not [line for line in pair.here.sent if "RFC822.SIZE" in line]


# Killed.

@SIDES
@pytest.mark.parametrize("way", ["AT", "AFTER"])
def test_killed_at_any_commit(watched, side, way):
    """Each message is once on either side, whenever the program died."""
    pair = watched({"a": 12, "b": 3, "c": 3})
    server = pair.remote if side == "remote" else pair.local
    boxes = {"a": body("a", 12), "b": body("b", 3), "c": body("c", 3)}
    killed = 0
    for number in range(1, 10):
        source, target = ("a", "b") if number % 2 else ("b", "a")
        move(server, source, target, flags=["\\Flagged"] if number == 4 else ())
        move(server, "c" if number % 2 else "a", "a" if number % 2 else "c", range(2))
        ended = pair.one.run(env={f"INTERIMAP_CRASH_{way}_COMMIT": str(number)})
        killed += ended.code != 0
        pair.one.sync()
        pair.one.sync()
        pair.one.assert_equal(pair.local, pair.remote)
        with connect(server) as client:
            assert sum(len(client.snapshot(name)) for name in boxes) == 18
        pair.pairs(boxes)
        pair.one.assert_noop(pair.local, pair.remote)
    assert killed > 3


@SIDES
def test_an_answer_that_never_comes(watched, side):
    """The messages are moved, and the program dies before it hears of it."""
    pair = watched({"a": 12, "b": 3})
    server, tap = (pair.remote, pair.here) if side == "remote" else (pair.local, pair.there)
    move(server, "a", "b", range(7))
    tap.mute("UID MOVE")
    running = pair.one.start()
    eventually(lambda: tap.all("UID MOVE"), 20)
    other = pair.local if side == "remote" else pair.remote
    eventually(lambda: len(digests_of(other, "b")) == 10, 20)
    running.kill()
    tap.muted.clear()
    pair.reset()
    pair.one.sync()
    assert not pair.transferred()
    pair.check({"a": body("a", 12, 7), "b": body("b", 3) + body("a", 12, 0, 7)})


# The service.

@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_service(make, tls):
    service = make({"INBOX": 10, "a": 40, "b": 5}, tls)
    move(service.remote, "a", "b", range(10, 30))
    carried = service.settle({"a": body("a", 40, 0, 10) + body("a", 40, 30),
                              "b": body("b", 5) + body("a", 40, 10, 30)})
    assert carried < 20 * 1000
    if not tls:
        assert_nothing_downloaded(service.relay)


def test_service_into_a_new_mailbox(make):
    service = make({"INBOX": 10, "a": 30})
    with service.there() as there:
        there.cmd("CREATE made")
        there.select("a")
        there.cmd("UID MOVE 1:20 made")
    service.settle({"a": body("a", 30, 20), "made": body("a", 30, 0, 20)})
    assert_nothing_downloaded(service.relay)


def test_service_copy_and_expunge(make):
    """As clients do that know no MOVE."""
    service = make({"INBOX": 10, "a": 30})
    with service.there() as there:
        there.select("a")
        there.cmd("UID COPY 5:9 INBOX")
        there.expunge(range(5, 10))
    service.settle({"INBOX": body("INBOX", 10) + body("a", 30, 4, 9),
                    "a": body("a", 30, 0, 4) + body("a", 30, 9)})
    assert_nothing_downloaded(service.relay)


def test_service_past_the_proxy(make):
    """Moved in the store by a client that does not use the proxy."""
    service = make({"INBOX": 10, "a": 30})
    with service.store() as here:
        here.select("a")
        here.cmd("UID MOVE 5:9 INBOX")
    service.settle({"INBOX": body("INBOX", 10) + body("a", 30, 4, 9),
                    "a": body("a", 30, 0, 4) + body("a", 30, 9)})
    assert service.relay.all("UID MOVE")
    assert_nothing_downloaded(service.relay)


def test_service_without_notify(make):
    """The INBOX is watched by IDLE, and what has gone from it is looked for elsewhere."""
    service = make({"INBOX": 20, "a": 3}, hidden=("NOTIFY",))
    move(service.remote, "INBOX", "a", range(5))
    service.settle({"INBOX": body("INBOX", 20, 5), "a": body("a", 3) + body("INBOX", 20, 0, 5)})
    assert_nothing_downloaded(service.relay)


def test_a_deletion_is_not_kept_back(make):
    """Nothing is new anywhere: it is deleted within a second and a half, as it was before."""
    service = make({"INBOX": 10, "a": 30})
    with service.store() as here, service.there() as there:
        there.select("a")
        there.expunge([7])
        took = eventually(lambda: counts(here)[0][("a",)] == 29, 1.5)
    print("seconds:", took)


def test_move_of_5000(make):
    service = make({"a": 5000, "b": 10}, True, release())
    move(service.remote, "a", "b")

    def there():
        with service.store() as here:
            return counts(here)[0] == {("INBOX",): 0, ("a",): 0, ("b",): 5010}

    print("seconds:", eventually(there, 60))
    carried = service.settle({"a": [], "b": body("a", 5000) + body("b", 10)})
    print("bytes on the connection:", carried)
    assert carried < 400_000
