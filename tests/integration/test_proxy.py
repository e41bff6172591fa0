# SPDX-License-Identifier: MIT
"""The proxy between mail clients and the local store, through the real program; the remote is away."""

import base64
import hashlib
import os
import re
import signal
import socket
import stat
import subprocess
import time

import pytest

from . import messages, processes
from .imap import Imap
from .interimap import proxy_section, release, tunnel
from .ports import free_port
from .service import AWAY, Proxy, eventually


@pytest.fixture
def make(interimap):
    made = []

    def new(**more):
        made.append(Proxy(interimap, **more))
        return made[-1]

    yield new
    for proxy in made:
        result = proxy.stop()
        assert result.code == 0, result.err


@pytest.fixture
def proxy(make):
    return make()


def stores(proxy):
    """The store's processes that serve clients and the engine."""
    return [pid for pid, name in processes.descendants(proxy.running.pid) if name == "imap"]


# Login.

PLAIN = base64.b64encode(b"\0me\0local secret").decode()


@pytest.mark.quick
@pytest.mark.parametrize("login", [
    'a LOGIN me "local secret"\r\n',
    'a login "me" {12+}\r\nlocal secret\r\n',
    f"a AUTHENTICATE PLAIN {PLAIN}\r\n",
])
def test_login_and_what_follows_at_once(proxy, login):
    """Commands that were sent behind the LOGIN, in the same packet, reach the store in order."""
    with proxy.raw() as raw:
        assert re.fullmatch(r"\* OK \[CAPABILITY IMAP4rev1 [^]]*AUTH=PLAIN[^]]*\] interimap ready\.",
                            raw.line())
        raw.say(login + "b SELECT INBOX\r\nc APPEND INBOX {5+}\r\na: b\n\r\nd NOOP\r\n")
        said = raw.lines("d ")
        tagged = [line for line in said if line[1] == " " and line[0] in "abcd"]
        assert [line[:4] for line in tagged] == ["a OK", "b OK", "c OK", "d OK"], said


def test_synchronising_literals(proxy):
    with proxy.raw() as raw:
        raw.line()
        raw.say("a LOGIN {2}\r\n")
        assert raw.line().startswith("+ ")
        raw.say("me {12}\r\n")
        assert raw.line().startswith("+ ")
        raw.say("local secret\r\nb AUTHENTICATE PLAIN\r\n")
        assert raw.line().startswith("a OK [CAPABILITY ")
        assert raw.line().startswith("b BAD ")  # the store's answer: logged in already


def test_wrong_password(proxy):
    with proxy.raw() as wrong, proxy.raw() as right:
        wrong.line()
        right.line()
        begin = time.monotonic()
        wrong.say("a LOGIN me wrong\r\n")
        right.say('a LOGIN me "local secret"\r\n')
        assert right.line().startswith("a OK ")
        assert wrong.silent(0)
        assert wrong.line().startswith("a NO [AUTHENTICATIONFAILED] ")
        assert time.monotonic() - begin > 0.4
    assert "local secret" not in proxy.running.err()
    assert PLAIN not in proxy.running.err()


def test_generated_password(make):
    """Without a configured one: made once, kept readable by the user alone, shown once."""
    proxy = make(proxy={"password": None})
    path = proxy.program.database + ".password"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    with open(path, encoding="ascii") as file:
        password = file.read().strip()
    assert len(password) >= 20
    eventually(lambda: password in proxy.running.out() + proxy.running.err(), 20)
    with proxy.raw() as raw:
        raw.line()
        raw.say(f"a LOGIN me {password}\r\n")
        assert raw.line().startswith("a OK ")
    assert proxy.stop().code == 0
    proxy.start()
    assert password not in proxy.running.out() + proxy.running.err()
    with proxy.raw() as raw:
        raw.line()
        raw.say(f"a LOGIN me {password}\r\n")
        assert raw.line().startswith("a OK ")


# What passes.

def test_capabilities_and_compression(make, dovecot):
    """The store offers COMPRESS; the client never sees it, nor gets it."""
    store = dovecot("store", compress=True)
    with Imap(command=store.command()) as direct:
        assert "COMPRESS=DEFLATE" in direct.capabilities
        offered = direct.capabilities
    hidden = {"COMPRESS=DEFLATE", "SASL-IR"}
    proxy = make(local=tunnel(store))
    with proxy.raw() as raw:
        raw.line()
        raw.say('a LOGIN me "local secret"\r\nb CAPABILITY\r\n')
        welcome, listed, _ = raw.lines("b ")
        for text in (re.search(r"\[CAPABILITY ([^]]*)\]", welcome)[1],
                     listed.removeprefix("* CAPABILITY ")):
            assert {word.upper() for word in text.split()} == offered - hidden
            assert "IMAP4rev1" in text.split()
        raw.say("c COMPRESS DEFLATE\r\nd NOOP\r\n")
        assert raw.line().startswith("c NO [CANNOT] ")
        assert raw.line().startswith("d OK ")


