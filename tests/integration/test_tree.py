# SPDX-License-Identifier: MIT
"""Mailboxes that are not what they were: told to be gone in the middle of an answer, deleted and made
again under one name, swapped, or with another UIDVALIDITY."""

import pytest

from .advice import advised
from .fake import Box, Fake
from .inline import body, counts, eventually, numbered
from .interimap import connect
from .test_inline import assert_nothing_transferred


def names(client):
    return set(counts(client)[0]) - {("INBOX",)}


# What the remote server tells while it answers.

@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_a_deletion_told_within_the_list(make, first):
    """NOTIFY may speak between the lines of a LIST.  What it told there was taken for a line of the
    list, and the mailbox was said to have disappeared instead of being deleted here."""
    service = make({"old": 20})
    service.relay.drop(r"\* LIST \(\\NonExistent\)")
    line = b'* LIST (\\NonExistent) "." old'
    with service.there() as there, service.client() as client, service.store() as here:
        if first:       # the list is there already, and still has it
            service.relay.add(r"LIST .*RETURN", b'* LIST (\\HasNoChildren) "." old', line)
        else:
            service.relay.add(r'LIST "" ""', line)
        there.cmd("UNSUBSCRIBE old")
        there.cmd("DELETE old")
        client.cmd("CREATE made")       # the lists are looked at
        eventually(lambda: names(here) == {("made",)}, 20)
    service.settle({"made": []})
    assert "disappeared" not in service.running.err()


def test_a_deletion_told_to_the_replay(make):
    """Likewise while the lists are asked for that come before a client's DELETE; and a STATUS of
    another mailbox was taken for the one that was asked for: "it is not the mailbox that it was"."""
    service = make({"old": 20, "gone": 20, "other": 5})
    service.relay.drop(r"\* LIST \(\\NonExistent\)")
    service.relay.add(r'STATUS "?old', b"* STATUS other (MESSAGES 1 UIDVALIDITY 7 UIDNEXT 99)")
    service.relay.add(r'LIST "" \(old', b'* LIST (\\NonExistent) "." gone')
    with service.there() as there, service.client() as client, service.store() as here:
        there.cmd("DELETE gone")
        client.cmd("DELETE old")
        eventually(lambda: names(there) == names(here) == {("other",)}, 20)
    service.settle({"other": body("other", 5)})
    assert "disappeared" not in service.running.err()

# Another UIDVALIDITY.

def renumber(side, name):
    """The same messages, with other UIDs and another UIDVALIDITY."""
    with connect(side) as client:
        client.cmd(f"RENAME {name} {name}-before")
        client.cmd(f"CREATE {name}")
        client.select(f"{name}-before")
        client.cmd(f"UID COPY 1:* {name}")
        client.cmd("UNSELECT")
        client.cmd(f"DELETE {name}-before")


@pytest.fixture
def boxes(pair, interimap):
    """(local, remote, the program), in step; `box` has 25 messages, `few` has 3."""
    one = interimap(*pair)
    with connect(pair[1]) as client:
        for name, count in (("box", 25), ("few", 3)):
            client.cmd(f"CREATE {name}")
            client.append_all(name, numbered(name, count))
    one.sync()
    return (*pair, one)


def flag(side, name, number, flags):
    with connect(side) as client:
        client.select(name)
        client.store(client.uids()[number:number + 1], "+", flags)


