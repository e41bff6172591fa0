# SPDX-License-Identifier: MIT
"""A relay that knows what kind of line it passes on, and can cut the connection inside of one.

The kind of a line is its shape without tag and numbers: "UID FETCH" and "after a literal of APPEND"
from the client; "* n FETCH", "* VANISHED (EARLIER)", "+" and "answer to SELECT" from the server.  A
literal is of the kind "literal of FETCH".  What is exchanged in a run is thereby a list of kinds,
and a place in it is a Cut: the n-th of a kind, and where in it.
"""

import re
import selectors
import socket
import threading
from collections import Counter
from dataclasses import dataclass

from integration.turns import _drain, _End, _register, _reset, _Server

_LITERAL = re.compile(rb"\{(\d+)\+?\}\r\n\Z")
_WAITED = re.compile(rb"\{(\d+)\}\r\n\Z")

# Where a line or a literal of this many bytes is cut: how many of them still arrive.
LINE = {"first": lambda n: 1, "middle": lambda n: n // 2, "before CR": lambda n: n - 2,
        "before LF": lambda n: n - 1, "after LF": lambda n: n}
LITERAL = {"first": lambda n: 1, "middle": lambda n: n // 2, "last": lambda n: n - 1}


@dataclass(frozen=True)
class Cut:
    direction: str      # "up", from the program; "down", to it
    kind: str
    number: int         # 1: the first of this kind
    place: str

    def __str__(self):
        return f"{self.direction} {self.kind} {self.number}, {self.place}"


def places(kind):
    return LITERAL if kind.startswith("literal") else LINE


class Wire(_Server):
    """`hidden`: capabilities that the program does not get to see.  `refuse_above`: an APPEND whose
    literal is announced with more bytes is refused.  `lie`: the first command that begins so is
    answered OK, and not done.  `costs`: (direction, bytes), and each connection is cut on which a
    literal with such bytes comes that way."""

    def __init__(self, target, **kwargs):
        super().__init__(target, **kwargs)
        self.lock = threading.Lock()
        self.reset()

    def reset(self, cut=None, hidden=(), refuse_above=None, lie=None, costs=None):
        self.cut, self.hidden, self.refuse_above = cut, hidden, refuse_above
        self.lie, self.costs = lie, costs
        self.count = {"up": Counter(), "down": Counter()}
        self.commands = []      # without their tags
        self.reached = False

    def _serve(self, client, server):
        tags = {}
        ways = [(_End(client), _Kinds(self, "up", tags)), (_End(server), _Kinds(self, "down", tags))]
        with selectors.DefaultSelector() as selector:
            while self._step(selector, ways):
                if self._stop.is_set():
                    _reset(client)
                    _reset(server)
                    return

    def _step(self, selector, ways):
        for end, _ in ways:
            _register(selector, end, not end.eof, bool(end.out))
        if not selector.get_map():
            return False
        for key, events in selector.select(0.05):
            end = key.data
            if events & selectors.EVENT_WRITE:
                end.write()
            if not events & selectors.EVENT_READ or not (end.read() or end.eof):
                continue
            (_, kinds), (other, _) = ways if end is ways[0][0] else ways[::-1]
            data, back, cut = kinds.feed(end)
            other.out += data
            end.out += back
            if cut or end.eof:
                _drain(other)
                return False
            other.write()
        return True


class _Kinds:
    """One direction of one connection."""

    def __init__(self, wire, direction, tags):
        self.wire, self.direction, self.tags = wire, direction, tags
        self.literal = 0        # bytes of it that have not come yet
        self.cut_at = None      # how many of these are still passed on
        self.verb = None        # of the line that had the last literal

    def feed(self, end):
        """What of end.held is passed on, what is answered at once, and whether to cut then."""
        out, back = bytearray(), bytearray()
        held = end.held
        while held:
            if self.literal > 0:
                piece = bytes(held[:self.literal])
                del held[:len(piece)]
                if self.wire.costs and self.wire.costs[0] == self.direction \
                        and self.wire.costs[1] in piece:
                    return out, back, True
                if self.cut_at is not None and self.cut_at <= len(piece):
                    return out + piece[:self.cut_at], back, True
                if self.cut_at is not None:
                    self.cut_at -= len(piece)
                self.literal -= len(piece)
                out += piece
                continue
            line, newline, _ = held.partition(b"\n")
            if not newline:
                break
            line = bytes(line + newline)
            del held[:len(line)]
            if self.direction == "up" and (self._refused(line, back) or self._lied(line, back)):
                continue
            line = self._shown(line)
            cut = self._due(self._kind(line), len(line))
            if cut is not None:
                return out + line[:cut], back, True
            out += line
            found = _LITERAL.search(line)
            if found and int(found[1]) > 0:
                self.literal = int(found[1])
                self.cut_at = self._due(f"literal of {self.verb}", self.literal)
            elif not found:
                self.verb = None
        return out, back, False

    def _due(self, kind, size):
        wire = self.wire
        with wire.lock:
            wire.count[self.direction][kind] += 1
            number = wire.count[self.direction][kind]
        cut = wire.cut
        if cut is None or (cut.direction, cut.kind, cut.number) != (self.direction, kind, number):
            return None
        wire.reached = True
        return places(kind)[cut.place](size)

    def _kind(self, line):
        if self.verb is not None:
            return f"after a literal of {self.verb}"
        words = line.rstrip(b"\r\n").split(b" ")
        if self.direction == "up":
            self.verb = b" ".join(words[1:3 if words[1:2] == [b"UID"] else 2]).decode("latin-1")
            self.tags[words[0]] = self.verb
            self.wire.commands.append(line.partition(b" ")[2].decode("latin-1").strip())
            return self.verb
        if words[0] == b"+":
            return "+"
        if words[0] != b"*":
            return f"answer to {self.tags.get(words[0], '?')}"
        shape = ["n" if word.isdigit() else word.decode("latin-1") for word in words[1:3]]
        self.verb = shape[1] if shape[0] == "n" else shape[0]
        if shape[1:] and shape[0] != "n" and shape[1][:1] != "[" and shape[1] != "(EARLIER)":
            shape.pop()
        return " ".join(["*", *shape])

    def _shown(self, line):
        """Without what is hidden, if it is a list of capabilities."""
        if self.direction == "down" and self.verb is None and b"CAPABILITY" in line:
            for name in self.wire.hidden:
                line = re.sub(rb" %s(?=[] \r])" % re.escape(name.encode()), b"", line)
        return line

    def _refused(self, line, back):
        limit = self.wire.refuse_above
        found = _WAITED.search(line)
        if limit is None or not found or int(found[1]) <= limit or self.verb is not None:
            return False
        tag, _, command = line.partition(b" ")
        if not command.upper().startswith(b"APPEND"):
            return False
        back += tag + b" NO [LIMIT] Message is too large\r\n"
        return True

    def _lied(self, line, back):
        tag, _, command = line.partition(b" ")
        lie = self.wire.lie
        if lie is None or self.verb is not None or not command.startswith(lie.encode()):
            return False
        self.wire.lie = None
        back += tag + b" OK Completed.\r\n"
        return True
