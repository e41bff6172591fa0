#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""interimap at work, on a mail account that exists only while this runs.

deploy/quickstart runs this after it has built the program.
"""

import argparse
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests"))

from integration import messages, processes  # noqa: E402
from integration.dovecot import Dovecot  # noqa: E402
from integration.imap import Imap, ImapError, differences, split_name, text  # noqa: E402
from integration.interimap import Interimap, connect, imaps, release  # noqa: E402
from integration.tls import Certificates  # noqa: E402

MAILBOXES = {"INBOX": 120, "Sent": 40, "Drafts": 3, "Archive/2020": 60, "Archive/2021": 50,
             "Lists/linux": 45, "Trash": 7}
USER = "me"


class Failure(Exception):
    """Something did not happen that should have."""


def say(text=""):
    print(text, flush=True)


def wait(what, ready, timeout=15.0):
    """Poll until ready() is true; how many seconds that took."""
    begin = time.monotonic()
    while not ready():
        if time.monotonic() > begin + timeout:
            raise Failure(f"not within {timeout:g} s: {what}")
        time.sleep(0.002)
    return time.monotonic() - begin


def shown(what, ready, timeout=15.0):
    """Wait for something and tell how long it took."""
    say(f"  {what:<64}{1000 * wait(what, ready, timeout):6.0f} ms")


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def fill(remote):
    """Mail for the throw-away account, as years of use would leave it."""
    with connect(remote) as client:
        for name, count in MAILBOXES.items():
            if name != "INBOX":
                client.cmd("CREATE", f'"{name}"')
            client.cmd("SUBSCRIBE", f'"{name}"')
            client.append_all(name, messages.mix(name, count))


class Demo:
    """The remote server, the program, and the two clients that watch both ends."""

    def __init__(self, folder, port):
        self.port = port
        self.password = secrets.token_urlsafe(9)
        self.certificates = Certificates(os.path.join(folder, "tls"))
        self.remote = Dovecot(os.path.join(folder, "remote"), separator="/", format="sdbox",
                              tls=self.certificates)
        self.store = os.path.join(folder, "Mail")
        self.interimap = Interimap(
            os.path.join(folder, "interimap"), {"type": "maildir", "path": self.store},
            imaps(self.remote), binary=release(),
            proxy={"listen": f"127.0.0.1:{port}", "username": USER, "password": self.password})
        self.running = None

    def start(self):
        self.remote.start()
        fill(self.remote)
        self.running = self.interimap.start("--proxy")
        wait(f"the proxy listens on port {self.port}", self._up)

    def _up(self):
        ended = self.running.poll()
        if ended:
            raise Failure(f"interimap ended with exit status {ended.code}")
        return listens(self.port)

    def stop(self):
        try:
            if self.running is not None:
                self.running.stop()
        finally:
            self.interimap.kill()
            self.remote.stop()

    def client(self):
        """A mail client, logged in to the proxy."""
        client = Imap(port=self.port)
        client.login(USER, self.password)
        return client

    def check(self):
        """Act as a mail client and watch the remote server; raises Failure or ImapError."""
        with self.client() as client, connect(self.remote) as remote:
            say("\nA mail client logs in to the proxy:")
            shown(f"{sum(MAILBOXES.values())} messages in {len(MAILBOXES)} mailboxes came from "
                  "the remote", lambda: counts(client) == counts(remote), 60)
            newest = client.uids("INBOX")[-1]
            head = client.cmd(f"UID FETCH {newest} BODY.PEEK[HEADER.FIELDS (FROM SUBJECT)]")
            for line in head.of("FETCH")[0][2][-1].decode().strip().splitlines():
                say(f"      {line}")
            say("What the client does appears on the remote:")
            remote.select("INBOX")
            self._change(client, remote, newest)
            self._arrive(client, remote)
            left = differences(client.state(), remote.state())
            if left:
                raise Failure("the two sides differ:\n" + "\n".join(left))
        say("Both sides hold the same mail, flags and mailboxes.")

    @staticmethod
    def _change(client, remote, newest):
        body = client.cmd(f"UID FETCH {newest} BODY.PEEK[]").of("FETCH")[0][2][-1]
        twin = max(remote.uids())
        if remote.cmd(f"UID FETCH {twin} BODY.PEEK[]").of("FETCH")[0][2][-1] != body:
            raise Failure("the newest message of the INBOX is not the same on both sides")

        def marked():
            reply = remote.cmd(f"UID FETCH {twin} FLAGS")
            return any("$Quickstart" in words[2][words[2].index("FLAGS") + 1]
                       for words in reply.of("FETCH") if "FLAGS" in words[2])
        client.store(newest, "+", ("\\Flagged", "$Quickstart"))
        shown("a flag", marked)

        before = set(remote.uids())
        uid = client.append("INBOX", b"From: me <me@example.org>\r\nSubject: Hello\r\n\r\nHi!\r\n")
        shown("a new message", lambda: set(remote.uids()) - before)
        client.cmd("NOOP")
        client.expunge(uid)
        shown("a deletion", lambda: not set(remote.uids()) - before)

    @staticmethod
    def _arrive(client, remote):
        client.select("INBOX")
        before = max(client.uids())
        client.idle()
        remote.append("INBOX", messages.message("arrives").body)
        begin = time.monotonic()
        if not client.idle_wait(lambda response: response[1:] == ["EXISTS"], 15):
            raise Failure("not within 15 s: new mail on the remote reaches the client")
        say(f"And back, to a client that waits in IDLE:\n  {'new mail on the remote':<64}"
            f"{1000 * (time.monotonic() - begin):6.0f} ms")
        client.idle_done()
        if max(client.uids()) <= before:
            raise Failure("the client was told of new mail, but there is none")

    def explain(self):
        say(f"""
