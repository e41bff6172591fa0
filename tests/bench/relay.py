#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""tests/bench/relay.py [--rounds N]

What the proxy costs a mail client: the same commands to the same store over TCP, directly and
through the proxy, in turns.  Prints the medians.
"""

import argparse
import contextlib
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from integration import messages, processes  # noqa: E402
from integration.dovecot import PASSWORD, USER, Dovecot  # noqa: E402
from integration.imap import Imap  # noqa: E402
from integration.interimap import Interimap, imap, proxy_section, release  # noqa: E402
from integration.service import AWAY  # noqa: E402

MESSAGES, SIZE = 20, 10 << 20       # 200 MB in one FETCH
LATENCY = {"NOOP": "NOOP", "STATUS": "STATUS other (MESSAGES UIDNEXT)",
           "UID STORE": "UID STORE 1 {}FLAGS.SILENT (\\Flagged)"}


class Client:
    """A mail client that does no more than it must, so that the server is measured."""

    def __init__(self, port, user, password):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(60)
        self.buffer = memoryview(bytearray(1 << 18))
        self.until(b"* OK ", b"\n")
        self.ask(f'LOGIN "{user}" "{password}"')
        self.ask("SELECT INBOX")

    def until(self, begin, end):
        """Read until the last bytes are a line that begins and ends so; how many they were."""
        count, tail = 0, b"\n"
        while not (tail.endswith(end) and b"\n" + begin in tail):
            n = self.socket.recv_into(self.buffer)
            if n == 0:
                raise RuntimeError(f"the connection ended: {tail!r}")
            count += n
            tail = (tail + bytes(self.buffer[max(0, n - 4096):n]))[-4096:]
        return count

    def ask(self, command):
        """How many bytes answered it."""
        self.socket.sendall(b"a " + command.encode() + b"\r\n")
        return self.until(b"a OK", b"\r\n")

    def close(self):
        self.socket.close()


class Bench:
    """A store with a large INBOX, and a proxy to it."""

    def __init__(self, folder):
        os.chmod(folder, 0o755)
        self.store = Dovecot(os.path.join(folder, "store"), format="mdbox").start()
        with Imap(port=self.store.port) as client:
            client.login()
            client.cmd("CREATE other")
            for number in range(MESSAGES):
                client.append("INBOX", messages.of_size(number, SIZE))
            client.append("other", messages.of_size(0, 1000))
        section = proxy_section()
        self.program = Interimap(os.path.join(folder, "work"), imap(self.store), AWAY,
                                 proxy=section, binary=release())
        self.running = self.program.start("--proxy")
        self.running.wait_for("^proxy: listening on ")
        port = int(section["listen"].rsplit(":", 1)[1])
        self.ways = {"direct": Client(self.store.port, USER, PASSWORD),
                     "proxy": Client(port, section["username"], section["password"])}

    def stop(self):
        for way in self.ways.values():
            way.close()
        self.running.stop()
        self.store.stop()

    def used(self):
        """Processor seconds so far: of the proxy, and of the store's processes for clients."""
        serving = [pid for pid, name in processes.of_session(self.store.process.pid)
                   if name == "imap"]
        return _used(self.running.pid), sum(map(_used, serving))

    def fetch(self, rounds):
        """way -> bytes a second of each round."""
        rates = {way: [] for way in self.ways}
        for _ in range(rounds):
            for way, client in self.ways.items():
                begin = time.monotonic()
                count = client.ask("FETCH 1:* BODY.PEEK[]")
                rates[way].append(count / (time.monotonic() - begin))
                assert count > MESSAGES * SIZE
        return rates

    def latency(self, name, rounds):
        """way -> median seconds that one command takes."""
        taken = {way: [] for way in self.ways}
        for number in range(rounds):
            command = LATENCY[name].format("+-"[number % 2])
            for way, client in self.ways.items():
                begin = time.monotonic()
                client.ask(command)
                taken[way].append(time.monotonic() - begin)
        return {way: statistics.median(seconds) for way, seconds in taken.items()}


def _used(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def observer():
    """Processor seconds in which the observer looks at a byte of small messages."""
    program = os.path.join(os.path.dirname(release()), "..", "tests", "bench", "bench-observer")
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    return float(done.stdout) / 1e15


@contextlib.contextmanager
def bench():
    processes.adopt_orphans()
    folder = tempfile.mkdtemp(prefix="im-", dir=os.environ.get("INTERIMAP_TEST_FOLDER", "/tmp"))
    try:
        made = Bench(folder)
        try:
            yield made
        finally:
            made.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[1])
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    rounds = parser.parse_args().rounds
    with bench() as made:
        made.fetch(1)       # the store's first look at its files
        before = made.used()
        rates = made.fetch(rounds)
        proxy, store = (after - was for was, after in zip(before, made.used()))
        median = {way: statistics.median(found) / 1e6 for way, found in rates.items()}
        print(f"FETCH of {MESSAGES * SIZE >> 20} MiB: {median['direct']:.0f} MB/s directly, "
              f"{median['proxy']:.0f} through the proxy "
              f"({median['proxy'] / median['direct']:.2f})")
        print(f"processor time: the proxy has used {2 * proxy / store:.2f} of what the store has "
              f"for the same, and its observer {observer() * median['proxy'] * 1e6:.2%} of all")
        for name in LATENCY:
            found = made.latency(name, rounds * 40)
            print(f"{name}: {found['direct'] * 1000:.3f} ms directly, "
                  f"{found['proxy'] * 1000:.3f} through the proxy")


if __name__ == "__main__":
    main()
