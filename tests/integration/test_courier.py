# SPDX-License-Identifier: MIT
"""Courier lacks what a synchronisation stands on: it is told so, in one sentence, and left as it is."""

import os
import re

import pytest

from . import messages, packages
from .courier import Courier
from .imap import Imap
from .interimap import connect, tunnel, proxy_section


@pytest.fixture
def courier(folder):
    packages.unpack("courier-imap", os.path.join(folder, "unpacked"))
    return Courier(os.path.join(folder, "courier"), os.path.join(folder, "unpacked"))


def held(courier):
    """The messages and folders of the mailbox."""
    found = [os.path.relpath(os.path.join(path, name), courier.path)
             for path, folders, files in os.walk(courier.path) for name in [*folders, *files]]
    return sorted(name for name in found if "/cur" in name or name.startswith("Maildir/."))


def test_one_sentence(courier, dovecot, interimap):
    """As either side, and also of the service, which goes on trying and serves its clients."""
    good = dovecot("good")
    with connect(good) as client:
        client.append_all("INBOX", messages.mix(5, 3))
    with Imap(command=courier.command()) as client:
        assert client.greeting[0] == "PREAUTH"
        client.append("INBOX", messages.message("there").body, check=False)
    before = held(courier)
    assert sum(name.startswith("Maildir/cur/") for name in before) == 1, before
    poor = {"type": "tunnel", "command": courier.command(), "null-stderr": "YES"}
    for side, sections in (("remote", (tunnel(good), poor)), ("local", (poor, tunnel(good)))):
        one = interimap(*sections)
        result = one.run()
        assert result.code == 1
        said = [line for line in result.err.splitlines() if line.startswith(side)]
        assert len(said) == 1, result.err
        assert re.fullmatch(rf"{side}: ERROR: the server lacks what synchronisation needs: QRESYNC,"
                            r" LIST-EXTENDED, LIST-STATUS \(or NOTIFY\)", said[0]), said
        assert not os.path.exists(one.database) or not one.query(
            "SELECT name FROM sqlite_master WHERE name = 'mapping'")
    assert held(courier) == before
    section = proxy_section()
    one = interimap(tunnel(good), poor, proxy=section)
    running = one.start("--proxy")
    running.wait_for("lacks what synchronisation needs: QRESYNC")
    with Imap(port=int(section["listen"].rsplit(":", 1)[1])) as client:
        client.login(section["username"], section["password"])
        client.select("INBOX")
        assert len(client.uids()) == 3
    assert running.stop().code == 0
