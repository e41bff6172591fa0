#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The tree stands alone: no word of the places and circumstances in which it is written."""

import re

import tree

# Written apart, so that this file does not find itself.
_FORBIDDEN = re.compile("|".join((
    r"(?<![\w.-])/wo" r"rk(?:/|\b(?!-))", r"\.\./sha" r"red\b", r"\.lib" r"rary\b",
    r"\biss" r"ue #?\d+", r"\bdeb\.deb" r"ian\.org", r"\bregistry\.npm" r"js\.org",
    r"\bpyp" r"i\.org", r"\bfiles\.python" r"hosted\.org", r"\bcrat" r"es\.io",
    r"\bproxy\.gol" r"ang\.org")), re.IGNORECASE)


def check(root):
    for name in tree.files(root):
        for number, line in enumerate((tree.text(root, name) or "").split("\n"), 1):
            found = _FORBIDDEN.search(line)
            if found:
                yield f"{name}:{number}: mentions {found[0]}"


if __name__ == "__main__":
    tree.main(check)
