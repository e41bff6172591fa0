#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""docs/compatibility.md names only tests that exist, and every option that there is."""

import fnmatch
import os
import re

import tree

PAGE = "docs/compatibility.md"
OPTIONS = "sync/config/options.c"
ARGUMENTS = "proxy/arguments.c"
SCENARIOS = "tests/differential/scenarios/"

_SCENARIO = re.compile(r'"([a-z0-9]+(?:-[a-z0-9]+)*)"')
_OPTION = re.compile(r'^\t\{"([^"]+)",', re.MULTILINE)
_ARGUMENT = re.compile(r'^\t\{(?:\.\w+ = )?"([a-z-]+)",', re.MULTILINE)


def scenarios(root):
    found = set()
    for name in tree.files(root, ".py"):
        if name.startswith(SCENARIOS):
            found |= set(_SCENARIO.findall(tree.text(root, name) or ""))
    return found


def tests(root):
    """test_file.py -> names of its tests."""
    found = {}
    for name in tree.files(root, ".py"):
        if name.startswith("tests/integration/test_"):
            found[os.path.basename(name)] = re.findall(
                r"^def (test_\w+)", tree.text(root, name) or "", re.MULTILINE)
    return found


def check(root):
    page = tree.text(root, PAGE)
    if page is None:
        yield f"{PAGE}: is missing"
        return
    known, files = scenarios(root), tests(root)
    for pattern in re.findall(r"\bd:([a-z0-9*-]+)", page):
        if not fnmatch.filter(known, pattern):
            yield f"{PAGE}: no scenario {pattern}"
    for file, pattern in re.findall(r"`(test_\w+\.py)(?:::(test_[\w*]+))?`", page):
        if file not in files or (pattern and not fnmatch.filter(files[file], pattern)):
            yield f"{PAGE}: no test {file}::{pattern}"
    for name in _OPTION.findall(tree.text(root, OPTIONS) or ""):
        if name not in ("", "local", "remote") and f"`{name}`" not in page:
            yield f"{PAGE}: the option {name} is not in it"
    for name in _ARGUMENT.findall(tree.text(root, ARGUMENTS) or ""):
        if f"`--{name}`" not in page:
            yield f"{PAGE}: --{name} is not in it"


if __name__ == "__main__":
    tree.main(check)
