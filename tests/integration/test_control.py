# SPDX-License-Identifier: MIT
"""Commands while a service holds the database: they are carried out by it, say the same, and return
the same as they do alone."""

import contextlib
import json
import os
import re
import signal
import sqlite3
import stat
import subprocess
import sys
import time

import pytest

from . import messages
from .control import Caller, mailbox, path, status
from .imap import Imap, differences
from .interimap import connect, imap, proxy_section, state, tunnel
from .service import eventually

# What looks at nothing by itself, so that only the command does.
QUIET_SERVICE = ("--watch=86400",)


class World:
    """Two accounts that are in step, and a program for them."""

    def __init__(self, name, dovecot, interimap):
        self.local = dovecot(f"{name}l", separator=".", format="maildir")
        self.remote = dovecot(f"{name}r", separator="/", format="sdbox")
        self.one = interimap({**tunnel(self.local), "null-stderr": "YES"},
                             imap(self.remote), proxy=proxy_section())
        with connect(self.remote) as client:
            client.append_all("INBOX", messages.mix("world", 6))
            client.append_all("INBOX", [messages.message(f"many {n}") for n in range(150)])
            for mailbox_name in ("a", "a/b", "a/b/c", "d", "e"):
                client.cmd(f"CREATE {mailbox_name}")
            client.append_all("d", messages.mix("d", 3))
        self.one.sync()
        self.service = None

    def serve(self, *args):
        self.service = self.one.start(*args)
        self.service.wait_for("up to date")

    def stop(self):
        if self.service is not None:
            assert self.service.stop().code == 0

    def shown(self, result):
        """What a command said, without what differs between two worlds."""
        def plain(text):
            text = text.replace(self.one.folder, "FOLDER")
            for port in (self.local.port, self.remote.port):
                text = text.replace(str(port), "PORT")
            # A service's connections are not made for the command, nor ended with it.
            return sorted(line for line in re.sub(r"\d{9,}", "UIDVALIDITY", text).splitlines()
                          if "IMAP traffic" not in line)

        return result.code, plain(result.err), plain(result.out)


@pytest.fixture
def world(dovecot, interimap):
    made = []

    def make(name="w"):
        made.append(World(name, dovecot, interimap))
        return made[-1]

    yield make


# What a command finds to do.

def nothing(_):
    pass


def mail_on_both(world):
    with connect(world.remote) as client:
        client.append_all("INBOX", messages.mix("remote", 4))
        client.append_all("a/b", messages.mix("remote b", 2))
        client.cmd("CREATE new")
    with connect(world.local) as client:
        client.append_all("d", messages.mix("local", 4))
        client.select("INBOX")
        client.store(client.uids()[:2], "+", [r"\Flagged"])


def mass_deletion(world):
    with connect(world.remote) as client:
        client.select("INBOX")
        client.expunge(client.uids()[6:])


def gone_at_the_remote(world):
    with connect(world.remote) as client:
        client.cmd("DELETE e")


def other_uidvalidity(world):
    with connect(world.local) as client:
        client.cmd("DELETE d")
        client.cmd("CREATE d")
        client.append_all("d", messages.mix("another", 2))


def taken(world):
    with connect(world.remote) as client:
        client.cmd("CREATE e/b")


def damaged(world):
    """A pair that nobody remembers; before the service begins."""
    database = sqlite3.connect(world.one.database)
    with database:
        database.execute("DELETE FROM mapping WHERE lUID = 2")
    database.close()


