# SPDX-License-Identifier: MIT
"""In-line: what a client does at the proxy happens at the remote server, as what it is.

A message that is moved is moved there, and a mailbox that is renamed is renamed there.  Nothing is
transferred again: the commands and the bytes on the connection show it.  Most tests are made three
times: with the remote server there, with it away meanwhile, and with the program killed before it
is back.  `tests/run` takes two of these, each pair for as many tests; `tests/run full` all.
"""

import os
import re

import pytest

from .imap import Literal, quote
from .inline import (OVERHEAD, WHEN, Service, Tap, at_any_time, body, counts, digests, eventually, fill,
                     numbered, online_or_killed)
from .interimap import release


def message(name):
    return next(numbered(name, 1))


def assert_nothing_transferred(service):
    """No message went over the (plain text) connection to the remote server, either way."""
    assert not service.relay.all("APPEND"), service.relay.all("APPEND")[:5]
    assert_nothing_downloaded(service)


def assert_nothing_downloaded(service):
    fetched = [line for line in service.relay.sent if re.search(r"BODY(\.PEEK)?\[\]", line)]
    assert not fetched, fetched[:5]


# Messages.

@pytest.mark.parametrize("tls, when", [
    pytest.param(way == "tls", when, id=f"{way}-{when}",
                 marks=() if (way, when) in (("plain", "online"), ("tls", "killed")) else pytest.mark.full)
    for way in ("plain", "tls") for when in WHEN])
def test_move_of_5000(make, when, tls):
    service = make({"from": 5000, "to": 10}, tls, binary=release())
    with service.acting(when) as client:
        client.select("from")
        client.cmd("UID MOVE 1:* to")
        if when == "online":
            with service.there() as there:
                took = eventually(lambda: counts(there)[0] == {("INBOX",): 0, ("from",): 0,
                                                               ("to",): 5010}, 4)
            print("seconds until it was on the remote server:", took)
    carried = service.settle({"from": [], "to": body("from", 5000) + body("to", 10)})
    print("bytes on the connection:", carried)
    # Each moved message is told once, in a line of its flags: COMPRESS, which is used where it is
    # offered, and is not offered to the recording relay, makes little of that.
    assert carried < (200_000 if tls else 300_000), f"{carried} bytes for 5,000 messages moved"
    if not tls:
        assert service.relay.all("UID MOVE")
        assert_nothing_transferred(service)


@at_any_time("online")
def test_copy_of_500(make, when):
    service = make({"from": 600, "to": 10})
    with service.acting(when) as client:
        client.select("from")
        client.cmd("UID COPY 51:550 to")
    carried = service.settle({"from": body("from", 600),
                              "to": body("from", 600, 50, 550) + body("to", 10)})
    assert service.relay.all("UID COPY")
    assert carried < OVERHEAD + 500 * 200, f"{carried} bytes for 500 messages copied"
    assert_nothing_transferred(service)


@online_or_killed
def test_move_by_sequence_numbers(make, when):
    """From INBOX, which a client may write in any case."""
    service = make({"INBOX": 30, "to": 0})
    with service.acting(when) as client:
        client.select("inbox")
        client.cmd("MOVE 3:4,20:* to")
        client.cmd("MOVE 1 to")
    moved = [0, 2, 3, *range(19, 30)]
    inbox = body("INBOX", 30)
    service.settle({"INBOX": [b for n, b in enumerate(inbox) if n not in moved],
                    "to": [inbox[n] for n in moved]})
    assert service.relay.all("UID MOVE")
    assert_nothing_transferred(service)


@pytest.mark.quick
@online_or_killed
def test_move_to_a_new_mailbox(make, when):
    service = make({"from": 50})
    with service.acting(when) as client:
        client.cmd("CREATE fresh/one")
        client.cmd("SUBSCRIBE fresh/one")
        client.select("from")
        client.cmd("UID MOVE 1:40 fresh/one")
    service.settle({"from": body("from", 50, 40), "fresh/one": body("from", 50, 0, 40)})
    assert len(service.relay.all("CREATE")) == 1
    assert service.relay.all("UID MOVE")
    assert_nothing_transferred(service)


