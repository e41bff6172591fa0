# SPDX-License-Identifier: MIT
"""Mailboxes that are not what they were: told to be gone in the middle of an answer, deleted and made
again under one name, swapped, or with another UIDVALIDITY."""

import pytest

from .inline import body, counts, eventually


def names(client):
    return set(counts(client)[0]) - {("INBOX",)}


# What the remote server tells while it answers.

@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_a_deletion_told_within_the_list(make, first):
    """NOTIFY may speak between the lines of a LIST.  What it told there was taken for a line of the
    list, and the mailbox was said to have disappeared instead of being deleted here."""
    service = make({"old": 20})
    service.relay.drop(r"\* LIST \(\\NonExistent\)")
    line = b'* LIST (\\NonExistent) "." old'
    with service.there() as there, service.client() as client, service.store() as here:
        if first:       # the list is there already, and still has it
            service.relay.add(r"LIST .*RETURN", b'* LIST (\\HasNoChildren) "." old', line)
        else:
            service.relay.add(r'LIST "" ""', line)
        there.cmd("UNSUBSCRIBE old")
        there.cmd("DELETE old")
        client.cmd("CREATE made")       # the lists are looked at
        eventually(lambda: names(here) == {("made",)}, 20)
    service.settle({"made": []})
    assert "disappeared" not in service.running.err()


def test_a_deletion_told_to_the_replay(make):
    """Likewise while the lists are asked for that come before a client's DELETE; and a STATUS of
    another mailbox was taken for the one that was asked for: "it is not the mailbox that it was"."""
    service = make({"old": 20, "gone": 20, "other": 5})
    service.relay.drop(r"\* LIST \(\\NonExistent\)")
    service.relay.add(r'STATUS "?old', b"* STATUS other (MESSAGES 1 UIDVALIDITY 7 UIDNEXT 99)")
    service.relay.add(r'LIST "" \(old', b'* LIST (\\NonExistent) "." gone')
    with service.there() as there, service.client() as client, service.store() as here:
        there.cmd("DELETE gone")
        client.cmd("DELETE old")
        eventually(lambda: names(there) == names(here) == {("other",)}, 20)
    service.settle({"other": body("other", 5)})
    assert "disappeared" not in service.running.err()
