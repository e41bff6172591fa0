# SPDX-License-Identifier: MIT
"""Courier's imapd, from Debian's package unpacked, as a command that speaks IMAP: logged in already."""

import os
import shlex

from . import packages
from .dovecot import Owner


class Courier:
    """One mailbox in the folder `path`; `root` is where packages.unpack("courier-imap") unpacked."""

    def __init__(self, path, root):
        self.path = str(path)
        self.owner = Owner.current()
        for name in ("", "Maildir", "Maildir/cur", "Maildir/new", "Maildir/tmp"):
            folder = os.path.join(self.path, name)
            os.makedirs(folder, exist_ok=True)
            if self.owner.switch:
                os.chown(folder, self.owner.uid, self.owner.gid)
        self._script = os.path.join(self.path, "imapd")
        with open(self._script, "w", encoding="utf-8") as file:
            # Its first line may be an alert about a notification daemon that is not there.
            file.write(f"""\
#!/bin/sh
set -a
. {root}/etc/courier/imapd
LD_LIBRARY_PATH={packages.libraries(root)}
AUTHENTICATED={self.owner.user} HOME={self.path}
cd {self.path} && {root}/usr/bin/imapd Maildir 2>>{self.path}/log | sed -u '1{{/ALERT/d}}'
""")
        os.chmod(self._script, 0o755)

    def command(self):
        """For type=tunnel."""
        return shlex.join([*self.owner.prefix(), self._script])
