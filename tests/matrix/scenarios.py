# SPDX-License-Identifier: MIT
"""The scenarios: what both sides hold and the database knows, what happened since, what must come.

Messages are written "name flag flag"; `stage.body` says what a name means.  Mailboxes are "a/b".
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Scenario:
    name: str
    base: dict              # mailbox -> messages; on both sides, paired, subscribed
    then: dict              # what both sides must hold in the end
    here: list = field(default_factory=list)        # what happened on one side since
    there: list = field(default_factory=list)       # and on the other
    later: list = field(default_factory=list)       # synchronised before that, and then the other
                                                    # side was restored from a backup made before
    deeds: list = field(default_factory=list)       # what a client of the proxy did, offline
    args: tuple = ()        # the run's
    known: bool = True      # False: there is no database yet, and `base` is on one side only
    database: list = field(default_factory=list)    # what happened to the database
    then_there: dict = None                         # if the other side must differ
    subscribed: tuple = None                        # if that matters
    ends: tuple = (0,)      # exit statuses of runs that were not disturbed
    settles: bool = True    # a run afterwards opens no mailbox
    lie: str = None         # a command that is answered OK and not done, the first time
    refuses: bool = False   # both sides refuse messages that are very large
    costs: str = None       # "read", "append": a side ends the connection over messages called costly

    @property
    def swaps(self):
        """The same with the roles exchanged; what the proxy does has only one direction."""
        return not self.deeds and "--target=local" not in self.args


def _some(*messages):
    return {"INBOX": list(messages)}


THREE = _some("a", "b Seen", "c todo")
WORK = {"INBOX": ["a", "b Seen"], "Work": ["w", "x Flagged"]}
MANY = {"INBOX": [f"m{number} Seen" for number in range(30)]}

MESSAGES = [
    Scenario("nothing", THREE, THREE),
    Scenario("one new", THREE, _some("a", "b Seen", "c todo", "n Seen"),
             [("append", "INBOX", "n Seen")]),
    Scenario("new on both sides", THREE, _some("a", "b Seen", "c todo", "n", "p Flagged"),
             [("append", "INBOX", "n")], [("append", "INBOX", "p Flagged")]),
    Scenario("many new", THREE, _some("a", "b Seen", "c todo", *(f"n{i}" for i in range(12))),
             [("append", "INBOX", *(f"n{i}" for i in range(12)))]),
    Scenario("new in an empty mailbox", {"INBOX": [], "Work": []},
             {"INBOX": [], "Work": ["n", "p"]}, [("append", "Work", "n", "p")]),
    Scenario("a large message", THREE, _some("a", "b Seen", "c todo", "large", "n"),
             [("append", "INBOX", "large", "n")]),
    Scenario("large ones both ways", THREE, _some("a", "b Seen", "c todo", "large1", "large2"),
             [("append", "INBOX", "large1")], [("append", "INBOX", "large2")]),
    Scenario("a header alone", THREE, _some("a", "b Seen", "c todo", "bare", "bare2"),
             [("append", "INBOX", "bare", "bare2")]),
    Scenario("no Message-ID", THREE, _some("a", "b Seen", "c todo", "noid1", "noid2"),
             [("append", "INBOX", "noid1", "noid2")]),
    Scenario("the same twice", THREE, _some("a", "b Seen", "c todo", "n", "n"),
             [("append", "INBOX", "n", "n")]),
    Scenario("the same again later", THREE, _some("a", "a", "b Seen", "c todo"),
             [("append", "INBOX", "a")]),
    Scenario("the same on both sides", THREE, _some("a", "b Seen", "c todo", "n"),
             [("append", "INBOX", "n")], [("append", "INBOX", "n")]),
    Scenario("keywords", THREE, _some("a", "b Seen", "c todo", "n $Forwarded Kw.x"),
             [("append", "INBOX", "n $Forwarded Kw.x")]),
    Scenario("flags set", THREE, _some("a Seen", "b Seen Flagged", "c todo"),
             [("flag", "INBOX", "a", "+", "Seen"), ("flag", "INBOX", "b", "+", "Flagged")]),
    Scenario("flags taken away", THREE, _some("a", "b", "c"),
             [("flag", "INBOX", "b", "-", "Seen"), ("flag", "INBOX", "c", "-", "todo")]),
    Scenario("a new keyword", THREE, _some("a", "b Seen Kw.new", "c todo Kw.new"),
             [("flag", "INBOX", "b c", "+", "Kw.new")]),
    Scenario("flags of different messages", THREE, _some("a Seen", "b Seen", "c Answered"),
             [("flag", "INBOX", "a", "+", "Seen")], [("flag", "INBOX", "c", "", "Answered")]),
    Scenario("flags in conflict", THREE, _some("a Seen Flagged", "b Seen", "c todo"),
             [("flag", "INBOX", "a", "+", "Seen")], [("flag", "INBOX", "a", "+", "Flagged")]),
    Scenario("expunged", THREE, _some("b Seen"), [("expunge", "INBOX", "a c")]),
    Scenario("expunged on both sides", THREE, _some("b Seen"),
             [("expunge", "INBOX", "a")], [("expunge", "INBOX", "c")]),
    Scenario("the same expunged on both sides", THREE, _some("b Seen", "c todo"),
             [("expunge", "INBOX", "a")], [("expunge", "INBOX", "a")]),
    Scenario("expunged and flagged", THREE, _some("b Seen", "c todo"),
             [("expunge", "INBOX", "a")], [("flag", "INBOX", "a", "+", "Seen")]),
    Scenario("all expunged", {"INBOX": ["a"], "Work": ["w", "x"]}, {"INBOX": ["a"], "Work": []},
             [("expunge", "Work", "w x")]),
    Scenario("of everything", THREE, _some("b Flagged", "n", "p Seen", "large"),
             [("append", "INBOX", "n"), ("expunge", "INBOX", "a"),
              ("flag", "INBOX", "b", "", "Flagged")],
             [("append", "INBOX", "p Seen", "large"), ("expunge", "INBOX", "c")]),
    Scenario("two mailboxes", WORK, {"INBOX": ["a Seen", "b Seen", "n"],
                                     "Work": ["w", "p", "x Flagged todo"]},
             [("append", "INBOX", "n"), ("flag", "Work", "x", "+", "todo")],
             [("append", "Work", "p"), ("flag", "INBOX", "a", "+", "Seen")]),
    Scenario("moved", WORK, {"INBOX": ["b Seen"], "Work": ["a", "w", "x Flagged"]},
             [("move", "INBOX", "a", "Work")]),
    Scenario("moved both ways", WORK, {"INBOX": ["b Seen", "x Flagged"], "Work": ["a", "w"]},
             [("move", "INBOX", "a", "Work")], [("move", "Work", "x", "INBOX")]),
    Scenario("moved and flagged", WORK, {"INBOX": ["b Seen"], "Work": ["a todo", "w", "x Flagged"]},
             [("move", "INBOX", "a", "Work"), ("flag", "Work", "a", "+", "todo")]),
    Scenario("copied", WORK, {"INBOX": ["a", "b Seen"], "Work": ["b Seen", "w", "x Flagged"]},
             [("copy", "INBOX", "b", "Work")]),
    # As Dovecot 2.3 does behind a STORE with a new keyword.
    Scenario("expunged in words only", THREE, _some("b Seen"), [("expunge", "INBOX", "a c")],
             lie="UID EXPUNGE"),
    Scenario("moved in words only", WORK, {"INBOX": ["b Seen"], "Work": ["a", "w", "x Flagged"]},
             [("move", "INBOX", "a", "Work")], lie="UID MOVE"),
    Scenario("a refused message", THREE, _some("a", "b Seen", "c todo", "refused", "n"),
             [("append", "INBOX", "refused", "n")],
             then_there=_some("a", "b Seen", "c todo", "n"), refuses=True, ends=(0, 1)),
    Scenario("refused messages among others", WORK,
             {"INBOX": ["b Seen", "n Flagged", "refused1", "p"],
              "Work": ["w Seen", "x Flagged", "refused2"]},
             [("append", "INBOX", "refused1", "n Flagged"), ("append", "Work", "refused2"),
              ("expunge", "INBOX", "a")],
             [("append", "INBOX", "p"), ("flag", "Work", "w", "+", "Seen")],
             then_there={"INBOX": ["b Seen", "n Flagged", "p"], "Work": ["w Seen", "x Flagged"]},
             refuses=True, ends=(0, 1)),
]

# One message of several that costs the connection when it is read, or appended.
COSTLY = [
    Scenario(f"a message that costs the connection when it is {what}", WORK,
             {"INBOX": ["a", "b Seen", "n", "costly", "p"], "Work": ["w", "x Flagged", "q", "r"]},
             [("append", "INBOX", "n", "costly", "p"), ("append", "Work", "q")],
             [("append", "Work", "r")],
             then_there={"INBOX": ["a", "b Seen", "n", "p"], "Work": ["w", "x Flagged", "q", "r"]},
             costs=how, ends=(1,))
    for what, how in (("read", "read"), ("given to the other side", "append"))]

ADOPTED = [
    Scenario("a first run", {"INBOX": ["a", "b Seen"], "Work": ["w"]},
             {"INBOX": ["a", "b Seen"], "Work": ["w"]}, known=False),
    Scenario("adopted", THREE, _some("a", "b Seen", "c todo"), known=False,
             there=[("append", "INBOX", "a", "b Seen", "c todo")]),
    Scenario("adopted, and more", THREE, _some("a", "b Seen", "c todo", "n", "p"), known=False,
             here=[("append", "INBOX", "n")],
             there=[("append", "INBOX", "b Seen", "a", "p", "c todo")]),
    Scenario("adopted with twins", _some("a", "a", "b"), _some("a", "a", "a", "b", "noid1"),
             known=False, there=[("append", "INBOX", "a", "noid1", "b", "a", "a")]),
    Scenario("adopted with other flags", _some("a", "b Seen"), _some("a Flagged", "b Seen todo"),
             known=False, there=[("append", "INBOX", "a Flagged", "b todo")]),
]

TREE = [
    Scenario("a mailbox created", WORK, {**WORK, "New": ["n"], "New/sub": []},
             [("create", "New"), ("append", "New", "n"), ("create", "New/sub"),
              ("subscribe", "New")], subscribed=("Work", "New")),
    Scenario("created on both sides", WORK, {**WORK, "New": ["n", "p"]},
             [("create", "New"), ("append", "New", "n")],
             [("create", "New"), ("append", "New", "p")]),
    Scenario("subscribed and not", WORK, {**WORK, "New": []},
             [("unsubscribe", "Work"), ("create", "New")], [("create", "New"),
                                                            ("subscribe", "New")],
             subscribed=("New",)),
    Scenario("disappeared", WORK, WORK, there=[("delete", "Work")],
             then_there={"INBOX": WORK["INBOX"]}, ends=(0, 1)),
    Scenario("deleted by order", WORK, {"INBOX": WORK["INBOX"]}, args=("--delete", "Work")),
    Scenario("deleted where it is left", WORK, {"INBOX": WORK["INBOX"]},
             there=[("delete", "Work")], args=("--delete", "Work")),
    Scenario("renamed by order", WORK, {"INBOX": WORK["INBOX"], "Play": WORK["Work"]},
             args=("--rename", "Work", "Play"), subscribed=("Play",)),
    Scenario("renamed with children", {**WORK, "Work/sub": ["s"]},
             {"INBOX": WORK["INBOX"], "Play": WORK["Work"], "Play/sub": ["s"]},
             args=("--rename", "Work", "Play")),
]

REPAIRED = [
    Scenario("repaired: pairs lost", THREE, _some("a", "b Seen", "c todo"), args=("--repair",),
             database=["DELETE FROM mapping WHERE lUID = 2"]),
    Scenario("repaired: a pair too many", THREE, _some("a", "b Seen", "c todo"),
             args=("--repair",), database=["INSERT INTO mapping SELECT idx, 77, 78 FROM mailboxes"
                                           " WHERE mailbox = 'INBOX'"]),
    Scenario("repaired: one side lost", THREE, _some("a", "b Seen", "c todo"), args=("--repair",),
             there=[("expunge", "INBOX", "b")],
             database=["UPDATE local SET HIGHESTMODSEQ = HIGHESTMODSEQ + 5",
                       "UPDATE remote SET HIGHESTMODSEQ = HIGHESTMODSEQ + 5"]),
    Scenario("repaired: flags differ", THREE, _some("a Flagged", "b Seen", "c todo"),
             here=[("flag", "INBOX", "a", "+", "Flagged")], args=("--repair",),
             database=["UPDATE local SET HIGHESTMODSEQ = HIGHESTMODSEQ + 5",
                       "UPDATE remote SET HIGHESTMODSEQ = HIGHESTMODSEQ + 5"]),
]

DEEDS = [
    Scenario("deed: MOVE", WORK, {"INBOX": ["b Seen"], "Work": ["a", "w", "x Flagged"]},
             deeds=[("move", "INBOX", "a", "Work")]),
    Scenario("deed: MOVE there and back", WORK, {"INBOX": ["a", "b Seen"],
                                                 "Work": ["w", "x Flagged"]},
             deeds=[("move", "INBOX", "a", "Work"), ("move", "Work", "a", "INBOX")]),
    # Nobody removed the one that is in the mailbox where it was moved to.
    Scenario("deed: MOVE, expunged there", WORK, {"INBOX": ["b Seen"],
                                                  "Work": ["a", "w", "x Flagged"]},
             deeds=[("move", "INBOX", "a", "Work")], there=[("expunge", "INBOX", "a")]),
    Scenario("deed: COPY", WORK, {"INBOX": ["a", "b Seen"], "Work": ["a", "b Seen", "w",
                                                                      "x Flagged"]},
             deeds=[("copy", "INBOX", "a b", "Work")]),
    Scenario("deed: RENAME", WORK, {"INBOX": ["a", "b Seen"], "Play": ["w", "x Flagged", "n"]},
             deeds=[("rename", "Work", "Play")], there=[("append", "Work", "n")]),
    Scenario("deed: DELETE", WORK, {"INBOX": ["a", "b Seen"]}, deeds=[("delete", "Work")]),
    Scenario("deed: CREATE", WORK, {**WORK, "New": []},
             deeds=[("create", "New"), ("subscribe", "New")], subscribed=("Work", "New")),
    Scenario("deeds in a row", WORK, {"INBOX": ["b Seen", "w"], "Play": ["a", "x Flagged"],
                                      "New": ["n"]},
             deeds=[("move", "INBOX", "a", "Work"), ("rename", "Work", "Play"),
                    ("move", "Play", "w", "INBOX"), ("create", "New"),
                    ("append", "New", "n")]),
]

RESTORED = [
    Scenario("restored", THREE, _some("a Seen", "b Seen", "c todo", "n", "p"),
             later=[("append", "INBOX", "n", "p"), ("flag", "INBOX", "a", "+", "Seen")]),
    Scenario("restored, UIDs used again", THREE, _some("a", "b Seen", "c todo", "n", "p", "q"),
             later=[("append", "INBOX", "n", "p")], there=[("append", "INBOX", "q")]),
    # While one side is being made whole, nothing is deleted on it.
    Scenario("restored, and expunged", THREE, _some("a", "b Seen", "c todo", "n"),
             later=[("append", "INBOX", "n")], here=[("expunge", "INBOX", "a")]),
]

ALL = [*MESSAGES, *COSTLY, *RESTORED, *ADOPTED, *TREE, *REPAIRED, *DEEDS]
