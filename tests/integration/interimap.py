# SPDX-License-Identifier: MIT
"""Runs the program under test with a configuration, home and database of its own."""

import contextlib
import os
import pathlib
import re
import signal
import sqlite3
import subprocess
import time
from dataclasses import dataclass

from . import processes
from .dovecot import PASSWORD, USER
from .imap import Imap, differences
from .ports import free_port

ROOT = pathlib.Path(__file__).resolve().parents[2]
TIMEOUT = 120

# Some of our processes cannot be traced, which LeakSanitizer needs; it says so and aborts.
_SANITIZERS = {
    "ASAN_OPTIONS": "abort_on_error=1:detect_stack_use_after_return=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
}
_FAULTS = re.compile(r"AddressSanitizer|LeakSanitizer|UndefinedBehaviorSanitizer|runtime error:"
                     r"|Assertion .* failed|waits for nothing:$", re.MULTILINE)


def _built(folder):
    for path in (ROOT / folder / "interimap", ROOT / folder / "proxy" / "interimap"):
        if path.exists():
            return str(path)
    raise FileNotFoundError(f"{folder}/interimap has not been built; tests/run builds it")


def program():
    """The program under test: $INTERIMAP, or the sanitized build."""
    return os.environ.get("INTERIMAP") or _built("build")


def release():
    """The program as users get it: for memory and speed."""
    return os.environ.get("INTERIMAP_RELEASE") or _built("build-release")


# Sections of the configuration.

def tunnel(dovecot, user=USER):
    return {"type": "tunnel", "command": dovecot.command(user)}


def imap(dovecot, port=None, user=USER, password=PASSWORD):
    """Plain text on a TCP port; `port` to go through a relay."""
    return {"type": "imap", "host": "127.0.0.1", "port": port or dovecot.port, "STARTTLS": "NO",
            "username": user, "password": password}


def starttls(dovecot, port=None, user=USER, password=PASSWORD):
    return {**imap(dovecot, port, user, password), "host": "localhost", "STARTTLS": "YES",
            "SSL_CAfile": dovecot.options.tls.ca}


def imaps(dovecot, port=None, user=USER, password=PASSWORD):
    return {"type": "imaps", "host": "localhost", "port": port or dovecot.tls_port,
            "username": user, "password": password, "SSL_CAfile": dovecot.options.tls.ca}


def connect(dovecot, user=USER, password=PASSWORD):
    """A test client, logged in."""
    client = Imap(port=dovecot.port)
    client.login(user, password)
    return client


def state(dovecot, user=USER, password=PASSWORD):
    """What an account holds now."""
    with connect(dovecot, user, password) as client:
        return client.state()


@dataclass
class Result:
    code: int           # exit status; -N: killed by signal N
    out: str
    err: str
    maxrss: int         # peak resident set in KiB, as last seen a few ms before the end
    seconds: float


class Running:
    """The program at work in the background."""

    def __init__(self, argv, env, folder, number):
        self._out = os.path.join(folder, f"out.{number}")
        self._err = os.path.join(folder, f"err.{number}")
        self._begin = time.monotonic()
        self._peak = 0
        self.result = None
        self.seen = False       # somebody has looked at the result
        with open(self._out, "wb") as out, open(self._err, "wb") as err:
            self.process = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=err, cwd=folder, start_new_session=True)
        self.pid = self.process.pid
        self._end = processes.End(self.pid)

    def err(self):
        return _read(self._err)

    def out(self):
        return _read(self._out)

    def poll(self):
        """The Result if it has ended, else None."""
        if self.result is None:
            # Not wait4's ru_maxrss: that remembers the memory of the test process we forked.
            self._peak = max(self._peak, processes.peak_memory(self.pid))
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                self.process.returncode = code
                self._end.close()
                self.result = Result(code, self.out(), self.err(), self._peak,
                                     time.monotonic() - self._begin)
        return self.result

    def wait(self, timeout=TIMEOUT, provoked=None):
        """The Result of its end; what the pattern `provoked` matches is no fault."""
        limit = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > limit:
                self.kill()
                raise AssertionError(f"still running after {timeout} s; it said:\n{self.err()}")
            self._end.poll(5)   # until it ends; now and then its memory is looked at
        return self._checked(provoked)

    def wait_for(self, pattern, timeout=20):
        """Wait until whole lines of its standard error match; returns the match."""
        limit = time.monotonic() + timeout
        while True:
            ended = self.poll()
            said = self.err()
            if not ended:   # the last line may be there in part
                said = said[:said.rfind("\n") + 1]
            found = re.search(pattern, said, re.MULTILINE)
            if found:
                return found
            if ended or time.monotonic() > limit:
                how = f"ended with {ended.code}" if ended else f"{timeout} s passed"
                raise AssertionError(f"{how}, and no {pattern!r} in:\n{self.err()}")
            time.sleep(0.01)

    def stop(self, number=signal.SIGTERM, timeout=20):
        if self.poll() is None:
            os.kill(self.pid, number)
        return self.wait(timeout)

    def kill(self):
        """SIGKILL for it and for what it started."""
        session = [pid for pid, _ in processes.of_session(self.pid)]
        processes.kill_all(session)
        while self.poll() is None:
            time.sleep(0.001)
        processes.wait_gone(session)
        processes.reap()
        return self.result

    def _checked(self, provoked=None):
        self.seen = True
        found = _FAULTS.search(self.result.err)
        if found and not (provoked and provoked.search(self.result.err)):
            raise AssertionError(f"{found[0]}:\n{self.result.err}")
        return self.result


