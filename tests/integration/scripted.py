# SPDX-License-Identifier: MIT
"""Servers that misbehave on purpose.

Scripted says and expects exactly the lines of a script.  Meddler stands between a client and a
real server: it passes everything on, line by line, except what a test told it to refuse, to add
or to leave out.
"""

import re
import socket
import threading

from .ports import free_port
from .turns import _Server

_LITERAL = re.compile(rb"\{(\d+)(\+?)\}\r?\n\Z")


class Gone(Exception):
    """The peer closed, or the test is over."""


class Lines:
    """Lines and literals from a socket, until `stop` is set."""

    def __init__(self, peer, stop):
        self.socket = peer
        self.stop = stop
        self.rest = b""
        peer.settimeout(0.05)

    def _more(self):
        while not self.stop.is_set():
            try:
                data = self.socket.recv(1 << 16)
            except TimeoutError:
                continue
            except OSError:
                break
            if not data:
                break
            self.rest += data
            return
        raise Gone

    def line(self):
        """The next line, its CRLF included."""
        while b"\n" not in self.rest:
            self._more()
        line, end, self.rest = self.rest.partition(b"\n")
        return line + end

    def literal(self, size):
        """The next `size` bytes, in pieces."""
        while size > 0:
            if not self.rest:
                self._more()
            piece, self.rest = self.rest[:size], self.rest[size:]
            size -= len(piece)
            yield piece

    def send(self, data):
        while data:
            if self.stop.is_set():
                raise Gone
            try:
                data = data[self.socket.send(data):]
            except TimeoutError:
                continue
            except OSError as error:
                raise Gone from error


class Scripted:
    """Plays `steps` for each connection, from their beginning.

    A step is bytes to send (a CRLF is added), a compiled pattern that the client's next line must
    match whole, or a function that is called.  After the last step the connection is closed.
    With `slow` every byte is sent on its own.
    """

    def __init__(self, steps, slow=False):
        self.steps = steps
        self.slow = slow
        self.connections = 0
        self.lines = []         # all that clients said
        self.unexpected = []    # (pattern, line)
        self._stop = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", free_port()))
        self._listener.settimeout(0.02)
        self.port = self._listener.getsockname()[1]
        self._workers = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        self._listener.close()
        for worker in self._workers:
            worker.join()

    def _accept(self):
        while not self._stop.is_set():
            try:
                peer, _ = self._listener.accept()
            except TimeoutError:
                continue
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            worker = threading.Thread(target=self._serve, args=(peer,), daemon=True)
            self._workers.append(worker)
            worker.start()

    def _serve(self, peer):
        with peer:
            lines = Lines(peer, self._stop)
            try:
                for step in self.steps:
                    self._play(lines, step)
            except Gone:
                pass

    def _play(self, lines, step):
        if callable(step):
            step()
        elif isinstance(step, bytes):
            data = step + b"\r\n"
            for piece in ([data[i:i + 1] for i in range(len(data))] if self.slow else [data]):
                lines.send(piece)
        else:
            line = lines.line().rstrip(b"\r\n")
            self.lines.append(line)
            if not step.fullmatch(line):
                self.unexpected.append((step.pattern, line))
                raise Gone


class _Rule:
    def __init__(self, pattern, times, act):
        self.pattern = re.compile(pattern, re.IGNORECASE | re.DOTALL)
        self.times = times
        self.act = act


