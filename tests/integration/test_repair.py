# SPDX-License-Identifier: MIT
"""--repair: anomalies of the database are named and mended, and nothing is lost or doubled."""

import collections
import contextlib
import sqlite3

import pytest

from . import messages
from .interimap import connect, state

COUNT = 30


def small(number):
    body = (f"Message-ID: <{number}@example.org>\r\nSubject: {number}\r\n\r\n"
            f"{'x' * (number % 50)}\r\n")
    return messages.Message(body.encode(), (), messages.PRESENT - number * 60)


def fill(dovecot, mailbox, first, count):
    with connect(dovecot) as client:
        client.append_all(mailbox, [small(first + i) for i in range(count)], batch=500)


@pytest.fixture
def filled(pair, interimap):
    program = interimap(*pair)
    fill(pair[1], "INBOX", 1, COUNT)
    program.sync()
    return program


def said(result):
    """What the program said; the tunnel's own words and what crossed the wire are not counted."""
    return "\n".join(line for line in result.err.splitlines()
                     if not line.startswith("imap(") and "IMAP traffic" not in line)


def change_database(program, *statements):
    with contextlib.closing(sqlite3.connect(program.database)) as db:
        for sql in statements:
            db.execute(sql)
        db.commit()


def expunge_unnoticed(program, dovecot, side, uids):
    """Messages are lost, and the server does not report it: restored from a backup, say."""
    with connect(dovecot) as client:
        client.select("INBOX")
        client.expunge(uids)
        modseq = client.status("INBOX")["HIGHESTMODSEQ"]
    change_database(program, f"UPDATE {side} SET HIGHESTMODSEQ = {modseq}")


def flag_unnoticed(program, dovecot, side, uids, flags):
    with connect(dovecot) as client:
        client.select("INBOX")
        client.store(uids, "+", flags)
        modseq = client.status("INBOX")["HIGHESTMODSEQ"]
    change_database(program, f"UPDATE {side} SET HIGHESTMODSEQ = {modseq}")


def assert_mended(program, pair, count, mailbox="INBOX"):
    """Both sides hold `count` messages, each once; nothing is left to repair or to do."""
    program.assert_equal(*pair)
    for side in pair:
        found = [digest for digest, _, _ in snapshot(side, mailbox).values()]
        assert len(found) == len(set(found)) == count
    assert len(program.mapping(mailbox)) == count
    before = state(pair[0]), state(pair[1]), program.mapping(mailbox), program.cached("local")
    again = program.sync("--repair")
    assert said(again) == ""
    assert (state(pair[0]), state(pair[1]), program.mapping(mailbox),
            program.cached("local")) == before
    program.assert_noop(*pair)


def snapshot(dovecot, mailbox):
    with connect(dovecot) as client:
        return client.snapshot(mailbox)


def test_what_is_well(pair, filled):
    assert said(filled.sync("--repair")) == ""
    assert_mended(filled, pair, COUNT)


def test_first_run(pair, interimap):
    program = interimap(*pair)
    fill(pair[0], "INBOX", 1, 3)
    fill(pair[1], "INBOX", 4, 3)
    program.sync("--repair")
    assert_mended(program, pair, 6)


@pytest.mark.quick
def test_lost_pairs_are_found_by_content(pair, filled):
    change_database(filled, "DELETE FROM mapping WHERE lUID IN (3, 4, 17)")
    before = state(pair[0]), state(pair[1])
    result = filled.sync("--repair")
    assert "3 message(s) are on both sides already" in result.err
    assert (state(pair[0]), state(pair[1])) == before
    assert_mended(filled, pair, COUNT)


def test_found_pairs_agree_on_flags(pair, filled):
    with connect(pair[0]) as here, connect(pair[1]) as there:
        here.select("INBOX")
        there.select("INBOX")
        here.store([3], "+", [r"\Seen"])
        there.store([3], "+", ["$There"])
    filled.sync()
    change_database(filled, "DELETE FROM mapping WHERE lUID = 3")
    flag_unnoticed(filled, pair[0], "local", [3], [r"\Flagged"])
    filled.sync("--repair")
    flags = snapshot(pair[1], "INBOX")[3][2]
    assert flags == {r"\seen", r"\flagged", "$there"}
    assert_mended(filled, pair, COUNT)


def test_without_adoption_they_are_copied(pair, filled):
    change_database(filled, "DELETE FROM mapping WHERE lUID IN (3, 4)")
    filled.write(adopt="NO")
    result = filled.sync("--repair")
    assert "remote(INBOX): WARNING: No match for local UID 3. Redownloading." in result.err
    assert "local(INBOX): WARNING: No match for remote UID 4. Redownloading." in result.err
    for side in pair:
        assert len(snapshot(side, "INBOX")) == COUNT + 2
    filled.assert_equal(*pair)
    filled.assert_noop(*pair)


