# SPDX-License-Identifier: MIT
"""Servers that fall silent, or drip: each wait ends, with a sentence that says for what it was.

A server that said a line every two seconds, or a byte of a message every five, was never given up,
and one that was silent at the same point of each connection cost two minutes each time.

The program's clocks go FAST times as fast.
"""

import re
import ssl
import time
from dataclasses import dataclass

import pytest

from .clock import faster
from .fake import CAPABILITIES, Box, Fake
from .imap import Imap
from .interimap import connect, imap, proxy_section, release
from .test_hostile_memory import SECTION, message

FAST = 10
THERE = 6           # messages in step
SILENCE, LESS, GREETING = 120, 30, 30      # of the program's seconds: base/limits.h
SLACK = 60          # likewise: what a busy machine makes of it


def pause(connection, seconds):
    """So many of the program's seconds; ends with the connection."""
    connection.socket.settimeout(seconds / FAST)
    try:
        connection._more()
    except TimeoutError:
        pass
    finally:
        connection.socket.settimeout(30)


# What a server does: functions of the Fake, which install it.

def silent(verb, within=None):
    """No answer to that command; or nothing more within it."""
    def install(server):
        def answer(connection, _tag, words):
            if verb == "UID FETCH" and within and "RFC822.SIZE" in words[1]:
                return False
            connection.socket.sendall(within or b"")
            connection.hang()
        server.answers[verb] = answer
    return install


def silent_at(place, lacks=""):
    def install(server):
        server.silent_at = place
        server.capabilities = server.capabilities.replace(lacks, "")
    return install


def drip(verb, seconds, *pieces):
    """The first piece, and then the second one every so many seconds, without end."""
    def install(server):
        def answer(connection, _tag, words):
            if verb == "UID FETCH" and "RFC822.SIZE" in words[1]:
                return False
            connection.socket.sendall(pieces[0])
            while True:
                pause(connection, seconds)
                connection.socket.sendall(pieces[1])
        server.answers[verb] = answer
    return install


@dataclass
class Case:
    name: str
    wrong: object               # function of the Fake
    says: str                   # in what is read on standard error; "" for nothing
    seconds: int = SILENCE      # of the program's time that it takes
    tls: str = "NO"             # "imaps", "STARTTLS"


HALF = b"* 7 FETCH (UID 7 BODY[] {3000}\r\n" + b"y" * 1500
CASES = [
    Case("the greeting", silent_at("greeting"), "no greeting", GREETING),
    Case("the greeting of TLS", silent_at("TLS"), "no end of the TLS handshake", GREETING, "imaps"),
    Case("STARTTLS", silent("STARTTLS"), "no answer to STARTTLS", GREETING, "STARTTLS"),
    Case("the handshake behind STARTTLS", silent_at("TLS"), "no end of the TLS handshake", GREETING,
         "STARTTLS"),
    Case("CAPABILITY", silent("CAPABILITY"), "no answer to CAPABILITY", GREETING, "STARTTLS"),
    Case("the login", silent("LOGIN"), "no answer to the login", GREETING),
    Case("ENABLE", silent("ENABLE"), "no answer to ENABLE"),
    Case("LIST", silent("LIST"), "no answer to LIST"),
    Case("half of LIST", silent("LIST", b'* LIST () "/" INBOX\r\n'), "answer to LIST does not get on"),
    Case("SELECT", silent("SELECT"), "no answer to SELECT"),
    Case("UID FETCH", silent("UID FETCH"), "no answer to UID FETCH"),
    Case("within a message", silent("UID FETCH", HALF), "answer to UID FETCH does not get on: 15.. bytes"),
    Case("APPEND", silent("APPEND"), "no answer to APPEND"),
    Case("the continuation", silent_at("continuation", " LITERAL+"),
         "no answer to APPEND"),
    Case("UID STORE", silent("UID STORE"), "answer to UID STORE"),
    Case("UID EXPUNGE", silent("UID EXPUNGE"), "answer to UID EXPUNGE"),
    Case("LOGOUT", silent("LOGOUT"), "", 0),
    # Drips
    Case("a line every two seconds", drip("LIST", 2, b"", b"* STATUS x (UIDNEXT 1)\r\n"),
         "answer to LIST does not get on"),
    Case("an answer every two seconds", drip("LIST", 2, b"", b'* LIST () "/" x\r\n'),
         "answer to LIST does not get on"),
    Case("a byte every five seconds", drip("UID FETCH", 5, HALF, b"y"),
         "answer to UID FETCH does not get on"),
    Case("before login", drip("CAPABILITY", 2, b"", b"* OK Still here\r\n"), "no answer to CAPABILITY",
         GREETING, "STARTTLS"),
]
SAMPLE = {"the greeting of TLS", "the login", "LIST", "within a message", "the continuation",
          "a line every two seconds", "a byte every five seconds", "before login"}
