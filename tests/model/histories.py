# SPDX-License-Identifier: MIT
"""A random history of two accounts: edits on both sides, a run, a look at what came of it."""

import collections
import random
import re

from integration import messages
from integration.imap import flag_list, quote, uid_set
from integration.interimap import connect

from .world import Account, Check, World, look, open_intents

FLAGS = ("\\Seen", "\\Answered", "\\Flagged", "\\Draft", "\\Deleted", "$Forwarded", "NonJunk",
         "todo", "Kw-Mixed.Case")
NAMES = (("Work",), ("Work", "2021"), ("Work", "2021", "Q1"), ("Lists",), ("Lists", "dev"),
         ("a b",), ("&AOk-t&AOk-",), ("&AOk-t&AOk-", "x"), ("INBOX", "sub"), ("Trash",),
         ("deep", "er", "still"))
MOST_MESSAGES = 30      # of a mailbox; beyond that, expunges come before appends


class Failure(AssertionError):
    """The history up to here, and how to see it again."""


class Side:
    """One account, and what was done to it this round."""

    def __init__(self, name, dovecot, rng, known=None):
        self.name = name
        self.rng = rng
        self.known = known      # mailbox -> what was ever there, on either side; None: no matter
        self.seen = {}          # mailbox -> UID -> Seen
        self.client = connect(dovecot)
        self.separator = dovecot.separator
        self.account = Account()
        self.log = []
        self.added = set()      # (mailbox, origin of the message) of this round

    def wire(self, name):
        return self.separator.join(name)

    def look(self):
        self.account = look(self.client, self.separator)
        self.seen = self.account.boxes
        if self.known is not None:
            for name, found in self.seen.items():
                self.known[name].update((seen.digest, seen.date) for seen in found.values())
        return self.account

    def _was_there(self, target, source, uids):
        """Whether one of these messages was ever in the target.

        For a while after a run was killed, a copy of what was in doubt then is taken for its late
        arrival, and removed: that an equal one stays is all that is promised.
        """
        return self.known is not None and any(
            (seen.digest, seen.date) in self.known[target]
            for uid, seen in self.seen.get(source, {}).items() if uid in uids)

    def command(self, *parts):
        shown = " ".join(part for part in parts if isinstance(part, str))
        self.log.append(f"{self.name}: {shown[:200]}")
        return self.client.cmd(*parts)

    def open(self, name):
        self.command("SELECT", quote(self.wire(name)))

    def edit(self, count, other):
        """Do `count` random things; `other` is the other side."""
        self.log, self.added = [], set()
        self.account = Account({name: set(uids) for name, uids in self.account.boxes.items()},
                               set(self.account.subscribed))
        kinds = (self.append, self.append, self.append, self.flag, self.flag, self.flag, self.flag,
                 self.expunge, self.expunge, self.create, self.subscribe, self.copy, self.move)
        for _ in range(count):
            self.rng.choice(kinds)(other)
        self.command("UNSELECT" if any("SELECT" in line for line in self.log) else "NOOP")

    def _pick(self, most=1):
        """A mailbox with messages and some of their UIDs, or (None, [])."""
        names = sorted(name for name, uids in self.account.boxes.items() if uids)
        if not names:
            return None, []
        name = self.rng.choice(names)
        uids = sorted(self.account.boxes[name])
        return name, sorted(self.rng.sample(uids, min(len(uids), self.rng.randint(1, most))))

    def _flags(self):
        return self.rng.sample(FLAGS, self.rng.choice((0, 1, 1, 1, 2, 3)))

    def append(self, _):
        name = self.rng.choice(sorted(self.account.boxes))
        if len(self.account.boxes[name]) >= MOST_MESSAGES:
            return
        message = messages.message(self.rng.getrandbits(64))
        copies = self.rng.choice((1, 1, 1, 2))      # twins are two messages
        flags = self._flags()
        for _ in range(copies):
            uid = self.client.append(self.wire(name), message.body, flags, message.date)
            self.log.append(f"{self.name}: APPEND {self.wire(name)} {flag_list(flags)}: UID {uid}, "
                            f"{len(message.body)} bytes")
            self.account.boxes[name].add(uid)

    def flag(self, _):
        name, uids = self._pick(5)
        if name:
            self.open(name)
            change = self.rng.choice(("+", "+", "-", "-", ""))
            self.command("UID STORE", uid_set(uids), change + "FLAGS", flag_list(self._flags()))

    def expunge(self, _):
        name, uids = self._pick(3)
        if name:
            self.open(name)
            self.command("UID STORE", uid_set(uids), "+FLAGS (\\Deleted)")
            self.command("UID EXPUNGE", uid_set(uids))
            self.account.boxes[name].difference_update(uids)

    def create(self, _):
        missing = sorted(set(NAMES) - set(self.account.boxes))
        if missing:
            name = self.rng.choice(missing)
            self.command("CREATE", quote(self.wire(name)))
            self.account.boxes[name] = set()
            if self.rng.random() < 0.5:
                self.command("SUBSCRIBE", quote(self.wire(name)))
                self.account.subscribed.add(name)

    def subscribe(self, _):
        name = self.rng.choice(sorted(self.account.boxes))
        verb = "UNSUBSCRIBE" if name in self.account.subscribed else "SUBSCRIBE"
        self.command(verb, quote(self.wire(name)))
        self.account.subscribed ^= {name}

    def copy(self, other, verb="COPY"):
        source, uids = self._pick(2)
        targets = sorted(set(self.account.boxes) - {source})
        if not source or not targets:
            return
        target = self.rng.choice(targets)
        # The same message, new on both sides at once, might rightly be taken for one message.
        if len(self.account.boxes[target]) >= MOST_MESSAGES or target in other.added:
            return
        if self._was_there(target, source, uids):
            return
        self.added.add(target)
        self.open(source)
        reply = self.command("UID " + verb, uid_set(uids), quote(self.wire(target)))
        self.account.boxes[target].update(_copied(reply))
        if verb == "MOVE":
            self.account.boxes[source].difference_update(uids)

    def move(self, other):
        self.copy(other, "MOVE")


