# SPDX-License-Identifier: MIT
"""Numbers as large as they get, and sets of thousands of UIDs that have no neighbours."""

import random

import pytest

from . import messages
from .fake import Box, Fake
from .imap import uid_set
from .interimap import connect, imaps

UID_MAX = (1 << 32) - 1
MODSEQ_MAX = (1 << 64) - 1      # RFC 4551; RFC 7162 has one bit less, as has Dovecot


def test_of_dovecot(pair, interimap):
    """A mailbox whose numbers are nearly used up: all kinds of changes cross."""
    local, remote = pair
    uidnext, modseq = UID_MAX - 8, (1 << 63) - 10000
    for side in pair:
        with connect(side) as client:
            client.cmd("CREATE box")
            client.append("box", messages.message(f"low {side.port}").body)
        side.renumber("box", uidnext=uidnext, modseq=modseq)
    one = interimap(local, imaps(remote))
    with connect(remote) as client:
        client.append_all("box", messages.mix("high", 3))
        assert client.uids("box")[1:] == [uidnext, uidnext + 1, uidnext + 2]
    one.sync()
    one.assert_equal(*pair)
    one.assert_noop(*pair)
    assert set(one.mapping("box").values()) >= {uidnext, uidnext + 1, uidnext + 2}
    assert all(one.cached(side)["box"][2] >= modseq for side in ("local", "remote"))
    with connect(local) as here, connect(remote) as there:
        for client in (here, there):
            client.select("box")
        here.store(here.uids()[-1:], "+", [r"\Flagged", "$Work"])
        there.expunge([uidnext])
        here.append("INBOX", messages.message("beside").body)
    one.sync()
    one.assert_equal(*pair)
    one.assert_noop(*pair)


@pytest.fixture
def fakes(interimap):
    """fakes(local_boxes, remote_boxes) -> (local, remote, the program between them)."""
    made = []

    def start(*boxes):
        servers = [Fake({"INBOX": Box(uidvalidity=7), **box}) for box in boxes]
        made.extend(servers)
        return (*servers, interimap(*({"type": "imap", "host": "127.0.0.1", "port": server.port,
                                       "STARTTLS": "NO", "username": "u", "password": "p"}
                                      for server in servers)))

    yield start
    for one in made:
        one.stop()


def bodies(box):
    return sorted((mail.body, sorted(mail.flags)) for mail in box.mails.values())


@pytest.mark.parametrize("modseq", [(1 << 63) - 5, 1 << 63, MODSEQ_MAX - 20])
def test_modseq(fakes, modseq):
    """Kept as the 64 bits that they are, and said as an unsigned number."""
    there = Box(uidvalidity=UID_MAX, uidnext=UID_MAX - 4, modseq=modseq)
    here = Box(uidvalidity=UID_MAX - 1, uidnext=UID_MAX - 9, modseq=modseq)
    for number in range(2):
        there.add(messages.message(f"there {number}").body, ["\\Seen"])
        here.add(messages.message(f"here {number}").body)
    local, remote, one = fakes({"box": here}, {"box": there})
    one.sync()
    assert len(here.mails) == len(there.mails) == 4 and bodies(here) == bodies(there)
    assert there.uidnext == UID_MAX
    stored = [tuple(number & MODSEQ_MAX if name == "modseq" else number
                    for name, number in zip(("validity", "next", "modseq"), one.cached(side)["box"]))
              for side in ("local", "remote")]
    assert stored == [(box.uidvalidity, box.uidnext, box.modseq) for box in (here, there)]
    # Nothing to do, then a change on either side, asked for since exactly that number.
    for server in (local, remote):
        server.connections.clear()
    one.sync()
    assert not local.sent("SELECT") and not remote.sent("SELECT")
    before = there.modseq
    there.store(min(there.mails), ["\\Flagged"])
    here.remove(max(here.mails))
    one.sync()
    assert len(here.mails) == len(there.mails) == 3 and bodies(here) == bodies(there)
    selected = next(words for words in remote.sent("SELECT") if words[0] == "box")
    assert selected[1][:1] == ["QRESYNC"] and selected[1][1][:2] == [str(UID_MAX), str(before)]