@online_or_killed
def test_there_and_back(make, when):
    service = make({"one": 20, "two": 20})
    with service.acting(when) as client:
        for here, there in (("one", "two"), ("two", "one"), ("one", "two")):
            client.select(here)
            uids = client.uids()[-10:]
            client.cmd("UID MOVE", f"{uids[0]}:{uids[-1]}", there)
    service.settle({"one": body("one", 20, 0, 10), "two": body("two", 20) + body("one", 20, 10)})
    assert len(service.relay.all("UID MOVE")) == 3
    assert_nothing_transferred(service)


@online_or_killed
def test_flags_before_and_after_a_move(make, when):
    """They are those of the message, not of the place where it was.

    What is removed before the other side's flags at the new place are known is no removal: nobody
    knows what both had in common there.  Where nothing crosses meanwhile, the other side has none.
    """
    service = make({"from": 20, "to": 5})
    expected = {"from": body("from", 20, 0, 5) + body("from", 20, 15),
                "to": body("to", 5) + body("from", 20, 5, 15)}
    with service.acting(when) as client:
        client.select("from")
        client.store("1:10", "+", (r"\Flagged", "$Work"))
        client.cmd("UID MOVE 6:15 to")
        client.select("to")
        uids = client.uids()[-10:]
        client.store(uids, "+", (r"\Answered",))
        if when == "online":
            eventually(service.equal, 20)
            service.quiet()
        client.store(uids[:2], "-", (r"\Flagged",))
    service.settle(expected)
    (local, _), _ = service.look()
    found = [flags for _, _, flags in local["to",].values()]
    assert sum(r"\answered" in flags for flags in found) == 10
    assert sum(r"\flagged" in flags for flags in found) == 3
    assert sum("$work" in flags for flags in found) == 5
    assert_nothing_transferred(service)


@online_or_killed
def test_copy_and_expunge(make, when):
    """How clients move that do not know MOVE."""
    service = make({"from": 40, "to": 5})
    with service.acting(when) as client:
        client.select("from")
        client.cmd("UID COPY 1:30 to")
        client.expunge("1:30")
    service.settle({"from": body("from", 40, 30), "to": body("to", 5) + body("from", 40, 0, 30)})
    assert service.relay.all("UID (COPY|MOVE)")
    assert_nothing_transferred(service)


@online_or_killed
def test_copy_within_a_mailbox(make, when):
    service = make({"from": 10})
    with service.acting(when) as client:
        client.select("from")
        client.cmd("UID COPY 1:3 from")
    service.settle({"from": body("from", 10) + body("from", 10, 0, 3)})
    assert_nothing_transferred(service)


@online_or_killed
def test_append(make, when):
    """It is uploaded once, and does not come back."""
    service = make({"to": 5})
    new = list(numbered("fresh", 3))
    with service.acting(when) as client:
        client.append_all("to", new, 2)
        client.append("INBOX", *message("single"))
    service.settle({"to": body("to", 5) + digests(new), "INBOX": digests([message("single")])})
    assert_nothing_downloaded(service)


@online_or_killed
def test_move_of_what_is_not_mapped(make, when):
    """Appended, and moved on before the engine can have seen it."""
    service = make({"from": 5, "to": 5})
    new = list(numbered("fresh", 6))
    with service.acting(when) as client:
        client.append_all("from", new)
        client.select("from")
        client.cmd("UID MOVE 4:8 to")       # two that are mapped, three that are not
        client.cmd("UID COPY 9:10 to")
    service.settle({"from": body("from", 5, 0, 3) + digests(new[3:]),
                    "to": body("to", 5) + body("from", 5, 3) + digests(new[:5])})
    assert_nothing_downloaded(service)


@online_or_killed
def test_expunged_after_the_move(make, when):
    service = make({"from": 20, "to": 5})
    with service.acting(when) as client:
        client.select("from")
        client.cmd("UID MOVE 1:10 to")
        client.expunge("11:15")
        client.select("to")
        client.expunge(client.uids()[-5:])
    service.settle({"from": body("from", 20, 15), "to": body("to", 5) + body("from", 20, 0, 5)})
    assert_nothing_transferred(service)


