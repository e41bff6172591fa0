# SPDX-License-Identifier: MIT
"""Message files that Dovecot cannot read: it closes the connection over them.

`forbid` makes it fail over INTERNALDATE (dbox) or the header, that is, when new messages are looked
at; `shorten` (Maildir) in the middle of the body.
"""

import glob
import os
import re
import shutil

from .dovecot import USER


def message_file(server, message_id, user=USER):
    """The file with that Message-ID."""
    pattern = os.path.join(server.path, "mail", user, "**", "*")
    for path in glob.glob(pattern, recursive=True, include_hidden=True):
        name = os.path.basename(path)
        if not os.path.isfile(path) or not re.match(r"u\.\d+$|.*,S=\d+|\d+\.", name):
            continue
        with open(path, "rb") as file:
            if f"\r\nMessage-ID: <{message_id}>".encode() in file.read(4096).replace(
                    b"\n", b"\r\n").replace(b"\r\r", b"\r"):
                return path
    raise FileNotFoundError(f"no message {message_id} below {server.path}")


def forbid(server, message_id):
    """Returns a function that makes it readable again."""
    path = message_file(server, message_id)
    os.chmod(path, 0)
    server.kill_clients()       # what has it open goes on reading it
    for cache in glob.glob(os.path.join(os.path.dirname(path), "..", "**", "*.cache"), recursive=True):
        os.unlink(cache)        # Dovecot 2.4 has put there what is asked of a new message

    def allow():
        os.chmod(path, 0o600)
        server.kill_clients()
    return allow


def shorten(server, message_id):
    """Likewise."""
    path = message_file(server, message_id)
    shutil.copy2(path, server.path + "/kept")
    with open(path, "r+b") as file:
        file.truncate(60)
    server.kill_clients()

    def restore():
        with open(server.path + "/kept", "rb") as kept, open(path, "r+b") as file:
            file.write(kept.read())
        server.kill_clients()
    return restore