@pytest.mark.parametrize("number", ["0", str(1 << 64), "-1", "18446744073709551616000"])
def test_numbers_that_are_none(fakes, number):
    """The mailbox or the connection is given up, with a sentence; nothing is done with such a number."""
    there, here = Box(), Box()
    there.add(messages.message("x").body)
    local, remote, one = fakes({"box": here}, {"box": there})
    honest = remote.status

    def answer(connection, tag, words):
        if words[-1] == b"":
            return False
        text = honest("box").decode().replace(f"HIGHESTMODSEQ {there.modseq}", f"HIGHESTMODSEQ {number}")
        connection.say('* LIST () "/" box', text)
        connection.ok(tag)
        return True

    remote.answers["LIST"] = answer
    result = one.run(timeout=60)
    if result.code == 0:
        assert bodies(here) == bodies(there)
    else:
        assert "remote" in result.err
    assert len(there.mails) == 1 and len(here.mails) <= 1


def test_uids_beyond(fakes):
    """A server that goes on counting where no UID is left."""
    there = Box(uidnext=UID_MAX)
    there.add(messages.message("last").body)
    there.add(messages.message("beyond").body)
    assert sorted(there.mails) == [UID_MAX, UID_MAX + 1]
    local, _, one = fakes({"box": Box(uidvalidity=3)}, {"box": there})
    result = one.run(timeout=60)
    assert result.code == 1
    assert "remote" in result.err
    assert len(local.boxes["box"].mails) <= 2


def test_no_uid_left(fakes):
    """The mailbox is named, the others are done, and nothing is lost."""
    there, full = Box(uidvalidity=4), Box(uidvalidity=3, uidnext=UID_MAX)
    there.add(messages.message("one too many").body)
    local, remote, one = fakes({"box": full}, {"box": there})
    remote.boxes["INBOX"].add(messages.message("beside").body)

    def append(connection, tag, words):
        if words[0] != "box":
            return False
        connection.say(f"{tag} NO no UID is left in it")
        return True

    local.answers["APPEND"] = append
    result = one.run()
    assert result.code == 1
    assert "local(box)" in result.err and "no UID is left in it" in result.err, result.err
    assert bodies(local.boxes["INBOX"]) == bodies(remote.boxes["INBOX"])
    assert len(there.mails) == 1 and not full.mails


def test_scattered_uids(fakes):
    """Thousands without neighbours: sets are cut so that no line is longer than a server takes."""
    rng = random.Random(11)
    uids = sorted(rng.sample(range(10 ** 9, UID_MAX - 1, 2), 4000))
    there = Box(uidnext=10 ** 9)
    for number, uid in enumerate(uids):
        there.add(b"Message-ID: <%d@example>\r\n\r\n%d\r\n" % (number, uid), uid=uid)
    local, remote, one = fakes({}, {"box": there})
    one.sync()
    here = local.boxes["box"]
    assert len(here.mails) == 4000 and bodies(here) == bodies(there)
    assert sorted(one.mapping("box").values()) == uids
    for server in (local, remote):
        server.connections.clear()
    changed = rng.sample(uids, 3000)
    for uid in changed[:1500]:
        there.store(uid, ["\\Flagged"] if uid % 4 == 1 else ["\\Seen"])
    for uid in changed[1500:]:
        there.remove(uid)
    assert len(uid_set(changed[1500:])) > 16000
    mine = dict(map(reversed, one.mapping("box").items()))
    untouched = sorted(set(uids) - set(changed))
    for uid in untouched[::2]:
        here.store(mine[uid], ["$Work"])
    one.sync()
    assert len(here.mails) == len(there.mails) == 2500 and bodies(here) == bodies(there)
    lines = [line for server in (local, remote) for line in server.lines]
    assert max(map(len, lines)) < 8000
    assert len(lines) < 200, len(lines)
    for server in (local, remote):
        server.connections.clear()
    one.sync()
    assert not local.sent("SELECT") and not remote.sent("SELECT")
