# SPDX-License-Identifier: MIT
"""Carries out one scenario's steps with the program (or programs) given, and says what came of it.

Servers are lone `imap` processes on a pipe, one account for each run of a scenario: no port, no
log-in, and started in a few milliseconds.  Scenarios about the network use a whole server.
"""

import collections
import contextlib
import json
import os
import re
import shlex
import signal
import sqlite3
import stat
import subprocess
import threading
import time
from dataclasses import dataclass, field

from integration import messages
from integration.dovecot import Dovecot, version
from integration.imap import Imap, _fetched, quote, split_name, text
from integration.processes import Activity
from integration.interimap import Interimap, imap, imaps, starttls, tunnel

from .scenarios import SIDES

WIRE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "wire.py")
STATUS = "UIDVALIDITY", "UIDNEXT", "HIGHESTMODSEQ"


@dataclass
class Seen:
    """What one account holds."""

    mailboxes: dict = field(default_factory=dict)   # name -> {uid: (sha, date, flags)}
    status: dict = field(default_factory=dict)      # name -> STATUS items
    others: set = field(default_factory=set)        # names that cannot be selected
    subscribed: set = field(default_factory=set)


def look(client, separator):
    """Everything behind a test client, in two turns."""
    items = "(UIDVALIDITY UIDNEXT HIGHESTMODSEQ)"
    listed = client.send(f'LIST "" "*" RETURN (SUBSCRIBED STATUS {items})')
    subscribed = client.send('LSUB "" "*"')
    reply = client.wait(listed)
    seen = Seen()
    names = {}
    for _, attributes, _, name, *_ in reply.of("LIST"):
        wire, levels = text(name), _shown(text(name), separator)
        if {word.lower() for word in attributes} & {"\\noselect", "\\nonexistent"}:
            seen.others.add(levels)
        else:
            names[levels] = wire
    for _, name, words in reply.of("STATUS"):
        seen.status[_shown(text(name), separator)] = tuple(
            int(words[words.index(item) + 1]) for item in STATUS)
    seen.subscribed = {_shown(text(r[3]), separator) for r in client.wait(subscribed).of("LSUB")
                       if "\\noselect" not in {word.lower() for word in r[1]}}
    tags = [(client.send("EXAMINE", quote(wire)),
             client.send("UID FETCH 1:* (UID FLAGS INTERNALDATE BODY.PEEK[])"))
            for wire in names.values()]
    for levels, (opened, fetched) in zip(names, tags):
        if client.wait(opened, check=False).status == "OK":
            seen.mailboxes[levels] = _fetched(client.wait(fetched))
        else:
            client.wait(fetched, check=False)
            seen.others.add(levels)
    client.cmd("UNSELECT", check=False)
    return seen


def _shown(name, separator):
    return "/".join(split_name(name, separator))


@dataclass
class Outcome:
    """What a scenario came to; what is compared."""

    exits: list = field(default_factory=list)       # of each run: 0, 1 for all errors, -9
    local: Seen = None
    remote: Seen = None
    rows: dict = field(default_factory=dict)        # name -> subscribed
    cached: dict = field(default_factory=dict)      # name -> side -> relation to STATUS, in words
    mapping: dict = field(default_factory=dict)     # name -> Counter of (local sha, remote sha)
    files: dict = field(default_factory=dict)       # databases -> mode
    said: list = field(default_factory=list)        # of each run: standard error
    out: list = field(default_factory=list)


def _shell(line):
    return subprocess.run(line, shell=True, check=True, capture_output=True, text=True).stdout


class Servers:
    """Configurations of lone servers by (separator, format), and one whole server."""

    def __init__(self, folder, certificates):
        self.folder = folder
        self.certificates = certificates
        self._made = {}
        self._lock = threading.RLock()  # scenarios run in several threads
        self._words = None

    def get(self, side, separator, format):
        key = side, separator, format
        with self._lock:
            if key not in self._made:
                self._made[key] = Dovecot(os.path.join(self.folder, f"d{len(self._made)}"),
                                          separator=separator, format=format)
            return self._made[key]

    def whole(self):
        """A server on ports that anybody may log in to."""
        with self._lock:
            return self._whole()

    def _whole(self):
        if "whole" not in self._made:
            anybody = "passdb static {\n  password = secret\n}"
            if version() == (2, 3):
                anybody = "passdb {\n  driver = static\n  args = password=secret\n}"
            server = Dovecot(os.path.join(self.folder, "w"), separator="/", format="sdbox",
                             tls=self.certificates, extra=anybody)
            self._made["whole"] = server.start()
        return self._made["whole"]

    def words(self):
        """What stands for what in the options of scenarios."""
        with self._lock:
            self._words = self._words or self._find_words()
            return self._words

    def _find_words(self):
        certificates = self.certificates
        hashed = os.path.join(certificates.folder, "hashed")
        os.makedirs(hashed, exist_ok=True)
        _shell(f"cp {certificates.ca} {hashed}/ && openssl rehash {hashed}")
        digest = (f"openssl x509 -in {certificates.cert} -pubkey -noout"
                  " | openssl pkey -pubin -outform DER | openssl dgst -r -")
        return {"@ca@": certificates.ca, "@other-ca@": certificates.other_ca,
                "@ca-path@": hashed, "@imap-port@": str(self.whole().port),
                "@spki@": _shell(digest + "sha256").split()[0],
                "@spki512@": _shell(digest + "sha512").split()[0]}

    def stop(self):
        for server in self._made.values():
            server.stop()