# Each ends in a COMPRESS that the store would take: behind a tag that is too long to be followed,
# in a literal that the store does not take for one since it has refused the command, and behind a
# "+" that is not for the literal.
BLINDING = {
    "tag": f"{'t' * 65} COMPRESS DEFLATE\r\n",
    "unknown command": "b XYZZY {21+}\r\nc COMPRESS DEFLATE \r\n\r\n",
    "refused literal": "b APPEND none {22}\r\nc COMPRESS DEFLATE\r\n\r\n",
    "idle": "b IDLE\r\nc APPEND none {22}\r\nd COMPRESS DEFLATE\r\n\r\n",
    "idle and done": "b IDLE\r\nDONE\r\nc APPEND none {22}\r\nd COMPRESS DEFLATE\r\n\r\n",
}


@pytest.mark.parametrize("way", BLINDING)
def test_no_way_to_compress(make, dovecot, way):
    """What a client says goes to the store only as far as it can be followed there."""
    store = dovecot("store", compress=True)
    proxy = make(local=tunnel(store))
    with proxy.raw() as raw:
        raw.line()
        raw.say('a LOGIN me "local secret"\r\na0 SELECT INBOX\r\n')
        raw.lines("a0 ")
        raw.say(BLINDING[way] + "z NOOP\r\n")
        said = b""
        raw.socket.settimeout(20)
        while not re.search(rb"(?m)^(z OK|\* BYE) .*\r\n", said):
            more = raw.socket.recv(1 << 16)
            assert more, said
            said += more
        assert b"Begin compression" not in said and said.isascii(), said


def test_large_messages(make):
    """30 MB up and down, byte for byte, with little memory, of which AddressSanitizer takes its own."""
    proxy = make(binary=release())
    body = messages.of_size(5, 30 << 20)
    with proxy.client() as client:
        before = processes.peak_memory(proxy.running.pid)
        client.append("INBOX", body)
        client.select("INBOX")
        fetched = client.cmd("FETCH", "1", "BODY.PEEK[]").of("FETCH")[0][2][1]
        after = processes.peak_memory(proxy.running.pid)
    assert hashlib.sha256(fetched).digest() == hashlib.sha256(body).digest()
    assert after - before < 1 << 10, f"{after - before} KiB more"


def test_client_that_does_not_read(proxy):
    """The store waits for it, and nobody else does."""
    with proxy.client() as client:
        client.append("INBOX", messages.of_size(6, 20 << 20))
    with proxy.raw() as slow, proxy.client() as other:
        slow.say('a LOGIN me "local secret"\r\nb SELECT INBOX\r\nc FETCH 1 BODY[]\r\n')
        slow.lines("b ")
        before = processes.peak_memory(proxy.running.pid)
        for _ in range(20):
            other.cmd("NOOP")
        assert processes.peak_memory(proxy.running.pid) - before < 4 << 10
        assert slow.lines("c ")[-1].startswith("c OK")


def test_twenty_clients(proxy):
    """All at work at once; what one does the others hear while they idle."""
    clients = [proxy.client() for _ in range(20)]
    clients[0].select("INBOX")      # Dovecot makes it then, and twenty at once get in each other's way
    tags = [client.send_append("INBOX", messages.message(i).body)
            for i, client in enumerate(clients)]
    for client, tag in zip(clients, tags):
        client.wait(tag)
    for client in clients:
        client.select("INBOX")
        assert len(client.uids()) == 20
    for client in clients[1:]:
        client.idle()
    clients[0].store([7], "+", [r"\Flagged"])
    for client in clients[1:]:
        assert client.idle_wait(lambda r: r[1:2] == ["FETCH"]), "not told"
        client.idle_done()
    for client in clients:
        client.logout()


@pytest.mark.quick
def test_idle_is_told_at_once(proxy):
    """Dovecot takes half a second to tell others; through the proxy it is a matter of round trips."""
    with proxy.client() as idler, proxy.client() as other:
        idler.select("INBOX")
        idler.idle()
        for count in range(1, 4):
            other.append("INBOX", messages.message(count).body)
            begin = time.monotonic()
            assert idler.idle_wait(lambda r, n=str(count): r == [n, "EXISTS"])
            took = time.monotonic() - begin
            assert took < 0.3, f"it took {took:.3f} s"
        assert idler.idle_done().status == "OK"
        assert len(idler.uids()) == 3


