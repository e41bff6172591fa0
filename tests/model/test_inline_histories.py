# SPDX-License-Identifier: MIT
"""The service under random hands: clients at the proxy, in the store behind it, and at the remote.

Rounds of edits from the three places, some while the remote server is away, some with the program
killed; then it must come to rest with both sides equal.  If only one side was edited, both must be
what that side was.  If both were, a message has a least and a greatest number of copies (`Bounds`).

Two kinds of change are not made, since no rule says that they are carried over: a mailbox deleted
or renamed in the store past the proxy, or at the remote server while nobody listens.  The program
reports these and changes nothing.

Environment: MODEL_ROUNDS, MODEL_SEED; tests/model/run sets them.  Without: the first rounds of a
history that was seen to pass, so that tests/run depends on the program and not on luck.
"""

import contextlib
import os
import random
import re
import shlex
import signal
from collections import Counter

import pytest

from integration.control import status
from integration.imap import ImapError, flag_list, quote, uid_set
from integration.inline import Service, Tap, differing, digests, eventually, fill, numbered

from .accidents import REFUSALS
from .seeds import seed

ROUNDS = int(os.environ.get("MODEL_ROUNDS", "20"))
SEED = seed(402)
FLAGS = ("\\Seen", "\\Answered", "\\Flagged", "\\Draft", "$Forwarded", "todo")
NAMES = ("a", "a/b", "a/b/c", "d", "d/e", "f g", "h", "h/i", "&AOk-t&AOk-")
MOST_MESSAGES = 15


class Bounds:
    """How many copies of a message there may be after a round, given what was done in it.

    What one side alone did is exact.  Where both had a message in hand (moved here, expunged there)
    any end is right that loses no copy that nobody removed, and makes none that nobody made; moved
    on both sides, it may be in both places.  One that was put beside another copy of it may be taken
    for what arrived late (pass/late.c): one of the two stays.
    """

    def __init__(self):
        self.made = {side: Counter() for side in ("local", "remote")}       # appended or copied
        self.removed = {side: Counter() for side in ("local", "remote")}
        self.moved = {side: Counter() for side in ("local", "remote")}
        self.deleted_a_mailbox = {"local": False, "remote": False}
        self.doubled = Counter()

    def of(self, digest, before, calm):
        sides = [side for side in ("local", "remote") if any(
            kind[side][digest] for kind in (self.made, self.removed, self.moved))]
        made = sum(kind[digest] for kind in self.made.values())
        removed = sum(kind[digest] for kind in self.removed.values())
        if len(sides) < 2 and not any(self.deleted_a_mailbox.values()):
            exact = before + made - removed
            return max(0, exact - self.doubled[digest]), exact
        least = before + made - removed
        # It may have come into the mailbox right before that was deleted, and after the look.
        if calm and any(self.deleted_a_mailbox[other] for side in sides
                        for other in self.made if other != side):
            least -= self.made["local"][digest] + self.made["remote"][digest] + sum(
                kind[digest] for kind in self.moved.values())
        most = before + made + min(self.moved["local"][digest], self.moved["remote"][digest])
        if len(sides) == 2:
            most += min(self.removed["local"][digest] + self.removed["remote"][digest],
                        self.moved["local"][digest] + self.moved["remote"][digest])
            # What is moved on the one side while it is in doubt whether it has arrived there is
            # copied anew to where it should be.
            most += sum(min(self.made[side][digest], self.moved[other][digest])
                        for side, other in (("local", "remote"), ("remote", "local")))
            # What came into a mailbox on both sides is one message.
            least = min(least, max(1, least - min(
                self.made[side][digest] + self.moved[side][digest] for side in sides)))
        return max(0, least - self.doubled[digest]), most


def copied(reply):
    """The UIDs that a COPY or MOVE says it has copied."""
    for code in [reply.code, *(one[1] for one in reply.untagged if one[0] == "OK")]:
        if code[:1] == ["COPYUID"]:
            ranges = ([int(uid) for uid in part.split(":")] for part in code[2].split(","))
            return {uid for ends in ranges for uid in range(min(ends), max(ends) + 1)}
    return set()