@pytest.mark.parametrize("which", ["local", "remote", "both"])
def test_the_same_messages_are_paired_anew(boxes, which):
    """A server that lost its index, or was moved: the mailbox stood until a person had it forgotten.
    Its messages tell that it is the same.  Nothing is expunged, and flags become the union."""
    local, remote, one = boxes
    for side in {"local": [local], "remote": [remote], "both": [local, remote]}[which]:
        for name in ("box", "few"):
            renumber(side, name)
    flag(local, "box", 3, [r"\Flagged"])
    flag(remote, "box", 3, [r"\Answered"])
    with connect(local) as here, connect(remote) as there:
        here.append("box", *next(numbered("here", 1)))
        there.append("few", *next(numbered("there", 1)))
        there.select("box")
        there.expunge(there.uids()[-1:])    # nobody can know that: it comes back
        there.cmd("UNSELECT")
    result = one.sync()
    assert "paired anew" in result.err
    one.assert_equal(local, remote)
    with connect(remote) as there:
        assert (len(there.uids("box")), len(there.uids("few"))) == (26, 4)
        flags = [set(flags) for _, _, flags in there.snapshot("box").values()]
    assert any({"\\flagged", "\\answered"} <= found for found in flags), flags
    one.assert_noop(local, remote)


def test_a_mailbox_that_shares_some_is_left(boxes):
    """10 of 25 are the same: it may be another mailbox, and the two are not put together."""
    local, remote, one = boxes
    renumber(remote, "box")
    with connect(remote) as there:
        there.select("box")
        there.expunge(there.uids()[10:])
        there.append_all("box", numbered("others", 30))
    for _ in range(2):
        result = one.run()
        assert result.code == 1
        assert "`interimap --target=database --delete box`" in result.err
        assert "`interimap --target=local --rename box box-old`" in result.err
        with connect(local) as here, connect(remote) as there:
            assert (len(here.uids("box")), len(there.uids("box"))) == (25, 40)
    # To follow the advice keeps both.
    assert one.run("--target=local", "--rename", "box", "box-old").code == 0
    assert one.run("--target=database", "--delete", "box").code == 0
    one.sync()
    one.assert_equal(local, remote)
    with connect(local) as here:
        assert (len(here.uids("box")), len(here.uids("box-old"))) == (40, 25)


# Deleted and made again under one name.

@pytest.fixture(params=["live", "between"])
def remake(make, request):
    """remake(boxes, *commands) -> the service, after these commands at the remote server."""
    def begin(boxes, *commands):
        service = make(boxes)
        if request.param == "between":
            service.stop()
        with service.there() as there:
            for command in commands:
                there.cmd(command)
            for name in names(there) & {("box",)}:
                there.append_all(*name, numbered("new", 3))
        if request.param == "between":
            service.relay.reset()
            service.begin()
        return service
    return begin


def test_made_again_there(remake):
    """The old one was gone with all that was in it: "UIDVALIDITY changed", for a person to resolve."""
    service = remake({"box": 30, "other": 5}, "DELETE box", "CREATE box")
    service.settle({"box": body("new", 3), "other": body("other", 5)})
    assert "UIDVALIDITY" not in service.running.err()


def test_made_again_of_much_is_held(remake):
    """The brake holds for this as for any deletion that was seen."""
    service = remake({"box": 120}, "DELETE box", "CREATE box")
    said = service.running.wait_for("would delete 120 messages at once.*")[0]
    assert "--target=local,database --delete box" in said
    service.running.wait_for("UIDVALIDITY changed")
    service.quiet(2)
    with service.store() as here, service.there() as there:
        assert counts(here)[0]["box",] == 120 and counts(there)[0]["box",] == 3
    assert service.running.err().count("would delete") == 1


def test_made_again_while_something_was_only_here(make):
    """What never was at the remote server is not deleted for what happened there."""
    service = make({"box": 30})
    service.relay.answer("APPEND box", b"NO not today", times=99)
    with service.client() as client:
        client.append("box", *next(numbered("only here", 1)))
        service.running.wait_for("not today")
    with service.there() as there:
        there.cmd("DELETE box")
        there.cmd("CREATE box")
        there.append_all("box", numbered("new", 3))
    service.running.wait_for("UIDVALIDITY changed|holds messages that were never there")
    service.quiet(2)
    with service.store() as here, service.there() as there:
        assert counts(here)[0]["box",] == 31 and counts(there)[0]["box",] == 3


