# SPDX-License-Identifier: MIT
"""The programs that are compared, each with accounts, configuration and state of its own."""

import os
import shutil
import subprocess
import time

from integration.dovecot import PASSWORD, USER, Dovecot
from integration.imap import differences
from integration.interimap import Interimap, connect, imaps, release, state, tunnel

PERL = "/usr/bin/interimap"
MBSYNC = "/usr/bin/mbsync"
TIMEOUT = 900


class Program:
    """A local and a remote account, and a way to make them equal."""

    name = None

    def __init__(self, folder, certificates, delay=None):
        """delay(port): the port of a relay to that one, or None to connect directly."""
        os.makedirs(folder)
        os.chmod(folder, 0o755)
        # One file for many messages: what is compared is not how fast files are made.
        make = {"format": "mdbox", "tls": certificates}
        self.folder = folder
        self.local = Dovecot(os.path.join(folder, "local"), separator=".", **make).start()
        self.remote = Dovecot(os.path.join(folder, "remote"), separator="/", **make).start()
        self.port = delay(self.remote.tls_port) if delay else self.remote.tls_port
        self.configure()

    def configure(self):
        raise NotImplementedError

    def sync(self):
        """Run to the end; fails if the program does."""
        raise NotImplementedError

    def seconds(self):
        begin = time.monotonic()
        self.sync()
        return time.monotonic() - begin

    def differences(self):
        return differences(state(self.local), state(self.remote))

    def check(self):
        """What is not equal was not measured."""
        found = self.differences()
        if found:
            raise RuntimeError(f"{self.name} left the sides unequal:\n" + "\n".join(found[:10]))

    def fill(self, edit):
        with connect(self.remote) as client:
            edit(client)

    def stop(self):
        self.local.stop()
        self.remote.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Ours(Program):
    name = "interimap"
    binary = staticmethod(release)

    def configure(self):
        self.one = Interimap(os.path.join(self.folder, "work"), tunnel(self.local),
                             imaps(self.remote, port=self.port), binary=self.binary())

    def sync(self):
        self.one.sync(timeout=TIMEOUT)


class Perl(Ours):
    name = "Perl interimap"
    binary = staticmethod(lambda: PERL)


class Mbsync(Program):
    """IMAP on both sides, as the others."""

    name = "mbsync"

    def differences(self):
        """It marks the messages it copies (X-TUID), and knows no keywords: they are counted."""
        counts = [{name: sum(found.values()) for name, found in state(side).mailboxes.items()}
                  for side in (self.local, self.remote)]
        return [] if counts[0] == counts[1] else [repr(count) for count in counts]

    def configure(self):
        work = os.path.join(self.folder, "work")
        os.makedirs(os.path.join(work, "state"))
        self.config = os.path.join(work, "mbsyncrc")
        command = self.local.command().replace("\\", "\\\\").replace('"', '\\"')
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(f"""\
IMAPAccount remote
Host localhost
Port {self.port}
User {USER}
Pass {PASSWORD}
SSLType IMAPS
SystemCertificates no
CertificateFile {self.remote.options.tls.ca}

IMAPStore remote
Account remote

IMAPAccount local
Tunnel "{command}"
SSLType None

IMAPStore local
Account local

Channel all
Far :remote:
Near :local:
Patterns *
Create Both
Expunge Both
CopyArrivalDate yes
SyncState {work}/state/
""")

    def sync(self):
        done = subprocess.run([MBSYNC, "-c", self.config, "all"], capture_output=True, text=True,
                              timeout=TIMEOUT, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"mbsync: exit status {done.returncode}: {done.stderr[-500:]}")


ALL = (Ours, Mbsync, Perl)
