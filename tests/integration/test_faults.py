# SPDX-License-Identifier: MIT
"""Servers that cannot be reached, connections that are cut, signals: nothing is lost, and it is said.

After each fault an undisturbed run repairs everything, and a further one has nothing to do.
"""

import os
import random
import re
import signal
import time

import pytest

from . import messages, processes
from .interimap import connect, imap, imaps, state, tunnel
from .ports import free_port
from .scripted import Scripted


def fill(dovecot, seed, count, mailbox="INBOX"):
    """Append different messages; a run may not double, lose or mix up any of them."""
    with connect(dovecot) as client:
        if mailbox != "INBOX" and mailbox not in client.list():
            client.cmd(f'CREATE "{mailbox}"')
        client.append_all(mailbox, messages.mix(seed, count))


def errors(result):
    return [line for line in result.err.splitlines() if "ERROR" in line]


def assert_repaired(one, local, remote, *mailboxes):
    one.sync(*mailboxes)
    one.assert_equal(local, remote)
    one.assert_noop(local, remote)


def refuses(dovecot, interimap, section, pattern, **more):
    """A run against this remote section ends with one sentence and changes nothing here."""
    local = dovecot("local")
    fill(local, 1, 2)
    before = state(local)
    one = interimap(tunnel(local), section, **more)
    result = one.run()
    assert result.code == 1
    assert len(errors(result)) == 1, result.err
    assert re.search(pattern, errors(result)[0]), result.err
    assert state(local) == before
    return one, local


def mend(one, local, remote, section=None, mailboxes=()):
    """The same account with a remote that works."""
    one.sections["remote"] = section or imap(remote)
    one.write()
    assert_repaired(one, local, remote, *mailboxes)


# Servers that cannot be reached.

def test_wrong_password(dovecot, interimap):
    remote = dovecot("remote", separator="/")
    one, local = refuses(dovecot, interimap, imap(remote, password="wrong"),
                         r'^remote: ERROR: the login as "user" was refused .*password')
    mend(one, local, remote)


def test_refused_connection(dovecot, interimap):
    port = free_port()
    one, local = refuses(dovecot, interimap, {
        "type": "imap", "host": "127.0.0.1", "port": port, "STARTTLS": "NO", "username": "user",
        "password": "secret"}, rf"^remote: ERROR: .*127\.0\.0\.1.*{port}.*[Rr]efused")
    mend(one, local, dovecot("remote"))


def test_unknown_host(dovecot, interimap):
    refuses(dovecot, interimap, {
        "type": "imap", "host": "mail.invalid", "STARTTLS": "NO", "username": "user",
        "password": "secret"}, r"^remote: ERROR: cannot look up mail\.invalid: ")


def test_untrusted_certificate(dovecot, interimap, certificates):
    remote = dovecot("remote", separator="/")
    one, local = refuses(dovecot, interimap,
                         {**imaps(remote), "SSL_CAfile": certificates.other_ca},
                         r"^remote: ERROR: the certificate.* is not trusted: ")
    mend(one, local, remote, imaps(remote))


def test_certificate_for_another_host(dovecot, interimap, cutter):
    remote = dovecot("remote", separator="/")
    relay = cutter(remote.tls_port, host="127.0.0.2")
    refuses(dovecot, interimap, {**imaps(remote, relay.port), "host": "127.0.0.2"},
            r"^remote: ERROR: the certificate is for .*localhost.*, not for 127\.0\.0\.2")


def test_server_without_qresync(dovecot, interimap):
    remote = dovecot("remote", capability="IMAP4rev1 ENABLE CONDSTORE UIDPLUS LIST-EXTENDED"
                                          " LIST-STATUS LITERAL+ IDLE")
    refuses(dovecot, interimap, remote, r"^remote: ERROR: the server lacks .*: QRESYNC$")


def test_both_fail(dovecot, interimap):
    """The first that fails is named; the other is not waited for."""
    dead = {"type": "imap", "host": "127.0.0.1", "port": free_port(), "STARTTLS": "NO",
            "username": "user", "password": "secret"}
    one = interimap(dead, {**dead, "port": free_port()})
    result = one.run()
    assert result.code == 1
    assert re.search(r"^(local|remote): ERROR: ", result.err, re.MULTILINE)


@pytest.mark.parametrize("command, pattern", [
    ("exit 3;", r"^remote: ERROR: .*closed the connection"),
    ("/nonexistent/imap", r"^remote: ERROR: cannot run /nonexistent/imap: no such file"),
    ("/nonexistent/imap;", r"^remote: ERROR: .*closed the connection"),
    ("echo hello", r"^remote: ERROR: .*not IMAP: hello"),
    ("echo '* BYE come back later'", r"^remote: ERROR: .*come back later"),
    ("echo '* OK [CAPABILITY IMAP4rev1] hello'; exec cat", r"^remote: ERROR: "),
])
def test_tunnel_command(dovecot, interimap, command, pattern):
    one, local = refuses(dovecot, interimap, {"type": "tunnel", "command": command}, pattern)
    remote = dovecot("remote", separator="/")
    mend(one, local, remote, tunnel(remote))


