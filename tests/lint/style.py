#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Form: clang-format, length, licence lines, white space, no notes to oneself."""

import os
import re
import shutil
import subprocess

import tree

LONGEST = 800
LICENCE = "SPDX-License-Identifier: MIT"
# clang-format's output changes between versions; this is the one the tree is formatted with.
CLANG_FORMAT = 14

# Written apart, so that this file does not find itself.
_NOTES = re.compile(r"\b(" + "|".join(("TO" "DO", "FIX" "ME", "X" "XX")) + r")\b")
_SCRIPT = re.compile(r"#!.*\b(sh|bash|python3?)\b")


def check(root):
    names = tree.files(root)
    yield from _format(root, [name for name in names if name.endswith((".c", ".h"))])
    for name in names:
        if "/corpus/" in name or name.startswith("tests/fuzz/corpora/"):
            continue
        text = tree.text(root, name)
        if text:
            yield from _complaints(name, text)


def _complaints(name, text):
    lines = text.split("\n")
    code = name.endswith((".c", ".h", ".py")) or bool(_SCRIPT.match(lines[0]))
    if code and len(lines) - 1 > LONGEST:
        yield f"{name}: {len(lines) - 1} lines; {LONGEST} are the most"
    if name.endswith((".c", ".h")) and lines[0] != f"/* {LICENCE} */":
        yield f"{name}:1: the first line must be /* {LICENCE} */"
    elif code and LICENCE not in "\n".join(lines[:2]):
        yield f"{name}:1: no {LICENCE} in the first two lines"
    if re.fullmatch(r"tests/unit/test-.*\.c", name) and "(CM_OUTPUT_TAP)" not in text:
        yield f"{name}: without CM_OUTPUT_TAP, meson counts it as skipped"
    if not text.endswith("\n"):
        yield f"{name}: the last line has no end"
    for number, line in enumerate(lines, 1):
        if _NOTES.search(line):
            yield f"{name}:{number}: {_NOTES.search(line)[0]}"
        if line != line.rstrip() and not name.endswith((".md", ".eml")):
            yield f"{name}:{number}: white space at the end"
        if name.endswith((".c", ".h")) and re.match(r"\t* {8}", line):
            yield f"{name}:{number}: spaces where a tab belongs"


def _format(root, names):
    program = _clang_format()
    if program is None:
        # Not an error: other distributions have other versions, and CI has this one.
        print(f"clang-format {CLANG_FORMAT} is not installed: formatting not checked")
        return
    if not names:
        return
    done = subprocess.run([program, "--dry-run", "-Werror", *names], cwd=root,
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        wrong = sorted(set(re.findall(r"^([^:\n]+:\d+):\d+: error", done.stderr, re.MULTILINE)))
        yield from (f"{place}: not as clang-format has it" for place in wrong)
        if not wrong:
            yield done.stderr


def _clang_format():
    for name in (f"clang-format-{CLANG_FORMAT}", "clang-format"):
        program = shutil.which(name)
        if program is None:
            continue
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
        if re.search(rf"version {CLANG_FORMAT}\.", said.stdout):
            return program
    return None


if __name__ == "__main__":
    os.environ["LC_ALL"] = "C.UTF-8"
    tree.main(check)