@dataclass
class Ended:
    """A run that came to its end."""

    code: int
    out: str
    err: str


class Program(Interimap):
    """Either program, with an environment that a step may change."""

    changes = {}

    def run_quietly(self, *args, env=None, timeout):
        """Like run(), but for hundreds of runs: without looking every few milliseconds."""
        done = subprocess.run([self.binary, *args], env={**self.environment(), **(env or {})},
                              stdin=subprocess.DEVNULL, capture_output=True, cwd=self.folder,
                              timeout=timeout, check=False, start_new_session=True)
        out, err = (data.decode("utf-8", "replace") for data in (done.stdout, done.stderr))
        if "Sanitizer" in err or "runtime error:" in err:
            raise AssertionError(err)
        return Ended(done.returncode, out, err)

    def environment(self):
        # The order in which the Perl program takes mailboxes is that of a hash.
        order = {"PERL_HASH_SEED": "0", "PERL_PERTURB_KEYS": "0"}
        env = {**super().environment(), **order, **self.changes}
        return {name: value for name, value in env.items() if value is not None}


class Side:
    """One account, and the test's own connection to it."""

    def __init__(self, server, user):
        self.server, self.user = server, user
        self.separator = server.separator
        self.client = Imap(command=server.command(user))

    def name(self, name):
        return name.replace("/", self.separator)

    # Verbs of scenarios.

    def create(self, *names):
        for name in names:
            self.client.cmd("CREATE", quote(self.name(name)))

    def delete(self, *names):
        for name in names:
            self.client.cmd("DELETE", quote(self.name(name)))

    def rename(self, old, new):
        self.client.cmd("RENAME", quote(self.name(old)), quote(self.name(new)))

    def subscribe(self, *names):
        for name in names:
            self.client.cmd("SUBSCRIBE", quote(self.name(name)))

    def unsubscribe(self, *names):
        for name in names:
            self.client.cmd("UNSUBSCRIBE", quote(self.name(name)))

    def append(self, name, count, seed=None, flags=None):
        """`count` messages, others each time but for equal seeds."""
        batch = list(messages.mix(seed or f"{self.rng}/{name}", count, _small))
        if flags is not None:
            batch = [(body, flags, date) for body, _, date in batch]
        self.client.append_all(self.name(name), batch, 500)

    def body(self, name, *bodies):
        """Messages as given, and of one date."""
        self.client.append_all(self.name(name),
                               [(body, (), messages.PRESENT) for body in bodies])

    def dated(self, name, *dates):
        """Messages with these INTERNALDATEs, seconds of UTC."""
        self.client.append_all(self.name(name), [
            (f"Subject: {date}\r\n\r\nof {self.rng}\r\n".encode(), (), date)
            for date in dates])

    def flag(self, name, which, change, *flags):
        """`which`: "all", or indices into the UIDs; `change`: "+", "-" or ""."""
        uids = self._uids(name, which)
        for at in range(0, len(uids), 500):
            self.client.store(uids[at:at + 500], change, flags)
        self.client.cmd("UNSELECT")

    def expunge(self, name, which):
        uids = self._uids(name, which)
        for at in range(0, len(uids), 500):
            self.client.expunge(uids[at:at + 500])
        self.client.cmd("UNSELECT")

    def move(self, name, which, target):
        uids = self._uids(name, which)
        self.client.cmd("UID MOVE", ",".join(map(str, uids)), quote(self.name(target)))
        self.client.cmd("UNSELECT")

    def _uids(self, name, which):
        uids = self.client.uids(self.name(name))
        return uids if which == "all" else [uids[index] for index in which]

    def raw(self, *commands):
        for command in commands:
            self.client.cmd(command)

    def update(self, name, **numbers):
        """Move UIDVALIDITY, UIDNEXT or HIGHESTMODSEQ."""
        self.server.renumber(self.name(name), self.user, **numbers)


