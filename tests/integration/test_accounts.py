# SPDX-License-Identifier: MIT
"""Several accounts in one process: two remote servers, one local store, one proxy.

The account "home" has what is below no list-reference of another, "work" what is below Work/.
"""

import json
import os
import re
import signal

import pytest

from .imap import Imap, quote
from .inline import digests, eventually, numbered
from .interimap import connect, imap, proxy_section
from .ports import free_port


def config(path, **sections):
    """A configuration file; `default` are the options before any section."""
    lines = [f"{name} = {value}" for name, value in sections.pop("default", {}).items()]
    for section, options in sections.items():
        lines += [f"[{section}]", *(f"{name} = {value}" for name, value in options.items())]
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write("\n".join(lines) + "\n")


class Accounts:
    """`interimap --proxy` with two accounts."""

    def __init__(self, interimap, home, work):
        self.one = interimap({}, {"type": "tunnel", "command": "false"})
        self.folder = self.one.folder
        self.files = [os.path.join(self.folder, name) for name in ("home.conf", "work")]
        self.log = os.path.join(self.folder, "log")
        self.proxy = proxy_section()
        self.home, self.work = home, work
        self.port = int(self.proxy["listen"].rsplit(":", 1)[1])
        self.write()
        self.running = None

    def write(self, home=None, work=None, proxy=None):
        """Both files; the arguments add to their default sections, and to [proxy]."""
        store = {"type": "maildir", "path": f"{self.folder}/Mail"}
        config(self.files[0], default={"database": f"{self.folder}/home.db", "logfile": self.log,
                                       **(home or {})},
               local=store, remote=imap(self.home), proxy={**self.proxy, **(proxy or {})})
        config(self.files[1], default={"database": os.path.join(self.folder, "work.db"), **(work or {})},
               local={**store, "list-reference": "Work/"}, remote=imap(self.work))

    def arguments(self):
        return ["--proxy", *(f"--config={path}" for path in self.files)]

    def start(self, *more):
        self.running = self.one.start(*self.arguments(), *more)
        self.running.wait_for("listening on")

    def stop(self):
        result = self.running.stop()
        assert result.code == 0, result.err
        return result

    def client(self):
        client = Imap(port=self.port)
        client.login(self.proxy["username"], self.proxy["password"])
        return client

    def both_rest(self, after=""):
        """Both have said that they are up to date, since this was said."""
        for name in ("home", "work"):
            self.running.wait_for(rf"{after}[\s\S]*^{name}: up to date", timeout=40)

    def nothing_to_do(self):
        """Another start opens no mailbox, on either side of either account.

        It is preceded by one that finishes what was under way when the program was stopped.
        """
        self.start()
        self.both_rest()
        self.stop()
        if os.path.exists(self.log):
            os.unlink(self.log)
        self.start("--debug")
        self.both_rest()
        self.stop()
        with open(self.log, encoding="utf-8") as file:
            said = re.findall(r"\b(home|work)/(local|remote)\b[^\n]*?\bC: (.*)", file.read())
        assert {(name, side) for name, side, _ in said} == {
            (name, side) for name in ("home", "work") for side in ("local", "remote")}
        opened = [line for line in said if re.match(r"\S+ (SELECT|EXAMINE)\b", line[2])]
        assert not opened, f"there was something to do: {opened}"


@pytest.fixture
def servers(dovecot):
    return dovecot("home", separator="/", format="sdbox"), dovecot("work", separator=".",
                                                                   format="maildir")


@pytest.fixture
def accounts(interimap, servers):
    return Accounts(interimap, *servers)


def holds(client, mailbox):
    """The bodies of a mailbox; None if it is not there."""
    if client.select(mailbox, check=False).status != "OK":
        return None
    uids = client.uids()
    return sorted(digest for digest, _, _ in client.snapshot(mailbox).values()) if uids else []


def holds_eventually(server, mailbox, bodies, seconds=20):
    with connect(server) as there:
        eventually(lambda: holds(there, mailbox) == sorted(bodies), seconds, mailbox)


def subjects(server):
    with connect(server) as there:
        return set(there.list())


