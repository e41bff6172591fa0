# SPDX-License-Identifier: MIT
"""Relays between a client and a server: one that counts turns, one that cuts.

The lock-step relay behaves like a line of infinite latency.  It collects what the client says
until the client has nothing more to say, passes all of it on, collects the whole answer, passes
that on, and so forth: what a client can send without waiting for an answer arrives together and
counts once.  A *turn* is a burst of the client that was answered.  Neither the TCP connect nor
what the server says unasked (its greeting) is a turn, nor is a last word that the client does
not wait for: a burst that ends with the client's end of file.
"""

import selectors
import socket
import struct
import threading
import time
from dataclasses import dataclass, field

from . import processes
from .ports import free_port

_CHUNK = 1 << 16


class _Server:
    """A listener on a port of its own that serves its connections in threads."""

    def __init__(self, target, host="127.0.0.1"):
        self.target = target
        self.host = host
        self.port = free_port()
        self._listener = None
        self._thread = None
        self._stop = threading.Event()
        self._workers = []

    def start(self):
        self._stop.clear()
        self._listener = self._listen()
        self._listener.settimeout(0.02)
        self._thread = threading.Thread(target=self._accept, args=(self._listener,), daemon=True)
        self._thread.start()
        return self

    def _listen(self):
        return socket.create_server((self.host, self.port), backlog=64)

    def refuse(self):
        """Listen no more; connections that exist go on."""
        if self._listener is not None:
            listener, self._listener = self._listener, None
            self._thread.join()
            listener.close()

    def stop(self):
        self._stop.set()
        self.refuse()
        for worker in self._workers:
            worker.join()
        self._workers.clear()

    def __enter__(self):
        return self.start() if self._listener is None else self

    def __exit__(self, *_):
        self.stop()

    def _accept(self, listener):
        while self._listener is listener and not self._stop.is_set():
            try:
                client, _ = listener.accept()
            except TimeoutError:
                continue
            worker = threading.Thread(target=self._enter, args=(client,), daemon=True)
            self._workers.append(worker)
            worker.start()

    def _enter(self, client):
        with client:
            try:
                server = socket.create_connection(("127.0.0.1", self.target), 10)
            except OSError:
                return
            with server:
                for peer in (client, server):
                    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    peer.setblocking(False)
                self._serve(client, server)

    def _serve(self, client, server):
        raise NotImplementedError