# command line -> what is found, what is said in any case, and what the exit status is.
COMMANDS = {
    "sync, nothing to do": ([], nothing, r"", 0),
    "sync": ([], mail_on_both, r"", 0),
    "sync, named": (["a.b", "d"], mail_on_both, r"", 0),
    "sync, named and unknown": (["nothing"], nothing, r"", None),
    "sync, held": ([], mass_deletion, r"INBOX: ERROR: 150 of 156 messages disappeared", 1),
    "sync, gone": ([], gone_at_the_remote, r"remote\(e\): ERROR: the mailbox disappeared", 1),
    "sync, another UIDVALIDITY": ([], other_uidvalidity, r"d.*ERROR.*UIDVALIDITY", 1),
    "sync, quiet": (["--quiet"], mail_on_both, r"", 0),
    "allow-deletions": (["--allow-deletions", "INBOX"], mass_deletion, r"", 0),
    "repair": (["--repair"], mail_on_both, r"", 0),
    "repair, damaged": (["--repair", "INBOX"], damaged, r"", None),
    "delete": (["--delete", "d", "a.b.c"], nothing, r"^remote: Deleted mailbox a\.b\.c$", 0),
    "delete here": (["--target=local", "--delete", "d"], nothing, r"^local: Deleted", 0),
    "delete INBOX": (["--delete", "INBOX", "d"], nothing, r"INBOX can't be deleted", 1),
    "delete nothing": (["--delete", "x"], nothing, r"There is no mailbox x on any target", 0),
    "delete, quiet": (["-q", "--delete", "d"], nothing, r"", 0),
    "rename": (["--rename", "a", "z"], nothing, r"^local: Renamed mailbox a to z$", 0),
    "rename, taken": (["--rename", "a", "e"], taken, r"ERROR", 1),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_same_with_and_without_a_service(world, command):
    args, prepare, said, code = COMMANDS[command]
    shown, states, mailboxes = [], [], []
    for name, service in (("a", None), ("b", QUIET_SERVICE)):
        one = world(name)
        if prepare is damaged:
            damaged(one)
        if service:
            one.serve(*service)
        if prepare is not damaged:
            prepare(one)
        result = one.one.run(*args)
        assert re.search(said, result.err, re.MULTILINE), result.err
        assert code in (result.code, None), result.err
        shown.append(one.shown(result))
        if service:                          # what was not named is done afterwards
            eventually(lambda: not status(one.one)["command_running"])
        one.stop()
        one.one.run()                        # and here, what was not named
        states.append((state(one.local), state(one.remote)))
        mailboxes.append(set(one.one.mailboxes()))
    assert shown[0] == shown[1]
    for alone, served in zip(*states):
        assert not differences(alone, served)
    assert mailboxes[0] == mailboxes[1]


@pytest.mark.parametrize("service", [("--proxy",), ("--notify",), QUIET_SERVICE],
                         ids=["proxy", "notify", "watch"])
def test_each_service_takes_commands(world, service):
    it = world()
    it.serve(*service)
    with connect(it.remote) as client:
        client.append_all("INBOX", messages.mix("more", 3))
    it.one.sync()
    it.one.assert_equal(it.local, it.remote)
    it.one.sync("--repair")
    it.one.sync("--rename", "a", "b")
    it.one.sync("--delete", "d")
    with connect(it.local) as here, connect(it.remote) as there:
        assert set(here.list()) == {"INBOX", "b", "b.b", "b.b.c", "e"}
        assert {name.replace("/", ".") for name in there.list()} == set(here.list())
        # It knows of them: what comes next goes where it belongs.
        there.append("b/b", messages.message("after").body)
    it.one.sync("b.b")
    it.one.assert_equal(it.local, it.remote)
    assert "WARNING" not in it.service.err() and "ERROR" not in it.service.err(), it.service.err()
    it.stop()
    it.one.assert_noop(it.local, it.remote)


def test_debug(world):
    """The lines of an order go to its caller alone, unless the service debugs too."""
    it = world()
    it.serve(*QUIET_SERVICE)
    result = it.one.run("--debug", "--repair", "d")
    assert result.code == 0
    assert re.search(r"^remote: C: \d+ SELECT d", result.err, re.MULTILINE)
    assert "SELECT INBOX" not in result.err
    assert " C: " not in it.service.err()
    assert "password" not in result.err
    it.stop()


# --status

SIDE = {"state", "push", "since", "reason"}
MEMBERS = {"version", "running", "reason", "database", "pid", "written", "local", "remote",
           "next_try", "interval", "clients", "actions_waiting", "command_running",
           "commands_waiting", "copied", "resolve_all", "mailboxes", "waits", "left_out"}
MAILBOX = {"name", "state", "in_step", "to_local", "to_remote", "reason", "resolve"}
WAIT = {"what", "name", "for", "since"}
LEFT_OUT = {"mailbox", "kind", "side", "uid", "size", "message", "words", "tries", "first_try",
            "next_try"}
MANUAL = os.path.join(os.path.dirname(__file__), "../../docs/interimap.1.scd")


def test_the_manual_names_every_member():
    with open(MANUAL, encoding="utf-8") as file:
        page = file.read().split("# STATUS\n")[1].split("\n# ")[0].replace("\\", "")
    described = re.findall(r"^\*[a-z_]+\*(?:, \*[a-z_]+\*)*$", page, re.MULTILINE)
    assert set(re.findall(r"[a-z_]+", " ".join(described))) == (
        SIDE | MEMBERS | MAILBOX | WAIT | LEFT_OUT)


@pytest.mark.quick
def test_status(world):
    it = world()
    it.serve("--proxy")
    told = status(it.one)
    assert set(told) == MEMBERS
    assert told["running"] is True and told["pid"] == it.service.pid
    assert told["database"] == it.one.database
    for side in (told["local"], told["remote"]):
        assert set(side) == SIDE
        assert side == {"state": "connected", "push": "notify", "since": None, "reason": None}
    assert [entry["name"] for entry in told["mailboxes"]] == [
        "INBOX", "a", "a.b", "a.b.c", "d", "e"]
    for entry in told["mailboxes"]:
        assert set(entry) == MAILBOX and entry["state"] == "clean", entry
        assert time.time() - 100 < entry["in_step"] <= time.time()
        assert entry["to_local"] == entry["to_remote"] == 0
    assert told["clients"] == told["actions_waiting"] == told["commands_waiting"] == 0
    text = it.one.run("--status")
    assert text.code == 0 and not text.err
    assert "clean: 6 mailboxes\n" in text.out and "INBOX" not in text.out.replace("of the INBOX", "")
    it.stop()


def test_status_counts_clients(world):
    it = world()
    it.serve("--proxy")
    port = int(it.one.sections["proxy"]["listen"].rsplit(":", 1)[1])
    client = Imap(port=port)
    assert status(it.one)["clients"] == 1
    assert "mail clients connected: 1\n" in it.one.run("--status").out
    client.close()
    eventually(lambda: status(it.one)["clients"] == 0)
    it.stop()
    it.serve(*QUIET_SERVICE)
    told = status(it.one)
    assert told["clients"] is None and told["local"]["push"] == "poll"
    assert told["interval"] == 86400
    it.stop()


def test_status_without_a_service(world):
    it = world()
    result = it.one.run("--status=json")
    told = json.loads(result.out)
    assert result.code != 0 and set(told) == MEMBERS and told["running"] is False
    assert told["actions_waiting"] == 0
    assert time.time() - 100 < told["written"] <= time.time()
    assert {entry["name"] for entry in told["mailboxes"]} == {
        "INBOX", "a", "a/b", "a/b/c", "d", "e"}
    assert all(set(entry) == MAILBOX and entry["state"] == "unknown"
               for entry in told["mailboxes"])
    text = it.one.run("--status")
    assert text.code != 0 and "no service is running" in text.out
    assert "known: 6 mailboxes" in text.out
    it.one.assert_noop(it.local, it.remote)


def test_status_of_nothing(interimap):
    one = interimap({"type": "tunnel", "command": "false"}, {"type": "tunnel", "command": "false"})
    result = one.run("--status=json")
    told = json.loads(result.out)
    assert result.code != 0 and told["mailboxes"] == [] and told["written"] is None
    assert told["reason"] == "nothing has been synchronized yet"
    assert not os.path.exists(one.database)
    assert "nothing has been synchronized yet" in one.run("--status").out


def test_held_shown_and_released(world):
    it = world()
    it.serve("--proxy")
    mass_deletion(it)
    eventually(lambda: mailbox(it.one, "INBOX")["state"] == "held", 30)
    held = mailbox(it.one, "INBOX")
    assert "150 of 156 messages disappeared on the remote side" in held["reason"]
    assert held["resolve"] == "interimap --allow-deletions INBOX"
    text = it.one.run("--status").out
    assert re.search(r"^held: INBOX: 150 of 156 .*--allow-deletions INBOX", text, re.MULTILINE)
    assert "clean: 5 mailboxes" in text
    result = it.one.run("INBOX")                # that alone releases nothing
    assert result.code == 1 and "150 of 156 messages disappeared" in result.err
    assert it.one.run(*held["resolve"].split()[1:]).code == 0
    assert mailbox(it.one, "INBOX")["state"] == "clean"
    it.one.assert_equal(it.local, it.remote)
    mass = state(it.local).count()
    it.stop()
    it.one.assert_noop(it.local, it.remote)
    assert state(it.local).count() == mass


def test_missing_shown_and_resolved(world):
    it = world()
    it.serve(*QUIET_SERVICE)
    gone_at_the_remote(it)
    assert it.one.run().code == 1
    assert "remote(e): ERROR: the mailbox disappeared" in it.one.run().err     # not only once
    missing = mailbox(it.one, "e")
    assert missing["state"] == "missing" and "remote" in missing["reason"]
    assert missing["resolve"] == "interimap --target=database --delete e"  # loses nothing
    assert "missing: e: the remote server does not list it any more. To get it back, run " \
           "`interimap --target=database --delete e`: the next run makes it again from the local " \
           "server. Only if it is meant to be gone, run `interimap --delete e`, which deletes it on " \
           "the local server as well, with all messages in it\n" in it.one.run("--status").out
    assert it.one.run("--delete", "e").code == 0
    assert "e" not in [entry["name"] for entry in status(it.one)["mailboxes"]]
    it.one.sync()
    it.stop()
    it.one.assert_noop(it.local, it.remote)


def test_remote_stopped(world):
    """Why, since when, and when it is tried again; a command fails for the same reason as alone."""
    it = world()
    it.serve("--proxy")
    it.remote.stop()
    begin = int(time.time())
    eventually(lambda: status(it.one)["remote"]["state"] != "connected", 30)
    eventually(lambda: "refused" in (status(it.one)["remote"]["reason"] or ""), 30)
    eventually(lambda: status(it.one)["next_try"] is not None, 30)
    told = status(it.one)
    assert begin - 5 <= told["remote"]["since"] <= time.time()
    assert told["next_try"] >= begin
    text = it.one.run("--status").out
    assert re.search(r"^remote: (not connected|connecting).* since [\d-]+ [\d:]+: .*refused",
                     text, re.MULTILINE), text
    served = it.shown(it.one.run())
    assert it.service.poll() is None
    it.service.stop()
    alone = it.shown(it.one.run())
    assert served == alone and served[0] == 1
    # It is there again: so is the service, at once if asked.
    it.serve_began = it.one.start("--proxy")
    it.serve_began.wait_for("trying again")
    it.remote.start()
    assert it.one.run().code == 0
    assert status(it.one)["remote"]["state"] == "connected"
    assert it.serve_began.stop().code == 0


class Held:
    """While it is held, the remote server answers nothing."""

    def __init__(self, server):
        self.pids = server.pids()

    def __enter__(self):
        for pid in self.pids:
            os.kill(pid, signal.SIGSTOP)

    def __exit__(self, *_):
        for pid in self.pids:
            with contextlib.suppress(ProcessLookupError):  # killed meanwhile, and reaped by the first
                os.kill(pid, signal.SIGCONT)


def test_one_after_the_other(world):
    """A caller that has to wait is told so; one that leaves takes back what has not begun."""
    it = world()
    it.serve(*QUIET_SERVICE)
    with Caller(it.one) as first, Caller(it.one) as second:
        with Held(it.remote):
            assert first.ask("repair").answer() == {"begun": True}
            second.ask("delete", mailboxes=["d"], targets=["local", "remote", "database"])
            assert second.answer() == {"waiting": "it is carrying out another command"}
            told = status(it.one)
            assert told["command_running"] and told["commands_waiting"] == 1
            assert "a command is being carried out\ncommands that wait: 1\n" \
                in it.one.run("--status").out
            second.socket.close()
            eventually(lambda: status(it.one)["commands_waiting"] == 0)
        assert first.answers()[-1] == {"done": True}
    assert mailbox(it.one, "d")["state"] == "clean"
    it.stop()


def test_what_has_begun_outlives_its_caller(world):
    it = world()
    it.serve(*QUIET_SERVICE)
    with Held(it.remote):
        leaving = it.one.start("--delete", "d")
        eventually(lambda: status(it.one)["command_running"])
        leaving.stop(signal.SIGINT)
        assert leaving.result.code == 128 + signal.SIGINT
        assert status(it.one)["command_running"]
    eventually(lambda: not status(it.one)["command_running"])
    assert "d" not in [entry["name"] for entry in status(it.one)["mailboxes"]]
    it.stop()
    it.one.assert_noop(it.local, it.remote)


def test_the_connection_is_lost_meanwhile(world):
    it = world()
    it.serve("--proxy")
    with Held(it.remote):
        command = it.one.start("--repair")
        eventually(lambda: status(it.one)["command_running"])
        it.remote.kill_clients()
    result = command.wait()
    assert result.code == 1 and re.search("^remote: ERROR: ", result.err, re.MULTILINE), result.err
    it.one.sync("--repair")
    it.one.assert_equal(it.local, it.remote)
    it.stop()


def test_many_commands_at_once(world):
    it = world()
    mail_on_both(it)
    it.serve(*QUIET_SERVICE)
    commands = [it.one.start(*args) for args in ([], ["--repair"], ["d"], ["--repair", "INBOX"])
                for _ in range(3)]
    assert [command.wait().code for command in commands] == [0] * 12
    it.one.assert_equal(it.local, it.remote)
    it.stop()
    it.one.assert_noop(it.local, it.remote)


# The socket

def test_the_socket(world):
    it = world()
    folder = os.path.join(it.one.folder, "run/interimap")
    it.serve("--proxy")
    assert stat.S_IMODE(os.stat(path(it.one)).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    assert re.fullmatch(r"sync\.db-[0-9a-f]{16}\.sock", os.path.basename(path(it.one)))
    it.stop()
    assert not os.listdir(folder)


def test_killed_service(world):
    """The socket that it left is no service, and is no obstacle to the next."""
    it = world()
    it.serve(*QUIET_SERVICE)
    it.service.kill()
    assert os.path.exists(path(it.one))
    assert it.one.run("--status").code == 1
    assert it.one.run().code == 0
    it.serve(*QUIET_SERVICE)
    assert status(it.one)["pid"] == it.service.pid
    it.stop()


def test_a_service_that_ends_meanwhile(world):
    it = world()
    it.serve(*QUIET_SERVICE)
    with Caller(it.one) as caller:
        os.kill(it.service.pid, signal.SIGSTOP)
        caller.ask("repair")
        os.kill(it.service.pid, signal.SIGTERM)
        os.kill(it.service.pid, signal.SIGCONT)
        assert "ended" in caller.answers()[-1]["error"] or caller.answers()[-1]["done"]
    assert it.service.wait().code == 0


def test_databases_of_one_name(world, interimap):
    it = world()
    other = os.path.join(it.one.folder, "other", os.path.basename(it.one.database))
    it.serve(*QUIET_SERVICE)
    first = it.one.database
    it.one.write(database=other)
    second = it.one.start("--proxy")
    second.wait_for("up to date")
    it.one.database = other
    assert status(it.one)["pid"] == second.pid
    it.one.write(database=first)
    assert status(it.one)["pid"] == it.service.pid
    second.stop()
    it.stop()


def test_another_environment(world):
    """As from cron: the service is found without $XDG_RUNTIME_DIR if it had none either."""
    it = world()
    service = it.one.start(*QUIET_SERVICE, env={"XDG_RUNTIME_DIR": ""})
    service.wait_for("up to date")
    assert status(it.one)["pid"] == service.pid
    assert service.stop().code == 0


def test_no_place_for_the_socket(world):
    """The path of a socket is bounded; the service does its work all the same."""
    it = world()
    deep = os.path.join(it.one.folder, "run", "x" * 100)
    os.makedirs(deep)
    service = it.one.start(*QUIET_SERVICE, env={"XDG_RUNTIME_DIR": deep})
    service.wait_for("ERROR: commands cannot reach this service: .* is too long for a socket")
    service.wait_for("up to date")
    assert it.one.run("--status").code == 1
    result = it.one.run()
    assert result.code == 1 and "locked by another process" in result.err
    assert service.stop().code == 0


STRANGER = """
import os, socket, sys
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
with socket.socket(socket.AF_UNIX) as caller:
    caller.settimeout(20)
    caller.connect(sys.argv[1])
    try:
        caller.sendall(b'{"command": "status"}\\n')
        sys.exit(1 if caller.recv(1) else 0)
    except (BrokenPipeError, ConnectionResetError):
        sys.exit(0)
"""


def test_strangers(world):
    """Not even with a socket whose mode somebody has opened."""
    it = world()
    it.serve(*QUIET_SERVICE)
    if os.geteuid() == 0:       # nobody else can play another user
        for folder in ("", "run", "run/interimap"):
            os.chmod(os.path.join(it.one.folder, folder), 0o755)
        os.chmod(path(it.one), 0o666)
        done = subprocess.run([sys.executable, "-c", STRANGER, path(it.one)], check=False,
                              timeout=30)
        assert done.returncode == 0
    assert status(it.one)["running"]
    it.stop()


def test_a_directory_of_somebody_else(world):
    it = world()
    os.makedirs(os.path.join(it.one.folder, "run/interimap"), exist_ok=True)
    if os.geteuid() == 0:
        os.chown(os.path.join(it.one.folder, "run/interimap"), 65534, 65534)
        service = it.one.start(*QUIET_SERVICE)
        service.wait_for("ERROR: commands cannot reach .* belongs to another user.*: remove it")
        service.wait_for("up to date")
        assert not os.listdir(os.path.join(it.one.folder, "run/interimap"))
        assert service.stop().code == 0
        os.chown(os.path.join(it.one.folder, "run/interimap"), 0, 0)
    os.chmod(os.path.join(it.one.folder, "run/interimap"), 0o777)
    service = it.one.start(*QUIET_SERVICE)
    service.wait_for("ERROR: commands cannot reach .* can be written to by others: .*chmod go-w")
    service.wait_for("up to date")
    assert service.stop().code == 0


# Callers that mean no good, or are many

def test_any_chunking(world):
    it = world()
    it.serve(*QUIET_SERVICE)
    with Caller(it.one) as caller:
        for byte in b'{"command": "status"}\n':
            caller.say(bytes([byte]))
        (answer,) = caller.answers()
        assert set(answer["status"]) == MEMBERS
    with Caller(it.one) as caller:
        caller.say('{"command": "sync"}\n{"command": "delete", "mailboxes": ["d"]}\n')
        assert caller.answers()[-1] == {"done": True}
    assert mailbox(it.one, "d")["state"] == "clean"
    it.stop()


HOSTILE = [
    b"\n", b"GET / HTTP/1.1\r\n", b"[]\n", b'{"command": "stop"}\n', b"[" * 60000 + b"\n",
    b"{" * 100000, b'{"command": "delete", "mailboxes": ["d"], "targets": []}\n',
    b'{"command": "sync", "mailboxes": ["\xff"]}\n', b'{"command": "sync", "x": 1}\n']


def test_hostile_requests(world):
    it = world()
    it.serve(*QUIET_SERVICE)
    for text in HOSTILE:
        with Caller(it.one) as caller:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                caller.say(text)
            answers = caller.answers()
            assert len(answers) == 1 and list(answers[0]) == ["error"], (text, answers)
    assert mailbox(it.one, "d")["state"] == "clean"
    it.stop()


def test_a_caller_that_says_nothing(world):
    it = world()
    it.serve(*QUIET_SERVICE)
    with Caller(it.one) as caller:
        caller.say('{"command": ')
        begin = time.monotonic()
        assert caller.answers() == []
        assert 5 < time.monotonic() - begin < 20
    it.stop()


def test_a_hundred_callers(world):
    """More than there may be are told so; the service goes on, and the next are heard."""
    it = world()
    it.serve("--proxy")
    callers = [Caller(it.one) for _ in range(100)]
    said = []
    for caller in callers:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            caller.ask("status")
    for caller in callers:
        said.append(caller.answers()[-1])
        caller.socket.close()
    good = [answer for answer in said if "status" in answer]
    assert len(good) >= 32
    assert all("too many" in answer["error"] for answer in said if answer not in good)
    commands = [it.one.start("--status") for _ in range(20)]
    assert [command.wait().code for command in commands] == [0] * 20
    it.stop()


def test_a_caller_that_never_reads(world):
    """It is dropped when too much waits for it; its order is carried out."""
    it = world()
    words = [f"keyword{number:02}{'x' * 40}" for number in range(20)]
    with connect(it.remote) as client:
        client.cmd("CREATE many")
        client.append_all("many", messages.mix("many", 1000))
        client.select("many")
        client.store(client.uids(), "+", words)
    it.one.sync()
    it.serve(*QUIET_SERVICE)
    with Caller(it.one) as caller:
        caller.ask("repair", level=4)
        eventually(lambda: not status(it.one)["command_running"], 60)
        with connect(it.remote) as client:
            client.append_all("INBOX", messages.mix("meanwhile", 3))
        it.one.sync()
        it.one.assert_equal(it.local, it.remote)
        text = b""
        with contextlib.suppress(ConnectionResetError):
            while data := caller.socket.recv(1 << 16):
                text += data
        assert b'"line"' in text and b'"done"' not in text
    it.stop()
    it.one.assert_noop(it.local, it.remote)
