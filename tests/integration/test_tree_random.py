# SPDX-License-Identifier: MIT
"""Clients on both sides change the tree at once: no message is lost, and both trees end the same, or
each mailbox that differs is named, in `--status` or in the log.

Each round has its seed, and each client its own sequence of commands; how these interleave is up to
the machine.  A message is unique, and is only ever removed together with its mailbox by the client
that saw it there: so one that no client removed must be on both sides in the end, or on one side in a
mailbox that is named.
"""

import json
import os
import random
import re
import threading
import time

import pytest

from .imap import ImapError
from .inline import digests, differing, numbered

SEED = int(os.environ.get("INTERIMAP_TREE_SEED", "7"))


class Client(threading.Thread):
    """Creates, deletes, subscribes and delivers until the time is over."""

    def __init__(self, connect, seed, names, until):
        super().__init__(daemon=True)
        self.connect, self.names, self.until = connect, names, until
        self.rng = random.Random(seed)
        self.seed = seed
        self.delivered = {}     # body -> name
        self.deleted = []       # names of mailboxes that were deleted
        self.failure = None

    def run(self):
        try:
            with self.connect() as client:
                while time.monotonic() < self.until:
                    self.act(client)
        except (ImapError, OSError) as error:
            self.failure = error

    def act(self, client):
        name = self.rng.choice(self.names)
        verb = self.rng.choices(["CREATE", "DELETE", "SUBSCRIBE", "UNSUBSCRIBE", "APPEND"],
                                [6, 3, 2, 1, 4])[0]
        if verb == "APPEND":
            message = next(numbered(f"{self.seed}.{len(self.delivered)}", 1, 300))
            if client.append(name, *message, check=False).status == "OK":
                self.delivered[digests([message])[0]] = name
            return
        if client.cmd(verb, name, check=False).status == "OK" and verb == "DELETE":
            self.deleted.append(name)


def play(make, clients, names, seconds, seed):
    service = make({"first": 5})
    until = time.monotonic() + seconds
    pool = [f"m{number}" for number in range(names)]
    players = [Client(connect, seed * 1000 + 2 * number + side, pool, until)
               for number in range(clients) for side, connect in enumerate(
                   (service.client, service.there))]
    for player in players:
        player.start()
    for player in players:
        player.join()
    return service, players


def named(service):
    """The mailboxes that `--status` gives a reason for."""
    status = json.loads(service.one.run("--status=json").out)
    return {box["name"] for box in status["mailboxes"] if box["reason"]}


@pytest.mark.parametrize("clients,names,seconds", [
    (3, 12, 4),
    pytest.param(10, 400, 60, marks=pytest.mark.full),
], ids=["sample", "full"])
def test_trees_changed_on_both_sides(make, clients, names, seconds):
    service, players = play(make, clients, names, seconds, SEED)
    service.quiet(10)           # what Dovecot left out is looked for after eight seconds
    (local, _), (remote, _) = service.look()
    reasons = named(service)
    differences = differing(local, remote)
    said = set(re.findall(r"(\w+)\)?: (?:ERROR|WARNING)", service.running.err()))
    unnamed = [line for line in differences if line.split(":")[0] not in reasons | said]
    print(f"differences: {len(differences)}, of which {len(unnamed)} are not named")
    deleted = {name for player in players for name in player.deleted}
    there = {digest for side in (local, remote) for box in side.values()
             for digest, _, _ in box.values()}
    lost = [name for player in players for digest, name in player.delivered.items()
            if digest not in there and name not in deleted]
    assert not lost, f"{lost}\n{service.running.err()[-6000:]}"
    assert not unnamed, "\n".join([*unnamed, service.running.err()[-6000:]])
    service.stop()
