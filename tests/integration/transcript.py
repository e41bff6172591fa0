# SPDX-License-Identifier: MIT
"""Scripts of what a client says (transcripts/*.imap), and players that note what is answered.

A line of a script is sent with CRLF behind it.  What the first characters mean:

    # comment         not sent
    . NOOP            a command with a tag that is made up: t1, t2 and so on
    other NOOP        a command with this tag
    |DONE             goes on with the command above, after a literal or a continuation
    >text             a line of the literal that the line above announces; the lines are joined by
                      CRLF, with none at the end
    !text             answered with an untagged BAD or BYE
    -text             not answered
    ^COMPRESS x       refused by the proxy, with a tag that is made up; never sent to the store
    ~text             likewise, as no command, with its own tag or, for ~*text, with none
    $                 the client's side ends here
    ?REPLACE          only for a store that has this extension

Within lines: {?}, {?+} and ~{?} count the literal that follows, <0A> is a byte, <x*70000> many of
the same, <-> at the end keeps the CRLF from being sent, and @NAME@ is a value of the store.
"""

import datetime
import fcntl
import os
import pathlib
import re
import select
import socket
import struct
import subprocess
import termios
import time
from dataclasses import dataclass, field

FOLDER = pathlib.Path(__file__).parent / "transcripts"
TIMEOUT = 20
_END = 1000      # bytes

# What the proxy answers itself.
_COMPRESSION = b"NO [CANNOT] compression is not available here"
_LOGGED_IN = b"BAD This is not available after the login."
_NO_COMMAND = b"BAD This is no command."
_IDLE = b"BAD IDLE has no arguments."


@dataclass
class Step:
    """What is sent without waiting, and how the answer begins that is waited for."""

    data: bytes
    answers: tuple          # beginnings of lines; () for none
    refused: bytes = None   # what the proxy answers in the store's place
    ends: bool = False      # the client ends its side with it


@dataclass
class Script:
    name: str
    needs: set = field(default_factory=set)         # extensions
    steps: list = field(default_factory=list)
    commands: list = field(default_factory=list)    # (tag, the rest of the command's first line)


def _bytes(text):
    """The bytes of a line, escapes resolved."""
    text = re.sub(r"<(.)\*(\d+)>", lambda found: found[1] * int(found[2]), text)
    return re.sub(rb"<([0-9A-F]{2})>", lambda found: bytes.fromhex(found[1].decode()),
                  text.encode())


def _count(line, literal):
    return re.sub(rb"\{\?(\+?)\}$", rb"{%d\1}" % len(literal), line)


class _Reader:
    """Turns the lines of a script into steps."""

    def __init__(self, name):
        self.script = Script(name)
        self.count = 0
        self.tag = ""

    def read(self, lines):
        while lines:
            line = lines.pop(0)
            if line == "$":
                self.end()
            elif line.startswith("?"):
                self.script.needs.add(line[1:])
            elif not line.startswith("#"):
                self.step(line, self.literal(lines))
        return self.script

    @staticmethod
    def literal(lines):
        """The lines of the literal that follows, or None."""
        found = []
        while lines and lines[0].startswith(">"):
            found.append(_bytes(lines.pop(0)[1:]))
        return b"\r\n".join(found) if found else None

    def step(self, line, literal):
        refused = None
        if line.startswith("~"):
            tag, text = ("*", line[2:]) if line[1:2] == "*" else (line[1:].split(" ")[0], line[1:])
            refused = _bytes(tag) + b" " + _NO_COMMAND
            answers = (refused,)
        elif line[:1] in ("!", "-"):
            answers = (b"* BAD", b"* BYE") if line[0] == "!" else ()
            text = line[1:]
        elif line.startswith("|"):
            answers, text = self.answers(), line[1:]
        else:
            text = self.begin(line)
            answers = self.answers()
            if line.startswith("^"):
                refused = self.tag.encode() + b" " + self.refusal(text)
        self.add(_bytes(text), literal, answers, refused)

    @staticmethod
    def refusal(text):
        verb = text.split(" ")[1].upper()
        return {"COMPRESS": _COMPRESSION, "IDLE": _IDLE, "AUTHENTICATE": _LOGGED_IN,
                "STARTTLS": _LOGGED_IN, "UNAUTHENTICATE": _LOGGED_IN}.get(verb, _NO_COMMAND)

    def begin(self, line):
        """The line with its tag."""
        if line.startswith((". ", "^")):
            self.count += 1
            line = f"t{self.count} {line[1:].lstrip()}"
        self.tag, _, rest = line.partition(" ")
        self.script.commands.append((self.tag, rest))
        return line

    def end(self):
        self.script.steps[-1].answers = ()
        self.script.steps[-1].ends = True

    def answers(self):
        # A tag that Dovecot does not like gets an untagged BAD.
        return b"+", _bytes(self.tag) + b" ", b"* BAD", b"* BYE"

    def add(self, data, literal, answers, refused):
        steps = self.script.steps
        if data.endswith(b"<->"):
            data = data[:-3]
        else:
            data = _count(data, literal or b"") + b"\r\n"
        if steps and steps[-1].answers is None:
            steps[-1].data += data      # behind a literal
            steps[-1].answers = answers
        else:
            steps.append(Step(data, answers, refused))
        if literal is None:
            return
        if re.search(rb"\{\d+\+\}\r\n$", data):
            steps[-1].data += literal
            steps[-1].answers = None
        else:
            steps.append(Step(literal, None))


