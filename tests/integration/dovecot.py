# SPDX-License-Identifier: MIT
"""A private Dovecot: one folder, one unprivileged user, free ports, no trace left behind."""

import contextlib
import functools
import os
import pwd
import grp
import re
import shlex
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field

from . import processes
from .ports import free_port

USER, PASSWORD = "user", "secret"


class Unsupported(RuntimeError):
    """This machine's Dovecot is none that we have a configuration for."""


@functools.lru_cache(maxsize=None)
def version():
    """(major, minor) of the Dovecot installed."""
    try:
        text = subprocess.run(["dovecot", "--version"], capture_output=True, text=True,
                              env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unsupported(f"dovecot --version: {error}; install dovecot-imapd") from error
    found = re.match(r"(\d+)\.(\d+)", text)
    if not found:
        raise Unsupported(f"dovecot --version says {text!r}")
    return int(found[1]), int(found[2])


def libexec(program):
    """The path of one of Dovecot's own programs."""
    for folder in ("/usr/lib/dovecot", "/usr/libexec/dovecot"):
        path = os.path.join(folder, program)
        if os.access(path, os.X_OK):
            return path
    raise Unsupported(f"Dovecot's program {program} was not found; install dovecot-imapd")


@dataclass(frozen=True)
class Owner:
    """Who runs the server and owns the mail.  Dovecot refuses mail users with uid 0."""

    uid: int
    gid: int
    user: str
    group: str
    switch: bool    # we are root and have to become that user

    @classmethod
    def current(cls):
        switch = os.getuid() == 0
        if switch:
            entry = pwd.getpwnam("nobody")
            uid, gid = entry.pw_uid, entry.pw_gid
        else:
            uid, gid = os.getuid(), os.getgid()
        return cls(uid, gid, pwd.getpwuid(uid).pw_name, grp.getgrgid(gid).gr_name, switch)

    def popen_args(self):
        if not self.switch:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def prefix(self):
        """Words that run a command as the owner."""
        if not self.switch:
            return []
        return ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups"]


@dataclass
class Options:
    separator: str = "."
    format: str = "maildir"
    users: dict = field(default_factory=lambda: {USER: PASSWORD})
    tls: object = None          # tls.Certificates; None: neither STARTTLS nor imaps
    capability: str = None      # what to announce after login instead of everything
    quota: str = None           # a quota rule's value, such as "storage=100k"
    compress: bool = True
    imap: str = ""              # more lines for protocol imap { }
    extra: str = ""             # more lines at the top level


def _mail_settings_23(path, options):
    plugins = []
    if options.compress:
        plugins += ["zlib", "imap_zlib"]
    if options.quota:
        plugins += ["quota", "imap_quota"]
    mail_plugins = [name for name in plugins if not name.startswith("imap_")]
    lines = [
        f"mail_location = {options.format}:{path}/mail/%u",
        "first_valid_uid = 1",
        "first_valid_gid = 1",
        # These servers live for seconds and are never the ones that crash.
        "mail_fsync = never",
        "mailbox_list_index = yes",
        f"mail_plugins = {' '.join(mail_plugins)}",
        f"namespace inbox {{\n  inbox = yes\n  separator = {options.separator}\n}}",
        "protocol imap {",
        f"  mail_plugins = {' '.join(plugins)}",
        "  mail_max_userip_connections = 1000",
        "  imap_idle_notify_interval = 29 mins",
    ]
    if options.capability:
        lines.append(f"  imap_capability = {options.capability}")
    lines += [options.imap, "}"]
    if options.quota:
        lines.append("plugin {\n  quota = count:User quota\n  quota_vsizes = yes\n"
                     f"  quota_rule = *:{options.quota}\n  quota_grace = 0\n}}")
    lines.append(options.extra)
    return "\n".join(lines) + "\n"


def _tunnel_config_23(path, options):
    """Configuration of a lone `imap` process that speaks on its standard input and output."""
    return (f"log_path = {path}/tunnel.log\n"
            f"base_dir = {path}/run\n"
            "ssl = no\n" + _mail_settings_23(path, options))


def _server_config_23(path, options, owner, ports):
    """Configuration of a whole server that runs as one ordinary user."""
    if options.tls:
        tls = (f"ssl = yes\nssl_cert = <{options.tls.cert}\nssl_key = <{options.tls.key}\n")
        imaps = f"port = {ports['imaps']}\n    ssl = yes"
    else:
        tls, imaps = "ssl = no\n", "port = 0"
    return f"""\
base_dir = {path}/run
state_dir = {path}/state
log_path = {path}/log
protocols = imap
listen = 127.0.0.1
default_internal_user = {owner.user}
default_internal_group = {owner.group}
default_login_user = {owner.user}
default_vsz_limit = 1 G
{tls}disable_plaintext_auth = no
auth_mechanisms = plain login scram-sha-256
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {path}/users
}}
userdb {{
  driver = static
  args = uid={owner.uid} gid={owner.gid} home={path}/home/%u
}}
service imap-login {{
  chroot =
  service_count = 0
  process_min_avail = 1
  process_limit = 1
  client_limit = 1000
  inet_listener imap {{
    port = {ports['imap']}
  }}
  inet_listener imaps {{
    {imaps}
  }}
}}
service imap {{
  process_limit = 1000
}}
service anvil {{
  chroot =
  client_limit = 1200
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service auth {{
  client_limit = 2000
}}
service stats {{
  chroot =
}}
""" + _mail_settings_23(path, options)


_VERSIONS_24 = "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\n"


def _offered_24(names, whether):
    """Besides what it offers by itself."""
    return "".join(["  imap_capability {\n", *(f'    "{name}" = {whether}\n' for name in names), "  }"])


def _mail_settings_24(path, options):
    plugins = ["quota", "imap_quota"] if options.quota else []
    lines = [
        f"mail_driver = {options.format}",
        f"mail_path = {path}/mail/%{{user}}",
        "first_valid_uid = 1",
        "first_valid_gid = 1",
        "mail_fsync = never",
        "mailbox_list_index = yes",
        *(["mailbox_list_layout = maildir++"] if options.format == "maildir" else []),
        "".join(["mail_plugins {\n", *(f"  {name} = yes\n" for name in plugins
                                       if not name.startswith("imap_")), "}"]),
        f"namespace inbox {{\n  inbox = yes\n  separator = {options.separator}\n}}",
        "protocol imap {",
        "".join(["  mail_plugins {\n", *(f"    {name} = yes\n" for name in plugins), "  }"]),
        "  mail_max_userip_connections = 1000",
        "  imap_idle_notify_interval = 29 mins",
    ]
    if (options.capability or "").startswith("+"):
        lines.append(_offered_24(options.capability[1:].split(), "yes"))
    elif options.capability:
        lines.append(f"  imap_capability = {options.capability}")
    elif not options.compress:
        lines.append(_offered_24(["COMPRESS=DEFLATE"], "no"))
    lines += [options.imap, "}"]
    if options.quota:
        kind, size = options.quota.split("=")
        lines.append(f"quota user {{\n  driver = count\n  quota_{kind}_size = {size}\n"
                     "  quota_storage_grace = 0\n}")
    lines.append(options.extra)
    return "\n".join(lines) + "\n"


def _tunnel_config_24(path, options):
    """As for 2.3; what is not named is not in the environment."""
    return (f"{_VERSIONS_24}log_path = {path}/tunnel.log\n"
            f"base_dir = {path}/run\n"
            "ssl = no\n"
            "import_environment {\n  USER = %{env:USER}\n  HOME = %{env:HOME}\n}\n"
            + _mail_settings_24(path, options))


def _server_config_24(path, options, owner, ports):
    """As for 2.3, in the other language."""
    if options.tls:
        tls = (f"ssl = yes\nssl_server_cert_file = {options.tls.cert}\n"
               f"ssl_server_key_file = {options.tls.key}\n")
        imaps = f"port = {ports['imaps']}\n    ssl = yes"
    else:
        tls, imaps = "ssl = no\n", "port = 0"
    return f"""\
{_VERSIONS_24}base_dir = {path}/run
state_dir = {path}/state
log_path = {path}/log
protocols = imap
listen = 127.0.0.1
default_internal_user = {owner.user}
default_internal_group = {owner.group}
default_login_user = {owner.user}
default_vsz_limit = 1 G
{tls}auth_allow_cleartext = yes
auth_mechanisms = plain login scram-sha-256
auth_failure_delay = 0
passdb passwd-file {{
  default_password_scheme = PLAIN
  passwd_file_path = {path}/users
}}
userdb static {{
  fields {{
    uid = {owner.uid}
    gid = {owner.gid}
    home = {path}/home/%{{user}}
  }}
}}
service imap-login {{
  chroot =
  restart_request_count = unlimited
  process_min_avail = 1
  process_limit = 1
  client_limit = 1000
  inet_listener imap {{
    port = {ports['imap']}
  }}
  inet_listener imaps {{
    {imaps}
  }}
}}
service imap {{
  process_limit = 1000
}}
service anvil {{
  chroot =
  client_limit = 1200
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service auth {{
  client_limit = 2000
}}
service stats {{
  chroot =
}}
""" + _mail_settings_24(path, options)


def _templates():
    """(whole server, lone imap process): the configurations for the Dovecot installed."""
    if version() == (2, 3):
        return _server_config_23, _tunnel_config_23
    if version() == (2, 4):
        return _server_config_24, _tunnel_config_24
    raise Unsupported("Dovecot %d.%d: only 2.3 and 2.4 are supported here" % version())


class Dovecot:
    """One server in the folder `path`, which is made; see Options for the keywords.

    `port` speaks IMAP (with STARTTLS if there are certificates), `tls_port` IMAP over TLS.
    """

    def __init__(self, path, **options):
        self.path = str(path)
        self.options = Options(**options)
        self.owner = Owner.current()
        self.ports = {"imap": free_port(), "imaps": free_port()}
        self.process = None
        self._script = os.path.join(self.path, "imap")
        # The stats listener of base_dir is a UNIX socket: 108 bytes are all there is.
        if len(self.path) > 80:
            raise ValueError(f"{self.path}: too long for the sockets that go below it")
        self._lay_out()
        self.configure()

    @property
    def port(self):
        return self.ports["imap"]

    @property
    def tls_port(self):
        return self.ports["imaps"]

    @property
    def separator(self):
        return self.options.separator

    def _lay_out(self):
        for name in ("", "run", "state", "mail", "home"):
            self._own(os.path.join(self.path, name))
        for user in self.options.users:
            self._own(os.path.join(self.path, "home", user))

    def _own(self, path):
        os.makedirs(path, mode=0o755, exist_ok=True)
        if self.owner.switch:
            os.chown(path, self.owner.uid, self.owner.gid)

    def configure(self, **changes):
        """Write the configuration; takes effect with the next start (tunnels: at once)."""
        for name, value in changes.items():
            if name not in Options.__dataclass_fields__:
                raise TypeError(f"no option {name}")
            setattr(self.options, name, value)
        server, tunnel = _templates()
        self._write("server.conf", server(self.path, self.options, self.owner, self.ports))
        self._write("tunnel.conf", tunnel(self.path, self.options))
        if os.path.exists(self._script):
            self._write_script()
        self._write("users", "".join(f"{user}:{password}\n" for user, password
                                     in self.options.users.items()))

    def _write(self, name, text):
        with open(os.path.join(self.path, name), "w", encoding="utf-8") as file:
            file.write(text)

    def start(self):
        command = [_find("dovecot"), "-F", "-c", os.path.join(self.path, "server.conf")]
        with open(os.path.join(self.path, "stderr"), "wb") as stderr:
            self.process = subprocess.Popen(
                command, cwd=self.path, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr,
                start_new_session=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
                **self.owner.popen_args())
        limit = time.monotonic() + 15
        while not _listens(self.port):
            if self.process.poll() is not None or time.monotonic() > limit:
                self.stop()
                raise RuntimeError(f"Dovecot does not start:\n{self.messages()}")
            time.sleep(0.005)
        return self

    def stop(self):
        """End the server and all its processes; returns when they are gone."""
        process, self.process = self.process, None
        if process is None:
            return
        # Told by its master alone, Dovecot lingers for seconds: tell those that serve directly,
        # and wait for no more than them.  A master that is starting is not ready to be told.
        process.send_signal(signal.SIGTERM)
        serving = [pid for pid, name in processes.of_session(process.pid)
                   if name in ("imap", "imap-login")]
        processes.kill_all(serving, signal.SIGTERM)
        processes.wait_gone(serving, 1)
        process.kill()
        process.wait()
        while rest := [pid for pid, _ in processes.of_session(process.pid)]:
            processes.kill_all(rest)
            processes.wait_gone(rest)
        processes.reap()
        # What a master that is killed leaves the next one waits for, ten seconds.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.path, "state", "instances.lock"))

    def restart(self):
        self.stop()
        return self.start()

    def __enter__(self):
        return self.start() if self.process is None else self

    def __exit__(self, *_):
        self.stop()

    def pids(self):
        """The server's live processes."""
        return processes.family(self.process.pid) if self.process else []

    def kill_clients(self):
        """Cut every connection without a word, as a crash would."""
        if self.process is None:
            return
        pids = [pid for pid, name in processes.of_session(self.process.pid)
                if name in ("imap", "imap-login")]
        processes.kill_all(pids)
        processes.wait_gone(pids)

    def command(self, user=USER):
        """A command line that speaks IMAP as `user`, pre-authenticated, on a pipe."""
        if not os.path.exists(self._script):
            self._write_script()
        return shlex.join([self._script, user])

    def _write_script(self):
        """Starts such a process, with 2.3 in half the time: what the configuration says is worked out
        once, as Dovecot's own programs pass it to each other."""
        config = os.path.join(self.path, "tunnel.conf")
        settings, program = [], [libexec("imap"), "-c", config]
        if version() == (2, 3):
            settings = subprocess.run(
                [_find("doveconf"), "-c", config, "-m", "imap", "-f", "service=imap",
                 "-e", "/usr/bin/env"], env={"PATH": "/usr/bin:/bin"}, capture_output=True,
                text=True, check=True).stdout.splitlines()
            program = program[:1]
        name = f"imap.{threading.get_ident()}"
        self._write(name, f"#!/bin/sh\nexec env {shlex.join(settings)} USER=$1 "
                    f"HOME={shlex.quote(self.path)}/home/$1 "
                    f"{shlex.join([*self.owner.prefix(), *program])}\n")
        os.chmod(os.path.join(self.path, name), 0o755)
        os.rename(os.path.join(self.path, name), self._script)

    def renumber(self, mailbox, user=USER, **numbers):
        """Move UIDVALIDITY, UIDNEXT or HIGHESTMODSEQ of a mailbox, as only an administrator can."""
        options = {"uidvalidity": "--uid-validity", "uidnext": "--min-next-uid",
                   "modseq": "--min-highest-modseq"}
        words = [] if version() == (2, 3) else ["--no-userdb-lookup"]
        for name, value in numbers.items():
            words += [options[name], str(value)]
        done = subprocess.run(
            [*self.owner.prefix(), "env", f"USER={user}", f"HOME={self.path}/home/{user}",
             _find("doveadm"), "-c", os.path.join(self.path, "tunnel.conf"), "mailbox", "update",
             *words, mailbox], capture_output=True, text=True, check=False, cwd=self.path)
        assert done.returncode == 0, f"doveadm mailbox update {words} {mailbox}: {done.stderr}"

    def messages(self):
        """What the server said: its standard error and its logs."""
        text = ""
        for name in ("stderr", "log", "tunnel.log"):
            try:
                with open(os.path.join(self.path, name), encoding="utf-8",
                          errors="replace") as file:
                    text += file.read()
            except OSError:
                continue
        return text


def _find(program):
    for folder in ("/usr/sbin", "/usr/bin", "/usr/local/sbin"):
        path = os.path.join(folder, program)
        if os.access(path, os.X_OK):
            return path
    raise Unsupported(f"the program {program} was not found; install dovecot-imapd")


def _listens(port):
    with socket.socket() as probe:
        probe.settimeout(5)
        return probe.connect_ex(("127.0.0.1", port)) == 0
