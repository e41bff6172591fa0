# SPDX-License-Identifier: MIT
"""What waits for a person after a run: named together, with one command for all of it, which loses
nothing; and no advice that would lose something without saying so, before one that does not."""

import json
import re

import pytest

from .advice import advised, paste
from .imap import quote
from .inline import counts, digests, eventually, numbered
from .interimap import connect

GONE = ["gone", "it's gone", "--gone"]
RENEWED = ["renewed", "$(touch trap)"]


def bodies(side):
    with connect(side) as client:
        return {name: {digest for digest, _, _ in box.values()}
                for name, box in client.account()[0].items()}


@pytest.fixture
def boxes(pair, interimap):
    """(local, remote, the program): some mailboxes are gone from the remote, or other ones."""
    one = interimap(*pair)
    with connect(pair[1]) as client:
        for name in GONE + RENEWED:
            client.cmd("CREATE", quote(name))
            client.append_all(name, numbered(f"old {name}", 3))
    one.sync()
    with connect(pair[1]) as client:
        for name in GONE + RENEWED:
            client.cmd("DELETE", quote(name))
        for name in RENEWED:
            client.cmd("CREATE", quote(name))
            client.append_all(name, numbered(f"new {name}", 3))
    return (*pair, one)


def together(result):
    """The line that names all of them."""
    [line] = [line for line in result.err.splitlines() if " mailboxes are not the same" in line]
    return line


def test_one_command_resolves_all(boxes):
    """Each had to be resolved by itself."""
    local, remote, one = boxes
    before = [bodies(local), bodies(remote)]
    result = one.run(f"--config={one.config}", "--quiet")
    assert result.code == 1
    line = together(result)
    assert line.startswith("ERROR: 5 mailboxes are not the same on both sides")
    [command] = advised(line)
    assert paste(one, command).returncode == 0
    one.sync()
    for side in (local, remote):
        now = bodies(side)
        for earlier in before:
            for name, messages in earlier.items():
                assert messages <= now[name], name
    one.assert_equal(local, remote)
    one.assert_noop(local, remote)


def test_one_alone_is_not_said_twice(boxes):
    _, _, one = boxes
    assert one.run("--target=database", "--delete", "--", *GONE, RENEWED[1]).code == 0
    result = one.run()
    assert result.code == 1 and "UIDVALIDITY changed" in result.err
    assert "are not the same" not in result.err


def test_no_longer_than_a_command_line_should_be(pair, interimap):
    """What a command cannot name is named by the next run's."""
    names = [f"{number:03}{'x' * 200}" for number in range(200)]
    one = interimap(*pair)
    with connect(pair[1]) as client:
        for name in names:
            client.cmd("CREATE", name)
    one.sync()
    with connect(pair[1]) as client:
        for name in names:
            client.cmd("DELETE", name)
    for _ in range(2):
        result = one.run()
        assert result.code == 1
        line = together(result)
        assert len(line) < 40_000
        assert paste(one, *advised(line)).returncode == 0
    assert "all of them" in line
    one.sync()
    one.assert_equal(*pair)
    assert len(bodies(pair[1])) == len(names) + 1


def status(service):
    return json.loads(service.one.run("--status=json").out)


def test_a_service_names_them_together(make):
    """Deeds that the remote server refuses, one refused for what nobody saw here, and one whose new
    name is taken.  Said once, and in --status as long as it is so."""
    service = make({"refused": 3, "strangers": 3, "renamed": 3, "plain": 3})
    service.relay.answer("DELETE refused", b"NO [NOPERM] not that one", times=99)
    service.away()
    with service.client() as client, service.there() as there:
        for name in ("refused", "strangers"):
            client.cmd("DELETE", name)
        there.append_all("strangers", numbered("stranger", 2))
        client.cmd("RENAME renamed taken")
        there.cmd("CREATE taken")
        there.append_all("taken", numbered("taken", 2))
    service.back()
    service.running.wait_for("ERROR: 3 mailboxes are not the same")
    service.quiet(2)
    told = status(service)
    assert told["resolve_all"] == \
        "interimap --target=database --delete refused renamed strangers"
    assert f"to resolve all of them without losing a message: `{told['resolve_all']}`\n" in \
        service.one.run("--status").out
    with service.there() as there:
        there.append("plain", *next(numbered("more", 1)))
    with service.store() as here:
        eventually(lambda: counts(here)[0]["plain",] == 4, 30)
    service.quiet()
    assert service.running.err().count("mailboxes are not the same") == 1
    assert paste(service.one, told["resolve_all"]).returncode == 0
    service.relay.relent()
    service.settle({
        "refused": digests(numbered("refused", 3)),
        "strangers": digests([*numbered("strangers", 3), *numbered("stranger", 2)]),
        "renamed": digests(numbered("renamed", 3)),
        "taken": digests([*numbered("renamed", 3), *numbered("taken", 2)])})