class Place:
    """A client somewhere, and what it does."""

    def __init__(self, history, name, side, client, separator):
        self.history, self.name, self.side = history, name, side
        self.rng, self.bounds = history.rng, history.bounds
        self.client, self.separator = client, separator
        self.boxes, self.subscribed = {}, set()
        self.tree = False           # whether it may rename and delete now

    def wire(self, name):
        return self.separator.join(name)

    def command(self, *parts):
        reply = self.client.cmd(*parts, check=False)
        self.history.log.append(f"{self.name}: {' '.join(parts)}: {reply.status} {reply.text[:60]}")
        return reply.status == "OK", reply

    def act(self):
        kinds = [self.append, self.append, self.flag, self.flag, self.expunge, self.move, self.move,
                 self.copy, self.create, self.subscribe]
        if self.tree:
            kinds += [self.rename, self.rename, self.delete]
        try:
            self.boxes, self.subscribed = self.client.account()
        except ImapError:
            return  # the program was renaming or deleting something
        self.client.cmd("UNSELECT", check=False)
        self.rng.choice(kinds)()
        self.client.cmd("UNSELECT", check=False)

    def touch(self, name):
        self.history.touched[self.side].add(name)

    def _pick(self, most):
        names = sorted(name for name, found in self.boxes.items() if found)
        if not names:
            return None, []
        name = self.rng.choice(names)
        uids = sorted(self.boxes[name])
        return name, self.rng.sample(uids, min(len(uids), self.rng.randint(1, most)))

    def _digests(self, name, uids):
        return Counter(self.boxes[name][uid][0] for uid in uids)

    def _select(self, name):
        self.touch(name)
        return self.command("SELECT", quote(self.wire(name)))[0]

    def append(self):
        name = self.rng.choice(sorted(self.boxes))
        if len(self.boxes[name]) >= MOST_MESSAGES:
            return
        self.history.number += 1
        body, _, date = next(numbered(f"m{self.history.number}", 1, 200))
        self.touch(name)
        reply = self.client.append(self.wire(name), body, self._flags(), date, check=False)
        self.history.log.append(f"{self.name}: APPEND {self.wire(name)} m{self.history.number}: "
                                f"{reply.status}")
        if reply.status == "OK":
            self.bounds.made[self.side].update(digests([(body, None, None)]))

    def _flags(self):
        return self.rng.sample(FLAGS, self.rng.choice((0, 1, 1, 2)))

    def flag(self):
        name, uids = self._pick(4)
        if name and self._select(name):
            self.command("UID STORE", uid_set(uids),
                         self.rng.choice(("+", "+", "-", "")) + "FLAGS", flag_list(self._flags()))

    def expunge(self):
        name, uids = self._pick(3)
        if name and self._select(name):
            self.command("UID STORE", uid_set(uids), "+FLAGS (\\Deleted)")
            if self.command("UID EXPUNGE", uid_set(uids))[0]:
                self.bounds.removed[self.side] += self._digests(name, uids)

    def move(self, verb="MOVE"):
        source, uids = self._pick(5)
        targets = sorted(name for name, found in self.boxes.items()
                         if name != source and len(found) < MOST_MESSAGES)
        if not source or not targets or not self._select(source):
            return
        target = self.rng.choice(targets)
        self.touch(target)
        done, reply = self.command("UID " + verb, uid_set(uids), quote(self.wire(target)))
        if done:
            # What the other side has moved away by now is passed over in silence.
            uids = copied(reply) & set(uids)
            kind = self.bounds.moved if verb == "MOVE" else self.bounds.made
            put = self._digests(source, uids)
            kind[self.side] += put
            there = {digest for digest, *_ in self.boxes[target].values()}
            self.bounds.doubled += Counter({one: put[one] for one in put if one in there})

    def copy(self):
        self.move("COPY")

    def _told(self, name):
        """Whether nothing has happened to it, above or below it in this round: of what is renamed
        and deleted, or deleted and made anew, within half a second, Dovecot tells the end only."""
        return self.side == "local" or not any(
            name[:len(other)] == other or other[:len(name)] == name
            for other in self.history.shaken)

    def _free(self):
        return [name for name in (tuple(n.split("/")) for n in NAMES)
                if name not in self.boxes and self._told(name)]

    def create(self):
        if free := self._free():
            name = self.rng.choice(free)
            self.touch(name)
            if self.command("CREATE", quote(self.wire(name)))[0] and self.rng.random() < 0.5:
                self.command("SUBSCRIBE", quote(self.wire(name)))

    def subscribe(self):
        name = self.rng.choice(sorted(self.boxes))
        self.touch(name)
        verb = "UNSUBSCRIBE" if name in self.subscribed else "SUBSCRIBE"
        self.command(verb, quote(self.wire(name)))

    def _below(self, name):
        return [box for box in self.boxes if box[:len(name)] == name]

    def rename(self):
        names = sorted(name for name in self.boxes if name != ("INBOX",) and self._told(name))
        if not names:
            return
        old = self.rng.choice(names)
        free = [name for name in self._free() if name[:len(old)] != old
                and old[:len(name)] != name and not self._below(name)]
        if not free:
            return
        new = self.rng.choice(free)
        for name in self._below(old):
            self.touch(name)
            self.touch(new + name[len(old):])
        self.history.shaken |= {old, new}
        self.command("RENAME", quote(self.wire(old)), quote(self.wire(new)))

    def delete(self):
        # Of what is deleted above its children Dovecot tells nothing: it may take a quarter of an
        # hour until it is seen.
        names = sorted(name for name in self.boxes if name != ("INBOX",) and self._told(name)
                       and (self.side == "local" or self._below(name) == [name]))
        if not names:
            return
        name = self.rng.choice(names)
        self.touch(name)
        self.history.shaken.add(name)
        # A server keeps the subscription, and a mailbox of that name would have it again.
        self.command("UNSUBSCRIBE", quote(self.wire(name)))
        if self.command("DELETE", quote(self.wire(name)))[0]:
            self.bounds.removed[self.side] += self._digests(name, self.boxes[name])
            self.bounds.deleted_a_mailbox[self.side] = True