Try it with a mail client:
  server    127.0.0.1, IMAP, port {self.port}, no encryption (it does not leave this machine)
  user      {USER}
  password  {self.password}
or    curl -u '{USER}:{self.password}' imap://127.0.0.1:{self.port}/
The remote account is imaps://localhost:{self.remote.tls_port}/, user "user", password "secret",
the local store {self.store}.

With your own account:    deploy/quickstart --config=FILE
Press Ctrl-C to end; all of this is removed then.""")

    def stay(self):
        """Until Ctrl-C, which is the way to end and no failure, or the program's end."""
        try:
            while not self.running.poll():
                time.sleep(0.5)
        except KeyboardInterrupt:
            say()
            return
        raise Failure(f"interimap ended with exit status {self.running.result.code}")

    def trouble(self):
        """What the program said, for the reader of a failure."""
        if self.running is not None:
            say(f"\ninterimap said:\n{self.running.err()[-4000:]}")
        say(f"\nthe remote server said:\n{self.remote.messages()[-2000:]}")


def counts(client):
    """Mailbox, as its levels -> how many messages."""
    separator = client.delimiter()
    reply = client.cmd('LIST "" "*" RETURN (STATUS (MESSAGES))')
    return {split_name(text(words[1]), separator): words[2] for words in reply.of("STATUS")}


def show(options):
    """The whole show; the exit status."""
    if listens(options.port):
        say(f"Port {options.port} of 127.0.0.1 is in use; choose another with --port=PORT.")
        return 1
    folder = tempfile.mkdtemp(prefix="im-", dir="/tmp")
    # A server that may not be root has to reach its own folder below.
    os.chmod(folder, 0o711)
    demo = None
    try:
        say("Starting a throw-away mail server and interimap ...")
        demo = Demo(folder, options.port)
        demo.start()
        demo.check()
        if options.check:
            return 0
        demo.explain()
        demo.stay()
        return 0
    except (Failure, ImapError, OSError, RuntimeError, AssertionError) as error:
        say(f"\nFAILED: {error}")
        if demo is not None:
            demo.trouble()
        return 1
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if demo is not None:
            demo.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(prog="deploy/quickstart")
    parser.add_argument("--check", action="store_true", help="show it, then end with 0 or 1")
    parser.add_argument("--port", type=int, default=1143, help="where mail clients connect")
    parser.add_argument("--config", metavar="FILE", help="run the proxy with your own file")
    parser.add_argument("--from", dest="start", default=".", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.config:
        # Relative to where the user stands, not to where the script went.
        config = os.path.abspath(os.path.join(options.start, options.config))
        os.execv(release(), [release(), "--proxy", f"--config={config}"])
    processes.adopt_orphans()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(show(options))
    except KeyboardInterrupt:
        say()
        sys.exit(130)


if __name__ == "__main__":
    main()