@online_or_killed
def test_two_clients(make, when):
    service = make({"one": 40, "two": 40, "three": 0})
    with service.acting(when) as first, service.client() as second:
        first.select("one")
        second.select("two")
        # Not two MOVEs at once on one connection: whose a COPYUID is could not be told then.
        for at in range(1, 40, 10):
            tags = [(first, first.send(f"UID MOVE {at}:{at + 9} three")),
                    (second, second.send(f"UID MOVE {at}:{at + 9} one")),
                    (second, second.send(f"UID STORE {at + 10}:* +FLAGS (x{at})"))]
            for client, tag in tags:
                client.wait(tag)
    service.settle({"one": body("two", 40), "two": [], "three": body("one", 40)})
    assert_nothing_transferred(service)


@at_any_time("offline")
def test_remote_without_move(make, when):
    """UID COPY, UID STORE and UID EXPUNGE of exactly these messages."""
    service = make({"from": 60, "to": 5}, hidden=("MOVE",))
    with service.there() as there:
        there.select("from")
        there.store([60], "+", (r"\Deleted",))      # stays: somebody else may think again
    service.quiet()
    with service.acting(when) as client:
        client.select("from")
        client.cmd("UID MOVE 1:50 to")
    service.settle({"from": body("from", 60, 50), "to": body("to", 5) + body("from", 60, 0, 50)})
    assert not service.relay.all("(UID )?MOVE")
    assert not service.relay.all("EXPUNGE|CLOSE"), "that would expunge more than was asked for"
    for command in ("UID COPY", r"UID STORE .*\\Deleted", "UID EXPUNGE"):
        assert service.relay.all(command), command
    assert_nothing_transferred(service)


# Mailboxes.

def uids_there(service, name):
    """UIDVALIDITY and UIDs at the remote server: the same ones, if nothing was copied."""
    with service.there() as there:
        return there.status(service.name(name))["UIDVALIDITY"], there.uids(service.name(name))


@at_any_time("killed")
def test_rename_of_a_tree(make, when):
    names = ["tree", *(f"tree/{n // 7}" for n in range(0, 49, 7)),
             *(f"tree/{n // 7}/{n}" for n in range(42))]
    assert len(names) == 50
    service = make({name: (200, 400) for name in names}, binary=release())
    before = {name: uids_there(service, name) for name in names}
    with service.acting(when) as client:
        client.cmd("RENAME tree fresh/place")
    carried = service.settle()
    after = {name: uids_there(service, name.replace("tree", "fresh/place", 1)) for name in names}
    assert before == after
    assert len(service.relay.all("RENAME")) == 1
    assert carried < OVERHEAD + 50 * 1000, f"{carried} bytes for a mailbox renamed"
    assert_nothing_transferred(service)
    (local, _), _ = service.look()
    assert len(local) == 51 and sum(map(len, local.values())) == 10_000


@online_or_killed
def test_rename_and_subscriptions(make, when):
    """As clients do it: a server leaves the subscriptions with the old names."""
    service = make({"old": 20, "old/below": 20})
    with service.acting(when) as client:
        client.cmd("RENAME old fresh")
        for name in ("old", "old/below"):
            client.cmd("UNSUBSCRIBE", name)
        for name in ("fresh", "fresh/below"):
            client.cmd("SUBSCRIBE", name)
    service.settle({"fresh": body("old", 20), "fresh/below": body("old/below", 20)})
    with service.there() as there:
        assert counts(there)[1] == {("fresh",), ("fresh", "below")}
    assert_nothing_transferred(service)


