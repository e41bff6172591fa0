# SPDX-License-Identifier: MIT
"""Every scenario with the Perl interimap, with ours, and with each going on after the other.

What the Perl program came to is kept in records/ (see record.py), and `tests/run` compares ours with
that: to start Perl takes most of the time.  `tests/run full differential` has the Perl program do
everything, compares, and says which records are no longer true; with DIFFERENTIAL_RECORD=1 it writes
them instead.
"""

import collections
import concurrent.futures
import os
import re
import shutil

import pytest

from integration.interimap import program, release

from . import record, scenarios
from .record import PERL
from .scenarios import SIDES
from .stage import Servers, Stage

ALL = scenarios.load()
# Parts of an Outcome that are compared, besides the exit statuses.
PARTS = "local", "remote", "order", "subscribed", "rows", "cached", "mapping", "files"

# Of each module one that is crossed, and some in which ours differs: `tests/run` has the Perl program
# do these.
SAMPLE = {"first-run-of-two-full-accounts", "same-messages-with-other-flags", "parent-becomes-a-mailbox",
          "reference-local", "delete-inbox-from-the-database", "repair-a-missing-row",
          "version-0-with-levels", "notify-remote", "server-refuses-select", "imap-with-starttls",
          "name-wildcards", "uids-beyond-the-signed"}
assert SAMPLE <= set(ALL)
RECORDING = "DIFFERENTIAL_RECORD" in os.environ

needs_perl = pytest.mark.skipif(not os.path.exists(PERL), reason=f"{PERL} is not installed")


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


def alike(scenario):
    """The parts in which ours comes to what the Perl program comes to."""
    ours = scenario.ours
    if ours is None:
        return PARTS
    free = set(ours.free)
    free |= {*SIDES, "order", "mapping"} if ours.expect else set()
    free |= {"subscribed"} if "subscribed" in ours.expect else set()
    free |= {"rows", "cached"} if ours.rows is not None else set()
    return [one for one in PARTS if one not in free]


def compared(scenario, outcomes, name):
    """Differences of an outcome from that of the Perl program."""
    found = outcomes[name]
    if scenario.ours is None or name == "ours":
        yield from differences(outcomes["perl"], found, alike(scenario))
        return
    # Begun by one and ended by the other: the result of either.
    like = [list(differences(outcomes[one], found)) for one in ("perl", "ours")]
    if all(like):
        yield from min(like, key=len)


def account(scenario, at):
    """The user of a variant; no two are of one name."""
    return f"u{list(ALL).index(scenario.name)}.{at}"


def perform_all(scenario, servers, folder, jobs, label=""):
    """name -> (Outcome, Stage) of each variant."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        futures = {name: pool.submit(perform, scenario, servers, os.path.join(folder, f"{label}{at}"),
                                     account(scenario, f"{label}{at}"), binaries)
                   for at, (name, binaries) in enumerate(jobs.items())}
    return {name: future.result() for name, future in futures.items()}


def wrong(scenario, done):
    """What is wrong with what the variants came to, by themselves and next to the Perl program."""
    outcomes = {name: outcome for name, (outcome, _) in done.items()}
    found = []
    for name, (outcome, stage) in done.items():
        found += [f"{name}: {line}" for line in expected(scenario, outcome, stage, name)]
        if name != "perl":
            found += [f"perl against {name}: {line}"
                      for line in compared(scenario, outcomes, name)]
    if found:
        for name, outcome in outcomes.items():
            print(f"--- {name} said:")
            for said in outcome.said:
                print(said)
    return found


def outdated(scenario, outcome):
    """Where a record is not what the Perl program came to now; with other versions it may differ."""
    kept, now = record.read(scenario), record.make(scenario, outcome, PARTS, part)
    if kept["of steps"] != now["of steps"]:
        return ["the record is of other steps"]
    if kept["made with"] != now["made with"]:
        return []
    found = list(record.differences(kept, now, PARTS))
    if kept["exits"] != now["exits"]:
        found.append(f"exit statuses {kept['exits']} against {now['exits']}")
    return [f"the record is not what the Perl program comes to: {line}" for line in found]


@pytest.mark.skipif(RECORDING, reason="the records are being written")
@pytest.mark.parametrize("scenario", [
    pytest.param(one, id=name, marks=pytest.mark.quick if name in SAMPLE else ())
    for name, one in ALL.items()])
def test_recorded(scenario, servers, folder):
    """Ours, next to what is recorded of the Perl program."""
    kept, at = record.read(scenario), "recorded"
    jobs = {"ours": (program(), program())}
    outcome, stage = perform(scenario, servers, os.path.join(folder, at), account(scenario, at),
                             jobs["ours"])
    found = [f"ours: {line}" for line in expected(scenario, outcome, stage, "ours")]
    assert not found, "\n".join([*found, *outcome.said])
    assert kept["of steps"] == record.steps(scenario), "the record is of other steps"
    parts = alike(scenario)
    found = list(record.differences(kept, record.parts_of(outcome, parts, part), parts))
    if not found:
        return
    # The Perl program may come to something else with another server: let it say so itself.
    assert os.path.exists(PERL), "\n".join(found)
    done = perform_all(scenario, servers, folder, {"perl": (PERL, PERL), **jobs}, "again")
    found = wrong(scenario, done) or outdated(scenario, done["perl"][0])
    assert not found, "\n".join(found)


@pytest.mark.skipif(RECORDING, reason="the records are being written")
def test_records_are_of_scenarios():
    assert record.names() == set(ALL)


@needs_perl
@pytest.mark.parametrize("scenario", [
    pytest.param(one, id=name, marks=() if name in SAMPLE else pytest.mark.full)
    for name, one in ALL.items()])
def test_scenario(scenario, servers, folder):
    """All variants, with the Perl program as it is installed."""
    jobs = {"perl": (PERL, PERL)} if RECORDING else variants(scenario)
    done = perform_all(scenario, servers, folder, jobs)
    found = wrong(scenario, done)
    if RECORDING and not found:
        record.write(scenario, record.make(scenario, done["perl"][0], PARTS, part))
    else:
        found += outdated(scenario, done["perl"][0])
    assert not found, "\n".join(found)