# Passes so many bytes of a command's output on, and exits.
_LIMITED = """
import os, subprocess, sys, threading
def feed():
    while data := os.read(0, 65536):
        os.write(child.stdin.fileno(), data)
child = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
threading.Thread(target=feed, daemon=True).start()
left = int(sys.argv[1])
while left > 0:
    left -= os.write(1, os.read(child.stdout.fileno(), min(left, 65536)))
child.kill()
os._exit(3)
"""


def test_tunnel_that_ends_within(pair, interimap, folder):
    """A command that serves well and then ends in the middle of a message, each time it is tried: some
    that do not fit are left out for a while."""
    local, remote = pair
    fill(remote, 1, 30)
    script = os.path.join(folder, "limited.py")
    with open(script, "w", encoding="utf-8") as file:
        file.write(_LIMITED)
    one = interimap(local, {"type": "tunnel", "compress": "NO", "command":
                            f"/usr/bin/python3 {script} 12000 {remote.command()}"})
    result = one.run()
    assert result.code == 1
    assert re.search(r"^remote: ERROR: the server closed the connection", result.err, re.MULTILINE)
    mend(one, local, remote, mailboxes=["INBOX"])


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize("steps, pattern", [
    ([b"* BYE [UNAVAILABLE] too many users"], r"ended the connection: too many users"),
    ([b"HTTP/1.1 400 Bad Request"], r"not IMAP: HTTP/1.1 400"),
    ([], r"closed the connection"),
    ([b"* OK hi", re.compile(rb"1 CAPABILITY"), b"* CAPABILITY IMAP4rev1 AUTH=PLAIN", b"1 OK x",
      re.compile(rb"2 AUTHENTICATE PLAIN"), b"+ ", re.compile(rb"AHVzZXIAc2VjcmV0"),
      b"* BYE [ALERT] go away"], r"ended the connection: go away"),
    ([b"* PREAUTH [CAPABILITY IMAP4rev1 ENABLE QRESYNC UIDPLUS LIST-EXTENDED LIST-STATUS] x",
      re.compile(rb"1 ENABLE QRESYNC"), b"* LIST () \"/\" INBOX", b"* 5 FETCH (UID"],
     r"not IMAP: \* 5 FETCH"),
])
def test_scripted_server(dovecot, interimap, steps, pattern, slow):
    with Scripted(steps, slow) as server:
        refuses(dovecot, interimap, {
            "type": "imap", "host": "127.0.0.1", "port": server.port, "STARTTLS": "NO",
            "username": "user", "password": "secret"}, rf"^remote: ERROR: .*{pattern}")
        assert server.connections == 1
        assert not server.unexpected


# Before any server is asked.

def test_without_a_configuration_file(pair, interimap):
    """It said "cannot read …: No such file", and no more, to whoever ran it for the first time."""
    one = interimap(*pair)
    os.unlink(one.config)
    result = one.run()
    assert result.code == 1 and not os.path.exists(one.database)
    first, *steps = result.err.splitlines()
    assert first == f"ERROR: cannot read {one.config}: No such file or directory"
    assert len(steps) == 3
    assert all(word in "\n".join(steps) for word in (
        "[remote], host = ", "interimap --proxy", "interimap(1)", "quickstart"))
    # Whoever names a file knows what that is.
    assert len(one.run("--config=elsewhere").err.splitlines()) == 1


def test_locked_database(pair, interimap):
    """A second instance fails at once, and before any network traffic."""
    local, remote = pair
    with Scripted([]) as here, Scripted([]) as there:
        one = interimap(local, remote)
        one.sync()
        first = one.start("--watch=60")
        first.wait_for("up to date")
        second = interimap({**imap(local), "port": here.port}, {**imap(remote), "port": there.port})
        second.database = one.database
        second.write()
        result = second.run()
        assert result.code == 1
        assert len(errors(result)) == 1
        assert re.search(r"sync\.db.*(in use|locked)", errors(result)[0]), result.err
        assert here.connections == there.connections == 0
        assert first.stop().code == 0
    assert_repaired(one, local, remote)


@pytest.mark.parametrize("text, pattern", [
    ("[local]\ntype = imap\nhost = localhost\ncolour = blue\n", r"config:4: .*colour"),
    ("[local]\n\nhost = a b c\n", r"config:3: host: "),
    ("[lokal]\n", r"config:1: .*lokal"),
    ("database = x\n[remote]\ntype = pop3\n", r"config:3: .*pop3"),
    ("[remote]\nno equals sign\n", r"config:2: "),
])
def test_invalid_configuration(folder, interimap, text, pattern):
    one = interimap(None, None)
    with open(one.config, "w", encoding="utf-8") as file:
        file.write(text)
    result = one.run()
    assert result.code != 0
    assert len(errors(result)) == 1
    assert re.search(pattern, errors(result)[0]), result.err


def test_unreadable_configuration(interimap):
    one = interimap(None, None)
    os.unlink(one.config)
    result = one.run()
    assert result.code != 0
    assert re.search(rf"{one.config}.*No such file", errors(result)[0]), result.err
    os.mkdir(one.config)
    result = one.run()
    assert result.code != 0
    assert one.config in errors(result)[0], result.err


