# SPDX-License-Identifier: MIT
"""What the original tells or refuses, and ours once did not: the same here, at the same level."""

import re
import sqlite3

import pytest

from .fake import CAPABILITIES, Box, Fake
from .inline import numbered
from .interimap import connect

TRAFFIC = r"^(local|remote): IMAP traffic \(bytes\): recv [\d.]+[KM]? sent [\d.]+[KM]?$"


@pytest.fixture
def one(pair, interimap):
    with connect(pair[1]) as client:
        client.cmd("CREATE box")
        client.append_all("box", numbered("box", 6))
    return interimap(*pair)


def ours(result):
    """What the program said; a local server at the end of a pipe has words of its own."""
    return [line for line in result.err.splitlines() if not line.startswith("imap(")]


# Of a run.

def test_what_is_new_to_the_database(pair, one):
    """Nothing told that a database was made, or which mailboxes became known to it."""
    said = one.sync().err
    assert re.search(r"^database: .*sync\.db is made: there is none yet$", said, re.MULTILINE)
    for name in ("INBOX", "box"):
        assert f"database: Created mailbox {name}\n" in said
    with connect(pair[0]) as client:
        client.cmd("CREATE later")
    said = ours(one.sync())
    assert [line for line in said if line.startswith("database: ")] == [
        "database: Created mailbox later"]


def test_traffic_at_the_end(one):
    """A run with nothing to do says how much has passed, and no more; and --quiet says nothing."""
    one.sync()
    said = ours(one.sync())
    assert len(said) == 2 and all(re.match(TRAFFIC, line) for line in said), said
    assert not ours(one.sync("--quiet"))


def test_an_upgrade(one):
    one.sync()
    with sqlite3.connect(one.database) as db:
        db.executescript("""
            CREATE TABLE old (idx INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
                mailbox TEXT NOT NULL CHECK (mailbox != '') UNIQUE, subscribed BOOLEAN NOT NULL);
            INSERT INTO old SELECT idx, CAST(mailbox AS TEXT), subscribed FROM mailboxes;
            DROP TABLE mailboxes; ALTER TABLE old RENAME TO mailboxes; PRAGMA user_version = 0;""")
    db.close()
    assert "database: Upgraded from version 0\n" in one.sync().err
    assert "Upgraded" not in one.sync().err


# Of messages whose row was lost.

def forget(one, *uids):
    with sqlite3.connect(one.database) as db:
        db.executemany("DELETE FROM mapping WHERE rUID = ?", [(uid,) for uid in uids])
    db.close()


def test_a_changed_message_without_a_row(pair, one):
    one.sync()
    forget(one, 2)
    with connect(pair[1]) as client:
        client.select("box")
        client.store([2], "+", [r"\Flagged"])
    said = one.sync("--quiet").err
    assert "remote(box): WARNING: UID 2 was modified, and the database does not know which " \
           "message that is on the other side: run `interimap --repair box`" in said
    assert not ours(one.sync("--quiet"))


@pytest.mark.parametrize("where,which", [(1, "local(box): WARNING: No match for 2 vanished remote"),
                                         (0, "remote(box): WARNING: No match for 2 vanished local")],
                         ids=["remote", "local"])
def test_a_vanished_message_without_a_row(pair, one, where, which):
    """Its twin stayed on the other side, and nobody was told."""
    one.sync()
    forget(one, 2, 3)
    with connect(pair[where]) as client:
        client.select("box")
        client.expunge([2, 3, 5])
    said = one.sync("--quiet").err
    assert f"{which} UID(s) 2:3. Ignoring." in said
    assert not ours(one.sync("--quiet"))
    with connect(pair[1 - where]) as client:
        assert client.uids("box") == [1, 2, 3, 4, 6]


