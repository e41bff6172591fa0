# SPDX-License-Identifier: MIT
"""Servers that are broken, or mean it.

Each case is data: an account in step, then what the remote server does wrong, and what is to be
read of it.  Whatever it does, no message is deleted or doubled on either side; the program ends, or
goes on, with a sentence; and once the server is sane again one run that names the mailbox mends all,
and the next finds nothing to do.
"""

import collections
import hashlib
import itertools
import re
import socket
import ssl
from dataclasses import dataclass

import pytest

from .fake import CAPABILITIES, Box, Fake
from .interimap import connect
from .test_hostile_memory import SECTION, message

THERE = 12      # messages in step
SECONDS = 60


# What a server does wrong: functions of the Fake, which install it.

def rewrite(verb, change, times=None):
    """Each line that answers this command goes through change(line) -> lines."""
    def install(server):
        left = itertools.count() if times is None else iter(range(times))

        def answer(connection, tag, words):
            if next(left, None) is None:
                return False
            say = connection.say
            connection.say = lambda *lines: say(*(
                new for line in lines
                for new in change(line if isinstance(line, bytes) else line.encode())))
            try:
                getattr(connection, "do_" + verb.lower().replace(" ", "_"))(tag, *words)
            finally:
                connection.say = say
            return True

        server.answers[verb] = answer
    return install


def before_ok(verb, *lines, times=None):
    """These lines come before the tagged answer."""
    def change(line):
        tagged = not line.startswith((b"* ", b"+ "))
        return [*lines, line] if tagged else [line]
    return rewrite(verb, change, times)


def replace(verb, pattern, by, times=None):
    """What matches in its answers is something else; by None: such lines are left out."""
    compiled = re.compile(pattern)

    def change(line):
        if by is None:
            return [] if compiled.search(line) else [line]
        return [compiled.sub(by, line)]
    return rewrite(verb, change, times)


def refuse(verb, answer, times=None):
    def install(server):
        left = itertools.count() if times is None else iter(range(times))

        def refused(connection, tag, _words):
            if next(left, None) is None:
                return False
            connection.say(tag.encode() + b" " + answer)
            return True
        server.answers[verb] = refused
    return install


def then_cut(verb, *pieces):
    """These bytes, as they are, and the end of the connection, without a word of TLS."""
    def install(server):
        def answer(connection, _tag, words):
            if verb == "UID FETCH" and "RFC822.SIZE" in words[1]:
                return False
            for piece in pieces:
                connection.socket.sendall(piece)
            socket.socket(fileno=connection.socket.detach()).close()
            raise OSError("cut")
        server.answers[verb] = answer
    return install


def fetched(*lines):
    """Instead of the bodies that were asked for."""
    def install(server):
        def answer(connection, tag, words):
            if "RFC822.SIZE" in words[1]:
                return False
            connection.say(*lines)
            connection.ok(tag)
            return True
        server.answers["UID FETCH"] = answer
    return install


def listed(*names):
    """More lines of LIST, names as literals."""
    lines = [b'* LIST () "/" {%d}\r\n%s' % (len(name), name) for name in names]
    return before_ok("LIST", *lines)


def arrives(server):
    """New mail at the remote."""
    server.boxes["INBOX"].add(message(100, 3000))
    server.boxes["INBOX"].add(message(101, 3000))


def without_mailbox(text):
    def install(server):
        server.capabilities = text
    return install


@dataclass
class Case:
    name: str
    wrong: list                             # functions of the Fake
    says: str = ""                          # in what is read on standard error
    code: int | None = None                 # exit status; None: either
    new_here: int = 0                       # messages that are new in the local store
    tls: bool = False


HALF = b"* 13 FETCH (UID 13 BODY[] {3000}\r\n" + b"y" * 1500
BIG = (1 << 63) - 1
MANY_RANGES = ",".join(str(n) for n in range(1, 200_000, 2)).encode()

