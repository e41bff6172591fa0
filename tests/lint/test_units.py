# SPDX-License-Identifier: MIT
"""units.py finds each kind of difference between the systemd units and the program."""

import os
import shutil
import subprocess

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "../..")
SERVICE, SOCKET = "deploy/systemd/interimap.service.in", "deploy/systemd/interimap.socket"
TEMPLATE = "deploy/systemd/interimap@.service.in"


def complaints(folder, changed=None, old="", new=""):
    for name in (SERVICE, SOCKET, TEMPLATE, "proxy/arguments.c", "sync/config/options.c"):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(os.path.join(ROOT, name), target)
    if changed:
        text = (folder / changed).read_text()
        assert old in text
        (folder / changed).write_text(text.replace(old, new, 1))
    done = subprocess.run([os.path.join(HERE, "units.py"), str(folder)], text=True,
                          capture_output=True, check=False)
    assert done.returncode == (1 if done.stderr else 0)
    return done.stderr


def test_they_agree(tmp_path):
    assert complaints(tmp_path) == ""


@pytest.mark.parametrize("changed, old, new, word", [
    (SERVICE, "--proxy", "--serve", "no option --serve"),
    (SERVICE, "--proxy", "--proxy=1", "--proxy has a value"),
    (SERVICE, "--proxy", "proxy", "proxy is no option"),
    (SERVICE, "@bindir@/interimap", "/usr/bin/imapsync", "it starts /usr/bin/imapsync"),
    (SERVICE, "Type=notify", "Type=simple", "Type=notify"),
    (SERVICE, "WatchdogSec=2min\n", "", "WatchdogSec="),
    (SERVICE, "kill -HUP", "kill -USR1", "ExecReload="),
    (SERVICE, "[Install]\nWantedBy", "[Install]\nAlias", "cannot be enabled"),
    (SERVICE, "[Service]", "Service", "deploy/systemd/interimap.service.in"),
    (TEMPLATE, "--config=%i", "--config", "--config has no value"),
    (TEMPLATE, "LockPersonality=yes\n", "", "LockPersonality"),
    (TEMPLATE, "SystemCallFilter=@system-service", "SystemCallFilter=@basic-io", "SystemCallFilter"),
    (SOCKET, "127.0.0.1:1143", "127.0.0.1:143", "it listens on 127.0.0.1:143 [::1]:1143"),
    (SOCKET, "ListenStream=[::1]:1143\n", "", "it listens on"),
    ("proxy/arguments.c", '{"notify"', '{"notice"', "no option --notify"),
    ("sync/config/options.c", "127.0.0.1:1143", "127.0.0.1:2143", "the program on"),
])
def test_what_differs(tmp_path, changed, old, new, word):
    assert word in complaints(tmp_path, changed, old, new)
