# SPDX-License-Identifier: MIT
"""Which mailboxes, and under which names: references, patterns, exclusions, delimiters, and odd names."""

import re

import pytest

from . import messages
from .fake import Box, Fake
from .imap import quote
from .interimap import connect


def make(dovecot, *names, subscribed=(), count=1):
    """Create mailboxes, levels joined by "/", with a message each."""
    with connect(dovecot) as client:
        for name in names:
            wire = name.replace("/", dovecot.separator)
            if name != "INBOX":
                client.cmd("CREATE", quote(wire))
            for number in range(count):
                client.append(wire, messages.message(f"{name} {number}").body)
        for name in subscribed:
            client.cmd("SUBSCRIBE", quote(name.replace("/", dovecot.separator)))


def held(dovecot):
    """name (levels joined by "/") -> number of messages, of what can be selected."""
    with connect(dovecot) as client:
        return {"/".join(name): sum(mails.values())
                for name, mails in client.state().mailboxes.items()}


def with_options(one, local=(), remote=(), **default):
    one.sections[""] = {**one.sections[""], **{name.replace("_", "-"): value
                                               for name, value in default.items()}}
    one.sections["local"] = {**one.sections["local"], **dict(local)}
    one.sections["remote"] = {**one.sections["remote"], **dict(remote)}
    one.write()
    return one


# References.

def test_reference_on_either_side(pair, interimap):
    """What is below the reference of one side is what is below that of the other."""
    local, remote = pair
    make(remote, "in/a", "in/a/b", "other")
    make(local, "perso/x/c", "elsewhere")
    one = with_options(interimap(local, remote), {"list-reference": "perso.x."},
                       {"list-reference": "in/"})
    one.sync()
    assert held(local) == {"INBOX": 0, "elsewhere": 1, "perso/x/a": 1, "perso/x/a/b": 1,
                           "perso/x/c": 1}
    assert held(remote) == {"INBOX": 0, "other": 1, "in/a": 1, "in/a/b": 1, "in/c": 1}
    assert set(one.mailboxes()) == {"a", "a/b", "c"}  # without either reference
    make(local, "perso/x/a/new", subscribed=["perso/x/a/new"])
    one.sync("a.new")
    assert held(remote)["in/a/new"] == 1
    with connect(remote) as client:
        assert "\\subscribed" in client.list()["in/a/new"]
    one.sync()
    assert not [line for line in one.sent() if " SELECT " in line]


def test_commands_below_a_reference(pair, interimap):
    local, remote = pair
    make(remote, "a", "b/c")
    one = with_options(interimap(local, remote), {"list-reference": "perso."},
                       ignore_mailbox="^INBOX$")
    one.sync()
    one.sync("--rename", "b", "d")
    assert {"perso/a", "perso/d/c"} <= set(held(local))
    assert {"a", "d/c"} <= set(held(remote))
    one.sync("--delete", "a")
    assert "perso/a" not in held(local) and "a" not in held(remote)
    one.sync()


def test_two_instances_on_one_store(dovecot, interimap):
    """Each keeps its own part of the store the same as its own remote, also at the same time."""
    local = dovecot("local", separator=".", format="maildir")
    instances = []
    for number in (1, 2):
        remote = dovecot(f"remote{number}", separator="/", format="sdbox")
        make(remote, "INBOX", "a", f"only{number}", count=number)
        one = with_options(interimap(local, remote), {"list-reference": f"r{number}."})
        instances.append((one, remote))
    # The levels of the references are there before two clients make them at once.
    make(local, "r1", "r2")
    for running in [one.start() for one, _ in instances]:
        assert running.wait().code == 0
    expected = {"INBOX": 0, "r1": 1, "r2": 1, "r1/INBOX": 1, "r2/INBOX": 2, "r1/a": 1, "r2/a": 2,
                "r1/only1": 1, "r2/only2": 2}
    assert held(local) == expected
    # A deletion concerns one of them alone.
    with connect(local) as client:
        client.select("r1.a")
        client.expunge(client.uids())
    for one, remote in instances:
        one.sync()
        assert not [line for line in one.sent() if " SELECT " in line]
    assert [held(remote)["a"] for _, remote in instances] == [0, 2]
    assert held(local) == {**expected, "r1/a": 0}


# list-mailbox.

