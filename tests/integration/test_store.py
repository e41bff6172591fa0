# SPDX-License-Identifier: MIT
"""The embedded store: what mailboxes may be called, where their mail is, and former layouts."""

import mailbox
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from . import messages, store
from .dovecot import libexec, version
from .fake import Box, Fake
from .imap import Imap, differences, quote
from .interimap import imap, program, proxy_section, state
from .service import AWAY

# What is, or was, a file of the store, a part of a Maildir, or special to file systems or Dovecot.
NAMES = ["subscriptions", "dovecot-uidvalidity", "dovecot.list.index.log", "dovecot.index",
         "dbox-Mails", "maildirfolder", "mailboxes", "mailboxes/Maildir", "Maildir",
         "Maildir/Maildir", "cur", "new/tmp", "tmp", "x/cur", "INBOX/sub", "INBOX/INBOX", ".", "..",
         "x/..", "x/../y", ".hidden", "a.b", "~", "~x/~y", "~interimap", "~mailboxes/x", "%41", "%",
         "\\7ex", "\\", "sp ace ", " lead", "*", "caf&AOk-", "a&-b", "&ZeVnLIqe-/&U,BTFw-",
         "n" * 255, "p" * 200 + "/" + "q" * 200, "/".join("deep" for _ in range(15))]


@pytest.fixture
def remote():
    """A server that may have any name."""
    boxes = {name: Box() for name in ["INBOX", *NAMES]}
    for name, box in boxes.items():
        box.add(messages.message(name).body)
    with Fake(boxes) as server:
        yield server


def make_store(interimap, remote):
    one = interimap(None, remote)
    one.sections["local"] = store.section(one)
    one.write()
    return one


def assert_noop(one):
    opened = [line for line in one.sent() if re.match(r"\w+: \S+ (SELECT|EXAMINE)\b", line)]
    assert not opened, f"a run with nothing to do opened {opened}"


def there(server):
    return {"type": "imap", "host": "127.0.0.1", "port": server.port, "STARTTLS": "NO",
            "username": "user", "password": "secret"}


def counts(client):
    """name -> how many messages."""
    reply = client.cmd('LIST "" "*" RETURN (STATUS (MESSAGES))')
    return {_text(word): int(items[1]) for _, word, items in reply.of("STATUS")}


def _text(word):
    return word if isinstance(word, str) else word.decode()


def test_every_name(interimap, remote):
    """A mailbox called "subscriptions" at the remote server became a directory where Dovecot keeps
    that file, and every LIST of the local side was refused from then on; others were refused."""
    one = make_store(interimap, there(remote))
    one.sync()
    with store.client(one) as client:
        assert counts(client) == {name: 1 for name in ["INBOX", *NAMES]}
        for name in NAMES:
            client.cmd("SUBSCRIBE", quote(name))
        assert {_text(word[-1]) for word in client.cmd('LSUB "" "*"').of("LSUB")} >= set(NAMES)
        for name in ["subscriptions", "cur", "Maildir", ".."]:      # both ways
            client.cmd("RENAME", quote(name), "other")
            client.cmd("RENAME", "other", quote(name))
        assert counts(client) == {name: 1 for name in ["INBOX", *NAMES]}
    one.sync()
    assert_noop(one)


def test_names_that_cannot_be(interimap):
    """They are told, and the rest goes on."""
    bad = ["a//b", "/lead", "n" * 256, "x/" + "~" + "m" * 254]
    boxes = {name: Box() for name in ["INBOX", "good", *bad]}
    for name, box in boxes.items():
        box.add(messages.message(name).body)
    with Fake(boxes) as server:
        one = make_store(interimap, there(server))
        result = one.run()
    assert result.code != 0
    for name in bad:
        assert any("ERROR" in line and name in line for line in result.err.splitlines()), result.err
    with store.client(one) as client:
        assert counts(client) == {"INBOX": 1, "good": 1}


