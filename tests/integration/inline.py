# SPDX-License-Identifier: MIT
"""The service between a client and a remote server that is watched, goes away and comes back.

A message is what its body is: the bodies of `numbered()` all differ, and do not compress well, so
that the bytes on the connection to the remote server tell whether they were transferred.
"""

import contextlib
import glob
import hashlib
import os
import random
import re
import shlex
import signal
import threading
import time
from collections import Counter

import pytest

from .dovecot import Owner, libexec
from .imap import Imap, ImapError, quote, split_name, text
from .interimap import connect, imap, imaps, proxy_section
from .messages import PRESENT
from .scripted import Lines, Meddler
from .turns import CuttingRelay

# When the remote server is there: all the time; only after the client is done; likewise, and the
# program is killed before that.
WHEN = ("online", "offline", "killed")


def at_any_time(left_to_full):
    """The mark of a test that is made each time; `tests/run` leaves one of them out."""
    return pytest.mark.parametrize("when", [
        pytest.param(when, marks=pytest.mark.full if when == left_to_full else ())
        for when in WHEN])


# Who is killed has been away.
online_or_killed = pytest.mark.parametrize("when", WHEN[::2])
# What a connection may carry besides what is asked about: a login, a list, and some commands.
OVERHEAD = 20_000
# A service that says nothing for so many seconds has nothing more to do.
REST = 8


def numbered(name, count, size=1500):
    """`count` messages as (body, flags, date)."""
    rng = random.Random(f"{name} {count}")
    for number in range(count):
        yield (f"From: a@example.org\r\nSubject: {name} {number}\r\n"
               f"Message-ID: <{name.replace('/', '.')}.{number}@example.org>\r\n\r\n"
               f"{rng.randbytes(size // 2).hex()}\r\n".encode(),
               ("\\Seen",) if number % 3 else (), PRESENT - number)


class _Counted(Lines):
    def __init__(self, peer, stop, tap, direction):
        super().__init__(peer, stop)
        self.tap, self.direction = tap, direction

    def _more(self):
        before = len(self.rest)
        super()._more()
        self.tap.carried(self.direction, len(self.rest) - before)


class Tap(Meddler):
    """A Meddler that remembers what it was sent, and counts.  For a connection in plain text."""

    def __init__(self, target, hidden=(), **kwargs):
        super().__init__(target, **kwargs)
        self.sent = []                  # all commands, without their tags
        self.hidden = hidden            # capabilities that the program does not get to see
        self.rate = None                # bytes per second from the server
        self.muted = threading.Event()  # the program hears nothing any more
        self._bytes = 0

    def bytes(self):
        return self._bytes

    def reset(self):
        self._bytes = 0
        self.sent.clear()

    def carried(self, direction, count):
        with self._lock:
            self._bytes += count
        if self.rate and direction == "down":
            time.sleep(count / self.rate)

    def mute(self, pattern):
        """Pass such a command on, but no answer: the program cannot know what became of it."""
        self.when(pattern, self.muted.set)

    def all(self, pattern):
        """The commands that begin with this."""
        return [line for line in self.sent if re.match(pattern, line, re.IGNORECASE)]

    def _lines(self, peer, direction):
        return _Counted(peer, self._stop, self, direction)

    def _meddle(self, command):
        self.sent.append(command)
        return super()._meddle(command)

    def _say(self, line):
        if self.muted.is_set():
            return None
        for name in self.hidden:
            if b"CAPABILITY" in line:
                line = re.sub(rb" %s\b" % name.encode(), b"", line)
        return super()._say(line)


class CountingRelay(CuttingRelay):
    """For a connection that cannot be read."""

    def bytes(self):
        return sum(self.passed.values())

    def reset(self):
        self.passed = {"up": 0, "down": 0}


# Dovecot's processes wait for each other's locks for up to three minutes, and two that have each what
# the other one wants do so until one gives up: many clients that change its mailboxes at once are told
# "Resource deadlock avoided" where the kernel sees it, and nothing where one of the locks is a file.
LOCK_PATIENCE = 240


def eventually(check, seconds, what="it did not happen"):
    """How long it took until check() was true."""
    begin = time.monotonic()
    while not check():
        assert time.monotonic() - begin < seconds, f"not within {seconds} s: {what}"
        time.sleep(0.01)
    return time.monotonic() - begin


def counts(client):
    """name (its levels) -> how many messages; and the names that are subscribed."""
    separator = client.delimiter()
    reply = client.cmd('LIST "" "*" RETURN (SUBSCRIBED STATUS (MESSAGES))')
    found = {split_name(text(r[1]), separator): int(r[2][1]) for r in reply.of("STATUS")}
    subscribed = {split_name(text(r[3]), separator) for r in reply.of("LIST")
                  if any(word.lower() == "\\subscribed" for word in r[1])}
    return found, subscribed


