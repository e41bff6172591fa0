# SPDX-License-Identifier: MIT
"""Numbers near their limits, and many of them."""

from . import both, local, remote, run, scenario, step

# Not Maildirs: asked for changes, Dovecot then answers with the whole gap below the first
# message, and the Perl program runs out of memory.
SDBOX = ("/", "sdbox"), (".", "sdbox")
HIGH = 2 ** 63 - 100000

SCENARIOS = (
    scenario("uids-at-their-maximum-remote",
             both("create", "a"), remote("update", "a", uidnext=2 ** 32 - 10), run(),
             remote("append", "a", 3), local("append", "a", 3, flags=()), run(),
             local("flag", "a", (0, 5), "+", r"\Seen"), remote("expunge", "a", (1,)), run(),
             expect={"both": {"a": 5}}),
    scenario("uids-at-their-maximum-local",
             both("create", "a"), local("update", "a", uidnext=2 ** 32 - 10), run(),
             remote("append", "a", 3), local("append", "a", 3, flags=()), run(),
             servers=SDBOX, expect={"both": {"a": 6}}),
    scenario("uids-beyond-the-signed",
             both("create", "a"), both("update", "a", uidnext=2 ** 31 - 2), run(),
             remote("append", "a", 4), local("append", "a", 4), run(),
             remote("expunge", "a", (0, 7)), run(), servers=SDBOX,
             expect={"both": {"a": 6}}),
    scenario("uidvalidity-at-its-maximum",
             both("create", "a"), both("update", "a", uidvalidity=2 ** 32 - 1), run(),
             both("append", "a", 1), run(), expect={"both": {"a": 2}}),
    scenario("modseq-near-its-maximum",
             both("create", "a"), both("append", "a", 2, flags=()),
             both("update", "a", modseq=HIGH), run(), remote("flag", "a", (0,), "+", r"\Seen"),
             local("flag", "a", (1,), "+", r"\Flagged"), local("expunge", "a", (3,)), run(),
             expect={"both": {"a": 3}, "flags": {"a": {"\\seen": 1, "\\flagged": 1}}}),
    scenario("modseq-beyond-32-bits",
             both("create", "a"), remote("append", "a", 2, flags=()),
             remote("update", "a", modseq=2 ** 40), run(),
             remote("flag", "a", (0,), "+", r"\Seen"), remote("append", "a", 1, flags=()), run(),
             expect={"both": {"a": 3}, "flags": {"a": {"\\seen": 1}}}),
    scenario("scattered-uids",
             remote("append", "INBOX", 2200, flags=()), run(),
             remote("flag", "INBOX", tuple(range(0, 2200, 3)), "+", r"\Seen"),
             remote("expunge", "INBOX", tuple(range(1, 2200, 4))), run(),
             local("expunge", "INBOX", tuple(range(0, 1650, 2))), run(),
             expect={"both": {"INBOX": 825}}, config={}),
    scenario("scattered-flags",
             local("append", "INBOX", 1500, flags=()), run(),
             local("flag", "INBOX", tuple(range(0, 1500, 2)), "+", r"\Seen"),
             local("flag", "INBOX", tuple(range(0, 1500, 5)), "+", "$Label"),
             remote("flag", "INBOX", tuple(range(1, 1500, 2)), "+", r"\Flagged"), run(),
             expect={"both": {"INBOX": 1500}}),
    scenario("many-mailboxes",
             *(side("create", *(f"{name}/{n}" for n in range(40)))
               for side, name in ((local, "l"), (remote, "r"))),
             run(), remote("append", "l/7", 1), local("append", "r/39", 1), run(),
             expect={"both": {**{f"l/{n}": int(n == 7) for n in range(40)},
                              **{f"r/{n}": int(n == 39) for n in range(40)}}}),
    scenario("deep-hierarchy", remote("create", "/".join("abcdefghij")),
             local("create", "/".join("abcdezyxw")), run(), run(),
             expect={"both": {"/".join("abcdefghij"): 0, "/".join("abcdezyxw"): 0}}),
)
