# SPDX-License-Identifier: MIT
"""Every scenario with the Perl interimap, with ours, and with each going on after the other."""

import collections
import concurrent.futures
import os
import re
import shutil

import pytest

from integration.interimap import program, release

from . import scenarios
from .scenarios import SIDES
from .stage import Servers, Stage

PERL = "/usr/bin/interimap"
ALL = scenarios.load()
# Parts of an Outcome that are compared, besides the exit statuses.
PARTS = "local", "remote", "order", "subscribed", "rows", "cached", "mapping", "files"

pytestmark = pytest.mark.skipif(not os.path.exists(PERL), reason=f"{PERL} is not installed")


@pytest.fixture(scope="module")
def servers(certificates, tmp_path_factory):
    folder = os.path.join(os.path.dirname(certificates.folder), f"im-diff{os.getpid()}")
    os.mkdir(folder, 0o755)
    made = Servers(folder, certificates)
    yield made
    made.stop()
    shutil.rmtree(folder)


def variants(scenario):
    """name -> (program of the first run, program of the others)."""
    ours, fast = program(), release()
    found = {"perl": (PERL, PERL), "ours": (ours, ours)}
    if scenario.crossed and len(scenario.exits()) > 1:
        found.update({"perl, then ours": (PERL, fast), "ours, then perl": (fast, PERL)})
    return found


def perform(scenario, servers, folder, user, binaries):
    stage = Stage(scenario, servers, folder, user, binaries)
    try:
        return stage.act(), stage
    finally:
        stage.close()


def contents(seen):
    return {name: collections.Counter(found.values()) for name, found in seen.mailboxes.items()}


def part(outcome, name):
    if name in SIDES:
        seen = getattr(outcome, name)
        return {**contents(seen), "not selectable": seen.others}
    if name == "order":
        # Of the messages by UID, since mail clients show them so.
        return {f"{side} {mailbox}": [found[uid][0][:8] for uid in sorted(found)]
                for side in SIDES
                for mailbox, found in getattr(outcome, side).mailboxes.items()}
    if name == "subscribed":
        return {side: getattr(outcome, side).subscribed for side in SIDES}
    return getattr(outcome, name)


def differences(one, other, parts=PARTS):
    for name in parts:
        left, right = part(one, name), part(other, name)
        for key in sorted(left.keys() | right.keys()):
            if left.get(key) != right.get(key):
                yield f"{name}: {key}: {short(left.get(key), right.get(key))}"


def short(left, right):
    """What differs between two values; of multisets only that."""
    if isinstance(left, dict) and isinstance(right, dict) and \
            not isinstance(left, collections.Counter):
        return "; ".join(f"{key}: {short(left.get(key), right.get(key))}"
                         for key in sorted(left.keys() | right.keys())
                         if left.get(key) != right.get(key))
    if isinstance(left, collections.Counter) and isinstance(right, collections.Counter):
        only = left - right, right - left
        left, right = ([f"{count} x {repr(one)}" for one, count in some.most_common(2)]
                       + [f"{some.total()} in all"] for some in only)
    return f"{left} against {right}"


def expected(scenario, outcome, stage, name):
    """What an outcome of this variant lacks, by itself."""
    exits, wanted, rows = scenario.exits(), scenario.expect, None
    if scenario.ours and name == "ours":
        exits = list(scenario.ours.exit or exits)
        wanted = {**wanted, **scenario.ours.expect}
        if "both" in scenario.ours.expect:
            wanted = {k: v for k, v in wanted.items() if k not in SIDES}
        rows = scenario.ours.rows
    if scenario.ours is None or name in ("ours", "perl"):
        if outcome.exits != exits:
            yield f"exit statuses {outcome.exits} instead of {exits}"
        yield from stage.unmet(wanted)
        if rows is not None and outcome.rows != rows:
            yield f"rows: {outcome.rows} instead of {rows}"
    runs = [keys for verb, _, keys in scenario.steps if verb in ("run", "stop")]
    for number, (keys, said, out) in enumerate(zip(runs, outcome.said, outcome.out), 1):
        if keys.get("says") and not re.search(keys["says"], said + out):
            yield f"run {number} does not say {keys['says']!r} but {said!r}"
        if keys.get("hides") and re.search(keys["hides"], said + out):
            yield f"run {number} does not hide {keys['hides']!r}"
        if keys.get("silent") and said + out:
            yield f"run {number} is not silent but says {said!r}"


def compared(scenario, outcomes, name):
    """Differences of an outcome from that of the Perl program."""
    ours = scenario.ours
    found = outcomes[name]
    if ours is None:
        yield from differences(outcomes["perl"], found)
        return
    if name == "ours":
        free = set(ours.free)
        free |= {*SIDES, "order", "mapping"} if ours.expect else set()
        free |= {"subscribed"} if "subscribed" in ours.expect else set()
        free |= {"rows", "cached"} if ours.rows is not None else set()
        parts = [one for one in PARTS if one not in free]
        yield from differences(outcomes["perl"], found, parts)
        return
    # Begun by one and ended by the other: the result of either.
    like = [list(differences(outcomes[one], found)) for one in ("perl", "ours")]
    if all(like):
        yield from min(like, key=len)


@pytest.mark.parametrize("scenario", ALL.values(), ids=ALL.keys())
def test_scenario(scenario, servers, folder):
    number = list(ALL).index(scenario.name)
    jobs = variants(scenario)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        futures = {name: pool.submit(perform, scenario, servers, os.path.join(folder, str(at)),
                                     f"u{number}.{at}", binaries)
                   for at, (name, binaries) in enumerate(jobs.items())}
    done = {name: future.result() for name, future in futures.items()}
    outcomes = {name: outcome for name, (outcome, _) in done.items()}
    wrong = []
    for name, (outcome, stage) in done.items():
        wrong += [f"{name}: {line}" for line in expected(scenario, outcome, stage, name)]
        if name != "perl":
            wrong += [f"perl against {name}: {line}"
                      for line in compared(scenario, outcomes, name)]
    if wrong:
        for name, outcome in outcomes.items():
            print(f"--- {name} said:")
            for said in outcome.said:
                print(said)
    assert not wrong, "\n".join(wrong)
