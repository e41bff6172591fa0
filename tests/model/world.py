# SPDX-License-Identifier: MIT
"""What two accounts hold, and what a run must make of it: the rules of synchronisation once more.

Written without a look at the program, so that the two check each other.  A message is identified
on its side by its UID; which UID is which on the other side is read from the program's database,
and every such pair must hold the same.
"""

import datetime
import hashlib
from dataclasses import dataclass, field

from integration.imap import quote, split_name


@dataclass(frozen=True)
class Seen:
    """A message on one side."""

    digest: str
    date: int
    flags: frozenset
    modseq: int

    @property
    def content(self):
        return self.digest, self.date, self.flags

    def __str__(self):
        return f"{self.digest[:10]} {self.date} ({' '.join(sorted(self.flags))})"


@dataclass
class Account:
    """name (its levels) -> uid -> Seen; and the names that are subscribed."""

    boxes: dict = field(default_factory=dict)
    subscribed: set = field(default_factory=set)


@dataclass
class World:
    """Both accounts after a run, and which message is which: name -> local UID -> remote UID."""

    local: Account = field(default_factory=Account)
    remote: Account = field(default_factory=Account)
    pairs: dict = field(default_factory=dict)


def look(client, separator):
    """The whole account behind a test client, fetched in two turns."""
    account = Account()
    names = []
    for wire, attributes in client.list().items():
        if attributes & {"\\noselect", "\\nonexistent"}:
            continue
        name = split_name(wire, separator)
        names.append((name, wire))
        if "\\subscribed" in attributes:
            account.subscribed.add(name)
    tags = []
    for _, wire in names:
        tags.append((client.send("EXAMINE", quote(wire)), client.send(
            "UID FETCH 1:* (UID FLAGS INTERNALDATE MODSEQ BODY.PEEK[])")))
    for (name, _), (opened, fetched) in zip(names, tags):
        client.wait(opened)
        account.boxes[name] = _messages(client.wait(fetched))
    client.cmd("UNSELECT")
    return account


def _messages(reply):
    found = {}
    for response in reply.of("FETCH"):
        words = response[2]
        items = {words[i]: words[i + 1] for i in range(0, len(words), 2)}
        if "BODY[]" not in items:
            continue
        date = datetime.datetime.strptime(items["INTERNALDATE"].decode().strip(),
                                          "%d-%b-%Y %H:%M:%S %z")
        found[int(items["UID"])] = Seen(
            hashlib.sha256(items["BODY[]"]).hexdigest(), int(date.timestamp()),
            frozenset(flag.lower() for flag in items["FLAGS"]) - {"\\recent"},
            int(items["MODSEQ"][0]))
    return found


def open_intents(one):
    """How many copies the program's database still holds to be under way."""
    if not one.query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'intent'"):
        return 0
    return one.query("SELECT count(*) FROM intent")[0][0]


def merged_flags(base, local, remote):
    """Flags of a pair; each argument is a Seen, `base` a pair of them."""
    local_changed = local.modseq != base[0].modseq
    remote_changed = remote.modseq != base[1].modseq
    if local_changed and remote_changed:
        return local.flags | remote.flags
    return local.flags if local_changed else remote.flags


def expected_subscriptions(base, local, remote):
    """Subscribed if either side is, while unknown; else the side that changed has it its way."""
    wanted = set()
    for name in set(local.boxes) | set(remote.boxes):
        here, there = name in local.subscribed, name in remote.subscribed
        if name not in base.local.boxes or name not in base.remote.boxes:
            now = here or there
        else:
            was = name in base.local.subscribed
            now = here if here != was else there
        if now:
            wanted.add(name)
    return wanted


def _describe(name):
    return "/".join(name)