@at_any_time("online")
def test_create_delete_subscribe(make, when):
    service = make({"gone": 300, "kept": 5, "kept/below": 5})
    with service.acting(when) as client:
        client.cmd("CREATE fresh")
        client.cmd("CREATE fresh/below")
        client.cmd("SUBSCRIBE fresh/below")
        client.cmd("UNSUBSCRIBE kept")
        client.cmd("UNSUBSCRIBE gone")
        client.cmd("DELETE gone")
    service.settle({"fresh": [], "fresh/below": [], "kept": body("kept", 5),
                    "kept/below": body("kept/below", 5)})
    with service.there() as there:
        assert counts(there) == ({("INBOX",): 0, ("fresh",): 0, ("fresh", "below"): 0, ("kept",): 5,
                                  ("kept", "below"): 5}, {("fresh", "below"), ("kept", "below")})
    assert len(service.relay.all("DELETE")) == 1
    assert_nothing_transferred(service)


@at_any_time("offline")
def test_chain(make, when):
    """Each action means what it meant when it was done."""
    service = make({"a": 20, "c": 5})
    with service.acting(when) as client:
        client.cmd("RENAME a b")
        client.select("b")
        client.cmd("UID MOVE 1:5 c")
        client.cmd("UNSELECT")
        client.cmd("RENAME b d")
        client.select("d")
        client.cmd("UID MOVE 6:8 c")
        client.cmd("UNSELECT")
        client.cmd("DELETE d")
    service.settle({"c": body("c", 5) + body("a", 20, 0, 8)})
    with service.there() as there:
        assert set(counts(there)[0]) == {("INBOX",), ("c",)}
    assert_nothing_transferred(service)


@pytest.mark.parametrize("when", WHEN[1:])
def test_names_that_change_hands(make, when):
    """RENAME a b; RENAME c a; DELETE and CREATE: a name is not a mailbox.

    Not on-line: when the engine's LIST with STATUS meets the client's DELETE within Dovecot, that
    says "Mailbox was deleted under us" and leaves a folder behind, and the CREATE is refused.
    """
    service = make({"a": 10, "c": 11, "e": 12})
    with service.acting(when) as client:
        client.cmd("RENAME a b")
        client.cmd("RENAME c a")
        client.cmd("DELETE e")
        client.cmd("CREATE e")
        client.select("a")
        client.cmd("UID MOVE 1:4 e")
        client.append("e", *message("fresh"))
        client.cmd("CREATE c")
    service.settle({"a": body("c", 11, 4), "b": body("a", 10), "c": [],
                    "e": body("c", 11, 0, 4) + digests([message("fresh")])})
    assert_nothing_downloaded(service)


@online_or_killed
def test_names_of_any_form(make, when):
    service = make({"a b": 5, 'quo"te': 5})
    with service.acting(when) as client:
        client.cmd("RENAME", Literal(b"a b"), Literal(b'&AOk-t&AOk-/"x"'))
        client.cmd("CREATE", quote("back\\slash"))
        client.select('quo"te')
        client.cmd("UID MOVE 1:3", Literal(b"back\\slash"))
        client.cmd("UNSELECT")
        client.cmd("DELETE", quote('quo"te'))
    service.settle({'&AOk-t&AOk-/"x"': body("a b", 5), "back\\slash": body('quo"te', 5, 0, 3)})
    assert_nothing_transferred(service)


@at_any_time("killed")
def test_new_mail_in_a_mailbox_that_was_deleted(make, when):
    """It came after the client had seen the mailbox for the last time: it must not be lost."""
    if when == "online":
        when = "offline"        # the moment between the last look and DELETE is nobody's
    service = make({"gone": 10})
    with service.acting(when) as client:
        client.cmd("DELETE gone")
        with service.there() as there:
            there.append("gone", *message("late"))
    # INBOX is last: when it is done, all before it has been seen to.
    with service.client() as client:
        client.append("INBOX", *message("after"))
    with service.there() as there:
        eventually(lambda: counts(there)[0]["INBOX",] == 1, 60)
    service.quiet()
    said = service.running.err()
    service.running.stop()
    for look in (service.look, lambda: (service.one.run(), service.look())[1]):
        (local, _), (remote, _) = look()
        assert digests([message("late")])[0] in found_bodies(remote), said
        if ("gone",) in local:
            assert digests([message("late")])[0] in found_bodies(local)
    assert re.search(r"\bgone\b", said), f"nobody was told:\n{said}"


