# SPDX-License-Identifier: MIT
"""The way to a server: SOCKS5 proxies, addresses, tunnel commands, compression, keepalive, logins."""

import base64
import itertools
import json
import os
import re
import shlex
import socket
import stat
import subprocess
import time

import pytest

from . import messages
from .dovecot import Dovecot
from .fake import CAPABILITIES, Fake
from .interimap import connect, imap, imaps, program
from .ports import free_port


@pytest.fixture
def server():
    """server(...) -> a Fake."""
    made = []

    def make(*args, **options):
        made.append(Fake(*args, **options))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def section(fake, **options):
    return {"type": "imap", "host": "127.0.0.1", "port": fake.port, "STARTTLS": "NO",
            "username": "user", "password": "secret", **options}


@pytest.fixture
def client(interimap, server):
    """client(fake, **options) -> the program between two fakes, the options for the remote one."""
    here = server()

    def make(fake, **options):
        return interimap(section(here), section(fake, **options))

    return make


def refused(one, pattern, *args):
    result = one.run(*args)
    assert result.code == 1, result.err
    assert re.search(pattern, result.err, re.MULTILINE), result.err
    assert not re.search("(?<!<)secret", result.err), result.err
    return result


# SOCKS5.

class Socks:
    """microsocks, which says on its standard error what it was asked for.

    Of the addresses of a name it tries the first alone; with `outgoing`, the first of that family.
    """

    def __init__(self, path, host="127.0.0.1", port=None, login=(), outgoing=None):
        self.host, self.port, self._path = host, port or free_port(), path
        command = ["microsocks", "-i", host, "-p", str(self.port)]
        for option, word in zip(("-u", "-P"), login):
            command += [option, word]
        if outgoing:
            command += ["-b", outgoing]
        with open(path, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        limit = time.monotonic() + 10
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        while True:
            with socket.socket(family) as probe:
                if probe.connect_ex((host, self.port)) == 0:
                    return
            assert self.process.poll() is None and time.monotonic() < limit, "microsocks does not start"
            time.sleep(0.005)

    def asked(self):
        """host:port of the connections it made."""
        with open(self._path, encoding="utf-8", errors="replace") as log:
            return re.findall(r"connected to (\S+)", log.read())

    def stop(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def socks(folder):
    """socks(login=(user, password)) -> a Socks."""
    made = []

    def make(**options):
        made.append(Socks(os.path.join(folder, f"socks{len(made)}"), **options))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.mark.parametrize("login", [(), ("user", "secret")], ids=["open", "password"])
@pytest.mark.parametrize("scheme,host,asked", [
    ("socks5", "localhost", "127.0.0.1"), ("socks5h", "localhost", "localhost"),
    ("socks5h", "127.0.0.1", "127.0.0.1"), ("socks5", "[127.0.0.1]", "127.0.0.1"),
])
def test_socks(socks, server, client, scheme, host, asked, login):
    """socks5 looks the name up here, socks5h leaves that to the proxy."""
    proxy, fake = socks(login=login, outgoing="127.0.0.1"), server()
    url = f"{scheme}://{':'.join(login)}{'@' if login else ''}127.0.0.1:{proxy.port}"
    client(fake, host=host, proxy=url).sync()
    assert proxy.asked() == [f"{asked}:{fake.port}"]
    assert "LIST" in fake.verbs()


def test_socks_and_tls(socks, interimap, dovecot, server):
    """The certificate is the server's, whatever is in between."""
    remote, proxy = dovecot("remote"), socks(outgoing="127.0.0.1")
    with connect(remote) as there:
        there.append_all("INBOX", messages.mix(3, 20))
    by = {"proxy": f"socks5h://127.0.0.1:{proxy.port}"}
    one = interimap(section(server()), {**imaps(remote), **by})
    one.sync()
    assert proxy.asked() == [f"localhost:{remote.tls_port}"]
    wrong = interimap(section(server()), {**imaps(remote), **by, "host": "ip6-localhost"})
    result = wrong.run()
    assert result.code == 1 and result.err


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_socks_to_ipv6(socks, server, client, scheme):
    proxy, fake = socks(), server(host="::1")
    client(fake, host="[::1]", proxy=f"{scheme}://127.0.0.1:{proxy.port}").sync()
    assert proxy.asked() == [f"::1:{fake.port}"]


def test_socks_by_ipv6_and_default_port(socks, server, client):
    by_ipv6, fake = socks(host="::1"), server()
    client(fake, proxy=f"socks5://[::1]:{by_ipv6.port}").sync()
    assert by_ipv6.asked() == [f"127.0.0.1:{fake.port}"]
    # An address of our own, on which nobody else can be at the default port.
    usual = socks(host="127.19.87.3", port=1080)
    client(fake, proxy="socks5://127.19.87.3").sync()
    assert usual.asked() == [f"127.0.0.1:{fake.port}"]


@pytest.mark.parametrize("login", [("me", "p@ss:w/o#%20"), ("user name", "ü" * 127 + "x")])
def test_socks_odd_logins(socks, server, client, login):
    proxy, fake = socks(login=login), server()
    client(fake, proxy=f"socks5://{login[0]}:{login[1]}@127.0.0.1:{proxy.port}").sync()
    assert proxy.asked()


@pytest.mark.parametrize("who", ["user:secret!@", "stranger:secret@", ""])
def test_socks_login_refused(socks, server, client, who):
    proxy, fake = socks(login=("user", "secret")), server()
    refused(client(fake, proxy=f"socks5://{who}127.0.0.1:{proxy.port}"), "^remote: .*proxy")
    assert not proxy.asked() and not fake.connections


def test_socks_password_for_an_open_proxy(socks, server, client):
    proxy, fake = socks(), server()
    client(fake, proxy=f"socks5://user:secret@127.0.0.1:{proxy.port}").sync()
    assert proxy.asked()


def test_socks_failures(socks, server, client):
    proxy, fake = socks(), server()
    refused(client(fake, proxy=f"socks5://127.0.0.1:{free_port()}"),
            r"^remote: .*the proxy 127\.0\.0\.1 port \d+: connection refused")
    refused(client(fake, port=free_port(), proxy=f"socks5://127.0.0.1:{proxy.port}"),
            "^remote: .*refused")
    # A name that nobody knows: told by us, or by the proxy.
    refused(client(fake, host="no.such.host.invalid", proxy=f"socks5://127.0.0.1:{proxy.port}"),
            r"^remote: .*no\.such\.host\.invalid")
    refused(client(fake, host="no.such.host.invalid", proxy=f"socks5h://127.0.0.1:{proxy.port}"),
            "^remote: .*proxy")
    assert not fake.connections and not proxy.asked()


@pytest.mark.parametrize("url", ["socks4://127.0.0.1:{0}", "http://user:secret@127.0.0.1:{0}",
                                 "127.0.0.1:{0}", "socks5:127.0.0.1:{0}", "SOCKS6://127.0.0.1:{0}",
                                 "socks5://", "socks5://user@127.0.0.1:{0}",
                                 "socks5://127.0.0.1:99999", "socks5://:secret@127.0.0.1:{0}"])
def test_socks_that_is_none(socks, server, client, url):
    """Refused before anything is connected to."""
    proxy, fake = socks(), server()
    one = client(fake, proxy=url.format(proxy.port))
    refused(one, rf"{re.escape(one.config)}:\d+: proxy: ")
    assert not fake.connections and not proxy.asked()


# Addresses.

@pytest.mark.parametrize("listen,host", [
    ("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "[127.0.0.1]"), ("127.0.0.1", "localhost"),
    ("::1", "[::1]"), ("::1", "::1"),
])
def test_addresses(server, client, listen, host):
    fake = server(host=listen)
    client(fake, host=host).sync()
    assert "LIST" in fake.verbs()


@pytest.mark.parametrize("host", ["[localhost]", "[]", "[::1", "[127.0.0.1", "[::1]x"])
def test_brackets_are_for_addresses(server, client, host):
    fake = server()
    one = client(fake, host=host)
    refused(one, rf"{re.escape(one.config)}:\d+: host: ")
    assert not fake.connections


def with_hosts(folder, lines):
    """A program that sees another /etc/hosts, in a mount name space of its own."""
    hosts, path = os.path.join(folder, "hosts"), os.path.join(folder, "with-hosts")
    with open(hosts, "w", encoding="ascii") as file:
        file.write("127.0.0.1 localhost\n" + lines)
    with open(path, "w", encoding="ascii") as file:
        file.write(f"#!/bin/sh\nexec unshare {'' if os.getuid() == 0 else '-r'} -m sh -c '"
                   f"mount --bind {hosts} /etc/hosts && exec {program()} \"$@\"' sh \"$@\"\n")
    os.chmod(path, 0o755)
    return path


@pytest.mark.parametrize("listen", ["::1", "127.0.0.1", "127.0.0.3"])
def test_several_addresses(folder, server, client, listen):
    """Those that refuse, or say nothing, do not stand in the way of the one that answers."""
    fake = server(host=listen)
    one = client(fake, host="many.example")
    one.binary = with_hosts(folder, "".join(f"{address} many.example\n" for address in
                                            ("::1", "192.0.2.1", "127.0.0.1", "127.0.0.3")))
    result = one.run()
    assert result.code == 0, result.err
    assert result.seconds < 10
    assert "LIST" in fake.verbs()


def test_no_address_answers(folder, server, client):
    fake = server()
    one = client(fake, host="two.example", port=free_port())
    one.binary = with_hosts(folder, "::1 two.example\n127.0.0.1 two.example\n")
    refused(one, r"^remote: .*cannot connect to two\.example port \d+: connection refused")


# Tunnel commands.

PROBE = """\
import json, os, sys
def fds():
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[name] = os.readlink("/proc/self/fd/" + name)
        except OSError:
            pass
    return found
with open("/proc/self/status") as file:
    status = dict(line.rstrip("\\n").split(":\\t", 1) for line in file if ":\\t" in line)
seen = {"argv": sys.argv[3:], "env": dict(os.environ), "fds": fds(), "status": status}
with open(sys.argv[1], "w") as file:
    json.dump(seen, file)
os.write(2, b"noise\\n")
with open(sys.argv[2]) as file:
    words = json.load(file)
os.execvp(words[0], words)
"""


class Probe:
    """A tunnel command that keeps what it was given, and goes on as a Dovecot."""

    def __init__(self, folder):
        self.folder = folder
        self.server = Dovecot(os.path.join(folder, "tunnelled"))
        with open(self._file("probe.py"), "w", encoding="ascii") as file:
            file.write(PROBE)
        with open(self._file("words"), "w", encoding="utf-8") as file:
            json.dump(shlex.split(self.server.command()), file)

    def _file(self, name):
        return os.path.join(self.folder, name)

    @property
    def command(self):
        return f"/usr/bin/python3 -I {self._file('probe.py')} {self._file('seen')} {self._file('words')}"

    def seen(self):
        with open(self._file("seen"), encoding="utf-8") as file:
            return json.load(file)


@pytest.fixture
def probe(folder):
    return Probe(folder)


def through(interimap, server, probe, command, **options):
    return interimap(section(server()), {"type": "tunnel", "command": command, **options})


@pytest.fixture
def arguments(interimap, server, folder):
    """arguments(before, after) -> what a command between them was given, in words, and the program."""
    path, here = os.path.join(folder, "arguments"), section(server())
    with open(path, "w", encoding="ascii") as file:
        file.write('#!/bin/sh\nprintf "%s\\0" "$@" >"$0.seen"\necho noise >&2\n')
    os.chmod(path, 0o755)

    def run(before, after, *args, **options):
        one = interimap(here, {"type": "tunnel", "command": f"{before}{path} {after}", **options})
        result = refused(one, "^remote: .*the server closed the connection", *args)
        with open(path + ".seen", encoding="ascii") as file:
            return file.read().split("\0")[:-1], result.err, one.folder

    return run


# What follows # is a comment to a shell, and a word without one.
@pytest.mark.parametrize("before,after,argv", [
    ("", "a  b\tc #d", ["a", "b", "c", "#d"]),
    ("", "%h !x ^y a=b, - -- #d", ["%h", "!x", "^y", "a=b,", "-", "--", "#d"]),
    ("", "'a  b' #d", ["a  b"]),
    ("", '"$HOME" #d', ["@home"]),
    ("", r"a\ b #d", ["a b"]),
    ("exec ", "a #d", ["a"]),
    ("A=1 ", "a #d", ["a"]),
    ("true && ", "a #d", ["a"]),
    ("export A=1; ", "a $A `echo b` {c} #d", ["a", "1", "b", "{c}"]),
])
def test_words_or_shell(arguments, before, after, argv):
    seen, _, home = arguments(before, after)
    assert seen == [home if word == "@home" else word for word in argv]


def test_characters_for_the_shell(arguments):
    """Each that the manual means by metacharacters, in a comment: only a shell drops it."""
    for char in "$&*(){}[]'\";\\|?<>~`":
        assert arguments("", f"a #{char}")[0] == ["a"], char


@pytest.mark.parametrize("option,args,noisy", [
    ({}, (), True), ({"null-stderr": "NO"}, ("--quiet",), True), ({"null-stderr": "YES"}, (), False),
    ({"null-stderr": "YES"}, ("--debug",), True),
])
def test_null_stderr(arguments, option, args, noisy):
    _, err, _ = arguments("", "a", *args, **option)
    assert bool(re.search("^noise$", err, re.MULTILINE)) == noisy


def test_what_the_command_inherits(interimap, server, probe, folder):
    one = through(interimap, server, probe, f"{probe.command} x")
    kept = {"GREETING": "hello", "LANG": "C"}
    withheld = {"IFS": "x", "CDPATH": "/tmp", "ENV": "/nowhere", "BASH_ENV": "/nowhere",
                "PATH": f"{folder}:/usr/local/bin"}
    # Descriptors that the program itself inherits are not for the command either.
    with open(os.path.join(folder, "open"), "wb") as extra:
        os.set_inheritable(extra.fileno(), True)
        assert one.run(env={**kept, **withheld}).code == 0
    seen = probe.seen()
    environment = seen["env"]
    assert environment["PATH"] == "/usr/bin:/bin"
    assert not {"IFS", "CDPATH", "ENV", "BASH_ENV"} & set(environment)
    assert kept.items() <= environment.items()
    fds = seen["fds"]
    assert fds["0"] == fds["1"] and fds["0"].startswith("socket:")
    assert set(fds) == {"0", "1", "2"}, fds
    status = seen["status"]
    assert int(status["SigBlk"], 16) == 1 << (2 - 1)  # SIGINT, and nothing else
    # Python itself ignores SIGPIPE (13) and SIGXFSZ (25); the C library has 32 and 33 for itself.
    assert int(status["SigIgn"], 16) & 0x7fffffff & ~(1 << 12 | 1 << 24) == 0


def test_proxy_is_not_for_tunnels(interimap, server, probe):
    through(interimap, server, probe, probe.command, proxy=f"socks5://127.0.0.1:{free_port()}").sync()


# Compression and keepalive.

def test_compress(pair, interimap):
    """By default for [remote] alone; never without work."""
    local, remote = pair
    one = interimap(local, imaps(remote))
    plain = dict(one.sections)
    for number, (here, there, sides) in enumerate((
            ({}, {}, {"remote"}), ({"compress": "YES"}, {}, {"local", "remote"}),
            ({}, {"compress": "NO"}, set()), ({"compress": "YES"}, {"compress": "NO"}, {"local"}))):
        for side in pair:
            with connect(side) as client:
                client.append_all("INBOX", messages.mix(f"{number} {side.port}", 20))
        one.sections["local"] = {**plain["local"], **here}
        one.sections["remote"] = {**plain["remote"], **there}
        assert {line.split(":")[0] for line in one.sent() if "COMPRESS DEFLATE" in line} == sides
        one.assert_equal(local, remote)
    one.sections["local"]["compress"] = "YES"
    assert not [line for line in one.sent() if "COMPRESS" in line]


@pytest.mark.parametrize("answer,warned", [("NO [COMPRESSIONACTIVE] already", False),
                                           ("NO no memory", True), ("BAD what", True)])
def test_compress_refused(server, client, answer, warned):
    fake = server(capabilities=CAPABILITIES + " COMPRESS=DEFLATE", answers={
        "COMPRESS": lambda connection, tag, _: connection.say(f"{tag} {answer}") or True})
    fake.boxes["INBOX"].add(messages.message("x").body)
    result = client(fake).sync()
    assert "COMPRESS" in fake.verbs()
    assert ("refused compression" in result.err) == warned, result.err


def keepalive_timers(port):
    """Whether the established connections to a local port have the keepalive timer (2) going."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table][1:]
    return [row[5].split(":")[0] == "02" for row in rows
            if row[3] == "01" and int(row[2].split(":")[1], 16) == port]


def test_keepalive(interimap, server):
    here, there = server(), server()
    one = interimap(section(here), section(there))
    one.sync()
    running = one.start("--watch=60")
    running.wait_for("up to date")
    for fake in (here, there):
        # Data on its way has another timer, for a moment.
        limit = time.monotonic() + 10
        while keepalive_timers(fake.port) != [True]:
            assert time.monotonic() < limit, keepalive_timers(fake.port)
            time.sleep(0.01)
    assert running.stop().code == 0


# Logging in.

ALL = "auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256"


@pytest.fixture
def strict(dovecot):
    return dovecot("strict", extra=ALL, users={"user": "secret", "other": "x"})


@pytest.mark.parametrize("auth,command", [
    (None, "AUTHENTICATE PLAIN"),
    ("PLAIN", "AUTHENTICATE PLAIN"),
    ("LOGIN", "LOGIN"),
    ("LOGIN PLAIN", "LOGIN"),
    ("CRAM-MD5", "AUTHENTICATE CRAM-MD5"),
    ("SCRAM-SHA-1", "AUTHENTICATE SCRAM-SHA-1"),
    ("SCRAM-SHA-256 PLAIN", "AUTHENTICATE SCRAM-SHA-256"),
    ("scram-sha-256", "AUTHENTICATE SCRAM-SHA-256"),
    ("EXTERNAL SCRAM-SHA-256-PLUS PLAIN", "AUTHENTICATE PLAIN"),
])
def test_mechanisms(strict, interimap, server, auth, command):
    """The first one that is offered; what it says is not in the log unless --debug is given twice."""
    one = interimap(section(server()), {**imaps(strict), **({"auth": auth} if auth else {})})
    log = os.path.join(one.folder, "log")
    one.write(logfile=log)
    one.sync("--debug")
    with open(log, encoding="utf-8") as file:
        text = file.read()
    assert re.search(rf"remote.*C: \S+ {command}\b", text), text
    for form in ("secret ", '"secret"', base64.b64encode(b"\0user\0secret").decode()):
        assert form not in text
    wrong = interimap(section(server()), {**imaps(strict), "password": "secret!",
                                          **({"auth": auth} if auth else {})})
    refused(wrong, 'remote: .*the login as "user" was refused', "--debug")


@pytest.mark.parametrize("auth,shown", [("LOGIN", 'LOGIN "user" "secret"'),
                                        ("PLAIN", base64.b64encode(b"\0user\0secret").decode())])
def test_secrets_are_shown_by_two_debugs(strict, interimap, server, auth, shown):
    one = interimap(section(server()), {**imaps(strict), "auth": auth})
    log = os.path.join(one.folder, "log")
    one.write(logfile=log)
    one.sync("--debug", "--debug")
    with open(log, encoding="utf-8") as file:
        assert shown in file.read()


def test_no_mechanism_in_common(strict, interimap, server):
    refused(interimap(section(server()), {**imaps(strict), "auth": "EXTERNAL SCRAM-SHA-256-PLUS"}),
            "remote: .*none of the configured authentication mechanisms")


@pytest.mark.parametrize("options", [{"username": None}, {"password": None}])
def test_no_login_configured(server, client, options):
    fake = server()
    one = client(fake)
    for name in options:
        del one.sections["remote"][name]
    one.write()
    refused(one, f"remote: .*no {name} is configured")
    assert not {"LOGIN", "AUTHENTICATE"} & set(fake.verbs())


PASSWORDS = (r'quote"back\slash', "two  spaces", "{12}", "{5+}x", "%s(*)&$;#", "pässwörd-π", "NIL", "=",
             "]closing[", "x" * 900)


def test_odd_passwords(dovecot, interimap, server):
    """What a real server makes of them: PASSWORDS[i] is that of user i."""
    users = {f"user{number}": f"{{PLAIN}}{word}" for number, word in enumerate(PASSWORDS)}
    remote, here = dovecot("remote", extra=ALL, users=users), server()
    mechanisms = itertools.cycle(("PLAIN", "LOGIN", "SCRAM-SHA-256"))
    for number, word in [*enumerate(PASSWORDS), *list(enumerate(PASSWORDS))[:6]]:
        auth = next(mechanisms)
        one = interimap(section(here),
                        {**imaps(remote, user=f"user{number}", password=word), "auth": auth})
        result = one.run()
        assert result.code == 0, f"{auth} {word}: {result.err}"


@pytest.mark.parametrize("plus", ["LITERAL+", "LITERAL-", ""])
def test_odd_user_names(server, client, plus):
    """LOGIN's arguments as the server gets them, whatever literals it takes."""
    capabilities = CAPABILITIES.replace("LITERAL+ ", plus + " " if plus else "")
    got = []
    fake = server(capabilities=capabilities,
                  answers={"LOGIN": lambda _connection, _tag, words: got.append(words)})
    pairs = [(r'a"b\c', "x y"), ("user@example.org", "ü"), ("юзер", r'\"\\"'), ("NIL", "()"),
             ("%*{3}", "{3+}")]
    for user, password in pairs:
        client(fake, auth="LOGIN", username=user, password=password).sync()
    assert got == [[user.encode(), password.encode()] for user, password in pairs]


def test_readable_configuration_with_a_password(server, client):
    one = client(server())
    os.chmod(one.config, stat.S_IRUSR | stat.S_IWUSR | stat.S_IROTH)
    result = one.run()
    assert result.code == 0 and "holds a password and can be read by others" in result.err


def test_clear_text(dovecot, interimap, server):
    """STARTTLS = NO is all that it takes."""
    remote = dovecot("remote")
    one = interimap(section(server()), imap(remote))
    one.sync()
    assert len(re.findall(r"(Login|Logged in): user=<user>", remote.messages())) == 1