def test_half_closed_client(proxy):
    """A client that sends everything, shuts down its side, and then reads (as `nc -N` does)."""
    with proxy.raw() as raw:
        raw.say('a LOGIN me "local secret"\r\nb LIST "" *\r\nc STATUS INBOX (MESSAGES)\r\n')
        raw.socket.shutdown(socket.SHUT_WR)
        said = raw.rest()
    assert any(line.startswith("a OK") for line in said), said
    assert any(line.startswith("c OK") for line in said), said


# Ends.

def test_client_goes_away(proxy):
    """Its store process ends as well, whatever the client was doing."""
    eventually(lambda: "false" not in str(processes.descendants(proxy.running.pid)))
    idle = len(stores(proxy))
    with proxy.client() as client:
        client.append("INBOX", messages.of_size(8, 4 << 20))
    eventually(lambda: len(stores(proxy)) <= idle)
    for action in ("b IDLE\r\n", "b FETCH 1 BODY[]\r\n", "b APPEND INBOX {1000+}\r\nabc", "b SEL"):
        raw = proxy.raw()
        raw.say('a LOGIN me "local secret"\r\ns SELECT INBOX\r\n')
        raw.lines("s ")
        eventually(lambda: len(stores(proxy)) > idle)
        raw.say(action)
        raw.socket.close()
        eventually(lambda: len(stores(proxy)) <= idle)


def test_logout_ends_with_all_that_was_said(proxy):
    for _ in range(20):
        with proxy.raw() as raw:
            raw.say('a LOGIN me "local secret"\r\nb LOGOUT\r\nc NOOP\r\nd NOOP\r\n')
            said = raw.rest()
            assert said[-2].startswith("* BYE") and said[-1].startswith("b OK"), said


def test_store_dies(proxy):
    """The client is told; the next one gets a new store."""
    with proxy.raw() as raw:
        raw.say('a LOGIN me "local secret"\r\nb SELECT INBOX\r\n')
        raw.lines("b ")
        processes.kill_all(stores(proxy))
        assert raw.lines("* BYE")[-1] == "* BYE The mail store has closed the connection"
        assert raw.rest() == []
    with proxy.client() as client:
        client.select("INBOX")


def test_store_is_not_there(make, folder):
    proxy = make(local={"type": "tunnel", "command": f"{folder}/none", "null-stderr": "YES"})
    with proxy.raw() as raw:
        raw.line()
        raw.say('a LOGIN me "local secret"\r\nb NOOP\r\n')
        assert raw.line().startswith("a NO [UNAVAILABLE] The mail store: ")
        assert raw.line().startswith("b OK ")


def test_service_stops(proxy):
    with proxy.client() as client, proxy.raw() as before_login:
        client.select("INBOX")
        before_login.line()
        proxy.running.stop()
        assert before_login.line().startswith("* BYE ")
        assert before_login.rest() == []
        assert client.socket.recv(1000).startswith(b"* BYE ")
    assert not stores(proxy)


# Listening.

def test_max_clients(make):
    proxy = make(proxy={"max-clients": 2})
    with proxy.client() as one, proxy.raw() as two:
        assert two.line().startswith("* OK ")
        # who has not logged in would give way to the next one
        two.say('l LOGIN {} "{}"\r\n'.format(*proxy.login))
        two.lines("l ")
        with proxy.raw() as three:
            assert three.rest()[0].startswith("* BYE ")
        one.cmd("NOOP")
        two.say("a LOGOUT\r\n")
        two.rest()

        def has_room():
            with proxy.raw() as four:
                return four.line().startswith("* OK ")
        eventually(has_room)


def test_unix_socket(make, folder):
    path = f"{folder}/socket"
    proxy = make(proxy={"listen": f"unix:{path}"})
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    with proxy.raw() as raw:
        raw.say('a LOGIN me "local secret"\r\nb SELECT INBOX\r\n')
        assert raw.lines("b ")[-1].startswith("b OK")
    # killed, it leaves the socket behind, and finds it there
    proxy.running.kill()
    assert os.path.exists(path)
    proxy.start()
    with proxy.raw() as raw:
        assert raw.line().startswith("* OK ")
    assert proxy.stop().code == 0
    assert not os.path.exists(path)


def test_ipv6(make):
    proxy = make(proxy={"listen": f"127.0.0.1:{free_port()} [::1]:{free_port()}"})
    with Imap(host="::1", port=int(proxy.addresses[1].rsplit(":", 1)[1])) as client:
        client.login(*proxy.login)


def refused(interimap, listen, **more):
    program = interimap({"type": "tunnel", "command": "false"}, {"type": "tunnel", "command": "false"},
                        proxy={"listen": listen, "password": "x", **more})
    result = program.run("--proxy", timeout=30)
    assert result.code != 0
    return result.err