def found_bodies(account):
    return [digest for messages in account.values() for digest, _, _ in messages.values()]


# What goes wrong.

def move(client):
    client.select("from")
    client.cmd("UID MOVE 1:20 to")


def copy(client):
    client.select("from")
    client.cmd("UID COPY 1:20 to")


def rename(client):
    client.cmd("RENAME from fresh")


def delete(client):
    client.cmd("DELETE from")


def create(client):
    client.cmd("CREATE fresh")


def subscribe(client):
    client.cmd("UNSUBSCRIBE from")


FROM, TO = body("from", 30), body("to", 5)
DONE = {move: {"from": FROM[20:], "to": TO + FROM[:20]}, copy: {"from": FROM, "to": TO + FROM[:20]},
        rename: {"fresh": FROM, "to": TO}, delete: {"to": TO},
        create: {"from": FROM, "fresh": [], "to": TO}, subscribe: {"from": FROM, "to": TO}}


def test_first_list_refused(make):
    """The service connects anew: the sessions of the first attempt were left behind, and when they
    ended at last, the new ones were given up for it."""
    service = make({"from": 5})
    usual = sockets(service.running.pid)
    service.stop()
    service.relay.answer("LIST", b"NO [INUSE] not now", 2)
    service.begin()
    service.running.wait_for("up to date", timeout=60)
    service.quiet()
    assert service.relay.refused > 0
    assert sockets(service.running.pid) == usual
    service.settle({"from": body("from", 5)})


def sockets(pid):
    """How many a process has."""
    files = (f"/proc/{pid}/fd/{number}" for number in os.listdir(f"/proc/{pid}/fd"))
    return sum(os.readlink(file).startswith("socket:") for file in files)


@at_any_time("online")
@pytest.mark.parametrize("act", [move, copy], ids=lambda f: f.__name__)
def test_refused_messages(make, act, when):
    """The ordinary sync does it: both sides end equal, with every message once."""
    service = make({"from": 30, "to": 5})
    service.relay.answer("(UID )?(MOVE|COPY)", b"NO [NOPERM] the test says so", times=1000)
    with service.acting(when) as client:
        act(client)
    service.settle(DONE[act])
    assert service.relay.refused


@pytest.mark.parametrize("when", WHEN[:2])
@pytest.mark.parametrize("act,verb", [(rename, "RENAME"), (delete, "DELETE")],
                         ids=["rename", "delete"])
def test_refused_mailboxes(make, act, verb, when):
    """The mailbox is held, with the reason and what to do; the others go on; nothing is lost."""
    service = make({"from": 30, "to": 5})
    service.relay.answer(verb, b"NO [NOPERM] the test says so", times=1000)
    with service.acting(when) as client:
        act(client)
    with service.client() as client:
        client.append("to", *message("after"))
    with service.there() as there:
        eventually(lambda: counts(there)[0]["to",] == 6, 60)
    service.quiet()
    said = service.running.err()
    lines = [line for line in said.splitlines() if "the test says so" in line]
    assert any(re.search(r"\bfrom\b", line) and f"--{verb.lower()}" in line for line in lines), said
    assert service.relay.refused
    service.running.stop()
    (local, _), (remote, _) = service.look()
    assert sorted(d for d, _, _ in remote["from",].values()) == sorted(FROM)
    assert not service.relay.all("APPEND.*fresh"), "the new name was filled by upload"
    if act is rename:
        assert sorted(d for d, _, _ in local["fresh",].values()) == sorted(FROM)
    else:
        assert ("from",) not in local


def test_refused_create(make):
    """It is made when the server lets it be made."""
    service = make({"from": 30})
    service.relay.answer("CREATE", b"NO [NOPERM] the test says so", times=1000)
    with service.acting("online") as client:
        create(client)
        client.append("fresh", *message("first"))
    eventually(lambda: service.relay.refused, 30)
    service.quiet()
    assert re.search("fresh.*the test says so", service.running.err()), service.running.err()
    service.running.stop()
    service.relay.relent()
    service.begin()
    service.settle({"from": FROM, "fresh": digests([message("first")])})