assert SAMPLE <= {case.name for case in CASES}


def _count(local):
    with connect(local) as client:
        return client.status("INBOX")["MESSAGES"]


def _differ(server, local):
    """Something of each kind is to be done at the remote."""
    for number in (100, 101):
        server.boxes["INBOX"].add(message(number, 3000))
    with connect(local) as client:
        client.select("INBOX")
        first, second = client.uids()[:2]
        client.cmd(f"UID STORE {first} +FLAGS (\\Flagged)")
        client.cmd(f"UID STORE {second} +FLAGS (\\Deleted)")
        client.cmd(f"UID EXPUNGE {second}")
        client.append("INBOX", message(200, 2500))


@pytest.mark.parametrize("case", [
    pytest.param(case, id=case.name, marks=() if case.name in SAMPLE else pytest.mark.full)
    for case in CASES])
def test_silence(case, dovecot, interimap, certificates, folder):
    local = dovecot("local", separator="/", format="sdbox")
    section, context = SECTION, None
    if case.tls != "NO":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.cert, certificates.key)
        section = {**SECTION, "host": "localhost", "SSL_CAfile": certificates.ca,
                   "type": "imaps" if case.tls == "imaps" else "imap"}
        del section["STARTTLS"]
    offers = CAPABILITIES + (" STARTTLS" if case.tls == "STARTTLS" else "")
    with Fake({"INBOX": Box()}, context, implicit=case.tls == "imaps", capabilities=offers) as server:
        for number in range(THERE):
            server.boxes["INBOX"].add(message(number, 2000))
        one = interimap(imap(local), {**section, "port": server.port}, binary=release())
        one.sync()
        _differ(server, local)
        case.wrong(server)
        result = one.run(env=faster(folder, FAST))
        assert result.code == (1 if case.says else 0), result.err
        assert re.search(r"remote.*: ERROR: .*" + case.says if case.says else "", result.err), result.err
        # What a connection was lost over is tried by itself, thrice in all, before it is left out.
        assert case.seconds <= result.seconds * FAST < 3 * case.seconds + SLACK, result.seconds * FAST
        assert len(server.boxes["INBOX"].mails) > THERE and _count(local) >= THERE

        server.answers.clear()
        server.silent_at, server.capabilities = None, offers
        one.make_due()
        one.sync()
        assert len(server.boxes["INBOX"].mails) == THERE + 2 == _count(local)
        one.assert_noop(local, local)
        assert sorted(one.mapping("INBOX").values()) == sorted(server.boxes["INBOX"].mails)


# Servers that are slow, and honest.

def in_progress(server):
    """Five minutes of work on a LIST, of which the client hears now and then (RFC 9585)."""
    def answer(connection, tag, _words):
        for done in range(10):
            connection.say(f'* OK [INPROGRESS ("{tag}" {done} 10)] Still here')
            pause(connection, 30)
        return False
    server.answers["LIST"] = answer


def slow_body(server):
    """2 KB a second."""
    def answer(connection, _tag, words):
        if "RFC822.SIZE" in words[1]:
            return False
        send = connection.socket.sendall

        def slowly(*lines):
            data = b"".join((line.encode() if isinstance(line, str) else line) + b"\r\n"
                            for line in lines)
            for at in range(0, len(data), 4096):
                send(data[at:at + 4096])
                pause(connection, 2)

        connection.say = slowly
        return False
    server.answers["UID FETCH"] = answer


def slow_select(server):
    """A large mailbox that is opened for the first time."""
    def answer(connection, _tag, _words):
        pause(connection, 100)
        return False
    server.answers["SELECT"] = answer


@pytest.mark.parametrize("slow, seconds", [(in_progress, 300), (slow_body, 150), (slow_select, 100)],
                         ids=["progress is told", "a body at 2 KB/s", "SELECT of a large mailbox"])
def test_slow(slow, seconds, dovecot, interimap, folder):
    local = dovecot("local", separator="/", format="sdbox")
    with Fake({"INBOX": Box()}) as server:
        server.boxes["INBOX"].add(message(0, 310_000))
        slow(server)
        one = interimap(imap(local), {**SECTION, "port": server.port}, binary=release())
        result = one.run(env=faster(folder, FAST))
        assert result.code == 0, result.err
        assert result.seconds * FAST > seconds
        assert len(server.connections) == 1
        assert _count(local) == 1


# The same again and again, under a service.

@pytest.fixture
def service(interimap, folder):
    """service(server) -> (running, client()); its clients have the embedded store."""
    started = []

    def make(server):
        section = proxy_section()
        one = interimap({"type": "maildir", "path": f"{folder}/Mail"},
                        {**SECTION, "port": server.port}, proxy=section, binary=release())
        running = one.start("--proxy", env=faster(folder, FAST))
        started.append(running)

        def client():
            mine = Imap(port=int(section["listen"].rsplit(":", 1)[1]))
            mine.login(section["username"], section["password"])
            return mine
        running.wait_for("listening|up to date", timeout=20)
        return running, client

    yield make
    for running in started:
        if running.poll() is None:
            running.stop()


