# SPDX-License-Identifier: MIT
"""The embedded store's mail folder, as the program has it or as former versions of it had."""

import glob
import os
import shlex

from .dovecot import Owner, libexec, version
from .imap import Imap


def _command(mail, configuration):
    words = ["env", f"HOME={mail}", "USER=user"]
    if Owner.current().switch:
        words += ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    return shlex.join([*words, libexec("imap"), "-c", configuration])


def section(one):
    """A [local] section with the mail below the program's own folder."""
    return {"type": "maildir", "path": os.path.join(one.folder, "Mail")}


def client(one):
    """A client of the store that goes past the program; it must have run."""
    files = glob.glob(os.path.join(one.folder, "run/interimap/dovecot-*.conf"))
    assert len(files) == 1, files
    return Imap(command=_command(os.path.join(one.folder, "Mail"), files[0]))


def former(one):
    """The command of a store in the layout that former versions had."""
    mail = os.path.join(one.folder, "Mail")
    os.makedirs(mail, mode=0o700, exist_ok=True)
    path = os.path.join(one.folder, "former.conf")
    first, where = "", f"mail_location = \"maildir:{mail}:LAYOUT=fs\"\nmail_plugins = listescape\n"
    if version() != (2, 3):
        first = ("dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\n"
                 "import_environment {\n  USER = %{env:USER}\n  HOME = %{env:HOME}\n}\n")
        where = (f"mail_driver = maildir\nmail_path = {mail}\nmail_inbox_path = {mail}\n"
                 "mailbox_list_layout = fs\nmailbox_list_storage_escape_char = \"\\\\\"\n")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{first}log_path = {one.folder}/former.log\nbase_dir = {one.folder}/none\n"
                   f"ssl = no\nfirst_valid_uid = 1\nfirst_valid_gid = 1\n{where}"
                   "mailbox_list_index = yes\n"
                   "namespace inbox {\n  inbox = yes\n  separator = /\n}\n"
                   "protocol imap {\n  mail_max_userip_connections = 0\n}\n")
    return _command(mail, path)