def test_made_again_on_both_sides(make):
    """A client's DELETE was held for ever where the remote had another mailbox of that name by then."""
    service = make({"box": 30})
    service.away()
    with service.there() as there, service.client() as client:
        there.cmd("DELETE box")
        there.cmd("CREATE box")
        there.append_all("box", numbered("new", 3))
        client.cmd("DELETE box")
    service.back()
    service.settle({"box": body("new", 3)})


def test_advice_spares_what_was_made_since(make):
    """`--delete box` was advised when the remote refused a client's DELETE.  Run later, it also took
    the mailbox that the client had made under that name since."""
    service = make({"box": 30})
    service.relay.answer("DELETE", b"NO [NOPERM] the test says so", times=1000)
    with service.client() as client:
        client.cmd("DELETE box")
        said = service.running.wait_for("the test says so.*")[0]
        assert "--target=remote,database --delete box`" in said
        client.cmd("CREATE box")
        client.append_all("box", numbered("new", 3))
    service.relay.relent()
    service.stop()
    assert service.one.run("--target=remote,database", "--delete", "box").code == 0
    service.begin()
    service.settle({"box": body("new", 3)})


# Renamed.

@pytest.mark.parametrize("moves,expected", [
    (["a t", "b a", "t b"], {"a": "b", "b": "a", "c": "c"}),
    (["a t", "b a", "c b", "t c"], {"a": "b", "b": "c", "c": "a"}),
    (["b d", "a b"], {"b": "a", "d": "b", "c": "c"}),
], ids=["swapped", "ring", "chain"])
def test_names_that_change_hands_there(remake, moves, expected):
    """It ended in "UIDVALIDITY changed", and to follow the advice put both mailboxes together."""
    sizes = {"a": 10, "b": 11, "c": 12}
    service = remake(sizes, *(f"RENAME {names}" for names in moves))
    service.settle({name: body(was, sizes[was]) for name, was in expected.items()})
    assert_nothing_transferred(service)
    assert "UIDVALIDITY" not in service.running.err()


def test_inbox_renamed_there(make):
    """RENAME INBOX leaves an empty INBOX (RFC 3501 section 6.3.5), which is another mailbox.  Dovecot
    renames none here, so that is left to a person, who had no way to have INBOX forgotten."""
    service = make({"INBOX": 10})
    with service.there() as there:
        there.cmd("RENAME INBOX kept")
        service.running.wait_for("UIDVALIDITY changed on the remote server.*--target=database --delete INBOX`")
        there.append("INBOX", *next(numbered("new", 1)))
    eventually(lambda: names_here(service) == {("kept",)}, 20)
    service.quiet(1)
    service.stop()
    assert len(service.look()[0][0]["INBOX",]) == 10
    assert service.one.run("--target=database", "--delete", "INBOX").code == 0
    service.one.sync()
    service.check({"INBOX": body("INBOX", 10) + body("new", 1), "kept": body("INBOX", 10)})


def names_here(service):
    with service.store() as here:
        return names(here)


@pytest.mark.parametrize("refused", ["again", "undone"])
def test_a_swap_that_is_refused_midway(make, refused):
    """What gave way for a moment kept its makeshift name, when the server refused to go on.  It is
    named as long as it is so, and then finished; or undone, if the swap was."""
    sizes = {"a": 10, "b": 11}
    service = make(sizes)
    service.stop()
    swap(service)
    service.relay.reset()
    service.relay.answer(r"RENAME \S+-interimap-renaming ", b"NO [INUSE] the test says so", times=999)
    service.begin()
    said = service.running.wait_for("ERROR: .*the test says so.*")[0]
    [name] = [name for name, in names_there(service) if "-interimap-renaming" in name]
    assert advised(said) and name in said
    service.quiet(2)
    assert name in service.one.run("--status").out
    service.stop()
    if refused == "undone":
        swap(service)
    service.relay.relent()
    service.begin()
    expected = {"a": "b", "b": "a"} if refused == "again" else {"a": "a", "b": "b"}
    service.settle({name: body(was, sizes[was]) for name, was in expected.items()})
    assert names_there(service) == {("a",), ("b",)}


