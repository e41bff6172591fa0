# SPDX-License-Identifier: MIT
"""Mailboxes with odd names."""

from . import Ours, both, local, remote, run, scenario, step

SAME = ("/", "sdbox"), ("/", "maildir")


def cross(title, *names, **keys):
    """The names are made on either side in turn, and get a message later."""
    steps = [(local, remote)[number % 2]("create", name) for number, name in enumerate(names)]
    steps += [run()]
    steps += [(remote, local)[number % 2]("append", name, 1) for number, name in enumerate(names)]
    return scenario(f"name-{title}", *steps, run(), expect={"both": {n: 1 for n in names}}, **keys)


SCENARIOS = (
    cross("utf-7", "&AOk-t&AOk-", "&U,BTFw-", "Entw&APw-rfe/&AMQ-", "&ZeVnLIqe-/x"),
    cross("ampersand", "a &- b", "&-", "&-&-x"),
    cross("spaces", "a b", "a  b/c d", "x y/z"),
    cross("quotes-and-backslashes", 'q"uote', "back\\slash", '"', "\\", 'a\\"b',
          servers=SAME),
    cross("wildcards", "a%b", "%", "x*y", "*", servers=SAME),
    cross("punctuation", "(a)", "[b]", "{3}", "{3+}", "a'b", "$c", "#d", "!f", "=g", "+h",
          "a,b", "a;b", "a:b", "a<b>", "a|b", "a?b", "a@b", "^", "`", servers=SAME),
    cross("words", "NIL", "nil", "OK", "12", "0", "-1", "LIST", "true", "INBOX2"),
    cross("case", "Abc", "abc", "ABC/x", "abc/X"),
    cross("inbox-children", "INBOX/a", "INBOX/b/c", servers=SAME),
    cross("inbox-in-another-case", "InboX2", "a/INBOX", "a/inbox", servers=SAME),
    cross("long", "x" * 200, "/".join(["level"] * 20), "&AOkA6QDpAOk- " * 8 + "x", servers=SAME),
    cross("latin-letters-only", *(chr(c) for c in range(ord("a"), ord("g")))),
    scenario("name-on-the-command-line",
             remote("create", "a b", 'q"q', "&AOk-", "b\\s", "other"),
             run("a b", 'q"q', "&AOk-", "b\\s"), servers=SAME,
             expect={"local": {"a b": 0, 'q"q': 0, "&AOk-": 0, "b\\s": 0},
                     "remote": {"a b": 0, 'q"q': 0, "&AOk-": 0, "b\\s": 0, "other": 0}}),
    scenario("name-with-a-literal", remote("create", "plain"), run(),
             step("wire", "remote", {"on": "server", "match": r'^(\* LIST .*) plain\r\n',
                                     "replace": "\\1 {5}\r\nplain\r\n"}),
             remote("append", "plain", 1), run(), expect={"both": {"plain": 1}}),
    scenario("keywords-odd", remote("append", "INBOX", 2, flags=("$Forwarded", "a.b-c_d", "x;y")),
             run(), local("flag", "INBOX", (0,), "+", "k" * 40, "&x"), run(),
             expect={"both": {"INBOX": 2}}),
    scenario("message-odd-bytes",
             remote("body", "INBOX", b"Subject: a\r\n\r\n" + bytes(range(1, 10)) + b"\xff\xfe\r\n",
                    b"\r\n", b"no header at all", b"a: b\n\nbare line feeds\n",
                    b"Subject: \xc3\xa9\r\n\r\n\xe9\r\n", b"Subject: dots\r\n\r\n.\r\n..\r\n",
                    b"Message-ID:\r\n\r\n", b"x" * 5000),
             run(), local("body", "INBOX", b"Subject: b\r\n\r\n\x80\x81\r\n"), run(),
             expect={"both": {"INBOX": 9}}),
    scenario("dates-at-the-edges", remote("dated", "INBOX", 3600, 86400, 951782400, 1700000000),
             run(), local("dated", "INBOX", 1, 1709210096), run(),
             expect={"both": {"INBOX": 6}}),
)