@pytest.mark.parametrize("act,pattern", [
    (move, "UID MOVE"), (copy, "UID COPY"), (rename, "RENAME"), (delete, "DELETE"),
    (create, "CREATE"), (subscribe, "UNSUBSCRIBE")], ids=lambda v: getattr(v, "__name__", ""))
def test_killed_before_the_answer(make, act, pattern):
    """The remote server has done it, and the program did not hear of that."""
    _killed_before_the_answer(make({"from": 30, "to": 5}), act, pattern)


@pytest.mark.parametrize("pattern", ["UID COPY", "UID STORE", "UID EXPUNGE"])
def test_killed_in_a_move_without_move(make, pattern):
    _killed_before_the_answer(make({"from": 30, "to": 5}, hidden=("MOVE",)), move, pattern)


def _killed_before_the_answer(service, act, pattern):
    service.relay.mute(pattern)
    with service.acting("online") as client:
        act(client)
        assert service.relay.muted.wait(10), f"no {pattern} was sent: {service.relay.sent}"
        with service.store() as here, service.there() as there:
            # Without MOVE this may not be the last step; then what there is must do.
            if not pattern.startswith("UID") or "MOVE" not in service.relay.hidden:
                eventually(lambda: counts(here) == counts(there), 10)
        service.kill()
    service.away()
    service.relay.muted.clear()
    service.back()
    service.begin()
    service.settle(DONE[act])
    assert_nothing_transferred(service)


@pytest.mark.parametrize("act", ["UID MOVE 1:* to", "MOVE 5:* to", "UID COPY 1:* to"])
def test_client_gone_in_a_move(make, act):
    """It does not wait for the answer: whatever the store did is what both sides have."""
    service = make({"from": 1000, "to": 5})
    with service.acting("online"):
        leave(service, "SELECT from", act)
    eventually(service.equal, 60)
    service.settle()
    (local, _), _ = service.look()
    found = sorted(d for name in ("from", "to") for d, _, _ in local[name,].values())
    once = body("from", 1000) + body("to", 5)
    copied = [d for d, _, _ in local["to",].values()] if "COPY" in act else []
    assert set(found) == set(once)
    assert len(found) == len(once) + max(0, len(copied) - 5)


@pytest.mark.parametrize("act,names", [("RENAME old fresh", ("old", "fresh")),
                                       ("DELETE old", ("old",)), ("CREATE fresh", ("fresh",))])
def test_client_gone_in_a_change_of_the_tree(make, act, names):
    service = make({"old": 30, "old/below": 30})
    with service.acting("online"):
        leave(service, act)
    eventually(service.equal, 60)
    service.settle()
    (local, _), _ = service.look()
    there = [name for name in names if (name,) in local]
    if act.startswith("RENAME"):
        assert len(there) == 1, f"there is {there}"
        assert sorted(d for d, _, _ in local[there[0],].values()) == sorted(body("old", 30))
    assert sorted(d for name in local if name[-1] == "below" for d, _, _ in local[name].values()
                  ) == sorted(body("old/below", 30))
    assert_nothing_transferred(service)


def leave(service, *commands):
    """A client that says this and is gone; nothing says whether the last command was done."""
    client = service.client()
    for command in commands[:-1]:
        client.cmd(command)
    client.send(commands[-1])
    client.close()


# The other direction.

def in_step(service, seconds=10):
    return eventually(service.equal, seconds, "the sides are not equal")


def uids_here(service, name):
    with service.store() as here:
        return here.status(name)["UIDVALIDITY"], here.uids(name)


def test_renamed_there(make):
    names = ["tree", *(f"tree/{n}" for n in range(20))]
    service = make({name: 20 for name in names})
    before = {name: uids_here(service, name) for name in names}
    with service.there() as there:
        service.relay.reset()
        there.cmd("RENAME tree fresh.place")
    carried = service.settle()
    assert before == {name: uids_here(service, name.replace("tree", "fresh/place", 1))
                      for name in names}
    assert carried < OVERHEAD + 20 * 1000
    assert_nothing_transferred(service)


