# SPDX-License-Identifier: MIT
"""--delete, --rename and --repair: what they do on both servers and in the database, and what they refuse."""

import sqlite3

import pytest

from . import messages
from .interimap import connect

NAMES = ("a", "a.b", "a.b.c", "d", "e", "p.q")


@pytest.fixture
def one(pair, interimap):
    local, _ = pair
    with connect(local) as client:
        for name in NAMES:
            client.cmd(f'CREATE "{name}"')
        client.append("a", messages.message("a").body)
        client.append("a.b.c", messages.message("c").body)
    program = interimap(*pair)
    program.sync()
    return program


def selectable(dovecot):
    """Names, levels joined by "/", of the mailboxes that can be selected; Dovecot's LIST does not always know."""
    with connect(dovecot) as client:
        return {name.replace(dovecot.separator, "/") for name in client.list()
                if client.cmd(f'STATUS "{name}" (MESSAGES)', check=False).status == "OK"}


def test_delete(pair, one):
    one.sync("--delete", "d", "a")
    for side in pair:
        assert not {"a", "d"} & selectable(side)
        assert {"a/b", "a/b/c"} <= selectable(side)  # not recursive
    assert not {"a", "d"} & set(one.mailboxes())


def test_delete_on_targets(pair, one):
    one.sync("--delete", "--target=local,database", "d")
    assert "d" not in selectable(pair[0]) and "d" in selectable(pair[1])
    assert "d" not in one.mailboxes()
    one.sync("--target", "remote", "--delete", "d")
    assert "d" not in selectable(pair[1])
    one.assert_noop(*pair)


def test_delete_inbox_is_refused(pair, one):
    result = one.run("--delete", "inbox", "e")
    assert result.code != 0 and "inbox can't be deleted" in result.err
    assert "INBOX" in one.mailboxes() and "e" not in one.mailboxes()


def test_delete_of_nothing(one):
    one.sync("--delete", "nothing")


def test_rename_takes_the_children_along(pair, one):
    before = one.mapping("a/b/c")
    index = one.mailboxes()["a/b/c"][0]
    one.sync("--rename", "a", "z.y")
    for side in pair:
        assert {"z/y", "z/y/b", "z/y/b/c"} <= selectable(side)
        assert not {"a", "a/b"} & selectable(side)
    assert one.mailboxes()["z/y/b/c"][0] == index
    assert one.mapping("z/y/b/c") == before and before
    one.sync()
    one.assert_equal(*pair)
    one.assert_noop(*pair)


def test_rename_to_what_exists_is_refused(pair, one):
    one.sync("--delete", "--target=local", "e")
    before = one.mailboxes()
    result = one.run("--rename", "a", "e")
    assert result.code != 0
    assert "remote: ERROR: Mailbox e exists. Run `interimap --target=remote --delete e`" in result.err
    assert "database: ERROR: Mailbox e exists." in result.err
    assert "local: ERROR" not in result.err
    assert one.mailboxes() == before and "a" in selectable(pair[0]) and "a" in selectable(pair[1])


def test_rename_of_a_parent_that_is_none(pair, one):
    one.sync("--rename", "p", "pp")
    for side in pair:
        assert "pp/q" in selectable(side)
    assert "pp/q" in one.mailboxes()
    one.assert_noop(*pair)


def test_a_mailbox_that_disappeared_is_named_with_the_command(pair, one):
    with connect(pair[1]) as client:
        client.cmd('DELETE "d"')
        client.append("e", messages.message("e").body)
    result = one.run()
    assert result.code != 0 and "`interimap --delete d`" in result.err
    assert "d" in selectable(pair[0]) and "d" not in selectable(pair[1])
    with connect(pair[0]) as client:
        assert len(client.snapshot("e")) == 1  # the others are done
    one.sync("--delete", "d")
    one.assert_noop(*pair)


@pytest.mark.parametrize("arguments", [
    ["--delete"], ["--rename", "e"], ["--rename", "e", "f", "g"], ["--target=local", "e"],
    ["--target=elsewhere", "--delete", "e"], ["--delete", "--rename", "e", "f"],
    ["--repair", "--watch"], ["--del", "e"], ["--rep"], ["--nonsense"]])
def test_usage_errors(one, arguments):
    before = one.mailboxes()
    result = one.run(*arguments)
    assert result.code != 0 and "--help" in result.err
    assert one.mailboxes() == before


@pytest.fixture
def filled(pair, interimap):
    local, remote = pair
    program = interimap(*pair)
    with connect(remote) as client:
        client.append_all("INBOX", messages.mix(77, 30))
    program.sync()
    return program


def change_database(program, sql):
    with sqlite3.connect(program.database) as db:
        db.execute(sql)
    db.close()


def test_repair_of_what_is_well(pair, filled):
    filled.sync("--repair")
    filled.assert_equal(*pair)
    filled.assert_noop(*pair)


def test_repair_pairs_again_what_the_database_lost(pair, filled):
    """Nothing is doubled: the messages are paired by content."""
    change_database(filled, "DELETE FROM mapping WHERE lUID IN (3, 4, 17)")
    filled.sync("--repair")
    filled.assert_equal(*pair)
    assert len(filled.mapping("INBOX")) == 30
    filled.assert_noop(*pair)


def test_repair_copies_what_is_unknown(pair, filled):
    local, remote = pair
    change_database(filled, "DELETE FROM mapping WHERE lUID = 5")
    with connect(remote) as client:
        client.select("INBOX")
        client.expunge([5])
    filled.sync("--repair")
    filled.assert_equal(local, remote)
    with connect(remote) as client:
        assert len(client.snapshot("INBOX")) == 30
    filled.assert_noop(local, remote)


def test_repair_drops_pairs_of_nothing(pair, filled):
    change_database(filled, "INSERT INTO mapping SELECT idx, 900, 901 FROM mailboxes")
    result = filled.sync("--repair")
    assert "900" in result.err and "901" in result.err
    assert len(filled.mapping("INBOX")) == 30
    filled.assert_noop(*pair)


def test_repair_still_propagates_deletions_and_merges_flags(pair, filled):
    local, remote = pair
    with connect(local) as here, connect(remote) as there:
        here.select("INBOX")
        there.select("INBOX")
        here.expunge([7])
        here.store([9], "+", [r"\Flagged", "$Here"])
        there.store([9], "+", ["$There"])
    filled.sync("--repair", "INBOX")
    filled.assert_equal(local, remote)
    with connect(remote) as there:
        found = there.snapshot("INBOX")
    assert 7 not in found and {"$here", "$there"} <= set(found[9][2])
    filled.assert_noop(local, remote)
