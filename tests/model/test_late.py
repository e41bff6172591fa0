# SPDX-License-Identifier: MIT
"""The worst moment to be killed: what had been sent arrives only after the next run is over.

A relay holds back what the program sent, as a network or a slow server may.  The program is killed,
the next run copies anew what did not arrive, and then the relay lets go.
"""

import collections
import os
import random
import signal
import time

import pytest

from integration import processes
from integration.interimap import connect, imap, imaps
from integration.turns import CuttingRelay

from .test_kill import contents, fill
from .world import open_intents

MESSAGES = 300


class HoldingRelay(CuttingRelay):
    """Passes nothing on any more when the client has sent `after` bytes, until go_on()."""

    def __init__(self, target, after):
        super().__init__(target)
        self.after = after
        self.held = False

    def _allow(self, direction, size):
        allowed = super()._allow(direction, size)
        if self.passed["up"] >= self.after and not self.held:
            self.held = True
            self.hang()     # what was read just now stays in here
        return allowed


class Held:
    """A copy from one side to the other, through relays in front of the target."""

    def __init__(self, pair, interimap, target):
        self.local, self.remote = pair
        self.source, self.target = pair if target == "remote" else pair[::-1]
        self.side = target
        self.direct = {"local": imap(self.local), "remote": imaps(self.remote)}
        self.relays = []
        self.one = interimap(self.direct["local"], self.direct["remote"])

    def relay(self, after):
        port = self.target.tls_port if self.side == "remote" else self.target.port
        self.relays.append(HoldingRelay(port, after).start())
        return self.relays[-1]

    def close(self):
        for relay in self.relays:
            relay.stop()

    def through(self, port=None):
        """Connect to the target through the relay, or else directly."""
        make = imaps if self.side == "remote" else imap
        self.one.sections[self.side] = make(self.target, port=port)
        self.one.write()

    def kill_in_flight(self, after):
        """A run that is killed when it has sent what it can, after `after` bytes into nothing."""
        relay = self.relay(after)
        self.through(relay.port)
        running = self.one.start()
        limit = time.monotonic() + 20
        while not relay.held:
            assert running.poll() is None and time.monotonic() < limit, running.err()
            time.sleep(0.002)
        working = processes.Activity(lambda: [running.pid])
        working.worked()
        quiet = time.monotonic()
        while time.monotonic() < quiet + 0.3:
            if working.worked():
                quiet = time.monotonic()
            time.sleep(0.02)
        os.kill(running.pid, signal.SIGKILL)
        assert running.wait().code == -signal.SIGKILL
        self.through()

    def count(self):
        with connect(self.target) as client:
            return client.status("INBOX")["MESSAGES"]

    def let_go(self):
        """What was held back arrives; how many messages that were."""
        before = self.count()
        for relay in self.relays:
            relay.go_on()
        limit = time.monotonic() + 20
        seen, quiet = before, time.monotonic()
        # Something does arrive; a busy machine may take its time until then.
        while time.monotonic() < (limit if seen == before else min(limit, quiet + 0.5)):
            if (now := self.count()) != seen:
                seen, quiet = now, time.monotonic()
            time.sleep(0.02)
        return seen - before

    def check(self, expected):
        for dovecot in (self.local, self.remote):
            with connect(dovecot) as client:
                found = collections.Counter(client.snapshot("INBOX").values())
            assert found == expected, (f"{dovecot.path}: {sum((expected - found).values())} "
                                       f"missing, {sum((found - expected).values())} too many")
        assert open_intents(self.one) == 0


@pytest.fixture
def held(pair, interimap, request):
    one = Held(pair, interimap, request.param)
    yield one
    one.close()


@pytest.mark.parametrize("held", ["local", "remote"], indirect=True)
def test_arrivals_after_the_next_run(held):
    batch = fill("x", "INBOX", random.Random(1), MESSAGES)
    with connect(held.source) as client:
        client.append_all("INBOX", batch)
    held.kill_in_flight(3000)
    held.one.sync()
    held.check(contents(batch))
    late = held.let_go()
    assert late > 0, "nothing arrived late: the test shows nothing"
    print(f"{late} messages arrived late")
    held.one.sync()
    held.check(contents(batch))
    held.one.assert_noop(held.local, held.remote)


@pytest.mark.parametrize("held", ["remote"], indirect=True)
def test_arrivals_of_two_runs(held):
    """Killed twice, and everything arrives at once, before the run that is undisturbed."""
    batch = fill("x", "INBOX", random.Random(2), MESSAGES)
    with connect(held.source) as client:
        client.append_all("INBOX", batch)
    held.kill_in_flight(3000)
    held.kill_in_flight(3000)
    assert held.let_go() > 0
    held.one.sync()
    held.check(contents(batch))
    held.one.assert_noop(held.local, held.remote)
