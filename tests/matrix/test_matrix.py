# SPDX-License-Identifier: MIT
"""Each scenario, undisturbed and disturbed at every step; then a run, and a run with nothing to do.

A point is one disturbance: the program dies right before or after a commit; the connection to one
side is cut inside of the first or the last line or literal of a kind, in either direction; or the
n-th write or fsync of the database, the n-th write to a temporary file, or the n-th send fails, or
all from the n-th on.  In the end both servers hold what the scenario says, each message once, the
database agrees with that, and a further run opens no mailbox.

`tests/run` takes a few points of each scenario, always the same; `tests/run full matrix` takes all,
in both directions, and then with fewer capabilities.  Environment: MATRIX_POINTS, how many cuts of
each scenario at most; MATRIX_STRIDE, every how manieth fault.
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
        print(f"\ncrash matrix: {made.scenarios} scenarios, {made.points} points, "
              f"{made.failures} failures")


def death(when, number):
    return Point(env=((f"INTERIMAP_CRASH_{when}_COMMIT", str(number)),))


def fault(event, first, last):
    return Point(env=(("INTERIMAP_FAULT", f"{event}:{first}-{last}:fail"),))


def cuts(played, alike):
    """A point for each place in the first and the last of each kind of what was exchanged."""
    for side, directions in played.count.items():
        for direction, kinds in directions.items():
            for kind, count in kinds.items():
                if not alike and any(word in kind for word in ALIKE):
                    continue
                for number in sorted({1, count}):
                    for place in places(kind):
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
        self._judge("undisturbed", user, [] if result.code in self.scenario.ends else [result.err])

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
        again = stage.one.run(*self.scenario.args)
        problems = []
        if first.code not in (*self.scenario.ends, 1, -9):
            problems.append(f"it ended with {first.code}")
        if not self.scenario.args and again.code not in self.scenario.ends:
            problems.append(f"the run after it ended with {again.code}")
        self._judge(str(point), user, problems, f"{first.err}--- then:\n{again.err}")
        return disturbed

    def _judge(self, what, user, problems, said=""):
        self.stage.points += 1
        problems += self.stage.problems(self.played, user, self.hidden)
        if problems:
            self.stage.failures += 1
            self.failed.append("\n".join([f"*** {self.scenario.name}, {what}:", *problems, said]))

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
    points += cuts(trial.played, scenario.name == "nothing")
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
@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("swapped", (False, True), ids=("straight", "swapped"))
@pytest.mark.parametrize("scenario", ALL, ids=lambda scenario: scenario.name)
def test_all(stage, scenario, swapped, hidden):
    if swapped and not scenario.swaps:
        return
    trial = Trial(stage, scenario, swapped, HIDDEN[hidden])
    trial.plain()
    trial.deaths()
    trial.faults()
    points = list(cuts(trial.played, scenario.name == "nothing"))
    for point in sorted(points, key=_order)[:POINTS]:
        trial.disturb(point)
    trial.report()
