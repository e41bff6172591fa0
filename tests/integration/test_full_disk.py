# SPDX-License-Identifier: MIT
"""The disk under the mail folder is full.

Dovecot's words for it, "Internal error occurred", said nothing to a person; and what was to come to
the folder waited for the next look at everything, a quarter of an hour or more, once there was room.
"""

import os
import re
import subprocess

import pytest

from .inline import counts, eventually, numbered
from .test_endurance import PATIENCE, Worker

# Longest wait for the next look at the disk, and some.
AGAIN = 90

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a file system")


class Disk:
    """A small file system for the mail folder of the first account."""

    def __init__(self, folder):
        self.path = f"{folder}/interimap0/Mail"
        os.makedirs(self.path, mode=0o700)
        self._mount("size=64m,mode=700", "tmpfs", self.path)

    def _mount(self, options, *where):
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, *where], check=True)

    def fill(self):
        """No byte more than what is there."""
        at = os.statvfs(self.path)
        self._mount(f"remount,size={(at.f_blocks - at.f_bfree) * at.f_frsize}", self.path)
        assert os.statvfs(self.path).f_bavail == 0

    def grow(self):
        self._mount("remount,size=64m", self.path)

    def gone(self):
        subprocess.run(["umount", "--lazy", self.path], check=True)


@pytest.fixture
def disk(folder):
    one = Disk(folder)
    yield one
    one.gone()


def big(name):
    return next(iter(numbered(name, 1, 300_000)))


def test_full_mail_folder(disk, make):
    service = make({"INBOX": 5, "from": 5})
    service.away()
    with service.client() as client:
        client.append("from", *big("here"))
    worker = Worker(service.client(), writes=False)
    worker.start()
    disk.fill()
    with service.there() as there:
        there.append("INBOX", *big("there"))
        there.append("from", *big("there, too"))
        there.cmd("CREATE fresh")
    service.back()
    said = f"no room left in the folder {re.escape(disk.path)}: make some"
    service.running.wait_for(rf"^local\(INBOX\): ERROR: .*{said}", timeout=60)
    # The other direction goes on, and clients read.
    with service.there() as there:
        eventually(lambda: counts(there)[0]["from",] == 7, 30, service.running.err())
    with service.client() as client:
        assert len(client.uids("INBOX")) == 5
        assert client.cmd("UID FETCH 1:* BODY.PEEK[]")
    service.quiet()
    status = service.one.run("--status").out
    assert re.search(rf"INBOX: .*{said}", status), status
    assert "Internal error" not in service.running.err() + status
    assert "left out" not in service.running.err(), "it is not for a message's sake"
    disk.grow()
    seconds = eventually(service.equal, AGAIN, service.running.err())
    worst, median = worker.end()
    print(f"endurance: disk full and freed: in step again after {seconds:.1f} s; a client's worst "
          f"command {worst * 1000:.0f} ms, median {median * 1000:.1f} ms")
    assert worst < PATIENCE, (worst, median)
    service.settle()