class History:
    KINDS = ("calm", "calm", "calm", "away", "away", "killed")
    CALM = ("calm",)            # kinds in which the program listens to both sides most of the time
    TEST = "test_inline"

    def __init__(self, seed, service):
        self.seed, self.service, self.rng = seed, service, random.Random(seed)
        self.number = 0             # of messages made
        self.round = 0
        self._begin()

    def _begin(self):
        self.log, self.bounds = [], Bounds()
        self.first = self.service.one.runs.index(self.service.running)
        self.touched = {"local": set(), "remote": set()}
        self.shaken = set()         # renamed or deleted, and what they were renamed to

    def run(self, rounds):
        for self.round in range(1, rounds + 1):
            try:
                self._round()
            except Exception as error:
                raise AssertionError("\n".join([
                    f"round {self.round} of seed {self.seed}: {error}", "what was done in it:",
                    *self.log, "what interimap said:", *(
                        run.err()[-6000:] for run in self.service.one.runs[self.first:]
                        if "listening" in run.err()),
                    "to see it again:", f"tests/model/run --seed {self.seed} --rounds {self.round} "
                    f"{self.TEST}"])) from error

    def _round(self):
        self._begin()
        accounts = self.service.look()
        before = count(accounts[0][0])
        # Subscriptions without a mailbox: one that comes there is subscribed to.
        self.dangling, self.subscribed = {}, {"local": accounts[0][1], "remote": accounts[1][1]}
        for side, connect, (boxes, _) in zip(
                ("local", "remote"), (self.service.store, self.service.there), accounts):
            with connect() as client:
                self.dangling[side] = client.subscriptions() - set(boxes)
        self.kind = kind = self.rng.choice(self.KINDS)
        where = self.rng.choice((["client"], ["client", "store"], ["remote"], ["client", "remote"],
                                 ["client", "store", "remote"]))
        self.log.append(f"({kind})")
        if kind not in self.CALM:
            self.service.away()
        self._edit(kind, where)
        edited = self._look()
        if kind == "killed":
            self.service.kill()
        if kind not in self.CALM:
            self.service.back()
        if kind == "killed":
            self.service.begin()
        self._settle(kind, before, edited)

    def _look(self):
        """Whatever the program deletes meanwhile."""
        for _ in range(20):
            with contextlib.suppress(ImapError):
                return self.service.look()
        return self.service.look()

    def _edit(self, kind, where):
        service = self.service
        # A mailbox is renamed or deleted by one side in a round: who is right otherwise?
        tree = self.rng.choice(("client", "remote" if kind == "calm" else "client"))
        if tree == "remote":
            # It must listen, to see what is deleted; and as in _told(), what it did there itself
            # just now counts as well.
            eventually(lambda: status(service.one)["remote"]["state"] == "connected", 60)
            service.quiet(0.6)
        with service.client() as client, service.store() as store, service.there() as there:
            places = {"client": Place(self, "client", "local", client, "/"),
                      "store": Place(self, "store", "local", store, "/"),
                      "remote": Place(self, "remote", "remote", there, service.remote.separator)}
            places[tree].tree = True
            for _ in range(self.rng.choice((1, 3, 6, 10))):
                places[self.rng.choice(where)].act()
                self._disturb(kind)

    def _disturb(self, kind):
        """Between what the clients do."""

    def _conflicts(self):
        """Names that one side renamed or deleted, and the other side had in hand."""
        both = self.touched["local"] & self.touched["remote"]
        tops = {top for name in both for top in self.shaken
                if name[:len(top)] == top or top[:len(name)] == name}
        if tops:
            # What is renamed into one another is held as a whole.
            tops |= self.shaken
        return {name for name in self.touched["local"] | self.touched["remote"] for top in tops
                if name[:len(top)] == top or top[:len(name)] == name}

    def _settle(self, kind, before, edited):
        conflicts = self._conflicts()
        self.problems = ["not looked yet"]

        def done():
            assert self.service.running.poll() is None, "the program has ended"
            self.problems = self._problems(kind, before, edited, conflicts)
            if self.problems:
                self.service.quiet(0.2)
                conflicts.update(self._refused())
                self._let_go()
            return not self.problems

        try:
            eventually(done, 20)
        except AssertionError as error:
            raise AssertionError("\n".join([str(error), *self.problems[:20]])) from error
        self._reconcile(conflicts)
        if self.round % 10 == 0:
            self.service.quiet()
            self.service.stop()
            self.service.check()
            self.service.begin()

    def _problems(self, kind, before, edited, conflicts):
        (local, subscribed), (remote, subscribed_there) = self._look()
        problems = [line for line in differing(local, remote)
                    if tuple(line.split(": ")[0].split("/")) not in conflicts]
        held = unequal(conflicts, local, remote)
        # Names that are no mailboxes, or not any more, are nobody's matter.
        names = set(local) - held
        if subscribed & names != subscribed_there & names:
            problems.append(f"subscribed: local {subscribed}, remote {subscribed_there}")
        problems += self._alone(edited, local, subscribed)
        in_held = count({name: local[name] for name in held & set(local)})
        for side, account in (("local", local), ("remote", remote)):
            found = count(account)
            for digest in set(found) | set(before) | set(self.bounds.made["local"]) | set(
                    self.bounds.made["remote"]):
                least, most = self.bounds.of(digest, before[digest], kind in self.CALM)
                if held:
                    # What is held on one side may not have come to the other yet, or may be there
                    # under both names.
                    least, most = (min(least, 1) if side == "remote" else 0), 2 * most
                    least = 0 if digest in in_held else least
                if not least <= found[digest] <= most:
                    problems.append(f"{side} {digest[:10]}: {found[digest]} copies, "
                                    f"not {least} to {most}")
        return problems

    def _alone(self, edited, local, subscribed):
        """If one side alone was edited, both must be what it was."""
        sides = [side for side, names in self.touched.items() if names]
        if len(sides) != 1:
            return []
        boxes, wanted = edited[0] if sides == ["local"] else edited[1]
        other = "remote" if sides == ["local"] else "local"
        told = set(boxes) - self.dangling[other]
        # So is one that is renamed to what was unsubscribed here past the proxy, and not yet there.
        told -= {name for name in self.subscribed[other] for top in self.shaken
                 if name[:len(top)] == top}
        # Flags that were taken away from what was copied or moved before may come back: both sides'
        # flags become the union then.
        problems = [f"as edited (local) and now (remote): {line}" for line in differing(
            without_flags(boxes, self.bounds.doubled), without_flags(local, self.bounds.doubled))]
        if wanted & told != subscribed & told:
            problems.append(f"subscribed: {subscribed} instead of {wanted}")
        return problems

    def _refused(self):
        """What was renamed here, and the remote server does not rename: Dovecot leaves folders behind
        when it renames what was in them, and refuses any other name for which there is one."""
        reasons = " ".join(mailbox["reason"] or "" for mailbox in status(self.service.one)["mailboxes"])
        if "refused RENAME (NO: Target mailbox already exists" not in reasons:
            return set()
        return {name for side in self.touched.values() for name in side for top in self.shaken
                if name[:len(top)] == top}

    def _let_go(self):
        """As a person would, with the commands of --status: more was deleted in an hour than passes; or
        a client deleted a mailbox into which it had just put something, over a connection that was
        lost: that may be from others, but here it is not."""
        one, conflicts = self.service.one, self._conflicts()
        for mailbox in status(one)["mailboxes"]:
            command = mailbox["resolve"] if mailbox["state"] == "held" else None
            meant = re.search(r"(?:messages that were never there|at once \(max-deletions\)): .* Only if "
                              r"it is meant to be gone, run `([^`]*)`", mailbox["reason"] or "")
            if meant and tuple(mailbox["name"].split("/")) not in conflicts:
                command = meant[1]
            # Of one in whose place Dovecot leaves a folder, since it had mailboxes below it once, nobody
            # is told that it was deleted: it has disappeared.
            if self.bounds.deleted_a_mailbox["remote"] and mailbox["state"] == "missing" and tuple(
                    mailbox["name"].split("/")) in self.shaken - conflicts:
                command = f"interimap --delete {shlex.quote(mailbox['name'])}"
            if command:
                self.log.append(command)
                result = one.run(*shlex.split(command)[1:])
                # What is refused in this round is left out by that command, too.
                assert result.code == 0 or (
                    self.kind in REFUSALS and "are left out for now" in result.err), result.err

    def _reconcile(self, conflicts):
        """As a person would: what was held on one side is moved to INBOX there, and removed."""
        (local, _), (remote, _) = self._look()
        if not unequal(conflicts, local, remote):
            return
        self.service.quiet(2)  # it may be about to do what it looks held for
        self.service.stop()
        (local, _), (remote, _) = self.service.look()
        held = unequal(conflicts, local, remote)
        for connect, account, separator in ((self.service.store, local, "/"), (
                self.service.there, remote, self.service.remote.separator)):
            with connect() as client:
                for name in sorted(set(held) & set(account), reverse=True):
                    wire = quote(separator.join(name))
                    if account[name]:
                        client.cmd("SELECT", wire)
                        client.cmd("UID MOVE 1:* INBOX")
                        client.cmd("UNSELECT")
                    client.cmd("UNSUBSCRIBE", wire)
                    client.cmd("DELETE", wire)
        names = ["/".join(name) for name in sorted(held, reverse=True) if name != ("INBOX",)]
        if names:
            self.service.one.run("--target=database", "--delete", *names)
        self.service.begin()
        try:
            eventually(lambda: self.service.equal(), 20, "not equal after the conflict")
        except AssertionError as error:
            (local, _), (remote, _) = self.service.look()
            raise AssertionError("\n".join([str(error), *differing(local, remote)])) from error
        self.service.quiet()


