# SPDX-License-Identifier: MIT
"""A small IMAP client for tests: raw, pipelined, and with no opinion of its own.

Values are what the wire says: atoms are str, quoted strings and literals are bytes, NIL is
None, parenthesised lists are list.
"""

import collections
import datetime
import hashlib
import re
import select
import shlex
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass, field

TIMEOUT = 60
FLIGHT = 50     # mailboxes asked at once


class ImapError(Exception):
    """A command that was not answered OK, or a line that broke."""


@dataclass
class Reply:
    status: str                 # OK, NO, BAD
    code: list                  # the response code's words, [] when there is none
    text: str
    untagged: list = field(default_factory=list)

    def of(self, name):
        """The untagged responses of one kind; message data ("3 EXISTS") counts by its word."""
        return [r for r in self.untagged
                if r[0] == name or (len(r) > 1 and r[1] == name and r[0].isdigit())]


@dataclass(frozen=True)
class Literal:
    data: bytes


class _Pipe:
    """The socket interface that Imap uses, over a subprocess."""

    def __init__(self, command):
        ours, theirs = socket.socketpair()
        ours.settimeout(TIMEOUT)
        words = shlex.split(command) if isinstance(command, str) else command
        self.process = subprocess.Popen(words, stdin=theirs, stdout=theirs,
                                        stderr=subprocess.DEVNULL)
        theirs.close()
        self.socket = ours

    def close(self):
        self.socket.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


_TOKEN = re.compile(rb'\s*(?:(\()|(\))|"((?:[^"\\]|\\.)*)"|\0(\d+)\0|((?:[^\s()"\[\0]|\[[^\]]*\]|\[)+))')
_CODE = re.compile(r"\[([^\]]*)\] ?(.*)", re.DOTALL)


def parse(line, literals=()):
    """Parse one response's line; `\\0n\\0` stands for literal number n."""
    top = []
    stack = [top]
    at = 0
    line = line.rstrip(b"\r\n")
    while at < len(line):
        found = _TOKEN.match(line, at)
        if not found:
            if line[at:].strip():
                raise ImapError(f"cannot parse {line[at:]!r} of {line!r}")
            break
        at = found.end()
        opened, closed, quoted, literal, atom = found.groups()
        if opened:
            stack[-1].append([])
            stack.append(stack[-1][-1])
        elif closed:
            stack.pop()
        elif quoted is not None:
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", quoted))
        elif literal is not None:
            stack[-1].append(literals[int(literal)])
        else:
            word = atom.decode("latin-1")
            stack[-1].append(None if word.upper() == "NIL" else word)
    return top


