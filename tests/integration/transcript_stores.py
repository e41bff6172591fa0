# SPDX-License-Identifier: MIT
"""The stores on which transcripts are made: filled once, and put back as they were for each."""

import os
import pathlib
import shlex
import shutil
import subprocess

from .dovecot import PASSWORD, USER, Dovecot, libexec, version
from .imap import Imap
from .interimap import Interimap, tunnel
from .service import AWAY

# What Dovecot can do beyond what it does without being asked: within protocol imap, and above.
EVERYTHING_23 = """
  mail_plugins = zlib imap_zlib quota imap_quota acl imap_acl
  imap_metadata = yes
  imap_id_send = name * vendor there
"""
SETTINGS_23 = """
mail_attribute_dict = file:{path}/mail/%u/attributes
namespace inbox {{
  mailbox Sent {{
    special_use = \\Sent
  }}
}}
plugin {{
  quota = count:User quota
  quota_vsizes = yes
  quota_rule = *:storage=10M
  acl = vfile
}}
"""
# The same in the other language.  Compression is no plugin there.
EVERYTHING_24 = """
  mail_plugins {
    quota = yes
    imap_quota = yes
    acl = yes
    imap_acl = yes
  }
  imap_metadata = yes
  imap_id_send {
    name = *
    vendor = there
  }
"""
SETTINGS_24 = """
mail_attribute {{
  dict file {{
    path = {path}/mail/%{{user}}/attributes
  }}
}}
namespace inbox {{
  mailbox Sent {{
    special_use = \\Sent
  }}
}}
quota "User quota" {{
  driver = count
  quota_storage_size = 10M
}}
acl_driver = vfile
"""

_PLAIN = "From: Ann <ann@example.com>\r\nTo: bob@example.org\r\nSubject: {subject}\r\n" \
         "Date: {date}\r\nMessage-ID: <{id}@example.com>\r\n{more}\r\n{text}\r\n"
_PARTS = """\
From: =?utf-8?q?J=C3=B6rg?= <joerg@example.net>
To: ann@example.com, Bob <bob@example.org>
Cc: carol@example.com
Subject: parts
Date: Thu, 04 Jan 2024 10:00:00 +0100
Message-ID: <4@example.net>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="=b="

--=b=
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

t4 OK is no answer here, and {5} no literal=0A
--=b=
Content-Type: application/octet-stream; name="a.bin"
Content-Disposition: attachment; filename="a.bin"
Content-Transfer-Encoding: base64

AAECAwQFBgcICQ0KDQpCQUQNCg==
--=b=
Content-Type: message/rfc822

From: inner@example.com
Subject: inner
Message-ID: <inner@example.com>

within
--=b=--
"""


def _message(number, subject, text, more=""):
    date = f"Mon, {number:02} Jan 2024 10:00:00 +0000"
    return _PLAIN.format(id=number, subject=subject, date=date, text=text, more=more).encode()


def _fill(client):
    """The mail that every script finds."""
    def put(mailbox, body, *flags):
        put.date += 86400
        client.append(mailbox, body, flags, put.date)
    put.date = 1704067200

    for name in ('"Archive"', '"Sent"', '"Trash"', '"a/b/c"', '"two words"', '"caf&AOk-"'):
        client.cmd("CREATE", name)
    client.cmd("SUBSCRIBE", "Archive")
    client.cmd("SUBSCRIBE", "a/b/c")
    put("INBOX", _message(1, "first", "hello"), "\\Seen")
    put("INBOX", _message(2, "Re: first", "an answer", "References: <1@example.com>\r\n"),
        "\\Flagged", "$Work")
    put("INBOX", _message(3, "second", "* 1 FETCH\r\n+ go\r\n* BYE\r\nx {100}"))
    put("INBOX", _PARTS.replace("\n", "\r\n").encode(), "\\Answered")
    put("INBOX", _message(5, "eight bits: \u00e9", "\u00fc\u00f6\u00e4"), "\\Draft")
    put("INBOX", _message(6, "Re: second", "x" * 3000, "In-Reply-To: <3@example.com>\r\n"))
    put("INBOX", b"no header\r\n")
    for number in range(10, 15):
        put("Archive", _message(number, f"old {number}", "archived"))
    client.select("INBOX")
    client.expunge(6)
    client.store(3, "+", ("$Later",))


class Store:
    """One account, with a proxy before it, and nobody else at it."""

    def __init__(self, folder):
        self.folder = folder
        self.prepare()
        with Imap(command=self.command()) as client:
            _fill(client)
            self.values = client.status("INBOX")
            self.capabilities = client.capabilities
        os.rename(self.mail, self.mail + ".first")
        self.put_back()

    def prepare(self):
        """Start the proxy; `self.mail` is the folder with all of the store's mail."""
        raise NotImplementedError

    def command(self):
        """What starts the store's program, as the proxy does."""
        raise NotImplementedError

    def start(self, local):
        self.listen = os.path.join(self.folder, "listen")
        section = {"listen": f"unix:{self.listen}", "username": USER, "password": PASSWORD}
        self.program = Interimap(os.path.join(self.folder, "work"), local, AWAY, proxy=section)
        self.running = self.program.start("--proxy")
        self.running.wait_for("^proxy: listening on ")

    def put_back(self):
        """All mail as it was in the beginning, times and owners included."""
        shutil.rmtree(self.mail, ignore_errors=True)
        subprocess.run(["cp", "-a", self.mail + ".first", self.mail], check=True)

    def stop(self):
        return self.running.stop()


class Embedded(Store):
    """The store that comes with the program."""

    def prepare(self):
        self.mail = os.path.join(self.folder, "Mail")
        self.start({"type": "maildir", "path": self.mail})

    def command(self):
        [configuration] = pathlib.Path(self.folder).glob("work/run/interimap/dovecot-*.conf")
        words = ["env", "USER=someone", f"HOME={self.mail}"]
        if os.getuid() == 0:
            words += ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
        return shlex.join([*words, libexec("imap"), "-c", str(configuration)])


class Everything(Store):
    """A Dovecot that has all there is for IMAP."""

    def prepare(self):
        imap, settings = ((EVERYTHING_23, SETTINGS_23) if version() == (2, 3) else
                          (EVERYTHING_24, SETTINGS_24))
        server = Dovecot(os.path.join(self.folder, "store"), separator="/", imap=imap)
        server.configure(extra=settings.format(path=server.path))
        self.mail = os.path.join(server.path, "mail")
        self.command = server.command
        self.start(tunnel(server))


STORES = {"embedded": Embedded, "everything": Everything}