class _Look:
    """Both accounts, looked at again and again: to connect for each look takes two processes, and as
    much time as what is waited for.  But a process of Dovecot may keep an old list of mailboxes, so
    none is asked for longer than a second."""

    def __init__(self, service):
        self.service, self.clients, self.since = service, None, 0.0

    def _connect(self):
        self.clients = contextlib.ExitStack()
        self.here = self.clients.enter_context(self.service.store())
        self.there = self.clients.enter_context(self.service.there())
        self.since = time.monotonic()

    def counts(self):
        """counts() of the local account, and of the remote one."""
        if self.clients is not None and time.monotonic() - self.since > 1:
            self.close()
        if self.clients is not None:
            try:
                return counts(self.here), counts(self.there)
            except (ImapError, OSError):    # servers are killed here
                self.close()
        self._connect()
        return counts(self.here), counts(self.there)

    def close(self):
        if self.clients is not None:
            clients, self.clients = self.clients, None
            with contextlib.suppress(ImapError, OSError):
                clients.close()


class Service:
    """`interimap --proxy` with the embedded store, and a remote server behind a relay.

    Names of mailboxes are written with "/"; the remote server's delimiter is another one.
    """

    def __init__(self, interimap, remote, relay, tls=False, binary=None):
        self.remote, self.relay = remote, relay
        self.levels = True              # subscriptions of names that are no mailboxes count
        section = proxy_section()
        self.port = int(section["listen"].rsplit(":", 1)[1])
        self.login = section["username"], section["password"]
        if tls:
            there = imaps(remote, port=relay.port)
        else:
            there = {**imap(remote, port=relay.port), "compress": "NO"}
        self.one = interimap(None, there, proxy=section, binary=binary)
        self.one.sections["local"] = {"type": "maildir", "path": f"{self.one.folder}/Mail"}
        self.one.write()
        self.running = None

    # The parts.

    def begin(self):
        self.running = self.one.start("--proxy")
        self.running.wait_for("listening on")

    def stop(self):
        result = self.running.stop()
        assert result.code == 0, result.err

    def kill(self):
        """SIGKILL for the program itself; the store's processes see their connections end."""
        os.kill(self.running.pid, signal.SIGKILL)
        assert self.running.wait().code == -signal.SIGKILL, self.running.err()

    def away(self):
        """No connection to the remote server any more, old or new."""
        self.relay.stop()

    def back(self):
        self.relay.start()

    def client(self):
        client = Imap(port=self.port)
        client.login(*self.login)
        return client

    def there(self):
        return connect(self.remote)

    def store(self):
        """A client of the embedded store that goes past the proxy."""
        files = glob.glob(os.path.join(self.one.folder, "run/interimap/dovecot-*.conf"))
        assert len(files) == 1, files
        words = ["env", f"HOME={self.one.folder}/Mail", "USER=user"]
        if Owner.current().switch:
            words += ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
        return Imap(command=shlex.join([*words, libexec("imap"), "-c", files[0]]),
                    timeout=LOCK_PATIENCE)

    def name(self, name):
        """A name as on the remote server."""
        return name.replace("/", self.remote.separator)

    @contextlib.contextmanager
    def acting(self, when):
        """A client at the proxy, with the remote server as WHEN has it.

        What is counted and remembered by the relay begins here.
        """
        if when != "online":
            self.away()
        self.relay.reset()
        with self.client() as client:
            yield client
        if when == "killed":
            self.kill()
        if when != "online":
            self.back()
        if when == "killed":
            self.begin()

    # What must hold.

    def equal(self, look=None):
        """Whether both sides have the same mailboxes, with as many messages."""
        if look is None:
            with contextlib.closing(_Look(self)) as look:
                return self.equal(look)
        (local, subscribed), (remote, subscribed_there) = look.counts()
        return local == remote and (
            self.counted(local, subscribed) == self.counted(remote, subscribed_there))

    def counted(self, names, subscribed):
        """Which subscriptions must be the same, of an account with these mailboxes."""
        return subscribed if self.levels else subscribed & set(names)

    def quiet(self, seconds=0.5, patience=60):
        """Wait until nothing has passed for a while: the program has done what it had to."""
        last, since = self.relay.bytes(), time.monotonic()
        limit = since + patience
        while time.monotonic() - since < seconds:
            assert time.monotonic() < limit, "the service does not come to rest"
            time.sleep(0.02)
            if self.relay.bytes() != last:
                last, since = self.relay.bytes(), time.monotonic()

    def look(self):
        """(local, remote): each the account() of a side."""
        with self.store() as here, self.there() as there:
            return here.account(), there.account()

    def settle(self, expected=None, seconds=60):
        """Wait until both sides are equal; then stop, and look at everything.

        `expected`: name -> the messages that it must hold, any order, as bodies.  Returns what the
        relay counted up to the stop.
        """
        def why():
            with self.store() as here, self.there() as there:
                return f"local {counts(here)}\nremote {counts(there)}\n{self.running.err()}"

        begin = since = time.monotonic()
        last = self.relay.bytes()
        with contextlib.closing(_Look(self)) as look:
            while not self.equal(look):
                now = time.monotonic()
                if self.relay.bytes() != last:
                    last, since = self.relay.bytes(), now
                assert now - begin < seconds, f"not equal in {seconds} s:\n{why()}"
                # Longer than it takes to try again after half a second, a second, and so on.
                assert now - since < REST, f"at rest, and not equal:\n{why()}"
                assert self.running.poll() is None, self.running.err()
                time.sleep(0.1)     # to look takes the time of those that work
        self.quiet()
        carried = self.relay.bytes()
        self.stop()
        self.check(expected)
        return carried

    def check(self, expected=None):
        """The service has ended: both sides and the database agree, and a run does nothing."""
        (local, subscribed), (remote, subscribed_there) = self.look()
        problems = differing(local, remote)
        if self.counted(local, subscribed) != self.counted(remote, subscribed_there):
            problems.append(f"subscribed: local {subscribed}, remote {subscribed_there}")
        problems += self._mapping(local, remote)
        for name, bodies in (expected or {}).items():
            found = local.get(tuple(name.split("/")))
            if found is None:
                problems.append(f"{name} is not there")
            elif Counter(digest for digest, _, _ in found.values()) != Counter(bodies):
                problems.append(f"{name} has {len(found)} messages, not the {len(bodies)} that "
                                "it should")
        assert not problems, "\n".join([*problems[:20], self.running.err()])
        opened = [line for line in self.one.sent() if re.match(r"\w+: \S+ (SELECT|EXAMINE)\b", line)]
        assert not opened, f"a run with nothing to do opened {opened}"
        assert self.look() == ((local, subscribed), (remote, subscribed_there))

    def _mapping(self, local, remote):
        """What is wrong with the database."""
        problems = []
        known = set(self.one.mailboxes())
        if known != {"/".join(name) for name in local}:
            problems.append(f"the database knows {sorted(known)}")
        for name in set(local) & set(remote):
            here, there = local[name], remote[name]
            mapping = self.one.mapping("/".join(name))
            if sorted(mapping) != sorted(here) or sorted(mapping.values()) != sorted(there):
                problems.append(f"{'/'.join(name)}: {len(mapping)} pairs, {len(here)} messages "
                                f"here, {len(there)} there, or not these")
            wrong = [pair for pair in mapping.items() if here.get(pair[0]) != there.get(pair[1])]
            if wrong:
                problems.append(f"{'/'.join(name)}: not the same message: {wrong[:5]}")
        return problems


