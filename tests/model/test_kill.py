# SPDX-License-Identifier: MIT
"""SIGKILL at random moments of a copy in both directions: nothing is lost, nothing is doubled.

Only the program is killed; the servers go on with what they have already received, as they
would on a real machine, and the next run begins at once.
"""

import collections
import hashlib
import os
import random
import re
import signal
import time

import pytest

from integration.interimap import connect, imaps

from .seeds import seed
from .world import open_intents

# How many messages in each direction, and how many kills; `tests/run full` does the second, too.
SIZES = [(600, 20), pytest.param(2000, 50, marks=pytest.mark.full)]
PRESENT = 1614859200
FLAGS = ((), ("\\Seen",), ("\\Seen", "\\Answered"), ("$Forwarded",))


def fill(side, mailbox, rng, count):
    """Different messages, but for a twin now and then; some without or with equal Message-IDs."""
    batch = []
    for number in range(count):
        if batch and number % 50 == 0:
            batch.append(batch[-1])
            continue
        name = f"{side}.{mailbox}.{number}.{rng.getrandbits(48):x}"
        ident = {3: "", 5: "Message-ID: <same@example.org>\r\n"}.get(
            number % 10, f"Message-ID: <{name}@example.org>\r\n")
        body = (f"From: a@example.org\r\nSubject: {name}\r\n{ident}\r\n"
                + "line of text\r\n" * rng.choice((0, 3, 20, 200))).encode()
        batch.append((body, FLAGS[number % len(FLAGS)], PRESENT - rng.randrange(10 ** 7)))
    return batch


def contents(batch):
    return collections.Counter(
        (hashlib.sha256(body).hexdigest(), date, frozenset(flag.lower() for flag in flags))
        for body, flags, date in batch)


class Copying:
    """A pair of accounts, and one mailbox after the other to be copied both ways."""

    def __init__(self, one, local, remote, number, messages):
        self.one = one
        self.messages = messages
        self.rng = random.Random(number)
        self.clients = connect(local), connect(remote)
        self.count = 0
        self.mailbox, self.expected = None, None

    def close(self):
        for client in self.clients:
            client.close()

    def begin(self):
        """A new mailbox, with mail of its own on each side."""
        self.count += 1
        self.mailbox = f"copy{self.count}"
        self.expected = collections.Counter()
        for side, client in zip(("local", "remote"), self.clients):
            batch = fill(side, self.mailbox, self.rng, self.messages)
            client.cmd("CREATE", self.mailbox)
            client.append_all(self.mailbox, batch, 500)
            self.expected += contents(batch)

    def kill_after(self, seconds):
        """Start a run and kill it then; False if it was through before."""
        running = self.one.start()
        limit = time.monotonic() + seconds
        while time.monotonic() < limit and running.poll() is None:
            time.sleep(min(0.001, max(0, limit - time.monotonic())))
        if running.poll() is None:
            os.kill(running.pid, signal.SIGKILL)
        result = running.wait()
        assert result.code in (0, -signal.SIGKILL), result.err
        return result.code != 0

    def check(self):
        """Every message exactly once on both sides, and the database knows which is which."""
        self._check_messages()
        self._check_database()

    def _check_messages(self):
        for name, client in zip(("local", "remote"), self.clients):
            found = collections.Counter(client.snapshot(self.mailbox).values())
            missing, extra = self.expected - found, found - self.expected
            if missing or extra:
                raise AssertionError(
                    f"{name} {self.mailbox}: {sum(missing.values())} missing, "
                    f"{sum(extra.values())} too many: {list(missing)[:3]} {list(extra)[:3]}")

    def _check_database(self):
        local, remote = (client.snapshot(self.mailbox) for client in self.clients)
        mapping = self.one.mapping(self.mailbox)
        assert sorted(mapping) == sorted(local)
        assert sorted(mapping.values()) == sorted(remote)
        for here, there in mapping.items():
            assert local[here] == remote[there], f"{self.mailbox}: {here} is not {there}"
        assert open_intents(self.one) == 0


@pytest.mark.timeout(900)
@pytest.mark.parametrize("messages, kill_count", SIZES)
def test_killed_copies(messages, kill_count, interimap, pair):
    local, remote = pair
    number = seed("random")
    print(f"MODEL_SEED={number} (the moments are those of a clock: a seed only gives the delays)")
    one = interimap(local, imaps(remote))
    copying = Copying(one, local, remote, number, messages)
    try:
        copying.begin()
        duration = one.sync().seconds       # undisturbed
        copying.check()
        kills = 0
        while kills < kill_count:
            copying.begin()
            while kills < kill_count and copying.kill_after(copying.rng.uniform(0, duration / 2)):
                kills += 1
            one.sync()
            copying.check()
        opened = [line for line in one.sent() if re.match(r"\w+: \S+ (SELECT|EXAMINE)\b", line)]
        assert not opened, f"a run with nothing to do opened {opened}"
        copying.check()
    finally:
        copying.close()
