# SPDX-License-Identifier: MIT
"""The end at every step: at the n-th turn of the loop, or the n-th answer of a server, for all n.

A service that was ended, or told to read its files again, in the middle of copies used memory that
it had freed: the runs were given up one by one while others still found them.  So: whatever is
under way, the program ends (or goes on) cleanly, and the next run repairs everything: each message
is there once on both sides, and a further run has nothing to do.
"""

import signal

import pytest

from . import messages
from .imap import quote
from .interimap import connect, imap, proxy_section, state
from .inline import eventually

# What happens at the n-th of what; and how many of them there are, at least, in a run.  (A busy machine
# makes fewer turns: more is there to read in each.)
STEPS = {"turn:TERM": 25, "turn:KILL": 25, "answer:fail": 12, "answer:KILL": 12}
SERVICE_STEPS = {"turn:TERM": 70, "turn:HUP": 70, "answer:fail": 16, "answer:HUP": 16}
LAST = 400


class Account:
    def __init__(self, local, remote, interimap):
        self.sides = local, remote
        self.one = interimap({**imap(local), "compress": "NO"}, {**imap(remote), "compress": "NO"},
                             proxy=proxy_section())
        self.counts = {"INBOX": 0, "box": 0}
        self.steps = 0
        for side in self.sides:
            with connect(side) as client:
                client.cmd("CREATE box")
                self.append(client, "INBOX", 20)
        self.one.sync()

    def append(self, client, name, count):
        self.steps += 1
        client.append_all(name, messages.mix(f"{name} {self.steps}", count))
        self.counts[name] += count

    def change(self):
        """Work of each kind, both ways."""
        for number, side in enumerate(self.sides):
            with connect(side) as client:
                self.append(client, "INBOX", 4)
                self.append(client, "box", 2)
                if self.steps % 5 == 0:
                    client.append("box", messages.of_size(self.steps, 1_100_000))
                    self.counts["box"] += 1
                uids = self.own(client, number)
                client.store(uids[1:3], "+", [r"\Flagged"])
                client.expunge(uids[:1])
                client.cmd(f"UID COPY {uids[-1]} box")
                client.expunge(uids[-1:])
                self.counts["INBOX"] -= 2
                self.counts["box"] += 1

    @staticmethod
    def own(client, number):
        """UIDs of the INBOX that only this side works on: the order differs between the sides."""
        found = client.snapshot("INBOX")
        client.select("INBOX")
        return [uid for uid in sorted(found) if int(found[uid][0][:8], 16) % 2 == number]

    def is_equal(self):
        one, other = map(state, self.sides)
        return one == other

    def assert_repaired(self):
        self.one.sync()
        self.one.assert_equal(*self.sides)
        assert self.found(0) == self.counts
        self.one.assert_noop(*self.sides)

    def found(self, number):
        with connect(self.sides[number]) as client:
            return {name: len(client.uids(name)) for name in self.counts
                    if name in client.list()}

    def has_all(self, number):
        return self.found(number) == self.counts


def fault(how, number):
    event, act = how.split(":")
    return {"INTERIMAP_FAULT": f"{event}:{number}:{act}"}


def end_at(account, how, number):
    """One run that has its end at the n-th step; False if it was over before."""
    account.change()
    result = account.one.run(env=fault(how, number))
    killed = result.code == -signal.SIGKILL
    assert result.code >= 0 or killed, result.err
    over = result.code == 0 and account.is_equal()    # to be terminated is no failure
    account.assert_repaired()
    return not over


@pytest.fixture
def account(pair, interimap):
    return Account(*pair, interimap)


def test_sampled(account):
    for how, number in (("turn:TERM", 31), ("answer:fail", 9)):
        end_at(account, how, number)


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("how", STEPS)
def test_every_step(account, how, record_property):
    over = number = 0
    while over < 3:
        number += 1
        over = 0 if end_at(account, how, number) else over + 1
        assert number < LAST
    record_property("points", number)
    assert number > STEPS[how]


# The service.

def serve_at(account, how, number):
    account.change()
    running = account.one.start("--proxy", env=fault(how, number))
    if "TERM" in how:
        eventually(lambda: running.poll() or all(account.has_all(n) for n in range(2)),
                   30, "it neither ends nor is done")
    else:
        eventually(lambda: all(account.has_all(n) for n in range(2)), 30, running.err())
    result = running.stop()
    assert result.code == 0, result.err
    account.assert_repaired()


def test_sampled_service(account):
    for how, number in (("turn:TERM", 45), ("answer:HUP", 14)):
        serve_at(account, how, number)


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("how", SERVICE_STEPS)
def test_every_step_of_a_service(account, how, record_property):
    for number in range(1, SERVICE_STEPS[how]):
        serve_at(account, how, number)
    record_property("points", SERVICE_STEPS[how] - 1)


def test_hup_again_and_again(account):
    """The release build died on the 19th: two mailboxes had bodies that were not yet appended."""
    for side in account.sides:
        with connect(side) as client:
            for number in range(4):
                name = f"more {side.separator == '/'} {number}"
                client.cmd("CREATE", quote(name))
                account.counts[name] = 0
                account.append(client, name, 60)
    running = account.one.start("--proxy", env=fault("turn:HUP", "20-200"))
    eventually(lambda: running.poll() or all(account.has_all(n) for n in range(2)), 60,
               running.err())
    assert running.stop().code == 0
    account.assert_repaired()