def test_renamed_and_subscribed_there(make):
    """What clients do when a person renames a mailbox: it ended unsubscribed at the remote, since
    the database still had the old name's subscription, and the local side was taken to have ended
    it."""
    service = make({"old": 5, "old/below": 5})
    with service.there() as there:
        service.relay.reset()
        there.cmd("RENAME old fresh")
        there.cmd("UNSUBSCRIBE old")
        there.cmd("SUBSCRIBE fresh")
        there.cmd("SUBSCRIBE fresh.below")
    service.settle({"fresh": body("old", 5), "fresh/below": body("old/below", 5)})
    _, subscribed = counts_there(service)
    assert {("fresh",), ("fresh", "below")} <= subscribed
    assert_nothing_transferred(service)


def test_a_deletion_that_is_refused_is_looked_at_once(make):
    """What was deleted at the remote above its children is listed there for ever.  When it could
    not be deleted here, since it holds a message that never was there, the service looked at the
    lists again and again, and said so each time."""
    service = make({"old": 5, "old/below": 5})
    service.relay.answer("APPEND old", b"NO not today", times=99)
    with service.there() as there, service.client() as client:
        client.append("old", *message("only here"))
        service.running.wait_for("does not take the message")
        there.cmd("DELETE old")
        there.cmd("CREATE made")
        service.running.wait_for("holds messages that were never there")
        service.quiet(3)
        assert ("old",) in counts_here(service)[0]
    assert service.running.err().count("holds messages that were never there") == 1
    service.running.stop()


def test_names_that_are_not_ascii_are_told(make):
    """By NOTIFY, Dovecot 2.3 writes names in UTF-8: nobody knew such a mailbox, and new mail in it
    waited for the next look at everything, a quarter of an hour later."""
    service = make({"&AOk-t&AOk-": 5, "gone &AOk-": 5})
    with service.there() as there, service.store() as here:
        there.append("&AOk-t&AOk-", *message("new there"))
        in_step(service, 5)
        here.append("&AOk-t&AOk-", *message("new here"))
        in_step(service, 5)
        service.quiet()
        service.relay.reset()
        there.cmd("RENAME &AOk-t&AOk- &AOk-")
        there.cmd("DELETE", quote("gone &AOk-"))
        there.cmd("UNSUBSCRIBE", quote("gone &AOk-"))
        in_step(service, 5)
        assert set(counts(here)[0]) == {("INBOX",), ("&AOk-",)}
    assert_nothing_transferred(service)
    service.settle()


def test_created_there_above_others(make):
    """Of this Dovecot tells by NOTIFY where the mailbox stands, and not that it is new: it was not
    created here before the next look at everything, up to 15 minutes later."""
    service = make({"old/below": 5})
    with service.there() as there:
        service.relay.reset()
        there.cmd("CREATE old")
    in_step(service, 3)
    service.settle({"old": [], "old/below": body("old/below", 5)})
    assert_nothing_transferred(service)


def test_subscribed_before_it_was_created(make):
    """Here there was a subscription without a mailbox.  The mailbox came from the remote, and was
    subscribed to on this side only until the next look at everything."""
    service = make({"old": 1})
    service.stop()
    with service.store() as here:
        for verb in ("CREATE", "SUBSCRIBE", "DELETE"):
            here.cmd(verb, "made")
    service.begin()
    with service.there() as there:
        there.cmd("CREATE made")
    in_step(service, 20)
    service.settle()
    with service.there() as there:
        assert ("made",) in counts(there)[1]


def test_deleted_there_above_its_children(make):
    """Dovecot goes on listing what was deleted and has children, and tells nothing by NOTIFY."""
    service = make({"old": 20, "old/below": 5})
    with service.there() as there:
        service.relay.reset()
        there.cmd("UNSUBSCRIBE old")
        there.cmd("DELETE old")
        there.cmd("CREATE made")  # of this it tells, and the lists are looked at
    service.settle({"old/below": body("old/below", 5), "made": []})
    with service.store() as here:
        assert ("old",) not in counts(here)[0]
    assert_nothing_transferred(service)


