# SPDX-License-Identifier: MIT
"""The closing count is what the runners recorded, crashes included."""

import json
import os
import subprocess

COUNT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../count.py")


def count(folder, results, suites="", pytest="", broken=0):
    logs = folder / "meson-logs"
    logs.mkdir(exist_ok=True)
    (logs / "testlog.json").write_text("".join(
        json.dumps({"name": name, "result": result}) + "\n" for name, result in results.items()))
    (logs / "testlog.junit.xml").write_text(f"<testsuites>{suites}</testsuites>")
    (folder / "pytest.xml").write_text(f"<testsuites>{pytest}</testsuites>")
    done = subprocess.run([COUNT, str(folder), str(broken)], capture_output=True, text=True,
                          check=False)
    return done.stdout.strip(), done.returncode


def case(name, what="", classname="p.tap"):
    return f'<testcase name="{name}" classname="{classname}">{what}</testcase>'


def test_subtests_and_programs(tmp_path):
    assert count(tmp_path, {"tap": "OK", "lint": "OK"}, case("1") + case("2", "<skipped/>")
                 + case("lint", classname="p"), case("t", classname="x.y")) == (
                     "3 passed, 0 failed, 1 skipped", 0)


def test_suites_are_no_part_of_a_name(tmp_path):
    assert count(tmp_path, {"p:unit / tap": "OK"}, case("1", classname="p.p:unit / tap")
                 + case("2", classname="p.p:unit / tap")) == ("2 passed, 0 failed", 0)


def test_failures_are_counted_once(tmp_path):
    assert count(tmp_path, {"tap": "FAIL", "lint": "TIMEOUT"}, case("1", "<failure/>") + case("2")
                 + case("lint", classname="p")) == ("1 passed, 2 failed", 1)


def test_a_crash_after_good_subtests_fails(tmp_path):
    assert count(tmp_path, {"tap": "ERROR"}, case("1") + case("2")) == ("2 passed, 1 failed", 1)


def test_errors_of_pytest_and_broken_parts_fail(tmp_path):
    assert count(tmp_path, {}, "", case("t") + case("u", "<error/>"), 2) == (
        "1 passed, 3 failed", 1)


def test_nothing_is_no_success(tmp_path):
    assert count(tmp_path, {}) == ("0 passed, 0 failed", 1)
