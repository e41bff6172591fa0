# SPDX-License-Identifier: MIT
"""Two servers that live through all scenarios, and accounts that are copied anew for each point.

A scenario is played once up to what the run has to do; the mail folders and the database as they
are then are kept, and each point begins with copies of them, under a user of its own: what a
server still does for a connection that was cut, it does to the account of that point.
"""

import hashlib
import os
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field

from integration.dovecot import Dovecot, version
from integration.imap import Imap, flag_list, quote
from integration.interimap import Interimap, connect, imap, proxy_section
from integration.messages import PRESENT

from .wire import Wire

USERS = [f"p{number}" for number in range(48)]
SYSTEM = ("Seen", "Answered", "Flagged", "Draft", "Deleted")
LARGE = 1_200_000       # above what a spool holds in memory
REFUSED = 1_300_000     # what the sides of scenarios with `refuses` do not take


def body(name):
    """The message of that name; what its name begins with says what is special about it."""
    head = f"From: a@example.org\r\nSubject: [{name}]\r\n"
    if not name.startswith("noid"):
        head += f"Message-ID: <{name}@example.org>\r\n"
    if name.startswith("bare"):
        return (head + "\r\n").encode()
    line = f"This is the message {name}. " + hashlib.sha256(name.encode()).hexdigest() + "\r\n"
    size = {"large": LARGE, "refused": REFUSED + 100_000}.get(name.rstrip("0123456789"), 300)
    return (head + "\r\n" + line * (size // len(line) + 1)).encode()


def date(name):
    return PRESENT - int(hashlib.sha256(name.encode()).hexdigest()[:6], 16)


def flags(words):
    return [f"\\{word}" if word in SYSTEM else word for word in words]


def contents(messages):
    """What account() says of these: ("a Seen", "b") -> a Counter."""
    found = Counter()
    for text in messages:
        name, *words = text.split()
        found[hashlib.sha256(body(name)).hexdigest(), date(name),
              frozenset(flag.lower() for flag in flags(words))] += 1
    return found


class Hand:
    """Does the operations of a scenario, as a mail client would."""

    def __init__(self, client, separator):
        self.client, self.separator = client, separator

    def do(self, operations):
        for verb, *rest in operations:
            getattr(self, verb)(*rest)

    def wire(self, name):
        return name.replace("/", self.separator)

    def uids(self, box, names):
        self.client.select(self.wire(box))
        found = []
        for name in names.split():
            reply = self.client.cmd("UID SEARCH SUBJECT", quote(f"[{name}]"))
            here = [int(word) for words in reply.of("SEARCH") for word in words[1:]]
            assert here, f"no message {name} in {box}"
            found += here
        return ",".join(map(str, sorted(found)))

    def append(self, box, *messages):
        self.client.append_all(self.wire(box), [
            (body(text.split()[0]), flags(text.split()[1:]), date(text.split()[0]))
            for text in messages])

    def flag(self, box, names, change, *words):
        self.client.cmd("UID STORE", self.uids(box, names), change + "FLAGS",
                        flag_list(flags(words)))

    def expunge(self, box, names):
        uids = self.uids(box, names)
        self.client.cmd("UID STORE", uids, "+FLAGS (\\Deleted)")
        self.client.cmd("UID EXPUNGE", uids)

    def copy(self, box, names, to):
        self.client.cmd("UID COPY", self.uids(box, names), quote(self.wire(to)))

    def move(self, box, names, to):
        self.client.cmd("UID MOVE", self.uids(box, names), quote(self.wire(to)))

    def create(self, box):
        self.client.cmd("CREATE", quote(self.wire(box)))

    def delete(self, box):
        self.client.cmd("UNSELECT", check=False)
        self.client.cmd("DELETE", quote(self.wire(box)))

    def rename(self, box, to):
        self.client.cmd("UNSELECT", check=False)
        self.client.cmd("RENAME", quote(self.wire(box)), quote(self.wire(to)))

    def subscribe(self, box):
        self.client.cmd("SUBSCRIBE", quote(self.wire(box)))

    def unsubscribe(self, box):
        self.client.cmd("UNSUBSCRIBE", quote(self.wire(box)))


@dataclass
class Played:
    """A scenario up to what the run has to do."""

    scenario: object
    swapped: bool
    folder: str
    count: dict = field(default_factory=dict)       # side -> direction -> kind -> how many
    said: dict = field(default_factory=dict)        # side -> the commands
    good: set = field(default_factory=set)          # states that a run made whole


def _pool():
    """Processes of Dovecot that serve one connection after the other: to start one takes longer than
    a run."""
    again = "service_count = 0" if version() == (2, 3) else "restart_request_count = unlimited"
    return f"service imap {{\n  {again}\n  client_limit = 1\n  process_min_avail = 2\n}}\n"


class Stage:
    def __init__(self, folder, binary):
        self.folder = folder
        users = {user: "secret" for user in (*USERS, "base")}
        self.servers = {
            "local": Dovecot(f"{folder}/local", separator=".", format="maildir", users=users,
                             extra=_pool(), compress=False),
            "remote": Dovecot(f"{folder}/remote", separator="/", format="sdbox", users=users,
                              extra=_pool(), compress=False)}
        for server in self.servers.values():
            server.start()
        self.wires = {side: Wire(server.port).start() for side, server in self.servers.items()}
        self.one = Interimap(f"{folder}/one", {}, {}, binary=binary)
        self.next_user = 0
        self.scenarios = self.points = self.same = self.skipped = self.failures = 0
        self.seen = set()       # kinds of which every place was taken
        self.turn = 0           # which place is taken of the others
        self.exchanges = {}     # (scenario, swapped) -> what the variants before said

    def close(self):
        self.one.kill()
        for wire in self.wires.values():
            wire.stop()
        for server in self.servers.values():
            server.stop()

    # The account of a point.

    def mail(self, side, user):
        return os.path.join(self.servers[side].path, "mail", user)

    def use(self, user, proxy=None):
        self.one.sections["proxy"] = proxy
        for side, wire in self.wires.items():
            self.one.sections[side] = {**imap(self.servers[side], wire.port, user=user),
                                       "compress": "NO"}
        self.one.write()

    def _forget(self, user):
        for side in self.servers:
            shutil.rmtree(self.mail(side, user), ignore_errors=True)
        for tail in ("", "-wal", "-shm", "-journal"):
            if os.path.exists(self.one.database + tail):
                os.unlink(self.one.database + tail)

    def hand(self, side, user):
        return Hand(connect(self.servers[side], user), self.servers[side].separator)

    def _edit(self, side, user, operations):
        if not operations:
            return
        hand = self.hand(side, user)
        hand.do(operations)
        hand.client.send("LOGOUT")
        while hand.client._file.read(1 << 16):  # until the server has closed
            pass
        hand.client.close()

    # A scenario up to the run.

    def play(self, scenario, swapped=False):
        here, there = ("remote", "local") if swapped else ("local", "remote")
        folder = os.path.join(self.folder, "played")
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        self._forget("base")
        for wire in self.wires.values():
            wire.reset()
        self.use("base", proxy_section() if scenario.deeds else None)
        for box, messages in scenario.base.items():
            if box != "INBOX":
                self._edit(here, "base", [("create", box), ("subscribe", box)])
            if messages:
                self._edit(here, "base", [("append", box, *messages)])
        if scenario.known:
            self.one.sync()
        if scenario.later:
            _copy(self.mail(there, "base"), f"{folder}/backup")
            self._edit(here, "base", scenario.later)
            self.one.sync()
            shutil.rmtree(self.mail(there, "base"))
            _copy(f"{folder}/backup", self.mail(there, "base"))
        self._deeds(scenario.deeds)
        self._edit(here, "base", scenario.here)
        self._edit(there, "base", scenario.there)
        for sql in scenario.database:
            with closing(sqlite3.connect(self.one.database)) as db:
                db.execute(sql)
                db.commit()
        for side in self.servers:
            if os.path.exists(self.mail(side, "base")):
                _copy(self.mail(side, "base"), f"{folder}/{side}")
        if os.path.exists(self.one.database):
            with closing(sqlite3.connect(self.one.database)) as db:
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            _copy(self.one.database, f"{folder}/sync.db")
        return Played(scenario, swapped, folder)

    def _deeds(self, deeds):
        """What a client does through the proxy while the remote server is away."""
        if not deeds:
            return
        self.wires["remote"].stop()
        running = self.one.start("--proxy")
        running.wait_for("listening on")
        section = self.one.sections["proxy"]
        with Imap(port=int(section["listen"].rsplit(":", 1)[1])) as client:
            client.login(section["username"], section["password"])
            Hand(client, ".").do(deeds)
            client.cmd("LOGOUT", check=False)
        running.stop()
        self.wires["remote"].start()
        self.use("base")

    # What a run may find.

    def state(self, user):
        """All that the next run begins with: both accounts, and the rows of the database."""
        found = []
        for side in self.servers:
            with connect(self.servers[side], user) as client:
                boxes, subscribed = client.account()
                separator = self.servers[side].separator
                found.append((sorted(boxes.items()), sorted(subscribed),
                              [sorted(client.status(separator.join(name)).items())
                               for name in sorted(boxes)]))
        return repr((found, self._rows()))

    def _rows(self):
        """Without the times at which rows were made: nothing hangs on a few seconds."""
        if not os.path.exists(self.one.database):
            return None
        found = []
        for (name,) in self.one.query("SELECT name FROM sqlite_master WHERE type = 'table'"):
            columns = [column for _, column, *_ in self.one.query(f"PRAGMA table_info({name})")
                       if column not in ("since", "time")]
            rows = self.one.query(f"SELECT {', '.join(columns)} FROM {name}")
            found.append((name, sorted(map(repr, rows))))
        return sorted(found)

    # A point.

    def begin(self, played, hidden=()):
        user = USERS[self.next_user % len(USERS)]
        self.next_user += 1
        self._forget(user)
        for side in self.servers:
            if os.path.exists(f"{played.folder}/{side}"):
                _copy(f"{played.folder}/{side}", self.mail(side, user))
        if os.path.exists(f"{played.folder}/sync.db"):
            _copy(f"{played.folder}/sync.db", self.one.database)
        self.use(user)
        for wire in self.wires.values():
            wire.reset(hidden=hidden, lie=played.scenario.lie,
                       refuse_above=REFUSED if played.scenario.refuses else None)
        self._set_costs(played)
        return user

    def _set_costs(self, played):
        here, there = ("remote", "local") if played.swapped else ("local", "remote")
        if played.scenario.costs == "read":
            self.wires[here].costs = ("down", b"Subject: [costly")
        elif played.scenario.costs == "append":
            self.wires[there].costs = ("up", b"Subject: [costly")

    def calm(self, played, hidden=()):
        """No more faults."""
        for wire in self.wires.values():
            wire.reset(hidden=hidden, refuse_above=REFUSED if played.scenario.refuses else None)
        self._set_costs(played)

    def problems(self, played, user, hidden=()):
        """What is wrong with both sides and the database; and with a run that has nothing to do."""
        scenario = played.scenario
        found = []
        self.calm(played, hidden)
        result = self.one.run()
        if result.code not in scenario.ends:
            found.append(f"the run with nothing to do ended with {result.code}: {result.err}")
        for side, wire in self.wires.items():
            opened = [line for line in wire.commands if line.startswith(("SELECT", "EXAMINE"))]
            if opened and scenario.settles:
                found.append(f"a run with nothing to do opened at the {side} side {opened}")
        accounts = {}
        for side in self.servers:
            with connect(self.servers[side], user) as client:
                accounts[side] = client.account()
        there = "local" if played.swapped else "remote"
        for side, (boxes, subscribed) in accounts.items():
            then = scenario.then
            if side == there and scenario.then_there is not None:
                then = scenario.then_there
            found += _differences(side, boxes, then)
            if scenario.subscribed is not None:
                names = {"/".join(name) for name in subscribed}
                if names != set(scenario.subscribed):
                    found.append(f"{side}: subscribed are {sorted(names)}")
        found += self._mapping(scenario, accounts["local"][0], accounts["remote"][0])
        return found

    def _mapping(self, scenario, local, remote):
        found = []
        for name in set(local) & set(remote):
            here, there = local[name], remote[name]
            pairs = self.one.mapping("/".join(name))
            lone = scenario.refuses or scenario.costs
            if not lone and (sorted(pairs) != sorted(here) or
                             sorted(pairs.values()) != sorted(there)):
                found.append(f"{'/'.join(name)}: pairs {pairs}, local {sorted(here)}, "
                             f"remote {sorted(there)}")
            found += [f"{'/'.join(name)}: {pair} are not the same message"
                      for pair in pairs.items() if here.get(pair[0]) != there.get(pair[1])]
        for table in ("intent", "action"):
            if self.one.query("SELECT 1 FROM sqlite_master WHERE name = ?", table):
                count = self.one.query(f"SELECT count(*) FROM {table}")[0][0]
                if count:
                    found.append(f"{count} rows are left in the table {table}")
        return found


def _differences(side, boxes, then):
    found = []
    wanted = {name: contents(messages) for name, messages in then.items()}
    there = {"/".join(name): Counter(messages.values()) for name, messages in boxes.items()}
    if set(wanted) != set(there):
        found.append(f"{side}: mailboxes {sorted(there)} instead of {sorted(wanted)}")
    names = {hashlib.sha256(body(text.split()[0])).hexdigest(): text.split()[0]
             for messages in then.values() for text in messages}
    for name in set(wanted) & set(there):
        for what, more in (("too much", there[name] - wanted[name]),
                           ("missing", wanted[name] - there[name])):
            for (digest, _, words), count in more.items():
                found.append(f"{side}: {name}: {what}: {count} of {names.get(digest, digest[:9])} "
                             f"{sorted(words)}")
    return found


def _copy(source, target):
    """As `cp -a`, which takes longer to start than to copy as little as this."""
    def copy(source, target):
        shutil.copy2(source, target)
        _own(source, target)

    if not os.path.isdir(source):
        copy(source, target)
        return
    shutil.copytree(source, target, copy_function=copy)
    for folder, _, _ in os.walk(source):
        _own(folder, os.path.join(target, os.path.relpath(folder, source)))


def _own(source, target):
    status = os.stat(source)
    os.chown(target, status.st_uid, status.st_gid)