def test_a_swap_that_was_cut_off_is_finished_by_a_run(make):
    """The program ended in the middle of it.  A run follows no renaming by itself, but finishes one."""
    sizes = {"a": 10, "b": 11}
    service = make(sizes)
    service.stop()
    swap(service)
    service.relay.when(r"RENAME b ", service.kill)
    service.begin()
    eventually(lambda: service.running.poll() is not None, 20)
    assert ("a-interimap-renaming",) in names_there(service)
    service.one.run()
    service.one.sync()
    service.check({"a": body("b", 11), "b": body("a", 10)})


def swap(service):
    """At the local store, past the proxy: only the lists show it."""
    with service.store() as here:
        for renamed in ("a t", "b a", "t b"):
            here.cmd(f"RENAME {renamed}")


def names_there(service):
    with service.there() as there:
        return names(there)


@pytest.fixture
def rename_inbox(dovecot, interimap):
    """rename_inbox(change) -> (the program, the local server), after change(the remote one's boxes);
    INBOX had 30 messages on both sides."""
    fakes = []

    def begin(change):
        local = dovecot("local")
        there = Fake()
        fakes.append(there)
        for message, _, _ in numbered("INBOX", 30):
            there.boxes["INBOX"].add(message)
        one = interimap(local, {"type": "imap", "host": "127.0.0.1", "port": there.port,
                                "STARTTLS": "NO", "username": "u", "password": "p"})
        one.sync()
        change(there.boxes)
        return one, local, there.boxes

    yield begin
    for fake in fakes:
        fake.stop()


def move_all(boxes):
    kept = boxes["kept"] = Box(uidvalidity=98, uidnext=500)
    for uid, mail in list(boxes["INBOX"].mails.items()):
        kept.add(mail.body)
        boxes["INBOX"].remove(uid)


def renew(boxes):
    move_all(boxes)
    boxes["INBOX"].uidvalidity = 99


def rename(boxes):
    boxes.update({"kept": boxes["INBOX"], "INBOX": Box(uidvalidity=99)})


@pytest.mark.parametrize("change", [rename, renew], ids=["uids kept", "new uids"])
def test_inbox_renamed_on_another_server(rename_inbox, change):
    """RFC 3501 section 6.3.5: the messages are in the new mailbox then, and INBOX is empty.  Where it
    is another INBOX, nothing is deleted here for it, and no advice deletes anything."""
    one, local, boxes = rename_inbox(change)
    for _ in range(2):
        result = one.run()
        assert result.code == 1 and "INBOX: ERROR: UIDVALIDITY changed on the remote" in result.err
        assert advised(result.err) == ["interimap --target=database --delete INBOX"]
        assert "put the messages of both sides together" in result.err
        with connect(local) as here:
            assert (len(here.uids("INBOX")), len(here.uids("kept"))) == (30, 30)
        assert len(boxes["kept"].mails) == 30 and not boxes["INBOX"].mails


def test_inbox_renamed_by_moving_its_messages(rename_inbox):
    """The same INBOX without them, and they are elsewhere: they were moved, and are so here."""
    one, local, boxes = rename_inbox(move_all)
    assert "Moved 30 message(s)" in one.sync().err
    one.sync("--quiet")
    with connect(local) as here:
        assert (len(here.uids("INBOX")), len(here.uids("kept"))) == (0, 30)
    assert len(boxes["kept"].mails) == 30 and not boxes["INBOX"].mails


def test_an_inbox_that_lost_all_is_held(rename_inbox):
    """They are nowhere else: the brake's rule for INBOX applies."""
    one, local, _ = rename_inbox(lambda boxes: (move_all(boxes), boxes.pop("kept")))
    result = one.run()
    assert result.code == 1 and "--allow-deletions INBOX" in result.err
    with connect(local) as here:
        assert len(here.uids("INBOX")) == 30
