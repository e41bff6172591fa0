#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Commands that a person is advised to run come from one function, which quotes what is in them."""

import re

import tree

# These say what the options are, and nothing of a mailbox.
ALLOWED = {"sync/core/advice.c", "proxy/arguments.c"}
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"(?:\s*"(?:[^"\\\n]|\\.)*")*')
_COMMAND = re.compile(r"\binterimap --|`interimap %|[Rr]un interimap %")


def check(root):
    for name in tree.files(root):
        if not name.endswith(".c") or not name.startswith(("sync/", "proxy/")) or name in ALLOWED:
            continue
        text = _COMMENT.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), tree.text(root, name))
        for found in _STRING.finditer(text):
            if _COMMAND.search(re.sub(r'"\s*"', "", found[0])):
                line = text.count("\n", 0, found.start()) + 1
                yield f"{name}:{line}: a command to be run: advice() makes it, and quotes it"


if __name__ == "__main__":
    tree.main(check)
