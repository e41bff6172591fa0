#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""wire.py RULES COMMAND...: an IMAP server's command with a fault, for type=tunnel.

RULES is a file of JSON, a list of rules; the first that matches a line counts.
Literals pass untouched.

  {"on": "server", "match": RE, "replace": TEXT}   rewrite what the server says
  {"on": "client", "match": RE, "do": WHAT, "nth": N}   the N-th such command (default: each):
      "kill"        end the program (SIGKILL) before the server hears of the command
      "kill-after"  end the program when the server has answered, before it hears of that
      "cut"         end the connection
      "no", "bad"   answer so; the server never hears of the command
"""

import json
import os
import re
import selectors
import signal
import subprocess
import sys

_LITERAL = re.compile(rb"\{(\d+)(\+?)\}\r?\n\Z")


class Lines:
    """Splits a stream into (line, is_literal) pieces."""

    def __init__(self):
        self._data, self._literal = b"", 0

    def feed(self, data):
        self._data += data
        while self._data:
            if self._literal:
                piece, self._data = self._data[:self._literal], self._data[self._literal:]
                self._literal -= len(piece)
                yield piece, True
                continue
            end = self._data.find(b"\n") + 1
            if not end:
                return
            line, self._data = self._data[:end], self._data[end:]
            found = _LITERAL.search(line)
            if found:
                self._literal = int(found[1])
            yield line, False


class Wire:
    def __init__(self, rules, command):
        self.program = os.getppid()
        self.rules = [dict(rule, seen=0) for rule in rules]
        self.server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.fatal = None           # the tag whose answer is the program's end
        self.swallowing = False     # the rest of a command that has its answer
        self.continued = False      # the last line of a command ended in a literal

    def kill(self):
        os.kill(self.program, signal.SIGKILL)
        self.end()

    def end(self):
        self.server.kill()
        os._exit(0)

    def _rule(self, line):
        for rule in self.rules:
            if rule["on"] != "client" or not re.search(rule["match"].encode(), line):
                continue
            rule["seen"] += 1
            if rule.get("nth", rule["seen"]) == rule["seen"]:
                return rule
        return None

    def from_client(self, line, literal):
        if literal:
            return b"" if self.swallowing else line
        begins = not self.continued
        self.continued = _LITERAL.search(line) is not None
        if not begins:
            return b"" if self.swallowing else line
        self.swallowing = False
        rule = self._rule(line)
        if rule is None:
            return line
        tag = line.split(b" ", 1)[0]
        if rule["do"] == "kill":
            self.kill()
        if rule["do"] == "cut":
            self.end()
        if rule["do"] == "kill-after":
            self.fatal = tag
            return line
        found = _LITERAL.search(line)
        self.swallowing = found is not None and found[2] == b"+"
        self.continued = self.swallowing
        text = rule.get("text", "the test says so")
        os.write(1, tag + f" {rule['do'].upper()} {text}\r\n".encode())
        return b""

    def from_server(self, line, literal):
        if literal:
            return line
        if self.fatal is not None and line.startswith(self.fatal + b" "):
            self.kill()
        for rule in self.rules:
            if rule["on"] == "server":
                line = re.sub(rule["match"].encode(), rule["replace"].encode(), line)
        return line

    def run(self):
        selector = selectors.DefaultSelector()
        for fd, take, out in ((0, self.from_client, self.server.stdin.fileno()),
                              (self.server.stdout.fileno(), self.from_server, 1)):
            selector.register(fd, selectors.EVENT_READ, (Lines(), take, out))
        while True:
            for key, _ in selector.select():
                data = os.read(key.fd, 1 << 16)
                lines, take, out = key.data
                if not data:
                    self.end()
                for line, literal in lines.feed(data):
                    rest = take(line, literal)
                    while rest:
                        rest = rest[os.write(out, rest):]


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as rules:
        Wire(json.load(rules), sys.argv[2:]).run()
