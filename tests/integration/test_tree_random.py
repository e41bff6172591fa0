# SPDX-License-Identifier: MIT
"""Clients on both sides change the tree at once: no message is lost, and both trees end the same, or
each mailbox that differs is named, in `--status` or in the log; and one command, pasted, resolves all
that is left.

Each round has its seed, and each client its own sequence of commands; how these interleave is up to
the machine.  Half of the names are never deleted by any client, but renamed among each other: each
message that was delivered under one of them must be on both sides in the end, whatever its mailbox is
called then.  The others are deleted with what they hold, and only by clients.
"""

import json
import os
import random
import re
import threading
import time

import pytest

from .advice import advised, paste
from .imap import ImapError
from .inline import differing, digests, eventually, numbered
from .interimap import release

PATIENCE = 400      # seconds for what hundreds of refused and replayed commands take
SEED = int(os.environ.get("INTERIMAP_TREE_SEED", "7"))


class Client(threading.Thread):
    """Creates, deletes, renames, subscribes and delivers until the time is over."""

    def __init__(self, connect, seed, names, until):
        super().__init__(daemon=True)
        self.connect, self.until = connect, until
        self.kept, self.passing = names
        self.rng = random.Random(seed)
        self.seed = seed
        self.delivered = []     # bodies, in mailboxes that nobody deletes
        self.appended = 0
        self.failure = None

    def run(self):
        try:
            with self.connect() as client:
                while time.monotonic() < self.until:
                    self.act(client)
        except (ImapError, OSError) as error:
            self.failure = error

    def act(self, client):
        names = self.rng.choice([self.kept, self.passing])
        verb = self.rng.choices(["CREATE", "DELETE", "RENAME", "SUBSCRIBE", "UNSUBSCRIBE", "APPEND"],
                                [6, 3, 2, 2, 1, 4])[0]
        name = self.rng.choice(names)
        if verb == "APPEND":
            self.append(client, name, names is self.kept)
        elif verb == "RENAME":
            client.cmd(verb, name, self.rng.choice(names), check=False)
        elif verb != "DELETE" or names is self.passing:
            client.cmd(verb, name, check=False)

    def append(self, client, name, kept):
        message = next(numbered(f"{self.seed}.{self.appended}", 1, 300))
        self.appended += 1
        if client.append(name, *message, check=False).status == "OK" and kept:
            self.delivered += digests([message])


def play(make, clients, names, seconds, seed):
    service = make({"first": 5}, binary=release())
    until = time.monotonic() + seconds
    pool = [[f"{kind}{number}" for number in range(names // 2)] for kind in "km"]
    players = [Client(connect, seed * 1000 + 2 * number + side, pool, until)
               for number in range(clients) for side, connect in enumerate(
                   (service.client, service.there))]
    for player in players:
        player.start()
    for player in players:
        player.join()
    return service, players


def status(service):
    return json.loads(service.one.run("--status=json").out)


def rest(service):
    """Wait until both sides are connected and nothing more happens: what Dovecot left out is looked
    for after eight seconds, and its processes may end where many change its list of mailboxes."""
    for _ in range(2):
        eventually(lambda: {status(service)[side]["state"] for side in ("local", "remote")} ==
                   {"connected"}, 60)
        service.quiet(10, PATIENCE)


def lost(players, *sides):
    """Messages that were delivered, and that one of the sides does not have."""
    return [digest for side in sides for player in players
            for have in [{digest for box in side.values() for digest, _, _ in box.values()}]
            for digest in player.delivered if digest not in have]


def resolve(service):
    """With what --status says, all at once.  What clients did behind that may need a decision then."""
    for _ in range(4):
        told = status(service)
        waiting = [box for box in told["mailboxes"] if box["reason"]]
        if len(waiting) > 1:
            assert told["resolve_all"] in service.running.err()
            assert paste(service.one, told["resolve_all"]).returncode == 0
        elif waiting:
            assert paste(service.one, advised(waiting[0]["reason"])[0]).returncode == 0
        rest(service)
        if service.equal():
            return
    raise AssertionError(service.running.err()[-6000:])


@pytest.mark.parametrize("clients,names,seconds", [
    pytest.param(3, 24, 4, marks=pytest.mark.timeout(900)),
    pytest.param(10, 400, 60, marks=[pytest.mark.full, pytest.mark.timeout(1800)]),
], ids=["sample", "full"])
def test_trees_changed_on_both_sides(make, clients, names, seconds):
    service, players = play(make, clients, names, seconds, SEED)
    rest(service)
    (local, _), (remote, _) = service.look()
    told = status(service)
    waiting = [box for box in told["mailboxes"] if box["reason"]]
    # What is in the way of a mailbox is named in its reason.
    named = {word for box in waiting for word in [box["name"], *re.findall(r"\w+", box["reason"])]}
    differences = differing(local, remote)
    unnamed = [line for line in differences if line.split(":")[0] not in named]
    print(f"{sum(player.appended for player in players)} delivered; {len(differences)} differences, "
          f"of which {len(unnamed)} are not named; {len(waiting)} wait for a person")
    both = {**{(0, name): box for name, box in local.items()},
            **{(1, name): box for name, box in remote.items()}}
    assert not lost(players, both), service.running.err()[-6000:]
    assert not unnamed, "\n".join([*unnamed, service.running.err()[-6000:]])
    resolve(service)
    service.stop()
    assert service.one.run().code == 0
    (local, _), (remote, _) = service.look()
    assert not differing(local, remote)
    assert not lost(players, local, remote)
