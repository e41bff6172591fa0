#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A layer includes only what it may use; docs/architecture.md explains the layers."""

import os
import re

import tree

# layer -> the layers it may use beside itself; "folder/file.h" allows that one header.
TYPES = {"sync/imap/flags.h", "sync/imap/mailbox.h", "sync/imap/seqset.h", "sync/imap/slice.h"}
# The rooms of the engine, lowest first; each may use those before it.
ROOMS = ["core", "deeds", "tree", "replay", "run", "carry", "pass", "engine"]
BELOW = {"sync/base", "sync/net", "sync/imap", "sync/state", "sync/plan"}
ACCOUNT = {"sync/config/account.h", "sync/config/values.h"}
FOR_PROXY = {"sync/deeds/action.h", "sync/engine/hint.h", "sync/core/news.h", "sync/core/job.h"}
MAY_USE = {
    "sync/base": set(),
    "sync/net": {"sync/base"},
    "sync/imap": {"sync/base", "sync/net"},
    "sync/state": {"sync/base"},
    "sync/plan": {"sync/base"} | TYPES,
    "sync/config": {"sync/base", "sync/net", "sync/imap", "sync/plan/brake.h"},
    **{f"sync/{room}": BELOW | ACCOUNT | {f"sync/{lower}" for lower in ROOMS[:place]}
       for place, room in enumerate(ROOMS)},
    "sync/command": BELOW | {"sync/config"} | {f"sync/{room}" for room in ROOMS},
    "proxy": {"sync/base", "sync/net", "sync/imap", "sync/config", "sync/command"} | FOR_PROXY,
}

# Tables are keyed there, so that no peer can make names collide.
TABLES = "sync/base/hash.h"

# Who expunges names the evidence for it: one file says so to a server.
EXPUNGES = "sync/pass/expunge.c"
_EXPUNGE = re.compile(r'"[^"\n]*(EXPUNGE |\\\\Deleted\))')

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*("([^"]+)"|<[^>]+>)', re.MULTILINE)


def check(root):
    for name in tree.files(root, ".c", ".h"):
        layer = os.path.dirname(name)
        if not name.startswith(("sync/", "proxy/")):
            continue
        if layer not in MAY_USE:
            yield f"{name}: {layer} is not a layer"
            continue
        if layer[5:] in ROOMS and name != EXPUNGES and _EXPUNGE.search(tree.text(root, name) or ""):
            yield f"{name}: only {EXPUNGES} expunges"
        for found in _INCLUDE.finditer(tree.text(root, name) or ""):
            line = (tree.text(root, name) or "")[:found.start()].count("\n") + 1
            if found[1] == "<uthash.h>" and name != TABLES:
                yield f'{name}:{line}: include "{TABLES}" instead'
            for complaint in _judge(root, layer, found[2]):
                yield f"{name}:{line}: {complaint}"


def _judge(root, layer, header):
    if header is None:      # <system.h>
        return
    target = os.path.dirname(header)
    if not os.path.exists(os.path.join(root, header)):
        yield f'"{header}" does not exist; includes start at the root of the tree'
    elif target != layer and target not in MAY_USE[layer] and header not in MAY_USE[layer]:
        yield f'{layer} may not use "{header}"'
    elif target != layer and header.endswith("-private.h"):
        yield f'"{header}" is private to {target}'


if __name__ == "__main__":
    tree.main(check)
