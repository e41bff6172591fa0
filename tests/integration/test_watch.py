# SPDX-License-Identifier: MIT
"""--watch and --notify: what happens on either side while it runs, and how it ends."""

import os
import re
import signal
import time

import pytest

from . import messages
from .control import is_clean
from .fake import CAPABILITIES, Box, Fake
from .imap import differences
from .interimap import connect, imap, imaps, state, tunnel
from .service import eventually

PUSHED = ("--notify", "--watch=900")    # only what the servers tell counts
POLLED = ("--watch=1",)
SECONDS = 10                            # a machine under load is slow; the tests below say what must be quick


@pytest.fixture
def live(pair, interimap):
    """live(*args) -> (local, remote, the program, its run), in step."""
    def make(*args, remote=imaps):
        for side in pair:
            with connect(side) as client:
                client.cmd(f"CREATE a{side.separator}b")
                client.append_all("INBOX", messages.mix(f"live {side.port}", 5))
        one = interimap(pair[0], remote(pair[1]))
        one.sync()
        running = one.start(*args)
        running.wait_for("up to date")
        return (*pair, one, running)

    return make


def in_step(local, remote):
    return not differences(state(local), state(remote))


def change(side, number):
    """One change of each kind that a client makes."""
    with connect(side) as client:
        name = f"a{side.separator}b"
        client.append(name, messages.message(f"change {number}").body)
        client.select("INBOX")
        client.store(client.uids()[number:number + 2], "+", [r"\Flagged", "$Work"])
        client.expunge(client.uids()[-1:])
        client.cmd(f"CREATE made{number}")
        client.append(f"made{number}", messages.message(f"made {number}").body)
        client.cmd(f"SUBSCRIBE made{number}")
        client.cmd(f"SUBSCRIBE {name}" if number == 0 else f"UNSUBSCRIBE {name}")


@pytest.mark.parametrize("args", [POLLED, PUSHED], ids=["watch", "notify"])
def test_changes_cross(live, args):
    local, remote, one, running = live(*args)
    for number, side in enumerate((local, remote)):
        change(side, number)
        eventually(lambda: in_step(local, remote), SECONDS)
        with connect(remote) as client:
            assert "\\subscribed" in client.list()[f"made{number}"]
    eventually(lambda: is_clean(one), SECONDS)
    assert running.stop().code == 0
    one.assert_noop(local, remote)
    # Each was told of once.
    assert "WARNING" not in running.err() and "ERROR" not in running.err(), running.err()


@pytest.mark.quick
def test_notified_at_once(live):
    """A flag, a message and an expunge on either side are on the other within a second."""
    local, remote, _, running = live(*PUSHED)
    with connect(local) as here, connect(remote) as there:
        for client, other in ((here, there), (there, here)):
            for act in (lambda c: c.append("INBOX", messages.message(time.monotonic()).body),
                        lambda c: (c.select("INBOX"), c.store(c.uids()[:1], "+", [r"\Answered"])),
                        lambda c: (c.select("INBOX"), c.expunge(c.uids()[1:2]))):
                act(client)
                wanted = sorted(client.snapshot("INBOX").values(), key=repr)
                took = eventually(lambda o=other, w=wanted: sorted(
                    o.snapshot("INBOX").values(), key=repr) == w, SECONDS)
                print(f"seconds until it was on the other side: {took:.3f}")
                assert took < 2
    assert running.stop().code == 0


@pytest.mark.parametrize("args", [POLLED, PUSHED], ids=["watch", "notify"])
@pytest.mark.parametrize("side", [0, 1], ids=["local", "remote"])
def test_deleted_and_renamed(live, args, side):
    """It cannot be told whether one was deleted or renamed: both are said, neither is propagated."""
    local, remote, one, running = live(*args)
    here, there = (local, remote) if side == 0 else (remote, local)
    with connect(here) as client:
        client.cmd(f"CREATE old{here.separator}x")
        client.append(f"old{here.separator}x", messages.message("x").body)
    eventually(lambda: in_step(local, remote), SECONDS)
    # Dovecot ends a connection on which the mailbox is still in use.
    eventually(lambda: is_clean(one), SECONDS)
    with connect(here) as client:
        client.cmd(f"RENAME old{here.separator}x new")
        client.cmd(f"DELETE a{here.separator}b")
    name = ("local", "remote")[side]
    for gone in ("old.x", "a.b"):
        said = running.wait_for(rf"^{name}\({re.escape(gone)}\): .*disappeared.*")[0]
        assert f"`interimap --delete {gone}`" in said
    eventually(lambda: ("new",) in state(there).mailboxes and
               sum(state(there).mailboxes["new",].values()) == 1, SECONDS)
    # The others go on, and it is not said again each time.
    with connect(there) as client:
        client.append("INBOX", messages.message("after").body)
    eventually(lambda: state(local).mailboxes["INBOX",] == state(remote).mailboxes["INBOX",], SECONDS)
    assert {("old", "x"), ("a", "b")} <= set(state(there).mailboxes)
    assert running.err().count("disappeared") == 2
    assert running.stop().code == 0
    assert {"old/x", "a/b", "new"} <= set(one.mailboxes())


