#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""tests/count.py BUILD-FOLDER BROKEN: the closing line of tests/run, from both runners' records.

BROKEN parts that could not run at all count as failures.  The exit status is 0 if something
passed and nothing failed.
"""

import json
import os
import sys
import xml.etree.ElementTree as xml

GOOD = ("OK", "EXPECTEDFAIL")


def verdict(case):
    """Of one <testcase>."""
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    return "skipped" if case.find("skipped") is not None else "passed"


def cases(path):
    return list(xml.parse(path).iter("testcase")) if os.path.exists(path) else []


def meson(folder):
    """The verdicts of a meson run.

    testlog.json says how each program ended, the JUnit file what was inside.  A program that
    crashed after its last good subtest has none that failed, and is one failure more.  Either file
    may have the suite before the name, "p:unit / tap".
    """
    inside = {}
    for case in cases(os.path.join(folder, "testlog.junit.xml")):
        _, _, name = case.get("classname", "").partition(".")
        if name:
            inside.setdefault(name.rsplit(" / ", 1)[-1], []).append(verdict(case))
    path = os.path.join(folder, "testlog.json")
    if not os.path.exists(path):
        return
    with open(path, encoding="utf-8") as file:
        for line in file:
            test = json.loads(line)
            found = inside.get(test["name"].rsplit(" / ", 1)[-1], [])
            yield from found
            if test["result"] == "SKIP":
                yield from [] if found else ["skipped"]
            elif test["result"] in GOOD:
                yield from [] if found else ["passed"]
            elif "failed" not in found:
                yield "failed"


def main():
    build, broken = sys.argv[1], int(sys.argv[2])
    found = [verdict(case) for name in ("pytest.xml", "pytest-apart.xml", "pytest-beside.xml")
             for case in cases(os.path.join(build, name))]
    found += meson(os.path.join(build, "meson-logs"))
    passed, failed, skipped = (found.count(word) for word in ("passed", "failed", "skipped"))
    failed += broken
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    sys.exit(0 if passed and not failed else 1)


if __name__ == "__main__":
    main()
