# SPDX-License-Identifier: MIT
"""Each scenario, undisturbed and disturbed at every step; then a run, and a run with nothing to do.

A point is one disturbance: the program dies right before or after a commit; the connection to one
side is cut inside of the first or the last line or literal of a kind, in either direction; or the
n-th write or fsync of the database, the n-th write to a temporary file, or the n-th send fails, or
all from the n-th on.  In the end both servers hold what the scenario says, each message once, the
database agrees with that, and a further run opens no mailbox.

`tests/run` takes a few points of each scenario, always the same; `tests/run full matrix` takes all,
in both directions, and then with fewer capabilities.  What can say nothing new is left out:

- a set of capabilities with which the undisturbed run says, word by word, what it said with another;
- of a kind of line that was cut at each place before, all places but its end and one more, a
  different one each time: a line that lacks its end is no line, wherever it ends;
- the runs after a disturbance that left both accounts and the database as another one of this
  scenario did, after which all became good.

Environment: MATRIX_POINTS, how many cuts of each scenario at most; MATRIX_STRIDE, every how manieth
fault.
"""

import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass

import pytest

from integration.interimap import release

from .scenarios import ALL
from .stage import Stage
from .wire import Cut, places

SAMPLE = 2
POINTS = int(os.environ.get("MATRIX_POINTS", "1000000"))
STRIDE = int(os.environ.get("MATRIX_STRIDE", "1"))
MOST_STEPS = 200
FAULTS = ("database-write", "database-sync", "spool", "send")
FOR_EVER = 10 ** 9
# Which of the optional capabilities are hidden from the program.
HIDDEN = {"all": (), "no MULTIAPPEND": ("MULTIAPPEND",), "no LITERAL+": ("LITERAL+",),
          "no MOVE": ("MOVE",), "none": ("MULTIAPPEND", "LITERAL+", "MOVE")}
# What every run says first, and last: one scenario has it cut.
ALIKE = ("LOGIN", "CAPABILITY", "ID", "LOGOUT", "BYE", "* OK", "COMPRESS")


@dataclass(frozen=True)
class Point:
    """A disturbance: `env` for the program, and a cut at one side."""

    env: tuple = ()
    side: str = None
    cut: Cut = None

    def __str__(self):
        return f"{self.side} {self.cut}" if self.cut else " ".join("=".join(e) for e in self.env)


@pytest.fixture(scope="module")
def stage(request):
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp"
    folder = tempfile.mkdtemp(prefix="im-", dir=memory)
    os.chmod(folder, 0o755)
    made = Stage(folder, release())
    yield made
    made.close()
    shutil.rmtree(folder)
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\ncrash matrix: {made.scenarios} scenarios ({made.skipped} more say the same), "
              f"{made.points} points ({made.same} in a state seen before), "
              f"{made.failures} failures")


def death(when, number):
    return Point(env=((f"INTERIMAP_CRASH_{when}_COMMIT", str(number)),))


def fault(event, first, last):
    return Point(env=(("INTERIMAP_FAULT", f"{event}:{first}-{last}:fail"),))


def chosen(stage, direction, kind, number):
    """The places in such a line or literal where it is cut: all the first time, and then its end
    and one in turn."""
    every = list(places(kind))
    seen = (direction, kind, number == 1)
    if seen not in stage.seen:
        stage.seen.add(seen)
        return every
    stage.turn += 1
    return [every[stage.turn % (len(every) - 1)], every[-1]]


def cuts(stage, played, alike):
    """A point for places in the first and the last of each kind of what was exchanged."""
    for side, directions in played.count.items():
        for direction, kinds in directions.items():
            for kind, count in kinds.items():
                if not alike and any(word in kind for word in ALIKE):
                    continue
                for number in sorted({1, count}):
                    for place in chosen(stage, direction, kind, number):
                        yield Point(side=side, cut=Cut(direction, kind, number, place))


