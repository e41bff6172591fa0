# SPDX-License-Identifier: MIT
"""Two hosts joined by a cable, in network namespaces of their own: what happens to a network.

The programs run with the test's own files and processes; only the network is another one.  Only
root can make such hosts.
"""

import contextlib
import ctypes
import os
import shlex
import subprocess
import threading

CLONE_NEWNET = 0x40000000
HERE, THERE = "192.0.2.1", "192.0.2.2"      # RFC 5737: addresses for documentation
MOVED = "192.0.2.3"                         # what HERE becomes in another network

_libc = ctypes.CDLL(None, use_errno=True)


def _enter(fd):
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Hosts:
    """`here`, where the user is, and `there`, where the server listens."""

    def __init__(self):
        self._names = {name: f"im-{os.getpid()}-{name}" for name in ("here", "there")}
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY)
        for name in self._names.values():
            self._run("ip", "netns", "add", name)
        self._ip("here", "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns",
                 self._names["there"])
        self._ip("there", "addr", "add", f"{THERE}/24", "dev", "cable")
        self._ip("here", "addr", "add", f"{HERE}/24", "dev", "cable")
        for name in self._names:
            self._ip(name, "link", "set", "lo", "up")
            self._ip(name, "link", "set", "cable", "up")

    def close(self):
        for name in self._names.values():
            subprocess.run(["ip", "netns", "del", name], check=False)
        os.close(self._home)

    @staticmethod
    def _run(*words):
        return subprocess.run(words, check=True, capture_output=True, text=True,
                              env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}).stdout

    def _ip(self, name, *words):
        return self._run("ip", "-n", self._names[name], *words)

    def _path(self, name):
        return f"/run/netns/{self._names[name]}"

    @contextlib.contextmanager
    def at(self, name):
        """Sockets that this thread makes meanwhile are that host's."""
        assert threading.current_thread() is threading.main_thread()
        fd = os.open(self._path(name), os.O_RDONLY)
        try:
            _enter(fd)
            yield
        finally:
            _enter(self._home)
            os.close(fd)

    def words(self, name):
        """Words that run a command on that host."""
        return ["nsenter", f"--net={self._path(name)}"]

    def script(self, name, path, program, environment=""):
        """Write a script that runs the program on that host, in the same process."""
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\n{environment}\n"
                       f"exec {shlex.join([*self.words(name), program])} \"$@\"\n")
        os.chmod(path, 0o755)
        return path

    # What happens to the network, and how it ends.

    def unplug(self):
        """The link goes: both ends see it."""
        self._ip("there", "link", "set", "cable", "down")

    def plug(self):
        self._ip("there", "link", "set", "cable", "up")

    def _address(self, name):
        words = self._ip(name, "-o", "link", "show", "cable").split()
        return words[words.index("link/ether") + 1]

    def swallow(self):
        """All packets are lost, both ways, and nobody is told."""
        for name, other in (("here", THERE), ("there", HERE)):
            self._ip(name, "neigh", "replace", other, "lladdr", "02:00:00:00:00:01", "dev", "cable",
                     "nud", "permanent")

    def pass_on(self):
        for name, other, host in (("here", THERE, "there"), ("there", HERE, "here")):
            self._ip(name, "neigh", "replace", other, "lladdr", self._address(host), "dev", "cable",
                     "nud", "permanent")

    def move(self):
        """The user is in another network: the old address is gone, and a new one is there."""
        self._ip("here", "addr", "del", f"{HERE}/24", "dev", "cable")
        self._ip("here", "addr", "add", f"{MOVED}/24", "dev", "cable")

    def move_back(self):
        self._ip("here", "addr", "del", f"{MOVED}/24", "dev", "cable")
        self._ip("here", "addr", "add", f"{HERE}/24", "dev", "cable")