def test_each_account_has_mailboxes_of_its_own(accounts):
    old, new, other = (list(numbered(name, 3)) for name in ("old", "new", "other"))
    with connect(accounts.home) as there:
        there.append_all("INBOX", old)
    with connect(accounts.work) as there:
        there.append_all("INBOX", new)
        there.cmd("CREATE Projects.One")
        there.append_all("Projects.One", other)
    accounts.start()
    accounts.both_rest()
    with accounts.client() as client:
        assert holds(client, "INBOX") == sorted(digests(old))
        assert holds(client, "Work/INBOX") == sorted(digests(new))
        assert holds(client, "Work/Projects/One") == sorted(digests(other))
        # What the client makes, each at its own.
        client.cmd("CREATE Mine")
        client.cmd("SUBSCRIBE Mine")
        client.cmd("CREATE Work/Ours")
        client.append_all("Mine", other)
        client.append_all("Work/Ours", old)
        holds_eventually(accounts.home, "Mine", digests(other))
        holds_eventually(accounts.work, "Ours", digests(old))
        # Flags and a move within an account.
        client.select("Work/INBOX")
        uids = client.uids()
        client.store(uids[:1], "+", ("\\Flagged",))
        client.cmd("UID MOVE", str(uids[1]), "Work/Projects/One")
        with connect(accounts.work) as there:
            eventually(lambda: len(holds(there, "Projects.One")) == 4, 20)
            eventually(lambda: len(holds(there, "INBOX")) == 2, 20)
            eventually(lambda: sum("\\flagged" in flags for _, _, flags
                                   in there.snapshot("INBOX").values()) == 1, 20)
        # And a whole tree renamed.
        client.cmd("RENAME Work/Projects Work/Done")
        holds_eventually(accounts.work, "Done.One", holds(client, "Work/Done/One"))
        eventually(lambda: "Projects.One" not in subjects(accounts.work), 20)
    assert subjects(accounts.home) == {"INBOX", "Mine"}
    assert subjects(accounts.work) >= {"INBOX", "Ours", "Done.One"}
    assert not [name for name in subjects(accounts.work) if "Mine" in name or "Work" in name]
    accounts.stop()
    accounts.nothing_to_do()


def test_from_one_account_to_the_other(accounts):
    """A move or a copy between them is an expunge at the one, and new mail at the other."""
    mail = list(numbered("travels", 2))
    with connect(accounts.home) as there:
        there.append_all("INBOX", mail)
    accounts.start()
    accounts.both_rest()
    first, second = (digests([one])[0] for one in mail)
    with accounts.client() as client:
        client.select("INBOX")
        uids = client.uids()
        client.cmd("UID MOVE", str(uids[0]), "Work/INBOX")
        client.cmd("UID COPY", str(uids[1]), "Work/INBOX")
        holds_eventually(accounts.work, "INBOX", [first, second])
        holds_eventually(accounts.home, "INBOX", [second])
        # A mailbox, too, that changes its owner.  What the store told of it by NOTIFY was, one time in
        # six, carried out at the remote server of its former owner: there it was called Work/Box.
        client.cmd("CREATE Box")
        client.append_all("Box", mail)
        holds_eventually(accounts.home, "Box", [first, second])
        client.cmd("RENAME Box Work/Box")
        holds_eventually(accounts.work, "Box", [first, second])
        accounts.running.wait_for(r"home/local\(Box\): ERROR: the mailbox disappeared|"
                                  r"home/remote\(Box\): Deleted")
    accounts.stop()
    accounts.start()
    accounts.both_rest()
    accounts.stop()
    # It is gone here: kept there and said, or deleted there, as the store told of it; nothing else.
    assert {"INBOX"} <= subjects(accounts.home) <= {"INBOX", "Box"}
    holds_eventually(accounts.work, "Box", [first, second])


def test_one_remote_is_down_and_comes_back(accounts):
    accounts.work.stop()
    accounts.start()
    accounts.running.wait_for(r"^work/remote: .*trying again", timeout=30)
    mail = list(numbered("while it is down", 2))
    with accounts.client() as client:
        client.append_all("INBOX", mail)
        holds_eventually(accounts.home, "INBOX", digests(mail))
        # The other's mailboxes take what is put there, and keep it until it is back.
        client.cmd("CREATE Work/Later")
        client.append_all("Work/Later", mail)
        accounts.work.start()
        holds_eventually(accounts.work, "Later", digests(mail), 40)
        accounts.home.stop()
        client.append_all("Work/Later", mail[:1])
        holds_eventually(accounts.work, "Later", digests(mail + mail[:1]))
        accounts.home.start()
        client.append_all("INBOX", mail[:1])
        holds_eventually(accounts.home, "INBOX", digests(mail + mail[:1]), 40)
    accounts.stop()
    accounts.nothing_to_do()


