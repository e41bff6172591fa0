# SPDX-License-Identifier: MIT
"""Commands to a service that is running: where its socket is, and what it says on it."""

import json
import os

from .service import Raw

TIMEOUT = 30


def path(one):
    """The socket of the service; there is exactly one."""
    folder = os.path.join(one.folder, "run/interimap")
    names = [name for name in os.listdir(folder) if name.endswith(".sock")]
    assert len(names) == 1, names
    return os.path.join(folder, names[0])


class Caller(Raw):
    """A connection to it on which the test says every byte itself."""

    def __init__(self, one):
        super().__init__("unix:" + path(one))
        self.socket.settimeout(TIMEOUT)

    def say(self, data):
        super().say(data)
        return self

    def ask(self, command, **members):
        return self.say(json.dumps({"command": command, **members}) + "\n")

    def answer(self):
        """The next one."""
        line = self.line()
        assert line is not None, self.text
        return json.loads(line)

    def answers(self):
        """All that is said until the service ends the connection."""
        found = self.rest()
        assert not self.text, self.text[-100:]
        return [json.loads(line) for line in found]


def status(one):
    """What --status=json says of a service, which must be running."""
    result = one.run("--status=json", timeout=TIMEOUT)
    assert result.code == 0, result.err
    return json.loads(result.out)


def mailbox(one, name):
    """The same of one mailbox."""
    return next(entry for entry in status(one)["mailboxes"] if entry["name"] == name)


def is_clean(one):
    """Whether the service has nothing to do, as it says itself."""
    return all(entry["state"] == "clean" for entry in status(one)["mailboxes"])
