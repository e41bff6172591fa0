# SPDX-License-Identifier: MIT
"""`interimap --proxy` with the embedded store and a remote that is away: the proxy alone."""

import os
import re
import select
import socket
import time

from .imap import Imap
from .interimap import proxy_section

AWAY = {"type": "tunnel", "command": "false", "null-stderr": "YES"}


class Proxy:
    """The service; `local` replaces the embedded store, `proxy` and `env` add to its section and its
    environment, `binary` is another program than the sanitized one."""

    def __init__(self, interimap, local=None, proxy=None, env=None, binary=None):
        self.env = env
        section = {**proxy_section(), **(proxy or {})}
        section = {name: value for name, value in section.items() if value is not None}
        self.addresses = section["listen"].split()
        self.listen = self.addresses[0]
        self.login = section.get("username"), section.get("password")
        self.program = interimap(local or {}, AWAY, proxy=section, binary=binary)
        if local is None:
            self.program.sections["local"] = {
                "type": "maildir", "path": os.path.join(self.program.folder, "Mail")}
            self.program.write()
        self.start()

    def start(self):
        self.running = self.program.start("--proxy", "--debug", env=self.env)
        for address in self.addresses:
            shown = re.escape(address.removeprefix("unix:"))
            self.running.wait_for(f"^proxy: listening on {shown}$")

    @property
    def port(self):
        return int(self.listen.rsplit(":", 1)[1])

    def client(self):
        """A client that has logged in."""
        client = Imap(port=self.port)
        client.login(*self.login)
        return client

    def raw(self):
        return Raw(self.listen)

    def stop(self):
        return self.running.stop()


class Raw:
    """A connection on which the test says every byte itself."""

    def __init__(self, listen):
        if listen.startswith("unix:"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(listen[5:])
        else:
            host, port = listen.rsplit(":", 1)
            self.socket = socket.create_connection((host, int(port)))
        self.socket.settimeout(30)
        self.text = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def say(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def line(self):
        """The next line, without its end; None when the connection ends before it."""
        while b"\n" not in self.text:
            try:
                data = self.socket.recv(1 << 16)
            except ConnectionResetError:
                data = b""
            if not data:
                return None
            self.text += data
        line, _, self.text = self.text.partition(b"\n")
        return line.decode().rstrip("\r")

    def lines(self, last):
        """Lines up to the one that begins with `last`."""
        found = []
        while not found or not found[-1].startswith(last):
            line = self.line()
            assert line is not None, f"the connection ended; before that: {found}"
            found.append(line)
        return found

    def rest(self):
        """All there is until the connection ends."""
        found = []
        while (line := self.line()) is not None:
            found.append(line)
        return found

    def silent(self, seconds):
        return not self.text and not select.select([self.socket], [], [], seconds)[0]


def eventually(check, seconds=10.0):
    """How long it took until check() was true."""
    begin = time.monotonic()
    while not check():
        assert time.monotonic() - begin < seconds, f"not within {seconds} s"
        time.sleep(0.002)
    return time.monotonic() - begin