class AccidentHistory(History):
    """Also with SIGHUP while clients are at work, a connection that is lost at once and again, and
    messages that the remote server refuses, or does not give."""

    KINDS = ("calm", "away", "killed", "hangup", "hangup", "lost", "lost", *REFUSALS)
    CALM = ("calm", "hangup", "lost", *REFUSALS)
    TEST = "test_inline_accidents"

    def _edit(self, kind, where):
        if kind in REFUSALS:
            self.service.relay.answer(REFUSALS[kind], b"NO not today", times=10 ** 6)
        super()._edit(kind, where)
        if kind in REFUSALS:
            self._relent()

    def _relent(self):
        """What both sides do not have by then is named; it comes when it is due."""
        self.service.quiet(1)
        self._let_go()
        self.service.quiet(1)
        rows = status(self.service.one)["left_out"]
        self.log.append(f"left out: {rows}")
        assert all(row["words"] == "NO: not today" for row in rows)
        (local, _), (remote, _) = self._look()
        if not rows and not self._conflicts():
            assert count(local) == count(remote), "what is not there is not named"
        self.service.relay.relent()
        self.service.stop()
        self.service.one.make_due()
        self.service.begin()

    def _disturb(self, kind):
        if kind == "hangup" and self.rng.random() < 0.5:
            os.kill(self.service.running.pid, signal.SIGHUP)
            self.log.append("SIGHUP")
        if kind == "lost" and self.rng.random() < 0.5:
            self.service.away()
            self.service.back()
            self.log.append("connections cut")


