# SPDX-License-Identifier: MIT
"""What a laptop goes through: the network, the clock and the server come and go under the service.

A change that happened meanwhile on either side is on the other one within RECOVERY seconds after the
cause is gone, a mail client waits for none of it, and memory and descriptors stay where they were.
What was measured is printed; docs/reliability.md has the table.
"""

import os
import re
import signal
import socket
import threading
import time

import pytest

from . import clock, messages, processes
from .fake import Fake
from .hosts import THERE, Hosts
from .imap import Imap
from .interimap import connect, imap, imaps, proxy_section, release, state
from .test_hostile_memory import SECTION
from .tls import Certificates
from .turns import CuttingRelay

RECOVERY = 10
# A client's worst command, on a machine that is busy with tests besides; the median is told beside it.
PATIENCE = 1.0
WORK = {"median": 0.05}

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can make network namespaces")


class _Door(CuttingRelay):
    """What listens at the server's host, and leads to the Dovecot of the test."""

    def __init__(self, hosts, target):
        super().__init__(target, host=THERE)
        self.hosts = hosts
        self.knocks = []    # when somebody came

    def _listen(self):
        with self.hosts.at("there"):
            return socket.create_server((self.host, self.port), backlog=64)

    def _enter(self, client):
        self.knocks.append(time.monotonic())
        super()._enter(client)


class Laptop:
    """The service on one host, the remote server on the other."""

    def __init__(self, hosts, interimap, remote, folder, fast=None, tls=False):
        self.hosts, self.remote, self.folder = hosts, remote, folder
        self.door = _Door(hosts, remote.tls_port if tls else remote.port).start()
        self.clock = os.path.join(folder, "clock")
        self.set_clock()
        section = proxy_section()
        self.port = int(section["listen"].rsplit(":", 1)[1])
        self.login = section["username"], section["password"]
        environment = f"export LD_PRELOAD={clock.preloaded(folder)} TEST_CLOCK={self.clock}"
        if fast:
            environment += f" TEST_CLOCK_FAST={fast}"
        binary = hosts.script("here", os.path.join(folder, "interimap"), release(), environment)
        there = {**(imaps if tls else imap)(remote), "host": THERE, "port": self.door.port}
        self.one = interimap({"type": "maildir", "path": f"{folder}/Mail"}, there, proxy=section,
                             binary=binary)
        self.running = self.one.start("--proxy")
        self.running.wait_for("up to date", timeout=30)

    def set_clock(self, boot=0, real=0):
        """By how much both clocks are ahead; read by the program at any time."""
        with open(self.clock + ".new", "w", encoding="ascii") as file:
            file.write(f"{boot} {real}\n")
        os.rename(self.clock + ".new", self.clock)

    def client(self):
        with self.hosts.at("here"):
            client = Imap(port=self.port)
        client.login(*self.login)
        return client

    def state(self):
        with self.client() as client:
            return client.state()

    def stop(self):
        if self.running.poll() is None:
            result = self.running.stop()
            assert result.code == 0, result.err
        self.door.stop()

    def size(self):
        """(resident KiB, descriptors) of the service itself."""
        with open(f"/proc/{self.running.pid}/status", encoding="ascii") as file:
            kib = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
        return kib, len(os.listdir(f"/proc/{self.running.pid}/fd"))