@pytest.mark.parametrize("act", ["DELETE old", "RENAME old fresh"])
def test_lists_before_the_remote_tells(make, act):
    """Dovecot collects what it tells for half a second.  When a client made the lists be looked at
    within that time, the mailbox was reported as disappeared, and a renamed one was downloaded
    again under its new name."""
    service = make({"old": 20})
    with service.there() as there, service.client() as client:
        service.relay.reset()
        there.cmd(act)
        client.cmd("CREATE made")  # makes the engine look at the lists
    service.settle({"made": []})
    assert_nothing_transferred(service)
    assert "disappeared" not in service.running.err()


def test_deletion_of_much_is_held(make):
    """The brake: a remote whose storage goes away may tell of it as deletions.  More than 100
    messages are not deleted here for that, be they in one mailbox or in many; but one client's
    DELETE at the proxy is believed."""
    few = [f"few/{n}" for n in range(5)]
    service = make({"much": 120, "clear": 120, "small": 20, **{name: 30 for name in few}})
    with service.there() as there, service.client() as client:
        there.cmd("DELETE much")
        service.running.wait_for("was deleted on the remote side, but here that would delete 120")
        client.cmd("DELETE clear")
        there.cmd("DELETE small")
        eventually(lambda: not {("clear",), ("small",)} & set(counts_here(service)[0])
                   and ("clear",) not in counts_there(service)[0], 20)
        # Of what happens within half a second of that, Dovecot may tell too little.
        service.quiet(1)
        for tag in [there.send("DELETE", service.name(name)) for name in few]:
            there.wait(tag)
        service.running.wait_for("here that would delete 150 messages at once")
        service.quiet(2)
        assert counts_here(service)[0] == {
            ("INBOX",): 0, ("much",): 120, **{tuple(name.split("/")): 30 for name in few}}
    service.stop()
    for name in ["much", *few]:
        service.one.run("--delete", name)
    service.check()


def counts_here(service):
    with service.store() as here:
        return counts(here)


def counts_there(service):
    with service.there() as there:
        return counts(there)


def test_deleted_created_subscribed_there(make):
    service = make({"gone": 20, "kept": 5, "kept/below": 5})
    with service.there() as there:
        service.relay.reset()
        there.cmd("CREATE fresh")
        there.cmd("CREATE fresh.below")
        there.cmd("SUBSCRIBE fresh.below")
        there.cmd("UNSUBSCRIBE kept")
        there.cmd("UNSUBSCRIBE gone")
        there.cmd("DELETE gone")
    in_step(service)
    with service.client() as client:
        assert client.cmd('LSUB "" gone').of("LSUB") == []
    service.settle({"fresh": [], "fresh/below": [], "kept": body("kept", 5),
                    "kept/below": body("kept/below", 5)})
    with service.store() as here:
        assert set(counts(here)[0]) == {("INBOX",), ("fresh",), ("fresh", "below"), ("kept",),
                                        ("kept", "below")}
    assert_nothing_transferred(service)


# What a client selects comes first.

def test_selected_comes_first(interimap, dovecot):
    """During a long first copy, the mailbox that a client opens is complete long before the rest."""
    names = [f"m{n:02}" for n in range(40)]
    remote = dovecot("remote", separator=".", format="sdbox", compress=False)
    fill(remote, {name: (60, 6000) for name in names})
    with Tap(remote.port) as relay:
        relay.rate = 2_000_000
        service = Service(interimap, remote, relay)
        service.begin()
        with service.client() as client, service.store() as here:
            eventually(lambda: any(counts(here)[0].values()), 60)
            # The one that would come last.
            found = counts(here)[0]
            name = min(names[10:30], key=lambda name: (found.get((name,), 0), name))
            client.select(name)
            eventually(lambda: counts(here)[0][name,] == 60, 60)
            others = sum(n for (box, *_), n in counts(here)[0].items() if box != name)
            eventually(lambda: counts(here)[0] == {("INBOX",): 0, **{(n,): 60 for n in names}}, 60)
        assert others < 39 * 60 / 2, f"{others} of {39 * 60} messages came before"
        service.settle()
