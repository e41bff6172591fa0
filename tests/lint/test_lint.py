# SPDX-License-Identifier: MIT
"""The lints complain about what they should, and about nothing else."""

import os
import subprocess

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
LICENCE = "/* SPDX-License-Identifier: MIT */\n"


@pytest.fixture
def lint(tmp_path):
    def run(name, **files):
        for path, text in files.pop("files", {}).items():
            target = tmp_path / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        done = subprocess.run([os.path.join(HERE, name), str(tmp_path)], text=True,
                              capture_output=True, check=False)
        assert done.returncode == (1 if done.stderr else 0), done.stderr
        return done.stderr
    return run


with open(os.path.join(HERE, "../../.clang-format"), encoding="ascii") as _file:
    FORMAT = _file.read()
GOOD = {".clang-format": FORMAT, "sync/base/a.h": LICENCE,
        "sync/net/b.h": LICENCE + '#include "sync/base/a.h"\n', "sync/imap/c-private.h": LICENCE, "sync/imap/slice.h": LICENCE,
        "sync/plan/d.c": LICENCE + '#include <stdio.h>\n#include "sync/imap/slice.h"\n',
        "proxy/e.h": LICENCE}


@pytest.mark.parametrize("name", ["layers.py", "style.py", "standalone.py"])
def test_a_good_tree_passes(lint, name):
    assert lint(name, files=GOOD) == ""


@pytest.mark.parametrize("path, include, word", [
    ("sync/base/x.c", "sync/net/b.h", "may not use"),
    ("sync/net/x.c", "proxy/e.h", "may not use"),
    ("sync/imap/x.c", "proxy/e.h", "may not use"),
    ("sync/plan/x.c", "sync/net/b.h", "may not use"),
    ("sync/engine/x.c", "sync/imap/c-private.h", "private"),
    ("sync/net/x.c", "a.h", "does not exist"),
    ("sync/other/x.c", "sync/base/a.h", "not a layer"),
])
def test_layers(lint, path, include, word):
    found = lint("layers.py", files={**GOOD, path: f'{LICENCE}#include "{include}"\n'})
    assert found.count("\n") == 1
    assert path in found and word in found


@pytest.mark.parametrize("text", ['"UID EXPUNGE "', '"+FLAGS.SILENT (\\\\Deleted)"'])
def test_one_file_expunges(lint, text):
    found = lint("layers.py", files={**GOOD, "sync/engine/x.c": f"{LICENCE}f({text});\n",
                                     "sync/pass/expunge.c": f"{LICENCE}f({text});\n"})
    assert found == "sync/engine/x.c: only sync/pass/expunge.c expunges\n"


@pytest.mark.parametrize("text, word", [
    ("int a;\n", "first line"),
    (LICENCE + "/* TO" + "DO: more */\n", "TO" + "DO"),
    (LICENCE + "int a; \n", "white space"),
    (LICENCE + "int a;", "no end"),
    (LICENCE + "int\ta;\n" * 800, "801 lines"),
    (LICENCE + "enum {\n        A,\n};\n", "tab"),
])
def test_style(lint, text, word):
    assert word in lint("style.py", files={"sync/base/a.c": text})


def test_style_of_scripts(lint):
    assert "no SPDX" in lint("style.py", files={"tests/run": "#!/bin/sh\nexit 0\n"})


@pytest.mark.parametrize("word", ["/wo" + "rk/main", "../sha" + "red/x", "see iss" + "ue 12"])
def test_standalone(lint, word):
    assert "README.md:2" in lint("standalone.py", files={"README.md": f"# x\n{word}\n"})


@pytest.mark.parametrize("word", ["network/workers", "a/work-around", "the issue of 12 clients"])
def test_standalone_lets_words_pass(lint, word):
    assert lint("standalone.py", files={"README.md": word + "\n"}) == ""


@pytest.mark.parametrize("text, complaints", [
    ('f("run `interimap --delete %s`", name);', 1),
    ('f("run `interimap "\n  "--target=database --delete %s`", name);', 1),
    ('/* "interimap --delete X" */ f("run `%s`", command);', 0),
    ('f("interimap: no --help");', 0),
])
def test_commands_are_quoted_in_one_place(lint, text, complaints):
    found = lint("advice.py", files={"sync/engine/x.c": text + "\n"})
    assert found.count("advice()") == complaints
