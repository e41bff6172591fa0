# SPDX-License-Identifier: MIT
"""Nothing waits for nothing.

A refusal behind bodies that had arrived left a run that nobody woke; a deed behind a refused one held
a mailbox for which the engine waited for ever.  Nothing failed, no timer ran, nobody was told.  So
builds for tests look, before each sleep of the loop, whether all that is not done has something to
wait for (sync/engine/waits.h), and abort if not.  Here wakes are lost on purpose: whatever
was to be woken, the program may not sleep on without a word.
"""

import contextlib
import os
import re
import signal

import pytest

from . import messages, processes
from .control import status
from .inline import eventually
from .imap import ImapError
from .interimap import connect

IN_VAIN = re.compile(r"about to sleep, and (somebody|a client) waits for nothing:$", re.MULTILINE)


def lose(number):
    return {"INTERIMAP_FAULT": f"wake:{number}:fail"}


@pytest.fixture
def account(pair, interimap):
    one = interimap(*pair)
    for number, side in enumerate(pair):
        with connect(side) as client:
            client.cmd("CREATE box")
            client.append_all("INBOX", messages.mix(f"one {number}", 6))
            client.append_all("box", messages.mix(f"two {number}", 3))
    one.sync()
    return pair[0], pair[1], one


def run_without(account, number):
    """A run that loses the n-th wake; whether it noticed that somebody waited in vain."""
    local, remote, one = account
    for side in (local, remote):
        with connect(side) as client:
            client.append_all("INBOX", messages.mix(f"{number} {side.port}", 2))
            client.select("box")
            client.store(sorted(client.uids())[0], "+" if number % 2 else "-", [r"\Flagged"])
    running = one.start(env=lose(number))
    result = running.wait(60, provoked=IN_VAIN)
    in_vain = result.code == -signal.SIGABRT
    if in_vain:
        found = IN_VAIN.search(result.err)
        assert found, result.err
        told = result.err[found.start():]
        assert "waits for NOTHING" in told and "engine: phase" in told, told
    else:
        assert result.code in (0, 1), result.err
    one.sync()
    one.assert_equal(local, remote)
    one.assert_noop(local, remote)
    return in_vain


def test_wakes_that_are_lost(account):
    assert any([run_without(account, number) for number in (1, 8, 21, 47)])


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_every_wake_that_is_lost(account):
    lost = [run_without(account, number) for number in range(1, 120)]
    assert sum(lost) > 30


def serves(one):
    with contextlib.suppress(OSError, ImapError), one.client() as client:
        client.select("INBOX")
        return True
    return False


def serve_without(one, number):
    """A service that loses the n-th wake, while a client logs in and works.  It ends; or a timer ends
    what waited, with a word to the client, and the next one is served."""
    running = one.one.start("--proxy", env=lose(number))
    try:
        running.wait_for("listening on")
        with one.client() as client:
            client.append_all("INBOX", messages.mix(f"client {number}", 1))
            client.select("INBOX")
        running.wait_for("up to date", timeout=40)
    except (AssertionError, OSError, ImapError):
        eventually(lambda: running.poll() is not None or serves(one), 90, running.err())
    if running.poll() is None:
        os.kill(running.pid, signal.SIGTERM)
    result = running.wait(20, provoked=IN_VAIN)
    assert result.code == 0 or (result.code == -signal.SIGABRT and IN_VAIN.search(result.err))
    return result.code != 0


def serve_without_each(service, numbers):
    service.stop()
    lost = [serve_without(service, number) for number in numbers]
    service.begin()
    service.running.wait_for("up to date", timeout=60)
    assert service.equal()
    return lost


def test_wakes_of_a_service_that_are_lost(make):
    serve_without_each(make({"INBOX": 3}), (5, 16, 29))


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_every_wake_of_a_service_that_is_lost(make):
    assert sum(serve_without_each(make({"INBOX": 3}), range(1, 80))) > 10


# What is waited for is told.

def waits(one):
    return {(wait["what"], wait["name"]): wait for wait in status(one)["waits"]}


def test_what_waits_for_a_person_is_told(make):
    service = make({"INBOX": 5, "from": 3})
    service.relay.answer("RENAME", b"NO [NOPERM] the test says so", times=1000)
    with service.client() as client:
        client.cmd("RENAME from fresh")
        eventually(lambda: service.relay.refused, 30, service.running.err())
    service.quiet()
    wait = waits(service.one)["action", "RENAME from"]
    assert wait["for"] == "somebody to see to it" and wait["since"] > 1_000_000_000
    shown = service.one.run("--status").out
    assert "waiting: action RENAME from, for somebody to see to it, since 2" in shown
    service.relay.relent()


def test_what_the_brake_holds_is_told(make):
    service = make({"INBOX": 5, "box": 150})
    with service.there() as there:
        there.select("box")
        there.expunge("1:*")
    # Before that it looks for them in other mailboxes.
    eventually(lambda: waits(service.one).get(("mailbox", "box"), {}).get("for")
               == "somebody to see to it", 30, service.running.err())
    since = waits(service.one)["mailbox", "box"]["since"]
    with service.there() as there:      # it is looked at again, and still waits
        there.append("box", b"Subject: more\r\n\r\n")
    service.quiet()
    assert waits(service.one)["mailbox", "box"]["since"] == since


def test_what_waits_for_a_client_is_told(make):
    """The store takes its time with a client's command; the engine leaves the mailbox alone."""
    service = make({"INBOX": 5, "box": 5})
    before = set(processes.descendants(service.running.pid))
    with service.client() as client:
        client.select("INBOX")
        (store, _), = set(processes.descendants(service.running.pid)) - before
        os.kill(store, signal.SIGSTOP)
        tag = client.send("MOVE 1 box")
        with service.there() as there:
            there.append("box", b"Subject: there\r\n\r\n")
        eventually(lambda: ("mailbox", "box") in waits(service.one), 10, service.running.err())
        wait = waits(service.one)["mailbox", "box"]
        assert "a mail client" in wait["for"] and wait["since"] > 1_000_000_000
        os.kill(store, signal.SIGCONT)
        client.wait(tag)
    service.settle()
