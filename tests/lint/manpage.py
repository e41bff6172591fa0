#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""interimap.conf(5) and the option table say the same: names, where they stand, words, defaults."""

import os
import re

import tree

TABLE = "sync/config/options.c"
PAGE = "docs/interimap.conf.5.scd"
# Bits of the table that make a heading of the page, in order of precedence.
HEADINGS = (("IN_PROXY", "THE PROXY"), ("SERVER", "SERVERS"), ("IN_LOCAL", "SERVERS"),
            ("IN_REMOTE", "SERVERS"), ("IN_DEFAULT", "THE ACCOUNT"))

_ENTRY = re.compile(r'^\t\{"(?P<name>[^"]+)",\s*(?P<sections>[A-Z_| ]+),(?P<rest>.*?)\},\n',
                    re.MULTILINE | re.DOTALL)
_STRINGS = r'((?:"(?:[^"\\]|\\.)*"\s*)+)'
_OPTION = re.compile(r"^\*([A-Za-z][\w-]*)\* = ")


def _literal(field, rest):
    found = re.search(r"\." + field + r" = " + _STRINGS, rest)
    return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', found[1])) if found else None


def table(text):
    """(heading, name) -> (default, words) of each entry of the table."""
    entries = {}
    for found in _ENTRY.finditer(text):
        heading = next(title for bit, title in HEADINGS if bit in found["sections"])
        choices = (_literal("choices", found["rest"]) or "").replace("!", "").split()
        default, words = entries.get((heading, found["name"]), (None, set()))
        entries[heading, found["name"]] = (_literal("fallback", found["rest"]) or default,
                                           words | set(choices))
    return entries


def page(text):
    """(heading, name) -> the text that describes it, on one line and without markup."""
    described, heading, names, in_body = {}, "", [], False
    for line in text.split("\n"):
        found = _OPTION.match(line)
        if line.startswith("# "):
            heading, names = line[2:], []
        elif found:
            names = [] if in_body else names
            names.append(found[1])
            described[heading, found[1]] = line
        elif names:
            for name in names:
                described[heading, name] += " " + line.strip()
        in_body = not found
    return {key: re.sub(r"\\(.)", r"\1", re.sub(r"(?<!\\)\*", "", value))
            for key, value in described.items()}


def check(root):
    if not os.path.exists(os.path.join(root, TABLE)):
        return
    entries = table(tree.text(root, TABLE))
    described = page(tree.text(root, PAGE))
    if not entries:
        yield f"{TABLE}: no table of options was found"
    for heading, name in sorted(entries.keys() - described.keys()):
        yield f"{PAGE}: {name} is not described under {heading}"
    for heading, name in sorted(described.keys() - entries.keys()):
        yield f"{PAGE}: {name} under {heading} is not in the table of {TABLE}"
    for key in sorted(entries.keys() & described.keys()):
        default, words = entries[key]
        if default and f"(Default: {default}" not in described[key]:
            yield f"{PAGE}: the default of {key[1]} is not given as (Default: {default})"
        for word in sorted(words):
            if not re.search(r"(?<![\w-])" + re.escape(word) + r"(?![\w-])", described[key]):
                yield f"{PAGE}: {key[1]} can be {word}, which is not mentioned"


if __name__ == "__main__":
    tree.main(check)
