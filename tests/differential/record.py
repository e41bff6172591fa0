# SPDX-License-Identifier: MIT
"""What the Perl program came to in each scenario: records/NAME.json.

A record holds what test_differential.py compares: the exit statuses, and of each part of the Outcome
each value; one that is long as a digest, since the Perl program can always say it again.  It also
says what it was made with, and of which steps: for other steps it is no record.
"""

import collections
import functools
import hashlib
import json
import os
import subprocess

from integration.dovecot import version

PERL = "/usr/bin/interimap"
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "records")
LONG = 100      # characters of a value


def names():
    return {name.removesuffix(".json") for name in os.listdir(FOLDER)}


def _path(scenario):
    return os.path.join(FOLDER, scenario.name + ".json")


def _plain(value):
    """The value in JSON's words, always in the same order."""
    if isinstance(value, collections.Counter):
        return sorted(([_plain(key), count] for key, count in value.items()), key=json.dumps)
    if isinstance(value, dict):
        return {key: _plain(value[key]) for key in sorted(value)}
    if isinstance(value, (set, frozenset)):
        return sorted(map(_plain, value), key=json.dumps)
    if isinstance(value, (list, tuple)):
        return list(map(_plain, value))
    return value


def _short(value):
    plain = _plain(value)
    text = json.dumps(plain)
    return plain if len(text) <= LONG else "sha256 " + hashlib.sha256(text.encode()).hexdigest()[:16]


def parts_of(outcome, parts, part):
    """{part: {key: value}} of the parts named, as a record has them."""
    return {name: {key: _short(value) for key, value in part(outcome, name).items()}
            for name in parts}


@functools.lru_cache(maxsize=None)
def made_with():
    """What the Perl program's results may depend on."""
    said = subprocess.run([PERL, "--version"], capture_output=True, text=True, check=True).stdout
    return {"interimap": said.splitlines()[0].split()[-1], "dovecot": "%d.%d" % version()}


def steps(scenario):
    """Tells whether a record is of these steps."""
    what = repr((scenario.steps, scenario.servers, scenario.config))
    return hashlib.sha256(what.encode()).hexdigest()[:16]


def make(scenario, outcome, parts, part):
    """The record of what the Perl program has come to now."""
    return {"made with": made_with(), "of steps": steps(scenario), "exits": outcome.exits,
            **parts_of(outcome, parts, part)}


def write(scenario, found):
    os.makedirs(FOLDER, exist_ok=True)
    with open(_path(scenario), "w", encoding="ascii") as file:
        lines = [f" {json.dumps(name)}: {json.dumps(found[name], sort_keys=True)}"
                 for name in sorted(found)]
        file.write("{\n" + ",\n".join(lines) + "\n}\n")


def read(scenario):
    with open(_path(scenario), encoding="ascii") as file:
        return json.load(file)


def differences(one, other, parts):
    """Between two records, or a record and parts_of()."""
    for name in parts:
        left, right = one[name], other[name]
        for key in sorted(left.keys() | right.keys()):
            if left.get(key) != right.get(key):
                yield f"{name}: {key}: {left.get(key)} against {right.get(key)}"