@pytest.fixture
def fakes(interimap):
    """fakes(local_boxes, remote_boxes) -> (local, remote, the program between them)."""
    made = []

    def start(*boxes, delimiters=("/", "/")):
        servers = [Fake({**box, "INBOX": Box()} if isinstance(box, dict) else
                        {name: Box(uidvalidity=number + 1) for number, name in
                         enumerate(["INBOX", *box])}) for box in boxes]
        made.extend(servers)
        for server, delimiter in zip(servers, delimiters):
            server.delimiter = delimiter
        sections = [{"type": "imap", "host": "127.0.0.1", "port": server.port, "STARTTLS": "NO",
                     "username": "u", "password": "p"} for server in servers]
        return (*servers, interimap(*sections))

    yield start
    for one in made:
        one.stop()


def asked(server):
    """(selection options, patterns) of the LIST commands that ask for mailboxes, as bytes."""
    found = []
    for words in server.sent("LIST"):
        if words[-1] == b"":
            continue
        at = next(number for number, word in enumerate(words) if word == "RETURN")
        patterns = [word.encode("latin-1") if isinstance(word, str) else word
                    for word in words[at - 1]]
        options = [option.upper() for option in words[0]] if isinstance(words[0], list) else []
        found.append((options, patterns))
    return found


@pytest.mark.parametrize("value,patterns", [
    (None, [b"*"]),
    ("*", [b"*"]),
    ("INBOX", [b"INBOX"]),
    ("a  b%\tc*", [b"a", b"b%", b"c*"]),
    ('"a b" "c" d', [b"a b", b"c", b"d"]),
    (r'"\x00foo\x00*"', [b".foo.*"]),
    (r'"foo\x00bar" x', [b"foo.bar", b"x"]),
    (r'"a\"b" "c\\d"', [b'a"b', b"c\\d"]),
    (r'"\t" "\x7f"', [b"\t", b"\x7f"]),
    (r'"a\nb" "a\rb" "a\x0d\x0aA1 LOGOUT"', [b"a\nb", b"a\rb", b"a\r\nA1 LOGOUT"]),
    (r'"\xE9\xff" "\351"', [b"\xe9\xff", b"\xe9"]),
    (r'"\a\b\e\f\v"', [b"\a\b\x1b\f\v"]),
    ('"(" "{3}" "[x]" "NIL" NIL', [b"(", b"{3}", b"[x]", b"NIL", b"NIL"]),
    ("&AOk-t&AOk- foo/bar", [b"&AOk-t&AOk-", b"foo/bar"]),
])
def test_patterns_on_the_wire(fakes, value, patterns):
    local, remote, one = fakes([], [], delimiters=(".", "/"))
    if value is not None:
        with_options(one, list_mailbox=value)
    one.sync()
    assert asked(local) == [([], patterns)]
    assert asked(remote) == [([], [pattern.replace(b".", b"/") for pattern in patterns])]


@pytest.mark.parametrize("value", ['"foo', '"a"b', r'"\q"', r'"\x0"', 'a"b', '""', r'"\400"',
                                   "caf\u00e9", "a\\b"])
def test_patterns_that_are_none(fakes, value):
    local, remote, one = fakes([], [])
    with_options(one, list_mailbox=value)
    result = one.run()
    assert result.code == 1
    assert re.search(rf"{re.escape(one.config)}:\d+: list-mailbox: ", result.err), result.err
    assert not local.connections and not remote.connections


def test_many_names_on_the_command_line(fakes):
    """They are asked for in lines that any server takes (RFC 7162 section 4)."""
    names = [f"{'x' * 200}/{number:04}" for number in range(600)]
    local, remote, one = fakes(names, names)
    one.sync(*names)
    for server in (local, remote):
        commands = asked(server)
        assert [pattern.decode() for _, patterns in commands for pattern in patterns] == names
        assert all(len(line) < 8000 for line in server.lines)
        assert len(commands) < 30


def test_names_are_told_with_the_local_delimiter(fakes):
    local, remote, one = fakes([], [], delimiters=(".", "/"))
    one.sync("a.b", "c/d", "x*", "%", "inbox")
    assert asked(local)[0][1][:4] == [b"a.b", b"c/d", b"x*", b"%"]
    assert asked(remote)[0][1][:1] == [b"a/b"]


def test_patterns_and_mailboxes(pair, interimap):
    local, remote = pair
    names = ["a", "a/b", "a/b/c", "ab", "b", 'q"q', "s p", "w"]
    make(remote, *names)
    one = interimap(local, remote)
    wanted = set()
    for value, more in ((r'"s p" "q\"q"', {"s p", 'q"q'}), ("a%", {"a", "ab"}),
                        (r'"a\x00%"', {"a/b"}), (r'"\x61*"', {"a/b/c"})):
        with_options(one, list_mailbox=value).sync()
        wanted |= more
        assert set(held(local)) == {"INBOX"} | wanted
    with_options(one, list_mailbox="w", ignore_mailbox=".").sync("b")
    assert set(held(local)) == {"INBOX", "b"} | wanted


