# SPDX-License-Identifier: MIT
"""Debian packages that cannot be installed beside Dovecot's: fetched once, and unpacked where they are used."""

import os
import re
import shutil
import subprocess

from .interimap import ROOT

_CACHE = os.path.join(str(ROOT), "build", "packages")


class Unavailable(RuntimeError):
    """The packages cannot be had."""


def _run(*command, cwd=None):
    done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          env={**os.environ, "LC_ALL": "C"}, check=False)
    if done.returncode != 0:
        raise Unavailable(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout


def _needed(name, options):
    """`name`, and what it needs and is not there, programs of others and mail transports excepted."""
    source = name.split("-")[0]
    planned = _run("apt-get", *options, "-q", "-s", "--no-install-recommends", "install", name)
    return [package for package in re.findall(r"^Inst (\S+) \(", planned, re.MULTILINE)
            if package.startswith((source, "lib"))]


def _fetch(name, folder, options):
    needed = _needed(name, options)
    if name not in needed:
        raise Unavailable(f"{name} is installed, or there is none")
    _run("apt-get", *options, "-q", "download", *needed, cwd=folder)


def _own_lists(folder):
    """Options that give apt lists of its own, which any user may bring up to date."""
    lists, cache = os.path.join(folder, "lists"), os.path.join(folder, "cache")
    for path in (lists, cache):
        os.makedirs(os.path.join(path, "partial"), exist_ok=True)
    options = ["-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={cache}",
               "-o", "APT::Sandbox::User="]
    _run("apt-get", *options, "-q", "update")
    return options


def _debs(name):
    """The folder with the packages; they are fetched once."""
    target = os.path.join(_CACHE, name)
    if os.path.isdir(target):
        return target
    folder, own = f"{target}.{os.getpid()}", f"{target}.{os.getpid()}.apt"
    try:
        os.makedirs(folder)
        try:
            _fetch(name, folder, [])
        except Unavailable:
            # The system's lists are missing, or older than what the mirror holds.
            _fetch(name, folder, _own_lists(own))
        os.rename(folder, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(own, ignore_errors=True)
    return target


def unpack(name, root):
    """Unpack a package, with what it needs, into the folder `root`."""
    debs = _debs(name)
    for deb in sorted(os.listdir(debs)):
        _run("dpkg", "-x", os.path.join(debs, deb), root)


def libraries(root):
    """The value of LD_LIBRARY_PATH for programs below that root."""
    found = []
    for path, _, files in os.walk(root):
        if any(".so" in file for file in files):
            found.append(path)
    return ":".join(found)