class Check:
    """Compares the world after a run with what had to come of the world before it.

    `base` is the world after the last run; `local` and `remote` are the accounts right before
    this one; `after` is the world that it left.  `problems` are sentences; [] if all is well.
    """

    def __init__(self, base, local, remote, after):
        self.base, self.local, self.remote, self.after = base, local, remote, after
        self.problems = []
        self._accounts()
        for name in set(local.boxes) | set(remote.boxes):
            if name in after.local.boxes and name in after.remote.boxes:
                self._mailbox(name)

    def _is(self, found, wanted, what):
        if found != wanted:
            self.problems.append(f"{what}: {found} instead of {wanted}")

    def _accounts(self):
        names = sorted(map(_describe, set(self.local.boxes) | set(self.remote.boxes)))
        wanted = expected_subscriptions(self.base, self.local, self.remote)
        subscribed = sorted(map(_describe, wanted))
        for side, account in (("local", self.after.local), ("remote", self.after.remote)):
            self._is(sorted(map(_describe, account.boxes)), names, f"{side} mailboxes")
            self._is(sorted(map(_describe, account.subscribed)), subscribed,
                     f"{side} subscriptions")

    def _mailbox(self, name):
        mapping = self.after.pairs.get(name, {})
        local, remote = self.after.local.boxes[name], self.after.remote.boxes[name]
        what = _describe(name)
        self._is(sorted(mapping), sorted(local), f"{what}: mapped local UIDs")
        self._is(sorted(mapping.values()), sorted(remote), f"{what}: mapped remote UIDs")
        for here, there in mapping.items():
            if here in local and there in remote and local[here].content != remote[there].content:
                self.problems.append(f"{what}: local {here} is {local[here]}, "
                                     f"remote {there} is {remote[there]}")
        wanted = self._old(name)
        new = self._new(name, "local", self.local, local)
        new += self._new(name, "remote", self.remote, remote)
        if not self.problems:
            self._is(len(mapping), wanted + new, f"{what}: number of messages")

    def _old(self, name):
        """Pairs of the last run that must still be there; their number."""
        what = _describe(name)
        count = 0
        for here, there in self.base.pairs.get(name, {}).items():
            local = self.local.boxes.get(name, {}).get(here)
            remote = self.remote.boxes.get(name, {}).get(there)
            if local is None or remote is None:
                if here in self.after.local.boxes[name] or there in self.after.remote.boxes[name]:
                    self.problems.append(f"{what}: {here}/{there} was expunged on one side only")
                continue
            count += 1
            base = (self.base.local.boxes[name][here], self.base.remote.boxes[name][there])
            wanted = (local.digest, local.date, merged_flags(base, local, remote))
            self._is(self.after.pairs.get(name, {}).get(here), there, f"{what}: twin of {here}")
            for side, boxes, uid in (("local", self.after.local.boxes, here),
                                     ("remote", self.after.remote.boxes, there)):
                found = boxes[name].get(uid)
                if found is None:
                    self.problems.append(f"{what}: {side} {uid} is lost")
                elif found.content != wanted:
                    self.problems.append(
                        f"{what}: {side} {uid} is {found} instead of "
                        f"({' '.join(sorted(wanted[2]))}); before: local {base[0]} -> {local}, "
                        f"remote {base[1]} -> {remote}")
        return count

    def _new(self, name, side, account, after):
        """Messages that came on one side since the last run; their number."""
        pairs = self.base.pairs.get(name, {})
        known = set(pairs) if side == "local" else set(pairs.values())
        count = 0
        for uid, message in account.boxes.get(name, {}).items():
            if uid in known:
                continue
            count += 1
            found = after.get(uid)
            if found is None or not self._is_that(found, message, side):
                self.problems.append(f"{_describe(name)}: new {side} {uid} was {message}, "
                                     f"is {found}")
        return count

    def _is_that(self, found, message, side):
        """What was moved has, besides its own flags, those that the other side gave it meanwhile
        where it had been."""
        if found.content == message.content:
            return True
        other = self.remote if side == "local" else self.local
        given = set().union(*(twin.flags for boxes in other.boxes.values()
                              for twin in boxes.values() if twin.digest == message.digest))
        return (found.digest, found.date) == (message.digest, message.date) and (
            message.flags <= found.flags <= message.flags | given)
