# SPDX-License-Identifier: MIT
"""The model itself: it must see every kind of fault.  If one of these fails, believe no history."""

import copy

import pytest

from .world import Account, Check, Seen, World, expected_subscriptions, merged_flags

pytestmark = pytest.mark.quick

INBOX, WORK = ("INBOX",), ("Work",)


def seen(digest, flags=(), modseq=1, date=0):
    return Seen(digest, date, frozenset(flags), modseq)


def world():
    """Two messages that both sides hold, as 1/11 and 2/12."""
    return World(Account({INBOX: {1: seen("a"), 2: seen("b", ["\\seen"])}}, {INBOX}),
                 Account({INBOX: {11: seen("a"), 12: seen("b", ["\\seen"])}}, {INBOX}),
                 {INBOX: {1: 11, 2: 12}})


def edited():
    """What came of it: 1 gone here, 2 flagged there, one new message here, a mailbox there."""
    base = world()
    local, remote = copy.deepcopy(base.local), copy.deepcopy(base.remote)
    del local.boxes[INBOX][1]
    local.boxes[INBOX][3] = seen("c", ["x"], 2)
    remote.boxes[INBOX][12] = seen("b", ["\\seen", "\\flagged"], 2)
    remote.boxes[WORK] = {1: seen("d")}
    remote.subscribed.add(WORK)
    after = World(
        Account({INBOX: {2: seen("b", ["\\seen", "\\flagged"], 3), 3: seen("c", ["x"], 2)},
                 WORK: {5: seen("d")}}, {INBOX, WORK}),
        Account({INBOX: {12: seen("b", ["\\seen", "\\flagged"], 2), 13: seen("c", ["x"], 3)},
                 WORK: {1: seen("d")}}, {INBOX, WORK}),
        {INBOX: {2: 12, 3: 13}, WORK: {5: 1}})
    return base, local, remote, after


def test_what_is_right_is_no_problem():
    assert Check(*edited()).problems == []


def lose(after):
    del after.local.boxes[INBOX][3], after.remote.boxes[INBOX][13], after.pairs[INBOX][3]


def lose_old(after):
    del after.local.boxes[INBOX][2], after.remote.boxes[INBOX][12], after.pairs[INBOX][2]


def double(after):
    after.local.boxes[INBOX][4] = seen("c", ["x"])
    after.remote.boxes[INBOX][14] = seen("c", ["x"])
    after.pairs[INBOX][4] = 14


def double_one_side(after):
    after.remote.boxes[INBOX][14] = seen("c", ["x"])


def revive(after):
    after.local.boxes[INBOX][6] = seen("a")
    after.remote.boxes[INBOX][11] = seen("a")
    after.pairs[INBOX][6] = 11


def lose_flag(after):
    after.local.boxes[INBOX][2] = seen("b", ["\\seen"])
    after.remote.boxes[INBOX][12] = seen("b", ["\\seen"])


def keep_flag_here(after):
    after.local.boxes[INBOX][2] = seen("b", ["\\seen"])


def other_date(after):
    after.remote.boxes[INBOX][13] = seen("c", ["x"], date=1)


def other_body(after):
    after.local.boxes[WORK][5] = seen("e")


def swap(after):
    after.pairs[INBOX] = {2: 13, 3: 12}


def forget(after):
    del after.pairs[INBOX][3]


def map_ghosts(after):
    after.pairs[INBOX][9] = 19


def no_mailbox(after):
    del after.local.boxes[WORK]


def no_subscription(after):
    after.local.subscribed.remove(WORK)


@pytest.mark.parametrize("fault", [
    lose, lose_old, double, double_one_side, revive, lose_flag, keep_flag_here, other_date,
    other_body, swap, forget, map_ghosts, no_mailbox, no_subscription], ids=lambda f: f.__name__)
def test_what_is_wrong_is_a_problem(fault):
    base, local, remote, after = edited()
    fault(after)
    assert Check(base, local, remote, after).problems


@pytest.mark.parametrize("local,remote,flags", [
    (seen("a", ["x"], 1), seen("a", ["x"], 1), {"x"}),
    (seen("a", [], 2), seen("a", ["x"], 1), set()),
    (seen("a", ["x"], 1), seen("a", ["x", "y"], 2), {"x", "y"}),
    (seen("a", ["y"], 2), seen("a", ["z"], 2), {"y", "z"}),
    # Taken away and given back is a change too.
    (seen("a", ["x"], 3), seen("a", [], 2), {"x"})])
def test_flags(local, remote, flags):
    base = (seen("a", ["x"], 1), seen("a", ["x"], 1))
    assert merged_flags(base, local, remote) == flags


@pytest.mark.parametrize("known,was,here,there,now", [
    (False, False, True, False, True), (False, False, False, True, True),
    (False, False, False, False, False), (True, True, False, True, False),
    (True, True, True, False, False), (True, False, True, False, True),
    (True, False, False, True, True), (True, True, False, False, False),
    (True, True, True, True, True)])
def test_subscriptions(known, was, here, there, now):
    def account(subscribed):
        return Account({WORK: {}}, {WORK} if subscribed else set())

    base = World(account(was), account(was)) if known else World()
    assert expected_subscriptions(base, account(here), account(there)) == ({WORK} if now else set())
