# SPDX-License-Identifier: MIT
"""Processes as /proc shows them: whose they are, whether they live, whether they are at work."""

import ctypes
import os
import select
import signal
import time

PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans():
    """Make this process inherit its orphaned descendants, so that survivors can be found."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def _stat(pid):
    """(name, state, parent, session) of a process, or None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        return None
    # The name stands in parentheses and may itself hold some.
    name = text[text.index("(") + 1:text.rindex(")")]
    fields = text[text.rindex(")") + 2:].split()
    return name, fields[0], int(fields[1]), int(fields[3])


def every():
    """Yield (pid, name, state, parent, session) of all processes."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            found = _stat(int(entry))
            if found:
                yield (int(entry), *found)


def alive(pid):
    found = _stat(pid)
    return found is not None and found[1] not in "ZX"


def of_session(session):
    """Live processes of a session as (pid, name)."""
    return [(pid, name) for pid, name, state, _, sid in every()
            if sid == session and state not in "ZX"]


def family(pid):
    """A process and its children, or its session where the kernel lists no children.

    One small read instead of a walk over all of /proc: relays ask often.
    """
    try:
        found = [pid]
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                found += map(int, file.read().split())
        return found
    except OSError:
        return [member for member, _ in of_session(pid)]


def descendants(root):
    """Live processes below `root` as (pid, name)."""
    parents = {}
    names = {}
    for pid, name, state, parent, _ in every():
        if state not in "ZX":
            parents.setdefault(parent, []).append(pid)
            names[pid] = name
    found, open_ = [], [root]
    while open_:
        children = parents.get(open_.pop(), [])
        found += children
        open_ += children
    return [(pid, names[pid]) for pid in found]


def reap():
    """Collect the exit statuses of adopted orphans that nobody else waits for."""
    for pid, _, state, parent, _ in every():
        if parent == os.getpid() and state == "Z":
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass


def wait_gone(pids, timeout=10.0):
    """Wait until none of `pids` lives; return those that still do after the time given."""
    limit = time.monotonic() + timeout
    while True:
        pids = [pid for pid in pids if alive(pid)]
        if not pids or time.monotonic() > limit:
            return pids
        time.sleep(0.002)


def kill_all(pids, number=signal.SIGKILL):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


class End:
    """The end of a child, to be waited for without asking all the time."""

    def __init__(self, pid):
        self._fd = os.pidfd_open(pid)
        self._poller = select.poll()
        self._poller.register(self._fd, select.POLLIN)

    def poll(self, milliseconds):
        """Wait for it, at most so long."""
        self._poller.poll(milliseconds)

    def close(self):
        os.close(self._fd)


def peak_memory(pid):
    """The most that was resident of the program a process runs now, in KiB; 0 if it is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0


class Activity:
    """Says whether a set of processes has worked since the last look.

    `pids` is a function, since servers start processes as they need them.  A process that
    waits for a processor or a disk counts as working: on a loaded machine silence alone
    does not mean that an answer is complete.
    """

    def __init__(self, pids):
        self._pids = pids
        self._seen = {}

    def worked(self):
        now = {}
        working = False
        for pid in self._pids():
            try:
                with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
                    now[pid] = file.read().split()[0]
            except OSError:
                continue
            found = _stat(pid)
            working = working or (found is not None and found[1] in "RD")
        changed = now != self._seen
        self._seen = now
        return working or changed