def test_clear_text_off_loopback_is_refused(interimap):
    err = refused(interimap, f"127.0.0.1:{free_port()} 0.0.0.0:{free_port()}")
    assert "clear text" in err and "SSL_cert" in err


def test_port_in_use(interimap, proxy):
    err = refused(interimap, proxy.listen)
    assert f"cannot listen on {proxy.listen}: Address already in use" in err


def test_socket_from_systemd(make):
    """LISTEN_FDS: the sockets that are handed over replace those of the configuration."""
    proxy = make()
    assert proxy.stop().code == 0
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        # LISTEN_PID is the program's own, which the shell becomes.
        command = ["/bin/sh", "-c", "LISTEN_PID=$$ exec \"$@\"", "sh", proxy.program.binary,
                   "--proxy"]
        with open(os.path.join(proxy.program.folder, "activated"), "wb") as err:
            process = subprocess.Popen(
                command, env={**proxy.program.environment(), "LISTEN_FDS": "1"}, stderr=err,
                stdout=err, stdin=subprocess.DEVNULL, start_new_session=True,
                preexec_fn=lambda: os.dup2(listener.fileno(), 3, inheritable=True),
                pass_fds=[3])
    try:
        with Imap(port=port) as client:
            client.login(*proxy.login)
            client.select("INBOX")
        with pytest.raises(ConnectionRefusedError):
            proxy.raw()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    proxy.start()


# TLS.

@pytest.fixture
def tls_proxy(make, certificates):
    return make(proxy={"SSL_cert": certificates.cert, "SSL_key": certificates.key})


def test_starttls(tls_proxy, certificates):
    with Imap(port=tls_proxy.port) as client:
        assert "STARTTLS" in client.capabilities
        client.starttls(certificates.context())
        assert "STARTTLS" not in client.capabilities
        client.login(*tls_proxy.login)
        body = messages.of_size(9, 5 << 20)
        client.append("INBOX", body)
        client.select("INBOX")
        assert client.cmd("FETCH", "1", "BODY.PEEK[]").of("FETCH")[0][2][1] == body
        client.idle()
        client.idle_done()
        assert client.cmd("LOGOUT").status == "OK"


def test_nothing_follows_starttls(tls_proxy):
    """What is sent in clear text behind STARTTLS must not be taken for said under TLS."""
    with tls_proxy.raw() as raw:
        raw.line()
        raw.say("a STARTTLS\r\nb NOOP\r\n")
        said = raw.rest()
    assert len(said) == 1 and said[0].startswith("* BYE "), said


def test_certificate_that_cannot_be_read(interimap, folder):
    err = refused(interimap, f"127.0.0.1:{free_port()}", SSL_cert=f"{folder}/none",
                  SSL_key=f"{folder}/none")
    assert f"{folder}/none" in err


# The embedded store.

def test_names_of_mailboxes(proxy):
    """What is special in file systems, Maildir++ or Dovecot is an ordinary name."""
    names = ["a.b", "~x", ".hidden", "x/y/z", "caf&AOk-", "n" * 200, "p" * 200 + "/" + "q" * 200,
             "sp ace ", "Sent/.x", "[Gmail]/All Mail", "a&-b", "INBOX/sub", "%41"]
    with proxy.client() as client:
        for name in names:
            client.cmd("CREATE", f'"{name}"')
            client.append(name, messages.message(name).body)
        listed = client.list()
        assert set(names) <= set(listed)
        for name in names:
            assert client.status(name)["MESSAGES"] == 1


def test_folder_of_somebody_else(interimap):
    """The control socket was refused there, but the store's configuration was written all the same,
    and started; the owner of the folder could exchange it for one that loads what he likes."""
    one = interimap({}, AWAY, proxy=proxy_section())
    one.sections["local"] = {"type": "maildir", "path": f"{one.folder}/Mail"}
    one.write()
    run = f"{one.folder}/run/interimap"
    os.makedirs(run, exist_ok=True)
    os.chmod(run, 0o777)
    for problem in ("can be written to by others", "belongs to another user"):
        result = one.run("--proxy")
        assert result.code != 0
        assert f"{run} {problem}" in result.err
        assert not os.listdir(run)
        if os.geteuid() != 0:       # nobody else can make what is another's
            break
        os.chmod(run, 0o700)
        os.chown(run, 65534, 65534)


def test_private_files(proxy):
    with proxy.client() as client:
        client.append("INBOX", messages.message(1).body)
    for folder, _, files in os.walk(proxy.program.folder):
        if "/Mail" in folder:
            assert stat.S_IMODE(os.stat(folder).st_mode) & 0o077 == 0, folder
        for name in files:
            if name.startswith("dovecot-") and name.endswith(".conf"):
                assert stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode) == 0o600
