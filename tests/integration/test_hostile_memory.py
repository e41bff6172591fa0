# SPDX-License-Identifier: MIT
"""Memory does not grow with what a server says beyond what it was asked for, or had declared.

Of the release build: the sanitizers have a memory of their own.
"""

import os
import re
import resource
import zlib

import pytest

from .fake import Box, Fake
from .interimap import connect, release

MOST = 24 << 10     # KiB resident at any time, as for honest servers (test_memory.py)
MIB = 1 << 20

SECTION = {"type": "imap", "host": "127.0.0.1", "STARTTLS": "NO", "username": "user",
           "password": "secret", "compress": "NO"}


def message(number, size):
    head = (f"From: eve@example.org\r\nSubject: number {number}\r\n"
            f"Message-ID: <{number}@hostile.example.org>\r\n\r\n").encode()
    return head + (b"x" * 70 + b"\r\n") * (max(0, size - len(head)) // 72)


def declare(server, sizes):
    """RFC822.SIZE as in `sizes` ({uid: bytes}, or a number for all) instead of what it is."""
    def fetch(connection, tag, words):
        items = words[1] if isinstance(words[1], list) else [words[1]]
        if "RFC822.SIZE" not in items:
            return False
        rest = [item for item in items if item != "RFC822.SIZE"]
        for uid in connection._uids(words[0]):
            size = sizes if isinstance(sizes, int) else sizes.get(uid)
            if size is None:
                connection._fetched(uid, items)
                continue
            say, said = connection.say, []
            connection.say = said.append
            connection._fetched(uid, rest)
            connection.say = say
            say(said[0][:-1] + b" RFC822.SIZE %d)" % size)
        connection.ok(tag)
        return True

    server.answers["UID FETCH"] = fetch


@pytest.fixture
def remote():
    with Fake({"INBOX": Box()}) as server:
        yield server


@pytest.fixture
def begin(dovecot, interimap, remote):
    """begin() -> (local, Interimap) with the remote as it is by then."""
    def make():
        local = dovecot("local", separator="/", format="mdbox")
        return local, interimap(local, {**SECTION, "port": remote.port}, binary=release())
    return make


def count(dovecot):
    with connect(dovecot) as client:
        return client.status("INBOX")["MESSAGES"]


def test_sizes_that_are_lies(remote, begin):
    """RFC822.SIZE 1 with bodies of 1 MiB, the first withheld: the credit counted declared bytes, so
    a thousand of them were asked for and held, 1 GB of memory."""
    box = remote.boxes["INBOX"]
    for number in range(60):
        box.add(message(number, MIB - 4096))
    declare(remote, 1)
    metadata, withheld = remote.answers["UID FETCH"], []

    def fetch(connection, tag, words):
        if metadata(connection, tag, words):
            return True
        if withheld or "1" not in re.split("[,:]", words[0]):
            return False
        withheld.append(words[0])
        for uid in connection._uids(words[0])[1:]:
            connection._fetched(uid, ["BODY.PEEK[]"])
        connection.ok(tag)
        return True

    remote.answers["UID FETCH"] = fetch
    local, one = begin()
    result = one.sync()
    assert withheld
    assert result.maxrss < MOST
    assert count(local) == len(box.mails) == 60
    one.assert_noop(local, local)
    assert sorted(one.mapping("INBOX").values()) == sorted(box.mails)


def test_answers_that_nobody_asked_for(remote, begin):
    """One FETCH of metadata was answered for 1.56 million UIDs, and each was kept: 240 MB."""
    box = remote.boxes["INBOX"]
    for number in range(3):
        box.add(message(number, 2000))
    flooded = []

    def fetch(connection, tag, words):
        if "RFC822.SIZE" not in words[1]:
            return False
        line = (b'* %d FETCH (UID %d FLAGS () INTERNALDATE "01-Feb-2021 10:00:00 +0000"'
                b' RFC822.SIZE 2000 BODY[HEADER.FIELDS (MESSAGE-ID)] {2}\r\n\r\n)')
        for first in range(1000, 400_000, 1000):
            connection.say(*(line % (uid, uid) for uid in range(first, first + 1000)))
        for _ in range(100):    # and what was asked for, again and again
            connection.say(*(line % (uid, uid) for uid in (1, 2, 3) for _ in range(300)))
        flooded.append(words)
        return False

    remote.answers["UID FETCH"] = fetch
    local, one = begin()
    result = one.run()
    assert flooded
    assert result.maxrss < MOST
    assert count(local) == len(box.mails) == 3
    remote.answers.clear()
    one.sync()
    one.assert_noop(local, local)
    assert len(one.mapping("INBOX")) == count(local) == 3


def test_a_body_without_end(remote, begin):
    """A message declared with 9 bytes came as a literal of gigabytes, and was written on and on.  That
    message is given up, by name; the connection and the other messages are not."""
    box = remote.boxes["INBOX"]
    for number in range(5):
        box.add(message(number, 2000))
    huge = box.add(message(5, 20 * MIB))
    box.add(message(6, 2000))
    declare(remote, {huge: 9})
    local, one = begin()
    folder = os.path.join(one.folder, "spools")
    os.mkdir(folder)
    result = one.run(env={"TMPDIR": folder})
    assert result.code != 0
    assert re.search(rf"remote.*UID {huge}, 9 bytes.*sends \d{{8}} bytes", result.err), result.err
    assert result.maxrss < MOST
    assert count(local) == 6
    assert len(remote.connections) == 1
    assert huge in box.mails and len(box.mails) == 7

    remote.answers.clear()
    one.sync("--repair")
    assert count(local) == 7
    one.assert_noop(local, local)


@pytest.mark.parametrize("size", [1 << 32, (1 << 63) - 1, 1 << 63, 1 << 64])
def test_a_body_of_impossible_size(remote, begin, size):
    """What is too long even to be passed over ends the connection at its announcement."""
    box = remote.boxes["INBOX"]
    box.add(message(0, 2000))

    def fetch(connection, tag, words):
        if "RFC822.SIZE" in words[1]:
            return False
        connection.say(b"* 1 FETCH (UID 1 BODY[] {%d}" % size)
        connection.say(b"x" * 100000)
        return True

    remote.answers["UID FETCH"] = fetch
    local, one = begin()
    result = one.run(timeout=20)
    assert result.code != 0
    assert re.search(r"^remote.*: ERROR: .*(bytes|impossible size)", result.err, re.MULTILINE), result.err
    assert result.maxrss < MOST
    assert count(local) == 0 and len(box.mails) == 1
    remote.answers.clear()
    one.make_due()
    one.sync()
    assert count(local) == len(box.mails) == 1
    one.assert_noop(local, local)


# Compression: what comes over the network is a thousandth of it.

class _Deflated:
    """The socket of a Connection, from COMPRESS=DEFLATE on (RFC 4978)."""

    def __init__(self, plain):
        self.plain = plain
        self.out = zlib.compressobj(9, zlib.DEFLATED, -15)
        self.into = zlib.decompressobj(-15)

    def sendall(self, data):
        self.plain.sendall(self.out.compress(data) + self.out.flush(zlib.Z_SYNC_FLUSH))

    def recv(self, size):
        while data := self.plain.recv(size):
            if got := self.into.decompress(data):
                return got
        return b""

    def __getattr__(self, name):
        return getattr(self.plain, name)


def compress(connection, tag, _words):
    connection.ok(tag)
    connection.socket = _Deflated(connection.socket)
    return True


BOMB = 200 * MIB
BOMBS = {
    "a line": (b"* 1 FETCH (UID 1 X", b"x", r"remote.*: ERROR: .*too long"),
    "a line of numbers": (b"* VANISHED 1", b",1", r"remote.*: ERROR: .*too long"),
    "a message": (b"* 1 FETCH (UID 1 BODY[] {%d}\r\n" % BOMB, b"y", r"remote.*UID 1,.*sends \d{9} bytes"),
    "empty lines": (b"", b"\r\n", r"remote.*: ERROR: .*only empty lines"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_compression_bomb(remote, begin, bomb):
    """200 MiB that came as 200 KB: memory and time are those of a server that says nothing of it."""
    head, what, says = BOMBS[bomb]
    box = remote.boxes["INBOX"]
    box.add(message(0, 2000))
    remote.capabilities += " COMPRESS=DEFLATE"

    def fetch(connection, tag, words):
        if "RFC822.SIZE" in words[1]:
            return False
        connection.socket.sendall(head)
        piece = what * (MIB // len(what))
        for _ in range(BOMB // MIB):
            connection.socket.sendall(piece)
        connection.say(b")" if head else b"")
        connection.ok(tag)
        return True

    remote.answers.update({"COMPRESS": compress, "UID FETCH": fetch})
    local, one = begin()
    one.sections["remote"]["compress"] = "YES"
    one.write()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = one.run(timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "COMPRESS" in remote.verbs()
    assert result.code != 0 and re.search(says, result.err), result.err
    assert result.maxrss < MOST + (32 << 10)    # a response may have 16 MiB
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"bomb: {bomb}: {result.maxrss} KiB, {seconds:.2f} s of CPU")
    assert seconds < 10
    assert count(local) == 0 and len(box.mails) == 1
    remote.answers = {"COMPRESS": compress}
    one.sync("--repair")
    assert count(local) == 1
    one.assert_noop(local, local)
