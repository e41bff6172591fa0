# SPDX-License-Identifier: MIT
"""Messages as people and programs write them, the same for the same seed."""

import base64
import random
from dataclasses import dataclass
from email.header import Header

# 2021-03-04: a fixed present, so that a seed gives the same bytes on any day.
PRESENT = 1614859200

_PEOPLE = [("Ada Okafor", "ada@example.org"), ("Søren Lund", "soren@example.net"),
           ("Müller, Jörg", "joerg@example.com"), ("田中 花子", "hanako@example.jp"),
           ("build", "noreply@ci.example.com"), ("Zoë O'Brien", "zoe@example.ie")]
_SUBJECTS = ["Minutes of the meeting", "Re: Invoice 4711", "Grüße aus Köln", "Lunch?",
             "Ваш заказ отправлен", "[list] Patch: fix the parser", "写真を送ります",
             "Re: Re: Holiday plans", "Your weekly summary", "Build failed: main #2231"]
_WORDS = ("the mail store server folder message reads writes quickly never always local remote "
          "copy answer question meeting tomorrow invoice please thanks regards naïve café "
          "straße größer élan smörgås 世界 привет").split()


@dataclass(frozen=True)
class Message:
    body: bytes
    flags: tuple
    date: int       # INTERNALDATE, seconds of UTC

    def __iter__(self):
        return iter((self.body, self.flags, self.date))


def _encoded(value):
    return Header(value, "utf-8").encode() if not value.isascii() else value


def _address(person):
    name, address = person
    return f"{_encoded(name) if not name.isascii() else chr(34) + name + chr(34)} <{address}>"


def _headers(rng, extra=(), message_id=True):
    weekday = "Mon Tue Wed Thu Fri Sat Sun".split()[rng.randrange(7)]
    lines = [f"Return-Path: <{rng.choice(_PEOPLE)[1]}>",
             f"Received: from mx{rng.randrange(9)}.example.org (mx.example.org [192.0.2.7])\r\n"
             f"\tby mail.example.org with ESMTPS id {rng.getrandbits(40):x}",
             f"Date: {weekday}, {rng.randrange(1, 29)} Feb 2021 {rng.randrange(24):02}:07:09 +0100",
             f"From: {_address(rng.choice(_PEOPLE))}",
             f"To: {_address(rng.choice(_PEOPLE))}",
             f"Subject: {_encoded(rng.choice(_SUBJECTS))}"]
    if message_id is True:
        lines.append(f"Message-ID: <{rng.getrandbits(64):016x}@example.org>")
    elif message_id:
        lines.append(f"Message-ID: {message_id}")
    return ("\r\n".join([*lines, "MIME-Version: 1.0", *extra]) + "\r\n").encode()


def _paragraphs(rng, size):
    lines, total = [], 0
    while total < size:
        line = " ".join(rng.choice(_WORDS) for _ in range(rng.randrange(4, 13)))
        total += len(line.encode()) + 2
        lines.append(line)
    return ("\r\n".join(lines) + "\r\n").encode()


def plain(rng, size=1500):
    return (_headers(rng, ["Content-Type: text/plain; charset=utf-8",
                           "Content-Transfer-Encoding: 8bit"])
            + b"\r\n" + _paragraphs(rng, size))


def eight_bit(rng):
    """Bytes of no declared charset, all values but NUL, CR and LF."""
    noise = bytes(rng.choice([b for b in range(1, 256) if b not in (10, 13)])
                  for _ in range(600))
    return (_headers(rng, ["Content-Type: text/plain; charset=iso-8859-1",
                           "Content-Transfer-Encoding: 8bit", "X-Raw: \xe9\xe8"])
            + b"\r\n" + noise + b"\r\n")


def long_lines(rng):
    """Lines beyond the 998 octets of RFC 5322 section 2.1.1, in the header too."""
    references = " ".join(f"<{rng.getrandbits(64):x}@example.org>" for _ in range(90))
    line = "".join(rng.choice("abcdefghij ") for _ in range(20000))
    return _headers(rng, [f"References: {references}"]) + b"\r\n" + line.encode() + b"\r\n"


def empty_body(rng):
    return _headers(rng) + b"\r\n"


def no_message_id(rng):
    return _headers(rng, message_id=False) + b"\r\n" + _paragraphs(rng, 300)


def same_message_id(rng):
    """One of many different messages under the same Message-ID."""
    return _headers(rng, message_id="<same@example.org>") + b"\r\n" + _paragraphs(rng, 300)


def no_final_newline(rng):
    return _headers(rng) + b"\r\nthe last line has no end"


def looks_like_imap(rng):
    """Text that a careless parser would take for protocol."""
    return (_headers(rng) + b"\r\n* 1 EXPUNGE\r\na1 OK done {12}\r\n+ go on\r\n"
            b")\r\n* BYE \"\\\"\r\nA001 LOGOUT\r\n{4294967295+}\r\n")


def multipart(rng, size=4000):
    """An HTML alternative and an attachment of about `size` bytes."""
    edge = f"=_{rng.getrandbits(64):x}"
    text = _paragraphs(rng, 600)
    data = base64.encodebytes(rng.randbytes(size * 3 // 4)).replace(b"\n", b"\r\n")
    chunks = [_headers(rng, [f"Content-Type: multipart/mixed;\r\n\tboundary=\"{edge}\""]),
              f"\r\nThis is a multi-part message.\r\n--{edge}\r\n"
              "Content-Type: text/plain; charset=utf-8\r\n\r\n".encode(), text,
              f"\r\n--{edge}\r\nContent-Type: application/pdf; name=\"=?utf-8?Q?r=C3=A9sum=C3=A9"
              ".pdf?=\"\r\nContent-Disposition: attachment;\r\n\tfilename*=utf-8''r%C3%A9sum%C3%A9"
              ".pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n".encode(), data,
              f"--{edge}--\r\n".encode()]
    return b"".join(chunks)


def of_size(seed, size):
    """A message of exactly `size` bytes, made quickly: for tens of megabytes."""
    rng = random.Random(f"size {seed} {size}")
    head = _headers(rng, ["Content-Type: application/octet-stream"]) + b"\r\n"
    if size < len(head) + 2:
        raise ValueError(f"{size} bytes do not hold a header")
    block = base64.b64encode(rng.randbytes(57 * 1024))
    block = b"\r\n".join(block[i:i + 76] for i in range(0, len(block), 76)) + b"\r\n"
    rest = size - len(head) - 2
    # Cut at an even place, so that no CR stands at the end without its LF.
    body = (block * (rest // len(block) + 1))[:rest]
    if body.endswith(b"\r"):
        body = body[:-1] + b"="
    return head + body + b"\r\n"


KINDS = (plain, plain, plain, multipart, multipart, eight_bit, long_lines, empty_body,
         no_message_id, same_message_id, no_final_newline, looks_like_imap)

_FLAG_SETS = ((), (), ("\\Seen",), ("\\Seen",), ("\\Seen", "\\Answered"), ("\\Flagged",),
              ("\\Seen", "$Forwarded"), ("NonJunk", "\\Seen"), ("\\Draft",))


def message(seed, kind=None):
    """One Message; equal arguments give equal bytes."""
    rng = random.Random(f"message {seed}")
    make = kind or rng.choice(KINDS)
    return Message(make(rng), rng.choice(_FLAG_SETS), PRESENT - rng.randrange(10 ** 8))


def mix(seed, count, kind=None):
    """`count` different messages."""
    for number in range(count):
        yield message(f"{seed}/{number}", kind)
