# SPDX-License-Identifier: MIT
"""manpage.py finds each kind of difference between the option table and its manual page."""

import os
import subprocess

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "../..")
TABLE, PAGE = "sync/config/options.c", "docs/interimap.conf.5.scd"


def complaints(folder, changed, old, new):
    for name in (TABLE, PAGE):
        with open(os.path.join(ROOT, name), encoding="utf-8") as file:
            text = file.read()
        if name == changed:
            assert old in text
            text = text.replace(old, new, 1)
        target = folder / name
        target.parent.mkdir(parents=True)
        target.write_text(text, encoding="utf-8")
    done = subprocess.run([os.path.join(HERE, "manpage.py"), str(folder)], text=True,
                          capture_output=True, check=False)
    assert done.returncode == (1 if done.stderr else 0)
    return done.stderr


def test_they_agree(tmp_path):
    assert complaints(tmp_path, None, "", "") == ""


@pytest.mark.parametrize("changed, old, new, word", [
    (PAGE, "*adopt* = ", "*adopd* = ", "adopt is not described under THE ACCOUNT"),
    (PAGE, "*path* = ", "*paths* = ", "paths under SERVERS is not in the table"),
    (PAGE, "(Default: 100)", "(Default: 200)", "the default of max-clients"),
    (PAGE, "# THE PROXY", "# OTHER", "listen is not described under THE PROXY"),
    (TABLE, '"imap imaps tunnel maildir"', '"imap imaps tunnel mbox"', "type can be mbox"),
    (TABLE, '{"host", IN_ANY_SERVER', '{"host2", IN_ANY_SERVER', "host2 is not described"),
    (TABLE, '{"host", IN_ANY_SERVER', '{"host", IN_PROXY', "host is not described under THE PROXY"),
])
def test_they_differ(tmp_path, changed, old, new, word):
    assert word in complaints(tmp_path, changed, old, new)
