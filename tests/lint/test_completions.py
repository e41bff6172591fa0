# SPDX-License-Identifier: MIT
"""What the three shells offer behind the beginning of an interimap command.

Each shell is asked itself, with the file that the build has made for it.
"""

import os
import re
import subprocess

import pytest

from integration.interimap import program

FOLDER = os.path.join(os.path.dirname(program()), "..", "deploy", "completions")

# Completes the last word of the command that is in $words, as readline does.
BASH = r"""
source "$file"
compopt() { :; }
COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
_interimap
printf '%s\n' "${COMPREPLY[@]}"
"""

# zsh completes only at a prompt, so one is given a terminal; what it would offer goes to a file.
ZSH = r"""
zmodload zsh/zpty
zpty shell zsh -f -i
begin() {
	fpath=($FOLDER $fpath)
	autoload -Uz compinit; compinit -u -d $DUMP
	offer() {
		compadd() {
			local -a offered
			# With -A, -D or -O it only asks what would fit.
			if [[ -z ${(M)@:#-[ADO]} ]]; then
				builtin compadd -O offered "$@"
				print -rl -- $IPREFIX$^offered >>$OFFERED
			fi
			builtin compadd "$@"
		}
		_main_complete
		print -r -- END >>$OFFERED
	}
	zle -C offer complete-word offer
	bindkey '^T' offer
}
zpty -w shell "$(functions begin); begin; unfunction begin"
zpty -w -n shell "$COMMAND"$'\C-t'
integer tries=0
until grep -qx END $OFFERED 2>/dev/null || (( ++tries > 1000 )); do
	zpty -r -t shell ignored
	read -t 0.02 ignored <>$PIPE
done
zpty -d shell
grep -vx END $OFFERED
true
"""


def bash(folder, words):
    # "=" parts words, for bash.
    parts = [part for word in words for part in re.findall(r"=|[^=]+", word) or [""]]
    if words[-1].endswith("="):
        parts = parts[:-1] + ["="]
    quoted = " ".join(f"'{part}'" for part in parts)
    return run(["bash", "-c", f"COMP_WORDS=({quoted})\n{BASH}"], folder, file=f"{FOLDER}/interimap")


def fish(folder, words):
    lines = run(["fish", "-c", 'source "$file"; complete -C "$COMMAND"'], folder,
                file=f"{FOLDER}/interimap.fish", COMMAND=" ".join(words))
    return [line.split("\t")[0] for line in lines]


def zsh(folder, words):
    os.mkfifo(f"{folder}/pipe")
    try:
        return run(["zsh", "-f", "-c", ZSH], folder, COMMAND=" ".join(words), FOLDER=FOLDER,
                   DUMP=f"{FOLDER}/zcompdump", OFFERED=f"{folder}/offered",
                   PIPE=f"{folder}/pipe")
    finally:
        os.remove(f"{folder}/pipe")
        os.remove(f"{folder}/offered")


def run(command, folder, **environment):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False,
                          cwd=folder, env={**os.environ, "HOME": folder, "TERM": "dumb",
                                           "XDG_CONFIG_HOME": f"{folder}/config", **environment})
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.split("\n") if line]


def options():
    """What --help says that there is."""
    text = subprocess.run([program(), "--help"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"^ +(?:-\w,)? +(--[\w-]+)", text, re.MULTILINE))


@pytest.mark.parametrize("shell", (bash, zsh, fish))
def test_options(folder, shell):
    offered = {word.split("=")[0] for word in shell(folder, ["interimap", "--"])}
    assert offered == options()


@pytest.mark.parametrize("shell", (bash, zsh, fish))
def test_beginning(folder, shell):
    assert shell(folder, ["interimap", "--repa"]) == ["--repair"]


@pytest.mark.parametrize("words, wanted", (
    (["interimap", "--status="], ["json"]),
    (["interimap", "--target="], ["database", "local", "remote"]),
    (["interimap", "--target=l"], ["local"]),
    (["interimap", "--target=local,r"], ["local,remote"]),
    (["interimap", "--delete", "--target", "da"], ["database"]),
))
@pytest.mark.parametrize("shell", (bash, zsh, fish))
def test_values(folder, shell, words, wanted):
    found = [word.removeprefix(words[-1].split("=")[0] + "=") for word in shell(folder, words)]
    assert sorted(found) == wanted


@pytest.mark.parametrize("shell", (bash, zsh, fish))
def test_configuration_files(folder, shell):
    os.makedirs(f"{folder}/config/interimap")
    for name in ("work", "home"):
        with open(f"{folder}/config/interimap/{name}", "w", encoding="ascii"):
            pass
    offered = {word.removeprefix("--config=") for word in shell(folder, ["interimap", "--config="])}
    assert {"work", "home"} <= offered
    assert shell(folder, ["interimap", "--config=wo"])[0].endswith("work")


@pytest.mark.parametrize("shell", (bash, zsh, fish))
def test_mailboxes_are_not_guessed(folder, shell):
    with open(f"{folder}/a-file", "w", encoding="ascii"):
        pass
    assert not shell(folder, ["interimap", "--repair", ""])
