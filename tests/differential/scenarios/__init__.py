# SPDX-License-Identifier: MIT
"""Scenarios as data: the state of both servers and the database, what happens, and what must hold.

A step is a verb with its words; stage.py says what each does.  Names of mailboxes are written with
"/" whatever the delimiter of the server is.  Each scenario is carried out by the Perl program and
by ours, and, if it has several runs, by each going on where the other began.
"""

import importlib
from dataclasses import dataclass, field

SIDES = "local", "remote"
DOT, SLASH = (".", "maildir"), ("/", "sdbox")
MODULES = ("messages", "mailboxes", "lists", "commands", "repair", "database", "arguments",
           "configuration", "network", "names", "extremes")


@dataclass(frozen=True)
class Ours:
    """Where our program differs on purpose: why, and what it comes to instead.

    Fields as in Scenario.expect, `exit` (of each run), `rows` (mailboxes of the database), and
    `free`: parts of the Outcome that follow from it and are not compared.
    """

    reason: str
    exit: tuple = None
    expect: dict = field(default_factory=dict)
    rows: dict = None
    free: tuple = ()


@dataclass(frozen=True)
class Scenario:
    name: str
    steps: tuple
    expect: dict = field(default_factory=dict)      # at the end: see Stage.unmet
    servers: tuple = (DOT, SLASH)                   # (separator, format) of local, remote
    config: dict = field(default_factory=dict)      # section -> options
    ours: Ours = None
    crossed: bool = True                            # False: has several runs on no common state

    def exits(self):
        """What each run's exit status is expected to be."""
        return [keys.get("exit", 0) for verb, _, keys in self.steps if verb in ("run", "stop")]


def step(verb, *words, **keys):
    return verb, words, keys


def local(*words, **keys):
    return "local", words, keys


def remote(*words, **keys):
    return "remote", words, keys


def both(*words, **keys):
    return "both", words, keys


def run(*words, **keys):
    return "run", words, keys


def scenario(name, *steps, **keys):
    return Scenario(name, steps, **keys)


def load():
    """All scenarios; a name stands for one."""
    found = {}
    for module in MODULES:
        for one in importlib.import_module(f"{__name__}.{module}").SCENARIOS:
            if one.name in found:
                raise ValueError(f"two scenarios are called {one.name}")
            found[one.name] = one
    return found
