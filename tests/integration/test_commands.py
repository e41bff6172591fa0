# SPDX-License-Identifier: MIT
"""--delete and --rename: what they do on both servers and in the database, and what they refuse."""

import contextlib
import os
import sqlite3

import pytest

from . import messages
from .interimap import connect, imap, state, tunnel
from .scripted import Meddler

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
    """Names, levels joined by "/", of the mailboxes that can be selected.

    Dovecot's LIST does not always know.
    """
    with connect(dovecot) as client:
        return {name.replace(dovecot.separator, "/") for name in client.list()
                if client.cmd(f'STATUS "{name}" (MESSAGES)', check=False).status == "OK"}


def subscribed(dovecot):
    """Also what is subscribed without being there."""
    with connect(dovecot) as client:
        return {response[3].replace(dovecot.separator, "/") if isinstance(response[3], str)
                else response[3].decode().replace(dovecot.separator, "/")
                for response in client.cmd('LSUB "" "*"').of("LSUB")}


def assert_rest(program):
    """Another run opens nothing.

    As Interimap.assert_noop(), but Dovecot may list what it does not have.
    """
    opened = [line for line in program.sent() if " SELECT " in line]
    assert not opened, opened


def everything(pair, program):
    return state(pair[0]), state(pair[1]), program.mailboxes()


# --delete

def test_delete(pair, one):
    result = one.sync("--delete", "d", "a")
    for said in ("local: Deleted mailbox d", "remote: Deleted mailbox a",
                 "database: Removed mailbox d"):
        assert said in result.err
    for side in pair:
        assert not {"a", "d"} & selectable(side)
        assert {"a/b", "a/b/c"} <= selectable(side)     # not recursive
    assert not {"a", "d"} & set(one.mailboxes()) and "a/b" in one.mailboxes()
    assert_rest(one)
    for side in pair:
        assert not {"a", "d"} & selectable(side)        # Dovecot lists "a" all the same


def test_delete_forgets_all_of_it(pair, one):
    index = one.mailboxes()["a/b/c"][0]
    one.sync("--delete", "a.b.c")
    for table in ("mailboxes", "local", "remote", "mapping"):
        assert one.query(f"SELECT count(*) FROM {table} WHERE idx = ?", index) == [(0,)]
    assert one.query("PRAGMA foreign_key_check") == []


@pytest.mark.parametrize("targets", [
    ("local",), ("remote",), ("database",), ("local", "remote"), ("remote", "database")])
def test_delete_on_targets(pair, one, targets):
    one.sync("--delete", *(f"--target={target}" for target in targets), "d")
    assert ("d" in selectable(pair[0])) == ("local" not in targets)
    assert ("d" in selectable(pair[1])) == ("remote" not in targets)
    assert ("d" in one.mailboxes()) == ("database" not in targets)
    one.sync("--target", ",".join({"local", "remote", "database"} - set(targets)), "--delete", "d")
    assert "d" not in selectable(pair[0]) | selectable(pair[1]) | set(one.mailboxes())
    one.assert_noop(*pair)


def test_inbox_is_not_deleted(pair, one):
    result = one.run("--delete", "inbox", "e")
    assert result.code != 0 and "ERROR: inbox can't be deleted" in result.err
    assert "INBOX" in one.mailboxes() and "e" not in one.mailboxes()


def test_inbox_can_be_forgotten(pair, one):
    """The way out where its UIDVALIDITY has changed: it is paired anew, and nothing is copied."""
    before = state(pair[0]), state(pair[1])
    one.sync("--target=database", "--delete", "inbox")
    assert "INBOX" not in one.mailboxes()
    one.sync()
    assert (state(pair[0]), state(pair[1])) == before
    one.assert_noop(*pair)


def test_delete_of_nothing(pair, one):
    before = everything(pair, one)
    result = one.sync("--delete", "nothing", "d*", "%", "p")
    assert "There is no mailbox d* on any target" in result.err
    assert everything(pair, one) == before      # nor of parents that are no mailboxes


def test_delete_where_it_is(pair, one):
    """On one server only, and not in the database."""
    with connect(pair[1]) as client:
        client.cmd("CREATE new")
    one.sync("--delete", "new")
    assert "new" not in selectable(pair[1])
    with connect(pair[1]) as client:
        client.cmd("DELETE d")
    one.sync("--delete", "d")
    assert "d" not in selectable(pair[0]) | set(one.mailboxes())
    one.assert_noop(*pair)