def scripts():
    """The names of all scripts."""
    return sorted(path.stem for path in FOLDER.glob("*.imap"))


def load(name, values):
    """A script, with the values of a store for @NAME@."""
    text = (FOLDER / f"{name}.imap").read_text(encoding="utf-8")
    text = re.sub(r"@([A-Z]+)@", lambda found: str(values[found[1]]), text)
    return _Reader(name).read(text.splitlines())


class Line:
    """A connection on a UNIX socket, of which all that was said is kept."""

    def __init__(self, connected, process=None):
        self.socket = connected
        self.socket.settimeout(TIMEOUT)
        self.process = process
        self.said = b""
        self.ended = False

    @classmethod
    def to_command(cls, words, env=None):
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(words, stdin=theirs, stdout=theirs, env=env,
                                       stderr=subprocess.DEVNULL)
        return cls(ours, process)

    @classmethod
    def to_path(cls, path):
        connected = socket.socket(socket.AF_UNIX)
        connected.connect(path)
        return cls(connected)

    def close(self):
        self.socket.close()
        if self.process:
            self.process.wait(TIMEOUT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def take(self):
        """Read what there is, after waiting for some."""
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionError:
            data = b""
        self.said += data
        self.ended = not data

    def send(self, data):
        """Send all of it, reading meanwhile; a server that is gone is told nothing."""
        data = memoryview(data)
        while data and not self.ended:
            readable, writable, _ = select.select([self.socket], [self.socket], [], TIMEOUT)
            assert readable or writable, f"no byte was taken; before that: {self.said[-500:]}"
            if readable:
                self.take()
            if writable and not self.ended:
                try:
                    data = data[self.socket.send(data, socket.MSG_DONTWAIT):]
                except BlockingIOError:
                    continue
                except ConnectionError:
                    break

    def send_slowly(self, data):
        """Byte by byte, each when the one before it has been read by the other side.

        What is very long is so at its ends only, or it would take minutes.
        """
        cuts = [at for at in range(len(data) + 1)
                if at < _END or at > len(data) - _END or len(data) < 4 * _END]
        for begin, end in zip(cuts, cuts[1:]):
            self.send(data[begin:end])
            limit = time.monotonic() + TIMEOUT
            while not self.ended and self._unread():
                assert time.monotonic() < limit, f"a byte was not read: {data[:end]}"
                os.sched_yield()
                if select.select([self.socket], [], [], 0)[0]:
                    self.take()

    def _unread(self):
        return struct.unpack("i", fcntl.ioctl(self.socket, termios.TIOCOUTQ, b"\0" * 4))[0]

    def wait_for(self, beginnings, since):
        """Until a line begins so, of those from the offset on; or the end."""
        pattern = re.compile(b"(?m)^(?:" + b"|".join(map(re.escape, beginnings)) + b").*\n")
        while not pattern.search(self.said[since:]) and not self.ended:
            self.take()

    def rest(self):
        """All that was said, when the server has ended the connection."""
        while not self.ended:
            self.take()
        return self.said


# Ways to say a script.

def line_by_line(line, steps, send=Line.send):
    for step in steps:
        since = len(line.said)
        send(line, step.data)
        if step.ends:
            line.socket.shutdown(socket.SHUT_WR)
        if step.answers:
            line.wait_for(step.answers, since)


def byte_by_byte(line, steps):
    line_by_line(line, steps, Line.send_slowly)


def pipelined(line, steps):
    line.send(b"".join(step.data for step in steps))
    if steps[-1].ends:
        line.socket.shutdown(socket.SHUT_WR)


WAYS = {"lines": line_by_line, "bytes": byte_by_byte, "pipelined": pipelined}


# What may differ.

_NOW = 3600     # seconds; what is further away was not made by the transcript
_SECONDS = re.compile(rb" \((?:\d+\.\d{3} \+ ){1,2}\d+\.\d{3} secs\)")
_CAPABILITIES = re.compile(rb"(?m)^(\* CAPABILITY|.*\[CAPABILITY)( [^]\r\n]*)")
_HIDDEN = re.compile(rb" (?:AUTH=\S*|COMPRESS=\S*|LOGINDISABLED|SASL-IR|STARTTLS)(?= |$)")
_VALIDITY = re.compile(rb"((?:UIDVALIDITY|APPENDUID|COPYUID) )(\d{10})\b")
# A hint, which Dovecot gives or not depending on whether a second has passed.
_MARKED = re.compile(rb"(?m)^(\* (?:LIST|LSUB) \([^)\r\n]*) \\(?:Un)?Marked\b")
_DATE = re.compile(rb'(INTERNALDATE|SAVEDATE) "([^"]*)"')


def _date(found):
    when = datetime.datetime.strptime(found[2].decode(), "%d-%b-%Y %H:%M:%S %z")
    return found[1] + b" <now>" if abs(when.timestamp() - time.time()) < _NOW else found[0]


def comparable(said):
    """Without the time that commands took, and with numbers for what is made of the time of day."""
    made = {}

    def validity(found):
        if abs(int(found[2]) - time.time()) > _NOW:
            return found[0]
        return found[1] + b"<%d>" % made.setdefault(found[2], len(made))

    said = _MARKED.sub(rb"\1", _SECONDS.sub(b"", said))
    return _DATE.sub(_date, _VALIDITY.sub(validity, said))


def without_hidden(said):
    """What the store says, less what the proxy keeps from clients."""
    return _CAPABILITIES.sub(lambda found: found[1] + _HIDDEN.sub(b"", found[2]), said)