class Interimap:
    """The program with one configuration; sections are dicts of options.

    The default section's `database` is `self.database` unless it is given.
    """

    def __init__(self, folder, local=None, remote=None, default=None, proxy=None, binary=None):
        self.folder = str(folder)
        self.binary = binary or program()
        self.database = os.path.join(self.folder, "sync.db")
        self.sections = {"": dict(default or {}), "local": local, "remote": remote, "proxy": proxy}
        self.runs = []
        for name in ("config/interimap", "data/interimap", "run"):
            os.makedirs(os.path.join(self.folder, name), mode=0o700, exist_ok=True)
        self.config = os.path.join(self.folder, "config/interimap/config")
        self.write()

    def write(self, **options):
        """Write the configuration file; `options` add to the default section."""
        default = {"database": self.database, **self.sections[""], **options}
        lines = [f"{name} = {value}" for name, value in default.items() if value is not None]
        for name in ("local", "remote", "proxy"):
            if self.sections[name] is not None:
                lines += ["", f"[{name}]"]
                lines += [f"{key} = {value}" for key, value in self.sections[name].items()]
        text = "\n".join(lines) + "\n"
        with open(os.open(self.config, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w",
                  encoding="utf-8") as file:
            file.write(text)

    def environment(self):
        env = {"PATH": "/usr/bin:/bin", "HOME": self.folder, "LC_ALL": "C.UTF-8",
               "XDG_CONFIG_HOME": f"{self.folder}/config", "XDG_DATA_HOME": f"{self.folder}/data",
               "XDG_RUNTIME_DIR": f"{self.folder}/run", **_SANITIZERS}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                env[name] = os.environ[name]
        return env

    def start(self, *args, env=None):
        """Begin a run in the background."""
        running = Running([self.binary, *args], {**self.environment(), **(env or {})},
                          self.folder, len(self.runs))
        self.runs.append(running)
        return running

    def run(self, *args, timeout=TIMEOUT, env=None):
        """A run to its end, whatever its exit status."""
        return self.start(*args, env=env).wait(timeout)

    def sync(self, *args, timeout=TIMEOUT):
        """A run that must succeed."""
        result = self.run(*args, timeout=timeout)
        assert result.code == 0, f"exit status {result.code}:\n{result.err}"
        return result

    def pids(self):
        """What runs now, tunnel commands included; for LockStepRelay.client_pids."""
        return [pid for running in self.runs if running.result is None
                for pid in processes.family(running.pid)]

    def kill(self):
        """End what still runs; for fixtures."""
        for running in self.runs:
            if running.poll() is None:
                running.kill()
        for running in self.runs:
            found = None if running.seen else _FAULTS.search(running.err())
            assert not found, running.err()

    # What must hold after a run.

    def sent(self, *args):
        """Sync once with --debug; the lines sent to either side, as "side: command"."""
        log = os.path.join(self.folder, "debug.log")
        if os.path.exists(log):
            os.unlink(log)
        self.write(logfile=log)
        try:
            self.sync("--debug", *args)
        finally:
            self.write()
        lines = re.findall(r"\b(local|remote)\b[^\n]*?\bC: (.*)", _read(log))
        assert any(side == "local" for side, _ in lines), "no line to local was logged"
        assert any(side == "remote" for side, _ in lines), "no line to remote was logged"
        return [f"{side}: {line}" for side, line in lines]

    def assert_noop(self, local, remote):
        """Another run opens no mailbox on either side and changes nothing."""
        before = state(local), state(remote)
        opened = [line for line in self.sent()
                  if re.match(r"\w+: \S+ (SELECT|EXAMINE)\b", line)]
        assert not opened, f"a run with nothing to do opened {opened}"
        assert (state(local), state(remote)) == before

    def assert_equal(self, local, remote):
        """Both sides hold the same."""
        found = differences(state(local), state(remote))
        assert not found, "the two sides differ:\n" + "\n".join(found)

    # The database.

    def make_due(self):
        """As if the time had come for all that is left out."""
        with contextlib.closing(sqlite3.connect(self.database)) as db:
            if db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'quarantine'").fetchone():
                db.execute("UPDATE quarantine SET next = 1")
                db.commit()

    def query(self, sql, *values):
        # Closed at once: an open connection, even an idle one, locks the program out.
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as db:
            return db.execute(sql, values).fetchall()

    def mailboxes(self):
        """name (levels joined by "/") -> (idx, subscribed)."""
        return {_name(name): (idx, bool(subscribed)) for idx, name, subscribed
                in self.query("SELECT idx, mailbox, subscribed FROM mailboxes")}

    def cached(self, side):
        """name -> (UIDVALIDITY, UIDNEXT, HIGHESTMODSEQ) of "local" or "remote"."""
        assert side in ("local", "remote")
        return {_name(name): tuple(rest) for name, *rest in self.query(
            "SELECT mailbox, UIDVALIDITY, UIDNEXT, HIGHESTMODSEQ FROM mailboxes"
            f" JOIN {side} USING (idx)")}

    def mapping(self, mailbox):
        """{local UID: remote UID} of one mailbox."""
        return dict(self.query("SELECT lUID, rUID FROM mapping JOIN mailboxes USING (idx)"
                               " WHERE mailbox = ?", mailbox.replace("/", "\0").encode()))


def proxy_section(user="me", password="local secret"):
    """A [proxy] section on a free port, with the login that clients use."""
    return {"listen": f"127.0.0.1:{free_port()}", "username": user, "password": password}


def _name(blob):
    return (blob if isinstance(blob, str) else blob.decode()).replace("\0", "/")


def _read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()
