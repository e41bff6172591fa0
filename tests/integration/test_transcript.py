# SPDX-License-Identifier: MIT
"""What the store says through the proxy is what it says directly, whatever a client sends."""

import collections
import difflib
import os
import re
import shlex

import pytest

from . import transcript
from .dovecot import PASSWORD, USER
from .transcript import Line, comparable, without_hidden
from .transcript_stores import STORES

# What the proxy says in the name of a store that says nothing.
BYE = b"* BYE The mail store has closed the connection\r\n"


@pytest.fixture(scope="module", params=STORES)
def store(request, module_folder):
    folder = os.path.join(module_folder, request.param)
    os.mkdir(folder)
    one = STORES[request.param](folder)
    yield one
    result = one.stop()
    assert result.code == 0, result.err


def direct(store, script, say):
    """All that the store says itself, behind its greeting."""
    store.put_back()
    with Line.to_command(shlex.split(store.command())) as line:
        line.wait_for((b"* PREAUTH",), 0)
        say(line, [step for step in script.steps if not step.refused])
        greeting, _, said = line.rest().partition(b"\r\n")
    assert greeting.startswith(b"* PREAUTH [CAPABILITY ")
    if b"\r\n* BYE " not in said:
        said += BYE
    return comparable(without_hidden(said))


def proxied(store, script, say):
    """The same through the proxy, behind the OK of the login."""
    store.put_back()
    with Line.to_path(store.listen) as line:
        line.send(f'login LOGIN "{USER}" "{PASSWORD}"\r\n'.encode())
        if say is not transcript.pipelined:
            line.wait_for((b"login OK",), 0)
        say(line, script.steps)
        _, welcome, said = line.rest().split(b"\r\n", 2)
    assert welcome.startswith(b"login OK [CAPABILITY ")
    for step in script.steps:
        if step.refused:
            refusal = step.refused + b"\r\n"
            assert refusal in said, (step.data, said[-500:])
            said = said.replace(refusal, b"", 1)
    return comparable(said)


def shown(said):
    return [line.decode("utf-8", "backslashreplace")[:200] for line in said.split(b"\r\n")]


@pytest.mark.parametrize("way", transcript.WAYS)
@pytest.mark.parametrize("name", transcript.scripts())
def test_the_same_is_said(store, name, way):
    script = transcript.load(name, store.values)
    if not script.needs <= set(store.capabilities):
        pytest.skip(f"this machine's Dovecot has no {' '.join(script.needs)}")
    say = transcript.WAYS[way]
    expected, said = direct(store, script, say), proxied(store, script, say)
    if say is transcript.pipelined:
        # Which of several commands is answered first the store decides; the proxy holds some back.
        expected, said = (b"\r\n".join(sorted(text.split(b"\r\n"))) for text in (expected, said))
    assert said == expected, "\n".join(
        difflib.unified_diff(shown(expected), shown(said), "direct", "proxied", lineterm=""))


# That nothing is forgotten.

RFC_3501 = """CAPABILITY NOOP LOGOUT STARTTLS AUTHENTICATE LOGIN SELECT EXAMINE CREATE DELETE RENAME
SUBSCRIBE UNSUBSCRIBE LIST LSUB STATUS APPEND CHECK CLOSE EXPUNGE SEARCH FETCH STORE COPY UID""".split()

# A command that Dovecot answers with OK only if it has the extension; what is not here has a command
# of that name.
USES = {
    "ACL": "GETACL ",
    "BINARY": r"FETCH .*BINARY\.PEEK\[",
    "CATENATE": "APPEND .* CATENATE ",
    "CHILDREN": r"LIST .*RETURN \(CHILDREN",
    "COMPRESS=DEFLATE": None,       # refused by the proxy on purpose; see compress.imap
    "CONDSTORE": "STORE .*UNCHANGEDSINCE",
    "CONTEXT=SEARCH": r"SEARCH RETURN \(UPDATE ",
    "ESEARCH": r"SEARCH RETURN \(MIN MAX",
    "ESORT": r"SORT RETURN \(",
    "I18NLEVEL=1": "SEARCH CHARSET UTF-8 ",
    "IMAP4REV1": "CAPABILITY",
    "INPROGRESS": None,             # RFC 9585: what a long command may be answered with
    "LIST-EXTENDED": r"LIST \(SUBSCRIBED\) ",
    "LIST-MYRIGHTS": r"LIST .*RETURN \(MYRIGHTS",
    "LIST-STATUS": r"LIST .*RETURN \(STATUS ",
    "LITERAL+": r"APPEND .*\{\?\+\}$",
    "LOGIN-REFERRALS": None,        # RFC 2221: what a LOGIN may be answered with
    "METADATA": "SETMETADATA ",
    "MULTIAPPEND": r"APPEND Archive \{\?\+\}$",
    "PREVIEW": r"FETCH .*\(PREVIEW\)",
    "PREVIEW=FUZZY": r"FETCH .*\(PREVIEW\)",
    "QRESYNC": r"SELECT .*\(QRESYNC ",
    "QUOTA": "GETQUOTAROOT ",
    "RIGHTS=TEXK": "MYRIGHTS ",
    "SASL-IR": None,               # only before login
    "SAVEDATE": "FETCH .*SAVEDATE",
    "SEARCHRES": r"SEARCH RETURN \(SAVE",
    "SNIPPET=FUZZY": r"FETCH .*\(SNIPPET \(FUZZY",
    "SORT=DISPLAY": r"SORT \(DISPLAYFROM\)",
    "SPECIAL-USE": r"LIST \(SPECIAL-USE\) ",
    "STATUS=SIZE": r"STATUS .*\(SIZE\)",
    "THREAD=ORDEREDSUBJECT": "THREAD ORDEREDSUBJECT ",
    "THREAD=REFERENCES": "THREAD REFERENCES ",
    "THREAD=REFS": "THREAD REFS ",
    "UIDPLUS": "UID EXPUNGE [0-9]",
    "URL-PARTIAL": "APPEND .* CATENATE ",
    "WITHIN": "SEARCH OLDER ",
}


def accepted(store):
    """The commands of all scripts, as far as the store answers them with OK."""
    found = []
    for name in transcript.scripts():
        script = transcript.load(name, store.values)
        if not script.needs <= set(store.capabilities):
            continue
        said = direct(store, script, transcript.line_by_line)
        found += [command for tag, command in script.commands
                  if re.search(rb"(?m)^%s OK " % re.escape(tag.encode()), said)]
    return found


def test_every_extension_is_in_a_script(store):
    """All that the store says it can do is done."""
    commands = accepted(store)
    assert "IMAP4REV1" in store.capabilities
    for word in store.capabilities:
        use = USES.get(word, f"{word}( |$)")
        if use is not None:
            assert any(re.search(f"^(UID )?{use}", command, re.I) for command in commands), word


def test_every_command_is_in_a_script():
    commands = [command for name in transcript.scripts()
                for _, command in transcript.load(name, collections.defaultdict(int)).commands]
    assert len(commands) > 500
    for verb in RFC_3501:
        assert any(re.match(f"{verb}( |$)", command) for command in commands), verb
