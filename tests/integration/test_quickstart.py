# SPDX-License-Identifier: MIT
"""deploy/quickstart: the first thing that anybody runs."""

import os
import signal
import socket
import subprocess

import pytest

from . import processes
from .imap import Imap
from .interimap import ROOT
from .ports import free_port

QUICKSTART = str(ROOT / "deploy" / "quickstart")


def folders():
    return {name for name in os.listdir("/tmp") if name.startswith("im-")}


def quickstart(*args, cwd="/", **options):
    return subprocess.Popen([QUICKSTART, *args], cwd=cwd, stdin=subprocess.DEVNULL, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)


def end(process, timeout=120):
    out, _ = process.communicate(timeout=timeout)
    return process.returncode, out


def test_check_shows_the_main_job_and_leaves_nothing():
    before = folders()
    code, out = end(quickstart("--check", f"--port={free_port()}"))
    assert code == 0, out
    assert "Both sides hold the same mail, flags and mailboxes." in out
    assert folders() == before
    assert processes.descendants(os.getpid()) == []


def test_a_port_in_use_is_told():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, out = end(quickstart("--check", f"--port={port}"))
    assert code == 1
    assert f"Port {port} of 127.0.0.1 is in use" in out and "--port=PORT" in out


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_it_stays_until_it_is_told_to_end(number, code):
    before = folders()
    port = free_port()
    process = quickstart(f"--port={port}")
    said = ""
    while "Press Ctrl-C" not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    password = next(line.split()[1] for line in said.split("\n") if line.startswith("  password"))
    with Imap(port=port) as client:
        client.login("me", password)
        assert sum(r"\noselect" not in words for words in client.list().values()) == 7
    process.send_signal(number)
    assert end(process)[0] == code
    assert folders() == before
    assert processes.descendants(os.getpid()) == []


def test_your_own_configuration_is_relative_to_where_you_stand(folder):
    with open(os.path.join(folder, "mine"), "w", encoding="ascii") as file:
        file.write("[remote]\nno-such-option = 1\n")
    os.chmod(os.path.join(folder, "mine"), 0o600)
    code, out = end(quickstart("--config", "mine", cwd=folder))
    assert code != 0
    assert "no-such-option" in out and "mine" in out
