# SPDX-License-Identifier: MIT
"""The number of round trips does not grow with the number of mailboxes.

Turns are counted, not timed: a relay on the remote connection passes on what the program says
only when it has nothing more to say before it hears an answer (turns.py).
"""

import pytest

from . import messages
from .interimap import connect, imaps

MAILBOXES = 200
NOTHING = 5     # turns of a run with nothing to do: TLS, greeting, login, LIST
WORK = 10       # turns more, whatever is to be done in however many mailboxes
EACH = 3        # messages of each mailbox at the beginning


class Account:
    """One server, and edits that touch each of its mailboxes."""

    def __init__(self, dovecot, names):
        self.client = connect(dovecot)
        self.names = [name.replace("/", dovecot.separator) for name in names]

    def all_at_once(self, commands):
        """Send everything before the first answer is read."""
        tags = [self.client.send(*parts) for parts in commands]
        for tag in tags:
            self.client.wait(tag)

    def create(self):
        self.all_at_once(("CREATE", f'"{name}"') for name in self.names)

    def append(self, seed):
        """One new message in each mailbox."""
        tags = []
        for number, name in enumerate(self.names):
            message = messages.message(f"{seed}/{number}", messages.plain)
            tags.append(self.client.send_append(name, *message))
        for tag in tags:
            self.client.wait(tag)

    def change(self):
        """In each mailbox: a message gets a flag and a new keyword, another one is expunged.

        Dovecot 2.3 overlooks \\Deleted in an EXPUNGE right behind a STORE with a new keyword: with
        the commands in that order each mailbox took another pass.
        """
        for name in self.names:
            self.client.select(name)
            uids = self.client.uids()
            self.client.store(uids[1], "+", ("\\Flagged", "$Label1"))
            self.client.expunge(uids[0])
        self.client.cmd("UNSELECT")


class Counted:
    """A pair of accounts with the same mailboxes and messages, the remote one behind a relay."""

    def __init__(self, pair, interimap, relay, count):
        self.local, self.remote = pair
        # An expunge in each mailbox is a mass of deletions.
        self.one = interimap(self.local, imaps(self.remote), default={"max-deletions": "NO"})
        names = [f"box{number % 7}/m{number}" for number in range(count)]
        self.here, self.there = Account(self.local, names), Account(self.remote, names)
        self.there.create()
        for number in range(EACH):
            self.there.append(f"first {number}")
        self.one.sync()
        self.relay = relay(self.remote.tls_port, server=self.remote.pids, client=self.one.pids)
        self.one.sections["remote"] = imaps(self.remote, port=self.relay.port)
        self.one.write()

    def turns(self, what):
        """Those of one run; its bursts go to the report of a failed test."""
        self.relay.reset()
        self.one.sync()
        assert self.relay.connections == 1
        print(f"{what}: {self.relay.turns} turns: {self.relay.dialogues[0].bursts}")
        return self.relay.turns

    def is_over(self):
        """Both sides are equal, and another run finds nothing to do."""
        self.one.assert_equal(self.local, self.remote)
        self.relay.reset()
        self.one.assert_noop(self.local, self.remote)
        assert self.relay.turns <= NOTHING

    def close(self):
        self.here.client.close()
        self.there.client.close()


@pytest.fixture
def counted(pair, interimap, relay):
    """make(count) -> Counted with so many mailboxes."""
    made = []

    def make(count):
        made.append(Counted(pair, interimap, relay, count))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_turns_do_not_grow_with_the_mailboxes(counted):
    pair = counted(MAILBOXES)
    nothing = pair.turns("nothing to do")
    assert nothing <= NOTHING

    pair.there.append("remote")
    assert pair.turns("a new message in each remote mailbox") <= nothing + WORK
    pair.is_over()

    pair.here.append("local")
    assert pair.turns("a new message in each local mailbox") <= nothing + WORK
    pair.is_over()

    pair.there.change()
    assert pair.turns("a flag and an expunge in each remote mailbox") <= nothing + WORK
    pair.is_over()

    pair.here.change()
    assert pair.turns("a flag and an expunge in each local mailbox") <= nothing + WORK
    pair.is_over()


def test_everything_at_once(counted):
    """All of it, on both sides, in one run."""
    pair = counted(40)
    nothing = pair.turns("nothing to do")
    pair.there.change()
    pair.here.append("local")
    pair.here.change()
    pair.there.append("remote")
    assert pair.turns("everything at once") <= nothing + WORK
    pair.is_over()


def test_the_end_is_not_waited_for(counted):
    """LOGOUT is said, and the program is gone whatever the server answers."""
    pair = counted(1)
    pair.relay.reset()
    pair.one.sync()
    dialogue = pair.relay.dialogues[0]
    answered = sum(asked for asked, _ in dialogue.bursts)
    assert dialogue.up > answered, "nothing was said after the last answer"