def test_delete_of_what_goes_meanwhile(pair, interimap):
    """The server still carried out the DELETE of a run whose connection was lost: that it is gone
    was an error, and the mailbox stayed in the database as one that had disappeared."""
    local, remote = pair
    for server in pair:
        with connect(server) as client:
            client.cmd("CREATE d")
    with Meddler(remote.port) as meddler:
        one = interimap(local, {**imap(remote, port=meddler.port), "compress": "NO"})
        one.sync()

        def delete():
            with connect(remote) as client:
                client.cmd("DELETE d")

        meddler.when("DELETE", delete)
        result = one.sync("--delete", "d")
        assert "Mailbox d is gone already" in result.err
        assert "d" not in selectable(local) | selectable(remote) | set(one.mailboxes())
        one.assert_noop(*pair)


def test_a_refused_deletion_stays_known(pair, interimap):
    """Were its row removed, the next run would create it again."""
    local, remote = pair
    with Meddler(remote.port) as meddler:
        program = interimap(tunnel(local), {**imap(remote, meddler.port), "compress": "NO"})
        with connect(local) as client:
            client.cmd("CREATE d")
            client.cmd("CREATE e")
        program.sync()
        meddler.answer("DELETE d", b"NO [LIMIT] not today")
        result = program.run("--delete", "d", "e")
        assert result.code != 0
        assert "remote: ERROR: Couldn't delete mailbox d: NO: not today" in result.err
        assert "d" not in selectable(local) and "d" in selectable(remote)
        assert "d" in program.mailboxes()
        assert "e" not in selectable(local) | selectable(remote) | set(program.mailboxes())
        result = program.run()
        assert result.code != 0 and "`interimap --delete d`" in result.err
        assert "d" not in selectable(local)
        program.sync("--delete", "d")
        assert "d" not in selectable(remote) | set(program.mailboxes())


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


# --rename

def test_rename_takes_the_children_along(pair, one):
    before = one.mapping("a/b/c")
    index = one.mailboxes()["a/b/c"][0]
    result = one.sync("--rename", "a", "z.y")
    for target in ("local", "remote", "database"):
        assert f"{target}: Renamed mailbox a to z.y" in result.err
    for side in pair:
        assert {"z/y", "z/y/b", "z/y/b/c"} <= selectable(side)
        assert not {"a", "a/b"} & selectable(side)
    assert one.mailboxes()["z/y/b/c"][0] == index
    assert one.mapping("z/y/b/c") == before and before
    one.assert_noop(*pair)
    one.assert_equal(*pair)


def test_rename_of_a_parent_that_is_no_mailbox(pair, one):
    one.sync("--rename", "p", "pp")
    for side in pair:
        assert "pp/q" in selectable(side)
    assert "pp/q" in one.mailboxes() and "p/q" not in one.mailboxes()
    one.assert_noop(*pair)


def test_names_that_only_begin_alike_stay(pair, interimap):
    program = interimap(*pair)
    with connect(pair[0]) as client:
        for name in ("x", "x.y", "xy", "x-"):
            client.cmd(f'CREATE "{name}"')
    program.sync()
    program.sync("--rename", "x", "n")
    assert set(program.mailboxes()) == {"INBOX", "n", "n/y", "xy", "x-"}
    for side in pair:
        assert {"n", "n/y", "xy", "x-"} <= selectable(side)
    program.assert_noop(*pair)


def test_subscriptions_follow(pair, one):
    for side in pair:
        with connect(side) as client:
            for name in ("a", "a.b.c", "d"):
                client.cmd("SUBSCRIBE", name.replace(".", side.separator))
    one.sync()
    one.sync("--rename", "a", "n")
    for side in pair:
        assert subscribed(side) == {"n", "n/b/c", "d"}
    one.sync()
    assert one.mailboxes()["n/b/c"][1] and not one.mailboxes()["n/b"][1]
    one.sync("--target=remote", "--rename", "n", "m")
    assert subscribed(pair[0]) == {"n", "n/b/c", "d"}
    assert subscribed(pair[1]) == {"m", "m/b/c", "d"}