CASES = [
    # VANISHED
    Case("vanished of live mail", [before_ok("SELECT", b"* VANISHED (EARLIER) 1:6")]),
    Case("vanished of all live mail", [arrives, before_ok("SELECT", b"* VANISHED (EARLIER) 1:12")]),
    Case("vanished unasked", [arrives, before_ok("UID FETCH", b"* VANISHED 1:12")]),
    Case("vanished 1:*", [arrives, before_ok("SELECT", b"* VANISHED 1:*")], says="not IMAP", code=1),
    Case("vanished repeated", [arrives, before_ok("SELECT", *[b"* VANISHED (EARLIER) 3:5"] * 2000)]),
    Case("vanished of everything there can be",
         [arrives, before_ok("SELECT", b"* VANISHED (EARLIER) 1:4294967295")]),
    Case("vanished in 100,000 ranges",
         [arrives, before_ok("SELECT", b"* VANISHED (EARLIER) " + MANY_RANGES)]),
    Case("vanished of UID 0", [arrives, before_ok("SELECT", b"* VANISHED (EARLIER) 0")],
         says="not IMAP", code=1),
    # HIGHESTMODSEQ
    Case("HIGHESTMODSEQ 0", [arrives, replace("SELECT", rb"HIGHESTMODSEQ \d+", b"HIGHESTMODSEQ 0")],
         says="mod-sequences|not IMAP", code=1),
    Case("HIGHESTMODSEQ missing", [arrives, replace("SELECT", rb"HIGHESTMODSEQ", None)],
         says="mod-sequences", code=1),
    Case("HIGHESTMODSEQ shrinks",
         [arrives, replace("SELECT", rb"HIGHESTMODSEQ \d+", b"HIGHESTMODSEQ 2")], says="went back"),
    Case("HIGHESTMODSEQ 2^63-1",
         [arrives, replace("SELECT", rb"HIGHESTMODSEQ \d+", b"HIGHESTMODSEQ %d" % BIG)]),
    Case("HIGHESTMODSEQ 2^64",
         [arrives, replace("SELECT", rb"HIGHESTMODSEQ \d+", b"HIGHESTMODSEQ %d" % (1 << 64))],
         says="mod-sequences", code=1),
    # Capabilities
    Case("QRESYNC is gone after login",
         [arrives, lambda server: setattr(server, "capabilities",
                                          CAPABILITIES.replace(" QRESYNC", ""))],
         says="lacks .*QRESYNC", code=1),
    # APPENDUID
    *(Case(f"APPENDUID {what}", [replace("APPEND", rb"\[APPENDUID (\d+) [\d:,]+\]", by)], new_here=4)
      for what, by in {
          "missing": b"", "short": rb"[APPENDUID \1 13]", "swapped": rb"[APPENDUID \1 16:13]",
          "zero": rb"[APPENDUID \1 0]", "of known messages": rb"[APPENDUID \1 1:4]",
          "beyond 32 bits": rb"[APPENDUID \1 4294967296:4294967299]",
          "endless": rb"[APPENDUID \1 1:4294967295]", "of another mailbox": b"[APPENDUID 77 13:16]",
      }.items()),
    # UIDs
    Case("UID 0", [arrives, replace("UID FETCH", rb"UID \d+", b"UID 0")], says="remote.*ERROR", code=1),
    Case("UID beyond 32 bits", [arrives, replace("UID FETCH", rb"UID \d+", b"UID 4294967296")],
         says="remote.*ERROR", code=1),
    Case("bodies under each other's UIDs of other messages",
         [arrives, fetched(b"* 1 FETCH (UID 1 BODY[] {3}\r\nabc)",
                           b"* 99 FETCH (UID 99 BODY[] {3}\r\nabc)")]),
    # Refusals, ends
    Case("NO to bodies", [arrives, refuse("UID FETCH", b"NO [SERVERBUG] not now")],
         says="SERVERBUG|not now", code=1),
    Case("BAD to SELECT", [arrives, refuse("SELECT", b"BAD what?"), refuse("UID FETCH", b"BAD no")],
         says="INBOX.*what", code=1),
    Case("NO to APPEND", [refuse("APPEND", b"NO [LIMIT] too many")], says="too many", code=1, new_here=2),
    Case("the end within a literal", [arrives, then_cut("UID FETCH", HALF)],
         says="remote.*ERROR", code=1),
    Case("the end of TCP within a literal, and none of TLS", [arrives, then_cut("UID FETCH", HALF)],
         says="remote.*ERROR", code=1, tls=True),
    Case("the end of TCP within a line, and none of TLS",
         [arrives, then_cut("UID FETCH", b"* 13 FETCH (UID 13 BODY[] {3}\r\nabc")],
         says="remote.*ERROR", code=1, tls=True),
    Case("BYE within a pipeline",
         [arrives, then_cut("UID FETCH", b"* BYE [UNAVAILABLE] shutting down\r\n")],
         says="shutting down", code=1),
    Case("BYE within a literal", [arrives, then_cut("UID FETCH", HALF, b"* BYE over\r\n")],
         says="remote.*ERROR", code=1),
    *(Case(f"[{code}] at login",
           [arrives, refuse("AUTHENTICATE", b"NO [%s] try again in 5 minutes" % code.encode()),
            refuse("LOGIN", b"NO [%s] try again in 5 minutes" % code.encode())],
           says=r"takes no login now.*try again in 5 minutes", code=1) for code in ("UNAVAILABLE", "THROTTLED", "LIMIT")),
    # Endless things
    Case("an endless line", [arrives, then_cut("UID FETCH", *[b"* 1 FETCH (UID 1 X" + b"x" * (1 << 20)] * 20)],
         says="remote.*ERROR.*too long", code=1),
    Case("a literal of 2^63 bytes",
         [arrives, then_cut("UID FETCH", b"* 13 FETCH (UID 13 BODY[] {%d}\r\n" % (1 << 63))],
         says="impossible size", code=1),
    Case("more mailboxes than there can be",
         [arrives, before_ok("LIST", *(b'* LIST () "/" m%d' % n for n in range(100_001)))],
         says="lists more than 100000 mailboxes", code=1),
    # Names
    Case("names that mean something elsewhere",
         [arrives, listed(b"a\0b", b"a\r\nb", b"a\r\n1 LOGOUT", b"x" * 5000, b"")]),
]


