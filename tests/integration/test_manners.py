# SPDX-License-Identifier: MIT
"""The service and who manages it: sd_notify, and signals."""

import os
import pathlib
import re
import signal
import socket

import pytest

from .service import Proxy

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def manager(tmp_path):
    """What systemd does with $NOTIFY_SOCKET: a function that waits for one message, and its `env`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        path = str(tmp_path / "notify")
        listener.bind(path)
        listener.settimeout(20)

        def told(line, never=None):
            while line not in (said := listener.recv(4096).decode().splitlines()):
                assert said and never not in said, said

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


def test_the_unit_names_what_the_program_has(interimap):
    unit = (ROOT / "deploy/systemd/interimap.service").read_text()
    command = re.search(r"^ExecStart=interimap (.*)$", unit, re.MULTILINE)[1].split()
    shown = interimap({}, {"type": "tunnel", "command": "false"}).run("--help").out
    assert command and all(option in shown for option in command)
    assert "Type=notify" in unit and "WatchdogSec=" in unit
