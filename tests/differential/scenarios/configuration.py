# SPDX-License-Identifier: MIT
"""The configuration file, logging, and how a tunnel's command is run."""

from . import Ours, both, local, remote, run, scenario, step

ONE = both("append", "INBOX", 1)
UNUSED = {"both": {"INBOX": 1}}
DONE = {"both": {"INBOX": 2}}


def text(content):
    """The configuration, written out; @local@ and @remote@ are the commands of the tunnels."""
    return step("file", "config/interimap/config", content)


PLAIN = """database = @folder@/sync.db
[local]
type = tunnel
command = @local@
[remote]
type = tunnel
command = @remote@
"""


def prefix(format, pattern):
    """What every line begins with; `pattern` is what the copy of one message must look like."""
    return (step("config", "", {"log-prefix": format}), local("append", "INBOX", 1),
            run(says=pattern))


CHECKED = Ours("Options that have no meaning, or none where they stand, are errors: they would "
               "be silently without effect.", exit=(1,), expect=UNUSED, rows={},
               free=("files",))

SCENARIOS = (
    scenario("config-comments-and-blanks", ONE,
             text("# first\n  \n" + PLAIN.replace("[remote]", "; a note\n\n[remote]\n# more")),
             run(), expect=DONE),
    scenario("config-white-space", ONE,
             text(PLAIN.replace("type = tunnel", "type=tunnel").replace(
                 "command =", "command\t=   ").replace("sync.db", "sync.db  ")),
             run(), expect=DONE),
    scenario("config-local-section-last", ONE,
             text("database = @folder@/sync.db\n[remote]\ntype = tunnel\ncommand = @remote@\n"
                  "[local]\ntype = tunnel\ncommand = @local@\n"), run(), expect=DONE),
    scenario("config-without-final-newline", ONE, text(PLAIN.rstrip()), run(), expect=DONE),
    scenario("config-options-for-both-servers", ONE,
             text("type = tunnel\n" + PLAIN.replace("type = tunnel\n", "")), run(), expect=DONE),
    scenario("config-own-section-counts-more", ONE,
             text("type = imaps\nhost = nowhere.invalid\n" + PLAIN), run(), expect=DONE),
    scenario("config-unknown-option", ONE, text("nothing = 1\n" + PLAIN), run(exit=1),
             expect=UNUSED, ours=Ours("The configuration is checked before anything is made.",
                                      free=("files",))),
    scenario("config-unknown-option-of-a-server", ONE, text(PLAIN + "nothing = 1\n"),
             run(exit=1), expect=UNUSED),
    scenario("config-option-in-capitals", ONE, text(PLAIN + "COMPRESS = NO\n"), run(exit=1),
             expect=UNUSED),
    scenario("config-list-mailbox-in-a-section", ONE, text(PLAIN + "list-mailbox = INBOX\n"),
             run(), expect=DONE, ours=CHECKED),
    scenario("config-boolean-wrong", ONE, text(PLAIN + "compress = maybe\n"), run(exit=1),
             expect=UNUSED),
    scenario("config-type-wrong", ONE, text(PLAIN.replace("type = tunnel", "type = pop3", 1)),
             run(exit=1), expect=UNUSED),
    scenario("config-auth-wrong", ONE, text(PLAIN + "auth = NOTHING\n"), run(),
             expect=DONE, ours=CHECKED),
    scenario("config-port-wrong", ONE, text(PLAIN + "port = a b\n"), run(),
             expect=DONE, ours=CHECKED),
    scenario("config-line-without-equals", ONE, text(PLAIN + "command\n"), run(exit=1),
             expect=UNUSED),
    scenario("config-empty", ONE, text(""), run(exit=1), expect=UNUSED),
    scenario("config-without-remote", ONE, text(PLAIN.split("[remote]")[0]), run(exit=1),
             expect=UNUSED),
    scenario("config-unknown-section", ONE, text(PLAIN + "[other]\ntype = tunnel\n"), run(),
             expect=DONE, ours=CHECKED),
    scenario("config-tunnel-without-command", ONE,
             text(PLAIN.replace("command = @remote@\n", "")), run(exit=1), expect=UNUSED,
             ours=Ours("The configuration is checked before anything is made.",
                       free=("files",))),

    scenario("logfile", ONE, step("config", "", {"logfile": "@folder@/log.txt"}),
             run(says=r"Added 1 UID"), step("logged", r"Added 1 UID"), expect=DONE),
    scenario("logfile-takes-debug", ONE, step("config", "", {"logfile": "@folder@/log.txt"}),
             run("--debug"), step("logged", r"\d\d:\d\d:\d\d.*C: \S+ SELECT"), expect=DONE),
    scenario("logfile-is-appended-to", step("config", "", {"logfile": "@folder@/log.txt"}),
             remote("append", "INBOX", 1), run(), local("append", "INBOX", 1), run(),
             step("logged", r"(?s)local\(INBOX\): Added 1.*remote\(INBOX\): Added 1"),
             expect=DONE),
    scenario("logfile-in-a-missing-folder", ONE,
             step("config", "", {"logfile": "@folder@/no/such/log.txt"}), run(exit=1),
             expect=UNUSED),
    scenario("log-prefix-default", local("append", "INBOX", 1),
             run(says=r"(?m)^remote\(INBOX\): Added 1"), expect={"both": {"INBOX": 1}}),
    scenario("log-prefix-side-and-mailbox", *prefix("<%n|%m> ", r"(?m)^<remote\|INBOX> ?Added 1")),
    scenario("log-prefix-condition", *prefix(r"%?m?[%m] ?", r"(?m)^\[INBOX\] ?Added 1")),
    scenario("log-prefix-else", *prefix("%?n?side&none?:", r"(?m)^side: ?Added 1")),
    scenario("log-prefix-literals", *prefix(r"100%% \? \& \\ ", r"(?m)^100% \? & \\ ?Added 1")),
    scenario("log-prefix-nested", *prefix("%?n?%?m?%n/%m&%n?> ?", r"(?m)^remote/INBOX> ?Added")),
    scenario("log-prefix-empty", *prefix("", r"(?m)^Added 1")),

    scenario("command-words", ONE, step("command", "remote", "%s"), run(), expect=DONE),
    scenario("command-with-metacharacters", ONE,
             step("command", "remote", "exec 3>&1; exec %s"), run(), expect=DONE),
    scenario("command-with-a-variable", ONE, step("command", "remote", "A=1 %s"), run(),
             expect=DONE),
    scenario("command-with-quotes", ONE, step("command", "remote", "env 'A=b c' %s"), run(),
             expect=DONE),
    scenario("command-missing", ONE, step("command", "remote", "/no/such/program"),
             run(exit=1), expect=UNUSED),
    scenario("command-ends-at-once", ONE, step("command", "remote", "/bin/true"), run(exit=1),
             expect=UNUSED),
    scenario("command-fails", ONE, step("command", "local", "exit 3"), run(exit=1),
             expect=UNUSED),
    scenario("command-speaks-no-imap", ONE, step("command", "remote", "echo hello; cat"),
             run(exit=1), expect=UNUSED),
    scenario("null-stderr", ONE, step("command", "remote", "echo LOUD >&2; exec %s"),
             run(), run("-q", silent=True), expect=DONE),
    scenario("null-stderr-no", ONE, step("command", "remote", "echo LOUD >&2; exec %s"),
             step("config", "remote", {"null-stderr": "NO"}), run(says="LOUD"), expect=DONE),
    scenario("null-stderr-and-debug", ONE, step("command", "remote", "echo LOUD >&2; exec %s"),
             run("--debug", says="LOUD"), expect=DONE),
    scenario("command-environment", ONE,
             step("command", "remote", 'test "$PATH" = /usr/bin:/bin -a -z "$CDPATH$ENV" '
                                       '&& exec %s'),
             step("environment", {"PATH": "/tmp:/usr/bin:/bin", "CDPATH": "/", "ENV": "/x"}),
             run(), expect=DONE),
    scenario("compress-local", ONE, step("config", "local", {"compress": "YES"}),
             run("--debug", says="local: C: [^ ]+ COMPRESS DEFLATE"), expect=DONE),
    scenario("compress-not-offered", ONE,
             step("wire", "remote", {"on": "server", "match": " COMPRESS=DEFLATE",
                                     "replace": ""}),
             step("config", "remote", {"compress": "YES"}), run(), expect=DONE),
    scenario("compress-refused", ONE,
             step("wire", "remote", {"on": "client", "match": "COMPRESS", "do": "no"}),
             step("config", "remote", {"compress": "YES"}), run(exit=1), expect=UNUSED,
             ours=Ours("Without compression the same is done, with a warning.", exit=(0,),
                       expect=DONE, rows={"INBOX": False})),
    scenario("server-without-qresync", ONE,
             step("wire", "remote", {"on": "server", "match": " QRESYNC", "replace": ""}),
             run(exit=1), expect=UNUSED),
    scenario("server-without-uidplus", ONE,
             step("wire", "remote", {"on": "server", "match": " UIDPLUS", "replace": ""}),
             run(exit=1), expect=UNUSED),
    scenario("server-without-list-extended", ONE,
             step("wire", "remote", {"on": "server", "match": " LIST-EXTENDED", "replace": ""}),
             run(exit=1), expect=UNUSED),
    scenario("server-without-list-status", ONE,
             step("wire", "remote", {"on": "server", "match": " LIST-STATUS", "replace": ""}),
             run(exit=1), expect=UNUSED,
             ours=Ours("The manual says that NOTIFY will do.", exit=(0,), expect=DONE,
                       rows={"INBOX": False})),
    scenario("server-refuses-select", both("append", "INBOX", 1), both("create", "a"), run(),
             both("append", "a", 1), remote("append", "INBOX", 1),
             step("wire", "remote", {"on": "client", "match": r'SELECT "?a"?\b', "do": "no"}),
             run(exit=1), step("wire", "remote"), run(),
             expect={"both": {"INBOX": 3, "a": 2}}),
    scenario("server-cuts-the-connection", both("append", "INBOX", 3),
             step("wire", "remote", {"on": "client", "match": "SELECT", "do": "cut"}),
             run(exit=1), step("wire", "remote"), run(), expect={"both": {"INBOX": 6}},
             ours=Ours("It tries three times in the first run, which then leaves the mailbox out for "
                       "ten minutes, and says so.", exit=(1, 1), expect={"both": {"INBOX": 3}},
                       rows={"INBOX": False})),
)