class Imap:
    """One connection.  Raises ImapError for whatever is not OK unless check=False is given."""

    def __init__(self, host="127.0.0.1", port=None, context=None, command=None, timeout=TIMEOUT,
                 server_name=None):
        self._pipe = None
        if command:
            self._pipe = _Pipe(command)
            self.socket = self._pipe.socket
        else:
            self.socket = socket.create_connection((host, port), timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context:
                self.socket = context.wrap_socket(self.socket, server_hostname=server_name or host)
        self.socket.settimeout(timeout)
        self._file = self.socket.makefile("rb", 1 << 18)
        self._count = 0
        self._replies = {}
        self._untagged = []
        self._idle = None
        self.capabilities = frozenset()
        self.greeting = self._response()
        self._learn(self.greeting)

    # The wire.

    def close(self):
        self._file.close()
        if self._pipe:
            self._pipe.close()
        else:
            self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _line(self):
        """One response as (line, literals); the literals' places are marked in the line."""
        line, literals = b"", []
        while True:
            piece = self._file.readline()
            if not piece.endswith(b"\n"):
                raise ImapError(f"the connection ended after {line + piece!r}")
            found = re.search(rb"\{(\d+)\}\r?\n\Z", piece)
            if not found:
                return line + piece, literals
            size = int(found[1])
            data = self._file.read(size)
            if len(data) != size:
                raise ImapError("the connection ended inside a literal")
            line += piece[:found.start()] + b"\0%d\0" % len(literals)
            literals.append(data)

    def _response(self):
        """Read one response: a list without its "*", tagged ones start with their tag."""
        line, literals = self._line()
        first, _, rest = line.partition(b" ")
        first = first.decode("latin-1").strip()
        word = rest.split(b" ", 1)[0].strip().upper().decode("latin-1")
        if first == "+":
            return ["+", rest.decode("utf-8", "replace").strip()]
        if first == "*" and word not in ("OK", "NO", "BAD", "BYE", "PREAUTH"):
            return parse(rest, literals)
        text = rest.partition(b" ")[2].decode("utf-8", "replace").strip()
        code = []
        found = _CODE.match(text)
        if found:
            code, text = parse(found[1].encode("utf-8")), found[2]
        status = [word, code, text]
        return status if first == "*" else [first, *status]

    def _learn(self, response):
        words = []
        if response and response[0] == "CAPABILITY":
            words = response[1:]
        else:
            for part in response[:3]:
                if isinstance(part, list) and part[:1] == ["CAPABILITY"]:
                    words = part[1:]
        if words:
            self.capabilities = frozenset(word.upper() for word in words)

    def _take(self):
        """Read one response and file it."""
        response = self._response()
        self._learn(response)
        if re.fullmatch(r"t\d+", response[0]) and len(response) == 4:
            tag, status, code, text = response
            self._replies[tag] = Reply(status, code, text, self._untagged)
            self._untagged = []
        elif response[0] != "+":
            self._untagged.append(response)
        return response

    def send(self, *parts):
        """Send a command, do not wait; parts are str, bytes or Literal; returns its tag."""
        self._count += 1
        tag = f"t{self._count}"
        plus = "LITERAL+" in self.capabilities
        out = tag.encode()
        for part in parts:
            if isinstance(part, Literal):
                out += b" {%d%s}\r\n" % (len(part.data), b"+" if plus else b"")
                self.socket.sendall(out)
                if not plus:
                    while (response := self._take())[0] != "+":
                        if response[0] == tag:
                            return tag
                out = b""
                self.socket.sendall(part.data)
            else:
                out += b" " + (part.encode() if isinstance(part, str) else part)
        self.socket.sendall(out + b"\r\n")
        return tag

    def wait(self, tag, check=True):
        """The reply of a command that was sent."""
        while tag not in self._replies:
            self._take()
        reply = self._replies.pop(tag)
        if check and reply.status != "OK":
            raise ImapError(f"{reply.status} {reply.code} {reply.text}")
        return reply

    def cmd(self, *parts, check=True):
        return self.wait(self.send(*parts), check)

    # Commands.

    def starttls(self, context, server_name="127.0.0.1"):
        self.cmd("STARTTLS")
        self._file.close()
        self.socket = context.wrap_socket(self.socket, server_hostname=server_name)
        self._file = self.socket.makefile("rb", 1 << 18)
        self.cmd("CAPABILITY")

    def login(self, user="user", password="secret", check=True):
        reply = self.cmd("LOGIN", quote(user), quote(password), check=check)
        if reply.status == "OK" and not (reply.code and reply.code[0] == "CAPABILITY"):
            self.cmd("CAPABILITY")
        return reply

    def select(self, mailbox, check=True):
        return self.cmd("SELECT", quote(mailbox), check=check)

    def append(self, mailbox, body, flags=(), date=None, check=True):
        """Append one message; its UID, or the reply when check is off."""
        reply = self.wait(self.send_append(mailbox, body, flags, date), check)
        if not check:
            return reply
        return int(reply.code[2]) if reply.code[:1] == ["APPENDUID"] else None

    def send_append(self, mailbox, body, flags=(), date=None):
        return self.send("APPEND", quote(mailbox), *_append_parts(body, flags, date))

    def append_all(self, mailbox, messages, batch=100):
        """Append (body, flags, date) triples, MULTIAPPEND in batches."""
        messages = list(messages)
        for at in range(0, len(messages), batch):
            parts = []
            for body, flags, date in messages[at:at + batch]:
                parts += _append_parts(body, flags, date)
            self.cmd("APPEND", quote(mailbox), *parts)

    def uids(self, mailbox=None):
        if mailbox is not None:
            self.select(mailbox)
        reply = self.cmd("UID SEARCH ALL")
        return [int(word) for response in reply.of("SEARCH") for word in response[1:]]

    def store(self, uids, change, flags=()):
        """UID STORE in the selected mailbox; `change` is "+", "-" or ""."""
        return self.cmd("UID STORE", uid_set(uids), change + "FLAGS.SILENT", flag_list(flags))

    def expunge(self, uids):
        """Remove exactly these messages of the selected mailbox."""
        self.store(uids, "+", ("\\Deleted",))
        return self.cmd("UID EXPUNGE", uid_set(uids))

    def list(self):
        """name -> set of attributes, lower-cased; names as on the wire."""
        reply = self.cmd('LIST "" "*" RETURN (SUBSCRIBED)')
        return {text(r[3]): frozenset(a.lower() for a in r[1]) for r in reply.of("LIST")}

    def delimiter(self):
        reply = self.cmd('LIST "" ""')
        return text(reply.of("LIST")[0][2])

    def status(self, mailbox):
        """UIDVALIDITY, UIDNEXT, HIGHESTMODSEQ and MESSAGES as a dict."""
        reply = self.cmd("STATUS", quote(mailbox),
                         "(UIDVALIDITY UIDNEXT HIGHESTMODSEQ MESSAGES)")
        words = reply.of("STATUS")[0][2]
        return {words[i]: int(words[i + 1]) for i in range(0, len(words), 2)}

    def snapshot(self, mailbox):
        """uid -> (sha256 of the body, INTERNALDATE in UTC seconds, flags)."""
        return self._snapshots([mailbox])[0]

    def _snapshots(self, mailboxes):
        """Many mailboxes, in flights that fit in any socket's buffers with their answers."""
        found = []
        for first in range(0, len(mailboxes), FLIGHT):
            found += self._flight(mailboxes[first:first + FLIGHT])
        return found

    def _flight(self, mailboxes):
        """Everything is sent before the first answer is read."""
        tags = []
        for mailbox in mailboxes:
            tags.append((self.send("EXAMINE", quote(mailbox)),
                         self.send("UID FETCH 1:* (UID FLAGS INTERNALDATE BODY.PEEK[])")))
        found, refused = [], None
        for (opened, fetched), mailbox in zip(tags, mailboxes):
            reply = self.wait(opened, check=False)
            if reply.status == "OK":
                found.append(_fetched(self.wait(fetched)))
                continue
            self.wait(fetched, check=False)
            refused = refused or f"EXAMINE {mailbox}: {reply.status} {reply.text}"
        self.send("UNSELECT" if "UNSELECT" in self.capabilities else "CLOSE")
        if refused:
            raise ImapError(refused)
        return found

    def subscriptions(self):
        """The names that are subscribed, of mailboxes or not; each is its levels."""
        separator = self.delimiter()
        reply = self.cmd('LIST (SUBSCRIBED) "" "*"')
        return {split_name(text(r[3]), separator) for r in reply.of("LIST")}

    def account(self):
        """name -> its snapshot(), and the names that are subscribed; each name is its levels."""
        separator = self.delimiter()
        subscribed = set()
        names = []
        for name, attributes in sorted(self.list().items()):
            if "\\subscribed" in attributes:
                subscribed.add(split_name(name, separator))
            # Dovecot also lists as a mailbox what was deleted and has children.
            if not attributes & {"\\noselect", "\\nonexistent"} and not (
                    "\\haschildren" in attributes and self._is_none(name)):
                names.append(name)
        found = zip(names, self._snapshots(names))
        return {split_name(name, separator): messages for name, messages in found}, subscribed

    def _is_none(self, name):
        reply = self.cmd("STATUS", quote(name), "(UIDVALIDITY)", check=False)
        return reply.status == "NO" and "Mailbox doesn't exist" in reply.text

    def state(self):
        """Everything the account holds, as a State."""
        found, subscribed = self.account()
        return State({name: collections.Counter(messages.values())
                      for name, messages in found.items()}, subscribed)

    # IDLE.

    def idle(self):
        """Begin IDLE; the server listens to changes when this returns."""
        self._idle = self.send("IDLE")
        while self._take()[0] != "+":
            pass

    def idle_wait(self, wanted, timeout=10.0):
        """Read until a response satisfies `wanted(response)`; that one, or None in time."""
        limit = time.monotonic() + timeout
        for response in self._untagged:
            if wanted(response):
                return response
        while self._readable(limit - time.monotonic()):
            response = self._take()
            if wanted(response):
                return response
        return None

    def _readable(self, timeout):
        if timeout <= 0:
            return False
        # Bytes may already wait in the buffered reader or inside the TLS layer.
        self.socket.setblocking(False)
        try:
            if self._file.peek(1):
                return True
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        finally:
            self.socket.settimeout(TIMEOUT)
        return bool(select.select([self.socket], [], [], timeout)[0])

    def idle_done(self):
        tag, self._idle = self._idle, None
        self.socket.sendall(b"DONE\r\n")
        return self.wait(tag)

    def logout(self):
        try:
            self.cmd("LOGOUT", check=False)
        except (OSError, ImapError):
            pass
        self.close()


@dataclass
class State:
    """An account: mailbox name parts -> multiset of (sha256, date, flags); subscriptions."""

    mailboxes: dict = field(default_factory=dict)
    subscribed: set = field(default_factory=set)

    def count(self):
        return sum(sum(messages.values()) for messages in self.mailboxes.values())


def differences(local, remote):
    """What differs between two states, as lines of text; [] when they are equal."""
    lines = []
    for name in sorted(set(local.mailboxes) | set(remote.mailboxes)):
        left, right = local.mailboxes.get(name), remote.mailboxes.get(name)
        if left is None or right is None:
            lines.append(f"{'/'.join(name)}: only {'remote' if left is None else 'local'}")
            continue
        for side, only in (("local", left - right), ("remote", right - left)):
            for (digest, date, flags), count in sorted(only.items(), key=repr)[:5]:
                lines.append(f"{'/'.join(name)}: only {side}: {count} x {digest[:12]} {date} "
                             f"({' '.join(sorted(flags))})")
    for name in sorted(local.subscribed ^ remote.subscribed):
        side = "local" if name in local.subscribed else "remote"
        lines.append(f"{'/'.join(name)}: subscribed only {side}")
    return lines


def text(value):
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def split_name(name, separator):
    """The name's levels; INBOX is the same in any case (RFC 3501 section 5.1)."""
    levels = tuple(name.split(separator)) if separator else (name,)
    return ("INBOX", *levels[1:]) if levels[0].upper() == "INBOX" else levels


def quote(value):
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def flag_list(flags):
    return "(" + " ".join(flags) + ")"


def uid_set(uids):
    """UIDs as a sequence set; a str is taken as it is."""
    if isinstance(uids, str):
        return uids
    if isinstance(uids, int):
        return str(uids)
    ranges = []
    for uid in sorted(uids):
        if ranges and ranges[-1][1] == uid - 1:
            ranges[-1][1] = uid
        else:
            ranges.append([uid, uid])
    return ",".join(str(a) if a == b else f"{a}:{b}" for a, b in ranges)


def _append_parts(body, flags, date):
    words = [flag_list(flags)]
    if date is not None:
        words.append(internal_date(date))
    return [*words, Literal(body)]


_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def internal_date(date):
    """A date-time of RFC 3501; `date` is seconds of UTC or an aware datetime."""
    if not isinstance(date, datetime.datetime):
        date = datetime.datetime.fromtimestamp(date, datetime.timezone.utc)
    return date.strftime(f'"%d-{_MONTHS[date.month - 1]}-%Y %H:%M:%S %z"')


def _utc(value):
    day, clock, zone = text(value).strip().split(" ")
    date, month, year = day.split("-")
    hours, minutes, seconds = map(int, clock.split(":"))
    offset = (1 if zone[0] == "+" else -1) * (int(zone[1:3]) * 3600 + int(zone[3:5]) * 60)
    when = datetime.datetime(int(year), _MONTHS.index(month) + 1, int(date), hours, minutes,
                             seconds, tzinfo=datetime.timezone.utc)
    return int(when.timestamp()) - offset


def _fetched(reply):
    found = {}
    for response in reply.of("FETCH"):
        words = response[2]
        items = {words[i].upper(): words[i + 1] for i in range(0, len(words), 2)}
        if "BODY[]" not in items:
            continue
        flags = frozenset(flag.lower() for flag in items["FLAGS"]) - {"\\recent"}
        found[int(items["UID"])] = (hashlib.sha256(items["BODY[]"] or b"").hexdigest(),
                                    _utc(items["INTERNALDATE"]), flags)
    return found
