# SPDX-License-Identifier: MIT
"""A store that is restored from a backup: what it lost is not what somebody deleted.

Twenty messages were in step, a backup was made, ten more were synchronised, and one side was
restored.  It has the same UIDVALIDITY, and a lower UIDNEXT and HIGHESTMODSEQ.  The next run took the
ten for deleted, and expunged them on the other side; and new mail that got their UIDs was taken for
them, so that it never crossed.
"""

import os
import shutil

import pytest

from .inline import digests, numbered
from .interimap import connect
from .service import eventually

SIDES = ["local", "remote"]
FORMATS = ["maildir", "sdbox"]


def own(server, path):
    """What was copied is the server's user's."""
    if server.owner.switch:
        for folder, _, names in os.walk(path):
            for each in [folder, *(os.path.join(folder, name) for name in names)]:
                os.chown(each, server.owner.uid, server.owner.gid)


class Account:
    """Two servers in one format, and what each message is."""

    def __init__(self, dovecot, interimap, mail_format):
        self.servers = {side: dovecot(side, separator="/", format=mail_format) for side in SIDES}
        self.one = interimap(*self.servers.values())
        self.expected = set()

    def mail(self, side):
        return os.path.join(self.servers[side].path, "mail", "user")

    def deliver(self, side, name, count):
        with connect(self.servers[side]) as client:
            client.append_all("INBOX", numbered(name, count))
        self.expected |= {body.split(b"Message-ID: ")[1].split(b"\r\n")[0]
                          for body, _, _ in numbered(name, count)}

    def back_up(self, side):
        self.servers[side].stop()
        shutil.copytree(self.mail(side), self.mail(side) + ".backup")
        self.servers[side].start()

    def restore(self, side):
        server = self.servers[side]
        server.stop()
        shutil.rmtree(self.mail(side))
        shutil.copytree(self.mail(side) + ".backup", self.mail(side))
        own(server, self.mail(side))
        server.start()

    def held(self, side):
        """The Message-IDs there, each as often as it is."""
        with connect(self.servers[side]) as client:
            client.select("INBOX")
            lines = client.cmd("UID FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
        return sorted(name for name in self.expected for _ in range(str(lines).count(name.decode())))

    def check(self):
        """Every message is on both sides, once; the pairs are right, and nothing is left to do."""
        for side in SIDES:
            assert self.held(side) == sorted(self.expected), side
        self.one.assert_equal(*self.servers.values())
        states = [self._bodies(side) for side in SIDES]
        mapping = self.one.mapping("INBOX")
        assert sorted(mapping) == sorted(states[0]) and sorted(mapping.values()) == sorted(states[1])
        assert not [pair for pair in mapping.items() if states[0][pair[0]] != states[1][pair[1]]]
        self.one.assert_noop(*self.servers.values())

    def _bodies(self, side):
        with connect(self.servers[side]) as client:
            return {uid: digest for uid, (digest, *_) in client.snapshot("INBOX").items()}


@pytest.fixture
def account(request, dovecot, interimap):
    account = Account(dovecot, interimap, request.param)
    account.deliver("remote", "first", 20)
    account.one.sync()
    yield account


def cases(*ordinary, formats=tuple(FORMATS)):
    """Both sides and the formats; those that are not named are for tests/run full."""
    marks = [pytest.param(mail_format, side, id=f"{mail_format}-{side}",
                          marks=() if f"{mail_format}-{side}" in ordinary else pytest.mark.full)
             for mail_format in formats for side in SIDES]
    return pytest.mark.parametrize("account, side", marks, indirect=["account"])


def other(side):
    return SIDES[side == "local"]


@cases("maildir-local", "sdbox-remote")
def test_what_is_not_in_the_backup_is_copied_again(account, side):
    account.back_up(side)
    account.deliver(other(side), "later", 10)
    account.one.sync()
    account.restore(side)
    result = account.one.run()
    assert result.code == 0 and "went back" in result.err, result.err
    account.check()


@cases("sdbox-local", "maildir-remote")
@pytest.mark.parametrize("count", [6, pytest.param(10, marks=pytest.mark.full),
                                   pytest.param(12, marks=pytest.mark.full)])
def test_new_mail_reuses_its_uids(account, side, count):
    """UIDNEXT is lower than it was, the same, or higher; the other side has new mail, too."""
    account.back_up(side)
    account.deliver(other(side), "later", 10)
    account.one.sync()
    with connect(account.servers[side]) as client:   # so that the mod-sequence tells
        client.select("INBOX")
        for _ in range(4):
            client.store("1:30", "+", [r"\Flagged"])
            client.store("1:30", "-", [r"\Flagged"])
    account.one.sync()
    account.restore(side)
    account.deliver(side, "reused", count)
    account.deliver(other(side), "meanwhile", 3)
    account.one.sync()
    account.check()


@cases("sdbox-remote")
def test_what_was_deleted_meanwhile_does_not_hit_new_mail(account, side):
    """A deletion on the other side since the last run is true, but whom it is about is not known
    here any more: the UID may be another message's."""
    account.back_up(side)
    account.deliver(other(side), "later", 10)
    account.one.sync()
    account.restore(side)
    account.deliver(side, "reused", 6)
    with connect(account.servers[other(side)]) as client:
        client.select("INBOX")
        client.expunge([23])
    account.one.sync()
    assert "<reused.2@example.org>" in str(account.held(side))
    with connect(account.servers[side]) as client:
        assert len(client.uids("INBOX")) == 35
    account.one.assert_equal(*account.servers.values())
    account.one.assert_noop(*account.servers.values())


@cases("maildir-local", formats=["maildir"])
def test_the_index_is_lost(account, side):
    """Mod-sequences begin anew.  What is missing then was not reported as deleted."""
    server = account.servers[side]
    with connect(server) as client:
        client.select("INBOX")
        for _ in range(4):
            client.store("1:20", "+", [r"\Flagged"])
            client.store("1:20", "-", [r"\Flagged"])
    account.one.sync()
    server.stop()
    for folder, _, names in os.walk(account.mail(side)):
        for name in names:
            if name.startswith("dovecot.index"):
                os.unlink(os.path.join(folder, name))
    folder = os.path.join(account.mail(side), "cur")
    os.unlink(os.path.join(folder, sorted(os.listdir(folder))[4]))
    server.start()
    account.deliver(side, "more", 3)
    account.deliver(other(side), "others", 2)
    result = account.one.run()
    assert result.code == 0 and "HIGHESTMODSEQ went back" in result.err, result.err
    account.check()


@pytest.mark.parametrize("side", SIDES)
def test_under_the_service(make, side):
    """The remote server, and the embedded store, restored while the service is up, or away."""
    service = make({"INBOX": 20})
    mail = os.path.join(service.one.folder, "Mail")
    if side == "remote":
        mail = os.path.join(service.remote.path, "mail", "user")
    service.stop()
    service.remote.stop()
    shutil.copytree(mail, mail + ".backup")
    service.remote.start()
    service.begin()
    with service.there() as there:
        there.append_all("INBOX", numbered("later", 10))
    eventually(service.equal)
    service.quiet()
    if side == "local":
        service.stop()
    service.remote.stop()
    shutil.rmtree(mail)
    shutil.copytree(mail + ".backup", mail)
    own(service.remote, mail) if side == "remote" else None
    service.remote.start()
    with service.there() as there:
        there.append_all("INBOX", numbered("reused", 6))
    if side == "local":
        service.begin()
    service.settle({"INBOX": digests([*numbered("INBOX", 20), *numbered("later", 10),
                                      *numbered("reused", 6)])})