def test_where_mail_is(interimap, remote):
    """The place is documented, for programs that read Maildirs."""
    one = make_store(interimap, there(remote))
    one.sync()
    for name in ("INBOX", "subscriptions", "new/tmp", "\\4daildir/\\4daildir", "\\2e.", "\\7e"):
        maildir = mailbox.Maildir(f"{one.folder}/Mail/mailboxes/{name}/Maildir", create=False)
        assert len(maildir) == 1, name


def test_clients_of_a_new_store(interimap):
    """Whoever found no INBOX made it, and of two of them one was told that it exists already, or
    lost its connection."""
    one = interimap(None, AWAY, proxy=proxy_section())
    one.sections["local"] = store.section(one)
    one.write()
    running = one.start("--proxy")
    running.wait_for("listening")

    def look(_):
        with Imap(port=int(one.sections["proxy"]["listen"].rsplit(":", 1)[1])) as client:
            client.login("me", "local secret")
            client.select("INBOX")
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(look, range(12)))
    assert running.stop().code == 0
    assert not re.search("local.*ERROR", running.err()), running.err()


FORMER = ["a.b", ".hidden", "~x/y", "Lists", "Lists/C/deep", "Maildir/Maildir", "mailboxes",
          "mailboxes/x", "x/dovecot.index", "INBOX/sub", "%41", "\\7ex", "sp ace ", "n" * 255]


def test_former_layout(interimap, dovecot):
    """Moved over by the next run, with UIDs, flags, keywords, subscriptions and mod-sequences: it
    opens nothing."""
    escape = ("  mail_plugins = $mail_plugins listescape" if version() == (2, 3)
              else "  mailbox_list_storage_escape_char = \"\\\\\"")
    server = dovecot("remote", separator="/", format="sdbox", imap=escape)
    one = interimap(None, imap(server))
    former = store.former(one)
    one.sections["local"] = {"type": "tunnel", "command": former}
    one.write()
    with Imap(command=former) as client:
        for name in ["INBOX", *FORMER]:
            if name != "INBOX":
                client.cmd("CREATE", quote(name))
                client.cmd("SUBSCRIBE", quote(name))
            client.append_all(name, [messages.message(f"{name} {n}") for n in range(3)])
            client.select(name)
            client.store([1, 2], "+", ["\\Seen", "important"])
            client.store([2], "+", ["\\Deleted"])
            client.expunge([2])
    one.sync()
    with Imap(command=former) as client:
        before, levels = client.state(), client.cmd(
            'LIST "" "*" RETURN (STATUS (UIDVALIDITY UIDNEXT HIGHESTMODSEQ MESSAGES))').of("STATUS")
        uids = {name: client.uids(name) for name in FORMER}
    assert len(levels) == len(FORMER) + 1
    one.sections["local"] = store.section(one)
    one.write()
    assert_noop(one)
    with store.client(one) as client:
        after = client.cmd(
            'LIST "" "*" RETURN (STATUS (UIDVALIDITY UIDNEXT HIGHESTMODSEQ MESSAGES))').of("STATUS")
        assert sorted(map(repr, after)) == sorted(map(repr, levels))
        assert {name: client.uids(name) for name in FORMER} == uids
        assert not differences(client.state(), before)
    assert not differences(state(server), before)
    assert sorted(os.listdir(f"{one.folder}/Mail/mailboxes")) == sorted(
        {"INBOX", *(name.split("/")[0] for name in FORMER)} - {"~x", "\\7ex", "Maildir"}
        | {"\\7ex", "\\5c7ex", "\\4daildir"})


def test_former_layout_at_a_standstill(interimap):
    """The folder of somebody whom a name had hit works again."""
    boxes = {name: Box() for name in ("INBOX", "subscriptions", "other")}
    for name, box in boxes.items():
        box.add(messages.message(name).body)
    with Fake(boxes) as server:
        one = interimap(None, there(server))
        one.sections["local"] = {"type": "tunnel", "command": store.former(one)}
        one.write()
        one.run()
        assert one.run().code != 0
        one.sections["local"] = store.section(one)
        one.write()
        one.sync()
        with store.client(one) as client:
            assert counts(client) == {name: 1 for name in boxes}
            client.cmd("SUBSCRIBE other")
        one.sync()
        assert_noop(one)