class Trial:
    """A scenario and its points."""

    def __init__(self, stage, scenario, swapped=False, hidden=()):
        self.stage, self.scenario, self.hidden = stage, scenario, hidden
        self.played = stage.play(scenario, swapped)
        self.failed = []
        stage.scenarios += 1

    def plain(self):
        user = self.stage.begin(self.played, self.hidden)
        result = self.stage.one.run(*self.scenario.args)
        self.played.count = {side: wire.count for side, wire in self.stage.wires.items()}
        self.played.said = {side: [line for line in wire.commands
                                   if not line.startswith(("LOGIN", "AUTHENTICATE"))]
                            for side, wire in self.stage.wires.items()}
        self._judge("undisturbed", user, [] if result.code in self.scenario.ends else [result.err])

    def is_new(self):
        """Whether the undisturbed run said anything else than with other capabilities."""
        before = self.stage.exchanges.setdefault(
            (self.scenario.name, self.played.swapped), [])
        if self.played.said in before:
            self.stage.scenarios -= 1
            self.stage.skipped += 1
            return False
        before.append(self.played.said)
        return True

    def disturb(self, point):
        """Whether the run did not come to its end."""
        stage = self.stage
        user = stage.begin(self.played, self.hidden)
        if point.cut:
            stage.wires[point.side].cut = point.cut
        first = stage.one.run(*self.scenario.args, env=dict(point.env))
        disturbed = stage.wires[point.side].reached \
            if point.cut else first.code not in self.scenario.ends
        stage.calm(self.played, self.hidden)
        problems = []
        if first.code not in (*self.scenario.ends, 1, -9):
            problems.append(f"it ended with {first.code}")
        state = stage.state(user)
        if state in self.played.good and not problems:
            stage.points += 1
            stage.same += 1
            return disturbed
        again = stage.one.run(*self.scenario.args)
        if not self.scenario.args and again.code not in self.scenario.ends:
            problems.append(f"the run after it ended with {again.code}")
        if self._judge(str(point), user, problems, f"{first.err}--- then:\n{again.err}"):
            self.played.good.add(state)
        return disturbed

    def _judge(self, what, user, problems, said=""):
        self.stage.points += 1
        problems += self.stage.problems(self.played, user, self.hidden)
        if problems:
            self.stage.failures += 1
            self.failed.append("\n".join([f"*** {self.scenario.name}, {what}:", *problems, said]))
        return not problems

    def deaths(self):
        for when in ("AT", "AFTER"):
            for number in range(1, MOST_STEPS):
                if not self.disturb(death(when, number)):
                    break

    def faults(self):
        for event in FAULTS:
            for lasting in (False, True):
                undisturbed = 0
                for number in range(1, MOST_STEPS, STRIDE):
                    last = FOR_EVER if lasting else number
                    undisturbed += not self.disturb(fault(event, number, last))
                    if undisturbed == 2:    # a checkpoint that fails ends no run
                        break

    def report(self):
        assert not self.failed, "\n".join([f"{len(self.failed)} failures", *self.failed[:8]])


def _order(point):
    return hashlib.sha256(str(point).encode()).digest()


@pytest.mark.parametrize("scenario", ALL, ids=lambda scenario: scenario.name)
def test_sample(stage, scenario):
    trial = Trial(stage, scenario)
    trial.plain()
    points = [death(when, number) for when in ("AT", "AFTER") for number in (1, 2)]
    points += [fault(event, number, last) for event in FAULTS for number in (2, 7, 12)
               for last in (number, FOR_EVER)]
    points += cuts(stage, trial.played, scenario.name == "nothing")
    for point in sorted(points, key=_order)[:SAMPLE]:
        trial.disturb(point)
    if scenario.name == "no Message-ID":
        trial.deaths()      # where only the intents tell what became of a copy
    trial.report()


@pytest.mark.parametrize("event, says", [
    ("database-write", "database or disk is full"), ("database-sync", "disk I/O error"),
    ("spool", "No space left"), ("send", "connection closed")])
def test_faults_happen(stage, event, says):
    """Else all points that are such faults would say nothing."""
    played = stage.play(next(scenario for scenario in ALL if scenario.name == "a large message"))
    stage.begin(played)
    result = stage.one.run(env={"INTERIMAP_FAULT": f"{event}:1-{FOR_EVER}:fail"})
    assert result.code == 1 and says.lower() in result.err.lower(), result.err


@pytest.mark.full
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("scenario", ALL, ids=lambda scenario: scenario.name)
@pytest.mark.parametrize("swapped", (False, True), ids=("straight", "swapped"))
@pytest.mark.parametrize("hidden", HIDDEN)
def test_all(stage, scenario, swapped, hidden):
    if swapped and not scenario.swaps:
        return
    trial = Trial(stage, scenario, swapped, HIDDEN[hidden])
    trial.plain()
    if not trial.is_new():
        return
    trial.deaths()
    trial.faults()
    points = list(cuts(stage, trial.played, scenario.name == "nothing"))
    for point in sorted(points, key=_order)[:POINTS]:
        trial.disturb(point)
    trial.report()
