# SPDX-License-Identifier: MIT
"""Whoever can connect to the proxy, but not log in: the others notice nothing of it.

400 idle connections kept a right user out, 90 in parallel guessed 11 passwords a second for as long
as they liked, and HTTP was answered line by line.
"""

import contextlib
import os
import re
import socket
import time

import pytest

from . import messages, processes
from .clock import faster
from .interimap import release
from .service import Proxy, Raw

GUESTS = 200            # LIMIT_GUESTS
CLIENT_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64)


@pytest.fixture
def proxy(interimap):
    one = Proxy(interimap)
    yield one
    result = one.stop()
    assert result.code == 0, result.err


def log_in(proxy):
    """One who knows the password gets in at the first try, and is served."""
    with proxy.raw() as raw:
        assert raw.line().startswith("* OK ")
        raw.say('a LOGIN me "local secret"\r\nb SELECT INBOX\r\nc LOGOUT\r\n')
        return raw.lines("c ")


def connect(proxy):
    """As Raw does it, but nobody waits for a greeting."""
    return Raw(proxy.listen)


def ended(raw):
    """All that it hears until its connection ends."""
    lines = []
    while (line := raw.line()) is not None:
        lines.append(line)
    return lines


@pytest.mark.parametrize("said", [
    b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n",
    b"POST /x HTTP/1.1\r\nContent-Length: 30\r\n\r\na LOGIN me wrong\r\nb NOOP\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    CLIENT_HELLO,               # no end of a line in it
    b"\r\r\x00\n",
], ids=["GET", "POST", "HTTP2", "SSH", "TLS", "NUL"])
def test_what_is_no_imap_is_hung_up_on(proxy, said):
    """At the first line, with one of our own: what comes behind it is not answered."""
    with connect(proxy) as raw:
        raw.say(said)
        heard = ended(raw)
    assert len(heard) == 2 and heard[1] == "* BYE This is no IMAP.", heard


def test_a_line_without_end(proxy):
    with connect(proxy) as raw:
        with contextlib.suppress(OSError):
            for _ in range(64):
                raw.say(b"a NOOP " + b"x" * (1 << 14))
        heard = ended(raw)
    assert heard[1:] in ([], ["* BYE This is too long before login."]), heard
    log_in(proxy)


def test_idle_connections_give_way(proxy):
    """The oldest ends when there are too many; memory and descriptors are bounded."""
    pid = proxy.running.pid
    with contextlib.ExitStack() as stack:
        idle = []
        for _ in range(1000):
            idle.append(stack.enter_context(connect(proxy)))
            if len(idle) % 100 == 0:
                log_in(proxy)
        descriptors = len(os.listdir(f"/proc/{pid}/fd"))
        memory = processes.peak_memory(pid)
        heard = ended(idle[0])
        assert heard[-1] == "* BYE Others want to log in.", heard
        idle[-1].say("a NOOP\r\n")
        assert idle[-1].lines("a ")[-1].startswith("a OK ")
    assert descriptors < GUESTS + 40
    assert memory < 400 << 10, f"{memory} KiB (with AddressSanitizer)"


def test_slow_loris(proxy):
    """Commands that come byte by byte hold no place that another needs."""
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connect(proxy)) for _ in range(GUESTS)]
        for byte in b"a LOGI":
            for raw in slow:
                with contextlib.suppress(OSError):
                    raw.say(bytes((byte,)))
        log_in(proxy)


def test_guesses_are_slow_over_all_connections(proxy):
    """Wrong passwords are answered one after the other, ever more slowly; a right one at once."""
    begin = time.monotonic()
    with contextlib.ExitStack() as stack:
        guessers = [stack.enter_context(connect(proxy)) for _ in range(90)]
        for number, raw in enumerate(guessers):
            raw.say(f"a LOGIN me guess-{number}\r\n")
        log_in(proxy)
        answered = 0
        while time.monotonic() < begin + 8:
            log_in(proxy)
            for raw in guessers:
                raw.socket.settimeout(0.001)
                with contextlib.suppress(socket.timeout, TimeoutError):
                    while line := raw.line():
                        answered += line.startswith("a NO [AUTHENTICATIONFAILED]")
        # 0.5, 1, 2, 4 and then 8 seconds apart.
        assert 1 <= answered <= 5
    err = proxy.running.err()
    assert len(re.findall(r"wrong user name or password \(\d+ lately\)", err)) >= 90
    assert "guess-" not in err


FAST = 20


@pytest.mark.parametrize("seconds", [60, pytest.param(3600, marks=pytest.mark.full)])
def test_client_that_does_not_read(seconds, interimap, folder):
    """With 60 MB of answers before it: nobody keeps them, and nobody else waits."""
    one = Proxy(interimap, env=faster(folder, FAST), binary=release())
    with one.client() as client, one.client() as idle:
        for number in range(5):
            client.append("INBOX", messages.of_size(number, 4 << 20))
        client.select("INBOX")
        before = processes.peak_memory(one.running.pid)
        idle.select("INBOX")
        sent = [idle.send("UID FETCH 1:* (BODY.PEEK[])") for _ in range(3)]
        begin, worst = time.monotonic(), 0
        while time.monotonic() < begin + seconds / FAST:
            for command in ("NOOP", "UID FETCH 1:* (FLAGS)", "UID STORE 1 +FLAGS (\\Seen)"):
                at = time.monotonic()
                client.cmd(command)
                worst = max(worst, time.monotonic() - at)
        # And then it reads: nothing is missing.  (Flags that changed meanwhile come along.)
        for tag in sent:
            bodies = [found for found in idle.wait(tag).of("FETCH") if "BODY[]" in found[2]]
            assert len(bodies) == 5
        assert worst < 0.5, worst
        assert processes.peak_memory(one.running.pid) < before + (2 << 10), "KiB"
        client.cmd("NOOP")
    result = one.stop()
    assert result.code == 0, result.err
