# SPDX-License-Identifier: MIT
"""The service at work: a mail client at the proxy, a store, and a remote server that comes and goes."""

import os
import signal
import time

import pytest

from . import messages
from .imap import Imap
from .interimap import connect, imaps, proxy_section, state
from .processes import descendants


class Service:
    """`interimap --proxy` with the embedded store, synchronised once."""

    def __init__(self, interimap, remote, **more):
        self.remote = remote
        section = proxy_section()
        self.port = int(section["listen"].rsplit(":", 1)[1])
        self.login = section["username"], section["password"]
        self.program = interimap(None, imaps(remote), proxy=section, **more)
        self.program.sections["local"] = {"type": "maildir", "path": f"{self.program.folder}/Mail"}
        self.program.write()
        self.running = self.program.start("--proxy")
        self.running.wait_for("up to date", timeout=30)

    def client(self):
        client = Imap(port=self.port)
        client.login(*self.login)
        return client

    def state(self):
        with self.client() as client:
            return client.state()


@pytest.fixture
def service(interimap, dovecot):
    remote = dovecot("remote", separator="/", format="sdbox")
    with connect(remote) as client:
        client.append_all("INBOX", messages.mix(31, 20))
        client.cmd('CREATE "Lists/one"')
        client.append_all("Lists/one", messages.mix(32, 5))
    one = Service(interimap, remote)
    yield one
    result = one.running.stop()
    assert result.code == 0, result.err


def eventually(check, seconds):
    """How long it took until check() was true."""
    begin = time.monotonic()
    while not check():
        assert time.monotonic() - begin < seconds, f"not within {seconds} s"
        time.sleep(0.005)
    return time.monotonic() - begin


def remote_flags(there, uid):
    there.cmd("NOOP")
    return there.snapshot("INBOX")[uid][2]


def test_client_actions_reach_the_remote(service):
    """A flag, a message and an expunge by a client are on the remote within 300 ms each."""
    with service.client() as mine, connect(service.remote) as there:
        mine.select("INBOX")
        there.select("INBOX")
        took = {}
        mine.store([3], "+", [r"\Flagged"])
        took["flag"] = eventually(lambda: r"\flagged" in remote_flags(there, 3), 0.3)
        mine.append("INBOX", messages.message("live").body)
        took["append"] = eventually(lambda: len(there.snapshot("INBOX")) == 21, 0.3)
        mine.expunge([5])
        took["expunge"] = eventually(lambda: 5 not in there.snapshot("INBOX"), 0.3)
        print("seconds until it was on the remote:", took)


def test_remote_mail_reaches_an_idling_client(service):
    with service.client() as mine, connect(service.remote) as there:
        mine.select("INBOX")
        mine.idle()
        for round_ in range(3):
            begin = time.monotonic()
            there.append("INBOX", messages.message(f"new {round_}").body)
            found = mine.idle_wait(lambda r, n=21 + round_: r[:2] == [str(n), "EXISTS"], timeout=1.0)
            assert found, "the client was not told within 1 s"
            print("seconds until the client was told:", time.monotonic() - begin)
        mine.idle_done()


def test_remote_mailboxes_and_flags_arrive(service):
    with service.client() as mine, connect(service.remote) as there:
        there.cmd('CREATE "made there"')
        there.append("made there", messages.message("x").body)
        there.select("Lists/one")
        there.store([1, 2], "+", [r"\Seen", "$Work"])
        delimiter = mine.delimiter()
        eventually(lambda: "made there" in mine.list(), 5)
        eventually(lambda: len(mine.snapshot("made there")) == 1, 5)
        eventually(lambda: "$work" in mine.snapshot(f"Lists{delimiter}one")[1][2], 5)


def test_remote_away(service):
    """The remote is stopped while the client works on; all is replicated afterwards."""
    service.remote.stop()
    stopped = time.monotonic()
    with service.client() as mine:
        slowest, count = 0.0, 0
        while time.monotonic() - stopped < 6:   # longer than from one try to the next
            begin = time.monotonic()
            mine.select("INBOX")
            uid = mine.uids()[count % 5]
            mine.store([uid], "+", [r"\Answered"])
            mine.append("INBOX", messages.message(f"away {count}").body)
            if count % 10 == 9:
                mine.expunge(mine.uids()[-1:])
            slowest = max(slowest, time.monotonic() - begin)
            count += 1
            time.sleep(0.05)  # the pace of a client, not a wait for something
        assert slowest < 1.0, f"a client had to wait {slowest} s"
        mine.cmd('CREATE "made away"')
        mine.append("made away", messages.message("away").body)
    assert service.running.poll() is None
    service.remote.start()
    eventually(lambda: service.state() == state(service.remote), 60)
    assert service.state().count() >= count


def test_both_lost_at_once(service):
    """Both connections end within one turn of the loop, as they may after a suspend."""
    os.kill(service.running.pid, signal.SIGSTOP)
    for pid, _ in descendants(service.running.pid):
        os.kill(pid, signal.SIGKILL)  # the store's process of the engine
    service.remote.kill_clients()
    os.kill(service.running.pid, signal.SIGCONT)
    service.running.wait_for("connected again", timeout=30)
    with connect(service.remote) as there:
        there.append("INBOX", messages.message("after").body)
    eventually(lambda: service.state() == state(service.remote), 10)


def test_restart_is_a_noop(service):
    """What the service did is complete: a one-shot run after it opens nothing."""
    with service.client() as mine:
        mine.select("INBOX")
        mine.store([1], "+", [r"\Deleted"])
        mine.append("INBOX", messages.message("last").body)
    eventually(lambda: service.state() == state(service.remote), 5)
    assert service.running.stop().code == 0
    sent = service.program.sent()
    assert not [line for line in sent if " SELECT " in line], sent
    service.running = service.program.start("--proxy")
    service.running.wait_for("up to date", timeout=30)