@pytest.mark.parametrize("side", [0, 1])
def test_unknown_messages_are_copied(pair, filled, side):
    column = ("lUID", "rUID")[side]
    change_database(filled, f"DELETE FROM mapping WHERE {column} IN (5, 6)")
    with connect(pair[1 - side]) as client:
        client.select("INBOX")
        client.expunge([5, 6])
    result = filled.sync("--repair")
    here, there = ("local", "remote") if side == 0 else ("remote", "local")
    assert f"{there}(INBOX): WARNING: No match for {here} UID 5. Redownloading." in result.err
    assert result.err.count("WARNING") == 2
    assert_mended(filled, pair, COUNT)


def test_pairs_of_nothing_are_dropped(pair, filled):
    change_database(filled, "INSERT INTO mapping SELECT idx, 900, 901 FROM mailboxes",
                    "INSERT INTO mapping SELECT idx, 4000000000, 902 FROM mailboxes")
    result = filled.sync("--repair")
    assert "WARNING: Pair (lUID,rUID) = (900,901) vanished from INBOX. Repairing." in result.err
    assert "(4000000000,902)" in result.err and result.err.count("WARNING") == 2
    assert_mended(filled, pair, COUNT)


def test_pairs_of_one_message_are_taken_apart(pair, filled):
    change_database(filled, "UPDATE mapping SET rUID = 77 WHERE lUID = 2",
                    "UPDATE mapping SET lUID = 78 WHERE rUID = 3")
    result = filled.sync("--repair")
    assert "remote(INBOX): WARNING: UID 77 disappeared. Redownloading local UID 2" in result.err
    assert_mended(filled, pair, COUNT)


@pytest.mark.parametrize("side", [0, 1])
def test_lost_messages_are_copied_again(pair, filled, side):
    name = ("local", "remote")[side]
    expunge_unnoticed(filled, pair[side], name, [2, 30])
    result = filled.sync("--repair")
    other = ("remote", "local")[side]
    assert f"{name}(INBOX): WARNING: UID 2 disappeared. Redownloading {other} UID 2" in result.err
    assert result.err.count("WARNING") == 2
    assert_mended(filled, pair, COUNT)


def test_lost_on_both_sides(pair, filled):
    expunge_unnoticed(filled, pair[0], "local", [7])
    expunge_unnoticed(filled, pair[1], "remote", [7])
    result = filled.sync("--repair")
    assert "Pair (lUID,rUID) = (7,7) vanished from INBOX" in result.err
    assert_mended(filled, pair, COUNT - 1)


def test_reported_deletions_are_propagated(pair, filled):
    for side, uid in zip(pair, (7, 8)):
        with connect(side) as client:
            client.select("INBOX")
            client.expunge([uid])
    result = filled.sync("--repair")
    assert "WARNING" not in result.err
    assert_mended(filled, pair, COUNT - 2)


def test_the_brake_holds(pair, interimap):
    program = interimap(*pair)
    fill(pair[1], "INBOX", 1, 210)
    program.sync()
    with connect(pair[1]) as client:
        client.select("INBOX")
        client.expunge(range(1, 151))
    result = program.run("--repair")
    assert result.code != 0 and "--allow-deletions INBOX" in result.err
    assert len(snapshot(pair[0], "INBOX")) == 210


def test_a_mass_that_was_lost_comes_back(pair, interimap):
    """What the brake would hold back if it were a deletion."""
    program = interimap(*pair)
    fill(pair[1], "INBOX", 1, 210)
    program.sync()
    expunge_unnoticed(program, pair[1], "remote", range(1, 151))
    result = program.sync("--repair", "--quiet")
    assert result.err.count("disappeared") == 150
    assert_mended(program, pair, 210)


def test_missed_flags_become_the_union(pair, filled):
    flag_unnoticed(filled, pair[0], "local", [9, 10], [r"\Seen", "$Here"])
    flag_unnoticed(filled, pair[1], "remote", [10, 11], [r"\Flagged"])
    result = filled.sync("--repair")
    for uid in (9, 10, 11):
        assert (f"WARNING: Missed flag update in INBOX for (lUID,rUID) = ({uid},{uid})."
                in result.err)
    found = snapshot(pair[1], "INBOX")
    assert found[9][2] == {r"\seen", "$here"} and found[11][2] == {r"\flagged"}
    assert found[10][2] == {r"\seen", "$here", r"\flagged"}
    assert_mended(filled, pair, COUNT)


