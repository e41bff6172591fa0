# SPDX-License-Identifier: MIT
"""What a person is told to do: it works when it is pasted, and loses nothing first."""

import os

import pytest

from . import messages
from .advice import advised, paste
from .interimap import connect, state

# What a server may call a mailbox.  The first of them ran a program in the shell of whoever pasted
# the advice; one named like an option was taken for it.
TRAPS = ["$(touch trap)", "`touch trap`", "it's ; touch trap", "--debug", "Entw&APw-rfe"]


COMMON = ("IMAP4rev1 LITERAL+ SASL-IR ENABLE IDLE UIDPLUS LIST-EXTENDED CONDSTORE QRESYNC UNSELECT"
          " MULTIAPPEND")


@pytest.fixture
def one(pair, interimap):
    with connect(pair[1]) as client:
        for name in TRAPS:
            client.cmd(f'CREATE "{name}"')
            client.append(name, messages.message(name).body)
    program = interimap(*pair)
    program.sync()
    return program


def test_advice_for_a_mailbox_that_disappeared_works_in_a_shell(pair, one):
    """The first command of each sentence brings the mailbox back, the second removes it; no name
    runs anything else."""
    with connect(pair[1]) as client:
        for name in TRAPS:
            client.cmd(f'DELETE "{name}"')
    before = state(pair[0])
    said = [advised(line) for line in one.run(f"--config={one.config}").err.splitlines()
            if "disappeared from the remote server" in line]
    assert len(said) == len(TRAPS)
    assert all(f"--config={one.config}" in command for both in said for command in both)
    for restore, _ in said[:-1]:
        assert paste(one, restore).returncode == 0
    assert paste(one, said[-1][1]).returncode == 0              # deletes it here as well
    assert not os.path.exists(os.path.join(one.folder, "trap"))
    one.sync()
    now = state(pair[0])
    assert len(now.mailboxes) == len(before.mailboxes) - 1
    assert now.count() == before.count() - 1
    one.assert_equal(*pair)
    one.assert_noop(*pair)


def test_advice_after_uidvalidity_changed_works_in_a_shell(pair, one):
    name = TRAPS[0]
    with connect(pair[1]) as client:
        client.cmd(f'DELETE "{name}"')
        client.cmd(f'CREATE "{name}"')
        client.append(name, messages.message("another").body)
    result = one.run(f"--config={one.config}")
    together, apart = advised(result.err)
    assert "--rename" in apart and paste(one, together).returncode == 0
    assert not os.path.exists(os.path.join(one.folder, "trap"))
    one.sync()
    assert sum(state(pair[0]).mailboxes[name,].values()) == 2      # none is lost


def test_advice_to_keep_two_mailboxes_apart_works_in_a_shell(pair, one):
    name = TRAPS[0]
    with connect(pair[1]) as client:
        client.cmd(f'DELETE "{name}"')
        client.cmd(f'CREATE "{name}"')
        client.append(name, messages.message("another").body)
    for command in reversed(advised(one.run(f"--config={one.config}").err)):
        assert paste(one, command).returncode == 0
    one.sync()
    for side in pair:
        assert sum(state(side).mailboxes[name,].values()) == 1
        assert sum(state(side).mailboxes[f"{name}-old",].values()) == 1
    one.assert_noop(*pair)


def test_names_in_eight_bits_are_refused_with_the_right_spelling(pair, interimap):
    """They went out as they are, and nothing was done, with exit status 0."""
    program = interimap(*pair)
    result = program.run("Entwürfe")
    assert result.code == 1 and "modified UTF-7: Entw&APw-rfe" in result.err
    program.write(**{"list-mailbox": '"Entwürfe"'})
    result = program.run()
    assert result.code == 1 and "modified UTF-7: Entw&APw-rfe" in result.err


def test_what_notify_falls_back_to_is_said(dovecot, interimap):
    local = dovecot("local")
    remote = dovecot("remote", capability=f"{COMMON} LIST-STATUS")
    program = interimap(local, remote)
    program.sync()
    running = program.start("--notify")
    running.wait_for(r"^remote: the server does not tell of changes \(NOTIFY\): the INBOX is watched"
                     r" by IDLE, and all is looked at every \d+ seconds")
    assert "local: the server does not tell" not in running.err()
    assert running.stop().code == 0


def test_a_server_with_notify_and_without_list_status(dovecot, interimap):
    """It was refused, against the manual."""
    local = dovecot("local")
    remote = dovecot("remote", capability=f"{COMMON} NOTIFY")
    with connect(remote) as client:
        client.cmd("CREATE a")
        client.append_all("a", messages.mix("a", 3))
    program = interimap(local, remote)
    program.sync()
    program.assert_equal(local, remote)
    program.assert_noop(local, remote)
