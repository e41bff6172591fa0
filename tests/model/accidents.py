# SPDX-License-Identifier: MIT
"""A history with accidents: deaths, signals, lost connections, full disks, restored backups, and
messages that a side refuses or does not give."""

import json
import os
import shutil
import subprocess
from collections import Counter

from integration.interimap import connect

from .histories import History

BACKUPS = 0.15      # the share of rounds after which a side is backed up
RESTORES = 0.06     # the share of rounds that a restored backup takes the place of
REFUSALS = {"refused": r"APPEND ", "unreadable": r"UID FETCH \S+ \(UID BODY.PEEK\[\]\)"}


class AccidentHistory(History):
    """Rounds of edits, in half of which a run meets with an accident before the one that counts.

    `meddlers` stand before both servers (scripted.Meddler).
    """

    def __init__(self, seed, one, local, remote, meddlers):
        super().__init__(seed, one, local, remote, crashes=0.5, test="test_accidents")
        self.meddlers = meddlers
        self.servers = {"local": local, "remote": remote}
        self.accidents = Counter()

    def _accident(self):
        """The environment of a run that has one."""
        number = self.rng.randint(1, 12)
        kind = self.rng.choice(("death", "death", "signal", "connection", "send", "disk", "disk",
                                "fsync", "spool", *REFUSALS, *REFUSALS))
        self.accidents[kind] += 1
        if kind == "death":
            return super()._accident()
        if kind in REFUSALS:
            return kind
        fault = {
            "signal": f"turn:{self.rng.randint(1, 80)}:{self.rng.choice(('TERM', 'KILL'))}",
            "connection": f"answer:{self.rng.randint(1, 40)}:fail",
            "send": f"send:{self.rng.randint(1, 40)}:fail",
            "disk": f"database-write:{number}-{self.rng.choice((number, 10 ** 9))}:fail",
            "fsync": f"database-sync:{number}:fail",
            "spool": f"spool:{self.rng.randint(1, 3)}-1000000:fail",
        }[kind]
        return {"INTERIMAP_FAULT": fault}

    def _crash(self, env):
        if not isinstance(env, str):
            super()._crash(env)
            return
        meddler = self.rng.choice(self.meddlers)
        meddler.answer(REFUSALS[env], b"NO not today", times=self.rng.choice((1, 2, 99)))
        result = self.one.run()
        rows = json.loads(self.one.run("--status=json").out)["left_out"]
        self.said = f"({env}: exit status {result.code}, {len(rows)} left out)\n{result.err}"
        if result.code != bool(rows) or any(row["words"] != "NO: not today" for row in rows):
            self._fail([f"exit status {result.code}, and what is left out is {rows}"])
        meddler.relent()
        self.one.make_due()

    def _round(self):
        saved = [side for side in self.sides if os.path.exists(self._backup(side))]
        if saved and self.rng.random() < RESTORES:
            self._restored(self.rng.choice(saved))
            return
        super()._round()
        if self.rng.random() < BACKUPS:
            side = self.rng.choice(self.sides)
            self._leave(side)
            shutil.rmtree(self._backup(side), ignore_errors=True)
            self._copy(self._mail(side), self._backup(side))
            self._enter(side)

    def _mail(self, side):
        return os.path.join(self.servers[side.name].path, "mail", "user")

    def _backup(self, side):
        return os.path.join(self.servers[side.name].path, "backup")

    @staticmethod
    def _copy(source, target):
        subprocess.run(["cp", "-a", source, target], check=True)

    @staticmethod
    def _leave(side):
        side.client.send("LOGOUT")
        while side.client._file.read(1 << 16):  # until the server has closed
            pass
        side.client.close()

    def _enter(self, side):
        side.client = connect(self.servers[side.name])

    def _restored(self, side):
        """One side is what it was when it was backed up; nothing else happens in this round."""
        self.accidents["restore"] += 1
        for each in self.sides:
            each.log = []
        side.log.append(f"{side.name}: restored")
        self._leave(side)
        shutil.rmtree(self._mail(side))
        self._copy(self._backup(side), self._mail(side))
        self._enter(side)
        before = [each.look() for each in self.sides]
        lacking = set(before[1 - self.sides.index(side)].boxes) - set(before[
            self.sides.index(side)].boxes)
        self.said = self.one.run().err
        if lacking:     # as the program advises: forgotten, they come back from the other side
            self.one.run("--target=database", "--delete",
                         *(self.servers["local"].separator.join(name) for name in sorted(lacking)))
        result = self.one.run()
        self.said += result.err
        after = self._after()
        problems = [] if result.code == 0 else [f"exit status {result.code}"]
        problems += self._lost(before, after)
        if problems:
            self._fail(problems)
        self.world = after
        self.said = ""

    def _lost(self, before, after):
        """Each message that either side had must be on both, as often as one of them had it."""
        problems = []
        for name in set(before[0].boxes) | set(before[1].boxes):
            shown = "/".join(name)
            had = [Counter((seen.digest, seen.date) for seen in account.boxes.get(name, {}).values())
                   for account in before]
            local, remote = after.local.boxes.get(name), after.remote.boxes.get(name)
            if local is None or remote is None:
                problems.append(f"{shown}: not on both sides")
                continue
            for side, found in (("local", local), ("remote", remote)):
                has = Counter((seen.digest, seen.date) for seen in found.values())
                for what, count in ((had[0] | had[1]) - has).items():
                    problems.append(f"{shown}: {side}: {count} of {what} lost")
                for what, count in (has - (had[0] | had[1])).items():
                    problems.append(f"{shown}: {side}: {count} of {what} too much")
            pairs = after.pairs.get(name, {})
            if sorted(pairs) != sorted(local) or sorted(pairs.values()) != sorted(remote):
                problems.append(f"{shown}: not all is paired")
            problems += [f"{shown}: local {here} is {local[here]}, remote {there} is {remote[there]}"
                         for here, there in pairs.items() if here in local and there in remote
                         and local[here].content != remote[there].content]
        return problems
