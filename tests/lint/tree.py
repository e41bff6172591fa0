# SPDX-License-Identifier: MIT
"""The project's files, and how a lint ends."""

import os
import subprocess
import sys


def files(root, *suffixes):
    """Paths of the files that are or would be committed, relative to `root`, sorted."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", root, "ls-files", "-z", "--cached", "--others",
         "--exclude-standard"], capture_output=True, check=False)
    if listed.returncode == 0:
        names = [os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]
    else:
        # A release archive: no repository, and no build folders either when it is fresh.
        names = [os.path.relpath(os.path.join(folder, name), root)
                 for folder, _, found in os.walk(root) for name in found]
        names = [name for name in names if not name.startswith(("build/", "build-", ".git/"))]
    names = [name for name in names if name.endswith(suffixes or "")]
    return sorted(name for name in set(names) if os.path.isfile(os.path.join(root, name)))


def text(root, name):
    """A file's text, or None when it holds bytes that are no text."""
    with open(os.path.join(root, name), "rb") as file:
        data = file.read()
    if b"\0" in data:
        return None
    return data.decode("utf-8", "replace")


def main(check):
    """Run check(root), which yields complaints; exit 1 if there are any."""
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "../..")
    complaints = list(check(os.path.abspath(root)))
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    sys.exit(1 if complaints else 0)