def test_a_mailbox_comes_back(live):
    local, remote, _, running = live(*PUSHED)
    with connect(remote) as client:
        client.cmd("RENAME a/b a/c")
        running.wait_for("disappeared")
        eventually(lambda: ("a", "c") in state(local).mailboxes, SECONDS)
        client.cmd("RENAME a/c a/b")
        client.append("a/b", messages.message("back").body)
    eventually(lambda: sum(state(local).mailboxes["a", "b"].values()) == 1, SECONDS)
    assert running.stop().code == 0


@pytest.mark.parametrize("args", [("--watch",), ("--notify",), ("--watch=1", "--notify")])
def test_the_database_is_not_made(pair, interimap, args):
    one = interimap(*pair)
    result = one.run(*args)
    assert result.code == 1
    assert one.database in result.err and "No such file" in result.err
    assert not os.path.exists(one.database)
    # Nor by a first run that did not come so far as to make it.
    one.sync()
    assert os.stat(one.database).st_mode & 0o777 == 0o600


def test_clean_ends(live):
    _, _, one, running = live(*PUSHED)
    assert running.stop(signal.SIGTERM).code == 0
    running = one.start(*POLLED)
    running.wait_for("up to date")
    assert running.stop(signal.SIGINT).code != 0
    one.sync()


@pytest.mark.parametrize("args", [POLLED, PUSHED], ids=["watch", "notify"])
@pytest.mark.parametrize("side", [0, 1], ids=["local", "remote"])
def test_lost_connections(dovecot, interimap, args, side):
    """As with the original, the end of either is the end of the program: whoever started it decides."""
    pair = dovecot("local"), dovecot("remote", separator="/", format="sdbox")
    one = interimap(imaps(pair[0]), imaps(pair[1]))
    one.sync()
    running = one.start(*args)
    running.wait_for("up to date")
    pair[side].kill_clients()
    result = running.wait(SECONDS)
    assert result.code == 1
    assert re.search(rf"^{('local', 'remote')[side]}: .*(clos|reset)", result.err, re.MULTILINE), result.err
    with connect(pair[0]) as client:
        client.append("INBOX", messages.message("later").body)
    one.sync()
    one.assert_equal(*pair)


def test_a_tunnel_that_ends(dovecot, interimap, folder):
    pair = dovecot("local"), dovecot("remote")
    pidfile = os.path.join(folder, "pid")
    one = interimap({"type": "tunnel",
                     "command": f"echo $$ >{pidfile} && exec {tunnel(pair[0])['command']}"},
                    imaps(pair[1]))
    one.sync()
    running = one.start(*PUSHED)
    running.wait_for("up to date")
    with open(pidfile, encoding="ascii") as file:
        os.kill(int(file.read()), signal.SIGKILL)
    assert running.wait(SECONDS).code == 1


# Servers that cannot tell, or stop telling.

def test_without_notify(dovecot, interimap):
    """INBOX is watched by IDLE, the rest at intervals."""
    pair = dovecot("local"), dovecot("remote", capability=CAPABILITIES + " MOVE ESEARCH SORT")
    one = interimap(*pair)
    with connect(pair[1]) as client:
        client.cmd("CREATE a")
    one.sync()
    running = one.start("--notify", "--watch=2", "--debug")
    running.wait_for("up to date")
    running.wait_for(r"remote.*S: \+ ")  # in IDLE
    with connect(pair[1]) as there, connect(pair[0]) as here:
        there.append("INBOX", messages.message("told").body)
        eventually(lambda: len(here.snapshot("INBOX")) == 1, SECONDS)
        there.append("a", messages.message("polled").body)
        eventually(lambda: len(here.snapshot("a")) == 1, SECONDS)
    assert not re.search(r"remote: C: \S+ NOTIFY", running.err())
    assert running.stop().code == 0


def test_notify_refused(dovecot, interimap):
    """Dovecot without an index of its mailboxes answers NO [NOTIFICATIONOVERFLOW]."""
    pair = dovecot("local"), dovecot("remote", extra="mailbox_list_index = no",
                                     capability=CAPABILITIES + " NOTIFY")
    one = interimap(*pair)
    one.sync()
    running = one.start("--notify", "--watch=1")
    running.wait_for("up to date")
    for side, other in (pair, pair[::-1]):
        with connect(side) as client, connect(other) as there:
            client.append("INBOX", messages.message(f"{side.port}").body)
            eventually(lambda c=client, o=there: len(c.snapshot("INBOX")) == len(o.snapshot("INBOX")),
                       SECONDS)
    assert running.stop().code == 0