def test_a_chain_of_deeds_goes_with_the_mailbox(make):
    """Of several things that clients did with one name, the command made room for the next, which was
    refused in its turn: it had to be pasted once for each."""
    service = make({"a": 3, "b": 3})
    service.relay.answer("DELETE [ab]", b"NO [NOPERM] the test says so", times=999)
    service.away()
    with service.client() as client:
        for name in ("a", "b"):
            for number in range(3):
                client.cmd("DELETE", name)
                client.cmd("CREATE", name)
                client.append_all(name, numbered(f"{name} {number}", 2))
            client.cmd("DELETE", name)
    service.back()
    service.running.wait_for("ERROR: 2 mailboxes are not the same")
    service.quiet(1)
    assert paste(service.one, status(service)["resolve_all"]).returncode == 0
    service.settle({name: digests(numbered(name, 3)) for name in ("a", "b")})


def only_here(make, count):
    """A service whose `box` has `count` messages on both sides, and one that the remote refused."""
    service = make({"box": count})
    service.relay.answer("APPEND box", b"NO not today", times=99)
    with service.client() as client:
        client.append("box", *next(numbered("only here", 1)))
        service.running.wait_for("not today")
    return service


@pytest.mark.parametrize("count,reason", [
    (30, "holds messages that were never there"),
    (120, "would delete 12[01] messages at once"),
], ids=["strangers", "brake"])
def test_advice_after_a_deletion_says_what_is_only_here(make, count, reason):
    """`--target=local,database --delete box` was advised without a word of the message that is
    nowhere else."""
    service = only_here(make, count)
    with service.there() as there:
        there.cmd("DELETE box")
    said = service.running.wait_for(f"{reason}.*")[0]
    restore, give_up = advised(said)
    assert restore == "interimap --target=database --delete box"
    assert give_up == "interimap --target=local,database --delete box"
    assert re.search(f"deletes it on the local server as well, with all {count + 1} message.s. in "
                     "it, of which 1 never were on the remote server$", said)
    service.relay.relent()
    assert paste(service.one, restore).returncode == 0
    service.settle({"box": digests([*numbered("box", count), *numbered("only here", 1)])})


def test_a_refused_message_is_not_deleted_with_its_mailbox(make):
    """However far the database has come: what has no pair is looked for in all of the mailbox."""
    service = only_here(make, 3)
    with service.client() as client:
        client.append("box", *next(numbered("and another", 1)))
    service.quiet(1)
    with service.there() as there:
        there.cmd("DELETE box")
    said = service.running.wait_for("holds messages that were never there.*")[0]
    assert "of which 2 never were" in said
    with service.store() as here:
        assert counts(here)[0]["box",] == 5


def test_delete_says_how_many_messages_were_on_that_side_only(pair, interimap):
    """It says so for each server, with a warning; and deletes, as it was told to."""
    one = interimap(*pair)
    with connect(pair[1]) as client:
        client.cmd("CREATE box")
        client.append_all("box", numbered("box", 3))
    one.sync()
    with connect(pair[0]) as here:
        here.append_all("box", numbered("here", 2))
    result = one.run("--delete", "--quiet", "box")
    assert result.code == 0
    assert "local: WARNING: 2 of the 5 message(s) in box were on that side only" in result.err
    assert "remote: WARNING" not in result.err
    one.sync()
    one.assert_noop(*pair)


def test_delete_of_a_mailbox_that_is_gone_on_the_other_side(pair, interimap):
    one = interimap(*pair)
    with connect(pair[1]) as client:
        client.cmd("CREATE box")
        client.append_all("box", numbered("box", 3))
    one.sync()
    with connect(pair[1]) as client:
        client.cmd("DELETE box")
    result = one.run("--delete", "box")
    assert "local: WARNING: 3 of the 3 message(s) in box were on that side only" in result.err
