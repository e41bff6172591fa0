# SPDX-License-Identifier: MIT
"""An IMAP server that lies in memory and says what the test wants: any number, certificate, greeting.

It knows what the program needs of QRESYNC, LIST-STATUS and UIDPLUS, keeps every line it is sent
(after decryption), and lets a test answer a command in its own way: `answers` maps a command's
name to a function of (connection, tag, words) that returns True when it has answered.
"""

import bisect
import re
import socket
import ssl
import threading
from dataclasses import dataclass, field

from .imap import ImapError, parse, quote
from .ports import free_port

CAPABILITIES = ("IMAP4rev1 LITERAL+ SASL-IR ENABLE UIDPLUS LIST-EXTENDED LIST-STATUS CONDSTORE"
                " QRESYNC UNSELECT IDLE MULTIAPPEND")
_PATIENCE = 30


@dataclass
class Mail:
    body: bytes
    flags: frozenset
    modseq: int
    date: str = "01-Feb-2021 10:00:00 +0000"


@dataclass
class Box:
    uidvalidity: int = 1
    uidnext: int = 1
    modseq: int = 1
    mails: dict = field(default_factory=dict)       # uid -> Mail
    gone: list = field(default_factory=list)        # (uid, modseq)
    append_limit: int = 0                           # bytes; 0: takes all
    _order: list = field(default_factory=list)
    _order_of: int = -1

    def touch(self):
        self.modseq += 1
        return self.modseq

    def add(self, body, flags=(), date=None, uid=None):
        """Deliver a message, at the UID given or the next one; its UID."""
        uid = self.uidnext if uid is None else uid
        mail = Mail(body, frozenset(flags), self.touch())
        if date is not None:
            mail.date = date.strip()
        self.mails[uid] = mail
        self.uidnext = max(self.uidnext, uid + 1)
        return uid

    def remove(self, uid):
        del self.mails[uid]
        self.gone.append((uid, self.touch()))

    def store(self, uid, flags):
        self.mails[uid].flags = frozenset(flags)
        self.mails[uid].modseq = self.touch()

    def order(self):
        """The UIDs in order."""
        if len(self._order) != len(self.mails) or self._order_of != self.modseq:
            self._order, self._order_of = sorted(self.mails), self.modseq
        return self._order

    def number(self, uid):
        return bisect.bisect_left(self.order(), uid) + 1


class Fake:
    """A server on a port of its own; `boxes` maps names as on the wire (as latin-1) to Box."""

    def __init__(self, boxes=None, context=None, implicit=False, greeting="OK", host="127.0.0.1",
                 capabilities=CAPABILITIES, answers=None):
        self.boxes = {"INBOX": Box()} if boxes is None else boxes
        self.delimiter = "/"                # None: a flat list
        self.context = context
        self.implicit = implicit
        self.greeting = greeting
        self.capabilities = capabilities
        self.secret_capabilities = None     # told after STARTTLS instead
        self.before_tls = None              # "cut": end connections within the handshake
        self.silent_at = None               # "greeting", "TLS", "continuation", "DONE"
        self.answers = answers or {}
        self.connections = []
        self._names = {}                    # TLS socket -> name asked for
        self._threads = []
        self._stop = threading.Event()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.port = free_port()
        self._listener = socket.create_server((host, self.port), family=family)
        self._listener.settimeout(0.02)
        if context is not None:
            context.sni_callback = lambda tls, name, _: self._names.update({tls: name})
        self._accepter = threading.Thread(target=self._accept, daemon=True)
        self._accepter.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._stop.set()
        self._accepter.join()
        self._listener.close()
        for connection in self.connections:
            connection.cut()
        for thread in self._threads:
            thread.join()

    @property
    def lines(self):
        """All that clients said, literals left out."""
        return [line for connection in self.connections for line in connection.lines]

    def tell(self, line):
        """Say something unasked, on all connections that are open."""
        for connection in self.connections:
            if not connection.over.is_set():
                connection.say(line)

    def status(self, name):
        """The STATUS response of a mailbox as it is now."""
        return Connection._status(name, self.boxes[name])

    def server_names(self):
        """What clients named in the TLS handshake (SNI), None for nothing."""
        return [connection.server_name for connection in self.connections]

    def sent(self, verb):
        """The words of each command of that name."""
        return [words for connection in self.connections for name, words in connection.commands
                if name == verb]

    def verbs(self):
        return [line.split(b" ")[1].upper().decode("latin-1") for line in self.lines if b" " in line]

    def _accept(self):
        while not self._stop.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            client.settimeout(_PATIENCE)
            connection = Connection(self, client)
            self.connections.append(connection)
            thread = threading.Thread(target=connection.run, daemon=True)
            self._threads.append(thread)
            thread.start()


