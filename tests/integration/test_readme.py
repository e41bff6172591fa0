# SPDX-License-Identifier: MIT
"""Each command of README.md does what it says there.

The table at the end holds those that are run elsewhere.  A command that nobody runs is an error.
"""

import configparser
import os
import re
import subprocess

import pytest

from .interimap import ROOT, connect, imaps, proxy_section, release
from .messages import message
from .ports import free_port

README = (ROOT / "README.md").read_text(encoding="utf-8")
_PROGRAMS = r"(?:sudo |interimap|deploy/\w|tests/run|tests/fresh/|meson setup|ninja |curl |systemctl )"

ELSEWHERE = {
    "deploy/quickstart": "test_quickstart.py, and tests/fresh/run",
    "deploy/quickstart --check": "test_quickstart.py, and tests/fresh/run",
    "deploy/quickstart --config=FILE": "test_quickstart.py",
    "tests/run": "tests/fresh/run",
    "tests/fresh/run trixie": "tests/run full",
    "meson setup build-release -Dbuildtype=release -Db_sanitize=none": "tests/run",
    "ninja -C build-release": "tests/run",
    "deploy/package": "tests/fresh/run",
    "sudo apt install ./build-package/interimap-proxy_*.deb": "tests/fresh/package",
    # These need a systemd of the user's: the units are checked by lint/units.py, SIGHUP and
    # socket activation by test_accounts.py and test_infrastructure.py.
    "systemctl --user enable --now interimap": "lint/units.py",
    "systemctl --user enable --now interimap.socket": "lint/units.py",
    "systemctl --user enable --now interimap@work": "lint/units.py",
    "systemctl --user status interimap": "lint/units.py",
    "systemctl --user reload interimap": "lint/units.py",
}


def commands():
    """All of README.md, without what is said about them."""
    blocks = [re.sub(r"\s+#.*", "", line) for line in re.findall(r"^    (\S.*)$", README, re.M)]
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]*)`", README)]
    return {word for word in blocks + spans if re.match(_PROGRAMS, word)}


class Reader:
    """Somebody who does what is written, with names, ports and passwords of their own."""

    def __init__(self, one):
        self.one, self.done = one, set()

    def says(self, command):
        assert command in commands(), f"README.md does not say: {command}"
        self.done.add(command)
        return command

    def words(self, command, own):
        words = [own.get(word, word) for word in self.says(command).split()]
        assert words[0] == "interimap"
        return [word for word in words[1:] if word]

    def run(self, command, **own):
        """To its end; `own` stands for the words in capitals."""
        return self.one.sync(*self.words(command, own))

    def start(self, command):
        return self.one.start(*self.words(command, {}))


def section(name, **own):
    """A section of the configuration as it is shown, with `own` values in place of the shown."""
    shown = re.search(rf"^    \[{name}\]\n(?:    .+\n)+", README, re.M)[0]
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(re.sub("^    ", "", shown, flags=re.M))
    return {**parser[name], **own}


@pytest.fixture
def remote(dovecot, certificates):
    server = dovecot("remote", separator="/", tls=certificates)
    with connect(server) as client:
        for name in ("work", "gone", "old"):
            client.cmd("CREATE", name)
            client.append(name, message(name).body)
    return server


@pytest.fixture
def reader(interimap, remote):
    own = {key: str(value) for key, value in imaps(remote).items() if key != "type"}
    one = interimap(None, section("remote", **own), binary=release())
    one.sections["proxy"] = section("proxy", listen=proxy_section()["listen"])
    one.sections["local"] = {"type": "maildir", "path": f"{one.folder}/Mail"}
    one.write()
    return Reader(one)


def in_front_of_a_service(reader, remote):
    """What is said to a running service, and to one that is not there."""
    reader.run("interimap")
    reader.run("interimap [MAILBOX ...]", **{"[MAILBOX": "work", "...]": "gone"})
    reader.run("interimap MAILBOX", MAILBOX="work")
    assert "the same on both sides" in reader.run("interimap --verify").err
    reader.run("interimap --allow-deletions MAILBOX", MAILBOX="INBOX")
    with connect(remote) as client:
        client.cmd("DELETE gone")
    assert reader.one.run().code == 1       # it is said, and nothing is done
    reader.run("interimap --target=database --delete MAILBOX", MAILBOX="gone")
    reader.run("interimap")
    with connect(remote) as client:
        assert client.status("gone")["MESSAGES"] == 1
    reader.run("interimap --delete MAILBOX", MAILBOX="gone")
    assert "--rename MAILBOX NEWNAME" in README
    reader.one.sync("--rename", "old", "new")
    reader.one.sync("--repair")
    with connect(remote) as client:
        assert set(client.list()) == {"INBOX", "work", "new"}


def a_mail_client(reader):
    """It is shown what the account holds."""
    address = reader.one.sections["proxy"]["listen"]
    words = reader.says("curl -u alice imap://127.0.0.1:1143/").split()
    words = ["alice:" + reader.one.sections["proxy"]["password"] if word == "alice" else
             word.replace("127.0.0.1:1143", address) for word in words]
    out = subprocess.run([*words, "-sS"], capture_output=True, text=True, check=True).stdout
    assert re.search(r"^\* LIST .* work\r?$", out, re.M), out


def two_servers(reader, local):
    """Without a mail client."""
    reader.one.sections["proxy"] = None
    reader.one.sections["local"] = section("local", command=local.command())
    reader.one.database += ".two"
    reader.one.write()
    reader.run("interimap")
    with connect(local) as client:
        assert client.status("work")["MESSAGES"] == 1
    for command in ("interimap --watch", "interimap --notify"):
        running = reader.start(command)
        running.wait_for("up to date")
        running.stop()


def several_accounts(reader, remote, local):
    """They share a store, and the port of the first."""
    for name, server in (("home", remote), ("work", local)):
        reader.one.config = os.path.join(os.path.dirname(reader.one.config), name)
        reader.one.sections = {
            "": {}, "remote": imaps(server), "local": {"type": "maildir", "path": f"{reader.one.folder}/Both",
                      "list-reference": f"{name}/"},
            "proxy": section("proxy", listen=f"127.0.0.1:{free_port()}") if name == "home" else None}
        reader.one.database = os.path.join(reader.one.folder, f"{name}.db")
        reader.one.write()
    running = reader.start("interimap --proxy --config=home --config=work")
    running.wait_for("listening on")
    running.stop()


def installing(reader, folder):
    """The build that the tests run is the one that is described."""
    reader.says("deploy/packages build run")
    subprocess.run([str(ROOT / "deploy/packages"), "build", "run"], check=True)
    reader.says("sudo meson install -C build-release")
    subprocess.run(["meson", "install", "-C", str(ROOT / "build-release"), "--no-rebuild",
                    "--quiet", "--destdir", folder], check=True)
    found = {name for _, _, names in os.walk(folder) for name in names}
    assert {"interimap", "interimap.service", "interimap.socket", "interimap@.service"} <= found


def test_each_command(reader, remote, dovecot, certificates, folder):
    local = dovecot("local", separator="/", tls=certificates)
    running = reader.start("interimap --proxy")
    running.wait_for("up to date")
    a_mail_client(reader)
    assert "connected" in reader.run("interimap --status").out
    assert reader.one.sync("--status=json").out.startswith("{")
    in_front_of_a_service(reader, remote)
    running.stop()
    reader.run("interimap")
    two_servers(reader, local)
    several_accounts(reader, remote, local)
    installing(reader, os.path.join(folder, "installed"))
    run = reader.done | set(ELSEWHERE)
    assert commands() == run, f"not run: {commands() - run}; not there: {run - commands()}"