@pytest.fixture
def fakes(interimap):
    """(local, remote, the program between them); both can NOTIFY, and hold one mailbox "a"."""
    servers = [Fake({"INBOX": Box(), "a": Box(uidvalidity=2)}, capabilities=CAPABILITIES + " NOTIFY")
               for _ in range(2)]
    sections = [{"type": "imap", "host": "127.0.0.1", "port": server.port, "STARTTLS": "NO",
                 "username": "u", "password": "p"} for server in servers]
    yield (*servers, interimap(*sections))
    for server in servers:
        server.stop()


def test_intervals(fakes):
    """The lists are looked at as often as it is asked for, and not more often."""
    _, remote, one = fakes
    one.sync()
    remote.connections.clear()
    running = one.start("--watch=2")
    seen = []
    for count in (1, 2, 3):
        eventually(lambda c=count: len(remote.sent("LIST")) >= 2 * c, 2 * SECONDS)
        seen.append(time.monotonic())
    assert all(1.8 < later - earlier < 8 for earlier, later in zip(seen, seen[1:])), seen
    assert running.stop().code == 0


def test_one_command_asks_for_all(fakes):
    """Between two of them something could be lost; and at rest nothing is said."""
    local, remote, one = fakes
    one.sync()
    for server in (local, remote):
        server.connections.clear()
    running = one.start(*PUSHED)
    running.wait_for("up to date")
    for server in (local, remote):
        eventually(lambda s=server: len(s.sent("NOTIFY")) == 1, SECONDS)
        assert server.sent("NOTIFY")[0][:2] == ["SET", "STATUS"]
        assert not server.sent("IDLE") and not server.sent("SELECT")
    said = [len(server.lines) for server in (local, remote)]
    time.sleep(1)  # silence has no end that could be waited for
    assert [len(server.lines) for server in (local, remote)] == said
    # A notification of what is known already is no reason to act.
    remote.tell("* STATUS a (UIDVALIDITY 2 UIDNEXT 1 HIGHESTMODSEQ 1)")
    time.sleep(0.5)
    assert [len(server.lines) for server in (local, remote)] == said
    remote.boxes["a"].add(messages.message("new").body)
    remote.tell(remote.status("a"))
    eventually(lambda: len(local.boxes["a"].mails) == 1, SECONDS)
    assert running.stop().code == 0


def test_overflow(fakes):
    """The server tells no more: from then on it is looked at in intervals."""
    local, remote, one = fakes
    one.sync()
    remote.connections.clear()
    running = one.start("--notify", "--watch=1")
    running.wait_for("up to date")
    eventually(lambda: remote.sent("NOTIFY"), SECONDS)
    remote.tell("* OK [NOTIFICATIONOVERFLOW] too many")
    running.wait_for("the server tells no more of changes")
    remote.boxes["a"].add(messages.message("unsaid").body)
    eventually(lambda: len(local.boxes["a"].mails) == 1, SECONDS)
    local.boxes["a"].add(messages.message("back").body)
    local.tell(local.status("a"))
    eventually(lambda: len(remote.boxes["a"].mails) == 2, SECONDS)
    assert running.stop().code == 0


def test_a_farewell(fakes):
    local, remote, one = fakes
    one.sync()
    running = one.start(*PUSHED)
    running.wait_for("up to date")
    remote.tell("* BYE going down for maintenance")
    remote.connections[-1].cut()
    result = running.wait(SECONDS)
    assert result.code == 1
    assert "going down for maintenance" in result.err


def test_arrival_right_before_idle(dovecot, interimap):
    """What came between the look at everything and the SELECT for IDLE was told by that SELECT alone,
    and seen at the next look, up to a minute later."""
    local = dovecot("local", separator="/", format="sdbox")
    with Fake({"INBOX": Box()}) as server:
        box = server.boxes["INBOX"]
        box.add(messages.message("one").body)
        one = interimap(imap(local), {**imap(local, port=server.port), "compress": "NO"})
        one.sync()

        def arrives(_connection, _tag, _words):
            if len(box.mails) == 1:
                box.add(messages.message("two").body)
            return False
        server.answers["SELECT"] = arrives
        running = one.start("--notify")
        running.wait_for("up to date")

        def copied():
            with connect(local) as client:
                return client.status("INBOX")["MESSAGES"] == 2
        eventually(copied, 20)
        eventually(lambda: server.verbs()[-1] == "IDLE", 20)
        selected = server.verbs().count("SELECT")
        assert all(copied() for _ in range(50))
        assert server.verbs().count("SELECT") == selected, "it does not come to rest"
        assert running.stop().code == 0