def there(server):
    return collections.Counter(hashlib.sha256(mail.body).hexdigest()
                               for mail in server.boxes["INBOX"].mails.values())


def here(local):
    with connect(local) as client:
        return collections.Counter(digest for digest, *_ in client.snapshot("INBOX").values())


# What `tests/run` takes of them; the rest is for `tests/run full`.
SAMPLE = {
    "vanished of all live mail", "vanished 1:*", "HIGHESTMODSEQ missing", "HIGHESTMODSEQ shrinks",
    "APPENDUID missing", "APPENDUID of known messages", "UID 0",
    "bodies under each other's UIDs of other messages", "NO to bodies", "BYE within a literal",
    "the end of TCP within a literal, and none of TLS", "[THROTTLED] at login",
    "more mailboxes than there can be", "names that mean something elsewhere",
}
assert SAMPLE <= {case.name for case in CASES}


@pytest.mark.parametrize("case", [
    pytest.param(case, id=case.name, marks=() if case.name in SAMPLE else pytest.mark.full)
    for case in CASES])
def test_hostile(case, dovecot, interimap, certificates):
    local = dovecot("local", separator="/", format="sdbox")
    context, section = None, SECTION
    if case.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.cert, certificates.key)
        section = {**SECTION, "type": "imaps", "host": "localhost", "SSL_CAfile": certificates.ca}
        del section["STARTTLS"]
    with Fake({"INBOX": Box()}, context, implicit=case.tls) as server:
        for number in range(THERE):
            server.boxes["INBOX"].add(message(number, 2000))
        one = interimap(local, {**section, "port": server.port})
        one.sync()
        with connect(local) as client:
            for number in range(case.new_here):
                client.append("INBOX", message(200 + number, 2500))
        for wrong in case.wrong:
            wrong(server)
        had_there, had_here = there(server), here(local)
        assert len(had_here) == THERE + case.new_here

        result = one.run(timeout=SECONDS)
        assert case.code in (None, result.code), result.err
        assert re.search(case.says, result.err), result.err
        for had, has in ((had_here, here(local)), (had_there, there(server))):
            assert not had - has, "deleted"
            assert max(has.values()) == 1, "doubled"
            assert not has - had_here - had_there, "made up"

        server.answers.clear()
        server.capabilities = CAPABILITIES
        one.sync("INBOX")   # which is left out for a while if it cost connections
        assert here(local) == there(server) == collections.Counter(had_here | had_there)
        one.assert_noop(local, local)