class Connection:
    def __init__(self, server, client):
        self.server = server
        self.socket = client
        self.lines = []
        self.commands = []          # (name, words)
        self.tls_error = None       # why the handshake failed
        self.server_name = self.version = self.cipher = None
        self.over = threading.Event()
        self._rest = b""
        self._box = None

    # The wire.

    def cut(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def run(self):
        try:
            if self.server.implicit:
                self.start_tls()
            self.greet()
            while self._serve_one():
                pass
        except ssl.SSLError as error:
            self.tls_error = self.tls_error or str(error)
        except (OSError, ImapError):
            pass
        finally:
            self.socket.close()
            self.over.set()

    def hang(self, place=None):
        """Nothing more is said, if it is silent there, until the client is gone."""
        while place is None or self.server.silent_at == place:
            self._more()

    def start_tls(self):
        self.hang("TLS")
        if self.server.before_tls == "cut":
            self._more()
            self._rest = b""
            raise ImapError("cut")
        try:
            self.socket = self.server.context.wrap_socket(self.socket, server_side=True,
                                                          do_handshake_on_connect=False)
            self.socket.do_handshake()
            self.version, self.cipher = self.socket.version(), self.socket.cipher()[0]
        except (ssl.SSLError, OSError) as error:
            self.tls_error = str(error) or type(error).__name__
            raise
        finally:
            self.server_name = self.server._names.pop(self.socket, None)
        self._rest = b""

    def greet(self):
        self.hang("greeting")
        if self.server.greeting is None:
            raise ImapError("ended instead")
        words = self.server.greeting.split(" ", 1)
        if len(words) == 1:
            words.append(f"[CAPABILITY {self._capabilities()}] hello")
        self.say(f"* {words[0]} {words[1]}")

    def say(self, *lines):
        self.socket.sendall(b"".join((line.encode() if isinstance(line, str) else line) + b"\r\n"
                                     for line in lines))

    def _more(self):
        data = self.socket.recv(1 << 16)
        if not data:
            raise ImapError("the client is gone")
        self._rest += data

    def line(self):
        while b"\n" not in self._rest:
            self._more()
        line, _, self._rest = self._rest.partition(b"\n")
        return line.rstrip(b"\r")

    def _literal(self, size):
        while len(self._rest) < size:
            self._more()
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def _command(self):
        """One command as (tag, words) with its literals in place."""
        whole, literals = b"", []
        while True:
            line = self.line()
            found = re.search(rb"\{(\d+)(\+?)\}\Z", line)
            if not found:
                whole += line
                break
            if not found[2]:
                self.hang("continuation")
                self.say("+ go on")
            whole += line[:found.start()] + b"\0%d\0" % len(literals)
            literals.append(self._literal(int(found[1])))
        self.lines.append(whole)
        words = parse(whole, literals)
        if len(words) < 2:
            raise ImapError(f"no command: {whole!r}")
        return words[0], words[1:]

    def _serve_one(self):
        tag, words = self._command()
        verb = words[0].upper()
        if verb == "UID":
            verb += " " + words[1].upper()
            words = words[1:]
        self.commands.append((verb, words[1:]))
        own = self.server.answers.get(verb)
        if own is not None and own(self, tag, words[1:]):
            return True
        handler = getattr(self, "do_" + verb.lower().replace(" ", "_"), None)
        if handler is None:
            self.say(f"{tag} BAD what is {verb}?")
            return True
        return handler(tag, *words[1:]) is not False

    def ok(self, tag, text="done"):
        self.say(f"{tag} OK {text}")

    # Commands.

    def _capabilities(self):
        hidden = self.server.secret_capabilities
        return hidden if hidden and self.version else self.server.capabilities

    def do_capability(self, tag):
        self.say(f"* CAPABILITY {self._capabilities()}")
        self.ok(tag)

    def do_noop(self, tag):
        self.ok(tag)

    def do_enable(self, tag, *words):
        self.say("* ENABLED " + " ".join(words))
        self.ok(tag)

    do_subscribe = do_unsubscribe = do_check = do_notify = lambda self, tag, *_: self.ok(tag)

    def do_login(self, tag, *_):
        self.ok(tag, f"[CAPABILITY {self._capabilities()}] welcome")

    def do_authenticate(self, tag, *_):
        self.do_login(tag)

    def do_logout(self, tag):
        self.say("* BYE", f"{tag} OK bye")
        return False

    def do_starttls(self, tag):
        self.ok(tag, "begin")
        self.start_tls()

    def do_list(self, tag, *words):
        delimiter = quote(self.server.delimiter) if self.server.delimiter else "NIL"
        if words[-1] == b"" or words[-1] == "":
            self.say(f'* LIST (\\Noselect) {delimiter} ""')
        else:
            limits = "APPENDLIMIT" in str(words)
            for name, box in self.server.boxes.items():
                self.say(f"* LIST () {delimiter} ".encode() + _wire(name),
                         self._status(name, box, limits))
        self.ok(tag)

    @staticmethod
    def _status(name, box, limits=False):
        return b"* STATUS " + _wire(name) + (
            f" (UIDVALIDITY {box.uidvalidity} UIDNEXT {box.uidnext} HIGHESTMODSEQ {box.modseq}"
            + (f" APPENDLIMIT {box.append_limit})" if limits and box.append_limit else ")")).encode()

    @staticmethod
    def _find(word):
        name = word.decode("latin-1") if isinstance(word, bytes) else word
        return "INBOX" if name.upper() == "INBOX" else name

    def do_status(self, tag, word, _):
        name = self._find(word)
        self.say(self._status(name, self.server.boxes[name]))
        self.ok(tag)

    def do_create(self, tag, word):
        self.server.boxes[self._find(word)] = Box(uidvalidity=len(self.server.boxes) + 1)
        self.ok(tag)

    def do_select(self, tag, word, parameters=()):
        if self._box is not None:
            self.say("* OK [CLOSED] left")
        box = self._box = self.server.boxes[self._find(word)]
        self.say("* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)",
                 "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] yes",
                 f"* {len(box.mails)} EXISTS", "* 0 RECENT",
                 f"* OK [UIDVALIDITY {box.uidvalidity}] yes", f"* OK [UIDNEXT {box.uidnext}] yes",
                 f"* OK [HIGHESTMODSEQ {box.modseq}] yes")
        if parameters and parameters[0].upper() == "QRESYNC":
            self._changes(int(parameters[1][1]))
        self.ok(tag, "[READ-WRITE] selected")

    def _changes(self, since):
        box = self._box
        gone = [uid for uid, modseq in box.gone if modseq > since]
        if gone:
            self.say("* VANISHED (EARLIER) " + ",".join(map(str, gone)))
        for uid, mail in box.mails.items():
            if mail.modseq > since:
                self._fetched(uid, ["FLAGS", "MODSEQ"])

    def do_unselect(self, tag):
        self._box = None
        self.ok(tag)

    do_close = do_unselect

    def do_idle(self, tag):
        self.say("+ idling")
        self.lines.append(self.line())
        self.hang("DONE")
        self.ok(tag)

    def _uids(self, text):
        """The UIDs of a set that exist."""
        uids = self._box.order()
        found = set()
        for part in text.split(","):
            ends = [(uids[-1] if uids else 0) if end == "*" else int(end)
                    for end in part.split(":")]
            found.update(uids[bisect.bisect_left(uids, min(ends)):
                              bisect.bisect_right(uids, max(ends))])
        return sorted(found)

    def _fetched(self, uid, items):
        box, mail = self._box, self._box.mails[uid]
        out = [f"* {box.number(uid)} FETCH (UID {uid}".encode()]
        for item in items:
            name = item.upper()
            if name == "FLAGS":
                out.append(f" FLAGS ({' '.join(sorted(mail.flags))})".encode())
            elif name == "MODSEQ":
                out.append(f" MODSEQ ({mail.modseq})".encode())
            elif name == "INTERNALDATE":
                out.append(f' INTERNALDATE "{mail.date}"'.encode())
            elif name == "RFC822.SIZE":
                out.append(f" RFC822.SIZE {len(mail.body)}".encode())
            elif name.startswith("BODY"):
                data = _message_id(mail.body) if "HEADER" in name else mail.body
                label = item.replace(".PEEK", "")
                out.append(f" {label} {{{len(data)}}}\r\n".encode() + data)
        self.say(b"".join(out) + b")")

    def do_uid_fetch(self, tag, uids, items, modifiers=()):
        items = items if isinstance(items, list) else [items]
        since = None
        if modifiers and modifiers[0].upper() == "CHANGEDSINCE":
            since = int(modifiers[1])
            if "VANISHED" in modifiers:
                gone = [uid for uid, modseq in self._box.gone if modseq > since]
                if gone:
                    self.say("* VANISHED (EARLIER) " + ",".join(map(str, gone)))
        for uid in self._uids(uids):
            if since is None or self._box.mails[uid].modseq > since:
                self._fetched(uid, items + (["MODSEQ"] if since is not None else []))
        self.ok(tag)

    def do_uid_search(self, tag, *words):
        uids = self._uids(words[-1]) if words[-1].upper() != "ALL" else sorted(self._box.mails)
        self.say("* SEARCH" + "".join(f" {uid}" for uid in uids))
        self.ok(tag)

    def do_uid_store(self, tag, uids, *words):
        box = self._box
        unchanged = int(words[0][1]) if isinstance(words[0], list) else None
        action, flags = words[-2].upper(), words[-1]
        flags = flags if isinstance(flags, list) else [flags]
        modified = []
        for uid in self._uids(uids):
            mail = box.mails[uid]
            if unchanged is not None and mail.modseq > unchanged:
                modified.append(uid)
                continue
            new = (mail.flags | set(flags) if action[0] == "+"
                   else mail.flags - set(flags) if action[0] == "-" else flags)
            box.store(uid, new)
            self._fetched(uid, ["MODSEQ"] if ".SILENT" in action else ["FLAGS", "MODSEQ"])
        self.ok(tag, f"[MODIFIED {','.join(map(str, modified))}] some" if modified else "done")

    def do_uid_expunge(self, tag, uids):
        gone = [uid for uid in self._uids(uids) if "\\Deleted" in self._box.mails[uid].flags]
        for uid in gone:
            self._box.remove(uid)
        if gone:
            self.say("* VANISHED " + ",".join(map(str, gone)))
        self.ok(tag, f"[HIGHESTMODSEQ {self._box.modseq}] expunged")

    def do_append(self, tag, word, *words):
        name = self._find(word)
        box, uids, flags, date = self.server.boxes[name], [], (), None
        if box.append_limit and max(map(len, words)) > box.append_limit:
            self.say(f"{tag} NO [TOOBIG] too large")
            return
        for part in words:
            if isinstance(part, list):
                flags, date = part, None
            elif re.fullmatch(rb" ?\d?\d-\w{3}-\d{4} [\d:]{8} [-+]\d{4}", part):
                date = part.decode()
            else:
                uids.append(box.add(part, flags, date))
                flags, date = (), None
        if box is self._box:
            self.say(f"* {len(box.mails)} EXISTS")
        text = str(uids[0]) if len(uids) == 1 else f"{uids[0]}:{uids[-1]}"
        self.ok(tag, f"[APPENDUID {box.uidvalidity} {text}] taken")


def _wire(name):
    """A mailbox name as an atom where it is one, else as a literal."""
    if re.fullmatch(r"[\w./&,+-]+", name, re.ASCII):
        return name.encode()
    data = name.encode("latin-1")
    return b"{%d}\r\n" % len(data) + data


def _message_id(body):
    """The header fields of a FETCH of BODY[HEADER.FIELDS (MESSAGE-ID)]."""
    lines = body.partition(b"\r\n\r\n")[0].split(b"\r\n")
    return b"".join(line + b"\r\n" for line in lines
                    if line.lower().startswith(b"message-id:")) + b"\r\n"