def test_former_layout_in_use(interimap, dovecot):
    """A service of a former version may be at work: nothing is moved below it."""
    server = dovecot("remote")
    one = interimap(None, imap(server))
    former = store.former(one)
    with Imap(command=former) as client:
        client.append("INBOX", messages.message(1).body)
    one.sections["local"] = store.section(one)
    one.write()
    # What a former version starts is named after the path: as is what this one would write.
    refused = make_name(one)
    os.rename(f"{one.folder}/former.conf", refused)
    with Imap(command=former.replace(f"{one.folder}/former.conf", refused)):
        result = one.run()
        assert result.code == 1
        assert re.fullmatch(r"ERROR: local: the mail folder \S+ is to be moved to a new layout, but "
                            r"process \d+ uses it: .*\n", result.err), result.err
        assert os.path.isdir(f"{one.folder}/Mail/cur")
    one.sync()
    with store.client(one) as client:
        assert counts(client) == {"INBOX": 1}


def installed(folder, **files):
    """The program, in a mount name space in which these programs of Dovecot are others."""
    path = os.path.join(folder, "elsewhere")
    mounts = []
    for name, text in files.items():
        target = libexec("imap") if name == "imap" else shutil.which(
            name, path="/usr/sbin:/usr/bin")
        mounts.append(f"mount --bind {folder}/{name} {target}")
        with open(f"{folder}/{name}", "w", encoding="ascii") as file:
            file.write(text or "")
        os.chmod(f"{folder}/{name}", 0o755 if text else 0o644)
    with open(path, "w", encoding="ascii") as file:
        file.write(f"#!/bin/sh\nexec unshare {'' if os.getuid() == 0 else '-r'} -m sh -c '"
                   f"{' && '.join(mounts)} && exec {program()} \"$@\"' sh \"$@\"\n")
    os.chmod(path, 0o755)
    return path


@pytest.mark.parametrize("files, said", [
    ({"imap": None}, "which is not installed: install the package dovecot-imapd"),
    ({"dovecot": "#!/bin/sh\necho 2.2.36\n"}, "needs Dovecot 2.3 or 2.4, and this machine has 2.2"),
    ({"dovecot": "#!/bin/sh\necho 2.5.0\n"}, "needs Dovecot 2.3 or 2.4, and this machine has 2.5"),
    ({"dovecot": None}, "\"dovecot --version\" says nothing: install the package dovecot-core"),
    ({"doveconf": None}, "but not the program doveconf, which it needs"),
    ({"imap": "#!/bin/sh\nexit 127\n"}, "bring dovecot-core and dovecot-imapd to the same version"),
], ids=["absent", "2.2", "2.5", "mute", "no doveconf", "half upgraded"])
def test_dovecot_that_cannot_be_used(interimap, folder, files, said):
    """One sentence, exit status 1, and nothing is written."""
    with Fake() as server:
        one = make_store(interimap, there(server))
        one.binary = installed(folder, **files)
        result = one.run()
    assert result.code == 1
    assert re.fullmatch(r"ERROR: local: [^\n]*\n", result.err) and said in result.err, result.err
    assert not os.path.exists(f"{one.folder}/Mail")
    assert not os.path.exists(one.database)
    assert not os.listdir(f"{one.folder}/run")


def make_name(one):
    """The configuration of a store, as all versions call it."""
    value = 14695981039346656037
    for byte in f"{one.folder}/Mail".encode():
        value = (value ^ byte) * 1099511628211 % (1 << 64)
    os.makedirs(f"{one.folder}/run/interimap", mode=0o700, exist_ok=True)
    return f"{one.folder}/run/interimap/dovecot-{value:016x}.conf"
