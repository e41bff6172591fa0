# SPDX-License-Identifier: MIT
"""Messages that somebody else moves: they are moved on the other side too, and no body crosses.

Somebody who works at the remote server, or at the local one but not through the proxy, leaves
messages that are gone in one mailbox and new in another.  What shows that the program saw through
it are the commands and the bytes on both connections.
"""

import re

import pytest

from .imap import uid_set
from .inline import CountingRelay, Service, Tap, counts, digests, eventually, fill, numbered
from .interimap import connect, imap, release


def body(name, count, begin=0, end=None):
    """What identifies messages begin..end of a mailbox that was filled with `count`."""
    return digests(list(numbered(name, count))[begin:end])


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


@pytest.fixture
def make(interimap, dovecot):
    """make({name: how many}, tls=False, binary=None) -> the service, with the embedded store, in
    step and at rest."""
    made = []

    def begin(boxes, tls=False, binary=None, hidden=()):
        remote = dovecot("remote", separator=".", format="sdbox", compress=tls)
        fill(remote, boxes)
        relay = CountingRelay(remote.tls_port) if tls else Tap(remote.port, hidden)
        service = Service(interimap, remote, relay.start(), tls, binary)
        made.append(service)
        service.begin()
        service.running.wait_for("up to date", timeout=120)
        assert service.equal()
        service.quiet()
        service.relay.reset()
        return service

    yield begin
    for service in made:
        if service.running.poll() is None:
            service.running.kill()
        service.relay.stop()


def assert_nothing_downloaded(relay):
    asked = [line for line in relay.sent if re.search(r"BODY(\.PEEK)?\[\]", line)]
    assert not asked, asked[:5]
    assert not relay.all("APPEND"), relay.all("APPEND")[:5]


SIDES = pytest.mark.parametrize("side", ["remote", "local"])


# One run.

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


def test_move_of_5000(make):
    service = make({"a": 5000, "b": 10}, True, release())
    move(service.remote, "a", "b")

    def there():
        with service.store() as here:
            return counts(here)[0] == {("INBOX",): 0, ("a",): 0, ("b",): 5010}

    print("seconds:", eventually(there, 15))
    carried = service.settle({"a": [], "b": body("a", 5000) + body("b", 10)})
    print("bytes on the connection:", carried)
    assert carried < 400_000