# Connections that are cut.

class Account:
    """Two servers that both change between runs; what they must hold after each is known."""

    def __init__(self, local, remote, seed):
        self.local = local
        self.remote = remote
        self.rng = random.Random(seed)
        self.number = 0

    def change(self):
        for server in (self.local, self.remote):
            with connect(server) as client:
                for name in ("INBOX", "box"):
                    if name not in client.list():
                        client.cmd(f"CREATE {name}")
                    client.append_all(name, self._new(3))
                    client.select(name)
                    uids = client.uids()
                    client.store(self.rng.sample(uids, 2), "+", ["\\Flagged"])
                    if len(uids) > 8:
                        client.expunge(self.rng.sample(uids, 2))

    def _new(self, count):
        for _ in range(count):
            self.number += 1
            body = (b"Message-ID: <%d@example.org>\r\n\r\n" % self.number
                    + b"x" * self.rng.choice([10, 1000, 30000]) + b"\r\n")
            yield body, (), messages.PRESENT + self.number


def held(server):
    """All messages a server holds, as a list: doubles are seen."""
    return sorted((name, digest, date) for name, found in state(server).mailboxes.items()
                  for (digest, date, _), count in found.items() for _ in range(count))


CUTS = 20


@pytest.mark.parametrize("direction", ["up", "down"])
def test_cut_anywhere(pair, interimap, cutter, direction):
    """Cuts at random places: after each, an undisturbed run has every message exactly once.

    What was expunged on one side before the cut must be gone from both after it, so the messages
    left are those of a run without a cut: the new ones, and the old ones that both still had.
    """
    local, remote = pair
    relay = cutter(remote.port)
    # All rounds together are a mass of deletions.
    one = interimap(tunnel(local), {**imap(remote, port=relay.port), "compress": "NO"},
                    default={"max-deletions": "NO"})
    account = Account(local, remote, direction)
    account.change()
    one.sync()
    account.change()
    before = relay.passed[direction]
    one.sync()
    length = relay.passed[direction] - before
    synced = held(local)
    while relay.cuts < CUTS:
        account.change()
        expected = expected_after(set(synced), set(held(local)), set(held(remote)))
        # Half of them before the bodies, where most of the dialogue is.
        place = account.rng.randrange(account.rng.choice([3000, length]))
        relay.cut_after(place, direction)
        result = one.run()
        relay.go_on()
        # The run may have been shorter than the place of the cut.
        assert result.code == 0 or re.search(r"^remote: ERROR: ", result.err, re.MULTILINE), (
            result.err)
        one.sync()
        synced = held(local)
        assert synced == held(remote) == expected, f"after a cut at {direction} {place}"
    one.assert_equal(local, remote)
    one.assert_noop(local, remote)


def expected_after(synced, here, there):
    """What both sides hold after a sync, given what they held after the last one."""
    return sorted((here & there & synced) | (here - synced) | (there - synced))


@pytest.mark.parametrize("side", ["local", "remote"])
def test_server_dies_within(pair, interimap, side):
    """All processes of a server are killed while it is being filled."""
    local, remote = pair
    server, other = (remote, local) if side == "remote" else (local, remote)
    fill(other, 5, 300)
    one = interimap(imap(local), imap(remote))
    running = one.start()
    running.wait_for("Added")
    server.kill_clients()
    result = running.wait()
    assert result.code == 0, result.err     # it connects once more, as far as that helps
    assert re.search(rf"^{side}: ERROR: ", result.err, re.MULTILINE), result.err
    assert_repaired(one, local, remote)
    assert len(held(server)) == 300


# Signals.

@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_signal_within(pair, interimap, cutter, number, code):
    """Ended in the middle, for certain, since the connection hangs: at once, and cleanly."""
    local, remote = pair
    fill(local, 6, 200)
    fill(remote, 7, 200)
    relay = cutter(remote.port)
    one = interimap(tunnel(local), imap(remote, port=relay.port))
    running = one.start()
    limit = time.monotonic() + 20
    while relay.passed["down"] < 60000 and time.monotonic() < limit:
        time.sleep(0.001)
    relay.hang()
    started = processes.family(running.pid)
    assert len(started) > 1     # the tunnel's command
    os.kill(running.pid, number)
    began = time.monotonic()
    result = running.wait(20)
    assert time.monotonic() - began < 5
    assert result.code == code, result.err
    assert not errors(result), result.err
    processes.wait_gone(started, 5)
    relay.go_on()
    assert one.query("PRAGMA integrity_check") == [("ok",)]
    assert_repaired(one, local, remote)
    assert len(held(local)) == len(held(remote)) == 400


def test_signal_at_rest(pair, interimap):
    local, remote = pair
    one = interimap(local, remote)
    one.sync()
    for number, code in ((signal.SIGTERM, 0), (signal.SIGINT, 130)):
        running = one.start("--watch=60")
        running.wait_for("up to date")
        result = running.stop(number)
        assert result.code == code, result.err
    assert_repaired(one, local, remote)