@pytest.mark.parametrize("value,options", [
    ("SUBSCRIBED", ["SUBSCRIBED"]), ("subscribed  Recursivematch", ["SUBSCRIBED", "RECURSIVEMATCH"]),
    ("REMOTE", ["REMOTE"]), (None, []),
])
def test_selection_on_the_wire(fakes, value, options):
    local, remote, one = fakes(["a"], ["a"])
    if value:
        with_options(one, list_select_opts=value)
    one.sync()
    assert asked(local) == asked(remote) == [(options, [b"*"])]
    one.sync("a")
    assert asked(local)[-1] == ([], [b"a"])  # names given bypass it


def test_selection_of_what_is_subscribed(pair, interimap):
    local, remote = pair
    make(remote, "a", "b/c", subscribed=["b/c"])
    make(local, "d", "e", subscribed=["e"])
    one = with_options(interimap(local, remote), list_select_opts="SUBSCRIBED")
    one.sync()
    assert set(held(local)) == {"INBOX", "d", "e", "b/c"}
    assert set(held(remote)) == {"INBOX", "a", "e", "b/c"}
    # What is no longer subscribed is no longer looked at, on either side.
    with connect(remote) as client:
        client.cmd("UNSUBSCRIBE b/c")
        client.append("b/c", messages.message("later").body)
    one.run()
    assert held(local)["b/c"] == 1


def test_ignored(pair, interimap):
    """NUL stands for the delimiter; names are looked at without the reference, as on the wire."""
    local, remote = pair
    make(remote, "in/virtual", "in/virtual/a", "in/virtually", "in/x/Trash", "in/&AOk-", "in/e")
    make(local, "virtual/mine")
    one = with_options(interimap(local, remote), remote={"list-reference": "in/"},
                       ignore_mailbox=r"^virtual(?:\x00|$)|\x00(?i:trash)$|&AOk-")
    one.sync()
    assert set(held(local)) == {"INBOX", "virtual/mine", "virtually", "e"}
    assert "in/virtual/mine" not in held(remote) and "in/INBOX" in held(remote)
    one.sync("x.Trash", "virtual")
    assert {"x/Trash", "virtual"} <= set(held(local)) and "virtual/a" not in held(local)
    # Both are known by now; ignored again, they may even disappear.
    with connect(remote) as client:
        client.cmd("DELETE in/x/Trash")
    assert one.run().code == 0


# Delimiters.

@pytest.mark.parametrize("delimiters", ["^|", "/.", "~!", "//"])
def test_delimiters(dovecot, interimap, delimiters):
    sides = [dovecot(name, separator=separator, format="sdbox")
             for name, separator in zip(("local", "remote"), delimiters)]
    make(sides[0], "a/b/c", "d", subscribed=["a/b/c"])
    make(sides[1], "e/f", "d/g", subscribed=["e/f"])
    one = interimap(*sides)
    one.sync()
    one.assert_equal(*sides)
    assert set(held(sides[0])) == {"INBOX", "a/b/c", "d", "e/f", "d/g"}
    one.assert_noop(*sides)


def test_delimiters_that_change(dovecot, interimap):
    """The server may change it at any time: mailboxes and messages stay what they are."""
    sides = [dovecot("local", separator=".", format="sdbox"),
             dovecot("remote", separator="/", format="sdbox")]
    make(sides[1], "a/b/c", "a/d", subscribed=["a/d"], count=3)
    one = interimap(*sides)
    one.sync()
    for separators in (".^", "/.", "^/"):
        for server, separator in zip(sides, separators):
            server.configure(separator=separator)
            server.restart()
        one.assert_noop(*sides)
        name = f"a/new{ord(separators[0])}"
        make(sides[0], name)
        with connect(sides[1]) as client:
            client.append(f"a{separators[1]}d", messages.message(separators).body)
        one.sync()
        one.assert_equal(*sides)
        assert name in held(sides[1])
    assert held(sides[0])["a/d"] == 6
    assert b"a\0b\0c" in {row[0] for row in one.query("SELECT mailbox FROM mailboxes")}


