# SPDX-License-Identifier: MIT
"""Memory grows neither with the size of a message nor with the number of messages.

Of the release build: the sanitizers have a memory of their own.
"""

import pytest

from . import messages
from .imap import differences
from .interimap import connect, imaps, release, state

MOST = 24 << 10     # KiB resident at any time
ALIKE = 1.2         # largest over smallest
MANY = 20_000       # messages

# What the tests have measured, to be compared in the last of them.
_peaks = {}


def peak(what, result):
    """Notes and checks the peak of one run."""
    print(f"{what}: {result.maxrss} KiB, {result.seconds:.1f} s")
    assert 0 < result.maxrss < MOST, what
    return result.maxrss


@pytest.fixture
def pair(dovecot):
    """(local, remote) that keep many messages in one file: tens of thousands would take minutes."""
    return (dovecot("local", separator=".", format="mdbox"),
            dovecot("remote", separator="/", format="mdbox"))


@pytest.fixture
def one(pair, interimap):
    local, remote = pair
    return interimap(local, imaps(remote), binary=release())


def small(number):
    """A message that is made quickly."""
    return (f"From: ada@example.org\r\nSubject: number {number}\r\n"
            f"Message-ID: <{number}@many.example.org>\r\n\r\n".encode()
            + b"a line of text\r\n" * 30,
            ("\\Seen",) if number % 3 else (), messages.PRESENT - number)


@pytest.mark.parametrize("size", [40, pytest.param(100, marks=pytest.mark.full)])
def test_a_huge_message_each_way(size, pair, one):
    """Of so many MiB: more than MOST."""
    for seed, dovecot in enumerate(pair):
        with connect(dovecot) as client:
            client.append("INBOX", messages.of_size(seed, size << 20))
    _peaks["huge"] = peak(f"a message of {size} MiB each way", one.sync())
    local, remote = map(state, pair)
    assert local.count() == remote.count() == 2
    assert not differences(local, remote)


def count(dovecot):
    with connect(dovecot) as client:
        return client.status("INBOX")["MESSAGES"]


def test_many_messages(pair, one):
    local, remote = pair
    with connect(remote) as client:
        client.append_all("INBOX", map(small, range(MANY)), 2000)
    _peaks["many"] = peak("20,000 messages from the remote server", one.sync(timeout=200))
    assert count(local) == MANY
    peak("nothing to do with 20,000 messages", one.sync())

    with connect(remote) as client:
        client.select("INBOX")
        client.store("1:*", "+", ("\\Flagged",))
    peak("a flag on each of 20,000 messages", one.sync())

    with connect(local) as client:
        client.select("INBOX")
        client.expunge(f"1:{MANY // 3}")
    peak("a third of 20,000 messages expunged", one.sync())
    assert count(remote) == MANY - MANY // 3
    one.assert_equal(local, remote)


def test_both_take_the_same():
    if len(_peaks) < 2:
        pytest.skip("the tests before this one did not both come to their end")
    assert max(_peaks.values()) <= ALIKE * min(_peaks.values()), _peaks
