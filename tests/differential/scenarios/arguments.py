# SPDX-License-Identifier: MIT
"""The command line: syntax, help, quiet, debug, watching."""

import signal

from . import Ours, both, local, remote, run, scenario, step

ONE = both("append", "INBOX", 1)
UNUSED = {"both": {"INBOX": 1}}
DONE = {"both": {"INBOX": 2}}

SCENARIOS = (
    scenario("help", ONE, run("--help", says="Usage"), expect=UNUSED),
    scenario("help-short", ONE, run("-h", says="Usage"), expect=UNUSED),
    scenario("help-beside-others", ONE, run("--quiet", "--help", says="Usage"), expect=UNUSED),
    scenario("version", ONE, run("--version", says=r"interimap.* \d+\.\d+"), expect=UNUSED),
    scenario("help-without-configuration", step("move-config", "gone"), run("--help"),
             run("--version")),
    scenario("option-unknown", ONE, run("--nothing", exit=1, says="(?i)usage|--help"),
             expect=UNUSED),
    scenario("option-unknown-short", ONE, run("-z", exit=1), expect=UNUSED),
    scenario("option-abbreviated", ONE, run("--qui", exit=1), expect=UNUSED),
    scenario("option-with-one-dash", ONE, run("-quiet", exit=1), expect=UNUSED),
    scenario("option-without-value", ONE, run("--config", exit=1), expect=UNUSED),
    scenario("option-with-value-it-has-not", ONE, run("--quiet=1", exit=1), expect=UNUSED),
    scenario("option-in-capitals", ONE, run("--QUIET", exit=1), expect=UNUSED),
    scenario("options-bundled", ONE, run("-qh", says="Usage"), expect=UNUSED),
    scenario("options-end-at-a-mailbox", ONE, run("INBOX", "--nothing"), expect=DONE),
    scenario("options-end-at-two-dashes", ONE, run("--", "INBOX"), expect=DONE),
    scenario("options-end-at-two-dashes-before-one", ONE, run("-q", "--", "--nothing"),
             expect=UNUSED),
    scenario("option-given-twice", ONE, run("-q", "--quiet", "-qq"), expect=DONE),
    scenario("quiet", ONE, run(), ONE, run("-q", silent=True),
             expect={"both": {"INBOX": 4}}),
    scenario("quiet-keeps-warnings", remote("append", "INBOX", 1, flags=()), run(),
             local("flag", "INBOX", (0,), "+", r"\Seen"),
             remote("flag", "INBOX", (0,), "+", r"\Flagged"),
             run("--quiet", says="(?i)conflict"), expect={"both": {"INBOX": 1}}),
    scenario("quiet-keeps-errors", both("create", "a"), run(), remote("delete", "a"),
             run("-q", exit=1, says="--delete a"), expect={"local": {"a": 0}, "remote": {}}),
    scenario("says-what-is-copied", local("append", "INBOX", 2),
             run(says=r"remote\(INBOX\): Added 2 UID\(s\) 1:2 ->"), expect=DONE),
    scenario("says-what-changes", remote("append", "INBOX", 3, flags=()), run(),
             local("expunge", "INBOX", (0,)), local("flag", "INBOX", (0,), "+", r"\Seen"),
             run(says=r"remote\(INBOX\): (Removed 1 UID\(s\) 1"
                      r"|Updated flags \(\\Seen\) for UID 2)"),
             expect={"both": {"INBOX": 2}}),
    scenario("debug", ONE, run("--debug", says=r"(?s)local.*remote.* SELECT"), expect=DONE),
    scenario("debug-twice", ONE, run("--debug", "--debug"), expect=DONE),
    scenario("watch-interval-wrong", ONE, run("--watch=often", exit=1), expect=UNUSED),

    scenario("watch", run(), step("start", "--watch=1"), remote("append", "INBOX", 2),
             step("until", both={"INBOX": 2}), local("append", "INBOX", 1),
             step("until", both={"INBOX": 3}), step("rest"), step("stop", signal.SIGTERM),
             expect={"both": {"INBOX": 3}}),
    scenario("watch-flags", remote("append", "INBOX", 2, flags=()), run(),
             step("start", "--watch=1"), local("flag", "INBOX", (0,), "+", r"\Seen"),
             remote("expunge", "INBOX", (1,)),
             step("until", both={"INBOX": 1}, flags={"INBOX": {"\\seen": 1}}),
             step("rest"), step("stop", signal.SIGTERM), run(), expect={"both": {"INBOX": 1}}),
    scenario("watch-a-mailbox", both("create", "a", "b"), run(), step("start", "--watch=1", "a"),
             both("append", "b", 1), both("append", "a", 1),
             step("until", both={"a": 2, "b": 1}), step("rest"), step("stop", signal.SIGTERM),
             expect={"both": {"a": 2, "b": 1}}),
    scenario("notify-remote", both("create", "a"), run(), step("start", "--notify"),
             remote("append", "a", 1), step("until", both={"a": 1}),
             step("rest"), step("stop", signal.SIGTERM), run(), expect={"both": {"a": 1}}),
    scenario("notify-local", both("create", "a"), run(), step("start", "--notify"),
             local("append", "a", 1), step("until", both={"a": 1}),
             step("rest"), step("stop", signal.SIGTERM), run(), expect={"both": {"a": 1}}),
    scenario("notify-and-watch", run(), step("start", "--notify", "--watch=600"),
             remote("append", "INBOX", 1), step("until", both={"INBOX": 1}),
             step("rest"), step("stop", signal.SIGTERM), expect={"both": {"INBOX": 1}}),
    scenario("interrupted", run(), step("start", "--watch=60"), local("append", "INBOX", 1),
             step("stop", signal.SIGINT, exit=1), run(), expect=UNUSED),
)
