# SPDX-License-Identifier: MIT
"""Commands to a service that is running: where its socket is, and what it says on it."""

import json
import os
import socket

TIMEOUT = 30


def path(one):
    """The socket of the service; there is exactly one."""
    folder = os.path.join(one.folder, "run/interimap")
    names = [name for name in os.listdir(folder) if name.endswith(".sock")]
    assert len(names) == 1, names
    return os.path.join(folder, names[0])


class Caller:
    """A connection to it on which the test says every byte itself."""

    def __init__(self, one):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(TIMEOUT)
        self.socket.connect(path(one))
        self.text = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def say(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())
        return self

    def ask(self, command, **members):
        return self.say(json.dumps({"command": command, **members}) + "\n")

    def answer(self):
        """The next one."""
        while b"\n" not in self.text:
            data = self.socket.recv(1 << 16)
            assert data, self.text
            self.text += data
        line, _, self.text = self.text.partition(b"\n")
        return json.loads(line)

    def answers(self):
        """All that is said until the service ends the connection."""
        while True:
            try:
                data = self.socket.recv(1 << 16)
            except ConnectionResetError:
                data = b""
            if not data:
                break
            self.text += data
        assert self.text.endswith(b"\n") or not self.text, self.text[-100:]
        return [json.loads(line) for line in self.text.splitlines()]


def status(one):
    """What --status=json says of a service, which must be running."""
    result = one.run("--status=json", timeout=TIMEOUT)
    assert result.code == 0, result.err
    return json.loads(result.out)


def mailbox(one, name):
    """The same of one mailbox."""
    return next(entry for entry in status(one)["mailboxes"] if entry["name"] == name)
