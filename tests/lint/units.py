#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The systemd units start what the program has: its options, its port, its reload; and the services
are restricted alike.  Needs no systemd."""

import configparser
import os
import re

import tree

FOLDER, ARGUMENTS, OPTIONS = "deploy/systemd", "proxy/arguments.c", "sync/config/options.c"
PROGRAM = "@bindir@/interimap"
# They differ for what a service is, and are to be the same otherwise.
OWN = {"ExecStart", "RestartSec"}

_OPTION = re.compile(r'^\t\{"([a-z-]+)", (no|optional|required)_argument,', re.MULTILINE)
_LISTEN = re.compile(r'\{"listen", [^}]*?\.fallback = "([^"]*)"')


def _parsed(text):
    """section -> name -> values, in order."""
    class Many(dict):
        def __setitem__(self, key, value):
            if isinstance(value, list) and key in self and isinstance(self[key], list):
                self[key].extend(value)
            else:
                super().__setitem__(key, value)

    parser = configparser.RawConfigParser(strict=False, dict_type=Many, delimiters=("=",),
                                          comment_prefixes=("#", ";"))
    parser.optionxform = str
    parser.read_string(text)
    return {section: {name: value.split("\n") for name, value in parser.items(section)}
            for section in parser.sections()}


def _command(words, known):
    if words[:1] != [PROGRAM]:
        yield f"it starts {words[0] if words else 'nothing'}, not {PROGRAM}"
    for word in words[1:]:
        name, equals, _ = word.removeprefix("--").partition("=")
        if not word.startswith("--"):
            yield f"{word} is no option"
        elif name not in known:
            yield f"the program has no option --{name}"
        elif equals and known[name] == "no" or not equals and known[name] == "required":
            yield f"--{name} has {'a' if equals else 'no'} value"


def _service(unit, known):
    service = unit.get("Service", {})
    yield from _command(service.get("ExecStart", [""])[0].split(), known)
    if service.get("Type") != ["notify"]:
        yield "the program tells when it is ready: Type=notify"
    if "WatchdogSec" not in service:
        yield "the program gives signs of life: WatchdogSec="
    if service.get("ExecReload") != ["kill -HUP $MAINPID"]:
        yield "the program reads its files again with SIGHUP: ExecReload="


def _socket(unit, addresses):
    streams = unit.get("Socket", {}).get("ListenStream", [])
    if streams != addresses:
        yield f"it listens on {' '.join(streams)}, the program on {' '.join(addresses)}"


def _alike(services):
    first = None
    for name, unit in services:
        rules = {key: value for key, value in unit.get("Service", {}).items() if key not in OWN}
        if first is not None and rules != first[1]:
            odd = sorted(key for key in rules.keys() | first[1].keys()
                         if rules.get(key) != first[1].get(key))
            yield f"{name}: not as in {first[0]}: {', '.join(odd)}"
        first = first or (name, rules)


def check(root):
    if not os.path.exists(os.path.join(root, ARGUMENTS)):
        return
    known = dict(_OPTION.findall(tree.text(root, ARGUMENTS)))
    addresses = _LISTEN.search(tree.text(root, OPTIONS))[1].split()
    services = []
    names = [name for name in tree.files(root, ".service", ".service.in", ".socket")
             if name.startswith(f"{FOLDER}/")]
    if not names:
        yield f"{FOLDER}: no units were found"
    for name in names:
        try:
            unit = _parsed(tree.text(root, name))
        except configparser.Error as error:
            yield f"{name}: {error}"
            continue
        if name.endswith(".socket"):
            complaints = _socket(unit, addresses)
        else:
            services.append((name, unit))
            complaints = _service(unit, known)
        yield from (f"{name}: {complaint}" for complaint in complaints)
        if "WantedBy" not in unit.get("Install", {}):
            yield f"{name}: it cannot be enabled: WantedBy="
    yield from _alike(services)


if __name__ == "__main__":
    tree.main(check)