class Worker(threading.Thread):
    """A mail client at work; how long each of its commands took."""

    def __init__(self, client, writes=True):
        super().__init__(daemon=True)
        self.client, self.took, self.failure, self.writes = client, [], None, writes
        self._over = threading.Event()

    def run(self):
        commands = [lambda: self.client.cmd("NOOP"), lambda: self.client.uids()]
        if self.writes:
            commands += [lambda: self.client.store([1], "+", [r"\Seen"]),
                         lambda: self.client.store([1], "-", [r"\Seen"])]
        self.client.select("INBOX")
        count = 0
        # The pace of a client; and a median is one of several.
        while not self._over.wait(0.05) or len(self.took) < 20:
            begin = time.monotonic()
            try:
                commands[count % len(commands)]()
            except Exception as error:  # pylint: disable=broad-except
                self.failure = error
                return
            self.took.append(time.monotonic() - begin)
            count += 1

    def end(self):
        self._over.set()
        self.join()
        self.client.close()
        assert self.failure is None, f"the client was cut off: {self.failure}"
        return max(self.took), sorted(self.took)[len(self.took) // 2]


@pytest.fixture
def laptop(interimap, dovecot, folder):
    made, hosts = [], Hosts()

    def make(tls=None, **more):
        remote = dovecot("remote", separator="/", format="sdbox", tls=tls)
        with connect(remote) as client:
            client.append_all("INBOX", messages.mix(41, 20))
        made.append(Laptop(hosts, interimap, remote, folder, tls=tls is not None, **more))
        return made[-1]

    yield make
    for one in made:
        one.stop()
    hosts.close()


def _crossed(laptop, there, subjects):
    """How many of the messages have come to the other side: (to the client, to the server)."""
    with laptop.client() as mine:
        mine.select("INBOX")
        here = len(mine.uids())
    there.cmd("NOOP")
    return here >= subjects and len(there.uids()) >= subjects


def _arrive(laptop, name, number):
    """A message comes to the remote server."""
    with connect(laptop.remote) as there:
        there.append("INBOX", messages.message(f"{name} there {number}").body)


def endure(laptop, name, begin, end, seconds):
    """One disturbance; what comes of it, as a row of the table."""
    worker = Worker(laptop.client())
    worker.start()
    with connect(laptop.remote) as there:
        there.select("INBOX")
        before = len(there.uids())
    begin()
    with laptop.client() as mine:
        mine.append("INBOX", messages.message(f"{name} here {before}").body)
    if laptop.remote.process:
        _arrive(laptop, name, before)
    gone = time.monotonic()
    while time.monotonic() - gone < seconds:
        time.sleep(0.05)    # the length of the disturbance is the case
        assert laptop.running.poll() is None, laptop.running.err()
    answers = bool(laptop.remote.process)
    end()
    back = time.monotonic()
    if not answers:
        _arrive(laptop, name, before)
    there = connect(laptop.remote)
    there.select("INBOX")
    while not _crossed(laptop, there, before + 2):
        assert time.monotonic() - back < RECOVERY, (
            f"{name}: not within {RECOVERY} s:\n{laptop.running.err()}")
        time.sleep(0.02)
    recovery = time.monotonic() - back
    worst, median = worker.end()
    there.close()
    print(f"endurance: {name}, {seconds} s: in step again after {recovery:.1f} s; a client's worst "
          f"command {worst * 1000:.0f} ms, median {median * 1000:.1f} ms")
    assert worst < PATIENCE and median < WORK["median"], (name, worst, median)


def _suspend(laptop):
    """Packets are lost, and the server has ended what it no longer heard from."""
    laptop.hosts.swallow()
    laptop.door.cut_now()


def _resume(laptop, slept):
    laptop.set_clock(boot=slept)
    laptop.hosts.pass_on()


def _stop(laptop):
    """Nobody listens there any more."""
    laptop.remote.stop()
    laptop.door.stop()


def _start(laptop):
    laptop.remote.start()
    laptop.door.start()


def _disturbances(laptop):
    """name -> (begin, end)."""
    hosts = laptop.hosts
    return {
        "link lost": (hosts.unplug, hosts.plug),
        "packets lost without a word": (hosts.swallow, hosts.pass_on),
        "address changed": (hosts.move, lambda: None),
        "address changed back": (hosts.move_back, lambda: None),
        "suspended": (lambda: _suspend(laptop), lambda: _resume(laptop, 3600)),
        "clock an hour back": (lambda: laptop.set_clock(boot=3600, real=-3600), lambda: None),
        "clock a day ahead": (lambda: laptop.set_clock(boot=3600, real=86400), lambda: None),
        "remote stopped": (lambda: _stop(laptop), lambda: _start(laptop)),
    }


def _finish(laptop):
    """Both sides are the same; a run after it has nothing to do."""
    limit = time.monotonic() + RECOVERY
    while laptop.state() != state(laptop.remote):
        assert time.monotonic() < limit, laptop.running.err()
        time.sleep(0.05)
    laptop.running.stop()
    opened = [line for line in laptop.one.sent() if " SELECT " in line]
    assert not opened, opened


@pytest.mark.parametrize("moved", [False, True], ids=["at rest", "in another network meanwhile"])
def test_told_backoff_is_waited_for(moved, interimap, folder):
    """A minute, as the server asks; to be in another network changes nothing about that."""
    hosts, logins, fast, told = Hosts(), [], 10, 60
    try:
        with hosts.at("there"):
            server = Fake(host=THERE)

        def login(connection, tag, _words):
            logins.append(time.monotonic())
            if len(logins) > 2:
                return False
            connection.say(f"{tag} NO [UNAVAILABLE] too busy, try again in {told} seconds")
            return True

        server.answers["LOGIN"] = login
        environment = "export " + " ".join(
            f"{name}={value}" for name, value in clock.faster(folder, fast).items())
        binary = hosts.script("here", os.path.join(folder, "interimap"), release(), environment)
        one = interimap({"type": "maildir", "path": f"{folder}/Mail"},
                        {**SECTION, "host": THERE, "port": server.port}, proxy=proxy_section(),
                        binary=binary)
        with server:
            running = one.start("--proxy")
            running.wait_for("takes no login now", timeout=20)
            if moved:
                hosts.move()
                hosts.move_back()
            running.wait_for("up to date", timeout=4 * told / fast)
            running.stop()
    finally:
        hosts.close()
    waits = [(end - begin) * fast for begin, end in zip(logins, logins[1:])]
    assert len(waits) == 2 and all(told - 1 <= wait < 2 * told for wait in waits), waits


SHORT = {"link lost": 1, "suspended": 1, "address changed": 0, "remote stopped": 2,
         "clock an hour back": 0}


def test_what_a_day_brings(laptop):
    one = laptop()
    disturbances = _disturbances(one)
    for name, seconds in SHORT.items():
        endure(one, name, *disturbances[name], seconds)
    _finish(one)


class _Certificate:
    """What the remote server shows, and what the configuration says of it."""

    def __init__(self, laptop, folder):
        self.laptop = laptop
        self.good = laptop.remote.options.tls
        self.other = Certificates(os.path.join(folder, "other"))
        self._said, self._since = 0, 0.0

    def _show(self, certificates):
        """From now on; the connections that there were are cut."""
        self.laptop.remote.configure(tls=certificates)
        self.laptop.remote.restart()

    def renew(self):
        self.good.renew()
        self._show(self.good)

    def replace(self):
        """One that the configured authority did not sign."""
        self._begin()
        self._show(self.other)

    def rekey(self):
        """One that the configured fingerprint does not fit."""
        self._begin()
        self.renew()

    def _begin(self):
        self._said, self._since = len(self.laptop.running.err()), time.monotonic()

    def _configure(self, **options):
        self.laptop.one.sections["remote"].update(options)
        self.laptop.one.write()
        os.kill(self.laptop.running.pid, signal.SIGHUP)

    def pin(self):
        self._configure(SSL_fingerprint=self.good.pin())
        self.laptop.running.wait_for("the configuration was read again")

    def judged(self, seconds, pattern):
        """What a person can see of it: one sentence, the status; and how often the server was asked."""
        laptop = self.laptop
        sentence = f"^remote: ERROR: {pattern} \\(trying again\\)$"
        laptop.running.wait_for(sentence, timeout=RECOVERY)
        said = laptop.running.err()[self._said:]
        assert len(re.findall(f"^remote: ERROR: {pattern}", said, re.MULTILINE)) == 1, said
        status = laptop.one.run("--status").out
        assert re.search(rf"remote: .*{pattern}", status), status
        knocks = [when for when in laptop.door.knocks if when > self._since]
        assert len(knocks) <= 5 + seconds / 4, [when - self._since for when in knocks]

    def trust_the_other(self, seconds):
        self.judged(seconds, "the certificate is not trusted: .*; if it is .* SSL_CAfile")
        self._configure(SSL_CAfile=self.other.ca)

    def show_the_good_one(self, seconds):
        self.judged(seconds, "the certificate is not trusted: .*; if it is .* SSL_CAfile")
        self._show(self.good)

    def pin_the_other(self, seconds):
        found = f"sha256.{self.good.pin()[7:]}"
        self.judged(seconds, f"the fingerprint of .*{found}; if that is .* SSL_fingerprint")
        self._configure(SSL_fingerprint=self.good.pin())


def _certificates_change(laptop, folder, seconds):
    own = Certificates(os.path.join(folder, "own"))
    one = laptop(tls=own)
    shown = _Certificate(one, folder)
    endure(one, "certificate renewed", shown.renew, lambda: None, 0)
    endure(one, "certificate of another authority, then the good one again", shown.replace,
           lambda: shown.show_the_good_one(seconds), min(seconds, 15))
    shown.pin()
    endure(one, "certificate with another key, then SSL_fingerprint and SIGHUP", shown.rekey,
           lambda: shown.pin_the_other(seconds), seconds)
    one.one.sections["remote"].pop("SSL_fingerprint")
    endure(one, "certificate of another authority, then SSL_CAfile and SIGHUP", shown.replace,
           lambda: shown.trust_the_other(seconds), seconds)
    _finish(one)


def test_the_certificate_changes(laptop, folder):
    _certificates_change(laptop, folder, 1)


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seconds", [15, 90])
def test_every_disturbance(laptop, seconds):
    """Each as long that only TCP's retransmissions have noticed; and so long that all is lost."""
    one = laptop()
    for name, (begin, end) in _disturbances(one).items():
        endure(one, name, begin, end, 0 if "changed" in name or "clock" in name else seconds)
    _finish(one)


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_remote_restarted_a_hundred_times(laptop):
    """Memory and descriptors are what they were."""
    one = laptop()
    for count in range(100):
        if count == 10:
            begin = one.size()
        one.remote.restart()
        with connect(one.remote) as there:
            there.append("INBOX", messages.message(f"restart {count}").body)
        limit = time.monotonic() + RECOVERY
        while one.state().count() < 21 + count:
            assert time.monotonic() < limit, one.running.err()
            time.sleep(0.02)
    end = one.size()
    print(f"endurance: 100 restarts: {begin[0]} to {end[0]} KiB, {begin[1]} to {end[1]} descriptors")
    assert end[1] <= begin[1] and end[0] < begin[0] * 1.2 + 1024
    _finish(one)


def _a_long_time(laptop, hours, fast):
    one = laptop(fast=fast)
    begin, size, count = time.monotonic(), one.size(), 0
    while (time.monotonic() - begin) * fast < hours * 3600:
        with connect(one.remote) as there:
            there.append("INBOX", messages.message(f"hour {count}").body)
        count += 1
        limit = time.monotonic() + RECOVERY
        while one.state().count() < 20 + count:
            assert time.monotonic() < limit, one.running.err()
            time.sleep(0.02)
        time.sleep(min(600 / fast, 2))  # of the model's time, ten minutes
    end = one.size()
    print(f"endurance: {hours} h of model time: {count} messages, {size[0]} to {end[0]} KiB, "
          f"{size[1]} to {end[1]} descriptors")
    assert end[1] <= size[1] + 2 and end[0] < size[0] * 1.2 + 1024
    _finish(one)


def test_some_minutes(laptop):
    _a_long_time(laptop, 0.1, 20)


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_a_day(laptop):
    _a_long_time(laptop, 24, 100)


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seconds", [15, 90])
def test_the_certificate_changes_for_long(laptop, folder, seconds):
    _certificates_change(laptop, folder, seconds)