def without_flags(account, doubled):
    """And without the messages of which one copy may go (see Bounds)."""
    return {name: {uid: (digest, date) for uid, (digest, date, _) in found.items()
                   if not doubled[digest]} for name, found in account.items()}


def unequal(names, local, remote):
    """Those of the names that one side lacks, or has with other messages."""
    return {name for name in names if (name in local) != (name in remote)
            or Counter(local.get(name, {}).values()) != Counter(remote.get(name, {}).values())}


def count(account):
    return Counter(digest for found in account.values() for digest, _, _ in found.values())


@pytest.mark.timeout(60 + 6 * ROUNDS)
def test_inline(interimap, dovecot):
    play(interimap, dovecot, History)


@pytest.mark.full
@pytest.mark.timeout(60 + 12 * ROUNDS)
def test_inline_accidents(interimap, dovecot):
    play(interimap, dovecot, AccidentHistory)


def play(interimap, dovecot, kind):
    print(f"seed {SEED}")
    remote = dovecot("remote", separator=".", format="sdbox", compress=False)
    fill(remote, {"INBOX": (5, 200), "a": (5, 200), "a/b": (3, 200), "d": (5, 200)})
    with Tap(remote.port) as relay:
        service = Service(interimap, remote, relay, binary=None)
        service.levels = False
        service.begin()
        service.running.wait_for("up to date", timeout=60)
        kind(SEED, service).run(ROUNDS)
        service.quiet()
        service.stop()
        service.check()