def _small(rng):
    kind = rng.choice((messages.plain, messages.eight_bit, messages.empty_body,
                       messages.no_message_id, messages.looks_like_imap,
                       messages.no_final_newline))
    return kind(rng) if kind is not messages.plain else messages.plain(rng, 300)


class Stage:
    """A scenario under way with the binaries given: the first run's, and all later ones'."""

    def __init__(self, scenario, servers, folder, user, binaries):
        self.scenario, self.servers, self.binaries = scenario, servers, binaries
        os.makedirs(folder)
        os.chmod(folder, 0o755)
        self.outcome = Outcome()
        self.sides = {}
        self.locks = contextlib.ExitStack()
        self.live = None
        for side, (separator, format) in zip(SIDES, scenario.servers):
            self.sides[side] = Side(servers.get(side, separator, format), user)
        self.user = user
        self.one = Program(folder, self._section("local"), self._section("remote"))
        self.set("", {"max-deletions": None})
        for section, options in scenario.config.items():
            self.set(section, options)
        self.count = 0

    # Configuration.

    def _section(self, side):
        return {**tunnel(self.sides[side].server, self.user), "null-stderr": "YES"}

    def set(self, section, options):
        """Options of a section; None removes one."""
        if options is None:
            self.one.sections[section] = None
        else:
            self.one.sections[section] = {**(self.one.sections[section] or {}),
                                          **{k: self._value(v) for k, v in options.items()}}
            if section:
                self.one.sections[section] = {
                    k: v for k, v in self.one.sections[section].items() if v is not None}
        self.one.write()

    def _value(self, value):
        if not isinstance(value, str) or "@" not in value:
            return value
        known = {"@folder@": self.one.folder, **self.servers.words(),
                 **{f"@{side}@": one.server.command(self.user)
                    for side, one in self.sides.items()}}
        for word, replacement in known.items():
            value = value.replace(word, replacement)
        return value

    def step_network(self, kind):
        """The remote account is on the whole server from now on, reached by `kind`."""
        server = self.servers.whole()
        self.sides["remote"].client.close()
        self.sides["remote"] = Side(server, self.user)
        section = {"imap": imap, "imaps": imaps, "starttls": starttls}[kind]
        self.one.sections["remote"] = section(server, user=self.user)
        self.one.write()

    def step_server(self, side, separator, format):
        """The account is served with another hierarchy delimiter from now on."""
        old, new = self.sides[side], self.servers.get(side, separator, format)
        old.client.close()
        target = os.path.join(new.path, "mail", self.user)
        os.rename(os.path.join(old.server.path, "mail", self.user), target)
        self.sides[side] = Side(new, self.user)
        self.set(side, tunnel(new, self.user))

    def step_wire(self, side, *rules):
        """Put rules (see wire.py) between the program and a side; none: take them away."""
        command = tunnel(self.sides[side].server, self.user)["command"]
        if rules:
            # In a file, so that the command has no metacharacters: its parent is the program.
            path = os.path.join(self.one.folder, f"rules.{side}")
            with open(path, "w", encoding="utf-8") as file:
                json.dump(rules, file)
            command = shlex.join([WIRE, path]) + " " + command
        self.set(side, {"command": command, "compress": "NO"})

    def step_config(self, section, options):
        self.set(section, options)

    def step_environment(self, changes):
        self.one.changes = {name: self._value(value) for name, value in changes.items()}

    def step_file(self, name, content):
        """A file below the folder, with "@folder@" and the like expanded."""
        path = os.path.join(self.one.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(self._value(content))

    def step_command(self, side, words):
        """Another command for a tunnel; "%s" stands for the one that works."""
        command = self.sides[side].server.command(self.user)
        self.set(side, {"command": words.replace("%s", command)})

    def step_logged(self, pattern):
        """The log file holds this."""
        with open(os.path.join(self.one.folder, "log.txt"), encoding="utf-8") as file:
            found = file.read()
        if not re.search(pattern, found):
            raise AssertionError(f"no {pattern!r} in the log file:\n{found}")

    def step_move_config(self, name):
        path = os.path.join(self.one.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.replace(self.one.config, path)

    # Runs.

    def _args(self, words):
        return [self._value(word) for word in words]

    def step_run(self, *words, exit=0, env=None, says=None, hides=None, silent=False,
                 timeout=60):
        """Run to the end; `exit`: 0, 1 for any error, -9, or None for what may differ."""
        self.one.binary = self.binaries[min(self.count, 1)]
        self.count += 1
        result = self.one.run_quietly(*self._args(words), env=env, timeout=timeout)
        self._ended(result)

    def _ended(self, result):
        # The Perl program dies of SIGINT, ours says so in its status: both are errors.
        code = result.code if result.code in (0, -signal.SIGKILL) else 1
        self.outcome.exits.append(code)
        self.outcome.said.append(result.err)
        self.outcome.out.append(result.out)

    def step_start(self, *words):
        """Run in the background, until the step "stop"."""
        self.one.binary = self.binaries[min(self.count, 1)]
        self.count += 1
        self.live = self.one.start(*self._args(words))

    def step_until(self, **expected):
        """Wait until the accounts hold what is expected."""
        limit = time.monotonic() + 20
        while True:
            self.look()
            wrong = list(self.unmet(expected))
            if not wrong:
                return
            if time.monotonic() > limit or self.live.poll():
                raise AssertionError(f"not reached: {wrong}; it said:\n{self.live.err()}")
            time.sleep(0.02)

    def step_rest(self):
        """Wait until the program in the background has nothing to do."""
        activity = Activity(self.one.pids)
        quiet = time.monotonic()
        limit = quiet + 20
        while time.monotonic() - quiet < 0.1 and time.monotonic() < limit:
            if activity.worked():
                quiet = time.monotonic()
            time.sleep(0.01)

    def step_stop(self, number=signal.SIGTERM, exit=0):
        self._ended(self.live.stop(number))
        self.live = None

    # The database.

    def step_sql(self, *statements):
        with contextlib.closing(sqlite3.connect(self.one.database)) as db:
            for statement in statements:
                db.execute(statement)
            db.commit()

    def step_version0(self, delimiter):
        """Make the database what programs before 0.5 wrote, names with this delimiter."""
        with contextlib.closing(sqlite3.connect(self.one.database)) as db:
            db.create_function("as_text", 1, lambda name: name.decode().replace("\0", delimiter))
            db.executescript(VERSION_0)

    def step_lock(self):
        db = self.locks.enter_context(contextlib.closing(
            sqlite3.connect(self.one.database, isolation_level=None)))
        db.execute("BEGIN IMMEDIATE")

    def step_unlock(self):
        self.locks.close()

    def step_remove_database(self):
        for path in self._databases():
            os.unlink(path)

    def step_database_mode(self, mode, content=None):
        """Give the database a mode; with content, make it."""
        if content is not None:
            with open(self.one.database, "wb") as file:
                file.write(content)
        os.chmod(self.one.database, mode)

    # What it came to.

    def _databases(self):
        found = []
        for folder, _, names in os.walk(self.one.folder):
            found += [os.path.join(folder, name) for name in names
                      if name.endswith((".db", ".sqlite"))]
        return sorted(found)

    def look(self):
        for side in SIDES:
            seen = look(self.sides[side].client, self.sides[side].separator)
            setattr(self.outcome, side, seen)

    def step_holds(self, **expected):
        self.look()
        wrong = list(self.unmet(expected))
        if wrong:
            raise AssertionError(f"after run {self.count}: {wrong}; "
                                 f"it said:\n{''.join(self.outcome.said[-1:])}")

    def unmet(self, expected):
        """What the accounts do not hold; `both`, `local`, `remote`: name -> count; `subscribed`."""
        for side in SIDES:
            seen = getattr(self.outcome, side)
            counts = {name: len(found) for name, found in seen.mailboxes.items()}
            wanted = expected.get(side, expected.get("both"))
            if wanted is not None and {"INBOX": 0, **wanted} != counts:
                yield f"{side}: {counts} instead of {wanted}"
            if "subscribed" in expected and set(expected["subscribed"]) != seen.subscribed:
                yield f"{side}: subscribed {seen.subscribed} not {expected['subscribed']}"
            for name, flags in expected.get("flags", {}).items():
                found = collections.Counter(
                    flag for _, _, words in seen.mailboxes.get(name, {}).values()
                    for flag in words)
                if dict(found) != flags:
                    yield f"{side}: {name} has {dict(found)} instead of {flags}"

    def _state(self):
        self.look()
        for path in self._databases():
            self.outcome.files[os.path.relpath(path, self.one.folder)] = stat.S_IMODE(
                os.stat(path).st_mode)
            with contextlib.closing(sqlite3.connect(path)) as db, \
                    contextlib.suppress(sqlite3.DatabaseError):     # a scenario may break it
                self._rows(db)

    def _rows(self, db):
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'mailboxes'").fetchone():
            return
        for idx, raw, subscribed in db.execute(
                "SELECT idx, mailbox, subscribed FROM mailboxes").fetchall():
            name = text(raw).replace("\0", "/")
            self.outcome.rows[name] = bool(subscribed)
            self.outcome.cached[name] = {
                side: self._relation(db, idx, side, name) for side in SIDES}
            self.outcome.mapping[name] = self._pairs(db, idx, name)

    def _full(self, side, name):
        reference = (self.one.sections[side] or {}).get(
            "list-reference", self.one.sections[""].get("list-reference")) or ""
        return (reference.replace(self.sides[side].separator, "/") + name) if reference else name

    def _relation(self, db, idx, side, name):
        row = db.execute(f"SELECT UIDVALIDITY, UIDNEXT, HIGHESTMODSEQ FROM {side}"
                         " WHERE idx = ?", (idx,)).fetchone()
        status = getattr(self.outcome, side).status.get(self._full(side, name))
        if row is None or status is None:
            return "no row" if row is None else "no mailbox"
        words = []
        for item, ours, theirs in zip(STATUS, row, status):
            ours &= (1 << 64) - 1
            if ours != theirs:
                words.append(f"{item} {'0' if ours == 0 else '<' if ours < theirs else '>'}")
        return ", ".join(words) or "equal"

    def _pairs(self, db, idx, name):
        found = collections.Counter()
        sides = [getattr(self.outcome, side).mailboxes.get(self._full(side, name), {})
                 for side in SIDES]
        for uids in db.execute("SELECT lUID, rUID FROM mapping WHERE idx = ?", (idx,)):
            found[tuple(messages_of[uid][0] if uid in messages_of else "gone"
                        for uid, messages_of in zip(uids, sides))] += 1
        return found

    def act(self):
        """All steps; the Outcome."""
        for number, (verb, words, keys) in enumerate(self.scenario.steps):
            if verb in SIDES or verb == "both":
                for name in SIDES if verb == "both" else (verb,):
                    side = self.sides[name]
                    side.rng = f"{self.scenario.name}/{number}/{name}"
                    getattr(side, words[0])(*words[1:], **keys)
            else:
                getattr(self, "step_" + verb.replace("-", "_"))(*words, **keys)
        self.locks.close()
        self._state()
        return self.outcome

    def close(self):
        self.locks.close()
        if self.live is not None:
            self.live.stop(signal.SIGKILL)
        for side in self.sides.values():
            side.client.close()


VERSION_0 = """
CREATE TABLE v_mailboxes (idx INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
 mailbox TEXT NOT NULL CHECK (mailbox != '') UNIQUE, subscribed BOOLEAN NOT NULL);
INSERT INTO v_mailboxes SELECT idx, as_text(mailbox), subscribed FROM mailboxes;
CREATE TABLE v_local (idx INTEGER NOT NULL PRIMARY KEY REFERENCES mailboxes(idx),
 UIDVALIDITY UNSIGNED INT NOT NULL CHECK (UIDVALIDITY > 0),
 UIDNEXT UNSIGNED INT NOT NULL, HIGHESTMODSEQ UNSIGNED BIGINT NOT NULL);
INSERT INTO v_local SELECT * FROM local;
CREATE TABLE v_remote (idx INTEGER NOT NULL PRIMARY KEY REFERENCES mailboxes(idx),
 UIDVALIDITY UNSIGNED INT NOT NULL CHECK (UIDVALIDITY > 0),
 UIDNEXT UNSIGNED INT NOT NULL, HIGHESTMODSEQ UNSIGNED BIGINT NOT NULL);
INSERT INTO v_remote SELECT * FROM remote;
CREATE TABLE v_mapping (idx INTEGER NOT NULL REFERENCES mailboxes(idx),
 lUID UNSIGNED INT NOT NULL CHECK (lUID > 0), rUID UNSIGNED INT NOT NULL CHECK (rUID > 0),
 PRIMARY KEY (idx,lUID), UNIQUE (idx,rUID));
INSERT INTO v_mapping SELECT * FROM mapping;
DROP TABLE mapping; DROP TABLE remote; DROP TABLE local; DROP TABLE mailboxes;
DROP TABLE IF EXISTS intent;
ALTER TABLE v_mailboxes RENAME TO mailboxes; ALTER TABLE v_local RENAME TO local;
ALTER TABLE v_remote RENAME TO remote; ALTER TABLE v_mapping RENAME TO mapping;
PRAGMA user_version = 0;
"""