def test_reported_flags_are_no_anomaly(pair, filled):
    with connect(pair[0]) as here, connect(pair[1]) as there:
        here.select("INBOX")
        there.select("INBOX")
        here.store([9, 10], "+", [r"\Flagged"])
        there.store([10], "+", ["$There"])
    result = filled.sync("--repair")
    assert "Missed" not in result.err and result.err.count("Conflicting flag update") == 1
    assert snapshot(pair[0], "INBOX")[10][2] == {r"\flagged", "$there"}
    assert_mended(filled, pair, COUNT)


def test_only_the_given_mailboxes(pair, filled):
    with connect(pair[1]) as client:
        client.cmd("CREATE other")
    fill(pair[1], "other", 100, 3)
    filled.sync()
    change_database(filled, "DELETE FROM mapping WHERE lUID = 2")
    filled.sync("--repair", "other")
    assert len(filled.mapping("INBOX")) == COUNT - 1 and len(filled.mapping("other")) == 3
    change_database(filled, "DELETE FROM mapping WHERE lUID = 2")
    filled.sync("--repair", "inbox")
    assert len(filled.mapping("INBOX")) == COUNT and len(filled.mapping("other")) == 2
    filled.sync("--repair")
    assert_mended(filled, pair, COUNT)


def test_many_pairs(pair, interimap):
    """Several windows, anomalies in each of them, UIDs that do not ascend together."""
    program = interimap(*pair)
    fill(pair[1], "INBOX", 1, 1700)
    fill(pair[0], "INBOX", 2001, 1000)
    program.sync()
    pairs = program.mapping("INBOX")
    assert len(pairs) == 2700
    lost = sorted(pairs)[::250]
    expunge_unnoticed(program, pair[0], "local", lost)
    flag_unnoticed(program, pair[1], "remote", [pairs[uid] for uid in sorted(pairs)[1::400]],
                   [r"\Seen"])
    change_database(program, "DELETE FROM mapping WHERE lUID % 300 = 2")
    result = program.sync("--repair")
    assert result.err.count("disappeared") == len(lost)
    assert_mended(program, pair, 2700)


def assert_nothing_lost(before, after):
    for side, found in zip(before, after):
        missing = side - found
        assert not missing, f"{len(missing)} messages are gone"


def digests(pair):
    return [collections.Counter(digest for digest, _, _ in
                                snapshot(side, "INBOX").values()) for side in pair]


def test_killed_at_each_commit(pair, filled):
    """Plain runs after the kill neither delete nor double anything; the next repair ends it."""
    number, code = 1, -9
    while code == -9:
        expunge_unnoticed(filled, pair[0], "local", uids_of(pair[0])[:2])
        expunge_unnoticed(filled, pair[1], "remote", uids_of(pair[1])[-2:])
        twins = sorted(filled.mapping("INBOX"))[5:8]
        change_database(filled, f"DELETE FROM mapping WHERE lUID IN {tuple(twins)}")
        before = digests(pair)
        code = filled.run("--repair", env={"INTERIMAP_CRASH_AT_COMMIT": str(number)}).code
        filled.sync()
        after = digests(pair)
        assert_nothing_lost(before, after)
        assert all(max(found.values()) == 1 for found in after)
        filled.sync("--repair")
        found = digests(pair)
        assert found[0] == found[1] and sum(found[0].values()) == len(found[0]) == COUNT
        number += 1
    assert code == 0 and number > 4
    assert_mended(filled, pair, COUNT)


def uids_of(dovecot):
    with connect(dovecot) as client:
        return client.uids("INBOX")


def test_a_change_of_a_message_whose_row_is_lost_is_told(pair, filled):
    """It was passed over in silence, with exit status 0, and the sides stayed different."""
    change_database(filled, "DELETE FROM mapping WHERE rUID = 7")
    with connect(pair[1]) as client:
        client.select("INBOX")
        client.store([7], "+", [r"\Flagged"])
        client.store([8], "+", [r"\Answered"])
    result = filled.sync()
    assert "remote(INBOX): WARNING: UID 7 was modified" in result.err
    assert "`interimap --repair INBOX`" in result.err and "UID 8" not in result.err
    change_database(filled, "DELETE FROM mapping WHERE rUID = 9")
    result = filled.sync("--repair", "INBOX")
    for uid in (7, 9):                          # a count only, once
        assert f"INBOX: WARNING: local UID {uid} and remote UID {uid} are the same message" in result.err
    filled.assert_equal(*pair)
    filled.assert_noop(*pair)