def differing(local, remote):
    """How two accounts differ, apart from UIDs; [] if they do not."""
    problems = []
    for name in sorted(set(local) | set(remote)):
        shown = "/".join(name)
        if name not in local or name not in remote:
            problems.append(f"{shown}: only {'remote' if name in remote else 'local'}")
            continue
        here, there = (Counter(side[name].values()) for side in (local, remote))
        for side, only in (("local", here - there), ("remote", there - here)):
            if only:
                problems.append(f"{shown}: {sum(only.values())} only {side}, such as "
                                f"{next(iter(only))}")
    return problems


def fill(remote, boxes):
    """Make mailboxes at a server; `boxes`: name -> how many messages of `numbered()`, or (how many,
    of what size)."""
    with connect(remote) as client:
        for name, messages in boxes.items():
            count, size = messages if isinstance(messages, tuple) else (messages, 1500)
            wire = quote(name.replace("/", remote.separator))
            if name != "INBOX":
                client.cmd("CREATE", wire)
            client.cmd("SUBSCRIBE", wire)
            client.append_all(name.replace("/", remote.separator), numbered(name, count, size), 500)


def digests(messages):
    return [hashlib.sha256(body).hexdigest() for body, _, _ in messages]


def body(name, count, begin=0, end=None):
    """What identifies messages begin..end of a mailbox that was filled with `count`."""
    return digests(list(numbered(name, count))[begin:end])