class Meddler(_Server):
    """A relay to the port `target` that meddles with commands whose text (without the tag) matches.

    `refused` counts what was refused.  Answers keep their place among those to other commands,
    since the real server gives them: it is sent a command that it refuses, too.
    """

    def __init__(self, target, **kwargs):
        super().__init__(target, **kwargs)
        self._lock = threading.Lock()
        self._rules = []
        self._dropped = []
        self.poison = None      # a connection on which such bytes come as a literal is cut
        self.refused = 0
        self.cuts = 0

    def answer(self, pattern, answer, times=1):
        """Answer these commands with e.g. b"NO [LIMIT] too many"."""
        self._rules.append(_Rule(pattern, times, lambda: ("refuse", answer)))

    def reword(self, pattern, answer, times=1):
        """Let the server do what these commands ask, and say that as its tagged answer."""
        self._rules.append(_Rule(pattern, times, lambda: ("reword", answer)))

    def add(self, pattern, *lines, times=1):
        """Say these lines before the server's tagged answer."""
        self._rules.append(_Rule(pattern, times, lambda: ("add", list(lines))))

    def when(self, pattern, function, times=1):
        """Call a function before the command is passed on."""
        def act():
            function()
            return "pass", None
        self._rules.append(_Rule(pattern, times, act))

    def cut(self, pattern, words=None, times=10 ** 9):
        """End the connection over such a command, when all before it is answered.

        `words`: a line that is said before that, or a function that is called.
        """
        self._rules.append(_Rule(pattern, times, lambda: ("cut", words)))

    def drop(self, pattern):
        """Leave out the server's lines (untagged ones) that match."""
        self._dropped.append(re.compile(pattern, re.IGNORECASE | re.DOTALL))

    def relent(self):
        """Only pass on from now."""
        with self._lock:
            self._rules.clear()
            self._dropped.clear()
            self.poison = None

    def _meddle(self, text):
        with self._lock:
            for rule in self._rules:
                if rule.times > 0 and rule.pattern.match(text):
                    rule.times -= 1
                    break
            else:
                return "pass", None
        return rule.act()

    def _lines(self, peer, _direction):
        return Lines(peer, self._stop)

    def _say(self, line):
        """What the client gets for this line of the server; None for nothing."""
        text = line.decode("latin-1")
        if line.startswith(b"* ") and any(pattern.match(text) for pattern in self._dropped):
            return None
        return line

    def _serve(self, client, server):
        for peer in (client, server):
            peer.setblocking(True)
        over = threading.Event()
        pair = _Pair(self, self._lines(client, "up"), self._lines(server, "down"))
        back = threading.Thread(target=pair.run, args=(pair.answers, over), daemon=True)
        back.start()
        pair.run(pair.commands, over)
        back.join()


class _Pair:
    """One connection of a Meddler."""

    def __init__(self, meddler, client, server):
        self.meddler = meddler
        self.client = client
        self.server = server
        self.instead = {}       # tag -> answer
        self.before = {}        # tag -> lines
        self.last_words = {}    # tag of a command over which the connection ends -> words

    def run(self, work, over):
        try:
            while not over.is_set():
                work()
        except Gone:
            pass
        finally:
            over.set()
            for lines in (self.client, self.server):
                try:
                    lines.socket.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def commands(self):
        line = self.client.line()
        tag, _, text = line.partition(b" ")
        what, more = self.meddler._meddle(text.decode("latin-1").rstrip("\r\n"))
        if what == "refuse":
            self._refuse(tag, text, line, more)
            return
        if what == "cut":
            self.last_words[tag] = more
            self.server.send(tag + b" XREFUSED\r\n")
            return
        if what == "add":
            self.before[tag] = more
        if what == "reword":
            self.instead[tag] = more
        self.server.send(line)
        self._literals(line, self.server.send)

    def _cut(self, words):
        self.meddler.cuts += 1
        if callable(words):
            words()
        elif words is not None:
            self.client.send(words + b"\r\n")
        raise Gone

    def _refuse(self, tag, text, line, answer):
        self.instead[tag] = answer
        self.meddler.refused += 1
        # The client sends the rest of a literal that it did not have to wait for.
        if b"+}" in line[-4:]:
            self._literals(line, lambda data: None)
        if text.upper().startswith(b"SELECT") and answer.startswith(b"NO"):
            self.server.send(tag + b" SELECT \"no such mailbox\"\r\n")
        else:
            self.server.send(tag + b" XREFUSED\r\n")

    def _literals(self, line, send):
        """Pass on what belongs to the command that began with this line."""
        while found := _LITERAL.search(line):
            for piece in self.client.literal(int(found[1])):
                if self.meddler.poison is not None and self.meddler.poison in piece:
                    self.meddler.cuts += 1
                    raise Gone
                send(piece)
            line = self.client.line()
            send(line)

    def answers(self):
        line = self.server.line()
        tag = line.partition(b" ")[0]
        if tag in self.last_words:
            self._cut(self.last_words[tag])
        for more in self.before.pop(tag, []):
            self.client.send(more + b"\r\n")
        if tag in self.instead:
            line = tag + b" " + self.instead.pop(tag) + b"\r\n"
        said = self.meddler._say(line)
        send = (lambda data: None) if said is None else self.client.send
        send(said)
        while found := _LITERAL.search(line):
            for piece in self.server.literal(int(found[1])):
                send(piece)
            line = self.server.line()
            send(line)