def test_what_vanished_as_it_should_is_not_told(pair, one):
    """On both sides; here, and expunged there by us; and what never was on both sides."""
    one.sync()
    for side, uids in ((pair[0], [1, 2]), (pair[1], [2, 3])):
        with connect(side) as client:
            client.append("box", *next(numbered("gone at once", 1)))
            client.select("box")
            client.expunge([*uids, client.uids()[-1]])
    for _ in range(2):
        assert not ours(one.sync("--quiet"))


# Of servers.

@pytest.fixture
def server():
    made = []

    def make(**options):
        made.append(Fake(**options))
        return made[-1]

    yield make
    for fake in made:
        fake.stop()


def section(fake, **more):
    return {"type": "imap", "host": "127.0.0.1", "port": fake.port, "STARTTLS": "NO",
            "username": "u", "password": "p", "compress": "NO", **more}


def says(interimap, server, pattern, remote=None, code=1, **more):
    """A run with such a remote server says that, however little it is to say."""
    fake = remote if remote is not None else server()
    result = interimap(section(server()), section(fake, **more)).run("--quiet")
    assert result.code == code and re.search(pattern, result.err, re.MULTILINE), result.err
    return fake


def enable_nothing(connection, tag, *_):
    connection.ok(tag)
    return True


def alert(connection, tag, *_):
    connection.say("* OK [ALERT] the disks are on fire")
    return False


def not_sticky(connection, tag, *words):
    connection.say("* NO [UIDNOTSTICKY] UIDs are new each time")
    return False


def test_an_alert_is_shown(interimap, server):
    """RFC 3501 section 7.1: it MUST be."""
    says(interimap, server, "^remote: WARNING: .*the disks are on fire",
         server(answers={"ENABLE": alert}), code=0)


def test_enable_that_enables_nothing(interimap, server):
    fake = says(interimap, server, "^remote: ERROR: the server does not enable QRESYNC",
                server(answers={"ENABLE": enable_nothing}))
    assert "CREATE" not in fake.verbs() and "SELECT" not in fake.verbs()


def test_a_server_that_is_no_imap4rev1_gets_no_password(interimap, server):
    fake = says(interimap, server, "^remote: ERROR: the server does not speak IMAP4rev1",
                server(capabilities=CAPABILITIES.replace("IMAP4rev1 ", "IMAP4 ")))
    assert not {"LOGIN", "AUTHENTICATE"} & set(fake.verbs())


def test_uids_that_are_not_kept(interimap, server):
    box = Box()
    box.add(b"Subject: x\r\n\r\nx\r\n")
    says(interimap, server, "INBOX: ERROR: the remote server gives its messages new UIDs each time",
         server(boxes={"INBOX": box}, answers={"SELECT": not_sticky}))


def test_a_flat_list_against_a_hierarchy(interimap, server):
    flat = server()
    flat.delimiter = None
    says(interimap, server, "the remote server has a flat list of mailboxes, the local server a "
                            "hierarchy", flat)


def test_preauth_without_tls_says_what_to_do(interimap, server):
    says(interimap, server, r'^remote: ERROR: .*\("STARTTLS = NO" would accept that\)',
         server(greeting="PREAUTH"), STARTTLS="YES")


@pytest.mark.parametrize("missing,pattern", [
    (["username"], "username is"), (["password"], "password is"),
    (["username", "password"], "username and password are")])
def test_which_credential_is_missing(interimap, server, missing, pattern):
    there = section(server())
    for option in missing:
        del there[option]
    result = interimap(section(server()), there).run("--quiet")
    assert result.code == 1
    assert f"remote: ERROR: the server wants a login, but no {pattern} configured" in result.err


# Of the configuration.

@pytest.mark.parametrize("option,value", [("SSL_protocol_min", "TLSv9"), ("SSL_fingerprint", "zz")])
def test_file_and_line_of_what_is_wrong(interimap, server, option, value):
    says(interimap, server, rf"config:\d+: {option}: ", type="imaps", **{option: value})


def test_a_deprecated_option_is_said_to_be(interimap, server):
    says(interimap, server, r"WARNING: .*\[remote\] SSL_protocols is deprecated", type="imaps",
         SSL_protocols="TLSv1.2")