@pytest.mark.parametrize("target", ["local", "remote", "database"])
def test_rename_on_one_target(pair, one, target):
    one.sync(f"--target={target}", "--rename", "a", "n")
    found = {"local": selectable(pair[0]), "remote": selectable(pair[1]),
             "database": set(one.mailboxes())}
    for name, names in found.items():
        old, new = {"a", "a/b", "a/b/c"}, {"n", "n/b", "n/b/c"}
        assert (new if name == target else old) <= names
        assert not (old if name == target else new) & names
    others = ",".join(sorted(set(found) - {target}))
    one.sync(f"--target={others}", "--rename", "a", "n")
    one.assert_noop(*pair)
    one.assert_equal(*pair)


def test_rename_to_what_exists_is_refused(pair, one):
    one.sync("--delete", "--target=local", "e")
    before = everything(pair, one)
    result = one.run("--rename", "a", "e")
    assert result.code != 0
    for target in ("remote", "database"):
        assert (f"{target}: ERROR: Mailbox e exists. Run `interimap --target={target} --delete e`"
                " to delete." in result.err)
    assert "local: ERROR" not in result.err and "under its new name" not in result.err
    assert everything(pair, one) == before
    one.sync("--target=local", "--rename", "a", "e")        # only the targets count
    assert "e/b/c" in selectable(pair[0])


def test_what_is_renamed_already_on_one_side_is_renamed_on_the_other(pair, one):
    """By hand, or by the same command that was cut off: it was refused, and the first advice was to
    delete what has the new name, which is the mailbox itself."""
    for server in pair:
        with connect(server) as client:
            client.cmd("SUBSCRIBE a")
    one.sync()
    with connect(pair[1]) as client:
        client.cmd("RENAME a n")
    result = one.sync("--rename", "a", "n")
    assert "remote: Renamed" not in result.err and "local: Renamed mailbox a to n" in result.err
    for server in pair:
        assert "n" in selectable(server) and "a" not in selectable(server)
        assert "n" in subscribed(server) and "a" not in subscribed(server)
    one.assert_noop(*pair)
    one.assert_equal(*pair)


def test_another_mailbox_of_the_new_name_is_not_taken_for_it(pair, one):
    """Deleted there, and another one made under the new name."""
    with connect(pair[1]) as client:
        client.cmd("RENAME a gone")
        client.cmd("CREATE n")
    before = everything(pair, one)
    result = one.run("--rename", "a", "n")
    assert result.code != 0 and "remote: ERROR: Mailbox n exists." in result.err
    assert "run `interimap --target=local,database --rename a n`" in result.err
    assert everything(pair, one) == before


def test_a_row_in_the_way_of_a_child(pair, one):
    with contextlib.closing(sqlite3.connect(one.database)) as db:
        db.execute("INSERT INTO mailboxes (mailbox, subscribed) VALUES (?, 0)", (b"n\0b",))
        db.commit()
    before = everything(pair, one)
    result = one.run("--rename", "a", "n")
    assert result.code != 0
    assert "database: ERROR: Mailbox n.b exists. Run `interimap --target=database --delete n.b`" \
        in result.err
    assert everything(pair, one) == before
    one.sync("--target=database", "--delete", "n.b")
    one.sync("--rename", "a", "n")
    one.assert_noop(*pair)


def test_what_the_remote_server_refuses(pair, one):
    """The local server has done it already: how to go on is said, and the database not touched."""
    with connect(pair[1]) as client:
        client.cmd("CREATE n/x")    # n itself is no mailbox, but Dovecot cannot rename to it
    result = one.run("--rename", "d", "n")
    assert result.code != 0 and "remote: ERROR: Couldn't rename mailbox d: NO" in result.err
    assert "`interimap --target=remote,database --rename d n`" in result.err
    assert "`interimap --target=local --rename n d`" in result.err
    assert "d" in one.mailboxes() and "n" not in one.mailboxes()
    assert "n" in selectable(pair[0]) and "d" in selectable(pair[1])
    one.sync("--target=local", "--rename", "n", "d")
    assert "d" in selectable(pair[0])


def test_what_the_local_server_refuses_is_not_tried_on_the_other(pair, one):
    before = everything(pair, one)
    result = one.run("--rename", "INBOX", "n")
    assert result.code != 0 and "local: ERROR: Couldn't rename mailbox INBOX" in result.err
    assert everything(pair, one) == before
    result = one.run("--rename", "a.b", "a.b.n")
    assert result.code != 0 and everything(pair, one) == before


