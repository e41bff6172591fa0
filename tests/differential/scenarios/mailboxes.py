# SPDX-License-Identifier: MIT
"""Mailboxes and subscriptions: made, gone, made anew; runs that were cut short."""

from . import DOT, SLASH, Ours, both, local, remote, run, scenario, step

GONE = "A mailbox that disappeared is named and left alone, and the others are still done."


ONCE = Ours("What arrived before the program was killed is found again, not copied twice.",
            expect={"both": {"INBOX": 20}})
PAIRED = Ours("The messages are the same, and are paired anew.", exit=(0, 0),
              expect={"both": {"a": 3}}, free=("cached",))


def kill(side, command, nth=1, do="kill-after"):
    """A fault for wire.py: the program dies at the N-th such command."""
    return step("wire", side, {"on": "client", "match": command, "nth": nth, "do": do})


def refuse(side, command):
    return step("wire", side, {"on": "client", "match": command, "do": "no"})


SCENARIOS = (
    scenario("create-remote", run(), remote("create", "a", "a/b", "c d"), run(),
             expect={"both": {"a": 0, "a/b": 0, "c d": 0}}),
    scenario("create-local", run(), local("create", "x/y/z", "q"), run(),
             expect={"local": {"x/y/z": 0, "q": 0}, "remote": {"x/y/z": 0, "q": 0}}),
    scenario("create-with-messages",
             run(), local("create", "l"), local("append", "l", 3), remote("create", "r"),
             remote("append", "r", 3), run(), expect={"both": {"l": 3, "r": 3}}),
    scenario("parent-without-messages",
             remote("create", "p/q"), local("create", "s/t"), run(), run(),
             expect={"both": {"p/q": 0, "s/t": 0}}),
    scenario("parent-becomes-a-mailbox",
             remote("create", "p/q"), run(), remote("create", "p"),
             remote("append", "p", 2), run(), expect={"both": {"p": 2, "p/q": 0}}),
    scenario("create-refused",
             run(), remote("create", "new", "other"), refuse("local", r'CREATE "?new'),
             run(exit=1), step("wire", "local"), run(exit=1),
             expect={"local": {"other": 0}, "remote": {"new": 0, "other": 0}}, crossed=False,
             ours=Ours("After a refused CREATE the mailbox is not taken for one that "
                       "disappeared: it is created the next time.", exit=(0, 1, 0),
                       expect={"both": {"new": 0, "other": 0}}, free=("cached",))),

    scenario("subscribe-at-first",
             both("create", "a", "b", "c", "d"), remote("subscribe", "a", "INBOX"),
             local("subscribe", "b"), both("subscribe", "c"), run(), run(),
             expect={"subscribed": {"a", "b", "c", "INBOX"}}),
    scenario("subscribe-later",
             both("create", "a", "b"), run(), remote("subscribe", "a"), local("subscribe", "b"),
             run(), expect={"subscribed": {"a", "b"}}),
    scenario("unsubscribe-later",
             both("create", "a", "b", "c"), both("subscribe", "a", "b", "c"), run(),
             remote("unsubscribe", "a"), local("unsubscribe", "b"), run(),
             expect={"subscribed": {"c"}}),
    scenario("subscribe-both-at-once",
             both("create", "a", "b"), both("subscribe", "b"), run(),
             both("subscribe", "a"), both("unsubscribe", "b"), run(),
             expect={"subscribed": {"a"}}),
    scenario("create-subscribed",
             run(), remote("create", "a"), remote("subscribe", "a"), local("create", "b"),
             local("subscribe", "b"), run(), expect={"subscribed": {"a", "b"}}),
    scenario("subscription-without-mailbox",
             both("create", "a"), both("subscribe", "a"),
             remote("create", "gone"), remote("subscribe", "gone"), remote("delete", "gone"),
             run(), run(), expect={"both": {"a": 0}}),

    scenario("gone-on-both-sides",
             both("create", "a", "b"), both("append", "a", 1), run(), both("delete", "a"),
             both("append", "INBOX", 1), run(), expect={"both": {"INBOX": 2, "b": 0}}),
    scenario("gone-from-remote",
             both("create", "a"), both("append", "a", 1), run(), remote("delete", "a"),
             run(exit=1, says="--delete a"),
             expect={"local": {"a": 2}, "remote": {}}),
    scenario("gone-from-local",
             both("create", "a"), both("append", "a", 1), run(), local("delete", "a"),
             run(exit=1, says="--delete a"),
             expect={"local": {}, "remote": {"a": 2}}),
    scenario("gone-and-others-have-news",
             both("create", "a", "b"), run(), remote("delete", "a"), remote("append", "b", 2),
             local("append", "INBOX", 2), run(exit=1),
             expect={"local": {"a": 0, "b": 0, "INBOX": 2}, "remote": {"b": 2}},
             ours=Ours(GONE, expect={"local": {"a": 0, "b": 2, "INBOX": 2},
                                     "remote": {"b": 2, "INBOX": 2}}, free=("cached",))),
    scenario("gone-and-another-is-new",
             both("create", "a"), run(), remote("delete", "a"), remote("create", "n"),
             run(exit=1), expect={"local": {"a": 0, "n": 0}, "remote": {"n": 0}},
             ours=Ours(GONE, rows={"INBOX": False, "a": False, "n": False})),
    scenario("gone-then-deleted-here-too",
             both("create", "a"), run(), remote("delete", "a"), run(exit=1), local("delete", "a"),
             run(), expect={"both": {}}),
    scenario("gone-then-back",
             both("create", "a"), both("append", "a", 1), run(), remote("rename", "a", "z"),
             run(exit=1), remote("rename", "z", "a"), run(exit=1),
             expect={"local": {"a": 2, "z": 0}, "remote": {"a": 2}},
             ours=Ours(GONE, expect={"local": {"a": 2, "z": 2}, "remote": {"a": 2}},
                       free=("cached",))),
    scenario("deleted-and-made-anew-on-both-sides",
             both("create", "a"), both("append", "a", 2), run(), both("delete", "a"), run(),
             both("create", "a"), both("update", "a", uidvalidity=77), run(exit=1),
             expect={"both": {"a": 0}}),

    scenario("uidvalidity-changes-remote",
             both("create", "a"), remote("append", "a", 2), run(),
             remote("update", "a", uidvalidity=4711), remote("append", "a", 1),
             run(exit=1, says="(?i)uidvalidity"),
             expect={"local": {"a": 2}, "remote": {"a": 3}}, ours=PAIRED),
    scenario("uidvalidity-changes-local",
             both("create", "a"), remote("append", "a", 2), run(),
             local("update", "a", uidvalidity=4711), remote("append", "a", 1),
             run(exit=1, says="(?i)uidvalidity"),
             expect={"local": {"a": 2}, "remote": {"a": 3}}, ours=PAIRED),
    scenario("uidvalidity-changes-and-others-have-news",
             both("create", "a", "b"), run(), remote("update", "a", uidvalidity=4711),
             both("append", "b", 2), run(exit=1),
             expect={"both": {"a": 0, "b": 2}},
             ours=Ours("A mailbox in which nothing was paired has nothing to be confused with.",
                       exit=(0, 0), expect={"both": {"a": 0, "b": 4}}, free=("cached",))),

    scenario("killed-while-pulling",
             remote("append", "INBOX", 20), kill("local", r" APPEND "), run(exit=-9),
             step("wire", "local"), run(), expect={"both": {"INBOX": 40}},
             ours=ONCE),
    scenario("killed-while-pushing",
             local("append", "INBOX", 20), kill("remote", r" APPEND "), run(exit=-9),
             step("wire", "remote"), run(), expect={"both": {"INBOX": 40}},
             ours=ONCE),
)