def _copied(reply):
    """The UIDs of [COPYUID validity from to], which comes tagged, or untagged for MOVE."""
    codes = [reply.code] + [part for response in reply.untagged for part in response
                            if isinstance(part, list)]
    uids = []
    for code in codes:
        if code[:1] == ["COPYUID"]:
            for piece in code[3].split(","):
                first, _, last = piece.partition(":")
                uids += range(int(first), int(last or first) + 1)
    return uids


class History:
    """Rounds of edits and runs.  `crashes`: the share of rounds in which a run dies first."""

    def __init__(self, seed, one, local, remote, crashes=0.0, test="test_histories"):
        self.seed, self.one, self.crashes, self.test = seed, one, crashes, test
        self.rng = random.Random(seed)
        known = collections.defaultdict(set) if crashes else None
        self.sides = [Side("local", local, self.rng, known),
                      Side("remote", remote, self.rng, known)]
        self.world = World()
        self.number = 0
        self.said = ""

    def close(self):
        for side in self.sides:
            side.client.close()

    def run(self, rounds):
        # Each side begins with something of its own.
        for side in self.sides:
            side.look()
        for self.number in range(1, rounds + 1):
            self._round()

    def _round(self):
        for side in self.sides:
            side.added = set()
        order = self.rng.sample(self.sides, 2)
        order[0].edit(self.rng.choice((0, 1, 3, 6)), order[1])
        order[1].edit(self.rng.choice((0, 1, 3, 6)), order[0])
        local, remote = (side.look() for side in self.sides)

        crash = None
        if self.rng.random() < self.crashes:
            crash = self._accident()
        check_noop = self.rng.random() < 0.1
        if crash:
            self._crash(crash)
        result = self.one.run()
        self.said += result.err
        if result.code != 0:
            self._fail([f"exit status {result.code}"])
        self._settle(local, remote)
        if check_noop:
            self._noop()

    def _accident(self):
        """The environment of a run that kills itself right before or after its n-th commit, if it
        has that many."""
        when, number = self.rng.choice(("AT", "AFTER")), str(self.rng.randint(1, 12))
        return {f"INTERIMAP_CRASH_{when}_COMMIT": number}

    def _crash(self, env):
        result = self.one.run(env=env)
        self.said = f"({env}: exit status {result.code})\n{result.err}"
        if result.code not in (0, -9, *((1, -15) if "INTERIMAP_FAULT" in env else ())):
            self._fail([f"exit status {result.code} after {env}"])

    def _after(self):
        pairs = {}
        for mailbox, here, there in self.one.query(
                "SELECT mailbox, lUID, rUID FROM mapping JOIN mailboxes USING (idx)"):
            name = tuple((mailbox if isinstance(mailbox, str) else mailbox.decode()).split("\0"))
            pairs.setdefault(name, {})[here] = there
        return World(self.sides[0].look(), self.sides[1].look(), pairs)

    def _settle(self, local, remote):
        after = self._after()
        problems = Check(self.world, local, remote, after).problems
        rows = {tuple(name.split("/")): subscribed
                for name, (_, subscribed) in self.one.mailboxes().items()}
        for name in after.local.boxes:
            if rows.get(name) != (name in after.local.subscribed):
                problems.append(f"{'/'.join(name)}: database says subscribed: {rows.get(name)}")
        if left := open_intents(self.one):
            problems.append(f"{left} intents were left open")
        if problems:
            self._fail(problems)
        self.world = after
        self.said = ""

    def _noop(self):
        """A second run opens nothing and changes nothing."""
        opened = [line for line in self.one.sent()
                  if re.match(r"\w+: \S+ (SELECT|EXAMINE)\b", line)]
        after = self._after()
        problems = [f"a run with nothing to do sent: {line}" for line in opened]
        for side, old, new in (("local", self.world.local, after.local),
                               ("remote", self.world.remote, after.remote)):
            if old != new:
                problems.append(f"a run with nothing to do changed the {side} account")
        if self.world.pairs != after.pairs:
            problems.append("a run with nothing to do changed the mapping")
        if problems:
            self._fail(problems)

    def _fail(self, problems):
        lines = [f"round {self.number} of seed {self.seed}:", *problems[:30]]
        if len(problems) > 30:
            lines.append(f"... and {len(problems) - 30} more")
        lines += ["what was done before it:", *self.sides[0].log, *self.sides[1].log,
                  "what interimap said:", self.said.strip(), "to see it again:",
                  f"tests/model/run --seed {self.seed} --rounds {self.number} {self.test}"]
        raise Failure("\n".join(lines))
