# SPDX-License-Identifier: MIT
"""Free TCP ports on the loopback address that stay ours across a restart of a server."""

import os
import random
import socket

# Below the range from which the kernel takes the ports of outgoing connections: one of those
# must not land on the port of a server that is being restarted.
_ALL = range(20000, 32000)


def _share(worker, workers=8):
    """What one of the processes that run tests at the same time may take: another would come
    between the probe and the use of a port."""
    size = len(_ALL) // workers
    first = int(worker.removeprefix("gw")) % workers * size
    return _ALL[first:first + size]


_RANGE = _share(os.environ["PYTEST_XDIST_WORKER"]) if "PYTEST_XDIST_WORKER" in os.environ else _ALL
_random = random.Random(os.getpid() * 7919)
_given = set()


def free_port():
    for _ in range(1000):
        port = _random.choice(_RANGE)
        if port in _given:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise RuntimeError("no free port on 127.0.0.1")
