# SPDX-License-Identifier: MIT
"""docs/testing.md names the tests that only `tests/run full` runs, or of which it takes more cases."""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = [f"tests/{name}" for name in ("integration", "model", "matrix", "differential", "lint")]
PAGE = (ROOT / "docs/testing.md").read_text(encoding="utf-8")


def with_full_cases():
    """The tests that have a case with the mark."""
    done = subprocess.run([sys.executable, "-m", "pytest", "-c", "tests/pytest.ini", "--rootdir",
                           "tests", "-q", "--collect-only", "-m", "full", *FOLDERS], cwd=ROOT,
                          capture_output=True, text=True, check=False)
    return set(re.findall(r"^(\S+\.py::[^[\n]+)", done.stdout, re.MULTILINE))


def full_as_a_whole():
    """Those that carry the mark themselves."""
    return {f"{path.relative_to(ROOT / 'tests')}::{name}"
            for folder in FOLDERS for path in (ROOT / folder).glob("test_*.py")
            for name in re.findall(r"^@pytest\.mark\.full\n(?:@.*\n|[ )].*\n)*def (test_\w+)",
                                   path.read_text(encoding="utf-8"), re.MULTILINE)}


def named(heading):
    """The tests in the table below a heading."""
    _, _, rest = PAGE.partition(f"\n## {heading}\n")
    return set(re.findall(r"^\| `(\S+::\S+)` \|", rest.partition("\n## ")[0], re.MULTILINE))


def test_what_full_adds_is_named():
    found, whole = with_full_cases(), full_as_a_whole()
    assert whole and whole < found
    assert named("Only in full") == whole
    assert named("More cases in full") == found - whole
