#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Nothing calls upward: no object of a layer needs a symbol that a layer above it defines.

layers.py reads what is included; this reads what is linked.  `calls.py LIBRARY...`, the static
libraries of the layers, lowest first, as meson names them.
"""

import os
import subprocess
import sys


def symbols(library):
    """(what it defines, {object: what that needs})"""
    defined, needed, member = set(), {}, None
    listed = subprocess.run(["nm", library], capture_output=True, text=True, check=True)
    for line in listed.stdout.splitlines():
        words = line.split()
        if line.endswith(".o:"):
            member = line[:-3]
        elif len(words) >= 2 and words[-2] == "U":
            needed.setdefault(member, set()).add(words[-1])
        elif len(words) == 3 and words[1] in "TDBRC":
            defined.add(words[2])
    return defined, needed


def check(libraries):
    layers = [(os.path.basename(path)[3:-2], *symbols(path)) for path in libraries]
    assert all(defined for _, defined, _ in layers), "a library without a symbol"
    for place, (name, _, needed) in enumerate(layers):
        for above, defined, _ in layers[place + 1:]:
            for member, wanted in sorted(needed.items()):
                for symbol in sorted(wanted & defined):
                    yield f"{name}: {member} calls {symbol}(), which is in {above}, above it"


def main():
    complaints = list(check(sys.argv[1:]))
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    sys.exit(1 if complaints or len(sys.argv) < 3 else 0)


if __name__ == "__main__":
    main()