def test_a_name_that_the_other_server_cannot_express(pair, one):
    before = everything(pair, one)
    result = one.run("--rename", "a", "x/y")    # "/" is the remote delimiter
    assert result.code != 0 and "remote: ERROR: the name x/y cannot be expressed" in result.err
    assert everything(pair, one) == before


def test_rename_of_nothing(pair, one):
    before = everything(pair, one)
    assert "There is no mailbox nothing" in one.sync("--rename", "nothing", "n").err
    assert everything(pair, one) == before


def test_invalid_names(pair, one):
    before = everything(pair, one)
    for arguments in (("--rename", "a", ""), ("--rename", "", "a"), ("--delete", ""),
                      ("--rename", "a", ".")):
        result = one.run(*arguments)
        assert result.code != 0 and 'Invalid mailbox name "' in result.err
    assert everything(pair, one) == before


def test_names_with_odd_characters(pair, interimap):
    names = ["with space", "quo\"te", "back\\slash", "per%cent", "st*r", "&AOk-t&AOk-", "(x)"]
    program = interimap(*pair)
    with connect(pair[1]) as client:
        for name in names:
            quoted = name.replace("\\", "\\\\").replace('"', '\\"')
            client.cmd(f'CREATE "{quoted}"')
            client.cmd(f'CREATE "{quoted}/below"')
        for name in ("starfish", "stir"):   # matched by "st*r", had it been a pattern
            client.cmd(f"CREATE {name}")
    program.sync()
    known = set(program.mailboxes())
    assert set(names) <= known
    for name in names:
        program.sync("--rename", name, f"new {name}")
        known -= {name, f"{name}/below"}
        known |= {f"new {name}", f"new {name}/below"}
        assert set(program.mailboxes()) == known
    program.sync()      # Dovecot's LIST shows what was renamed by another process only later
    program.sync("--delete", *(f"new {name}" for name in names))
    assert set(program.mailboxes()) == {"INBOX", "starfish", "stir",
                                        *(f"new {name}/below" for name in names)}
    assert_rest(program)


def test_below_a_reference(pair, interimap):
    local, remote = pair
    program = interimap({**tunnel(local), "list-reference": "work."}, imap(remote),
                        default={"ignore-mailbox": "^INBOX$"})
    with connect(remote) as client:
        client.cmd("CREATE a/b")
        client.cmd("CREATE x")
    program.sync()
    program.sync("--rename", "a", "n")
    program.sync("--delete", "x")
    assert "work/n/b" in selectable(local) and "n/b" in selectable(remote)
    assert not {"work/x", "x"} & (selectable(local) | selectable(remote))
    assert set(program.mailboxes()) == {"n/b"}


def test_ignored_mailboxes_are_renamed_and_deleted(pair, one):
    one.write(**{"ignore-mailbox": "^d$", "list-mailbox": "a*"})
    one.sync("--rename", "d", "n")
    one.sync("--delete", "e")
    for side in pair:
        assert "n" in selectable(side) and not {"d", "e"} & selectable(side)


def test_quiet(pair, one):
    assert "Deleted" not in one.sync("--quiet", "--delete", "d").err
    assert "Renamed" not in one.sync("-q", "--rename", "a", "n").err


def test_while_another_runs(pair, one):
    """A command is carried out by the service, even one that has only begun; a second service is
    none."""
    watching = one.start("--watch=60", "--debug")
    watching.wait_for(r"\bC: ")     # it locks before it says anything to a server
    assert "local: Deleted mailbox d" in one.sync("--delete", "d").err
    result = one.run("--watch=60")
    assert result.code != 0 and "locked" in result.err
    watching.stop()
    assert "d" not in selectable(pair[0]) | selectable(pair[1]) | set(one.mailboxes())
    assert_rest(one)


@pytest.mark.parametrize("arguments", [
    ["--delete"], ["--rename", "e"], ["--rename", "e", "f", "g"], ["--target=local", "e"],
    ["--target=elsewhere", "--delete", "e"], ["--delete", "--rename", "e", "f"],
    ["--repair", "--watch"], ["--del", "e"], ["--rep"], ["--nonsense"]])
def test_usage_errors(folder, interimap, arguments):
    program = interimap({"type": "tunnel", "command": "false"},
                        {"type": "tunnel", "command": "false"})
    result = program.run(*arguments)
    assert result.code != 0 and "--help" in result.err
    assert not os.path.exists(program.database)