def test_the_other_delimiter_in_a_name(dovecot, interimap):
    """It would become another mailbox over there: that one is named, the others are done."""
    local = dovecot("local", separator="/", format="sdbox")
    remote = dovecot("remote", separator=".", format="sdbox")
    make(local, "a.b", "good")
    make(remote, "x/y", "c/d")  # x.y and c.d there
    one = interimap(local, remote)
    result = one.run()
    assert result.code == 1
    assert re.search(r"\(a\.b\): .*name", result.err), result.err
    assert set(held(remote)) == {"INBOX", "x/y", "c/d", "good"}
    assert set(held(local)) == {"INBOX", "x/y", "c/d", "good", "a.b"}
    with connect(local) as client:
        client.cmd("RENAME a.b ab")
    one.sync()
    one.assert_equal(local, remote)


@pytest.mark.parametrize("delimiters", [("/", None), (None, ".")])
def test_flat_against_hierarchical(fakes, delimiters):
    local, remote, one = fakes(["a"], ["b"], delimiters=delimiters)
    result = one.run()
    assert result.code == 1
    assert "flat" in result.err and "hierarchy" in result.err
    assert set(local.boxes) == {"INBOX", "a"} and set(remote.boxes) == {"INBOX", "b"}


def test_flat_on_both_sides(fakes):
    """No character has a meaning of its own."""
    local, remote, one = fakes(["a/b", "c.d"], ["e/f.g"], delimiters=(None, None))
    one.sync()
    assert set(local.boxes) == set(remote.boxes) == {"INBOX", "a/b", "c.d", "e/f.g"}
    one.sync("a/b")
    assert asked(remote)[-1] == ([], [b"a/b"])
    # \x00 stands for a delimiter, and there is none: a NUL must not go out.
    with_options(one, list_mailbox=r'"a\x00b" c.d').sync()
    assert len(asked(remote)[-1][1]) == 2 and not any(b"\0" in word for word in asked(remote)[-1][1])


# Names.

def test_every_byte(fakes):
    """All that a name may hold on the wire, except the delimiters; CR, LF and NUL it may not."""
    names = [f"<{chr(code)}>" for code in range(1, 256) if chr(code) not in "\r\n/."]
    names += [chr(code) for code in range(1, 256) if chr(code) not in "\r\n/."]
    names += ["NIL", "nil", "{3}", "{3+}", "~{3}", "*", "%", "&-", "INBOX x", "x" * 900, '""', "\\\\"]
    half = len(names) // 2
    local, remote, one = fakes({}, {}, delimiters=(".", "/"))
    for number, name in enumerate(names):
        box = Box(uidvalidity=number + 10)
        box.add(messages.message(f"byte {number}").body)
        (local if number < half else remote).boxes[name] = box
    one.sync()
    assert sorted(set(local.boxes) ^ set(remote.boxes)) == []
    assert len(local.boxes) == len(set(names)) + 1
    for name in names:
        here, there = local.boxes[name], remote.boxes[name]
        assert [mail.body for mail in here.mails.values()] == \
            [mail.body for mail in there.mails.values()], name
    rows = {row[0] for row in one.query("SELECT mailbox FROM mailboxes")}
    assert rows == {name.encode("latin-1") for name in [*names, "INBOX"]}
    for server in (local, remote):
        server.connections.clear()
    one.sync()
    assert not local.sent("SELECT") and not remote.sent("SELECT")


def test_names_that_may_not_be(fakes):
    """They are left alone, which is said."""
    local, remote, one = fakes([], ["a\rb", "c\nd", "x" * 5000, "good"])
    result = one.run()
    assert set(local.boxes) == {"INBOX", "good"}
    assert result.code == 1
    assert re.search("^remote: .*left alone: 3 mailbox", result.err, re.MULTILINE), result.err


def test_every_byte_that_a_server_takes(dovecot, interimap):
    """What one Dovecot lets be made arrives at the other; what that one refuses is named."""
    sides = [dovecot("local", separator=".", format="maildir"),
             dovecot("remote", separator="/", format="sdbox")]
    for side, prefix in zip(sides, "lr"):
        with connect(side) as client:
            for code in range(1, 128):
                if chr(code) not in "\r\n/.":
                    name = f"{prefix}{chr(code)}x" if chr(code) != "&" else f"{prefix}&-x"
                    client.cmd("CREATE", quote(name), check=False)
            client.cmd("CREATE", quote(prefix + "&AOll5Q-"))
    one = interimap(*sides)
    result = one.run()
    here, there = (set(held(side)) for side in sides)
    made = len(here | there)
    assert made > 150
    for name in here ^ there:
        assert re.search(rf"\({re.escape(name)}\): .*refused", result.err), (name, result.err)
    assert result.code == (1 if here ^ there else 0)
