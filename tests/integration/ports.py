# SPDX-License-Identifier: MIT
"""Free TCP ports on the loopback address that stay ours across a restart of a server."""

import collections
import os
import random
import socket

# Below the range from which the kernel takes the ports of outgoing connections: one of those
# must not land on the port of a server that is being restarted.  tests/run gives each of the pytests
# that it runs at the same time a part.
_ALL = range(*map(int, os.environ.get("INTERIMAP_TEST_PORTS", "20000 32000").split()))


def _share(worker, workers):
    """What one of the processes that run tests at the same time may take: another would come
    between the probe and the use of a port."""
    size = len(_ALL) // workers
    first = int(worker.removeprefix("gw")) % workers * size
    return _ALL[first:first + size]


def _shuffled():
    share = _ALL
    if "PYTEST_XDIST_WORKER" in os.environ:
        share = _share(os.environ["PYTEST_XDIST_WORKER"],
                       int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))
    return collections.deque(random.Random(os.getpid() * 7919).sample(share, len(share)))


# The next one to give is at the left.  One that was given goes to the right: it comes again only
# when all others did, long after its server has gone or while it is listening, which the probe
# sees.  (They were once given for good, and a run of more tests ended with none left.)
_turns = _shuffled()


def free_port():
    for _ in range(len(_turns)):
        port = _turns[0]
        _turns.rotate(-1)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise RuntimeError("no free port on 127.0.0.1")
