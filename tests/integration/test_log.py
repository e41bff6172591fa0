# SPDX-License-Identifier: MIT
"""What the program says, and where: log-prefix, logfile, --quiet, --debug."""

import os
import re
import stat

import pytest

from . import messages
from .interimap import connect
from .service import Proxy

STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} "


@pytest.fixture
def one(pair, interimap):
    """Something to say about either side, a mailbox, and no side."""
    with connect(pair[1]) as client:
        client.append("INBOX", messages.message("one").body)
    program = interimap(*pair)
    program.sync()
    with connect(pair[0]) as here, connect(pair[1]) as there:
        here.select("INBOX")
        there.select("INBOX")
        here.store([1], "+", [r"\Seen"])
        there.store([1], "+", [r"\Flagged"])
        here.append("INBOX", messages.message("two").body)
    return program


def said(result):
    """Lines of the program; the tunnel's own words are not counted."""
    return [line for line in result.err.splitlines() if not line.startswith("imap(")]


def log(program):
    with open(os.path.join(program.folder, "log"), encoding="utf-8") as file:
        return file.read().splitlines()


def with_log(program):
    program.write(logfile=os.path.join(program.folder, "log"))


@pytest.mark.parametrize("prefix, added, conflict", [
    (None, "remote(INBOX): ", ""),
    ("", "", ""),
    (r"[%?n?N:%n&none?|%?m?M:%m&none?]\?", "[N:remote|M:INBOX]?", "[none|none]?"),
    ("%%%n-", "%remote-", "%-"),
    ("%?m?%m: ?", "INBOX: ", ""),
])
def test_prefix(one, prefix, added, conflict):
    one.write(**{"log-prefix": prefix})
    lines = said(one.sync())
    assert any(line.startswith(f"{added}Added 1 UID(s) 2 -> 2") for line in lines), lines
    assert any(line.startswith(f"{conflict}WARNING: Conflicting flag update in INBOX")
               for line in lines), lines


@pytest.mark.parametrize("prefix", [None, "", "%n "])
def test_a_refusal_names_the_mailbox_whatever_the_prefix(pair, one, prefix):
    one.write(**{"log-prefix": prefix})
    with connect(pair[1]) as client:
        client.cmd("CREATE lost")
        client.append("lost", messages.message("two").body)
    one.sync()
    with connect(pair[1]) as client:
        client.cmd("DELETE lost")
        client.cmd("CREATE lost")       # with another UIDVALIDITY
        client.append("lost", messages.message("three").body)
    result = one.run()
    assert result.code != 0
    assert any("lost" in line.partition("ERROR")[0] for line in said(result)), result.err


@pytest.mark.parametrize("prefix", ["%x", "a&b", "%?n?x", "%", "a?"])
def test_a_wrong_prefix_is_an_error(one, prefix):
    one.write(**{"log-prefix": prefix})
    result = one.run()
    assert result.code != 0 and "log-prefix" in result.err


def test_log_file(one):
    with_log(one)
    lines = said(one.sync())
    path = os.path.join(one.folder, "log")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    found = log(one)
    assert lines and [re.sub(STAMP, "", line) for line in found] == lines
    assert all(re.match(STAMP, line) for line in found)
    one.sync("nothing")
    assert log(one)[:len(found)] == found       # it is continued


def test_debug_goes_to_the_log_file_alone(one):
    with_log(one)
    lines = said(one.sync("--debug"))
    assert not any(" C: " in line for line in lines) and any("Added" in line for line in lines)
    assert any(re.search(r"remote.* C: \S+ SELECT", line) for line in log(one))


def test_debug_without_log_file(one):
    assert any(re.search(r"^local.* C: \S+ SELECT", line) for line in said(one.sync("--debug")))


def test_quiet(one):
    with_log(one)
    lines = said(one.sync("--quiet"))
    assert len(lines) == 1 and "WARNING: Conflicting" in lines[0]
    assert [re.sub(STAMP, "", line) for line in log(one)] == lines


@pytest.mark.parametrize("name", ["nowhere/log", "."])
def test_a_log_file_that_cannot_be_written_is_an_error(pair, one, name):
    one.write(logfile=os.path.join(one.folder, name))
    result = one.run()
    assert result.code != 0 and "log file" in result.err
    with connect(pair[1]) as client:
        assert len(client.snapshot("INBOX")) == 1       # nothing was begun


def test_names_cannot_write_to_the_terminal(one):
    result = one.sync("--delete", "a\x1b[31m\x07b")
    assert "\x1b" not in result.err and "a?[31m?b" in result.err


@pytest.mark.parametrize("said", [
    b'ID ("name" "a\x9bb\xc2\x9b31mc\x1b[31md\xc2\x85e")',
    b'CREATE "a&AJs-31mb"',
    b'CREATE "a\xc2\x9b31mb"',
    b"SELECT {5+}\r\na\xc2\x9bb\x1b",
], ids=["ID", "UTF-7", "UTF-8", "literal"])
def test_control_characters_of_a_client(interimap, said):
    """C0 and C1 alike: a terminal takes both for commands."""
    proxy = Proxy(interimap)
    with proxy.raw() as raw:
        raw.say(b"a " + said + b"\r\n")
        raw.say('b LOGIN "a\x9b31m" "\x1b[31m"\r\nc LOGIN me "local secret"\r\n')
        raw.lines("c OK")
        raw.say(b"d " + said + b"\r\ne NOOP\r\n")
        raw.lines("e ")
    result = proxy.stop()
    assert "has logged in" in result.err
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffd]", result.err), repr(result.err)
