# SPDX-License-Identifier: MIT
"""The commands that the program advises, as a person finds and pastes them."""

import os
import re
import subprocess


def advised(text):
    """The commands in what was said."""
    # A mailbox's name may hold a grave accent: none follows one within quotes.
    return re.findall(r"`(interimap (?:'(?:[^']|'\\'')*'|[^`'])*)`", text)


def paste(one, command):
    """What a shell makes of the command, with our program in the PATH."""
    folder = os.path.join(one.folder, "bin")
    os.makedirs(folder, exist_ok=True)
    link = os.path.join(folder, "interimap")
    if not os.path.lexists(link):
        os.symlink(one.binary, link)
    env = {**one.environment(), "PATH": f"{folder}:/usr/bin:/bin"}
    return subprocess.run(["bash", "-c", command], env=env, cwd=one.folder, text=True, timeout=60,
                          capture_output=True, check=False)
