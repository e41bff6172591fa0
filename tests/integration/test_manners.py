# SPDX-License-Identifier: MIT
"""The service and who manages it: sd_notify, and signals."""

import os
import pathlib
import pty
import re
import resource
import signal
import socket
import sqlite3
import subprocess

import pytest

from .imap import Imap, ImapError
from .inline import CountingRelay, digests, eventually, numbered
from .interimap import connect, imap, tunnel
from .ports import free_port
from .service import Proxy
from .test_outage import limit_files


@pytest.fixture
def manager(tmp_path):
    """What systemd does with $NOTIFY_SOCKET: a function that waits for one message, and its `env`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        path = str(tmp_path / "notify")
        listener.bind(path)
        listener.settimeout(20)

        def told(line, never=None):
            while True:
                said = listener.recv(4096).decode().splitlines()
                assert said and never not in said, said
                for one in said:
                    if re.fullmatch(line, one):
                        return one

        told.env = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "400000"}
        yield told


def test_it_tells_when_it_is_ready_alive_and_stopping(interimap, manager):
    proxy = Proxy(interimap, env=manager.env)
    manager("READY=1")
    with proxy.client() as client:      # what is ready takes clients
        client.select("INBOX")
    for _ in range(3):
        manager("WATCHDOG=1")
    os.kill(proxy.running.pid, signal.SIGTERM)
    manager("STOPPING=1")
    assert proxy.running.wait().code == 0


@pytest.fixture
def remote(dovecot):
    return dovecot("remote", separator=".", format="maildir")


class Service(Proxy):
    """With a remote server."""

    def __init__(self, interimap, remote, port=None, **more):
        self.remote = {**imap(remote, port=port), "compress": "NO"}
        super().__init__(interimap, **more)

    def start(self):
        self.program.sections["remote"] = self.remote
        self.program.write()
        super().start()

    def reload(self, **proxy):
        """The configuration with these options of [proxy]; then SIGHUP."""
        self.program.sections["proxy"].update(proxy)
        self.program.write()
        os.kill(self.running.pid, signal.SIGHUP)

    def reloaded(self, times=1):
        self.running.wait_for(r"(?:[\s\S]*?^the configuration was read again$)" + f"{{{times}}}")


@pytest.fixture
def service(interimap, remote):
    """make(**more) -> a Service that is up to date; ended without a fault."""
    made = []

    def make(**more):
        made.append(Service(interimap, remote, **more))
        made[-1].running.wait_for("^up to date")
        return made[-1]

    yield make
    for one in made:
        result = one.stop()
        assert result.code == 0, result.err


def bodies(client, mailbox="INBOX"):
    client.select(mailbox)
    return sorted(digest for digest, _, _ in client.snapshot(mailbox).values()) \
        if client.uids() else []


def reaches(server, mail):
    with connect(server) as there:
        eventually(lambda: bodies(there) == sorted(digests(mail)), 20)


# The service manager.

def test_status(service, manager, remote):
    one = service(env=manager.env)
    manager("STATUS=up to date")
    remote.stop()
    why = manager("STATUS=not connected, trying again: remote: .*")
    assert why.endswith(("Server shutting down.", "connection refused")), why
    remote.start()
    manager("STATUS=up to date")
    one.reload(nonsense=1)
    manager("RELOADING=1")
    manager("READY=1")
    manager("STATUS=up to date; the configuration files cannot be used, see the log")
    del one.program.sections["proxy"]["nonsense"]
    one.reload()
    manager("RELOADING=1")
    manager("READY=1")
    manager("STATUS=up to date")


def test_status_when_no_side_is_to_blame(service, manager, remote):
    """A database that cannot be written is an outage of neither side; to name one for the service
    manager was to follow a null pointer, and the service died."""
    one = service(env=manager.env)
    manager("STATUS=up to date")
    limit_files(one.running, os.path.getsize(one.program.database + "-wal"))
    with connect(remote) as there:
        there.append_all("INBOX", numbered("new", 3, 100))
    why = manager("STATUS=not connected, trying again: .*")
    assert re.search("I/O error|full", why), why
    limit_files(one.running, resource.RLIM_INFINITY)
    manager("STATUS=up to date")


def test_notify_tells_when_its_engine_has_begun(interimap, remote, manager):
    one = interimap(None, imap(remote))
    one.sections["local"] = {"type": "maildir", "path": f"{one.folder}/Mail"}
    one.write()
    one.sync()
    running = one.start("--notify", env=manager.env)
    manager("READY=1")
    manager("STATUS=up to date")
    os.kill(running.pid, signal.SIGTERM)
    manager("STOPPING=1")
    assert running.wait().code == 0


# SIGHUP.

def test_a_client_stays_while_everything_is_read_again(service, remote):
    """New password and address for those who come; who is there stays, and mail flows both ways."""
    one = service()
    mail = list(numbered("reload", 6))
    with one.client() as client:
        client.append_all("INBOX", mail[:1])
        reaches(remote, mail[:1])
        client.select("INBOX")
        client.idle()
        old, port = one.port, free_port()
        one.reload(listen=f"127.0.0.1:{port}", password="another")
        one.reloaded()
        with connect(remote) as there:
            there.append_all("INBOX", mail[1:2])
        assert client.idle_wait(lambda line: line == ["2", "EXISTS"], 20)
        client.idle_done()
        with pytest.raises(ConnectionRefusedError):
            Imap(port=old)
        with Imap(port=port) as second:
            assert second.login("me", "local secret", check=False).status == "NO"
        with Imap(port=port) as second:
            second.login("me", "another")
            second.append_all("INBOX", mail[2:3])
        # Who came before does things as before, and at once.
        client.append_all("INBOX", mail[3:4])
        reaches(remote, mail[:4])
        client.cmd("CREATE Later")
        client.cmd("RENAME Later Even/Later")
        client.select("INBOX")
        client.cmd("UID MOVE", str(client.uids()[0]), "Even/Later")
        with connect(remote) as there:
            eventually(lambda: "Even.Later" in there.list(), 20)
            eventually(lambda: bodies(there, "Even.Later") == digests(mail[:1]), 20)
            assert "Later" not in there.list()


def test_a_command_under_way_meets_the_new_engine(service, remote):
    """What a client began before, and is answered after, is done at the other side as what it is.

    The engine that it was announced to is gone by then, and the next one must hear of it: else the
    messages would be copied.
    """
    relay = CountingRelay(remote.port).start()
    try:
        one = service(port=relay.port)
        mail = list(numbered("many", 300, 8000))
        with one.client() as client:
            client.append_all("INBOX", mail, 50)
            reaches(remote, mail)
            client.cmd("CREATE Target")
            with connect(remote) as there:
                eventually(lambda: "Target" in there.list(), 20)
            client.select("INBOX")
            relay.reset()
            tag = client.send("UID MOVE 1:* Target")
            one.reload()
            client.wait(tag)
            one.reloaded()
            with connect(remote) as there:
                eventually(lambda: bodies(there, "Target") == sorted(digests(mail)), 40)
                assert not bodies(there)
            assert relay.bytes() < 300 * 8000 / 4
        assert one.running.stop().code == 0
    finally:
        relay.stop()


@pytest.mark.parametrize("wrong, said", [
    ({"": {"nonsense": "1"}}, r"config:\d+: .*nonsense"),
    ({"proxy": {"SSL_cert": "/nonexistent", "SSL_key": "/nonexistent"}}, "/nonexistent"),
    ({"proxy": {"listen": "192.0.2.1:1143"}}, "192.0.2.1"),
    ({"": {"database": "/dev/null/sync.db"}}, "/dev/null/sync.db"),
    ({"": {"logfile": "/dev/null/log"}}, "cannot open the log file /dev/null/log"),
    ({"remote": {"SSL_CAfile": "/nonexistent", "type": "imaps", "STARTTLS": None}}, "/nonexistent"),
])
def test_a_wrong_file_changes_nothing(service, remote, wrong, said):
    one = service()
    before = {name: dict(section) for name, section in one.program.sections.items()}
    with one.client() as client:
        for name, options in wrong.items():
            section = one.program.sections[name]
            section.update(options)
            for gone in [key for key, value in section.items() if value is None]:
                del section[gone]
        one.reload(password="another")
        one.running.wait_for(rf"{said}.*: nothing has changed, correct that and send SIGHUP again$")
        mail = list(numbered("as before", 2))
        client.append_all("INBOX", mail[:1])
        with one.client() as second:        # with the old password
            second.append_all("INBOX", mail[1:])
        reaches(remote, mail)
        one.program.sections.clear()
        one.program.sections.update(before)
        one.reload()
        one.reloaded()
        client.cmd("NOOP")


def test_another_database(service, remote):
    """The new one is there before the old one is let go; what is the same is not copied."""
    one = service()
    mail = list(numbered("database", 2))
    with one.client() as client:
        client.append_all("INBOX", mail)
        reaches(remote, mail)
        one.program.database += ".new"
        one.reload()
        one.reloaded()
        one.running.wait_for(r"read again$[\s\S]*^up to date")
        client.append_all("INBOX", mail[:1])
        reaches(remote, mail + mail[:1])
        client.select("INBOX")
        assert len(client.uids()) == 3
    # The old one is free, and the new one is not.
    with pytest.raises(sqlite3.OperationalError):
        one.program.mailboxes()
    one.program.database = one.program.database.removesuffix(".new")
    assert "INBOX" in one.program.mailboxes()


def test_another_store_ends_its_clients(service):
    """What they do there is no concern of this one."""
    one = service()
    with one.client() as client:
        one.program.sections["local"]["path"] += ".new"
        one.reload()
        one.reloaded()
        with pytest.raises(ImapError, match="ended"):
            client.cmd("NOOP")
    with one.client() as client:
        assert client.list().keys() == {"INBOX"}


def test_a_service_without_clients_reads_its_file_again(interimap, remote):
    one = interimap(None, imap(remote))
    one.sections["local"] = {"type": "maildir", "path": f"{one.folder}/Mail"}
    one.write()
    one.sync()
    running = one.start("--watch=3600")
    running.wait_for("^up to date")
    mail = list(numbered("watch", 1))
    with connect(remote) as there:
        there.cmd("CREATE Hidden")
        there.append_all("Hidden", mail)
    one.write(**{"ignore-mailbox": "^Hidden$"})
    os.kill(running.pid, signal.SIGHUP)
    running.wait_for(r"read again$[\s\S]*^up to date")
    assert "Hidden" not in running.err()
    one.write()
    os.kill(running.pid, signal.SIGHUP)
    running.wait_for(r"^local\(Hidden\): Created")
    assert running.stop().code == 0


def test_sighup_ends_a_single_run(interimap, tmp_path):
    """It stays what it always is for a command."""
    begun = tmp_path / "begun"
    silent = {"type": "tunnel", "command": f"touch {begun}; cat >/dev/null"}
    running = interimap(silent, silent).start()
    eventually(begun.exists, 20)
    assert running.stop(signal.SIGHUP).code == -signal.SIGHUP


def test_the_terminal_goes_away(interimap, remote):
    """Who closes the window of a service that he started there does not want it any more."""
    one = Service(interimap, remote)
    one.running.wait_for("^up to date")
    assert one.stop().code == 0
    ours, theirs = pty.openpty()
    log = os.path.join(one.program.folder, "terminal")
    one.program.write(logfile=log)
    process = subprocess.Popen([one.program.binary, "--proxy"], env=one.program.environment(),
                               stdin=theirs, stdout=subprocess.DEVNULL, stderr=theirs,
                               start_new_session=True)
    os.close(theirs)

    def logged(words):
        return os.path.exists(log) and words in pathlib.Path(log).read_text()

    try:
        eventually(lambda: logged("up to date"), 20)
        process.send_signal(signal.SIGHUP)
        eventually(lambda: logged("read again"), 20)
        os.close(ours)
        process.send_signal(signal.SIGHUP)
        assert process.wait(20) == 0
        assert logged("the terminal is gone")
    finally:
        process.kill()
        process.wait()


# Sockets from systemd.

def activated(program, names, sockets, *args, **env):
    """Start it as systemd does, with these listening sockets."""
    def hand_over():
        for number, listener in enumerate(sockets):
            os.dup2(listener.fileno(), 50 + number, inheritable=False)
        for number in range(len(sockets)):
            os.dup2(50 + number, 3 + number, inheritable=True)

    return subprocess.Popen(
        # LISTEN_PID is the program's own, which the shell becomes.
        ["/bin/sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", program.binary, *args],
        env={**program.environment(), "LISTEN_FDS": str(len(sockets)),
             "LISTEN_FDNAMES": ":".join(names), **env},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=open(os.path.join(program.folder, "activated"), "wb"),
        close_fds=False, start_new_session=True, preexec_fn=hand_over)


def test_sockets_are_known_by_their_names(interimap, certificates):
    """"imaps" speaks TLS from the first byte; and a reload keeps them, whatever `listen` says."""
    one = Proxy(interimap, proxy={"SSL_cert": certificates.cert, "SSL_key": certificates.key})
    assert one.stop().code == 0
    plain, tls = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
    log = os.path.join(one.program.folder, "log")
    with plain, tls:
        one.program.write(logfile=log)
        process = activated(one.program, ["imap", "imaps"], [plain, tls], "--proxy")
        ports = plain.getsockname()[1], tls.getsockname()[1]
    try:
        for password in ("local secret", "another"):
            with Imap(port=ports[0]) as client:
                assert "STARTTLS" in client.capabilities
            with Imap(port=ports[1], context=certificates.context()) as client:
                client.login("me", password)
            one.program.sections["proxy"]["password"] = "another"
            one.program.write(logfile=log)
            process.send_signal(signal.SIGHUP)
            eventually(lambda: "read again" in pathlib.Path(log).read_text(), 20)
        with pytest.raises(ConnectionRefusedError):
            one.raw()
    finally:
        process.terminate()
        assert process.wait(20) == 0


@pytest.mark.parametrize("option", ["--proxy", "--notify"])
def test_commands_see_nothing_of_the_manager(interimap, dovecot, manager, option):
    """The engine begins before the proxy listens, and its tunnels once inherited LISTEN_*."""
    remote = dovecot("remote")
    one = Proxy(interimap)
    assert one.stop().code == 0
    program = one.program
    seen = os.path.join(program.folder, "seen")
    program.sections["remote"] = {
        "type": "tunnel", "command": f"env >>{seen}; {tunnel(remote)['command']}"}
    program.write()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = activated(program, ["imap"], [listener], option, **manager.env)
    try:
        eventually(lambda: os.path.exists(seen) and "PATH=" in pathlib.Path(seen).read_text(), 20)
        manager("READY=1")
    finally:
        process.terminate()
        assert process.wait(20) == 0
    text = pathlib.Path(seen).read_text()
    assert "HOME=" in text
    for name in ("LISTEN_", "NOTIFY_SOCKET", "WATCHDOG_"):
        assert name not in text


def test_nobody_is_told_of_a_service_that_cannot_start(interimap, manager):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AssertionError, match="ended with 1"):
            Proxy(interimap, proxy={"listen": f"127.0.0.1:{port}"}, env=manager.env)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        probe.connect(manager.env["NOTIFY_SOCKET"])
        probe.send(b"the end")
    manager("the end", never="READY=1")


def test_sigusr1_toggles_debugging(interimap):
    proxy = Proxy(interimap)
    # Proxy starts it with --debug.
    for state in ("off", "on", "off"):
        os.kill(proxy.running.pid, signal.SIGUSR1)
        proxy.running.wait_for(rf"^debugging is {state}$(?![\s\S]*^debugging is)")
    assert proxy.stop().code == 0