def _gaps(silences):
    """The program's seconds that each silence cost."""
    return [round((end - begin) * FAST) for begin, end in silences]


def _remember(server, verb, silences, times=None, within=None):
    """It is silent there, so many times; when that began and ended is noted."""
    def answer(connection, _tag, words):
        if within and "RFC822.SIZE" in words[1] or times is not None and len(silences) >= times:
            return False
        connection.socket.sendall(within or b"")
        begin = time.monotonic()
        try:
            connection.hang()
        finally:
            silences.append((begin, time.monotonic()))
    server.answers[verb] = answer


@pytest.mark.parametrize("verb, within", [
    ("LIST", None), pytest.param("SELECT", None, marks=pytest.mark.full),
    pytest.param("UID FETCH", HALF, marks=pytest.mark.full)])
def test_silence_again_and_again(verb, within, service):
    with Fake({"INBOX": Box()}) as server:
        silences = []
        server.boxes["INBOX"].add(message(0, 3000))
        _remember(server, verb, silences, 4, within)
        running, client = service(server)
        with client() as mine:      # a mail client waits for none of it
            mine.select("INBOX")
            while len(silences) < 4:
                begin = time.monotonic()
                mine.cmd("NOOP")
                assert time.monotonic() - begin < 1
                time.sleep(0.05)
                assert running.poll() is None, running.err()
            limit = time.monotonic() + 20
            while not mine.uids():
                assert time.monotonic() < limit, running.err()
                time.sleep(0.05)
        assert re.search(rf"remote.*answer to {verb} ", running.err()), running.err()
        gaps = _gaps(silences)
        assert all(SILENCE <= gap < SILENCE + SLACK for gap in gaps[:2]), gaps
        assert all(LESS <= gap < LESS + SLACK for gap in gaps[2:]), gaps

        # It works: the next time it has all its time.
        running.wait_for("up to date", timeout=20)
        silences.clear()
        _remember(server, "LIST", silences, 1)
        while not silences:
            with client() as mine:
                mine.cmd("CREATE " + f"x{time.monotonic()}")
            time.sleep(0.2)
            assert running.poll() is None, running.err()
        assert SILENCE <= _gaps(silences)[0] < SILENCE + SLACK


def test_slow_server_that_was_silent(service):
    """It needs a minute for each SELECT, and was dead twice: it gets to answer again."""
    with Fake({"INBOX": Box()}) as server:
        silences = []
        server.boxes["INBOX"].add(message(0, 3000))

        def answer(connection, _tag, _words):
            begin = time.monotonic()
            try:
                pause(connection, 1000 if len(silences) < 2 else 60)
            except Exception:
                silences.append((begin, time.monotonic()))
                raise
            return False
        server.answers["SELECT"] = answer
        running, client = service(server)
        with client() as mine:
            mine.select("INBOX")
            limit = time.monotonic() + 60
            while not mine.uids():
                assert time.monotonic() < limit, running.err()
                time.sleep(0.05)
        assert len(silences) == 5, _gaps(silences)


@pytest.mark.full
def test_silence_at_done(service):
    """A server without NOTIFY that does not hear the end of an IDLE."""
    with Fake({"INBOX": Box()}) as server:
        server.silent_at = "DONE"
        running, client = service(server)
        running.wait_for("up to date", timeout=20)
        while "IDLE" not in server.verbs():
            time.sleep(0.02)
        with client() as mine:
            mine.append("INBOX", message(1, 1000))
            running.wait_for("remote.*no answer to IDLE within 120 seconds", timeout=30)
            server.silent_at = None
            limit = time.monotonic() + 20
            while not server.boxes["INBOX"].mails:
                mine.cmd("NOOP")
                assert time.monotonic() < limit, running.err()
                time.sleep(0.05)


def test_ended_before_the_greeting(service):
    """A server that is being started, or what is in front of it, accepts connections and ends them.
    After a minute and a half the next try was up to a minute away."""
    with Fake({"INBOX": Box()}, greeting=None) as server:
        running, _ = service(server)
        while not server.connections:
            time.sleep(0.005)
        begin, tries = time.monotonic(), []
        while (lasted := (time.monotonic() - begin) * FAST) < 90:
            if len(server.connections) > len(tries):
                tries.append(lasted)
            time.sleep(0.005)
        server.greeting = "OK"
        running.wait_for("connected again|up to date", timeout=60)
        waited = (time.monotonic() - begin) * FAST - 90
        assert waited < 90 / 4 + SLACK / 4, (waited, tries)
        assert 5 <= len(tries) <= 20, tries     # no hammering