@dataclass(eq=False)
class _End:
    """One side of a connection: what was read from it and what is to be written to it."""

    socket: socket.socket
    held: bytearray = field(default_factory=bytearray)  # read, not yet passed on
    out: bytearray = field(default_factory=bytearray)   # passed on, not yet written
    eof: bool = False

    def read(self):
        """Take what is there; True if something was."""
        try:
            data = self.socket.recv(_CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        self.eof = self.eof or not data
        self.held += data
        return bool(data)

    def write(self):
        try:
            sent = self.socket.send(self.out)
        except BlockingIOError:
            return
        except OSError:
            self.out.clear()
            return
        del self.out[:sent]


@dataclass
class Dialogue:
    """What one connection did."""

    turns: int = 0
    up: int = 0             # bytes from the client
    down: int = 0           # bytes to the client
    bursts: list = field(default_factory=list)  # bytes of each turn: (asked, answered)


class LockStepRelay(_Server):
    """Counts the turns of every connection to the port `target`.

    `server` and `client` are functions that return the pids whose work decides whether a burst
    is over (Dovecot.pids; a program and the server of its other side).  Without them silence
    of `quiet` seconds decides alone, which a loaded machine can fool.
    """

    # A burst that gets this long is passed on in pieces; it stays one turn.  A client that sends
    # while it waits for room, or a server that answers before the command's end, cannot hang.
    LONG = 4 << 20
    # So much is read in advance of the side whose turn it is not.
    HELD = 64 << 20
    # After this time a burst is held to be over, whatever its peer does.
    PATIENCE = 10.0

    def __init__(self, target, quiet=0.02, server=None, client=None, **kwargs):
        super().__init__(target, **kwargs)
        self.quiet = quiet
        self.server_pids = server
        self.client_pids = client
        self.dialogues = []

    @property
    def turns(self):
        return sum(dialogue.turns for dialogue in self.dialogues)

    @property
    def connections(self):
        return len(self.dialogues)

    def reset(self):
        """Forget the counts; those of connections that are open too."""
        self.dialogues.clear()

    def _serve(self, client, server):
        dialogue = Dialogue()
        self.dialogues.append(dialogue)
        _Steps(self, _End(client), _End(server), dialogue).run(self._stop)


class _Steps:
    """The dialogue of one connection: asked, then answered, in turns."""

    def __init__(self, relay, client, server, dialogue):
        self.relay = relay
        self.client = client
        self.server = server
        self.dialogue = dialogue
        self.selector = selectors.DefaultSelector()

    def run(self, stop):
        while not stop.is_set() and not (self.client.eof and not self.client.held):
            if self.server.eof and not self.server.held:
                break
            self._exchange(self.relay.quiet)
            if self.client.held:
                asked = self._burst(self.client, self.server, self.relay.client_pids, stop)
                self._answer(asked, stop)
            elif self.server.held:
                self._burst(self.server, self.client, self.relay.server_pids, stop)
        self._flush()

    def _answer(self, asked, stop):
        """Wait for the answer to a burst and pass it on; only an answered one is a turn."""
        if self.client.eof:
            return
        limit = time.monotonic() + self.relay.PATIENCE
        activity = _Activity(self.relay.server_pids)
        silent = time.monotonic()
        while not self.server.held and not self.server.eof and not stop.is_set():
            # Some commands are never answered (IDLE's DONE is, but a lone literal may not be):
            # a client that was silent and now speaks again cannot have waited for one.
            now = time.monotonic()
            if now > limit or (self.client.held and now > silent + 1):
                return
            self._exchange(self.relay.quiet)
            if activity.worked():
                silent = time.monotonic()
        answered = self._burst(self.server, self.client, self.relay.server_pids, stop)
        if answered:
            self.dialogue.turns += 1
            self.dialogue.bursts.append((asked, answered))

    def _burst(self, source, sink, pids, stop):
        """Collect all that `source` has to say, pass it on; how many bytes."""
        activity = _Activity(pids)
        passed = 0
        start = time.monotonic()
        while not source.eof and not stop.is_set():
            if time.monotonic() > start + self.relay.PATIENCE:
                break
            before = len(source.held)
            self._exchange(self.relay.quiet, source)
            if len(source.held) == before and not activity.worked() and not source.out:
                break
            if len(source.held) > self.relay.LONG:
                passed += self._pass(source, sink)
        return passed + self._pass(source, sink)

    def _pass(self, source, sink):
        size = len(source.held)
        sink.out += source.held
        source.held.clear()
        if source is self.client:
            self.dialogue.up += size
        else:
            self.dialogue.down += size
        return size

    def _exchange(self, timeout, source=None):
        """Read and write what can be, for at most `timeout`; return early when `source` spoke.

        Both directions are always read, so that nobody is stuck in a write.
        """
        limit = time.monotonic() + timeout
        while True:
            for end in (self.client, self.server):
                self._want(end)
            if not self.selector.get_map():
                return
            spoke = False
            for key, events in self.selector.select(max(0.0, limit - time.monotonic())):
                end = key.data
                if events & selectors.EVENT_WRITE:
                    end.write()
                if events & selectors.EVENT_READ and end.read():
                    spoke = spoke or source in (None, end)
            if spoke or time.monotonic() >= limit or self.client.eof or self.server.eof:
                return

    def _want(self, end):
        _register(self.selector, end, not end.eof and len(end.held) < self.relay.HELD,
                  bool(end.out))

    def _flush(self):
        """One side has closed: give the other the rest."""
        self._pass(self.client, self.server)
        self._pass(self.server, self.client)
        limit = time.monotonic() + 2
        while (self.client.out or self.server.out) and time.monotonic() < limit:
            self._exchange(0.01)
        self.selector.close()


class _Activity:
    """processes.Activity, or silence alone when there are no pids to look at."""

    def __init__(self, pids):
        self._activity = processes.Activity(pids) if pids else None
        self.worked()

    def worked(self):
        return self._activity.worked() if self._activity else False


class CuttingRelay(_Server):
    """Passes bytes on at once, until told to cut.

    cut_after(n, "up"|"down") lets exactly n more bytes through in that direction, over all
    connections, delivers them, and then ends the connection on both sides; hang() keeps
    connections open but passes nothing on; go_on() ends either; cut_now() resets what is open.
    """

    # What may wait in here for a slow reader before its writer has to wait as well.
    ROOM = 1 << 18

    def __init__(self, target, **kwargs):
        super().__init__(target, **kwargs)
        self._lock = threading.Lock()
        self._left = {"up": None, "down": None}
        self._hanging = False
        self._generation = 0
        self.cuts = 0
        self.passed = {"up": 0, "down": 0}

    def cut_after(self, count, direction="up"):
        with self._lock:
            self._left[direction] = count

    def hang(self):
        self._hanging = True

    def go_on(self):
        with self._lock:
            self._left = {"up": None, "down": None}
        self._hanging = False

    def cut_now(self):
        self._generation += 1

    def _allow(self, direction, size):
        """How many of `size` bytes may pass, and whether the cut is due after them."""
        with self._lock:
            left = self._left[direction]
            cut = left is not None and size >= left
            if cut:
                size = left
                self.cuts += 1
            if left is not None:
                self._left[direction] = None if cut else left - size
            self.passed[direction] += size
            return size, cut

    def _serve(self, client, server):
        generation = self._generation
        ways = [(_End(client), "up"), (_End(server), "down")]
        with selectors.DefaultSelector() as selector:
            while self._step(selector, ways):
                if self._stop.is_set() or generation != self._generation:
                    _reset(client)
                    _reset(server)
                    return

    def _step(self, selector, ways):
        """Move what can be moved; False when the connection is over."""
        for (end, _), (other, _) in (ways, ways[::-1]):
            reading = not self._hanging and len(other.out) < self.ROOM
            _register(selector, end, reading, bool(end.out) and not self._hanging)
        if not selector.get_map():
            time.sleep(0.005)
            return True
        for key, events in selector.select(0.02):
            end = key.data
            if events & selectors.EVENT_WRITE:
                end.write()
            if not events & selectors.EVENT_READ or not (end.read() or end.eof):
                continue
            (_, direction), (other, _) = ways if end is ways[0][0] else ways[::-1]
            size, cut = self._allow(direction, len(end.held))
            other.out += end.held[:size]
            end.held.clear()
            if cut or end.eof:
                _drain(other)
                return False
        return True


def _register(selector, end, reading, writing):
    events = selectors.EVENT_READ * reading | selectors.EVENT_WRITE * writing
    known = end.socket in selector.get_map()
    if events and known:
        selector.modify(end.socket, events, end)
    elif events:
        selector.register(end.socket, events, end)
    elif known:
        selector.unregister(end.socket)


def _drain(end):
    """Write what is left to an end before it is closed."""
    limit = time.monotonic() + 2
    with selectors.DefaultSelector() as selector:
        selector.register(end.socket, selectors.EVENT_WRITE)
        while end.out and time.monotonic() < limit:
            if selector.select(0.1):
                end.write()


def _reset(end):
    """Close with a reset, so that the peer sees an error and not an orderly end."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.close()