def test_one_that_cannot_begin_is_left_out_until_sighup(accounts):
    mail = list(numbered("left out", 2))
    accounts.write(work={"database": accounts.folder})      # which is a folder
    with connect(accounts.work) as there:
        there.append_all("INBOX", mail)
    accounts.start()
    assert re.search(r"^work: .*left out until SIGHUP", accounts.running.err(), re.MULTILINE)
    with accounts.client() as client:
        client.append_all("INBOX", mail)
        holds_eventually(accounts.home, "INBOX", digests(mail))
        accounts.write()
        os.kill(accounts.running.pid, signal.SIGHUP)
        eventually(lambda: holds(client, "Work/INBOX") == sorted(digests(mail)), 20)
    # What runs is not given up for a file that is wrong, whichever it is.
    accounts.write(work={"database": accounts.folder})
    os.kill(accounts.running.pid, signal.SIGHUP)
    accounts.running.wait_for("nothing has changed")
    with accounts.client() as client:
        client.append_all("Work/INBOX", mail[:1])
        holds_eventually(accounts.work, "INBOX", digests(mail + mail[:1]))
    accounts.stop()
    accounts.write()
    accounts.nothing_to_do()


def test_nothing_begins_where_no_account_can(accounts):
    accounts.write(home={"database": accounts.folder}, work={"database": "/dev/null/x"})
    result = accounts.one.run(*accounts.arguments())
    assert result.code == 1
    assert "none of the accounts can begin" in result.err


def test_what_is_not_possible_together(accounts):
    assert accounts.one.run(*accounts.arguments()[1:]).code == 1
    accounts.write(work={"database": f"{accounts.folder}/home.db"})
    result = accounts.one.run(*accounts.arguments())
    assert result.code == 1 and f"{accounts.files[1]}: the database is" in result.err


def test_passwords_and_addresses_change_for_both(accounts):
    accounts.start()
    accounts.both_rest()
    mail = list(numbered("over", 1))
    with accounts.client() as client:
        accounts.port = free_port()
        accounts.write(proxy={"listen": f"127.0.0.1:{accounts.port}", "password": "another"})
        os.kill(accounts.running.pid, signal.SIGHUP)
        accounts.both_rest("configuration was read again")
        accounts.proxy["password"] = "another"
        with accounts.client() as second:
            second.append_all("Work/INBOX", mail)
        # The first one is still there, and hears of it.
        client.cmd("SELECT", quote("Work/INBOX"))
        assert len(client.uids()) == 1
    holds_eventually(accounts.work, "INBOX", digests(mail))
    accounts.stop()


def test_commands_are_about_one_account(accounts):
    """Each has a socket of its own, before and after SIGHUP."""
    def status(path):
        result = accounts.one.run(f"--config={path}", "--status=json")
        assert result.code == 0, result.err
        return json.loads(result.out)

    accounts.start()
    accounts.both_rest()
    with connect(accounts.work) as there:
        there.cmd("CREATE Only")
    for after in ("", "configuration was read again"):
        accounts.both_rest(after)
        home, work = (status(path) for path in accounts.files)
        assert home["pid"] == work["pid"] == accounts.running.pid
        assert home["database"].endswith("/home.db") and work["remote"]["state"] == "connected"
        assert [box["name"] for box in home["mailboxes"]] == ["INBOX"]
        if not after:
            os.kill(accounts.running.pid, signal.SIGHUP)
    result = accounts.one.run(f"--config={accounts.files[1]}", "--delete", "Only")
    assert result.code == 0, result.err
    with connect(accounts.work) as there:
        assert "Only" not in there.list()
    assert accounts.one.run("--status", "--config=nowhere").code == 1
    accounts.stop()
    accounts.nothing_to_do()
